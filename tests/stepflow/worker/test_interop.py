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
from interop_env import announced, runtime_program

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
    return ask(port, "/runs", {"flowId": stored["flowId"], "input": [value]})["result"]


def output_of(port: int, component: str, value: Any = None) -> Any:
    result = run_step(port, component, value)
    assert result["outcome"] == "success", result
    return result["result"]


@contextmanager
def runtime(root: Path, folder: Path, plugin: dict[str, Any]) -> Generator[int]:
    """The published runtime with a worker behind /w/…; its port."""
    config = {
        "plugins": {"builtin": {"type": "builtin"}, "w": {"type": "stepflow", **plugin}},
        "routes": {"/w/{*component}": [{"plugin": "w"}]},
        "stateStore": {"type": "inMemory"},
        "workingDirectory": str(HERE),
    }
    file = folder / "stepflow-config.json"
    file.write_text(json.dumps(config), "utf-8")
    with announced(
        [str(runtime_program(root, "0.9")), "--port", "0", "--config", str(file), "--log-level", "error"]
    ) as port:
        yield port


@contextmanager
def worker(root: Path, folder: Path, way: str) -> Generator[int]:
    if way == "program":
        with runtime(root, folder, {"command": sys.executable, "args": WORKER}) as port:
            yield port
        return
    with (
        announced([sys.executable, *WORKER], cwd=HERE) as ours,
        runtime(root, folder, {"url": f"http://127.0.0.1:{ours}"}) as port,
    ):
        yield port


@pytest.mark.parametrize("way", ["url", "program"])
def test_the_published_runtime_runs_our_components(root: Path, tmp_path: Path, way: str) -> None:
    with worker(root, tmp_path, way) as port:
        listed = [info["component"] for info in ask(port, "/components")["components"]]
        assert {"/add", "/echo", "/convert/json"} <= set(listed)
        assert output_of(port, "/echo", VALUE) == VALUE
        assert output_of(port, "/add", {"a": 2}) == {"sum": 3}
        assert output_of(port, "/model", {"name": "ab"}) == {"name": "abab"}
        assert output_of(port, "/convert/a/b") == "rest a/b"
        component, attempt, run_id, flow_id, step_id, trace_id = output_of(port, "/ids")
        assert (component, attempt, step_id) == ("/ids", 1, "s")
        assert (len(run_id), len(flow_id), len(trace_id)) == (36, 64, 32)
        # Callbacks from a thread and from 50 tasks at once, with text that chunks may cut; a flow of our own.
        in_main, name, back = output_of(port, "/thread", VALUE)
        assert (in_main, len(name), back) == (False, 64, VALUE)
        assert len(set(output_of(port, "/blobs", list(range(50))))) == 50
        assert output_of(port, "/evaluate", VALUE) == VALUE
        failed = run_step(port, "/add", {"a": "x"})["error"]
        assert failed["data"]["stack"][-1]["error"] == (
            "component server error(-32003): /add: its input does not fit: $.a: Expected `int`, got `str`"
        )
        late = run_step(port, "/late")["error"]
        assert late["data"]["stack"][-1]["error"].startswith("component server error(-32006): /late did not end")
        assert output_of(port, "/echo", 1) == 1
