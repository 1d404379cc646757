"""Answers that turn into streams: events, calls back, and where they cannot be sent."""

from __future__ import annotations

import json

import httpx
import pytest
import trio
from echo_protocol import (
    CallbackFailedError,
    CallbackParams,
    CountEvent,
    CountParams,
    CountResult,
    EchoParams,
    EchoResult,
    ServerClient,
)
from echo_protocol.handlers import client_dispatcher
from echo_protocol.methods import PROTOCOL
from http_rig import Server, call, post, run, running, split

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.io.http.limits import Limits

CALLBACK = call("callback", {"method": "client/echo", "params": {"value": 7}})


class Client:
    """What the server may call back."""

    async def client_echo(self, params: EchoParams, context: object) -> EchoResult:
        return EchoResult(value=[params.value])


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/"


def test_generated_client_gets_events_and_serves_calls_back() -> None:
    async def main() -> None:
        async with (
            running() as server,
            ServerClient.http(url(server), callbacks=client_dispatcher(Client())) as client,
        ):
            async with client.count_stream(CountParams(to=3)) as stream:
                assert [event.number async for event in stream] == [1, 2, 3]
                assert (await stream.result()).counted == 3
            answer = await client.callback(CallbackParams(method="client/echo", params={"value": 7}))
            assert answer.result == {"value": [7]}
            with pytest.raises(CallbackFailedError) as caught:
                await client.callback(CallbackParams(method="nope"))
            assert caught.value.data.code == -32601
            assert len(server.shell.endpoint.callbacks) == 0

    run(main)


def test_many_calls_back_at_once_reach_their_own_callers() -> None:
    async def main() -> None:
        async with running() as server, httpx.AsyncClient(timeout=None) as http:

            async def one(number: int) -> None:
                client = ServerClient.http(url(server), callbacks=client_dispatcher(Client()), http=http)
                params = CallbackParams(method="client/echo", params={"value": number})
                assert (await client.callback(params)).result == {"value": [number]}

            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(one, number)

    run(main)


def test_caller_that_takes_no_stream_cannot_be_called_back() -> None:
    async def main() -> None:
        async with running() as server:
            answer = await server.exchange(post(CALLBACK, "Accept: application/json", close=True))
            status, headers, body = split(answer)
            assert (status, headers["content-type"]) == (200, "application/json")
            assert json.loads(body)["error"]["code"] == -32603

    run(main)


def test_answers_that_nobody_waits_for_are_refused() -> None:
    async def main() -> None:
        async with running() as server:
            stray = b'{"jsonrpc":"2.0","id":"%b","result":{"value":1}}'
            status, _, body = split(await server.exchange(post(stray % (b"0" * 32), close=True)))
            assert (status, json.loads(body)["error"]["code"]) == (400, -32600)
            stream = await server.connect()
            await stream.send_all(post(CALLBACK))
            got = b""
            while b"data: " not in got:
                got += await stream.receive_some(4096)
            asked = json.loads(got[got.index(b"data: ") + 6 :].partition(b"\n")[0])
            instance = split(got)[1]["jsonrpc-instance-id"]
            assert (asked["method"], asked["params"], len(asked["id"])) == ("client/echo", {"value": 7}, 32)
            reply = stray % asked["id"].encode()
            # Another server's name, then ours, then once more.
            for header, status in (("0" * 32, 400), (instance, 202), (instance, 400)):
                answer = await server.exchange(post(reply, f"Jsonrpc-Instance-Id: {header}", close=True))
                assert split(answer)[0] == status
            while b'"result"' not in got:
                got += await stream.receive_some(4096)

    run(main)


def test_caller_that_leaves_during_a_call_back_ends_it() -> None:
    async def main() -> None:
        async with running() as server:
            stream = await server.connect()
            await stream.send_all(post(CALLBACK))
            await stream.receive_some(4096)
            assert len(server.shell.endpoint.callbacks) == 1
            await stream.aclose()
            with trio.fail_after(0.2):
                while len(server.shell.endpoint.callbacks):
                    await trio.sleep(0.005)

    run(main)


def test_batch_streams_events_and_one_answer() -> None:
    async def main() -> None:
        async with running() as server:
            batch = b"[%b,%b]" % (call("count", {"to": 2}, 1), call("add", [1, 2], 2))
            status, headers, body = split(await server.exchange(post(batch, close=True)))
            assert (status, headers["content-type"]) == (200, "text/event-stream")
            events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
            assert events[:2] == [{"number": 1}, {"number": 2}]
            assert [answer["id"] for answer in events[2]] == [1, 2]

    run(main)


def test_application_of_the_user_answers_what_is_not_ours() -> None:
    async def app(scope: dict, receive: object, send: object) -> None:
        event = await receive()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-path", scope["path"].encode())]})
        await send({"type": "http.response.body", "body": event["body"][::-1], "more_body": True})
        await send({"type": "http.response.body", "body": b"!"})

    async def broken(scope: object, receive: object, send: object) -> None:
        raise ValueError("secret")

    async def main() -> None:
        async with running(app=app) as server, httpx.AsyncClient() as http:
            for _ in range(2):
                answer = await http.post(url(server) + "x%20y", content=b"abc")
                assert (answer.status_code, answer.headers["x-path"], answer.content) == (201, "/x y", b"cba!")
            assert (await http.get(url(server) + "health")).json() == {"status": "healthy"}
        async with running(app=broken) as server, httpx.AsyncClient() as http:
            answer = await http.get(url(server) + "x")
            assert (answer.status_code, "secret" in answer.text) == (500, False)

    run(main)


class Counting:
    """Answers before it has counted."""

    async def count(self, params: CountParams, context: CallContext) -> CountResult:
        await context.answer(CountResult(counted=0))
        for number in range(1, params.to + 1):
            await context.emit(CountEvent(number=number))
        return CountResult(counted=params.to)


def test_an_early_answer_opens_the_stream_and_is_the_only_one() -> None:
    async def main() -> None:
        service = Service(PROTOCOL, "server", Counting())
        async with running(service=service, limits=Limits(call_seconds=60)) as server:
            status, headers, body = split(await server.exchange(post(call("count", {"to": 2}), close=True)))
            assert (status, headers["content-type"]) == (200, "text/event-stream")
            events = [line for line in body.decode().splitlines() if line.startswith("data: ")]
            assert events == [
                'data: {"id":1,"result":{"counted":0},"jsonrpc":"2.0"}',
                'data: {"number":1}',
                'data: {"number":2}',
            ]

    run(main)


def test_a_service_answers_at_every_path_it_was_given() -> None:
    async def main() -> None:
        async with running(aliases=("/tasks",)) as server:
            for path in ("/", "/tasks", "/tasks?x=1"):
                answer = await server.exchange(post(call("echo", {"value": 1}), close=True, path=path))
                assert split(answer)[0] == 200, path
            assert split(await server.exchange(post(call("echo"), close=True, path="/task")))[0] == 404

    run(main)
