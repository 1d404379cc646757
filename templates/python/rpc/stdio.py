"""JSON-RPC over standard input and output: one message per line, both directions interleaved.

Knows no methods. The client starts the server as a child process; what that writes to stderr is free text.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel
from msgspec import Raw

from .._jsonrpc import Failure, Frame, LineFramer, Success, encode_line
from .channel import OnEvent
from .dispatch import Dispatcher
from .errors import TransportError
from .peer import Peer

CHUNK_BYTES: Final = 65_536
"""Read at once; a pipe holds no more on Linux."""

PIPE_BYTES: Final = 4096
"""Written at once: a pipe that is ready takes as much without blocking (PIPE_BUF on Linux)."""

STOP_SECONDS: Final = 2.0
"""How long a child process may take to end after its input has, before it is terminated."""


class _ProcessStream:
    """The pipes of a child process."""

    def __init__(self, process: anyio.abc.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process needs pipes for its input and output")
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._framer = LineFramer()
        self._ended = False

    async def send_frame(self, frame: bytes) -> None:
        try:
            await self._stdin.send(encode_line(frame))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            raise TransportError("the server process has ended") from None

    async def receive_frames(self) -> list[Frame] | None:
        if self._ended:
            return None
        try:
            return self._framer.feed(await self._stdout.receive(CHUNK_BYTES))
        except anyio.EndOfStream:
            self._ended = True
            return self._framer.finish()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            raise TransportError("the server process has ended") from None

    async def aclose(self) -> None:
        await self._stdin.aclose()


class StdioChannel:
    """A server started as `command` and spoken to through its pipes; `callbacks` serves what it calls on us.

    `command` is the program and its arguments, never a shell line. `stderr` of the child is ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        callbacks: Dispatcher | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._callbacks = callbacks
        self._cwd = cwd
        self._env = env
        self._group: anyio.abc.TaskGroup | None = None
        self._process: anyio.abc.Process | None = None
        self._peer: Peer | None = None

    async def open(self) -> None:
        """Start the server. Errors: TransportError where it cannot be started."""
        try:
            self._process = await anyio.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None,
                cwd=self._cwd,
                env=self._env,
            )
        except OSError as error:
            raise TransportError(f"{self._command[0]} cannot be started: {error.strerror}") from error
        self._peer = Peer(_ProcessStream(self._process), self._callbacks)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._peer.run)

    async def aclose(self) -> None:
        """End the server's input, and the server where it does not end by itself."""
        group, process, peer = self._group, self._process, self._peer
        if group is None or process is None or peer is None:
            return
        self._group = None
        with anyio.CancelScope(shield=True):
            await peer.aclose()
            with anyio.move_on_after(STOP_SECONDS):
                await process.wait()
            if process.returncode is None:
                process.terminate()
                with anyio.move_on_after(STOP_SECONDS):
                    await process.wait()
            if process.returncode is None:
                process.kill()
            await process.aclose()
        # Outside the shield: a task group is left in the scope in which it was entered.
        group.cancel_scope.cancel()
        await group.__aexit__(None, None, None)

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """See Channel."""
        return await self._connected().call(method, params, on_event)

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        await self._connected().notify(method, params)

    def _connected(self) -> Peer:
        if self._peer is None:
            raise RuntimeError("open the channel first: use the client as an async context manager")
        return self._peer


class _OwnStream:
    """This process's own input and output: pipes, terminals and sockets are waited for, files need no waiting."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._framer = LineFramer()
        self._ended = False

    async def send_frame(self, frame: bytes) -> None:
        view = memoryview(encode_line(frame))
        try:
            while view:
                await _ready(anyio.wait_writable, self._sink)
                view = view[os.write(self._sink, view[:PIPE_BYTES]) :]
        except OSError:
            raise TransportError("nobody reads our output") from None

    async def receive_frames(self) -> list[Frame] | None:
        if self._ended:
            return None
        try:
            await _ready(anyio.wait_readable, self._source)
            data = os.read(self._source, CHUNK_BYTES)
        except OSError:
            raise TransportError("our input cannot be read") from None
        if data:
            return self._framer.feed(data)
        self._ended = True
        return self._framer.finish()

    async def aclose(self) -> None:
        """The descriptors are the process's own and stay open."""


async def _ready(wait: Callable[[int], Awaitable[None]], descriptor: int) -> None:
    try:
        await wait(descriptor)
    except PermissionError:
        # A file: always ready, and refused by epoll.
        await anyio.lowlevel.checkpoint()


async def serve_stdio(dispatcher: Dispatcher) -> None:
    """Serve our standard input until it ends; what is printed meanwhile goes to stderr, to keep the output clean."""
    with contextlib.redirect_stdout(sys.stderr):
        await Peer(_OwnStream(0, 1), dispatcher).run()
