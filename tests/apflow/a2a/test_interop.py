"""Interop: the clients of a2a-sdk, of both generations, drive every operation of a node.

Each client has an environment of its own, made once from its lock: the two are versions of one distribution.
"""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from agent_rig import process
from interop_env import environment

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
DRIVEN_SECONDS = 60
CODES = {"TaskNotFoundError": -32001, "TaskNotCancelableError": -32002, "UnsupportedOperationError": -32004}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes pushes."""

    pushes: ClassVar[list[tuple[dict[str, str], Any]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.pushes.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Generator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """A receiver: its URL, and what it was sent."""
    pushes: list[tuple[dict[str, str], Any]] = []
    kind = type("Kept", (Receiver,), {"pushes": pushes})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", pushes
        finally:
            server.shutdown()
            thread.join()


def drive(root: Path, folder: Path, version: str) -> tuple[dict[str, Any], list[tuple[dict[str, str], Any]]]:
    """What a client saw, and what was pushed."""
    python = environment(root, f"interop-a2a-{version}")
    with receiving() as (receiver, pushes), process(folder) as url:
        done = subprocess.run(
            [python, HERE / f"drive_{version}.py", url, receiver],
            capture_output=True,
            text=True,
            timeout=DRIVEN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), pushes


def test_the_client_of_1_0_does_everything(root: Path, tmp_path: Path) -> None:
    seen, pushes = drive(root, tmp_path, "v1")
    assert seen["card"]["supportedInterfaces"][0]["protocolVersion"] == "1.0"
    (sent,) = seen["send"]
    assert sent["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert sent["task"]["artifacts"][0]["parts"][0]["data"] == {"text": "hello"}
    assert [next(iter(item)) for item in seen["stream"]] == ["task", "statusUpdate", "artifactUpdate", "statusUpdate"]
    assert seen["stream"][-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert seen["get"] == {name: value for name, value in sent["task"].items() if name != "history"}
    assert [len(page["tasks"]) for page in seen["list"]] == [1, 1]
    assert [page["totalSize"] for page in seen["list"]] == [2, 2]
    assert seen["immediately"][0]["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"
    assert seen["push_get"] == seen["push_set"]
    assert seen["push_list"] == {"configs": [seen["push_set"]]}
    assert seen["push_deleted"] == {}
    assert "task" in seen["subscribe_first"]
    assert seen["cancel"]["status"]["state"] == "TASK_STATE_CANCELED"
    assert seen["subscribe_rest"][-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"
    (asked,) = seen["asked"]
    assert asked["task"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert asked["task"]["status"]["message"]["parts"][0]["text"] == "What is your name?"
    artifacts = [item["artifactUpdate"]["artifact"] for item in seen["answered"] if "artifactUpdate" in item]
    assert artifacts[0]["parts"][0]["data"] == {"greeting": "Hello, Ada!"}
    refused = ("unknown", "cancel_again", "subscribe_ended", "too_late")
    assert [CODES[seen[step]] for step in refused] == [-32001, -32002, -32004, -32004]
    assert seen["extended_card"] == -32004
    headers, body = pushes[-1]
    assert (headers["content-type"], headers["authorization"]) == ("application/a2a+json", "Bearer c-1")
    assert headers["x-a2a-notification-token"] == "t-1"
    assert body["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"


def test_the_client_of_0_3_does_everything(root: Path, tmp_path: Path) -> None:
    seen, pushes = drive(root, tmp_path, "v03")
    assert seen["card"]["protocolVersion"] == "0.3.0"
    ((sent, _),) = seen["send"]
    assert sent["status"]["state"] == "completed"
    assert sent["artifacts"][0]["parts"][0]["data"] == {"text": "hello"}
    updates = [update for _, update in seen["stream"][1:]]
    assert [update["kind"] for update in updates] == ["status-update", "artifact-update", "status-update"]
    assert (updates[-1]["status"]["state"], updates[-1]["final"]) == ("completed", True)
    assert seen["get"] == {name: value for name, value in sent.items() if name != "history"}
    assert seen["immediately"][0][0]["status"]["state"] == "submitted"
    assert seen["push_get"] == seen["push_set"]
    assert seen["push_list"]["result"] == [seen["push_set"]]
    assert seen["subscribe_first"][0]["kind"] == "task"
    assert seen["cancel"]["status"]["state"] == "canceled"
    assert seen["subscribe_rest"][-1][0]["status"]["state"] == "canceled"
    assert seen["asked"][-1][0]["status"]["state"] == "input-required"
    assert seen["answered"][-1][0]["artifacts"][0]["parts"][0]["data"] == {"greeting": "Hello, Ada!"}
    refused = ("unknown", "cancel_again", "push_deleted", "too_late", "subscribe_ended", "stream_too_late")
    assert [seen[step][1] for step in refused] == [-32001, -32002, -32001, -32004, -32004, -32004]
    assert seen["extended_card"] == -32007
    headers, body = pushes[-1]
    assert (headers["content-type"], headers["authorization"]) == ("application/json", "Bearer c-1")
    assert headers["x-a2a-notification-token"] == "t-1"
    assert (body["kind"], body["status"]["state"]) == ("task", "canceled")
