"""The messages of schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

from .rpc.jsonvalue import Json

Text: TypeAlias = Annotated[str, Meta(min_length=2, max_length=4, pattern="^[a-z]+\\Z")]

List: TypeAlias = Annotated[list[int], Meta(min_length=1, max_length=3)]

Has: TypeAlias = list[Json]

Sized: TypeAlias = dict[str, Json]

Ahead: TypeAlias = Annotated[str, Meta(pattern="^(?=[^\\x0a\\x0d\\u2028-\\u2029]*[0-9])[a-z0-9]+\\Z")]

TYPES: Final[dict[str, Any]] = {
    "Text": Text,
    "List": List,
    "Has": Has,
    "Sized": Sized,
    "Ahead": Ahead,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Text", "Ahead"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset({"List", "Has", "Sized"})
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
