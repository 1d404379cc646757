"""Workers under runs, over real transports: whatever one does, a run has one failed step and a clear error."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from plugin_rig import RawWorker, Request, stdio_config
from runs_rig import flow, results, running, started, stored, told

from protogen_runtime.io.factory import ChannelFactory
from protogen_runtime.stepflow.plugins.config import parse_config
from protogen_runtime.stepflow.runs import SCHEMA, open_runs
from protogen_runtime.stepflow.runs.contract import RunFilter
from protogen_runtime.stepflow.runs.service import Runs
from protogen_runtime.store import open_store


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What people would not mind to wait for, tests do."""
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.processes.STOP_SECONDS", 0.3)
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.processes.REPORT_SECONDS", 0.3)
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.links.FIRST_PAUSE_SECONDS", 0.01)


@asynccontextmanager
async def opened(config: str, **options: Any) -> AsyncGenerator[Runs]:
    """A runtime with the plugins of a configuration."""
    parsed = parse_config(config, environment={})
    async with open_store("memory:", SCHEMA) as store, open_runs(store, parsed, ChannelFactory(), **options) as runs:
        yield runs


def http_config(url: str, settings: str = "") -> str:
    """A configuration with a worker at a URL behind /w/…, and the builtin components."""
    plugins = f'w: {{type: stepflow, url: "{url}"{settings}}}, b: {{type: builtin}}'
    routes = '"/w/{*component}": [{plugin: w}], "/builtin/{*component}": [{plugin: b}]'
    return f"plugins: {{{plugins}}}\nroutes: {{{routes}}}\n"


TREE = flow(
    ("bad", "/w/bad"),
    ("good", "/w/good"),
    output=[{"$step": "good"}, {"$if": {"$step": "bad"}, "then": "worked", "else": "failed"}],
)
"""The other step of the run is not harmed."""


async def silent(_: Request) -> None:
    await trio.sleep_forever()


async def dropped(request: Request) -> None:
    await request.stream.aclose()


async def rubbish(request: Request) -> None:
    await request.answer(b"<html>rubbish</html>")


async def flood(request: Request) -> None:
    await request.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await request.chunk(b" " * 1_000_000)


async def callbacks(request: Request) -> None:
    await request.begin_stream()
    number = 0
    while True:
        number += 1
        params = {"data": number, "blob_type": "data"}
        await request.event({"jsonrpc": "2.0", "id": number, "method": "blobs/put", "params": params})


HOSTILE: list[tuple[str, Callable[[Request], Awaitable[None]], str]] = [
    ("never answers", silent, "components/execute was not answered within 0.5 s"),
    ("dies", dropped, "disconnected"),
    ("sends rubbish", rubbish, "HTTP status 200 without an answer"),
    ("floods", flood, "more than 16777216 bytes"),
    ("calls back for ever", callbacks, "components/execute was not answered within 0.5 s"),
]


@pytest.mark.parametrize(("hostile", "reason"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_worker_over_http_leaves_one_failed_step(hostile: Callable[[Request], Awaitable[None]], reason: str) -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            if request.message["params"]["component"] == "/bad":
                await hostile(request)
            else:
                await request.result({"output": "good"})

        patience = 500 if "0.5 s" in reason else 15_000
        async with RawWorker(handle).serving() as worker:
            async with opened(http_config(worker.url, f", executeTimeoutMs: {patience}")) as runs:
                await check(runs, reason)
            assert worker.methods().count("components/execute") == 2

    running(scenario)


STDIO: list[tuple[str, str, str]] = [
    ("never answers", "time.sleep(60)", "components/execute was not answered within 0.5 s"),
    ("dies", "os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by signal 9"),
    ("floods", 'sys.stdout.write("rubbish " * 10_000_000)', "a line of more than 16777216 bytes"),
    ("sends rubbish", 'result(message, {"x": 1})', 'the member "output"'),
]


@pytest.mark.parametrize(("does", "reason"), [row[1:] for row in STDIO], ids=[row[0] for row in STDIO])
def test_a_worker_over_stdio_leaves_one_failed_step(tmp_path: Path, does: str, reason: str) -> None:
    source = f"""
        greet()
        while True:
            message = read()
            if message["params"]["component"] == "/bad":
                {does}
            else:
                output(message, "good")
    """

    async def scenario() -> None:
        patience = 500 if "0.5 s" in reason else 15_000
        async with opened(stdio_config(tmp_path, source, f", executeTimeoutMs: {patience}")) as runs:
            tree = TREE if "0.5 s" not in reason else {**TREE, "output": {"$step": "bad"}}
            # A process that ends is started again for two more attempts.
            await check(runs, reason, tree=tree, attempts=3 if "SIGKILL" in does else 1)

    running(scenario)


async def check(runs: Runs, reason: str, tree: Any = TREE, *, attempts: int = 1) -> None:
    """Run the flow: one step fails, once, for the reason; the store has it, and says it in one line."""
    run_id = await started(runs, tree, max_concurrency=1)
    got = await results(runs, run_id)
    steps = {it.step_id: it for it in await runs.steps(run_id)}
    if tree is TREE:
        assert got == [["good", "failed"]]
        assert (steps["good"].status, steps["good"].attempt) == ("completed", 1)
    assert (steps["bad"].status, steps["bad"].attempt) == ("failed", attempts)
    error = steps["bad"].result.error  # type: ignore[union-attr]  # it has failed
    assert (error.code, error.message) == (500, 'step "bad" failed')
    cause = error.data["stack"][-1]["error"]
    assert reason in cause
    assert "\n" not in cause
    failures = [it for it in await told(runs, run_id) if it.kind == "step_failed"]
    assert [it.step_id for it in failures] == ["bad"]


def test_of_two_answers_the_first_counts(tmp_path: Path) -> None:
    source = """
        greet()
        while True:
            message = read()
            output(message, 1)
            output(message, 2)
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source)) as runs:
            run_id = await started(runs, flow(("s", "/w/x"), ("t", "/w/x", {"$step": "s"})), range(5))
            assert await results(runs, run_id) == [1] * 5
            assert [it.kind for it in await told(runs, run_id)].count("step_completed") == 10

    running(scenario)


def test_a_worker_that_is_killed_mid_call_is_asked_again_where_the_dialect_says_so(tmp_path: Path) -> None:
    source = """
        greet()
        while True:
            message = read()
            params = message["params"]
            with open(params["input"], "a") as file:
                file.write(f"{os.getpid()} {params['attempt']}\\n")
            if params["attempt"] < 3:
                time.sleep(60)
            output(message, "done")
    """

    async def scenario() -> None:
        log = tmp_path / "calls"
        config = stdio_config(tmp_path, source) + "retry: {backoff: {type: constant, delayMs: 10}}\n"
        async with opened(config, dialect="0.11") as runs:
            run_id = await started(runs, flow(("s", "/w/x")), [str(log)])
            for attempt in (1, 2):
                while not (log.exists() and len(log.read_text().splitlines()) == attempt):
                    await trio.lowlevel.checkpoint()
                os.kill(int(log.read_text().splitlines()[-1].split()[0]), signal.SIGKILL)
            assert await results(runs, run_id) == ["done"]
            calls = [line.split() for line in log.read_text().splitlines()]
            assert [attempt for _, attempt in calls] == ["1", "2", "3"]
            assert len({pid for pid, _ in calls}) == 3

    running(scenario)


def test_callbacks_of_a_worker_reach_the_runtime() -> None:
    """Blobs and a run within the run, over the stream of the call."""
    calls: list[tuple[str, dict[str, Any]]] = []

    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.begin_stream(instance="i")
            for number, (method, params) in enumerate(calls, 1):
                await request.event({"jsonrpc": "2.0", "id": f"c{number}", "method": method, "params": params})
            await worker.until(lambda: sum(bool(it.body and "result" in it.message) for it in worker.requests) == 3)
            await request.event({"jsonrpc": "2.0", "id": request.message["id"], "result": {"output": "ok"}})
            await request.chunk(b"")

        async with RawWorker(handle).serving() as worker, opened(http_config(worker.url)) as runs:
            inner = flow(("m", "/builtin/create_messages", {"user_prompt": {"$input": "$"}}))
            flow_id = await stored(runs, inner)
            known = await runs.put_blob("known", "data")
            calls[:] = [
                ("blobs/put", {"data": {"a": 1}, "blob_type": "data"}),
                ("blobs/get", {"blob_id": known}),
                ("runs/submit", {"flowId": flow_id, "inputs": ["a", "b"], "wait": True, "maxConcurrency": 2}),
            ]
            outer = await started(runs, flow(("s", "/w/x")))
            assert await results(runs, outer) == ["ok"]
            found = {
                it.message["id"]: it.message["result"] for it in worker.requests if it.body and "result" in it.message
            }
            assert (await runs.get_blob(found["c1"]["blob_id"])).data == {"a": 1}
            assert found["c2"] == {"data": "known", "blob_type": "data"}
            assert [it["result"]["outcome"] for it in found["c3"]["results"]] == ["success", "success"]
            (within,) = await runs.list_runs(RunFilter(parent_run_id=outer))
            assert within.run_id == found["c3"]["runId"]

    running(scenario)


@pytest.mark.parametrize("dialect", ["0.9", "0.11"])
def test_builtin_components_run_flows(dialect: Any) -> None:
    async def scenario() -> None:
        config = 'plugins: {b: {type: builtin}}\nroutes: {"/builtin/{*component}": [{plugin: b}]}\n'
        inner = {"steps": [], "output": {"result": {"$input": "$"}}}
        tree = {
            "steps": [
                {
                    "id": "put",
                    "component": "/builtin/put_blob",
                    "input": {"data": {"$literal": inner}, "blob_type": "flow"},
                },
                {
                    "id": "eval",
                    "component": "/builtin/eval",
                    "input": {"flow_id": {"$step": "put", "path": "blob_id"}, "input": 1},
                },
                {"id": "map", "component": "/builtin/map", "input": {"workflow": {"$literal": inner}, "items": [1, 2]}},
                {
                    "id": "iterate",
                    "component": "/builtin/iterate",
                    "input": {"flow": {"$literal": inner}, "initial_input": 3},
                },
                {
                    "id": "get",
                    "component": "/builtin/get_blob",
                    "input": {"blob_id": {"$step": "put", "path": "blob_id"}},
                },
            ],
            "output": [
                {"$step": "eval", "path": "result"},
                {"$step": "map", "path": "successful"},
                {"$step": "iterate", "path": "result"},
                {"$step": "get", "path": "data"},
            ],
        }
        async with opened(config, dialect=dialect) as runs:
            run_id = await started(runs, tree)
            good = {"outcome": "success", "result": {"result": 1}}
            assert await results(runs, run_id) == [[good, 2, 3, inner]]
            assert len(await runs.list_runs(RunFilter(parent_run_id=run_id))) == 3
            assert (await runs.components())[0].component == "/create_messages"
            plain = await runs.components(include_schemas=False)
            assert {it.input_schema for it in plain} == {None}

    running(scenario)
