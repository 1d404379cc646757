"""POST requests over HTTP/1.1 to one server, on connections that are used again.

For plain http:// without a proxy, where a call is small and there are thousands a second: httpx takes a millisecond of
CPU for a request, and its pool looks at every connection for each. Knows nothing of what is posted. What goes wrong is
told with httpx's exceptions, which is what its callers know.
"""

from __future__ import annotations

import math
import select
import socket
import urllib.request
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

import httptools
import httpx
import trio

from .http.watch import Watch

READ_BYTES: Final = 65_536
"""Read at once: a body of any usual size with its head."""

_EVENTS: Final = b"text/event-stream"

MAX_HEAD_BYTES: Final = 65_536
"""Headers of an answer; servers allow each other 8 to 64 KiB."""


class Pool:
    """Connections to the server of a URL: at most so many for calls, and for short requests; those beyond wait."""

    def __init__(self, url: httpx.URL, *, max_connections: int, keep_seconds: float, connect_seconds: float) -> None:
        self._host = url.host
        self._port = url.port or 80
        self._head = b"POST %b HTTP/1.1\r\nhost: %b\r\n" % (url.raw_path, url.netloc)
        self._keep_seconds = keep_seconds
        self._connect_seconds = connect_seconds
        self._room = trio.Semaphore(max_connections)
        self._room_of_short = trio.Semaphore(max_connections)
        self._idle: deque[_Connection] = deque()
        self._used: set[_Connection] = set()
        self._asked: set[Asked] = set()
        self._same: Mapping[str, str] = {}
        self._same_lines = b""
        self._closed = False
        self.watch: Final = Watch()
        """While it runs, `ask` can be used."""

    def ask(
        self, frame: bytes, about: Mapping[str, str], headers: Mapping[str, str], told: Callable[[Asked], None]
    ) -> Asked | None:
        """Send a request on a connection that is there, and call `told` when its answer has come, without a task.

        Its headers are `about`, which is its own, and `headers`, which are often the same ones. None where that cannot
        be; `post` can do it.
        """
        if self._closed or not self.watch.is_running:
            return None
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            return None
        connection = self._take()
        if connection is None or not connection.send_whole(self._asking(frame, about, headers)):
            self._room.release()
            return None
        self._used.add(connection)
        asked = Asked(self, connection, told)
        self._asked.add(asked)
        connection.watched(self.watch, asked.read)
        return asked

    def leave(self, asked: Asked) -> None:
        """It is not waited for here any more."""
        self._asked.discard(asked)
        asked.connection.rest()

    def done(self, connection: _Connection, *, is_whole: bool) -> None:
        """An answer was read, or will not be."""
        self._put_back(connection, is_whole=is_whole)
        self._room.release()

    def _put_back(self, connection: _Connection, *, is_whole: bool) -> None:
        if is_whole and not self._closed:
            connection.idle_since = trio.current_time()
            connection.rest()
            self._idle.append(connection)
        else:
            connection.close()
        self._used.discard(connection)

    @asynccontextmanager
    async def resume(self, asked: Asked) -> AsyncGenerator[Reply]:
        """What `post` gives, for an answer that `told` was called with, and that was not taken."""
        connection = asked.connection
        connection.unwatched()
        is_whole = False
        try:
            if asked.fault is not None:
                raise asked.fault
            await connection.read_head()
            yield Reply(connection)
            is_whole = connection.can_go_on
        finally:
            self.done(connection, is_whole=is_whole)

    @asynccontextmanager
    async def post(self, frame: bytes, headers: Mapping[str, str], *, is_short: bool = False) -> AsyncGenerator[Reply]:
        """The answer to a request, when its head has come; what is not read of it by the end is dropped.

        `is_short`: the server answers without waiting for another request of ours. Those have connections of their own,
        lest what a call waits for should wait for the end of calls.

        Errors: httpx.TransportError, and httpx.InvalidURL's like for headers that cannot be sent.
        """
        request = self._request(frame, headers)
        room = self._room_of_short if is_short else self._room
        try:
            room.acquire_nowait()
        except trio.WouldBlock:
            await room.acquire()
        try:
            connection = self._take() or await self._connect()
            connection.unwatched()
            self._used.add(connection)
            if self._is_closed():
                connection.close()
            is_whole = False
            try:
                reply = Reply(connection)
                await connection.begin(request)
                yield reply
                is_whole = connection.can_go_on
            finally:
                self._put_back(connection, is_whole=is_whole)
        finally:
            room.release()

    async def aclose(self) -> None:
        """Close all connections: requests that are under way fail."""
        self._closed = True
        for asked in tuple(self._asked):
            asked.fail(httpx.ReadError("the connection was closed"))
        for connection in self._used:
            connection.close()
        while self._idle:
            self._idle.pop().close()
        await trio.lowlevel.checkpoint()

    def _is_closed(self) -> bool:
        """Whether it is closed by now; that may have happened during any wait."""
        return self._closed

    def _request(self, frame: bytes, headers: Mapping[str, str]) -> bytes:
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (self._head, _lines(headers), len(frame), frame)

    def _asking(self, frame: bytes, about: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        if self._same is not headers:
            self._same, self._same_lines = headers, _lines(headers)
        lines = self._same_lines
        return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (self._head, _lines(about), lines, len(frame), frame)

    def _take(self) -> _Connection | None:
        """The connection that was used last and is still good."""
        oldest = trio.current_time() - self._keep_seconds
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_news():
                return connection
            # The server has closed it, or has sent what nobody asked for.
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        if self._closed:
            raise httpx.ConnectError("the pool is closed")
        try:
            with trio.fail_after(self._connect_seconds):
                stream = await trio.open_tcp_stream(self._host, self._port)
        except trio.TooSlowError:
            told = f"no connection to {self._host}:{self._port} within {self._connect_seconds:g} s"
            raise httpx.ConnectTimeout(told) from None
        except OSError as error:
            raise httpx.ConnectError(_told(error, f"{self._host}:{self._port}")) from error
        # From here on without trio's streams, which go through the scheduler for what need not be waited for.
        return _Connection(socket.socket(fileno=stream.socket.detach()))


class Asked:
    """A request whose answer is waited for without a task."""

    __slots__ = ("_pool", "_told", "connection", "fault")

    def __init__(self, pool: Pool, connection: _Connection, told: Callable[[Asked], None]) -> None:
        self._pool = pool
        self._told = told
        self.connection: Final = connection
        self.fault: httpx.TransportError | None = None
        """Why there will be no answer."""

    def read(self) -> None:
        """Something has come: wait on for a head, tell of all else."""
        try:
            if self.connection.read_now():
                return
        except httpx.TransportError as fault:
            self.fault = fault
        self._leave()

    def fail(self, fault: httpx.TransportError) -> None:
        """Nothing will come."""
        self.fault = fault
        self._leave()

    def abandon(self) -> None:
        """Nobody wants it any more, which the server learns from the end of the connection."""
        self._told = _nothing
        self._pool.leave(self)
        self._pool.done(self.connection, is_whole=False)

    @property
    def reply(self) -> Reply | None:
        """The answer, if its head has come."""
        return None if self.fault is not None else Reply(self.connection)

    def done(self) -> None:
        """The answer has come as a whole, and was read."""
        self._pool.done(self.connection, is_whole=self.connection.can_go_on)

    def _leave(self) -> None:
        self._pool.leave(self)
        # Whoever is told knows this request: a circle of the two would be left to the collector.
        told, self._told = self._told, _nothing
        told(self)


def _nothing(_: Asked) -> None:
    """Nobody is told any more."""


class Reply:
    """An answer whose head has come; the members are those of httpx.Response that callers use."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._connection.status

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self._connection.status < 300

    @property
    def headers(self) -> httpx.Headers:
        """The headers."""
        return httpx.Headers(self._connection.headers)

    @property
    def content_type(self) -> str:
        """What the body is said to be; empty where nothing is said."""
        for name, value in self._connection.headers:
            if name.lower() == b"content-type":
                return value.decode("latin-1")
        return ""

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events."""
        for name, value in self._connection.headers:
            if name.lower() == b"content-type":
                return value.strip()[: len(_EVENTS)].lower() == _EVENTS
        return False

    def whole(self) -> bytes | None:
        """The body, if all of it has come and nothing of it was read; None where it is to be waited for."""
        return self._connection.whole()

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes; httpx.TransportError where it ends too early."""
        return _Body(self._connection)

    async def aclose(self) -> None:
        """Read no more."""
        self._connection.close()
        await trio.lowlevel.checkpoint()


class _Body:
    """Iterates over the body of an answer."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        data = await self._connection.body()
        if not data:
            raise StopAsyncIteration
        return data


class _Connection:
    """One connection and the answer that comes on it; httptools calls the methods on_…."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._poll: select.poll | None = None
        self._watch: Watch | None = None
        self._wake: Callable[[], None] | None = None
        self._is_closed = False
        self.idle_since = -math.inf
        # One for all answers: a connection on which an answer did not end as it should is not used again.
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._pieces: deque[bytes] = deque()
        self._head_bytes = 0
        self._has_head = False
        self._is_whole = False
        self._is_early = False
        self._has_more = False
        self._keeps_alive = False

    # --- what httptools tells -----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self._is_whole and not self._is_early:
            # What follows was not asked for, and changes nothing of what was.
            self._has_more = True
            return
        self.headers = []
        self._is_early = self._is_whole = self._has_head = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those of trailers are dropped."""
        if not self._has_head and not self._has_more:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head has come; of an interim answer, another one follows."""
        if self._has_more:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._is_early = True
        else:
            self.status = status
            self._has_head = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._has_more:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The end of the answer."""
        if self._has_more:
            return
        self._is_whole = True
        # To be asked here: the parser has forgotten by the time it returns.
        self._keeps_alive = self._parser.should_keep_alive()

    # --- reading and writing ------------------------------------------------------------------------

    @property
    def can_go_on(self) -> bool:
        """Whether another request may be sent."""
        is_read = self._is_whole and not self._is_early and not self._has_more and not self._pieces
        return is_read and not self._is_closed and self._keeps_alive

    def has_news(self) -> bool:
        """Whether something has come on a connection that nobody uses, be it its end."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLIN)
        return bool(self._poll.poll(0))

    def send_whole(self, request: bytes) -> bool:
        """Send a request at once; where that cannot be, the connection is closed."""
        self._reset()
        try:
            if self._socket.send(request) == len(request):
                return True
        except OSError:
            pass
        self.close()
        return False

    def read_now(self) -> bool:
        """Read what has come; whether more is to be waited for before anything can be said. Errors: TransportError."""
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return True
        except OSError as error:
            raise httpx.ReadError(_told(error, "the connection broke")) from error
        if not data:
            if self._has_head:
                return False
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        self._take_in(data)
        return not self._has_head

    async def read_head(self) -> None:
        """Read the head of an answer, unless it was read. Errors: httpx.TransportError."""
        await self._read_head()

    async def begin(self, request: bytes) -> None:
        """Send a request, and read the head of its answer."""
        self._reset()
        try:
            await self._send(request)
        except OSError as error:
            # What it answered before it closed may say why.
            if not await self._read_head(quietly=True):
                raise httpx.WriteError(_told(error, "the connection broke")) from error
            return
        await self._read_head()

    async def _send(self, data: bytes) -> None:
        sent = 0
        with memoryview(data) as view:
            while True:
                if self._is_closed:
                    raise httpx.WriteError("the connection was closed")
                with suppress(BlockingIOError):
                    sent += self._socket.send(view[sent:])
                if sent == len(data):
                    return
                await self._until(trio.lowlevel.wait_writable)

    async def _until(self, ready: Callable[[socket.socket], Awaitable[None]]) -> None:
        try:
            await ready(self._socket)
        except trio.ClosedResourceError:
            raise httpx.ReadError("the connection was closed") from None

    async def _read_head(self, *, quietly: bool = False) -> bool:
        while not self._has_head:
            try:
                is_open = await self._feed()
            except httpx.TransportError:
                if quietly:
                    return False
                raise
            if not is_open:
                if quietly:
                    return False
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return True

    async def body(self) -> bytes:
        """The next part of the body, empty at its end."""
        while not self._pieces:
            if self._is_whole or self._is_closed:
                await trio.lowlevel.checkpoint()
                return b""
            if not await self._feed():
                if self._ends_with_connection():
                    return b""
                told = "peer closed connection without sending complete message body"
                raise httpx.RemoteProtocolError(told)
        data = b"".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
        self._pieces.clear()
        return data

    def whole(self) -> bytes | None:
        """See Reply."""
        if not self._is_whole or self._is_closed:
            return None
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def _ends_with_connection(self) -> bool:
        return not any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    async def _feed(self) -> bool:
        """Read what has come; False at the end of the connection."""
        data = b""
        while not self._is_closed:
            # Nothing can have come yet, or nearly so: whoever reads has just sent, or has read all.
            await self._until(trio.lowlevel.wait_readable)
            try:
                data = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise httpx.ReadError(_told(error, "the connection broke")) from error
            break
        if not data:
            return False
        self._take_in(data)
        return True

    def _take_in(self, data: bytes) -> None:
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httpx.RemoteProtocolError("the server answered with another protocol") from None
        except httptools.HttpParserError as error:
            if not self._is_whole:
                raise httpx.RemoteProtocolError(f"illegal answer: {error}") from None
            self._has_more = True
        if not self._has_head and self._head_bytes > MAX_HEAD_BYTES:
            raise httpx.RemoteProtocolError(f"the head of the answer has more than {MAX_HEAD_BYTES} bytes")

    # --- without a task -----------------------------------------------------------------------------

    def watched(self, watch: Watch, wake: Callable[[], None]) -> None:
        """Call `wake` when something has come; it stays known to the watch, which costs two system calls less."""
        self._wake = wake
        if self._watch is None:
            self._watch = watch
            watch.add(self._socket.fileno(), self._woken)

    def rest(self) -> None:
        """Nobody waits for anything on it."""
        self._wake = None

    def unwatched(self) -> None:
        """Whoever waits now does so in a task."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.discard(self._socket.fileno())

    def _woken(self) -> None:
        if self._wake is not None:
            self._wake()
        else:
            # The server has closed it, or has sent what nobody asked for: it is not used again.
            self.unwatched()

    def close(self) -> None:
        """Close it at once."""
        if not self._is_closed:
            self.unwatched()
            self._is_closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


def _lines(headers: Mapping[str, str]) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\r") != len(headers) or lines.count("\n") != len(headers) or "\0" in lines:
        raise httpx.LocalProtocolError("a header has a line end in it")
    try:
        return lines.encode("latin-1")
    except UnicodeEncodeError:
        raise httpx.LocalProtocolError("a header has characters that none may have") from None


def _told(error: BaseException | None, otherwise: str) -> str:
    """What happened, with the system's reason: that of the first address, where several were tried."""
    if isinstance(error, OSError) and error.errno is None and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{otherwise}: {reason}" if reason else otherwise


def is_direct(url: httpx.URL) -> bool:
    """Whether a URL is one for Pool: plain HTTP, without a password, and no proxy stands before it."""
    if url.scheme != "http" or url.userinfo or not url.host:
        return False
    proxies = urllib.request.getproxies()
    if not (proxies.get("http") or proxies.get("all")):
        return True
    return bool(urllib.request.proxy_bypass(url.host))
