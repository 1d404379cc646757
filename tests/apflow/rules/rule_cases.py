"""Tasks to test rules with: short ways to write them, and strategies that make valid ones."""

from __future__ import annotations

from typing import Any

from apflow_protocol import TASK_STATUS_VALUES, Dependency, Task, TaskInput, TaskStatus
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from protogen_runtime.apflow.rules import creation, transitions

CREATED = "2026-01-01T00:00:00.000000Z"
STARTED = "2026-01-01T00:00:01.000000Z"
ENDED = "2026-01-01T00:00:02.000000Z"
NOW = "2026-01-01T00:00:03.000000Z"


def uid(number: int) -> str:
    """The number as a UUID of version 4."""
    return f"{number:08x}-0000-4000-8000-000000000000"


A, B, C, D, E = (uid(number) for number in range(0xA, 0xF))


def ids(start: int = 0x100) -> Any:
    """A function that gives a new id at each call."""
    numbers = iter(range(start, start + 1_000_000))
    return lambda: uid(next(numbers))


def needs(*wanted: str, required: bool | None = None) -> list[Dependency]:
    """Dependencies on tasks."""
    return [Dependency(id=id_) if required is None else Dependency(id=id_, required=required) for id_ in wanted]


def task(id_: str = A, status: TaskStatus = "pending", **fields: Any) -> Task:
    """A whole task that went through the state machine to its status, then some fields changed."""
    new = creation.complete(TaskInput(name="a task"), id=id_, now=CREATED)
    return replace(in_state(new, status), **fields)


def in_state(new: Task, status: TaskStatus) -> Task:
    """A pending task as it is after it has gone to a status."""
    if status == "pending":
        return new
    started = transitions.start(new, now=STARTED)
    match status:
        case "in_progress":
            return started
        case "completed":
            return transitions.complete(started, now=ENDED, result={"n": 1})
        case "failed":
            return transitions.fail(started, now=ENDED, error="it broke")
        case "cancelled":
            return transitions.cancel(started, now=ENDED, error="no more")


unhurried = settings(deadline=None)
"""For tests that draw values: on a busy machine any of them can take long."""

statuses = st.sampled_from(TASK_STATUS_VALUES)

graphs = st.integers(1, 12).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size)
)
"""Graphs as a list of edges for each node."""
