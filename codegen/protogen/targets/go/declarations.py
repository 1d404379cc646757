"""The declarations of types.go as final lines: structs, enums, unions, aliases with their methods.

Knows Go types from `types` and layout from `text`; what a file looks like around them is the template's business.
"""

from __future__ import annotations

import msgspec

from protogen import ir
from protogen.problems import Problem, warning
from protogen.targets.go import names
from protogen.targets.go.defaults import fits
from protogen.targets.go.enums import TEXT, distinct, enum_base, enum_literal, json_text
from protogen.targets.go.text import align, columns, comment, compact, prose, quote, tag
from protogen.targets.go.types import ANY, GoType, Types, clipped, declared


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
        built = [self._one(definition) for definition in self.protocol.definitions]
        return built + [self._tuple(expression, name) for expression, name in self.types.tuples.items()]

    def _one(self, definition: ir.AnyDefinition) -> Declaration:
        match definition:
            case ir.Record():
                return _Record(self, definition).declaration()
            case ir.Enum():
                return self._enum(definition)
            case ir.Union():
                return self._union(definition)
            case ir.Alias():
                return self._alias(definition)

    def doc(self, definition: ir.AnyDefinition, fallback: str, *more: str) -> list[str]:
        """The doc comment of a definition: its own text or the fallback, then further paragraphs."""
        name = self.types.names[definition.name]
        parts = [definition.doc or fallback, *more]
        if definition.deprecated:
            parts.append("Deprecated: the protocol marks it so.")
        return comment("\n\n".join(part for part in parts if part), subject=name)

    # --- aliases and tuples ---

    def _alias(self, alias: ir.Alias) -> Declaration:
        name = self.types.names[alias.name]
        doc = self.doc(alias, f"{name} is defined by the protocol.")
        if not self.types.own(alias):
            target = self.types.of(alias.type)
            return Declaration(name, doc, [f"{name} = {target.text}"], [], [], alias=True)
        if isinstance(alias.type, ir.TupleType):
            return self._tuple(alias.type, name, doc)
        target = self.types.of(alias.type)
        if isinstance(alias.type, ir.NullableType):
            body = [f"{name} struct {{", f"\t{target.text}", "}"]
            return Declaration(
                name, doc, body, [f"return {target.read}(&v.Nullable, in)"], [f"{target.write}(v.Nullable, w)"]
            )
        read = [f"return {target.read}((*{target.text})(v), in)"]
        return Declaration(name, doc, [f"{name} {target.text}"], read, [f"{target.write}(v, w)"])

    def _tuple(self, expression: ir.TupleType, name: str, doc: list[str] | None = None) -> Declaration:
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

    def _enum(self, enum: ir.Enum) -> Declaration:
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

    def _union(self, union: ir.Union) -> Declaration:
        name = self.types.names[union.name]
        variant = self.derived[f"variant:{union.name}"]
        arms = [self._arm(union, at) for at in range(len(union.arms))]
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
        more += [self._wrapper(union, at, arms[at]) for at in range(len(union.arms)) if self._wrapped(union, at)]
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
            read = self._read_tagged(union, arms, unknown)
        else:
            read = self._read_untagged(union, arms)
            more.insert(0, self._arm_table(union))
        doc = self.doc(union, f"{name} is one of several types.", f"Value is one of {_enumerate(pointers)}.")
        return Declaration(name, doc, body, read, self._write_union(name, arms, unknown), more)

    def _wrapped(self, union: ir.Union, at: int) -> bool:
        """Whether the arm needs a struct of its own, since its type can have no methods."""
        return f"arm:{union.name}:{at}" in self.derived

    def _arm(self, union: ir.Union, at: int) -> GoType:
        """The declared type of an arm: the definition itself, or the struct around its value."""
        if self._wrapped(union, at):
            return declared(self.derived[f"arm:{union.name}:{at}"])
        return declared(self.types.names[own_name(self.types, union.arms[at].type)])

    def _wrapper(self, union: ir.Union, at: int, arm: GoType) -> list[str]:
        inner = self.types.of(union.arms[at].type)
        doc = comment(union.arms[at].doc) or [prose(f"// {arm.text} is the alternative {quote(union.arms[at].name)}.")]
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

    def _read_tagged(self, union: ir.Union, arms: list[GoType], unknown: str | None) -> list[str]:
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

    def _arm_table(self, union: ir.Union) -> list[str]:
        rows = []
        for arm in union.arms:
            parts = [f"Kinds: {quote(' '.join(arm.kinds))}"] if arm.kinds else []
            if arm.required:
                parts.append(f"Required: []string{{{', '.join(quote(key) for key in arm.required)}}}")
            if isinstance(arm.type, ir.NamedType):
                parts.append(f"Type: {quote(arm.type.name)}")
            rows.append(f"\t{{{', '.join(parts)}}},")
        return [f"var armsOf{self.types.names[union.name]} = []rpc.Arm{{", *rows, "}"]

    def _read_untagged(self, union: ir.Union, arms: list[GoType]) -> list[str]:
        name = self.types.names[union.name]
        lines = [f"return rpc.Choose(in, schema, armsOf{name}, func(at int) error {{", "\t\tswitch at {"]
        for at, arm in enumerate(arms):
            lines.append("\t\tdefault:" if at == len(arms) - 1 else f"\t\tcase {at}:")
            lines += [f"\t\t\targ := new({arm.text})", "\t\t\tv.Value = arg", "\t\t\treturn arg.read(in)"]
        return [*lines, "\t\t}", "\t})"]

    def _write_union(self, name: str, arms: list[GoType], unknown: str | None) -> list[str]:
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


# --- records ---


class Member(msgspec.Struct, frozen=True):
    """One field of a struct and the lines that read and write it; a constant has no field."""

    row: list[str] | None
    doc: list[str]
    read: str
    write: str


class _Record:
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
        """The struct, its methods and its defaults."""
        members = [self._member(field) for field in self.record.fields]
        constants = [
            f"{quote(field.wire)} is always {compact(value.value)}."
            for field in self.record.fields
            if (value := self._constant(field)) is not None
        ]
        entries = [(member.doc, member.row) for member in members if member.row is not None]
        extra, rest, opening, closing = self._ending()
        entries += extra
        body = [f"{self.name} struct {{", *columns(entries), "}"] if entries else [f"{self.name} struct{{}}"]
        read = ["o := rpc.ReadObject(in)", *(f"\t{member.read}" for member in members), f"\t{rest}"]
        write = [opening, *(f"\t{member.write}" for member in members), f"\t{closing}"]
        doc = self.owner.doc(self.record, f"{self.name} is defined by the protocol.", " ".join(constants))
        return Declaration(self.name, doc, body, read, write, self._defaults())

    def _constant(self, field: ir.Field) -> ir.LiteralType | None:
        """The constant that a required field always is."""
        behind = self.types.resolve(field.type)
        if field.required and isinstance(behind, ir.NullType):
            return ir.LiteralType(value=None)
        return behind if field.required and isinstance(behind, ir.LiteralType) else None

    def _value(self, expression: ir.Type) -> GoType:
        """The type of a field's value: like anywhere else, but integers are clipped where Extra keeps their text."""
        behind = self.types.resolve(expression)
        if isinstance(behind, ir.IntegerType) and (self.extra is None or self.raw_extra):
            found = clipped(behind)
            self.keeps = self.keeps or "Clipped" in found.read
            return found
        return self.types.of(expression, self.boxed)

    def _member(self, field: ir.Field) -> Member:
        wire = quote(field.wire)
        constant = self._constant(field)
        if constant is not None:
            text = quote(compact(constant.value))
            return Member(None, [], f"o.Const({wire}, {text})", f"w.Const({wire}, {text})")
        name = self.fields[field.wire]
        behind = self.types.resolve(field.type)
        if isinstance(behind, ir.NullableType):
            return self._nullable(field, name, self._value(behind.of))
        found = self._value(field.type)
        if field.required:
            return self._made(
                field,
                found.text,
                f"rpc.Required(o, {wire}, &v.{name}, {found.read})",
                f"rpc.Put(w, {wire}, v.{name}, {found.write})",
            )
        if found.nilable:
            return self._made(
                field,
                found.text,
                f"rpc.Optional(o, {wire}, &v.{name}, {found.read})",
                f"rpc.PutIf(w, {wire}, v.{name} != nil, v.{name}, {found.write})",
            )
        # A pointer breaks every circle by itself.
        if found.text.startswith("*"):
            found = self.types.of(field.type)
        return self._made(
            field,
            f"*{found.text}",
            f"rpc.OptionalPtr(o, {wire}, &v.{name}, {found.read})",
            f"rpc.PutPtr(w, {wire}, v.{name}, {found.write})",
        )

    def _nullable(self, field: ir.Field, name: str, inner: GoType) -> Member:
        wire = quote(field.wire)
        if field.required:
            return self._made(
                field,
                f"rpc.Nullable[{inner.text}]",
                f"rpc.Required(o, {wire}, &v.{name}, rpc.ReadNullable({inner.read}))",
                f"rpc.Put(w, {wire}, v.{name}, rpc.WriteNullable({inner.write}))",
            )
        return self._made(
            field,
            f"rpc.Opt[{inner.text}]",
            f"rpc.OptionalNull(o, {wire}, &v.{name}, {inner.read})",
            f"rpc.PutOpt(w, {wire}, v.{name}, {inner.write})",
        )

    def _made(self, field: ir.Field, text: str, read: str, write: str) -> Member:
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

    def _ending(self) -> tuple[list[tuple[list[str], list[str]]], str, str, str]:
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

    def _defaults(self) -> list[list[str]]:
        found = []
        for field in self.record.fields:
            if field.default is ir.UNSET or field.required or self._constant(field) is not None:
                continue
            lines = self._default(field)
            if lines:
                found.append(lines)
        return found

    def _default(self, field: ir.Field) -> list[str]:
        name, method = self.fields[field.wire], self.fields[f"default:{field.wire}"]
        behind = self.types.resolve(field.type)
        nullable = isinstance(behind, ir.NullableType)
        if nullable and field.default is None:
            return []
        expression = behind.of if isinstance(behind, ir.NullableType) else field.type
        if not fits(self.types, expression, field.default):
            where = f'the default of "{field.wire}" in "{self.record.name}"'
            what = f"{where} is no value of its type, so that the Go SDK does not offer it"
            fix = "correct the default or the type"
            self.owner.problems.append(warning("PG602", what, fix=fix, place=ir.place_of(self.record)))
            return []
        inner = self._value(expression)
        plain = inner.text.removeprefix("*") if not nullable else inner.text
        value = self._default_value(expression, inner, field.default)
        head = comment(
            f"{method} is {name}, or the default of the protocol, {compact(field.default)}, where it is absent."
        )
        if nullable:
            return [
                *head,
                f"func (v {self.name}) {method}() rpc.Nullable[{plain}] {{",
                f"\treturn v.{name}.OrDefault({value})",
                "}",
            ]
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

    def _default_value(self, expression: ir.Type, inner: GoType, default: ir.Json) -> str:
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
