"""Tasks: what holds of any task that a node shows, and what a task is known to be.

Levels are those of the specification: where it says SHOULD, or can be read leniently, a fault is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

Task: TypeAlias = dict[str, Any]

DEFAULTS: Task = {
    "parent_id": None,
    "user_id": None,
    "priority": 2,
    "inputs": {},
    "schemas": None,
    "params": None,
    "result": None,
    "error": None,
    "dependencies": [],
    "progress": 0.0,
    "started_at": None,
    "completed_at": None,
    "original_task_id": None,
    "has_references": False,
    "schedule_type": None,
    "schedule_expression": None,
    "schedule_enabled": False,
    "schedule_start_at": None,
    "schedule_end_at": None,
    "last_run_at": None,
    "max_runs": None,
    "run_count": 0,
}
"""What a new task is where its client said nothing (03, the table of fields)."""

FIELDS = (*DEFAULTS, "id", "name", "status", "created_at", "updated_at", "origin_type", "next_run_at")
DEFINITION = ("name", "inputs", "schemas", "params")
"""What a copy keeps."""
TERMINAL = ("completed", "failed", "cancelled")
STAMPS = ("created_at", "started_at", "updated_at", "completed_at", "next_run_at", "last_run_at")
RESET: Task = {
    "status": "pending",
    "result": None,
    "error": None,
    "progress": 0.0,
    "started_at": None,
    "completed_at": None,
}
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
MOST_SKEW = timedelta(hours=24)
"""How far the node's clock may be from ours."""


class Wrong(NamedTuple):
    """One thing that is wrong with a task."""

    check: str
    text: str
    should: bool = False


def instant(value: Any) -> datetime | None:
    """The time that an ISO 8601 text with an offset says; None for anything else."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else None


def wrongs(task: Task) -> Iterator[Wrong]:
    """What no task may show, by its own status (03 and 04); members that are not there are left out."""
    status = task.get("status")
    for name in STAMPS:
        value = task.get(name)
        if value is not None and instant(value) is None:
            yield Wrong("task-time", f"{name} is {value!r}; expected ISO 8601 with an offset")
            return
        if value is not None and (found := instant(value)) and found.utcoffset() != timedelta(0):
            yield Wrong("task-utc", f"{name} is {value!r}; expected UTC", should=True)
    yield from _by_status(task, status)
    yield from _times(task)
    ends, runs = instant(task.get("schedule_end_at")), instant(task.get("next_run_at"))
    if ends and runs and runs > ends:
        yield Wrong("task-schedule", f"next_run_at {task['next_run_at']} is after schedule_end_at")
    if isinstance(task.get("max_runs"), int) and task.get("run_count", 0) > task["max_runs"]:
        yield Wrong("task-schedule", f"run_count {task['run_count']} is above max_runs {task['max_runs']}")


def _by_status(task: Task, status: Any) -> Iterator[Wrong]:
    null = {
        "pending": ("started_at", "completed_at", "result", "error"),
        "in_progress": ("completed_at", "result", "error"),
        "completed": ("error",),
        "failed": ("result",),
        "cancelled": ("result",),
    }.get(status, ())
    there = {
        "in_progress": ("started_at",),
        "completed": ("started_at", "completed_at"),
        "failed": ("started_at", "completed_at", "error"),
        "cancelled": ("completed_at", "error"),
    }.get(status, ())
    for name in null:
        if task.get(name) is not None:
            yield Wrong(f"task-{status}-{name}", f"a {status} task has {name} {task[name]!r:.80}; expected null")
    for name in there:
        if name in task and not task[name]:
            yield Wrong(f"task-{status}-{name}", f"a {status} task has {name} {task[name]!r}; expected a value")
    if status == "completed":
        if task.get("progress", 1.0) != 1.0:
            yield Wrong("task-completed-progress", f"a completed task has progress {task['progress']!r}; expected 1.0")
        if "result" in task and task["result"] is None:
            yield Wrong("task-completed-result", "a completed task has no result", should=True)
    if status == "pending" and task.get("progress", 0.0) != 0.0:
        yield Wrong("task-pending-progress", f"a pending task has progress {task['progress']!r}; expected 0.0")


def _times(task: Task) -> Iterator[Wrong]:
    at = {name: instant(task.get(name)) for name in STAMPS}
    order = (("created_at", "started_at"), ("started_at", "completed_at"), ("created_at", "updated_at"))
    for first, second in (*order, ("started_at", "updated_at"), ("completed_at", "updated_at")):
        before, after = at[first], at[second]
        if before and after and before > after:
            yield Wrong("task-order", f"{first} {task[first]} is after {second} {task[second]}")
    for name in ("created_at", "started_at", "completed_at"):
        found = at[name]
        if found and abs(found - datetime.now(UTC)) > MOST_SKEW:
            yield Wrong("task-clock", f"{name} is {task[name]}, and it was set just now", should=name == "created_at")


def same(field: str, got: Any, expected: Any) -> bool:
    """Whether two values of a field are the same: ids in any case, times in any notation, 1 for 1.0."""
    if field == "dependencies" and isinstance(got, list) and isinstance(expected, list):
        return sorted(map(_dependency, got)) == sorted(map(_dependency, expected))
    if field in ("id", "parent_id", "original_task_id") and isinstance(got, str) and isinstance(expected, str):
        return got.lower() == expected.lower()
    if field in STAMPS or field in ("schedule_start_at", "schedule_end_at"):
        times = instant(got), instant(expected)
        return got == expected or (times[0] is not None and times[0] == times[1])
    return bool(got == expected)


def _dependency(item: Any) -> tuple[str, bool]:
    return str(item.get("id")).lower(), bool(item.get("required", True))


class Known:
    """A task as the model knows it: its identifier, and the last it saw and expects."""

    def __init__(self, handle: str, task_id: str, fields: Task) -> None:
        self.handle = handle
        self.id = task_id
        self.fields = fields
        """What must be shown now; a field that is not here may be anything."""
        self.kind = "ok"
        self.wait = 0.0
        self.parent: str | None = None
        self.dependencies: list[tuple[str, bool]] = []
        """Handles, and whether they are required."""
        self.stored = False
        self.updated: str | None = None
        """The last updated_at."""

    @property
    def status(self) -> str:
        """The status that is expected."""
        return str(self.fields.get("status"))

    def unlike(self, task: Task) -> Iterator[Wrong]:
        """Fields that are shown and differ from what they must be."""
        for name, expected in self.fields.items():
            if name in task and not same(name, task[name], expected):
                yield Wrong(f"field-{name}", f"{name} is {task[name]!r:.120}; expected {expected!r:.120}")
