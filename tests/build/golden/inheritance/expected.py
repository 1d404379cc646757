"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import UNSET, UnsetType, field

from .rpc.boundary import OpenRecord


class Base(OpenRecord, kw_only=True):
    """The object `Base`."""

    id: str
    state: str | UnsetType = UNSET


class Child(OpenRecord, kw_only=True):
    """The object `Child`."""

    id: str
    state: str | UnsetType = UNSET
    name: str


class Narrow(OpenRecord, kw_only=True):
    """The object `Narrow`."""

    id: str
    state: NarrowState


class Twice(OpenRecord, kw_only=True):
    """The object `Twice`."""

    id: str
    state: NarrowState
    name: str
    extra_: int | UnsetType = field(name="extra", default=UNSET)


class Single(OpenRecord, kw_only=True):
    """Only another name."""

    id: str
    state: str | UnsetType = UNSET


NarrowState: TypeAlias = Literal["on", "off"]

NARROW_STATE_VALUES: Final[tuple[NarrowState, ...]] = ("on", "off")

TYPES: Final[dict[str, Any]] = {
    "Base": Base,
    "Child": Child,
    "Narrow": Narrow,
    "NarrowState": NarrowState,
    "Twice": Twice,
    "Single": Single,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Base", "NarrowState", "Single"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
