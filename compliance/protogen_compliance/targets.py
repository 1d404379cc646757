"""Targets: what is tested is named by an address, by a command that speaks lines, or by one that prints its port.

Knows no protocol. Commands run between `with` and its end.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import IO, Literal, NamedTuple

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.stdio import end

Kind = Literal["url", "stdio", "command"]

START_SECONDS = 15.0
"""How long a command may take until it has printed its port."""
KEPT_LINES = 20


class NoTarget(Exception):
    """There is nothing to test; the text says why in one sentence. No clause was judged."""


class WrongTarget(Exception):
    """What was typed names no target; the text says what was expected."""


class Target(NamedTuple):
    """A parsed target: `command` has the words of a program, `url` the address."""

    kind: Kind
    url: str = ""
    command: tuple[str, ...] = ()


def parse_target(text: str) -> Target:
    """What `text` names; raises WrongTarget.

    `http://…` and `https://…` are addresses, `stdio:COMMAND` a program that speaks lines; anything else whose first
    word is a program is a command that serves HTTP and prints {"port": N} once it listens.
    """
    if text.startswith(("http://", "https://")):
        try:
            parse_url(text)
        except ValueError as reason:
            raise WrongTarget(str(reason)) from None
        return Target("url", url=text)
    kind: Kind = "stdio" if text.startswith("stdio:") else "command"
    try:
        words = tuple(shlex.split(text.removeprefix("stdio:")))
    except ValueError as reason:
        raise WrongTarget(f"{text!r} is no command: {reason}") from None
    if not words or shutil.which(words[0]) is None:
        raise WrongTarget(
            "expected an address such as http://127.0.0.1:8000, stdio:COMMAND, or a command that prints "
            f'{{"port": N}}, got {text!r}'
        )
    return Target(kind, command=words)


@contextmanager
def opened(target: Target) -> Generator[Target, None, None]:
    """The target with the address at which it can be spoken to; a command is started and ended. Raises NoTarget."""
    if target.kind != "command":
        yield target
        return
    with started(target.command) as port:
        yield target._replace(url=f"http://127.0.0.1:{port}/")


@contextmanager
def started(command: Sequence[str], *, environment: dict[str, str] | None = None) -> Generator[int, None, None]:
    """Runs a command that prints {"port": N}; yields the port, and ends the command. Raises NoTarget."""
    shown = shlex.join(command)
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environment is None else {**os.environ, **environment},
            start_new_session=True,
        )
    except OSError as reason:
        raise NoTarget(f"{shown} cannot be started: {reason}") from None
    lines: queue.Queue[bytes | None] = queue.Queue()
    said: list[bytes] = []
    threads = [
        threading.Thread(target=_read, args=(process.stdout, lines.put), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, lambda line: said.append(line or b"")), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield _port(process, lines, shown, told=lambda: _last(threads[1], said))
    finally:
        end(process)
        for thread in threads:
            thread.join(1.0)


def _read(stream: IO[bytes] | None, take: object) -> None:
    assert stream is not None
    assert callable(take)
    with stream:
        for line in stream:
            take(line)
    take(None)


def _last(reader: threading.Thread, said: list[bytes]) -> str:
    """The last line of what an ended program wrote to standard error; empty where it wrote nothing."""
    reader.join(1.0)
    told = b"".join(said[-KEPT_LINES:]).decode("utf-8", "replace").strip().splitlines()
    return told[-1] if told else ""


def _port(
    process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None], shown: str, *, told: Callable[[], str]
) -> int:
    until = time.monotonic() + START_SECONDS
    others = 0
    while True:
        try:
            line = lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise NoTarget(f'{shown} did not print {{"port": N}} within {START_SECONDS:g} s') from None
        if line is None:
            process.wait()
            last = told()
            why = f"; it said {last[:200]!r}" if last else ""
            raise NoTarget(f'{shown} ended with {process.returncode} before it printed {{"port": N}}{why}')
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        match value:
            case {"port": int(port)} if 0 < port < 65_536:
                return port
            case _:
                others += 1
                if others > 10_000:
                    raise NoTarget(f'{shown} printed {others} lines, and none was {{"port": N}}')
