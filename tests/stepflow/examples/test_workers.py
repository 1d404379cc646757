"""The example workers in TypeScript and Go: the same components under our plugins, and under the published runtime."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sdk_programs
from interop_env import announced
from plugin_rig import CONTEXT, ROUTES, MemoryRuntime, all_of, failure_of, name_of, opened, running
from published_runtime import failure_in, output_in, serving

from protogen_runtime.stepflow.plugins.opening import Plugins

LANGUAGES = ("typescript", "go")
ORDER = {"items": ["tea", "é😀\u2028"], "express": True, "more": [None, 2**53 + 1]}
Programs = dict[str, list[str]]


@pytest.fixture(scope="session")
def programs(root: Path, tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The command line of each worker, compiled once."""
    folder = tmp_path_factory.mktemp("workers")
    examples = root / "docs" / "examples" / "stepflow"
    compiled = sdk_programs.typescript(tool, folder / "typescript", [examples / "typescript" / "worker.ts"])
    binaries = sdk_programs.go(tool, folder / "go", examples)
    return {"typescript": [tool("node"), compiled["worker"]], "go": [str(binaries / "go")]}


@asynccontextmanager
async def worker(command: list[str], transport: str, runtime: MemoryRuntime) -> AsyncGenerator[Plugins]:
    """The plugins of a configuration with the worker behind /w/…."""
    args = [*command[1:], "--stdio"] if transport == "stdio" else command[1:]
    program = json.dumps({"command": command[0], "args": args})[1:-1]
    config = f"plugins: {{w: {{type: stepflow, transport: {transport}, {program}}}}}\n{ROUTES}"
    async with opened(config, runtime=runtime) as plugins:
        yield plugins


@pytest.mark.parametrize("transport", ["http", "stdio"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_worker_prices_and_archives_orders(programs: Programs, language: str, transport: str) -> None:
    async def scenario() -> None:
        runtime = MemoryRuntime()
        async with worker(programs[language], transport, runtime) as plugins:
            assert await plugins.execute("/w/price", ORDER, CONTEXT) == {"total": 20}
            assert await plugins.execute("/w/price", {"items": ["cup"]}, CONTEXT) == {"total": 5}
            # A callback: the order is stored as it came, whatever the worker knows of it.
            assert await plugins.execute("/w/archive", ORDER, CONTEXT) == name_of(ORDER)
            assert runtime.blobs[name_of(ORDER)].data == ORDER
            assert runtime.callers == [CONTEXT]
            orders = [{"items": [str(number)]} for number in range(50)]
            calls = [lambda order=order: plugins.execute("/w/archive", order, CONTEXT) for order in orders]
            assert await all_of(calls) == [name_of(order) for order in orders]

            empty = await failure_of(plugins, "/w/price", {"items": []})
            assert (empty.code, empty.message, empty.data) == (-32011, "there is nothing to price", {"order": "empty"})
            for value in (None, 5, {}, {"items": "tea"}, {"items": [1]}):
                wrong = await failure_of(plugins, "/w/price", value)
                assert (wrong.code, wrong.message) == (-32003, "items is a list of names"), value
            unknown = await failure_of(plugins, "/w/none", ORDER)
            assert (unknown.code, unknown.data) == (-32001, {"component": "/none"})

            listed = await plugins.components()
            assert [info.component for info in listed] == ["/archive", "/price"]
            assert listed[1].description == "Price an order."
            assert listed[1].input_schema["required"] == ["items"]

    running(scenario, seconds=60)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_worker_listens_where_it_is_told(programs: Programs, language: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with announced([*programs[language], "--port", str(port)]) as told:
        assert told == port


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_worker_ends_with_its_input(programs: Programs, language: str) -> None:
    done = subprocess.run([*programs[language], "--stdio"], input=b"", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.interop
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_published_runtime_runs_a_worker(root: Path, tmp_path: Path, programs: Programs, language: str) -> None:
    command, *args = programs[language]
    with serving(root, tmp_path, "0.9", {"command": command, "args": args}) as port:
        assert output_in(port, "/price", ORDER) == {"total": 20}
        # The order of members is that of the input, and so is the id.
        assert output_in(port, "/archive", ORDER) == name_of(ORDER)
        assert failure_in(port, "/price", {"items": []}) == (-32011, "there is nothing to price")
