"""What a run has seen: every reply, every task, every refusal. Filled by all threads; judged by the last tests."""

from __future__ import annotations

import threading
from typing import NamedTuple

from protogen_compliance.peer.rpc import MISSING, Json, Reply
from protogen_compliance.peer.wire import TimedOut


class Answered(NamedTuple):
    """A well-formed request with an id, and what came back."""

    method: str
    id: Json
    reply: Reply
    streamed: bool = False


class Sighting(NamedTuple):
    """A task as a node showed it."""

    task: dict[str, Json]
    method: str
    reply: Reply


class Refusal(NamedTuple):
    """A request that a node had to refuse, what is wrong with it, and the codes that are right for it."""

    what: str
    codes: tuple[int, ...]
    reply: Reply
    field: str | None = None


class Observed:
    """Everything of one run, in the order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: list[Answered] = []
        self._tasks: list[Sighting] = []
        self._refusals: list[Refusal] = []
        self._raw: list[Reply] = []
        self._silent = 0
        self.made: list[str] = []
        """Ids that tasks.create and tasks.copy returned."""
        self.rerun: set[str] = set()
        """Ids of tasks that were executed again, so that a terminal status of theirs may change."""

    def silence(self, reply: Reply) -> int:
        """How many requests in a row got no answer in time, this one included."""
        with self._lock:
            self._silent = self._silent + 1 if isinstance(reply.fault, TimedOut) else 0
            return self._silent

    def answer(self, answered: Answered) -> None:
        """Keeps an answer, and the tasks in its result."""
        tasks = tasks_of(answered.method, answered.reply.result)
        with self._lock:
            self._answers.append(answered)
            self._tasks += [Sighting(task, answered.method, answered.reply) for task in tasks]

    def raw(self, reply: Reply) -> None:
        """Keeps the answer to a request that was not well-formed."""
        with self._lock:
            self._raw.append(reply)

    def refuse(self, refusal: Refusal) -> None:
        """Keeps a refusal, or what should have been one."""
        with self._lock:
            self._refusals.append(refusal)

    @property
    def answers(self) -> list[Answered]:
        """All answers to well-formed requests."""
        with self._lock:
            return list(self._answers)

    @property
    def responses(self) -> list[Reply]:
        """All replies that are a single response object, those to malformed requests included."""
        with self._lock:
            replies = [*(it.reply for it in self._answers if not it.streamed), *self._raw]
        return [reply for reply in replies if isinstance(reply.value, dict)]

    @property
    def refusals(self) -> list[Refusal]:
        """All requests that had to be refused."""
        with self._lock:
            return list(self._refusals)

    @property
    def tasks(self) -> list[Sighting]:
        """All tasks seen, in the order in which they were seen."""
        with self._lock:
            return list(self._tasks)


def tasks_of(method: str, result: Json) -> list[dict[str, Json]]:
    """The task objects that a result holds."""
    found: list[Json] = []
    match method, result:
        case "tasks.get", dict():
            found = [result]
        case "tasks.list", {"tasks": list(items)}:
            found = items
        case "tasks.children", {"children": list(items)}:
            found = items
        case "tasks.tree", dict():
            found = [node.get("task") for node in nodes_of(result)]
        case _:
            pass
    return [task for task in found if isinstance(task, dict)]


def nodes_of(root: Json) -> list[dict[str, Json]]:
    """All nodes of a task tree, parents before their children."""
    found: list[dict[str, Json]] = []
    pending: list[Json] = [root]
    while pending:
        node = pending.pop(0)
        if isinstance(node, dict):
            found.append(node)
            children = node.get("children", MISSING)
            pending += children if isinstance(children, list) else []
    return found
