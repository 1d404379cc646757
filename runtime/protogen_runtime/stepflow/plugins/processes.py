"""Worker processes: started with an environment of their own, logged, and ended with all that they started.

Knows no protocol. A process leads a group, so that what it started ends with it and the terminal's signals pass it by.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from protogen_runtime.jsonrpc import FrameTooLong, LineFramer

from .config import Program
from .contract import CANNOT_SPAWN, Json, StepFailed

STOP_SECONDS: Final = 2.0
"""How long a process may take to end when its input has ended, and again after SIGTERM; then it is killed."""

REPORT_SECONDS: Final = 5.0
"""How long to wait, when the way to a process is lost, for what it ended with.

Servers close their connections first, and an attempt that is made before they have ended is lost on them.
"""

MAX_LINE_BYTES: Final = 8192
"""Of a line that a worker prints; a longer one is told of, not shown."""

LINES_PER_SECOND: Final = 200
"""What is logged of one worker; what it prints beyond that is counted only, lest it fill the disk."""

LAST_LINES: Final = 5
"""Of what a worker printed, told where it fails."""

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
OF_EACH_LOG: Final = frozenset(("time", "level", "event", "logger", "method", "request_id"))
"""Members that our line has anew, and those that mean something only in the worker's own log."""

_read_record = msgspec.json.Decoder(dict[str, Any]).decode

_logger = logging.getLogger("protogen_runtime.stepflow.workers")


class WorkerLog:
    """What one worker prints, as lines of the runtime's log; the last of them explain why it failed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._second = -1
        self._lines = 0

    def line(self, text: bytes | FrameTooLong, *, level: int = logging.INFO) -> None:
        """Log one line; a record that the worker wrote in JSON as one of ours, with its level and its members."""
        record = None if isinstance(text, FrameTooLong) else _record_of(text)
        members: dict[str, Json] = {}
        if record is not None:
            level, shown, members = record
        else:
            shown = "a line that is too long" if isinstance(text, FrameTooLong) else text.decode(errors="replace")
        self._last.append(shown[:300])
        second = int(trio.current_time())
        if second != self._second:
            if self._lines > LINES_PER_SECOND:
                _logger.warning("worker %s: %d more lines within a second", self.name, self._lines - LINES_PER_SECOND)
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_PER_SECOND:
            _logger.log(level, "worker %s: %s", self.name, shown, extra={"members": members})

    def last_words(self) -> str:
        """What it printed last, in brackets; empty where it printed nothing."""
        return f" (it last printed: {' | '.join(self._last)})" if self._last else ""

    async def copy(self, descriptor: int) -> None:
        """Log all lines that come out of a pipe, and close it at the end."""
        async with trio.lowlevel.FdStream(descriptor) as stream:
            framer = LineFramer(MAX_LINE_BYTES)
            with suppress(trio.BrokenResourceError):
                while data := await stream.receive_some(65_536):
                    for line in framer.feed(data):
                        self.line(line)
            for line in framer.finish():
                self.line(line)


def _record_of(text: bytes) -> tuple[int, str, dict[str, Json]] | None:
    """The level, the event and the members of a line that is a record of a log in JSON; None for any other."""
    if text[:1] != b"{":
        return None
    try:
        members: dict[str, Json] = _read_record(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    level, event = members.get("level"), members.get("event")
    if not isinstance(level, str) or level not in LEVELS or not isinstance(event, str):
        return None
    return LEVELS[level], event, {name: value for name, value in members.items() if name not in OF_EACH_LOG}


class Running:
    """A process with its pipes: `source` is its output, `sink` its input, each owned by whoever takes it."""

    def __init__(self, process: trio.Process, source: int, sink: int | None, log: WorkerLog) -> None:
        self._process = process
        self._log = log
        self.source = source
        self.sink = sink

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    async def ended(self) -> str:
        """Wait for its end; how it ended, as a clause."""
        await self._process.wait()
        return self._fate()

    async def fate(self) -> str | None:
        """How it ended; None where it still runs after a moment."""
        with trio.move_on_after(REPORT_SECONDS):
            return await self.ended()
        return None

    def _fate(self) -> str:
        code = self._process.returncode
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with status {code}"
        return f"its process {how}{self._log.last_words()}"


@asynccontextmanager
async def running(
    program: Program, *, directory: Path, log: WorkerLog, nursery: trio.Nursery, has_input: bool
) -> AsyncGenerator[Running]:
    """A process of the program, as long as the context lasts; its standard error is logged in the nursery.

    Its environment is the program's alone. Close its input before the context ends, and it has time to end by itself.
    Errors: StepFailed where it cannot be started.
    """
    command = [_executable(program, directory), *program.args]
    theirs: list[int] = []
    ours: list[int] = []

    def pipe() -> tuple[int, int]:
        source, sink = os.pipe()
        ours.append(source)
        theirs.append(sink)
        return source, sink

    source, their_output = pipe()
    errors, their_errors = pipe()
    sink = their_input = None
    if has_input:
        their_input, sink = os.pipe()
        theirs.append(their_input)
        ours.append(sink)
    try:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.DEVNULL if their_input is None else their_input,
            stdout=their_output,
            stderr=their_errors,
            cwd=directory,
            env=dict(program.env),
            process_group=0,
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        for descriptor in ours:
            os.close(descriptor)
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StepFailed(CANNOT_SPAWN, f"{program.command} cannot be started: {reason}", kind="transport") from None
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    copying = trio.CancelScope()
    nursery.start_soon(_copy, log, errors, copying)
    try:
        yield Running(process, source, sink, log)
    finally:
        with trio.CancelScope(shield=True):
            if has_input:
                with trio.move_on_after(STOP_SECONDS):
                    await process.wait()
            await _end_group(process)
        copying.cancel()


async def _copy(log: WorkerLog, descriptor: int, scope: trio.CancelScope) -> None:
    with scope:
        await log.copy(descriptor)


async def _end_group(process: trio.Process) -> None:
    """SIGTERM to the whole group, and SIGKILL to what is left of it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with trio.move_on_after(STOP_SECONDS):
            await process.wait()


def _executable(program: Program, directory: Path) -> str:
    """Where the command is: a path is in the directory; a name is looked for in its own PATH, and else in ours."""
    command = program.command
    if "/" in command:
        return str(directory / command)
    found = shutil.which(command, path=program.env.get("PATH") or os.environ.get("PATH"))
    if found is None:
        raise StepFailed(CANNOT_SPAWN, f"{command} cannot be started: there is no such program", kind="transport")
    return found
