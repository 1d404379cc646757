"""Findings as people read them: the line that they are about, and a mark under the place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from protogen.problems import Problem

_WIDEST = 160
"""Columns of a line that are shown; of a longer one, the part around the place."""


def framed(problem: Problem, text: str | None, said: str | None = None) -> str:
    """The finding, and below it the line of `text` that it is about with a mark under the word; None: no such text.

    `said` is the finding's own line where it is shown in another way than `str` does.
    """
    said = said if said is not None else str(problem)
    place = problem.place
    if place is None or not place.line or text is None:
        return said
    lines = text.split("\n")
    if place.line > len(lines):
        return said
    line, column = lines[place.line - 1].rstrip("\r").replace("\t", " "), place.column
    if len(line) > _WIDEST:
        first = max(0, column - 1 - _WIDEST // 3)
        line, column = f"…{line[first : first + _WIDEST]}…", column - first + 1
    number = str(place.line)
    edge = " " * len(number)
    mark = " " * (column - 1) + "^" * _length(line, column - 1)
    return f"{said}\n{edge} |\n{number} | {line}\n{edge} | {mark}"


def _length(line: str, start: int) -> int:
    """How many characters the word at `start` has: a string with its quotes, else up to a blank or a comma."""
    if start >= len(line):
        return 1
    if line[start] == '"':
        end = start + 1
        while end < len(line) and line[end] != '"':
            end += 2 if line[end] == "\\" else 1
        return max(1, min(end + 1, len(line)) - start)
    end = start
    while end < len(line) and line[end] not in " ,}]":
        end += 1
    return max(1, end - start)


def texts_below(root: Path) -> Callable[[Problem], str | None]:
    """Finds the text that a finding is about, each file read once; None where it cannot be read any more."""
    known: dict[str, str | None] = {}

    def text_of(problem: Problem) -> str | None:
        if problem.place is None:
            return None
        path = problem.place.path
        if path not in known:
            try:
                known[path] = (root / path).read_text("utf-8-sig")
            except (OSError, UnicodeDecodeError):
                known[path] = None
        return known[path]

    return text_of
