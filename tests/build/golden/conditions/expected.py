"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Card(OpenRecord, kw_only=True):
    """The object `Card`."""

    kind: CardKind
    number: str | UnsetType = UNSET


class Together(OpenRecord, kw_only=True):
    """The object `Together`."""

    a: str | UnsetType = UNSET
    b: str | UnsetType = UNSET
    c: str | UnsetType = UNSET
    d: str | UnsetType = UNSET


class OneOfGroups(OpenRecord, kw_only=True):
    """The object `OneOfGroups`."""

    a: str | UnsetType = UNSET
    b: str | UnsetType = UNSET


class AtLeast(OpenRecord, kw_only=True):
    """The object `AtLeast`."""

    a: str | UnsetType = UNSET
    b: str | UnsetType = UNSET


NotText: TypeAlias = Json

CardKind: TypeAlias = Literal["card", "cash"]

CARD_KIND_VALUES: Final[tuple[CardKind, ...]] = ("card", "cash")

TYPES: Final[dict[str, Any]] = {
    "NotText": NotText,
    "Card": Card,
    "CardKind": CardKind,
    "Together": Together,
    "OneOfGroups": OneOfGroups,
    "AtLeast": AtLeast,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"CardKind"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
