"""Creation: a whole task from what a caller describes.

Knows no store: whether parents, dependencies and sources exist is asked of `trees`, `dependencies` and `provenance`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apflow_protocol import Task, TaskInput, TasksCreateParams


def complete(input: TaskInput | TasksCreateParams, *, id: str, now: str, user_id: str | None = None) -> Task:  # noqa: A002  # the protocol's names
    """The pending task with every one of the 29 fields set; nothing is checked.

    `id` is the new identifier; `user_id` the authenticated caller, None to take the input's own.
    """
    raise NotImplementedError


def create(params: TasksCreateParams, *, id: str, now: str, user_id: str | None = None) -> Task:  # noqa: A002  # the protocol's name
    """The task of tasks.create, checked as far as it can be without other tasks.

    Errors: RuleBroken InvalidParams for a field, InvalidTaskSchema for fields that do not fit each other (A9).
    """
    raise NotImplementedError


def create_all(
    inputs: Sequence[TaskInput], *, new_id: Callable[[], str], now: str, user_id: str | None = None
) -> list[Task]:
    """The tasks of tasks.execute in their order, each checked by itself; those without an id get one.

    Errors: RuleBroken InvalidTaskSchema with the faults of all of them.
    """
    raise NotImplementedError
