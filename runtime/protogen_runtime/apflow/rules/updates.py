"""Updates: what a caller may change of a stored task.

Knows no store: other tasks are looked up through the function that the caller gives.
"""

from __future__ import annotations

from collections.abc import Callable

from apflow_protocol import Task, TaskUpdates


def apply_updates(task: Task, updates: TaskUpdates, *, now: str, find: Callable[[str], Task | None]) -> Task:
    """The changed task, wholly checked; the task itself where nothing changes.

    A status of "cancelled" cancels it (the caller stops the executor), "pending" resets a failed one. `find` gives
    a stored task that the caller may see. Errors: RuleBroken of any kind that tasks.update lists.
    """
    raise NotImplementedError
