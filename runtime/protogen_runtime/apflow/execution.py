"""Execution: one task in the hands of its executor, as often as it is tried.

Knows no queue: what comes of it is handed to whoever had it executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import trio
from apflow_protocol import Json, Task, TaskStatus
from apflow_protocol.rpc.boundary import to_json
from msgspec import Raw

from .executors.contract import Ask, Execution, InvalidInputs
from .executors.outcomes import failure_text
from .executors.registry import Registered
from .executors.running import run
from .executors.settings import ExecutorSettings
from .queue import Node
from .records import Entry, needs_of
from .repository import Tasks
from .retries import NEVER, BadRetry, Retry, retry_of


class Ended(msgspec.Struct, frozen=True):
    """What came of an execution: a result, or an error where it failed."""

    running: Running
    result: dict[str, Json] | None = None
    error: str | None = None


class Running:
    """A task in progress. `ended` is told once, unless it is cancelled; `progressed` whenever it advances."""

    __slots__ = ("ended", "entry", "is_cancelled", "key", "node", "progressed", "scope", "task")

    def __init__(
        self,
        node: Node,
        entry: Entry,
        task: Task,
        *,
        ended: Callable[[Ended], None],
        progressed: Callable[[str, float], None],
    ) -> None:
        self.key = entry.key
        self.node = node
        self.entry = entry
        self.task = task
        self.ended = ended
        self.progressed = progressed
        self.scope = trio.CancelScope()
        self.is_cancelled = False

    def cancel(self) -> None:
        """Stop the executor; nobody is told what becomes of it."""
        self.is_cancelled = True
        self.scope.cancel()


class _Outcome(msgspec.Struct):
    """The part of a task's document that its dependants may ask for."""

    id: str
    status: TaskStatus
    result: Raw = Raw(b"null")


_read_outcome: Final = msgspec.json.Decoder(_Outcome).decode


async def execute(
    running: Running,
    registered: Registered | None,
    tasks: Tasks,
    *,
    retry: Retry = NEVER,
    settings: ExecutorSettings | None = None,
    ask: Ask | None = None,
) -> None:
    """Execute a task to its end, unless it is cancelled. `ask` asks whoever wanted it."""
    if running.is_cancelled:
        return
    task = running.task
    if registered is None:
        method = task.schemas.method if task.schemas else ""
        running.ended(Ended(running, error=f"no executor is registered as {method!r}"))
        return
    result: dict[str, Json] | None = None
    error: str | None = None
    with running.scope:
        try:
            retry = retry_of(task, retry)
            results = await _results_of(task, tasks)
            result, error = await _attempts(running, registered, results, retry, settings or ExecutorSettings(), ask)
        except BadRetry as reason:
            error = str(reason)
    if not running.is_cancelled:
        running.ended(Ended(running, result=result, error=error))


async def _attempts(
    running: Running,
    registered: Registered,
    results: Mapping[str, Raw],
    retry: Retry,
    settings: ExecutorSettings,
    ask: Ask | None,
) -> tuple[dict[str, Json] | None, str | None]:
    attempt = 1
    while True:
        execution = _execution_of(running, results, attempt, ask)
        try:
            return await run(registered, running.task.inputs or {}, execution, settings=settings), None
        except Exception as failure:  # noqa: BLE001 - whatever an executor raises fails its task, and no other
            pause = None if isinstance(failure, InvalidInputs) else retry.pause_after(attempt)
            if pause is None:
                text = failure_text(failure)
                return None, text if attempt == 1 else f"{text} (attempt {attempt} of {retry.max_attempts})"
        await trio.sleep(pause)
        attempt += 1


async def _results_of(task: Task, tasks: Tasks) -> dict[str, Raw]:
    needs = needs_of(task)
    if not needs:
        return {}
    entries = await tasks.find_all(needs)
    outcomes = [_read_outcome(entries[key].document) for key in needs if key in entries]
    return {it.id: it.result for it in outcomes if it.status == "completed"}


def _execution_of(running: Running, results: Mapping[str, Raw], attempt: int, ask: Ask | None) -> Execution:
    task = running.task
    return Execution(
        task_id=task.id,
        root_task_id=running.entry.root,
        user_id=task.user_id or None,
        name=task.name,
        schemas=to_json(task.schemas) if task.schemas else {},
        params=task.params or {},
        attempt=attempt,
        report=lambda fraction: running.progressed(running.key, fraction),
        dependency_results=lambda: {key: msgspec.json.decode(result) for key, result in results.items()},
        ask=ask,
    )
