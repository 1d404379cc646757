"""Consistency: how the fields of one task must fit each other.

Knows no other task. Sources: 03-data-model.md, Field Relationships and Constraints; 04-execution-lifecycle.md, State
Consistency; 09-validation.md, Field Consistency Validation.

Clauses: AF-DATA-015 to -019, AF-DATA-027 to -031, AF-DATA-035, AF-STATE-015, AF-TIME-002 to -005, AF-TIME-007.
"""

from __future__ import annotations

from typing import Final, Literal

from apflow_protocol import Json, Task, TaskStatus

from . import timestamps
from .faults import FieldFault, Path
from .provenance import NEEDS_COMPLETED
from .schedules import fault_of_expression

Presence = Literal["null", "set"]

BY_STATUS: Final[dict[TaskStatus, dict[str, Presence]]] = {
    "pending": {"started_at": "null", "completed_at": "null", "result": "null", "error": "null"},
    "in_progress": {"started_at": "set", "completed_at": "null", "result": "null", "error": "null"},
    # result is only SHOULD when completed: null is no fault.
    "completed": {"started_at": "set", "completed_at": "set", "error": "null"},
    "failed": {"started_at": "set", "completed_at": "set", "result": "null", "error": "set"},
    # A task that was cancelled before it ran has no started_at.
    "cancelled": {"completed_at": "set", "result": "null", "error": "set"},
}
"""Which fields are null and which are set in each state."""

TIMES: Final = (
    *("created_at", "started_at", "updated_at", "completed_at"),
    *("schedule_start_at", "schedule_end_at", "next_run_at", "last_run_at"),
)
"""The fields that hold timestamps."""


def faults_of_task(task: Task, *, at: Path = ()) -> list[FieldFault]:
    """Every fault of a task as it is stored: fields against its status, timestamps, schedule, provenance.

    Types and ranges of single fields are checked where the task is decoded.
    """
    return [*faults_of_times(task, at=at), *faults_of_state(task, at=at), *faults_of_definition(task, at=at)]


def faults_of_times(task: Task, *, at: Path = ()) -> list[FieldFault]:
    """Timestamps that are none, and those that contradict each other: created, then started, then completed."""
    faults: list[FieldFault] = []
    for name in TIMES:
        text = getattr(task, name)
        if isinstance(text, str) and timestamps.parse(text) is None:
            faults.append(
                _fault(name, "Not a timestamp", expected=f"{timestamps.EXPECTED}, or null", actual=text, at=at)
            )
    for earlier, later in (
        ("created_at", "started_at"),
        ("created_at", "completed_at"),
        ("started_at", "completed_at"),
    ):
        if _is_after(getattr(task, earlier), getattr(task, later)):
            faults.append(_fault(later, f"Before {earlier}", expected=f"{earlier} or later", at=at, task=task))
    return faults


def faults_of_state(task: Task, *, at: Path = ()) -> list[FieldFault]:
    """Fields that do not fit the status."""
    faults: list[FieldFault] = []
    for name, presence in BY_STATUS[task.status].items():
        value = getattr(task, name)
        if presence == "null" and value:
            faults.append(_fault(name, f"Must be null while {task.status}", expected=None, at=at, task=task))
        elif presence == "set" and not value:
            faults.append(_fault(name, f"Must be set once {task.status}", expected="a value", at=at, task=task))
    progress = task.progress_or_default
    if task.status == "completed" and progress != 1:
        faults.append(_fault("progress", "Must be 1.0 once completed", expected=1.0, at=at, task=task))
    elif task.status == "pending" and progress != 0:
        faults.append(_fault("progress", "Must be 0.0 while pending", expected=0.0, at=at, task=task))
    return faults


def faults_of_definition(task: Task, *, at: Path = ()) -> list[FieldFault]:
    """Faults among the fields that callers set: schedule and provenance."""
    faults: list[FieldFault] = []
    if task.schedule_enabled is True:
        faults += _faults_of_schedule(task, at)
    if isinstance(task.max_runs, int) and task.run_count_or_default > task.max_runs:
        faults.append(_fault("max_runs", "Less than run_count", expected="run_count or more", at=at, task=task))
    if _is_after(task.next_run_at, task.schedule_end_at):
        expected = "null, or schedule_end_at or earlier"
        faults.append(_fault("next_run_at", "After schedule_end_at", expected=expected, at=at, task=task))
    if task.origin_type in NEEDS_COMPLETED and not task.original_task_id:
        expected = f"the id of a completed task, since origin_type is {task.origin_type}"
        faults.append(_fault("original_task_id", "Required", expected=expected, at=at, task=task))
    elif task.original_task_id and task.original_task_id == task.id:
        faults.append(_fault("original_task_id", "The task itself", expected="another task", at=at, task=task))
    return faults


def _faults_of_schedule(task: Task, at: Path) -> list[FieldFault]:
    """An enabled schedule needs a type and an expression of it; a disabled one is ignored (A47)."""
    faults = [
        _fault(name, "Required by schedule_enabled", expected=f"a {name}", at=at, task=task)
        for name in ("schedule_type", "schedule_expression")
        if not getattr(task, name)
    ]
    if task.schedule_type and task.schedule_expression:
        expected = fault_of_expression(task.schedule_type, task.schedule_expression)
        if expected is not None:
            reason = f"Malformed for schedule_type {task.schedule_type}"
            faults.append(_fault("schedule_expression", reason, expected=expected, at=at, task=task))
    return faults


def _is_after(one: Json, other: Json) -> bool:
    """Whether both are timestamps and the first is the later one."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    if one == other:
        return False
    first, second = timestamps.parse(one), timestamps.parse(other)
    return first is not None and second is not None and first > second


def _fault(
    name: str, reason: str, *, expected: Json, at: Path, task: Task | None = None, actual: Json = None
) -> FieldFault:
    found = getattr(task, name) if task is not None else actual
    return FieldFault(field=name, reason=reason, expected=expected, actual=found, path=(*at, name))
