"""`protogen serve stepflow` and `protogen runs`: a runtime as operators start it, and its runs as they are drawn."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

PROTOGEN = [sys.executable, "-P", "-m", "protogen"]
ENDED_SECONDS = 60
CONFIG = """\
plugins: {builtin: {type: builtin}}
routes: {"/builtin/{*component}": [{plugin: builtin}]}
stateStore: {type: sqlite, databaseUrl: "sqlite:kept.db?mode=rwc", autoMigrate: true}
"""
INNER = {
    "name": "inner\u001b[2J",
    "steps": [{"id": "ask", "component": "/builtin/create_messages", "input": {"user_prompt": {"$input": "$"}}}],
    "output": {"$step": "ask"},
}
OUTER = {
    "name": "outer",
    "steps": [
        {
            "id": "all",
            "component": "/builtin/map",
            "input": {"workflow": {"$literal": INNER}, "items": {"$input": "$"}},
        },
        {"id": "later", "component": "/builtin/create_messages", "input": {"user_prompt": 1}, "mustExecute": True},
    ],
    "output": {"$step": "all", "path": "successful"},
}


def protogen(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROTOGEN, *words], capture_output=True, text=True, check=False, timeout=ENDED_SECONDS, cwd=cwd
    )


def serve(folder: Path, *words: str) -> tuple[subprocess.Popen[bytes], str]:
    """A runtime in a folder, and its URL."""
    command = [*PROTOGEN, "serve", "stepflow", "--port", "0", "--announce", *words]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)
    assert node.stdout is not None
    return node, f"http://127.0.0.1:{json.loads(node.stdout.readline())['port']}"


def end(node: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    node.send_signal(how)
    code = node.wait(ENDED_SECONDS)
    assert node.stdout is not None
    node.stdout.close()
    return code


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A runtime whose configuration says where runs are kept."""
    folder = tmp_path_factory.mktemp("runtime")
    (folder / "stepflow-config.yml").write_text(CONFIG)
    node, url = serve(folder)
    try:
        yield url
    finally:
        assert end(node) == 0
    assert (folder / "kept.db").exists()


def post(url: str, path: str, body: Any) -> Any:
    answer = httpx.post(f"{url}/api/v1{path}", json=body, timeout=ENDED_SECONDS)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def run_outer(url: str, *inputs: Any) -> str:
    flow_id = post(url, "/flows", {"flow": OUTER})["flowId"]
    return str(post(url, "/runs", {"flowId": flow_id, "input": list(inputs)})["runId"])


def test_a_run_is_drawn_with_its_steps_and_the_runs_it_started(url: str) -> None:
    run_id = run_outer(url, ["a", "b"])
    found = protogen("runs", url, "--run", run_id)
    lines = [line.rstrip() for line in found.stdout.splitlines()]
    assert (found.returncode, found.stderr) == (0, "")
    assert lines[0] == f"✔ outer  run {run_id}"
    assert lines[1] == "├── ✔ all  /builtin/map"
    assert lines[2].startswith('├── ✘ later  /builtin/create_messages  step "later" failed')
    assert lines[3].startswith("└── ✔ inner\N{REPLACEMENT CHARACTER}[2J  run ")
    assert [line.strip() for line in lines[-7:-1] if "item" in line][-2:] == ["├── ✔ item 0", "└── ✔ item 1"]
    assert lines[-1] == "completed; 2 steps: 1 completed, 1 failed"
    listed = protogen("runs", f"{url}/", "--limit", "5")
    assert any(run_id in line and line.startswith("✔") for line in listed.stdout.splitlines())
    tree = json.loads(protogen("runs", url, "--run", run_id, "--json").stdout)
    assert (tree["runId"], len(tree["children"]), len(tree["itemResults"])) == (run_id, 1, 1)


def test_a_step_that_needs_a_failed_one_is_drawn_as_not_run(url: str) -> None:
    bad = {"id": "bad", "component": "/builtin/create_messages", "input": {"user_prompt": 1}}
    after = {"id": "after", "component": "/builtin/create_messages", "input": {"user_prompt": {"$step": "bad"}}}
    flow_id = post(url, "/flows", {"flow": {"steps": [bad, after], "output": {"$step": "after"}}})["flowId"]
    run_id = post(url, "/runs", {"flowId": flow_id, "input": [1]})["runId"]
    lines = protogen("runs", url, "--run", run_id).stdout.splitlines()
    assert lines[1].startswith("├── ✘ bad  /builtin/create_messages")
    assert lines[2].startswith("└── - after  /builtin/create_messages")
    assert lines[-1].rstrip() == "failed; 2 steps: 1 failed, 1 not run"


def test_a_run_that_failed_exits_with_1(url: str) -> None:
    run_id = run_outer(url, "no list")
    found = protogen("runs", url, "--run", run_id)
    assert (found.returncode, found.stdout.startswith("✘ outer")) == (1, True)
    failed = json.loads(protogen("runs", url, "--status", "failed", "--json").stdout)
    assert run_id in [run["runId"] for run in failed]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["http://127.0.0.1:1"], 3, "error: no answer from http://127.0.0.1:1: "),
        (["nowhere"], 2, "'nowhere' is no URL of a runtime"),
    ],
)
def test_what_cannot_be_reached_is_one_clear_error(words: list[str], code: int, said: str) -> None:
    found = protogen("runs", *words)
    assert found.returncode == code
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_an_unknown_run_is_an_error(url: str) -> None:
    found = protogen("runs", url, "--run", "00000000-0000-4000-8000-000000000000")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "error: Run not found: 00000000-0000-4000-8000-000000000000 (404)\n"


def test_runs_are_there_after_a_kill(tmp_path: Path) -> None:
    node, url = serve(tmp_path, "--db", "sqlite:///mine.db", "--dialect", "0.11")
    run_id = run_outer(url, ["a"])
    assert end(node, signal.SIGKILL) == -signal.SIGKILL
    node, url = serve(tmp_path, "--db", "sqlite:///mine.db", "--dialect", "0.11")
    try:
        answer = httpx.get(f"{url}/api/v1/runs/{run_id}?wait=true", timeout=ENDED_SECONDS).json()
        assert (answer["status"], answer["createdAtSeqno"]) == ("completed", 1)
    finally:
        assert end(node) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dialect", "3"], "Error: stepflow has no dialect '3'; choose one of 0.9, 0.11."),
        (["--workers", "2"], "error: workers: a runtime is one process for its database, got 2; leave it out"),
        (["--config", "nope.yml"], "error: nope.yml: the file cannot be read: No such file or directory"),
        (["--config", "bad.yml"], "error: bad.yml:1:31: $.plugins.p.url: expected http"),
        (["--db", "nope"], "error: 'nope' is no address of a store; write sqlite:///nope or memory:"),
        (["--config", "down.yml"], "error: plugin p: "),
        (["--config", "serve.toml"], "error: serve.toml: Object contains unknown field `limit`"),
        (["--config", "runs.toml"], "error: runs.toml: Object contains unknown field `activ_runs` - at `$.runs`"),
        (["--config", "zero.toml"], "error: runs.steps: expected a number above 0, got 0"),
    ],
)
def test_a_runtime_that_cannot_start_says_why(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "bad.yml").write_text('plugins: {p: {type: stepflow, url: "nowhere"}}\n')
    (tmp_path / "down.yml").write_text('plugins: {p: {type: stepflow, url: "http://127.0.0.1:1"}}\n')
    (tmp_path / "serve.toml").write_text("limit = 1\n")
    (tmp_path / "runs.toml").write_text("[runs]\nactiv_runs = 1\n")
    (tmp_path / "zero.toml").write_text("[runs]\nsteps = 0\n")
    found = protogen("serve", "stepflow", "--port", "0", *words, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr
