"""What is wrong with a user's input, where, and what to do about it.

Knows nothing of schemas or languages; every other room of the generator may import it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["error", "warning"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A position in an input file; `line` and `column` count from 1, 0 means the whole file."""

    path: str
    line: int = 0
    column: int = 0
    pointer: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: `PG` and three digits, a sentence on what is wrong, a sentence on the way out."""

    code: str
    level: Level
    what: str
    fix: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{locate(self.place)}{self.level} {self.code}: {self.what}; {self.fix}"


def locate(place: Place | None) -> str:
    """`path:line:column ` as compilers print it, or nothing where no file is concerned."""
    if place is None:
        return ""
    if not place.line:
        return f"{place.path}: "
    return f"{place.path}:{place.line}:{place.column} "


def error(code: str, what: str, *, fix: str, place: Place | None = None) -> Problem:
    """A finding that stops the build."""
    return Problem(code=code, level="error", what=what, fix=fix, place=place)


def warning(code: str, what: str, *, fix: str, place: Place | None = None) -> Problem:
    """A finding that is shown while the build goes on."""
    return Problem(code=code, level="warning", what=what, fix=fix, place=place)


def closest(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for a near miss, else an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{matches[0]}"?' if matches else ""


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any finding stops the build."""
    return any(problem.level == "error" for problem in problems)
