"""What the templates of the Python target lay out: final strings, imports collected where they are used.

Knows the IR and Python; the templates know neither.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from protogen import ir
from protogen.output import header_lines
from protogen.targets.python.layout import (
    WIDTH,
    Call,
    Expr,
    assign,
    docstring,
    either,
    flat,
    json_literal,
    literal,
    statement,
    text_literal,
)
from protogen.targets.python.typing import Typing, fits_msgspec

if TYPE_CHECKING:
    from protogen.targets.python.validators import Validators

FIELD: Final = 4
"""Columns before a field of a class."""


_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_OUTSIDE: Final = re.compile(r"\b(?:Annotated|Literal|Json|Meta(?=\())\b")


def outside_names(text: str) -> set[str]:
    """What code uses of `typing`, of msgspec and of the support library in annotations, its literals left out."""
    return set(_OUTSIDE.findall(_QUOTED.sub("", text))) if _OUTSIDE.search(text) else set()


class Block(msgspec.Struct, frozen=True):
    """A top-level statement, final text, and the blank lines before it."""

    gap: str
    text: str


class Types(msgspec.Struct, frozen=True, kw_only=True):
    """types.py."""

    header: list[str]
    doc: str
    imports: list[str]
    blocks: list[Block]
    gap: str
    """What stands between the blocks and the table."""
    table: list[str]
    exact: str
    bounded: str


class _TypesView:
    """Builds `Types`; collects what the module must import."""

    def __init__(self, protocol: ir.Protocol, typing: Typing, inline: dict[str, ir.Type]) -> None:
        self.protocol = protocol
        self.typing = typing
        self.names = typing.names
        self.inline = inline
        self.used: set[str] = set()
        self.hoisted: list[str] = []

    def build(self) -> Types:
        classes: list[str] = []
        arms: list[str] = []
        for definition in self.protocol.definitions:
            if isinstance(definition, ir.Record):
                classes.append(self.record(definition))
            elif definition.name in self.typing.boxed:
                classes.append(self.box(definition))
                arms.append(self.arms(definition))
            elif definition.name in self.names.unknown and isinstance(definition, ir.Union):
                classes.append(self.unknown(definition))
        aliases = [self.alias(self.typing.definitions[name]) for name in self.typing.alias_order()]
        table = [f"{text_literal(d.name)}: {self.names.types[d.name]}," for d in self.protocol.definitions]
        table += [
            f"{text_literal(key)}: {self.text(self.typing.render(type_).expr)}," for key, type_ in self.inline.items()
        ]
        exact = [d.name for d in self.protocol.definitions if d.name in self.typing.exact]
        bounded = [d.name for d in self.protocol.definitions if d.name in self.typing.bounded]
        statements = [*aliases, *self.hoisted, *arms]
        return Types(
            header=header_lines(self.protocol),
            doc=docstring(f"The messages of {self.protocol.title}.", indent=0),
            imports=self.imports(bool(aliases or self.hoisted)),
            blocks=_blocks(classes, statements),
            gap="\n" if statements or not classes else "\n\n",
            table=table,
            exact=assign("EXACT: Final[frozenset[str]]", name_set(exact)),
            bounded=assign("BOUNDED: Final[frozenset[str]]", name_set(bounded)),
        )

    def imports(self, has_aliases: bool) -> list[str]:
        typing_names = {"Any", "Final"} | (self.used & {"Annotated", "ClassVar", "Literal", "cast"})
        if has_aliases:
            typing_names.add("TypeAlias")
        lines = [f"from typing import {', '.join(sorted(typing_names, key=import_order))}", ""]
        msgspec_names = self.used & {"Meta", "UNSET", "UnsetType", "field"}
        if msgspec_names:
            lines += [f"from msgspec import {', '.join(sorted(msgspec_names, key=import_order))}", ""]
        local = self.used & {"Arm", "Boxed", "EXTRA", "OpenRecord", "Record", "UNKNOWN", "UnknownVariant", "default_of"}
        if local:
            lines.append(import_line(".rpc.boundary", local))
        if "Json" in self.used:
            lines.append("from .rpc.jsonvalue import Json")
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def text(self, expr: Expr) -> str:
        """One line of an expression; notes what it uses."""
        text = flat(expr)
        self.note(text)
        return text

    def note(self, text: str) -> None:
        self.used |= outside_names(text)

    # --- records ----------------------------------------------------------------------------------

    def record(self, record: ir.Record) -> str:
        name = self.names.types[record.name]
        tag = self.typing.tags.get(record.name)
        fit = [field for field in record.fields if fits_msgspec(field.wire)]
        closed = record.extra is None and len(fit) == len(record.fields)
        plain_extra = isinstance(record.extra, ir.AnyType) or len(fit) < len(record.fields)
        base = "OpenRecord" if not closed and plain_extra else "Record"
        self.used.add(base)
        parts: list[str] = [base, "kw_only=True"]
        if tag is not None:
            parts += [f"tag_field={text_literal(tag[0])}", f"tag={text_literal(tag[1])}"]
        lines = [statement("class ", Call(name, tuple(parts)), suffix=":")]
        about = record.doc or f"The object `{record.name}`."
        lines += [docstring(_deprecated(about, record.deprecated), indent=FIELD), ""]
        for field in fit:
            if tag is not None and field.wire == tag[0]:
                lines += self.tag_field(record, field, tag[1])
            else:
                lines += self.field(record, field)
        if not closed and not plain_extra and record.extra is not None:
            lines += self.typed_extra(name, record.extra)
        for field in fit:
            if field.wire in self.names.defaults.get(record.name, {}):
                lines += self.default(record, field)
        return "\n".join(_trimmed(lines))

    def tag_field(self, record: ir.Record, field: ir.Field, tag: str) -> list[str]:
        self.used.update(("ClassVar", "Literal"))
        attribute = self.names.fields[record.name][field.wire]
        value = text_literal(tag)
        lines = [statement(f"{attribute}: ClassVar[Literal[{value}]] = ", value, indent=FIELD)]
        return _with_doc(lines, field.doc)

    def field(self, record: ir.Record, field: ir.Field) -> list[str]:
        attribute = self.names.fields[record.name][field.wire]
        rendered = self.typing.field_type(record, field)
        parts: list[Expr] = [rendered.expr]
        settings: list[str] = []
        if attribute != field.wire:
            settings.append(f"name={text_literal(field.wire)}")
        if not field.required:
            parts.append("UnsetType")
            settings.append("default=UNSET")
            self.used.update(("UNSET", "UnsetType"))
        value: Expr = ""
        if attribute != field.wire:
            self.used.add("field")
            value = Call("field", tuple(settings))
        elif not field.required:
            value = "UNSET"
        line = self.declaration(record, attribute, either(parts), value)
        return _with_doc([line], _deprecated(field.doc, field.deprecated))

    def declaration(self, record: ir.Record, attribute: str, type_: Expr, value: Expr) -> str:
        annotation = self.text(type_)
        head = f"{attribute}: {annotation}"
        opening = f"{' ' * FIELD}{head} = field(" if isinstance(value, Call) else f"{' ' * FIELD}{head} = {value}"
        if len(opening) > WIDTH:
            head = f"{attribute}: {self.hoist(self.names.types[record.name], attribute, type_)}"
        if not value:
            return f"{' ' * FIELD}{head}"
        return statement(f"{head} = ", value, indent=FIELD)

    def hoist(self, owner: str, attribute: str, type_: Expr) -> str:
        """A private alias for an annotation that fits no line."""
        name = f"_{owner}_{attribute}"
        self.hoisted.append(assign(f"{name}: TypeAlias", type_))
        return name

    def typed_extra(self, name: str, extra: ir.Type) -> list[str]:
        self.used.update(("EXTRA", "UNSET", "UnsetType", "field"))
        value = self.typing.render(extra).expr
        type_ = either((Call("dict", ("str", value), "[]"), "UnsetType"))
        annotation = self.text(type_)
        head = f"extra: {annotation}"
        if len(head) + FIELD + len(" = field(") > WIDTH:
            head = f"extra: {self.hoist(name, 'extra', type_)}"
        line = statement(f"{head} = ", Call("field", ("name=EXTRA", "default=UNSET")), indent=FIELD)
        return _with_doc([line], "Members beside the known ones.")

    def default(self, record: ir.Record, field: ir.Field) -> list[str]:
        attribute = self.names.fields[record.name][field.wire]
        reader = self.names.defaults[record.name][field.wire]
        expr = self.typing.field_type(record, field).expr
        type_ = either((expr, "None")) if field.default is None else expr
        annotation = self.text(type_)
        if len(f"    def {reader}(self) -> {annotation}:") > WIDTH:
            annotation = self.hoist(self.names.types[record.name], reader, type_)
        if _is_plain_default(field):
            value = f"return {literal(field.default)}"
        else:
            self.used.update(("cast", "default_of"))
            made = Call("default_of", (annotation, json_literal(field.default)))
            value = statement("return ", Call("cast", (text_literal(annotation), made)), indent=12).strip()
        shown = json.dumps(field.default, ensure_ascii=True)
        about = f"`{attribute}`, or its default {shown} where it is absent."
        return [
            "",
            f"{' ' * FIELD}@property",
            f"{' ' * FIELD}def {reader}(self) -> {annotation}:",
            docstring(about, indent=8),
            f"        if self.{attribute} is UNSET:",
            f"            {value}",
            f"        return self.{attribute}",
        ]

    # --- unions, enums, aliases -------------------------------------------------------------------

    def box(self, definition: ir.AnyDefinition) -> str:
        name = self.names.types[definition.name]
        self.used.add("Boxed")
        inner = self.typing.union_type(definition) if isinstance(definition, ir.Union) else self.alias_type(definition)
        annotation = self.text(inner)
        if len(f"    def __init__(self, value: {annotation}) -> None:") > WIDTH:
            annotation = self.hoist(name, "value", inner)
        about = definition.doc or f"The value `{definition.name}`, told apart by its content."
        return "\n".join(
            [
                f"class {name}(Boxed):",
                docstring(_deprecated(about, definition.deprecated), indent=FIELD),
                "",
                "    __slots__ = ()",
                "",
                f"    value: {annotation}",
                "",
                f"    def __init__(self, value: {annotation}) -> None:",
                "        super().__init__(value)",
            ]
        )

    def unknown(self, union: ir.Union) -> str:
        self.used.update(("UNKNOWN", "UnknownVariant"))
        name = self.names.unknown[union.name]
        tag = text_literal(union.tag or "")
        head = statement("class ", Call(name, ("UnknownVariant", f"tag_field={tag}", "tag=UNKNOWN")), suffix=":")
        about = f"An alternative of `{union.name}` that this version of the protocol does not list."
        return f"{head}\n{docstring(about, indent=FIELD)}"

    def alias_type(self, definition: ir.AnyDefinition) -> Expr:
        match definition:
            case ir.Enum():
                return self.typing.enum_type(definition).expr
            case ir.Alias():
                return self.typing.render(definition.type).expr
            case ir.Union():
                return self.typing.union_type(definition)
            case ir.Record():
                return self.names.types[definition.name]

    def alias(self, definition: ir.AnyDefinition) -> str:
        expr = self.alias_type(definition)
        name = self.names.types[definition.name]
        self.text(expr)
        lines = [assign(f"{name}: TypeAlias", expr)]
        about = _deprecated(_alias_doc(definition), definition.deprecated)
        if about:
            lines.append(docstring(about, indent=0))
        if isinstance(definition, ir.Enum):
            values = tuple(literal(value.value) for value in definition.values)
            shown = Call("", tuple([f"{values[0]},"] if len(values) == 1 else values))
            prefix = f"{self.names.values[definition.name]}: Final[tuple[{name}, ...]]"
            lines += ["", assign(prefix, shown)]
        return "\n".join(lines)

    def arms(self, definition: ir.AnyDefinition) -> str:
        self.used.add("Arm")
        name = self.names.types[definition.name]
        lines: list[str] = []
        if isinstance(definition, ir.Union):
            arms = tuple(self.arm(arm) for arm in definition.arms)
            if definition.tag is not None:
                lines.append(statement(f"{name}.TAG = ", text_literal(definition.tag)))
        else:
            inner = self.alias_type(definition)
            self.text(inner)
            arms = (Call("Arm", (f"type={flat(inner)}",)),)
        if len(arms) == 1:
            lines.append(statement(f"{name}.ARMS = ", Call("", (f"{flat(arms[0])},",))))
            return "\n".join(lines)
        # Always one alternative per line: the trailing comma keeps it so.
        shown = "".join(f"    {_arm_text(arm)},\n" for arm in arms)
        lines.append(f"{name}.ARMS = (\n{shown})")
        return "\n".join(lines)

    def arm(self, arm: ir.Arm) -> Call:
        expr = self.typing.render(arm.type).expr
        parts: list[Expr] = [f"type={self.text(expr)}"]
        for key, values in (("kinds", arm.kinds), ("required", arm.required), ("tags", arm.tags)):
            if values:
                shown = tuple([f"{text_literal(values[0])},"] if len(values) == 1 else map(text_literal, values))
                parts.append(Call(f"{key}=", shown))
        parts.append(f"schema={text_literal(type_key(arm.type))}")
        return Call("Arm", tuple(parts))


def _arm_text(arm: Call) -> str:
    return statement("", arm, suffix="", indent=4).strip() if len(flat(arm)) + 5 > WIDTH else flat(arm)


def _alias_doc(definition: ir.AnyDefinition) -> str:
    if not isinstance(definition, ir.Enum) or not any(value.doc for value in definition.values):
        return definition.doc
    listed = "\n".join(
        f"- `{json.dumps(value.value, ensure_ascii=False)}`: {value.doc}" for value in definition.values if value.doc
    )
    return f"{definition.doc}\n\n{listed}" if definition.doc else listed


def _deprecated(doc: str, deprecated: bool) -> str:
    if not deprecated:
        return doc
    return f"{doc}\n\nDeprecated." if doc else "Deprecated."


def _with_doc(lines: list[str], doc: str) -> list[str]:
    return [*lines, docstring(doc, indent=FIELD), ""] if doc.strip() else lines


def _trimmed(lines: list[str]) -> list[str]:
    """No blank lines at the end and no two in a row."""
    while lines and not lines[-1]:
        lines.pop()
    return [line for index, line in enumerate(lines) if line or lines[index - 1]]


def _is_plain_default(field: ir.Field) -> bool:
    """Whether the default is a scalar whose literal has the field's very type."""
    default: Any = field.default
    type_ = field.type.of if isinstance(field.type, ir.NullableType) else field.type
    if default is None:
        return True
    match type_:
        case ir.BooleanType():
            return isinstance(default, bool)
        case ir.StringType():
            return isinstance(default, str)
        case ir.IntegerType():
            return isinstance(default, int) and not isinstance(default, bool)
        case ir.NumberType():
            return isinstance(default, int | float) and not isinstance(default, bool)
        case _:
            return False


_NUMBER: Final = re.compile(r"([0-9]+)")


def import_order(name: str) -> tuple[int, list[str | int], str]:
    """The order in which imported names stand: CONSTANTS, Classes, functions; numbers by value, case aside."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    # A split by a group alternates text and number, so that only like is compared with like.
    parts = [int(part) if index % 2 else part for index, part in enumerate(_NUMBER.split(name.lower()))]
    return kind, parts, name


def import_line(module: str, names: set[str]) -> str:
    """`from module import …`, one name per line where that is too long."""
    ordered = sorted(names, key=import_order)
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"


def types_view(protocol: ir.Protocol, typing: Typing, inline: dict[str, ir.Type]) -> Types:
    """types.py; `inline` are the types that methods use without naming them."""
    return _TypesView(protocol, typing, inline).build()


def _blocks(classes: list[str], statements: list[str]) -> list[Block]:
    """Classes, then other statements, with the blank lines that the formatter wants between them."""
    blocks = [Block("\n\n", text) for text in classes]
    for index, text in enumerate(statements):
        blocks.append(Block("\n\n" if index == 0 and classes else "\n", text))
    return blocks


def name_set(names: list[str]) -> Call:
    """A frozenset of names."""
    return Call("frozenset", (Call("", tuple(map(text_literal, names)), "{}"),) if names else ())


# --- what methods use without a name --------------------------------------------------------------


def edge_types(protocol: ir.Protocol) -> list[ir.Type]:
    """Every type at an edge of the protocol: params, results, events and error data."""
    edges: list[ir.Type | None] = []
    for method in protocol.methods:
        edges += [method.params, method.result, method.events]
    edges += [error.data for error in protocol.errors]
    return [edge for edge in edges if edge is not None]


def inline_types(protocol: ir.Protocol, typing: Typing) -> dict[str, ir.Type]:
    """Types that edges and alternatives use without naming them, under keys that no definition has."""
    table: dict[str, ir.Type] = {}
    arms = [
        arm.type
        for definition in protocol.definitions
        if isinstance(definition, ir.Union) and definition.name in typing.boxed
        for arm in definition.arms
    ]
    for type_ in [*edge_types(protocol), *arms]:
        if not isinstance(type_, ir.NamedType):
            table.setdefault(type_key(type_), type_)
    return table


def type_key(type_: ir.Type) -> str:
    """The name of a type in TYPES: that of its definition, else one made of its schema."""
    if isinstance(type_, ir.NamedType):
        return type_.name
    return f"#{json.dumps(type_schema(type_), separators=(',', ':'))}"


def full_schema(protocol: ir.Protocol, inline: dict[str, ir.Type]) -> dict[str, Any]:
    """The protocol's lowered schema with a definition for each inline type."""
    if not inline:
        return protocol.schema
    more = {key: type_schema(type_) for key, type_ in inline.items()}
    return {**protocol.schema, "definitions": {**protocol.schema["definitions"], **more}}


def type_schema(type_: ir.Type) -> Any:
    """A type expression as draft-07."""
    match type_:
        case ir.AnyType():
            return {}
        case ir.NullType():
            return {"type": "null"}
        case ir.BooleanType():
            return {"type": "boolean"}
        case ir.StringType():
            stated = {"minLength": type_.min_length, "maxLength": type_.max_length, "pattern": type_.pattern}
            return {"type": "string", **_stated(stated)}
        case ir.IntegerType():
            return {"type": "integer", **_stated({"minimum": type_.minimum, "maximum": type_.maximum})}
        case ir.NumberType():
            return {"type": "number", **_stated({"minimum": type_.minimum, "maximum": type_.maximum})}
        case ir.LiteralType():
            return {"const": type_.value}
        case ir.ListType():
            stated = {"minItems": type_.min_items, "maxItems": type_.max_items}
            return {"type": "array", "items": type_schema(type_.item), **_stated(stated)}
        case ir.TupleType():
            items = [type_schema(item) for item in type_.items]
            return {"type": "array", "items": items, "minItems": len(items), "additionalItems": False}
        case ir.MapType():
            return {"type": "object", "additionalProperties": type_schema(type_.value)}
        case ir.NullableType():
            return {"anyOf": [type_schema(type_.of), {"type": "null"}]}
        case ir.NamedType():
            return {"$ref": "#/definitions/" + type_.name.replace("~", "~0").replace("/", "~1")}


def _stated(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


# --- validators and schema ------------------------------------------------------------------------


class ValidatorsFile(msgspec.Struct, frozen=True, kw_only=True):
    """validators.py."""

    header: list[str]
    doc: str
    imports: list[str]
    constants: list[str]
    functions: list[str]
    table: list[str]
    patterns: list[str]
    reader: bool


def validators_view(protocol: ir.Protocol, validators: Validators) -> ValidatorsFile:
    """validators.py from the generator's parts."""
    used = validators.imports
    imports: list[str] = []
    if "json" in used:
        imports.append("import json")
    imports.append("import re")
    if "reader" in used:
        imports.append("from functools import cache")
    if "NoneType" in used:
        imports.append("from types import NoneType")
    imports += ["from typing import Final", ""]
    helpers = used & {"MISSING", "is_multiple", "memoized", "one_of", "unique"}
    if "reader" in used:
        imports.append("from ._schema import load_schema")
    imports.append("from .rpc.boundary import Check")
    imports.append(import_line(".rpc.jsonvalue", {"Json", *helpers}))
    if "reader" in used:
        imports.append("from .rpc.schema import SchemaReader")
    return ValidatorsFile(
        header=header_lines(protocol),
        doc=docstring(f"Whether JSON values are valid messages of {protocol.title}.", indent=0),
        imports=imports,
        constants=validators.constants,
        functions=validators.functions,
        table=[f"{key}: {function}," for key, function in validators.table],
        patterns=[f"{entry}," for entry in validators.patterns],
        reader="reader" in used,
    )


class SchemaFile(msgspec.Struct, frozen=True, kw_only=True):
    """_schema.py."""

    header: list[str]
    doc: str
    text: str


def schema_view(protocol: ir.Protocol, schema: dict[str, Any]) -> SchemaFile:
    """_schema.py: the lowered schema as JSON text."""
    return SchemaFile(
        header=header_lines(protocol),
        doc=docstring(f"The schema of {protocol.title} as the validators read it.", indent=0),
        text=schema_text(schema),
    )


def schema_text(schema: dict[str, Any]) -> str:
    """The document as JSON, one definition per line; pure ASCII, and never three quotes in a row."""
    definitions = schema["definitions"]
    lines = [
        f"{json.dumps(name)}:{json.dumps(definition, separators=(',', ':'))}"
        for name, definition in definitions.items()
    ]
    head = {key: value for key, value in schema.items() if key != "definitions"}
    start = json.dumps(head, separators=(",", ":"))[:-1]
    comma = "," if head else ""
    return f'{start}{comma}"definitions":{{\n' + ",\n".join(lines) + "\n}}"
