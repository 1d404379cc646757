"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Beside(OpenRecord, kw_only=True):
    """The object `Beside`."""

    id: str | UnsetType = UNSET


Headers: TypeAlias = dict[str, Json]

Upper: TypeAlias = dict[str, int]

TYPES: Final[dict[str, Any]] = {
    "Headers": Headers,
    "Upper": Upper,
    "Beside": Beside,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset({"Upper"})
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
