"""Updates: what a caller may change of a stored task.

Knows no store: other tasks are looked up through the function that the caller gives. Sources: 06-interfaces.md,
tasks.update; A19, A29, A46, A54.

Clauses: AF-UPDATE-001 to -003, AF-STORE-005, AF-TIME-008, AF-STATE-006.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from apflow_protocol import CODEC, Json, Task, TaskInput, TaskStatus, TaskUpdates
from apflow_protocol.rpc.boundary import to_json
from apflow_protocol.rpc.jsonvalue import same
from msgspec import UNSET
from msgspec.structs import replace

from .consistency import faults_of_definition
from .creation import canonical_dependencies, unknown_members
from .dependencies import check_all_dependencies
from .faults import FieldFault, Path, already_executing, refusal, refused_transition
from .fields import FIELDS, faults_of_decoded
from .ids import canonical
from .provenance import check_changeable, check_origin
from .schedules import next_run_of
from .timestamps import kept, later
from .transitions import cancel, check_transition, reset
from .trees import check_parents

WRITABLE: Final = tuple(name for name in TaskUpdates.__struct_fields__ if name not in ("status", "extra"))
"""Fields that a caller may set at all."""

FIXED_WHILE_EXECUTING: Final = frozenset({"parent_id", "user_id", "inputs", "schemas", "params", "dependencies"})
"""Fields that stay while a task is in progress: its place and owner (06-interfaces.md), and what its executor has."""

BY_CALLER: Final[frozenset[tuple[TaskStatus, TaskStatus]]] = frozenset(
    {("pending", "cancelled"), ("in_progress", "cancelled"), ("failed", "pending")}
)
"""Transitions that a caller may ask for by tasks.update; the others happen when the node executes the task."""

SCHEDULE: Final = frozenset(name for name in WRITABLE if name.startswith("schedule_") or name == "max_runs")
"""Fields that decide when a task is triggered next."""

_IDS: Final = frozenset({"parent_id", "original_task_id"})
_TIMES: Final = frozenset({"schedule_start_at", "schedule_end_at"})

Find = Callable[[str], Task | None]


def apply_updates(task: Task, updates: TaskUpdates, *, now: str, find: Find, at: Path = ("updates",)) -> Task:
    """The changed task, wholly checked; the very same task where nothing changes (A54).

    `find` gives a stored task that the caller may see. Errors: those of `change` and `check_references`; the task is
    then as it was.
    """
    changed = change(task, updates, now=now, at=at)
    check_references([(task, changed, at)], find)
    return changed


def change(task: Task, updates: TaskUpdates, *, now: str, at: Path = ("updates",)) -> Task:
    """The changed task, checked but for what it refers to; the very same task where nothing changes (A54).

    The status "cancelled" cancels it, with `error` as the message (the caller stops the executor); "pending" resets a
    failed one. Fields that only a node sets must be what they are, or what they become. Errors: RuleBroken
    InvalidTaskSchema, InvalidStateTransition, TaskAlreadyExecuting.
    """
    _refuse(faults_of_decoded(updates, at=at))
    changes = _changes(task, updates)
    has_status = updates.status is not UNSET
    if changes or has_status:
        check_changeable(task)
    if task.status == "in_progress" and _touches_execution(task, updates, changes):
        raise already_executing(task.id)
    changed = _moved(task, updates, now) if has_status else task
    _check_set_by_node(task, changed, updates, at)
    if not changes:
        return changed
    changed = replace(changed, **changes, updated_at=later(task.updated_at, now))
    if not SCHEDULE.isdisjoint(changes):
        changed = replace(changed, next_run_at=next_run_of(changed, after=now))
    _refuse(faults_of_definition(changed, at=at))
    return changed


def check_references(changes: Sequence[tuple[Task, Task, Path]], find: Find) -> None:
    """Nothing where tasks that change together refer to what there is, and neither to themselves nor in a circle.

    Each is the task before and after, and the path to it in the params. Linear in all that they lead to. Errors:
    RuleBroken InvalidParentReference, InvalidDependencyReference, CircularDependency, InvalidTaskSchema.
    """
    check_parents([(after, at) for before, after, at in changes if after.parent_id != before.parent_id], find)
    check_all_dependencies(
        [(after, at) for before, after, at in changes if after.dependencies != before.dependencies], find
    )
    for before, after, at in changes:
        if (after.origin_type, after.original_task_id) != (before.origin_type, before.original_task_id):
            check_origin(after, find, at=at)


def updates_of(input: TaskInput) -> TaskUpdates:  # noqa: A002  # the protocol's name
    """What a caller who executes a stored task again asks to change of it: the fields that it sets (A21, A55).

    The id names the task; fields that only a node sets come from reading the task and ask for nothing.
    """
    given = {name: value for name in WRITABLE if (value := getattr(input, name)) is not UNSET}
    return TaskUpdates(**given, extra=unknown_members(input.extra))


def _changes(task: Task, updates: TaskUpdates) -> dict[str, Json]:
    """The fields that get another value."""
    changes: dict[str, Json] = {}
    for name in WRITABLE:
        value = getattr(updates, name)
        if value is UNSET:
            continue
        if value and name in _IDS:
            value = canonical(value)
        elif value and name in _TIMES:
            value = kept(value)
        elif value and name == "dependencies":
            value = canonical_dependencies(value)
        if _differs(value, getattr(task, name)):
            changes[name] = value
    unknown = unknown_members(updates.extra)
    if unknown is not UNSET:
        before = task.extra if task.extra is not UNSET else {}
        if _differs({**before, **unknown}, before):
            changes["extra"] = {**before, **unknown}
    return changes


def _differs(one: Json, other: Json) -> bool:
    """Whether two values differ as JSON: true is not 1, but 1 is 1.0."""
    try:
        return CODEC.encode(one) != CODEC.encode(other) and not same(to_json(one), to_json(other))
    except RecursionError:  # too deep to tell; whoever stores the task will refuse it
        return True


def _touches_execution(task: Task, updates: TaskUpdates, changes: dict[str, Json]) -> bool:
    if not FIXED_WHILE_EXECUTING.isdisjoint(changes):
        return True
    return updates.extra is not UNSET and "id" in updates.extra and canonical(updates.extra["id"]) != task.id


def _moved(task: Task, updates: TaskUpdates, now: str) -> Task:
    """The task in its new state, where that is one that a caller may ask for."""
    to = updates.status
    assert to is not UNSET
    check_transition(task, to)
    if (task.status, to) not in BY_CALLER:
        reason = "only the node takes a task there, by executing it: call tasks.execute"
        raise refused_transition(task.id, current=task.status, to=to, reason=reason)
    if to == "pending":
        return reset(task, now=now)
    message = updates.extra.get("error") if updates.extra is not UNSET else None
    return cancel(task, now=now, error=message)


def _check_set_by_node(task: Task, changed: Task, updates: TaskUpdates, at: Path) -> None:
    """Nothing where fields that a caller cannot set are as before or as after: clients send whole tasks back."""
    if updates.extra is UNSET:
        return
    faults: list[FieldFault] = []
    for name, value in updates.extra.items():
        if name not in FIELDS:
            continue
        given = canonical(value) if name == "id" else value
        if _differs(given, getattr(task, name)) and _differs(given, getattr(changed, name)):
            reason = "Never changes" if name == "id" else "Set by the node alone"
            expected = getattr(task, name)
            faults.append(FieldFault(field=name, reason=reason, expected=expected, actual=value, path=(*at, name)))
    _refuse(faults)


def _refuse(faults: list[FieldFault]) -> None:
    if faults:
        raise refusal("InvalidTaskSchema", faults)
