"""Variants and the stock of values they are made from: every JSON type, odd names, near misses.

Knows no schema.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from protogen.samples.text import Json, Spelled, brief, read, same, write


class Variant(msgspec.Struct, frozen=True):
    """A value, what it exercises (a path and a keyword), and whether it is meant to be valid."""

    value: Json
    note: str
    good: bool


class Nothing(enum.Enum):
    """The type of NOTHING."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING
"""No value is known."""

LONGEST = 4096
"""Lengths of strings and arrays that are still made to meet a bound."""

ANY: tuple[tuple[str, Json], ...] = (
    ("text", "text"),
    ("null", None),
    ("an object holding null, {} and []", {"a": None, "b": {}, "c": [], "d": {"": [1, Spelled("1.0"), "1"]}}),
    ("an integer beyond 2^53", 2**53 + 1),
    ("an integer of 30 digits", 123456789012345678901234567891),
    ("true", True),
    ("mixed members", [None, False, 0, 0.1, '\u0000"\\/\u2028😀', [[]], {"__proto__": {"a": 1}}]),
    ("{}", {}),
    ("[]", []),
    ("a fraction", -1.5e-7),
    ("empty text", ""),
    ("false", False),
    ("zero", 0),
)

KINDS: dict[str, tuple[Json, ...]] = {
    "null": (None,),
    "boolean": (True, False),
    "integer": (1, 0),
    "number": (1.5,),
    "string": ("text", "1", "true", "null", ""),
    "array": ([], [1], [None]),
    "object": ({}, {"a": 1}),
}
"""Values of every JSON type, among them those that careless readers turn into another type."""

KEYS = ("", "__proto__", "constructor", "a/b~c", "ünï 😀", "\ufdd0extra", 'x-"quoted"\n')
"""Names of unknown members that trip readers: prototypes, pointers, non-characters."""


def thin(variants: Sequence[Variant], width: int) -> list[Variant]:
    """At most `width` of the variants, as many good ones as broken ones where there are enough, evenly spread."""
    if len(variants) <= width:
        return list(variants)
    good = [at for at, item in enumerate(variants) if item.good]
    bad = [at for at, item in enumerate(variants) if not item.good]
    half = width // 2
    wanted_bad = min(len(bad), max(half, width - len(good)))
    chosen = {*spread(good, width - wanted_bad), *spread(bad, wanted_bad)}
    return [item for at, item in enumerate(variants) if at in chosen]


def spread(items: Sequence[int], count: int) -> list[int]:
    """`count` of the items at even distances, the first among them."""
    if count >= len(items):
        return list(items)
    return [items[at * len(items) // count] for at in range(count)]


def kind_of(value: Json) -> str:
    """The JSON type of a value; a number with a fraction, or spelled, is a `number`."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float() | Spelled():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def unlike(kinds: Iterable[str], wrapped: Iterable[Json]) -> list[Variant]:
    """Values of every JSON type that is not among `kinds`; `wrapped` are arrays around a right value."""
    admitted = set(kinds)
    if "number" in admitted:
        admitted.add("integer")
    found = [
        Variant(value, f"{short(value)} for {' or '.join(kinds) or 'nothing'}", False)
        for kind, values in KINDS.items()
        if kind not in admitted
        for value in values[:3]
    ]
    if "array" not in admitted:
        found.extend(Variant(value, "the value in an array", False) for value in wrapped)
    return found


def near(value: Json) -> Iterator[tuple[Json, str]]:
    """Values that are nearly `value`: other case, other type, a blank more; and other spellings of it."""
    match value:
        case str():
            yield value + " ", "a blank more"
            yield value.swapcase(), "other case"
            yield value[:-1], "a character less"
            yield [value], "in an array"
        case bool():
            yield int(value), "a number for a boolean"
            yield not value, "the other boolean"
            yield str(value).lower(), "text for a boolean"
        case int():
            yield Spelled(f"{value}.0"), "spelled with a fraction"
            yield value + 1, "one more"
            yield str(value), "text for a number"
            yield bool(value), "a boolean for a number"
        case float():
            yield value + 1, "one more"
            yield str(value), "text for a number"
        case None:
            yield "null", "text for null"
            yield False, "false for null"
        case list():
            yield [*value, None], "an item more"
        case _:
            yield dict(reversed(list(value.items()))), "other order"
            yield {**value, "unknown": 1}, "a member more"


def holds(values: Iterable[Json], value: Json) -> bool:
    """Whether one of the values is the same JSON value as `value`."""
    plain = read(write(value))
    return any(same(read(write(other)), plain) for other in values)


def distinct(variants: Iterable[Variant]) -> list[Variant]:
    """The variants without those whose text was there before."""
    return list({write(item.value): item for item in reversed(list(variants))}.values())[::-1]


def at_path(path: str, note: str) -> str:
    """A note with the place it is about before it; either may be empty."""
    return f"{path}: {note}" if path and note else path or note


def short(value: Json) -> str:
    """A value's text as notes quote it."""
    return brief(value, 40)
