"""What the ASGI application and the HTTP client say on the wire, to peers that are not ours."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import httpx
import pytest

Serve: TypeAlias = Callable[[Any], AbstractAsyncContextManager[str]]

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
ECHO = b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1}}'
LOG = b'{"jsonrpc":"2.0","method":"log","params":{"value":1}}'


@pytest.fixture(autouse=True)
async def _deadline() -> Any:
    with anyio.fail_after(20):
        yield


@pytest.fixture
def app(toy: Any, program: Any) -> Any:
    return toy.AsgiApp(toy.server_dispatcher(program.Server(toy)), max_body_bytes=1000)


@pytest.fixture
async def raw(app: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A plain HTTP client of the application, without a socket."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        yield client


def error(code: int, request_id: Any = None) -> dict[str, Any]:
    message = {-32700: "Parse error", -32600: "Invalid Request", -32601: "Method not found"}[code]
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"value": 1}}

POSTS: list[tuple[str, bytes, int, Any]] = [
    ("call", ECHO, 200, RESULT),
    ("not JSON", b"{", 200, error(-32700)),
    ("nothing", b"", 200, error(-32700)),
    ("no request", b"{}", 200, error(-32600)),
    ("id is echoed", b'{"jsonrpc":"1.0","id":7,"method":"echo"}', 200, error(-32600, 7)),
    ("unknown method", b'{"jsonrpc":"2.0","id":"x","method":"no"}', 200, error(-32601, "x")),
    ("batch", b"[%b,%b,1]" % (ECHO, LOG), 200, [RESULT, error(-32600)]),
    ("empty batch", b"[]", 200, error(-32600)),
    ("batch of 101", b"[" + b",".join([b"1"] * 101) + b"]", 200, error(-32600)),
    ("notification", LOG, 202, None),
    ("notification of no method", b'{"jsonrpc":"2.0","method":"no"}', 202, None),
    ("batch of notifications", b"[%b,%b]" % (LOG, LOG), 202, None),
    ("answer to nothing", b'{"jsonrpc":"2.0","id":"guess","result":1}', 400, error(-32600)),
    ("bad answer", b'{"jsonrpc":"2.0","id":"guess","result":1,"error":null}', 400, error(-32600)),
    ("too long", b" " * 1001, 413, None),
]


@pytest.mark.parametrize(("body", "status", "want"), [case[1:] for case in POSTS], ids=[case[0] for case in POSTS])
async def test_post(raw: httpx.AsyncClient, body: bytes, status: int, want: Any) -> None:
    response = await raw.post("/", content=body, headers=JSON)
    assert response.status_code == status
    if want is None:
        assert response.content == b""
    else:
        assert response.headers["content-type"] == "application/json"
        assert response.json() == want


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_other_verbs_are_not_allowed(raw: httpx.AsyncClient, method: str) -> None:
    response = await raw.request(method, "/")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
async def test_content_type(raw: httpx.AsyncClient, content_type: str, status: int) -> None:
    response = await raw.post("/", content=ECHO, headers={"content-type": content_type})
    assert response.status_code == status


async def test_length_is_refused_before_the_body_is_read(app: Any) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(event: Any) -> None:
        sent.append(event)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1001")]
    await app({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive, send)
    assert sent[0]["status"] == 413


async def test_client_that_leaves_before_its_body_is_whole_gets_nothing(app: Any) -> None:
    events = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        raise AssertionError(f"sent {event}")

    await app({"type": "http", "method": "POST", "path": "/", "headers": list(JSON_BYTES)}, receive, send)


JSON_BYTES = ((b"content-type", b"application/json"),)


async def test_health(raw: httpx.AsyncClient) -> None:
    response = await raw.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "healthy"})


async def test_lifespan_is_answered(app: Any) -> None:
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_callback_needs_an_event_stream(raw: httpx.AsyncClient) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"ask","params":{"value":1}}'
    response = await raw.post("/", content=body, headers={**JSON, "accept": "application/json"})
    kind, text = response.json()["result"]["value"]
    assert (kind, "text/event-stream" in text) == ("transport", True)


async def test_events_are_left_out_where_they_are_not_accepted(raw: httpx.AsyncClient) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"jobs/run","params":{"steps":1}}'
    response = await raw.post("/", content=body, headers={**JSON, "accept": "application/json"})
    assert response.json()["result"] == {"value": [1, False]}


async def test_stream_of_events_on_the_wire(raw: httpx.AsyncClient) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"jobs/run","params":{"steps":1}}'
    response = await raw.post("/", content=body, headers={**JSON, "accept": "text/event-stream"})
    assert response.headers["content-type"] == "text/event-stream"
    assert len(response.headers["toy-instance-id"]) == 32
    answer = b'{"id":1,"result":{"value":[1,true]},"jsonrpc":"2.0"}'
    assert response.content == b'data: 0\n\nevent: step\ndata: {"at":0}\n\ndata: ' + answer + b"\n\n"


async def test_callback_on_the_wire(serve: Serve, app: Any) -> None:
    """A peer with nothing but an HTTP client plays the calling side."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"ask","params":{"value":5}}'
    async with (
        serve(app) as url,
        httpx.AsyncClient(base_url=url) as peer,
        peer.stream("POST", "/", content=body, headers=JSON) as response,
    ):
        lines = response.aiter_lines()
        callback = json.loads((await anext(lines)).removeprefix("data: "))
        assert (callback["method"], callback["params"]) == ("answer", {"value": 5})
        assert len(callback["id"]) == 32
        instance = {"toy-instance-id": response.headers["toy-instance-id"]}
        answer = json.dumps({"jsonrpc": "2.0", "id": callback["id"], "result": {"value": "mine"}}).encode()
        elsewhere = await peer.post("/", content=answer, headers={**JSON, "toy-instance-id": "0" * 32})
        assert elsewhere.status_code == 400
        mine = await peer.post("/", content=answer, headers={**JSON, **instance})
        assert (mine.status_code, mine.content) == (202, b"")
        again = await peer.post("/", content=answer, headers={**JSON, **instance})
        assert again.status_code == 400
        rest = [line async for line in lines if line]
    assert json.loads(rest[0].removeprefix("data: "))["result"] == {"value": "mine"}
    assert len(rest) == 1


async def test_two_clients_get_their_own_callbacks(serve: Serve, app: Any, toy: Any, program: Any) -> None:
    results: dict[str, Any] = {}
    async with serve(app) as url:

        async def one(name: str) -> None:
            class Named(program.Answerer):  # type: ignore[misc]  # the module is imported by a fixture
                async def answer(self, params: Any, context: Any) -> Any:
                    await anyio.sleep(0.01)
                    return toy.EchoResult(value=[name, params.value])

            async with toy.ServerClient.http(url, callbacks=toy.client_dispatcher(Named(toy))) as client:
                results[name] = (await client.ask(toy.EchoParams(value=name))).value

        async with anyio.create_task_group() as group:
            for name in "abcdef":
                group.start_soon(one, name)
    assert results == {name: [name, name] for name in "abcdef"}


# --- the client and servers that are not ours -----------------------------------------------------


def answering(*responses: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that gives these responses one after another, and what was asked of it."""
    left, seen = list(responses), list[httpx.Request]()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(handle), seen


def client_of(toy: Any, transport: httpx.MockTransport, **options: Any) -> Any:
    http = httpx.AsyncClient(transport=transport)
    return toy.ServerClient.http("http://toy/", http=http, backoff=0.001, **options)


OK = {"jsonrpc": "2.0", "id": 1, "result": {"value": 1}}


async def test_request_on_the_wire(toy: Any) -> None:
    transport, seen = answering(httpx.Response(200, json=OK))
    await client_of(toy, transport, headers={"x-key": "secret"}).echo(toy.EchoParams(value=1))
    (request,) = seen
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert request.headers["accept"] == "application/json, text/event-stream"
    assert request.headers["x-key"] == "secret"
    assert json.loads(request.content) == {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"value": 1}}


@pytest.mark.parametrize("status", [200, 400, 404, 500])
async def test_answer_counts_whatever_the_status(toy: Any, status: int) -> None:
    transport, _ = answering(httpx.Response(status, json=OK))
    assert (await client_of(toy, transport).echo(toy.EchoParams(value=1))).value == 1


async def test_error_without_an_id_is_that_of_the_call(toy: Any) -> None:
    transport, _ = answering(httpx.Response(200, json=error(-32700)))
    with pytest.raises(toy.RpcError) as caught:
        await client_of(toy, transport).echo(toy.EchoParams(value=1))
    assert caught.value.code == -32700


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b""),
        httpx.Response(404, content=b"not found"),
        httpx.Response(200, json={"jsonrpc": "2.0", "id": 2, "result": {"value": 1}}),
        httpx.Response(200, json={"jsonrpc": "2.0", "id": "1", "result": {"value": 1}}),
        httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": 1, "error": None}),
        httpx.Response(200, json=[OK]),
        httpx.Response(200, content=b"data: {", headers={"content-type": "text/event-stream"}),
        httpx.Response(200, content=b"data: {\n\n", headers={"content-type": "text/event-stream"}),
        httpx.Response(200, content=b'data: {"jsonrpc":"2.0"}\n\n', headers={"content-type": "text/event-stream"}),
    ],
)
async def test_no_answer_is_a_transport_error_with_the_status(toy: Any, response: httpx.Response) -> None:
    transport, seen = answering(response)
    with pytest.raises(toy.TransportError) as caught:
        await client_of(toy, transport, retries=0).echo(toy.EchoParams(value=1))
    assert caught.value.status in (response.status_code, None)
    assert len(seen) == 1


STREAMED = json.dumps(OK)


@pytest.mark.parametrize(
    "stream",
    [
        f"data: {STREAMED}\n\n",
        f"data: {STREAMED}\r\n\r\n",
        f"data: {STREAMED}\r\r",
        f"data:{STREAMED}\n\n",
        f": hello\n\nevent: message\ndata: {STREAMED}\n\n",
        'data: {"jsonrpc":"2.0",\ndata: "id":1,\ndata: "result":{"value":1}}\n\n',
        f"data: {STREAMED}\n\nevent: late\ndata: 1\n\n",
        f"\ufeffid: 1\nretry: 10\ndata: {STREAMED}\n\n",
    ],
)
async def test_streamed_answer_in_every_form(toy: Any, stream: str) -> None:
    headers = {"content-type": "text/event-stream; charset=utf-8"}

    async def pieces() -> AsyncGenerator[bytes]:
        for byte in stream.encode():
            yield bytes((byte,))

    for content in (stream.encode(), pieces()):
        transport, _ = answering(httpx.Response(200, headers=headers, content=content))
        assert (await client_of(toy, transport).echo(toy.EchoParams(value=1))).value == 1


async def test_idempotent_method_is_tried_again(toy: Any) -> None:
    transport, seen = answering(
        httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(200, json={**OK, "id": 3})
    )
    assert (await client_of(toy, transport).echo(toy.EchoParams(value=1))).value == 1
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("method", "retries", "fault", "tries"),
    [
        ("echo", 2, httpx.ConnectError("refused"), 3),
        ("echo", 0, httpx.ConnectError("refused"), 1),
        ("echo", 2, httpx.Response(404), 1),
        ("ask", 2, httpx.ConnectError("refused"), 1),
        ("ask", 2, httpx.Response(503), 1),
    ],
)
async def test_tries(toy: Any, method: str, retries: int, fault: Any, tries: int) -> None:
    transport, seen = answering(*[fault] * 5)
    with pytest.raises(toy.TransportError):
        await getattr(client_of(toy, transport, retries=retries), method)(toy.EchoParams(value=1))
    assert len(seen) == tries


async def test_error_answers_are_final(toy: Any) -> None:
    transport, seen = answering(httpx.Response(200, json=error(-32601, 1)))
    with pytest.raises(toy.RpcError):
        await client_of(toy, transport).echo(toy.EchoParams(value=1))
    assert len(seen) == 1


async def test_result_that_breaks_its_schema_is_told_with_its_paths(toy: Any) -> None:
    transport, _ = answering(httpx.Response(200, json={**OK, "result": {"more": {"id": 5}}}))
    with pytest.raises(toy.InvalidResultError) as caught:
        await client_of(toy, transport).echo(toy.EchoParams(value=1))
    assert {issue.path for issue in caught.value.errors} == {"$", "$.more", "$.more.id"}


async def test_typed_error_whose_data_breaks_its_schema_is_generic(toy: Any) -> None:
    failure = {"code": -32001, "message": "gone", "data": {"name": 5}}
    transport, _ = answering(httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "error": failure}))
    with pytest.raises(toy.RpcError) as caught:
        await client_of(toy, transport).echo(toy.EchoParams(value=1))
    assert (type(caught.value), caught.value.data) == (toy.RpcError, {"name": 5})


async def test_notification_takes_any_success(toy: Any) -> None:
    for status in (200, 202, 204):
        transport, _ = answering(httpx.Response(status, content=b"whatever"))
        await client_of(toy, transport).log(toy.EchoParams(value=1))
    transport, _ = answering(httpx.Response(500))
    with pytest.raises(toy.TransportError) as caught:
        await client_of(toy, transport).log(toy.EchoParams(value=1))
    assert caught.value.status == 500


# httpx leaves a generator of its own open where an answer is not read to its end; trio warns when it is collected.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_endless_answer_is_cut_off(toy: Any) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b" " * 65_536

    for headers in ({}, {"content-type": "text/event-stream"}):
        transport, _ = answering(httpx.Response(200, headers=headers, content=endless()))
        http = httpx.AsyncClient(transport=transport)
        channel = toy.rpc.HttpChannel("http://toy/", http=http, max_answer_bytes=1_000_000)
        with pytest.raises(toy.TransportError, match="1000000 bytes"):
            await toy.ServerClient(channel).ask(toy.EchoParams(value=1))


async def test_server_that_is_not_there(toy: Any) -> None:
    async with toy.ServerClient.http("http://127.0.0.1:1/", retries=0) as client:
        with pytest.raises(toy.TransportError) as caught:
            await client.echo(toy.EchoParams(value=1))
    assert caught.value.status is None
