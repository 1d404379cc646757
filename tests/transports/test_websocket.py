"""WebSockets: bad clients against the server, bad servers against the client, on real sockets and in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import servers
import trio
import trio.testing
import wsproto
from msgspec import Raw
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage

from protogen_runtime.io.channel import Bounds, TransportError
from protogen_runtime.io.contract import Client, Server, ask, callbacks_of, service_of
from protogen_runtime.io.peer import PeerChannel
from protogen_runtime.io.websocket import SERVER_BOUNDS, WebSocketApp
from protogen_runtime.io.websocket_client import WebSocketChannel, _Socket

ECHO = '{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":1}}'
ECHOED = {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}


def run(scenario: Callable[[], Awaitable[None]], *, clock: trio.abc.Clock | None = None) -> None:
    async def limited() -> None:
        with trio.fail_after(3000 if clock else 20):
            await scenario()

    trio.run(limited, clock=clock)


def jumping() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)


# --- the server, by ASGI --------------------------------------------------------------------------------


class Visitor:
    """One client of the application, as an ASGI server presents it."""

    def __init__(self, **state: Any) -> None:
        self.to_app, self._to_app = trio.open_memory_channel[dict[str, Any]](100)
        self.to_app.send_nowait({"type": "websocket.connect"})
        self.sent: list[dict[str, Any]] = []
        self.moved = trio.lowlevel.ParkingLot()
        self.reads = True
        self.has_ended = False
        headers = [(b"User-Agent", b"visitor")]
        self.scope = {"type": "websocket", "path": "/", "headers": headers, "state": state}

    async def run(self, app: WebSocketApp) -> None:
        await app(self.scope, self._to_app.receive, self._send)
        self.has_ended = True
        self.moved.unpark_all()

    async def _send(self, event: Any) -> None:
        await trio.lowlevel.checkpoint()
        while not self.reads:
            await self.moved.park()
        self.sent.append(event)
        self.moved.unpark_all()

    def say(self, **event: Any) -> None:
        self.to_app.send_nowait({"type": "websocket.receive", **event})

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.moved.park()

    @property
    def answers(self) -> list[Any]:
        return [msgspec.json.decode(event["text"]) for event in self.sent if event["type"] == "websocket.send"]


@asynccontextmanager
async def visited(bounds: Bounds = SERVER_BOUNDS, **state: Any) -> AsyncGenerator[tuple[Server, Visitor, WebSocketApp]]:
    server, visitor = Server(), Visitor(**state)
    app = WebSocketApp(service_of(server), bounds=bounds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(visitor.run, app)
        yield server, visitor, app
        nursery.cancel_scope.cancel()


def test_text_and_binary_messages_mean_the_same() -> None:
    async def scenario() -> None:
        async with visited() as (_, visitor, _):
            visitor.say(text=ECHO)
            visitor.say(bytes=ECHO.encode(), text=None)
            visitor.say(text="\ud800")
            visitor.say(text="")
            await visitor.until(lambda: len(visitor.answers) == 4)
            refused = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
            assert visitor.answers == [ECHOED, ECHOED, refused, refused]

    run(scenario)


def test_a_message_that_is_too_long_is_refused_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        async with visited(Bounds(max_frame_bytes=100)) as (_, visitor, _):
            visitor.say(text="é" * 51)
            visitor.say(text=ECHO)
            await visitor.until(lambda: len(visitor.answers) == 2)
            assert visitor.answers[0]["error"]["code"] == -32600
            assert visitor.answers[1] == ECHOED

    run(scenario)


def test_a_client_that_does_not_read_is_dropped_at_a_bounded_cost() -> None:
    async def scenario() -> None:
        async with visited() as (_, visitor, app):
            await visitor.until(lambda: len(visitor.sent) == 1)
            visitor.reads = False
            (peer,) = app.connections
            stopped = trio.current_time()
            text = ECHO.replace('{"a":1}', '{"a":"' + "x" * 10_000 + '"}')
            while not visitor.has_ended:
                if visitor.to_app.statistics().current_buffer_used < 90:
                    visitor.say(text=text)
                assert peer._unsent_bytes < 2 * 1024 * 1024
                await trio.sleep(0.01)
            assert trio.current_time() - stopped <= 60
            assert not app.connections

    run(scenario, clock=jumping())


def test_a_quiet_connection_is_closed() -> None:
    async def scenario() -> None:
        async with visited() as (_, visitor, app):
            await visitor.until(lambda: visitor.has_ended)
            assert trio.current_time() >= 600
            assert visitor.sent[-1] == {"type": "websocket.close", "code": 1000}
            assert not app.connections

    run(scenario, clock=jumping())


def test_connections_beyond_the_bound_are_refused() -> None:
    async def scenario() -> None:
        app = WebSocketApp(service_of(Server()), max_connections=1)
        async with trio.open_nursery() as nursery:
            first, second = Visitor(), Visitor()
            nursery.start_soon(first.run, app)
            await first.until(lambda: bool(first.sent))
            await second.run(app)
            assert second.sent == [{"type": "websocket.close", "code": 1001}]
            nursery.cancel_scope.cancel()

    run(scenario)


def test_closing_the_application_ends_its_connections() -> None:
    async def scenario() -> None:
        async with visited() as (_, visitor, app):
            await visitor.until(lambda: len(visitor.sent) == 1)
            await app.aclose()
            await visitor.until(lambda: visitor.has_ended)
            assert not app.connections

    run(scenario)


def test_only_websockets_are_served() -> None:
    async def send(_: Any) -> None:
        await trio.lowlevel.checkpoint()

    async def scenario() -> None:
        with pytest.raises(ValueError, match="expected a scope of type websocket, got 'http'"):
            await WebSocketApp(service_of(Server()))({"type": "http"}, trio.sleep_forever, send)

    run(scenario)


# --- the client, against servers made by hand -----------------------------------------------------------

Script = Callable[["Host"], Awaitable[None]]


class Host:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = wsproto.WSConnection(ConnectionType.SERVER)

    async def event(self) -> Any:
        """The next event."""
        while True:
            for event in self.protocol.events():
                return event
            self.protocol.receive_data(bytes(await self.stream.receive_some()) or None)

    async def say(self, *events: Any) -> None:
        await self.stream.send_all(b"".join(self.protocol.send(event) for event in events))

    async def accept(self) -> None:
        assert isinstance(await self.event(), Request)
        await self.say(AcceptConnection())


@asynccontextmanager
async def hosted(script: Script, **options: Any) -> AsyncGenerator[WebSocketChannel]:
    """A channel to a script, over streams in memory."""
    ours, theirs = trio.testing.memory_stream_pair()

    class Channel(WebSocketChannel):
        async def _open_stream(self) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return ours

    async with trio.open_nursery() as nursery:
        nursery.start_soon(script, Host(theirs))
        channel = Channel("ws://host/path?query", **options)
        try:
            yield channel
        finally:
            await channel.aclose()
            nursery.cancel_scope.cancel()


def test_pings_are_answered_and_messages_may_come_with_the_handshake() -> None:
    async def scenario() -> None:
        heard: list[Any] = []

        async def script(host: Host) -> None:
            request = await host.event()
            heard.append((request.host, request.target, dict(request.extra_headers)[b"x-key"]))
            call = '{"jsonrpc":"2.0","id":"c","method":"answer","params":{"mark":1,"number":2}}'
            await host.say(AcceptConnection(), Ping(b"well?"), TextMessage(call))
            heard.append((await host.event()).payload)
            heard.append(msgspec.json.decode((await host.event()).data)["result"])
            done.set()

        done = trio.Event()
        async with hosted(script, callbacks=callbacks_of(Client("me")), headers={"X-Key": "k"}) as channel:
            await channel.open()
            await done.wait()
        assert heard == [("host", "/path?query", b"k"), b"well?", ["me", 1, 2]]

    run(scenario)


async def _refuse(host: Host) -> None:
    await host.event()
    await host.say(RejectConnection(status_code=403))


async def _speak_nonsense(host: Host) -> None:
    await host.event()
    await host.stream.send_all(b"HTTP/1.1 twelve\r\n\r\n")


async def _leave(host: Host) -> None:
    await host.event()
    await host.stream.aclose()


async def _say_nothing(host: Host) -> None:
    await host.event()
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (_refuse, "the server refused the WebSocket with 403"),
        (_speak_nonsense, "the server does not speak WebSocket"),
        (_leave, "the server does not speak WebSocket|the connection to the server was lost"),
        (_say_nothing, "host did not answer within 10 s"),
    ],
)
def test_a_handshake_that_fails_says_why(script: Script, reason: str) -> None:
    async def scenario() -> None:
        async with hosted(script) as channel:
            with pytest.raises(TransportError, match=reason):
                await channel.open()

    run(scenario, clock=jumping())


async def _close(host: Host) -> None:
    await host.accept()
    await host.event()
    await host.say(CloseConnection(code=1001))


async def _break(host: Host) -> None:
    await host.accept()
    await host.event()
    await host.stream.send_all(b"\xff\xff\xff\xff")


async def _vanish(host: Host) -> None:
    await host.accept()
    await host.event()
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (_close, "the connection has ended before any was answered"),
        (_break, "does not speak WebSocket|the connection has ended"),
        (_vanish, "the server did not answer a ping within 20 s"),
    ],
)
def test_a_connection_that_ends_fails_its_calls(script: Script, reason: str) -> None:
    async def scenario() -> None:
        async with hosted(script) as channel:
            await channel.open()
            with pytest.raises(TransportError, match=reason):
                await ask(channel, "any")
            with pytest.raises(TransportError):
                await channel.notify("any", Raw())

    run(scenario, clock=jumping())


def test_a_ping_that_crosses_our_close_is_not_answered() -> None:
    async def scenario() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        host = Host(theirs)
        socket = _Socket(ours, 1000, 20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.accept)
            await socket.shake_hands("h", "/", [])
        await host.say(Ping(b"well?"), TextMessage("{}"))
        await ours.send_all(socket._protocol.send(CloseConnection(code=1000)))
        assert await socket.receive_frames() == [b"{}"]
        assert isinstance(await host.event(), CloseConnection)
        await host.stream.aclose()
        with trio.fail_after(60):
            assert await socket.receive_frames() is None
        await socket.aclose()

    run(scenario, clock=jumping())


def test_a_message_that_is_too_long_does_not_fill_the_clients_memory() -> None:
    async def scenario() -> None:
        told: list[Any] = []

        async def script(host: Host) -> None:
            await host.accept()
            await host.event()
            for _ in range(1000):
                await host.say(TextMessage("x" * 100, message_finished=False))
            await host.say(TextMessage(""), TextMessage('{"jsonrpc":"2.0","id":1,"result":"ok"}'))
            told.append(msgspec.json.decode((await host.event()).data)["error"]["code"])
            done.set()

        done = trio.Event()
        async with hosted(script, bounds=Bounds(max_frame_bytes=1000)) as channel:
            await channel.open()
            assert await ask(channel, "any") == "ok"
            await done.wait()
        assert told == [-32600]

    run(scenario)


# --- both, through the server shell ---------------------------------------------------------------------


def test_handlers_are_told_the_headers_and_a_foreign_origin_is_refused() -> None:
    heard: list[Any] = []

    class Curious(Server):
        def echo(self, params: Any, context: Any) -> Any:
            heard.append((context.headers["x-key"], context.identity))
            return params

    async def scenario() -> None:
        async with servers.http_shell(service_of(Curious())) as authority:
            channel: PeerChannel = WebSocketChannel(f"ws://{authority}/", headers={"X-Key": "k"})
            await channel.open()
            assert await ask(channel, "echo", {}) == {}
            await channel.aclose()
            stranger = WebSocketChannel(f"ws://{authority}/", headers={"Origin": "http://evil"})
            with pytest.raises(TransportError, match="403"):
                await stranger.open()
        assert heard == [("k", None)]

    run(scenario)
