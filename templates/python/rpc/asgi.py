"""JSON-RPC over HTTP as an ASGI application, for any ASGI server under trio or asyncio.

Knows no methods. An answer is plain JSON until the handler calls back or emits an event; then it is a stream of events
that ends with the answer. A client that goes away cancels its handlers.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import anyio
import msgspec
from msgspec import Raw

from .._jsonrpc import (
    INVALID_REQUEST,
    BadAnswer,
    Call,
    Exchange,
    Failure,
    Notification,
    Pending,
    Success,
    encode,
    encode_event,
    receive,
)
from .channel import OnEvent
from .dispatch import Dispatcher, Link
from .errors import TransportError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The largest request taken by default."""

CALLBACK_ID_BYTES: Final = 16
"""128 random bits: nobody can answer a callback that was not sent to them."""


class _NamedEvent(msgspec.Struct, forbid_unknown_fields=True):
    """The form of an event that can travel under its own name without loss."""

    event: str
    data: Raw


_NAMED_EVENT: Final = msgspec.json.Decoder(_NamedEvent)


class _Ticket:
    """One callback: set when its answer is known."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Success | Failure | BadAnswer | None = None


class AsgiApp:
    """Serves a dispatcher at every path: POST of JSON, and GET of the protocol's health path.

    JSON-RPC answers have the status 200, errors included. `max_body_bytes` bounds a request.
    """

    def __init__(self, dispatcher: Dispatcher, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.dispatcher = dispatcher
        self.max_body_bytes = max_body_bytes
        self.instance = secrets.token_hex(CALLBACK_ID_BYTES)
        self.instance_header = dispatcher.info.instance_header.lower().encode("latin-1")
        self.pending: Pending[_Ticket] = Pending()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        health = self.dispatcher.info.health_path
        if health is not None and scope["path"] == health and scope["method"] in ("GET", "HEAD"):
            await _respond(send, 200, b'{"status":"healthy"}')
        elif scope["method"] != "POST":
            await _respond(send, 405, b"", (b"allow", b"POST"))
        elif headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            await _respond(send, 415, b"")
        else:
            body = await self._body(headers, receive)
            if body is None:
                await _respond(send, 413, b"")
            elif isinstance(body, bytes):
                await _Request(self, headers, receive, send).serve(body)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | _Gone | None:
        """The whole body; None where it is too long."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self.max_body_bytes:
            return None
        body = bytearray()
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return _GONE
            body += event.get("body", b"")
            if len(body) > self.max_body_bytes:
                return None
            if not event.get("more_body", False):
                return bytes(body)

    def take(self, answer: Success | Failure | BadAnswer, headers: dict[bytes, bytes]) -> bool:
        """Hand an answer that was POSTed to the callback that waits for it; False where none does."""
        instance = headers.get(self.instance_header)
        if instance is not None and not secrets.compare_digest(instance, self.instance.encode()):
            return False
        ticket = self.pending.take(answer)
        if ticket == "late":
            return True
        if not isinstance(ticket, _Ticket):
            return False
        ticket.answer = answer
        ticket.done.set()
        return True


class _Gone:
    """The client left before its request was whole."""


_GONE: Final = _Gone()


class _Request:
    """One POST; also the Channel by which its handlers call the client back."""

    def __init__(self, app: AsgiApp, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        self._app = app
        self._headers = headers
        self._receive = receive
        self._send = send
        self._sending = anyio.Lock()
        self._streaming = False
        self._ended = False

    async def serve(self, body: bytes) -> None:
        exchange = receive(body)
        if exchange.answers:
            known = [self._app.take(answer, self._headers) for answer in exchange.answers]
            if not exchange.work and exchange.reply() is None and not all(known):
                await _respond(self._send, 400, encode(Failure(id=None, error=INVALID_REQUEST)))
                return
        if not exchange.work:
            await self._finish(exchange.reply())
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, group.cancel_scope)
            reply = await self._app.dispatcher.serve(exchange, self._link(exchange))
            await self._finish(reply)
            group.cancel_scope.cancel()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Cancels the handlers when the client goes away."""
        while True:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self._ended = True
                scope.cancel()
                return

    def _link(self, exchange: Exchange) -> Link:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}
        # A notification gets an empty answer, which carries no events.
        owed = any(isinstance(work, Call) for work in exchange.work)
        return Link(channel=self, emit=self._emit if owed and self._accepts_stream() else None, headers=headers)

    def _accepts_stream(self) -> bool:
        accept = self._headers.get(b"accept", b"*/*").lower()
        kinds = {part.partition(b";")[0].strip() for part in accept.split(b",")}
        return not kinds.isdisjoint((b"text/event-stream", b"text/*", b"*/*"))

    # --- the answer -------------------------------------------------------------------------------

    async def _finish(self, reply: bytes | None) -> None:
        async with self._sending:
            self._ended = True
            if self._streaming:
                tail = b"" if reply is None else encode_event(reply)
                await self._send({"type": "http.response.body", "body": tail, "more_body": False})
            elif reply is None:
                await _respond(self._send, 202, b"")
            else:
                await _respond(self._send, 200, reply)

    async def _send_event(self, data: bytes, *, name: str | None = None) -> None:
        async with self._sending:
            if self._ended:
                raise TransportError("the call that could carry this has been answered")
            if not self._streaming:
                self._streaming = True
                await self._send(
                    {
                        "type": "http.response.start",
                        "status": 200,
                        "headers": [
                            (b"content-type", b"text/event-stream"),
                            (b"cache-control", b"no-cache"),
                            (self._app.instance_header, self._app.instance.encode()),
                        ],
                    }
                )
            event = encode_event(data, name=name)
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _emit(self, data: bytes) -> None:
        try:
            event = _NAMED_EVENT.decode(data)
        except msgspec.ValidationError:
            await self._send_event(data)
            return
        if event.event in ("", "message") or any(char in event.event for char in "\r\n\0"):
            await self._send_event(data)
        else:
            await self._send_event(bytes(event.data), name=event.event)

    # --- callbacks --------------------------------------------------------------------------------

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """See Channel; the answer to a callback carries no events."""
        del on_event
        self._require_stream(method)
        request_id = secrets.token_hex(CALLBACK_ID_BYTES)
        ticket = _Ticket()
        self._app.pending.add(request_id, ticket)
        try:
            await self._send_event(encode(Call(id=request_id, method=method, params=params)))
            await ticket.done.wait()
        finally:
            self._app.pending.abandon(request_id)
        if isinstance(ticket.answer, Success | Failure):
            return ticket.answer
        raise TransportError(f"the answer to {method} is no JSON-RPC answer")

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        self._require_stream(method)
        await self._send_event(encode(Notification(method=method, params=params)))

    async def open(self) -> None:
        """The request is the connection."""

    async def aclose(self) -> None:
        """The connection ends with the answer."""

    def _require_stream(self, method: str) -> None:
        if not self._accepts_stream():
            raise TransportError(f"{method}: the caller does not accept text/event-stream")


async def _respond(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    content = [(b"content-type", b"application/json")] if body else []
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*content, length, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
