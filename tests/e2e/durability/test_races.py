"""Two clients that want different things of one task at the same moment, over real HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from durable_flows import new_id
from serving import Node, serving

LOGGED = Path(__file__).with_name("logged.py")
RACES, RACES_IN_SOAK = 60, 10_000
"""Of each of three kinds."""
PARTS = 10
"""Tests that the races of a soak are spread over, lest one take longer than a test may."""
LEADS = 5
"""How many reads one of two clients may have to wait for before it asks, at most: each takes about a millisecond."""

Asked = tuple[str, dict[str, Any]]


class Log:
    """The executions that a node's executors have noted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0
        self._counts: Counter[str] = Counter()

    def count(self, task_id: str) -> int:
        """How often a task was executed until now."""
        with self.path.open("rb") as file:
            file.seek(self._seen)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._seen += len(whole)
        self._counts.update(whole.decode().split())
        return self._counts[task_id]


class Pair:
    """Two connections that ask at about the same moment."""

    def __init__(self, node: Node) -> None:
        self._connections = [http.client.HTTPConnection("localhost", node.port, timeout=60) for _ in range(2)]
        self._barrier = threading.Barrier(2)
        self._answers: list[Any] = [None, None]

    def ask(self, first: Asked, second: Asked, *, lead: int = 0) -> list[Any]:
        """Both answers. With a `lead` one of the two reads something so often before it asks: the second, where it is
        less than zero the first.
        """
        thread = threading.Thread(target=self._one, args=(1, second, max(lead, 0)))
        thread.start()
        self._one(0, first, max(-lead, 0))
        thread.join()
        return self._answers

    def _one(self, index: int, asked: Asked, reads: int) -> None:
        self._barrier.wait(60)
        for _ in range(reads):
            self._call(index, "tasks.list", {"limit": 1})
        self._answers[index] = self._call(index, *asked)

    def _call(self, index: int, method: str, params: dict[str, Any]) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        connection = self._connections[index]
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(tmp_path_factory.mktemp("log") / "executions")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, log: Log) -> Generator[Node]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APFLOW_EXECUTIONS", str(log.path))
        with serving(tmp_path_factory.mktemp("node"), f'[executors]\nmodules = ["{LOGGED}"]\n') as node:
            yield node


@pytest.fixture
def pair(node: Node) -> Generator[Pair]:
    pair = Pair(node)
    yield pair
    pair.close()


def settled(node: Node, task_id: str) -> dict[str, Any] | None:
    """The task when it is neither pending nor in progress; None where there is none."""
    while True:
        answer = node.call("tasks.get", {"task_id": task_id})
        if "error" in answer:
            assert answer["error"]["code"] == -32001
            return None
        task: dict[str, Any] = answer["result"]
        if task["status"] not in ("pending", "in_progress"):
            return task


def execution(task_id: str, seconds: float = 0.0) -> Asked:
    task = {"id": task_id, "name": "x", "schemas": {"method": "once"}, "inputs": {"seconds": seconds}}
    return "tasks.execute", {"tasks": [task]}


def cancel_against_completion(node: Node, pair: Pair, log: Log, number: int) -> str:
    task_id = new_id()
    node.call(*execution(task_id, seconds=0.0005 * (number % 10)))
    cancelled, seen = pair.ask(
        ("tasks.cancel", {"task_id": task_id}), ("tasks.get", {"task_id": task_id}), lead=-(number % LEADS)
    )
    task = settled(node, task_id)
    assert task is not None
    assert "result" in seen
    if "result" in cancelled:
        assert (task["status"], task["result"]) == ("cancelled", None)
    else:
        assert cancelled["error"]["code"] == -32006
        assert (task["status"], task["result"]) == ("completed", {"id": task_id})
    return str(task["status"])


def two_executions(node: Node, pair: Pair, log: Log, number: int) -> str:
    task_id = new_id()
    asked = execution(task_id, seconds=0.0005 * (number % 10))
    answers = pair.ask(asked, asked, lead=number % LEADS)
    done = sum("result" in answer for answer in answers)
    assert done >= 1
    assert all(answer["error"]["code"] == -32008 for answer in answers if "error" in answer), answers
    task = settled(node, task_id)
    assert task is not None
    assert task["status"] == "completed"
    # Whoever came after its end had it executed again; whoever came before had it run once, for both.
    assert 1 <= log.count(task_id) <= done
    return f"{done} taken"


def delete_against_execution(node: Node, pair: Pair, log: Log, number: int) -> str:
    task_id = node.result("tasks.create", {"name": "x", "schemas": {"method": "once"}})["id"]
    deleted, executed = pair.ask(
        ("tasks.delete", {"task_id": task_id}), execution(task_id), lead=number % (2 * LEADS) - LEADS
    )
    assert "result" in executed
    task = settled(node, task_id)
    executions = log.count(task_id)
    if task is None:
        # Deleted between the answer to its execution and its start, when it was pending still.
        assert "result" in deleted
        assert executions == 0
        return "deleted"
    assert (task["status"], executions) == ("completed", 1)
    if "error" in deleted:
        assert deleted["error"]["code"] == -32009
        return "kept"
    # The deletion came first and left the id free, so that the execution brought a new task.
    return "made anew"


@pytest.mark.parametrize("race", [cancel_against_completion, two_executions, delete_against_execution])
@pytest.mark.parametrize(
    "count",
    [
        RACES,
        *(pytest.param(RACES_IN_SOAK // PARTS, marks=pytest.mark.soak, id=f"full-{part}") for part in range(PARTS)),
    ],
)
def test_a_race_has_one_outcome(
    node: Node, pair: Pair, log: Log, race: Callable[[Node, Pair, Log, int], str], count: int
) -> None:
    outcomes: dict[str, int] = {}
    for number in range(count):
        outcome = race(node, pair, log, number)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(f"  {race.__name__}: {outcomes}")
    assert len(outcomes) > 1, f"no race at all: {outcomes}"
