"""References to blobs within values: what 0.11 sends in the place of large members (spec section 12).

Knows neither who stores blobs nor where.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

import msgspec

from .contract import Json, is_array, is_object

MARK: Final = "$blob"
MAX_ROUNDS: Final = 8
"""How often a value that came for a reference is searched for further ones, as in the original; the rest stay."""

_BLOB_ID: Final = re.compile("[0-9a-f]{64}")


def reference_to(blob_id: str, size: int) -> dict[str, Json]:
    """What stands for a value whose JSON text has `size` bytes."""
    return {MARK: blob_id, "blobType": "data", "size": size}


def referred(value: Json) -> str | None:
    """The id of the blob that a value stands for; None where it is a value itself, or stands for bytes.

    As in the original, further members of the object do not count.
    """
    blob_id = value.get(MARK) if is_object(value) else None
    if not isinstance(blob_id, str) or not _BLOB_ID.fullmatch(blob_id) or value.get("blobType") == "binary":
        return None
    return blob_id


async def with_references(value: Json, threshold_bytes: int, put: Callable[[Json], Awaitable[str]]) -> Json:
    """The value with references in the place of the members whose JSON text is longer than the threshold, which `put`
    keeps; those that are references already stay. Errors: those of `put`.
    """
    if not is_object(value) or len(msgspec.json.encode(value)) <= threshold_bytes:
        return value
    members = dict(value)
    for name, member in value.items():
        size = len(msgspec.json.encode(member))
        if size > threshold_bytes and referred(member) is None:
            members[name] = reference_to(await put(member), size)
    return members


async def resolved(value: Json, get: Callable[[str], Awaitable[Json]]) -> Json:
    """The value with the blobs in the place of all references in it, which `get` gives. Errors: those of `get`."""
    for _ in range(MAX_ROUNDS):
        names = dict.fromkeys(_references(value))
        if not names:
            break
        value = _replaced(value, {name: await get(name) for name in names})
    return value


def _references(value: Json) -> Iterator[str]:
    waiting: list[Json] = [value]
    while waiting:
        found = waiting.pop()
        if is_array(found):
            waiting += found
        elif is_object(found):
            blob_id = referred(found)
            if blob_id is None:
                waiting += found.values()
            else:
                yield blob_id


def _replaced(value: Json, blobs: Mapping[str, Json]) -> Json:
    if is_array(value):
        return [_replaced(member, blobs) for member in value]
    if not is_object(value):
        return value
    blob_id = referred(value)
    return {name: _replaced(member, blobs) for name, member in value.items()} if blob_id is None else blobs[blob_id]
