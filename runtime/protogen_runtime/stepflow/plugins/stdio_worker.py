"""Workers over stdio: a process, and lines of JSON both ways (spec section 6.1).

Knows no pipes; `contract.Channels` makes frames of them. What a worker prints among its messages is logged.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.dispatch.channels import MalformedAnswer, TransportError
from protogen_runtime.jsonrpc import BadRequest, Frame, FrameTooLong, decode

from .config import Program
from .contract import Channels, Frames
from .lenient import with_version
from .links import Connect, Link
from .processes import Running, WorkerLog, running

MAX_RUBBISH_BYTES: Final = 1024 * 1024
"""Between two messages. A worker that prints more than that among its messages does not speak the protocol, and
something has to end it: it would keep us busy for ever."""


def connect_stdio(program: Program, channels: Channels, *, directory: Path, name: str, lenient: bool) -> Connect:
    """How a worker that is started and spoken to through its pipes is connected to."""

    @asynccontextmanager
    async def connect(callbacks: Service, nursery: trio.Nursery) -> AsyncGenerator[Link]:
        log = WorkerLog(name)
        async with running(program, directory=directory, log=log, nursery=nursery, has_input=True) as process:
            assert process.sink is not None
            frames = _Messages(channels.pipes(process.source, process.sink), process, log, lenient=lenient)
            channel = channels.framed(frames, callbacks=callbacks)
            await channel.open()
            try:
                yield Link(channel, frames.lost, frames.fate, frames.is_lost, frames.is_to_blame, has_process=True)
            finally:
                await channel.aclose()

    return connect


class _Messages:
    """Frames of a worker without what is none; they end when the worker does."""

    def __init__(self, frames: Frames, process: Running, log: WorkerLog, *, lenient: bool) -> None:
        self._frames = frames
        self._process = process
        self._log = log
        self._lenient = lenient
        self._rubbish_bytes = 0
        self._ended = trio.Event()
        self._fault: TransportError | None = None

    async def lost(self) -> str:
        """Wait for the end; why, as a clause."""
        await self._ended.wait()
        return str(self._fault or "it was closed")

    def is_lost(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def is_to_blame(self) -> bool:
        """Whether what the worker wrote was the end."""
        return isinstance(self._fault, MalformedAnswer)

    async def fate(self) -> str | None:
        """Nothing beyond what calls are told: their errors say how the stream of frames ended."""
        await trio.lowlevel.checkpoint()
        return None

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """See Frames."""
        try:
            await self._frames.send_frames(frames)
        except TransportError:
            # It has closed its input: most likely it has ended, and how it did tells more.
            fate = await self._process.fate()
            raise self._over(TransportError(fate or "it has closed its input")) from None

    async def receive_frames(self) -> list[Frame] | None:
        """See Frames; the end is an error, which says why."""
        try:
            received = await self._frames.receive_frames()
        except TransportError as fault:
            raise self._over(fault) from None
        if received is None:
            fate = await self._process.fate()
            raise self._over(TransportError(fate or f"it has closed its output{self._log.last_words()}"))
        return [frame for frame in received if self._is_message(frame)] if not self._lenient else self._read(received)

    async def aclose(self) -> None:
        """See Frames."""
        await self._frames.aclose()
        self._ended.set()

    def _read(self, received: Sequence[Frame]) -> list[Frame]:
        whole = [frame if isinstance(frame, FrameTooLong) else with_version(frame) for frame in received]
        return [frame for frame in whole if self._is_message(frame)]

    def _is_message(self, frame: Frame) -> bool:
        if isinstance(frame, FrameTooLong):
            # It may have been the answer to any call, which would wait for it in vain.
            raise self._over(MalformedAnswer(f"it wrote a line of more than {frame.limit} bytes"))
        message = decode(frame)
        if not (isinstance(message, BadRequest) and message.id is None):
            self._rubbish_bytes = 0
            return True
        self._log.line(frame, level=logging.WARNING)
        self._rubbish_bytes += len(frame)
        if self._rubbish_bytes > MAX_RUBBISH_BYTES:
            told = f"it wrote more than {MAX_RUBBISH_BYTES} bytes that are no messages{self._log.last_words()}"
            raise self._over(MalformedAnswer(told))
        return False

    def _over(self, fault: TransportError) -> TransportError:
        if not self._ended.is_set():
            self._fault = fault
            self._ended.set()
        return fault
