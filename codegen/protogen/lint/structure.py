"""Rules about schemas as such: what nobody uses, what says nothing, what nothing can meet."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from protogen import ir
from protogen.normalise import referred
from protogen.positions import escape

from .findings import Edit, Finding
from .subject import Schema, Subject


def unused_definitions(subject: Subject) -> Iterator[Finding]:
    """Definitions that no message leads to.

    A document without methods is a library, and all of it is used; one of another kind may hold envelopes, too.
    """
    protocol = subject.protocol
    if not protocol.methods or subject.document.kind:
        return
    definitions: dict[str, Any] = protocol.schema["definitions"]
    starts = [
        type_.name
        for method in protocol.methods
        for type_ in (method.params, method.result, method.events)
        if isinstance(type_, ir.NamedType)
    ]
    starts += [code.data.name for code in protocol.errors if isinstance(code.data, ir.NamedType)]
    starts += [example.type for example in protocol.examples if example.type is not None]
    used: set[str] = set()
    waiting = starts
    while waiting:
        name = waiting.pop()
        if name not in used and name in definitions:
            used.add(name)
            waiting += references(definitions[name])
    for definition in subject.own:
        if definition.name not in used:
            what = f'no method, error or example leads to "{definition.name}"'
            yield Finding(definition.pointer, what, "remove it, or refer to it where it belongs")


def references(schema: Any) -> list[str]:
    """Names of the definitions that a lowered schema refers to."""
    found: list[str] = []
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            name = referred(value) if isinstance(value.get("$ref"), str) else None
            if name is not None:
                found.append(name)
            waiting += [part for word, part in value.items() if word not in ("const", "enum")]
    return found


def equal_definitions(subject: Subject) -> Iterator[Finding]:
    """Objects of two members or more that are described twice under two names."""
    groups: dict[str, list[ir.AnyDefinition]] = defaultdict(list)
    for definition in subject.own:
        if isinstance(definition, ir.Record) and len(definition.fields) > 1:
            schema = subject.protocol.schema["definitions"][definition.name]
            groups[json.dumps(schema, sort_keys=True)].append(definition)
    for group in groups.values():
        for definition in group[1:]:
            what = f'"{definition.name}" describes the same object as "{group[0].name}"'
            yield Finding(definition.pointer, what, f'refer to "{group[0].name}", or say what makes them differ')


_IDLE: dict[str, Any] = {
    "additionalProperties": (True,),
    "minLength": (0,),
    "minItems": (0,),
    "minProperties": (0,),
    "required": ([],),
    "uniqueItems": (False,),
    "deprecated": (False,),
    "readOnly": (False,),
    "writeOnly": (False,),
}
"""Keywords with the values that mean what their absence means."""


def idle_keywords(subject: Subject) -> Iterator[Finding]:
    """Keywords that mean what their absence means, and lists of one."""
    for pointer, schema in subject.schemas:
        for word, values in _IDLE.items():
            # 0 equals False to Python, not to JSON.
            if word in schema and any(schema[word] is value or schema[word] == [] == value for value in values):
                here = f"{pointer}/{word}"
                what = f'"{word}": {json.dumps(schema[word])} says what its absence says'
                yield Finding(here, what, "remove it", Edit(here, drop=True))
        types = schema.get("type")
        if isinstance(types, list) and len(types) == 1:
            here = f"{pointer}/type"
            yield Finding(here, "a list of one type", f'write "{types[0]}"', Edit(here, types[0]))
        for word in ("allOf", "anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and len(schema[word]) == 1 and set(schema) == {word}:
                yield Finding(f"{pointer}/{word}", f'"{word}" of one schema', "write the schema in its place")


def undescribed_members(subject: Subject) -> Iterator[Finding]:
    """Members that are required and nowhere described: most often a name that is spelt in two ways."""
    from protogen.problems import closest

    for pointer, schema in subject.schemas:
        properties = schema.get("properties")
        required = schema.get("required")
        if not isinstance(properties, dict) or not isinstance(required, list) or _has_arms(schema):
            continue
        for index, name in enumerate(required):
            if isinstance(name, str) and name not in properties:
                hint = closest(name, properties).removeprefix("; ") or "describe it under properties"
                yield Finding(f"{pointer}/required/{index}", f'"{name}" is required and not described', hint)


def _has_arms(schema: Schema) -> bool:
    """Whether members may be described elsewhere."""
    return any(word in schema for word in ("allOf", "anyOf", "oneOf", "$ref", "patternProperties", "if"))


_BOUNDS = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


def contradictions(subject: Subject) -> Iterator[Finding]:
    """Bounds and lists that no value can meet."""
    for pointer, schema in subject.schemas:
        for least, most in _BOUNDS:
            low, high = schema.get(least), schema.get(most)
            if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
                what = f'"{least}" {low} is above "{most}" {high}: no value fits'
                yield Finding(f"{pointer}/{least}", what, "exchange them, or correct one")
        properties, required = schema.get("properties"), schema.get("required")
        if isinstance(properties, dict) and isinstance(required, list):
            for name in required:
                if isinstance(name, str) and properties.get(name) is False:
                    what = f'"{name}" is required, and nothing fits it'
                    yield Finding(f"{pointer}/properties/{escape(name)}", what, "drop one of the two")
        values, types = schema.get("enum"), schema.get("type")
        if isinstance(values, list) and isinstance(types, str | list):
            names = [types] if isinstance(types, str) else types
            for index, value in enumerate(values):
                if not any(_is(value, name) for name in names):
                    what = f"{json.dumps(value)} is no {' or '.join(map(str, names))}: it never fits"
                    yield Finding(f"{pointer}/enum/{index}", what, "remove the value, or widen the type")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is(value: Any, name: Any) -> bool:
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return _number(value) and value == int(value)
        case "number":
            return _number(value)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)
