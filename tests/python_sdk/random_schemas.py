"""Random schemas and random values near to them, for comparing validators; the same seed gives the same."""

from __future__ import annotations

import random
from typing import Any, TypeAlias

Json: TypeAlias = Any

NAMES = ["A", "B", "C", "D"]
KEYS = ["a", "b", "c", "x-y", "class", "kind", "ab", ""]
WORDS = ["", "a", "b", "red", "a\n", "é", "😀😀", "x-1", "0", "٣", "abc", "A"]
NUMBERS = [0, 1, -1, 2, 1.0, 0.5, 1.5, -0.0, 7, 10**20, 2**53 + 1, -(2**63) - 1, 2**64, 1e2, 3.0, 0.07, 0.01, 99]
PATTERNS = ["^a", "a$", "^[a-z]+$", r"^\d$", r"\s", "^.$", r"^(?:a|b)*$", r"\bx\b", "é", r"^\w+$", "^$"]
SCALARS = [None, True, False, *NUMBERS, *WORDS]


def document(rng: random.Random) -> dict[str, Json]:
    """A draft-07 document whose definitions refer to each other."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Random",
        "definitions": {name: _definition(rng, NAMES[at + 1 :]) for at, name in enumerate(NAMES)},
    }


def _definition(rng: random.Random, later: list[str]) -> Json:
    """`later` are the definitions that may be named for the very same value: never in a circle."""
    kind = rng.choice(["record"] * 4 + ["tagged", "union", "enum", "any"])
    match kind:
        case "record":
            return _record(rng, 2)
        case "tagged":
            return {rng.choice(["oneOf", "anyOf"]): [_tagged(rng, tag) for tag in rng.sample(["p", "q", "r"], 2)]}
        case "union":
            return {rng.choice(["oneOf", "anyOf"]): [_schema(rng, 2, later) for _ in range(rng.randint(2, 3))]}
        case "enum":
            return {"enum": _distinct(rng, rng.randint(1, 4))}
        case _:
            return _schema(rng, 3, later)


def _distinct(rng: random.Random, count: int) -> list[Json]:
    pool = [None, True, False, "a", "b", 'é"\\', 1, 2.5, 10**20]
    return rng.sample(pool, count)


def _tagged(rng: random.Random, tag: str) -> Json:
    record = _record(rng, 1)
    record["properties"]["kind"] = {"const": tag}
    record["required"] = sorted({*record.get("required", ()), "kind"})
    return record


def _record(rng: random.Random, depth: int) -> dict[str, Json]:
    keys = rng.sample(KEYS, rng.randint(0, 4))
    schema: dict[str, Json] = {"type": "object", "properties": {key: _schema(rng, depth) for key in keys}}
    required = [key for key in keys if rng.random() < 0.4]
    if required or rng.random() < 0.1:
        schema["required"] = required + (["extra"] if rng.random() < 0.1 else [])
    others = rng.random()
    if others < 0.25:
        schema["additionalProperties"] = False
    elif others < 0.4:
        schema["additionalProperties"] = _schema(rng, depth - 1)
    for keyword, chance, value in (
        ("patternProperties", 0.1, lambda: {rng.choice(PATTERNS): _schema(rng, depth - 1)}),
        ("minProperties", 0.07, lambda: rng.randint(0, 3)),
        ("maxProperties", 0.07, lambda: rng.randint(1, 4)),
        ("propertyNames", 0.07, lambda: {"pattern": rng.choice(PATTERNS)}),
        ("dependencies", 0.1, lambda: {rng.choice(KEYS): rng.choice([["a"], [], {"required": ["b"]}, True, False])}),
    ):
        if rng.random() < chance:
            schema[keyword] = value()
    return schema


def _schema(rng: random.Random, depth: int, names: list[str] = NAMES) -> Json:
    if depth > 0 and names and rng.random() < 0.25:
        return {"$ref": f"#/definitions/{rng.choice(names)}"}
    kinds = ["string", "number", "integer", "scalar", "const", "enum", "types", "any"]
    if depth > 0:
        kinds += ["array", "tuple", "object", "map", "nullable", "combined", "condition", "not"]
    match rng.choice(kinds):
        case "string":
            return {
                "type": "string",
                **_some(rng, ("minLength", 1), ("maxLength", 3), ("pattern", rng.choice(PATTERNS))),
            }
        case "number" | "integer" as kind:
            bounds = (("minimum", rng.choice([0, -1, 0.5])), ("maximum", rng.choice([1, 10, 2**64, 1e2, 1.5])))
            more = (("exclusiveMinimum", 0), ("exclusiveMaximum", 7), ("multipleOf", rng.choice([1, 2, 0.01, 0.5])))
            return {"type": kind, **_some(rng, *bounds, *more)}
        case "scalar":
            return {"type": rng.choice(["boolean", "null"])}
        case "const":
            return {"const": rng.choice([*SCALARS, [], {}, [1, {"a": True}], {"a": 1.0}])}
        case "enum":
            return {"enum": [*_distinct(rng, rng.randint(1, 3)), *([[1], {"a": None}] if rng.random() < 0.3 else [])]}
        case "types":
            kinds = rng.sample(["string", "integer", "number", "boolean", "null", "array", "object"], 2)
            return {"type": kinds, **_some(rng, ("minimum", 1), ("maxLength", 1), ("minItems", 1), ("required", ["a"]))}
        case "any":
            return rng.choice([{}, True, {"minimum": 1}, {"maxLength": 1}, {"minItems": 1}, {"required": ["a"]}])
        case "array":
            limits = (("minItems", 1), ("maxItems", 2), ("uniqueItems", True), ("contains", _schema(rng, 0)))
            return {"type": "array", "items": _schema(rng, depth - 1), **_some(rng, *limits)}
        case "tuple":
            items = [_schema(rng, depth - 1) for _ in range(rng.randint(1, 2))]
            rest = _some(rng, ("minItems", len(items)), ("additionalItems", rng.choice([False, {"type": "integer"}])))
            return {"type": "array", "items": items, **rest}
        case "object":
            return _record(rng, depth - 1)
        case "map":
            return {"type": "object", "additionalProperties": _schema(rng, depth - 1)}
        case "nullable":
            return {rng.choice(["anyOf", "oneOf"]): [_schema(rng, depth - 1, names), {"type": "null"}]}
        case "combined":
            return {rng.choice(["allOf", "anyOf", "oneOf"]): [_schema(rng, depth - 1, names) for _ in range(2)]}
        case "condition":
            branches = _some(rng, ("then", _schema(rng, depth - 1, names)), ("else", _schema(rng, depth - 1, names)))
            return {"if": _schema(rng, depth - 1, names), **branches}
        case _:
            return {"not": _schema(rng, depth - 1, names)}


def _some(rng: random.Random, *pairs: tuple[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in pairs if rng.random() < 0.3}


def value(rng: random.Random, schema: Json, definitions: dict[str, Json], depth: int = 5) -> Json:
    """A value that often fits `schema`, and sometimes just misses."""
    if schema is True or schema is False or rng.random() < 0.06 or depth < 0:
        return anything(rng, 2)
    if "$ref" in schema:
        return value(rng, definitions[schema["$ref"].rpartition("/")[2]], definitions, depth - 1)
    for keyword in ("oneOf", "anyOf", "allOf"):
        if keyword in schema:
            return value(rng, rng.choice(schema[keyword]), definitions, depth - 1)
    for keyword in ("then", "else", "if", "not"):
        if keyword in schema and rng.random() < 0.5:
            return value(rng, schema[keyword], definitions, depth - 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    kind = schema.get("type", rng.choice(["string", "integer", "object", "array"]))
    match rng.choice(kind) if isinstance(kind, list) else kind:
        case "string":
            return rng.choice(WORDS)
        case "integer" | "number":
            return rng.choice(NUMBERS)
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case "array":
            return _array(rng, schema, definitions, depth)
        case _:
            return _object(rng, schema, definitions, depth)


def _array(rng: random.Random, schema: dict[str, Json], definitions: dict[str, Json], depth: int) -> Json:
    items = schema.get("items", True)
    if isinstance(items, list):
        made = [value(rng, item, definitions, depth - 1) for item in items]
        return made[: rng.randint(0, 2)] if rng.random() < 0.2 else made + ([7] if rng.random() < 0.2 else [])
    return [value(rng, items, definitions, depth - 1) for _ in range(rng.randint(0, 3))]


def _object(rng: random.Random, schema: dict[str, Json], definitions: dict[str, Json], depth: int) -> Json:
    made: dict[str, Json] = {}
    required = schema.get("required", ())
    properties = schema.get("properties", {})
    for key in [*properties, *required]:
        if rng.random() < (0.95 if key in required else 0.5):
            made[key] = value(rng, properties.get(key, True), definitions, depth - 1)
    if rng.random() < 0.4:
        others = schema.get("additionalProperties", True)
        made[rng.choice([*KEYS, "more", "\ufdd0extra", "extra"])] = value(rng, others, definitions, depth - 1)
    return made


def anything(rng: random.Random, depth: int) -> Json:
    """Any JSON value."""
    match rng.randint(0, 6 if depth > 0 else 4):
        case 5:
            return [anything(rng, depth - 1) for _ in range(rng.randint(0, 2))]
        case 6:
            return {rng.choice(KEYS): anything(rng, depth - 1) for _ in range(rng.randint(0, 2))}
        case _:
            return rng.choice(SCALARS)
