"""Mends documents: single values of the text are replaced or taken out, and all else stays as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterable

from protogen.load import Document
from protogen.positions import span

from .findings import Edit


def fix(document: Document, edits: Iterable[Edit]) -> str:
    """The document's text after the edits; those within the place of another one are left for the next run."""
    text = document.text
    done: list[tuple[int, int]] = []
    for edit in sorted(set(edits), key=lambda one: span(text, one.pointer)[1], reverse=True):
        start, value, end = span(document.text, edit.pointer)
        first = start if edit.drop else value
        if any(begin < end and first < stop for begin, stop in done):
            continue
        done.append((first, end))
        if not edit.drop:
            text = text[:value] + json.dumps(edit.value, ensure_ascii=False) + text[end:]
            continue
        text = _without(text, start, end)
    return text


def _without(text: str, start: int, end: int) -> str:
    """The text without a member, and without the comma and the blanks that it leaves behind."""
    after = end
    while text[after] in " \t\r\n":
        after += 1
    if text[after] == ",":
        after += 1
        while text[after] in " \t\r\n":
            after += 1
        return text[:start] + text[after:]
    before = start
    while text[before - 1] in " \t\r\n":
        before -= 1
    if text[before - 1] == ",":
        return text[: before - 1] + text[end:]
    return text[:before] + text[after:]
