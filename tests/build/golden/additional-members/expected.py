"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType, field

from .rpc.boundary import EXTRA, OpenRecord, Record


class Open(OpenRecord, kw_only=True):
    """The object `Open`."""

    a: str


class Closed(Record, kw_only=True):
    """The object `Closed`."""

    a: str


class Typed(Record, kw_only=True):
    """The object `Typed`."""

    a: str
    extra: dict[str, int] | UnsetType = field(name=EXTRA, default=UNSET)
    """Members beside the known ones."""


class Nothing(Record, kw_only=True):
    """The object `Nothing`."""


Table: TypeAlias = dict[str, list[int]]

TYPES: Final[dict[str, Any]] = {
    "Open": Open,
    "Closed": Closed,
    "Typed": Typed,
    "Table": Table,
    "Nothing": Nothing,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Open", "Closed", "Typed", "Table", "Nothing"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
