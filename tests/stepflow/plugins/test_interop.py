"""Interop: workers on the published SDK, of both dialects, under our plugins.

Each has an environment of its own, made once from its lock: the two are versions of one distribution.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from interop_env import WORKERS, environment
from plugin_rig import CONTEXT, ROUTES, BlobApi, MemoryRuntime, all_of, failure_of, name_of, opened, running

from protogen_runtime.stepflow.plugins.opening import Plugins
from protogen_runtime.stepflow.plugins.workers import WorkerPlugin

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
NOT_FOUND = {"0.9": -32001, "0.11": -32001}
RAISED = {"0.9": -32003, "0.11": -32100}


@asynccontextmanager
async def worker(root: Path, dialect: str, runtime: MemoryRuntime) -> AsyncGenerator[tuple[Plugins, BlobApi]]:
    """The plugins of a configuration with the worker as a process behind /w/…, and what it asks for blobs."""
    python = json.dumps(str(environment(root, WORKERS[dialect])))
    args = json.dumps(["-P", str(HERE / "foreign_worker.py")])
    settings = f"command: {python}, args: {args}, env: {{STEPFLOW_TRACE_ENABLED: 'false'}}"
    config = f"plugins: {{w: {{type: stepflow, {settings}}}}}\nblobApi: {{blobThreshold: 2000}}\n{ROUTES}"
    async with (
        BlobApi(runtime).serving() as blobs,
        opened(config, runtime=runtime, blob_api_url=f"{blobs.url}/api/v1/blobs") as plugins,
    ):
        assert isinstance(blobs, BlobApi)
        yield plugins, blobs


@pytest.mark.parametrize("dialect", WORKERS)
def test_a_published_worker_is_started_called_and_started_again(
    root: Path, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subprocess mode with its port and health, values, callbacks, sub-runs, errors, silence, death."""
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.links.FIRST_PAUSE_SECONDS", 0.01)
    environment(root, WORKERS[dialect])

    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with worker(root, dialect, runtime) as (plugins, blobs):
            plugin = plugins.plugin("w")
            assert isinstance(plugin, WorkerPlugin)
            assert plugin.dialect == dialect

            value = {"a": [1, None, 1.5, 2**60, "é😀\u2028"], "b": {}}
            assert await plugins.execute("/w/echo", value, CONTEXT) == value
            calls = [lambda number=number: plugins.execute("/w/echo", {"n": number}, CONTEXT) for number in range(50)]
            assert await all_of(calls) == [{"n": number} for number in range(50)]

            # Those of 0.11 are sent references to large members, store those of what they give, and send references.
            large = {"text": "é" * 3000, "more": {"list": ["x" * 3000]}}
            assert await plugins.execute("/w/echo", large, CONTEXT) == large
            assert (name_of(large["text"]) in runtime.blobs) == (dialect == "0.11")
            asked = sorted(request.method for request in blobs.requests)
            assert asked == (["GET", "GET", "POST", "POST"] if dialect == "0.11" else [])

            output = await plugins.execute("/w/blobs", {}, CONTEXT)
            assert output["numbers"] == list(range(20))
            assert output["names"] == [name_of({"number": number}) for number in range(20)]
            assert output["step"] == CONTEXT.step_id

            output = await plugins.execute("/w/runs", {"flow": "f" * 64}, CONTEXT)
            assert (output["status"], output["results"]) == ("completed", 2)
            (request,) = runtime.requests
            assert (request.inputs, request.wait, request.max_concurrency) == ([1, 2], True, 2)
            assert (request.subflow_key is None) == (dialect == "0.9")
            assert runtime.callers[-1] == CONTEXT

            deep = await plugins.execute("/w/deep/a/b", {"seconds": 0.5}, CONTEXT)
            assert (deep["rest"], deep["text"]) == ("a/b", "é😀\u2028" * 1000)

            failed = await failure_of(plugins, "/w/fail", {"what": "luck"})
            assert (failed.kind, failed.code, "bad luck" in failed.message) == ("component", RAISED[dialect], True)
            unknown = await failure_of(plugins, "/w/none", {})
            assert (unknown.kind, unknown.code) == ("component", NOT_FOUND[dialect])
            assert (await failure_of(plugins, "/w/missing", {})).kind == "component"

            names = {info.component for info in await plugins.components()}
            assert {"/echo", "/fail", "/blobs", "/runs"} <= names

            before = await plugins.execute("/w/pid", {}, CONTEXT)
            assert set(before["environment"]) <= {"STEPFLOW_TRACE_ENABLED", "LC_CTYPE"}
            died = await failure_of(plugins, "/w/die", {})
            assert (died.kind, "its process ended with status 9" in died.message) == ("crash", True), died.message
            after = await plugins.execute("/w/pid", {}, CONTEXT)
            assert after["pid"] != before["pid"]

    # The first start compiles all that the worker imports.
    running(scenario, seconds=90)
