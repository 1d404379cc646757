"""Trees: the parents of tasks, from a flat list to one root.

Knows no order of execution: parents group tasks, only dependencies order them.

Clauses: AF-TREE-001 to -008, AF-DELETE-001, AF-DELETE-002, AF-STORE-006, AF-STORE-007, AF-STORE-009, AF-ERR-017,
AF-ERR-018, AF-ERR-020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from apflow_protocol import Task, TaskTreeNode

from .dependencies import dependency_ids, find_cycle, reach, unknown_dependency
from .faults import FieldFault, Path, RuleBroken, circular, refusal

MAX_LISTED: Final = 20
"""Ids that the data of an error lists: enough to see what is meant; a tree may have 100,000 tasks."""

Find = Callable[[str], Task | None]


def check_tree(tasks: Sequence[Task], find: Find | None = None) -> Task:
    """The root of the tasks of one flow, where they are a tree whose dependencies can be kept.

    Linear in tasks and dependencies, and not recursive. Parents and dependencies are among the tasks, or stored ones
    that `find` gives, for a run of a part of a flow; the root is the one task whose parent is not among them.
    Errors: RuleBroken TaskTreeValidationFailed, InvalidParentReference, InvalidDependencyReference (A60),
    CircularDependency.
    """
    by_id = _by_id(tasks)
    dangling: list[FieldFault] = []
    roots: list[Task] = []
    for index, task in enumerate(tasks):
        if task.parent_id in by_id:
            continue
        roots.append(task)
        if task.parent_id and (find is None or find(task.parent_id) is None):
            dangling.append(_unknown_parent(task.parent_id, at=("tasks", index)))
    if dangling:
        raise refusal("InvalidParentReference", dangling)
    _check_parents(tasks, by_id, roots)
    _check_dependencies(tasks, by_id, find)
    return roots[0]


def _by_id(tasks: Sequence[Task]) -> dict[str, Task]:
    by_id = {task.id: task for task in tasks}
    if len(by_id) == len(tasks):
        return by_id
    seen: set[str] = set()
    faults: list[FieldFault] = []
    for index, task in enumerate(tasks):
        if task.id in seen:
            path = ("tasks", index, "id")
            expected = "an id of its own for each task"
            faults.append(FieldFault(field="id", reason="Duplicate", expected=expected, actual=task.id, path=path))
        seen.add(task.id)
    raise refusal("TaskTreeValidationFailed", faults)


def _check_parents(tasks: Sequence[Task], by_id: dict[str, Task], roots: list[Task]) -> None:
    if len(roots) > 1:
        listed = [task.id for task in roots[:MAX_LISTED]]
        raise _no_tree("several tasks have no parent", roots=listed, count=len(roots))
    if not roots and not tasks:
        raise _no_tree("there is no task")
    # Up from each task to one that is known to stand below the root; whoever comes back to itself stands in a circle.
    below = {task.id for task in roots}
    for task in tasks:
        trail: dict[str, None] = {}
        above = task.id
        while above not in below:
            if above in trail:
                ids = list(trail)
                raise _no_tree("the parents of tasks form a circle", cycle=[*ids[ids.index(above) :], above])
            trail[above] = None
            above = by_id[above].parent_id or ""
        below.update(trail)


def _check_dependencies(tasks: Sequence[Task], by_id: dict[str, Task], find: Find | None) -> None:
    edges = {task.id: dependency_ids(task) for task in tasks}
    unknown: list[FieldFault] = []
    outside: list[str] = []
    for index, ids in enumerate(edges.values()):
        for number, id_ in enumerate(ids):
            if id_ in by_id:
                continue
            outside.append(id_)
            if find is None or find(id_) is None:
                unknown.append(unknown_dependency(id_, number, at=("tasks", index)))
    if unknown:
        raise refusal("InvalidDependencyReference", unknown)
    if find is not None:
        reach(edges, outside, find)
    cycle = find_cycle(edges)
    if cycle is not None:
        raise circular(cycle)


def _no_tree(reason: str, **detail: object) -> RuleBroken:
    return RuleBroken(
        "TaskTreeValidationFailed",
        {
            "field": "tasks",
            "reason": reason[0].upper() + reason[1:],
            "expected": "tasks of one tree, with one root whose parent_id is null",
            "path": ["tasks"],
            **detail,
        },
    )


def _unknown_parent(parent_id: str, *, at: Path = (), reason: str = "No such task") -> FieldFault:
    return FieldFault(
        field="parent_id",
        reason=reason,
        expected="the id of an existing task that is not below this one",
        actual=parent_id,
        path=(*at, "parent_id"),
    )


def check_parent(task: Task, find: Find, *, at: Path = ()) -> None:
    """Nothing where the parent of one task exists and is not below it; for creation and update: see `check_parents`."""
    check_parents([(task, at)], find)


def check_parents(tasks: Sequence[tuple[Task, Path]], find: Find) -> None:
    """Nothing where the parents of tasks that change together exist, and none is below its child.

    Each task comes with the path to it in the params; `find` gives a stored task that the caller may see. Linear in all
    that is above the tasks. Errors: RuleBroken InvalidParentReference (A59).
    """
    changed = {task.id: task for task, _ in tasks}

    def look(id_: str) -> Task | None:
        return changed.get(id_) or find(id_)

    known: set[str] = set()
    for task, at in tasks:
        if not task.parent_id:
            continue
        if look(task.parent_id) is None:
            raise refusal("InvalidParentReference", [_unknown_parent(task.parent_id, at=at)])
        if task.parent_id != task.id and find(task.id) is None:
            continue  # a task that is not stored yet is nobody's parent, and the way up may be long
        trail = {task.id}
        above: str | None = task.parent_id
        while above and above not in known:
            if above in trail:
                fault = _unknown_parent(task.parent_id, at=at, reason="The parent is the task itself, or below it")
                raise refusal("InvalidParentReference", [fault])
            trail.add(above)
            parent = look(above)
            above = (parent.parent_id or None) if parent else None
        known |= trail


def below(top_id: str, tasks: Iterable[Task]) -> list[str]:
    """The ids of all tasks below one, its children first; linear, and not recursive."""
    children: dict[str, list[str]] = {}
    for task in tasks:
        if task.parent_id:
            children.setdefault(task.parent_id, []).append(task.id)
    found = list(children.get(top_id, ()))
    for id_ in found:
        found += children.get(id_, ())
    return found


def build_tree(root_id: str, tasks: Iterable[Task]) -> TaskTreeNode:
    """The tree below a task: complete tasks, children in the order given. Linear, and not recursive.

    `tasks` holds the task and all below it, and may hold others. Errors: KeyError where none has the id.
    """
    nodes = {task.id: TaskTreeNode(task=task, children=[]) for task in tasks}
    for node in nodes.values():
        parent = nodes.get(node.task.parent_id or "")
        if parent is not None and parent.children:
            parent.children.append(node)
        elif parent is not None:
            parent.children = [node]
    return nodes[root_id]


def write_tree(root_id: str, children_of: Callable[[str], Sequence[str]], text_of: Callable[[str], bytes]) -> bytes:
    """The JSON of `build_tree`, put together from the tasks' own JSON texts, however deep the tree is.

    An encoder that recurses gives up some hundred levels down.
    """
    parts: list[bytes] = [b'{"task":', text_of(root_id), b',"children":[']
    trail = [iter(children_of(root_id))]
    is_first = True
    while trail:
        child = next(trail[-1], None)
        if child is None:
            parts.append(b"]}")
            trail.pop()
            is_first = False
            continue
        parts += (b'{"task":' if is_first else b',{"task":', text_of(child), b',"children":[')
        trail.append(iter(children_of(child)))
        is_first = True
    return b"".join(parts)


def check_deletion(task: Task, *, children: Sequence[str], dependants: Sequence[str]) -> None:
    """Nothing where the task is pending and no other task refers to it (02-core-concepts.md, deleteTask; A27, A28).

    `children` and `dependants` are the ids of tasks that would stay. Errors: RuleBroken CannotDeleteTask.
    """
    reasons: list[str] = []
    if task.status != "pending":
        reasons.append(f"it is {task.status}, not pending")
    if children:
        reasons.append("it has children")
    if dependants:
        reasons.append("other tasks depend on it")
    if reasons:
        raise RuleBroken(
            "CannotDeleteTask",
            {
                "task_id": task.id,
                "reason": "; ".join(reasons),
                "current_status": task.status,
                "children": list(children[:MAX_LISTED]),
                "dependants": list(dependants[:MAX_LISTED]),
            },
        )
