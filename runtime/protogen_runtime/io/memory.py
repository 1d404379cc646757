"""Two peers in one process, joined by frames in memory: for tests (under MockClock too), and for embedding a server.

Knows no bytes on a wire: frames arrive as they were sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import Frame, FrameTooLong

from .channel import Bounds, TransportError
from .peer import Peer

FRAMES_AHEAD: Final = 64
"""Frames that one side may send before the other reads; about what a pipe holds of small ones."""


class _Lane:
    """One direction."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.closed = False
        self.moved = trio.lowlevel.ParkingLot()

    def close(self) -> None:
        """Nothing is sent any more; what was sent can still be read."""
        self.closed = True
        self.moved.unpark_all()


class MemoryStream:
    """One end of a pair of streams of frames; made by `memory_streams`."""

    def __init__(self, out: _Lane, into: _Lane, max_frame_bytes: int) -> None:
        self._out = out
        self._into = into
        self._max_frame_bytes = max_frame_bytes

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """See FrameStream."""
        lane = self._out
        await trio.lowlevel.checkpoint()
        for frame in frames:
            while len(lane.frames) >= FRAMES_AHEAD and not lane.closed:
                await lane.moved.park()
            if lane.closed:
                raise TransportError("the other side has gone")
            lane.frames.append(frame)
            lane.moved.unpark_all()

    async def receive_frames(self) -> list[Frame] | None:
        """See FrameStream."""
        lane = self._into
        await trio.lowlevel.checkpoint()
        while not lane.frames:
            if lane.closed:
                return None
            await lane.moved.park()
        limit = self._max_frame_bytes
        taken: list[Frame] = [frame if len(frame) <= limit else FrameTooLong(limit) for frame in lane.frames]
        lane.frames.clear()
        lane.moved.unpark_all()
        return taken

    async def aclose(self) -> None:
        """See FrameStream."""
        self._out.close()
        self._into.close()
        await trio.lowlevel.checkpoint()


def memory_streams(bounds: Bounds | None = None) -> tuple[MemoryStream, MemoryStream]:
    """Two joined streams of frames: what one sends, the other receives."""
    limit = (bounds or Bounds()).max_frame_bytes
    there, back = _Lane(), _Lane()
    return MemoryStream(there, back, limit), MemoryStream(back, there, limit)


@asynccontextmanager
async def memory_pair(
    left: Service | None, right: Service | None, *, bounds: Bounds | None = None
) -> AsyncGenerator[tuple[Peer, Peer]]:
    """Two joined peers: calls on the first are served by `right`, calls on the second by `left`."""
    one, other = memory_streams(bounds)
    first, second = Peer(one, left, bounds=bounds), Peer(other, right, bounds=bounds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.run)
        nursery.start_soon(second.run)
        try:
            yield first, second
        finally:
            nursery.cancel_scope.cancel()
