"""The keywords of JSON Schema that are read: what value each takes and in which drafts it means something.

One table for the bundler, the normaliser and the documentation. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

DRAFT_04, DRAFT_06, DRAFT_07, DRAFT_2019, DRAFT_2020 = range(5)
LATEST = DRAFT_2020

META_SCHEMA = "protogen.schema.json"
"""Last part of a `$schema` that names a copy of our meta-schema: such a document is one of 2020-12."""

DIALECTS: dict[str, int] = {
    "http://json-schema.org/draft-04/schema": DRAFT_04,
    "http://json-schema.org/draft-06/schema": DRAFT_06,
    "http://json-schema.org/draft-07/schema": DRAFT_07,
    "http://json-schema.org/schema": DRAFT_07,
    "https://json-schema.org/draft-07/schema": DRAFT_07,
    "https://json-schema.org/draft/2019-09/schema": DRAFT_2019,
    "https://json-schema.org/draft/2020-12/schema": DRAFT_2020,
}
"""`$schema` without its trailing `#`, to the draft. A document without `$schema` is read as 2020-12."""


class Shape(Enum):
    """What the value of a keyword must be."""

    SCHEMA = "a schema (an object or a boolean)"
    SCHEMAS = "a non-empty array of schemas"
    SCHEMA_MAP = "an object whose values are schemas"
    SCHEMA_OR_SCHEMAS = "a schema or an array of schemas"
    SCHEMA_OR_NAMES_MAP = "an object whose values are schemas or arrays of property names"
    NAMES_MAP = "an object whose values are arrays of property names"
    STRING = "a string"
    NUMBER = "a number"
    POSITIVE = "a number greater than 0"
    COUNT = "a whole number of at least 0"
    BOOLEAN = "true or false"
    BOUND = "a number (true or false in draft-04)"
    NAMES = "an array of distinct strings"
    VALUES = "an array of values"
    TYPES = "a type name or a non-empty array of type names"
    OBJECT = "an object"
    ANY = "any JSON value"


TYPE_NAMES = ("null", "boolean", "integer", "number", "string", "array", "object")

CONSTRAINTS: dict[str, Shape] = {
    "$ref": Shape.STRING,
    "$dynamicRef": Shape.STRING,
    "$recursiveRef": Shape.STRING,
    "type": Shape.TYPES,
    "enum": Shape.VALUES,
    "const": Shape.ANY,
    "multipleOf": Shape.POSITIVE,
    "maximum": Shape.NUMBER,
    "exclusiveMaximum": Shape.BOUND,
    "minimum": Shape.NUMBER,
    "exclusiveMinimum": Shape.BOUND,
    "maxLength": Shape.COUNT,
    "minLength": Shape.COUNT,
    "pattern": Shape.STRING,
    "items": Shape.SCHEMA_OR_SCHEMAS,
    "prefixItems": Shape.SCHEMAS,
    "additionalItems": Shape.SCHEMA,
    "maxItems": Shape.COUNT,
    "minItems": Shape.COUNT,
    "uniqueItems": Shape.BOOLEAN,
    "contains": Shape.SCHEMA,
    "maxContains": Shape.COUNT,
    "minContains": Shape.COUNT,
    "maxProperties": Shape.COUNT,
    "minProperties": Shape.COUNT,
    "required": Shape.NAMES,
    "properties": Shape.SCHEMA_MAP,
    "patternProperties": Shape.SCHEMA_MAP,
    "additionalProperties": Shape.SCHEMA,
    "propertyNames": Shape.SCHEMA,
    "dependencies": Shape.SCHEMA_OR_NAMES_MAP,
    "dependentRequired": Shape.NAMES_MAP,
    "dependentSchemas": Shape.SCHEMA_MAP,
    "unevaluatedItems": Shape.SCHEMA,
    "unevaluatedProperties": Shape.SCHEMA,
    "allOf": Shape.SCHEMAS,
    "anyOf": Shape.SCHEMAS,
    "oneOf": Shape.SCHEMAS,
    "not": Shape.SCHEMA,
    "if": Shape.SCHEMA,
    "then": Shape.SCHEMA,
    "else": Shape.SCHEMA,
}
"""Keywords that accept or reject values."""

STRUCTURE: dict[str, Shape] = {
    "$schema": Shape.STRING,
    "$id": Shape.STRING,
    "id": Shape.STRING,
    "$anchor": Shape.STRING,
    "$dynamicAnchor": Shape.STRING,
    "$recursiveAnchor": Shape.BOOLEAN,
    "$vocabulary": Shape.OBJECT,
    "$defs": Shape.SCHEMA_MAP,
    "definitions": Shape.SCHEMA_MAP,
}
"""Keywords that name and hold schemas."""

ANNOTATIONS: dict[str, Shape] = {
    "$comment": Shape.STRING,
    "title": Shape.STRING,
    "description": Shape.STRING,
    "markdownDescription": Shape.STRING,
    "default": Shape.ANY,
    "deprecated": Shape.BOOLEAN,
    "readOnly": Shape.BOOLEAN,
    "writeOnly": Shape.BOOLEAN,
    "example": Shape.ANY,
    "examples": Shape.ANY,
    "format": Shape.STRING,
    "contentEncoding": Shape.STRING,
    "contentMediaType": Shape.STRING,
    "contentSchema": Shape.ANY,
    "discriminator": Shape.OBJECT,
    "enumNames": Shape.VALUES,
    # Of editors and of the Debug Adapter Protocol: a text per value, and the values of a text that may be another.
    "enumDescriptions": Shape.VALUES,
    "_enum": Shape.VALUES,
}
"""Keywords that only say something about a value; what begins with `x-` is an annotation as well."""

KNOWN: dict[str, Shape] = {**CONSTRAINTS, **STRUCTURE, **ANNOTATIONS}

SINCE: dict[str, int] = {
    "const": DRAFT_06,
    "contains": DRAFT_06,
    "propertyNames": DRAFT_06,
    "if": DRAFT_07,
    "then": DRAFT_07,
    "else": DRAFT_07,
    "dependentRequired": DRAFT_2019,
    "dependentSchemas": DRAFT_2019,
    "unevaluatedItems": DRAFT_2019,
    "unevaluatedProperties": DRAFT_2019,
    "minContains": DRAFT_2019,
    "maxContains": DRAFT_2019,
    "$recursiveRef": DRAFT_2019,
    "prefixItems": DRAFT_2020,
    "$dynamicRef": DRAFT_2020,
}
"""First draft in which a keyword constrains; before it the keyword is an unknown one."""

UNTIL: dict[str, int] = {
    "dependencies": DRAFT_07,
    "additionalItems": DRAFT_2019,
    "$recursiveRef": DRAFT_2019,
}
"""Last draft in which a keyword constrains."""


BOUNDS: frozenset[str] = frozenset(
    (
        *("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "propertyNames"),
    )
)
"""What bounds a value of the right type: the constraints that SDKs leave unchecked on demand."""


def constrains(keyword: str, draft: int) -> bool:
    """Whether `keyword` accepts or rejects anything in `draft`."""
    return keyword in CONSTRAINTS and SINCE.get(keyword, DRAFT_04) <= draft <= UNTIL.get(keyword, LATEST)


def fits(value: Any, shape: Shape) -> bool:
    """Whether the value of a keyword has the form that its shape asks for (one level deep)."""
    return _CHECKS[shape](value)


def is_schema(value: Any) -> bool:
    """Whether `value` can stand where a schema is expected."""
    return isinstance(value, (dict, bool))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return _number(value) and value >= 0 and value == int(value)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _schemas(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_schema, value))


def _types(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(name, str) and name in TYPE_NAMES for name in value)
    return isinstance(value, str) and value in TYPE_NAMES


_CHECKS: dict[Shape, Callable[[Any], bool]] = {
    Shape.SCHEMA: is_schema,
    Shape.SCHEMAS: _schemas,
    Shape.SCHEMA_MAP: lambda value: isinstance(value, dict) and all(map(is_schema, value.values())),
    Shape.SCHEMA_OR_SCHEMAS: lambda value: is_schema(value) or _schemas(value),
    Shape.SCHEMA_OR_NAMES_MAP: lambda value: (
        isinstance(value, dict) and all(is_schema(entry) or _names(entry) for entry in value.values())
    ),
    Shape.NAMES_MAP: lambda value: isinstance(value, dict) and all(map(_names, value.values())),
    Shape.STRING: lambda value: isinstance(value, str),
    Shape.NUMBER: _number,
    Shape.POSITIVE: lambda value: _number(value) and value > 0,
    Shape.COUNT: _count,
    Shape.BOOLEAN: lambda value: isinstance(value, bool),
    Shape.BOUND: lambda value: isinstance(value, (int, float)),
    Shape.NAMES: _names,
    Shape.VALUES: lambda value: isinstance(value, list),
    Shape.TYPES: _types,
    Shape.OBJECT: lambda value: isinstance(value, dict),
    Shape.ANY: lambda value: True,
}
