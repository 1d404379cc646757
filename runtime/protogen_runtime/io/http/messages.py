"""HTTP requests and replies as data, and replies as the bytes of HTTP/1.1.

Knows neither sockets nor JSON-RPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Final

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]

JSON_TYPE: Final = b"application/json"
STREAM_TYPE: Final = b"text/event-stream"


class Reply(msgspec.Struct, frozen=True):
    """A whole answer; `close` ends the connection after it."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    close: bool = False


ACCEPTED: Final = Reply(202)
"""The answer to what is not answered: notifications, and answers to calls of ours."""


class Request(msgspec.Struct, eq=False):
    """One request with its whole body; `headers` by lower-case name, the values of repeated ones joined by commas.

    `request_id` is the id it is known by, empty where requests have none; `headers` need not hold it. Whoever admits a
    request may set `max_body_bytes` (None: the server's limit), and `sink`, a file that its body goes to in place of
    `body`, so that memory holds a piece of it.
    """

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    version: str = "1.1"
    client: tuple[str, int] | None = None
    is_secure: bool = False
    body: bytes | bytearray = b""
    keep_alive: bool = True
    identity: str | None = None
    refused: Reply | None = None
    request_id: bytes = b""
    max_body_bytes: int | None = None
    sink: IO[bytes] | None = None
    _as_text: Mapping[str, str] | None = None

    def again(self, body: bytes) -> Request:
        """The same request with another body; the headers are shared, and nobody changes them."""
        return Request(self.method, self.target, self.headers, self.version, self.client, self.is_secure, body)

    def text_headers(self) -> Mapping[str, str]:
        """The headers as text, as they are when they are first asked for."""
        if self._as_text is not None:
            return self._as_text
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()}
        if self.request_id:
            headers["x-request-id"] = self.request_id.decode("latin-1")
        self._as_text = headers
        return headers


def refusal(status: int, reason: str, *headers: tuple[bytes, bytes], close: bool = False) -> Reply:
    """An answer for people: one line of text."""
    return Reply(status, reason.encode() + b"\n", ((b"content-type", b"text/plain; charset=utf-8"), *headers), close)


_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def encode_head(status: int, headers: Headers, date: bytes) -> bytes:
    """Status line and headers with the empty line after them; `date` is a whole header line."""
    lines = [status_line(status), date]
    lines += [b"%b: %b\r\n" % header for header in headers]
    lines.append(b"\r\n")
    return b"".join(lines)


def encode_reply(reply: Reply, date: bytes, *, close: bool, head_only: bool = False) -> bytes:
    """A whole answer as HTTP/1.1; `head_only` for HEAD."""
    headers = reply.headers
    if reply.status not in (204, 304):
        headers = (*headers, (b"content-length", b"%d" % len(reply.body)))
    if close:
        headers = (*headers, (b"connection", b"close"))
    return encode_head(reply.status, headers, date) + (b"" if head_only else reply.body)
