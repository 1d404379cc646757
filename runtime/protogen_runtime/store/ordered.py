"""Ordered: the records of one index of a collection in memory, in the order of its fields and then of arrival.

Knows nothing of what is asked: `memory` chooses the index and says where to begin. A list of short lists, since one
long list is moved as a whole with each insertion, and a tree of objects costs more than it saves at these sizes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from .model import Value

Place: TypeAlias = tuple[Any, ...]
"""What the fields of an index hold, comparable in its order, and the arrival."""

MAX_RUN: Final = 1000
"""Places in one short list: it is moved in a microsecond, and a thousand of them hold a million."""


class _Edge:
    """What stands before or behind every value."""

    __slots__ = ("rank",)

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def __lt__(self, other: object) -> bool:
        return self.rank < (other.rank if isinstance(other, _Edge) else 0)

    def __gt__(self, other: object) -> bool:
        return self.rank > (other.rank if isinstance(other, _Edge) else 0)


class _Descending:
    """A text among those that stand in the opposite order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: object) -> bool:
        return bool(other.value < self.value) if isinstance(other, _Descending) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)


_NOTHING: Final = _Edge(-1)
"""None, which comes before every value."""
_NOTHING_DESCENDING: Final = _Edge(1)
_END: Final = _Edge(2)


def comparable(name: str, value: Value) -> Any:
    """A value of the field `name`, which has `-` in front where the order descends, as a part of a place."""
    if not name.startswith("-"):
        return _NOTHING if value is None else value
    if value is None:
        return _NOTHING_DESCENDING
    return _Descending(value) if isinstance(value, str) else -value


class Ordered:
    """The places of an index."""

    def __init__(self, index: Sequence[str]) -> None:
        self.index = tuple(index)
        self._names = [(name, name.removeprefix("-")) for name in index]
        self._runs: list[list[Place]] = []
        self._last: list[Place] = []
        """The last place of each run."""

    def place(self, fields: Mapping[str, Value], arrival: int) -> Place:
        """Where a record with these fields stands."""
        return (*(comparable(name, fields[field]) for name, field in self._names), arrival)

    def start(self, values: Sequence[Value]) -> Place:
        """How the places begin that have these values in the first fields."""
        return tuple(comparable(name, value) for (name, _), value in zip(self._names, values, strict=False))

    def add(self, place: Place) -> None:
        """Add a place that is not there."""
        if not self._runs:
            self._runs.append([])
            self._last.append(place)
        at = min(bisect_left(self._last, place), len(self._runs) - 1)
        run = self._runs[at]
        insort(run, place)
        if len(run) > MAX_RUN:
            self._runs.insert(at + 1, run[MAX_RUN // 2 :])
            self._last.insert(at + 1, run[-1])
            del run[MAX_RUN // 2 :]
        self._last[at] = run[-1]

    def remove(self, place: Place) -> None:
        """Remove a place that is there."""
        at = bisect_left(self._last, place)
        run = self._runs[at]
        del run[bisect_left(run, place)]
        if run:
            self._last[at] = run[-1]
        else:
            del self._runs[at], self._last[at]

    def begin_with(self, start: Place, after: int = 0) -> Iterator[int]:
        """Arrivals of the places that begin with `start`, in order; those that follow `start` with an arrival only
        beyond `after`. Nothing may be added or removed meanwhile."""
        size = len(start)
        first = (*start, after + 1) if size == len(self.index) else start
        at = bisect_left(self._last, first)
        begin = bisect_left(self._runs[at], first) if at < len(self._runs) else 0
        for run in self._runs[at:]:
            for place in run[begin:]:
                if place[:size] != start:
                    return
                yield place[-1]
            begin = 0

    def begin_with_backwards(self, start: Place) -> Iterator[int]:
        """The same in the opposite order."""
        size = len(start)
        for run in reversed(self._runs[: bisect_left(self._last, (*start, _END)) + 1]):
            for place in reversed(run[: bisect_left(run, (*start, _END))]):
                if place[:size] != start:
                    return
                yield place[-1]
