"""The messages of schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta

from .rpc.jsonvalue import Json

Even: TypeAlias = Annotated[int, Meta(ge=1)]

Names: TypeAlias = dict[str, Json]

Only: TypeAlias = Literal["x"]

Some: TypeAlias = list[Json]

TYPES: Final[dict[str, Any]] = {
    "Even": Even,
    "Names": Names,
    "Only": Only,
    "Some": Some,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Only"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset({"Even", "Names", "Some"})
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
