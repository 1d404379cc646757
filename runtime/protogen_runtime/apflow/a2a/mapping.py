"""Mapping: how tasks of the node are told as A2A's tasks (06-interfaces.md, A2A; A39, A40).

An A2A task is one execution of a flow: its id is the execution's, its context the flow's root unless the caller named
one, its state that of the root, its artifacts the results. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import a2a_protocol as v1
from a2a_protocol import TaskState
from apflow_protocol import Task, TaskStatus
from msgspec import UNSET
from msgspec.structs import replace

Json: TypeAlias = Any

PROTOCOL: Final = "a2a"
"""What metadata and data of a node's messages must say (06-interfaces.md, A2A)."""

STATES: Final[dict[TaskStatus, TaskState]] = {
    "pending": "TASK_STATE_SUBMITTED",
    "in_progress": "TASK_STATE_WORKING",
    "completed": "TASK_STATE_COMPLETED",
    "failed": "TASK_STATE_FAILED",
    "cancelled": "TASK_STATE_CANCELED",
}

TERMINAL: Final[frozenset[TaskState]] = frozenset(
    ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED")
)
INTERRUPTED: Final[frozenset[TaskState]] = frozenset(("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"))
STOPS: Final = TERMINAL | INTERRUPTED
"""States in which a caller is answered, and a stream ends."""

MAX_ARTIFACTS: Final = 100
"""Results told of one flow: the root's and the first others. A flow may have 100,000; tasks.tree has them all."""
MAX_ARTIFACT_BYTES: Final = 4 * 1024 * 1024
"""Bytes of all results told of one flow, about."""

BLOCKED: Final = "The task waits for one that did not complete"
"""Said of a flow that has ended with its root still pending: that is no failure of the root itself."""


def metadata_of(root: str, user: str | None) -> dict[str, Json]:
    """What every task and event says of itself."""
    metadata: dict[str, Json] = {"protocol": PROTOCOL, "root_task_id": root}
    if user is not None:
        metadata["user_id"] = user
    return metadata


def standing(*, task_id: str, status: TaskStatus, progress: float, root: str) -> dict[str, Json]:
    """Where a task of the node stands, as the data of a status message."""
    return {"protocol": PROTOCOL, "task_id": task_id, "status": status, "progress": progress, "root_task_id": root}


def status_of(
    state: TaskState,
    *,
    now: str,
    message_id: str,
    task: v1.Task,
    text: str | None = None,
    data: dict[str, Json] | None = None,
) -> v1.TaskStatus:
    """A status with what the agent says of it: a text for people where there is one, and data."""
    parts: list[v1.Part] = []
    if text:
        parts.append(v1.Part(text=text, media_type="text/plain"))
    if data is not None:
        parts.append(v1.Part(data=data, media_type="application/json"))
    if not parts:
        return v1.TaskStatus(state=state, timestamp=now)
    message = v1.Message(
        message_id=message_id, role="ROLE_AGENT", parts=parts, task_id=task.id, context_id=task.context_id
    )
    return v1.TaskStatus(state=state, message=message, timestamp=now)


def artifact(task_id: str, result: dict[str, Json], name: str | None = None) -> v1.Artifact:
    """The result of a task of the node."""
    parts = [v1.Part(data=result, media_type="application/json")]
    return v1.Artifact(artifact_id=task_id, parts=parts, name=UNSET if name is None else name)


def outcome_of(root: Task | None, *, is_cancelled: bool) -> tuple[TaskState, str | None]:
    """The state in which an execution has ended, and why; `root` is None where it is gone."""
    if root is None:
        return "TASK_STATE_FAILED", "The task was deleted"
    if is_cancelled:
        return "TASK_STATE_CANCELED", root.error or None
    if root.status in ("pending", "in_progress"):
        return "TASK_STATE_FAILED", BLOCKED
    return STATES[root.status], root.error or None


def shown(task: v1.Task, history_length: int | None, *, artifacts: bool = True) -> v1.Task:
    """A task as a caller gets it, with at most so many messages (1.0, 3.2.4: none given is no bound)."""
    history = task.history
    if history is not UNSET and history_length is not None:
        history = history[len(history) - history_length :] if 0 < history_length < len(history) else history
        history = UNSET if history_length == 0 else history
    return replace(task, history=history or UNSET, artifacts=task.artifacts if artifacts else UNSET)


def with_artifact(artifacts: Sequence[v1.Artifact], added: v1.Artifact) -> list[v1.Artifact]:
    """The artifacts with one more, or with its new form in place of the old one."""
    return [*(each for each in artifacts if each.artifact_id != added.artifact_id), added]


def status_update(task: v1.Task) -> v1.StreamResponse:
    """News: this is how the task stands."""
    return v1.StreamResponse(
        status_update=v1.TaskStatusUpdateEvent(
            task_id=task.id, context_id=task.context_id or "", status=task.status, metadata=task.metadata
        )
    )


def artifact_update(task: v1.Task, added: v1.Artifact) -> v1.StreamResponse:
    """News: the task has a result."""
    return v1.StreamResponse(
        artifact_update=v1.TaskArtifactUpdateEvent(
            task_id=task.id,
            context_id=task.context_id or "",
            artifact=added,
            append=False,
            last_chunk=True,
            metadata=task.metadata,
        )
    )


def ends_stream(item: v1.StreamResponse) -> bool:
    """Whether nothing follows in a stream."""
    if item.task is not UNSET:
        return item.task.status.state in STOPS
    return item.status_update is not UNSET and item.status_update.status.state in STOPS
