"""JSON-RPC in a session as a client: a stream of events from the server, POSTs with answers to it.

Knows no methods. The server names the endpoint of the session on the stream; when the stream breaks, it is connected
to again from the last event on.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import (
    Answer,
    BadAnswer,
    Call,
    Failure,
    Message,
    Notification,
    Pending,
    ServerSentEvent,
    Success,
    decode,
    encode,
)

from .channel import Bounds, MalformedAnswer, OnEvent, TransportError
from .client_http import FAULTS, Callbacks, answer_of, fault_of, make_clients, posting, read_body
from .outgoing import request_headers
from .peer import Ticket
from .sse import EventSource

ENDPOINT_SECONDS: Final = 5.0
"""How long the server may take to name the endpoint; then it is the URL above the stream's."""


class _Endpoint(msgspec.Struct):
    endpoint: str


_read_endpoint = msgspec.json.Decoder(_Endpoint | str).decode


class SessionChannel:
    """A server whose stream of events is at `url` (http or https); `callbacks` serves what it calls on us.

    `headers` go with every request; `http` is a client of your own, which stays open at the end. Open and close the
    channel in the same task, and in the same cancel scope. When the stream is lost for good, calls fail, and `ended`
    is set; with `retries=0` the first stream is the only one. `read` is how messages are read.
    """

    def __init__(
        self,
        url: str,
        *,
        callbacks: Service | None = None,
        bounds: Bounds | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        http: httpx.AsyncClient | None = None,
        retries: int = 5,
        read: Callable[[bytes], Message] = decode,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._callbacks = Callbacks(callbacks, self, self._bounds)
        self._http, self._short_http = make_clients(url, tls) if http is None else (http, http)
        self._owns_http = http is None
        own = {name.lower(): value for name, value in (headers or {}).items()}
        self._headers = {**own, "content-type": "application/json", "accept": "application/json"}
        self._url = url
        self._source = EventSource(
            self._http, url, headers=own, retries=retries, max_event_bytes=self._bounds.max_frame_bytes
        )
        self._endpoint = _above(url)
        self._ids = itertools.count(1)
        self._pending: Pending[Ticket] = Pending()
        self._asking: set[trio.CancelScope] = set()
        self._named = trio.Event()
        self._read = read
        self.ended = trio.Event()
        self._reason: str | None = None
        self._manager: Any = None
        self._nursery: trio.Nursery | None = None

    @property
    def endpoint(self) -> str:
        """Where messages are POSTed."""
        return self._endpoint

    async def open(self) -> None:
        """Begin the session. Errors: TransportError where the server gives no stream."""
        if self._nursery is not None:
            raise RuntimeError("a channel can be opened once")
        self._manager = trio.open_nursery()
        nursery: trio.Nursery = await self._manager.__aenter__()
        self._nursery = nursery
        nursery.start_soon(self._listen, nursery)
        try:
            with trio.move_on_after(ENDPOINT_SECONDS):
                await self._named.wait()
        except BaseException:
            await self.aclose()
            raise
        if self._reason is not None:
            reason = self._reason
            await self.aclose()
            raise TransportError(reason)

    async def aclose(self) -> None:
        """See Channel."""
        manager, nursery = self._manager, self._nursery
        if manager is None or nursery is None:
            return
        self._manager = None
        self._fail("the channel was closed")
        nursery.cancel_scope.cancel()
        try:
            await manager.__aexit__(None, None, None)
        finally:
            if self._owns_http:
                with trio.CancelScope(shield=True):
                    await self._http.aclose()
                    await self._short_http.aclose()

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Answer:
        """See Channel; to cancel it closes the connection. No events come this way."""
        del on_event
        self._require_open()
        request_id, ticket = next(self._ids), Ticket()
        self._pending.add(request_id, ticket)
        try:
            with trio.CancelScope() as scope:
                self._asking.add(scope)
                try:
                    return await self._ask(Call(id=request_id, method=method, params=params), ticket)
                finally:
                    self._asking.discard(scope)
        finally:
            self._pending.abandon(request_id)
        raise TransportError(f"{self._reason} before {method} was answered")

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        self._require_open()
        await self._post(self._short_http, encode(Notification(method=method, params=params)), method)

    def _require_open(self) -> None:
        if self._nursery is None:
            raise RuntimeError("open the channel first: use the client as an async context manager")
        if self._reason is not None:
            raise TransportError(self._reason)

    async def _ask(self, call: Call, ticket: Ticket) -> Answer:
        status, body = await self._post(self._http, encode(call), call.method)
        if body.strip():
            return answer_of(self._read(body), _number(call), status)
        if not 200 <= status < 300:
            raise TransportError(f"{call.method}: the server answered with HTTP status {status}", status=status)
        # Servers of another habit accept the POST and answer on the stream.
        await ticket.wait()
        if isinstance(ticket.answer, Success | Failure):
            return ticket.answer
        raise MalformedAnswer(f"the answer to {call.method} is no JSON-RPC answer")

    async def _post(self, http: httpx.AsyncClient, frame: bytes, what: str) -> tuple[int, bytes]:
        headers = request_headers(self._headers)
        try:
            async with posting(http, self._endpoint, frame, headers) as response:
                body = await read_body(response, self._bounds.max_frame_bytes)
                if not body.strip() and not response.is_success:
                    status = response.status_code
                    raise TransportError(f"{what}: the server answered with HTTP status {status}", status=status)
                return response.status_code, body
        except FAULTS as error:
            raise fault_of(what, error) from error

    # --- the stream -------------------------------------------------------------------------------

    async def _listen(self, nursery: trio.Nursery) -> None:
        try:
            async with aclosing(self._source.events()) as events:
                async for event in events:
                    self._take(event, nursery)
            self._fail("the server has ended the session")
        except TransportError as fault:
            self._fail(str(fault))

    def _take(self, event: ServerSentEvent, nursery: trio.Nursery) -> None:
        if event.name == "endpoint":
            self._endpoint = self._resolve(event.data)
            self._named.set()
        elif event.name == "message":
            message = self._read(event.data)
            if isinstance(message, Success | Failure | BadAnswer):
                ticket = self._pending.take(message)
                if isinstance(ticket, Ticket):
                    ticket.answer = message
                    ticket.finish()
            else:
                nursery.start_soon(self._serve, message)

    async def _serve(self, message: Message) -> None:
        reply = await self._callbacks.answer(message)
        if reply is None:
            return
        try:
            await self._post(self._short_http, reply, "the answer to a callback")
        except TransportError as fault:
            if fault.status is None:
                self._fail(str(fault))

    def _resolve(self, data: bytes) -> str:
        """The URL that an endpoint event names. Errors: TransportError where it is another server's."""
        url = urljoin(self._url, _reference(data))
        if _origin(url) != _origin(self._url):
            # Our headers hold our keys: they are for the server that we were told to speak to.
            raise TransportError(f"the endpoint {url} is at another origin than {self._url}")
        return url

    def _fail(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
        self._pending.close()
        for scope in tuple(self._asking):
            scope.cancel()
        self._named.set()
        self.ended.set()


def _number(call: Call) -> int:
    assert isinstance(call.id, int)
    return call.id


def _reference(data: bytes) -> str:
    """What an endpoint event says: `{"endpoint": "..."}`, a JSON string, or the bare text."""
    text = data.decode(errors="replace").strip()
    try:
        named = _read_endpoint(text)
    except msgspec.DecodeError:
        return text
    return named if isinstance(named, str) else named.endpoint


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _above(url: str) -> str:
    """The URL of the server whose stream is at `url`."""
    parts = urlsplit(url)
    path = parts.path
    for end in ("/runtime/events", "/events"):
        path = path.removesuffix(end)
    return parts._replace(path=path or "/", query="", fragment="").geturl()
