"""Both sides of one connection that carries whole frames each way: calls, callbacks, cancellation, bounds.

Knows no bytes on a wire: a FrameStream brings the frames. Calls of either side are under way side by side, and are
answered in any order; `$/cancelRequest` abandons one. Events of a call travel as `$/event`, before its answer; where
more follows the answer, `$/stream` says so ahead of it, and `$/end` comes last.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from math import inf
from typing import Any, Final

import msgspec
import trio
from msgspec import UNSET, Raw, UnsetType

from protogen_runtime.dispatch import CANCEL_METHOD, STANDARD, AnswerEarly, Emit, Outcome, Service
from protogen_runtime.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Answer,
    BadAnswer,
    Call,
    ErrorObject,
    Exchange,
    Failure,
    Frame,
    FrameTooLong,
    Notification,
    Pending,
    PendingClosed,
    RequestId,
    Success,
    Work,
    encode,
)

from .channel import Bounds, Channel, FrameStream, MalformedAnswer, OnEvent, TransportError, adopt

_logger = logging.getLogger(__name__)

EVENT_METHOD: Final = "$/event"
"""Brings the member `event`, any JSON, to the caller of the call whose id is its member `id`."""
STREAM_METHOD: Final = "$/stream"
"""Announces that events follow the answer to the call `id`, up to `$/end`."""
END_METHOD: Final = "$/end"
"""Nothing more comes of the call `id`, which has been answered; `error` says why where the stream is not whole."""
_NEWS: Final = frozenset({EVENT_METHOD, STREAM_METHOD, END_METHOD})

WRITE_BYTES: Final = 65_536
"""Small frames are written together up to this, which is what a pipe holds: one write costs as much as ten frames."""

DEADLINE_EXCEEDED: Final = ErrorObject(INTERNAL_ERROR.code, "Deadline exceeded")
TOO_MANY_CALLS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many calls under way")
RESULT_TOO_LARGE: Final = ErrorObject(INTERNAL_ERROR.code, "Result too large")
UNREAD_ANSWERS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many answers wait to be read")

_NO_HEADERS: Final[Mapping[str, str]] = {}


class _CancelParams(msgspec.Struct):
    id: RequestId


class _News(msgspec.Struct):
    """What the other side tells of a call of ours."""

    id: RequestId
    event: Raw | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


_read_cancel_params = msgspec.json.Decoder(_CancelParams).decode
_read_news = msgspec.json.Decoder(_News).decode


class Ticket:
    """One call of ours: its task is woken when the answer, or the reason why there is none, is known.

    Not an Event: that costs a set and a list for each call.
    """

    __slots__ = ("answer", "is_done", "task")

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.is_done = False
        self.answer: Success | Failure | BadAnswer | None = None

    async def wait(self) -> None:
        """Wait for `finish`; called once."""
        if self.is_done:
            await trio.lowlevel.checkpoint()
            return
        self.task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self.abort)

    def abort(self, _: object) -> trio.lowlevel.Abort:
        """The caller was cancelled."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def finish(self) -> None:
        """Wake the caller."""
        self.is_done = True
        self.wake()

    def wake(self) -> None:
        """Let the caller look at what there is."""
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)
            self.task = None


class _Followed(Ticket):
    """A call of ours whose events somebody reads. `streams`: its answer is not the end of it."""

    __slots__ = ("events", "fault", "held_bytes", "is_cut", "streams")

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False
        self.streams = False
        self.events: deque[Raw] = deque()
        self.held_bytes = 0
        self.fault: TransportError | None = None

    def fail(self, fault: TransportError) -> None:
        """There will be no answer, for this reason."""
        self.fault = fault
        self.events.clear()
        self.finish()

    def cut(self, why: str) -> None:
        """What was announced to follow the answer has not all come; what has come is handed on first."""
        if not self.is_done:
            self.is_cut = True
            self.fault = TransportError(f"the stream broke off: {why}")
            self.finish()

    async def follow(self, on_event: OnEvent) -> None:
        """Hand events on until the end of the call."""
        while True:
            while self.events:
                event = self.events.popleft()
                self.held_bytes -= len(memoryview(event))
                await on_event(msgspec.json.decode(event))
            if self.is_done:
                return
            self.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self.abort)


class _Handling:
    """One call or notification of the other side; the link of its handler."""

    __slots__ = ("_is_alone", "_peer", "_work", "deadline", "frame", "has_answered", "is_ended", "scope")

    def __init__(self, peer: Peer, work: Work, frame: bytes, deadline: float, *, is_alone: bool) -> None:
        self._peer = peer
        self._work = work
        self._is_alone = is_alone
        self.frame = frame
        self.deadline = deadline
        self.has_answered = False
        self.is_ended = False
        self.scope: trio.CancelScope | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """See Link."""
        return self._peer.headers

    @property
    def identity(self) -> str | None:
        """See Link."""
        return self._peer.identity

    @property
    def channel(self) -> Channel:
        """See Link."""
        return self._peer.way_back

    @property
    def emit(self) -> Emit | None:
        """See Link."""
        return self._emit if type(self._work) is Call else None

    @property
    def answer(self) -> AnswerEarly | None:
        """See Link."""
        return self._answer if self._is_alone and type(self._work) is Call else None

    async def _emit(self, data: bytes) -> None:
        await self._tell(EVENT_METHOD, Raw(data))

    async def _answer(self, result: Raw, is_last: bool) -> None:
        if not is_last:
            # One of several results: only the last of them can be the answer to the request.
            await self._tell(EVENT_METHOD, result)
            return
        if self.has_answered:
            raise TransportError("the call has been answered")
        await self._tell(STREAM_METHOD)
        self.has_answered = True
        # The deadline was for an answer; how long a stream lasts is for its handler to say.
        self.deadline = inf
        if self.scope is not None:
            self.scope.deadline = inf
        assert isinstance(self._work, Call)
        await self._peer.send(encode(Success(id=self._work.id, result=result)), self._work.method)

    async def _tell(self, what: str, event: Raw | UnsetType = UNSET) -> None:
        if self.is_ended:
            raise TransportError("the call that could carry this has been answered")
        assert isinstance(self._work, Call)
        params = Raw(msgspec.json.encode(_News(self._work.id, event)))
        await self._peer.send(encode(Notification(method=what, params=params)), self._work.method)

    def end(self, outcome: Outcome | None) -> None:
        """The handler has ended."""
        self.is_ended = True
        if self.has_answered and isinstance(self._work, Call):
            error = outcome if isinstance(outcome, ErrorObject) else UNSET
            params = Raw(msgspec.json.encode(_News(self._work.id, error=error)))
            self._peer.post(encode(Notification(method=END_METHOD, params=params)))


class Peer:
    """One connection; `run` serves it until it ends, and meanwhile it is a Channel for calls of ours.

    `service` handles what the other side calls, None for nothing. `finish`: when the other side ends its half, what
    is under way may finish. `headers` and `identity` are what handlers are told of the other side.
    """

    def __init__(
        self,
        stream: FrameStream,
        service: Service | None = None,
        *,
        bounds: Bounds | None = None,
        finish: bool = False,
        headers: Mapping[str, str] = _NO_HEADERS,
        identity: str | None = None,
    ) -> None:
        self.headers = headers
        self.identity = identity
        self.bounds = bounds or Bounds()
        self.way_back: Channel = self if service is None else adopt(self, type(service.info))
        self._call_seconds = inf if self.bounds.call_seconds is None else self.bounds.call_seconds
        self._stream = stream
        self._service = service
        self._usage = STANDARD if service is None else service.usage
        self._finish = finish
        self._pending: Pending[Ticket] = Pending()
        self._followed: dict[RequestId, _Followed] = {}
        """Calls of ours of which there may be news."""
        numbers = itertools.count(1)
        self._ids: Iterator[int | str] = map(str, numbers) if self._usage.has_text_ids else numbers
        self._outbox: list[bytes] = []
        self._unsent_bytes = 0
        self._to_send = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._settled = trio.lowlevel.ParkingLot()
        self._scopes: dict[RequestId, trio.CancelScope] = {}
        self._in_flight = 0
        self._last_active = 0.0
        self._writer_waits = False
        self._reader_waits = False
        self._closing = False
        self._gone = False
        self._connection: trio.CancelScope | None = None
        self._ended = trio.Event()
        self._reason = "the connection has ended"

    # --- calling the other side -------------------------------------------------------------------

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Answer:
        """See Channel; returns when nothing more comes of the call. Errors: TransportError, what `on_event` raises."""
        await trio.lowlevel.checkpoint_if_cancelled()
        bounds = self.bounds
        while len(self._pending) >= bounds.max_calls and not self._ended.is_set():
            await self._settled.park()
        if self._unsent_bytes > bounds.max_unread_bytes:
            await self._wait_for_room()
        request_id = next(self._ids)
        frame = encode(Call(id=request_id, method=method, params=params))
        if len(frame) > bounds.max_frame_bytes:
            raise self._too_large(frame, method)
        ticket: Ticket
        if on_event is None:
            ticket = Ticket()
        else:
            ticket = self._followed[request_id] = _Followed()
        try:
            self._pending.add(request_id, ticket)
        except PendingClosed:
            self._followed.pop(request_id, None)
            raise TransportError(self._reason) from None
        if self._reader_waits:
            # It had stopped for the other side's sake, and must go on now: it brings our answer.
            self._room.unpark_all()
        self.post(frame)
        try:
            if on_event is None:
                # What Ticket.wait does, without a coroutine of its own: nothing can have finished it yet.
                ticket.task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(ticket.abort)
            else:
                await self._follow(request_id, method, on_event)
        finally:
            if self._settled:
                self._settled.unpark()
            # Still pending, or streaming: we were cancelled.
            is_open = self._followed.pop(request_id, None) is not None
            if not ticket.is_done and (self._pending.abandon(request_id) or is_open):
                self._tell_abandoned(request_id, method)
        if ticket.answer is None:
            raise TransportError(f"{self._reason} before {method} was answered")
        if isinstance(ticket.answer, BadAnswer):
            raise MalformedAnswer(f"the answer to {method} is no JSON-RPC answer: {ticket.answer.reason}")
        return ticket.answer

    async def _follow(self, request_id: int | str, method: str, on_event: OnEvent) -> None:
        followed = self._followed[request_id]
        await followed.follow(on_event)
        if followed.fault is not None:
            if not followed.is_cut:
                self._pending.abandon(request_id)
                self._tell_abandoned(request_id, method)
            raise followed.fault
        if getattr(on_event, "takes_results", False) and isinstance(followed.answer, Success):
            await on_event(msgspec.json.decode(followed.answer.result))

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel; returns when the notification is on its way. Errors: TransportError."""
        await self.send(encode(Notification(method=method, params=params)), method)

    async def send(self, frame: bytes, method: str) -> None:
        """Send a frame when the other side has read enough of what was sent before. Errors: TransportError."""
        if len(frame) > self.bounds.max_frame_bytes:
            raise self._too_large(frame, method)
        await trio.lowlevel.checkpoint()
        await self._wait_for_room()
        if self._gone:
            raise TransportError(self._reason)
        self.post(frame)

    async def open(self) -> None:
        """A peer is open from the start."""

    async def aclose(self) -> None:
        """Send what waits to be sent, then end the connection; returns when `run` has ended, if it has begun."""
        self._closing = True
        if self._connection is None or not self._connection.cancel_called:
            # Not where it has ended already: what waits is still to be told why.
            self._reason = "the connection was closed"
        self._to_send.unpark_all()
        if self._connection is not None:
            with trio.move_on_after(self.bounds.close_seconds):
                await self._ended.wait()
            self._connection.cancel()
        await self._stream.aclose()
        if self._connection is not None:
            await self._ended.wait()

    def _too_large(self, frame: bytes, method: str) -> TransportError:
        # The other side could not read its id, so that nobody would learn why the call has no answer.
        limit = self.bounds.max_frame_bytes
        return TransportError(f"{method}: its frame of {len(frame)} bytes is larger than max_frame_bytes, {limit}")

    def _tell_abandoned(self, request_id: RequestId, method: str) -> None:
        told = None if self._gone else self._usage.withdraw(request_id, method)
        if told is not None:
            self.post(encode(told))

    # --- the connection ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Read, serve and write until the connection ends; what is under way then is cancelled, unless `finish`."""
        if self._connection is not None:
            raise RuntimeError("a peer runs once")
        self._last_active = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                self._connection = nursery.cancel_scope
                nursery.start_soon(self._guard, self._write)
                if self.bounds.idle_seconds is not None:
                    nursery.start_soon(self._watch_idle, self.bounds.idle_seconds)
                async with trio.open_nursery() as handlers:
                    await self._guard(partial(self._read, handlers))
                    self._fail_calls()
                    self._gone = not self._finish
                    if self._finish:
                        handlers.cancel_scope.deadline = trio.current_time() + self.bounds.finish_seconds
                    else:
                        handlers.cancel_scope.cancel()
                # The writer ends, and all of this with it, when it has sent what there is.
                self._closing = True
                self._to_send.unpark_all()
        finally:
            self._fail_calls()
            self._gone = True
            self._ended.set()
            self._room.unpark_all()
            self._settled.unpark_all()

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except TransportError as fault:
            self._end(str(fault))

    def _end(self, reason: str) -> None:
        if not self._closing:
            self._reason = reason
        if self._connection is not None:
            self._connection.cancel()

    def _fail_calls(self) -> None:
        for followed in self._followed.values():
            if followed.streams and followed.answer is not None:
                followed.cut(self._reason)
        for ticket in (*self._pending.close(), *self._followed.values()):
            ticket.finish()

    async def _watch_idle(self, seconds: float) -> None:
        while True:
            await trio.sleep_until(self._last_active + seconds)
            busy = self._in_flight or len(self._pending) or self._followed or self._unsent_bytes
            if busy:
                self._last_active = trio.current_time()
            elif trio.current_time() >= self._last_active + seconds:
                self._end(f"the connection was idle for {seconds:g} s")
                return

    # --- writing ----------------------------------------------------------------------------------

    def post(self, frame: bytes) -> None:
        """Hand a frame to the writer."""
        self._outbox.append(frame)
        self._unsent_bytes += len(frame)
        if self._writer_waits:
            self._writer_waits = False
            self._to_send.unpark_all()

    async def _wait_for_room(self) -> None:
        while self._unsent_bytes > self.bounds.max_unread_bytes and not self._ended.is_set():
            await self._room.park()

    async def _write(self) -> None:
        bounds = self.bounds
        while True:
            while not self._outbox:
                if self._closing:
                    self._end(self._reason)
                    return
                self._writer_waits = True
                await self._to_send.park()
            frames, size = self._next_frames()
            with trio.move_on_after(bounds.send_seconds + size / bounds.min_bytes_per_second) as scope:
                await self._stream.send_frames(frames)
            if scope.cancelled_caught:
                raise TransportError("the other side does not read")
            self._unsent_bytes -= size
            self._last_active = trio.current_time()
            self._room.unpark_all()

    def _next_frames(self) -> tuple[list[bytes], int]:
        """What to write at once, and its size: one frame at least, and others as long as they are small together."""
        frames, size = self._outbox, self._unsent_bytes
        if size <= WRITE_BYTES:
            self._outbox = []
            return frames, size
        count = size = 0
        for frame in frames:
            if count and size + len(frame) > WRITE_BYTES:
                break
            count += 1
            size += len(frame)
        self._outbox = frames[count:]
        return frames[:count], size

    # --- reading ----------------------------------------------------------------------------------

    async def _read(self, handlers: trio.Nursery) -> None:
        limit = self.bounds.max_unread_bytes
        while (frames := await self._stream.receive_frames()) is not None:
            self._last_active = trio.current_time()
            for frame in frames:
                await self._take(frame, handlers)
                if self._unsent_bytes > limit:
                    if self._unsent_bytes > 2 * limit + self.bounds.max_frame_bytes:
                        raise TransportError("the other side sends, but does not read")
                    while self._unsent_bytes > limit and not len(self._pending) and not self._followed:
                        self._reader_waits = True
                        await self._room.park()
                    if self._reader_waits:
                        self._reader_waits = False
                        self._last_active = trio.current_time()

    async def _take(self, frame: Frame, handlers: trio.Nursery) -> None:
        if isinstance(frame, FrameTooLong):
            self.post(encode(Failure(id=None, error=INVALID_REQUEST)))
            return
        if frame[:1] == b"{":
            message = self._usage.read(frame)
            if type(message) is Call:
                self._start_alone(message, frame, handlers)
                return
            if type(message) is Success:
                self._take_answer(message)
                return
            if type(message) is Notification and message.method in _NEWS:
                self._take_news(message)
                return
            exchange = Exchange((message,), batch=False)
        else:
            exchange = self._usage.receive(frame, max_batch=self.bounds.max_batch)
        for answer in exchange.answers:
            self._take_answer(answer)
        if not exchange.work:
            self._reply(exchange.reply())
            return
        for work in exchange.work:
            if isinstance(work, Notification) and work.method == CANCEL_METHOD:
                self._cancel(work)
            elif isinstance(work, Notification) and work.method in _NEWS:
                self._take_news(work)
            else:
                self._start(exchange, work, frame, handlers)
            if exchange.is_batch:
                await trio.lowlevel.checkpoint()

    def _take_answer(self, answer: Success | Failure | BadAnswer) -> None:
        ticket = self._pending.take(answer)
        if isinstance(ticket, Ticket):
            ticket.answer = answer
            if not (isinstance(ticket, _Followed) and ticket.streams):
                ticket.finish()
        elif ticket == "unknown":
            _logger.debug("an answer to no call of ours: id %r", answer.id)

    def _take_news(self, news: Notification) -> None:
        try:
            told = _read_news(news.params)
        except msgspec.DecodeError:
            return
        followed = self._followed.get(told.id)
        if followed is None:
            _logger.debug("news of a call that nobody follows: id %r", told.id)
        elif news.method == STREAM_METHOD:
            followed.streams = True
        elif news.method == END_METHOD:
            if told.error is not UNSET:
                followed.cut(f"{told.error.message} ({told.error.code})")
            elif followed.answer is not None:
                followed.finish()
        elif told.event is not UNSET and not followed.is_done:
            followed.events.append(told.event)
            followed.held_bytes += len(memoryview(told.event))
            if followed.held_bytes > self.bounds.max_unread_bytes:
                # To stop reading would hold up every other call, those that this reader may wait for included.
                limit = self.bounds.max_unread_bytes
                followed.fail(TransportError(f"the events of a call are not read: {limit} bytes of them wait"))
            else:
                followed.wake()

    def _cancel(self, work: Notification) -> None:
        try:
            request_id = _read_cancel_params(work.params).id
        except msgspec.DecodeError:
            return
        scope = self._scopes.get(request_id)
        if scope is not None:
            scope.cancel()

    def _start_alone(self, call: Call, frame: bytes, handlers: trio.Nursery) -> None:
        """What `_start` does, for the call that is a frame by itself: nearly all of them."""
        handling = _Handling(self, call, frame, self._deadline(), is_alone=True)
        outcome = self._begin(call, handling)
        if type(outcome) is Raw:
            if len(memoryview(outcome)) <= self.bounds.max_frame_bytes:
                self.post(encode(Success(id=call.id, result=outcome)))
                return
            outcome = RESULT_TOO_LARGE
        if isinstance(outcome, ErrorObject):
            self.post(encode(Failure(id=call.id, error=outcome)))
        else:
            self._in_flight += 1
            handlers.start_soon(self._serve, Exchange((call,), batch=False), call, outcome, handling)

    def _begin(self, work: Work, handling: _Handling) -> Outcome | Awaitable[Outcome]:
        """The outcome, or what gives it."""
        if self._in_flight >= self.bounds.max_in_flight:
            return TOO_MANY_CALLS
        if self._unsent_bytes > self.bounds.max_unread_bytes:
            return UNREAD_ANSWERS
        if self._service is None:
            return METHOD_NOT_FOUND
        return self._service.start(work, handling)

    def _deadline(self) -> float:
        # From when the frame was read: the clock is asked once for all that came with it.
        return self._last_active + self._call_seconds

    def _start(self, exchange: Exchange, work: Work, frame: bytes, handlers: trio.Nursery) -> None:
        handling = _Handling(self, work, frame, self._deadline(), is_alone=not exchange.is_batch)
        outcome = self._begin(work, handling)
        if not isinstance(outcome, Raw | ErrorObject):
            self._in_flight += 1
            handlers.start_soon(self._serve, exchange, work, outcome, handling)
            return
        if isinstance(work, Call):
            self._settle(exchange, work, outcome)

    def _settle(self, exchange: Exchange, work: Call, outcome: Outcome) -> None:
        if isinstance(outcome, Raw) and len(memoryview(outcome)) > self.bounds.max_frame_bytes:
            outcome = RESULT_TOO_LARGE
        self._reply(exchange.settle(work, outcome))

    async def _serve(self, exchange: Exchange, work: Work, running: Awaitable[Outcome], handling: _Handling) -> None:
        outcome: Outcome | None = None
        request_id = work.id if isinstance(work, Call) else None
        with trio.CancelScope(deadline=handling.deadline) as scope:
            handling.scope = scope
            if request_id is not None:
                self._scopes[request_id] = scope
            try:
                outcome = await running
            finally:
                self._in_flight -= 1
                if self._scopes.get(request_id) is scope:
                    del self._scopes[request_id]
                handling.end(outcome)
        if not isinstance(work, Call) or handling.has_answered:
            return
        if outcome is None and trio.current_time() >= handling.deadline:
            outcome = DEADLINE_EXCEEDED
        if outcome is None:
            # The caller abandoned the call, and expects no answer.
            self._reply(exchange.abandon(work))
        else:
            self._settle(exchange, work, outcome)

    def _reply(self, data: bytes | None) -> None:
        if data is not None:
            self.post(data)


class PeerChannel:
    """A Channel over a duplex transport, whose `connect` gives its frames; `callbacks` serves what comes back.

    Open and close it in the same task, and in the same cancel scope; calls may come from any task between.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[FrameStream]],
        *,
        callbacks: Service | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._connect = connect
        self._callbacks = callbacks
        self._bounds = bounds
        self._peer: Peer | None = None
        self._manager: Any = None
        self._scope: trio.CancelScope | None = None

    async def open(self) -> None:
        """Connect. Errors: TransportError; RuntimeError where it was opened before."""
        if self._peer is not None:
            raise RuntimeError("a channel can be opened once")
        self._peer = Peer(await self._connect(), self._callbacks, bounds=self._bounds)
        self._manager = trio.open_nursery()
        nursery: trio.Nursery = await self._manager.__aenter__()
        self._scope = nursery.cancel_scope
        nursery.start_soon(self._peer.run)

    async def aclose(self) -> None:
        """See Channel."""
        manager, peer, scope = self._manager, self._peer, self._scope
        if manager is None or peer is None or scope is None:
            return
        self._manager = None
        try:
            with trio.CancelScope(shield=True):
                await peer.aclose()
        finally:
            # Outside the shield: a nursery is left in the scope in which it was entered.
            scope.cancel()
            await manager.__aexit__(None, None, None)

    # The peer's own coroutines: one more around each of them would be resumed whenever they are.

    def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Coroutine[Any, Any, Answer]:
        """See Channel."""
        return self._connected().call(method, params, on_event)

    def notify(self, method: str, params: Raw) -> Coroutine[Any, Any, None]:
        """See Channel."""
        return self._connected().notify(method, params)

    def _connected(self) -> Peer:
        if self._peer is None:
            raise RuntimeError("open the channel first: use the client as an async context manager")
        return self._peer
