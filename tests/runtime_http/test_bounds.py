"""Every bound on every way in: a probe, or the reason why there is nothing to bound.

docs/how-to/serve.md says that all limits hold alike; the table BOUNDS is what makes it true.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import httpx
import msgspec
import pytest
import trio
from http_rig import Server, call, post, run, running, split

from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import REASONS, Limits
from protogen_runtime.io.http.server import Tls

ADD = call("add", [1, 2])
FOREVER = call("sleep", {"seconds": 60})
CLEAR, TLS, HTTP2, WEBSOCKET = "HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2", "WebSocket"
WAYS = (CLEAR, TLS, HTTP2, WEBSOCKET)
HANDSHAKE = (
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


class Visit:
    """A server with some bounds, reached one way."""

    def __init__(self, way: str, server: Server, trust: ssl.SSLContext) -> None:
        self.way = way
        self.server = server
        self.trust = trust
        self.answer_headers: dict[str, str] = {}

    async def connect(self, protocol: str = "http/1.1") -> Any:
        if self.way in (CLEAR, WEBSOCKET):
            return await self.server.connect()
        self.trust.set_alpn_protocols([protocol])
        return await self.server.connect(self.trust)

    async def ask(self, body: bytes = ADD, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; a WebSocket's messages count as 200, its end as 0."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.way == HTTP2:
            self.trust.set_alpn_protocols(["h2"])
            async with httpx.AsyncClient(http2=True, verify=self.trust, timeout=20) as http:
                named = {"content-type": "application/json", **named}
                answer = await http.post(f"https://localhost:{self.server.port}/", content=body, headers=named)
            assert answer.http_version == "HTTP/2"
            self.answer_headers = dict(answer.headers)
            return answer.status_code, _json(answer.content)
        lines = [f"{name}: {value}" for name, value in named.items()]
        if self.way == WEBSOCKET:
            status, socket = await self.open(*lines)
            return (status, None) if socket is None else await socket.ask(body)
        answer = await self.server.exchange(post(body, *lines, close=True), tls=self.trust if self.way == TLS else None)
        status, self.answer_headers, content = split(answer)
        return status, _json(content)

    async def preflight(self, origin: str) -> tuple[int, str | None]:
        """What a browser asks before a page may call: the status, and the verbs that are allowed."""
        if self.way == HTTP2:
            self.trust.set_alpn_protocols(["h2"])
            async with httpx.AsyncClient(http2=True, verify=self.trust) as http:
                answer = await http.options(f"https://localhost:{self.server.port}/", headers={"origin": origin})
            return answer.status_code, answer.headers.get("access-control-allow-methods")
        asked = f"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n".encode()
        found, headers, _ = split(await self.server.exchange(asked, tls=self.trust if self.way == TLS else None))
        return found, headers.get("access-control-allow-methods")

    async def open(self, *lines: str) -> tuple[int, Socket | None]:
        """A handshake of WebSocket: its status, and the socket where that is 101."""
        stream = await self.server.connect()
        host = [] if any(line.lower().startswith("host:") for line in lines) else ["Host: localhost"]
        await stream.send_all((HANDSHAKE + "".join(f"{line}\r\n" for line in [*host, *lines]) + "\r\n").encode())
        status, self.answer_headers, _ = split(bytes(await stream.receive_some(65536)))
        return status, Socket(stream) if status == 101 else None

    async def begin(self, body: bytes) -> Any:
        """Send a call, and leave its answer alone."""
        if self.way == WEBSOCKET:
            _, socket = await self.open()
            assert socket is not None
            await socket.send(body)
            return socket.stream
        if self.way == HTTP2:
            client = await self.http2()
            client.begin(1, body, end=True)
            await client.flush()
            return client.stream
        stream = await self.connect()
        await stream.send_all(post(body))
        return stream

    async def http2(self) -> Http2:
        return Http2(await self.connect("h2"))

    async def until_in_flight(self, count: int) -> None:
        while self.server.shell.endpoint.in_flight != count:
            await trio.sleep(0.005)

    async def until_gone(self) -> None:
        while self.server.shell.open_connections:
            await trio.sleep(0.005)


class Socket:
    """A WebSocket that answers no pings."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._data = b""

    async def send(self, text: bytes) -> None:
        size = len(text)
        head = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        if size > 65535:
            head = b"\xff" + size.to_bytes(8, "big")
        await self.stream.send_all(b"\x81" + head + bytes(4) + text)

    async def receive(self) -> bytes:
        """The next text message; empty at the end."""
        while True:
            while len(self._data) < 4 or len(self._data) < self._needs():
                data = await self.stream.receive_some(65536)
                if not data:
                    return b""
                self._data += data
            start, size = self._layout()
            kind, text = self._data[0] & 15, self._data[start : start + size]
            self._data = self._data[start + size :]
            if kind == 1:
                return bytes(text)
            if kind == 8:
                return b""

    async def ask(self, text: bytes) -> tuple[int, Any]:
        await self.send(text)
        answer = await self.receive()
        return (200, json.loads(answer)) if answer else (0, None)

    def _layout(self) -> tuple[int, int]:
        size = self._data[1]
        if size < 126:
            return 2, size
        width = 2 if size == 126 else 8
        return 2 + width, int.from_bytes(self._data[2 : 2 + width], "big")

    def _needs(self) -> int:
        return sum(self._layout()) if len(self._data) >= 10 or self._data[1] < 126 else 10


class Http2:
    """An HTTP/2 connection, frame by frame."""

    heads = ((":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"))

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.connection.initiate_connection()

    def begin(self, number: int, body: bytes, *, end: bool) -> None:
        self.connection.send_headers(number, [*self.heads, ("content-type", "application/json")])
        self.connection.send_data(number, body, end_stream=end)

    async def flush(self) -> None:
        await self.stream.send_all(self.connection.data_to_send())

    async def wait_for(self, kind: type) -> Any:
        while data := await self.stream.receive_some(65536):
            for event in self.connection.receive_data(data):
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"the connection has ended before a {kind.__name__}")


def _json(content: bytes) -> Any:
    return json.loads(content) if content[:1] in (b"{", b"[") else None


Start: TypeAlias = Callable[..., Any]
Probe: TypeAlias = Callable[[str, Start], Awaitable[None]]


# --- probes ---------------------------------------------------------------------------------------------------


def status(wanted: int, body: bytes = ADD, *, limits: Limits | None = None, **headers: str) -> Probe:
    """What is refused with this status; on a WebSocket, when it is opened."""

    async def probe(way: str, start: Start) -> None:
        async with start(limits) as visit:
            assert (await visit.ask(body, **headers))[0] == wanted
            assert (await visit.ask())[0] == 200

    return probe


def failure(body: bytes, message: str, limits: Limits) -> Probe:
    """What is answered with this error."""

    async def probe(way: str, start: Start) -> None:
        async with start(limits) as visit:
            found, answer = await visit.ask(body)
            assert (found, answer["error"]["message"]) == (200, message)

    return probe


async def too_large(way: str, start: Start) -> None:
    async with start(Limits(max_body_bytes=1000)) as visit:
        found, answer = await visit.ask(b" " * 1001)
        # A WebSocket has no status; it ends.
        assert (found, answer) == (413 if way != WEBSOCKET else 0, None)
        assert (await visit.ask(b" " * (1000 - len(ADD)) + ADD))[0] == 200


async def many_headers(way: str, start: Start) -> None:
    async with start() as visit:
        assert (await visit.ask(**{f"x{number}": "a" for number in range(70)}))[0] == 431


async def pipelined(way: str, start: Start) -> None:
    async with start(Limits(max_pipelined_bytes=1000, graceful_seconds=0.1)) as visit:
        stream = await visit.begin(FOREVER)
        sent = 0
        with trio.move_on_after(0.2) as stuck:
            while sent < 20_000_000:
                await stream.send_all(b" " * 65_536)
                sent += 65_536
        assert stuck.cancelled_caught
        await visit.until_in_flight(1)
        visit.server.hang_up()


async def connections(way: str, start: Start) -> None:
    async with start(Limits(max_connections=1)) as visit:
        await visit.begin(FOREVER)
        await visit.until_in_flight(1)
        if way in (CLEAR, WEBSOCKET):
            assert (await visit.ask())[0] == 503
        else:
            # Before its handshake a client of TLS understands nothing else.
            with pytest.raises(
                (httpx.ConnectError, httpx.ReadError, trio.BrokenResourceError, ssl.SSLError, IndexError)
            ):
                await visit.ask()


async def in_flight(way: str, start: Start) -> None:
    async with start(Limits(max_in_flight=1, retry_after_seconds=7)) as visit:
        await visit.begin(FOREVER)
        await visit.until_in_flight(1)
        found, answer = await visit.ask(FOREVER)
        if way == WEBSOCKET:
            assert answer["error"]["message"] == "Too many calls under way"
        else:
            assert (found, visit.answer_headers["retry-after"]) == (503, "7")
        assert (await visit.ask())[1]["result"] == {"sum": 3}


async def in_flight_of_a_socket(way: str, start: Start) -> None:
    async with start(Limits(max_in_flight_per_connection=2)) as visit:
        _, socket = await visit.open()
        for _ in range(3):
            await socket.send(FOREVER)
        assert json.loads(await socket.receive())["error"]["message"] == "Too many calls under way"


async def streams(way: str, start: Start) -> None:
    async with start(Limits(max_streams=3)) as visit:
        client = await visit.http2()
        await client.flush()
        changed = (await client.wait_for(h2.events.RemoteSettingsChanged)).changed_settings
        assert changed[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS].new_value == 3


async def resets(way: str, start: Start) -> None:
    async with start(Limits(max_resets=20)) as visit:
        client = await visit.http2()
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - the break comes at any one of them
            for number in range(1, 4000, 2):
                client.connection.send_headers(number, client.heads)
                client.connection.reset_stream(number)
                await client.flush()
                await trio.lowlevel.checkpoint()


async def silent_handshake(way: str, start: Start) -> None:
    async with start(Limits(handshake_seconds=0.2)) as visit:
        stream = await visit.server.connect()
        with trio.fail_after(2):
            assert await stream.receive_some(100) == b""


async def half_a_head(way: str, start: Start) -> None:
    quick = Limits(header_seconds=0.2, idle_seconds=0.2, linger_seconds=0.1)
    async with start(quick) as visit:
        if way == HTTP2:
            client = await visit.http2()
            # A frame of headers that never ends; idle_seconds bounds a connection without a request.
            await client.stream.send_all(client.connection.data_to_send() + b"\0\0\x10\x01\x04\0\0\0\x01\x82")
            with trio.fail_after(3):
                while await client.stream.receive_some(65536):
                    pass
            return
        stream = await visit.connect()
        head = HANDSHAKE.encode() if way == WEBSOCKET else b"POST / HTTP/1.1\r\nHost: loc"
        await stream.send_all(head)
        assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 408 ")


def slow_body(limits: Limits, pause: float) -> Probe:
    """A body that comes a byte at a time."""

    async def probe(way: str, start: Start) -> None:
        async with start(limits) as visit, trio.open_nursery() as nursery:
            if way == HTTP2:
                client = await visit.http2()
                client.begin(1, b" ", end=False)
                await client.flush()
            else:
                stream = await visit.connect()
                await stream.send_all(post(b"", "Content-Length: 1000"))

            async def trickle() -> None:
                while True:
                    await trio.sleep(pause)
                    if way == HTTP2:
                        client.connection.send_data(1, b" ")
                        await client.flush()
                    else:
                        await stream.send_all(b" ")

            nursery.start_soon(trickle)
            if way == HTTP2:
                answer = await client.wait_for(h2.events.ResponseReceived)
                assert (b":status", b"408") in answer.headers
            else:
                assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 408 ")
            nursery.cancel_scope.cancel()

    return probe


async def idle(way: str, start: Start) -> None:
    async with start(Limits(idle_seconds=0.3)) as visit:
        stream = await visit.begin(ADD)
        with trio.fail_after(4):
            try:
                while await stream.receive_some(65536):
                    pass
            except trio.BrokenResourceError:
                pass
        visit.server.hang_up()
        await visit.until_gone()


async def not_reading(way: str, start: Start) -> None:
    async with start(Limits(send_seconds=0.3, min_bytes_per_second=10**6)) as visit:
        if way == WEBSOCKET:
            _, socket = await visit.open()
            with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - the break comes at any one of them
                while True:
                    await socket.send(call("echo", {"value": "x" * 60_000}))
        else:
            await visit.begin(call("count", {"to": 10**9}))
            await visit.until_in_flight(1)
        with trio.fail_after(10):
            await visit.until_in_flight(0)


async def lingering(way: str, start: Start) -> None:
    async with start(Limits(max_body_bytes=10, linger_seconds=0.2)) as visit:
        stream = await visit.connect()
        await stream.send_all(post(b"", "Content-Length: 1000") + b"{")
        assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 413 ")
        await stream.send_all(b"still coming")
        with trio.fail_after(2):
            await visit.until_gone()


async def shutdown(way: str, start: Start) -> None:
    async with start(Limits(graceful_seconds=0.3)) as visit:
        await visit.begin(FOREVER)
        await visit.until_in_flight(1)
        visit.server.stop()
        with trio.fail_after(3):
            await visit.until_gone()


async def rate(way: str, start: Start) -> None:
    async with start(Limits(requests_per_second=0.001, burst=3)) as visit:
        if way == WEBSOCKET:
            # The handshake is one, and so is each call.
            _, socket = await visit.open()
            answers = [(await socket.ask(ADD))[1] for _ in range(3)]
            assert [answer.get("error", {}).get("message") for answer in answers] == [None, None, "Too many requests"]
            assert (await visit.open())[0] == 429
        else:
            assert [(await visit.ask())[0] for _ in range(4)] == [200, 200, 200, 429]


async def preflight(way: str, start: Start) -> None:
    async with start(access=Access(origins=("https://app.example",))) as visit:
        assert (await visit.ask(origin="https://app.example"))[0] == 200
        assert visit.answer_headers["access-control-allow-origin"] == "https://app.example"
        assert (await visit.ask(origin="https://evil.example"))[0] == 403
        assert "access-control-allow-origin" not in visit.answer_headers
        assert (await visit.ask())[0] == 200
        assert "access-control-allow-origin" not in visit.answer_headers
        for origin, wanted in (("https://app.example", 204), ("https://evil.example", 403)):
            assert (await visit.preflight(origin))[0] == wanted
    async with start() as visit:
        # Off, unless configured.
        assert (await visit.preflight("https://app.example")) == (403, None)


async def keys(way: str, start: Start) -> None:
    async with start(access=Access(keys={"ann": "secret"})) as visit:
        given = [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer secret"}, {"x_api_key": "secret"}]
        assert [(await visit.ask(**headers))[0] for headers in given] == [401, 401, 200, 200]


async def uncompressed(way: str, start: Start) -> None:
    async with start() as visit:
        found, socket = await visit.open("Sec-WebSocket-Extensions: permessage-deflate")
        assert (found, "sec-websocket-extensions" in visit.answer_headers) == (101, False)
        assert (await socket.ask(ADD))[0] == 200


async def connect_refused(way: str, start: Start) -> None:
    async with start() as visit:
        client = await visit.http2()
        heads = [(":method", "CONNECT"), (":protocol", "websocket"), *client.heads[1:]]
        client.connection.remote_settings.enable_connect_protocol = 1
        client.connection.send_headers(1, heads)
        await client.flush()
        reset = await client.wait_for(h2.events.StreamReset)
        assert reset.error_code == h2.errors.ErrorCodes.REFUSED_STREAM


# --- the table ------------------------------------------------------------------------------------------------

NO_STREAMS = "there are no streams"
NO_BODY = "a message has no deadline: in the middle of one, a socket costs what an idle one costs, and max_body_bytes"
ONE_AT_A_TIME = "a connection serves one request after the other"
NO_TLS = "there is no handshake of TLS; with TLS it is the one of the next row"
LATE = Limits(body_seconds=0.3, body_grace_seconds=0.2, min_bytes_per_second=1, linger_seconds=0.1)
STALLED = Limits(body_grace_seconds=0.2, min_bytes_per_second=10**6, linger_seconds=0.1)
CALLED = failure(FOREVER, "Deadline exceeded", Limits(call_seconds=0.2))
BATCH = failure(b"[%b]" % b",".join([ADD] * 4), "Invalid Request", Limits(max_batch=3))


def everywhere(probe: Probe, **others: Probe | str) -> dict[str, Probe | str]:
    """The same probe on each way but those that are named: `clear`, `tls`, `http2`, `websocket`."""
    names = dict(zip(("clear", "tls", "http2", "websocket"), WAYS, strict=True))
    return {way: others.get(name, probe) for name, way in names.items()}


BOUNDS: dict[str, dict[str, Probe | str]] = {
    "max_body_bytes": everywhere(too_large),
    "max_header_bytes": everywhere(status(431, x="a" * 17_000)),
    "max_headers": everywhere(many_headers),
    "max_batch": everywhere(BATCH),
    "max_pipelined_bytes": everywhere(
        pipelined,
        http2="streams do not wait for each other; the window of each is 64 KiB",
        websocket="messages do not wait for each other; max_in_flight_per_connection bounds them",
    ),
    "max_connections": everywhere(connections),
    "max_in_flight": everywhere(in_flight),
    "max_in_flight_per_connection": everywhere(
        in_flight_of_a_socket, clear=ONE_AT_A_TIME, tls=ONE_AT_A_TIME, http2="max_streams is the bound, and is less"
    ),
    "max_streams": everywhere(streams, clear=NO_STREAMS, tls=NO_STREAMS, websocket=NO_STREAMS),
    "max_resets": everywhere(resets, clear=NO_STREAMS, tls=NO_STREAMS, websocket=NO_STREAMS),
    "handshake_seconds": everywhere(silent_handshake, clear=NO_TLS, websocket=NO_TLS),
    "header_seconds": everywhere(half_a_head),
    "body_seconds": everywhere(slow_body(LATE, 0.02), websocket=NO_BODY),
    "body_grace_seconds": everywhere(slow_body(STALLED, 1.0), websocket=NO_BODY),
    "min_bytes_per_second": everywhere(slow_body(STALLED, 0.05), websocket=not_reading),
    "idle_seconds": everywhere(idle),
    "send_seconds": everywhere(not_reading),
    "call_seconds": everywhere(CALLED),
    "linger_seconds": everywhere(
        lingering,
        http2="the connection goes on after a refusal; late data is dropped, after 1 MiB the stream is reset",
        websocket="a refused handshake has no body",
    ),
    "graceful_seconds": everywhere(shutdown),
    "retry_after_seconds": everywhere(in_flight, websocket="an error of JSON-RPC has no headers"),
    "requests_per_second": everywhere(rate),
    "burst": everywhere(rate),
    # What is no limit and bounds all the same.
    "hosts": everywhere(status(421, host="evil.example")),
    "origins": everywhere(
        status(403, origin="https://evil.example"), websocket=status(403, origin="https://evil.example")
    ),
    "cors": everywhere(preflight, websocket="browsers ask nobody before they open a WebSocket: origins decide"),
    "keys": everywhere(keys),
    "media type": everywhere(status(415, content_type="text/plain"), websocket="messages have no media type"),
    "compression": everywhere(status(415, content_encoding="gzip"), websocket=uncompressed),
    "other protocols": everywhere(
        connect_refused,
        clear="test_requests: h2c and CONNECT",
        tls="test_requests: h2c and CONNECT",
        websocket="nothing comes after an upgrade",
    ),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_bound_holds_on_every_way_in(bound: str, certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for way, probe in BOUNDS[bound].items():
                if not isinstance(probe, str):
                    nursery.start_soon(probe, way, starting(way))

    def starting(way: str) -> Start:
        @asynccontextmanager
        async def start(limits: Limits | None = None, access: Access | None = None) -> AsyncGenerator[Visit]:
            used = tls if way in (TLS, HTTP2) else None
            quick = Limits(linger_seconds=0.1) if limits is None else limits
            if quick.linger_seconds == Limits().linger_seconds:
                # Over TLS nobody sees earlier that an answer was the last.
                quick = msgspec.structs.replace(quick, linger_seconds=0.1)
            async with running(limits=quick, access=access, tls=used) as server:
                trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                trust.load_verify_locations(str(authority))
                yield Visit(way, server, trust)

        return start

    run(main)


def test_manual_says_where_there_is_nothing_to_bound() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/how-to/serve.md").read_text("utf-8")
    for bound in REASONS:
        cells = BOUNDS[bound]
        marks = " | ".join("yes" if not isinstance(cells[way], str) else "no" for way in WAYS)
        if "no" in marks:
            reasons = "; ".join(dict.fromkeys(cell for cell in cells.values() if isinstance(cell, str)))
            assert f"| `{bound}` | {marks} | {reasons} |" in text, f"| `{bound}` | {marks} | {reasons} |"


def test_no_bound_and_no_way_is_left_out() -> None:
    assert set(REASONS) <= set(BOUNDS)
    # Tokens come the way of keys, and are met in tests of their own.
    assert set(Access.__struct_fields__) - {"jwt"} <= set(BOUNDS)
    for bound, cells in BOUNDS.items():
        assert tuple(cells) == WAYS, bound
        assert any(not isinstance(cell, str) for cell in cells.values()), bound
        assert all(cell if isinstance(cell, str) else callable(cell) for cell in cells.values()), bound
