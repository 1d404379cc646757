"""What waits for what, and circles."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from apflow_protocol import Task, TaskStatus
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import A, B, C, D, graphs, needs, task, uid, unhurried

from protogen_runtime.apflow.rules import dependencies
from protogen_runtime.apflow.rules.faults import RuleBroken

OUTCOMES = [
    # state of the dependency, required, readiness of the dependant
    ("pending", True, "waiting"),
    ("in_progress", True, "waiting"),
    ("completed", True, "ready"),
    ("failed", True, "blocked"),
    ("cancelled", True, "blocked"),
    (None, True, "blocked"),
    ("pending", False, "waiting"),
    ("in_progress", False, "waiting"),
    ("completed", False, "ready"),
    ("failed", False, "ready"),
    ("cancelled", False, "ready"),
    (None, False, "ready"),
]


@pytest.mark.parametrize(("status", "required", "expected"), OUTCOMES)
def test_readiness_follows_the_dependency(status: TaskStatus | None, required: bool, expected: str) -> None:
    dependant = task(dependencies=needs(B, required=required))
    assert dependencies.readiness(dependant, {B: status}.get) == expected


def test_dependency_is_required_unless_it_says_otherwise() -> None:
    assert dependencies.readiness(task(dependencies=needs(B)), lambda _: "failed") == "blocked"


def test_task_without_dependencies_is_ready() -> None:
    assert dependencies.readiness(task(), lambda _: None) == "ready"


@pytest.mark.parametrize("order", [(B, C, D), (D, C, B)])
def test_one_lost_dependency_blocks_whatever_the_others_do(order: tuple[str, ...]) -> None:
    states: dict[str, TaskStatus] = {B: "pending", C: "failed", D: "completed"}
    assert dependencies.readiness(task(dependencies=needs(*order)), states.get) == "blocked"


@unhurried
@given(st.lists(st.sampled_from(OUTCOMES)))
def test_readiness_of_many_is_the_worst_of_each(wanted: list[tuple[TaskStatus | None, bool, str]]) -> None:
    listed = [
        dependency
        for index, (_, required, _) in enumerate(wanted)
        for dependency in needs(uid(index), required=required)
    ]
    states = {uid(index): status for index, (status, _, _) in enumerate(wanted)}
    expected = max((each for _, _, each in wanted), key=("ready", "waiting", "blocked").index, default="ready")
    assert dependencies.readiness(task(dependencies=listed), states.get) == expected


# --- circles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ({}, None),
        ({"a": []}, None),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["a"]}, ["a", "b", "a"]),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, None),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b", "c", "b"]),
        ({"a": ["nowhere"]}, None),
    ],
)
def test_circle_is_named_with_its_first_task_repeated(edges: dict[str, list[str]], cycle: list[str] | None) -> None:
    assert dependencies.find_cycle(edges) == cycle


@unhurried
@given(graphs)
def test_circle_is_found_where_there_is_one_and_is_real(graph: list[list[int]]) -> None:
    edges = {str(node): [str(wanted) for wanted in wanteds] for node, wanteds in enumerate(graph)}
    found = dependencies.find_cycle(edges)
    try:
        tuple(TopologicalSorter(edges).static_order())
    except CycleError:
        assert found is not None
        assert found[0] == found[-1]
        assert len(set(found)) == len(found) - 1
        assert all(wanted in edges[one] for one, wanted in pairwise(found))
    else:
        assert found is None


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("step", [1, -1])
def test_long_chain_is_no_matter_of_recursion(step: int, count: int) -> None:
    edges = {str(node): [str(node + 1)] for node in range(count)[::step] if node + 1 < count}
    assert dependencies.find_cycle(edges) is None
    edges[str(count - 1)] = ["0"]
    found = dependencies.find_cycle(edges)
    assert found is not None
    assert len(found) == count + 1


# --- references -----------------------------------------------------------------------------------


def test_known_dependencies_pass() -> None:
    dependencies.check_dependencies(task(dependencies=needs(B, C)), {B: task(B), C: task(C)}.get)


def test_dependency_on_a_task_of_another_flow_is_accepted() -> None:  # A35
    other_flow = task(B, parent_id=C)
    dependencies.check_dependencies(task(parent_id=D, dependencies=needs(B)), {B: other_flow}.get)


def test_unknown_dependencies_are_all_listed() -> None:  # A59
    with pytest.raises(RuleBroken) as found:
        dependencies.check_dependencies(task(dependencies=needs(B, C, D)), {C: task(C)}.get, at=("updates",))
    assert found.value.error == "InvalidDependencyReference"
    listed = [(fault["actual"], fault["path"]) for fault in found.value.data["errors"]]
    assert listed == [
        (B, ["updates", "dependencies", 0, "id"]),
        (D, ["updates", "dependencies", 2, "id"]),
    ]


def test_dependency_on_itself_is_a_circle_of_one() -> None:  # A10
    with pytest.raises(RuleBroken) as found:
        dependencies.check_dependencies(task(dependencies=needs(B, A)), {A: task(), B: task(B)}.get)
    assert (found.value.error, found.value.data) == ("CircularDependency", {"cycle": [A, A]})


def test_update_that_closes_a_circle_is_refused() -> None:
    stored = {A: task(), B: task(B, dependencies=needs(C)), C: task(C, dependencies=needs(A))}
    with pytest.raises(RuleBroken) as found:
        dependencies.check_dependencies(task(dependencies=needs(B)), stored.get)
    assert (found.value.error, found.value.data) == ("CircularDependency", {"cycle": [A, B, C, A]})


def test_new_task_costs_no_walk_over_all_that_it_needs() -> None:
    stored = {uid(n): task(uid(n), dependencies=needs(uid(n - 1)) if n > 100 else []) for n in range(100, 150)}
    asked: list[str] = []

    def find(id_: str) -> Task | None:
        asked.append(id_)
        return stored.get(id_)

    dependencies.check_dependencies(task(dependencies=needs(uid(149))), find)
    assert len(asked) == 2


def test_what_a_task_needs_is_found_through_all_levels() -> None:
    stored = {A: task(dependencies=needs(B, D)), B: task(B, dependencies=needs(C)), C: task(C, dependencies=needs(A))}
    assert dependencies.needed([A], stored) == [A, B, C]


# --- a required dependency outside of the run -----------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_single_task_with_a_lost_dependency_outside_of_the_run_is_refused(status: TaskStatus) -> None:  # A11
    with pytest.raises(RuleBroken) as found:
        dependencies.check_outside([task(dependencies=needs(B))], {B: status}.get)
    assert found.value.error == "DependencyNotSatisfied"
    assert (found.value.data["task_id"], found.value.data["dependency_id"]) == (A, B)
    assert found.value.data["dependency_status"] == status


@pytest.mark.parametrize(
    ("tasks", "status"),
    [
        ([task(dependencies=needs(B))], "completed"),
        ([task(dependencies=needs(B))], "pending"),
        ([task(dependencies=needs(B, required=False))], "failed"),
        ([task(dependencies=needs(B)), task(C)], "failed"),
    ],
)
def test_other_runs_wait_or_go_on(tasks: list[Task], status: TaskStatus) -> None:  # A11
    dependencies.check_outside(tasks, {B: status}.get)
