"""Interop: the published clients of both releases ask our runtime, with its database and its builtin components."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from interop_env import WORKERS, announced, environment

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENDED_SECONDS = 120


def ask(root: Path, folder: Path, dialect: str) -> dict[str, Any]:
    """What the client of a release got."""
    python = environment(root, WORKERS[dialect])
    serve = [sys.executable, "-P", "-m", "protogen", "serve", "stepflow", "--port", "0", "--announce"]
    with announced([*serve, "--dialect", dialect], cwd=folder) as port:
        command = [str(python), "-P", str(HERE / "foreign_client.py"), f"http://127.0.0.1:{port}", dialect]
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS)
    assert found.returncode == 0, found.stderr
    told: dict[str, Any] = json.loads(found.stdout)
    return told


def said(name: str) -> dict[str, Any]:
    return {"outcome": "success", "result": {"messages": [{"role": "user", "content": name}]}}


@pytest.mark.parametrize("dialect", WORKERS)
def test_a_published_client_gets_what_it_knows(root: Path, tmp_path: Path, dialect: str) -> None:
    told = ask(root, tmp_path, dialect)
    assert told["healthy"] is True
    assert told["stored"]["stored"] is True
    flow_id = told["stored"]["flowId"]
    assert (told["flow"]["flowId"], told["run_flow"]["flowId"]) == (flow_id, flow_id)
    assert [it["name"] for it in told["flow"]["allExamples"]] == ["plain"]
    assert (told["one"]["status"], told["two"]["status"]) == ("completed", "failed")
    assert [it["status"] for it in told["items"]] == ["completed", "failed"]
    assert told["steps"]["steps"]["ask"]["status"] == "completed"
    assert {run["runId"] for run in told["listed"]["runs"]} == {told["one"]["runId"], told["two"]["runId"]}
    assert (told["unknown"], told["cancelled"], told["deleted"]) == (404, 409, 404)
    if dialect == "0.9":
        assert told["one"]["result"] == said("Ann")
        assert (told["two"]["itemCount"], told["two"].get("result")) == (2, None)
        assert told["details"]["inputs"] == [{"who": "Ann"}, {"who": 1}]
    else:
        assert told["one"]["results"][0]["result"] == said("Ann")
        assert [it["status"] for it in told["two"]["results"]] == ["completed", "failed"]
        assert told["details"]["runId"] == told["submitted"]["runId"]
        (item,) = told["details"]["itemDetails"]
        assert (item["input"], item["steps"]) == ({"who": "Bob"}, [{"stepId": "ask", "status": "completed"}])
        assert told["variables"]["envVars"] == {}
