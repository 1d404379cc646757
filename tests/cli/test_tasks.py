"""`protogen tasks`: flows of a node as they are drawn, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from typing import Any

import pytest

PROTOGEN = [sys.executable, "-P", "-m", "protogen"]
ENDED_SECONDS = 60


def task_id(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012d}"


def protogen(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROTOGEN, *words], capture_output=True, text=True, check=False, timeout=ENDED_SECONDS)


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    """A node with nothing on it."""
    command = [*PROTOGEN, "serve", "apflow", "--port", "0", "--announce", "--db", "memory:"]
    node = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert node.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(node.stdout.readline())['port']}/"
    finally:
        node.terminate()
        node.wait(ENDED_SECONDS)
        node.stdout.close()


def execute(url: str, *tasks: dict[str, Any]) -> None:
    found = protogen("call", url, "tasks.execute", json.dumps({"tasks": tasks}))
    assert found.returncode == 0, found.stderr


def test_a_flow_is_drawn_until_nothing_can_change(url: str) -> None:
    execute(
        url,
        {"id": task_id(0), "name": "report", "schemas": {"method": "echo"}, "dependencies": [{"id": task_id(1)}]},
        {"id": task_id(1), "parent_id": task_id(0), "name": "fetch", "schemas": {"method": "echo"}, "priority": 0},
        {"id": task_id(2), "parent_id": task_id(0), "name": "\x1b[2Jbad", "schemas": {"method": "fail"}},
        {
            "id": task_id(3),
            "parent_id": task_id(2),
            "name": "blocked",
            "schemas": {"method": "echo"},
            "dependencies": [{"id": task_id(2)}],
        },
    )
    found = protogen("tasks", url, task_id(0))
    lines = found.stdout.splitlines()
    assert found.returncode == 1
    assert [line.rstrip() for line in lines[:2]] == ["✔ report  p2 echo", "├── ✔ fetch  p0 echo"]
    assert lines[2].startswith("└── ✘ \N{REPLACEMENT CHARACTER}[2Jbad  p2 fail")
    assert [line.rstrip() for line in lines[3:]] == [
        "    └── · blocked  p2 echo",
        "4 tasks: 1 pending, 2 completed, 1 failed",
    ]


def test_a_flow_that_went_well_exits_with_0(url: str) -> None:
    execute(url, {"id": task_id(10), "name": "alone", "schemas": {"method": "echo"}})
    assert protogen("tasks", url, task_id(10)).returncode == 0
    tree = json.loads(protogen("tasks", url, task_id(10), "--json").stdout)
    assert (tree["task"]["status"], tree["children"]) == ("completed", [])
    assert task_id(10) in protogen("tasks", url).stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["http://127.0.0.1:1/"], 3, "error: no answer from http://127.0.0.1:1/"),
        (["nowhere"], 2, "names no transport"),
    ],
)
def test_what_cannot_be_reached_is_one_clear_error(words: list[str], code: int, said: str) -> None:
    found = protogen("tasks", *words)
    assert found.returncode == code
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_an_unknown_flow_is_an_error(url: str) -> None:
    found = protogen("tasks", url, task_id(99))
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("error: tasks.tree: Task not found (-32001)")
