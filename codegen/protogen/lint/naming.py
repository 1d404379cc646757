"""Rules about names: one style for each kind of name, the one that most of them have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from protogen import ir
from protogen.naming import pascal
from protogen.positions import escape

from .findings import Finding
from .subject import Subject

_STYLES: Final = {
    "camelCase": re.compile(r"[a-z][a-z0-9]*([A-Z]+[a-z0-9]*)+"),
    "snake_case": re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+"),
    "kebab-case": re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+"),
    "PascalCase": re.compile(r"([A-Z][a-z0-9]*){2,}|[A-Z][a-z0-9]+"),
    "UPPER_CASE": re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z][A-Z0-9]+"),
}
"""Styles by what only they look like: a single lower-case word has none."""


def style_of(name: str) -> str | None:
    """The style of a name, None where it could be of several or of none."""
    return next((style for style, form in _STYLES.items() if form.fullmatch(name)), None)


def _usual(names: Iterable[str]) -> str | None:
    """The style of most names: at least three, and two thirds of those that have any."""
    styles = Counter(style for style in map(style_of, names) if style is not None)
    if not styles:
        return None
    style, count = styles.most_common(1)[0]
    return style if count >= 3 and count * 3 >= styles.total() * 2 else None


def types(subject: Subject) -> Iterator[Finding]:
    """Definitions and errors are named in Pascal case, as types are in all three languages."""
    named = [(definition.pointer, definition.name) for definition in subject.own if definition.pin is None]
    named += [(pointer, error.name) for pointer, error in subject.errors if error.pin is None]
    for pointer, name in named:
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) and pointer:
            fix = f'call it "{pascal(name)}", or say the name for SDKs in "x-protogen-name"'
            yield Finding(pointer, f'"{name}" is not in PascalCase', fix)


def members(subject: Subject) -> Iterator[Finding]:
    """Members whose style differs from that of most members of the document."""
    records = [definition for definition in subject.protocol.definitions if isinstance(definition, ir.Record)]
    records = [record for record in records if record.path == subject.document.path]
    usual = _usual(field.wire for record in records for field in record.fields)
    if usual is None:
        return
    for record in records:
        for field in record.fields:
            style = style_of(field.wire)
            if style not in (None, usual):
                what = f'member "{field.wire}" of "{record.name}" is in {style}, most are in {usual}'
                pointer = f"{record.pointer}/properties/{escape(field.wire)}"
                yield Finding(pointer, what, "keep to one style, or ignore this where another text decides")


def methods(subject: Subject) -> Iterator[Finding]:
    """Methods that separate their words by another sign than most do."""
    signs = Counter(sign for _, method in subject.methods for sign in _signs(method.name))
    if not signs:
        return
    usual, count = signs.most_common(1)[0]
    if count * 3 < signs.total() * 2:
        return
    for pointer, method in subject.methods:
        others = [sign for sign in _signs(method.name) if sign != usual]
        if others:
            what = f'"{method.name}" is divided by "{others[0]}", most methods by "{usual}"'
            yield Finding(pointer, what, "keep to one sign, or ignore this where another text decides")


def _signs(name: str) -> list[str]:
    return [sign for sign in ("/", ".", ":") if sign in name.removeprefix("$/")]


def values(subject: Subject) -> Iterator[Finding]:
    """Values of an enum whose style differs from that of the others."""
    for definition in subject.protocol.definitions:
        if not isinstance(definition, ir.Enum) or definition.path != subject.document.path:
            continue
        texts = [entry.value for entry in definition.values if isinstance(entry.value, str)]
        usual = _usual(texts)
        for text in texts:
            style = style_of(text)
            if usual is not None and style not in (None, usual):
                what = f'"{text}" of "{definition.name}" is in {style}, the others in {usual}'
                yield Finding(definition.pointer, what, "keep to one style, or ignore this where another text decides")
