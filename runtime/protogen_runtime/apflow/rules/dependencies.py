"""Dependencies: whether a task can start, and whether tasks depend on each other in a circle.

Knows no store: states and tasks are looked up through the functions that callers give.

Clauses: AF-DEP-001 to -005, AF-DEP-007 to -015, AF-ERR-010, AF-ERR-015, AF-ERR-019.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from apflow_protocol import Dependency, Task, TaskStatus

from .faults import FieldFault, Path, RuleBroken, circular, refusal

Readiness: TypeAlias = Literal["ready", "waiting", "blocked"]
"""Whether a pending task can start now, may later, or cannot unless something runs again."""


def dependencies_of(task: Task) -> Sequence[Dependency]:
    """The dependencies of a task, none where the field is absent."""
    return task.dependencies or ()


def dependency_ids(task: Task) -> list[str]:
    """The ids that a task depends on."""
    return [dependency.id for dependency in task.dependencies or ()]


def readiness(task: Task, status_of: Callable[[str], TaskStatus | None]) -> Readiness:
    """Whether the dependencies of a pending task let it start (04-execution-lifecycle.md, Dependency Resolution).

    Each must have ended, and each required one must be completed. `status_of` gives the state of a task by its id, None
    for one that is gone: that has ended, but was not completed.
    """
    found: Readiness = "ready"
    for dependency in task.dependencies or ():
        status = status_of(dependency.id)
        if status == "completed":
            continue
        if status == "pending" or status == "in_progress":  # two comparisons beat a set here
            found = "waiting"
        elif dependency.required is not False:
            return "blocked"
    return found


def find_cycle(edges: Mapping[str, Collection[str]]) -> list[str] | None:
    """One circle of ids, the first repeated at the end; None where there is none. Linear, and not recursive.

    `edges` maps each id to those it depends on; an id without an entry depends on nothing.
    """
    done: set[str] = set()
    for start, first in edges.items():
        if done.issuperset(first):
            done.add(start)  # always so where tasks are listed after what they depend on
        if start in done:
            continue
        trail = [start]
        on_trail = {start}
        left: list[Iterator[str]] = [iter(edges[start])]
        while trail:
            for wanted in left[-1]:
                if wanted in on_trail:
                    return [*trail[trail.index(wanted) :], wanted]
                if wanted not in done and wanted in edges:
                    trail.append(wanted)
                    on_trail.add(wanted)
                    left.append(iter(edges[wanted]))
                    break
            else:
                left.pop()
                last = trail.pop()
                on_trail.remove(last)
                done.add(last)
    return None


def needed(start_ids: Iterable[str], tasks: Mapping[str, Task]) -> list[str]:
    """`start_ids`, then everything among `tasks` that they depend on, directly or not; each id once."""
    found = dict.fromkeys(start_ids)
    pending = list(found)
    while pending:
        task = tasks.get(pending.pop())
        for wanted in dependency_ids(task) if task else ():
            if wanted not in found and wanted in tasks:
                found[wanted] = None
                pending.append(wanted)
    return list(found)


def check_dependencies(task: Task, find: Callable[[str], Task | None], *, at: Path = ()) -> None:
    """Nothing where the dependencies of one task exist and none leads back to it: see `check_all_dependencies`."""
    check_all_dependencies([(task, at)], find)


def check_all_dependencies(tasks: Sequence[tuple[Task, Path]], find: Callable[[str], Task | None]) -> None:
    """Nothing where what tasks that change together depend on exists, and none leads back to itself.

    For creation and update. Each task comes with the path to it in the params; `find` gives a stored task that the
    caller may see. Linear in all that the tasks lead to.
    Errors: RuleBroken CircularDependency (A10), InvalidDependencyReference (A59).
    """
    changed = {task.id: task for task, _ in tasks}

    def look(id_: str) -> Task | None:
        return changed.get(id_) or find(id_)

    edges: dict[str, list[str]] = {}
    unknown: list[FieldFault] = []
    for task, at in tasks:
        ids = dependency_ids(task)
        if task.id in ids:
            raise circular([task.id, task.id])
        unknown += [unknown_dependency(id_, index, at=at) for index, id_ in enumerate(ids) if look(id_) is None]
        # A task that is not stored yet is nobody's dependency: walking all that it needs would be in vain.
        if ids and find(task.id) is not None:
            edges[task.id] = ids
    if unknown:
        raise refusal("InvalidDependencyReference", unknown)
    reach(edges, [id_ for ids in edges.values() for id_ in ids], look)
    cycle = find_cycle(edges)
    if cycle is not None:
        raise circular(cycle)


def reach(edges: dict[str, list[str]], start_ids: Iterable[str], find: Callable[[str], Task | None]) -> None:
    """Add to `edges` the dependencies of every stored task that `start_ids` lead to and that has no entry yet."""
    pending = list(start_ids)
    while pending:
        id_ = pending.pop()
        if id_ not in edges and (task := find(id_)) is not None:
            edges[id_] = dependency_ids(task)
            pending += edges[id_]


def unknown_dependency(id: str, index: int, *, at: Path = ()) -> FieldFault:  # noqa: A002  # the protocol's name
    """The fault of a dependency that refers to no task."""
    return FieldFault(
        field=f"dependencies[{index}].id",
        reason="No such task",
        expected="the id of an existing task of the same flow",
        actual=id,
        path=(*at, "dependencies", index, "id"),
    )


def check_outside(tasks: Sequence[Task], status_of: Callable[[str], TaskStatus | None]) -> None:
    """Nothing unless a single task is to run whose required dependency, outside of the run, did not succeed (A11).

    In a run of several tasks the others go on, and the blocked one stays pending.
    Errors: RuleBroken DependencyNotSatisfied.
    """
    if len(tasks) != 1:
        return
    (task,) = tasks
    for dependency in dependencies_of(task):
        status = status_of(dependency.id)
        if dependency.required is not False and status in ("failed", "cancelled"):
            raise RuleBroken(
                "DependencyNotSatisfied",
                {
                    "task_id": task.id,
                    "dependency_id": dependency.id,
                    "dependency_status": status,
                    "reason": f"a required dependency is {status}; execute it again, or as part of this run",
                },
            )
