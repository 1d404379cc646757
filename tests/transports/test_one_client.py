"""The one client API on every transport: retries with backoff, time-outs, and connections that are used again."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import servers
import trio
from echo_protocol import AddParams, AddResult, CallTimeoutError, FailParams, RpcError
from echo_protocol import TransportError as SdkTransportError
from echo_protocol.client import ServerClient
from echo_protocol.types import SleepParams
from msgspec import Raw

from protogen_runtime.dispatch import OnEvent
from protogen_runtime.echo import make_service
from protogen_runtime.io.channel import Channel, TransportError
from protogen_runtime.io.client import channel_to, connect
from protogen_runtime.io.session import SessionApp
from protogen_runtime.jsonrpc import Failure, Success
from protogen_runtime.observe import ObserveSettings, Traffic, observing

Made = tuple[Channel, Traffic]
"""A channel that is not open, and what its server counts."""


def _over_shell(scheme: str, path: str = "") -> Callable[[], AbstractAsyncContextManager[Made]]:
    @asynccontextmanager
    async def serve() -> AsyncGenerator[Made]:
        with observing(ObserveSettings(), make_service(), sink=io.BytesIO()) as instruments:
            app: Any = SessionApp(instruments.service)
            async with servers.http_shell(instruments.service, app, instruments=instruments) as at:
                yield channel_to(f"{scheme}://{at}/{path}"), instruments.traffic

    return serve


def _over_pair(made: Any) -> Callable[[], AbstractAsyncContextManager[Made]]:
    @asynccontextmanager
    async def serve() -> AsyncGenerator[Made]:
        async with made(make_service()) as connect_to:
            yield connect_to(None), Traffic(connections=1)

    return serve


EVERY = pytest.mark.parametrize(
    ("serve", "connections"),
    [
        pytest.param(_over_shell("http"), 1, id="http"),
        pytest.param(_over_shell("ws"), 1, id="websocket"),
        # One carries the events.
        pytest.param(_over_shell("sse+http", "events"), 2, id="session"),
        pytest.param(_over_pair(servers.pipes), 1, id="stdio"),
        pytest.param(_over_pair(servers.memory), 1, id="memory"),
    ],
)
Serve = Callable[[], AbstractAsyncContextManager[Made]]


class Flaky:
    """A channel that loses so many calls before they leave; notes when each was tried."""

    def __init__(self, channel: Channel, losses: int, status: int | None = None) -> None:
        self._channel = channel
        self._losses = losses
        self._status = status
        self.tried: list[float] = []

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        self.tried.append(trio.current_time())
        if len(self.tried) <= self._losses:
            raise TransportError("lost", status=self._status)
        return await self._channel.call(method, params, on_event)

    async def notify(self, method: str, params: Raw) -> None:
        await self._channel.notify(method, params)

    async def open(self) -> None:
        await self._channel.open()

    async def aclose(self) -> None:
        await self._channel.aclose()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(20):
            await scenario()

    trio.run(limited)


@EVERY
def test_lost_calls_are_tried_again_with_growing_pauses(serve: Serve, connections: int) -> None:
    async def scenario() -> None:
        async with serve() as (channel, _):
            flaky = Flaky(channel, 3)
            async with connect(flaky, ServerClient, retries=3, backoff=0.04) as client:
                assert await client.add(AddParams(a=1, b=2)) == AddResult(sum=3)
                first, second, third, fourth = flaky.tried
                # Half of the pause at least, by chance more; it doubles.
                assert second - first >= 0.02
                assert third - second >= 0.04
                assert fourth - third >= 0.08
                with pytest.raises(RpcError, match="asked for"):
                    await client.fail(FailParams(code=7, message="asked for"))
                assert len(flaky.tried) == 5

    run(scenario)


@EVERY
@pytest.mark.parametrize(("retries", "status", "times"), [(0, None, 1), (2, None, 3), (2, 503, 3), (2, 400, 1)])
def test_retries_end(serve: Serve, connections: int, retries: int, status: int | None, times: int) -> None:
    async def scenario() -> None:
        async with serve() as (channel, _):
            flaky = Flaky(channel, 100, status)
            async with connect(flaky, ServerClient, retries=retries, backoff=0.001) as client:
                with pytest.raises(SdkTransportError, match="lost"):
                    await client.add(AddParams(a=1, b=2))
                assert len(flaky.tried) == times
                flaky.tried.clear()
                with pytest.raises(SdkTransportError, match="lost"):
                    await client.fail(FailParams(code=7, message="not idempotent"))
                assert len(flaky.tried) == 1

    run(scenario)


@EVERY
def test_a_time_out_ends_its_call_alone(serve: Serve, connections: int) -> None:
    async def scenario() -> None:
        async with serve() as (channel, _):
            async with connect(channel, ServerClient, timeout=0.2) as client, trio.open_nursery() as nursery:
                slept: list[float] = []

                async def sleep() -> None:
                    slept.append((await client.sleep(SleepParams(seconds=0.4), timeout=None)).slept)

                nursery.start_soon(sleep)
                for timeout in ({}, {"timeout": 0.05}):
                    with pytest.raises(CallTimeoutError):
                        await client.sleep(SleepParams(seconds=30), **timeout)
                assert await client.add(AddParams(a=1, b=2), timeout=10) == AddResult(sum=3)
            assert slept[0] >= 0.4

    run(scenario)


@EVERY
def test_calls_one_after_the_other_use_one_connection(serve: Serve, connections: int) -> None:
    async def scenario() -> None:
        async with serve() as (channel, traffic), connect(channel, ServerClient) as client:
            for number in range(30):
                assert await client.add(AddParams(a=number, b=1)) == AddResult(sum=number + 1)
            assert traffic.connections == connections

    run(scenario)
