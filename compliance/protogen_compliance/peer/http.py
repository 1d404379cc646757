"""HTTP/1.1 as a client speaks it, on a wire: requests as bytes, answers read strictly.

Answers may be read whole or piece by piece. Knows nothing of what the bodies say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from protogen_compliance.peer.wire import Address, Deadline, Garbled, Moment, Wire

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 64 * 1024 * 1024
STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) (\d{3})(?: (.*))?")


class Url(NamedTuple):
    """The parts of an http or https address that a client needs."""

    address: Address
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        return f"{host}:{self.address.port}"

    def at(self, path: str) -> str:
        """The address of another path of the same host."""
        return f"{'https' if self.address.tls else 'http'}://{self.authority}{path}"


def parse_url(text: str) -> Url:
    """The parts of `text`; raises ValueError, which says what was expected."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an address such as http://127.0.0.1:8000, got {text!r}")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(Address(parts.hostname, parts.port or (443 if tls else 80), tls), path)


class Head(NamedTuple):
    """Status line and headers of an answer; header names in lower case."""

    version: str
    status: int
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty where there is none."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()


class Exchange(NamedTuple):
    """One request and what came back: `head` is None where no answer came."""

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    sent: bytes
    head: Head | None
    body: bytes
    moments: tuple[Moment, ...]

    @property
    def started(self) -> float:
        """When the first byte was sent, on the monotonic clock."""
        return self.moments[0].at if self.moments else 0.0

    @property
    def ended(self) -> float:
        """When the last byte passed, on the monotonic clock."""
        return self.moments[-1].at if self.moments else 0.0


class Incoming:
    """An answer whose head has been read; `pieces()` yields its body once, as it arrives."""

    def __init__(self, wire: Wire, head: Head, rest: bytes, *, bodiless: bool) -> None:
        self.head = head
        self.reusable = False
        self._wire = wire
        self._rest = rest
        self._bodiless = bodiless

    def pieces(self, deadline: Deadline) -> Iterator[bytes]:
        """Yields the body; raises Garbled where it ends early or its framing is broken, and TimedOut."""
        length = self.head.get("content-length")
        if self._bodiless:
            pass
        elif "chunked" in (self.head.get("transfer-encoding") or "").lower():
            yield from self._chunks(deadline)
        elif length is not None:
            if not length.isascii() or not length.isdigit():
                raise Garbled(f"content-length is {length!r}; expected a number")
            yield from self._counted(int(length), deadline)
        else:
            yield from self._until_the_end(deadline)
            return
        self.reusable = (self.head.get("connection") or "").lower() != "close" and self.head.version == "1.1"

    def body(self, deadline: Deadline) -> bytes:
        """The whole body; raises like `pieces()`, and Garbled beyond MAX_BODY_BYTES."""
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces(deadline):
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise Garbled(f"the body has more than {MAX_BODY_BYTES} bytes")
            parts.append(piece)
        return b"".join(parts)

    def _more(self, deadline: Deadline) -> bytes:
        data = self._wire.receive(deadline)
        if not data:
            raise Garbled("the connection ended in the middle of an answer")
        return data

    def _counted(self, count: int, deadline: Deadline) -> Iterator[bytes]:
        while count:
            if not self._rest:
                self._rest = self._more(deadline)
            piece, self._rest = self._rest[:count], self._rest[count:]
            count -= len(piece)
            yield piece

    def _line(self, deadline: Deadline) -> bytes:
        while b"\r\n" not in self._rest:
            if len(self._rest) > MAX_HEAD_BYTES:
                raise Garbled("a line of the chunked framing does not end")
            self._rest += self._more(deadline)
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _chunks(self, deadline: Deadline) -> Iterator[bytes]:
        while True:
            size = self._line(deadline).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
                raise Garbled(f"chunk size is {size!r}; expected hexadecimal digits")
            if int(size, 16) == 0:
                break
            yield from self._counted(int(size, 16), deadline)
            if self._line(deadline):
                raise Garbled("a chunk is longer than its size")
        while self._line(deadline):
            pass  # trailers tell nothing here

    def _until_the_end(self, deadline: Deadline) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        while data := self._wire.receive(deadline):
            yield data


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it goes over the wire; the content length is added unless given."""
    fields = dict(headers)
    if body or method == "POST":
        fields.setdefault("content-length", str(len(body)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Connection:
    """A kept connection to one host. Not to be used by two threads at once."""

    def __init__(self, address: Address, deadline: Deadline) -> None:
        self.wire = Wire(address, deadline)
        self.fresh = True

    def ask(self, data: bytes, deadline: Deadline, *, method: str = "POST") -> Incoming:
        """Sends bytes and reads the head of the answer, interim answers left out; raises PeerFault."""
        self.wire.send(data, deadline)
        rest = b""
        while True:
            while b"\r\n\r\n" not in rest:
                if len(rest) > MAX_HEAD_BYTES:
                    raise Garbled(f"the head of the answer has more than {MAX_HEAD_BYTES} bytes")
                more = self.wire.receive(deadline)
                if not more:
                    raise Garbled(f"the connection ended without a whole answer, after {rest[:80]!r}")
                rest += more
            head_bytes, _, rest = rest.partition(b"\r\n\r\n")
            head = parse_head(head_bytes)
            if head.status >= 200:
                self.fresh = False
                bodiless = method == "HEAD" or head.status in (204, 304)
                return Incoming(self.wire, head, rest, bodiless=bodiless)


def parse_head(data: bytes) -> Head:
    """Status line and headers; raises Garbled where it is no HTTP/1 answer."""
    first, *lines = data.split(b"\r\n")
    found = STATUS_LINE.fullmatch(first)
    if found is None:
        raise Garbled(f"the answer begins with {first[:80]!r}; expected an HTTP/1.1 status line")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise Garbled(f"{line[:80]!r} is no header")
        headers.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
    return Head(found[1].decode(), int(found[2]), tuple(headers))
