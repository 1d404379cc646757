"""Records: runs, items and blobs as the store keeps them. Pure.

What happened to a run before it was first stored stands in its document; what comes later are rows of its journal, and
items of their own. So a run that is over when it is stored is one record. The document never changes: where a run
stands is in its fields, which lists and summaries are made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, cast

import msgspec
from msgspec import UNSET, Raw

from protogen_runtime.stepflow.engine import RunState
from protogen_runtime.store import Collection, Compare, Condition, Record, Schema
from protogen_runtime.store.model import Value

from .clock import text_of
from .contract import ItemCounts, ItemResult, RunSummary

RUNS: Final = "runs"
ITEMS: Final = "items"
BLOBS: Final = "blobs"
REFERENCES: Final = "refs"
REMOVALS: Final = "removals"

SCHEMA: Final = Schema(
    application="stepflow",
    version=1,
    collections=[
        # `subflow`: which run of which step of its parent it is. `created`, `ended`: microseconds since the epoch.
        Collection(
            RUNS,
            fields={
                "status": "text",
                "flow": "text",
                "flow_name": "text",
                "root": "text",
                "parent": "text",
                "depth": "integer",
                "subflow": "text",
                "created": "integer",
                "ended": "integer",
                "total": "integer",
                "succeeded": "integer",
                "failed": "integer",
            },
            indexes=[("status",), ("flow",), ("flow_name",), ("root",), ("parent",)],
        ),
        # Results, in the order in which they came: `run/number`.
        Collection(ITEMS, fields={"run": "text", "number": "integer"}, indexes=[("run", "number")]),
        # `kind`: data, flow, binary, or released (a flow that was deleted while runs of it remain). `kept`: 1 for a
        # flow that stays until it is deleted. `apart`: 1 where the bytes are a blob of the store's, not the document.
        Collection(
            BLOBS,
            fields={
                "kind": "text",
                "kept": "integer",
                "apart": "integer",
                "size": "integer",
                "put": "integer",
                "filename": "text",
            },
            indexes=[("put",)],
        ),
        # Who refers to which blob, in the key: `blob>source`. The source is a run, or another blob.
        Collection(REFERENCES, fields={"source": "text"}, indexes=[("source",)]),
        # Runs that are being deleted, of which items may still be there.
        Collection(REMOVALS),
    ],
)

MAX_NAME_CHARACTERS: Final = 1_000
"""Of the name of a flow, as it is searched: fields have at most 4,096 bytes."""

_BLOB_ID: Final = re.compile(rb'"([0-9a-f]{64})"')


class Header(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a run from its fields."""

    run_id: str
    flow_id: str
    flow_name: str | None
    root: str
    parent: str | None
    depth: int
    subflow: str | None
    created: int
    total: int


class RunDocument(msgspec.Struct, frozen=True, gc=False):
    """The document of a run: how it began, and what had happened by the time it was first stored.

    `begun` and `entries` are entries of the engine's journal, `results` are items.
    """

    begun: Raw
    at: int
    entries: list[Raw] = []
    results: list[Raw] = []


_ENCODER: Final = msgspec.json.Encoder()
_DOCUMENTS: Final = msgspec.json.Decoder(RunDocument)
_ITEMS: Final = msgspec.json.Decoder(ItemResult)


def encode_document(document: RunDocument) -> bytes:
    """The document as it is kept."""
    return _ENCODER.encode(document)


def read_document(record: Record) -> RunDocument:
    """The document of a run's record."""
    return _DOCUMENTS.decode(record.document)


def fields_of(header: Header, status: RunState) -> dict[str, Value]:
    """The fields of a run that begins; where it stands is added when it ends."""
    return {
        "status": status,
        "flow": header.flow_id,
        "flow_name": header.flow_name,
        "root": header.root,
        "parent": header.parent,
        "depth": header.depth,
        "subflow": header.subflow,
        "created": header.created,
        "ended": None,
        "total": header.total,
        "succeeded": 0,
        "failed": 0,
    }


def ended_fields(status: RunState, *, succeeded: int, failed: int, at: int) -> dict[str, Value]:
    """The fields that change when a run ends."""
    return {"status": status, "succeeded": succeeded, "failed": failed, "ended": at}


def header_of(record: Record) -> Header:
    """What the fields of a run say of it."""
    text = cast("Mapping[str, str | None]", record.fields)
    number = cast("Mapping[str, int]", record.fields)
    return Header(
        run_id=record.key,
        flow_id=text["flow"] or "",
        flow_name=text["flow_name"],
        root=text["root"] or record.key,
        parent=text["parent"],
        depth=number["depth"],
        subflow=text["subflow"],
        created=number["created"],
        total=number["total"],
    )


def summary_of(
    header: Header, status: RunState, *, succeeded: int = 0, failed: int = 0, ended: int | None = None
) -> RunSummary:
    """A run as callers see it; items without a result are cancelled with it, else they are running."""
    open_ = header.total - succeeded - failed
    counts = ItemCounts(
        total=header.total,
        completed=succeeded,
        failed=failed,
        running=open_ if status == "running" else 0,
        cancelled=open_ if status == "cancelled" else 0,
    )
    return RunSummary(
        run_id=header.run_id,
        flow_id=header.flow_id,
        flow_name=header.flow_name,
        status=status,
        items=counts,
        created_at=text_of(header.created),
        completed_at=None if ended is None else text_of(ended),
        root_run_id=header.root,
        parent_run_id=UNSET if header.parent is None else header.parent,
    )


def stored_summary(record: Record) -> RunSummary:
    """A run as its record says, which knows nothing of items of a run that is under way."""
    number = cast("Mapping[str, int]", record.fields)
    return summary_of(
        header_of(record),
        cast("RunState", record.fields["status"]),
        succeeded=number["succeeded"],
        failed=number["failed"],
        ended=cast("int | None", record.fields["ended"]),
    )


def name_field(name: str | None) -> str | None:
    """The name of a flow as a field may have it."""
    return None if name is None else name.replace("\0", "")[:MAX_NAME_CHARACTERS]


# --- items ------------------------------------------------------------------------------------------------


def item_record(run_id: str, index: int, document: bytes) -> Record:
    """The record of an item's result."""
    return Record(f"{run_id}/{index}", document, {"run": run_id, "number": index})


def encode_item(item: ItemResult) -> bytes:
    """An item's result as it is kept."""
    return _ENCODER.encode(item)


def read_item(document: bytes | Raw) -> ItemResult:
    """An item's result from what is kept."""
    return _ITEMS.decode(document)


# --- blobs ------------------------------------------------------------------------------------------------


def blob_ids_in(text: bytes) -> set[str]:
    """Whatever in a JSON text may be the id of a blob: texts of 64 hexadecimal digits, in `$blob` or anywhere else.

    Components take ids as plain values, so that more than `$blob` counts; what is no blob refers to nothing.
    """
    return {name.decode() for name in _BLOB_ID.findall(text)}


def references(ids: Iterable[str], source: str) -> list[Record]:
    """The records which say that a source refers to blobs."""
    return [Record(f"{blob_id}>{source}", b"", {"source": source}) for blob_id in ids]


def referrers(blob_id: str) -> Sequence[Condition]:
    """Finds the records of all who refer to a blob; `?` comes after `>`."""
    return [Compare("key", ">", f"{blob_id}>"), Compare("key", "<", f"{blob_id}?")]


BlobKind = Literal["data", "flow", "binary", "released"]
