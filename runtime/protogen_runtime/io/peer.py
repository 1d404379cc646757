"""Both sides of one connection that carries whole frames each way: calls, callbacks, cancellation, bounds.

Knows no bytes on a wire: a FrameStream brings the frames. Calls of either side are under way side by side, and are
answered in any order; `$/cancelRequest` abandons one.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from math import inf
from typing import Any, Final

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import AnswerEarly, Emit, Outcome, Service
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
    decode,
    encode,
    receive,
)

from .channel import Bounds, Channel, FrameStream, OnEvent, TransportError, adopt

_logger = logging.getLogger(__name__)

CANCEL_METHOD: Final = "$/cancelRequest"
"""Abandons the call whose id is its member `id`."""

WRITE_BYTES: Final = 65_536
"""Small frames are written together up to this, which is what a pipe holds: one write costs as much as ten frames."""

DEADLINE_EXCEEDED: Final = ErrorObject(INTERNAL_ERROR.code, "Deadline exceeded")
TOO_MANY_CALLS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many calls under way")
RESULT_TOO_LARGE: Final = ErrorObject(INTERNAL_ERROR.code, "Result too large")
UNREAD_ANSWERS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many answers wait to be read")

_NO_HEADERS: Final[Mapping[str, str]] = {}


class _CancelParams(msgspec.Struct):
    id: RequestId


_read_cancel_params = msgspec.json.Decoder(_CancelParams).decode


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
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)
            self.task = None


class _Handling:
    """One call or notification of the other side; the link of its handler."""

    __slots__ = ("_peer", "deadline")

    def __init__(self, peer: Peer, deadline: float) -> None:
        self._peer = peer
        self.deadline = deadline

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
        """See Link; a connection of frames carries no events."""
        return None

    @property
    def answer(self) -> AnswerEarly | None:
        """See Link; an answer is one frame."""
        return None

    @property
    def frame(self) -> bytes:
        """See Link."""
        return b""


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
        self._finish = finish
        self._pending: Pending[Ticket] = Pending()
        self._ids = itertools.count(1)
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
        """See Channel; no events come this way, so `on_event` is never told any. Errors: TransportError."""
        del on_event
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
        ticket = Ticket()
        try:
            self._pending.add(request_id, ticket)
        except PendingClosed:
            raise TransportError(self._reason) from None
        if self._reader_waits:
            # It had stopped for the other side's sake, and must go on now: it brings our answer.
            self._room.unpark_all()
        self._post(frame)
        try:
            # What Ticket.wait does, without a coroutine of its own: nothing can have finished it yet.
            ticket.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(ticket.abort)
        finally:
            if self._settled:
                self._settled.unpark()
            # Still pending: we were cancelled.
            if not ticket.is_done and self._pending.abandon(request_id):
                self._tell_abandoned(request_id)
        if ticket.answer is None:
            raise TransportError(f"{self._reason} before {method} was answered")
        if isinstance(ticket.answer, BadAnswer):
            raise TransportError(f"the answer to {method} is no JSON-RPC answer: {ticket.answer.reason}")
        return ticket.answer

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel; returns when the notification is on its way. Errors: TransportError."""
        frame = encode(Notification(method=method, params=params))
        if len(frame) > self.bounds.max_frame_bytes:
            raise self._too_large(frame, method)
        await trio.lowlevel.checkpoint()
        await self._wait_for_room()
        if self._gone:
            raise TransportError(self._reason)
        self._post(frame)

    async def open(self) -> None:
        """A peer is open from the start."""

    async def aclose(self) -> None:
        """Send what waits to be sent, then end the connection; returns when `run` has ended, if it has begun."""
        self._closing = True
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

    def _tell_abandoned(self, request_id: int) -> None:
        if not self._gone:
            params = Raw(msgspec.json.encode(_CancelParams(request_id)))
            self._post(encode(Notification(method=CANCEL_METHOD, params=params)))

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
        for ticket in self._pending.close():
            ticket.finish()

    async def _watch_idle(self, seconds: float) -> None:
        while True:
            await trio.sleep_until(self._last_active + seconds)
            busy = self._in_flight or len(self._pending) or self._unsent_bytes
            if busy:
                self._last_active = trio.current_time()
            elif trio.current_time() >= self._last_active + seconds:
                self._end(f"the connection was idle for {seconds:g} s")
                return

    # --- writing ----------------------------------------------------------------------------------

    def _post(self, frame: bytes) -> None:
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
                    while self._unsent_bytes > limit and not len(self._pending):
                        self._reader_waits = True
                        await self._room.park()
                    if self._reader_waits:
                        self._reader_waits = False
                        self._last_active = trio.current_time()

    async def _take(self, frame: Frame, handlers: trio.Nursery) -> None:
        if isinstance(frame, FrameTooLong):
            self._post(encode(Failure(id=None, error=INVALID_REQUEST)))
            return
        if frame[:1] == b"{":
            message = decode(frame)
            if type(message) is Call:
                self._start_alone(message, handlers)
                return
            if type(message) is Success:
                self._take_answer(message)
                return
            exchange = Exchange((message,), batch=False)
        else:
            exchange = receive(frame, max_batch=self.bounds.max_batch)
        for answer in exchange.answers:
            self._take_answer(answer)
        if not exchange.work:
            self._reply(exchange.reply())
            return
        for work in exchange.work:
            if isinstance(work, Notification) and work.method == CANCEL_METHOD:
                self._cancel(work)
            else:
                self._start(exchange, work, handlers)
            if exchange.is_batch:
                await trio.lowlevel.checkpoint()

    def _take_answer(self, answer: Success | Failure | BadAnswer) -> None:
        ticket = self._pending.take(answer)
        if isinstance(ticket, Ticket):
            ticket.answer = answer
            ticket.finish()
        elif ticket == "unknown":
            _logger.debug("an answer to no call of ours: id %r", answer.id)

    def _cancel(self, work: Notification) -> None:
        try:
            request_id = _read_cancel_params(work.params).id
        except msgspec.DecodeError:
            return
        scope = self._scopes.get(request_id)
        if scope is not None:
            scope.cancel()

    def _start_alone(self, call: Call, handlers: trio.Nursery) -> None:
        """What `_start` does, for the call that is a frame by itself: nearly all of them."""
        outcome = self._begin(call)
        if type(outcome) is Raw:
            if len(memoryview(outcome)) <= self.bounds.max_frame_bytes:
                self._post(encode(Success(id=call.id, result=outcome)))
                return
            outcome = RESULT_TOO_LARGE
        if isinstance(outcome, ErrorObject):
            self._post(encode(Failure(id=call.id, error=outcome)))
        else:
            self._in_flight += 1
            handlers.start_soon(self._serve, Exchange((call,), batch=False), call, outcome, self._deadline())

    def _begin(self, work: Work) -> Outcome | Awaitable[Outcome]:
        """The outcome, or what gives it."""
        if self._in_flight >= self.bounds.max_in_flight:
            return TOO_MANY_CALLS
        if self._unsent_bytes > self.bounds.max_unread_bytes:
            return UNREAD_ANSWERS
        if self._service is None:
            return METHOD_NOT_FOUND
        return self._service.start(work, _Handling(self, self._last_active + self._call_seconds))

    def _deadline(self) -> float:
        # From when the frame was read: the clock is asked once for all that came with it.
        return self._last_active + self._call_seconds

    def _start(self, exchange: Exchange, work: Work, handlers: trio.Nursery) -> None:
        outcome = self._begin(work)
        if not isinstance(outcome, Raw | ErrorObject):
            self._in_flight += 1
            handlers.start_soon(self._serve, exchange, work, outcome, self._deadline())
            return
        if isinstance(work, Call):
            self._settle(exchange, work, outcome)

    def _settle(self, exchange: Exchange, work: Call, outcome: Outcome) -> None:
        if isinstance(outcome, Raw) and len(memoryview(outcome)) > self.bounds.max_frame_bytes:
            outcome = RESULT_TOO_LARGE
        self._reply(exchange.settle(work, outcome))

    async def _serve(self, exchange: Exchange, work: Work, running: Awaitable[Outcome], deadline: float) -> None:
        outcome: Outcome | None = None
        request_id = work.id if isinstance(work, Call) else None
        with trio.CancelScope(deadline=deadline) as scope:
            if request_id is not None:
                self._scopes[request_id] = scope
            try:
                outcome = await running
            finally:
                self._in_flight -= 1
                if self._scopes.get(request_id) is scope:
                    del self._scopes[request_id]
        if not isinstance(work, Call):
            return
        if outcome is None and trio.current_time() >= deadline:
            outcome = DEADLINE_EXCEEDED
        if outcome is None:
            # The caller abandoned the call, and expects no answer.
            self._reply(exchange.abandon(work))
        else:
            self._settle(exchange, work, outcome)

    def _reply(self, data: bytes | None) -> None:
        if data is not None:
            self._post(data)


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
