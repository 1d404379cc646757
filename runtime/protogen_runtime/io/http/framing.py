"""HTTP/1.1 requests out of bytes: httptools, and the bounds and rules that it does not have.

Knows no sockets, no clock and no JSON-RPC. Its parser is strict: both lengths at once, folded headers, bare line feeds
and whatever else two parsers might read differently are errors, so that nobody smuggles a request past a proxy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import IO, Final, Literal

import httptools

from .limits import Limits
from .messages import Reply, Request, refusal

Phase = Literal["idle", "head", "body"]

Admit = Callable[[Request], Reply | None]
"""Decides on a head; a refusal ends the reading."""

_BODY_OVERHEAD: Final = 8
"""Bytes on the wire for each byte of a chunked body, at most: one-byte chunks take six."""


class _Stop(Exception):
    """Leaves the parser at a refusal."""


class Upgrade:
    """The client asks for another protocol; `rest` is what came after its head."""

    __slots__ = ("request", "rest")

    def __init__(self, request: Request, rest: bytes) -> None:
        self.request = request
        self.rest = rest

    @property
    def is_websocket(self) -> bool:
        """Whether it asks for the one protocol that is served beside HTTP."""
        request = self.request
        return request.method == b"GET" and request.headers.get(b"upgrade", b"").lower() == b"websocket"

    def head(self, *, with_upgrade: bool = False) -> bytes:
        """The request's head once more, by default as if it asked for nothing."""
        request = self.request
        lines = [b"%b %b HTTP/1.1\r\n" % (request.method, request.target)]
        # No extension of WebSocket: the only one is compression, by which a small message can be a huge one.
        hop = (b"sec-websocket-extensions",) if with_upgrade else (b"upgrade", b"connection", b"http2-settings")
        lines += [b"%b: %b\r\n" % header for header in request.headers.items() if header[0] not in hop]
        return b"".join([*lines, b"\r\n"])


class RequestParser:
    """The requests of one connection. After a refusal or an upgrade it takes nothing more.

    `requests` are those that are whole and not taken yet; `mark` changes whenever a head or a body begins.
    """

    __slots__ = (
        "_admit",
        "_began",
        "_body",
        "_body_bytes",
        "_client",
        "_fed",
        "_head_bytes",
        "_headers",
        "_is_secure",
        "_limits",
        "_parser",
        "_request",
        "_target",
        "mark",
        "phase",
        "refused",
        "requests",
        "wants_continue",
    )

    def __init__(self, limits: Limits, admit: Admit, *, client: tuple[str, int] | None, is_secure: bool) -> None:
        self._limits = limits
        self._admit = admit
        self._client = client
        self._is_secure = is_secure
        self._parser = httptools.HttpRequestParser(self)
        self.requests: deque[Request] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._head_bytes = 0
        self._fed = 0
        self._began = False
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._request: Request | None = None
        self.phase: Phase = "idle"
        self.mark = 0
        self.refused: Reply | None = None
        self.wants_continue = False

    @property
    def fed_bytes(self) -> int:
        """Bytes of the current request so far, on the wire."""
        return self._fed

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing of a request has come, and none was refused."""
        return self.phase == "idle" and self.refused is None

    @property
    def current(self) -> Request:
        """The request that is being read, with the headers that have come: what a refusal of it has to go by."""
        headers = {} if self.phase == "idle" else self._headers
        return self._request or Request(b"", b"", headers, client=self._client, is_secure=self._is_secure)

    def only_request(self) -> Request | None:
        """The request that the last bytes were, from the first to the last; None where they were anything else."""
        if len(self.requests) == 1 and self._began and self.phase == "idle" and self.refused is None:
            return self.requests[0]
        return None

    def anew(self) -> RequestParser:
        """A parser for the same connection that has seen nothing yet."""
        return RequestParser(self._limits, self._admit, client=self._client, is_secure=self._is_secure)

    def feed(self, data: bytes) -> Upgrade | None:
        """Take bytes; then look at `next_request`, `phase` and `refused`."""
        self._began = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return Upgrade(self.requests.pop(), data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self.refused is None:
                self.refused = _bad_request(error)
            return None
        # Where it began with these bytes, they count as nothing: a read is bounded.
        if self.phase != "idle" and not self._began:
            self._fed += len(data)
            self._check_progress()
        return None

    def next_request(self) -> Request | None:
        """The next whole request, in order."""
        return self.requests.popleft() if self.requests else None

    def _check_progress(self) -> None:
        if self.phase == "head":
            if self._fed > self._limits.max_header_bytes:
                self.refused = refusal(431, "the head is too large", close=True)
        elif self._fed > self._limits.max_header_bytes + _BODY_OVERHEAD * self._max_body_bytes():
            self.refused = refusal(413, "the body is too large", close=True)

    # --- called by the parser ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._headers = {}
        self._target = b""
        self._head_bytes = 0
        self._body = b""
        self._body_bytes = 0
        self._fed = 0
        self._began = True
        self.phase = "head"
        self.mark += 1

    def on_url(self, part: bytes) -> None:
        """A piece of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; after the body, a trailer, which is dropped."""
        self._head_bytes += len(name) + len(value) + 4
        if self.phase != "head":
            return
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name in (b"host", b"content-type", b"authorization", b"origin", b"x-api-key"):
                self._refuse(refusal(400, "a header that must be single is repeated", close=True))
            value = headers[name] + b", " + value
        headers[name] = value
        if len(headers) > self._limits.max_headers:
            self._refuse(refusal(431, "too many headers", close=True))

    def on_headers_complete(self) -> None:
        """The head is whole: the time to refuse a request before its body."""
        self.phase = "body"
        self.mark += 1
        if self._head_bytes + len(self._target) > self._limits.max_header_bytes:
            self._refuse(refusal(431, "the head is too large", close=True))
        parser = self._parser
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(refusal(505, "HTTP/1.1 is spoken here", close=True))
        headers = self._headers
        length = headers.get(b"content-length")
        if b"transfer-encoding" in headers and (
            version == "1.0" or headers[b"transfer-encoding"].lower() != b"chunked"
        ):
            self._refuse(refusal(501 if version == "1.1" else 400, "only chunked is understood", close=True))
        request = Request(
            parser.get_method(), self._target, headers, version=version, client=self._client, is_secure=self._is_secure
        )
        self._request = request
        refused = self._admit(request)
        if refused is not None:
            if length not in (None, b"0") or b"transfer-encoding" in headers:
                # What follows is a body that nobody wants: the connection ends instead.
                self._refuse(Reply(refused.status, refused.body, refused.headers, close=True))
            request.refused = refused
        if length is not None and int(length) > self._max_body_bytes():
            self._refuse(refusal(413, "the body is too large", close=True))
        if b"expect" in headers:
            if headers[b"expect"].lower() != b"100-continue":
                self._refuse(refusal(417, "only 100-continue can be expected", close=True))
            self.wants_continue = version == "1.1"

    def on_body(self, piece: bytes) -> None:
        """A piece of the body; the first is kept as it is, since most bodies come in one."""
        self._body_bytes += len(piece)
        if self._body_bytes > self._max_body_bytes():
            self._refuse(refusal(413, "the body is too large", close=True))
        sink = None if self._request is None else self._request.sink
        if sink is not None:
            self._put(sink, piece)
        elif not self._body:
            self._body = piece
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body)
            self._body += piece
        else:
            self._body += piece

    def on_message_complete(self) -> None:
        """The request is whole."""
        request = self._request
        assert request is not None
        request.body = self._body
        request.keep_alive = self._parser.should_keep_alive()
        self.requests.append(request)
        self._request = None
        self._body = b""
        self.phase = "idle"
        self.wants_continue = False

    def close(self) -> None:
        """The connection has ended: give up what belongs to requests that nobody will answer."""
        for request in (self._request, *self.requests):
            if request is not None and request.sink is not None:
                request.sink.close()

    def _max_body_bytes(self) -> int:
        request = self._request
        return self._limits.max_body_bytes if request is None else request.max_body_bytes or self._limits.max_body_bytes

    def _put(self, sink: IO[bytes], piece: bytes) -> None:
        """Write a piece of a body where it goes: to a file of the system's cache, which takes it at once."""
        try:
            sink.write(piece)
        except OSError:
            self._refuse(refusal(507, "there is no room for this body", close=True))

    def _refuse(self, reply: Reply) -> None:
        self.refused = reply
        raise _Stop


def _bad_request(error: httptools.HttpParserError) -> Reply:
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return refusal(400, "this is not HTTP/1.1", close=True)
    return refusal(400, "the request is not well-formed", close=True)
