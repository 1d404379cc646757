"""Two users of one node: whatever one asks about the other's tasks is answered as if these did not exist.

"As if" is exact: the bytes of the answer, the ids aside, are those that an id gets which nobody has. No clock decides.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from serving import Answer, Node, bearer, serving

CONFIG = """
[access.keys]
ann = "secret of ann"
bob = "secret of bob"
[executors]
allow_private_addresses = true
"""
ANN, BOB = "secret of ann", "secret of bob"
UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z")
STATES = ("pending", "in_progress", "completed", "failed", "cancelled", "parent", "child")


def new_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[Node]:
    with serving(tmp_path_factory.mktemp("node"), CONFIG) as node:
        yield node


@pytest.fixture(scope="module")
def anns(node: Node) -> dict[str, str]:
    """A task of Ann's in each state, and a parent with a child."""

    def run(*tasks: dict[str, object]) -> None:
        answer = node.send(
            json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "tasks.execute",
                    "params": {"tasks": tasks, "use_streaming": True},
                }
            ).encode(),
            bearer(ANN),
        )
        assert answer.headers["content-type"] == "text/event-stream", answer.body

    ids = {state: new_id() for state in STATES}
    ids["pending"] = node.result("tasks.create", {"name": "ann's"}, token=ANN)["id"]
    ids["cancelled"] = node.result("tasks.create", {"name": "ann's"}, token=ANN)["id"]
    node.result("tasks.cancel", {"task_id": ids["cancelled"]}, token=ANN)
    run({"id": ids["completed"], "name": "ann's", "schemas": {"method": "echo"}, "inputs": {"secret": 1}})
    run({"id": ids["failed"], "name": "ann's", "schemas": {"method": "fail"}, "inputs": {"message": "ann's"}})
    run(
        {"id": ids["parent"], "name": "ann's", "schemas": {"method": "echo"}},
        {"id": ids["child"], "name": "ann's", "parent_id": ids["parent"], "schemas": {"method": "echo"}},
    )
    running = {"id": ids["in_progress"], "name": "ann's", "schemas": {"method": "sleep"}, "inputs": {"seconds": 3000}}
    node.result("tasks.execute", {"tasks": [running]}, token=ANN)
    while node.result("tasks.get", {"task_id": ids["in_progress"]}, token=ANN)["status"] != "in_progress":
        pass
    return ids


@pytest.fixture(scope="module")
def bobs(node: Node) -> str:
    return str(node.result("tasks.create", {"name": "bob's"}, token=BOB)["id"])


def anonymous(answer: Answer) -> tuple[int, list[str], bytes]:
    """An answer without its ids and times; its length says the same as its body."""
    body = TIME.sub(b"<time>", UUID.sub(b"<id>", answer.body))
    return answer.status, sorted(set(answer.headers) - {"date"}), body


Ask = Callable[[str, str], tuple[str, dict[str, object], dict[str, object]]]


def method(name: str, member: str, **others: object) -> Ask:
    return lambda target, own: (name, {member: target, **others}, {})


def update(**changes: Callable[[str], object]) -> Ask:
    return lambda target, own: (
        "tasks.update",
        {"task_id": own, "updates": {name: make(target) for name, make in changes.items()}},
        {},
    )


def create(**members: Callable[[str], object]) -> Ask:
    return lambda target, own: ("tasks.create", {"name": "x", **{k: make(target) for k, make in members.items()}}, {})


def execute(
    *, own_id: bool = False, beside: dict[str, object] | None = None, **members: Callable[[str], object]
) -> Ask:
    def ask(target: str, own: str) -> tuple[str, dict[str, object], dict[str, object]]:
        task = {"name": "x", **({"id": own} if own_id else {}), **{k: make(target) for k, make in members.items()}}
        return "tasks.execute", {"tasks": [task]}, beside or {}

    return ask


def needs(target: str) -> object:
    return [{"id": target}]


def needs_perhaps(target: str) -> object:
    return [{"id": target, "required": False}]


def link(_: str) -> object:
    return "link"


def same(target: str) -> object:
    return target


FORMS: dict[str, Ask] = {
    "get": method("tasks.get", "task_id"),
    "update": method("tasks.update", "task_id", updates={"name": "mine"}),
    "update nothing": method("tasks.update", "task_id", updates={}),
    "update its user": method("tasks.update", "task_id", updates={"user_id": "bob"}),
    "update its status": method("tasks.update", "task_id", updates={"status": "cancelled"}),
    "delete": method("tasks.delete", "task_id"),
    "cancel": method("tasks.cancel", "task_id"),
    "cancel with words": method("tasks.cancel", "task_id", error_message="bob was here"),
    "tree": method("tasks.tree", "task_id"),
    "children": method("tasks.children", "parent_id"),
    "copy": method("tasks.copy", "task_id"),
    "copy with children": method("tasks.copy", "task_id", copy_children=True),
    "create below it": create(parent_id=same),
    "create after it": create(dependencies=needs),
    "create after it perhaps": create(dependencies=needs_perhaps),
    "create a link to it": create(origin_type=link, original_task_id=same),
    "create a copy of it": create(origin_type=lambda _: "copy", original_task_id=same),
    "create an archive of it": create(origin_type=lambda _: "archive", original_task_id=same),
    "move a task below it": update(parent_id=same),
    "make a task wait for it": update(dependencies=needs),
    "make a task a link to it": update(origin_type=link, original_task_id=same),
    "execute below it": execute(parent_id=same),
    "execute after it": execute(dependencies=needs),
    "execute after it perhaps": execute(dependencies=needs_perhaps),
    "execute a link to it": execute(origin_type=link, original_task_id=same),
    "execute a copy of it": execute(origin_type=lambda _: "copy", original_task_id=same),
    "execute a stored task below it": execute(own_id=True, parent_id=same),
    "execute a stored task after it": execute(own_id=True, dependencies=needs),
    "execute a stored link to it": execute(own_id=True, origin_type=link, original_task_id=same),
    "stream what comes after it": execute(dependencies=needs, beside={"metadata": {"stream": True}}),
}
"""Ways to name a task: each gives method, params and what stands beside them, for the task and one of the asker's own.

A copy of a task that nobody has may be accepted: then it must be so for one that somebody else has."""


def request_of(asked: tuple[str, Mapping[str, object], Mapping[str, object]]) -> bytes:
    name, params, beside = asked
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": params, **beside}).encode()


def what_ann_sees(node: Node, anns: dict[str, str]) -> list[Any]:
    seen = [node.result("tasks.list", {"limit": 1000}, token=ANN)]
    for task_id in anns.values():
        seen += [node.result(name, {"task_id": task_id}, token=ANN) for name in ("tasks.get", "tasks.tree")]
        seen.append(node.result("tasks.children", {"parent_id": task_id}, token=ANN))
    return seen


@pytest.mark.parametrize("form", FORMS)
def test_another_users_task_is_one_that_nobody_has(node: Node, anns: dict[str, str], bobs: str, form: str) -> None:
    del bobs
    before = what_ann_sees(node, anns)
    for state, target in anns.items():
        answers = []
        for named in (target, new_id(), target.upper(), new_id().upper()):
            own = node.result("tasks.create", {"name": "bob's"}, token=BOB)["id"]
            answers.append(anonymous(node.ask(request_of(FORMS[form](named, own)), bearer(BOB))))
        assert answers[0] == answers[1], state
        assert answers[2] == answers[3], state
    assert what_ann_sees(node, anns) == before


def test_an_id_that_is_taken_is_not_executed_and_not_followed(node: Node, anns: dict[str, str]) -> None:
    """The one question whose answer differs: an id is unique, so whoever sends one that is taken cannot have it."""
    before = what_ann_sees(node, anns)
    for target in anns.values():
        for stream in (False, True):
            tasks = [{"id": target, "name": "bob's", "schemas": {"method": "echo"}, "inputs": {"mine": True}}]
            params = {"tasks": tasks, "use_streaming": stream}
            answer = node.send(request_of(("tasks.execute", params, {})), bearer(BOB))
            assert answer.headers["content-type"] == "application/json"
            assert answer.json["error"] == {"code": -32001, "message": "Task not found", "data": {"task_id": target}}
    assert what_ann_sees(node, anns) == before


def test_lists_and_totals_are_of_the_own_tasks(node: Node, anns: dict[str, str], bobs: str) -> None:
    def everything(token: str, **params: object) -> dict[str, Any]:
        found: dict[str, Any] = node.result("tasks.list", {"limit": 1000, **params}, token=token)
        assert found["total"] == len(found["tasks"])
        return {task["id"]: task for task in found["tasks"]}

    assert {task["user_id"] for task in everything(ANN).values()} == {"ann"}
    assert set(anns.values()) == set(everything(ANN))
    assert {task["user_id"] for task in everything(BOB).values()} == {"bob"}
    assert bobs in everything(BOB)
    for status in ("pending", "in_progress", "completed", "failed", "cancelled"):
        assert not set(everything(BOB, status=status)) & set(anns.values())
    page = node.result("tasks.list", {"limit": 1, "offset": 1}, token=BOB)
    assert page["total"] == len(everything(BOB))
    assert node.result("tasks.list", {"user_id": "bob", "limit": 1000}, token=BOB)["total"] == page["total"]


@pytest.mark.parametrize("user", ["ann", "nobody", None])
def test_nobody_speaks_for_somebody_else(node: Node, bobs: str, user: str | None) -> None:
    """The answer is the same for users that there are and for those that there are not."""
    asked: list[tuple[str, dict[str, object]]] = [
        ("tasks.create", {"name": "x", "user_id": user}),
        ("tasks.list", {"user_id": user}),
        ("tasks.execute", {"tasks": [{"name": "x", "user_id": user}]}),
        ("tasks.update", {"task_id": bobs, "updates": {"user_id": user}}),
    ]
    for name, params in asked:
        answer = node.call(name, params, token=BOB)
        if user is None and name in ("tasks.create", "tasks.execute"):
            # Nothing was said of who it is.
            assert "result" in answer
            continue
        assert answer["error"]["code"] == (-32602 if user is None and name == "tasks.list" else -32004), name
        assert "nobody" not in json.dumps(answer)


def test_a_batch_tells_no_more(node: Node, anns: dict[str, str]) -> None:
    def batch(target: str) -> bytes:
        asked: list[bytes] = [
            request_of(FORMS[form](target, target)) for form in ("get", "cancel", "tree", "children", "delete")
        ]
        return b"[" + b",".join(asked) + b"]"

    for target in anns.values():
        answers = [anonymous(node.ask(batch(named), bearer(BOB))) for named in (target, new_id())]
        assert answers[0] == answers[1]


def test_a_websocket_is_its_users(node: Node, anns: dict[str, str]) -> None:
    from apflow_protocol import TasksCancelParams, TasksGetParams
    from apflow_protocol.client import NodeClient
    from apflow_protocol.errors import TaskNotFoundError

    from protogen_runtime.io.client import connect

    async def main() -> None:
        url = node.url.replace("http", "ws", 1)
        async with (
            connect(url, NodeClient, headers=bearer(ANN)) as ann,
            connect(url, NodeClient, headers=bearer(BOB)) as bob,
        ):
            for target in anns.values():
                assert (await ann.tasks_get(TasksGetParams(task_id=target))).user_id == "ann"
                with pytest.raises(TaskNotFoundError):
                    await bob.tasks_get(TasksGetParams(task_id=target))
                with pytest.raises(TaskNotFoundError):
                    await bob.tasks_cancel(TasksCancelParams(task_id=target))

    trio.run(main)


@contextmanager
def canary() -> Iterator[tuple[str, list[bytes]]]:
    """A URL, and what was posted to it."""
    posts: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", posts
        finally:
            server.shutdown()
            thread.join()


def test_nobody_is_pushed_news_of_anothers_tasks(node: Node) -> None:
    with canary() as (url, posts), canary() as (own_url, own_posts):
        root, wanted = new_id(), {"push_notification_config": {"url": own_url}}
        tasks = [{"id": root, "name": "ann's", "schemas": {"method": "sleep"}, "inputs": {"seconds": 3000}}]
        asked = ("tasks.execute", {"tasks": tasks}, {"configuration": wanted})
        assert node.send(request_of(asked), bearer(ANN)).json["result"]["root_task_id"] == root
        intruding = ("tasks.execute", {"tasks": tasks}, {"configuration": {"push_notification_config": {"url": url}}})
        assert node.send(request_of(intruding), bearer(BOB)).json["error"]["code"] == -32001
        node.result("tasks.cancel", {"task_id": root}, token=ANN)
        while not any(json.loads(post)["status"] == "cancelled" for post in own_posts):
            pass
        assert posts == []


def test_users_with_the_same_flow_under_different_ids_see_their_own_events(node: Node) -> None:
    def run(token: str) -> set[str]:
        root, part = new_id(), new_id()
        tasks = [
            {"id": root, "name": "root", "schemas": {"method": "echo"}, "dependencies": [{"id": part}]},
            {"id": part, "name": "part", "parent_id": root, "schemas": {"method": "echo"}},
        ]
        answer = node.send(request_of(("tasks.execute", {"tasks": tasks, "use_streaming": True}, {})), bearer(token))
        seen = {match.decode() for match in UUID.findall(answer.body)}
        assert seen == {root, part}
        return seen

    found: list[set[str]] = []
    threads = [threading.Thread(target=lambda token=token: found.append(run(token))) for token in (ANN, BOB) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set().union(*found)) == 16
