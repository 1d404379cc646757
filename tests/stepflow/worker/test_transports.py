"""One app over every transport, called by the runtime's own plugins: the same components give the same answers."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from plugin_rig import CONTEXT, ROUTES, MemoryRuntime, all_of, failure_of, name_of, opened, running
from worker_components import app
from worker_rig import plugins_of

from protogen_runtime.stepflow.plugins.opening import Plugins

HERE = Path(__file__).resolve().parent
VALUE = {"a": [1, None, 2**64, 1.5, "é😀\u2028"], "": {}}


@asynccontextmanager
async def worker(transport: str, runtime: MemoryRuntime) -> AsyncGenerator[Plugins]:
    if transport in ("http", "session"):
        async with plugins_of(app, transport, runtime) as plugins:
            yield plugins
        return
    args = ["-P", "-m", "protogen", "worker", "worker_components:app"]
    args += ["--stdio"] if transport == "stdio" else ["--port", "0", "--announce"]
    way = "stdio" if transport == "stdio" else "http"
    settings = f"transport: {way}, command: {json.dumps(sys.executable)}, args: {json.dumps(args)}"
    config = f"plugins: {{w: {{type: stepflow, {settings}}}}}\nworkingDirectory: {json.dumps(str(HERE))}\n{ROUTES}"
    async with opened(config, runtime=runtime, folder=HERE) as plugins:
        yield plugins


@pytest.mark.parametrize("transport", ["http", "session", "stdio", "program"])
def test_every_transport_gives_the_same_answers(transport: str) -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with worker(transport, runtime) as plugins:

            async def execute(component: str, value: Any = None) -> Any:
                return await plugins.execute(f"/w{component}", value, CONTEXT)

            assert await execute("/echo", VALUE) == VALUE
            assert await execute("/add", {"a": 2**60}) == {"sum": 2**60 + 1}
            assert await execute("/point", {"x": 1.5, "tags": []}) == {"x": 3.0, "tags": ["seen"]}
            assert await execute("/model", {"name": "ab"}) == {"name": "abab"}
            ids = ["/ids", 1, CONTEXT.run_id, CONTEXT.flow_id, CONTEXT.step_id, CONTEXT.trace_id]
            assert await execute("/ids") == ids
            assert await execute("/thread", VALUE) == [False, name_of(VALUE), VALUE]
            assert await execute("/blobs", [VALUE, 1, "é"]) == [name_of(VALUE), name_of(1), name_of("é")]
            assert await execute("/run", [1, "x"]) == [
                {"outcome": "success", "result": 1},
                {"outcome": "success", "result": "x"},
            ]
            assert await execute("/evaluate", VALUE) == VALUE
            assert set(runtime.callers) == {CONTEXT}
            unknown = await failure_of(plugins, "/w/ecko")
            assert (unknown.kind, unknown.code, unknown.data) == ("component", -32001, {"component": "/ecko"})
            late = await failure_of(plugins, "/w/late")
            assert (late.code, late.data) == (-32006, {"component": "/late", "seconds": 0.05})
            answers = await all_of([lambda n=n: execute("/echo", n) for n in range(8)])
            assert answers == list(range(8))
            listed = [info.component for info in await plugins.components()]
            assert [name.removeprefix("/w") for name in listed if "convert" in name] == ["/convert/json"]

    running(scenario)


@pytest.mark.parametrize("transport", ["http", "session", "stdio", "program"])
def test_an_execution_that_was_given_up_ends_in_the_worker(transport: str) -> None:
    async def scenario() -> None:
        async with worker(transport, MemoryRuntime()) as plugins:
            before = await plugins.execute("/w/ended", None, CONTEXT)
            with trio.move_on_after(0.5) as scope:
                await plugins.execute("/w/endless", None, CONTEXT)
            assert scope.cancelled_caught
            while await plugins.execute("/w/ended", None, CONTEXT) == before:
                await trio.lowlevel.checkpoint()

    running(scenario)


def test_a_flow_that_failed_is_the_failure_of_its_component() -> None:
    async def scenario() -> None:
        error = {"code": 1, "message": "no such path"}
        runtime = MemoryRuntime(lambda _: {"outcome": "failed", "error": error})
        async with plugins_of(app, runtime=runtime) as plugins:
            failed = await failure_of(plugins, "/w/evaluate", 1)
            assert (failed.code, failed.data["error"]) == (-32004, error)
            missing = await failure_of(plugins, "/w/get", "0" * 64)
            assert missing.kind == "component"

    running(scenario)
