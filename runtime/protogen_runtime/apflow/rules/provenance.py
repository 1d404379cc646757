"""Provenance: links, copies and archives, and the tasks that they come from.

Knows no store: sources are looked up through the function that the caller gives.

Clauses: AF-DATA-032 to -035, AF-COPY-006.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from apflow_protocol import OriginType, Task
from msgspec.structs import replace

from .faults import FieldFault, Path, RuleBroken, refusal
from .timestamps import later

NEEDS_COMPLETED: Final[frozenset[OriginType]] = frozenset({"link", "archive"})
"""Origins whose source must be completed (03-data-model.md, origin_type values)."""


def check_origin(task: Task, find: Callable[[str], Task | None], *, at: Path = ()) -> None:
    """Nothing where the source of a link or an archive exists and is completed, before it is created or executed.

    `find` gives a stored task that the caller may see. Errors: RuleBroken InvalidTaskSchema (A46).
    """
    origin, source_id = task.origin_type, task.original_task_id
    if origin not in NEEDS_COMPLETED or not source_id:
        return  # a link without a source is a fault of the task itself: consistency
    source = find(source_id)
    if source is not None and source.status == "completed":
        return
    fault = FieldFault(
        field="original_task_id",
        reason="No such task" if source is None else f"The source is {source.status}",
        expected=f"the id of a completed task, since origin_type is {origin}",
        actual=source_id,
        path=(*at, "original_task_id"),
    )
    raise refusal("InvalidTaskSchema", [fault])


def check_changeable(task: Task) -> None:
    """Nothing unless the task is an archive, which is never changed. Errors: RuleBroken InvalidTaskSchema (A46)."""
    if task.origin_type == "archive":
        raise RuleBroken(
            "InvalidTaskSchema",
            {
                "field": "origin_type",
                "reason": "An archive cannot be modified",
                "expected": "a task that is no archive; copy it to change it",
                "actual": "archive",
                "task_id": task.id,
            },
        )


def referenced(source: Task, *, now: str) -> Task:
    """The source, marked as one that another task links to, copies or archives; itself where it is marked already."""
    if source.has_references is True:
        return source
    return replace(source, has_references=True, updated_at=later(source.updated_at, now))
