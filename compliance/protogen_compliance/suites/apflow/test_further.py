"""Profiles that need something of the node: a restart, two identities, a scheduler."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Lacking, Settings
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.apflow.node import Node
from protogen_compliance.suites.apflow.observed import nodes_of
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.test_envelope import request

HIDDEN = (-32001, -32004, -32010)
RESTART_SECONDS = 30.0


@profile("durability")
@pytest.mark.last(2)  # whatever runs is gone after a restart
@clause("AF-STORE-014")
def test_tasks_survive_a_restart(node: Node, settings: Settings, diamond: Seen) -> None:
    command = settings.restart
    if not command:
        raise Lacking("a command that restarts the node is needed: --restart COMMAND")
    made = node.create(inputs={"kept": [1, "ü"]}, params={"p": None})
    kept = [node.get(task_id) for task_id in (made, diamond.sent["root"]["id"])]
    done = subprocess.run(shlex.split(command), timeout=RESTART_SECONDS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command!r} failed: {done.stderr or done.stdout}"
    end = time.monotonic() + RESTART_SECONDS
    probe = json.dumps(request()).encode()
    while node.peer.send(probe).result is MISSING and time.monotonic() < end:
        threading.Event().wait(0.1)
    for task in kept:
        found = node.call("tasks.get", {"task_id": task["id"]})
        assert found.result == task, f"after a restart a task is {found.summary()}"


@profile("scheduling")
@clause("AF-TIME-004")
@needs("AF-DATA-001")
def test_schedule_stops_at_max_runs(node: Node, scheduled_twice: Seen) -> None:
    shown = scheduled_twice.end["scheduled"]
    assert shown.get("run_count") == 2, f"max_runs is 2 and run_count {shown.get('run_count')!r}"
    assert shown.get("next_run_at") is None, f"after its last run next_run_at is {shown.get('next_run_at')!r}"


@profile("auth")
@clause("AF-AUTH-001")
def test_token_is_taken(node: Node) -> None:
    node.get(node.create())


@profile("auth")
@clause("AF-AUTH-002")
@needs("AF-ERR-012")
def test_users_do_not_see_each_other(node: Node, stranger: Node) -> None:
    root = node.create(name="a secret")
    child = node.create(parent_id=root)
    attempts: dict[str, Json] = {
        "tasks.get": {"task_id": root},
        "tasks.update": {"task_id": root, "updates": {"name": "taken"}},
        "tasks.delete": {"task_id": child},
        "tasks.cancel": {"task_id": root},
        "tasks.tree": {"task_id": root},
        "tasks.children": {"parent_id": root},
        "tasks.copy": {"task_id": root},
    }
    for method, params in attempts.items():
        if method in ("tasks.get", "tasks.tree", "tasks.children"):
            node.ask(method, params)
        reply = stranger.call(method, params)
        assert reply.code in HIDDEN, f"{method} of another user's task gave {reply.summary()}"
        assert "a secret" not in reply.exchange.body.decode(), f"{method} shows another user's task"
    task = node.get(root)
    assert (task["name"], task["status"]) == ("a secret", "pending"), "another user changed a task"
    listed = stranger.call("tasks.list", {"limit": 1000})
    ids = [it.get("id") for it in (listed.result or {}).get("tasks", ())] if listed.result is not MISSING else []
    assert not {root, child} & set(ids), "tasks.list shows another user's tasks"
    for attempt in ({"parent_id": root}, {"dependencies": [{"id": root}]}):
        reply = stranger.call("tasks.create", {"name": "intruder", **attempt})
        assert reply.error is not None, f"a task of another user's could be named as {next(iter(attempt))}"
    tree = node.ask("tasks.tree", {"task_id": root})
    assert len(nodes_of(tree)) == 2, "another user added to a tree"


@profile("auth")
@clause("AF-AUTH-002")
@needs("AF-ERR-012")
def test_no_task_is_created_in_another_name(node: Node, stranger: Node) -> None:
    owner = node.get(node.create()).get("user_id")
    reply = stranger.call("tasks.create", {"name": "forged", "user_id": owner})
    if reply.error is None:
        found = stranger.call("tasks.get", {"task_id": reply.result["id"]}).result
        assert found is MISSING or found.get("user_id") != owner, "a task was created in another user's name"
