"""A protocol document of any size, always the same for the same size: what stands in for somebody's large protocol."""

from __future__ import annotations

from typing import Any

GROUP = 10
"""Definitions that are made together: seven records, an enum, a tagged union, an alias."""


def document(definitions: int) -> dict[str, Any]:
    """A protocol document with so many definitions (a multiple of GROUP) and a method for every group."""
    if definitions % GROUP:
        raise ValueError(f"expected a multiple of {GROUP}, got {definitions}")
    types: dict[str, Any] = {}
    methods: dict[str, Any] = {}
    for number in range(definitions // GROUP):
        types.update(_group(number))
        methods[f"group{number}/get"] = {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": f"Reads an item of group {number}.",
            "params": {"$ref": f"#/$defs/Query{number}"},
            "result": {"$ref": f"#/$defs/Page{number}"},
            "errors": ["NotFound"],
            "idempotent": True,
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "x-protocol": {"name": "synthetic", "version": "1.0"},
        "x-roles": {"client": {"summary": "Asks."}, "server": {"summary": "Answers."}},
        "x-methods": methods,
        "x-errors": {"NotFound": {"code": -32001, "message": "Not found"}},
        "$defs": types,
    }


def _group(number: int) -> dict[str, Any]:
    kinds = ("Text", "Image", "Link")
    group: dict[str, Any] = {
        f"State{number}": {
            "type": "string",
            "enum": ["open", "closed", "lost"],
            "description": "Where an item stands.",
        },
        f"Name{number}": {"type": "string", "minLength": 1, "maxLength": 200, "description": "A name for people."},
        f"Part{number}": {
            "oneOf": [{"$ref": f"#/$defs/{kind}{number}"} for kind in kinds],
            "description": "A part of an item.",
        },
        f"Item{number}": _record(
            "An item.",
            ["id", "name"],
            id={"type": "string", "format": "uuid"},
            name={"$ref": f"#/$defs/Name{number}"},
            state={"$ref": f"#/$defs/State{number}", "default": "open"},
            parts={"type": "array", "items": {"$ref": f"#/$defs/Part{number}"}},
            parent={"anyOf": [{"$ref": f"#/$defs/Item{number}"}, {"type": "null"}]},
            labels={"type": "object", "additionalProperties": {"type": "string"}},
        ),
        f"Query{number}": _record(
            "What to look for.",
            ["id"],
            id={"type": "string", "minLength": 1},
            limit={"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            cursor={"type": ["string", "null"]},
        ),
        f"Page{number}": _record(
            "What was found.",
            ["items"],
            items={"type": "array", "items": {"$ref": f"#/$defs/Item{number}"}},
            cursor={"type": ["string", "null"]},
            total={"type": "integer", "minimum": 0},
        ),
        f"Event{number}": _record(
            "Something that happened.",
            ["item", "at"],
            item={"$ref": f"#/$defs/Item{number}"},
            at={"type": "string", "format": "date-time"},
            detail={},
        ),
    }
    for kind in kinds:
        group[f"{kind}{number}"] = _record(
            f"A part of kind {kind}.",
            ["kind", "value"],
            kind={"const": kind.lower()},
            value={"type": "string"},
            weight={"type": "number", "minimum": 0},
        )
    return group


def _record(description: str, required: list[str], **properties: Any) -> dict[str, Any]:
    described = {
        name: schema if "$ref" in schema else {**schema, "description": f"The {name} of it."}
        for name, schema in properties.items()
    }
    return {"type": "object", "description": description, "required": required, "properties": described}


def openrpc(methods: int) -> dict[str, Any]:
    """An OpenRPC document of so many methods (3.5 kB each): what a large node of a chain publishes."""
    return {
        "openrpc": "1.2.6",
        "info": {"title": "Large", "version": "1.0.0"},
        "methods": [_method(number) for number in range(methods)],
        "components": {"schemas": {f"Type{number}": _value(number, 2) for number in range(200)}},
    }


_NOTE = "Some words on what this is, as one finds them in real documents of this kind."


def _method(number: int) -> dict[str, Any]:
    return {
        "name": f"chain_method{number}",
        "summary": f"Does something of kind {number}.",
        "description": "A longer text.\n\nWith a second paragraph that says when it fails.",
        "params": [
            {"name": f"param{at}", "required": at == 0, "schema": _value(number + at, 1)}
            for at in range(1 + number % 3)
        ],
        "result": {"name": "result", "schema": _value(number, 3)},
        "errors": [{"code": -32000 - number % 40, "message": f"Error {number % 40}"}],
    }


def _value(number: int, depth: int) -> dict[str, Any]:
    """A schema with a title and a text, as generators of documents write them out everywhere."""
    notes = {"title": f"Value{number % 90}", "description": _NOTE}
    match number % 7 if depth else number % 3:
        case 0:
            return {**notes, "type": "string", "pattern": "^0x[0-9a-f]+$"}
        case 1:
            return {**notes, "type": "integer", "minimum": 0}
        case 2:
            return {**notes, "$ref": f"#/components/schemas/Type{(number + 1) % 200}"}
        case 3:
            return {**notes, "type": "array", "items": _value(number + 1, depth - 1)}
        case _:
            members = {f"member{at}": _value(number + at, depth - 1) for at in range(2 + number % 4)}
            return {**notes, "type": "object", "properties": members, "required": ["member0"]}
