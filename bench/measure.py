"""CPU time of child processes and of functions."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class ChildFailed(Exception):
    """A contender left with another code than 0; its output is in the message."""


def child_cpu(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> float:
    """Seconds of user and system time that a program and the children it waited for used. Raises ChildFailed."""
    return child_usage(command, cwd=cwd, environment=environment)[0]


def child_usage(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """As `child_cpu`, and the most memory that the program held, in MiB (Linux); never less than this program holds."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout as stream:
        output = stream.read()
    # wait4 gives the usage of this child alone; RUSAGE_CHILDREN would add up all of them.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildFailed(
            f"{' '.join(command)}: exit {process.returncode}\n{output.decode('utf-8', 'replace')[-2000:]}"
        )
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def own_cpu(work: Callable[[], object], *, repeats: int) -> tuple[float, ...]:
    """Seconds of CPU of this process for each call of `work`, after one call that does not count."""
    work()
    taken: list[float] = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return tuple(taken)
