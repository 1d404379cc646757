"""`protogen mock`: a server of a document over HTTP, streams and pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
ECHO = str(ROOT / "schemas" / "echo" / "protocol.json")
PROTOGEN = [sys.executable, "-P", "-m", "protogen"]
ENDED_SECONDS = 60


@pytest.fixture(scope="module")
def client() -> Generator[httpx.Client]:
    """Talks to a mock of echo."""
    command = [*PROTOGEN, "mock", ECHO, "--port", "0", "--announce"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    assert server.stdout is not None
    try:
        url = f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        with httpx.Client(base_url=url, timeout=ENDED_SECONDS) as made:
            yield made
    finally:
        server.terminate()
        server.wait(ENDED_SECONDS)
        server.stdout.close()


def call(client: httpx.Client, method: str, params: Any, **headers: str) -> httpx.Response:
    return client.post("/", json={"jsonrpc": "2.0", "id": 7, "method": method, "params": params}, headers={**headers})


def test_a_call_is_answered_with_a_valid_result(client: httpx.Client) -> None:
    answer = call(client, "add", {"a": 20, "b": 3}).json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 7)
    assert isinstance(answer["result"]["sum"], int | float)


def test_params_are_checked(client: httpx.Client) -> None:
    error = call(client, "add", {"a": "one"}).json()["error"]
    assert error["code"] == -32602
    assert {fault["path"] for fault in error["data"]} == {"", "/a"}
    assert call(client, "subtract", {}).json()["error"]["code"] == -32601


def test_events_are_streamed(client: httpx.Client) -> None:
    answer = call(client, "count", {"to": 3}, accept="application/json, text/event-stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    messages = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data")]
    assert len(messages) > 1
    assert messages[-1]["id"] == 7


def run(*words: str, stdin: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROTOGEN, "mock", *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDED_SECONDS,
        cwd=cwd,
    )


def test_pipes_are_served_until_they_end() -> None:
    lines = [{"jsonrpc": "2.0", "id": at, "method": "add", "params": {"a": at, "b": 0.125}} for at in range(3)]
    found = run(ECHO, "--stdio", "--errors", "1", stdin="".join(f"{json.dumps(line)}\n" for line in lines))
    answers = {answer["id"]: answer for answer in map(json.loads, found.stdout.splitlines())}
    assert answers.keys() == {0, 1, 2}
    assert {answer["error"]["message"] for answer in answers.values()} == {"Sum out of range"}
    assert found.returncode == 0


def test_a_method_without_possible_answers_says_why(tmp_path: Path) -> None:
    document = json.loads(Path(ECHO).read_text("utf-8"))
    document["$defs"]["AddResult"] = {"type": "object", "required": ["sum"], "properties": {"sum": False}}
    (tmp_path / "hard.json").write_text(json.dumps(document))
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "add", "params": {"a": 1, "b": 0.125}})
    found = run("hard.json", "--stdio", stdin=f"{line}\n", cwd=tmp_path)
    assert json.loads(found.stdout)["error"]["code"] == -32603
    assert "add: the handler failed: no value of 'AddResult' is known" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([ECHO, "--role", "judge"], 2, "no method is sent to the role 'judge'; choose one of client, server"),
        ([ECHO, "--stdio", "--port", "3"], 2, "--stdio has no --host, --port or --announce"),
        (["nowhere.json"], 1, "error PG001"),
        ([str(ROOT / "package.json")], 1, "error PG"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(words: list[str], code: int, said: str) -> None:
    found = run(*words)
    assert found.returncode == code, found
    assert said in found.stderr
    assert "Traceback" not in found.stderr
