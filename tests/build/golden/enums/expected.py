"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

Odd: TypeAlias = Literal["", "a b", "a-b", "1st", "class", "a/b", "\xe9", '"', "*/"]
"""- `"a b"`: With a blank."""

ODD_VALUES: Final[tuple[Odd, ...]] = ("", "a b", "a-b", "1st", "class", "a/b", "\xe9", '"', "*/")

Mixed: TypeAlias = Literal["a", 1, True] | int | float

MIXED_VALUES: Final[tuple[Mixed, ...]] = ("a", 1, 2.5, True)

WithNullValue: TypeAlias = Literal["a", "b"]

WITH_NULL_VALUE_VALUES: Final[tuple[WithNullValue, ...]] = ("a", "b")

WithNull: TypeAlias = WithNullValue | None

Numbers: TypeAlias = Literal[1, 2, -3]

NUMBERS_VALUES: Final[tuple[Numbers, ...]] = (1, 2, -3)

Named: TypeAlias = Literal[1, 2]

NAMED_VALUES: Final[tuple[Named, ...]] = (1, 2)

Known: TypeAlias = Literal["a", "b"] | str
"""- `"a"`: The first."""

KNOWN_VALUES: Final[tuple[Known, ...]] = ("a", "b")

KnownCodes: TypeAlias = int

Said: TypeAlias = Literal["x", "y"]
"""- `"x"`: Ex."""

SAID_VALUES: Final[tuple[Said, ...]] = ("x", "y")

TYPES: Final[dict[str, Any]] = {
    "Odd": Odd,
    "Mixed": Mixed,
    "WithNull": WithNull,
    "WithNullValue": WithNullValue,
    "Numbers": Numbers,
    "Named": Named,
    "Known": Known,
    "KnownCodes": KnownCodes,
    "Said": Said,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Odd", "WithNull", "WithNullValue", "Numbers", "Named", "Known", "Said"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
