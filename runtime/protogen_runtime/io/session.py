"""JSON-RPC over HTTP with a session: a stream of server-sent events to the client, POSTs with answers from it.

`GET` of the events path begins a session and names its endpoint in the event `endpoint`. A call is a POST to the
endpoint, answered in the body of its response; what the server calls comes as an event `message`, and its answer is
another POST. An ASGI application: knows no sockets, and leaves Host, Origin and keys to the server below.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Awaitable, Mapping
from itertools import islice
from math import inf
from typing import Final, Literal
from urllib.parse import parse_qs

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import AnswerEarly, Channel, Emit, OnEvent, Outcome, Service
from protogen_runtime.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Answer,
    BadAnswer,
    Call,
    ErrorObject,
    Exchange,
    Failure,
    Notification,
    Pending,
    Success,
    Work,
    encode,
    encode_comment,
    encode_event,
)

from .asgi import ClientGone, Receive, Scope, Send, identity_of, read_body, respond, text_headers, watch
from .channel import TransportError, adopt
from .peer import WRITE_BYTES, Ticket

ID_BYTES: Final = 16
"""128 random bits: nobody can speak in a session whose id was not sent to them."""

DEADLINE_EXCEEDED: Final = ErrorObject(INTERNAL_ERROR.code, "Deadline exceeded")

KIB: Final = 1024

PIECE_BYTES: Final = 8 * KIB
"""Written at once: at the slowest rate that is allowed, it takes 8 s."""


class SessionBounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What sessions may cost. SESSION_REASONS says why each default is what it is."""

    max_sessions: int = 1024
    max_in_flight: int = 128
    max_body_bytes: int = 16 * KIB * KIB
    max_batch: int = 100
    max_unread_bytes: int = 512 * KIB
    max_replay_bytes: int = 256 * KIB
    max_replay_events: int = 256
    send_seconds: float = 15.0
    min_bytes_per_second: int = 1024
    keepalive_seconds: float = 15.0
    resume_seconds: float = 30.0
    call_seconds: float | None = 300.0
    retry_after_seconds: int = 1


SESSION_REASONS: Final[dict[str, str]] = {
    "max_sessions": "Each holds a connection and up to 1 MiB. One more is answered 503 with Retry-After.",
    "max_in_flight": "POSTs of one session whose handlers wait: one client must not use up the server's.",
    "max_body_bytes": "One POST must not fill the memory. Refused with 413.",
    "max_batch": "Bounds the work that one POST can start.",
    "max_unread_bytes": "Events that wait for one client to read; then whoever calls it back waits, too. One event may "
    "be larger, when it is the only one.",
    "max_replay_bytes": "Events kept after they were sent, for a client that reconnects; what was lost with a "
    "connection is at most what its socket's buffer held, some 200 KiB.",
    "max_replay_events": "The same, for small ones.",
    "send_seconds": "A client that takes nothing for so long has stopped reading: its session ends, and its memory is "
    "free again within 30 s. What min_bytes_per_second allows for 8 KiB comes on top.",
    "min_bytes_per_second": "Slower than any modem: a dead link or an attack.",
    "keepalive_seconds": "A comment in a quiet stream: proxies give up after 30 to 60 s.",
    "resume_seconds": "How long a session outlives its stream, so that the client can come back with Last-Event-ID.",
    "call_seconds": "A handler that waits for ever holds its place for ever. Cancelled, and answered with an error.",
    "retry_after_seconds": "What Retry-After says with 503.",
}
"""Why each bound has its default."""

assert set(SESSION_REASONS) == set(SessionBounds.__struct_fields__), "each bound has a reason"


class _Event(msgspec.Struct, frozen=True):
    """One event of a session's stream: its number, its bytes, and where these end in all that was ever sent."""

    number: int
    data: bytes
    end: int


class _Stream:
    """One GET that carries a session's events: the number of the last one written, and how to end it."""

    __slots__ = ("position", "scope")

    def __init__(self, position: int, scope: trio.CancelScope) -> None:
        self.position = position
        self.scope = scope


class Session:
    """One client: its events, and the calls of ours that wait for its answers. A Channel back to it."""

    def __init__(self, identity: str | None, bounds: SessionBounds, service: Service) -> None:
        self.id = secrets.token_hex(ID_BYTES)
        self.identity = identity
        self.in_flight = 0
        self.way_back: Channel = adopt(self, type(service.info))
        self.reason: str | None = None
        self._bounds = bounds
        self._usage = service.usage
        self._pending: Pending[Ticket] = Pending()
        self._events: deque[_Event] = deque()
        self._last = 0
        self._end = 0
        self._stream: _Stream | None = None
        self._written = 0
        self._expires = inf
        self._changed = trio.lowlevel.ParkingLot()

    # --- its life ---------------------------------------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether nobody can use it any more: it was ended, or its client has been away for too long."""
        if self.reason is None and trio.current_time() >= self._expires:
            self.end("the client has gone")
        return self.reason is not None

    def end(self, reason: str) -> None:
        """End it and its stream; whoever waits for its client is told."""
        if self.reason is None:
            self.reason = reason
        self._events.clear()
        if self._stream is not None:
            self._stream.scope.cancel()
        self._changed.unpark_all()

    def can_resume(self, number: int) -> bool:
        """Whether every event after `number` is still there."""
        return self._last - len(self._events) <= number <= self._last

    def attach(self, scope: trio.CancelScope, after: int) -> None:
        """Send events from the one after `after` on to a new stream; an older stream ends."""
        if self._stream is not None:
            self._stream.scope.cancel()
        self._written = next((event.end - len(event.data) for event in self._after(after)), self._end)
        self._stream = _Stream(after, scope)
        self._expires = inf
        self._changed.unpark_all()

    @property
    def expires(self) -> float:
        """When it ends unless its client comes back; never while a stream is open."""
        return self._expires

    def detach(self, scope: trio.CancelScope) -> None:
        """A stream has ended; if it was the last one, the client may come back for a while."""
        if self._stream is not None and self._stream.scope is scope:
            self._stream = None
            self._expires = trio.current_time() + self._bounds.resume_seconds
            self._changed.unpark_all()

    # --- its stream -------------------------------------------------------------------------------

    async def unsent(self, scope: trio.CancelScope) -> list[bytes]:
        """What the stream of `scope` is to get next, once there is anything; nothing when it is not the one."""
        while self._stream is not None and self._stream.scope is scope:
            found: list[bytes] = []
            size = 0
            for event in self._after(self._stream.position):
                found.append(event.data)
                size += len(event.data)
                if size >= WRITE_BYTES:
                    break
            if found:
                return found
            await self._changed.park()
        return []

    def sent(self, scope: trio.CancelScope, count: int) -> None:
        """The stream of `scope` has got the next `count` events."""
        stream = self._stream
        if stream is None or stream.scope is not scope:
            return
        stream.position += count
        bounds = self._bounds
        for event in islice(self._after(stream.position - count), count):
            self._written = event.end
        while self._events and self._events[0].number <= stream.position:
            kept = self._written - (self._events[0].end - len(self._events[0].data))
            if kept <= bounds.max_replay_bytes and len(self._events) <= bounds.max_replay_events:
                break
            self._events.popleft()
        self._changed.unpark_all()

    def _after(self, number: int) -> islice[_Event]:
        first = self._last - len(self._events) + 1
        return islice(self._events, max(0, number + 1 - first), None)

    async def _push(self, frame: bytes) -> None:
        """Queue an event; waits while the client has too much to read. Errors: TransportError."""
        while not self.has_ended:
            unread = self._end - self._written
            if not unread or unread + len(frame) <= self._bounds.max_unread_bytes:
                self._put(frame)
                return
            with trio.move_on_at(self._expires):
                await self._changed.park()
        raise TransportError(self.reason or "the session has ended")

    def _put(self, frame: bytes) -> None:
        self._last += 1
        data = encode_event(frame, name="message", event_id=f"{self.id}-{self._last}")
        self._end += len(data)
        self._events.append(_Event(self._last, data, self._end))
        self._changed.unpark_all()

    # --- calling the client -----------------------------------------------------------------------

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Answer:
        """See Channel; no events come this way. Errors: TransportError."""
        del on_event
        request_id, ticket = secrets.token_hex(ID_BYTES), Ticket()
        await self._push(encode(Call(id=request_id, method=method, params=params)))
        self._pending.add(request_id, ticket)
        try:
            while ticket.answer is None:
                if self.has_ended:
                    raise TransportError(f"{self.reason} before {method} was answered")
                with trio.move_on_at(self._expires):
                    await self._changed.park()
        finally:
            if self._pending.abandon(request_id) and not self.has_ended:
                told = self._usage.withdraw(request_id, method)
                if told is not None:
                    self._put(encode(told))
        if isinstance(ticket.answer, BadAnswer):
            raise TransportError(f"the answer to {method} is no JSON-RPC answer: {ticket.answer.reason}")
        return ticket.answer

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel. Errors: TransportError."""
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._push(encode(Notification(method=method, params=params)))

    async def open(self) -> None:
        """A session is open from the start."""

    async def aclose(self) -> None:
        """End the session."""
        self.end("the session was closed")

    def take(self, answer: Success | Failure | BadAnswer) -> bool:
        """Hand an answer to the call that waits for it; False where none of this session's ever did."""
        ticket = self._pending.take(answer)
        if isinstance(ticket, str):
            return ticket == "late"
        ticket.answer = answer
        self._changed.unpark_all()
        return True


class _Handling:
    """One POST; the link of its handlers."""

    __slots__ = ("_session", "deadline", "headers")

    emit: Emit | None = None
    answer: AnswerEarly | None = None
    frame: bytes = b""
    has_answered: bool = False

    def __init__(self, session: Session, headers: Mapping[str, str], deadline: float) -> None:
        self._session = session
        self.headers = headers
        self.deadline = deadline

    @property
    def identity(self) -> str | None:
        """See Link."""
        return self._session.identity

    @property
    def channel(self) -> Channel:
        """See Link."""
        return self._session.way_back


class SessionApp:
    """Serves a service in sessions. Mount it beside the endpoint of plain HTTP.

    `events_path` is where streams begin; endpoints are `/session/<id>`, and any path with the query `sessionId=<id>`.
    `announce` is the form of the event `endpoint`: a JSON object with the member `endpoint`, or the bare path.
    `scope["state"]["identity"]` is the user, who alone may use a session. Sessions whose clients stay away are freed by
    the next request, and by whoever calls `expire` at `deadline` (on the trio clock): the server shell does, and an
    application of yours around this one hands both on.
    """

    def __init__(
        self,
        service: Service,
        *,
        events_path: str = "/events",
        announce: Literal["json", "path"] = "json",
        bounds: SessionBounds | None = None,
    ) -> None:
        self.service = service
        self.bounds = bounds or SessionBounds()
        self._events_path = events_path
        self._announce = announce
        self._sessions: dict[str, Session] = {}
        self.deadline = inf

    def __len__(self) -> int:
        self._purge()
        return len(self._sessions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point for scopes of the type "http"."""
        if scope["type"] != "http":
            raise ValueError(f"expected a scope of type http, got {scope['type']!r}")
        is_events = scope["path"] == self._events_path
        if is_events and scope["method"] == "GET":
            await self._events(scope, receive, send)
        elif is_events:
            await respond(send, 405, b"", (b"allow", b"GET"))
        elif scope["method"] != "POST":
            await respond(send, 405, b"", (b"allow", b"POST"))
        else:
            await self._message(scope, receive, send)

    async def aclose(self) -> None:
        """End every session."""
        for session in tuple(self._sessions.values()):
            session.end("the server is shutting down")
        self._sessions.clear()
        await trio.lowlevel.checkpoint()

    def expire(self, now: float) -> None:
        """Free what clients have not come back for; `deadline` is then that of the next one."""
        del now
        self._purge()

    def _purge(self) -> None:
        for session in [session for session in self._sessions.values() if session.has_ended]:
            del self._sessions[session.id]
        self.deadline = min((session.expires for session in self._sessions.values()), default=inf)

    # --- GET: the stream --------------------------------------------------------------------------

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = text_headers(scope)
        if not _accepts_stream(headers):
            await respond(send, 406, b"")
            return
        session, after = self._resumed(headers, identity_of(scope)) or (None, 0)
        if session is None:
            self._purge()
            if len(self._sessions) >= self.bounds.max_sessions:
                await self._busy(send)
                return
            session = Session(identity_of(scope), self.bounds, self.service)
            self._sessions[session.id] = session
        async with trio.open_nursery() as nursery:
            session.attach(nursery.cancel_scope, after)
            try:
                nursery.start_soon(watch, receive, nursery.cancel_scope)
                await self._stream(session, nursery.cancel_scope, send)
                nursery.cancel_scope.cancel()
            finally:
                session.detach(nursery.cancel_scope)
                self.deadline = min(self.deadline, session.expires)
                if session.has_ended:
                    self._sessions.pop(session.id, None)

    def _resumed(self, headers: Mapping[str, str], identity: str | None) -> tuple[Session, int] | None:
        session_id, _, number = headers.get("last-event-id", "").partition("-")
        session = self._find(session_id, identity)
        if session is None or not number.isdecimal() or not session.can_resume(int(number[:18])):
            return None
        return session, int(number[:18])

    async def _stream(self, session: Session, stream: trio.CancelScope, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            # Proxies that buffer would keep events to themselves.
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        endpoint = f"/session/{session.id}"
        data = endpoint.encode() if self._announce == "path" else msgspec.json.encode({"endpoint": endpoint})
        if not await self._write(session, send, encode_event(data, name="endpoint")):
            return
        while not session.has_ended:
            events: list[bytes] = []
            with trio.move_on_after(self.bounds.keepalive_seconds) as quiet:
                events = await session.unsent(stream)
            if not events and not quiet.cancelled_caught:
                break
            if not await self._write(session, send, b"".join(events) or encode_comment("keepalive")):
                # Without an end: what was sent is not whole, and the server below resets it.
                return
            session.sent(stream, len(events))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, session: Session, send: Send, data: bytes) -> bool:
        """Whether the client took it in time; its session has ended where it did not."""
        # In pieces, so that a large backlog does not give a client that has stopped reading more time.
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            seconds = self.bounds.send_seconds + len(piece) / self.bounds.min_bytes_per_second
            begun = trio.current_time()
            with trio.CancelScope(deadline=begun + seconds) as scope:
                try:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                except BaseException:
                    # The server below has a deadline of its own, and may end its connection, and us with it.
                    if trio.current_time() - begun >= self.bounds.send_seconds:
                        session.end("the client does not read its events")
                    raise
            if scope.cancelled_caught:
                return False
        return True

    # --- POST: messages ---------------------------------------------------------------------------

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._purge()
        if not _is_endpoint(scope):
            await respond(send, 404, b"")
            return
        headers = text_headers(scope)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            await respond(send, 415, b"")
            return
        try:
            body = await read_body(headers, receive, self.bounds.max_body_bytes)
        except ClientGone:
            return
        if body is None:
            await respond(send, 413, b"")
            return
        exchange = self.service.usage.receive(body, max_batch=self.bounds.max_batch)
        session = self._find(_session_id(scope), identity_of(scope))
        if session is None:
            calls = [work for work in exchange.work if isinstance(work, Call)]
            refused = Failure(id=calls[0].id if calls else None, error=INVALID_REQUEST)
            await respond(send, 400, encode(refused))
            return
        known = [session.take(answer) for answer in exchange.answers]
        if not exchange.work:
            reply = exchange.reply()
            if reply is None and not all(known):
                await respond(send, 400, encode(Failure(id=None, error=INVALID_REQUEST)))
            else:
                await respond(send, 202 if reply is None else 200, reply or b"")
            return
        if session.in_flight >= self.bounds.max_in_flight:
            await self._busy(send)
            return
        await self._work(session, exchange, headers, receive, send)

    async def _work(
        self, session: Session, exchange: Exchange, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        seconds = self.bounds.call_seconds
        deadline = inf if seconds is None else trio.current_time() + seconds
        link = _Handling(session, headers, deadline)
        session.in_flight += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch, receive, nursery.cancel_scope)
                reply = await self._run(exchange, link)
                await respond(send, 202 if reply is None else 200, reply or b"")
                nursery.cancel_scope.cancel()
        finally:
            session.in_flight -= 1

    async def _run(self, exchange: Exchange, link: _Handling) -> bytes | None:
        """Do all the work of an exchange, its members side by side; the reply that is owed."""
        still_open = [work for work in exchange.work if isinstance(work, Call)]

        def settle(work: Work, outcome: Outcome) -> None:
            if isinstance(work, Call):
                exchange.settle(work, outcome)
                # By identity: two members of a batch may be equal.
                still_open[:] = [call for call in still_open if call is not work]

        async def finish(work: Work, running: Awaitable[Outcome]) -> None:
            settle(work, await running)

        with trio.CancelScope(deadline=link.deadline):
            async with trio.open_nursery() as nursery:
                for work in exchange.work:
                    outcome = self.service.start(work, link)
                    if isinstance(outcome, Raw | ErrorObject):
                        settle(work, outcome)
                    else:
                        nursery.start_soon(finish, work, outcome)
        for call in tuple(still_open):
            settle(call, DEADLINE_EXCEEDED)
        return exchange.reply()

    def _find(self, session_id: str, identity: str | None) -> Session | None:
        """The session of this id, provided that it lives and is this user's."""
        session = self._sessions.get(session_id)
        if session is None or session.has_ended or session.identity != identity:
            return None
        return session

    async def _busy(self, send: Send) -> None:
        await respond(send, 503, b"", (b"retry-after", b"%d" % self.bounds.retry_after_seconds))


def _is_endpoint(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == "/" or "/session/" in f"{path}/" or names_session(scope["query_string"])


def _session_id(scope: Scope) -> str:
    path: str = scope["path"]
    head, _, tail = path.rpartition("/")
    if head.endswith("/session"):
        return tail
    return _query_id(scope["query_string"])


def names_session(query: bytes) -> bool:
    """Whether the query of a request names a session, as an endpoint of the form `/?sessionId=<id>` does."""
    return b"sessionId" in query and bool(_query_id(query))


def _query_id(query: bytes) -> str:
    try:
        members = parse_qs(query.decode("latin-1"), max_num_fields=20)
    except ValueError:
        return ""  # more members than anybody sends
    return members.get("sessionId", [""])[0]


def _accepts_stream(headers: Mapping[str, str]) -> bool:
    kinds = {part.partition(";")[0].strip() for part in headers.get("accept", "*/*").lower().split(",")}
    return not kinds.isdisjoint(("text/event-stream", "text/*", "*/*"))
