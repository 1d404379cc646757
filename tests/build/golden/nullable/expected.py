"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord


class Note(OpenRecord, kw_only=True):
    """The object `Note`."""

    by_type: str | None
    by_any: Level | None
    by_one: NoteByOneOption2 | None
    by_enum: Literal["a"] | UnsetType | None = UNSET
    by_const: UnsetType | None = UNSET


class NoteByOneOption2(OpenRecord, kw_only=True):
    """The object `NoteByOneOption2`."""

    id: int


Level: TypeAlias = Literal["low", "high"]

LEVEL_VALUES: Final[tuple[Level, ...]] = ("low", "high")

Maybe: TypeAlias = int | None

TYPES: Final[dict[str, Any]] = {
    "Note": Note,
    "NoteByOneOption2": NoteByOneOption2,
    "Level": Level,
    "Maybe": Maybe,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Note", "NoteByOneOption2", "Level", "Maybe"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
