"""Copies of tasks."""

from __future__ import annotations

from typing import Any

import pytest
from apflow_protocol import TASK_STATUS_VALUES, Task, TaskSchemas, TaskStatus
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict
from rule_cases import NOW, A, B, C, D, E, graphs, ids, needs, task, uid, unhurried

from protogen_runtime.apflow.rules.consistency import faults_of_task
from protogen_runtime.apflow.rules.copying import copy
from protogen_runtime.apflow.rules.trees import check_tree

DEFINITION: dict[str, Any] = {
    "name": "sum",
    "user_id": "u",
    "priority": 0,
    "inputs": {"n": 1},
    "schemas": TaskSchemas(method="echo"),
    "params": {"p": 1},
    "extra": {"x-note": 1},
}


def copied(root: Task, *others: Task, copy_children: bool = True) -> list[Task]:
    stored = {each.id: each for each in (root, *others)}
    children = [each for each in others if each.parent_id == root.id]
    return copy(root, children, stored, copy_children=copy_children, new_id=ids(), now=NOW)


@pytest.mark.parametrize("status", TASK_STATUS_VALUES)
def test_copy_has_the_definition_and_starts_afresh(status: TaskStatus) -> None:
    source = task(A, status, **DEFINITION, dependencies=needs(D, required=False), parent_id=B, has_references=True)
    (copy_,) = copied(source, copy_children=False)
    assert copy_ == task(
        uid(0x100),
        **DEFINITION,
        dependencies=needs(D, required=False),
        created_at=NOW,
        updated_at=NOW,
        origin_type="copy",
        original_task_id=A,
    )


def test_source_stays_as_it_is() -> None:  # A23
    root, child = task(A, "completed", **DEFINITION), task(B, "failed", parent_id=A, dependencies=needs(A))
    before = [asdict(root), asdict(child)]
    copied(root, child)
    assert [asdict(root), asdict(child)] == before


def test_children_are_copied_with_what_they_depend_on_and_refer_to_copies() -> None:  # A23
    root = task(A, dependencies=needs(B))
    first = task(B, parent_id=A, dependencies=needs(D))
    second = task(C, parent_id=A, dependencies=needs(B, D, A))
    deep = task(D, parent_id=B)
    other = task(E, parent_id=B)
    copies = copied(root, first, second, deep, other)
    names = {each.original_task_id: each.id for each in copies}
    assert [each.original_task_id for each in copies] == [A, B, C, D]
    assert [each.parent_id for each in copies] == [None, names[A], names[A], names[B]]
    assert [each.dependencies for each in copies] == [
        needs(names[B]),
        needs(names[D]),
        needs(names[B], names[D], names[A]),
        [],
    ]


def test_dependency_from_elsewhere_in_the_flow_is_copied_below_the_new_root() -> None:
    child, elsewhere = task(C, parent_id=B, dependencies=needs(D)), task(D, parent_id=A)
    copies = copied(task(B, parent_id=A), child, elsewhere, task(A))
    assert [each.original_task_id for each in copies] == [B, C, D]
    assert {each.parent_id for each in copies} == {None, copies[0].id}


def test_without_children_dependencies_are_kept_and_resolve() -> None:  # A23
    (copy_,) = copied(task(A, dependencies=needs(B)), task(B, parent_id=A), copy_children=False)
    assert copy_.dependencies == needs(B)


def test_dependency_that_is_gone_is_kept() -> None:
    (copy_,) = copied(task(A, dependencies=needs(E)))
    assert copy_.dependencies == needs(E)


def test_copied_schedule_does_not_trigger_by_itself() -> None:
    source = task(
        schedule_type="daily",
        schedule_expression="09:30",
        schedule_enabled=True,
        next_run_at=NOW,
        last_run_at=NOW,
        max_runs=3,
        run_count=2,
    )
    (copy_,) = copied(source, copy_children=False)
    assert (copy_.schedule_type, copy_.schedule_expression, copy_.max_runs) == ("daily", "09:30", 3)
    assert (copy_.schedule_enabled, copy_.next_run_at, copy_.last_run_at, copy_.run_count) == (False, None, None, 0)


@unhurried
@given(graphs, st.data())
def test_copies_are_a_sound_flow_of_their_own(graph: list[list[int]], data: st.DataObject) -> None:
    parents = [data.draw(st.integers(0, node - 1)) if node else None for node in range(len(graph))]
    flow = [
        task(
            uid(node),
            parent_id=None if parent is None else uid(parent),
            dependencies=needs(*{uid(wanted) for wanted in graph[node] if wanted < node}),
        )
        for node, parent in enumerate(parents)
    ]
    copies = copied(*flow)
    assert check_tree(copies) is copies[0]
    assert len({each.original_task_id for each in copies}) == len(copies)
    assert not {each.id for each in copies} & {each.id for each in flow}
    assert [each for each in copies if faults_of_task(each)] == []
    children = {each.id for each in flow if each.parent_id == uid(0)}
    assert {uid(0), *children} <= {each.original_task_id for each in copies}
