"""One call connects to anything: what targets mean, what is said of those that mean nothing, and generated clients."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
import servers
import trio
from echo_protocol import AddParams, AddResult, CallTimeoutError, CountEvent, CountParams, EchoParams, TransportError
from echo_protocol.client import CLIENTS, ServerClient
from echo_protocol.errors import CallbackFailedError, SumOutOfRangeError
from echo_protocol.methods import PROTOCOL
from echo_protocol.types import CallbackParams, EchoResult, SleepParams

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.echo import make_service
from protogen_runtime.io.channel import Channel
from protogen_runtime.io.client import Target, UnknownTarget, channel_to, connect, known_schemes
from protogen_runtime.io.client_http import HttpChannel
from protogen_runtime.io.memory import memory_pair
from protogen_runtime.io.session import SessionApp
from protogen_runtime.io.session_client import SessionChannel
from protogen_runtime.io.stdio import StdioChannel
from protogen_runtime.io.websocket_client import WebSocketChannel

made: list[Target] = []


def make_toy(target: Target) -> Channel:
    """A transport that somebody registered."""
    made.append(target)
    return HttpChannel("http://toy/")


NO_FUNCTION = 1


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points of distributions that are not installed."""
    monkeypatch.setitem(sys.modules, "toys", sys.modules[__name__])
    entries = EntryPoints(
        EntryPoint(name, value, "protogen.transports")
        for name, value in (
            ("toy", "toys:make_toy"),
            ("twice", "toys:make_toy"),
            ("twice", "toys:NO_FUNCTION"),
            ("gone", "no_such_module:make"),
            ("odd", "toys:NO_FUNCTION"),
            ("http", "toys:make_toy"),
        )
    )
    monkeypatch.setattr("protogen_runtime.installed.entry_points", lambda **chosen: entries.select(**chosen))


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("http://h/", HttpChannel),
        ("HTTPS://h/rpc", HttpChannel),
        ("ws://h", WebSocketChannel),
        ("wss://h:1/x?y", WebSocketChannel),
        ("sse+http://h/events", SessionChannel),
        ("stdio:server --stdio", StdioChannel),
        (["server", "--stdio"], StdioChannel),
    ],
)
def test_the_scheme_chooses_the_transport(registered: None, target: Any, kind: type) -> None:
    assert type(channel_to(target)) is kind
    assert made == []


def test_registered_transports_are_told_all_there_is(registered: None) -> None:
    service = make_service()
    assert type(channel_to("toy:anything", callbacks=service, headers={"a": "b"})) is HttpChannel
    (target,) = made
    made.clear()
    assert target.address == "toy:anything"
    assert target.callbacks is service
    assert target.headers == {"a": "b"}
    assert target.instance_header == PROTOCOL.instance_header
    assert set(known_schemes()) >= {"toy", "http", "stdio"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "'' names no transport; write http://HOST:PORT/ or stdio:COMMAND"),
        ("localhost", "'localhost' names no transport; write http://localhost/ or stdio:COMMAND"),
        ("htp://h/", "no transport is registered for htp: .*; did you mean http:?"),
        ("twice:x", "twice: is registered by an unknown distribution and an unknown distribution; uninstall one"),
        ("gone:x", "the transport for gone: .* cannot be imported: No module named 'no_such_module'; reinstall"),
        ("odd:x", "the transport for odd: .* is no function; update it"),
        ("stdio:", "stdio: names no command; write stdio:PROGRAM ARGUMENTS"),
    ],
)
def test_what_means_nothing_is_explained(registered: None, target: str, message: str) -> None:
    with pytest.raises(UnknownTarget, match=message):
        channel_to(target)


def test_a_websocket_url_without_a_host_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a ws:// or wss:// URL, got 'ws:/x'"):
        channel_to("ws:/x")


def test_callbacks_for_a_channel_that_exists_are_refused() -> None:
    with pytest.raises(UnknownTarget, match="leave callbacks= out"):
        channel_to(HttpChannel("http://h/"), callbacks=make_service())


# --- generated clients over every transport -------------------------------------------------------------


class ClientHandler:
    """Serves the role `client`."""

    async def client_echo(self, params: EchoParams, context: CallContext) -> EchoResult:
        await trio.lowlevel.checkpoint()
        return EchoResult(value=params.value)


Connected = Callable[[], Any]


@asynccontextmanager
async def over_http() -> AsyncGenerator[str]:
    async with servers.http_shell(make_service()) as authority:
        yield f"http://{authority}/"


@asynccontextmanager
async def over_websocket() -> AsyncGenerator[str]:
    async with servers.http_shell(make_service()) as authority:
        yield f"ws://{authority}/"


@asynccontextmanager
async def over_sessions() -> AsyncGenerator[str]:
    app: Any = SessionApp(make_service(), events_path="/runtime/events")
    async with servers.http_shell(make_service(), app) as authority:
        yield f"sse+http://{authority}/runtime/events"


@asynccontextmanager
async def over_memory() -> AsyncGenerator[Channel]:
    callbacks = Service(PROTOCOL, "client", ClientHandler(), clients=CLIENTS)
    async with memory_pair(callbacks, make_service()) as (client, _):
        yield client


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(20):
            await scenario()

    trio.run(limited)


@pytest.mark.parametrize("serving", [over_http, over_websocket, over_sessions, over_memory])
def test_a_generated_client_works_the_same_everywhere(serving: Callable[[], Any]) -> None:
    async def scenario() -> None:
        async with serving() as target:
            service = Service(PROTOCOL, "client", ClientHandler(), clients=CLIENTS)
            callbacks = service if isinstance(target, str) else None
            async with connect(target, ServerClient, callbacks=callbacks) as client:
                assert await client.add(AddParams(a=2**80, b=1)) == AddResult(sum=2**80 + 1)
                with pytest.raises(SumOutOfRangeError):
                    await client.add(AddParams(a=1.7e308, b=1.7e308))
                called = await client.callback(CallbackParams(method="client/echo", params={"value": "é"}))
                assert called.result == {"value": "é"}
                with pytest.raises(CallbackFailedError):
                    await client.callback(CallbackParams(method="client/nothing"))
                with pytest.raises(CallTimeoutError):
                    await client.sleep(SleepParams(seconds=30), timeout=0.05)
                async with client.count_stream(CountParams(to=3, interval=0)) as stream:
                    events = [event async for event in stream]
                    assert (await stream.result()).counted == 3
                expected = [] if serving is over_sessions else [CountEvent(number=number) for number in (1, 2, 3)]
                assert events == expected

    run(scenario)


@pytest.mark.parametrize("target", ["http://{}/", "ws://{}/", "sse+http://{}/events"])
def test_nobody_there_is_a_transport_error_of_the_sdk(target: str) -> None:
    async def scenario() -> None:
        sock = trio.socket.socket()
        await sock.bind(("127.0.0.1", 0))
        with pytest.raises(TransportError):
            # Bound, but not listening.
            async with connect(target.format(f"127.0.0.1:{sock.getsockname()[1]}"), ServerClient, retries=0) as client:
                await client.add(AddParams(a=1, b=2))
        sock.close()

    run(scenario)
