"""Wires: one TCP connection whose every byte is kept, in both directions, with its time.

Knows nothing of HTTP.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import NamedTuple

CHUNK = 65_536
"""Bytes asked of the system at once; large enough that no usual answer needs a second call."""


class PeerFault(Exception):
    """What went wrong on a wire; only its subclasses are raised."""


class Unreachable(PeerFault):
    """No connection came about: refused, no such host, or a failed TLS handshake."""


class TimedOut(PeerFault):
    """The deadline passed while the other side still owed something."""


class Garbled(PeerFault):
    """The other side closed too early, or sent what the protocol of the wire does not allow."""


class Deadline:
    """A point in time up to which a whole exchange may last, however slowly its bytes drip."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self, doing: str) -> float:
        """Seconds left, always positive; raises TimedOut, which says what was being done."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimedOut(f"nothing more came within {self.seconds:g} s while {doing}")
        return left


class Moment(NamedTuple):
    """Bytes that passed at one time: `at` in seconds of the monotonic clock, `sent` by us or received."""

    at: float
    sent: bool
    data: bytes


class Address(NamedTuple):
    """Where to connect."""

    host: str
    port: int
    tls: bool = False


class Wire:
    """One connection. `log` holds every byte that passed. Not to be used by two threads at once."""

    def __init__(self, address: Address, deadline: Deadline) -> None:
        self.log: list[Moment] = []
        where = f"{address.host}:{address.port}"
        try:
            self._socket = socket.create_connection(
                (address.host, address.port), timeout=deadline.left(f"connecting to {where}")
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.tls:
                context = ssl.create_default_context()
                self._socket = context.wrap_socket(self._socket, server_hostname=address.host)
        except TimeoutError:
            raise Unreachable(f"{where} did not accept a connection within {deadline.seconds:g} s") from None
        except OSError as reason:
            raise Unreachable(f"no connection to {where}: {reason}") from None

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Sends all of `data`; raises TimedOut or Garbled."""
        try:
            self._socket.settimeout(deadline.left("sending"))
            self._socket.sendall(data)
        except TimeoutError:
            raise TimedOut(f"the other side did not take {len(data)} bytes within {deadline.seconds:g} s") from None
        except OSError as reason:
            raise Garbled(f"the connection broke while sending: {reason}") from None
        self.log.append(Moment(time.monotonic(), True, data))

    def receive(self, deadline: Deadline) -> bytes:
        """The next bytes, empty at the end of the connection; raises TimedOut or Garbled."""
        try:
            self._socket.settimeout(deadline.left("waiting for an answer"))
            data = self._socket.recv(CHUNK)
        except TimeoutError:
            raise TimedOut(f"no answer within {deadline.seconds:g} s") from None
        except OSError as reason:
            raise Garbled(f"the connection broke: {reason}") from None
        self.log.append(Moment(time.monotonic(), False, data))
        return data

    def fileno(self) -> int:
        """The descriptor, to wait for bytes without taking them."""
        return self._socket.fileno()

    def close(self) -> None:
        """Closes the connection, also under a thread that waits for its bytes; the log stays."""
        with contextlib.suppress(OSError):  # the other side may have closed it before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
