"""The executor `stepflow`: tasks that call components of a Stepflow configuration, alone and in a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from serving import SECONDS, SERVE, serving

from protogen_runtime.apflow.executors import (
    Execution,
    ExecutorFailed,
    ExecutorRegistry,
    InvalidInputs,
    Registered,
    run,
)
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.nodes.stepflow.executor import StepflowExecutor, open_executor
from protogen_runtime.stepflow.runs.contract import RunFilter

CONFIG = """
plugins:
  builtin: {type: builtin}
  shop:
    type: mock
    components:
      /price:
        behaviors:
          '{"items": ["tea"]}': {outcome: success, result: {total: 5}}
          'null': {outcome: success, result: nothing}
          '{"items": []}': {outcome: failed, error: {code: 7, message: nothing to price}}
routes:
  "/builtin/{*component}": [{plugin: builtin}]
  "/shop/{*component}": [{plugin: shop}]
"""
ROOT = "11111111-1111-4111-8111-111111111111"
EXECUTION = Execution(task_id=ROOT, root_task_id=ROOT)


@asynccontextmanager
async def opened(folder: Path, text: str = CONFIG, **options: Any) -> AsyncGenerator[Registered]:
    """The executor as a node has it."""
    file = folder / "stepflow-config.yml"
    file.write_text(text, "utf-8")
    async with open_executor(str(file), **options) as executor:
        yield ExecutorRegistry().register("stepflow", executor)


def running(scenario: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        with trio.fail_after(SECONDS):
            await scenario()

    trio.run(within)


def test_a_task_calls_a_component(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as registered:
            for _ in range(2):
                result = await run(registered, {"component": "/shop/price", "input": {"items": ["tea"]}}, EXECUTION)
                assert (result["output"], set(result)) == ({"total": 5}, {"output", "run_id"})
            assert (await run(registered, {"component": "/shop/price"}, EXECUTION))["output"] == "nothing"

    running(scenario)


def test_a_task_runs_a_flow(tmp_path: Path) -> None:
    step = {"id": "s", "component": "/shop/price", "input": {"items": [{"$input": "$.item"}]}}
    flow = {"steps": [step], "output": [{"$step": "s"}, {"$variable": "$.who"}]}

    async def scenario() -> None:
        async with opened(tmp_path) as registered:
            inputs = {"flow": flow, "input": {"item": "tea"}, "variables": {"who": "Ada"}}
            assert (await run(registered, inputs, EXECUTION))["output"] == [{"total": 5}, "Ada"]
            executor = registered.executor
            assert isinstance(executor, StepflowExecutor)
            # A flow that a component has stored is called by its id.
            put = {"component": "/builtin/put_blob", "input": {"data": flow, "blob_type": "flow"}}
            flow_id = (await run(registered, put, EXECUTION))["output"]["blob_id"]
            inputs = {"flow": flow_id, "input": {"item": "tea"}, "variables": {"who": "Bo"}}
            assert (await run(registered, inputs, EXECUTION))["output"] == [{"total": 5}, "Bo"]

    running(scenario)


FAILING: list[tuple[dict[str, Any], str]] = [
    ({"component": "/shop/price", "input": {"items": []}}, "nothing to price (7)"),
    ({"component": "/none/x"}, "No matching rule found for component: /none/x"),
    ({"component": "/shop/none"}, "Component not found: /none"),
    ({"flow": "0" * 64}, "stepflow: Flow not found"),
]


@pytest.mark.parametrize("dialect", ["0.9", "0.11"])
@pytest.mark.parametrize(("inputs", "told"), FAILING)
def test_what_fails_there_fails_the_task(tmp_path: Path, inputs: dict[str, Any], told: str, dialect: Any) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, dialect=dialect) as registered:
            with pytest.raises(ExecutorFailed) as caught:
                await run(registered, inputs, EXECUTION)
            assert told in str(caught.value)

    running(scenario)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"component": "price"},
        {"component": "/x", "flow": {}},
        {"component": 5},
        {"component": "/x", "timeout": 0},
        {"flow": {"steps": [{"id": "a", "component": "/x"}, {"id": "a", "component": "/x"}]}},
        {"flow": {"steps": 5}},
    ],
)
def test_inputs_that_cannot_be_meant_are_refused(tmp_path: Path, inputs: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as registered:
            with pytest.raises((InvalidInputs, ExecutorFailed)):
                await run(registered, inputs, EXECUTION)

    running(scenario)


SILENT = """
import json, sys
news = open(sys.argv[1], "wb", buffering=0)
RESULT = {"server_protocol_version": 1, "takesCancel": True}
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": RESULT}), flush=True)
    elif message["method"] in ("components/execute", "$/cancelRequest"):
        news.write(message["method"][:1].encode())
"""


def test_a_run_ends_with_its_task_and_nothing_is_kept_of_it(tmp_path: Path) -> None:
    """A component that never answers: the deadline of the task, and its cancellation, end its call."""
    (tmp_path / "silent.py").write_text(SILENT, "utf-8")
    os.mkfifo(tmp_path / "news")
    args = json.dumps(["-S", "-P", str(tmp_path / "silent.py"), str(tmp_path / "news")])
    worker = f"{{type: stepflow, transport: stdio, command: {json.dumps(sys.executable)}, args: {args}}}"
    config = f'plugins: {{w: {worker}}}\nroutes: {{"/w/{{*component}}": [{{plugin: w}}]}}'

    async def scenario() -> None:
        # Both ends, so that neither waits for the other one to open it.
        descriptor = os.open(tmp_path / "news", os.O_RDWR)
        try:
            async with opened(tmp_path, config) as registered:

                async def news() -> bytes:
                    return await trio.to_thread.run_sync(os.read, descriptor, 1, abandon_on_cancel=True)

                with pytest.raises(ExecutorFailed, match=r"did not answer within 0\.2 s"):
                    await run(registered, {"component": "/w/wait", "timeout": 0.2}, EXECUTION)
                assert [await news(), await news()] == [b"c", b"$"]
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(run, registered, {"component": "/w/wait"}, EXECUTION)
                    assert await news() == b"c"
                    nursery.cancel_scope.cancel()
                assert await news() == b"$"
                executor = registered.executor
                assert isinstance(executor, StepflowExecutor)
                assert list(await executor.runs.list_runs(RunFilter())) == []
        finally:
            os.close(descriptor)

    running(scenario)


def test_a_node_whose_components_cannot_be_had_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        for text, told in (
            ("plugins: {w: {type: stepflow, command: ./none}}", "stepflow: plugin w:"),
            ("plugins: 5", "plugins"),
        ):
            with pytest.raises(CannotServe, match=told):
                async with opened(tmp_path, text):
                    raise AssertionError("it cannot be used")

    running(scenario)


def test_a_node_has_the_executor_that_its_settings_ask_for(tmp_path: Path) -> None:
    file = tmp_path / "components.yml"
    file.write_text(CONFIG, "utf-8")
    root, part = EXECUTION.task_id, "22222222-2222-4222-8222-222222222222"
    price = {"component": "/shop/price", "input": {"items": ["tea"]}}
    tasks = [
        {"id": root, "name": "all", "schemas": {"method": "aggregate_results"}, "dependencies": [{"id": part}]},
        {"id": part, "name": "price", "parent_id": root, "schemas": {"method": "stepflow_executor"}, "inputs": price},
    ]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": {"tasks": tasks, "use_streaming": True}}
    with serving(tmp_path, f"[stepflow]\nconfig = {json.dumps(str(file))}\n", database="memory:") as node:
        # The answer ends with the flow.
        assert node.send(json.dumps(message).encode()).status == 200
        found = node.result("tasks.get", {"task_id": part})
        assert (found["status"], found["result"]["output"]) == ("completed", {"total": 5})


def test_a_node_whose_configuration_is_missing_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[stepflow]\nconfig = 'none.yml'\n", "utf-8")
    command = [*SERVE, "--config", "node.toml", "--db", "memory:", "--port", "0"]
    done = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, "none.yml" in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
