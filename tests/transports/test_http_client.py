"""The HTTP client: what counts as an answer, connections used again, retries, callbacks, and streams that lie."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest
import trio
import trio.testing
from echo_protocol import AddParams, AddResult, FailParams
from echo_protocol import TransportError as SdkTransportError
from echo_protocol.client import ServerClient
from msgspec import Raw

from protogen_runtime.io.channel import Bounds, TransportError
from protogen_runtime.io.client import connect
from protogen_runtime.io.client_http import HttpChannel
from protogen_runtime.io.contract import Client, ask, callbacks_of
from protogen_runtime.io.session_client import SessionChannel
from protogen_runtime.io.sse import EventSource
from protogen_runtime.jsonrpc import Failure

EVENTS = {"content-type": "text/event-stream"}
SUM = {"jsonrpc": "2.0", "id": 1, "result": {"sum": 3}}


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """On a clock that jumps: no pause of a retry is waited for."""

    async def limited() -> None:
        with trio.fail_after(3600):
            await scenario()

    trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0))


Handler = Callable[[httpx.Request], Any]


class Body(httpx.AsyncByteStream):
    """A body whose pieces the test makes as it goes."""

    def __init__(self, pieces: AsyncGenerator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async for piece in self._pieces:
            await trio.lowlevel.checkpoint()
            yield piece

    async def aclose(self) -> None:
        await self._pieces.aclose()


def channel(answer: Handler, **options: Any) -> HttpChannel:
    """A channel whose server is a function."""
    return HttpChannel("http://h/", http=httpx.AsyncClient(transport=httpx.MockTransport(answer)), **options)


# --- what counts as an answer ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 400, 404, 500, 503])
def test_an_answer_counts_whatever_the_status(status: int) -> None:
    async def scenario() -> None:
        assert await ask(channel(lambda _: httpx.Response(status, json=SUM)), "add") == {"sum": 3}

    run(scenario)


def test_an_error_without_an_id_answers_the_only_call() -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}

    async def scenario() -> None:
        assert await ask(channel(lambda _: httpx.Response(400, json=error)), "add") == [-32700, "Parse error"]

    run(scenario)


@pytest.mark.parametrize(
    ("response", "reason", "status"),
    [
        (httpx.Response(200, json={**SUM, "id": 2}), "without an answer to the call", 200),
        (httpx.Response(200, json={**SUM, "id": "1"}), "without an answer to the call", 200),
        (httpx.Response(200, json=[SUM]), "without an answer to the call", 200),
        (httpx.Response(200, json={**SUM, "error": {"code": 1, "message": ""}}), "is no JSON-RPC answer", 200),
        (httpx.Response(502, text="Bad Gateway"), "HTTP status 502 without an answer", 502),
        (httpx.Response(302, headers={"location": "http://elsewhere/"}), "HTTP status 302", 302),
        (httpx.Response(204), "HTTP status 204", 204),
        (httpx.Response(200, json={"sum": "x" * 2000}), "more than 1000 bytes", 200),
        (httpx.Response(200, headers=EVENTS, text=""), "the stream ended before the call was answered", 200),
        (httpx.Response(200, headers=EVENTS, text="data: 1\n\n"), "the stream ended before", 200),
        (httpx.Response(200, headers=EVENTS, text="data: {\n\n"), "an event that is not JSON", 200),
        (httpx.Response(200, headers=EVENTS, text=f"data: {'x' * 2000}\n\n"), "more than 1000 bytes", None),
        (httpx.Response(200, headers=EVENTS, text='data: {"jsonrpc":"2.0","id":9,"result":1}\n\n'), "before the", 200),
        (httpx.Response(200, headers=EVENTS, text='data: {"jsonrpc":"2.0","id":1,"result":1}\n'), "before the", 200),
        (httpx.Response(200, headers=EVENTS, text='data: {"jsonrpc":"2.0","id":1,"error":1}\n\n'), "is no JSON-", None),
    ],
)
def test_anything_else_is_a_transport_error(response: httpx.Response, reason: str, status: int | None) -> None:
    async def scenario() -> None:
        with pytest.raises(TransportError, match=reason) as raised:
            await ask(channel(lambda _: response, bounds=Bounds(max_frame_bytes=1000)), "add")
        assert raised.value.status == status

    run(scenario)


def test_the_first_answer_counts_even_if_the_stream_breaks_after_it() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b'data: {"jsonrpc":"2.0","id":1,"result":1}\n\ndata: {"jsonrpc":"2.0","id":1,"result":2}\n\n'
        raise httpx.ReadError("reset")

    async def scenario() -> None:
        got = await ask(channel(lambda _: httpx.Response(200, headers=EVENTS, stream=Body(pieces()))), "any")
        assert got == 1

    run(scenario)


def test_what_the_reader_of_events_raises_ends_the_call() -> None:
    async def on_event(event: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError(event)

    async def scenario() -> None:
        text = 'data: {"jsonrpc":"2.0","id":1,"result":1}\n\ndata: "odd"\n\n'
        with pytest.raises(LookupError, match="odd"):
            await channel(lambda _: httpx.Response(200, headers=EVENTS, text=text)).call("any", Raw(), on_event)

    run(scenario)


def test_a_notification_needs_no_body_but_success() -> None:
    statuses = iter([200, 202, 204, 500])

    async def scenario() -> None:
        it = channel(lambda _: httpx.Response(next(statuses), text="whatever"))
        for _ in range(3):
            await it.notify("any", Raw())
        with pytest.raises(TransportError, match="HTTP status 500"):
            await it.notify("any", Raw())

    run(scenario)


# --- callbacks ------------------------------------------------------------------------------------------


def test_callbacks_are_answered_side_by_side_with_the_header_of_their_server() -> None:
    heard: list[tuple[str | None, Any]] = []
    both_answered = trio.Event

    async def scenario() -> None:
        done = both_answered()

        async def pieces() -> AsyncGenerator[bytes]:
            for request_id in ('"a"', "17"):
                yield b'data: {"jsonrpc":"2.0","id":%b,"method":"answer","params":{"mark":1,"number":2}}\n\n' % (
                    request_id.encode()
                )
            yield b'data: {"jsonrpc":"2.0","id":[1],"method":"answer"}\n\n'
            yield b'data: {"jsonrpc":"2.0","method":"answer","params":{}}\n\n'
            await done.wait()
            yield b'data: {"jsonrpc":"2.0","id":1,"result":"done"}\n\n'

        def answer(request: httpx.Request) -> httpx.Response:
            message = msgspec.json.decode(request.content)
            if "method" in message:
                headers = {**EVENTS, "Contract-Instance-Id": "me"}
                return httpx.Response(200, headers=headers, stream=Body(pieces()))
            heard.append((request.headers.get("contract-instance-id"), message))
            if len(heard) == 3:
                done.set()
            return httpx.Response(202)

        assert await ask(channel(answer, callbacks=callbacks_of(Client("x"))), "any") == "done"
        told = {repr(message["id"]): message.get("result", message.get("error")) for _, message in heard}
        assert told == {
            "'a'": ["x", 1, 2],
            "17": ["x", 1, 2],
            "None": {"code": -32600, "message": "Invalid Request"},
        }
        assert {instance for instance, _ in heard} == {"me"}

    run(scenario)


@pytest.mark.parametrize(("status", "outcome"), [(400, "done"), (202, "done")])
def test_a_server_that_has_no_use_for_an_answer_does_not_fail_the_call(status: int, outcome: str) -> None:
    async def scenario() -> None:
        told = trio.Event()

        async def pieces() -> AsyncGenerator[bytes]:
            yield b'data: {"jsonrpc":"2.0","id":"a","method":"refuse","params":{}}\n\n'
            await told.wait()
            yield b'data: {"jsonrpc":"2.0","id":1,"result":"done"}\n\n'

        def answer(request: httpx.Request) -> httpx.Response:
            if b"method" in request.content:
                return httpx.Response(200, headers=EVENTS, stream=Body(pieces()))
            told.set()
            return httpx.Response(status)

        assert await ask(channel(answer, callbacks=callbacks_of(Client())), "any") == outcome

    run(scenario)


def test_an_answer_that_cannot_be_delivered_fails_the_call() -> None:
    async def scenario() -> None:
        async def pieces() -> AsyncGenerator[bytes]:
            yield b'data: {"jsonrpc":"2.0","id":"a","method":"refuse","params":{}}\n\n'
            await trio.sleep_forever()

        def answer(request: httpx.Request) -> httpx.Response:
            if b"method" in request.content:
                return httpx.Response(200, headers=EVENTS, stream=Body(pieces()))
            raise httpx.ConnectError("refused")

        with pytest.raises(TransportError, match="the answer to a callback: refused"):
            await ask(channel(answer, callbacks=callbacks_of(Client())), "any")

    run(scenario)


# --- retries and connections ----------------------------------------------------------------------------


def typed(answer: Handler, **options: Any) -> ServerClient:
    return connect(channel(answer), ServerClient, **options)


def test_idempotent_methods_are_tried_again_and_others_are_not() -> None:
    tried: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(trio.current_time())
        message = msgspec.json.decode(request.content)
        if message["method"] == "fail" or len(tried) < 3:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={**SUM, "id": message["id"]})

    async def scenario() -> None:
        assert await typed(answer).add(AddParams(a=1, b=2)) == AddResult(sum=3)
        first, second, third = tried
        assert 0.05 <= second - first <= 0.1
        assert 0.1 <= third - second <= 0.2
        with pytest.raises(SdkTransportError, match="refused"):
            await typed(answer).fail(FailParams(code=1, message=""))
        assert len(tried) == 4

    run(scenario)


@pytest.mark.parametrize(("status", "times"), [(503, 3), (429, 3), (404, 1), (500, 1)])
def test_only_what_can_pass_is_tried_again(status: int, times: int) -> None:
    tried: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        tried.append(1)
        return httpx.Response(status)

    async def scenario() -> None:
        with pytest.raises(SdkTransportError) as raised:
            await typed(answer).add(AddParams(a=1, b=2))
        assert raised.value.status == status
        assert len(tried) == times

    run(scenario)


async def _serve_by_hand(listener: trio.SocketListener, connections: list[int]) -> None:
    """HTTP/1.1 as simple as can be: counts connections, answers every request, keeps them open."""

    async def one(stream: trio.SocketStream) -> None:
        connections.append(0)
        data = b""
        while chunk := await stream.receive_some():
            data += bytes(chunk)
            while b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                if len(rest) < length:
                    break
                message, data = msgspec.json.decode(rest[:length]), rest[length:]
                connections[-1] += 1
                body = msgspec.json.encode({"jsonrpc": "2.0", "id": message["id"], "result": None})
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                await stream.send_all(head + body)

    await trio.serve_listeners(one, [listener])


def test_connections_are_used_again() -> None:
    async def scenario() -> None:
        connections: list[int] = []
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_by_hand, listener, connections)
            it = HttpChannel(f"http://127.0.0.1:{port}/")
            for _ in range(20):
                assert await ask(it, "any") is None
            await it.aclose()
            nursery.cancel_scope.cancel()
        assert connections == [20]

    trio.run(scenario)


def test_calls_fail_after_the_channel_was_closed() -> None:
    async def scenario() -> None:
        it = HttpChannel("http://h/")
        await it.aclose()
        with pytest.raises(TransportError, match="the channel was closed"):
            await ask(it, "any")
        await it.aclose()

    run(scenario)


# --- streams of GET -------------------------------------------------------------------------------------


def test_an_event_source_waits_longer_each_time_and_then_gives_up() -> None:
    asked: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        asked.append(trio.current_time())
        return httpx.Response(503)

    async def scenario() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            with pytest.raises(TransportError) as raised:
                _ = [event async for event in EventSource(http, "http://h/", retries=3).events()]
        assert raised.value.status == 503
        pauses = [b - a for a, b in pairwise(asked)]
        assert [base / 2 <= pause <= base for base, pause in zip([0.5, 1, 2], pauses, strict=True)] == [True] * 3

    run(scenario)


def test_a_refusal_is_not_tried_again() -> None:
    asked: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        asked.append(1)
        return httpx.Response(200, json={})

    async def scenario() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            with pytest.raises(TransportError, match=r"gives no event stream \(HTTP status 200\)"):
                _ = [event async for event in EventSource(http, "http://h/").events()]
        assert asked == [1]

    run(scenario)


# --- sessions as a client -------------------------------------------------------------------------------


class SessionServer:
    """A session server made of what a test says."""

    def __init__(self, *announcements: bytes, answer: Handler | None = None) -> None:
        self.announcements = list(announcements)
        self.posts: list[tuple[str, Any]] = []
        self._send, self._receive = trio.open_memory_channel[bytes](10)
        self._answer = answer

    async def send(self, event: bytes) -> None:
        await self._send.send(event)

    async def _pieces(self) -> AsyncGenerator[bytes]:
        for announcement in self.announcements:
            yield announcement
        async for event in self._receive:
            yield event

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, headers=EVENTS, stream=Body(self._pieces()))
        message = msgspec.json.decode(request.content)
        self.posts.append((str(request.url), message))
        if self._answer is not None:
            answered: httpx.Response = self._answer(request)
            return answered
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": message.get("id"), "result": "ok"})

    def channel(self, url: str = "http://h/w/runtime/events", **options: Any) -> SessionChannel:
        return SessionChannel(url, http=httpx.AsyncClient(transport=httpx.MockTransport(self)), **options)


@pytest.mark.parametrize(
    ("data", "endpoint"),
    [
        ('{"endpoint":"/?sessionId=1"}', "http://h/?sessionId=1"),
        ('{"endpoint":"http://h/session/1"}', "http://h/session/1"),
        ('"/session/1"', "http://h/session/1"),
        ("/messages?session_id=1", "http://h/messages?session_id=1"),
        ("http://h:80/x", "http://h:80/x"),
    ],
)
def test_every_form_of_the_endpoint_is_understood(data: str, endpoint: str) -> None:
    async def scenario() -> None:
        server = SessionServer(f"event: endpoint\ndata: {data}\n\n".encode())
        it = server.channel()
        await it.open()
        assert await ask(it, "any") == "ok"
        assert [url.replace(":80/", "/") for url, _ in server.posts] == [endpoint.replace(":80/", "/")]
        await it.aclose()

    run(scenario)


def test_an_endpoint_elsewhere_is_refused() -> None:
    async def scenario() -> None:
        server = SessionServer(b"event: endpoint\ndata: http://evil/\n\n")
        with pytest.raises(TransportError, match="is at another origin"):
            await server.channel().open()
        assert server.posts == []

    run(scenario)


def test_without_an_endpoint_messages_go_to_the_url_above() -> None:
    async def scenario() -> None:
        server = SessionServer(b": nothing to see\n\n")
        it = server.channel()
        before = trio.current_time()
        await it.open()
        assert trio.current_time() == before + 5
        assert await ask(it, "any") == "ok"
        assert server.posts[0][0] == "http://h/w"
        await it.aclose()

    run(scenario)


def test_answers_may_come_on_the_stream() -> None:
    async def scenario() -> None:
        server = SessionServer(b"event: endpoint\ndata: /s\n\n", answer=lambda _: httpx.Response(202))
        it = server.channel()
        await it.open()
        async with trio.open_nursery() as nursery:
            answers: list[Any] = []

            async def call() -> None:
                answers.append(await it.call("any", Raw(), None))

            nursery.start_soon(call)
            await trio.sleep(1)
            await server.send(b'event: message\ndata: {"jsonrpc":"2.0","id":99,"result":1}\n\n')
            await server.send(b'event: message\ndata: {"jsonrpc":"2.0","id":1,"error":{"code":5,"message":"no"}}\n\n')
        assert isinstance(answers[0], Failure)
        await it.aclose()

    run(scenario)


def test_callbacks_come_on_the_stream_and_keepalives_mean_nothing() -> None:
    async def scenario() -> None:
        server = SessionServer(b"event: endpoint\ndata: /s\n\nevent: keepalive\ndata:\n\n")
        it = server.channel(callbacks=callbacks_of(Client("me")))
        await it.open()
        await server.send(
            b'event: message\ndata: {"jsonrpc":"2.0","id":"c","method":"answer","params":{"mark":1,"number":2}}\n\n'
        )
        await trio.sleep(1)
        assert server.posts == [("http://h/s", {"jsonrpc": "2.0", "id": "c", "result": ["me", 1, 2]})]
        await it.aclose()

    run(scenario)


def test_a_lost_stream_fails_what_is_under_way_and_what_comes_later() -> None:
    async def scenario() -> None:
        server = SessionServer(b"event: endpoint\ndata: /s\n\n", answer=lambda _: httpx.Response(202))
        it = server.channel(retries=0)
        await it.open()
        async with trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(TransportError, match="before any was answered"):
                    await ask(it, "any")

            nursery.start_soon(call)
            await trio.sleep(1)
            await server._send.aclose()
        with pytest.raises(TransportError):
            await ask(it, "any")
        await it.aclose()

    run(scenario)


def test_a_server_without_sessions_says_so_at_once() -> None:
    async def scenario() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
        with pytest.raises(TransportError, match=r"gives no event stream \(HTTP status 404\)"):
            await SessionChannel("http://h/events", http=http).open()

    run(scenario)
