"""References of a lowered schema: `#/definitions/<name>` to a name and back.

Knows which keywords hold schemas, and nothing of what schemas mean.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote, unquote

_PREFIX = "#/definitions/"

_ONE = ("additionalItems", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
_MANY = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties", "dependencies", "dependentSchemas")

Schema = dict[str, Any] | bool


def reference_to(name: str) -> str:
    """The reference to a definition: JSON pointer escapes, then those of a URI fragment."""
    return _PREFIX + quote(name.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@-._")


def definition_name(reference: str) -> str:
    """The name that a reference made by reference_to() points to. Errors: ValueError for any other reference."""
    return unquote(_pointer(reference)).replace("~1", "/").replace("~0", "~")


def _pointer(reference: str) -> str:
    if not reference.startswith(_PREFIX):
        raise ValueError(f"expected a reference below {_PREFIX}, got {reference!r}")
    return reference[len(_PREFIX) :]


def requoted(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions with every reference a URI: validators refuse a blank in one, which a lowered schema may have.

    References that do not lead to a definition stay as they are.
    """
    return {name: _requoted(schema, definitions) for name, schema in definitions.items()}


def _requoted(schema: Any, names: Collection[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema and isinstance(schema["$ref"], str) and schema["$ref"].startswith(_PREFIX):
        plain = _pointer(schema["$ref"]).replace("~1", "/").replace("~0", "~")
        return {**schema, "$ref": reference_to(plain if plain in names else definition_name(schema["$ref"]))}
    out = dict(schema)
    for word, value in schema.items():
        if word in _ONE:
            out[word] = _requoted(value, names)
        elif word in _MANY or (word == "items" and isinstance(value, list)):
            out[word] = [_requoted(part, names) for part in value]
        elif word in _NAMED:
            out[word] = {key: _requoted(part, names) for key, part in value.items()}
        elif word == "items":
            out[word] = _requoted(value, names)
    return out
