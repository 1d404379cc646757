"""Transitions: the state machine of tasks, and what each change of state does to the fields.

Knows no dependencies and no executors: whether a task may start is asked of `dependencies`, and the caller runs it.

Clauses: AF-STATE-001 to -014, AF-CANCEL-001 to -003, AF-CANCEL-006, AF-DATA-026, AF-REEX-007.
"""

from __future__ import annotations

from typing import Final

from apflow_protocol import Json, Task, TaskStatus
from msgspec import Struct
from msgspec.structs import replace

from .faults import already_executing, refused_transition
from .timestamps import later

TABLE: Final[dict[TaskStatus, frozenset[TaskStatus]]] = {
    "pending": frozenset({"in_progress", "cancelled"}),
    "in_progress": frozenset({"completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset({"pending"}),
    "cancelled": frozenset(),
}
"""Where a task may go from each state; nothing else is allowed (04-execution-lifecycle.md, State Machine)."""

TERMINAL: Final[frozenset[TaskStatus]] = frozenset({"completed", "failed", "cancelled"})
"""States in which a task has come to an end."""

DEFAULT_CANCEL_MESSAGE: Final = "Cancelled"
"""`error` of a task that is cancelled without a message, since it must not be empty (A25)."""

DEFAULT_FAILURE_MESSAGE: Final = "The executor failed without a message"
"""`error` of a task whose executor gave no reason, since it must not be empty (03-data-model.md, Error Format)."""


class Effect(Struct, frozen=True, kw_only=True):
    """What a change of state does: constants to set, and the field that gets the time."""

    sets: dict[str, Json]
    stamps: str | None = None


_ENDS: Final = "completed_at"
EFFECTS: Final[dict[tuple[TaskStatus, TaskStatus], Effect]] = {
    ("pending", "in_progress"): Effect(sets={"progress": 0.0}, stamps="started_at"),
    ("pending", "cancelled"): Effect(sets={"progress": 0.0}, stamps=_ENDS),
    ("in_progress", "completed"): Effect(sets={"progress": 1.0, "error": None}, stamps=_ENDS),
    ("in_progress", "failed"): Effect(sets={"result": None}, stamps=_ENDS),
    ("in_progress", "cancelled"): Effect(sets={"result": None}, stamps=_ENDS),
    ("failed", "pending"): Effect(
        sets={"result": None, "error": None, "progress": 0.0, "started_at": None, "completed_at": None}
    ),
}
"""What each transition of TABLE does beside `status` and `updated_at` (04-execution-lifecycle.md)."""


def check_transition(task: Task, to: TaskStatus) -> None:
    """Nothing where the state machine allows the change. Errors: RuleBroken InvalidStateTransition."""
    if to in TABLE[task.status]:
        return
    if to == task.status:
        reason = f"the task is {task.status} already"
    elif not TABLE[task.status]:
        reason = f"{task.status} is terminal"
    else:
        allowed = " or ".join(sorted(TABLE[task.status]))
        reason = f"a task that is {task.status} can only become {allowed}"
    raise refused_transition(task.id, current=task.status, to=to, reason=reason)


def start(task: Task, *, now: str) -> Task:
    """The task in progress. Errors: RuleBroken InvalidStateTransition unless it is pending."""
    return _moved(task, "in_progress", now, {})


def complete(task: Task, *, now: str, result: dict[str, Json]) -> Task:
    """The task completed with what its executor returned. Errors: InvalidStateTransition unless it is in progress."""
    return _moved(task, "completed", now, {"result": result})


def fail(task: Task, *, now: str, error: str) -> Task:
    """The task failed, its progress kept. Errors: InvalidStateTransition unless it is in progress."""
    return _moved(task, "failed", now, {"error": error or DEFAULT_FAILURE_MESSAGE})


def cancel(task: Task, *, now: str, error: str | None = None) -> Task:
    """The task cancelled, from pending or in progress. Errors: InvalidStateTransition where it has ended (A26)."""
    return _moved(task, "cancelled", now, {"error": error or DEFAULT_CANCEL_MESSAGE})


def reset(task: Task, *, now: str) -> Task:
    """The task pending again, its definition kept, for re-execution; a pending task is returned as it is.

    Unlike the transition failed -> pending this admits each ended state, since re-execution is an operation of its own
    (04-execution-lifecycle.md, Re-execution; A18, A19). Errors: RuleBroken TaskAlreadyExecuting while in progress.
    """
    if task.status == "pending":
        return task
    if task.status == "in_progress":
        raise already_executing(task.id)
    effect = EFFECTS["failed", "pending"]
    return replace(task, status="pending", updated_at=later(task.updated_at, now), **effect.sets)


def advance(task: Task, *, now: str, progress: float) -> Task:
    """The task in progress with a new fraction of its work done, cut to 0..1.

    Errors: InvalidStateTransition unless it is in progress.
    """
    if task.status != "in_progress":
        raise refused_transition(
            task.id, current=task.status, to=task.status, reason="only a task in progress makes progress"
        )
    # NaN compares false with everything, so it becomes 0.0.
    fraction = float(progress) if 0.0 <= progress <= 1.0 else (1.0 if progress > 1.0 else 0.0)
    return replace(task, progress=fraction, updated_at=later(task.updated_at, now))


def _moved(task: Task, to: TaskStatus, now: str, given: dict[str, Json]) -> Task:
    effect = EFFECTS.get((task.status, to))
    if effect is None:
        check_transition(task, to)
        raise AssertionError(f"TABLE allows {task.status} -> {to}, EFFECTS does not say what it does")
    at = later(task.updated_at, now)
    given.update(effect.sets)
    given["status"] = to
    given["updated_at"] = at
    if effect.stamps is not None:
        given[effect.stamps] = at
    return replace(task, **given)
