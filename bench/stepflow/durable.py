"""Whether runs are on the disk when they are answered: by what the system is asked for, and by a kill."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from .load import CannotMeasure

SYNC = re.compile(r"\b(?:fsync|fdatasync)\(.*= 0$|\b(?:fsync|fdatasync) resumed>.*= 0$")
ANSWER = re.compile(r"\b(?:sendto|write|writev|sendmsg)\(.*\"HTTP/1\.1 200")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime did for runs one after the other."""

    answers: int
    unsynced: int
    """Answers before which nothing had been synced since the answer before."""
    syncs: int


def watch(pid: int, folder: Path, work: Callable[[], None]) -> Seen | None:
    """What a process syncs and answers while `work` asks it; None without strace, or where it may not look."""
    program = shutil.which("strace")
    if program is None:
        return None
    told = folder / f"strace-{pid}.txt"
    calls = "fsync,fdatasync,sendto,sendmsg,write,writev"
    with subprocess.Popen(
        [program, "-f", "-s", "16", "-e", f"trace={calls}", "-o", str(told), "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as tracer:
        assert tracer.stderr is not None
        try:
            if "attached" not in tracer.stderr.readline():
                return None
            # What it says of threads that come and go is dropped, lest the pipe fill.
            drain = threading.Thread(target=tracer.stderr.read)
            drain.start()
            work()
        finally:
            tracer.send_signal(signal.SIGINT)
    drain.join()
    return seen_in(told.read_text("utf-8", "replace").splitlines())


def seen_in(lines: list[str]) -> Seen:
    """Count what a trace shows, in its order."""
    answers = unsynced = syncs = since = 0
    for line in lines:
        if SYNC.search(line):
            syncs += 1
            since += 1
        elif ANSWER.search(line):
            answers += 1
            unsynced += not since
            since = 0
    return Seen(answers=answers, unsynced=unsynced, syncs=syncs)


def kept_after_kill(pid: int, database: Path) -> int:
    """Kill our runtime with SIGKILL: how many runs its database then says have completed. Errors: CannotMeasure."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with closing(sqlite3.connect(database)) as connection:
        (fault,) = connection.execute("PRAGMA quick_check").fetchone()
        if fault != "ok":
            raise CannotMeasure(f"{database}: {fault}")
        return int(connection.execute("SELECT count(*) FROM runs WHERE status = 'completed'").fetchone()[0])
