"""Re-execution: which tasks run again when some do.

Knows no store; `transitions.reset` does what happens to each task.
"""

from __future__ import annotations

from collections.abc import Iterable

from apflow_protocol import Task


def cascade(start_ids: Iterable[str], tasks: Iterable[Task]) -> list[str]:
    """The ids to reset: `start_ids`, then their direct and transitive dependants that have ended, each once."""
    raise NotImplementedError
