"""Connections that stay hypercorn's (HTTP/2, WebSocket), with our bounds around their bytes.

Knows how a stream is read and written and what HTTP/2 frames are called; what they mean is hypercorn's business.
"""

from __future__ import annotations

from math import inf
from typing import Any, Final

import trio

from protogen_runtime.observe import Traffic

from .deadlines import Deadlines
from .limits import SEND_PIECE_BYTES, Limits

WINDOW_SECONDS: Final = 10.0
"""Over how long resets and control frames are counted."""

_PREFACE_BYTES: Final = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_FRAME_HEAD_BYTES: Final = 9
_DATA, _END_STREAM = 0, 1
_PRIORITY, _RST_STREAM, _SETTINGS, _PING, _CONTINUATION = 2, 3, 4, 6, 9
_COUNTED: Final = frozenset((_PRIORITY, _RST_STREAM, _SETTINGS, _PING, _CONTINUATION))


class FrameMeter:
    """Counts the frames of an HTTP/2 connection that cost its client nothing and a server work."""

    __slots__ = ("_head", "_skip", "count", "since")

    def __init__(self) -> None:
        self._skip = _PREFACE_BYTES
        self._head = b""
        self.count = 0
        self.since = 0.0

    def feed(self, data: bytes, now: float) -> int:
        """Take bytes as they come; returns how many such frames came in this window."""
        if now - self.since > WINDOW_SECONDS:
            self.since, self.count = now, 0
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            missing = _FRAME_HEAD_BYTES - len(self._head)
            self._head += data[position : position + missing]
            position += missing
            if len(self._head) == _FRAME_HEAD_BYTES:
                self._begin_frame()
        return self.count

    def _begin_frame(self) -> None:
        head, self._head = self._head, b""
        self._skip = int.from_bytes(head[:3], "big")
        kind, flags = head[3], head[4]
        if kind in _COUNTED or (kind == _DATA and not self._skip and not flags & _END_STREAM):
            self.count += 1


class HandedOver:
    """The stream that hypercorn gets: first what was read already, then the connection, each under our bounds.

    `head` is that of a WebSocket handshake, `rest` what followed it.

    A write that the peer does not take in time resets the connection, and so do too many resets on HTTP/2; a WebSocket
    whose client does not even answer pings is idle. `deadline` is for the sweeper; hypercorn runs inside `scope`.
    """

    def __init__(
        self,
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
        head: bytes = b"",
        rest: bytes = b"",
        *,
        limits: Limits,
        deadlines: Deadlines,
        traffic: Traffic,
        is_http2: bool,
    ) -> None:
        self._stream = stream
        self._head = head
        self._rest = rest
        self._answered = trio.Event()
        if not head:
            self._answered.set()
        self._limits = limits
        self._deadlines = deadlines
        self._traffic = traffic
        self._meter = FrameMeter() if is_http2 else None
        self._heard = deadlines.now
        self._has_ended = False
        self.scope = trio.CancelScope()
        self._sending = 0
        self.deadline: float = inf if is_http2 else deadlines.after(limits.idle_seconds)

    def __getattr__(self, name: str) -> Any:
        # Plain streams have no do_handshake, and hypercorn asks; so everything else is the stream's own.
        return getattr(self._stream, name)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The bytes held back, then the stream's. Errors: those of trio's streams."""
        if self._head:
            await trio.lowlevel.checkpoint()
            head, self._head = self._head, b""
            return head
        # Nothing after the head of a handshake before its answer: hypercorn 0.18 would take it for a bad request.
        await self._answered.wait()
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._end()
            raise
        if not data:
            self._end()
        self._traffic.received_bytes += len(data)
        self._heard = self._deadlines.now
        if self._meter is not None and self._meter.feed(data, self._heard) > self._limits.max_resets:
            self.abort()
            raise trio.BrokenResourceError("too many resets and control frames")
        return data

    async def send_all(self, data: bytes) -> None:
        """Send in the time that the size allows. Errors: those of trio's streams."""
        seconds, before = self._limits.send_piece_seconds, self.deadline
        self._traffic.sent_bytes += len(data)
        self._sending += 1
        rest = memoryview(data)
        try:
            for start in range(0, len(rest), SEND_PIECE_BYTES):
                self.deadline = self._deadlines.after(seconds)
                await self._stream.send_all(rest[start : start + SEND_PIECE_BYTES])
            self._answered.set()
        finally:
            self._sending -= 1
            if not self._has_ended:
                self.deadline = before

    def _end(self) -> None:
        """The client has gone: hypercorn has one tick to tell its applications, then it is not waited for.

        By itself it stays for the rest of its idle time.
        """
        self._has_ended = True
        self.deadline = self._deadlines.now

    def expire(self, now: float) -> None:
        """Called by the sweeper when `deadline` has passed."""
        if self._has_ended:
            self.deadline = inf
            self.scope.cancel()
            return
        quiet_until = self._heard + self._limits.idle_seconds
        if self._sending or quiet_until <= now:
            self.deadline = inf
            self.abort()
        else:
            self.deadline = quiet_until

    def abort(self) -> None:
        """Close the socket under whoever waits on it, and end what hypercorn does for it."""
        self.scope.cancel()
        stream = self._stream
        transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        transport.socket.close()
