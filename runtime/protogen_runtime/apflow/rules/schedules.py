"""Schedules: six notations of when a task is triggered, and the next time.

Knows no timer: whoever triggers tasks asks for the next time and says when it did.
"""

from __future__ import annotations

from collections.abc import Callable

from apflow_protocol import ScheduleType, Task


def fault_of_expression(type: ScheduleType, expression: str) -> str | None:  # noqa: A002  # the protocol's name
    """What an expression of this type must look like, where it does not; None where it does."""
    raise NotImplementedError


def next_run(
    type: ScheduleType,  # noqa: A002  # the protocol's name
    expression: str,
    *,
    after: str,
    start_at: str | None = None,
    end_at: str | None = None,
    run_count: int = 0,
    max_runs: int | None = None,
) -> str | None:
    """The first time after `after` at which the schedule triggers; None where it never does again (A47).

    Errors: ValueError for an expression that breaks the grammar of its type.
    """
    raise NotImplementedError


def next_run_of(task: Task, *, after: str) -> str | None:
    """`next_run` of a task's own schedule; None where that is not enabled or is faulty."""
    raise NotImplementedError


def triggered(task: Task, *, now: str) -> Task:
    """The task after a trigger: `last_run_at`, `run_count` and `next_run_at` are set anew."""
    raise NotImplementedError


def scope(task: Task, *, subtree: Callable[[str], list[Task]], find: Callable[[str], Task | None]) -> list[str]:
    """The ids that a trigger of the task runs: the tree of a root; a child and what it depends on (04, Scheduling)."""
    raise NotImplementedError
