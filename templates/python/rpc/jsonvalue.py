"""JSON values as the JSON data model compares them: 1 equals 1.0, true is not 1, key order does not count.

Knows no schema. All values are what a JSON reader makes: None, bool, int, float, str, list, dict.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from fractions import Fraction

Json: TypeAlias = Any
"""Any JSON value as Python objects: None, bool, int, float, str, list, dict."""


class Missing:
    """The type of MISSING."""

    __slots__ = ()


MISSING = Missing()
"""What a lookup gives where there is no member; no JSON value is identical to it."""


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are equal."""
    # Any JSON value is of one of these very classes; asking for __class__ keeps the checkers' view of it open.
    kind, other = left.__class__, right.__class__
    if kind is dict:
        if other is not dict or len(left) != len(right):
            return False
        return all(key in right and same(value, right[key]) for key, value in left.items())
    if kind is list:
        return other is list and len(left) == len(right) and all(map(same, left, right))
    if kind is bool or other is bool:
        return left is right
    return bool(left == right)


def one_of(value: Json, allowed: Sequence[Json]) -> bool:
    """Whether `value` equals one of `allowed`."""
    return any(same(value, other) for other in allowed)


def unique(items: Sequence[Json]) -> bool:
    """Whether no two items are equal; linear in the size of the items."""
    seen: set[object] = set()
    for item in items:
        key = _key(item)
        if key in seen:
            return False
        seen.add(key)
    return True


def _key(value: Json) -> object:
    """A hashable stand-in that is equal for equal values only; Python itself makes 1 == 1.0 hash alike."""
    kind = value.__class__
    if kind is dict:
        return (dict, frozenset((name, _key(member)) for name, member in value.items()))
    if kind is list:
        return (list, tuple(map(_key, value)))
    if kind is bool:
        return (bool, value)
    return value


def is_multiple(value: float, divisor: float) -> bool:
    """Whether `value` is a whole multiple of `divisor` as both are written in decimal: 0.07 is one of 0.01."""
    if type(value) is int and type(divisor) is int:
        return value % divisor == 0
    return _exact(value) % _exact(divisor) == 0


@lru_cache(maxsize=256)
def _exact(number: float) -> Fraction:
    from fractions import Fraction

    return Fraction(repr(number))


class _Memory(threading.local):
    """What the checks of the value at hand have found so far, by check and container."""

    def __init__(self) -> None:
        self.depth = 0
        self.known: dict[tuple[Callable[[Json], bool], int], bool] = {}


_MEMORY: Final = _Memory()


def memoized(check: Callable[[Json], bool]) -> Callable[[Json], bool]:
    """`check`, asked once for each container of a value.

    Alternatives that lead back to the same definition would double the work at every level; 30 levels of a small
    hostile value would never end. Containers are told apart by identity, which holds until the outermost check ends.
    """

    @wraps(check)
    def remembering(value: Json) -> bool:
        if value.__class__ not in (dict, list):
            return check(value)
        key = (check, id(value))
        known = _MEMORY.known.get(key)
        if known is None:
            _MEMORY.depth += 1
            try:
                known = _MEMORY.known[key] = check(value)
            finally:
                _MEMORY.depth -= 1
                if not _MEMORY.depth:
                    _MEMORY.known.clear()
        return known

    return remembering
