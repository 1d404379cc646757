"""What a connection may take its time for, and what happens to handlers whose callers have gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from echo_protocol.client import CLIENTS
from echo_protocol.methods import PROTOCOL
from echo_protocol.types import CountEvent, CountParams, CountResult, SleepParams, SleepResult
from http_rig import Server, call, post, run, running, split

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.io.http.limits import Limits

QUICK = Limits(
    header_seconds=0.3,
    body_seconds=2.0,
    body_grace_seconds=0.3,
    idle_seconds=0.3,
    send_seconds=0.3,
    linger_seconds=0.1,
    min_bytes_per_second=1024 * 1024,
)


class Watched:
    """Handlers that tell when they began and how they ended."""

    def __init__(self) -> None:
        self.began = trio.Event()
        self.ended = trio.Event()
        self.emitted = 0

    async def sleep(self, params: SleepParams, context: CallContext) -> SleepResult:
        self.began.set()
        try:
            await trio.sleep(params.seconds)
        except trio.Cancelled:
            self.ended.set()
            raise
        return SleepResult(slept=params.seconds)

    async def count(self, params: CountParams, context: CallContext) -> CountResult:
        self.began.set()
        try:
            while True:
                await context.emit(CountEvent(number=1, extra={"padding": "x" * 10_000}))
                self.emitted += 1
        except trio.Cancelled:
            self.ended.set()
            raise


def watched() -> tuple[Watched, Service]:
    handler = Watched()
    return handler, Service(PROTOCOL, "server", handler, clients=CLIENTS)


async def until_closed(server: Server, data: bytes) -> bytes:
    """What the server says to bytes that are not whole, until it closes."""
    stream = await server.connect()
    if data:
        await stream.send_all(data)
    got = b""
    while chunk := await stream.receive_some(65536):
        got += chunk
    return got


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", b""),
        (b"POST / HTTP/1.1\r\nHost: loc", b"HTTP/1.1 408 "),
        (post(b"", "Content-Length: 100") + b"{", b"HTTP/1.1 408 "),
        (post(b"", "Transfer-Encoding: chunked") + b"64\r\n{", b"HTTP/1.1 408 "),
    ],
    ids=["silent", "half a head", "half a body", "half a chunk"],
)
def test_connection_that_waits_too_long_is_closed(data: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with running(limits=QUICK) as server:
            began = trio.current_time()
            got = await until_closed(server, data)
            assert got.startswith(answer)
            assert bool(got) == bool(answer)
            assert 0.25 <= trio.current_time() - began < 2
            server.hang_up()
            while server.shell.open_connections:
                await trio.sleep(0.01)

    run(main)


def test_idle_connection_is_closed_after_its_answer() -> None:
    async def main() -> None:
        async with running(limits=QUICK) as server:
            got = await until_closed(server, post(call("add", [1, 2])))
            assert json.loads(split(got)[2])["result"] == {"sum": 3}

    run(main)


def test_head_that_trickles_is_not_kept_alive_by_trickling() -> None:
    async def main() -> None:
        async with running(limits=QUICK) as server:
            stream = await server.connect()
            sent = 0
            with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - the break comes at any one of them
                for byte in b"POST / HTTP/1.1\r\nX: " + b"a" * 1000:
                    await stream.send_all(bytes([byte]))
                    sent += 1
                    await trio.sleep(0.02)
            assert sent < 100

    run(main)


def test_body_below_the_rate_is_refused_and_above_it_taken() -> None:
    async def main() -> None:
        limits = Limits(body_grace_seconds=0.2, min_bytes_per_second=20_000, linger_seconds=0.1)
        async with running(limits=limits) as server:
            for pause, status in ((0.05, 200), (2.0, 408)):
                body = call("echo", {"value": "x" * 100_000})
                stream = await server.connect()
                await stream.send_all(post(b"", f"Content-Length: {len(body)}"))
                got = b""
                for start in range(0, len(body), 10_000):
                    await stream.send_all(body[start : start + 10_000])
                    with trio.move_on_after(pause):
                        got = bytes(await stream.receive_some(65536))
                        break
                assert got[:13] == b"HTTP/1.1 %d " % status

    run(main)


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_handler_is_cancelled_when_its_caller_leaves(how: str) -> None:
    async def main() -> None:
        handler, service = watched()
        async with running(service=service) as server:
            stream = await server.connect()
            await stream.send_all(post(call("sleep", {"seconds": 60})))
            await handler.began.wait()
            if how == "half-close":
                await stream.send_eof()
            elif how == "reset":
                stream.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
                stream.socket.close()
            else:
                await stream.aclose()
            with trio.fail_after(0.1):
                await handler.ended.wait()
        assert server.shell.endpoint.in_flight == 0

    run(main)


def test_pipelined_request_behind_a_call_does_not_hide_that_its_caller_left() -> None:
    async def main() -> None:
        handler, service = watched()
        async with running(service=service) as server:
            stream = await server.connect()
            await stream.send_all(post(call("sleep", {"seconds": 60})) + post(call("sleep", {"seconds": 1})))
            await handler.began.wait()
            await stream.send_all(b"POST")
            await stream.aclose()
            with trio.fail_after(0.2):
                await handler.ended.wait()

    run(main)


def test_deadline_cancels_the_handler_and_answers() -> None:
    async def main() -> None:
        handler, service = watched()
        async with running(service=service, limits=Limits(call_seconds=0.2)) as server:
            began = trio.current_time()
            batch = b"[%b,%b]" % (call("sleep", {"seconds": 60}, 1), call("nope", {}, 2))
            for body in (call("sleep", {"seconds": 60}), batch):
                answer = json.loads(split(await server.exchange(post(body, close=True)))[2])
                first = answer[0] if isinstance(answer, list) else answer
                assert first["error"] == {"code": -32603, "message": "Deadline exceeded"}
            assert handler.ended.is_set()
            assert trio.current_time() - began < 1.5
            assert json.dumps(answer).count('"id": ') == 2

    run(main)


def test_client_that_does_not_read_its_stream_is_evicted() -> None:
    async def main() -> None:
        handler, service = watched()
        async with running(service=service, limits=QUICK) as server:
            stream = await server.connect()
            await stream.send_all(post(call("count", {"to": 1})))
            with trio.fail_after(5):
                await handler.ended.wait()
            while server.shell.open_connections:
                await trio.sleep(0.01)

    run(main)


def test_client_that_does_not_read_its_answers_is_evicted() -> None:
    async def main() -> None:
        async with running(limits=QUICK) as server:
            stream = await server.connect()
            with trio.move_on_after(5) as scope, pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - at any send
                while True:
                    await stream.send_all(post(call("echo", {"value": "x" * 100_000})))
            assert not scope.cancelled_caught
            while server.shell.open_connections:
                await trio.sleep(0.01)

    run(main)


def test_shutdown_lets_calls_finish_and_takes_no_more() -> None:
    async def main() -> None:
        async with running(limits=Limits(graceful_seconds=5)) as server:
            idle, busy = await server.connect(), await server.connect()
            await idle.send_all(post(call("add", [1, 2])))
            await idle.receive_some(1000)
            await busy.send_all(post(call("sleep", {"seconds": 0.5})))
            while server.shell.endpoint.in_flight < 1:
                await trio.sleep(0.01)
            began = trio.current_time()
            server.stop()
            assert await idle.receive_some(1000) == b""
            assert trio.current_time() - began < 0.4
            status, headers, body = split(await busy.receive_some(1000))
            assert (status, headers["connection"]) == (200, "close")
            assert "result" in json.loads(body)
            with pytest.raises(OSError):  # noqa: PT011 - refused, reset: systems differ
                await server.connect()

    run(main)


def test_shutdown_does_not_wait_for_ever() -> None:
    async def main() -> None:
        handler, service = watched()
        async with running(service=service, limits=Limits(graceful_seconds=0.3)) as server:
            stream = await server.connect()
            await stream.send_all(post(call("sleep", {"seconds": 60})))
            await handler.began.wait()
            server.stop()
            with trio.fail_after(2):
                await handler.ended.wait()

    run(main)


def test_handler_sees_its_deadline_and_its_caller() -> None:
    seen: dict[str, Any] = {}

    class Curious:
        def add(self, params: object, context: CallContext) -> None:
            seen.update(deadline=context.deadline, headers=dict(context.headers), user=context.identity)

    async def main() -> None:
        service = Service(PROTOCOL, "server", Curious(), clients=CLIENTS)
        async with running(service=service, limits=Limits(call_seconds=7)) as server:
            await server.exchange(post(call("add", [1, 2]), "X-Trace: Abc", close=True))
            assert 6 < seen["deadline"] - trio.current_time() < 8
            assert (seen["headers"]["x-trace"], seen["user"]) == ("Abc", None)

    run(main)
