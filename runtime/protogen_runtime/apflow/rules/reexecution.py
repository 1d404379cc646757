"""Re-execution: which tasks run again when some do.

Knows no store; `transitions.reset` does what happens to each task.

Clauses: AF-REEX-001 to -006, AF-STATE-013.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from apflow_protocol import Task, TaskStatus

from .dependencies import dependency_ids
from .transitions import TERMINAL


def cascade(start_ids: Iterable[str], tasks: Iterable[Task], *, states: Collection[TaskStatus] = TERMINAL) -> list[str]:
    """The ids to reset: `start_ids`, then their direct and transitive dependants that have ended, each once.

    `tasks` holds all that may depend on them. A dependant in none of the `states` is left as it is, but what depends on
    it is looked at (04-execution-lifecycle.md, Cascading Re-execution); with "pending" among them, what waits for the
    tasks to run again is found, too. Linear.
    """
    eligible: set[str] = set()
    dependants: dict[str, list[str]] = {}
    for task in tasks:
        if task.status in states:
            eligible.add(task.id)
        for wanted in dependency_ids(task):
            dependants.setdefault(wanted, []).append(task.id)
    chosen = dict.fromkeys(start_ids)
    seen = set(chosen)
    pending = deque(chosen)
    while pending:
        for dependant in dependants.get(pending.popleft(), ()):
            if dependant not in seen:
                seen.add(dependant)
                pending.append(dependant)
                if dependant in eligible:
                    chosen[dependant] = None
    return list(chosen)
