"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Holder(OpenRecord, kw_only=True):
    """The object `Holder`."""

    a: Json
    b: Json | UnsetType = UNSET
    c: Json | UnsetType = UNSET
    d: list[Json] | UnsetType = UNSET
    e: dict[str, Json] | UnsetType = UNSET


Empty: TypeAlias = Json

Yes: TypeAlias = Json

AllOfNothing: TypeAlias = Json

TYPES: Final[dict[str, Any]] = {
    "Empty": Empty,
    "Yes": Yes,
    "AllOfNothing": AllOfNothing,
    "Holder": Holder,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Empty", "Yes", "AllOfNothing", "Holder"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
