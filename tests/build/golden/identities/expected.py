"""The messages of schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from .rpc.boundary import OpenRecord


class ByAnchor(OpenRecord, kw_only=True):
    """The object `ByAnchor`."""

    a: Anchored


class Inner(OpenRecord, kw_only=True):
    """The object `Inner`."""

    v: V | UnsetType = UNSET


class ById(OpenRecord, kw_only=True):
    """The object `ById`."""

    v: Inner | UnsetType = UNSET


class Node(OpenRecord, kw_only=True):
    """The object `Node`."""

    next: Node | UnsetType = UNSET


Anchored: TypeAlias = Annotated[str, Meta(min_length=1)]

V: TypeAlias = int

TYPES: Final[dict[str, Any]] = {
    "Anchored": Anchored,
    "ByAnchor": ByAnchor,
    "Inner": Inner,
    "ById": ById,
    "Node": Node,
    "V": V,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Anchored", "ByAnchor", "Inner", "ById", "Node", "V"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
