"""JSON-RPC over standard input and output: one message per line, both directions interleaved.

Knows no methods. What a child process writes to stderr is free text and passed on; restarting it is its owner's
decision, since only the owner knows which calls may run twice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import MAX_FRAME_BYTES, Frame, LineFramer
from protogen_runtime.observe import PUBLISH_SECONDS, Instruments, ObserveSettings, Traffic, observing

from .channel import Bounds, FrameStream, TransportError
from .peer import Peer, PeerChannel

CHUNK_BYTES: Final = 65_536
"""Read and written at once: what a pipe holds on Linux."""

STOP_SECONDS: Final = 2.0
"""How long a child process may take to end after its input has, and again after SIGTERM."""

REPORT_SECONDS: Final = 1.0
"""How long to wait after the end of a child's output for what it ended with."""


class _Reader(Protocol):
    async def read(self) -> bytes:
        """The next bytes, none at the end. Errors: OSError, ClosedResourceError once it was stopped."""
        ...

    def stop(self) -> bool:
        """Wake whoever reads; False where that cannot be done."""
        ...


class _Writer(Protocol):
    async def write(self, data: bytes) -> None:
        """Write all of it. Errors: OSError."""
        ...


class _PipeReader:
    """Reads a descriptor that does not block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return os.read(self._descriptor, CHUNK_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._descriptor)

    def stop(self) -> bool:
        trio.lowlevel.notify_closing(self._descriptor)
        return True


class _PipeWriter:
    """Writes a descriptor that does not block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._descriptor)


class _FileReader:
    """Reads a descriptor in a thread: files and terminals cannot be waited for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self) -> bytes:
        return await trio.to_thread.run_sync(os.read, self._descriptor, CHUNK_BYTES, abandon_on_cancel=True)

    def stop(self) -> bool:
        return False


class _FileWriter:
    """Writes a descriptor in a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes) -> None:
        await trio.to_thread.run_sync(_write_all, self._descriptor, data, abandon_on_cancel=True)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class _Lines:
    """Frames as lines."""

    def __init__(
        self, reader: _Reader, writer: _Writer, max_frame_bytes: int, *, traffic: Traffic | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._traffic = traffic or Traffic()
        self._framer = LineFramer(max_frame_bytes)
        self._ended = False

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """See FrameStream."""
        data = b"\n".join(frames) + b"\n"
        self._traffic.sent_bytes += len(data)
        try:
            await self._writer.write(data)
        except (OSError, trio.ClosedResourceError):
            raise TransportError("nobody reads our output any more") from None

    async def receive_frames(self) -> list[Frame] | None:
        """See FrameStream; blank lines are no frames, and a last line needs no line end."""
        if self._ended:
            return None
        try:
            data = await self._reader.read()
        except (OSError, trio.ClosedResourceError) as error:
            if self._is_over() or (isinstance(error, OSError) and error.errno == errno.EIO):
                data = b""  # we end it, or it is a terminal whose other end has gone
            else:
                raise TransportError("our input cannot be read") from None
        if data:
            self._traffic.received_bytes += len(data)
            return self._framer.feed(data)
        self._ended = True
        return self._framer.finish()

    def _is_over(self) -> bool:
        """Whether the input was ended, which can happen during any wait."""
        return self._ended

    def end_input(self) -> bool:
        """Read no more, as if the other side had said all; False where a thread reads, which nobody can stop."""
        self._ended = True
        return self._reader.stop()

    async def aclose(self) -> None:
        """The descriptors are their owner's."""
        await trio.lowlevel.checkpoint()


# --- the server ---------------------------------------------------------------------------------------


async def serve_stdio(
    service: Service,
    *,
    bounds: Bounds | None = None,
    source: int | None = None,
    sink: int | None = None,
    traffic: Traffic | None = None,
    until: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve our standard input until it ends, then let what runs finish; returns when the last answer is written.

    What is printed meanwhile goes to stderr, to keep the output clean. `source` and `sink` are other descriptors.
    `traffic` counts bytes. When `until` returns, it is as if the input had ended.
    """
    bounds = bounds or Bounds()
    source, sink = 0 if source is None else source, 1 if sink is None else sink
    with contextlib.redirect_stdout(sys.stderr), _unblocked(source, sink) as can_wait:
        reader: _Reader = _PipeReader(source) if can_wait[0] else _FileReader(source)
        writer: _Writer = _PipeWriter(sink) if can_wait[1] else _FileWriter(sink)
        traffic = traffic or Traffic()
        lines = _Lines(reader, writer, bounds.max_frame_bytes, traffic=traffic)
        traffic.connections += 1
        traffic.open_connections += 1
        try:
            async with trio.open_nursery() as nursery:
                if until is not None:
                    nursery.start_soon(_end_input, lines, until, nursery.cancel_scope)
                await Peer(lines, service, bounds=bounds, finish=True).run()
                nursery.cancel_scope.cancel()
        finally:
            traffic.open_connections -= 1


async def _end_input(lines: _Lines, until: Callable[[], Awaitable[None]], all_of_it: trio.CancelScope) -> None:
    await until()
    if not lines.end_input():
        all_of_it.cancel()


def run(settings: ObserveSettings, make_service: Callable[[], Service], *, bounds: Bounds | None = None) -> None:
    """Serve one client on our standard input and output until it ends, or SIGTERM or SIGINT says so; observed.

    Lines go to stderr, or to the file that the settings name. Errors: OSError where that cannot be opened.
    """
    with observing(settings, make_service()) as instruments:
        trio.run(_run, instruments, bounds)


async def _run(instruments: Instruments, bounds: Bounds | None) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_publish, instruments)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as arrived:

            async def until() -> None:
                async for _ in arrived:
                    return

            await serve_stdio(instruments.service, bounds=bounds, traffic=instruments.traffic, until=until)
        nursery.cancel_scope.cancel()


async def _publish(instruments: Instruments) -> None:
    while True:
        instruments.publish(trio.current_time())
        await trio.sleep(PUBLISH_SECONDS)


@contextlib.contextmanager
def _unblocked(*descriptors: int) -> Generator[list[bool]]:
    """Makes pipes and sockets non-blocking; whether each of the descriptors now is. As they were afterwards.

    Only these can be waited for, and only they are ours alone: the flag belongs to what is open, so that a terminal
    would stop blocking for the shell, too, and for our own stderr where that is the same pipe.
    """
    changed: list[tuple[int, int]] = []
    try:
        answers: list[bool] = []
        for descriptor in descriptors:
            can_wait = _is_pipe(descriptor) and not _is_stderr(descriptor)
            answers.append(can_wait)
            if can_wait:
                flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
                changed.append((descriptor, flags))
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        yield answers
    finally:
        for descriptor, flags in changed:
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_stderr(descriptor: int) -> bool:
    try:
        ours, stderr = os.fstat(descriptor), os.fstat(2)
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (stderr.st_dev, stderr.st_ino)


# --- the client ---------------------------------------------------------------------------------------


class _Pipes(_Lines):
    """Two pipes of ours."""

    def __init__(self, source: int, sink: int, max_frame_bytes: int) -> None:
        super().__init__(_PipeReader(source), _PipeWriter(sink), max_frame_bytes)
        self._open = {source, sink}
        self._source = source
        self._sink = sink

    async def aclose(self) -> None:
        """See FrameStream."""
        self._close(self._sink)
        self._close(self._source)
        await trio.lowlevel.checkpoint()

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            trio.lowlevel.notify_closing(descriptor)
            os.close(descriptor)


def pipe_stream(source: int, sink: int, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> FrameStream:
    """Frames as lines over two pipes or sockets, which it owns and closes; `source` is read, `sink` is written."""
    for descriptor in (source, sink):
        os.set_blocking(descriptor, False)
    return _Pipes(source, sink, max_frame_bytes)


class _Process(_Pipes):
    """A child process and the pipes to it."""

    def __init__(
        self, process: trio.Process, source: int, sink: int, max_frame_bytes: int, stop_seconds: float
    ) -> None:
        super().__init__(source, sink, max_frame_bytes)
        self._process = process
        self._stop_seconds = stop_seconds

    async def receive_frames(self) -> list[Frame] | None:
        """See FrameStream. Errors: TransportError at the end, which says how the process ended."""
        frames = await super().receive_frames()
        if frames is not None:
            return frames
        with trio.move_on_after(REPORT_SECONDS):
            await self._process.wait()
        status = self._process.returncode
        how = "closed its output" if status is None else f"ended with status {status}"
        raise TransportError(f"the server process {how}")

    async def aclose(self) -> None:
        """End its input, and the process where it does not end by itself."""
        process = self._process
        self._close(self._sink)
        with trio.CancelScope(shield=True):
            for stop in (None, process.terminate, process.kill):
                if stop is not None:
                    stop()
                with trio.move_on_after(self._stop_seconds):
                    await process.wait()
                if process.returncode is not None:
                    break
        self._close(self._source)


class StdioChannel(PeerChannel):
    """A server started as `command` and spoken to through its pipes; `callbacks` serves what it calls on us.

    `command` is the program and its arguments, never a shell line. `env` is all of its environment, None for ours.
    When the process ends, calls fail with TransportError; `returncode` then tells how.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        callbacks: Service | None = None,
        bounds: Bounds | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._stop_seconds = stop_seconds
        self._process: trio.Process | None = None
        self._limits = bounds or Bounds()
        start = partial(trio.lowlevel.open_process, list(command), stderr=None, cwd=cwd, env=env)
        self._program = command[0]
        self._start = start
        super().__init__(self._spawn, callbacks=callbacks, bounds=self._limits)

    @property
    def returncode(self) -> int | None:
        """What the process ended with (the negative signal where one killed it); None while it runs."""
        return None if self._process is None else self._process.poll()

    async def _spawn(self) -> _Process:
        their_input, sink = os.pipe()
        source, their_output = os.pipe()
        try:
            self._process = await self._start(stdin=their_input, stdout=their_output)
        except (OSError, subprocess.SubprocessError) as error:
            os.close(sink)
            os.close(source)
            reason = error.strerror if isinstance(error, OSError) else error
            raise TransportError(f"{self._program} cannot be started: {reason}") from error
        finally:
            os.close(their_input)
            os.close(their_output)
        os.set_blocking(sink, False)
        os.set_blocking(source, False)
        return _Process(self._process, source, sink, self._limits.max_frame_bytes, self._stop_seconds)
