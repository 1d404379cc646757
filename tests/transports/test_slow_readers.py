"""Clients that stop reading, on real sockets: whatever carries the messages, they are out in time and cost little.

Each client has a small receive buffer and reads no more than its first bytes; the server has 8 KiB after 8 KiB for it.
"""

from __future__ import annotations

import gc
import socket
import ssl
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
import servers
import trio
import wsproto
from msgspec import Raw
from wsproto.events import AcceptConnection, Request, TextMessage

from protogen_runtime.dispatch import CallContext
from protogen_runtime.io.channel import TransportError
from protogen_runtime.io.contract import Server, service_of
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.session import SessionApp, SessionBounds

MIB = 1024 * 1024
CLIENTS = 3
PIECE = "x" * 8192
SEND_SECONDS = 0.5
RATE = 65_536
LIMITS = Limits(send_seconds=SEND_SECONDS, min_bytes_per_second=RATE, graceful_seconds=0.1)


class Flood(Server):
    """Sends to its caller without end; counts who was told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.ended = 0

    async def count(self, params: Any, context: CallContext) -> Any:
        """By events of the call."""
        await self._flood(lambda: context.emit({"piece": PIECE}))

    async def hold(self, params: Any, context: CallContext) -> Any:
        """By calling back."""
        text = Raw(msgspec.json.encode({"piece": PIECE}))
        await self._flood(lambda: context.channel.notify("told", text))

    async def _flood(self, send: Callable[[], Awaitable[None]]) -> None:
        self.begun += 1
        try:
            while True:
                await send()
        except TransportError:
            return
        finally:
            self.ended += 1
            self.changed.unpark_all()


def call(method: str) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"key": "k"}})


def post(target: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Dial:
    """Connects to a server, without room for what it says."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self._port = port
        self._context = context
        self._dialled: list[trio.SocketStream] = []

    async def __call__(self) -> trio.abc.Stream:
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await sock.connect(("127.0.0.1", self._port))
        plain = trio.SocketStream(sock)
        self._dialled.append(plain)
        if self._context is None:
            return plain
        return trio.SSLStream(plain, self._context, server_hostname="localhost", https_compatible=True)

    def hang_up(self) -> None:
        """Close what is open."""
        for stream in self._dialled:
            stream.socket.close()
        self._dialled.clear()


async def _until(stream: trio.abc.Stream, mark: bytes) -> bytes:
    read = b""
    while mark not in read:
        chunk = await stream.receive_some(256)
        assert chunk, read
        read += bytes(chunk)
    return read


async def over_http(dial: Dial) -> list[trio.abc.Stream]:
    """One POST, answered with a stream of events."""
    stream = await dial()
    await stream.send_all(post("/", call("count")))
    await _until(stream, b"\r\n\r\n")
    return [stream]


async def over_session(dial: Dial) -> list[trio.abc.Stream]:
    """A stream of events, and a POST of the same session that waits."""
    events, calls = await dial(), await dial()
    await events.send_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
    named = (await _until(events, b"}\n\n")).partition(b"data: ")[2].partition(b"\n")[0]
    await calls.send_all(post(msgspec.json.decode(named)["endpoint"], call("hold")))
    return [events]


async def over_websocket(dial: Dial) -> list[trio.abc.Stream]:
    """Messages both ways."""
    stream, protocol = await dial(), wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    await stream.send_all(protocol.send(Request(host="localhost", target="/")))
    protocol.receive_data(await _until(stream, b"\r\n\r\n"))
    assert isinstance(next(iter(protocol.events())), AcceptConnection)
    await stream.send_all(protocol.send(TextMessage(call("hold").decode())))
    return [stream]


@asynccontextmanager
async def flooding(authority: servers.Authority | None) -> AsyncGenerator[tuple[Flood, Dial]]:
    server = Flood()
    service = service_of(server)
    app: Any = SessionApp(service, bounds=SessionBounds(send_seconds=SEND_SECONDS, min_bytes_per_second=RATE))
    tls = None if authority is None else authority.tls
    async with servers.http_shell(service, app, LIMITS, tls=tls) as at:
        dial = Dial(int(at.rpartition(":")[2]), None if authority is None else authority.context())
        try:
            yield server, dial
        finally:
            dial.hang_up()


async def _to_its_end(stream: trio.abc.Stream) -> None:
    """Read what is left of a connection that the server has ended."""
    try:
        while await stream.receive_some(65_536):
            pass
    except trio.BrokenResourceError:
        return


@pytest.mark.parametrize("connect", [over_http, over_session, over_websocket])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_who_stops_reading_is_evicted_at_a_bounded_cost(
    authority: servers.Authority, connect: Callable[[Dial], Awaitable[list[trio.abc.Stream]]], is_secure: bool
) -> None:
    async def scenario() -> None:
        with trio.fail_after(30):
            async with flooding(authority if is_secure else None) as (server, dial):
                # Whatever is imported for the first of them is not counted.
                await connect(dial)
                dial.hang_up()
                await server.until(lambda: server.ended == 1)
                server.begun = server.ended = 0
                gc.collect()
                tracemalloc.start()
                started = trio.current_time()
                streams = [stream for _ in range(CLIENTS) for stream in await connect(dial)]
                await server.until(lambda: server.ended == CLIENTS)
                took = trio.current_time() - started
                # What the kernel holds for the sockets is not ours, and ends with them.
                peak = tracemalloc.get_traced_memory()[1] / CLIENTS
                tracemalloc.stop()
                assert server.begun == CLIENTS
                assert peak <= MIB, f"{peak / MIB:.2f} MiB for each client"
                assert took <= 20, f"{took:.1f} s"
                async with trio.open_nursery() as nursery:
                    for stream in streams:
                        nursery.start_soon(_to_its_end, stream)

    try:
        trio.run(scenario)
    finally:
        tracemalloc.stop()


def test_who_reads_slowly_stays() -> None:
    """The control: the same floods, read without haste for longer than the deadline."""

    async def scenario() -> None:
        with trio.fail_after(30):
            async with flooding(None) as (server, dial):
                streams = [(await connect(dial))[0] for connect in (over_http, over_session, over_websocket)]
                until = trio.current_time() + 4 * SEND_SECONDS
                async with trio.open_nursery() as nursery:
                    for stream in streams:
                        nursery.start_soon(partial(_read_until, stream, until))
                assert (server.begun, server.ended) == (3, 0)

    trio.run(scenario)


async def _read_until(stream: trio.abc.Stream, until: float) -> None:
    while trio.current_time() < until:
        assert await stream.receive_some(65_536)
