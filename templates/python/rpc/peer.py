"""Both sides of one connection that carries a frame at a time in each direction: stdio, or a pair in memory.

Knows no bytes on a wire: a FrameStream brings whole frames. Calls of either side are under way side by side.
"""

from __future__ import annotations

import itertools
from typing import Final, Protocol

import anyio
import anyio.abc
import msgspec
from msgspec import Raw

from .._jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
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
    receive,
)
from .channel import OnEvent
from .dispatch import CANCEL_METHOD, Dispatcher, Link, Outcome, is_cancellation
from .errors import TransportError

MAX_UNDER_WAY: Final = 1024
"""Messages of the other side that are handled at once; a call beyond them is refused, so that memory is bounded."""

CANCEL_SECONDS: Final = 1.0
"""How long telling the other side that a call is abandoned may take, when it does not read."""

FRAMES_AHEAD: Final = 16
"""Frames that may wait for the writer; then those who send wait themselves."""

DRAIN_SECONDS: Final = 1.0
"""How long handlers may go on after the input has ended: what was asked is still answered where it takes no longer."""

FLUSH_SECONDS: Final = 1.0
"""How long what waits to be written may take at the end of a connection."""


class FrameStream(Protocol):
    """Whole frames in both directions."""

    async def send_frame(self, frame: bytes) -> None:
        """Send one frame; one at a time, cancelled only where the connection ends. Errors: TransportError."""
        ...

    async def receive_frames(self) -> list[Frame] | None:
        """The next frames, None at the end of the stream. Errors: TransportError."""
        ...

    async def aclose(self) -> None:
        """End both directions."""
        ...


class _Ticket:
    """One call of ours: set when its answer, or the reason why there is none, is known."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Success | Failure | BadAnswer | None = None


class Peer:
    """One connection; `run` serves it until the other side ends it. A Channel for calls of ours meanwhile."""

    def __init__(self, stream: FrameStream, dispatcher: Dispatcher | None) -> None:
        self._stream = stream
        self._dispatcher = dispatcher
        self._pending: Pending[_Ticket] = Pending()
        self._ids = itertools.count(1)
        self._queue, self._queued = anyio.create_memory_object_stream[bytes](FRAMES_AHEAD)
        self._written = anyio.Event()
        self._scopes: dict[RequestId, anyio.CancelScope] = {}
        self._under_way = 0
        self._link = Link(channel=self)

    async def run(self) -> None:
        """Read and serve until the stream ends; what is under way then may end within DRAIN_SECONDS."""
        try:
            async with anyio.create_task_group() as connection:
                connection.start_soon(self._write, connection.cancel_scope)
                async with anyio.create_task_group() as handlers:
                    while (frames := await self._next_frames()) is not None:
                        for frame in frames:
                            await self._take(frame, handlers)
                    self._release()
                    handlers.cancel_scope.deadline = anyio.current_time() + DRAIN_SECONDS
                await self._flush()
                connection.cancel_scope.cancel()
        finally:
            self._queue.close()
            self._queued.close()
            self._written.set()
            self._release()

    def _release(self) -> None:
        """Our calls will not be answered any more."""
        for ticket in self._pending.close():
            ticket.done.set()

    async def _write(self, connection: anyio.CancelScope) -> None:
        # One task writes: a sender that is cancelled in the middle of a frame would leave half of it on the wire.
        async for frame in self._queued:
            try:
                await self._stream.send_frame(frame)
            except TransportError:
                connection.cancel()
                return
        self._written.set()

    async def _flush(self) -> None:
        self._queue.close()
        with anyio.move_on_after(FLUSH_SECONDS):
            await self._written.wait()

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """See Channel; a connection of frames carries no events, so that `on_event` is never told any."""
        del on_event
        request_id = next(self._ids)
        ticket = _Ticket()
        try:
            self._pending.add(request_id, ticket)
        except PendingClosed:
            raise TransportError("the connection has ended") from None
        try:
            await self._send(encode(Call(id=request_id, method=method, params=params)))
            await ticket.done.wait()
        finally:
            # Still pending: we were cancelled, or could not send.
            if self._pending.abandon(request_id):
                await self._tell_abandoned(request_id)
        if ticket.answer is None:
            raise TransportError(f"the connection ended before {method} was answered")
        if isinstance(ticket.answer, BadAnswer):
            raise TransportError(f"the answer to {method} is no JSON-RPC answer: {ticket.answer.reason}")
        return ticket.answer

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        await self._send(encode(Notification(method=method, params=params)))

    async def open(self) -> None:
        """A peer is open from the start."""

    async def aclose(self) -> None:
        """See Channel; what waits to be written is written first."""
        await self._flush()
        await self._stream.aclose()

    async def _send(self, frame: bytes) -> None:
        try:
            await self._queue.send(frame)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise TransportError("the connection has ended") from None

    async def _next_frames(self) -> list[Frame] | None:
        try:
            return await self._stream.receive_frames()
        except TransportError:
            return None

    async def _tell_abandoned(self, request_id: int) -> None:
        note = Notification(method=CANCEL_METHOD, params=Raw(msgspec.json.encode({"id": request_id})))
        with anyio.move_on_after(CANCEL_SECONDS, shield=True):
            try:
                await self._send(encode(note))
            except TransportError:
                return

    async def _take(self, frame: Frame, group: anyio.abc.TaskGroup) -> None:
        if isinstance(frame, FrameTooLong):
            await self._reply(encode(Failure(id=None, error=INVALID_REQUEST)))
            return
        exchange = receive(frame)
        for answer in exchange.answers:
            ticket = self._pending.take(answer)
            if isinstance(ticket, _Ticket):
                ticket.answer = answer
                ticket.done.set()
        if not exchange.work:
            await self._reply(exchange.reply())
            return
        for work in exchange.work:
            if is_cancellation(work):
                self._cancel(work)
            elif self._under_way < MAX_UNDER_WAY:
                self._under_way += 1
                group.start_soon(self._serve, exchange, work)
            elif isinstance(work, Call):
                await self._reply(exchange.settle(work, ErrorObject(INTERNAL_ERROR.code, "Too many calls under way")))

    def _cancel(self, work: Work) -> None:
        try:
            request_id = msgspec.json.decode(work.params, type=dict[str, str | int | float | None]).get("id")
        except msgspec.DecodeError:
            return
        scope = self._scopes.get(request_id)
        if scope is not None:
            scope.cancel()

    async def _serve(self, exchange: Exchange, work: Work) -> None:
        try:
            if isinstance(work, Notification):
                if self._dispatcher is not None:
                    await self._dispatcher.run(work, self._link)
                return
            await self._answer(exchange, work)
        finally:
            self._under_way -= 1

    async def _answer(self, exchange: Exchange, work: Call) -> None:
        if self._dispatcher is None:
            await self._reply(exchange.settle(work, METHOD_NOT_FOUND))
            return
        outcome: Outcome | None = None
        with anyio.CancelScope() as scope:
            self._scopes[work.id] = scope
            try:
                outcome = await self._dispatcher.run(work, self._link)
            finally:
                if self._scopes.get(work.id) is scope:
                    del self._scopes[work.id]
        # No outcome: the caller abandoned the call, and expects none.
        await self._reply(exchange.abandon(work) if outcome is None else exchange.settle(work, outcome))

    async def _reply(self, data: bytes | None) -> None:
        if data is None:
            return
        try:
            await self._send(data)
        except TransportError:
            return  # the reading side sees the end of the stream
