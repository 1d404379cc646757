"""Trees of tasks: one root, parents inside, dependencies that can be kept."""

from __future__ import annotations

import random
from typing import Any

import pytest
from apflow_protocol import CODEC, Task, TaskStatus, TaskTreeNode
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import A, B, C, D, E, graphs, needs, task, uid, unhurried

from protogen_runtime.apflow.rules import trees
from protogen_runtime.apflow.rules.faults import RuleBroken


def refused(tasks: list[Task], find: Any = None) -> RuleBroken:
    with pytest.raises(RuleBroken) as found:
        trees.check_tree(tasks, find)
    return found.value


def test_tree_has_one_root_in_any_order() -> None:
    tasks = [task(C, parent_id=B), task(B, parent_id=A, dependencies=needs(C)), task(A, dependencies=needs(B))]
    assert trees.check_tree(tasks).id == A


def test_single_task_is_a_tree() -> None:
    assert trees.check_tree([task()]).id == A


def test_child_may_depend_on_its_root_and_the_root_on_its_child() -> None:
    trees.check_tree([task(), task(B, parent_id=A, dependencies=needs(A))])
    trees.check_tree([task(dependencies=needs(B)), task(B, parent_id=A)])


def test_several_roots_are_no_tree() -> None:  # A24, A33
    broken = refused([task(), task(B), task(C, parent_id=A)])
    assert broken.error == "TaskTreeValidationFailed"
    assert (broken.data["roots"], broken.data["count"]) == ([A, B], 2)
    assert broken.data["reason"] == "Several tasks have no parent"


def test_no_task_is_no_tree() -> None:
    assert refused([]).error == "TaskTreeValidationFailed"


@pytest.mark.parametrize(
    ("parents", "cycle"),
    [
        ({A: A}, [A, A]),
        ({A: B, B: A}, [A, B, A]),
        ({A: None, B: C, C: D, D: B}, [B, C, D, B]),
        ({A: None, B: C, C: D, D: C}, [C, D, C]),
    ],
)
def test_parents_in_a_circle_are_no_tree(parents: dict[str, str | None], cycle: list[str]) -> None:
    broken = refused([task(id_, parent_id=parent) for id_, parent in parents.items()])
    assert (broken.error, broken.data["cycle"]) == ("TaskTreeValidationFailed", cycle)


def test_same_id_twice_is_no_tree() -> None:
    broken = refused([task(), task(B, parent_id=A), task(B, parent_id=A)])
    assert broken.error == "TaskTreeValidationFailed"
    assert (broken.data["actual"], broken.data["path"]) == (B, ["tasks", 2, "id"])


def test_dangling_parents_are_all_listed() -> None:  # A60
    broken = refused([task(), task(B, parent_id=D), task(C, parent_id=E)])
    assert broken.error == "InvalidParentReference"
    assert [fault["path"] for fault in broken.data["errors"]] == [["tasks", 1, "parent_id"], ["tasks", 2, "parent_id"]]


def test_dangling_dependencies_are_all_listed() -> None:  # A60
    broken = refused([task(dependencies=needs(B, D)), task(B, parent_id=A, dependencies=needs(E))])
    assert broken.error == "InvalidDependencyReference"
    assert [fault["path"] for fault in broken.data["errors"]] == [
        ["tasks", 0, "dependencies", 1, "id"],
        ["tasks", 1, "dependencies", 0, "id"],
    ]


def test_dependencies_in_a_circle_are_refused_with_the_circle() -> None:
    broken = refused([task(), task(B, parent_id=A, dependencies=needs(C)), task(C, parent_id=A, dependencies=needs(B))])
    assert (broken.error, broken.data) == ("CircularDependency", {"cycle": [B, C, B]})


def test_part_of_a_stored_flow_may_refer_to_the_rest_of_it() -> None:  # A21
    stored = {A: task(), B: task(B, parent_id=A)}
    part = task(C, parent_id=A, dependencies=needs(B))
    assert trees.check_tree([part], stored.get) is part
    assert refused([part]).error == "InvalidParentReference"


def test_two_parts_of_a_flow_are_no_tree() -> None:
    stored = {A: task()}
    broken = refused([task(B, parent_id=A), task(C, parent_id=A)], stored.get)
    assert (broken.error, broken.data["roots"]) == ("TaskTreeValidationFailed", [B, C])


def test_circle_through_stored_tasks_is_found() -> None:
    stored = {A: task(), B: task(B, parent_id=A, dependencies=needs(C)), C: task(C, parent_id=A)}
    broken = refused([task(C, parent_id=A, dependencies=needs(B))], stored.get)
    assert (broken.error, broken.data) == ("CircularDependency", {"cycle": [C, B, C]})


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_depth_is_no_matter_of_recursion(count: int) -> None:
    chain = [
        task(uid(n), parent_id=uid(n - 1) if n else None, dependencies=needs(uid(n - 1)) if n else [])
        for n in range(count)
    ]
    assert trees.check_tree(chain).id == uid(0)
    assert trees.check_tree(chain[::-1]).id == uid(0)
    depth, node = 1, trees.build_tree(uid(0), chain)
    while node.children:
        (node,) = node.children
        depth += 1
    assert depth == count


# --- parents of one task --------------------------------------------------------------------------


def test_parent_that_exists_passes() -> None:  # A36
    trees.check_parent(task(B, parent_id=A), {A: task()}.get)
    trees.check_parent(task(B), {}.get)


@pytest.mark.parametrize(
    ("parent_id", "reason"), [(D, "No such task"), (A, "itself"), (C, "below it")], ids=["unknown", "itself", "below"]
)
def test_parent_that_is_unknown_or_not_above_is_refused(parent_id: str, reason: str) -> None:  # A59
    stored = {A: task(), B: task(B, parent_id=A), C: task(C, parent_id=B)}
    with pytest.raises(RuleBroken) as found:
        trees.check_parent(task(parent_id=parent_id), stored.get, at=("updates",))
    assert found.value.error == "InvalidParentReference"
    assert reason in found.value.data["reason"]
    assert (found.value.data["actual"], found.value.data["path"]) == (parent_id, ["updates", "parent_id"])


# --- building -------------------------------------------------------------------------------------


def flat(node: TaskTreeNode) -> list[str]:
    return [node.task.id, *(id_ for child in node.children_or_default for id_ in flat(child))]


def random_tree(graph: list[list[int]]) -> list[Task]:
    """A tree of as many tasks as the graph has nodes; each one's first edge chooses its parent among those before."""
    return [task(uid(n), parent_id=uid(edges[0] % n if edges else 0) if n else None) for n, edges in enumerate(graph)]


def test_children_stand_below_their_parent_in_the_order_given() -> None:
    root, first, second, below = task(), task(C, parent_id=A), task(B, parent_id=A), task(D, parent_id=B)
    assert trees.build_tree(A, [below, first, second, root, task(E)]) == TaskTreeNode(
        task=root,
        children=[
            TaskTreeNode(task=first, children=[]),
            TaskTreeNode(task=second, children=[TaskTreeNode(task=below, children=[])]),
        ],
    )


def test_tree_of_a_task_that_is_no_root_is_what_is_below_it() -> None:  # A31
    tasks = [task(), task(B, parent_id=A), task(C, parent_id=B), task(D, parent_id=A)]
    assert flat(trees.build_tree(B, tasks)) == [B, C]


def test_what_is_below_a_task_is_found_in_any_order() -> None:
    tasks = [task(E, parent_id=D), task(D, parent_id=B), task(C, parent_id=A), task(B, parent_id=A), task()]
    assert trees.below(A, tasks) == [C, B, D, E]
    assert trees.below(B, tasks) == [D, E]
    assert trees.below(E, tasks) == []


def test_tree_of_an_unknown_task_is_an_error() -> None:
    with pytest.raises(KeyError):
        trees.build_tree(B, [task()])


@unhurried
@given(graphs, st.randoms(use_true_random=False))
def test_tree_holds_each_task_once_below_its_parent(graph: list[list[int]], shuffle: random.Random) -> None:
    tasks = random_tree(graph)
    listed = tasks[:]
    shuffle.shuffle(listed)
    tree = trees.build_tree(uid(0), listed)
    assert sorted(flat(tree)) == [each.id for each in tasks]
    pending = [tree]
    while pending:
        node = pending.pop()
        children = node.children_or_default
        assert [child.task for child in children] == [each for each in listed if each.parent_id == node.task.id]
        pending += children


@unhurried
@given(graphs)
def test_written_tree_is_the_built_tree(graph: list[list[int]]) -> None:
    tasks = random_tree(graph)
    texts = {each.id: CODEC.encode(each) for each in tasks}
    children = {each.id: [other.id for other in tasks if other.parent_id == each.id] for each in tasks}
    written = trees.write_tree(uid(0), children.__getitem__, texts.__getitem__)
    assert written == CODEC.encode(trees.build_tree(uid(0), tasks))


# --- deletion -------------------------------------------------------------------------------------


def test_pending_task_that_nothing_refers_to_can_be_deleted() -> None:
    trees.check_deletion(task(), children=[], dependants=[])


@pytest.mark.parametrize(
    ("status", "children", "dependants", "reason"),
    [
        ("in_progress", [], [], "it is in_progress, not pending"),
        ("completed", [], [], "it is completed, not pending"),
        ("pending", [B], [], "it has children"),
        ("pending", [], [C], "other tasks depend on it"),
        ("failed", [B], [C], "it is failed, not pending; it has children; other tasks depend on it"),
    ],
)
def test_other_tasks_cannot_be_deleted(  # A27, A28
    status: TaskStatus, children: list[str], dependants: list[str], reason: str
) -> None:
    with pytest.raises(RuleBroken) as found:
        trees.check_deletion(task(status=status), children=children, dependants=dependants)
    assert found.value.error == "CannotDeleteTask"
    assert found.value.data == {
        "task_id": A,
        "reason": reason,
        "current_status": status,
        "children": children,
        "dependants": dependants,
    }
