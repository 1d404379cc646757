"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from .rpc.jsonvalue import Json

Pair: TypeAlias = tuple[str, int]

Rest: TypeAlias = list[Json]

TYPES: Final[dict[str, Any]] = {
    "Pair": Pair,
    "Rest": Rest,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
