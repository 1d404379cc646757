"""Provenance: links, copies and archives, and the tasks that they come from.

Knows no store: the source is given.
"""

from __future__ import annotations

from collections.abc import Callable

from apflow_protocol import Task

from .faults import Path


def check_origin(task: Task, find: Callable[[str], Task | None], *, at: Path = ()) -> None:
    """Nothing where the source of a link or an archive exists and is completed.

    Errors: RuleBroken InvalidTaskSchema.
    """
    raise NotImplementedError


def check_changeable(task: Task) -> None:
    """Nothing unless the task is an archive, which is never changed. Errors: RuleBroken InvalidTaskSchema (A46)."""
    raise NotImplementedError


def referenced(source: Task, *, now: str) -> Task:
    """The source, marked as one that another task links to, copies or archives; itself where it is marked already."""
    raise NotImplementedError
