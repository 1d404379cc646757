"""The handling of one request whose handlers wait: its tasks, its deadline, its stream of events, its calls back.

Knows no sockets: whoever owns the connection gives a Responder and cancels the handling when the client has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from math import inf
from typing import Any, Final, Protocol

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import AnswerEarly, Channel, Emit, OnEvent, Outcome, Service, Telling
from protogen_runtime.dispatch.channels import TransportError
from protogen_runtime.jsonrpc import (
    INTERNAL_ERROR,
    Call,
    ErrorObject,
    Exchange,
    Failure,
    Notification,
    Success,
    Work,
    encode,
    encode_event,
)

from .callbacks import Callbacks
from .deadlines import Deadlines
from .limits import Limits
from .messages import ACCEPTED, STREAM_TYPE, Headers, Reply, Request

DEADLINE_EXCEEDED: Final = ErrorObject(INTERNAL_ERROR.code, "Deadline exceeded")


class Host(Protocol):
    """What a handling needs of the endpoint that began it."""

    in_flight: int

    @property
    def service(self) -> Service:
        """Whose handlers run."""
        ...

    @property
    def limits(self) -> Limits:
        """The bounds."""
        ...

    @property
    def deadlines(self) -> Deadlines:
        """The table of deadlines."""
        ...

    @property
    def callbacks(self) -> Callbacks:
        """The calls back that wait."""
        ...

    def marks(self, request: Request) -> Headers:
        """What every answer to the request carries."""
        ...


class Responder(Protocol):
    """One way to answer one request: whole, or as a stream."""

    async def reply(self, reply: Reply | bytes) -> None:
        """Send a whole answer; bytes are JSON with the status 200."""
        ...

    async def begin_stream(self, status: int, headers: Headers, first: bytes = b"") -> None:
        """Send the head of a stream, and its first piece."""
        ...

    async def send(self, data: bytes) -> None:
        """Send a piece of it; returns when the peer's window has taken it."""
        ...

    async def end(self, last: bytes = b"") -> None:
        """Send the last piece of it, and end it."""
        ...

    async def abort(self) -> None:
        """End the connection in the middle of a stream, so that the client sees that something is missing."""
        ...


class _NamedEvent(msgspec.Struct, forbid_unknown_fields=True):
    """The form of an event that can travel under its own name without loss."""

    event: str
    data: Raw


_read_named_event = msgspec.json.Decoder(_NamedEvent).decode


class Handling:
    """One request; it is the link of its handlers, and the Channel that reaches their caller."""

    # Defaults of the class in place of slots: most calls are answered at once, and set three of these.
    _call: Work | None = None
    _running: Coroutine[Any, Any, Outcome] | None = None
    _exchange: Exchange | None = None
    _open: Sequence[Call] = ()
    _responder: Responder
    _is_sending = False
    # Made for the first who has to wait: whoever sends is done at once, unless the client reads slowly.
    _turns: trio.lowlevel.ParkingLot | None = None
    _streaming = False
    _answered = False
    _ended = False
    _timed_out = False
    _is_cut = False
    _takes_stream: bool | None = None
    _parked: tuple[Telling, Callable[[], None]] | None = None
    scope: trio.CancelScope

    def __init__(self, endpoint: Host, request: Request) -> None:
        self._endpoint = endpoint
        self._request = request
        self.deadline: float = endpoint.deadlines.after(endpoint.limits.call_seconds)

    # --- what handlers see ------------------------------------------------------------------------

    @property
    def headers(self) -> Mapping[str, str]:
        """See Link."""
        return self._request.text_headers()

    @property
    def identity(self) -> str | None:
        """See Link."""
        return self._request.identity

    @property
    def channel(self) -> Channel:
        """See Link."""
        return self

    @property
    def emit(self) -> Emit | None:
        """See Link; a notification gets an empty answer, which carries no events."""
        return self._emit if self._owes_answer() and self._accepts_stream() else None

    @property
    def answer(self) -> AnswerEarly | None:
        """See Link."""
        return self._answer if isinstance(self._call, Call) and self._accepts_stream() else None

    @property
    def has_answered(self) -> bool:
        """See Link."""
        return self._answered

    @property
    def frame(self) -> bytes:
        """See Link."""
        return bytes(self._request.body)

    # --- running ----------------------------------------------------------------------------------

    def hold(self, work: Work, running: Coroutine[Any, Any, Outcome]) -> None:
        """Take over a single call whose handler waits."""
        self._call = work
        self._running = running

    def hold_batch(self, exchange: Exchange) -> None:
        """Take over a batch."""
        self._exchange = exchange
        self._open = [work for work in exchange.work if isinstance(work, Call)]

    def drop(self) -> None:
        """It will not be run after all."""
        if self._running is not None:
            self._running.close()

    def park(self, answer: Callable[[bytes], None], wake: Callable[[], None]) -> bool:
        """Leave it to whoever knows the outcome to call `answer`, where that can be; else, and after `unpark`, it must
        be run. `wake` is called when that is due. Neither may raise.
        """
        call, running = self._call, self._running
        if not isinstance(running, Telling) or not isinstance(call, Call):
            return False

        def settle(outcome: Outcome) -> None:
            self._leave()
            self._parked = self._running = None
            answer(encode_outcome(call, outcome) or b"")

        self._parked = (running, wake)
        self._endpoint.deadlines.add(self)
        self._endpoint.in_flight += 1
        running.tell(settle)
        return True

    def unpark(self) -> None:
        """It is going to be run or dropped."""
        if self._parked is not None:
            self._leave()
            self._parked[0].tell(None)
            self._parked = None

    def _leave(self) -> None:
        self._endpoint.in_flight -= 1
        self._endpoint.deadlines.discard(self)

    def expire(self, now: float) -> None:
        """Called by the sweeper when the deadline has passed."""
        if self._parked is not None:
            # It is run first, and asked again at the next tick.
            self._parked[1]()
            return
        self.deadline = now + 3600
        self._timed_out = True
        self.scope.cancel()

    async def run(self, responder: Responder) -> None:
        """Do the work and answer; cancel `scope` when the client has gone. Errors: those of the responder."""
        self._responder = responder
        self.scope = trio.CancelScope()
        endpoint = self._endpoint
        endpoint.deadlines.add(self)
        endpoint.in_flight += 1
        reply: bytes | Reply | None = None
        try:
            with self.scope:
                reply = await (self._one() if self._exchange is None else self._batch(self._exchange))
        finally:
            self._leave()
        if self.scope.cancelled_caught:
            if not self._timed_out:
                return
            reply = self._late()
        await self._finish(reply)

    async def _one(self) -> bytes | Reply | None:
        # Let go of: the coroutine refers to this link, and the collector need not undo a circle for each call.
        running, self._running = self._running, None
        assert running is not None
        outcome = await running
        if isinstance(outcome, ErrorObject):
            self._is_cut = self._answered
            return self.refusal(self._call, outcome)
        return encode_outcome(self._call, outcome)

    def refusal(self, work: Work | None, error: ErrorObject) -> bytes | Reply | None:
        """An error in the form in which its call is answered, None for a notification.

        Where events are answers to the request, and the caller names their media type, it is the one event of a
        stream: readers of streams look at nothing else (A2A 0.3, 7.2: each event is a SendStreamingMessageResponse,
        which may be an error).
        """
        reply = encode_outcome(work, error)
        if reply is None or work is None or self._streaming:
            return reply
        method = self._endpoint.service.info.methods.get(work.method)
        if method is None or not method.events_are_results or STREAM_TYPE not in self._accepted():
            return reply
        return Reply(200, encode_event(reply), ((b"content-type", STREAM_TYPE), (b"cache-control", b"no-cache")))

    async def _batch(self, exchange: Exchange) -> bytes | None:
        async with trio.open_nursery() as nursery:
            for work in exchange.work:
                outcome = self._endpoint.service.start(work, self)
                if isinstance(outcome, Raw | ErrorObject):
                    self._settle(exchange, work, outcome)
                    # Between members others get their turn.
                    await trio.lowlevel.checkpoint()
                else:
                    nursery.start_soon(self._member, exchange, work, outcome)
        return exchange.reply()

    async def _member(self, exchange: Exchange, work: Work, running: Coroutine[Any, Any, Outcome]) -> None:
        self._settle(exchange, work, await running)

    def _settle(self, exchange: Exchange, work: Work, outcome: Outcome) -> None:
        if isinstance(work, Call):
            exchange.settle(work, outcome)
            self._open = [call for call in self._open if call is not work]

    def _late(self) -> bytes | Reply | None:
        """The answer when the deadline has passed: what is known, and an error for what is not."""
        exchange = self._exchange
        if exchange is None:
            return self.refusal(self._call, DEADLINE_EXCEEDED)
        for work in self._open:
            self._settle(exchange, work, DEADLINE_EXCEEDED)
        return exchange.reply()

    # --- answering --------------------------------------------------------------------------------

    async def _finish(self, reply: bytes | Reply | None) -> None:
        await self._take_turn()
        try:
            self._ended = True
            if not self._streaming:
                await self._responder.reply(ACCEPTED if reply is None else reply)
            elif self._is_cut:
                # The answer has been sent, so that nothing else can say that the stream is not whole.
                await self._responder.abort()
            else:
                owed = reply if isinstance(reply, bytes) and not self._answered else None
                await self._responder.end(b"" if owed is None else _event(owed))
        finally:
            self._give_turn()

    async def _take_turn(self) -> None:
        """Wait until nobody sends."""
        if self._is_sending:
            if self._turns is None:
                self._turns = trio.lowlevel.ParkingLot()
            # Whoever ends hands its turn on.
            await self._turns.park()
        self._is_sending = True

    def _give_turn(self) -> None:
        if self._turns:
            self._turns.unpark()
        else:
            self._is_sending = False

    async def _send_event(self, data: bytes, *, name: str | None = None) -> None:
        await self._take_turn()
        try:
            if self._ended:
                raise TransportError("the call that could carry this has been answered")
            event = _event(data) if name is None else encode_event(data, name=name)
            if self._streaming:
                await self._responder.send(event)
                return
            self._streaming = True
            callbacks = self._endpoint.callbacks
            await self._responder.begin_stream(
                200, (*callbacks.stream_headers, *self._endpoint.marks(self._request)), event
            )
        finally:
            self._give_turn()

    async def _emit(self, data: bytes) -> None:
        try:
            event = _read_named_event(data)
        except msgspec.ValidationError:
            await self._send_event(data)
            return
        if event.event in ("", "message") or any(char in event.event for char in "\r\n\0"):
            await self._send_event(data)
        else:
            await self._send_event(bytes(event.data), name=event.event)

    async def _answer(self, result: Raw, is_last: bool) -> None:
        if self._answered:
            raise TransportError("the call has been answered")
        assert isinstance(self._call, Call)
        self._answered = is_last
        # The deadline was for an answer; how long a stream lasts is for its handler to say.
        self.deadline = inf
        await self._send_event(encode(Success(id=self._call.id, result=result)))

    def _owes_answer(self) -> bool:
        if self._exchange is None:
            return not isinstance(self._call, Notification)
        return any(isinstance(work, Call) for work in self._exchange.work)

    def _accepts_stream(self) -> bool:
        if self._takes_stream is None:
            self._takes_stream = not self._accepted().isdisjoint((STREAM_TYPE, b"text/*", b"*/*"))
        return self._takes_stream

    def _accepted(self) -> set[bytes]:
        accept = self._request.headers.get(b"accept", b"*/*").lower()
        return {part.partition(b";")[0].strip() for part in accept.split(b",")}

    # --- calling back -----------------------------------------------------------------------------

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """See Channel; the answer to a call back carries no events. Errors: TransportError."""
        del on_event
        answer = await self.call_within(method, params, inf)
        assert answer is not None
        return answer

    async def call_within(self, method: str, params: Raw, seconds: float) -> Success | Failure | None:
        """The answer to a call back; None where none came in time. Errors: TransportError."""
        self._require_stream(method)
        endpoint = self._endpoint
        callbacks, deadlines = endpoint.callbacks, endpoint.deadlines
        request_id, ticket = callbacks.add()
        ticket.deadline = deadlines.after(seconds)
        deadlines.add(ticket)
        try:
            await self._send_event(encode(Call(id=request_id, method=method, params=params)))
            answer = await ticket.wait()
        finally:
            deadlines.discard(ticket)
            if not ticket.is_answered:
                callbacks.abandon(request_id)
        if answer is None or type(answer) is Success or type(answer) is Failure:
            return answer
        raise TransportError(f"the answer to {method} is no JSON-RPC answer")

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel. Errors: TransportError."""
        self._require_stream(method)
        await self._send_event(encode(Notification(method=method, params=params)))

    async def open(self) -> None:
        """The request is the connection."""

    async def aclose(self) -> None:
        """The connection ends with the answer."""

    def _require_stream(self, method: str) -> None:
        if not (self._accepts_stream() and self._owes_answer()):
            raise TransportError(f"{method}: the caller does not accept text/event-stream")


def _event(data: bytes) -> bytes:
    """An event without a name: most are one line."""
    return encode_event(data) if b"\n" in data or b"\r" in data else b"data: %b\n\n" % data


def encode_outcome(work: Work | None, outcome: Outcome) -> bytes | None:
    """The reply to one call, None to a notification."""
    if not isinstance(work, Call):
        return None
    if isinstance(outcome, ErrorObject):
        return encode(Failure(id=work.id, error=outcome))
    return encode(Success(id=work.id, result=outcome))
