"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Tree(OpenRecord, kw_only=True):
    """The object `Tree`."""

    kids: list[Tree] | UnsetType = UNSET


Together: TypeAlias = dict[str, Json]

Pair: TypeAlias = list[Json]

TYPES: Final[dict[str, Any]] = {
    "Tree": Tree,
    "Together": Together,
    "Pair": Pair,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Tree"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
