"""Workers over Streamable HTTP at a URL: good manners, bad ones, and none at all."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from plugin_rig import (
    CONTEXT,
    MemoryRuntime,
    RawWorker,
    Request,
    all_of,
    failure_of,
    name_of,
    opened,
    raw_worker,
    running,
)

from protogen_runtime.stepflow.plugins.contract import (
    BadRunId,
    Blob,
    CallRefused,
    CannotStart,
    FlowNotFound,
    RunNotFound,
    StepFailed,
)


def test_execute_sends_all_four_params_and_gives_the_output() -> None:
    async def scenario() -> None:
        async with raw_worker() as (worker, plugins):
            value = {"a": [1, None, 12345678901234567890123, "é\u2028"], "b": {}}
            assert await plugins.execute("/w/deep/echo", value, CONTEXT) == value
        message = worker.requests[-1].message
        assert isinstance(message.pop("id"), int)
        assert message == {
            "jsonrpc": "2.0",
            "method": "components/execute",
            "params": {
                "component": "/deep/echo",
                "input": value,
                "attempt": 1,
                "observability": {
                    "trace_id": CONTEXT.trace_id,
                    "span_id": CONTEXT.span_id,
                    "run_id": CONTEXT.run_id,
                    "flow_id": CONTEXT.flow_id,
                    "step_id": "s1",
                },
            },
        }

    running(scenario)


@pytest.mark.parametrize(
    ("answered", "preferred", "dialect"),
    [
        ({"server_protocol_version": 1}, "0.11", "0.9"),
        ({"serverProtocolVersion": 1, "supportsBlobRefs": None}, "0.9", "0.11"),
        ({"server_protocol_version": 1, "serverProtocolVersion": 2}, "0.9", "0.9"),
        ({"server_protocol_version": 1, "serverProtocolVersion": 1}, "0.11", "0.11"),
    ],
)
def test_initialize_has_both_spellings_and_the_answer_chooses_the_dialect(
    answered: Any, preferred: Any, dialect: str
) -> None:
    async def scenario() -> None:
        async with raw_worker(initialized=answered, dialect=preferred, blob_api_url="http://b/") as (worker, plugins):
            assert worker.methods() == ["initialize", "initialized"]
            params = worker.requests[0].message["params"]
            assert params["runtime_protocol_version"] == params["runtimeProtocolVersion"] == 1
            assert params["capabilities"] == {"blobApiUrl": "http://b/", "blobThreshold": 1048576}
            assert params["dialect"] == preferred
            assert worker.requests[1].message == {"jsonrpc": "2.0", "method": "initialized", "params": {}}
            assert plugins.plugin("w").dialect == dialect  # type: ignore[attr-defined]  # plugins of workers have one

    running(scenario)


def test_an_error_of_the_component_keeps_code_message_and_data() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.error(-32003, "n\u00f6", {"a": [1]})

        async with raw_worker(handle) as (worker, plugins):
            failed = await failure_of(plugins, "/w/x")
            assert (failed.kind, failed.code, failed.message, failed.data) == (
                "component",
                -32003,
                "n\u00f6",
                {"a": [1]},
            )
            assert worker.methods().count("components/execute") == 1

    running(scenario)


def test_a_code_of_transports_asks_for_another_attempt() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.error(-32302, "upstream is down")

        async with raw_worker(handle) as (_, plugins):
            failed = await failure_of(plugins, "/w/x")
            assert (failed.kind, failed.code) == ("transport", -32302)

    running(scenario)


def test_a_worker_that_was_started_anew_is_greeted_again() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            if worker.methods().count("initialize") == 1:
                await request.error(-32002, "Server not initialized")
            else:
                await request.result({"output": "ok"})

        async with raw_worker(handle) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == "ok"
            execute = "components/execute"
            assert worker.methods() == ["initialize", "initialized", execute, "initialize", "initialized", execute]

    running(scenario)


# --- answers that are none ------------------------------------------------------------------------------


def _json(**members: Any) -> Callable[[Request], Awaitable[None]]:
    async def handle(request: Request) -> None:
        known = {name: request.message["id"] if value is ... else value for name, value in members.items()}
        await request.answer(json.dumps(known).encode())

    return handle


def _body(body: bytes, status: str = "200 OK", kind: str = "application/json") -> Callable[[Request], Awaitable[None]]:
    async def handle(request: Request) -> None:
        await request.answer(body, status=status, kind=kind)

    return handle


GOOD = {"output": 1}

BAD_ANSWERS: list[tuple[str, Callable[[Request], Awaitable[None]], str]] = [
    ("nothing", _body(b""), "HTTP status 200 without an answer"),
    ("no JSON", _body(b"hello"), "HTTP status 200 without an answer"),
    ("an array", _body(b"[]"), "HTTP status 200 without an answer"),
    ("no version", _json(id=..., result=GOOD), 'its jsonrpc member is not "2.0"'),
    ("another version", _json(jsonrpc="1.0", id=..., result=GOOD), 'its jsonrpc member is not "2.0"'),
    ("another id", _json(jsonrpc="2.0", id=77_777, result=GOOD), "without an answer to the call"),
    ("an id that is none", _json(jsonrpc="2.0", id=1.5, result=GOOD), "its id is not"),
    (
        "both",
        _json(jsonrpc="2.0", id=..., result=GOOD, error={"code": 1, "message": "x"}),
        "both a result and an error",
    ),
    ("a code that is a text", _json(jsonrpc="2.0", id=..., error={"code": "1", "message": "x"}), "not an error object"),
    ("no message", _json(jsonrpc="2.0", id=..., error={"code": 1}), "not an error object"),
    ("null", _json(jsonrpc="2.0", id=..., result=None), 'the member "output"'),
    ("no output", _json(jsonrpc="2.0", id=..., result={"value": 1}), 'the member "output"'),
    ("a text", _json(jsonrpc="2.0", id=..., result="x"), 'the member "output"'),
    ("status 500", _body(b"oops", "500 Internal Server Error", "text/plain"), "HTTP status 500 without an answer"),
    ("SDK's 400", _body(b'{"error":{"code":-32600,"message":"x"}}', "400 Bad Request"), "HTTP status 400"),
    ("a redirect", _body(b"", "302 Found\r\nlocation: /"), "HTTP status 302 without an answer"),
    ("junk event", _body(b"data: junk\n\n", kind="text/event-stream"), "an event that is not JSON"),
    ("invalid UTF-8", _body(b'{"jsonrpc":"2.0","id":1,"result":{"output":"\xff"}}'), "without an answer"),
]


@pytest.mark.parametrize(("handle", "told"), [case[1:] for case in BAD_ANSWERS], ids=[case[0] for case in BAD_ANSWERS])
def test_what_is_no_answer_is_a_failure_of_the_protocol(
    handle: Callable[[Request], Awaitable[None]], told: str
) -> None:
    async def scenario() -> None:
        async with raw_worker(handle) as (worker, plugins):
            failed = await failure_of(plugins, "/w/x")
            assert (failed.kind, failed.code) == ("protocol", -32303), failed.message
            assert told in failed.message
            assert failed.message.startswith("worker w: ")
            # Nothing else is harmed, and nothing is tried again behind the engine's back.
            assert worker.methods().count("components/execute") == 1

    running(scenario)


def test_old_workers_without_versions_are_understood_where_the_configuration_says_so() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            if request.message["params"]["component"] == "/stream":
                await request.begin_stream(instance="i")
                await request.event({"id": request.message["id"], "result": {"output": "streamed"}})
                await request.chunk(b"")
            else:
                await _json(id=..., result=GOOD)(request)

        async with raw_worker(handle, settings=", lenient: true") as (_, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == 1
            assert await plugins.execute("/w/stream", None, CONTEXT) == "streamed"

    running(scenario)


ACCEPTED: list[tuple[str, Callable[[Request], Awaitable[None]]]] = [
    ("status 500 with an answer", lambda request: _whole(request, "500 Internal Server Error")),
    ("status 202 with an answer", lambda request: _whole(request, "202 Accepted")),
    ("more members, another order", _json(extra=[1], result={"more": 1, "output": 1}, id=..., jsonrpc="2.0")),
]


async def _whole(request: Request, status: str) -> None:
    answer = {"jsonrpc": "2.0", "id": request.message["id"], "result": GOOD}
    await request.answer(json.dumps(answer).encode(), status=status)


@pytest.mark.parametrize("handle", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_what_the_original_accepts_is_accepted(handle: Callable[[Request], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with raw_worker(handle) as (_, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == 1

    running(scenario)


# --- streams --------------------------------------------------------------------------------------------

CALLBACK = {"jsonrpc": "2.0", "method": "blobs/put", "params": {"data": "d", "blob_type": "data"}}


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_events_are_read_however_they_are_cut(line_end: bytes, size: int) -> None:
    """With comments, other fields, data in several lines, no space after the colon, and UTF-8 across chunks."""

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i-1")
            answer = {"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": "é😀\u2028"}}
            first, rest = json.dumps(answer, ensure_ascii=False).split('"result"')
            lines = [
                *(b": hello", b"retry: 10", b"id: 7", b"event: keepalive", b"data:", b""),
                *(b"data: junk", b"", b"data: {", b"", b"data: \xff", b"", b"data: 1", b"", b'data: {"a":1}', b""),
                *(b"event: message", b"data:" + json.dumps({**CALLBACK, "id": "c-1"}).encode(), b""),
                *(b'data: {"jsonrpc":"2.0","method":"note","params":{}}', b"", b"data: 5", b""),
                *(b"data: " + first.encode(), b'data: "result"' + rest.encode(), b"", b""),
            ]
            data = line_end.join(lines)
            for start in range(0, len(data), size):
                await request.chunk(data[start : start + size])
            await worker.until(lambda: len(worker.requests) == 4)
            await request.chunk(b"")

        async with raw_worker(handle) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == "é😀\u2028"
        reply = worker.requests[-1]
        assert reply.message == {"jsonrpc": "2.0", "id": "c-1", "result": {"blob_id": name_of("d")}}
        assert reply.headers["stepflow-instance-id"] == "i-1"

    running(scenario)


def test_callbacks_run_side_by_side_and_are_answered_by_posts() -> None:
    """Each holds until all have come, so that one after the other would never end."""

    class Together(MemoryRuntime):
        async def put_blob(self, data: Any, blob_type: str, caller: Any) -> str:
            arrived.append(data)
            if len(arrived) == 20:
                everyone.set()
            await everyone.wait()
            return await super().put_blob(data, blob_type, caller)

    arrived: list[Any] = []
    everyone = trio.Event()

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i-2")
            for number in range(20):
                params = {"data": number, "blob_type": "data"}
                await request.event({**CALLBACK, "id": f"c{number}", "params": params})
            await worker.until(lambda: len(worker.requests) == 23)
            await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": "done"}})
            await request.chunk(b"")

        runtime = Together()
        async with raw_worker(handle, runtime=runtime) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == "done"
        replies = {request.message["id"]: request.message["result"]["blob_id"] for request in worker.requests[3:]}
        assert replies == {f"c{number}": name_of(number) for number in range(20)}
        assert {request.headers["stepflow-instance-id"] for request in worker.requests[3:]} == {"i-2"}
        assert set(runtime.callers) == {CONTEXT}

    running(scenario)


REFUSED: list[tuple[str, dict[str, Any], Any, int]] = [
    ("unknown method", {"id": 1, "method": "no/such", "params": {}}, 1, -32601),
    ("a method of the worker's", {"id": "x", "method": "components/list", "params": {}}, "x", -32601),
    ("a fractional id", {**CALLBACK, "id": 1.5}, 1.5, -32600),
    ("an id that is null", {**CALLBACK, "id": None}, None, -32600),
    ("an id that is none", {"id": [1], "method": "blobs/get", "params": {}}, None, -32600),
    ("an id that is an object", {"id": {}, "method": "blobs/get", "params": {}}, None, -32600),
    ("a method that is a number", {"id": 2, "method": 5, "params": {}}, 2, -32600),
    ("params that are a text", {"id": 3, "method": "blobs/get", "params": "x"}, 3, -32600),
    ("params that lack a member", {"id": 4, "method": "blobs/get", "params": {}}, 4, -32602),
    (
        "a type of blob that is none",
        {"id": 5, "method": "blobs/put", "params": {"data": 1, "blob_type": "Json"}},
        5,
        -32602,
    ),
    ("an unknown blob", {"id": 6, "method": "blobs/get", "params": {"blob_id": "0" * 64}}, 6, -32000),
    ("the runtime's refusal", {"id": 7, "method": "runs/get", "params": {"runId": "refuse"}}, 7, -32000),
    ("the runtime's crash", {"id": 8, "method": "runs/get", "params": {"runId": "crash"}}, 8, -32603),
    (
        "another order of results",
        {"id": 9, "method": "runs/get", "params": {"runId": "r", "resultOrder": "byIndex"}},
        9,
        -32602,
    ),
]


@pytest.mark.parametrize(
    ("message", "request_id", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_every_callback_is_answered(message: dict[str, Any], request_id: Any, code: int) -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i")
            await request.event({"jsonrpc": "2.0", **message})
            await worker.until(lambda: len(worker.requests) == 4)
            await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": "done"}})
            await request.chunk(b"")

        async with raw_worker(handle) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == "done"
        reply = worker.requests[3].message
        assert (reply["id"], reply["error"]["code"]) == (request_id, code)
        assert "crash" not in json.dumps(reply["error"])

    running(scenario)


def test_params_of_both_dialects_mean_the_same() -> None:
    override = {"s": {"$type": "merge_patch", "value": {"input": 1}}}
    flow = "a" * 64
    calls: list[dict[str, Any]] = [
        {"flowId": flow, "inputs": [1], "overrides": override, "maxConcurrency": None, "wait": True},
        {
            "flowId": flow,
            "inputs": [1],
            "overrides": {"steps": override},
            "maxConcurrency": 3,
            "wait": None,
            "timeoutSecs": 5,
            "subflowKey": "k",
            "observability": None,
        },
    ]

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i")
            for number, params in enumerate(calls):
                await request.event({"jsonrpc": "2.0", "id": number, "method": "runs/submit", "params": params})
                await worker.until(lambda number=number: len(worker.requests) == 4 + number)  # type: ignore[misc]  # the count of now
            await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": None}})
            await request.chunk(b"")

        runtime = MemoryRuntime()
        async with raw_worker(handle, runtime=runtime) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) is None
        first, second = runtime.requests
        assert first.overrides == second.overrides == override
        assert (first.wait, first.max_concurrency, first.timeout_seconds, first.subflow_key) == (True, None, None, None)
        assert (second.wait, second.max_concurrency, second.timeout_seconds, second.subflow_key) == (False, 3, 5, "k")
        waited, begun = (request.message["result"] for request in worker.requests[3:5])
        assert [item["result"]["result"] for item in waited["results"]] == [1]
        assert (begun["status"], "results" in begun) == ("running", False)

    running(scenario)


def test_references_to_blobs_in_the_output_are_resolved() -> None:
    runtime = MemoryRuntime()

    async def scenario() -> None:
        name = await runtime.put_blob([1, 2], "data", None)
        within = await runtime.put_blob({"first": {"$blob": name}}, "data", None)

        async def handle(request: Request) -> None:
            reference = {"$blob": request.message["params"]["input"], "blobType": "data", "size": 5}
            no_references = [{"$blob": "abc"}, {"$blob": 5}, {"$blob": name, "blobType": "binary"}, {"blob": name}]
            nested = [reference, {"a": {"$blob": within}}]
            await request.result({"output": {"large": reference, "nested": nested, "other": no_references}})

        speaks = {"serverProtocolVersion": 1, "supportsBlobRefs": True}
        async with raw_worker(handle, runtime=runtime, initialized=speaks) as (_, plugins):
            output = await plugins.execute("/w/x", name, CONTEXT)
            assert output["large"] == [1, 2]
            assert output["nested"] == [[1, 2], {"a": {"first": [1, 2]}}]
            assert output["other"] == [
                {"$blob": "abc"},
                {"$blob": 5},
                {"$blob": name, "blobType": "binary"},
                {"blob": name},
            ]
            failed = await failure_of(plugins, "/w/x", "0" * 64)
            assert (failed.kind, failed.message.count("Blob not found")) == ("protocol", 1)
        async with raw_worker(handle, runtime=runtime, initialized={"serverProtocolVersion": 1}) as (_, plugins):
            assert (await plugins.execute("/w/x", name, CONTEXT))["large"]["$blob"] == name

    running(scenario)


def test_large_members_of_an_input_are_sent_as_references() -> None:
    """To workers that take them, where blobs can be read over HTTP (spec section 12); others get them whole."""
    large, small = ["é" * 60], ["e" * 60]
    reference = {"$blob": name_of(large), "blobType": "data", "size": 124}
    known = {"$blob": "a" * 64, "note": "x" * 200}
    value = {"large": large, "small": small, "known": known, "null": None}
    takes_them = {"serverProtocolVersion": 1, "supportsBlobRefs": True}
    settings = "blobApi: {blobThreshold: 100}\n"

    class Refusing(MemoryRuntime):
        async def put_blob(self, data: Any, blob_type: str, caller: Any) -> str:
            raise CallRefused(-32000, "too large")

    async def sent(runtime: MemoryRuntime, value: Any, *, answered: Any = takes_them, **options: Any) -> Any:
        async def handle(request: Request) -> None:
            await request.result({"output": 1})

        more = {"blob_api_url": "http://b/", "before": settings, **options}
        async with raw_worker(handle, runtime=runtime, initialized=answered, **more) as (worker, plugins):
            assert await plugins.execute("/w/x", value, CONTEXT) == 1
            return worker.requests[-1].message["params"]["input"]

    async def scenario() -> None:
        runtime = MemoryRuntime()
        assert await sent(runtime, value) == {**value, "large": reference}
        assert runtime.blobs == {name_of(large): Blob(large, "data")}
        assert runtime.callers == [CONTEXT]
        assert await sent(runtime, [large]) == [large]
        for whole in (
            sent(runtime, value, answered={"serverProtocolVersion": 1}),
            sent(runtime, value, answered={"server_protocol_version": 1}),
            sent(runtime, value, blob_api_url=None),
            sent(runtime, value, before="blobApi: {blobThreshold: 0}\n"),
            sent(runtime, value, before="blobApi: {enabled: false}\n"),
            sent(Refusing(), value),
        ):
            assert await whole == value

    running(scenario)


def test_a_blob_that_refers_to_itself_ends() -> None:
    class Endless(MemoryRuntime):
        async def get_blob(self, blob_id: str, caller: Any) -> Blob:
            await trio.lowlevel.checkpoint()
            self.callers.append(caller)
            return Blob({"again": {"$blob": blob_id}}, "data")

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.result({"output": {"$blob": "a" * 64}})

        speaks = {"serverProtocolVersion": 1, "supportsBlobRefs": True}
        runtime = Endless()
        async with raw_worker(handle, runtime=runtime, initialized=speaks) as (_, plugins):
            output = await plugins.execute("/w/x", None, CONTEXT)
            for _ in range(8):
                output = output["again"]
            assert output == {"$blob": "a" * 64}
            assert len(runtime.callers) == 8

    running(scenario)


CODES_OF_REFUSALS = [
    ("runs/submit", {"flowId": "unknown", "inputs": [], "subflowKey": "k"}, {"0.9": -32011, "0.11": -32005}),
    ("runs/get", {"runId": "no-uuid"}, {"0.9": -32012, "0.11": -32004}),
    ("runs/get", {"runId": "unknown"}, {"0.9": -32000, "0.11": -32005}),
    ("runs/get", {"runId": "refuse"}, {"0.9": -32000, "0.11": -32000}),
    ("blobs/get", {"blob_id": "0" * 64}, {"0.9": -32000, "0.11": -32005}),
]


SPELLINGS = [
    ({"server_protocol_version": 1}, "0.11", "0.9"),
    ({"serverProtocolVersion": 1}, "0.9", "0.11"),
    ({"server_protocol_version": 1, "serverProtocolVersion": 1}, "0.9", "0.9"),
    ({"server_protocol_version": 1, "serverProtocolVersion": 1}, "0.11", "0.11"),
]


@pytest.mark.parametrize(("answered", "configured", "dialect"), SPELLINGS)
@pytest.mark.parametrize(("method", "params", "codes"), CODES_OF_REFUSALS)
def test_what_is_refused_has_the_code_of_the_dialect(
    method: str, params: Any, codes: Any, answered: Any, configured: Any, dialect: str
) -> None:
    class Refusing(MemoryRuntime):
        async def submit_run(self, request: Any, caller: Any) -> Any:
            raise FlowNotFound(request.flow_id)

        async def get_run(self, query: Any, caller: Any) -> Any:
            if query.run_id == "refuse":
                return await super().get_run(query, caller)
            raise {"no-uuid": BadRunId, "unknown": RunNotFound}[query.run_id](query.run_id)

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i")
            await request.event({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            await worker.until(lambda: len(worker.requests) == 4)
            await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": None}})
            await request.chunk(b"")

        runtime = Refusing()
        async with raw_worker(handle, runtime=runtime, initialized=answered, dialect=configured) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) is None
            assert worker.requests[-1].message["error"]["code"] == codes[dialect]

    running(scenario)


@pytest.mark.parametrize(("dialect", "seconds"), [("0.9", None), ("0.11", 300.0)])
def test_waiting_for_runs_is_bounded_as_the_dialect_says(dialect: str, seconds: float | None) -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i")
            asked = {"flowId": "f" * 64, "inputs": [1], "wait": True, "subflowKey": "k"}
            await request.event({"jsonrpc": "2.0", "id": 1, "method": "runs/submit", "params": asked})
            asked["timeoutSecs"] = 7
            await request.event({"jsonrpc": "2.0", "id": 2, "method": "runs/submit", "params": asked})
            await worker.until(lambda: len(worker.requests) == 5)
            await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": None}})
            await request.chunk(b"")

        member = "server_protocol_version" if dialect == "0.9" else "serverProtocolVersion"
        runtime = MemoryRuntime()
        async with raw_worker(handle, runtime=runtime, initialized={member: 1}) as (worker, plugins):
            await plugins.execute("/w/x", None, CONTEXT)
        assert {request.timeout_seconds for request in runtime.requests} == {seconds, 7}

    running(scenario)


# --- hostile workers ------------------------------------------------------------------------------------


async def _silent(_: Request) -> None:
    await trio.sleep_forever()


async def _dropped(request: Request) -> None:
    await request.stream.aclose()


async def _cut_off(request: Request) -> None:
    await request.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
    await request.stream.aclose()


async def _rubbish(request: Request) -> None:
    await request.raw(b"\x00\x01\x02 rubbish\r\n\r\n")
    await request.stream.aclose()


async def _endless_head(request: Request) -> None:
    await request.raw(b"HTTP/1.1 200 OK\r\n")
    while True:
        await request.raw(b"x: y\r\n" * 1000)


async def _endless_body(request: Request) -> None:
    await request.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await request.chunk(b" " * 100_000)


async def _endless_event(request: Request) -> None:
    await request.begin_stream()
    while True:
        await request.chunk(b"data: " + b"x" * 100_000)


async def _endless_comments(request: Request) -> None:
    await request.begin_stream()
    while True:
        await request.chunk(b": " + b"x" * 10_000 + b"\n")


async def _endless_callbacks(request: Request) -> None:
    await request.begin_stream()
    number = 0
    while True:
        number += 1
        await request.event({**CALLBACK, "id": number})


async def _ended(request: Request) -> None:
    await request.begin_stream()
    await request.chunk(b"")


async def _half_event(request: Request) -> None:
    await request.begin_stream()
    await request.chunk(b'data: {"jsonrpc":"2.0","id":%d,"result":{"output":1}}\n' % request.message["id"])
    await request.chunk(b"")


HOSTILE: list[tuple[str, Callable[[Request], Awaitable[None]], str, str]] = [
    ("never answers", _silent, "transport", "components/execute was not answered within 0.3 s"),
    ("drops the connection", _dropped, "transport", "disconnected"),
    ("cuts its answer off", _cut_off, "transport", "without sending complete message body"),
    ("sends no HTTP", _rubbish, "transport", "illegal"),
    ("sends headers for ever", _endless_head, "transport", ""),
    ("sends a body for ever", _endless_body, "protocol", "more than 16777216 bytes"),
    ("sends an event for ever", _endless_event, "protocol", "more than 16777216 bytes"),
    ("sends comments for ever", _endless_comments, "transport", "not answered within 0.3 s"),
    ("calls back for ever", _endless_callbacks, "transport", "not answered within 0.3 s"),
    ("ends its stream early", _ended, "transport", "the stream ended before the call was answered"),
    ("sends half an event", _half_event, "transport", "the stream ended before the call was answered"),
]


@pytest.mark.parametrize(("hostile", "kind", "told"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_worker_leaves_one_failed_step(
    hostile: Callable[[Request], Awaitable[None]], kind: str, told: str
) -> None:
    """With an error that says what it did, and the next call is as good as any."""

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            if request.message["params"]["component"] == "/bad":
                await hostile(request)
            else:
                await request.result({"output": "good"})

        patience = 300 if "0.3 s" in told else 15_000
        async with raw_worker(handle, settings=f", executeTimeoutMs: {patience}") as (worker, plugins):
            failed = await failure_of(plugins, "/w/bad")
            assert (failed.kind, told in failed.message) == (kind, True), failed.message
            assert await plugins.execute("/patient/good", None, CONTEXT) == "good"
            assert worker.methods().count("components/execute") == 2

    running(scenario)


def test_the_first_of_two_answers_counts_and_a_stream_that_goes_on_holds_nobody() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream()
            for output in (1, 2):
                await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": output}})
            await trio.sleep_forever()

        async with raw_worker(handle) as (_, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == 1

    running(scenario)


def test_a_step_that_is_cancelled_closes_its_connection() -> None:
    async def scenario() -> None:
        closed = trio.Event()

        async def handle(request: Request) -> None:
            came.set()
            assert await request.stream.receive_some() == b""
            closed.set()

        came = trio.Event()
        async with raw_worker(handle) as (_, plugins):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(plugins.execute, "/w/x", None, CONTEXT)
                await came.wait()
                nursery.cancel_scope.cancel()
            await closed.wait()

    running(scenario)


def test_hundreds_of_calls_at_once_are_answered() -> None:
    async def scenario() -> None:
        async with raw_worker() as (_, plugins):
            calls = [lambda number=number: plugins.execute("/w/x", number, CONTEXT) for number in range(300)]
            assert await all_of(calls) == list(range(300))

    running(scenario)


# --- starting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("initialized", "told"),
    [
        ({"version": 1}, "names no version of the protocol"),
        ([], "its answer to initialize is none"),
        ({"server_protocol_version": "1"}, "its answer to initialize is none"),
    ],
)
def test_a_worker_that_is_none_keeps_the_runtime_from_starting(initialized: Any, told: str) -> None:
    async def scenario() -> None:
        async with RawWorker(None, initialized).serving() as worker:
            with pytest.raises(CannotStart, match=told):
                async with opened(f'plugins: {{w: {{type: stepflow, url: "{worker.url}"}}}}'):
                    raise AssertionError("it started")

    running(scenario)


def test_initialized_must_be_taken_with_any_status_of_success() -> None:
    class Refusing(RawWorker):
        async def take(self, request: Request) -> None:
            if request.message["method"] == "initialized":
                await request.answer(b"", status=self.status)
            else:
                await super().take(request)

        status = "200 OK"

    async def scenario() -> None:
        async with Refusing().serving() as worker:
            config = f'plugins: {{w: {{type: stepflow, url: "{worker.url}"}}}}'
            async with opened(config):
                pass
            Refusing.status = "500 Internal Server Error"
            with pytest.raises(CannotStart, match="initialized: the server answered with HTTP status 500"):
                async with opened(config):
                    raise AssertionError("it started")

    running(scenario)


def test_all_plugins_that_cannot_start_are_named() -> None:
    async def scenario() -> None:
        config = """
            plugins:
              a: {type: stepflow, url: "http://127.0.0.1:1/"}
              b: {type: stepflow, command: /no/such/program}
              c: {type: builtin}
        """
        with pytest.raises(CannotStart) as told:
            async with opened(config):
                raise AssertionError("it started")
        first, second = str(told.value).split("; ")
        assert first.startswith("plugin a: worker a: initialize: ")
        assert second == "plugin b: /no/such/program cannot be started: No such file or directory"

    running(scenario)


def test_components_are_those_of_every_plugin() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            listed = [{"component": "/z", "description": None, "input_schema": {}}, {"component": "/a"}]
            await request.result({"components": listed})

        async with raw_worker(handle) as (_, plugins):
            assert [(info.component, info.input_schema) for info in await plugins.components()] == [
                ("/a", None),
                ("/z", {}),
            ]

    running(scenario)


def test_a_worker_that_has_no_list_is_left_out() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.result({"components": [{"name": "x"}]})

        async with raw_worker(handle) as (_, plugins):
            assert await plugins.components() == []
            with pytest.raises(StepFailed, match="list of components"):
                await plugins.plugin("w").components()

    running(scenario)
