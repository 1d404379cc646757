"""The types of a protocol as a schema that datamodel-code-generator reads well, and what types alone cannot say.

Knows what that generator makes of a schema and what pydantic checks. The prepared schema admits every value that the
protocol's admits; where it admits more, the definition is among the `checked` ones.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
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

_DATA = ("const", "enum", "required")
"""Keywords whose values are data: what looks like a reference in them is none."""

_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}

_UNLIKE = re.compile(r"\\[dDwWsSbBpPkc1-9]|\(\?(?!:)|\.")
"""Parts of an expression that pydantic's engine, which takes all of Unicode, reads in another way or not at all."""


@contextmanager
def undisturbed() -> Generator[None]:
    """Saves a tenth of the generator's time: no collections of garbage meanwhile, and no search for pydantic's plugins.

    That search reads the metadata of every installed distribution, and the models of the generator need no plugin.
    """
    word = "PYDANTIC_DISABLE_PLUGINS"
    kept, collects = os.environ.get(word), gc.isenabled()
    os.environ[word] = "__all__"
    gc.disable()
    try:
        yield
    finally:
        if kept is None:
            del os.environ[word]
        else:
            os.environ[word] = kept
        if collects:
            gc.enable()


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
    exact = {definition.name for definition in protocol.definitions if definition.exact and not _is_open(definition)}
    wanted = [name for name in names if name not in exact or any(_misread(part) for part in _parts(definitions[name]))]
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


def _is_open(definition: ir.AnyDefinition) -> bool:
    return isinstance(definition, ir.Enum | ir.Union) and definition.open


def _misread(schema: dict[str, Json]) -> bool:
    """Whether the schema itself, apart from the parts in it, says what pydantic reads in another way.

    Python takes 1 and True for the same value, its literals are no fractions, and pydantic's expressions take all
    of Unicode.
    """
    values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
    if any(isinstance(value, int | float) for value in values):
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
    """The schema document to generate from: the types of the IR, called as their classes are to be.

    Not the lowered schema itself: its combinators would become classes that nobody asked for, while the types
    already admit every valid value.
    """
    open_types = {name: schema.get("type") for name, schema in _dicts(protocol.schema["definitions"])}
    definitions: dict[str, Json] = {}
    for definition in protocol.definitions:
        if definition.name in names:
            schema = _definition(definition, names, open_types.get(definition.name))
            described = {"description": definition.doc} if definition.doc and "$ref" not in schema else {}
            definitions[names[definition.name]] = {**described, **schema}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": definitions}


def _dicts(schemas: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    return ((name, schema) for name, schema in schemas.items() if isinstance(schema, dict))


def _definition(definition: ir.AnyDefinition, names: dict[str, str], open_type: Json) -> dict[str, Json]:
    match definition:
        case ir.Record(fields=fields, extra=extra):
            properties = {field.wire: _member(field, names) for field in fields}
            required = [field.wire for field in fields if field.required]
            rest = False if extra is None else True if isinstance(extra, ir.AnyType) else _type(extra, names)
            return {"type": "object", "properties": properties, "required": required, "additionalProperties": rest}
        case ir.Enum(values=values, open=is_open):
            listed = [value.value for value in values]
            if is_open:
                return {"type": open_type} if open_type else {}
            return {"enum": listed} if _literal(listed) else {"type": _kinds(listed)}
        case ir.Union(arms=arms, open=is_open):
            others: list[Json] = [{}] if is_open else []
            return {"anyOf": [*(_type(arm.type, names) for arm in arms), *others]}
        case ir.Alias(type=type_):
            return _type(type_, names)


def _member(field: ir.Field, names: dict[str, str]) -> dict[str, Json]:
    schema = _type(field.type, names)
    return {"description": field.doc, **schema} if field.doc and "$ref" not in schema else schema


def _type(type_: ir.Type, names: dict[str, str]) -> dict[str, Json]:
    match type_:
        case ir.AnyType():
            return {}
        case ir.NullType():
            return {"type": "null"}
        case ir.BooleanType():
            return {"type": "boolean"}
        case ir.StringType(min_length=low, max_length=high, pattern=pattern):
            # No format: it is an annotation, and pydantic would refuse what the schema admits.
            kept = pattern if pattern is not None and _same_engine(pattern) else None
            return {"type": "string", **_set(minLength=low, maxLength=high, pattern=kept)}
        case ir.IntegerType(minimum=low, maximum=high):
            return {"type": "integer", **_set(minimum=low, maximum=high)}
        case ir.NumberType(minimum=low, maximum=high):
            # An integer or a fraction, so that a whole number of any size keeps its value.
            return {"type": ["integer", "number"], **_set(minimum=low, maximum=high)}
        case ir.LiteralType(value=value):
            return {"const": value} if _literal([value]) else {"type": _kinds([value])}
        case ir.ListType(item=item, min_items=low, max_items=high):
            return {"type": "array", "items": _type(item, names), **_set(minItems=low, maxItems=high)}
        case ir.TupleType(items=items):
            size = len(items)
            each = [_type(item, names) for item in items]
            return {"type": "array", "items": each, "additionalItems": False, "minItems": size, "maxItems": size}
        case ir.MapType(value=value):
            return {"type": "object", "additionalProperties": _type(value, names)}
        case ir.NullableType(of=of):
            return _nullable(_type(of, names))
        case ir.NamedType(name=name):
            return {"$ref": _PREFIX + quote(names[name])}


def _nullable(schema: dict[str, Json]) -> dict[str, Json]:
    """`schema` or null; as a list of types where that is enough, since alternatives become classes of their own."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return {**schema, "type": [*kinds, "null"]}


def _set(**words: Json) -> dict[str, Json]:
    return {word: value for word, value in words.items() if value is not None}


def _literal(values: list[Json]) -> bool:
    """Whether literals of Python are the same values: there `True` equals 1, and a fraction is none."""
    return not any(isinstance(value, bool | float) or value in (0, 1) for value in values)


def _kinds(values: list[Json]) -> list[str]:
    found = [_KINDS[type(value)] for value in values]
    kinds = ["integer", *found] if "number" in found else found
    return list(dict.fromkeys(kinds))
