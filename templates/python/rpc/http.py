"""JSON-RPC over HTTP as a client: one POST per message, answers as JSON or as a stream of events.

Knows no methods. During a streaming answer the server may call us; each answer of ours is a POST of its own, with the
header that names the server's instance.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.abc
import msgspec
from msgspec import Raw

from .._jsonrpc import (
    METHOD_NOT_FOUND,
    BadAnswer,
    Call,
    Failure,
    FrameTooLong,
    Message,
    Notification,
    ServerSentEvent,
    SseParser,
    Success,
    decode,
    encode,
)
from .channel import OnEvent, takes_results
from .dispatch import Dispatcher, Link
from .errors import CallError, TransportError
from .jsonvalue import Json

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The largest answer taken: a server must not fill our memory."""

EVENT_STREAM: Final = "text/event-stream"


class HttpChannel:
    """A server at a URL. `callbacks` serves what it calls on us, `http` is a client of your own (proxies, TLS, pools).

    `headers` go with every request. The header that names an instance is `instance_header`.
    """

    def __init__(
        self,
        url: str,
        *,
        callbacks: Dispatcher | None = None,
        headers: Mapping[str, str] | None = None,
        http: httpx.AsyncClient | None = None,
        instance_header: str = "Jsonrpc-Instance-Id",
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        # Here, because importing httpx takes longer than all of the SDK, and servers have no use for it.
        import httpx

        self._url = url
        self._callbacks = callbacks
        # Deadlines are those of the calls: httpx's own are per read, and would end a quiet stream.
        self._http = httpx.AsyncClient(timeout=None) if http is None else http
        self.faults: tuple[type[Exception], ...] = (
            CallError,
            httpx.HTTPError,
            httpx.StreamError,
            httpx.InvalidURL,
        )
        self._owns_http = http is None
        self._instance_header = instance_header
        self._max_answer_bytes = max_answer_bytes
        self._ids = itertools.count(1)
        self._headers = {
            "content-type": "application/json",
            "accept": f"application/json, {EVENT_STREAM}",
            **(headers or {}),
        }

    async def open(self) -> None:
        """Connections are made as they are needed."""

    async def aclose(self) -> None:
        """Close the connections, unless the HTTP client is the user's own."""
        if self._owns_http:
            await self._http.aclose()

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """See Channel."""
        request_id = next(self._ids)
        frame = encode(Call(id=request_id, method=method, params=params))
        try:
            async with self._http.stream("POST", self._url, content=frame, headers=self._headers) as response:
                if _media_type(response) == EVENT_STREAM:
                    return await _StreamedCall(self, response, request_id, on_event).answer()
                body = await self._body(response)
                return self._answer(decode(body), request_id, response.status_code)
        except self.faults as error:
            raise _translated(error, method) from error

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        await self.post(encode(Notification(method=method, params=params)), self._headers, method)

    async def post(self, frame: bytes, headers: Mapping[str, str], what: str) -> None:
        """Send a message that is not answered; the body of the response is ignored. Errors: TransportError."""
        try:
            async with self._http.stream("POST", self._url, content=frame, headers=headers) as response:
                if not response.is_success:
                    status = response.status_code
                    raise TransportError(f"{what}: the server answered with HTTP status {status}", status=status)
        except self.faults as error:
            raise _translated(error, what) from error

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async with aclosing(_chunks(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > self._max_answer_bytes:
                    limit = self._max_answer_bytes
                    raise TransportError(f"the answer has more than {limit} bytes", status=response.status_code)
        return bytes(body)

    @staticmethod
    def _answer(message: Message, request_id: int, status: int) -> Success | Failure:
        # A server that could not read our id answers with null, and one POST holds one call.
        if isinstance(message, Success | Failure) and (message.id == request_id or _is_for_any(message)):
            return message
        if isinstance(message, BadAnswer):
            raise TransportError(f"the answer is no JSON-RPC answer: {message.reason}", status=status)
        raise TransportError(f"HTTP status {status} without an answer to the call", status=status)

    # --- what a streamed call needs ---------------------------------------------------------------

    @property
    def callbacks(self) -> Dispatcher | None:
        """What serves the server's calls."""
        return self._callbacks

    def headers_for(self, response: httpx.Response) -> dict[str, str]:
        """The headers of an answer of ours to a call that came in `response`."""
        instance = response.headers.get(self._instance_header)
        return self._headers if instance is None else {**self._headers, self._instance_header: instance}

    def link_for(self) -> Link:
        """A handler of ours calls the server back by requests of its own."""
        return Link(channel=self)

    def parser(self) -> SseParser:
        """A parser with our limit."""
        return SseParser(self._max_answer_bytes)


class _StreamedCall:
    """One call whose answer is a stream: events, calls of the server, and the answer itself, in any order."""

    def __init__(
        self, channel: HttpChannel, response: httpx.Response, request_id: int, on_event: OnEvent | None
    ) -> None:
        self._channel = channel
        self._response = response
        self._request_id = request_id
        self._on_event = on_event
        self._answer: Success | Failure | None = None
        self._fault: Exception | None = None

    async def answer(self) -> Success | Failure:
        """Read until the stream closes. Errors: TransportError, httpx's own, InvalidResultError for a bad event."""
        # Faults are carried out of the task group by hand: it would wrap them into a group of exceptions.
        async with anyio.create_task_group() as group:
            try:
                await self._read(group)
            except self._channel.faults as fault:
                self._fault = fault
            if self._fault is not None or self._answer is not None:
                group.cancel_scope.cancel()
        if self._fault is not None:
            raise self._fault
        if self._answer is None:
            status = self._response.status_code
            raise TransportError("the stream ended before the call was answered", status=status)
        return self._answer

    async def _read(self, group: anyio.abc.TaskGroup) -> None:
        parser = self._channel.parser()
        async with aclosing(_chunks(self._response)) as chunks:
            async for chunk in chunks:
                for event in parser.feed(chunk):
                    if isinstance(event, FrameTooLong):
                        raise TransportError(f"an event has more than {event.limit} bytes")
                    await self._take(event, group)

    async def _take(self, event: ServerSentEvent, group: anyio.abc.TaskGroup) -> None:
        value = _parse(event.data)
        if event.name != "message":
            await self._emit({"event": event.name, "data": value})
        elif isinstance(value, dict) and "jsonrpc" in value:
            await self._take_message(decode(event.data), group)
        else:
            await self._emit(value)

    async def _emit(self, event: Json) -> None:
        if self._on_event is not None:
            await self._on_event(event)

    async def _take_message(self, message: Message, group: anyio.abc.TaskGroup) -> None:
        match message:
            case Success() | Failure():
                if message.id == self._request_id or _is_for_any(message):
                    self._answer = message
                    if isinstance(message, Success) and takes_results(self._on_event):
                        await self._emit(msgspec.json.decode(message.result))
            case Call() | Notification():
                group.start_soon(self._serve, message, group)
            case BadAnswer():
                raise TransportError(f"the answer is no JSON-RPC answer: {message.reason}")
            case _:
                raise TransportError("the stream holds an event that is no JSON-RPC message")

    async def _serve(self, work: Call | Notification, group: anyio.abc.TaskGroup) -> None:
        callbacks = self._channel.callbacks
        outcome = METHOD_NOT_FOUND if callbacks is None else await callbacks.run(work, self._channel.link_for())
        if isinstance(work, Notification):
            return
        if isinstance(outcome, Raw):
            reply = encode(Success(id=work.id, result=outcome))
        else:
            reply = encode(Failure(id=work.id, error=outcome))
        try:
            await self._channel.post(reply, self._channel.headers_for(self._response), f"answer to {work.method}")
        except TransportError as fault:
            self._fault = fault
            group.cancel_scope.cancel()


def _chunks(response: httpx.Response) -> AsyncGenerator[bytes]:
    # A generator, though httpx says less of it: trio wants those closed that are not read to their end.
    return cast("AsyncGenerator[bytes]", response.aiter_bytes())


def _parse(data: bytes) -> Json:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TransportError("the stream holds an event that is not JSON") from None


def _is_for_any(message: Success | Failure) -> bool:
    return isinstance(message, Failure) and message.id is None


def _media_type(response: httpx.Response) -> str:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower()


def _translated(error: Exception, what: str) -> CallError:
    """Our own faults as they are, those of httpx as TransportError."""
    if isinstance(error, CallError):
        return error
    return TransportError(f"{what}: {str(error) or type(error).__name__}")
