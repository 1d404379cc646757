"""A worker under a runtime of 0.11: blobs over HTTP, references to them, keys of runs, and its numbers of errors."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from plugin_rig import CONTEXT, ROUTES, BlobApi, MemoryRuntime, Request, failure_of, name_of, opened, running
from worker_components import app
from worker_rig import execute_message, post, serving, serving_lines

from protogen_runtime.stepflow.plugins.contract import BadRunId, Blob, FlowNotFound
from protogen_runtime.stepflow.plugins.opening import Plugins
from protogen_runtime.stepflow.plugins.workers import WorkerPlugin
from protogen_runtime.stepflow.worker import App, BlobNotFoundError, BlockingContext, Context, NotFoundError

BIG = "é" * 3000


def made() -> App:
    """The components that need a runtime."""
    calls = App("calls", callback_seconds=5)

    @calls.component("/put")
    async def put(value: Any, context: Context) -> Any:
        name = await context.put_blob(value)
        return [name, await context.get_blob(name)]

    @calls.component("/thread")
    def in_a_thread(value: Any, context: BlockingContext) -> Any:
        return context.get_blob(context.put_blob(value))

    @calls.component("/missing")
    async def missing(value: str, context: Context) -> Any:
        try:
            return await context.get_blob(value)
        except BlobNotFoundError as error:
            if value.startswith("1"):
                return [error.message, error.data]
            raise

    @calls.component("/large")
    async def large(value: Any) -> Any:
        assert value["big"] == BIG
        return {"big": value["big"], "small": 1, "list": [BIG]}

    @calls.component("/text")
    async def text(value: str) -> str:
        return value

    @calls.component("/runs")
    async def runs(value: Any, context: Context) -> Any:
        first = await context.submit_run("f" * 64, [1, 2], wait=True, max_concurrency=2, overrides={"s": {"value": 1}})
        await context.submit_run("f" * 64, [], key="8f14e45f-ceea-5b7a-9c3d-2f1a0d7e6b11")
        last = await context.get_run(first.run_id, wait=True, include_results=True, seconds=7)
        return [msgspec.to_builtins(item.result) for item in first.results or []] + [last.status]

    @calls.component("/unknown")
    async def unknown(value: str, context: Context) -> Any:
        try:
            await context.submit_run(value, [])
        except NotFoundError as error:
            return error.data
        return None

    @calls.component("/bad-run")
    async def bad_run(value: str, context: Context) -> Any:
        return await context.get_run(value)

    @calls.component("/evaluate")
    def evaluate(value: Any, context: BlockingContext) -> Any:
        return context.evaluate({"steps": [], "output": {"$input": "$"}}, value)

    return calls


@asynccontextmanager
async def under(
    app: App, runtime: MemoryRuntime | None = None, *, threshold: int = 1_048_576
) -> AsyncGenerator[tuple[Plugins, BlobApi]]:
    """The plugins of a runtime of 0.11 with the app behind /w/…, and its API for blobs."""
    runtime = runtime or MemoryRuntime()
    async with serving(app) as url, BlobApi(runtime).serving() as blobs:
        config = f'plugins: {{w: {{type: stepflow, url: "{url}"}}}}\nblobApi: {{blobThreshold: {threshold}}}\n{ROUTES}'
        options = {"dialect": "0.11", "blob_api_url": f"{blobs.url}/api/v1/blobs/"}
        async with opened(config, runtime=runtime, **options) as plugins:
            assert isinstance(blobs, BlobApi)
            yield plugins, blobs


def test_the_runtime_says_which_dialect_it_wants() -> None:
    async def scenario() -> None:
        async with under(made()) as (plugins, _):
            plugin = plugins.plugin("w")
            assert isinstance(plugin, WorkerPlugin)
            assert plugin.dialect == "0.11"

    running(scenario)


def test_blobs_are_put_and_read_over_http() -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with under(made(), runtime) as (plugins, blobs):
            value = {"b": [1, None, 2**64, BIG], "a": {}}
            assert await plugins.execute("/w/put", value, CONTEXT) == [name_of(value), value]
            assert await plugins.execute("/w/thread", value, CONTEXT) == value
            assert await plugins.execute("/w/evaluate", 5, CONTEXT) == 5
            assert [request.method for request in blobs.requests] == ["POST", "GET", "POST", "GET", "POST"]
            assert {blob.blob_type for blob in runtime.blobs.values()} == {"data", "flow"}
            # None of these came as a callback.
            assert [caller for caller in runtime.callers if caller is not None] == [CONTEXT]

    running(scenario)


def test_a_blob_that_is_not_there_is_told_as_one() -> None:
    async def scenario() -> None:
        async with under(made()) as (plugins, _):
            unknown = "1" * 64
            told = await plugins.execute("/w/missing", unknown, CONTEXT)
            assert told == [f"Blob not found: {unknown}", {"blob_id": unknown}]
            for name in ("0" * 64, "../../runs", "é", ""):
                failed = await failure_of(plugins, "/w/missing", name)
                assert (failed.code, failed.data) == (-32005, {"blob_id": name})

    running(scenario)


def test_references_in_inputs_are_followed_and_made_in_outputs() -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        runtime.blobs[name_of(BIG)] = Blob(BIG, "data")
        async with under(made(), runtime, threshold=2000) as (plugins, blobs):
            reference = {"$blob": name_of(BIG), "size": len(BIG)}
            output = await plugins.execute("/w/large", {"big": reference}, CONTEXT)
            assert output == {"big": BIG, "small": 1, "list": [BIG]}
            assert [request.method for request in blobs.requests] == ["GET", "POST", "POST"]
            # What is no object is sent whole, however large.
            assert await plugins.execute("/w/text", BIG, CONTEXT) == BIG
            assert len(blobs.requests) == 3
            failed = await failure_of(plugins, "/w/large", {"big": {"$blob": "0" * 64}})
            assert (failed.code, failed.data) == (-32005, {"blob_id": "0" * 64})

    running(scenario)


def test_outputs_are_whole_where_their_parts_cannot_be_stored() -> None:
    async def scenario() -> None:
        async with serving(made()) as url:
            told = {"blobApiUrl": "http://127.0.0.1:1/", "blobThreshold": 2000}
            hello = {"runtimeProtocolVersion": 1, "capabilities": told}
            message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            assert (await post(url, json.dumps(message).encode())).status == 200
            answer = await post(url, execute_message("/large", {"big": BIG}))
            assert answer.json["result"]["output"] == {"big": BIG, "small": 1, "list": [BIG]}
            answer = await post(url, execute_message("/put", 1))
            assert answer.json["error"]["code"] == -32102

    running(scenario)


def test_runs_have_a_key_that_is_the_same_in_every_attempt() -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with under(made(), runtime) as (plugins, _):
            for _attempt in range(2):
                output = await plugins.execute("/w/runs", None, CONTEXT)
                assert output == [*({"outcome": "success", "result": value} for value in (1, 2)), "completed"]
            other = msgspec.structs.replace(CONTEXT, step_id="s2")
            await plugins.execute("/w/runs", None, other)
        keys = [request.subflow_key for request in runtime.requests]
        assert [str(uuid.UUID(key)) for key in keys] == keys
        assert (keys[:2], keys[1], keys[0] != keys[4]) == (keys[2:4], "8f14e45f-ceea-5b7a-9c3d-2f1a0d7e6b11", True)
        first = runtime.requests[0]
        assert (first.inputs, first.wait, first.max_concurrency) == ([1, 2], True, 2)
        assert first.overrides == {"s": {"value": 1}}
        # The runtime waits a little longer than the worker, whose patience ends with an error.
        assert (first.timeout_seconds, runtime.queries[0].timeout_seconds) == (3605, 12)

    running(scenario)


def test_a_state_that_0_9_does_not_know_is_a_failure() -> None:
    class Recovering(MemoryRuntime):
        async def submit_run(self, request: Any, caller: Any) -> Any:
            status = await super().submit_run(request, caller)
            for item in status.get("results", ()):
                item["status"] = "recoveryFailed"
            return status

    async def scenario() -> None:
        async with under(made(), Recovering()) as (plugins, _):
            assert (await plugins.execute("/w/runs", None, CONTEXT))[-1] == "completed"

    running(scenario)


def test_refusals_of_the_runtime_are_errors_of_ours() -> None:
    class Refusing(MemoryRuntime):
        async def submit_run(self, request: Any, caller: Any) -> Any:
            raise FlowNotFound(request.flow_id)

        async def get_run(self, query: Any, caller: Any) -> Any:
            raise BadRunId(query.run_id)

    async def scenario() -> None:
        async with under(made(), Refusing()) as (plugins, _):
            assert await plugins.execute("/w/unknown", "f" * 64, CONTEXT) == {"flow_id": "f" * 64}
            failed = await failure_of(plugins, "/w/bad-run", "nope")
            assert (failed.code, failed.message) == (-32101, "Invalid run id: nope")

    running(scenario)


CODES: list[tuple[str, Any, int, int]] = [
    ("/none", None, -32001, -32001),
    ("/add", {"a": "x"}, -32003, -32003),
    ("/convert/x/times", "a", -32011, -32101),
    ("/raise", "value", -32004, -32100),
    ("/raise", "own", -32005, -32102),
    ("/raise", "connection", -32005, -32102),
    ("/raise", "permission", -32007, -32100),
    ("/raise", "code", -32099, -32099),
    ("/raise", "object", -32603, -32603),
    ("/late", None, -32006, -32100),
]


@pytest.mark.parametrize(("component", "value", "earlier", "later"), CODES)
def test_failures_have_the_code_of_the_dialect(component: str, value: Any, earlier: int, later: int) -> None:
    async def scenario() -> None:
        async with under(app) as (plugins, _):
            as_later = await failure_of(plugins, f"/w{component}", value)
        async with serving(app) as url:
            config = f'plugins: {{w: {{type: stepflow, url: "{url}"}}}}\n{ROUTES}'
            async with opened(config) as plugins:
                as_earlier = await failure_of(plugins, f"/w{component}", value)
        assert (as_earlier.code, as_later.code) == (earlier, later)
        assert (as_earlier.message, as_earlier.data) == (as_later.message, as_later.data)

    running(scenario)


def test_replicas_that_see_no_handshake_are_told_by_their_app() -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with BlobApi(runtime).serving() as blobs:
            replica = App("replica", dialect="0.11", blob_api_url=f"{blobs.url}/blobs")

            @replica.component("/put")
            async def put(value: Any, context: Context) -> str:
                return await context.put_blob(value)

            async with serving(replica) as url:
                answer = await post(url, execute_message("/put", 5))
                assert answer.json["result"]["output"] == name_of(5)
                assert runtime.blobs[name_of(5)].data == 5

    running(scenario)


def test_a_runtime_without_an_api_for_blobs_is_told_of() -> None:
    async def scenario() -> None:
        async with serving(made()) as url:
            config = f'plugins: {{w: {{type: stepflow, url: "{url}"}}}}\n{ROUTES}'
            async with opened(config, dialect="0.11") as plugins:
                failed = await failure_of(plugins, "/w/put", 5)
                assert (failed.code, "blobApi" in failed.message) == (-32102, True)

    running(scenario)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        ("500 Internal Server Error", b"down", -32000),
        ("200 OK", b"[]", -32000),
        ("200 OK", b'{"blobId": 5}', -32000),
        ("302 Found", b"", -32000),
    ],
)
def test_an_api_with_bad_manners_fails_the_step(status: str, body: bytes, code: int) -> None:
    class Rude(BlobApi):
        async def take(self, request: Request) -> None:
            await request.answer(body, status=status)

    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with serving(made()) as url, Rude(runtime).serving() as blobs:
            config = f'plugins: {{w: {{type: stepflow, url: "{url}"}}}}\n{ROUTES}'
            async with opened(config, runtime=runtime, dialect="0.11", blob_api_url=blobs.url) as plugins:
                failed = await failure_of(plugins, "/w/put", 5)
                assert failed.code == code

    running(scenario)


def test_an_api_that_never_answers_fails_the_step_in_time() -> None:
    class Silent(BlobApi):
        async def take(self, request: Request) -> None:
            self.requests.append(request)
            self.came.unpark_all()
            await trio.sleep_forever()

    async def scenario() -> None:
        app = App("impatient", callback_seconds=0.05)

        @app.component("/put")
        async def put(value: Any, context: Context) -> str:
            return await context.put_blob(value)

        async with serving(app) as url, Silent(MemoryRuntime()).serving() as blobs:
            config = f'plugins: {{w: {{type: stepflow, url: "{url}"}}}}\n{ROUTES}'
            async with opened(config, dialect="0.11", blob_api_url=blobs.url) as plugins:
                failed = await failure_of(plugins, "/w/put", 5)
                assert (failed.code, "within 0.05 s" in failed.message) == (-32102, True)

    running(scenario)


def test_a_session_and_a_runtime_over_http_each_have_their_dialect() -> None:
    async def scenario() -> None:
        runtime, earlier = MemoryRuntime(), MemoryRuntime()
        async with serving(made()) as url, BlobApi(runtime).serving() as blobs:
            over_http = f'plugins: {{w: {{type: stepflow, url: "{url}"}}}}\n{ROUTES}'
            in_session = f'plugins: {{w: {{type: stepflow, transport: session, url: "{url}"}}}}\n{ROUTES}'
            async with (
                opened(over_http, runtime=runtime, dialect="0.11", blob_api_url=blobs.url) as first,
                opened(in_session, runtime=earlier) as second,
            ):
                await first.execute("/w/put", "first", CONTEXT)
                await second.execute("/w/put", "second", CONTEXT)
                await first.execute("/w/put", "third", CONTEXT)
        assert {blob.data for blob in runtime.blobs.values()} == {"first", "third"}
        assert {blob.data for blob in earlier.blobs.values()} == {"second"}

    running(scenario)


def test_pipes_carry_either_dialect() -> None:
    async def scenario() -> None:
        async with BlobApi(MemoryRuntime()).serving() as blobs, serving_lines(made()) as lines:
            hello = {"runtimeProtocolVersion": 1, "capabilities": {"blobApiUrl": blobs.url}}
            await lines.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode())
            assert (await lines.receive())["result"] == {"serverProtocolVersion": 1, "supportsBlobRefs": True}
            await lines.send(execute_message("/put", 5, request_id=2))
            assert (await lines.receive())["result"]["output"] == [name_of(5), 5]
            assert len(blobs.requests) == 2

    running(scenario)


@pytest.mark.parametrize("options", [{"dialect": "0.10"}, {"dialect": None}])
def test_a_dialect_that_is_none_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"dialect is one of 0\.9, 0\.11"):
        App(**options)
