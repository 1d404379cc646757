"""Random schemas and values that are likely to meet: few names, few numbers, every keyword the Go validator reads."""

from __future__ import annotations

import random
from typing import Any

from protogen import ir

NAMES = ["a", "b", "ab", "x-1", "", "é"]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
PATTERNS = [
    "^a", "b$", "^$", "^x-", "[^a]", "\\d", "\\w\\W", "^\\s*$", "a|b", "^.{2}$", "(?:a|é)+",
    "\\u00e9", "[\\u{61}-\\u{62}]", "^[a-z-]{1,3}$", "\\ba",
]  # fmt: skip
SCALARS: list[Any] = [
    None, True, False, 0, 1, 2, -1, 3, 10, 0.5, 1.5, 1.0, 0.0, 2.0, 1e2, 2**53, 2**63, 2**64, 1e300,
    0.07, 0.01, -0.5, "", "a", "b", "ab", "é",
    "x-1", "a b", "1", "\n", "a\n", "😀", "\u2028", "éé",
]  # fmt: skip
NUMBERS = [0, 1, 2, -1, 0.5, 1.5, 3, 10, 2**53, 2**63]
DRAFT7, LATER = "draft-07", "2020-12"


def value(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.45:
        return chance.choice(SCALARS)
    if kind < 0.7:
        return [value(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    return {chance.choice(NAMES): value(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def schema(chance: random.Random, dialect: str, count: int, depth: int = 3) -> Any:
    """One schema; `count` definitions can be referred to."""
    if chance.random() < 0.06:
        return chance.random() < 0.7
    if depth < 3 and chance.random() < 0.15:
        return {"$ref": f"#/definitions/S{chance.randrange(count)}"}
    keywords = list(KEYWORDS) + (list(LATER_KEYWORDS) if dialect == LATER else ["tuple", "dependencies"])
    found: dict[str, Any] = {}
    for keyword in chance.sample(keywords, k=chance.randint(1, 3)):
        found.update(_keyword(keyword, chance, dialect, count, depth))
    return found


KEYWORDS = (
    "type", "type", "const", "enum", "bounds", "exclusive", "multiple", "length", "pattern", "items", "count",
    "unique", "contains",
    "required",
    "properties", "properties", "patterns", "additional", "names", "size", "allOf", "anyOf", "oneOf", "not", "if",
)  # fmt: skip
LATER_KEYWORDS = (
    "unevaluatedProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "howMany",
    "dependentRequired",
    "dependentSchemas",
)


def _keyword(keyword: str, chance: random.Random, dialect: str, count: int, depth: int) -> dict[str, Any]:
    def inner() -> Any:
        return schema(chance, dialect, count, depth - 1) if depth else {"type": chance.choice(TYPES)}

    def table(names: list[str]) -> dict[str, Any]:
        return {name: inner() for name in chance.sample(names, k=chance.randint(1, 3))}

    small, large = sorted(chance.choices(range(4), k=2))
    low, high = sorted(chance.choices(NUMBERS, k=2))
    match keyword:
        case "type":
            return {"type": chance.choice([chance.choice(TYPES), chance.sample(TYPES, k=2)])}
        case "const":
            return {"const": value(chance, 1)}
        case "enum":
            return {"enum": [value(chance, 1) for _ in range(3)]}
        case "bounds":
            return {"minimum": low, "maximum": high}
        case "exclusive":
            return {"exclusiveMinimum": low, "exclusiveMaximum": high}
        case "multiple":
            return {"multipleOf": chance.choice([1, 2, 3, 0.5, 0.25])}
        case "length":
            return {"minLength": small, "maxLength": large}
        case "pattern":
            return {"pattern": chance.choice(PATTERNS)}
        case "items":
            return {"items": inner()}
        case "tuple":
            return {"items": [inner(), inner()], "additionalItems": inner()}
        case "count":
            return {"minItems": small, "maxItems": large}
        case "unique":
            return {"uniqueItems": True}
        case "contains":
            return {"contains": inner()}
        case "howMany":
            return {"contains": inner(), "minContains": small, "maxContains": large}
        case "required":
            return {"required": chance.sample(NAMES, k=chance.randint(1, 2))}
        case "properties":
            return {"properties": table(NAMES)}
        case "patterns":
            return {"patternProperties": table(PATTERNS)}
        case "additional":
            return {"properties": table(NAMES), "additionalProperties": inner()}
        case "names":
            return {"propertyNames": inner()}
        case "size":
            return {"minProperties": small, "maxProperties": large}
        case "dependencies":
            return {"dependencies": {"a": chance.choice([["b"], inner()]), "b": inner()}}
        case "dependentRequired":
            return {"dependentRequired": {"a": ["b", "ab"]}}
        case "dependentSchemas":
            return {"dependentSchemas": table(NAMES)}
        case "allOf" | "anyOf" | "oneOf":
            return {keyword: [inner() for _ in range(chance.randint(1, 3))]}
        case "if":
            return {"if": inner(), "then": inner(), "else": inner()}
        case _:
            return {keyword: inner()}


def protocol(seed: int, dialect: str, count: int) -> ir.Protocol:
    """A protocol of `count` types that any JSON value fits and whose schemas say the rest."""
    chance = random.Random(seed)
    definitions = {f"S{at}": schema(chance, dialect, count) for at in range(count)}
    return ir.Protocol(
        name="random",
        version="1",
        title="random",
        doc="",
        definitions=tuple(ir.Alias(name=name, type=ir.AnyType()) for name in definitions),
        schema={"definitions": definitions},
    )
