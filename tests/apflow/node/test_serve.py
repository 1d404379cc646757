"""`protogen serve apflow` as a process: a flow over HTTP, its stream, a restart, and what cannot begin."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SERVE = [sys.executable, "-P", "-m", "protogen", "serve", "apflow"]
ROOT, PART = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ENDED_SECONDS = 60


@contextmanager
def node(folder: Path, *options: str) -> Generator[str]:
    """A node on the database of a folder; it has ended when the block is left."""
    command = [*SERVE, "--port", "0", "--announce", "--db", f"sqlite:///{folder / 'apflow.db'}", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/"
        process.terminate()
        assert process.wait(ENDED_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def post(url: str, method: str, params: object, **beside: object) -> tuple[str, str]:
    """The media type and the text of an answer."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **beside}
    request = urllib.request.Request(url, json.dumps(message).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ENDED_SECONDS) as answer:
        return answer.headers["content-type"], answer.read().decode()


def call(url: str, method: str, params: object, **beside: object) -> Any:
    media_type, text = post(url, method, params, **beside)
    assert media_type == "application/json"
    return json.loads(text)


def flow(*, stream: bool = False) -> dict[str, object]:
    """A root that waits for its part."""
    return {
        "tasks": [
            {"id": ROOT, "name": "root", "schemas": {"method": "echo"}, "dependencies": [{"id": PART}]},
            {"id": PART, "name": "part", "parent_id": ROOT, "schemas": {"method": "echo"}, "inputs": {"n": 1}},
        ],
        **({"use_streaming": True} if stream else {}),
    }


def events_of(text: str) -> list[tuple[str, Any]]:
    """Name and data of each event of a stream."""
    found: list[tuple[str, Any]] = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines.get("event", "message"), json.loads(lines["data"])))
    return found


@pytest.mark.parametrize("asked", [{}, {"metadata": {"stream": True}}])
def test_a_stream_begins_with_the_answer_and_ends_with_the_root(tmp_path: Path, asked: dict[str, object]) -> None:
    with node(tmp_path) as url:
        media_type, text = post(f"{url}tasks", "tasks.execute", flow(stream=not asked), **asked)
        assert media_type == "text/event-stream"
        first, *others = events_of(text)
        assert first == ("message", {"jsonrpc": "2.0", "id": 1, "result": {"root_task_id": ROOT, "status": "started"}})
        assert [(name, data["task_id"], data["status"]) for name, data in others] == [
            ("task_status_update", PART, "in_progress"),
            ("task_completed", PART, "completed"),
            ("task_status_update", ROOT, "in_progress"),
            ("task_completed", ROOT, "completed"),
        ]
        assert all(data["protocol"] == "a2a" and data["root_task_id"] == ROOT for _, data in others)


def test_what_a_node_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    with node(tmp_path) as url:
        created = call(url, "tasks.create", {"name": "kept", "inputs": {"big": 2**70}, "x-unknown": [1]})["result"]
        assert created["status"] == "pending"
    with node(tmp_path) as url:
        task = call(url, "tasks.get", {"task_id": created["id"]})["result"]
        assert (task["name"], task["inputs"], task["x-unknown"]) == ("kept", {"big": 2**70}, [1])


def test_refused_params_name_every_field(tmp_path: Path) -> None:
    with node(tmp_path) as url:
        error = call(url, "tasks.create", {"name": "", "priority": 7})["error"]
        assert (error["code"], [fault["field"] for fault in error["data"]["errors"]]) == (-32602, ["name", "priority"])
        error = call(url, "tasks.execute", flow(), configuration={"push_notification_config": {}})["error"]
        assert (error["code"], error["data"]["field"]) == (-32602, "configuration")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--db", "nowhere"], "is no address of a store; write sqlite:///nowhere or memory:"),
        (["--workers", "2"], "a node is one process for its database"),
        (["--config", "none.toml"], "give --config an existing file"),
        (["--stdio"], "apflow is served over HTTP"),
        (["--port", "0", "--db", "sqlite:////does/not/exist.db"], "/does/not"),
    ],
)
def test_a_node_that_cannot_begin_says_why(options: Sequence[str], said: str, tmp_path: Path) -> None:
    command = [*SERVE, *options]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS)
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
