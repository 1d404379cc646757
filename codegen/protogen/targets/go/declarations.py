"""The declarations of types.go as final lines: structs, enums, unions, aliases with their methods.

Knows Go types from `types` and layout from `text`; what a file looks like around them is the template's business.
"""

from __future__ import annotations

import math

import msgspec

from protogen import ir
from protogen.naming import Claim
from protogen.problems import Problem, warning
from protogen.targets.go import names
from protogen.targets.go.text import align, columns, comment, compact, quote, tag
from protogen.targets.go.types import (
    ANY,
    INT64_MAX,
    INT64_MIN,
    INTEGER,
    GoType,
    Types,
    clipped,
    declared,
    literal,
)


class Declaration(msgspec.Struct, frozen=True):
    """One Go type: its doc comment, its body after `type`, what `read` and `write` do, and all that follows."""

    name: str
    doc: list[str]
    body: list[str]
    read: list[str]
    write: list[str]
    more: list[list[str]] = []
    """Further declarations, each set off by a blank line."""
    alias: bool = False
    """Only another name: no methods."""


class Declarations:
    """Builds the declarations of one protocol and keeps the names that they claim."""

    def __init__(self, protocol: ir.Protocol, types: Types, derived: dict[str, str], problems: list[Problem]) -> None:
        self.protocol = protocol
        self.types = types
        self.derived = derived
        self.problems = problems

    def all(self) -> list[Declaration]:
        """The declarations of all definitions in their order, then the tuples that have no definition."""
        built = [self.one(definition) for definition in self.protocol.definitions]
        return built + [self.tuple(expression, name) for expression, name in self.types.tuples.items()]

    def one(self, definition: ir.AnyDefinition) -> Declaration:
        match definition:
            case ir.Record():
                return Record(self, definition).declaration()
            case ir.Enum():
                return self.enum(definition)
            case ir.Union():
                return self.union(definition)
            case ir.Alias():
                return self.alias(definition)

    def doc(self, definition: ir.AnyDefinition, fallback: str, *more: str) -> list[str]:
        name = self.types.names[definition.name]
        parts = [definition.doc or fallback, *more]
        if definition.deprecated:
            parts.append("Deprecated: the protocol marks it so.")
        return comment("\n\n".join(part for part in parts if part), subject=name)

    # --- aliases and tuples ---

    def alias(self, alias: ir.Alias) -> Declaration:
        name = self.types.names[alias.name]
        doc = self.doc(alias, f"{name} is defined by the protocol.")
        if not self.types.own(alias):
            target = self.types.of(alias.type)
            return Declaration(name, doc, [f"{name} = {target.text}"], [], [], alias=True)
        if isinstance(alias.type, ir.TupleType):
            return self.tuple(alias.type, name, doc)
        target = self.types.of(alias.type)
        if isinstance(alias.type, ir.NullableType):
            body = [f"{name} struct {{", f"\t{target.text}", "}"]
            return Declaration(
                name, doc, body, [f"return {target.read}(&v.Nullable, in)"], [f"{target.write}(v.Nullable, w)"]
            )
        read = [f"return {target.read}((*{target.text})(v), in)"]
        return Declaration(name, doc, [f"{name} {target.text}"], read, [f"{target.write}(v, w)"])

    def tuple(self, expression: ir.TupleType, name: str, doc: list[str] | None = None) -> Declaration:
        # A tuple may stand inside any of the structs that contain themselves.
        items = [self.types.of(item, frozenset(self.types.groups)) for item in expression.items]
        if doc is None:
            doc = [f"// {name} is an array of {len(items)} members."]
        rows = align([[f"Item{at}", item.text] for at, item in enumerate(items)])
        body = [f"{name} struct {{", *rows, "}"] if items else [f"{name} struct{{}}"]
        into = [f"\t\trpc.Into(&v.Item{at}, {item.read})," for at, item in enumerate(items)]
        out = [f"\t\trpc.Item(v.Item{at}, {item.write})," for at, item in enumerate(items)]
        read = ["return rpc.ReadTuple(", "\t\tin,", *into, "\t)"] if items else ["return rpc.ReadTuple(in)"]
        write = ["w.WriteTuple(", *out, "\t)"] if items else ["w.WriteTuple()"]
        return Declaration(name, doc, body, read, write)

    # --- enums ---

    def enum(self, enum: ir.Enum) -> Declaration:
        name = self.types.names[enum.name]
        values = distinct(enum)
        base = enum_base(enum)
        constants = [(self.derived[f"value:{enum.name}:{at}"], value) for at, value in values]
        entries = [
            (
                comment(value.doc, subject=constant, indent="\t"),
                [constant, name, f"= {enum_literal(base, value.value)}"],
            )
            for constant, value in constants
        ]
        known = ", ".join(constant for constant, _ in constants)
        more = [["const (", *columns(entries), ")"]] if entries else []
        open_note = "Other values may come; Known tells." if enum.open else ""
        more.append(
            [
                "// Known reports whether the protocol lists the value.",
                f"func (v {name}) Known() bool {{",
                "\tswitch v {",
                f"\tcase {known}:",
                "\t\treturn true",
                "\t}",
                "\treturn false",
                "}",
            ]
            if entries
            else [
                "// Known is false: the protocol lists no value.",
                f"func (v {name}) Known() bool {{",
                "\treturn false",
                "}",
            ]
        )
        kept = "Its content is the JSON text of the value, a string with its quotes." if base is TEXT else ""
        body = [f"{name} {base.text}"]
        read_value = f"{base.read}((*{base.text})(v), in)"
        if enum.open:
            read = [f"return {read_value}"]
            write = [f"{base.write}({base.text}(v), w)"]
        else:
            read = [f"if err := {read_value}; err != nil {{", "\t\treturn err", "\t}", "\treturn rpc.Known(v.Known())"]
            write = [f"rpc.WriteKnown(w, v.Known(), {base.text}(v), {base.write})"]
        doc = self.doc(enum, f"{name} is one of a list of values.", open_note, kept)
        return Declaration(name, doc, body, read, write, more)

    # --- unions ---

    def union(self, union: ir.Union) -> Declaration:
        name = self.types.names[union.name]
        variant = self.derived[f"variant:{union.name}"]
        arms = [self.arm(union, at) for at in range(len(union.arms))]
        pointers = list(dict.fromkeys(f"*{arm.text}" for arm in arms))
        unknown = self.derived.get(f"unknown:{union.name}")
        if unknown:
            pointers.append(f"*{unknown}")
        marker = f"is{name}"
        body = [f"{name} struct {{", f"\tValue {variant}", "}"]
        more = [
            [
                *comment(f"{variant} is what a {name} can hold: {_enumerate(pointers)}."),
                f"type {variant} interface {{",
                f"\t{marker}()",
                "}",
            ]
        ]
        more += [_empty(f"func ({pointer}) {marker}()") for pointer in pointers]
        more += [self.wrapper(union, at, arms[at]) for at in range(len(union.arms)) if self.wrapped(union, at)]
        if unknown:
            more.append(
                [
                    f"// {unknown} keeps an alternative of {name} that this SDK does not know, as it came.",
                    f"type {unknown} struct {{",
                    "\tTag string",
                    "\tRaw json.RawMessage",
                    "}",
                ]
            )
        if union.tag is not None:
            read = self.read_tagged(union, arms, unknown)
        else:
            read = self.read_untagged(union, arms)
            more.insert(0, self.arm_table(union))
        doc = self.doc(union, f"{name} is one of several types.", f"Value is one of {_enumerate(pointers)}.")
        return Declaration(name, doc, body, read, self.write_union(name, arms, unknown), more)

    def wrapped(self, union: ir.Union, at: int) -> bool:
        """Whether the arm needs a struct of its own, since its type can have no methods."""
        return f"arm:{union.name}:{at}" in self.derived

    def arm(self, union: ir.Union, at: int) -> GoType:
        """The declared type of an arm: the definition itself, or the struct around its value."""
        if self.wrapped(union, at):
            return declared(self.derived[f"arm:{union.name}:{at}"])
        return declared(self.types.names[own_name(self.types, union.arms[at].type)])

    def wrapper(self, union: ir.Union, at: int, arm: GoType) -> list[str]:
        inner = self.types.of(union.arms[at].type)
        doc = comment(union.arms[at].doc) or [f"// {arm.text} is the alternative {quote(union.arms[at].name)}."]
        return [
            *doc,
            f"type {arm.text} struct {{",
            f"\tValue {inner.text}",
            "}",
            "",
            f"func (v *{arm.text}) read(in *rpc.Value) error {{",
            f"\treturn {inner.read}(&v.Value, in)",
            "}",
            "",
            f"func (v {arm.text}) write(w *rpc.Writer) {{",
            f"\t{inner.write}(v.Value, w)",
            "}",
        ]

    def read_tagged(self, union: ir.Union, arms: list[GoType], unknown: str | None) -> list[str]:
        assert union.tag is not None
        lines = [f"tag, ok := rpc.Tag(in, {quote(union.tag)})", "\tif !ok {"]
        if unknown:
            lines += [f"\t\tv.Value = &{unknown}{{Raw: in.Raw()}}", "\t\treturn nil"]
        else:
            lines += [f"\t\treturn rpc.UnknownTag(in, {quote(union.tag)})"]
        lines += ["\t}", "\tswitch tag {"]
        for at, arm in enumerate(arms):
            if union.arms[at].tags:
                lines.append(f"\tcase {', '.join(quote(value) for value in union.arms[at].tags)}:")
                lines += [f"\t\targ := new({arm.text})", "\t\tv.Value = arg", "\t\treturn arg.read(in)"]
        lines.append("\t}")
        if unknown:
            lines += [f"\tv.Value = &{unknown}{{Tag: tag, Raw: in.Raw()}}", "\treturn nil"]
        else:
            lines += [f"\treturn rpc.UnknownTag(in, {quote(union.tag)})"]
        return lines

    def arm_table(self, union: ir.Union) -> list[str]:
        rows = []
        for arm in union.arms:
            parts = [f"Kinds: {quote(' '.join(arm.kinds))}"] if arm.kinds else []
            if arm.required:
                parts.append(f"Required: []string{{{', '.join(quote(key) for key in arm.required)}}}")
            if isinstance(arm.type, ir.NamedType):
                parts.append(f"Type: {quote(arm.type.name)}")
            rows.append(f"\t{{{', '.join(parts)}}},")
        return [f"var armsOf{self.types.names[union.name]} = []rpc.Arm{{", *rows, "}"]

    def read_untagged(self, union: ir.Union, arms: list[GoType]) -> list[str]:
        name = self.types.names[union.name]
        lines = [f"return rpc.Choose(in, schema, armsOf{name}, func(at int) error {{", "\t\tswitch at {"]
        for at, arm in enumerate(arms):
            lines.append("\t\tdefault:" if at == len(arms) - 1 else f"\t\tcase {at}:")
            lines += [f"\t\t\targ := new({arm.text})", "\t\t\tv.Value = arg", "\t\t\treturn arg.read(in)"]
        return [*lines, "\t\t}", "\t})"]

    def write_union(self, name: str, arms: list[GoType], unknown: str | None) -> list[str]:
        lines = ["switch arg := v.Value.(type) {"]
        for text in dict.fromkeys(arm.text for arm in arms):
            lines += [f"\tcase *{text}:", f"\t\trpc.WritePtr({text}.write)(arg, w)"]
        if unknown:
            lines += [f"\tcase *{unknown}:", "\t\trpc.WriteAny(arg.Raw, w)"]
        return [*lines, "\tdefault:", f"\t\tw.Fail({quote(name + ' holds no alternative')})", "\t}"]


def own_name(types: Types, expression: ir.Type) -> str:
    """The definition that an arm's type is in the end, following names for names; empty where it is none."""
    while isinstance(expression, ir.NamedType):
        definition = types.definitions[expression.name]
        if types.own(definition):
            return expression.name
        assert isinstance(definition, ir.Alias)
        expression = definition.type
    return ""


def _empty(head: str) -> list[str]:
    """A function without a body; gofmt breaks the line of a long one."""
    return [f"{head} {{}}"] if len(head) < 90 else [f"{head} {{", "}"]


def _enumerate(entries: list[str]) -> str:
    return entries[0] if len(entries) == 1 else f"{', '.join(entries[:-1])} or {entries[-1]}"


# --- enums: what they are made of ---

TEXT = GoType("string", "rpc.ReadText", "rpc.WriteText")
STRINGS = GoType("string", "rpc.ReadString", "rpc.WriteString")


def enum_base(enum: ir.Enum) -> GoType:
    """The Go type under an enum: that of its values where they are of one kind, else JSON text."""
    values = [value.value for value in enum.values]
    if all(isinstance(value, str) for value in values):
        return STRINGS
    if all(isinstance(value, bool) for value in values):
        return literal(True) if enum.open else GoType("bool", "rpc.ReadBool", "rpc.WriteBool")
    if not enum.open and all(_int64(value) for value in values):
        return GoType("int64", "rpc.ReadInt64", "rpc.WriteInt64")
    return TEXT


def _int64(value: ir.Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return (isinstance(value, int) or value.is_integer()) and INT64_MIN <= value <= INT64_MAX


def distinct(enum: ir.Enum) -> list[tuple[int, ir.EnumValue]]:
    """The values with their places, each once: 1 and 1.0 are one value."""
    found: dict[str, tuple[int, ir.EnumValue]] = {}
    for at, value in enumerate(enum.values):
        found.setdefault(json_text(value.value), (at, value))
    return list(found.values())


def json_text(value: ir.Json) -> str:
    """JSON text as the Go side keeps it: integers in plain form."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    return compact_unicode(value)


def compact_unicode(value: ir.Json) -> str:
    """JSON text with the escapes that the Go writer uses."""
    if not isinstance(value, str):
        return compact(value)
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(short.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'


def enum_literal(base: GoType, value: ir.Json) -> str:
    """The constant's value."""
    if base is TEXT:
        return quote(json_text(value))
    if isinstance(value, str):
        return quote(value)
    return json_text(value)


# --- records ---


class Member(msgspec.Struct, frozen=True):
    """One field of a struct and the lines that read and write it; a constant has no field."""

    row: list[str] | None
    doc: list[str]
    read: str
    write: str


class Record:
    """The declaration of one record."""

    def __init__(self, owner: Declarations, record: ir.Record) -> None:
        self.owner = owner
        self.types = owner.types
        self.record = record
        self.name = owner.types.names[record.name]
        self.fields = names.fields(record)
        self.boxed = owner.types.groups.get(record.name, frozenset())
        self.extra = None if record.extra is None else owner.types.resolve(record.extra)
        self.raw_extra = isinstance(self.extra, ir.AnyType)
        self.keeps = False
        """Whether Extra is there only for integers beyond 64 bits."""

    def declaration(self) -> Declaration:
        members = [self.member(field) for field in self.record.fields]
        constants = [
            f"{quote(field.wire)} is always {compact(value.value)}."
            for field in self.record.fields
            if (value := self.constant(field)) is not None
        ]
        entries = [(member.doc, member.row) for member in members if member.row is not None]
        extra, rest, opening, closing = self.ending()
        entries += extra
        body = [f"{self.name} struct {{", *columns(entries), "}"] if entries else [f"{self.name} struct{{}}"]
        read = ["o := rpc.ReadObject(in)", *(f"\t{member.read}" for member in members), f"\t{rest}"]
        write = [opening, *(f"\t{member.write}" for member in members), f"\t{closing}"]
        doc = self.owner.doc(self.record, f"{self.name} is defined by the protocol.", " ".join(constants))
        return Declaration(self.name, doc, body, read, write, self.defaults())

    def constant(self, field: ir.Field) -> ir.LiteralType | None:
        """The constant that a required field always is."""
        behind = self.types.resolve(field.type)
        if field.required and isinstance(behind, ir.NullType):
            return ir.LiteralType(value=None)
        return behind if field.required and isinstance(behind, ir.LiteralType) else None

    def value(self, expression: ir.Type) -> GoType:
        """The type of a field's value: like anywhere else, but integers are clipped where Extra keeps their text."""
        behind = self.types.resolve(expression)
        if isinstance(behind, ir.IntegerType) and (self.extra is None or self.raw_extra):
            found = clipped(behind)
            self.keeps = self.keeps or "Clipped" in found.read
            return found
        return self.types.of(expression, self.boxed)

    def member(self, field: ir.Field) -> Member:
        wire = quote(field.wire)
        constant = self.constant(field)
        if constant is not None:
            text = quote(compact(constant.value))
            return Member(None, [], f"o.Const({wire}, {text})", f"w.Const({wire}, {text})")
        name = self.fields[field.wire]
        behind = self.types.resolve(field.type)
        if isinstance(behind, ir.NullableType):
            return self.nullable(field, name, self.value(behind.of))
        found = self.value(field.type)
        if field.required:
            return self.made(
                field,
                found.text,
                f"rpc.Required(o, {wire}, &v.{name}, {found.read})",
                f"rpc.Put(w, {wire}, v.{name}, {found.write})",
            )
        if found.nilable:
            return self.made(
                field,
                found.text,
                f"rpc.Optional(o, {wire}, &v.{name}, {found.read})",
                f"rpc.PutIf(w, {wire}, v.{name} != nil, v.{name}, {found.write})",
            )
        # A pointer breaks every circle by itself.
        if found.text.startswith("*"):
            found = self.types.of(field.type)
        return self.made(
            field,
            f"*{found.text}",
            f"rpc.OptionalPtr(o, {wire}, &v.{name}, {found.read})",
            f"rpc.PutPtr(w, {wire}, v.{name}, {found.write})",
        )

    def nullable(self, field: ir.Field, name: str, inner: GoType) -> Member:
        wire = quote(field.wire)
        if field.required:
            return self.made(
                field,
                f"rpc.Nullable[{inner.text}]",
                f"rpc.Required(o, {wire}, &v.{name}, rpc.ReadNullable({inner.read}))",
                f"rpc.Put(w, {wire}, v.{name}, rpc.WriteNullable({inner.write}))",
            )
        return self.made(
            field,
            f"rpc.Opt[{inner.text}]",
            f"rpc.OptionalNull(o, {wire}, &v.{name}, {inner.read})",
            f"rpc.PutOpt(w, {wire}, v.{name}, {inner.write})",
        )

    def made(self, field: ir.Field, text: str, read: str, write: str) -> Member:
        name = self.fields[field.wire]
        parts = [field.doc]
        if field.read_only:
            parts.append("Read-only: set by the receiver.")
        if field.write_only:
            parts.append("Write-only: never sent back.")
        if field.deprecated:
            parts.append("Deprecated: the protocol marks it so.")
        mark = tag(field.wire, optional=not field.required)
        row = [name, text, mark] if mark else [name, text]
        return Member(row, comment("\n\n".join(part for part in parts if part), subject=name, indent="\t"), read, write)

    def ending(self) -> tuple[list[tuple[list[str], list[str]]], str, str, str]:
        """The field Extra, and how reading ends, writing begins and writing ends."""
        if self.raw_extra:
            doc = ["\t// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits."]
            row = ["Extra", "map[string]json.RawMessage", '`json:"-"`']
            return [(doc, row)], "return o.Rest(&v.Extra)", "w.Open(v.Extra)", "w.CloseExtra()"
        if self.extra is not None:
            assert self.record.extra is not None
            found = self.types.of(self.record.extra)
            doc = ["\t// Extra holds the members that are not listed here."]
            row = ["Extra", f"map[string]{found.text}", '`json:"-"`']
            return (
                [(doc, row)],
                f"return rpc.Rest(o, &v.Extra, {found.read})",
                "w.Open(nil)",
                f"rpc.CloseTyped(w, v.Extra, {found.write})",
            )
        if self.keeps:
            doc = ["\t// Extra keeps the digits of integers beyond 64 bits; there are no other members."]
            row = ["Extra", "map[string]json.RawMessage", '`json:"-"`']
            return [(doc, row)], "return o.Exact(&v.Extra)", "w.Open(v.Extra)", "w.Close()"
        return [], "return o.Done()", "w.Open(nil)", "w.Close()"

    # --- defaults ---

    def defaults(self) -> list[list[str]]:
        found = []
        for field in self.record.fields:
            if field.default is ir.UNSET or field.required or self.constant(field) is not None:
                continue
            lines = self.default(field)
            if lines:
                found.append(lines)
        return found

    def default(self, field: ir.Field) -> list[str]:
        name, method = self.fields[field.wire], self.fields[f"default:{field.wire}"]
        behind = self.types.resolve(field.type)
        nullable = isinstance(behind, ir.NullableType)
        if nullable and field.default is None:
            return []
        expression = behind.of if isinstance(behind, ir.NullableType) else field.type
        if not fits(self.types, expression, field.default):
            what = f'the default of "{field.wire}" in "{self.record.name}" is no value of its type, so that the Go SDK does not offer it'
            self.owner.problems.append(warning("PG602", what, fix="correct the default or the type"))
            return []
        inner = self.value(expression)
        plain = inner.text.removeprefix("*") if not nullable else inner.text
        value = self.default_value(expression, inner, field.default)
        head = comment(f"{method} is {name}, or the default of the protocol, {compact(field.default)}, where it is absent.")
        if nullable:
            return [*head, f"func (v {self.name}) {method}() rpc.Nullable[{plain}] {{", f"\treturn v.{name}.OrDefault({value})", "}"]
        if inner.nilable:
            return [
                *head,
                f"func (v {self.name}) {method}() {plain} {{",
                f"\tif v.{name} != nil {{",
                f"\t\treturn v.{name}",
                "\t}",
                f"\treturn {value}",
                "}",
            ]
        return [*head, f"func (v {self.name}) {method}() {plain} {{", f"\treturn rpc.Deref(v.{name}, {value})", "}"]

    def default_value(self, expression: ir.Type, inner: GoType, default: ir.Json) -> str:
        """A Go expression for a default that fits."""
        if inner.text in {"string", "bool", "int64", "uint64", "float64"}:
            return quote(default) if isinstance(default, str) else json_text(default)
        if inner.text == "json.Number":
            return quote(json_text(default))
        if inner is ANY:
            return f"json.RawMessage({quote(compact(default))})"
        behind = self.types.resolve(expression)
        if isinstance(behind, ir.NamedType):
            definition = self.types.definitions[behind.name]
            if isinstance(definition, ir.Enum) and enum_base(definition).text == "string":
                for at, value in distinct(definition):
                    if json_text(value.value) == json_text(default):
                        return self.owner.derived[f"value:{definition.name}:{at}"]
        if default in ([], {}) and inner.nilable:
            return f"{inner.text}{{}}"
        return f"rpc.Must({quote(compact(default))}, {inner.read})"


def fits(types: Types, expression: ir.Type, value: ir.Json) -> bool:
    """Whether a default can be read into its Go type."""
    match types.resolve(expression):
        case ir.AnyType():
            return True
        case ir.NullType():
            return value is None
        case ir.BooleanType():
            return isinstance(value, bool)
        case ir.StringType():
            return isinstance(value, str)
        case ir.IntegerType() as bounds:
            return _int64(value) and (clipped(bounds) is INTEGER or _in_range(bounds, value))
        case ir.NumberType():
            return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        case ir.LiteralType(value=only):
            return json_text(only) == json_text(value) if not isinstance(value, (list, dict)) else False
        case ir.ListType(item=item):
            return isinstance(value, list) and all(fits(types, item, entry) for entry in value)
        case ir.TupleType(items=items):
            return (
                isinstance(value, list)
                and len(value) == len(items)
                and all(fits(types, item, entry) for item, entry in zip(items, value, strict=True))
            )
        case ir.MapType(value=inner):
            return isinstance(value, dict) and all(fits(types, inner, entry) for entry in value.values())
        case ir.NullableType(of=inner):
            return value is None or fits(types, inner, value)
        case ir.NamedType(name=name):
            return _fits_definition(types, types.definitions[name], value)
    return False


def _in_range(bounds: ir.IntegerType, value: ir.Json) -> bool:
    return value >= 0 if "Uint" in clipped(bounds).read else True


def _fits_definition(types: Types, definition: ir.AnyDefinition, value: ir.Json) -> bool:
    match definition:
        case ir.Enum():
            if isinstance(value, (list, dict)):
                return False
            listed = any(json_text(entry.value) == json_text(value) for _, entry in distinct(definition))
            return listed or (definition.open and (enum_base(definition) is TEXT or isinstance(value, str)))
        case ir.Record():
            if not isinstance(value, dict):
                return False
            known = {field.wire: field for field in definition.fields}
            if any(field.required and field.wire not in value for field in definition.fields):
                return False
            if any(key in known and not fits(types, known[key].type, entry) for key, entry in value.items()):
                return False
            others = [entry for key, entry in value.items() if key not in known]
            extra = definition.extra
            return not others if extra is None else all(fits(types, extra, entry) for entry in others)
        case ir.Union(tag=None):
            return any(fits(types, arm.type, value) for arm in definition.arms)
        case ir.Union():
            if not isinstance(value, dict):
                return definition.open
            chosen = [arm for arm in definition.arms if value.get(definition.tag) in arm.tags]
            return fits(types, chosen[0].type, value) if chosen else definition.open
        case ir.Alias():
            return fits(types, definition.type, value)
