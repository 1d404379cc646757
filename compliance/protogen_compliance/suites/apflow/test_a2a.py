"""A2A beside tasks.*: the agent card, and the mapping of tasks, in the form of either generation (06-interfaces.md)."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from protogen_compliance.peer.rpc import MISSING, Json, Reply
from protogen_compliance.plugin import Record
from protogen_compliance.registry import clause, needs
from protogen_compliance.suites.apflow.node import CARD_PATHS, ERRORS, RESULTS, Node, Task, new_id

NO_SUCH_METHOD = -32601
STATES = {
    "completed": ("completed", "TASK_STATE_COMPLETED"),
    "failed": ("failed", "TASK_STATE_FAILED"),
}


class Answer(NamedTuple):
    """What sending a message gave: the A2A task, whichever generation wrapped it."""

    reply: Reply
    task: dict[str, Json]


def send(node: Node, task: Task) -> Answer:
    """Sends a message with a task to execute; skips the test where A2A is not offered at all."""
    data = {"tasks": [task]}
    common = {"messageId": new_id(), "metadata": {"user_id": node.user}}
    old = {**common, "kind": "message", "role": "user", "parts": [{"kind": "data", "data": data}]}
    settings = {"blocking": True}
    path = node.a2a_path()
    params = {"message": old, "configuration": settings, "metadata": {"user_id": node.user}}
    reply = node.call("message/send", params, path=path)
    if reply.code == NO_SUCH_METHOD:
        new = {**common, "role": "ROLE_USER", "parts": [{"data": data}]}
        params = {"message": new, "metadata": {"user_id": node.user}}
        request = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        reply = node.send(request, path=path, headers={"a2a-version": "1.0"})
    if reply.code == NO_SUCH_METHOD:
        pytest.skip("A2A is not offered: neither message/send nor SendMessage is a method here")
    assert isinstance(reply.result, dict), f"sending a message with tasks gave {reply.summary()}"
    found = reply.result.get("task", reply.result)
    assert isinstance(found, dict), f"sending a message with tasks gave {reply.summary()}"
    return Answer(reply, found)


@clause("AF-A2A-001")
@needs("AF-A2A-002")
def test_a2a_is_offered(node: Node) -> None:
    assert node.offers_a2a(), "neither message/send nor SendMessage is a method here"


@clause("AF-A2A-002")
def test_agent_card_is_served(node: Node, record: Record) -> None:
    cards = {path: node.peer.send(b"", path=path, method="GET") for path in CARD_PATHS}
    there = {path: it for path, it in cards.items() if it.fault is None and it.head.status == 200}
    assert there, f"no agent card at {', '.join(CARD_PATHS)}"
    if CARD_PATHS[0] not in there:
        record.warn(f"the agent card is not at {CARD_PATHS[0]} (reading A39)")
    card = next(iter(there.values())).value
    assert isinstance(card, dict), "the agent card is no JSON object"
    missing = [name for name in ("name", "description", "version", "capabilities", "skills") if name not in card]
    missing += [] if "url" in card or "supportedInterfaces" in card else ["url"]
    assert not missing, f"the agent card lacks {', '.join(missing)}"
    skills = card["skills"]
    assert isinstance(skills, list), f"skills of the agent card are {skills!r}"
    assert skills, "the agent card has no skills"
    odd = [it for it in skills if not isinstance(it, dict) or not {"id", "name", "description", "tags"} <= it.keys()]
    assert not odd, f"a skill lacks one of id, name, description and tags: {odd[0]!r}"


@clause("AF-A2A-003")
@needs("AF-EXEC-007")
@needs(*RESULTS, *ERRORS)
def test_task_is_mapped(node: Node) -> None:
    task = node.task("by A2A", node.ok(mark="carried by A2A"))
    done = send(node, task).task
    context = done.get("contextId", done.get("context_id", MISSING))
    assert context == task["id"], f"the context's id is {context!r}; expected the id of the task, {task['id']!r}"
    assert done.get("id", MISSING) not in (MISSING, task["id"]), (
        f"id is {done.get('id', MISSING)!r}; expected a fresh one"
    )
    assert _state(done) in STATES["completed"], f"the state of a completed task is {_state(done)!r}"
    artifacts = done.get("artifacts") or []
    assert artifacts, "a completed task with a result has no artifacts"
    if node.uses_echo:
        assert "carried by A2A" in json.dumps(artifacts), f"the result is not in the artifacts: {artifacts!r}"
    user = (done.get("metadata") or {}).get("user_id", MISSING)
    assert user == node.user, f"metadata.user_id is {user!r}; expected {node.user!r}"
    failed = send(node, node.task("fails by A2A", node.fails("the planned failure by A2A"))).task
    assert _state(failed) in STATES["failed"], f"the state of a failed task is {_state(failed)!r}"
    message = json.dumps((failed.get("status") or {}).get("message"))
    shown = node.listed(status="failed")
    error = next((str(it.get("error")) for it in shown if it.get("name") == "fails by A2A"), "the planned failure")
    assert json.dumps(error)[1:-1] in message, f"status.message of a failed task is {message}; its error is {error!r}"


def _state(task: dict[str, Json]) -> Json:
    """The state of an A2A task."""
    status = task.get("status")
    return status.get("state", MISSING) if isinstance(status, dict) else MISSING


@clause("AF-A2A-004")
def test_protocol_is_named(node: Node) -> None:
    done = send(node, node.task("by A2A", node.ok())).task
    named = (done.get("metadata") or {}).get("protocol", MISSING)
    assert named == "a2a", f"metadata.protocol is {named!r}; expected 'a2a'"
    message = (done.get("status") or {}).get("message") or {}
    data = [part.get("data") for part in message.get("parts") or () if isinstance(part.get("data"), dict)]
    odd = [it for it in data if it.get("protocol") != "a2a"]
    assert not odd, f"the data of status.message has no protocol 'a2a': {odd[0]!r}"
