"""Bytes to and from one connection: a plain socket without streams between, or TLS.

Knows no HTTP. On plain TCP a read is one wait and one system call, a write one system call without a wait: trio's
streams add locks, checkpoints and copies that cost as much as the rest of a small request.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress
from typing import Final, Protocol

import trio

READ_BYTES: Final = 64 * 1024
"""One read takes this much at most: more would let one client hold up the others."""


class Wire(Protocol):
    """One connection. Errors of all methods: OSError, or trio's for streams that broke; see `GONE`.

    `fileno` is a descriptor that becomes readable when there is something to receive, -1 where nothing tells that.
    """

    @property
    def fileno(self) -> int:
        """The descriptor."""
        ...

    def receive_now(self, most: int, /) -> bytes:
        """What has come, empty at the end. Errors: BlockingIOError where nothing has."""
        ...

    async def receive(self) -> bytes:
        """The next bytes, empty at the end."""
        ...

    def send_now(self, data: bytes, /) -> int:
        """How many bytes went out without waiting."""
        ...

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it, waiting as long as it takes."""
        ...

    async def end(self) -> None:
        """Say that nothing follows."""
        ...

    def release(self) -> None:
        """Leave the connection to whoever reads the stream from now on."""
        ...

    def close(self, *, reset: bool) -> None:
        """Close at once; `reset` throws away what the peer has not read."""
        ...


_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
"""struct linger {1, 0}: close() sends a reset and frees the send buffer at once."""

GONE: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""The peer has gone, or the connection was closed under us."""


class PlainWire:
    """TCP. Owns the socket of a trio stream from now on."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        inner = stream.socket
        # A second socket object for the same descriptor: trio's own hides recv and send behind coroutines.
        self._sock = socket.socket(inner.family, inner.type, inner.proto, fileno=inner.fileno())
        self.fileno = inner.fileno()
        self.receive_now = self._sock.recv
        self.send_now = self._sock.send

    async def receive(self) -> bytes:
        """See Wire."""
        while True:
            await trio.lowlevel.wait_readable(self.fileno)
            try:
                return self.receive_now(READ_BYTES)
            except BlockingIOError:
                continue

    async def send(self, data: bytes | memoryview) -> None:
        """See Wire."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.fileno)

    async def end(self) -> None:
        """See Wire."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def release(self) -> None:
        """See Wire."""
        self.fileno = -1
        self._sock.detach()

    def close(self, *, reset: bool) -> None:
        """See Wire."""
        if self.fileno < 0:
            return
        self.fileno = -1
        if reset:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._sock.detach()
        self._stream.socket.close()


class TlsWire:
    """TLS after its handshake."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self.fileno = -1

    def receive_now(self, most: int, /) -> bytes:
        """See Wire; what a descriptor tells says little of what TLS holds."""
        raise BlockingIOError(errno.EAGAIN, "TLS waits")

    async def receive(self) -> bytes:
        """See Wire."""
        return bytes(await self._stream.receive_some(READ_BYTES))

    def send_now(self, data: bytes, /) -> int:
        """See Wire; TLS always goes the long way."""
        raise BlockingIOError(errno.EAGAIN, "TLS waits")

    async def send(self, data: bytes | memoryview) -> None:
        """See Wire."""
        await self._stream.send_all(data)

    async def end(self) -> None:
        """See Wire; closing says it in TLS."""

    def release(self) -> None:
        """See Wire."""

    def close(self, *, reset: bool) -> None:
        """See Wire."""
        sock = self._stream.transport_stream.socket
        if reset and sock.fileno() >= 0:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        sock.close()
