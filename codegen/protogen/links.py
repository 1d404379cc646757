"""Which results feed which params: the identifiers that one method gives out and another asks for.

Knows types and names alone: a shared type of identifiers, the same member, or `task_id` for the `id` of a Task.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from protogen import ir
from protogen.naming import words

_DEPTH = 2
"""How far below the result an identifier is looked for: its own members, and those of a record or list in it."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """`target` takes as its member `wire` what stands at `pointer` in the result."""

    target: ir.Method
    wire: str
    pointer: str


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """An identifier in a result: its name, its type, the words of the record it belongs to."""

    pointer: str
    words: tuple[str, ...]
    type: ir.Type
    owner: tuple[str, ...]


def links(protocol: ir.Protocol) -> dict[str, list[Link]]:
    """For every method that gives out identifiers the methods of the same receiver that take them."""
    table = ir.definition_table(protocol)
    asked = [(target, _fields(target.params, table)) for target in protocol.methods if target.kind == "request"]
    asked = [(target, fields) for target, fields in asked if any(_identifies(field, table) for field in fields)]
    found: dict[str, list[Link]] = {}
    for source in protocol.methods:
        given = list(_given(source.result, "", table, _DEPTH))
        made = [
            Link(target=target, wire=field.wire, pointer=one.pointer)
            for target, fields in (asked if given else ())
            if target.receiver == source.receiver
            for field in fields
            for one in given
            if _fits(one, field, fields, target, table)
        ]
        if made:
            found[source.name] = made
    return found


def _given(type_: ir.Type | None, pointer: str, table: dict[str, ir.AnyDefinition], depth: int) -> Iterator[_Given]:
    """Identifiers in a value of a type, records and the first item of lists opened."""
    if not depth:
        return
    if isinstance(type_, ir.ListType):
        yield from _given(type_.item, f"{pointer}/0", table, depth)
        return
    definition = table.get(type_.name) if isinstance(type_, ir.NamedType) else None
    match definition:
        case ir.Alias(type=inner):
            yield from _given(inner, pointer, table, depth)
        case ir.Union(arms=arms):
            for arm in arms:
                yield from _given(arm.type, pointer, table, depth)
        case ir.Record(name=name, fields=fields):
            own = _words(name)
            for field in fields:
                at = f"{pointer}/{field.wire.replace('~', '~0').replace('/', '~1')}"
                if isinstance(field.type, ir.NullableType) and not field.required:
                    continue
                if _identifies(field, table):
                    yield _Given(pointer=at, words=_words(field.wire), type=field.type, owner=own)
                else:
                    yield from _given(field.type, at, table, depth - 1)
        case _:
            return


def _fits(
    given: _Given,
    field: ir.Field,
    beside: tuple[ir.Field, ...],
    method: ir.Method,
    table: dict[str, ir.AnyDefinition],
) -> bool:
    """Whether a given identifier is what a member of the params means."""
    if not _identifies(field, table):
        return False
    wanted = _words(field.wire)
    shared = _identifier_type(given.type, table)
    if shared and shared == _identifier_type(field.type, table):
        return wanted != ("id",) or field.required
    if wanted == given.words and wanted != ("id",):
        return True
    if given.words != ("id",) or not given.owner:
        return False
    # `task_id` is the `id` of a Task, and so is the `id` that "tasks/get" takes if it takes no `task_id`.
    noun = wanted[:-1]
    if noun:
        return noun == given.owner[-len(noun) :]
    named = any(_words(other.wire) == (given.owner[-1], "id") for other in beside)
    return not named and _singular(given.owner[-1]) in {_singular(word) for word in _words(method.name)}


def _identifies(field: ir.Field, table: dict[str, ir.AnyDefinition]) -> bool:
    """Whether a member holds an identifier: text, and called so by its own name or that of its type."""
    text = _identifier_type(field.type, table)
    return text is not None and (_words(field.wire)[-1:] == ("id",) or _words(text)[-1:] == ("id",))


def _identifier_type(type_: ir.Type, table: dict[str, ir.AnyDefinition]) -> str | None:
    """The name of the type of text that identifies things, "" for plain text, None for what is no text."""
    match type_:
        case ir.StringType():
            return ""
        case ir.NullableType(of=inner):
            return _identifier_type(inner, table)
        case ir.NamedType(name=name):
            definition = table.get(name)
            if isinstance(definition, ir.Alias) and isinstance(definition.type, ir.StringType):
                named = _words(name)
                return name if named[-1:] == ("id",) and len(named) > 1 else ""
            return None
        case _:
            return None


def _fields(type_: ir.Type | None, table: dict[str, ir.AnyDefinition]) -> tuple[ir.Field, ...]:
    definition = table.get(type_.name) if isinstance(type_, ir.NamedType) else None
    match definition:
        case ir.Record(fields=fields):
            return fields
        case ir.Alias(type=inner):
            return _fields(inner, table) if inner != type_ else ()
        case _:
            return ()


def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in words(name))


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
