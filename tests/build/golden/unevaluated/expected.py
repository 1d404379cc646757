"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord, Record
from .rpc.jsonvalue import Json


class Base(OpenRecord, kw_only=True):
    """The object `Base`."""

    a: str


class Strict(Record, kw_only=True):
    """The object `Strict`."""

    a: str
    b: int | UnsetType = UNSET


class Typed(OpenRecord, kw_only=True):
    """The object `Typed`."""

    a: str


Items: TypeAlias = list[Json]

TYPES: Final[dict[str, Any]] = {
    "Base": Base,
    "Strict": Strict,
    "Typed": Typed,
    "Items": Items,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Base"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
