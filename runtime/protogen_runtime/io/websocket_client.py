"""JSON-RPC over WebSocket as a client: one text message per message, over a socket of trio's and wsproto.

Knows no methods. Pings keep the connection open and find out when the other side has gone.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import trio
import wsproto
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import Frame, FrameTooLong

from .channel import Bounds, TransportError
from .outgoing import request_headers
from .peer import PeerChannel
from .tls import why_refused

CHUNK_BYTES: Final = 65_536

CONNECT_SECONDS: Final = 10.0
"""How long connecting, TLS and the handshake may take together; as for HTTP."""

PING_SECONDS: Final = 20.0
"""Below the time after which proxies give a quiet connection up (30 to 60 s)."""


class _Socket:
    """The messages of one connection; pings of its own while it is read."""

    def __init__(self, stream: trio.abc.Stream, max_frame_bytes: int, ping_seconds: float) -> None:
        self._stream = stream
        self._protocol = wsproto.WSConnection(ConnectionType.CLIENT)
        self._limit = max_frame_bytes
        self._ping_seconds = ping_seconds
        self._sending = trio.Lock()
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False

    async def shake_hands(self, host: str, target: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Open the WebSocket. Errors: TransportError where the server refuses."""
        await self._send(self._protocol.send(Request(host=host, target=target, extra_headers=list(headers))))
        while True:
            await self._feed()
            for event in self._protocol.events():
                match event:
                    case AcceptConnection():
                        return
                    case RejectConnection(status_code=status):
                        raise TransportError(f"the server refused the WebSocket with {status}", status=status)
                    case _:
                        continue

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """See FrameStream."""
        try:
            data = b"".join([self._protocol.send(TextMessage(frame.decode())) for frame in frames])
        except LocalProtocolError:
            raise TransportError("the WebSocket is closed") from None
        await self._send(data)

    async def receive_frames(self) -> list[Frame] | None:
        """See FrameStream; text and binary messages mean the same."""
        frames: list[Frame] = []
        await trio.lowlevel.checkpoint()
        while True:
            # Before reading: the handshake may have brought the first messages with it.
            for event in self._protocol.events():
                await self._take(event, frames)
            if frames:
                return frames
            if self._ended:
                return None
            await self._feed_or_ping()

    async def aclose(self) -> None:
        """See FrameStream."""
        with trio.move_on_after(1.0), suppress(TransportError, LocalProtocolError):
            if self._protocol.state is ConnectionState.OPEN:
                await self._send(self._protocol.send(CloseConnection(code=1000)))
        await trio.aclose_forcefully(self._stream)

    async def _take(self, event: Event, frames: list[Frame]) -> None:
        match event:
            case TextMessage(data=text):
                self._add(text.encode("utf-8", "surrogatepass"), event.message_finished, frames)
            case BytesMessage(data=data):
                self._add(bytes(data), event.message_finished, frames)
            case Ping():
                if self._protocol.state is not ConnectionState.OPEN:
                    return  # we have said that we close, and nothing may follow that (RFC 6455, section 5.5.1)
                await self._send(self._protocol.send(event.response()))
            case CloseConnection():
                self._ended = True
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    with suppress(TransportError):
                        await self._send(self._protocol.send(event.response()))
            case _:
                return

    def _add(self, piece: bytes, finished: bool, frames: list[Frame]) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._pieces.append(piece)
        else:
            self._pieces.clear()
        if finished:
            frames.append(b"".join(self._pieces) if self._size <= self._limit else FrameTooLong(self._limit))
            self._pieces.clear()
            self._size = 0

    async def _feed_or_ping(self) -> None:
        """Read once; a server that answers a ping with silence has gone."""
        for is_last in (False, True):
            with trio.move_on_after(self._ping_seconds) as scope:
                await self._feed()
            if not scope.cancelled_caught:
                return
            if not is_last and self._protocol.state is ConnectionState.OPEN:
                await self._send(self._protocol.send(Ping()))
        raise TransportError(f"the server did not answer a ping within {self._ping_seconds:g} s")

    async def _feed(self) -> None:
        try:
            data = await self._stream.receive_some(CHUNK_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise TransportError("the connection to the server was lost") from None
        try:
            self._protocol.receive_data(bytes(data) or None)
        except (RemoteProtocolError, LocalProtocolError):
            raise TransportError("the server does not speak WebSocket") from None
        if not data:
            self._ended = True

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise TransportError("the connection to the server was lost") from None


class WebSocketChannel(PeerChannel):
    """A server at a ws:// or wss:// URL; `callbacks` serves what it calls on us.

    `headers` go with the handshake; `tls` replaces the default context, which trusts what the system trusts.
    """

    def __init__(
        self,
        url: str,
        *,
        callbacks: Service | None = None,
        bounds: Bounds | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"expected a ws:// or wss:// URL, got {url!r}")
        self._host: str = parts.hostname
        self._secure = parts.scheme == "wss"
        self._port = parts.port or (443 if self._secure else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._tls = tls
        self._ping_seconds = ping_seconds
        self._limits = bounds or Bounds()
        super().__init__(self._connect_socket, callbacks=callbacks, bounds=self._limits)

    async def _connect_socket(self) -> _Socket:
        with trio.move_on_after(CONNECT_SECONDS):
            stream = await self._open_stream()
            socket = _Socket(stream, self._limits.max_frame_bytes, self._ping_seconds)
            try:
                # Of whoever opens the connection: its calls have no headers of their own.
                sent = request_headers(self._headers).items()
                encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent]
                await socket.shake_hands(self._authority, self._target, encoded)
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            return socket
        raise TransportError(f"{self._authority} did not answer within {CONNECT_SECONDS:g} s")

    async def _open_stream(self) -> trio.abc.Stream:
        try:
            stream: trio.abc.Stream = await trio.open_tcp_stream(self._host, self._port)
        except OSError as error:
            raise TransportError(f"{self._authority}: {error}") from error
        if not self._secure:
            return stream
        context = self._tls or ssl.create_default_context()
        secure = trio.SSLStream(stream, context, server_hostname=self._host, https_compatible=True)
        try:
            await secure.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(stream)
            if not isinstance(error, trio.BrokenResourceError | ssl.SSLError):
                raise
            reason = why_refused(error) or "the server ended the handshake of TLS"
            raise TransportError(f"{self._authority}: {reason}") from error
        return secure
