"""The channels of this runtime's transports, as the plugins of Stepflow ask for them.

Knows no plugins and no workers.
"""

from __future__ import annotations

from protogen_runtime.dispatch import Channel, Service
from protogen_runtime.io.channel import Bounds, FrameStream
from protogen_runtime.io.client_http import HttpChannel
from protogen_runtime.io.peer import PeerChannel
from protogen_runtime.io.session_client import SessionChannel
from protogen_runtime.io.stdio import pipe_stream
from protogen_runtime.jsonrpc import decode
from protogen_runtime.stepflow.plugins.contract import Frames
from protogen_runtime.stepflow.plugins.lenient import read


class WorkerChannels:
    """Makes channels to workers; `bounds` are those of each. See Channels in stepflow.plugins.contract."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        # A callback may wait for a whole run: how long is for the run, and for the call that it belongs to, to say.
        self._bounds = bounds or Bounds(call_seconds=None)

    def http(self, url: str, *, callbacks: Service, lenient: bool) -> Channel:
        """See Channels."""
        return HttpChannel(url, callbacks=callbacks, bounds=self._bounds, read=read if lenient else decode)

    def session(self, url: str, *, callbacks: Service, lenient: bool) -> SessionChannel:
        """See Channels."""
        return SessionChannel(
            url, callbacks=callbacks, bounds=self._bounds, retries=0, read=read if lenient else decode
        )

    def pipes(self, source: int, sink: int) -> FrameStream:
        """See Channels."""
        return pipe_stream(source, sink, max_frame_bytes=self._bounds.max_frame_bytes)

    def framed(self, frames: Frames, *, callbacks: Service) -> Channel:
        """See Channels."""

        async def connect() -> FrameStream:
            return frames

        return PeerChannel(connect, callbacks=callbacks, bounds=self._bounds)
