"""Programs: a child process with bounds on its output and time, gone with all it started when nobody waits for it.

Knows neither tasks nor who may start what.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
import trio
from trio.abc import ReceiveStream, SendStream

_CHUNK_BYTES: Final = 64 * 1024
_PIPES_SECONDS: Final = 1.0
"""What is in the pipes of a dead process is read in far less."""


class ProgramFailed(Exception):
    """A program that could not be started, wrote too much or took too long."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended: its exit code (128 + signal where one killed it) and its output."""

    code: int
    stdout: bytes
    stderr: bytes


async def run_program(
    arguments: Sequence[str],
    *,
    stdin: bytes = b"",
    folder: str | None = None,
    environment: Sequence[str] = (),
    max_output_bytes: int,
    seconds: float,
) -> Ended:
    """Run a program to its end, without a shell; `environment` names the variables that it inherits.

    Raises ProgramFailed. Its whole process group is killed on failure and on cancellation.
    """
    variables = {name: os.environ[name] for name in environment if name in os.environ}
    stdout, stderr = bytearray(), bytearray()
    code: int | None = None
    with trio.move_on_after(seconds):
        async with started(arguments, folder=folder, variables=variables) as process, trio.open_nursery() as nursery:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            nursery.start_soon(_feed, process.stdin, stdin)
            nursery.start_soon(_collect, process.stdout, stdout, max_output_bytes, nursery.cancel_scope)
            nursery.start_soon(_collect, process.stderr, stderr, max_output_bytes, nursery.cancel_scope)
            code = await process.wait()
            # What it left behind may hold the pipes open, so the group goes first; a daemon that left the group is
            # not waited for.
            kill_group(process.pid)
            nursery.cancel_scope.deadline = trio.current_time() + _PIPES_SECONDS
    if max(len(stdout), len(stderr)) > max_output_bytes:
        raise ProgramFailed(f"it wrote more than {max_output_bytes} bytes")
    if code is None:
        raise ProgramFailed(f"it did not end within {seconds:g} s")
    return Ended(code=code if code >= 0 else 128 - code, stdout=bytes(stdout), stderr=bytes(stderr))


@asynccontextmanager
async def started(
    arguments: Sequence[str],
    *,
    folder: str | None = None,
    variables: Mapping[str, str],
    stdin: int = subprocess.PIPE,
    stdout: int = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> AsyncGenerator[trio.Process, None]:
    """Start a program in a session of its own; the whole of it is killed and reaped when the context ends.

    Raises ProgramFailed where it cannot be started.
    """
    try:
        process = await trio.lowlevel.open_process(
            list(arguments),
            cwd=folder,
            env=dict(variables),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except OSError as reason:
        raise ProgramFailed(f"it cannot be started: {(reason.strerror or 'unknown reason').lower()}") from None
    try:
        yield process
    finally:
        kill_group(process.pid)
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    await pipe.aclose()


def kill_group(pid: int) -> None:
    """Kill what is left of the process group that a program leads."""
    # EPERM is what macOS says of a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _feed(pipe: SendStream, data: bytes) -> None:
    async with pipe:
        # A program need not read what it is given.
        with suppress(trio.BrokenResourceError):
            await pipe.send_all(data)


async def _collect(pipe: ReceiveStream, into: bytearray, max_bytes: int, give_up: trio.CancelScope) -> None:
    while len(into) <= max_bytes:
        data = await pipe.receive_some(_CHUNK_BYTES)
        if not data:
            return
        into += data
    give_up.cancel()
