"""Interop: the published runtime executes flows with our components, found by URL and started as a program."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from interop_env import RUNTIMES, announced, runtime_program

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
WORKER = ["-P", "-m", "protogen", "worker", "worker_components:app", "--port", "0", "--announce"]
ANSWERED_SECONDS = 60
VALUE = {"b": [1, None, 2**63, 1.5, "é😀\u2028" * 3000], "a": {}}


def ask(port: int, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}", data, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=ANSWERED_SECONDS) as answer:
        return json.load(answer)


def run_step(port: int, component: str, value: Any = None) -> Any:
    """What a flow of one step gives for an input."""
    step = {"id": "s", "component": f"/w{component}", "input": {"$input": "$"}}
    flow = {"name": "one step", "steps": [step], "output": {"$step": "s"}}
    stored = ask(port, "/flows", {"flow": flow})
    # 0.9 always waits, and leaves the results out of what it tells of several items.
    run = ask(port, "/runs", {"flowId": stored["flowId"], "input": [value], "wait": True})
    return run["results"][0]["result"] if "results" in run else run["result"]


def output_of(port: int, component: str, value: Any = None) -> Any:
    result = run_step(port, component, value)
    assert result["outcome"] == "success", result
    return result["result"]


def failure_of(port: int, component: str, value: Any = None) -> tuple[int, str]:
    """The code and the message that the worker answered with."""
    error = run_step(port, component, value)["error"]
    if error["code"] != 500:
        return error["code"], error["message"]
    # 0.9 tells the answer in the last line of its causes.
    code, _, message = error["data"]["stack"][-1]["error"].removeprefix("component server error(").partition("): ")
    return int(code), message


@contextmanager
def runtime(root: Path, folder: Path, dialect: str, plugin: dict[str, Any]) -> Generator[int]:
    """The published runtime with a worker behind /w/…; its port."""
    config: dict[str, Any] = {
        "plugins": {"builtin": {"type": "builtin"}, "w": {"type": "stepflow", **plugin}},
        "routes": {"/w/{*component}": [{"plugin": "w"}]},
        "workingDirectory": str(HERE),
    }
    if dialect == "0.9":
        config["stateStore"] = {"type": "inMemory"}
    else:
        config |= {"storageConfig": {"type": "inMemory"}, "blobApi": {"enabled": True, "blobThreshold": 5000}}
    file = folder / "stepflow-config.json"
    file.write_text(json.dumps(config), "utf-8")
    program = str(runtime_program(root, dialect))
    with announced([program, "--port", "0", "--config", str(file), "--log-level", "error"]) as port:
        yield port


@contextmanager
def worker(root: Path, folder: Path, dialect: str, way: str) -> Generator[int]:
    if way == "program":
        with runtime(root, folder, dialect, {"command": sys.executable, "args": WORKER}) as port:
            yield port
        return
    with (
        announced([sys.executable, *WORKER], cwd=HERE) as ours,
        runtime(root, folder, dialect, {"url": f"http://127.0.0.1:{ours}"}) as port,
    ):
        yield port


FAILURES = {"0.9": (-32006, -32004), "0.11": (-32100, -32100)}
"""The codes of an execution that was too late, and of one that raised."""


@pytest.mark.parametrize("dialect", RUNTIMES)
@pytest.mark.parametrize("way", ["url", "program"])
def test_the_published_runtime_runs_our_components(root: Path, tmp_path: Path, way: str, dialect: str) -> None:
    with worker(root, tmp_path, dialect, way) as port:
        listed = [info["component"] for info in ask(port, "/components")["components"]]
        assert {"/add", "/echo", "/convert/json"} <= set(listed)
        assert output_of(port, "/echo", VALUE) == VALUE
        assert output_of(port, "/add", {"a": 2}) == {"sum": 3}
        assert output_of(port, "/model", {"name": "ab"}) == {"name": "abab"}
        assert output_of(port, "/convert/a/b") == "rest a/b"
        component, attempt, run_id, flow_id, step_id, trace_id = output_of(port, "/ids")
        assert (component, attempt, step_id) == ("/ids", 1, "s")
        assert (len(run_id), len(flow_id), len(trace_id)) == (36, 64, 32)
        # Callbacks, or requests for blobs, from a thread and from 50 tasks at once, with text that chunks may cut; and
        # sub-runs of a flow of our own.
        in_main, name, back = output_of(port, "/thread", VALUE)
        assert (in_main, len(name), back) == (False, 64, VALUE)
        assert len(set(output_of(port, "/blobs", list(range(50))))) == 50
        assert output_of(port, "/evaluate", VALUE) == VALUE
        assert output_of(port, "/sub-runs", [1, "é"]) == [["completed", 1], ["completed", "é"], "completed"]
        assert failure_of(port, "/add", {"a": "x"}) == (
            -32003,
            "/add: its input does not fit: $.a: Expected `int`, got `str`",
        )
        late, raised = FAILURES[dialect]
        code, message = failure_of(port, "/late")
        assert (code, message.startswith("/late did not end")) == (late, True)
        code, message = failure_of(port, "/raise", "object")
        assert (code, "no JSON" in message) == (-32603, True)
        code, message = failure_of(port, "/raise", "group")
        assert (code, message) == ({"0.9": -32005, "0.11": -32102}[dialect], "second")
        assert failure_of(port, "/raise", "value")[0] == raised
        assert failure_of(port, "/none")[0] == -32001
        assert output_of(port, "/echo", 1) == 1
