"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, UnsetType, field

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Meta_(OpenRecord, kw_only=True):
    """The object `Meta`."""

    meta: dict[str, Json] = field(name="_meta")
    a_b_2: str | UnsetType = field(name="a/b", default=UNSET)
    x: int | UnsetType = field(name="~x", default=UNSET)
    ref: str | UnsetType = field(name="$ref", default=UNSET)
    id: str | UnsetType = field(name="@id", default=UNSET)
    x_y: str | UnsetType = field(name="x-y", default=UNSET)
    a_b_1: str | UnsetType = field(name="a.b", default=UNSET)


class ABC(OpenRecord, kw_only=True):
    """The object `a/b c`."""

    v: Meta_ | UnsetType = UNSET


class Uses(OpenRecord, kw_only=True):
    """The object `Uses`."""

    x: ABC | UnsetType = UNSET


TYPES: Final[dict[str, Any]] = {
    "Meta": Meta_,
    "a/b c": ABC,
    "Uses": Uses,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Meta", "a/b c", "Uses"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
