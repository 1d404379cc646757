"""Execution: one task in the hands of its executor, as often as it is tried.

Knows no queue: what comes of it is handed to whoever had it executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
import trio
from apflow_protocol import Json, Task, TaskStatus
from apflow_protocol.rpc.boundary import to_json
from msgspec import Raw

from .executors.contract import Ask, Execution, InvalidInputs
from .executors.outcomes import failure_text
from .executors.registry import ExecutorRegistry, Registered
from .executors.running import run, run_now
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


class Prompt(msgspec.Struct, frozen=True):
    """A pending task that was executed already, since its executor never waits: it starts and ends in one commit."""

    entry: Entry
    task: Task
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


MAX_PROMPT_NEEDS: Final = 100
"""Dependencies whose results a task may have that is executed at once."""


def execute_now(
    entry: Entry,
    registry: ExecutorRegistry,
    find: Callable[[str], Entry | None],
    *,
    retry: Retry = NEVER,
) -> Prompt | None:
    """Execute a pending task whose executor never waits; None where it cannot be: nothing has happened then.

    `find` gives tasks that are in memory and have ended for good.
    """
    task = entry.task
    if not task.schemas:
        # Nothing to execute: the task groups others (A14).
        return Prompt(entry, task, result={})
    registered = registry.find(task.schemas.method)
    if registered is None or registered.execute_now is None:
        return None
    needs = needs_of(task)
    if len(needs) > MAX_PROMPT_NEEDS or retry.max_attempts > 1 or (task.params and "retry" in task.params):
        return None
    wanted = [find(key) for key in needs]
    found = [it for it in wanted if it is not None]
    if len(found) < len(wanted):
        return None
    try:
        execution = _execution_of(task, entry.root, _outcomes_of(found))
        result = run_now(registered, task.inputs or {}, execution, settings=registry.settings)
    except Exception as failure:  # noqa: BLE001 - as in `_attempts`
        return Prompt(entry, task, error=failure_text(failure))
    return Prompt(entry, task, result=result)


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
        execution = _execution_of(
            running.task,
            running.entry.root,
            results,
            attempt=attempt,
            report=lambda fraction: running.progressed(running.key, fraction),
            ask=ask,
        )
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
    return _outcomes_of(entries[key] for key in needs if key in entries)


def _outcomes_of(entries: Iterable[Entry]) -> dict[str, Raw]:
    outcomes = (_read_outcome(entry.document) for entry in entries)
    return {it.id: it.result for it in outcomes if it.status == "completed"}


def _execution_of(
    task: Task,
    root: str,
    results: Mapping[str, Raw],
    *,
    attempt: int = 1,
    report: Callable[[float], None] | None = None,
    ask: Ask | None = None,
) -> Execution:
    return Execution(
        task_id=task.id,
        root_task_id=root,
        user_id=task.user_id or None,
        name=task.name,
        schemas=to_json(task.schemas) if task.schemas else {},
        params=task.params or {},
        attempt=attempt,
        report=report,
        dependency_results=lambda: {key: msgspec.json.decode(result) for key, result in results.items()},
        ask=ask,
    )
