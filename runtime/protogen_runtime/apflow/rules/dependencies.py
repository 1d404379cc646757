"""Dependencies: whether a task can start, and whether tasks depend on each other in a circle.

Knows no store: states and tasks are looked up through the functions that callers give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from apflow_protocol import Task, TaskStatus

Readiness: TypeAlias = Literal["ready", "waiting", "blocked"]
"""Whether a pending task can start now, later, or never (unless something runs again)."""


def readiness(task: Task, status_of: Callable[[str], TaskStatus | None]) -> Readiness:
    """Whether the dependencies of a pending task let it start.

    `status_of` gives the state of a task by its id, None for one that is gone.
    """
    raise NotImplementedError


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """One circle of ids, the first repeated at the end; None where there is none. Linear, and not recursive.

    `edges` maps each id to those it depends on; ids without an entry depend on nothing.
    """
    raise NotImplementedError


def check_dependencies(task: Task, find: Callable[[str], Task | None]) -> None:
    """Nothing where the dependencies of one task exist and lead nowhere back to it, for creation and update.

    `find` gives a stored task that the caller may see.
    Errors: RuleBroken CircularDependency, InvalidDependencyReference.
    """
    raise NotImplementedError


def check_outside(tasks: Sequence[Task], status_of: Callable[[str], TaskStatus | None]) -> None:
    """Nothing where no required dependency outside of `tasks` has failed or was cancelled (A11).

    Errors: RuleBroken DependencyNotSatisfied.
    """
    raise NotImplementedError
