"""JSON-RPC over HTTP as a client: one POST per message, answers as JSON or as a stream of events.

Knows no methods. During a streaming answer the server may call us; each answer of ours is a POST of its own, with the
header that names the server's instance.
"""

from __future__ import annotations

import itertools
import logging
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, Final, TypeVar

import httpx
import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import AnswerEarly, Emit, Outcome, Service
from protogen_runtime.dispatch.prompt import Told
from protogen_runtime.jsonrpc import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    Answer,
    BadAnswer,
    BadRequest,
    Call,
    ErrorObject,
    Failure,
    Message,
    Notification,
    ServerSentEvent,
    SseParser,
    Success,
    Work,
    decode,
    encode,
)

from .channel import Bounds, Channel, MalformedAnswer, OnEvent, TransportError, adopt
from .http_pool import Asked, Pool, Reply, is_direct
from .outgoing import about_request, request_headers
from .sse import CONNECT_SECONDS, EVENT_STREAM, Response, chunks, events_of, media_type
from .tls import why_refused

Result = TypeVar("Result")

MAX_CONNECTIONS: Final = 100
"""Open at once to one server; more calls wait for one of them. Each costs both sides a descriptor."""

KEEP_SECONDS: Final = 10.0
"""How long an unused connection is kept: less than servers keep theirs, lest a call meet one that is being closed."""

FAULTS: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
"""What httpx raises where a request came to nothing."""

END_SECONDS: Final = 1.0
"""How long the stream of a call that has been answered may take to end, where nobody wants its events: a connection
whose stream has ended can be used again, and one that never ends must not hold its call."""

DEADLINE_EXCEEDED: Final = ErrorObject(INTERNAL_ERROR.code, "Deadline exceeded")
TOO_MANY_CALLS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many calls under way")

_NO_HEADERS: Final[Mapping[str, str]] = {}

_logger = logging.getLogger(__name__)


def make_clients(url: str, tls: ssl.SSLContext | None = None) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """HTTP clients for the server at `url`, each with a pool of its own: for calls, and for what is answered at once.

    Answers to callbacks are: they must not wait for a connection behind the very calls that wait for them. There are no
    time-outs but for connecting: deadlines are those of the calls, and httpx's own are per read and would end a quiet
    stream.
    """
    limits = httpx.Limits(
        max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS, keepalive_expiry=KEEP_SECONDS
    )
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    if tls is None:
        # To load the system's authorities takes longer than a thousand calls: a context that trusts nobody will do
        # where there is no TLS.
        is_secure = url.lower().startswith("https:")
        tls = httpx.create_ssl_context() if is_secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calls = httpx.AsyncClient(timeout=timeout, limits=limits, verify=tls)
    return calls, httpx.AsyncClient(timeout=timeout, limits=limits, verify=tls)


def _pool(url: str) -> Pool | None:
    """A pool for the server at `url`; None where httpx has to do it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    if not is_direct(parsed):
        return None
    return Pool(parsed, max_connections=MAX_CONNECTIONS, keep_seconds=KEEP_SECONDS, connect_seconds=CONNECT_SECONDS)


@asynccontextmanager
async def posting(
    http: httpx.AsyncClient, url: str, frame: bytes, headers: Mapping[str, str]
) -> AsyncGenerator[httpx.Response]:
    """POST a message; the response has its head when it is given, and is closed at the end. Errors: FAULTS."""
    request = http.build_request("POST", url, content=frame, headers=headers)
    request.stream = _Whole(frame)
    response = await http.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


class _Whole(httpx.AsyncByteStream):
    """A body in one piece. httpx's own is a generator, which nobody closes where the server goes while it is sent."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces([self._data])


class _Pieces:
    """Iterates over what is there already."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class CallbackLink:
    """What a handler of ours is told when a server calls it over HTTP."""

    __slots__ = ("channel", "deadline")

    headers: Mapping[str, str] = _NO_HEADERS
    identity: str | None = None
    emit: Emit | None = None
    answer: AnswerEarly | None = None
    has_answered: bool = False
    frame: bytes = b""

    def __init__(self, channel: Channel, deadline: float) -> None:
        self.channel = channel
        self.deadline = deadline


class Callbacks:
    """Runs what a server calls on us, within bounds; for channels whose answers travel in requests of their own."""

    def __init__(self, service: Service | None, channel: Channel, bounds: Bounds) -> None:
        self._service = service
        self._channel = channel if service is None else adopt(channel, type(service.info))
        self._bounds = bounds
        self._in_flight = 0

    async def answer(self, message: Message) -> bytes | None:
        """The reply that is owed to a message that came, once its handler has ended; raises nothing."""
        match message:
            case Call() | Notification():
                outcome = await self._run(message)
            case BadRequest():
                return encode(Failure(id=message.id, error=message.error))
            case _:
                return None
        if isinstance(message, Notification):
            return None
        if isinstance(outcome, ErrorObject):
            return encode(Failure(id=message.id, error=outcome))
        return encode(Success(id=message.id, result=outcome))

    async def _run(self, work: Work) -> Outcome:
        if self._service is None:
            return METHOD_NOT_FOUND
        if self._in_flight >= self._bounds.max_in_flight:
            return TOO_MANY_CALLS
        seconds = self._bounds.call_seconds
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        outcome = self._service.start(work, CallbackLink(self._channel, deadline))
        if isinstance(outcome, Raw | ErrorObject):
            return outcome
        self._in_flight += 1
        try:
            with trio.CancelScope(deadline=deadline):
                return await outcome
        finally:
            self._in_flight -= 1
        return DEADLINE_EXCEEDED


class HttpChannel:
    """A server at an http:// or https:// URL. `callbacks` serves what it calls on us during a call of ours.

    `headers` go with every request, beside its id and trace (see `outgoing`); `http` is a client of your own (proxies,
    pools), which stays open at the end: where servers call back, it needs more connections than calls are under way.
    `read` is how messages are read.
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
        instance_header: str | None = None,
        read: Callable[[bytes], Message] = decode,
    ) -> None:
        self.url = url
        self.bounds = bounds or Bounds()
        self.callbacks = Callbacks(callbacks, self, self.bounds)
        if instance_header is None:
            instance_header = "Jsonrpc-Instance-Id" if callbacks is None else callbacks.info.instance_header
        self._instance_header = instance_header
        self.read = read
        self._pool = _pool(url) if http is None else None
        self._http = self._short_http = http
        if http is None and self._pool is None:
            self._http, self._short_http = make_clients(url, tls)
        self._owns_http = http is None
        self._ids = itertools.count(1)
        self._calls: set[trio.CancelScope] = set()
        self._closed = False
        self._headers = {
            "content-type": "application/json",
            "accept": f"application/json, {EVENT_STREAM}",
            **{name.lower(): value for name, value in (headers or {}).items()},
        }

    async def open(self) -> None:
        """Connections are made as they are needed."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """See Channel."""
        self._closed = True
        for scope in tuple(self._calls):
            scope.cancel()
        if self._pool is not None:
            await self._pool.aclose()
        elif self._owns_http and self._http is not None and self._short_http is not None:
            await self._http.aclose()
            await self._short_http.aclose()

    def _posting(
        self, frame: bytes, headers: Mapping[str, str], *, is_short: bool = False
    ) -> AbstractAsyncContextManager[Response]:
        if self._pool is not None:
            return self._pool.post(frame, headers, is_short=is_short)
        http = self._short_http if is_short else self._http
        assert http is not None
        return posting(http, self.url, frame, headers)

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Answer:
        """See Channel; to cancel it closes the connection, which is how the server learns of it."""
        request_id = next(self._ids)
        frame = encode(Call(id=request_id, method=method, params=params))
        return await self._until_closed(method, lambda: self._ask(method, frame, request_id, on_event))

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        frame = encode(Notification(method=method, params=params))
        await self._until_closed(method, lambda: self.post(frame, request_headers(self._headers), method))

    async def _until_closed(self, what: str, work: Callable[[], Awaitable[Result]]) -> Result:
        if self._pool is not None and not self._closed:
            # Whose connections are closed under those that wait.
            try:
                return await work()
            except TransportError:
                if not self._closed:
                    raise
        elif not self._closed:
            with trio.CancelScope() as scope:
                self._calls.add(scope)
                try:
                    return await work()
                finally:
                    self._calls.discard(scope)
        raise TransportError(f"{what}: the channel was closed")

    async def _ask(self, method: str, frame: bytes, request_id: int, on_event: OnEvent | None) -> Answer:
        headers = request_headers(self._headers)
        try:
            async with self._posting(frame, headers) as response:
                return await self._read_answer(response, headers, request_id, on_event)
        except FAULTS as error:
            raise fault_of(method, error) from error

    async def _read_answer(
        self, response: Response, headers: Mapping[str, str], request_id: int, on_event: OnEvent | None
    ) -> Answer:
        if media_type(response) == EVENT_STREAM:
            instance = response.headers.get(self._instance_header)
            reply_headers = headers if not instance else {**headers, self._instance_header: instance}
            return await _StreamedCall(self, response, request_id, on_event, reply_headers).answer()
        body = response.whole() if isinstance(response, Reply) else None
        if body is None:
            body = await read_body(response, self.bounds.max_frame_bytes)
        return self._read_whole(body, request_id, response)

    def _read_whole(self, body: bytes, request_id: int, response: Response) -> Answer:
        if len(body) > self.bounds.max_frame_bytes:
            raise _too_long(self.bounds.max_frame_bytes, response)
        return answer_of(self.read(body), request_id, response.status_code)

    # --- without a task ---------------------------------------------------------------------------

    async def watch(self) -> None:
        """See PromptChannel."""
        if self._pool is not None:
            await self._pool.watch.run()

    def call_soon(self, method: str, params: Raw, told: Told) -> Callable[[], None] | None:
        """See CallSoon."""
        pool = self._pool
        if pool is None or self._closed or not pool.watch.is_running:
            return None
        request_id = next(self._ids)
        about = about_request(self._headers)

        def take(asked: Asked) -> None:
            reply = asked.reply
            body = None if reply is None or reply.is_stream else reply.whole()
            if reply is None or body is None:
                told(partial(self._finish, method, asked, {**about, **self._headers}, request_id))
                return
            asked.done()
            try:
                answer = self._read_whole(body, request_id, reply)
            except TransportError as fault:
                told(partial(_failed, fault))
            else:
                told(answer)

        asked = pool.ask(encode(Call(id=request_id, method=method, params=params)), about, self._headers, take)
        return None if asked is None else asked.abandon

    async def _finish(self, method: str, asked: Asked, headers: Mapping[str, str], request_id: int) -> Answer:
        """The answer to what was asked without a task, and came in pieces, or not at all."""
        assert self._pool is not None
        try:
            async with self._pool.resume(asked) as response:
                return await self._read_answer(response, headers, request_id, None)
        except FAULTS as error:
            if self._closed:
                raise TransportError(f"{method}: the channel was closed") from error
            raise fault_of(method, error) from error

    async def post(self, frame: bytes, headers: Mapping[str, str], what: str) -> None:
        """Send a message that is not answered; the body of the response is dropped. Errors: TransportError."""
        try:
            async with self._posting(frame, headers, is_short=True) as response:
                # Read, so that the connection can be used again.
                await read_body(response, self.bounds.max_frame_bytes)
                if not response.is_success:
                    status = response.status_code
                    raise TransportError(f"{what}: the server answered with HTTP status {status}", status=status)
        except FAULTS as error:
            raise fault_of(what, error) from error

    async def reply(self, frame: bytes, headers: Mapping[str, str]) -> None:
        """Send the answer to a call of the server's. Errors: TransportError."""
        await self.post(frame, headers, "the answer to a callback")


async def _failed(fault: TransportError) -> Answer:
    raise fault


def fault_of(what: str, error: Exception) -> TransportError:
    """One of FAULTS as it is told to callers."""
    return TransportError(f"{what}: {why_refused(error) or str(error) or type(error).__name__}")


async def read_body(response: Response, limit: int) -> bytes:
    """The whole body. Errors: TransportError where it is larger than `limit`."""
    body = bytearray()
    async with aclosing(chunks(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit:
                raise _too_long(limit, response)
    return bytes(body)


def _too_long(limit: int, response: Response) -> MalformedAnswer:
    return MalformedAnswer(f"the answer has more than {limit} bytes", status=response.status_code)


def answer_of(message: Message, request_id: int, status: int) -> Answer:
    """The answer to the only call of a request, whatever the status says. Errors: TransportError where it is none."""
    # A server that could not read our id answers with null, and one POST holds one call.
    if isinstance(message, Success | Failure) and (message.id == request_id or _is_for_any(message)):
        return message
    if isinstance(message, BadAnswer):
        raise MalformedAnswer(
            f"the answer (HTTP status {status}) is no JSON-RPC answer: {message.reason}", status=status
        )
    raise MalformedAnswer(f"HTTP status {status} without an answer to the call", status=status)


def _is_for_any(message: Success | Failure) -> bool:
    return isinstance(message, Failure) and message.id is None


class _StreamedCall:
    """One call whose answer is a stream: events, calls of the server, and the answer itself, in any order."""

    def __init__(
        self,
        channel: HttpChannel,
        response: Response,
        request_id: int,
        on_event: OnEvent | None,
        reply_headers: Mapping[str, str],
    ) -> None:
        self._channel = channel
        self._response = response
        self._request_id = request_id
        self._on_event = on_event
        self._reply_headers = reply_headers
        self._answer: Answer | None = None
        self._fault: Exception | None = None
        self._has_rubbish = False
        self._serving = 0
        self._served = trio.lowlevel.ParkingLot()

    async def answer(self) -> Answer:
        """Read until the stream closes. Errors: TransportError, httpx's own, what `on_event` raises."""
        # Faults are carried out of the nursery by hand: it would wrap them into a group of exceptions.
        async with trio.open_nursery() as nursery:
            try:
                await self._read(nursery)
            except Exception as fault:  # noqa: BLE001 - on_event is the caller's: what it raises goes back to them
                self._fault = fault
            # The callbacks of a call that has been answered, or has failed, have nobody to answer to.
            nursery.cancel_scope.cancel()
        # Whoever has the answer and reads no events misses nothing where the rest of the stream is lost.
        is_enough = self._answer is not None and self._on_event is None
        if self._fault is not None and not (is_enough and isinstance(self._fault, TransportError | httpx.HTTPError)):
            raise self._fault
        if self._answer is not None:
            return self._answer
        status = self._response.status_code
        told = "the stream ended before the call was answered"
        if self._has_rubbish:
            raise MalformedAnswer(f"{told}, and holds an event that is not JSON", status=status)
        raise TransportError(told, status=status)

    async def _read(self, nursery: trio.Nursery) -> None:
        parser = SseParser(self._channel.bounds.max_frame_bytes)
        async with aclosing(events_of(self._response, parser)) as events:
            async for event in events:
                await self._take(event, nursery)

    async def _take(self, event: ServerSentEvent, nursery: trio.Nursery) -> None:
        if self._on_event is None and event.name != "message":
            # Nobody wants it, and it may be a keepalive, which holds no JSON.
            return
        try:
            value = parse(event.data)
        except MalformedAnswer:
            if self._on_event is not None:
                raise
            # Whoever wants the answer alone can do without; one event is as far as its damage reaches.
            self._has_rubbish = True
            _logger.debug("an event that is not JSON is skipped: %.100r", event.data)
            return
        if event.name != "message":
            await self._emit({"event": event.name, "data": value})
        elif isinstance(value, dict) and ("jsonrpc" in value or self._channel.read is not decode):
            await self._take_message(self._channel.read(event.data), nursery)
        else:
            await self._emit(value)

    async def _emit(self, event: Any) -> None:
        if self._on_event is not None:
            await self._on_event(event)

    async def _take_message(self, message: Message, nursery: trio.Nursery) -> None:
        takes_results = getattr(self._on_event, "takes_results", False)
        match message:
            case Success() | Failure():
                is_late = self._answer is not None and not takes_results
                if not is_late and (message.id == self._request_id or _is_for_any(message)):
                    self._answer = message
                    if self._on_event is None:
                        nursery.cancel_scope.deadline = trio.current_time() + END_SECONDS
                    if takes_results and isinstance(message, Success):
                        await self._emit(parse(bytes(message.result)))
            case BadAnswer():
                if self._answer is None and message.id in (self._request_id, None):
                    raise MalformedAnswer(f"the answer is no JSON-RPC answer: {message.reason}")
            case _:
                while self._serving >= self._channel.bounds.max_in_flight:
                    await self._served.park()
                self._serving += 1
                nursery.start_soon(self._serve, message, nursery)

    async def _serve(self, message: Message, nursery: trio.Nursery) -> None:
        try:
            await self._answer_callback(message, nursery)
        finally:
            self._serving -= 1
            self._served.unpark()

    async def _answer_callback(self, message: Message, nursery: trio.Nursery) -> None:
        reply = await self._channel.callbacks.answer(message)
        if reply is None:
            return
        try:
            await self._channel.reply(reply, self._reply_headers)
        except TransportError as fault:
            is_unread = isinstance(message, BadRequest) and message.id is None
            if is_unread or (fault.status is not None and 400 <= fault.status < 500):
                # The server has no use for it (any more); whether that ends the call is the server's to say.
                _logger.debug("%s", fault)
                return
            if self._fault is None:
                self._fault = fault
            nursery.cancel_scope.cancel()


def parse(data: bytes) -> Any:
    """The JSON value of an event. Errors: TransportError."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedAnswer("the stream holds an event that is not JSON") from None
