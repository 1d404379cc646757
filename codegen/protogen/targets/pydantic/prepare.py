"""A lowered schema as datamodel-code-generator reads it best: every intention spelled out.

Knows draft-07 and what that generator does with it; the prepared schema admits the same values, less what pydantic
would check by formats.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

from protogen import ir
from protogen.naming import Claim, pascal, settle

Json = Any

_PREFIX = "#/definitions/"

# Python's own names and what a generated module imports: a class of that name would shadow it.
_RESERVED = frozenset(
    {"Any", "Annotated", "BaseModel", "ClassVar", "ConfigDict", "Enum", "Field", "False", "IntEnum", "Literal"}
    | {"MISSING", "Mapping", "Model", "None", "Optional", "RootModel", "StrEnum", "StrictBool", "StrictFloat"}
    | {"StrictInt", "StrictStr", "True", "TypeAlias", "Union", "UniqueList"}
)

_ASCII = {"d": "0-9", "w": "0-9A-Za-z_"}
_SPACE = r"\t-\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}"


def class_names(protocol: ir.Protocol) -> dict[str, str]:
    """The class of every definition; a name that is a class name already stays as it is."""
    claims = [
        Claim(definition.name, definition.name, pin=definition.pin)
        for definition in protocol.definitions
        if definition.name in protocol.schema["definitions"]
    ]
    return settle(claims, _class_name, reserved=_RESERVED, empty="Value")


def _class_name(name: str) -> str:
    return name if name.isidentifier() and name.isascii() and name[0].isupper() else pascal(name)


def prepared(protocol: ir.Protocol, names: dict[str, str]) -> dict[str, Json]:
    """The schema document to generate from: its definitions are called as their classes are to be."""
    docs = {definition.name: definition.doc for definition in protocol.definitions}
    definitions: dict[str, Json] = {}
    for name, schema in protocol.schema["definitions"].items():
        if name in names:
            definition = _prepared(schema, names)
            described = docs[name] and isinstance(definition, dict) and "$ref" not in definition
            definitions[names[name]] = {"description": docs[name], **definition} if described else definition
    return {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": definitions}


def _prepared(schema: Json, names: dict[str, str]) -> Json:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    if "$ref" in schema:
        wanted = unquote(schema["$ref"].removeprefix(_PREFIX)).replace("~1", "/").replace("~0", "~")
        return {"$ref": _PREFIX + quote(names[wanted])}
    out: dict[str, Json] = {}
    for word, value in schema.items():
        match word:
            case "properties" | "patternProperties":
                keys = value if word == "properties" else {_pattern(key): key for key in value}
                out[word] = {key: _prepared(value[keys[key] if word != "properties" else key], names) for key in keys}
            case "additionalProperties" if isinstance(value, bool):
                out[word] = value
            case "items" | "additionalItems" | "additionalProperties" | "not" | "if" | "then" | "else" | "contains":
                out[word] = (
                    [_prepared(part, names) for part in value] if isinstance(value, list) else _prepared(value, names)
                )
            case "propertyNames":
                out[word] = _prepared(value, names)
            case "allOf" | "anyOf" | "oneOf":
                out[word] = [_prepared(part, names) for part in value]
            case "dependencies":
                out[word] = {key: v if isinstance(v, list) else _prepared(v, names) for key, v in value.items()}
            case "pattern":
                out[word] = _pattern(value)
            case "type":
                out[word] = _type(value, schema)
            case "format":
                pass  # an annotation: pydantic would refuse what the schema admits
            case _:
                out[word] = value
    if "properties" in out:
        out.setdefault("type", "object")
    if out.get("type") == "object":
        out.setdefault("additionalProperties", True)
    return _without_groups(out)


def _without_groups(schema: dict[str, Json]) -> dict[str, Json]:
    """`not` over sets of required keys, said so that it becomes a check: one `not` a set, or a bar on a map's keys."""
    forbidden = schema.get("not")
    if not isinstance(forbidden, dict):
        return schema
    arms = forbidden["anyOf"] if forbidden.keys() == {"anyOf"} else [forbidden]
    if not all(arm.keys() == {"required"} for arm in arms):
        return schema
    rest = {word: schema[word] for word in schema if word != "not"}
    if "properties" not in schema and "propertyNames" not in schema and all(len(arm["required"]) == 1 for arm in arms):
        barred = "|".join(re.escape(arm["required"][0]) for arm in arms)
        return {**rest, "propertyNames": {"pattern": f"^(?!(?:{barred})$)"}}
    return {**rest, "allOf": [*schema.get("allOf", ()), *({"not": arm} for arm in arms)]}


def _type(value: Json, schema: dict[str, Json]) -> Json:
    """`number` as integer or fraction, so that a whole number of any size keeps its value."""
    if "enum" in schema or "const" in schema:
        return value
    kinds = [value] if isinstance(value, str) else list(value)
    if "number" in kinds and "integer" not in kinds:
        kinds.insert(kinds.index("number"), "integer")
    return kinds[0] if len(kinds) == 1 else kinds


def _pattern(pattern: str) -> str:
    """The expression with `\\d`, `\\w` and `\\s` as ECMA-262 has them; pydantic's engine takes all of Unicode."""
    out: list[str] = []
    inside = False
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            out.append(_escape(pattern[at + 1], inside=inside))
            at += 2
            continue
        if char == "[" and not inside:
            inside = True
        elif char == "]" and inside:
            inside = False
        out.append(char)
        at += 1
    return "".join(out)


def _escape(letter: str, *, inside: bool) -> str:
    if letter in _ASCII:
        return _ASCII[letter] if inside else f"[{_ASCII[letter]}]"
    if letter == "s":
        return _SPACE if inside else f"[{_SPACE}]"
    if letter in "DWS" and not inside:
        return f"[^{_SPACE if letter == 'S' else _ASCII[letter.lower()]}]"
    return "/" if letter == "/" else f"\\{letter}"
