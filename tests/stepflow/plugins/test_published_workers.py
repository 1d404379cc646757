"""Interop: workers of others as they are published: the example on the SDK's page, and the program that it ships."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from interop_env import WORKERS, environment
from plugin_rig import CONTEXT, ROUTES, BlobApi, MemoryRuntime, failure_of, opened, running

from protogen_runtime.stepflow.plugins.opening import Plugins

pytestmark = pytest.mark.interop

START_SECONDS = 90
"""The first start compiles all that a worker imports."""


def example_of(python: Path) -> str:
    """The worker that the page of the installed distribution shows, to the letter."""
    (page,) = python.parent.parent.glob("lib/python*/site-packages/stepflow_py-*.dist-info/METADATA")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    (example,) = [block for block in blocks if "StepflowServer" in block]
    return str(example)


@asynccontextmanager
async def worker(python: Path, args: list[str], runtime: MemoryRuntime) -> AsyncGenerator[Plugins]:
    """The plugins of a configuration with the program as a process behind /w/…."""
    program = json.dumps({"command": str(python), "args": args})[1:-1]
    settings = f"{program}, env: {{STEPFLOW_TRACE_ENABLED: 'false'}}"
    async with (
        BlobApi(runtime).serving() as blobs,
        opened(
            f"plugins: {{w: {{type: stepflow, {settings}}}}}\n{ROUTES}", runtime=runtime, blob_api_url=blobs.url
        ) as plugins,
    ):
        yield plugins


@pytest.mark.parametrize("dialect", WORKERS)
def test_the_example_of_the_sdk_runs_unchanged(root: Path, tmp_path: Path, dialect: str) -> None:
    python = environment(root, WORKERS[dialect])
    file = tmp_path / "example.py"
    file.write_text(example_of(python), "utf-8")

    async def scenario() -> None:
        async with worker(python, [str(file)], MemoryRuntime()) as plugins:
            output = await plugins.execute("/w/my_component", {"message": "é"}, CONTEXT)
            assert output == {"result": "Processed: é"}
            assert (await failure_of(plugins, "/w/my_component", {"message": 5})).kind == "component"

    running(scenario, seconds=START_SECONDS)


CODES: list[tuple[str, Any, Any]] = [
    ("sum(input['numbers']) / len(input['numbers'])", {"numbers": [1, 2, 6]}, 3),
    ("numbers = input['numbers']\nif not numbers:\n    return 0\nreturn max(numbers)", {"numbers": []}, 0),
    ("lambda input: {'doubled': input['n'] * 2}", {"n": 21}, {"doubled": 42}),
]
"""Functions in the forms that the SDK takes: an expression, a body, a lambda."""


@pytest.mark.parametrize("dialect", WORKERS)
def test_the_program_of_the_sdk_runs_functions_from_blobs(root: Path, dialect: str) -> None:
    python = environment(root, WORKERS[dialect])

    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with worker(python, ["-m", "stepflow_py.worker.main"], runtime) as plugins:
            assert "/udf" in [info.component for info in await plugins.components()]
            for code, value, output in CODES:
                blob = {"code": code, "input_schema": {"type": "object"}}
                name = await runtime.put_blob(blob, "data", None)
                assert await plugins.execute("/w/udf", {"blob_id": name, "input": value}, CONTEXT) == output, code
            async_code = "async def store(input, context):\n    return await context.put_blob(input['data'])"
            blob = {"code": async_code, "input_schema": {"type": "object"}, "function_name": "store"}
            name = await runtime.put_blob(blob, "data", None)
            stored = await plugins.execute("/w/udf", {"blob_id": name, "input": {"data": [1]}}, CONTEXT)
            assert runtime.blobs[stored].data == [1]

    running(scenario, seconds=START_SECONDS)
