"""One HTTP/1.1 connection: reads, answers, and watches the client while a handler of its runs.

Knows neither hypercorn nor JSON-RPC: requests go to the endpoint, what must be run for an answer runs in a task of the
connection's nursery. Answers keep the order of their requests. The connection has a task, which sleeps while requests
come that are answered at once: the task of the `Watch` does that for all connections.
"""

from __future__ import annotations

from math import inf
from typing import Final, Protocol

import trio

from protogen_runtime.observe import Traffic

from .deadlines import Deadlines
from .endpoint import Endpoint
from .foreign import Foreign
from .framing import RequestParser, Upgrade
from .handling import Handling
from .heads import Heads
from .limits import SEND_PIECE_BYTES, Limits
from .messages import ACCEPTED, JSON_TYPE, Headers, Reply, Request, encode_head, encode_reply, refusal
from .pace import Pace
from .routes import Errand
from .watch import Watch
from .wire import GONE, READ_BYTES, Wire

MAX_DROPPED_BYTES: Final = 1024 * 1024
"""What is read and dropped after a refusal, so that the client finds the answer and no reset."""

MAX_ANSWERED_BYTES: Final = 64 * 1024
"""Answers to requests sent ahead that are made before they are sent: beyond that the client must read first. The last
of them can be large."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_JSON: Final = ((b"content-type", JSON_TYPE),)


class House(Protocol):
    """What a connection needs of the process that it belongs to."""

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""
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
    def heads(self) -> Heads:
        """The heads seen before."""
        ...

    @property
    def traffic(self) -> Traffic:
        """The numbers of the transport."""
        ...

    @property
    def watch(self) -> Watch:
        """Waits for all connections that wait for their clients."""
        ...

    def count_refused(self, status: int, bound: str | None = None) -> None:
        """Somebody was refused with this status."""
        ...


class Connection:
    """One client. `deadline` is for what the connection waits for now: a head, a body, a reader, a request."""

    __slots__ = (
        "_ahead",
        "_body_since",
        "_client",
        "_endpoint",
        "_fault",
        "_has_ended",
        "_heads",
        "_idle_seconds",
        "_is_sending",
        "_is_set_off",
        "_limits",
        "_lingers",
        "_mark",
        "_nursery",
        "_out",
        "_pace",
        "_parser",
        "_parting",
        "_resets",
        "_responder",
        "_running",
        "_scope",
        "_shell",
        "_sleeper",
        "_traffic",
        "_unsent",
        "_upgrade",
        "_wake",
        "_wire",
        "deadline",
    )

    def __init__(self, shell: House, wire: Wire, *, client: tuple[str, int] | None, is_secure: bool) -> None:
        self._shell = shell
        self._endpoint = shell.endpoint
        self._limits = shell.limits
        self._heads = shell.heads
        self._traffic = shell.traffic
        self._idle_seconds = shell.limits.idle_seconds
        self._wire = wire
        self._parser = RequestParser(shell.limits, shell.endpoint.admit, client=client, is_secure=is_secure)
        self._client = client
        self._scope = trio.CancelScope()
        self._out: list[bytes] = []
        self._pace = Pace(shell.limits)
        self._unsent: bytes | memoryview = b""
        self._has_ended = False
        self._sleeper: trio.lowlevel.Task | None = None
        self._fault: Exception | None = None
        self._ahead = bytearray()
        self._mark = 0
        self._body_since = 0.0
        self._running: Handling | Foreign | Errand | None = None
        self._wake: trio.CancelScope | None = None
        self._upgrade: Upgrade | None = None
        self._parting: Reply | None = None
        self._lingers = False
        self._resets = False
        self._is_sending = False
        self._is_set_off = False
        self._nursery: trio.Nursery
        # A client that connects and says nothing has the time of a head.
        self.deadline: float = shell.deadlines.after(shell.limits.header_seconds)

    async def run(self) -> Upgrade | None:
        """Serve until the client or a bound ends it. An upgrade to WebSocket is handed back, the wire still open."""
        done = False
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await self._serve(nursery)
                    nursery.cancel_scope.cancel()
                done = True
        except* GONE:
            # The peer has gone: nobody is left to be told.
            self._resets = True
        except* trio.Cancelled:
            self._resets = True
            raise
        finally:
            if not done:
                self._upgrade = None
            if not self._upgrade:
                await self._part()
        return self._upgrade

    # --- reading ----------------------------------------------------------------------------------

    async def _serve(self, nursery: trio.Nursery) -> None:
        wire, watch = self._wire, self._shell.watch
        self._nursery = nursery
        while True:
            if self._is_behind():
                if self._advance(b""):
                    continue
            elif self._running is None and not self._ahead and wire.fileno >= 0 and watch.is_running:
                if not await self._sleep(watch):
                    return
                if self._is_set_off:
                    continue
            else:
                data: bytes | None = None
                if self._running is not None:
                    data = await self._receive_while_running()
                    if data and self._is_running():
                        self._traffic.received_bytes += len(data)
                        self._ahead += data
                        continue
                elif not self._ahead:
                    data = await wire.receive()
                if data == b"":
                    return
                if self._advance(data or b""):
                    continue
            if self._unsent:
                await self._send_rest(self._unsent)
            if self._running is not None:
                nursery.start_soon(self._run, self._running)
            elif self._lingers or (not self._is_behind() and not await self._look_ahead()):
                return

    async def _sleep(self, watch: Watch) -> bool:
        """Let the watch serve the connection until it needs its task; False where the client has ended it.

        Errors: what serving it raised.
        """
        fileno = self._wire.fileno

        def abort(_: object) -> trio.lowlevel.Abort:
            self._sleeper = None
            watch.discard(fileno)
            if isinstance(self._running, Handling | Errand) and not self._is_set_off:
                self._running.unpark()
                self._running.drop()
            return trio.lowlevel.Abort.SUCCEEDED

        self._sleeper = trio.lowlevel.current_task()
        watch.add(fileno, self._serve_now)
        await trio.lowlevel.wait_task_rescheduled(abort)
        if self._fault is not None:
            raise self._fault
        return not self._has_ended

    def _serve_now(self) -> None:
        """Called by the watch: serve what came, and wake the task where more is to be done than that."""
        if self._running is None:
            try:
                data = self._wire.receive_now(READ_BYTES)
                if data and (self._advance(data) or self._park() or self._set_off()):
                    return
                self._has_ended = not data
            except BlockingIOError:
                return
            except Exception as fault:  # noqa: BLE001 - it is raised again in the task that it belongs to
                self._fault = fault
        # Where a call is parked or runs, its client has gone or sends more: both need the task.
        self._rouse()

    def _rouse(self) -> None:
        """Wake the task that sleeps."""
        if isinstance(self._running, Handling | Errand):
            self._running.unpark()
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None:
            self._shell.watch.discard(self._wire.fileno)
            trio.lowlevel.reschedule(sleeper)

    def _park(self) -> bool:
        """Whether the call that waits now needs no task: nothing else came, and whoever knows its outcome will tell."""
        running = self._running
        return (
            isinstance(running, Handling | Errand)
            and self._can_sleep_on()
            and running.park(self._answer_parked, self._rouse)
        )

    def _set_off(self) -> bool:
        """Let the request that waits now run in a task of its own, and the connection's task sleep on meanwhile."""
        running = self._running
        if running is None or not self._can_sleep_on():
            return False
        self._is_set_off = True
        self._nursery.start_soon(self._run, running)
        return True

    def _can_sleep_on(self) -> bool:
        """Whether nothing else came than the request that waits now."""
        parser = self._parser
        return (
            self._sleeper is not None
            and parser.phase == "idle"
            and not (self._unsent or self._ahead or parser.requests or parser.refused or self._upgrade)
        )

    def _answer_parked(self, body: bytes | Reply) -> None:
        """Called with the answer to a call that was parked: send it, and wake the task where more is to be done."""
        self._running = None
        responder = self._responder
        try:
            data = responder.encode(body)
            self._traffic.sent_bytes += len(data)
            try:
                sent = self._wire.send_now(data)
            except BlockingIOError:
                sent = 0
            self.deadline = self._endpoint.deadlines.now + self._idle_seconds
            if sent == len(data) and not responder.closes:
                return
            self._unsent = memoryview(data)[sent:]
            self._lingers = responder.closes
        except Exception as fault:  # noqa: BLE001 - it is raised again in the task that it belongs to
            self._fault = fault
        self._rouse()

    def _advance(self, data: bytes) -> bool:
        """Take bytes, answer what can be answered at once and send it; True where only more bytes are waited for.

        Errors: OSError.
        """
        self._traffic.received_bytes += len(data)
        if self._ahead:
            data = bytes(self._ahead) + data
            self._ahead.clear()
        parser = self._parser
        request = self._heads.find(data) if data and parser.phase == "idle" and not parser.requests else None
        if request is not None:
            request.client = self._client
            self._take(request)
        elif data:
            self._upgrade = parser.feed(data)
            whole = parser.only_request()
            if whole is not None and self._upgrade is None:
                self._heads.note(data, whole)
            self._answer_all()
        else:
            self._answer_all()
        while self._out:
            out = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._traffic.sent_bytes += len(out)
            try:
                sent = self._wire.send_now(out)
            except BlockingIOError:
                sent = 0
            if sent < len(out):
                self._unsent = memoryview(out)[sent:]
                return False
            if self._is_behind():
                self._answer_all()
        if self._running is not None or self._lingers or self._upgrade is not None or parser.refused is not None:
            return False
        if parser.phase == "idle":
            if self._endpoint.is_closing:
                return False
            self.deadline = self._endpoint.deadlines.now + self._idle_seconds
            return True
        # In the middle of a request whose deadline is set already.
        return parser.mark == self._mark

    def _is_running(self) -> bool:
        """Whether a handler runs still; it may have ended during any wait."""
        return self._running is not None

    def _answer_all(self) -> bool:
        """Answer whole requests in order, up to one whose handler waits; False where the connection ends with one.

        It stops when there is enough to send: small requests may have large answers.
        """
        answered_bytes, out = 0, self._out
        while not self._running and answered_bytes < MAX_ANSWERED_BYTES:
            request = self._parser.next_request()
            if request is None:
                return True
            count = len(out)
            if not self._take(request):
                return False
            if len(out) > count:
                answered_bytes += len(out[-1])
        return True

    def _is_behind(self) -> bool:
        """Whether whole requests wait for the answers before them to be sent."""
        return self._running is None and not self._lingers and bool(self._parser.requests)

    async def _receive_while_running(self) -> bytes | None:
        """Bytes that came while a handler runs; None when it has ended and something waits behind it."""
        parser = self._parser
        if not (self._ahead or parser.requests or parser.refused or self._upgrade):
            return await self._wire.receive()
        with trio.CancelScope() as self._wake:
            if len(self._ahead) < self._limits.max_pipelined_bytes:
                return await self._wire.receive()
            # Enough was sent ahead: the client has to wait, and its going is noticed when the handler answers.
            await trio.sleep_forever()
        self._wake = None
        return None

    async def _look_ahead(self) -> bool:
        """All that came is answered: set the deadline of what comes next; False to end the connection."""
        parser = self._parser
        if parser.refused is not None:
            self._parting = parser.refused
            return False
        if self._upgrade is not None:
            return self._ignore_upgrade(self._upgrade)
        if self._endpoint.is_closing and parser.phase == "idle":
            return False
        if parser.phase == "idle":
            self.deadline = self._endpoint.deadlines.now + self._limits.idle_seconds
        elif parser.mark != self._mark:
            self._mark = parser.mark
            deadlines = self._endpoint.deadlines
            if parser.phase == "head":
                self.deadline = deadlines.after(self._limits.header_seconds)
            else:
                self._body_since = deadlines.now
                self.deadline = deadlines.after(self._limits.body_grace_seconds)
                if parser.wants_continue:
                    parser.wants_continue = False
                    await self._send(_CONTINUE)
        return True

    def _ignore_upgrade(self, upgrade: Upgrade) -> bool:
        """Whether the request is to be served as if it had not asked (RFC 9110, section 7.8): all but WebSocket."""
        if upgrade.is_websocket:
            return False
        self._upgrade = None
        request = upgrade.request
        if request.method == b"CONNECT":
            self._parting = refusal(405, "this is no proxy", (b"allow", b"POST"), close=True)
            return False
        self._parser = self._parser.anew()
        self._ahead += upgrade.head() + upgrade.rest
        return True

    # --- answering --------------------------------------------------------------------------------

    def _take(self, request: Request) -> bool:
        """Answer a request or set it up to run; False where the connection ends after what was answered."""
        endpoint = self._endpoint
        begun = endpoint.begin(request)
        keep = request.keep_alive and request.version == "1.1" and not endpoint.is_closing
        if type(begun) is bytes:
            if keep and b"origin" not in request.headers:
                self._out.append(self.encode_result(begun, request))
                return True
            begun = Reply(200, begun, _JSON)
        if begun is ACCEPTED and keep and b"origin" not in request.headers:
            self._out.append(self._encode_accepted(request))
            return True
        if isinstance(begun, Reply):
            self._lingers = begun.close or not keep
            if begun.status >= 400 and (request.refused is not None or request.method == b"POST"):
                self._shell.count_refused(begun.status)
            self._out.append(self.encode(begun, request, close=self._lingers))
            return not self._lingers
        assert not isinstance(begun, bytes)
        self._running = begun
        self._responder = _Responder(self, request)
        self.deadline = inf
        return True

    def encode(self, reply: Reply, request: Request, *, close: bool) -> bytes:
        """A reply as bytes, with what every answer to the request carries."""
        marks = self._endpoint.marks(request)
        if marks:
            reply = Reply(reply.status, reply.body, (*reply.headers, *marks))
        date = self._endpoint.deadlines.date
        return encode_reply(reply, date, close=close, head_only=request.method == b"HEAD")

    def encode_result(self, body: bytes, request: Request) -> bytes:
        """The answer with JSON and the status 200 to a request without an origin, on a connection that stays open."""
        head = self._endpoint.deadlines.json_head
        if request.request_id:
            return b"%b%d\r\nx-request-id: %b\r\n\r\n%b" % (head, len(body), request.request_id, body)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    def _encode_accepted(self, request: Request) -> bytes:
        """ACCEPTED for a request as that of `encode_result`."""
        head = self._endpoint.deadlines.accepted_head
        return b"%bx-request-id: %b\r\n\r\n" % (head, request.request_id) if request.request_id else head + b"\r\n"

    async def _send(self, data: bytes) -> None:
        self._shell.traffic.sent_bytes += len(data)
        try:
            sent = self._wire.send_now(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            await self._send_rest(memoryview(data)[sent:])

    async def _send_rest(self, data: bytes | memoryview) -> None:
        """Wait for a peer that reads slowly, for as long as it may take."""
        before, deadlines, pace = self.deadline, self._endpoint.deadlines, self._pace
        self._is_sending = True
        self._unsent = b""
        rest = memoryview(data)
        try:
            for start in range(0, len(rest), SEND_PIECE_BYTES):
                piece = rest[start : start + SEND_PIECE_BYTES]
                self.deadline = deadlines.after(pace.begin(len(piece), deadlines.now))
                await self._wire.send(piece)
                pace.end(len(piece), deadlines.now)
        except trio.Cancelled:
            # Whoever gave up, what was sent is not whole, and nothing that makes sense can follow it.
            self.abort()
            raise
        self._is_sending = False
        self.deadline = before

    async def _run(self, running: Handling | Foreign | Errand) -> None:
        responder = self._responder
        await running.run(responder)
        self._running = None
        self._is_set_off = False
        if responder.closes:
            self._lingers = True
            self._scope.cancel()
            return
        self.deadline = self._endpoint.deadlines.now + self._limits.idle_seconds
        if self._wake is not None:
            self._wake.cancel()

    async def send_for_handler(self, data: bytes) -> None:
        """Send a piece of an answer; a handler whose client has gone is cancelled here."""
        try:
            await self._send(data)
        except GONE:
            self._resets = True
            self._scope.cancel()
            await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """End it at once: what was sent is not whole."""
        self._resets = True
        self._scope.cancel()

    @property
    def date(self) -> bytes:
        """The header line with the time."""
        return self._endpoint.deadlines.date

    @property
    def is_closing(self) -> bool:
        """Whether the server is shutting down."""
        return self._endpoint.is_closing

    # --- ending -----------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Called by the sweeper when `deadline` has passed."""
        self.deadline = inf
        if self._is_sending:
            self._resets = True
        elif self._parser.phase == "head":
            self._parting = refusal(408, "the head did not come in time", close=True)
        elif self._parser.phase == "body":
            elapsed = now - self._body_since
            late_bytes = (elapsed - self._limits.body_grace_seconds) * self._limits.min_bytes_per_second
            if elapsed < self._limits.body_seconds and self._parser.fed_bytes >= late_bytes:
                self.deadline = now + 1.0
                return
            self._parting = refusal(408, "the body did not come in time", close=True)
        self._scope.cancel()

    def close_if_idle(self) -> None:
        """The server is shutting down: end connections that wait for a request."""
        if self._running is None and self._parser.phase == "idle" and not self._is_sending:
            self._scope.cancel()

    async def _part(self) -> None:
        self._parser.close()
        wire = self._wire
        try:
            if self._parting is not None or self._lingers:
                with trio.move_on_after(self._limits.linger_seconds, shield=True):
                    if self._parting is not None:
                        self._shell.count_refused(self._parting.status)
                        request = self._parser.current
                        self._endpoint.tag(request)
                        await wire.send(self.encode(self._parting, request, close=True))
                    await wire.end()
                    dropped = 0
                    while dropped < MAX_DROPPED_BYTES and (data := await wire.receive()):
                        dropped += len(data)
        except GONE:
            return
        finally:
            wire.close(reset=self._resets)


class _Responder:
    """Answers one request of a connection."""

    __slots__ = ("_chunked", "_connection", "_has_body", "_request", "closes")

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._chunked = False
        self._has_body = True
        self.closes = not request.keep_alive or request.version != "1.1"

    def encode(self, reply: Reply | bytes) -> bytes:
        """A whole answer as it is sent; `closes` says whether the connection ends with it."""
        connection = self._connection
        if isinstance(reply, bytes):
            if not (self.closes or connection.is_closing) and b"origin" not in self._request.headers:
                return connection.encode_result(reply, self._request)
            reply = Reply(200, reply, _JSON)
        self.closes = self.closes or reply.close or connection.is_closing
        return connection.encode(reply, self._request, close=self.closes)

    async def reply(self, reply: Reply | bytes) -> None:
        """See Responder."""
        await self._connection.send_for_handler(self.encode(reply))

    async def begin_stream(self, status: int, headers: Headers, first: bytes = b"") -> None:
        """See Responder."""
        names = {name.lower() for name, _ in headers}
        self._has_body = status not in (204, 304) and self._request.method != b"HEAD"
        self.closes = self.closes or self._connection.is_closing
        if b"content-length" not in names and self._has_body:
            if self._request.version == "1.1":
                self._chunked = True
                headers = (*headers, (b"transfer-encoding", b"chunked"))
            else:
                self.closes = True
        if self.closes:
            headers = (*headers, (b"connection", b"close"))
        head = encode_head(status, headers, self._connection.date)
        await self._connection.send_for_handler(head + self._piece(first))

    async def send(self, data: bytes) -> None:
        """See Responder."""
        piece = self._piece(data)
        if piece:
            await self._connection.send_for_handler(piece)

    async def end(self, last: bytes = b"") -> None:
        """See Responder."""
        piece = self._piece(last) + b"0\r\n\r\n" if self._chunked else self._piece(last)
        if piece:
            await self._connection.send_for_handler(piece)

    def _piece(self, data: bytes) -> bytes:
        """A piece of the body as it is sent."""
        if not (data and self._has_body):
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    async def abort(self) -> None:
        """See Responder."""
        self._connection.abort()
        await trio.lowlevel.checkpoint()
