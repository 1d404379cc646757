"""A peer whose other side is the test: frames are written by hand and read as JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.io.channel import Bounds, TransportError
from protogen_runtime.io.memory import MemoryStream, memory_streams
from protogen_runtime.io.peer import Peer
from protogen_runtime.jsonrpc import FrameTooLong


class Wire:
    """The other end of a peer's stream."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self._read: list[bytes] = []

    async def send(self, *frames: bytes | dict[str, Any] | list[Any]) -> None:
        """Frames as bytes, or messages without their version."""
        await self.stream.send_frames([frame if isinstance(frame, bytes) else text_of(frame) for frame in frames])

    async def flood(self, frame: dict[str, Any], check: Callable[[], bool]) -> int:
        """Send a frame until the connection ends, and read nothing; how often it was taken."""
        sent = 0
        try:
            while check():
                await self.send(frame)
                sent += 1
        except TransportError:
            return sent
        raise AssertionError(f"the check failed after {sent} frames")

    async def receive(self) -> Any:
        """The next frame as JSON; None at the end."""
        while not self._read:
            frames = await self.stream.receive_frames()
            if frames is None:
                return None
            self._read += [frame for frame in frames if not isinstance(frame, FrameTooLong)]
        return msgspec.json.decode(self._read.pop(0))

    async def silent(self) -> bool:
        """Whether nothing comes, however long one waits (with a clock that jumps)."""
        with trio.move_on_after(5):
            return await self.receive() is None
        return True


def text_of(message: dict[str, Any] | list[Any]) -> bytes:
    """A message, or a batch of them, as JSON."""
    if isinstance(message, list):
        return msgspec.json.encode([{"jsonrpc": "2.0", **member} for member in message])
    return msgspec.json.encode({"jsonrpc": "2.0", **message})


async def _run(peer: Peer, stream: MemoryStream) -> None:
    await peer.run()
    await stream.aclose()


@asynccontextmanager
async def wired(
    service: Service | None = None, *, bounds: Bounds | None = None, finish: bool = False
) -> AsyncGenerator[tuple[Peer, Wire]]:
    """A peer that runs, and the wire to it."""
    ours, theirs = memory_streams(bounds)
    peer = Peer(ours, service, bounds=bounds, finish=finish)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run, peer, ours)
        yield peer, Wire(theirs)
        nursery.cancel_scope.cancel()


def error(code: int, message: str, request_id: Any = None) -> dict[str, Any]:
    """An answer with an error, as it is read."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def result(value: Any, request_id: Any) -> dict[str, Any]:
    """An answer with a result, as it is read."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}
