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


_MOST = 100
"""Links of one result: more than any tool follows, and what keeps a document of a thousand methods readable."""


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


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a method's params that holds an identifier; `at` is its place among all that are asked for."""

    at: tuple[int, int]
    target: ir.Method
    wire: str
    beside: frozenset[tuple[str, ...]]


def links(protocol: ir.Protocol) -> dict[str, list[Link]]:
    """For every method that gives out identifiers the methods of the same receiver that take them, at most _MOST."""
    table = ir.definition_table(protocol)
    asked = _asked(protocol, table)
    found: dict[str, list[Link]] = {}
    for source in protocol.methods:
        matches: dict[tuple[int, int, int], Link] = {}
        for order, given in enumerate(_given(source.result, "", table, _DEPTH)):
            for key in _given_keys(given, table):
                for one in asked.get((source.receiver, *key), ())[:_MOST]:
                    # An `id` beside a `task_id` is not the task's.
                    if key[0] != "own" or (given.owner[-1], "id") not in one.beside:
                        matches[*one.at, order] = Link(target=one.target, wire=one.wire, pointer=given.pointer)
        if matches:
            found[source.name] = [matches[at] for at in sorted(matches)[:_MOST]]
    return found


def _asked(protocol: ir.Protocol, table: dict[str, ir.AnyDefinition]) -> dict[tuple[str, ...], list[_Asked]]:
    """All members that take identifiers, by receiver and by what each is known by."""
    found: dict[tuple[str, ...], list[_Asked]] = {}
    for row, target in enumerate(protocol.methods):
        fields = _fields(target.params, table) if target.kind == "request" else ()
        beside = frozenset(_words(field.wire) for field in fields)
        for column, field in enumerate(fields):
            if _identifies(field, table):
                one = _Asked(at=(row, column), target=target, wire=field.wire, beside=beside)
                for key in _asked_keys(field, target, table):
                    found.setdefault((target.receiver, *key), []).append(one)
    return found


def _asked_keys(field: ir.Field, method: ir.Method, table: dict[str, ir.AnyDefinition]) -> Iterator[tuple[str, ...]]:
    """What an identifier that is asked for is known by: its type, its name, whose it is."""
    wanted = _words(field.wire)
    shared = _identifier_type(field.type, table)
    if shared and wanted == ("id",) and not field.required:
        return  # what is to be made may be given an identifier, but not one that is taken
    if shared:
        yield ("type", shared)
    if wanted != ("id",):
        yield ("name", *wanted)
        # `task_id` is the `id` of a Task,
        yield ("noun", *wanted[:-1])
    else:
        # and so is the `id` that "tasks/get" takes.
        yield from (("own", word) for word in sorted({_singular(word) for word in _words(method.name)}))


def _given_keys(given: _Given, table: dict[str, ir.AnyDefinition]) -> Iterator[tuple[str, ...]]:
    """What an identifier that is given out may be asked for by."""
    shared = _identifier_type(given.type, table)
    if shared:
        yield ("type", shared)
    if given.words != ("id",):
        yield ("name", *given.words)
    elif given.owner:
        yield from (("noun", *given.owner[start:]) for start in range(len(given.owner)))
        yield ("own", _singular(given.owner[-1]))


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
