"""Re-execution: which tasks run again when some do.

Knows no store; `transitions.reset` does what happens to each task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from apflow_protocol import Task

from .dependencies import dependency_ids
from .transitions import TERMINAL


def cascade(start_ids: Iterable[str], tasks: Iterable[Task]) -> list[str]:
    """The ids to reset: `start_ids`, then their direct and transitive dependants that have ended, each once.

    `tasks` holds all that may depend on them. A dependant that has not ended is left as it is, but what depends on it
    is looked at (04-execution-lifecycle.md, Cascading Re-execution). Linear.
    """
    ended: set[str] = set()
    dependants: dict[str, list[str]] = {}
    for task in tasks:
        if task.status in TERMINAL:
            ended.add(task.id)
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
                if dependant in ended:
                    chosen[dependant] = None
    return list(chosen)
