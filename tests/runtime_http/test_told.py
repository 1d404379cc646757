"""Calls whose handlers leave them to somebody else: they need a task only where more happens than their answer."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Generator
from typing import Any

import pytest
import trio
from echo_protocol import PROTOCOL, AddParams, AddResult
from http_rig import Server, call, post, run, running, split

from protogen_runtime.dispatch import CallContext, Later, Service
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.observe import ObserveSettings, observing

ADD = call("add", {"a": 1, "b": 2})
ANSWER = b'{"id":1,"result":{"sum":3},"jsonrpc":"2.0"}'
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Promise(Later[AddResult]):
    """A sum that a test gives when it likes."""

    def __init__(self, total: float) -> None:
        self.sum = total
        self.listener: Callable[[], None] | None = None
        self.settled = trio.Event()
        self.is_awaited = self.is_withdrawn = False
        self.fails: Exception | None = None

    def tell(self, listener: Callable[[], None] | None) -> None:
        self.listener = listener

    def result(self) -> AddResult:
        if self.fails is not None:
            raise self.fails
        return AddResult(sum=self.sum)

    def withdraw(self) -> bool:
        self.is_withdrawn = True
        return True

    def settle(self) -> None:
        self.settled.set()
        if self.listener is not None:
            self.listener()

    async def _wait(self) -> AddResult:
        self.is_awaited = True
        try:
            await self.settled.wait()
        except trio.Cancelled:
            self.withdraw()
            raise
        return self.result()

    def __await__(self) -> Generator[Any, Any, AddResult]:
        return self._wait().__await__()


class Promising:
    """Promises sums."""

    def __init__(self) -> None:
        self.promises: list[Promise] = []

    def add(self, params: AddParams, context: CallContext) -> Later[AddResult]:
        del context
        self.promises.append(Promise(params.a + params.b))
        return self.promises[-1]

    async def promised(self, number: int = 1) -> Promise:
        """The last of so many promises, once they are made."""
        with trio.fail_after(5):
            while len(self.promises) < number:
                await trio.sleep(0.001)
        return self.promises[number - 1]


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not is_so():
            await trio.sleep(0.001)


def test_calls_are_answered_by_whoever_knows() -> None:
    async def main() -> None:
        handler = Promising()
        async with running(service=Service(PROTOCOL, "server", handler)) as server:
            clients = [await server.connect() for _ in range(3)]
            for turn in range(3):
                for client in clients:
                    await client.send_all(post(ADD))
                await handler.promised(3 * turn + 3)
                assert server.shell.endpoint.in_flight == 3
                for promise in handler.promises[-3:]:
                    promise.settle()
                for client in clients:
                    status, headers, body = split(await client.receive_some(4096))
                    assert (status, body, headers["content-type"]) == (200, ANSWER, "application/json")
                assert server.shell.endpoint.in_flight == 0
            assert not any(promise.is_awaited or promise.is_withdrawn for promise in handler.promises)
            assert len(server.shell.watch) == 3

    run(main)


def test_errors_are_answered_too() -> None:
    async def main() -> None:
        handler = Promising()
        async with running(service=Service(PROTOCOL, "server", handler)) as server:
            client = await server.connect()
            await client.send_all(post(ADD))
            promise = await handler.promised()
            promise.fails = RuntimeError("nobody else's business")
            promise.settle()
            assert b'"error":{"code":-32603,"message":"Internal error"}' in await client.receive_some(4096)

    run(main)


@pytest.mark.parametrize("reset", [True, False])
def test_clients_that_go_withdraw_their_calls(reset: bool) -> None:
    async def main() -> None:
        handler = Promising()
        async with running(service=Service(PROTOCOL, "server", handler)) as server:
            client = await server.connect()
            await client.send_all(post(ADD))
            promise = await handler.promised()
            if reset:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.socket.close()
            await until(lambda: promise.is_withdrawn)
            await until(lambda: not server.shell.connections)
            assert (server.shell.endpoint.in_flight, len(server.shell.watch)) == (0, 0)
            promise.settle()

    run(main)


def test_what_is_sent_ahead_is_answered_in_its_turn() -> None:
    async def main() -> None:
        handler = Promising()
        async with running(service=Service(PROTOCOL, "server", handler)) as server:
            client = await server.connect()
            await client.send_all(post(ADD))
            first = await handler.promised()
            await client.send_all(post(ADD) + post(ADD, close=True))
            await until(lambda: first.is_awaited)
            first.settle()
            for number in (2, 3):
                (await handler.promised(number)).settle()
            got = b""
            while chunk := await client.receive_some(4096):
                got += chunk
            assert got.count(ANSWER) == 3

    run(main)


@pytest.mark.parametrize("data", [post(ADD) + b"POST / HT", post(ADD, close=True), post(ADD).replace(b"1.1", b"1.0")])
def test_connections_that_end_or_go_on_otherwise(data: bytes) -> None:
    async def main() -> None:
        handler = Promising()
        async with running(service=Service(PROTOCOL, "server", handler)) as server:
            client = await server.connect()
            await client.send_all(data)
            (await handler.promised()).settle()
            assert split(await client.receive_some(4096))[0] == 200
            if not data.endswith(b"HT"):
                assert await client.receive_some(4096) == b""

    run(main)


def test_deadlines_hold_for_them() -> None:
    async def main() -> None:
        handler = Promising()
        limits = Limits(call_seconds=0.1)
        async with running(service=Service(PROTOCOL, "server", handler), limits=limits) as server:
            client = await server.connect()
            await client.send_all(post(ADD))
            promise = await handler.promised()
            assert b"Deadline exceeded" in await client.receive_some(4096)
            assert promise.is_withdrawn
            # The connection goes on.
            await client.send_all(post(ADD))
            (await handler.promised(2)).settle()
            assert split(await client.receive_some(4096))[2] == ANSWER

    run(main)


def test_a_server_that_ends_waits_for_them() -> None:
    async def main() -> None:
        handler = Promising()
        async with running(service=Service(PROTOCOL, "server", handler)) as server:
            client = await server.connect()
            await client.send_all(post(ADD))
            promise = await handler.promised()
            server.stop()
            await until(lambda: server.shell.endpoint.is_closing)
            promise.settle()
            status, headers, body = split(await client.receive_some(4096))
            assert (status, headers["connection"], body) == (200, "close", ANSWER)
            assert await client.receive_some(4096) == b""

    run(main)


def test_a_server_that_may_not_wait_withdraws_them() -> None:
    async def main() -> None:
        handler = Promising()
        limits = Limits(graceful_seconds=0.1)
        async with running(service=Service(PROTOCOL, "server", handler), limits=limits) as server:
            client = await server.connect()
            await client.send_all(post(ADD))
            promise = await handler.promised()
            server.stop()
            await until(lambda: promise.is_withdrawn)
            assert server.shell.endpoint.in_flight == 0

    run(main)


def test_they_are_counted_as_others_are() -> None:
    async def main() -> None:
        handler = Promising()
        with observing(ObserveSettings(), Service(PROTOCOL, "server", handler)) as instruments:
            async with running(service=instruments.service, instruments=instruments) as server:
                client = await server.connect()
                await client.send_all(post(ADD))
                (await handler.promised()).settle()
                assert split(await client.receive_some(4096))[2] == ANSWER
                await client.send_all(post(ADD))
                await handler.promised(2)
                client.socket.close()
                await until(lambda: not server.shell.connections)
                await until_told(server, 'protogen_calls_total{method="add",outcome="cancelled"} 1.0')
                await until_told(server, 'protogen_calls_total{method="add",outcome="ok"} 1.0')

    run(main)


async def until_told(server: Server, line: str) -> None:
    with trio.fail_after(5):
        while line not in await metrics(server):
            await trio.sleep(0.01)


async def metrics(server: Server) -> str:
    got = await server.exchange(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    return got.decode()
