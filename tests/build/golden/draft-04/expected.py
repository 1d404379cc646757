"""The messages of schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

from .rpc.boundary import OpenRecord


class Thing(OpenRecord, kw_only=True):
    """The object `Thing`."""

    n: Range


Range: TypeAlias = Annotated[int, Meta(le=10)] | Annotated[float, Meta(le=10)]

TYPES: Final[dict[str, Any]] = {
    "Range": Range,
    "Thing": Thing,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset({"Range", "Thing"})
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
