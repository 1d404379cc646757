"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import UNSET, UnsetType, field

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Fixed(OpenRecord, kw_only=True):
    """The object `Fixed`."""

    text: Literal["a"]
    whole: Literal[7]
    part: int | float
    yes: Literal[True]
    nothing: None
    list_: Json | UnsetType = field(name="list", default=UNSET)
    object: Json | UnsetType = UNSET


TYPES: Final[dict[str, Any]] = {
    "Fixed": Fixed,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
