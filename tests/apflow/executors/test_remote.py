"""The executor `remote`: tasks given to another node, here one that says what the test wants."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from executor_rig import Seen, answer, execution, perform, web

from protogen_runtime.apflow.executors import ExecutorFailed, InvalidInputs

HERE = {"allow_private_addresses": True}
ROOT, CHILD = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def task(task_id: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "name": "root" if task_id == ROOT else "child", "status": status, **more}


class Node:
    """Answers tasks.get with one root after the other, the last one for good, and notes what was called."""

    def __init__(self, *roots: dict[str, Any], child: dict[str, Any] | None = None) -> None:
        self.roots = list(roots)
        self.child = child
        self.calls: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.waiting = trio.Event()

    def __call__(self, seen: Seen) -> Any:
        request = json.loads(seen.body)
        self.calls.append((request["method"], request.get("params")))
        self.headers.append(seen.headers)
        match request["method"]:
            case "tasks.execute":
                result: Any = {"root_task_id": ROOT, "status": "started"}
            case "tasks.get":
                result = self.roots.pop(0) if len(self.roots) > 1 else self.roots[0]
                self.waiting.set()
            case "tasks.tree":
                children = [] if self.child is None else [{"task": self.child, "children": []}]
                result = {"task": self.roots[0], "children": children}
            case "tasks.cancel":
                result = {"task_id": request["params"]["task_id"], "status": "cancelled"}
            case "tasks.list":
                result = {"tasks": [], "total": 0, "limit": 1, "offset": 0}
            case _:
                error = {"code": -32601, "message": "Method not found"}
                return answer({"jsonrpc": "2.0", "id": request["id"], "error": error})
        return answer({"jsonrpc": "2.0", "id": request["id"], "result": result})


def on(node: Any, inputs: dict[str, Any], about: Any = None) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with web(node) as server:
            return await perform("remote", {"url": server.url()} | inputs, about, **HERE)

    return trio.run(main)


TASKS = {"tasks": [{"name": "root", "schemas": {"method": "echo"}}]}


def test_a_flow_is_executed_and_waited_for() -> None:
    seen: list[float] = []
    node = Node(
        task(ROOT, "pending"), task(ROOT, "in_progress", progress=0.5), task(ROOT, "completed", result={"n": 1})
    )
    result = on(node, TASKS | {"auth_token": "t", "headers": {"x-a": "b"}}, execution(report=seen.append))
    assert result == {"task": task(ROOT, "completed", result={"n": 1})}
    assert node.calls[0] == ("tasks.execute", TASKS)
    assert seen == [0.5]
    assert all(it["authorization"] == "Bearer t" and it["x-a"] == "b" for it in node.headers)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_root_that_fails_fails_the_task(status: str) -> None:
    with pytest.raises(ExecutorFailed, match=f"^the remote task is {status}: because$"):
        on(Node(task(ROOT, status, error="because")), TASKS)


def test_a_root_that_can_no_longer_run_is_not_waited_for() -> None:
    node = Node(task(ROOT, "pending"), child=task(CHILD, "failed", error="boom"))
    with pytest.raises(ExecutorFailed, match=r"^the remote flow ended before its root: 'child' is failed: boom$"):
        on(node, TASKS)


def test_one_call_returns_its_result() -> None:
    node = Node(task(ROOT, "pending"))
    assert on(node, {"method": "tasks.list", "params": {"limit": 1}})["result"]["total"] == 0
    assert node.calls == [("tasks.list", {"limit": 1})]


@pytest.mark.parametrize(
    "reply", [answer({"jsonrpc": "2.0", "id": 1, "result": None}), answer(5), (500, {}, b"oh"), (200, {}, b"")]
)
def test_nodes_that_make_no_sense_are_one_line(reply: Any) -> None:
    with pytest.raises(ExecutorFailed) as caught:
        on(lambda _: reply, TASKS)
    assert str(caught.value).startswith("the remote node")
    assert "\n" not in str(caught.value)


def test_errors_of_the_node_are_told() -> None:
    with pytest.raises(ExecutorFailed, match="Method not found"):
        on(Node(task(ROOT, "pending")), {"method": "no.such"})


def test_time_is_bounded() -> None:
    with pytest.raises(ExecutorFailed, match=r"did not finish within 0\.3 s"):
        on(Node(task(ROOT, "in_progress")), TASKS | {"timeout": 0.3})


def test_cancellation_cancels_what_is_not_done_there() -> None:
    node = Node(task(ROOT, "pending"), child=task(CHILD, "in_progress"))

    async def main() -> None:
        async with web(node) as server, trio.open_nursery() as nursery:
            nursery.start_soon(lambda: perform("remote", {"url": server.url()} | TASKS, **HERE))
            with trio.fail_after(10):
                await node.waiting.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)
    cancelled = [params["task_id"] for method, params in node.calls if method == "tasks.cancel"]
    assert sorted(cancelled) == [ROOT, CHILD]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://2130706433:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "file:///etc/passwd",
    ],
)
def test_the_guard_holds(url: str) -> None:
    async def main() -> None:
        async with web(lambda _: answer()) as canary:
            with pytest.raises(ExecutorFailed, match="the remote node: "):
                await perform("remote", {"url": url.format(port=canary.port)} | TASKS)
            assert canary.connections == 0

    trio.run(main)


@pytest.mark.parametrize(
    "inputs", [{}, TASKS, {"url": "http://a.example/"}, {"url": "http://a.example/", "method": "m", **TASKS}]
)
def test_inputs_are_checked(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputs):
        trio.run(perform, "remote", inputs)
