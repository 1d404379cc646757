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
