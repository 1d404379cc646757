"""Workers on the generated SDK, over each transport: the same components, and the same answers."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from plugin_rig import CONTEXT, ROUTES, MemoryRuntime, all_of, failure_of, name_of, opened, running
from sdk_worker import serving_http, serving_sessions

from protogen_runtime.stepflow.plugins.opening import Plugins

HERE = Path(__file__).resolve().parent


@asynccontextmanager
async def worker(transport: str, runtime: MemoryRuntime) -> AsyncGenerator[Plugins]:
    """The plugins of a configuration with the worker behind /w/…."""
    if transport == "stdio":
        args = json.dumps(["-P", str(HERE / "sdk_worker.py")])
        settings = f"transport: stdio, command: {json.dumps(sys.executable)}, args: {args}"
        async with opened(_config(settings), runtime=runtime) as plugins:
            yield plugins
        return
    async with (
        serving_http() if transport == "http" else serving_sessions() as url,
        opened(_config(f'transport: {transport}, url: "{url}"'), runtime=runtime) as plugins,
    ):
        yield plugins


def _config(settings: str) -> str:
    return f"plugins: {{w: {{type: stepflow, {settings}}}}}\n{ROUTES}"


@pytest.mark.parametrize("transport", ["http", "stdio", "session"])
def test_components_callbacks_runs_and_errors(transport: str) -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with worker(transport, runtime) as plugins:
            value = {"a": [1, None, 2**64, 1.5, "é😀\u2028"]}
            assert await plugins.execute("/w/echo", value, CONTEXT) == value
            first = await plugins.execute("/w/put", value, CONTEXT)
            assert first == name_of(value)
            second = await plugins.execute("/w/swap", first, CONTEXT)
            assert runtime.blobs[second].data == [value, "data"]
            assert await plugins.execute("/w/run", [1, "x"], CONTEXT) == [1, "x"]
            assert set(runtime.callers) == {CONTEXT}

            failed = await failure_of(plugins, "/w/fail", 5)
            assert (failed.kind, failed.code, failed.data) == ("component", -32004, {"input": 5})
            unknown = await failure_of(plugins, "/w/none")
            assert (unknown.kind, unknown.code, unknown.data) == ("component", -32001, {"component": "/none"})
            missing = await failure_of(plugins, "/w/swap", "0" * 64)
            assert missing.kind == "component"

            names = [info.component for info in await plugins.components()]
            assert names == ["/echo", "/fail", "/put", "/run", "/swap"]

            calls = [lambda number=number: plugins.execute("/w/put", number, CONTEXT) for number in range(100)]
            assert await all_of(calls) == [name_of(number) for number in range(100)]

    running(scenario)
