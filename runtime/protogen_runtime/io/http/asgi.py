"""The endpoint behind ASGI: how HTTP/2 requests and WebSockets reach it, under the same bounds as HTTP/1.1.

Knows no sockets: hypercorn owns these connections; their reads and writes pass a `HandedOver` (see `handoff`).
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from protogen_runtime.io.channel import Bounds
from protogen_runtime.io.websocket import WebSocketApp

from .admitted import Admitted
from .connection import MAX_DROPPED_BYTES, House
from .foreign import Foreign, Receive, Scope, Send
from .handling import Handling
from .limits import KIB, SEND_PIECE_BYTES
from .messages import JSON_TYPE, Headers, Reply, Request, refusal
from .pace import Pace
from .routes import Errand

HYPERCORN_BUFFER_BYTES: Final = 32 * KIB
"""What hypercorn 0.18 keeps of an answer over HTTP/2 before it makes the application wait."""


class SocketHouse(House, Protocol):
    """A house that has WebSockets, too."""

    @property
    def websocket_bounds(self) -> Bounds:
        """The bounds of each WebSocket."""
        ...


class _Gone(Exception):
    """The client left before its request was whole."""


class _TooSlow(Exception):
    """The client sends its body, or reads its answer, too slowly."""


async def serve_http(shell: SocketHouse, scope: Scope, receive: Receive, send: Send) -> None:
    """One HTTP request as ASGI gives it."""
    request = _request_of(scope)
    shell.endpoint.tag(request)
    responder = _AsgiResponder(shell, request, send)
    try:
        await _serve(shell, request, responder, receive)
    except* _TooSlow:
        # The stream is reset: what was sent is not whole.
        shell.count_refused(408)


async def _serve(shell: SocketHouse, request: Request, responder: _AsgiResponder, receive: Receive) -> None:
    refused = _check_head(shell, request) or shell.endpoint.admit(request) or _check_length(shell, request)
    if refused is not None:
        await _drop_body(shell, receive)
        await responder.reply(refused)
        return
    refused = await _take_body(shell, request, receive)
    if refused is not None:
        if request.sink is not None:
            request.sink.close()
        if refused.status:
            await responder.reply(refused)
        return
    begun = shell.endpoint.begin(request)
    if isinstance(begun, Handling | Foreign | Errand):
        await _run(begun, responder, receive)
    else:
        await responder.reply(begun)


async def _take_body(shell: SocketHouse, request: Request, receive: Receive) -> Reply | None:
    """Read the body; a refusal where it cannot be had, of status 0 where the client has gone."""
    try:
        body = await _read_body(shell, request, receive)
    except _Gone:
        return Reply(0)
    except _TooSlow:
        return refusal(408, "the body did not come in time")
    except OSError:
        await _drop_body(shell, receive)
        return refusal(507, "there is no room for this body")
    if body is None:
        await _drop_body(shell, receive)
        return refusal(413, "the body is too large")
    request.body = body
    return None


async def _run(running: Handling | Foreign | Errand, responder: _AsgiResponder, receive: Receive) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, receive, nursery.cancel_scope)
        await running.run(responder)
        nursery.cancel_scope.cancel()


async def _watch(receive: Receive, scope: trio.CancelScope) -> None:
    """Cancels the handlers when the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _request_of(scope: Scope) -> Request:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = value if name not in headers else headers[name] + b", " + value
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    client = scope.get("client")
    return Request(
        scope.get("method", "GET").encode("latin-1"),
        target,
        headers,
        version=scope["http_version"],
        client=(client[0], client[1]) if client else None,
        is_secure=scope["scheme"] in ("https", "wss"),
    )


def _check_head(shell: SocketHouse, request: Request) -> Reply | None:
    limits = shell.limits
    if len(request.headers) > limits.max_headers:
        return refusal(431, "too many headers")
    if sum(len(name) + len(value) + 4 for name, value in request.headers.items()) > limits.max_header_bytes:
        return refusal(431, "the head is too large")
    return None


def _check_length(shell: SocketHouse, request: Request) -> Reply | None:
    length = request.headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > (request.max_body_bytes or shell.limits.max_body_bytes):
        return refusal(413, "the body is too large")
    return None


async def _read_body(shell: SocketHouse, request: Request, receive: Receive) -> bytes | None:
    """The whole body, empty where it went to the request's sink; None where it is too large. Errors: _Gone, _TooSlow,
    OSError of the sink.
    """
    limits = shell.limits
    most = request.max_body_bytes or limits.max_body_bytes
    body = bytearray()
    size = 0
    started = trio.current_time()
    while True:
        allowed = limits.body_grace_seconds + size / limits.min_bytes_per_second
        event = None
        with trio.move_on_at(started + min(allowed, limits.body_seconds)):
            event = await receive()
        if event is None:
            raise _TooSlow
        if event["type"] == "http.disconnect":
            raise _Gone
        piece = event.get("body", b"")
        size += len(piece)
        if size > most:
            return None
        if request.sink is None:
            body += piece
        else:
            request.sink.write(piece)
        if not event.get("more_body", False):
            return bytes(body)


async def _drop_body(shell: SocketHouse, receive: Receive) -> None:
    """Let the body of a refused request pass: hypercorn 0.18 ends the whole connection at data after an answer."""
    dropped = 0
    with trio.move_on_after(shell.limits.linger_seconds):
        while dropped < MAX_DROPPED_BYTES:
            event = await receive()
            dropped += len(event.get("body", b""))
            if not event.get("more_body", False):
                return


class _AsgiResponder:
    """Answers one ASGI request."""

    def __init__(self, shell: SocketHouse, request: Request, send: Send) -> None:
        self._shell = shell
        self._request = request
        self._send = send
        self._pace = Pace(shell.limits)

    async def reply(self, reply: Reply | bytes) -> None:
        """See Responder."""
        if isinstance(reply, bytes):
            reply = Reply(200, reply, ((b"content-type", JSON_TYPE),))
        if reply.status >= 400:
            self._shell.count_refused(reply.status)
        headers = (*reply.headers, *self._shell.endpoint.marks(self._request))
        if reply.status not in (204, 304):
            headers = (*headers, (b"content-length", b"%d" % len(reply.body)))
        await self.begin_stream(reply.status, headers)
        await self._put(reply.body if self._request.method != b"HEAD" else b"", more=False)

    async def begin_stream(self, status: int, headers: Headers, first: bytes = b"") -> None:
        """See Responder."""
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})
        if first:
            await self.send(first)

    async def send(self, data: bytes) -> None:
        """See Responder."""
        await self._put(data, more=True)

    async def end(self, last: bytes = b"") -> None:
        """See Responder."""
        await self._put(last, more=False)

    async def abort(self) -> None:
        """See Responder; `Http2` resets a stream whose application ends without an end."""

    async def _put(self, data: bytes, *, more: bool) -> None:
        """Send in pieces, each of which the window of an HTTP/2 peer must take in time. Errors: _TooSlow."""
        for start in range(0, max(1, len(data)), SEND_PIECE_BYTES):
            piece = data[start : start + SEND_PIECE_BYTES]
            is_more = more or start + SEND_PIECE_BYTES < len(data)
            # The end waits for all that hypercorn keeps.
            size = len(piece) if is_more else len(piece) + HYPERCORN_BUFFER_BYTES
            with trio.move_on_after(self._pace.begin(size, trio.current_time())) as scope:
                await self._send({"type": "http.response.body", "body": piece, "more_body": is_more})
            if scope.cancelled_caught:
                raise _TooSlow
            self._pace.end(size, trio.current_time())


async def serve_websocket(shell: SocketHouse, scope: Scope, receive: Receive, send: Send) -> None:
    """One WebSocket at the protocol's path, admitted as any request is; the transport of WebSockets does the rest."""
    request = _request_of(scope)
    refused = _check_head(shell, request) or shell.endpoint.admit_websocket(request)
    if refused is not None:
        shell.count_refused(refused.status)
        shell.endpoint.tag(request)
        headers = [*refused.headers, *shell.endpoint.marks(request), (b"content-length", b"%d" % len(refused.body))]
        await receive()
        await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": refused.body, "more_body": False})
        return
    app = WebSocketApp(Admitted(shell.endpoint, request), bounds=shell.websocket_bounds)
    await app({**scope, "state": {"identity": request.identity}}, receive, send)
