"""What a schema demands of a value beyond its type, in words.

Knows the keywords of draft-07 that a member's table has room for; the whole schema stands beside every type.
"""

from __future__ import annotations

from typing import Any

from protogen import ir
from protogen.targets.docs.blocks import Code, Rich, Text, short_json

_COUNTS = (
    ("minLength", "maxLength", "character"),
    ("minItems", "maxItems", "item"),
    ("minProperties", "maxProperties", "member"),
)
_LIMITS = (("minimum", "≥ "), ("exclusiveMinimum", "> "), ("maximum", "≤ "), ("exclusiveMaximum", "< "))


def rules(schema: Any, type_: ir.Type | None = None) -> Rich:
    """The constraints of a member's schema, parted by commas, and the format that its type carries."""
    parts = [*_of_type(type_), *_of_schema(schema)]
    joined: list[Any] = []
    for part in parts:
        joined += [Text(", "), *part] if joined else part
    return tuple(joined)


def _of_type(type_: ir.Type | None) -> list[list[Any]]:
    match type_:
        case ir.NullableType(of=inner):
            return _of_type(inner)
        case ir.StringType(format=str(name)) | ir.IntegerType(format=str(name)) | ir.NumberType(format=str(name)):
            return [[Text("format "), Code(name)]]
        case _:
            return []


def _of_schema(schema: Any) -> list[list[Any]]:
    if schema is False:
        return [[Text("never allowed")]]
    if not isinstance(schema, dict) or "$ref" in schema:
        return []
    found: list[list[Any]] = []
    for keyword, sign in _LIMITS:
        if keyword in schema:
            found.append([Text(sign), Code(short_json(schema[keyword]))])
    if "multipleOf" in schema:
        found.append([Text("a multiple of "), Code(short_json(schema["multipleOf"]))])
    for least, most, noun in _COUNTS:
        found += [[Text(text)] for text in _count(schema.get(least), schema.get(most), noun)]
    if "pattern" in schema:
        found.append([Text("matches "), Code(str(schema["pattern"]))])
    if schema.get("uniqueItems") is True:
        found.append([Text("no two items equal")])
    for keyword, words in (
        ("items", "each item: "),
        ("additionalProperties", "each value: "),
        ("propertyNames", "names: "),
    ):
        for at, part in enumerate(_of_schema(schema.get(keyword)) if schema.get(keyword) is not False else ()):
            found.append([Text(words), *part] if at == 0 else part)
    for keyword in ("anyOf", "oneOf"):
        arms = [arm for arm in schema.get(keyword, ()) if arm != {"type": "null"}]
        if len(arms) == 1:
            found += _of_schema(arms[0])
    return found


def _count(least: Any, most: Any, noun: str) -> list[str]:
    if least == most and least is not None:
        return [f"exactly {_plural(least, noun)}"]
    said = [f"at least {_plural(least, noun)}"] if least else []
    return [*said, f"at most {_plural(most, noun)}"] if most is not None else said


def _plural(count: Any, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
