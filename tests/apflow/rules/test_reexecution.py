"""What runs again when a task does."""

from __future__ import annotations

import pytest
from apflow_protocol import Task, TaskStatus
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import A, B, C, D, graphs, needs, statuses, task, uid, unhurried

from protogen_runtime.apflow.rules.reexecution import cascade


def chain(**states: TaskStatus) -> list[Task]:
    """b depends on a, c on b."""
    return [
        task(A, states.get("a", "completed")),
        task(B, states.get("b", "completed"), dependencies=needs(A)),
        task(C, states.get("c", "completed"), dependencies=needs(B, required=False)),
    ]


def test_dependants_run_again_through_all_levels() -> None:
    assert cascade([A], chain()) == [A, B, C]


def test_what_a_task_depends_on_stays() -> None:
    assert cascade([C], chain()) == [C]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_every_terminal_dependant_is_reset(status: TaskStatus) -> None:
    assert cascade([A], chain(b=status)) == [A, B, C]


@pytest.mark.parametrize("status", ["pending", "in_progress"])
def test_dependant_that_has_not_ended_is_left_and_looked_behind(status: TaskStatus) -> None:
    assert cascade([A], chain(b=status)) == [A, C]


def test_what_waits_for_the_tasks_is_found_where_it_is_asked_for() -> None:
    assert cascade([A], chain(b="pending", c="pending"), states={"pending"}) == [A, B, C]
    assert cascade([A], chain(b="pending"), states={"pending"}) == [A, B]


def test_each_task_is_listed_once() -> None:
    diamond = [*chain(), task(D, "completed", dependencies=needs(A, B, C))]
    assert cascade([B, A, B], diamond) == [B, A, C, D]


def test_children_are_no_dependants() -> None:
    assert cascade([A], [task(A, "completed"), task(B, "completed", parent_id=A)]) == [A]


@unhurried
@given(graphs, st.data())
def test_cascade_is_the_closure_of_dependants(graph: list[list[int]], data: st.DataObject) -> None:
    tasks = [
        task(uid(node), data.draw(statuses), dependencies=needs(*map(uid, wanted))) for node, wanted in enumerate(graph)
    ]
    start = uid(data.draw(st.integers(0, len(graph) - 1)))
    reached = {start}
    for _ in graph:
        reached |= {it.id for it in tasks for wanted in it.dependencies_or_default if wanted.id in reached}
    ended = {it.id for it in tasks if it.status in ("completed", "failed", "cancelled")}
    found = cascade([start], tasks)
    assert found[0] == start
    assert set(found) == (reached & ended) | {start}
    assert len(found) == len(set(found))
