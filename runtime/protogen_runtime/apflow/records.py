"""Records: a task as the store keeps it, and the collections of a node.

The document of a task is the JSON that callers get; beside it stand the few values that are searched. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from apflow_protocol import CODEC, Task, TaskStatus
from msgspec import UNSET

from protogen_runtime.store import Collection, Compare, Condition, Insert, Patch, Record, Schema
from protogen_runtime.store.catalogue import MAX_TEXT_BYTES
from protogen_runtime.store.model import Value

TASKS: Final = "tasks"
DEPENDENCIES: Final = "dependencies"
RUNS: Final = "runs"
ERRANDS: Final = "errands"

SCHEMA: Final = Schema(
    application="apflow",
    version=2,
    collections=[
        Collection(
            TASKS,
            fields={
                "owner": "text",
                "status": "text",
                "parent": "text",
                "root": "text",
                "in_run": "integer",
                "next_run": "text",
            },
            indexes=[("owner",), ("owner", "status"), ("status",), ("parent",), ("root",), ("next_run",)],
        ),
        # Who depends on whom, in the key alone: `wanted>dependant`. So the dependants of a task are a range of keys.
        Collection(DEPENDENCIES),
        # Flows with something under way: what a restart goes on with.
        Collection(RUNS, fields={"state": "text"}),
        # Executions that messages asked for. `changed`: when their state did, never the same for two; `live`: 1 until
        # they end.
        Collection(
            ERRANDS,
            fields={"owner": "text", "context": "text", "state": "text", "changed": "text", "live": "integer"},
            indexes=[
                ("-changed",),
                ("owner", "-changed"),
                ("owner", "context", "-changed"),
                ("context", "-changed"),
                ("live",),
            ],
        ),
    ],
)

STATUSES: Final[tuple[TaskStatus, ...]] = ("pending", "in_progress", "completed", "failed", "cancelled")


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A stored task: its document and what is known of it without reading that.

    It refers to nothing that could refer to it, so the collector need not look at the thousands that are kept.
    """

    key: str
    document: bytes
    owner: str | None
    status: TaskStatus
    parent: str | None
    root: str
    in_run: bool
    """Whether a run is to execute it; a restart goes on with those."""
    next_run: str | None

    @property
    def task(self) -> Task:
        """The task, decoded anew."""
        decoded: Task = CODEC.decode("Task", self.document)
        return decoded

    @property
    def size_bytes(self) -> int:
        """What keeping it in memory costs, about."""
        return len(self.document) + 600


def key_of(task_id: str) -> str:
    """The key of a task: identifiers are case-insensitive (A37)."""
    return task_id.lower()


def owner_of(user_id: str | None) -> str | None:
    """A user as a value that can be searched: one too long or with a NUL is replaced by its digest."""
    if user_id is None:
        return None
    encoded = user_id.encode("utf-8", "surrogatepass")
    if len(encoded) > MAX_TEXT_BYTES or b"\0" in encoded:
        return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
    return user_id


def entry_of(task: Task, *, root: str, in_run: bool) -> Entry:
    """The entry of a task; every field of it is set. `root` is the key of its flow's root."""
    parent = task.parent_id
    return Entry(
        key=task.id.lower(),
        document=CODEC.encode(task),
        owner=owner_of(task.user_id or None),
        status=task.status,
        parent=parent.lower() if parent else None,
        root=root,
        in_run=in_run,
        next_run=task.next_run_at or None,
    )


def entry_of_record(record: Record) -> Entry:
    """The entry that a record holds."""
    fields: Any = record.fields
    return Entry(
        key=record.key,
        document=record.document,
        owner=fields["owner"],
        status=fields["status"],
        parent=fields["parent"],
        root=fields["root"],
        in_run=fields["in_run"] == 1,
        next_run=fields["next_run"],
    )


def fields_of(entry: Entry) -> dict[str, Value]:
    """The searched values of a new record: those that it has."""
    fields: dict[str, Value] = {"status": entry.status, "root": entry.root}
    if entry.owner is not None:
        fields["owner"] = entry.owner
    if entry.parent is not None:
        fields["parent"] = entry.parent
    if entry.next_run is not None:
        fields["next_run"] = entry.next_run
    if entry.in_run:
        fields["in_run"] = 1
    return fields


def insertion(entries: Iterable[Entry]) -> Insert:
    """The change that stores new tasks."""
    return Insert(TASKS, [Record(entry.key, entry.document, fields_of(entry)) for entry in entries])


def patch_of(before: Entry, after: Entry) -> Patch:
    """The change from one entry to the next: refused where the stored status is another than `before` says."""
    fields: dict[str, Value] = {}
    # Named one by one: this is done for each change of each task.
    if after.status != before.status:
        fields["status"] = after.status
    if after.next_run != before.next_run:
        fields["next_run"] = after.next_run
    if after.root != before.root:
        fields["root"] = after.root
    if after.parent != before.parent:
        fields["parent"] = after.parent
    if after.owner != before.owner:
        fields["owner"] = after.owner
    if after.in_run is not before.in_run:
        fields["in_run"] = 1 if after.in_run else None
    document = after.document if after.document is not before.document else None
    return Patch(key=before.key, when={"status": before.status}, fields=fields, document=document)


def needs_of(task: Task) -> dict[str, bool]:
    """The keys that a task depends on, and whether each is required: if it is so once, where it is named twice."""
    needs: dict[str, bool] = {}
    for dependency in task.dependencies or ():
        key = dependency.id.lower()
        needs[key] = needs.get(key, False) or dependency.required is UNSET or dependency.required
    return needs


def edges_of(key: str, needs: Iterable[str]) -> list[str]:
    """The keys of the records that say what a task depends on."""
    return [f"{need}>{key}" for need in needs]


def dependants_range(key: str) -> list[Condition]:
    """Where the records stand that say who depends on a task."""
    return [Compare("key", ">", f"{key}>"), Compare("key", "<", f"{key}?")]


def dependant_in(edge: str) -> str:
    """The dependant that such a record names."""
    return edge.partition(">")[2]
