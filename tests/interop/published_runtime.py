"""The published runtimes of Stepflow with a worker, and what their HTTP APIs tell of flows of one step."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interop_env import announced, runtime_program

ANSWERED_SECONDS = 60


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


def output_in(port: int, component: str, value: Any = None) -> Any:
    result = run_step(port, component, value)
    assert result["outcome"] == "success", result
    return result["result"]


def failure_in(port: int, component: str, value: Any = None) -> tuple[int, str]:
    """The code and the message that the worker answered with."""
    error = run_step(port, component, value)["error"]
    if error["code"] != 500:
        return error["code"], error["message"]
    # 0.9 tells the answer in the last line of its causes.
    code, _, message = error["data"]["stack"][-1]["error"].removeprefix("component server error(").partition("): ")
    return int(code), message


@contextmanager
def serving(
    root: Path, folder: Path, dialect: str, plugin: dict[str, Any], *, directory: Path | None = None
) -> Generator[int]:
    """The published runtime with a worker behind /w/…, its configuration in a folder; its port.

    Programs are started in `directory`, the folder without it.
    """
    config: dict[str, Any] = {
        "plugins": {"builtin": {"type": "builtin"}, "w": {"type": "stepflow", **plugin}},
        "routes": {"/w/{*component}": [{"plugin": "w"}]},
        "workingDirectory": str(directory or folder),
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
