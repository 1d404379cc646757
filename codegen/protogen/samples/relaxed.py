"""A schema without its constraints: what generated code accepts where it was told to check types alone.

Said of the lowered schema as a whole, where SDKs do it keyword by keyword while they check.
"""

from __future__ import annotations

from typing import Any

from protogen.keywords import BOUNDS
from protogen.samples.references import definition_name, reference_to

Schema = dict[str, Any] | bool

_STRICT = " in full"
"""Behind the name of a definition's copy that keeps its constraints."""


def relaxed(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions without constraints, and copies with them for what is excluded (`not`) and asked first (`if`).

    One of several alternatives may fit more than one of them then, so that `oneOf` becomes `anyOf`. The size of a
    tuple stays: it is part of the type.
    """
    loose = {name: _relaxed(schema) for name, schema in definitions.items()}
    return {**loose, **{name + _STRICT: _in_full(schema) for name, schema in definitions.items()}}


def _relaxed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    kept = {"minItems", "maxItems"} if isinstance(schema.get("items"), list) else set[str]()
    out: dict[str, Any] = {}
    for word, value in schema.items():
        if word in BOUNDS and word not in kept:
            continue
        if word in ("not", "if"):
            out[word] = _in_full(value)
        elif word == "oneOf":
            out["allOf"] = [*out.get("allOf", ()), {"anyOf": [_relaxed(part) for part in value]}]
        elif word == "allOf":
            out["allOf"] = [*out.get("allOf", ()), *map(_relaxed, value)]
        else:
            out[word] = _below(word, value, _relaxed)
    return out


def _in_full(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {**schema, "$ref": reference_to(definition_name(schema["$ref"]) + _STRICT)}
    return {word: _below(word, value, _in_full) for word, value in schema.items()}


def _below(word: str, value: Any, change: Any) -> Any:
    """The value of a keyword with every schema in it changed."""
    if word in ("const", "enum", "default", "examples"):
        return value
    if word in ("properties", "patternProperties", "dependencies", "dependentSchemas"):
        return {key: change(part) for key, part in value.items()}
    if isinstance(value, list):
        return [change(part) for part in value]
    return change(value)
