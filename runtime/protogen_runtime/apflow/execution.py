"""Execution: one task in the hands of its executor.

Knows no queue: what comes of it is handed to whoever had it executed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import trio
from apflow_protocol import Json, Task, TaskStatus
from apflow_protocol.rpc.boundary import to_json
from msgspec import Raw

from .executors.contract import Execution, ExecutorFailed, InvalidInputs
from .executors.registry import Registered
from .queue import Node
from .records import Entry, needs_of
from .repository import Tasks

_logger = logging.getLogger(__name__)

CANCEL_SECONDS: Final = 10.0
"""How long an executor's `cancel` may take."""
MAX_ERROR: Final = 4000
"""Characters of a failure's text that are kept."""


class Ended(msgspec.Struct, frozen=True):
    """What came of an execution: a result, or an error where it failed."""

    running: Running
    result: Json = None
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


async def execute(running: Running, registered: Registered | None, tasks: Tasks) -> None:
    """Execute a task to its end, unless it is cancelled."""
    method = running.task.schemas.method if running.task.schemas else ""
    if registered is None:
        running.ended(Ended(running, error=f"No executor is registered as {method!r}"))
        return
    result: Json = None
    error: str | None = None
    execution: Execution | None = None
    with running.scope:
        try:
            results = await _results_of(running.task, tasks)
            execution = _execution_of(running, results)
            result = await _attempt(running, registered, execution)
        except Exception as failure:  # noqa: BLE001 - whatever an executor raises fails its task, and no other
            error = text_of(failure)
    if running.is_cancelled:
        if execution is not None:
            await _tell_cancelled(registered, execution)
        return
    running.ended(Ended(running, result=result, error=error))


async def _attempt(running: Running, registered: Registered, execution: Execution) -> Json:
    executor: Any = registered.executor
    inputs = running.task.inputs or {}
    check = getattr(executor, "validate_inputs", None)
    if check is not None:
        check(inputs)
    result = await executor.execute(inputs, execution)
    if not isinstance(result, dict):
        raise ExecutorFailed(f"The executor returned {type(result).__name__}, not an object")
    return Raw(msgspec.json.encode(result))


async def _results_of(task: Task, tasks: Tasks) -> dict[str, Raw]:
    needs = needs_of(task)
    if not needs:
        return {}
    entries = await tasks.find_all(needs)
    outcomes = [_read_outcome(entries[key].document) for key in needs if key in entries]
    return {it.id: it.result for it in outcomes if it.status == "completed"}


def _execution_of(running: Running, results: Mapping[str, Raw]) -> Execution:
    task = running.task
    return Execution(
        task_id=task.id,
        root_task_id=running.entry.root,
        user_id=task.user_id or None,
        name=task.name,
        schemas=to_json(task.schemas) if task.schemas else {},
        params=task.params or {},
        report=lambda fraction: running.progressed(running.key, fraction),
        dependency_results=lambda: {key: msgspec.json.decode(result) for key, result in results.items()},
    )


async def _tell_cancelled(registered: Registered, execution: Execution) -> None:
    cancel = getattr(registered.executor, "cancel", None)
    if cancel is None:
        return
    with trio.move_on_after(CANCEL_SECONDS):
        try:
            await cancel(execution)
        except Exception:
            _logger.exception("task %s: the executor's cancel failed", execution.task_id)


def text_of(failure: BaseException) -> str:
    """What a task says of its failure: never a traceback."""
    while isinstance(failure, BaseExceptionGroup) and failure.exceptions:
        failure = failure.exceptions[0]
    if isinstance(failure, ExecutorFailed):
        text = str(failure)
    elif isinstance(failure, InvalidInputs):
        text = f"Invalid inputs: {failure}"
    else:
        text = f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 1]}…"
