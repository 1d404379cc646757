"""JSON as text and as values, exact where ordinary readers round.

Knows no schema. Integers keep every digit; a number spelled with a fraction or an exponent is the double it denotes.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

Json = Any
"""Any JSON value as Python objects; numbers are int, float, Decimal (integers of thousands of digits) or Spelled."""

_LONGEST_INT = 4000
"""Digits up to which Python's `int` reads a number: its own limit is 4,300, a guard against quadratic work."""


_BLANKS = " \t\r\n"
_BLANK = frozenset(_BLANKS)


class Spelled(msgspec.Struct, frozen=True):
    """A number that must be written exactly so, such as `1.0` or `1e2` where an integer is meant."""

    text: str


class NotJson(ValueError):
    """The text is not JSON (RFC 8259), or names a member twice where that was forbidden."""


def read(text: str, *, unique_keys: bool = False) -> Json:
    """The value of a JSON text; of a repeated member the last one counts.

    Errors: NotJson with the place; with `unique_keys` also for a repeated member.
    """
    hook = _unique if unique_keys else None
    try:
        value = json.loads(text, parse_int=_integer, parse_constant=_constant, object_pairs_hook=hook)
    except RecursionError:
        raise NotJson("nested too deeply to be read") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at column {error.colno}") from None
    return value


def members(text: str) -> dict[str, str]:
    """The text of each member of a JSON object, as it stands; of a repeated one the last.

    Errors: NotJson, also where the text is no object.
    """
    decoder = json.JSONDecoder(parse_constant=_constant)
    found: dict[str, str] = {}
    at = _blanks(text, 0)
    if text[at : at + 1] != "{":
        raise NotJson("expected an object")
    at = _blanks(text, at + 1)
    try:
        while text[at : at + 1] != "}":
            key, at = decoder.raw_decode(text, at)
            at = _blanks(text, at)
            if not isinstance(key, str) or text[at : at + 1] != ":":
                raise NotJson(f"expected a name and a colon at column {at + 1}")
            start = _blanks(text, at + 1)
            _, end = decoder.raw_decode(text, start)
            found[key] = text[start:end]
            at = _blanks(text, end)
            if text[at : at + 1] == ",":
                at = _blanks(text, at + 1)
            elif text[at : at + 1] != "}":
                raise NotJson(f"expected a comma or the end of the object at column {at + 1}")
    except RecursionError:
        raise NotJson("nested too deeply to be read") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at column {error.colno}") from None
    if text[at + 1 :].strip(_BLANKS):
        raise NotJson(f"more text after the object at column {at + 2}")
    return found


def _blanks(text: str, at: int) -> int:
    while text[at : at + 1] in _BLANK:
        at += 1
    return at


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST_INT else Decimal(text)


def _constant(text: str) -> float:
    raise NotJson(f"{text} is not a JSON number")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    table: dict[str, Json] = {}
    for key, value in pairs:
        if key in table:
            raise NotJson(f"member {key!r} occurs twice")
        table[key] = value
    return table


def write(value: Json) -> str:
    """Compact JSON text of a value; members keep their order, text outside ASCII stays as it is."""
    match value:
        case Spelled(text=text):
            return text
        case dict():
            return "{" + ",".join(f"{_string(key)}:{write(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(write(item) for item in value) + "]"
        case str():
            return _string(value)
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, allow_nan=False)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def same(ours: Json, theirs: Json) -> bool:
    """Whether two read values are the same JSON value: 1 equals 1.0, true does not equal 1, key order is free."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float | Decimal):
        return isinstance(theirs, int | float | Decimal) and ours == theirs
    if isinstance(ours, dict):
        return (
            isinstance(theirs, dict)
            and ours.keys() == theirs.keys()
            and all(same(item, theirs[key]) for key, item in ours.items())
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(ours) == len(theirs)
            and all(same(item, their) for item, their in zip(ours, theirs, strict=True))
        )
    return type(ours) is type(theirs) and ours == theirs


def difference(ours: Json, theirs: Json, path: str = "$") -> str:
    """The first place where two values differ, in words; empty where they are the same."""
    if same(ours, theirs):
        return ""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours:
            if key not in theirs:
                return f"{path}.{key} was lost"
        for key in theirs:
            if key not in ours:
                return f"{path}.{key} was added"
        return next(text for key in ours if (text := difference(ours[key], theirs[key], f"{path}.{key}")))
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next(text for at, (left, right) in pairs if (text := difference(left, right, f"{path}[{at}]")))
    return f"{path}: {brief(ours)} became {brief(theirs)}"


def brief(value: Json, limit: int = 60) -> str:
    """A value's text cut to `limit` characters."""
    text = write(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
