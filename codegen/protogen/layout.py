"""The layout of JSON documents: one text for one meaning, whoever wrote it.

Widths, line breaks and blank lines are those of prettier (120 columns), so that both agree on a file. Numbers and
strings stay as they were written. In schemas, keywords stand in one order. The text is known to parse.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Final

import msgspec

WIDTH: Final = 120
"""Columns that a line may have."""

_PIECE: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+)', re.DOTALL)

_FIRST: Final = (
    *("$schema", "$id", "$vocabulary", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment"),
    *("x-protogen-name", "title", "description", "x-protogen-ignore", "deprecated", "readOnly", "writeOnly"),
    *("x-protocol", "x-roles", "x-transports", "x-methods", "x-errors"),
    *("$ref", "$dynamicRef", "$recursiveRef", "type", "const", "enum", "x-open-enum", "x-enum-descriptions"),
    *("format", "contentEncoding", "contentMediaType", "contentSchema", "minLength", "maxLength", "pattern"),
    *("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
    *("prefixItems", "items", "additionalItems", "unevaluatedItems", "contains", "minContains", "maxContains"),
    *("minItems", "maxItems", "uniqueItems"),
    *("not", "required", "minProperties", "maxProperties", "propertyNames", "properties", "patternProperties"),
    *("additionalProperties", "unevaluatedProperties", "dependentRequired", "dependentSchemas", "dependencies"),
    *("discriminator", "oneOf", "anyOf", "allOf", "if", "then", "else", "default", "examples"),
)
_LAST: Final = ("$defs", "definitions")
_RANK: Final = {word: rank for rank, word in enumerate(_FIRST)}
"""Keywords in their order; what is not among them comes after these, in the order in which it was written."""

_SCHEMAS: Final = frozenset(
    (
        *("items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties"),
        *("unevaluatedProperties", "propertyNames", "not", "if", "then", "else", "contentSchema"),
        *("allOf", "anyOf", "oneOf", "prefixItems"),
    )
)
"""Keywords whose value is a schema, or an array of schemas."""

_NAMED: Final = frozenset(("$defs", "definitions", "properties", "patternProperties", "dependentSchemas"))
"""Keywords whose value maps names to schemas."""


class _Value(msgspec.Struct):
    """A scalar, its text in `raw`; an array, its members in `items`; an object, with `keys` as well."""

    raw: str = ""
    keys: list[str] | None = None
    items: list[_Value] | None = None
    open: bool = False
    """Whether an object was written over several lines."""
    spaced: bool = False
    """Whether a blank line stood before it."""


def laid_out(text: str, *, schema: bool) -> str:
    """The document's text in its one layout; `schema`: keywords are put into their order as well."""
    value = _Reader(text.removeprefix("\ufeff")).value()
    if schema:
        _order(value)
    return _shown(value, 0, 0) + "\n"


class _Reader:
    """Reads a text that parses into values with what the layout keeps of it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._gap = ""

    def value(self) -> _Value:
        piece = self._next()
        spaced = self._gap.count("\n") > 1
        if piece not in "{[":
            return _Value(raw=piece, spaced=spaced)
        made = _Value(items=[], keys=[] if piece == "{" else None, spaced=spaced)
        first = True
        while True:
            before = self._at
            piece = self._next()
            if first:
                made.open = "\n" in self._gap and piece != "}"
            if piece in "}]":
                return made
            if piece == ",":
                before = self._at
                piece = self._next()
            gap = self._gap
            assert made.items is not None
            if made.keys is None:
                self._at = before
                made.items.append(self.value())
            else:
                made.keys.append(piece)
                self._next()
                made.items.append(self.value())
            made.items[-1].spaced = gap.count("\n") > 1 and not first
            first = False

    def _next(self) -> str:
        match = _PIECE.match(self._text, self._at)
        assert match is not None, self._at
        self._gap = self._text[self._at : match.start(1)]
        self._at = match.end()
        return match.group(1)


def _order(schema: _Value) -> None:
    """Puts the keywords of a schema, and of those within it, into their order."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if value.keys is None or value.items is None:
            waiting += value.items or ()
            continue
        words = [str(json.loads(key)) for key in value.keys]
        for word, inner in zip(words, value.items, strict=True):
            if word in _SCHEMAS:
                waiting.append(inner)
            elif word in _NAMED:
                waiting += inner.items or ()
        order = sorted(range(len(words)), key=lambda at: (_place(words[at]), at))
        if order != list(range(len(words))):
            value.keys = [value.keys[at] for at in order]
            value.items = [value.items[at] for at in order]
            value.items[0].spaced = False


def _place(word: str) -> int:
    return len(_FIRST) + 1 + _LAST.index(word) if word in _LAST else _RANK.get(word, len(_FIRST))


def _shown(value: _Value, indent: int, used: int) -> str:
    """A value's text; `indent` is that of its line, `used` what stands before it and must stand behind it."""
    if value.items is None:
        return value.raw
    if not value.items:
        return "{}" if value.keys is not None else "[]"
    if not _must_break(value):
        line = _line(value)
        if indent + used + _columns(line) <= WIDTH:
            return line
    inner = indent + 2
    parts: list[str] = []
    last = len(value.items) - 1
    if value.keys is None and _are_numbers(value):
        return _filled(value, inner)
    for at, item in enumerate(value.items):
        key = f"{value.keys[at]}: " if value.keys is not None else ""
        comma = "" if at == last else ","
        blank = "\n" if item.spaced and at else ""
        parts.append(f"{blank}{' ' * inner}{key}{_shown(item, inner, _columns(key) + len(comma))}{comma}")
    brackets = "{}" if value.keys is not None else "[]"
    return f"{brackets[0]}\n" + "\n".join(parts) + f"\n{' ' * indent}{brackets[1]}"


def _must_break(value: _Value) -> bool:
    """Whether a value goes over several lines however short it is: as written, or as lists of tables do."""
    if value.items is None:
        return False
    if value.keys is not None and value.open and value.items:
        return True
    if (value.keys is not None or _are_numbers(value)) and any(item.spaced for item in value.items[1:]):
        return True
    if value.keys is None and len(value.items) > 1:
        kinds = {item.keys is not None for item in value.items}
        if len(kinds) == 1 and all(item.items is not None and len(item.items) > 1 for item in value.items):
            return True
    return any(_must_break(item) for item in value.items)


def _are_numbers(value: _Value) -> bool:
    return len(value.items or ()) > 1 and all(
        item.items is None and item.raw[:1] in "-+0123456789" for item in value.items or ()
    )


def _filled(value: _Value, indent: int) -> str:
    """An array of numbers, as many to a line as there is room for."""
    lines: list[str] = []
    line = " " * indent
    items = value.items or []
    for at, item in enumerate(items):
        word = item.raw + ("," if at < len(items) - 1 else "")
        if line.strip() and (len(line) + 1 + len(word) > WIDTH or item.spaced):
            lines.append(line)
            lines += [""] if item.spaced else []
            line = " " * indent
        line += (" " if line.strip() else "") + word
    lines.append(line)
    return "[\n" + "\n".join(lines) + f"\n{' ' * (indent - 2)}]"


def _line(value: _Value) -> str:
    """A value on one line."""
    if value.items is None:
        return value.raw
    inner = [_line(item) for item in value.items]
    if value.keys is None:
        return f"[{', '.join(inner)}]"
    members = ", ".join(f"{key}: {item}" for key, item in zip(value.keys, inner, strict=True))
    return f"{{ {members} }}" if members else "{}"


def _columns(text: str) -> int:
    """Columns that a text takes; wide letters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
