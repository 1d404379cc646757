"""Clients of a node that note what it acknowledged, over real HTTP, and what must be true of its tasks in the end."""

from __future__ import annotations

import http.client
import json
import random
import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from serving import Node

INTERRUPTED = "Interrupted by a restart of the node"
ENDED = ("completed", "failed", "cancelled")
GONE = (OSError, http.client.HTTPException)
"""What a client sees of a node that was killed."""


def new_id() -> str:
    return str(uuid.uuid4())


class Promises:
    """What a node acknowledged, by whichever client."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.ended: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.count = 0
        self._changed = threading.Condition()

    def note(self, *task_ids: str, status: str | None = None, name: str | None = None) -> None:
        with self._changed:
            self.count += 1
            self.known.update(task_ids)
            for task_id in task_ids:
                if status is not None:
                    self.ended[task_id] = status
                if name is not None:
                    self.names[task_id] = name
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Wait until so many things were acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, seconds), self.count


def make_flow(chosen: random.Random) -> list[dict[str, Any]]:
    """Some tasks that depend on each other; now and then one fails."""
    ids = [new_id() for _ in range(chosen.randint(1, 12))]
    tasks: list[dict[str, Any]] = [{"id": ids[0], "name": "root", "schemas": {"method": "once"}}]
    for index, task_id in enumerate(ids[1:], 1):
        needs = chosen.sample(ids[1:index], min(index - 1, chosen.randint(0, 2)))
        tasks.append(
            {
                "id": task_id,
                "name": "task",
                "parent_id": ids[0],
                "schemas": {"method": chosen.choice(["once", "once", "again"])},
                "inputs": {"fails": chosen.random() < 0.1, "seconds": chosen.choice([0.0, 0.002, 0.01])},
                "dependencies": [{"id": need, "required": chosen.random() < 0.5} for need in needs],
            }
        )
    return tasks


class Client:
    """Works on a node until it is gone."""

    def __init__(self, port: int, promises: Promises, seed: int) -> None:
        self._port = port
        self._promises = promises
        self._chosen = random.Random(seed)

    def work(self) -> None:
        calls, streams = (http.client.HTTPConnection("localhost", self._port, timeout=60) for _ in range(2))
        try:
            while True:
                self._turn(calls, streams)
        except GONE:
            return
        finally:
            calls.close()
            streams.close()

    def _turn(self, calls: http.client.HTTPConnection, streams: http.client.HTTPConnection) -> None:
        promises, chosen = self._promises, self._chosen
        made = _call(calls, "tasks.create", {"name": "kept"})["result"]["id"]
        promises.note(made)
        name = f"changed {chosen.random()}"
        if "result" in _call(calls, "tasks.update", {"task_id": made, "updates": {"name": name}}):
            promises.note(made, name=name)
        tasks = make_flow(chosen)
        victim = chosen.choice(tasks)["id"] if chosen.random() < 0.3 else None
        streams.request("POST", "/", _body("tasks.execute", {"tasks": tasks, "use_streaming": True}), _JSON)
        with streams.getresponse() as stream:
            assert stream.status == 200
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                data = json.loads(line[6:])
                if "jsonrpc" in data:
                    assert data["result"]["root_task_id"] == tasks[0]["id"]
                    promises.note(*(task["id"] for task in tasks))
                elif data["status"] in ENDED:
                    promises.note(data["task_id"], status=data["status"])
                if victim is not None:
                    if "result" in _call(calls, "tasks.cancel", {"task_id": victim}):
                        promises.note(victim, status="cancelled")
                    victim = None


_JSON = {"Content-Type": "application/json"}


def _body(method: str, params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def _call(connection: http.client.HTTPConnection, method: str, params: object) -> Any:
    connection.request("POST", "/", _body(method, params), _JSON)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200
    return json.loads(body)


def work_and_kill(node: Node, promises: Promises, *, clients: int, acknowledged: int, seed: int) -> None:
    """Let clients work until so much was acknowledged, and kill the node meanwhile."""
    threads = [
        threading.Thread(target=Client(node.port, promises, seed * 100 + number).work) for number in range(clients)
    ]
    before = promises.count
    for thread in threads:
        thread.start()
    try:
        promises.wait_for(before + acknowledged)
    finally:
        node.process.kill()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def all_tasks(node: Node) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    while True:
        page = node.result("tasks.list", {"limit": 1000, "offset": len(found)})
        found.update((task["id"], task) for task in page["tasks"])
        if not page["tasks"]:
            assert len(found) == page["total"]
            return found


def wait_until_ended(node: Node) -> dict[str, dict[str, Any]]:
    """The tasks once nothing more can run: whatever flow is stored goes on, whether it was acknowledged or not."""
    while True:
        tasks = all_tasks(node)
        if not any(can_run(task, tasks) for task in tasks.values()):
            return tasks


def can_run(task: dict[str, Any], tasks: dict[str, dict[str, Any]]) -> bool:
    """Whether a task runs or will; one without an executor was made by tasks.create and belongs to no flow."""
    if task["status"] == "pending":
        return task["schemas"] is not None and not is_blocked(task, tasks)
    return bool(task["status"] == "in_progress")


def is_blocked(task: dict[str, Any], tasks: dict[str, dict[str, Any]]) -> bool:
    """Whether a pending task can never run: something that it needs failed, was cancelled, or is blocked itself."""
    for need in task["dependencies"]:
        other = tasks[need["id"]]
        if other["status"] == "pending":
            if is_blocked(other, tasks):
                return True
        elif need.get("required", True) and other["status"] in ("failed", "cancelled"):
            return True
    return False


def check(tasks: dict[str, dict[str, Any]], promises: Promises, log: Path) -> Counter[str]:
    """Hold the tasks to what was acknowledged; how many are in each status."""
    missing = promises.known - tasks.keys()
    assert not missing, f"acknowledged and lost: {missing}"
    for task_id, status in promises.ended.items():
        assert tasks[task_id]["status"] == status, f"{task_id} was {status}, and is {tasks[task_id]['status']}"
    for task_id, name in promises.names.items():
        assert tasks[task_id]["name"] == name
    executed = Counter(log.read_text().split())
    for task_id, count in executed.items():
        # A flow may be lost whose execution was not acknowledged; but nothing runs that is not stored.
        assert task_id in tasks, f"{task_id} was executed and is not stored"
        task = tasks[task_id]
        assert count == 1 or task["schemas"]["method"] == "again", f"{task_id} was executed {count} times"
    for task_id, task in tasks.items():
        assert (task["status"] == "completed") == (task["result"] is not None)
        if task["status"] == "completed":
            assert task["result"] == {"id": task_id}
            assert executed[task_id] >= 1
        assert task["error"] in (None, "as asked", INTERRUPTED, "Cancelled")
        if task["started_at"] is None:
            assert executed[task_id] == 0, f"{task_id} was executed and never started: {task}"
    return Counter(task["status"] for task in tasks.values())
