"""Copying: new tasks with the definition of existing ones.

Knows no store: it gets all tasks that a copy may need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from apflow_protocol import Task


def copy(
    root: Task,
    children: Sequence[Task],
    tasks_by_id: Mapping[str, Task],
    *,
    copy_children: bool,
    new_id: Callable[[], str],
    now: str,
) -> list[Task]:
    """The copies, that of `root` first; store `provenance.referenced` of each source beside them."""
    raise NotImplementedError
