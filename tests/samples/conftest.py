"""A toy schema that has every keyword of draft-07, and the protocols of this repository as IR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protogen import ir
from protogen.build import read_protocol

ROOT = Path(__file__).resolve().parents[2]

KEYWORDS: dict[str, Any] = {
    "Name": {"type": "string", "minLength": 2, "maxLength": 5},
    "Slug": {"type": "string", "pattern": "^[a-z][a-z0-9]*(-\\d+)?$"},
    "Level": {"enum": ["low", "high", 3, None]},
    "Tag": {"const": "v1"},
    "Flag": {"const": True},
    "Count": {"type": "integer", "minimum": 0, "maximum": 9},
    "Share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "Even": {"type": "integer", "multipleOf": 2},
    "Big": {"type": "integer"},
    "Maybe": {"type": ["string", "null"]},
    "Any": {},
    "Pair": {
        "type": "array",
        "items": [{"type": "string"}, {"type": "integer"}],
        "additionalItems": False,
        "minItems": 2,
    },
    "Few": {"type": "array", "items": {"$ref": "#/definitions/Count"}, "minItems": 1, "maxItems": 3},
    "Set": {"type": "array", "items": {"$ref": "#/definitions/Name"}, "uniqueItems": True},
    "Having": {"type": "array", "contains": {"type": "integer"}},
    "Closed": {
        "type": "object",
        "properties": {"id": {"$ref": "#/definitions/Name"}, "note": {"type": "string"}},
        "required": ["id"],
        "additionalProperties": False,
    },
    "Open": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    "Counts": {"type": "object", "additionalProperties": {"$ref": "#/definitions/Count"}},
    "Sized": {"type": "object", "minProperties": 1, "maxProperties": 2},
    "Prefixed": {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
    "Keyed": {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}},
    "Bound": {
        "type": "object",
        "properties": {"card": {"type": "string"}, "address": {"type": "string"}},
        "dependencies": {"card": ["address"]},
    },
    "Either": {"oneOf": [{"$ref": "#/definitions/Closed"}, {"$ref": "#/definitions/Count"}]},
    "Groups": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "Both": {"allOf": [{"$ref": "#/definitions/Open"}, {"properties": {"n": {"type": "integer"}}, "required": ["n"]}]},
    "Not": {"type": "object", "not": {"required": ["secret"]}},
    "When": {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "size": {"type": "integer"}},
        "if": {"properties": {"kind": {"const": "box"}}, "required": ["kind"]},
        "then": {"required": ["size"]},
    },
    "Tree": {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#/definitions/Tree"}},
        },
        "required": ["value"],
    },
    "a/b~c d": {"type": "object", "properties": {"again": {"$ref": "#/definitions/a~1b~0c d"}}},
}


@pytest.fixture(scope="session")
def keywords() -> dict[str, Any]:
    """The definitions of the toy."""
    return KEYWORDS


def protocol(name: str) -> ir.Protocol:
    """A protocol of this repository by its folder below schemas/."""
    found, problems = read_protocol(ROOT / "schemas" / name / "protocol.json", root=ROOT)
    assert found is not None, problems
    return found


@pytest.fixture(scope="session", params=["stepflow/0.9", "apflow/1.0"])
def large(request: pytest.FixtureRequest) -> ir.Protocol:
    """Each of the two protocols that ship."""
    return protocol(request.param)


@pytest.fixture(scope="session")
def echo() -> ir.Protocol:
    """The toy protocol of the tutorials."""
    return protocol("echo")
