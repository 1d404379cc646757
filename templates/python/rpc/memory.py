"""Two peers in one process, joined by frames in memory: for tests, and for embedding one side in the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from .._jsonrpc import Frame
from .dispatch import Dispatcher
from .errors import TransportError
from .peer import Peer

if TYPE_CHECKING:
    # Importing it takes as long as the rest of a small SDK.
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

FRAMES_AHEAD: Final = 16
"""Frames that one side may send before the other reads."""


class _MemoryStream:
    """One end of the pair."""

    def __init__(self, send: MemoryObjectSendStream[bytes], receive: MemoryObjectReceiveStream[bytes]) -> None:
        self._send = send
        self._receive = receive

    async def send_frame(self, frame: bytes) -> None:
        try:
            await self._send.send(frame)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise TransportError("the other side has gone") from None

    async def receive_frames(self) -> list[Frame] | None:
        try:
            return [await self._receive.receive()]
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None

    async def aclose(self) -> None:
        self._send.close()
        self._receive.close()


@asynccontextmanager
async def memory_pair(left: Dispatcher | None, right: Dispatcher | None) -> AsyncGenerator[tuple[Peer, Peer]]:
    """Two joined channels: calls on the first are served by `right`, calls on the second by `left`."""
    there, arrives = anyio.create_memory_object_stream[bytes](FRAMES_AHEAD)
    back, returns = anyio.create_memory_object_stream[bytes](FRAMES_AHEAD)
    first = Peer(_MemoryStream(there, returns), left)
    second = Peer(_MemoryStream(back, arrives), right)
    group = anyio.create_task_group()
    await group.__aenter__()
    group.start_soon(first.run)
    group.start_soon(second.run)
    try:
        yield first, second
    finally:
        group.cancel_scope.cancel()
        # Not told of an error in the caller's block, which it would wrap into a group of exceptions.
        await group.__aexit__(None, None, None)
        await first.aclose()
        await second.aclose()
