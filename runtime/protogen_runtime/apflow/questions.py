"""Questions: what executors want to know of whoever had their tasks executed, while they run.

Only runs that somebody *attends* can be asked: a protocol with conversations. Knows none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import trio

from .executors.contract import ExecutorFailed

Json: TypeAlias = Any

NOBODY = "needs input ({}), and nobody can be asked: the flow was not started by a message"
"""`error` of a task that asked where nobody listens."""


class Question:
    """One question of one task, open until it is answered or its task ends."""

    __slots__ = ("_answer", "_done", "task_id", "text")

    def __init__(self, task_id: str, text: str) -> None:
        self.task_id = task_id
        self.text = text
        self._answer: dict[str, Json] | None = None
        self._done = trio.Event()

    @property
    def is_open(self) -> bool:
        """Whether it still wants an answer."""
        return not self._done.is_set()

    def answer(self, answer: dict[str, Json]) -> None:
        """Let the executor go on with this; only the first answer counts."""
        if self.is_open:
            self._answer = answer
            self._done.set()

    def withdraw(self) -> None:
        """Nobody waits for the answer any more."""
        self._done.set()

    async def wait(self) -> dict[str, Json]:
        """The answer."""
        await self._done.wait()
        return self._answer or {}


class Questions:
    """The questions of a node. `publish` is told (root, question) of each one that is asked of somebody."""

    def __init__(self, publish: Callable[[str, Question], None]) -> None:
        self._publish = publish
        self._attended: Counter[str] = Counter()

    def attend(self, root: str) -> None:
        """Somebody answers what the run of this flow asks, until `leave`."""
        self._attended[root] += 1

    def leave(self, root: str) -> None:
        """Nobody does any longer; what is open then stays open until its task ends."""
        self._attended[root] -= 1
        if self._attended[root] <= 0:
            del self._attended[root]

    async def ask(self, root: str, task_id: str, text: str) -> dict[str, Json]:
        """The answer, however long it takes. Errors: ExecutorFailed where nobody attends the run."""
        if root not in self._attended:
            raise ExecutorFailed(NOBODY.format(text))
        question = Question(task_id, text)
        self._publish(root, question)
        try:
            return await question.wait()
        finally:
            question.withdraw()
