"""Copying: new tasks with the definition of existing ones.

Knows no store: it gets all tasks that a copy may need.

Clauses: AF-COPY-001 to -007.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from apflow_protocol import Task
from msgspec.structs import replace

from .dependencies import dependencies_of, needed


def copy(
    root: Task,
    children: Sequence[Task],
    tasks_by_id: Mapping[str, Task],
    *,
    copy_children: bool,
    new_id: Callable[[], str],
    now: str,
) -> list[Task]:
    """The copies, that of `root` first and the root of a flow of their own (04-execution-lifecycle.md, Copy Execution).

    Without `copy_children` the one copy depends on what its source depends on. With it the direct children are copied,
    and all that they and the root depend on among `tasks_by_id`: each once, and copies refer to copies (A23).
    The sources stay as they are, but the caller stores `provenance.referenced` of each beside the copies.
    """
    if not copy_children:
        return [_copy_of(root, new_id(), {}, parent_id=None, now=now)]
    sources = {root.id: root, **{child.id: child for child in children}}
    sources = {id_: sources.get(id_) or tasks_by_id[id_] for id_ in needed(sources, {**tasks_by_id, **sources})}
    ids = {source_id: new_id() for source_id in sources}
    return [
        _copy_of(source, ids[source_id], ids, parent_id=_parent(source, root, ids), now=now)
        for source_id, source in sources.items()
    ]


def _parent(source: Task, root: Task, ids: Mapping[str, str]) -> str | None:
    """Where a copy stands: below the copy of its parent, or else below the root, since a flow has one root."""
    if source.id == root.id:
        return None
    return ids.get(source.parent_id or "", ids[root.id])


def _copy_of(source: Task, id_: str, ids: Mapping[str, str], *, parent_id: str | None, now: str) -> Task:
    dependencies = [replace(it, id=ids.get(it.id, it.id)) for it in dependencies_of(source)]
    return replace(
        source,
        id=id_,
        parent_id=parent_id,
        status="pending",
        result=None,
        error=None,
        dependencies=dependencies,
        progress=0.0,
        created_at=now,
        started_at=None,
        updated_at=now,
        completed_at=None,
        origin_type="copy",
        original_task_id=source.id,
        has_references=False,
        # The copy of a schedule does not start to trigger by itself: whoever copied the task enables it.
        schedule_enabled=False,
        next_run_at=None,
        last_run_at=None,
        run_count=0,
    )
