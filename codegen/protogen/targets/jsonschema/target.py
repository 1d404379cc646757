"""A protocol as one JSON Schema document, for editors and for validators of any language.

Knows draft-07, which is what the lowered schema is, and how the same is said in 2020-12.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import msgspec

from protogen import ir
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem

Json = Any

DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"

_ONE = ("additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
"""Keywords of draft-07 whose value is a schema; `items` and `additionalItems` are handled apart."""

_MANY = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties")


_DATA = ("const", "enum", "default", "examples", "required")
"""Keywords whose values are data: what looks like a reference in them is none."""

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""Names that are the same as a file's name and within a reference."""


class JsonSchemaTarget:
    """The Target that writes the bundled schema in both drafts that tools read today."""

    name = "jsonschema"
    summary = "one self-contained JSON Schema document, as draft-07 and as 2020-12"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """`<protocol>.schema.json` (draft-07, with descriptions and defaults), the same as 2020-12, and `types/`.

        Each file in `types/` only refers to one definition: editors associate files with a schema's address, and
        take no address with a fragment.
        """
        del options, renderer  # a schema has neither package nor layout
        known = ir.definition_table(protocol)
        lowered: dict[str, Json] = protocol.schema["definitions"]
        definitions = {name: _documented(quoted(schema), known.get(name)) for name, schema in lowered.items()}
        about = {"title": protocol.title, "$comment": "\n".join(header_lines(protocol))}
        if protocol.doc:
            about["description"] = protocol.doc
        seven = {"$schema": DRAFT_07, **about, "definitions": definitions}
        twenty = {
            "$schema": DRAFT_2020_12,
            **about,
            "$defs": {name: modernised(schema) for name, schema in definitions.items()},
        }
        stem = protocol.name.replace("/", "-")
        entries = {
            f"types/{name}.schema.json": {
                "$schema": DRAFT_07,
                "$comment": about["$comment"],
                "$ref": f"../{stem}.schema.json#/definitions/{name}",
            }
            for name in documents(protocol)
        }
        return [
            GeneratedFile(path=f"{stem}.2020-12.schema.json", text=_text(twenty)),
            GeneratedFile(path=f"{stem}.schema.json", text=_text(seven)),
            *(GeneratedFile(path=path, text=_text(entry)) for path, entry in sorted(entries.items())),
        ], []


def documents(protocol: ir.Protocol) -> list[str]:
    """The definitions that people may write down in a file: named objects and unions that are no message's content."""
    messages: set[str] = set()
    for method in protocol.methods:
        messages.update(_named(method.params, method.result, method.events))
    for code in protocol.errors:
        messages.update(_named(code.data))
    shaped = {d.name for d in protocol.definitions if isinstance(d, ir.Record | ir.Union)}
    return [name for name in protocol.roots if name in shaped - messages and _PLAIN.fullmatch(name)]


def _named(*types: ir.Type | None) -> set[str]:
    return {type_.name for type_ in types if isinstance(type_, ir.NamedType)}


def quoted(schema: Json) -> Json:
    """The schema with every reference a URI: a definition's name may hold a blank, a reference may not."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            return {**schema, "$ref": "#" + quote(schema["$ref"].removeprefix("#"), safe="/~!$&'()*+,;=:@-._")}
        return {word: value if word in _DATA else quoted(value) for word, value in schema.items()}
    return [quoted(part) for part in schema] if isinstance(schema, list) else schema


def _text(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


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


TARGET = JsonSchemaTarget()
