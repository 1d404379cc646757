"""Rules about words: what SDKs and reference pages would leave empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from protogen import ir
from protogen.positions import escape

from .findings import Finding
from .subject import Subject


def types(subject: Subject) -> Iterator[Finding]:
    """Named types without a description."""
    for definition in subject.own:
        if not definition.doc and definition.pointer:
            yield Finding(definition.pointer, f'"{definition.name}" is not described', 'add "description"')


def members(subject: Subject) -> Iterator[Finding]:
    """Members of named types without a description, where their type has none either."""
    table = ir.definition_table(subject.protocol)
    for definition in subject.own:
        if not isinstance(definition, ir.Record):
            continue
        for field in definition.fields:
            inner = field.type.of if isinstance(field.type, ir.NullableType) else field.type
            told = isinstance(inner, ir.LiteralType) or (isinstance(inner, ir.NamedType) and table[inner.name].doc)
            if not field.doc and not told:
                pointer = f"{definition.pointer}/properties/{escape(field.wire)}"
                yield Finding(pointer, f'"{definition.name}.{field.wire}" is not described', 'add "description"')


def errors(subject: Subject) -> Iterator[Finding]:
    """Errors without a description."""
    for pointer, error in subject.errors:
        if not error.doc:
            yield Finding(pointer, f'error "{error.name}" is not described', 'add "description"')


def summaries(subject: Subject) -> Iterator[Finding]:
    """Summaries of methods and roles that are no sentence."""
    for folder in ("x-methods", "x-roles"):
        entries: Any = subject.tree.get(folder)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            said = entry.get("summary") if isinstance(entry, dict) else None
            if not isinstance(said, str) or not said.strip():
                continue
            text = said.strip()
            if text[-1] not in ".?!" or not (text[0].isupper() or not text[0].isalpha()):
                what = f'the summary of "{name}" is no sentence: {text[:50]!r}'
                pointer = f"/{folder}/{escape(name)}/summary"
                yield Finding(pointer, what, "begin with a capital and end with a full stop")
