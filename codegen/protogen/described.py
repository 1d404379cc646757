"""The lowered schema as other tools take it: with the meaning that the IR knows, in draft-07 or in 2020-12.

Knows how both drafts say the same; which document it goes into is a target's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from protogen import ir

Json = Any

_ONE = ("additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
"""Keywords of draft-07 whose value is a schema; `items` and `additionalItems` are handled apart."""

_MANY = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties")
_NAMES = (*_NAMED, "dependencies", "dependentSchemas", "dependentRequired", "definitions", "$defs")
"""Keywords whose value is a map from names: a member called `$ref` or `enum` in it is no keyword."""


_DATA = ("const", "enum", "default", "examples", "required")
"""Keywords whose values are data: what looks like a reference in them is none."""


def described(protocol: ir.Protocol) -> dict[str, Json]:
    """Every definition of the lowered schema (draft-07) with descriptions, defaults and marks, references as URIs."""
    known = ir.definition_table(protocol)
    lowered: dict[str, Json] = protocol.schema["definitions"]
    return {name: _documented(quoted(schema), known.get(name)) for name, schema in lowered.items()}


def quoted(schema: Json) -> Json:
    """The schema with every reference a URI: a definition's name may hold a blank, a reference may not."""
    return _mapped(schema, lambda reference: "#" + quote(reference.removeprefix("#"), safe="/~!$&'()*+,;=:@-._"))


def _mapped(schema: Json, reference: Callable[[str], str]) -> Json:
    """`schema` with every reference replaced; what only looks like one, in data and among names, is left alone."""
    if isinstance(schema, list):
        return [_mapped(part, reference) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Json] = {}
    for word, value in schema.items():
        if word == "$ref" and isinstance(value, str):
            made[word] = reference(value)
        elif word in _NAMES and isinstance(value, dict):
            made[word] = {name: _mapped(part, reference) for name, part in value.items()}
        else:
            made[word] = value if word in _DATA else _mapped(value, reference)
    return made


def _documented(schema: Json, definition: ir.AnyDefinition | None) -> Json:
    """A definition's schema with what the IR knows of its meaning; a validator reads it as before."""
    if definition is None:
        return schema
    noted = _noted(schema, doc=definition.doc, deprecated=definition.deprecated)
    if not isinstance(definition, ir.Record) or not isinstance(noted, dict) or "properties" not in noted:
        return noted
    properties = dict(noted["properties"])
    for field in definition.fields:
        if field.wire in properties:
            properties[field.wire] = _noted(
                properties[field.wire],
                doc=field.doc,
                deprecated=field.deprecated,
                default=field.default,
                read_only=field.read_only,
                write_only=field.write_only,
            )
    return {**noted, "properties": properties}


def _noted(
    schema: Json,
    *,
    doc: str,
    deprecated: bool,
    default: Json = ir.UNSET,
    read_only: bool = False,
    write_only: bool = False,
) -> Json:
    notes: dict[str, Json] = {}
    if doc:
        notes["description"] = doc
    if default is not msgspec.UNSET:
        notes["default"] = default
    for word, said in (("deprecated", deprecated), ("readOnly", read_only), ("writeOnly", write_only)):
        if said:
            notes[word] = True
    if not notes or schema is False:
        return schema
    return {**notes, **({} if schema is True else schema)}


def modernised(schema: Json) -> Json:
    """A draft-07 schema as 2020-12 has it: `$defs`, `prefixItems`, dependencies by kind, `$ref` alone."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        # Draft-07 ignores what stands beside a reference, 2020-12 does not: only notes may stay.
        kept = {word: schema[word] for word in ("description", "default", "deprecated") if word in schema}
        return {**kept, "$ref": schema["$ref"].replace("#/definitions/", "#/$defs/", 1)}
    modern: dict[str, Json] = {}
    for word, value in schema.items():
        if word in _ONE:
            modern[word] = modernised(value)
        elif word in _MANY:
            modern[word] = [modernised(part) for part in value]
        elif word in _NAMED:
            modern[word] = {name: modernised(part) for name, part in value.items()}
        elif word == "items" and isinstance(value, list):
            modern["prefixItems"] = [modernised(part) for part in value]
            if "additionalItems" in schema:
                modern["items"] = modernised(schema["additionalItems"])
        elif word == "items":
            modern["items"] = modernised(value)
        elif word == "dependencies":
            required = {name: part for name, part in value.items() if isinstance(part, list)}
            schemas = {name: modernised(part) for name, part in value.items() if not isinstance(part, list)}
            modern.update({"dependentRequired": required} if required else {})
            modern.update({"dependentSchemas": schemas} if schemas else {})
        elif word != "additionalItems":
            modern[word] = value
    return modern


_KEY = re.compile(r"[A-Za-z0-9._-]+")
"""What OpenAPI and OpenRPC allow as a name among their components."""


def component_keys(names: Iterable[str], reserved: Iterable[str] = ()) -> dict[str, str]:
    """A key among a document's components for every name: the name where that is allowed and free, else spelled out."""
    names, taken = list(names), set(reserved)
    keys = {name: name for name in names if _KEY.fullmatch(name) and name not in taken}
    taken |= set(keys)
    for name in names:
        if name not in keys:
            plain = "".join(letter if _KEY.fullmatch(letter) else f"_{ord(letter):x}_" for letter in name) or "_"
            while plain in taken:
                plain += "_"
            taken.add(plain)
            keys[name] = plain
    return keys


def rebased(schema: Json, keys: dict[str, str], place: str) -> Json:
    """`schema` with its references to definitions as references to `<place>/<key>`, in either draft."""
    return _mapped(schema, lambda reference: f"{place}/{keys[_referred(reference)]}")


def member_schema(name: str, wire: str, definitions: dict[str, Json]) -> Json:
    """The schema of a record's member among described definitions, also where `allOf` or a reference brings it in.

    `{}` where none is written: a member may be required without being described.
    """
    return _member(definitions[name], wire, definitions, (name,))


def _member(schema: Json, wire: str, definitions: dict[str, Json], trail: tuple[str, ...]) -> Json:
    if not isinstance(schema, dict):
        return {}
    if wire in schema.get("properties", {}):
        return schema["properties"][wire]
    if "$ref" in schema:
        name = _referred(schema["$ref"])
        return {} if name in trail else _member(definitions[name], wire, definitions, (*trail, name))
    found = (_member(arm, wire, definitions, trail) for arm in schema.get("allOf", ()))
    return next((arm for arm in found if arm != {}), {})


def _referred(reference: str) -> str:
    """The name of the definition that a reference of a described schema leads to."""
    return unquote(reference.split("/", 2)[-1]).replace("~1", "/").replace("~0", "~")
