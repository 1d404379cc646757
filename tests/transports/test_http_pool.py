"""The pool: connections are used again when they can be, and whatever a server does ends one request at most."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import httpx
import pytest
import trio
import trio.testing

from protogen_runtime.io.http_pool import Pool, is_direct

Serve: TypeAlias = Callable[[trio.SocketStream], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def request_of(stream: trio.SocketStream) -> bytes:
    """One request, whole; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < 4:
        more = await stream.receive_some()
        if not more:
            return b""
        data += more
    return data


def answering(*answers: bytes, then_close: bool = False) -> Serve:
    """Gives these answers to the requests of a connection, the last one to all that follow."""

    async def serve(stream: trio.SocketStream) -> None:
        count = 0
        while await request_of(stream):
            await stream.send_all(answers[min(count, len(answers) - 1)])
            count += 1
            if then_close:
                return

    return serve


class Server:
    """A server on a port of its own, and a pool for it."""

    def __init__(self, serve: Serve, **options: float) -> None:
        self._serve = serve
        self._options = {"max_connections": 2, "keep_seconds": 10.0, "connect_seconds": 5.0, **options}
        self.connections = 0
        self.pool: Pool

    async def _connection(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        # Where the pool has closed it.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._serve(stream)

    async def ask(self) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        async with self.pool.post(b"body", {"a": "b"}) as reply:
            return reply.status_code, b"".join([piece async for piece in reply.aiter_bytes()])

    async def run(self, scenario: Callable[[Server], Awaitable[None]]) -> None:
        """Run a scenario beside it."""
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                serve = partial(trio.serve_tcp, self._connection, 0, host="127.0.0.1")
                (listener,) = await nursery.start(serve)
                url = httpx.URL(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/path?q=1")
                self.pool = Pool(url, **self._options)  # type: ignore[arg-type]  # the numbers are what they should be
                await scenario(self)
                await self.pool.aclose()
                nursery.cancel_scope.cancel()


def check(serve: Serve, scenario: Callable[[Server], Awaitable[None]], **options: float) -> None:
    trio.run(Server(serve, **options).run, scenario)


def test_a_request_is_whole_and_its_connection_is_used_again() -> None:
    seen: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        while request := await request_of(stream):
            seen.append(request)
            for byte in OK:
                await stream.send_all(bytes([byte]))

    async def scenario(server: Server) -> None:
        assert [await server.ask() for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 1
        head, _, body = seen[2].partition(b"\r\n\r\n")
        assert head.split(b"\r\n")[0] == b"POST /path?q=1 HTTP/1.1"
        assert {b"a: b", b"content-length: 4"} < {*head.split(b"\r\n")}
        assert body == b"body"

    check(serve, scenario)


BODIES: list[tuple[str, bytes, int, int]] = [
    ("chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nx: y\r\n\r\n", 200, 1),
    ("after interim answers", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, 200, 1),
    ("to be closed", OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), 200, 2),
    ("with more behind it", OK + b"junk", 200, 2),
    ("with another answer behind it", OK + OK, 200, 2),
    ("an error", OK.replace(b"200 OK", b"500 No"), 500, 1),
]


@pytest.mark.parametrize(("answer", "status", "connections"), [it[1:] for it in BODIES], ids=[it[0] for it in BODIES])
def test_answers_are_read_and_a_connection_is_kept_where_it_is_clean(
    answer: bytes, status: int, connections: int
) -> None:
    async def scenario(server: Server) -> None:
        assert [await server.ask() for _ in range(2)] == [(status, b"ok")] * 2
        assert server.connections == connections

    check(answering(answer), scenario)


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async def scenario(server: Server) -> None:
        assert [await server.ask() for _ in range(2)] == [(200, b"ok")] * 2
        assert server.connections == 2

    check(answering(b"HTTP/1.1 200 OK\r\n\r\nok", then_close=True), scenario)


FAULTS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "disconnected without sending a response"),
    ("half a body", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "without sending complete message body"),
    ("half a chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nok", "complete message body"),
    ("no HTTP", b"\x00\x01 rubbish\r\n\r\n", "illegal answer"),
    ("a head without end", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "more than 65536 bytes"),
    ("another protocol", b"HTTP/1.1 101 Upgrade\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "another protocol"),
]


@pytest.mark.parametrize(("answer", "told"), [it[1:] for it in FAULTS], ids=[it[0] for it in FAULTS])
def test_what_is_no_answer_is_an_error_and_the_next_request_has_a_new_connection(answer: bytes, told: str) -> None:
    async def scenario(server: Server) -> None:
        for count in (1, 2):
            with pytest.raises(httpx.TransportError, match=told):
                await server.ask()
            assert server.connections == count

    check(answering(answer, then_close=True), scenario)


def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    async def scenario(server: Server) -> None:
        for _ in range(3):
            assert await server.ask() == (200, b"ok")
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert server.connections == 3

    check(answering(OK, then_close=True), scenario)


def test_a_connection_that_was_idle_for_long_is_closed() -> None:
    async def scenario(server: Server) -> None:
        for _ in range(2):
            assert await server.ask() == (200, b"ok")
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert server.connections == 2

    check(answering(OK), scenario, keep_seconds=0.0)


def test_requests_beyond_the_bound_wait_for_a_connection() -> None:
    async def scenario(server: Server) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(server.ask)
        assert server.connections <= 2

    check(answering(OK), scenario)


def test_an_answer_that_is_not_read_costs_its_connection() -> None:
    async def scenario(server: Server) -> None:
        async with server.pool.post(b"body", {}) as reply:
            assert reply.is_success
        async with server.pool.post(b"body", {}) as reply:
            await reply.aclose()
            assert [piece async for piece in reply.aiter_bytes()] in ([], [b"ok"])
        assert await server.ask() == (200, b"ok")
        assert server.connections == 3

    check(answering(OK), scenario)


def test_nobody_listening_and_headers_that_cannot_be_sent_are_told() -> None:
    async def scenario(server: Server) -> None:
        for value in ("a\r\nb: c", "\0", "€"):
            with pytest.raises(httpx.LocalProtocolError, match="a header has"):
                async with server.pool.post(b"", {"x": value}):
                    pass
        closed = Pool(httpx.URL("http://127.0.0.1:1/"), max_connections=1, keep_seconds=1.0, connect_seconds=5.0)
        with pytest.raises(httpx.ConnectError, match=r"127\.0\.0\.1:1: .*Connection refused"):
            async with closed.post(b"", {}):
                pass

    check(answering(OK), scenario)


@pytest.mark.parametrize(
    ("url", "environment", "direct"),
    [
        ("http://a/", {}, True),
        ("https://a/", {}, False),
        ("http://u:p@a/", {}, False),
        ("http://a/", {"http_proxy": "http://proxy:1"}, False),
        ("http://a/", {"http_proxy": "http://proxy:1", "no_proxy": "a"}, True),
        ("http://a/", {"https_proxy": "http://proxy:1"}, True),
    ],
)
def test_plain_http_without_a_proxy_is_for_the_pool(
    url: str, environment: dict[str, str], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_direct(httpx.URL(url)) is direct


def test_short_requests_do_not_wait_for_calls_and_closing_ends_both() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        request = await request_of(stream)
        if b"a: short" not in request:
            await trio.sleep_forever()
        await stream.send_all(OK)
        await request_of(stream)

    async def scenario(server: Server) -> None:
        async def call() -> None:
            with pytest.raises(httpx.TransportError):
                await server.ask()

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked(0.01)
            async with server.pool.post(b"body", {"a": "short"}, is_short=True) as reply:
                assert reply.whole() == b"ok"
            await server.pool.aclose()

    check(serve, scenario)
