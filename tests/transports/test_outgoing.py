"""Requests of ours say what they are for: an id that the attempts of a call share, and the trace they belong to."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import httpx
import msgspec
import pytest
import servers
import trio
import trio.testing
from echo_protocol import AddParams, AddResult, EchoParams
from echo_protocol import TransportError as SdkTransportError
from echo_protocol.client import ServerClient
from msgspec import Raw

from protogen_runtime.dispatch import CallContext
from protogen_runtime.dispatch.sdk import Channel
from protogen_runtime.io.client import channel_to, connect
from protogen_runtime.io.client_http import HttpChannel
from protogen_runtime.io.contract import Connect, Server, ask, service_of
from protogen_runtime.io.session import SessionApp
from protogen_runtime.observe import CallObserver, Log, Metrics, Observed

MADE = re.compile(r"[0-9a-f]{32}")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STATE = "vendor=1"
NAMES = ("x-request-id", "traceparent", "tracestate")


class Listener(Server):
    """A server that notes the headers of what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, str]] = []

    def echo(self, params: Any, context: CallContext) -> Any:
        self.heard.append({name: context.headers[name] for name in NAMES if name in context.headers})
        return params


def run(scenario: Callable[[], Awaitable[None]], **options: Any) -> None:
    async def limited() -> None:
        with trio.fail_after(20):
            await scenario()

    trio.run(limited, **options)


def over_http(target: Listener) -> AbstractAsyncContextManager[Connect]:
    return servers.http(service_of(target))


def over_sessions(target: Listener) -> AbstractAsyncContextManager[Connect]:
    return servers.sessions(service_of(target))


def over_websocket(target: Listener) -> AbstractAsyncContextManager[Connect]:
    return servers.websocket(service_of(target))


EVERY_HTTP = pytest.mark.parametrize("serving", [over_http, over_sessions, over_websocket])
Serving = Callable[[Listener], AbstractAsyncContextManager[Connect]]


@EVERY_HTTP
def test_every_request_has_an_id_of_its_own(serving: Serving) -> None:
    async def scenario() -> None:
        target = Listener()
        async with serving(target) as connect_to:
            for _ in range(3):
                channel = connect_to(None)
                await channel.open()
                assert await ask(channel, "echo", {}) == {}
                await channel.aclose()
        ids = [heard.pop("x-request-id") for heard in target.heard]
        assert len(set(ids)) == 3
        assert all(MADE.fullmatch(it) for it in ids)
        assert target.heard == [{}, {}, {}]

    run(scenario)


@EVERY_HTTP
def test_what_a_handler_asks_of_others_belongs_to_its_call(serving: Serving) -> None:
    class Relay(Server):
        """Opens a channel and calls it for each call of its own."""

        def __init__(self, connect_to: Connect) -> None:
            super().__init__()
            self._connect_to = connect_to

        async def hold(self, params: Any, context: CallContext) -> Any:
            channel = self._connect_to(None)
            await channel.open()
            try:
                await channel.notify("tell", Raw(b"{}"))
                return await ask(channel, "echo", params)
            finally:
                await channel.aclose()

    async def scenario() -> None:
        target = Listener()
        with Log(cast("Any", _Nowhere())) as log:
            async with serving(target) as connect_to:
                observed = Observed(service_of(Relay(connect_to)), CallObserver(Metrics(), log=log))
                async with servers.http_shell(observed) as authority:
                    headers = {"X-Request-Id": "order-17", "traceparent": PARENT, "tracestate": STATE}
                    channel = channel_to(f"http://{authority}/", headers=headers)
                    assert await ask(channel, "hold", {"key": "k"}) == {"key": "k"}
                    await channel.aclose()
        assert target.heard == [{"x-request-id": "order-17", "traceparent": PARENT, "tracestate": STATE}]

    run(scenario)


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        return


def test_headers_of_ones_own_win() -> None:
    seen: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get_list("x-request-id"))
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": None})

    async def scenario() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        channel = HttpChannel("http://h/", headers={"X-Request-ID": "mine"}, http=http)
        assert await ask(channel, "any") is None
        assert seen == [["mine"]]

    run(scenario)


def test_the_current_span_of_a_program_is_what_its_calls_belong_to() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    async def scenario() -> None:
        target = Listener()
        span = TracerProvider().get_tracer("t").start_span("work")
        async with servers.http(service_of(target)) as connect_to:
            channel = connect_to(None)
            with trace.use_span(span):
                await ask(channel, "echo", {})
            await ask(channel, "echo", {})
            await channel.aclose()
        own = span.get_span_context()
        first, second = target.heard
        assert first["traceparent"] == f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
        assert "traceparent" not in second

    run(scenario)


def flaky(failures: int) -> tuple[Channel, list[str]]:
    """A server that cannot be reached at first, and the ids of the requests."""
    ids: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        ids.append(request.headers["x-request-id"])
        if len(ids) % (failures + 1):
            raise httpx.ConnectError("refused")
        message = msgspec.json.decode(request.content)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": message["id"], "result": {"sum": 3}})

    return HttpChannel("http://h/", http=httpx.AsyncClient(transport=httpx.MockTransport(answer))), ids


def test_the_attempts_of_a_call_share_its_id_and_the_next_call_has_another() -> None:
    channel, ids = flaky(2)

    async def scenario() -> None:
        client = connect(channel, ServerClient, retries=2)
        for _ in range(2):
            assert await client.add(AddParams(a=1, b=2)) == AddResult(sum=3)
        assert ids[0] == ids[1] == ids[2]
        assert ids[3] == ids[4] == ids[5]
        assert ids[0] != ids[3]

    run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_calls_side_by_side_do_not_share_their_ids() -> None:
    channel, ids = flaky(1)

    async def scenario() -> None:
        client = connect(channel, ServerClient, retries=5)
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(client.add, AddParams(a=1, b=2))
        assert len(set(ids)) == 10

    run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_sessions_tell_the_id_on_the_stream_and_on_posts() -> None:
    seen: list[tuple[str, bool]] = []

    async def scenario() -> None:
        inner = SessionApp(service_of(Server()))

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope["method"], MADE.fullmatch(dict(scope["headers"])[b"x-request-id"].decode()) is not None))
            await inner(scope, receive, send)

        async with servers.http_shell(service_of(Server()), app) as authority:
            channel = channel_to(f"sse+http://{authority}/events")
            await channel.open()
            await ask(channel, "echo", {})
            await channel.aclose()
        assert seen == [("GET", True), ("POST", True)]

    run(scenario)


def test_a_call_that_gives_up_leaves_nothing_behind() -> None:
    channel, ids = flaky(100)

    async def scenario() -> None:
        client = connect(channel, ServerClient, retries=1)
        for _ in range(2):
            with pytest.raises(SdkTransportError):
                await client.echo(EchoParams(value=1))
        assert ids[0] == ids[1] != ids[2] == ids[3]

    run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))
