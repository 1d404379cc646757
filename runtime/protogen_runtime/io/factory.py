"""Makes the channels of this runtime's transports, for packages that may not know any of them.

Knows no methods. What needs channels declares the functions that it wants, and is given a factory by the wiring.
"""

from __future__ import annotations

from collections.abc import Callable

from protogen_runtime.dispatch import Channel, Service
from protogen_runtime.jsonrpc import Message

from .channel import Bounds, FrameStream
from .client_http import HttpChannel
from .peer import PeerChannel
from .session_client import SessionChannel
from .stdio import pipe_stream


class ChannelFactory:
    """Makes channels that are not open yet; `bounds` are those of each.

    `callbacks` serves what the other side calls on us, `read` is how its messages are read.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        # A callback may wait for what takes hours: how long is for the call that it belongs to to say.
        self._bounds = bounds or Bounds(call_seconds=None)

    def http(self, url: str, *, callbacks: Service, read: Callable[[bytes], Message]) -> HttpChannel:
        """To a server at a URL."""
        return HttpChannel(url, callbacks=callbacks, bounds=self._bounds, read=read)

    def session(self, url: str, *, callbacks: Service, read: Callable[[bytes], Message]) -> SessionChannel:
        """To a server whose stream of events is at a URL; it connects once, and ends with the stream."""
        return SessionChannel(url, callbacks=callbacks, bounds=self._bounds, retries=0, read=read)

    def pipes(self, source: int, sink: int) -> FrameStream:
        """Lines over two descriptors, which it owns and closes."""
        return pipe_stream(source, sink, max_frame_bytes=self._bounds.max_frame_bytes)

    def framed(self, frames: FrameStream, *, callbacks: Service) -> Channel:
        """Over frames, which it closes in the end."""

        async def connect() -> FrameStream:
            return frames

        return PeerChannel(connect, callbacks=callbacks, bounds=self._bounds)
