"""The messages of schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, UnsetType, field

from .rpc.boundary import OpenRecord


class Sizes(OpenRecord, kw_only=True):
    """The object `Sizes`."""

    i: int
    int64: int | UnsetType = UNSET
    uint64: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    small: Annotated[int, Meta(ge=-1, le=255)] | UnsetType = UNSET
    float_: int | float | UnsetType = field(name="float", default=UNSET)
    share: Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    open: int | float | UnsetType = UNSET
    step: int | float | UnsetType = UNSET


Big: TypeAlias = list[int]

Numbers: TypeAlias = list[int | float]

TYPES: Final[dict[str, Any]] = {
    "Sizes": Sizes,
    "Big": Big,
    "Numbers": Numbers,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Big", "Numbers"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset({"Sizes"})
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
