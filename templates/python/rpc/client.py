"""The base of the generated clients: typed calls over any channel, with time-outs, retries and event streams.

Knows neither transports nor methods; the generated class has one method per method of the protocol.
"""

from __future__ import annotations

import random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypeVar, cast

import anyio
import anyio.abc
import msgspec
from msgspec import UNSET, Raw, UnsetType

from .._jsonrpc import Failure
from .boundary import ValidationError
from .channel import Attempts, Channel, OnEvent, ResultEvents, attempts
from .errors import CallError, CallTimeoutError, InvalidResultError, TransportError
from .jsonvalue import Json
from .table import Method, ProtocolInfo, read_error

if TYPE_CHECKING:
    # Importing it takes as long as the rest of a small SDK.
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a call may take, its retries included, where neither client nor call says otherwise."""

MAX_BACKOFF: Final = 5.0
"""Seconds; waits between retries double up to this."""

EVENTS_AHEAD: Final = 64
"""Events kept for a reader that is slower than the stream; then the stream has to wait."""

Timeout: TypeAlias = float | UnsetType | None
"""Seconds, None for no limit, UNSET for what the client was made with."""

Event = TypeVar("Event")
Result = TypeVar("Result")


class Client:
    """Calls methods of one role of a protocol. Usable from several tasks at once, under trio and asyncio.

    `timeout` is in seconds for each call, None for none; `retries` is how often an idempotent method is tried again
    after a transport failure, with pauses that start at `backoff` seconds and double. Without `constraints` values are
    held against their types alone.
    """

    def __init__(
        self,
        info: ProtocolInfo,
        channel: Channel,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        retries: int = 2,
        backoff: float = 0.1,
        constraints: bool = True,
    ) -> None:
        self._info = info.under(constraints=constraints)
        self._channel = channel
        self._timeout = timeout
        self._retries = retries
        self._backoff = backoff

    async def __aenter__(self) -> Self:
        await self._channel.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._channel.aclose()

    async def aclose(self) -> None:
        """End the connection; calls under way fail with TransportError."""
        await self._channel.aclose()

    async def call(self, method: str, params: Json | UnsetType = UNSET, *, timeout: Timeout = UNSET) -> Json:
        """Call any method with JSON params (an object or an array) and get its JSON result, both unchecked.

        Errors: as for the typed methods, without InvalidResultError.
        """
        text = Raw() if params is UNSET else Raw(self._info.codec.encode(params))
        result = await self._exchange(method, text, None, timeout, retries=0)
        return msgspec.json.decode(result)

    async def notify(self, method: str, params: Json | UnsetType = UNSET) -> None:
        """Send any notification with JSON params, unchecked. Errors: TransportError."""
        text = Raw() if params is UNSET else Raw(self._info.codec.encode(params))
        await self._channel.notify(method, text)

    async def _request(self, name: str, params: object, timeout: Timeout) -> Any:
        """The typed result of a method of the protocol."""
        method = self._info.methods[name]
        return await self._typed(method, self._params(method, params), None, timeout)

    async def _send(self, name: str, params: object) -> None:
        """A notification of the protocol."""
        method = self._info.methods[name]
        await self._channel.notify(name, self._params(method, params))

    def _stream(self, name: str, params: object, timeout: Timeout) -> EventStream[Any, Any]:
        """A call whose events are wanted."""
        method = self._info.methods[name]
        text = self._params(method, params)

        async def run(on_event: OnEvent) -> Any:
            return await self._typed(method, text, on_event, timeout)

        return EventStream(run)

    async def _typed(self, method: Method, text: Raw, on_event: OnEvent | None, timeout: Timeout) -> Any:
        typed_event = None if on_event is None else self._reader_of_events(method, on_event)
        if typed_event is not None and method.events_are_results:
            typed_event = ResultEvents(typed_event)
        retries = self._retries if method.idempotent and on_event is None else 0
        result = await self._exchange(method.name, text, typed_event, timeout, retries=retries)
        if isinstance(typed_event, ResultEvents) and not typed_event.is_told:
            # The answer came in one piece: it is the only event.
            await typed_event(msgspec.json.decode(result))
        if method.result is None:
            return None
        try:
            return self._info.codec.decode(method.result, result)
        except ValidationError as error:
            raise InvalidResultError(method.name, error.errors) from error

    def _reader_of_events(self, method: Method, on_event: OnEvent) -> OnEvent:
        name = method.events

        async def read(event: Json) -> None:
            if name is None:
                await on_event(event)
                return
            try:
                typed = self._info.codec.from_json(name, event)
            except ValidationError as error:
                raise InvalidResultError(method.name, error.errors) from error
            await on_event(typed)

        return read

    def _params(self, method: Method, params: object) -> Raw:
        if method.params is None:
            return Raw()
        data = self._info.codec.encode_as(method.params, params)
        if method.by_position:
            return Raw(_as_array(method, data))
        return Raw(data)

    async def _exchange(
        self, name: str, params: Raw, on_event: OnEvent | None, timeout: Timeout, *, retries: int
    ) -> Raw:
        seconds = self._timeout if timeout is UNSET else timeout
        with anyio.move_on_after(seconds) as scope:
            if not retries:
                return await self._attempt(name, params, on_event, retries)
            token = attempts.set(Attempts())
            try:
                return await self._attempt(name, params, on_event, retries)
            finally:
                attempts.reset(token)
        if scope.cancelled_caught and seconds is not None:
            raise CallTimeoutError(name, seconds)
        raise AssertionError("a scope without a deadline does not expire")

    async def _attempt(self, name: str, params: Raw, on_event: OnEvent | None, retries: int) -> Raw:
        pause = self._backoff
        while True:
            try:
                answer = await self._channel.call(name, params, on_event)
            except TransportError as error:
                if not retries or not error.can_pass:
                    raise
            else:
                if isinstance(answer, Failure):
                    raise read_error(self._info, self._info.methods.get(name), answer.error)
                return answer.result
            retries -= 1
            # Spread out, so that many clients of one server do not come back together.
            await anyio.sleep(pause * (0.5 + random.random() / 2))
            pause = min(pause * 2, MAX_BACKOFF)


def _as_array(method: Method, data: bytes) -> bytes:
    """An object of params as an array; members left out at the end are left out, others become null."""
    members: dict[str, Raw] = msgspec.json.decode(data, type=dict[str, Raw])
    values = [members.get(name, Raw(b"null")) for name in method.positional]
    while values and method.positional[len(values) - 1] not in members:
        values.pop()
    return msgspec.json.encode(values)


class EventStream(Generic[Event, Result]):
    """A call under way that sends events: iterate over it for the events, then ask for the `result`.

    Use it as an async context manager; leaving it early abandons the call. Errors while iterating and from `result`:
    those of the call.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._group: anyio.abc.TaskGroup | None = None
        self._events: MemoryObjectReceiveStream[Any] | None = None
        self._result: Any = UNSET
        self._error: CallError | None = None

    async def __aenter__(self) -> Self:
        send, self._events = anyio.create_memory_object_stream[Any](EVENTS_AHEAD)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._call, send)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        group, events = self._group, self._events
        if group is None or events is None:
            raise RuntimeError("enter the stream before you leave it")
        group.cancel_scope.cancel()
        # Not told of an error in the caller's block, which it would wrap into a group of exceptions.
        await group.__aexit__(None, None, None)
        events.close()

    async def _call(self, send: MemoryObjectSendStream[Any]) -> None:
        async with send:
            try:
                self._result = await self._run(send.send)
            except CallError as error:
                self._error = error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._events is None:
            raise RuntimeError("use the stream as an async context manager")
        try:
            return cast("Event", await self._events.receive())
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None

    async def result(self) -> Result:
        """The result of the call; events that were not read yet are skipped."""
        async for _ in self:
            pass
        return cast("Result", self._result)
