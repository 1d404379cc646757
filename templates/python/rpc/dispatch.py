"""From a message that came to the handler's method and back: decode, validate, call, encode.

Knows no transport. The one place that turns exceptions into errors; no text of an unexpected one reaches the wire.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

import anyio
import msgspec
from msgspec import UNSET, Raw

from .._jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Call,
    ErrorObject,
    Exchange,
    Notification,
    RequestId,
    Success,
    Work,
    encode,
)
from .boundary import ValidationError
from .channel import Channel
from .client import Client
from .errors import RpcError, TypedError
from .table import Method, ProtocolInfo

Peer = TypeVar("Peer", bound=Client)
Event = TypeVar("Event")

Outcome: TypeAlias = Raw | ErrorObject
Emit: TypeAlias = Callable[[bytes], Awaitable[None]]

_NULL: Final = Raw(b"null")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a transport gives to the handling of one message.

    `channel` reaches the caller back; `emit` sends one event as JSON, None where the transport carries no events.
    """

    channel: Channel
    emit: Emit | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class Context(Generic[Peer]):
    """What a handler knows of the call it serves.

    `client` calls the other side back while the call is under way; `request_id` is None for a notification;
    `headers` are those of the HTTP request in lower case, empty elsewhere. A caller that gives up cancels the handler:
    `trio.Cancelled` or `asyncio.CancelledError` is raised in it.
    """

    def __init__(self, method: str, request_id: RequestId, link: Link, client: Peer) -> None:
        self.method = method
        self.request_id = request_id
        self.headers = link.headers
        self.client = client


class StreamContext(Context[Peer], Generic[Peer, Event]):
    """The context of a method that can send events before its result."""

    def __init__(
        self, method: str, request_id: RequestId, link: Link, client: Peer, encode: Callable[[Any], bytes]
    ) -> None:
        super().__init__(method, request_id, link, client)
        self._emit = link.emit
        self._encode = encode

    @property
    def is_streaming(self) -> bool:
        """Whether events reach the caller; where not, `emit` does nothing."""
        return self._emit is not None

    async def emit(self, event: Event) -> None:
        """Send an event. Errors: ValidationError for one that breaks its schema, TransportError."""
        data = self._encode(event)
        if self._emit is not None:
            await self._emit(data)


class Dispatcher:
    """Serves the methods of one role with the methods of `handler`; made by the generated factories.

    A method that the handler does not have is not found. `clients` are the classes that call each role back. Without
    `constraints` values are held against their types alone.
    """

    def __init__(
        self,
        info: ProtocolInfo,
        role: str,
        handler: object,
        clients: Mapping[str, Callable[[Channel], Client]],
        *,
        constraints: bool = True,
    ) -> None:
        self.info = info.under(constraints=constraints)
        self.role = role
        self._handler = handler
        self._clients = clients
        self._logger = logging.getLogger(__package__)

    async def serve(self, exchange: Exchange, link: Link) -> bytes | None:
        """Do all the work of an exchange, its members side by side; the reply that is owed, if any."""
        if len(exchange.work) == 1:
            await self._serve_one(exchange, exchange.work[0], link)
        elif exchange.work:
            async with anyio.create_task_group() as group:
                for work in exchange.work:
                    group.start_soon(self._serve_one, exchange, work, link)
        return exchange.reply()

    async def _serve_one(self, exchange: Exchange, work: Work, link: Link) -> None:
        outcome = await self.run(work, link)
        if isinstance(work, Call):
            exchange.settle(work, outcome)

    async def run(self, work: Work, link: Link) -> Outcome:
        """The outcome of one call or notification; raises nothing but cancellation."""
        method = self.info.methods.get(work.method)
        function: Callable[..., Awaitable[Any]] | None = None
        if method is not None and (method.receiver == self.role or method.mutual):
            function = getattr(self._handler, method.function, None)
        if method is None or function is None:
            return METHOD_NOT_FOUND
        try:
            params = self._params(method, work.params)
        except ValidationError as error:
            data = Raw(msgspec.json.encode(error.as_data()))
            return ErrorObject(INVALID_PARAMS.code, INVALID_PARAMS.message, data)
        context = self._context(method, work, link)
        try:
            result = await (function(context) if method.params is None else function(params, context))
            return self._result(method, result)
        except RpcError as error:
            return self._error(method, error)
        except Exception:
            # Whatever a handler raises, its caller gets an answer, and only the log gets the text.
            self._logger.exception("handler of %s failed", method.name)
            return INTERNAL_ERROR

    def _context(self, method: Method, work: Work, link: Link) -> Context[Any]:
        caller = method.sender if method.receiver == self.role else method.receiver
        make_client = self._clients.get(caller)
        client = Client(self.info, link.channel) if make_client is None else make_client(link.channel)
        request_id = work.id if isinstance(work, Call) else None
        if method.events is None:
            return Context(method.name, request_id, link, client)
        name = method.events

        def write(event: Any) -> bytes:
            data = self.info.codec.encode_as(name, event)
            if not method.events_are_results:
                return data
            # What the handler returns is the last of the answers.
            return encode(Success(id=request_id, result=Raw(data)))

        context: StreamContext[Any, Any] = StreamContext(method.name, request_id, link, client, write)
        return context

    def _params(self, method: Method, params: Raw) -> Any:
        if method.params is None:
            return None
        if not params:
            return self.info.codec.decode(method.params, b"{}")
        if method.positional and bytes(params).lstrip(b" \t\r\n")[:1] == b"[":
            values: list[Raw] = msgspec.json.decode(params, type=list[Raw])
            if len(values) > len(method.positional):
                return self.info.codec.decode(method.params, params)
            members = dict(zip(method.positional, values, strict=False))
            return self.info.codec.decode(method.params, msgspec.json.encode(members))
        return self.info.codec.decode(method.params, params)

    def _result(self, method: Method, result: Any) -> Outcome:
        if method.result is None:
            return _NULL
        try:
            return Raw(self.info.codec.encode_as(method.result, result))
        except ValidationError:
            self._logger.exception("result of %s breaks its schema", method.name)
            return INTERNAL_ERROR

    def _error(self, method: Method, error: RpcError) -> Outcome:
        if error.data is UNSET:
            return ErrorObject(error.code, error.message)
        name = error.DATA if isinstance(error, TypedError) else None
        try:
            codec = self.info.codec
            data = codec.encode(error.data) if name is None else codec.encode_as(name, error.data)
        except (ValidationError, TypeError, ValueError):
            self._logger.exception("data of the error %d of %s breaks its schema", error.code, method.name)
            return INTERNAL_ERROR
        return ErrorObject(error.code, error.message, Raw(data))


def is_cancellation(work: Work) -> bool:
    """Whether a message is the notification that abandons a call on a connection."""
    return isinstance(work, Notification) and work.method == CANCEL_METHOD


CANCEL_METHOD: Final = "$/cancelRequest"
"""Abandons the call whose id is its member `id`."""
