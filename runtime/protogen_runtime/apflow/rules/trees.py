"""Trees: the parents of tasks, from a flat list to one root.

Knows no order of execution: parents group tasks, only dependencies order them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from apflow_protocol import Task, TaskTreeNode


def check_tree(tasks: Sequence[Task], find: Callable[[str], Task | None] | None = None) -> Task:
    """The root of the tasks of one flow, where they are a tree; linear in tasks and dependencies.

    References may lead to the tasks themselves or to stored ones that `find` gives (re-execution of a part).
    Errors: RuleBroken TaskTreeValidationFailed, CircularDependency, InvalidDependencyReference.
    """
    raise NotImplementedError


def check_parent(task: Task, find: Callable[[str], Task | None]) -> None:
    """Nothing where the parent of one task exists and is not below it. Errors: RuleBroken InvalidParentReference."""
    raise NotImplementedError


def build_tree(root_id: str, tasks: Iterable[Task]) -> TaskTreeNode:
    """The tree below a task: complete tasks, children in the order given. Linear, and not recursive.

    Errors: KeyError where no task has the id.
    """
    raise NotImplementedError


def check_deletion(task: Task, *, children: Iterable[str], dependants: Iterable[str]) -> None:
    """Nothing where the task is pending and no other task refers to it. Errors: RuleBroken CannotDeleteTask."""
    raise NotImplementedError
