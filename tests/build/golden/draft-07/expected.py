"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Order(OpenRecord, kw_only=True):
    """The object `Order`."""

    card: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    gift: bool | UnsetType = UNSET
    note: str | UnsetType = UNSET


class Price(OpenRecord, kw_only=True):
    """The object `Price`."""

    free: bool | UnsetType = UNSET
    amount: int | float | UnsetType = UNSET


class Same(OpenRecord, kw_only=True):
    """The object `Same`."""

    free: bool | UnsetType = UNSET
    amount: int | float | UnsetType = UNSET


Mixed: TypeAlias = list[Json]

TYPES: Final[dict[str, Any]] = {
    "Order": Order,
    "Price": Price,
    "Same": Same,
    "Mixed": Mixed,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset({"Mixed"})
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
