"""Creation: a whole task from what a caller describes.

Knows no store: whether parents, dependencies and sources exist is asked of `trees`, `dependencies` and `provenance`.

Clauses: AF-CREATE-001 to -003, AF-DATA-010, AF-DATA-011, AF-DATA-025, AF-STATE-016, AF-STORE-002, AF-VER-007.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apflow_protocol import Dependency, Json, Task, TaskInput, TasksCreateParams
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from .consistency import faults_of_definition
from .faults import MAX_FAULTS, FieldFault, refusal
from .fields import FIELDS, faults_of_decoded
from .ids import canonical
from .schedules import next_run_of
from .timestamps import kept


def complete(input: TaskInput | TasksCreateParams, *, id: str, now: str, user_id: str | None = None) -> Task:  # noqa: A002  # the protocol's names
    """The pending task with every one of the 29 fields set; nothing is checked.

    `id` is the identifier, `user_id` the authenticated caller, None to take the input's own. Fields that only a node
    sets are not taken over, other unknown members are kept (A16, A52, A53); ids are in lower case (A37).
    """
    parent_id, source_id = input.parent_id, input.original_task_id
    task = Task(
        id=canonical(id),
        parent_id=canonical(parent_id) if parent_id else None,
        user_id=user_id if user_id is not None else (input.user_id or None),
        name=input.name,
        status="pending",
        priority=input.priority_or_default,
        inputs=input.inputs if input.inputs is not UNSET else {},
        schemas=input.schemas or None,
        params=input.params if input.params is not UNSET else None,
        result=None,
        error=None,
        dependencies=canonical_dependencies(input.dependencies) if input.dependencies else [],
        progress=0.0,
        created_at=now,
        started_at=None,
        updated_at=now,
        completed_at=None,
        origin_type=input.origin_type or None,
        original_task_id=canonical(source_id) if source_id else None,
        has_references=False,
        schedule_type=input.schedule_type or None,
        schedule_expression=input.schedule_expression or None,
        schedule_enabled=input.schedule_enabled is True,
        schedule_start_at=kept(input.schedule_start_at) if input.schedule_start_at else None,
        schedule_end_at=kept(input.schedule_end_at) if input.schedule_end_at else None,
        next_run_at=None,
        last_run_at=None,
        max_runs=input.max_runs if input.max_runs is not UNSET else None,
        run_count=0,
        extra=unknown_members(input.extra),
    )
    if task.schedule_enabled:
        return replace(task, next_run_at=next_run_of(task, after=now))
    return task


def create(params: TasksCreateParams, *, id: str, now: str, user_id: str | None = None) -> Task:  # noqa: A002  # the protocol's name
    """The task of tasks.create, checked as far as it can be without other tasks.

    Errors: RuleBroken InvalidParams for a field, InvalidTaskSchema for fields that do not fit each other (A9).
    """
    faults = faults_of_decoded(params)
    if faults:
        raise refusal("InvalidParams", faults)
    task = complete(params, id=id, now=now, user_id=user_id)
    faults = faults_of_definition(task)
    if faults:
        raise refusal("InvalidTaskSchema", faults)
    return task


def create_all(
    inputs: Sequence[TaskInput], *, new_id: Callable[[], str], now: str, user_id: str | None = None
) -> list[Task]:
    """The tasks of tasks.execute in their order, each checked by itself; those without an id get one.

    Errors: RuleBroken InvalidTaskSchema with the faults of all of them, at most MAX_FAULTS (A9).
    """
    tasks: list[Task] = []
    faults: list[FieldFault] = []
    for index, input_ in enumerate(inputs):
        task = complete(input_, id=input_.id or new_id(), now=now, user_id=user_id)
        tasks.append(task)
        at = ("tasks", index)
        faults += faults_of_decoded(input_, at=at)
        faults += faults_of_definition(task, at=at)
        if len(faults) >= MAX_FAULTS:
            break
    if faults:
        raise refusal("InvalidTaskSchema", faults[:MAX_FAULTS])
    return tasks


def unknown_members(extra: dict[str, Json] | UnsetType) -> dict[str, Json] | UnsetType:
    """The members that are no field of a task, to be kept with it; UNSET where there are none."""
    if extra is UNSET:
        return UNSET
    return {name: member for name, member in extra.items() if name not in FIELDS} or UNSET


def canonical_dependencies(dependencies: Sequence[Dependency]) -> list[Dependency]:
    """The dependencies with their ids in lower case, else as they are."""
    return [it if (id_ := canonical(it.id)) is it.id else replace(it, id=id_) for it in dependencies]
