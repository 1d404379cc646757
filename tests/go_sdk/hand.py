"""A protocol made by hand: what IR allows and our schema language seldom or never gives."""

from __future__ import annotations

from typing import Any

from protogen import ir

ANY = ir.AnyType()
TEXT = ir.StringType()
WHOLE = ir.IntegerType()


def named(name: str) -> ir.NamedType:
    return ir.NamedType(name=name)


def field(wire: str, of: ir.Type, *, required: bool = True, **more: Any) -> ir.Field:
    return ir.Field(wire=wire, type=of, required=required, **more)


def nullable(of: ir.Type) -> ir.NullableType:
    return ir.NullableType(of=of)


SPAN = ir.TupleType(items=(WHOLE, nullable(named("Knot")), ir.ListType(item=TEXT)))

DEFINITIONS: tuple[ir.AnyDefinition, ...] = (
    ir.Union(
        name="Animal",
        tag="kind",
        open=True,
        arms=(
            ir.Arm(name="Cat", type=named("Cat"), kinds=("object",), required=("kind",), tags=("cat",)),
            ir.Arm(name="Dog", type=named("Dog"), kinds=("object",), required=("kind",), tags=("dog", "wolf")),
        ),
    ),
    ir.Record(name="Cat", fields=(field("kind", ir.LiteralType(value="cat")), field("lives", WHOLE, required=False))),
    ir.Record(name="Dog", fields=(field("kind", named("DogKind")), field("name", TEXT))),
    ir.Enum(name="DogKind", values=(ir.EnumValue(value="dog"), ir.EnumValue(value="wolf", doc="Wild.", name="Grey"))),
    ir.Enum(
        name="OpenLevel", values=(ir.EnumValue(value=1), ir.EnumValue(value=2.0), ir.EnumValue(value=2)), open=True
    ),
    ir.Enum(
        name="Anything", values=(ir.EnumValue(value=None), ir.EnumValue(value="a"), ir.EnumValue(value=1e21)), open=True
    ),
    ir.Enum(name="Never", values=()),
    ir.Record(name="Knot", fields=(field("span", SPAN), field("self", nullable(named("Knot")), required=False))),
    ir.Record(
        name="Inline",
        fields=(
            field("rows", ir.ListType(item=ir.TupleType(items=(TEXT, TEXT)))),
            field("empty", ir.TupleType(items=()), required=False),
            field("big", ir.LiteralType(value=2**70)),
            field("half", ir.LiteralType(value=0.5), required=False),
            field("nothing", ir.LiteralType(value=None)),
            field("absent", ir.NullType(), required=False),
            field("huge", ir.IntegerType(minimum=0, maximum=2**64 - 1), required=False),
            field("bad", TEXT, required=False, default=5),
            field("old", TEXT, required=False, deprecated=True, read_only=True, doc="Old."),
            field("nested", ir.MapType(value=ir.ListType(item=nullable(ir.BooleanType()))), required=False),
        ),
        deprecated=True,
    ),
    ir.Alias(name="AnimalName", type=named("Animal")),
    ir.Record(
        name="Zoo",
        fields=(field("star", named("AnimalName")), field("rest", ir.ListType(item=named("Animal")))),
        extra=None,
    ),
)

SCHEMA: dict[str, Any] = {
    "definitions": {
        "Animal": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"type": "string"}},
            "allOf": [
                {"if": {"properties": {"kind": {"const": "cat"}}}, "then": {"$ref": "#/definitions/Cat"}},
                {"if": {"properties": {"kind": {"enum": ["dog", "wolf"]}}}, "then": {"$ref": "#/definitions/Dog"}},
            ],
        },
        "Cat": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}},
        },
        "Dog": {
            "type": "object",
            "required": ["kind", "name"],
            "properties": {"kind": {"$ref": "#/definitions/DogKind"}, "name": {"type": "string"}},
        },
        "DogKind": {"enum": ["dog", "wolf"]},
        "OpenLevel": {"type": "number"},
        "Anything": {"type": ["null", "string", "number", "boolean"]},
        "Never": False,
        "Knot": {
            "type": "object",
            "required": ["span"],
            "properties": {
                "span": {
                    "type": "array",
                    "items": [
                        {"type": "integer"},
                        {"anyOf": [{"$ref": "#/definitions/Knot"}, {"type": "null"}]},
                        {"type": "array", "items": {"type": "string"}},
                    ],
                    "minItems": 3,
                    "maxItems": 3,
                },
                "self": {"anyOf": [{"$ref": "#/definitions/Knot"}, {"type": "null"}]},
            },
        },
        "Inline": {
            "type": "object",
            "required": ["rows", "big", "nothing"],
            "properties": {
                "rows": {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "items": [{"type": "string"}, {"type": "string"}],
                        "minItems": 2,
                        "maxItems": 2,
                    },
                },
                "empty": {"type": "array", "maxItems": 0},
                "big": {"const": 2**70},
                "half": {"const": 0.5},
                "nothing": {"type": "null"},
                "absent": {"type": "null"},
                "huge": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
                "bad": {"type": "string"},
                "old": {"type": "string"},
                "nested": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": ["boolean", "null"]}},
                },
            },
        },
        "AnimalName": {"$ref": "#/definitions/Animal"},
        "Zoo": {
            "type": "object",
            "required": ["star", "rest"],
            "properties": {
                "star": {"$ref": "#/definitions/AnimalName"},
                "rest": {"type": "array", "items": {"$ref": "#/definitions/Animal"}},
            },
            "additionalProperties": False,
        },
    }
}

PROTOCOL = ir.Protocol(
    name='ha"nd`*/',
    version="1",
    title="Hand */ `made`",
    doc="Made by hand.\n\n*/ package evil",
    definitions=DEFINITIONS,
    roles=(ir.Role(name="left"), ir.Role(name="right", doc="- a list\n- of two")),
    methods=(
        ir.Method(name="feed", kind="request", sender="left", receiver="right", params=named("Animal")),
        ir.Method(
            name="list-all",
            kind="request",
            sender="left",
            receiver="right",
            result=ir.ListType(item=named("Animal")),
            doc="All.",
        ),
        ir.Method(
            name="raw",
            kind="request",
            sender="left",
            receiver="right",
            params=ANY,
            result=ir.MapType(value=ANY),
            deprecated=True,
        ),
        ir.Method(name="stop", kind="request", sender="left", receiver="right", events=nullable(TEXT)),
        ir.Method(name="close", kind="notification", sender="right", receiver="left"),
    ),
    errors=(
        ir.ErrorCode(name="Hungry", code=1, message="Hungry", family="feeding", data=nullable(TEXT)),
        ir.ErrorCode(name="Full", code=1, message="Full", family="right"),
    ),
    sources=(ir.Source(path="hand */ made\n.json", sha256="0" * 64),),
    schema=SCHEMA,
)
