"""Two draft-07 schemas as one that admits what both admit, as far as keywords can be joined.

A joined schema may admit a little more than both (two `contains`); whoever makes values from it checks them.
`patterns` in a result lists further expressions beside `pattern`.
"""

from __future__ import annotations

import math
from typing import Any

from protogen.samples.references import definition_name
from protogen.samples.text import Json, same

Schema = dict[str, Any] | bool

_DEEPEST = 16
"""References followed in one join; a longer chain can only be a cycle."""

_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "$comment", "$id", "$schema", "definitions"})


def without(schema: dict[str, Any], *words: str) -> dict[str, Any]:
    """The schema less some keywords."""
    return {key: value for key, value in schema.items() if key not in words}


def merge(left: Schema, right: Schema, definitions: dict[str, Schema], depth: int = 0) -> Schema:
    """A schema for the values that both admit; a lone reference is kept, one with company is resolved."""
    if left is False or right is False:
        return False
    if left is True or _empty(left):
        return right
    if right is True or _empty(right):
        return left
    assert isinstance(left, dict)
    assert isinstance(right, dict)
    if left == right:
        return left
    for one, other in ((left, right), (right, left)):
        if "$ref" in one:
            if depth > _DEEPEST:
                return other
            target = definitions.get(definition_name(one["$ref"]), True)
            return merge(target, other, definitions, depth + 1)
    return _join(left, right, definitions, depth)


def _empty(schema: Schema) -> bool:
    return isinstance(schema, dict) and schema.keys() <= _ANNOTATIONS


def _join(left: dict[str, Any], right: dict[str, Any], definitions: dict[str, Schema], depth: int) -> Schema:
    whole: dict[str, Any] = dict(left)
    for word, value in right.items():
        if word not in left:
            whole[word] = value
            continue
        match word:
            case "type":
                kinds = _types(left["type"], value)
                if not kinds:
                    return False
                whole["type"] = kinds[0] if len(kinds) == 1 else kinds
            case "enum":
                whole["enum"] = [one for one in left["enum"] if any(same(one, other) for other in value)]
                if not whole["enum"]:
                    return False
            case "const":
                if not same(left["const"], value):
                    return False
            case "required":
                whole["required"] = [*left["required"], *(key for key in value if key not in left["required"])]
            case "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" | "minContains":
                whole[word] = max(left[word], value)
            case "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" | "maxContains":
                whole[word] = min(left[word], value)
            case "multipleOf":
                if isinstance(value, int) and isinstance(left[word], int):
                    whole[word] = math.lcm(value, left[word])
            case "uniqueItems":
                whole[word] = left[word] or value
            case "pattern":
                if value != left["pattern"]:
                    whole["patterns"] = [*left.get("patterns", ()), value]
            case "patterns":
                whole["patterns"] = [*left["patterns"], *value]
            case "properties" | "additionalProperties" | "patternProperties":
                pass
            case "propertyNames" | "items" | "additionalItems" if _schemas(left[word], value):
                whole[word] = merge(left[word], value, definitions, depth)
            case "dependencies" | "dependentRequired" | "dependentSchemas":
                whole[word] = {**left[word], **value}
            case "not":
                whole["not"] = {"anyOf": [left["not"], value]}
            case "anyOf" | "oneOf" | "if" if value != left[word]:
                words = (word, "then", "else") if word == "if" else (word,)
                whole["allOf"] = [*whole.get("allOf", ()), {key: right[key] for key in words if key in right}]
            case "allOf":
                whole["allOf"] = [*whole["allOf"], *value]
            case _:
                pass
    return _members(whole, left, right, definitions, depth)


def _types(left: Json, right: Json) -> list[str]:
    ours = [left] if isinstance(left, str) else left
    theirs = [right] if isinstance(right, str) else right
    both = [kind for kind in ours if kind in theirs or (kind == "integer" and "number" in theirs)]
    return [*both, *(kind for kind in theirs if kind == "integer" and "number" in ours and "integer" not in both)]


def _schemas(*values: Json) -> bool:
    return all(isinstance(value, dict | bool) for value in values)


def _members(
    whole: dict[str, Any], left: dict[str, Any], right: dict[str, Any], definitions: dict[str, Schema], depth: int
) -> Schema:
    """`properties` and what governs other members, joined: a name that one side does not list is under its rest."""
    if not any(word in side for side in (left, right) for word in ("properties", "additionalProperties")):
        return whole
    ours, theirs = left.get("properties", {}), right.get("properties", {})
    names = [*ours, *(key for key in theirs if key not in ours)]
    if names:
        whole["properties"] = {
            key: merge(_governing(left, key), _governing(right, key), definitions, depth) for key in names
        }
    if "additionalProperties" in left and "additionalProperties" in right:
        extra = merge(left["additionalProperties"], right["additionalProperties"], definitions, depth)
        whole["additionalProperties"] = extra
    if "patternProperties" in left and "patternProperties" in right:
        whole["patternProperties"] = {**left["patternProperties"], **right["patternProperties"]}
    return whole


def _governing(schema: dict[str, Any], key: str) -> Schema:
    properties: dict[str, Schema] = schema.get("properties", {})
    if key in properties:
        return properties[key]
    if schema.get("patternProperties"):
        return True
    extra: Schema = schema.get("additionalProperties", True)
    return extra
