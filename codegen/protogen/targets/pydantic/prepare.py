"""A lowered schema as datamodel-code-generator reads it best, and the definitions that types alone cannot say.

Knows draft-07, what that generator makes of it and what pydantic checks. The prepared schema admits every value that
the lowered one admits; where it admits more, the definition is among the `checked` ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from protogen import ir
from protogen.naming import Claim, pascal, settle

Json = Any

_PREFIX = "#/definitions/"

# Python's own names and what a generated module imports: a class of that name would shadow it.
_RESERVED = frozenset(
    {"Any", "Annotated", "BaseModel", "ClassVar", "ConfigDict", "Dict", "Enum", "Field", "False", "IntEnum", "List"}
    | {
        "Literal",
        "MISSING",
        "Mapping",
        "Model",
        "None",
        "Optional",
        "RootModel",
        "StrEnum",
        "StrictBool",
        "StrictFloat",
    }
    | {"StrictInt", "StrictStr", "StringConstraints", "True", "TypeAlias", "Union"}
)

_UNSAID = frozenset(
    {"oneOf", "allOf", "not", "if", "dependencies", "contains", "uniqueItems", "minProperties", "maxProperties"}
    | {"propertyNames", "patternProperties", "additionalItems", "multipleOf"}
)
"""Keywords of which pydantic's types say nothing, or not all."""

_DROPPED = frozenset(
    {"not", "if", "then", "else", "dependencies", "contains", "propertyNames", "format", "uniqueItems"}
)
"""Keywords that are left to the check: in the generator's hands some would refuse what the schema admits."""

_DATA = ("const", "enum", "required")
"""Keywords whose values are data: what looks like a reference in them is none."""

_UNLIKE = re.compile(r"\\[dDwWsSbBpPkc1-9]|\(\?(?!:)|\.")
"""Parts of an expression that pydantic's engine, which takes all of Unicode, reads in another way or not at all."""


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


def checked(protocol: ir.Protocol, names: dict[str, str]) -> tuple[list[str], dict[str, Json]]:
    """The classes of all definitions that types cannot say alone, and by class the schemas that decide on them."""
    definitions: dict[str, Json] = protocol.schema["definitions"]
    wanted = [name for name in names if any(_says_more(part) for part in _parts(definitions[name]))]
    reached: dict[str, Json] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = definitions[name]
            waiting.extend(_pointed(part["$ref"]) for part in _parts(definitions[name]) if "$ref" in part)
    kept = {names[name]: _renamed(reached[name], names) for name in names if name in reached}
    return sorted(names[name] for name in wanted), kept


def _renamed(schema: Json, names: dict[str, str]) -> Json:
    """The schema with references to classes, which are URIs whatever the definitions are called."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str) and schema["$ref"].startswith(_PREFIX):
            return {"$ref": _PREFIX + quote(names[_pointed(schema["$ref"])])}
        return {word: value if word in _DATA else _renamed(value, names) for word, value in schema.items()}
    return [_renamed(part, names) for part in schema] if isinstance(schema, list) else schema


def _says_more(schema: dict[str, Json]) -> bool:
    """Whether the schema itself, apart from the parts in it, says something that pydantic does not check."""
    if "$ref" in schema:
        return False
    if _UNSAID & schema.keys() or isinstance(schema.get("const"), bool) or isinstance(schema.get("items"), list):
        return True
    if any(isinstance(value, bool) for value in schema.get("enum", ())):
        return True
    if "anyOf" in schema and len(schema) > 1:
        return True
    return "pattern" in schema and not _same_engine(schema["pattern"])


def _same_engine(pattern: str) -> bool:
    """Whether pydantic's engine reads an expression just as ECMA-262 has it."""
    if _UNLIKE.search(pattern):
        return False
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return False
    return True


def _parts(schema: Json) -> Iterator[dict[str, Json]]:
    """The schema and every schema in it, `false` written out; references are not followed."""
    if schema is False:
        yield {"not": {}}
    if not isinstance(schema, dict):
        return
    yield schema
    for word in ("items", "additionalItems", "additionalProperties", "not", "if", "then", "else", "contains"):
        if word in schema:
            inner = schema[word]
            if word.startswith("additional") and inner is False:
                continue  # models forbid what they do not know; `additionalItems` is a keyword that is checked
            for part in inner if isinstance(inner, list) else [inner]:
                yield from _parts(part)
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word, ()):
            yield from _parts(part)
    for word in ("properties", "patternProperties", "dependencies"):
        for part in schema.get(word, {}).values():
            yield from _parts(part)
    if "propertyNames" in schema:
        yield from _parts(schema["propertyNames"])


def _pointed(reference: str) -> str:
    return reference.removeprefix(_PREFIX).replace("~1", "/").replace("~0", "~")


def prepared(protocol: ir.Protocol, names: dict[str, str]) -> dict[str, Json]:
    """The schema document to generate from: its definitions are called as their classes are to be."""
    docs = {definition.name: definition.doc for definition in protocol.definitions}
    definitions: dict[str, Json] = {}
    for name, class_name in names.items():
        definition = _prepared(protocol.schema["definitions"][name], names)
        described = docs[name] and isinstance(definition, dict) and "$ref" not in definition
        definitions[class_name] = {"description": docs[name], **definition} if described else definition
    return {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": definitions}


def _prepared(schema: Json, names: dict[str, str]) -> Json:
    if isinstance(schema, bool):
        return {}
    if "$ref" in schema:
        return {"$ref": _PREFIX + quote(names[_pointed(schema["$ref"])])}
    out: dict[str, Json] = {}
    for word, value in schema.items():
        match word:
            case "properties":
                out[word] = {key: _prepared(part, names) for key, part in value.items() if part is not False}
            case "patternProperties":
                out["additionalProperties"] = True  # values of these keys are checked, not typed
            case "additionalProperties" if isinstance(value, bool):
                out.setdefault(word, value)
            case "items" | "additionalItems" if isinstance(value, list):
                out[word] = [_prepared(part, names) for part in value]
            case "additionalItems" if isinstance(value, bool):
                out[word] = value
            case "items" | "additionalItems" | "additionalProperties":
                out.setdefault(word, _prepared(value, names))
            case "allOf" | "anyOf" | "oneOf":
                out[word] = [_prepared(part, names) for part in value]
            case "pattern":
                if _same_engine(value):
                    out[word] = value
            case "type":
                out[word] = _type(value, schema)
            case "enum" if _confused(value):
                pass
            case _ if word not in _DROPPED:
                out[word] = value
    if "properties" in out:
        out.setdefault("type", "object")
    if out.get("type") == "object":
        out.setdefault("additionalProperties", True)
    return out


def _confused(values: list[Json]) -> bool:
    """Whether Python takes two of the values for one: `True` equals 1 there, and not in JSON."""
    booleans = [value for value in values if isinstance(value, bool)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return any(boolean == number for boolean in booleans for number in numbers)


def _type(value: Json, schema: dict[str, Json]) -> Json:
    """`number` as integer or fraction, so that a whole number of any size keeps its value."""
    if "enum" in schema or "const" in schema:
        return value
    kinds = [value] if isinstance(value, str) else list(value)
    if "number" in kinds and "integer" not in kinds:
        kinds.insert(kinds.index("number"), "integer")
    return kinds[0] if len(kinds) == 1 else kinds
