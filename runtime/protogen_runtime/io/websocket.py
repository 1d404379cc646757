"""JSON-RPC over WebSocket as an ASGI application: one message per WebSocket message, in both directions.

Knows no sockets: the server below gives whole WebSocket messages, and checks who may connect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import Frame, FrameTooLong

from .asgi import Receive, Scope, Send, identity_of, text_headers
from .channel import Bounds, TransportError
from .peer import Peer

NORMAL, GOING_AWAY = 1000, 1001

SERVER_BOUNDS: Final = Bounds(max_in_flight=128, max_unread_bytes=512 * 1024, idle_seconds=600.0)
"""Tighter than for a process of our own: a connection is one of many, and a stranger's.

128 calls at once is what one HTTP/2 connection may have; with 512 KiB unread and what is being written, a
client that stops reading costs less than 1 MiB; a connection without any call for ten minutes was forgotten.
"""


class _AsgiStream:
    """The messages of one accepted connection."""

    def __init__(self, receive: Receive, send: Send, max_frame_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._max_frame_bytes = max_frame_bytes
        self._gone = False

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """See FrameStream."""
        for frame in frames:
            if self._gone:
                raise TransportError("the client has gone")
            await self._send({"type": "websocket.send", "text": frame.decode()})

    async def receive_frames(self) -> list[Frame] | None:
        """See FrameStream; text and binary messages mean the same."""
        await trio.lowlevel.checkpoint_if_cancelled()
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._gone = True
            return None
        text = event.get("text")
        frame: bytes = event["bytes"] if text is None else text.encode("utf-8", "surrogatepass")
        limit = self._max_frame_bytes
        return [frame if len(frame) <= limit else FrameTooLong(limit)]

    async def aclose(self) -> None:
        """See FrameStream."""
        if not self._gone:
            self._gone = True
            await self._send({"type": "websocket.close", "code": NORMAL})


class WebSocketApp:
    """Serves a service to every WebSocket that connects. Mount it where connections have been admitted.

    `scope["state"]["identity"]` is the user that handlers are told of. At most `max_connections` are open at once: one
    more is refused.
    """

    def __init__(self, service: Service, *, bounds: Bounds = SERVER_BOUNDS, max_connections: int = 1024) -> None:
        self.service = service
        self.bounds = bounds
        self.max_connections = max_connections
        self.connections: set[Peer] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point for scopes of the type "websocket"."""
        if scope["type"] != "websocket":
            raise ValueError(f"expected a scope of type websocket, got {scope['type']!r}")
        await receive()
        if len(self.connections) >= self.max_connections:
            await send({"type": "websocket.close", "code": GOING_AWAY})
            return
        await send({"type": "websocket.accept"})
        stream = _AsgiStream(receive, send, self.bounds.max_frame_bytes)
        peer = Peer(stream, self.service, bounds=self.bounds, headers=text_headers(scope), identity=identity_of(scope))
        self.connections.add(peer)
        try:
            await peer.run()
            with trio.move_on_after(self.bounds.close_seconds):
                await stream.aclose()
        finally:
            self.connections.discard(peer)

    async def aclose(self) -> None:
        """End every connection: what waits to be sent leaves first."""
        async with trio.open_nursery() as nursery:
            for peer in tuple(self.connections):
                nursery.start_soon(peer.aclose)
