"""Types of the SDK: each definition of the protocol as the TypeScript declarations that describe its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from protogen import ir
from protogen.targets.typescript.layout import (
    SAFE_INTEGER,
    WIDTH,
    ListOf,
    MapOf,
    TupleOf,
    TypeLayout,
    Union,
    columns,
    doc,
    enclosed,
    flat_type,
    key,
    literal,
    scalar,
    string,
    type_after,
)
from protogen.targets.typescript.names import Names

_NUMBER = re.compile(r"-?[0-9.]+(?:e-?[0-9]+)?\Z")
OBJECT_MEMBERS = frozenset(
    (
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    )
)
"""What an object literal has without saying so: the compiler takes it for the optional member of that name."""

NUMBER = Union(("number", "bigint"))


class Types:
    """The declarations of types.ts; remembers whether the library's tag for unknown arms is used."""

    def __init__(self, protocol: ir.Protocol, names: Names) -> None:
        self._names = names
        self._definitions = ir.definition_table(protocol)
        self.uses_unknown_tag = False

    def type(self, type_: ir.Type, *, scope: str = "") -> TypeLayout:
        """A type expression; `scope` is what stands before the names of definitions."""
        match type_:
            case ir.AnyType():
                return "unknown"
            case ir.NullType():
                return "null"
            case ir.BooleanType():
                return "boolean"
            case ir.StringType():
                return "string"
            case ir.IntegerType(minimum=low, maximum=high) | ir.NumberType(minimum=low, maximum=high):
                return "number" if _is_safe(low, high) else NUMBER
            case ir.LiteralType(value=value):
                return _literal_type(value)
            case ir.ListType(item=item):
                return ListOf(self.type(item, scope=scope))
            case ir.TupleType(items=items):
                return TupleOf(tuple(self.type(item, scope=scope) for item in items))
            case ir.MapType(value=value):
                return MapOf(self.type(value, scope=scope))
            case ir.NullableType(of=of):
                return _union([self.type(of, scope=scope), "null"])
            case ir.NamedType(name=name):
                return f"{scope}{self._names.types[name]}"

    def inline(self, type_: ir.Type | None) -> str:
        """A type outside types.ts, on one line."""
        return "undefined" if type_ is None else flat_type(self.type(type_, scope="types."))

    def refers(self, type_: ir.Type | None) -> bool:
        """Whether a type names a definition, so that types.ts must be imported."""
        return type_ is not None and "types." in self.inline(type_)

    def definition(self, entry: ir.AnyDefinition) -> list[str]:
        """The declarations for one definition."""
        match entry:
            case ir.Record():
                return self._record(entry)
            case ir.Enum():
                return self._enum(entry)
            case ir.Union():
                return self._union(entry)
            case ir.Alias(type=type_):
                return [f"{self._doc(entry)}{self._alias(entry.name, self.type(type_))}"]

    def _alias(self, name: str, layout: TypeLayout) -> str:
        return type_after(f"export type {self._names.types[name]} =", layout, indent=0)

    def _doc(self, entry: ir.Definition) -> str:
        own = self._names.types[entry.name]
        renamed = f"`{entry.name}` in the protocol." if own != entry.name else ""
        return doc([entry.doc, renamed], tags=["@deprecated"] if entry.deprecated else [])

    def _record(self, entry: ir.Record) -> list[str]:
        own = self._names.types[entry.name]
        lines = [self._field(field) for field in entry.fields]
        if entry.extra is not None and not isinstance(entry.extra, ir.AnyType):
            lines.append(self._index(entry, entry.extra))
        body = "{\n" + "".join(f"{line}\n" for line in lines) + "}" if lines else "{}"
        declarations = [f"{self._doc(entry)}export interface {own} {body}"]
        defaults = {field.wire: field.default for field in entry.fields if field.default is not ir.UNSET}
        if defaults:
            declarations.append(self._defaults(entry, defaults))
        return declarations

    def _field(self, field: ir.Field) -> str:
        layout = self.type(field.type)
        optional = "" if field.required else "?"
        notes = []
        if optional and field.wire in OBJECT_MEMBERS:
            layout = _union([layout, f'globalThis.Object["{field.wire}"]'])
            notes.append("Where absent, this reads as the member of that name that every object has.")
        if field.read_only:
            notes.append("Read-only.")
        if field.write_only:
            notes.append("Write-only.")
        if field.default is not ir.UNSET:
            notes.append(f"Default: `{json.dumps(field.default, ensure_ascii=False)}`.")
        comment = doc([field.doc, " ".join(notes)], tags=["@deprecated"] if field.deprecated else [], indent=2)
        return f"{comment}  {type_after(f'{key(field.wire)}{optional}:', layout, indent=2)}"

    def _index(self, entry: ir.Record, extra: ir.Type) -> str:
        """The signature for further members; TypeScript asks it to admit the declared ones too."""
        layouts = [self.type(extra), *(self.type(field.type) for field in entry.fields)]
        absent = [field.wire for field in entry.fields if not field.required]
        layouts += [f'globalThis.Object["{wire}"]' for wire in absent if wire in OBJECT_MEMBERS]
        if absent:
            layouts.append("undefined")
        what = "Further members." if len(layouts) == 1 else f"Further members: `{flat_type(layouts[0])}`."
        return f"{doc([what], indent=2)}  {type_after('[key: string]:', _union(layouts), indent=2)}"

    def _defaults(self, entry: ir.Record, defaults: dict[str, Any]) -> str:
        comment = doc([f"Values that hold where a member of `{self._names.types[entry.name]}` is absent."])
        rows: list[str] = []
        for wire, value in defaults.items():
            name = '["__proto__"]' if wire == "__proto__" else key(wire)
            rows.append(_row(name, value))
        return f"{comment}export const {self._names.defaults[entry.name]} = {{\n{''.join(rows)}}} as const;"

    def _enum(self, entry: ir.Enum) -> list[str]:
        own, values = self._names.types[entry.name], self._names.values[entry.name]
        members: list[TypeLayout] = [_literal_type(value.value) for value in entry.values]
        if entry.open:
            members.extend(_open_members(entry))
        declarations = [f"{self._doc(entry)}{self._alias(entry.name, _union(members))}"]
        known = "Values of" if not entry.open else "Known values of"
        rows = [f"{doc([value.doc], indent=2)}  {scalar(value.value)},\n" for value in entry.values]
        texts = [scalar(value.value) for value in entry.values]
        head = f"export const {values} = ["
        if any(value.doc for value in entry.values):
            listed = f"{head}\n{''.join(rows)}] as const;"
        elif all(_is_plain_number(text) for text in texts):
            raw = [value.value for value in entry.values]
            listed = f"{head[:-1]}{literal(raw, before=len(head) - 1, after=len(' as const;'))} as const;"
        else:
            listed = enclosed(head, texts, "] as const;")
        declarations.append(f"{doc([f'{known} `{own}`.'])}{listed}")
        named = [value for value in entry.values if value.name is not None]
        if named:
            declarations.append(self._named_values(own, named))
        return declarations

    def _named_values(self, own: str, values: list[ir.EnumValue]) -> str:
        rows = {
            key(value.name or ""): f"{doc([value.doc], indent=2)}  {key(value.name or '')}: {scalar(value.value)},\n"
            for value in values
            if value.name != "__proto__"
        }
        return f"{doc([f'Values of `{own}` by name.'])}export const {own} = {{\n{''.join(rows.values())}}} as const;"

    def _union(self, entry: ir.Union) -> list[str]:
        members = [self.type(arm.type) for arm in entry.arms]
        declarations: list[str] = []
        if entry.open and entry.tag is not None:
            self.uses_unknown_tag = True
            unknown = self._names.unknown_arms[entry.name]
            own = self._names.types[entry.name]
            members.append(unknown)
            comment = doc([f"A `{own}` that this SDK does not know, as it came."])
            tag = key(entry.tag)
            body = f"{{\n  {tag}: UnknownTag;\n  [key: string]: unknown;\n}}"
            declarations.append(f"{comment}export interface {unknown} {body}")
        return [f"{self._doc(entry)}{self._alias(entry.name, _union(members))}", *declarations]

    def record(self, type_: ir.Type | None) -> ir.Record | None:
        """The record behind a named type, through aliases."""
        while isinstance(type_, ir.NamedType):
            entry = self._definitions[type_.name]
            if isinstance(entry, ir.Record):
                return entry
            type_ = entry.type if isinstance(entry, ir.Alias) else None
        return None


def _is_safe(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low >= -SAFE_INTEGER and high <= SAFE_INTEGER


def _literal_type(value: str | float | bool | None) -> TypeLayout:
    """The type of one value; what has no exact literal is any number."""
    if isinstance(value, float) and abs(value) > SAFE_INTEGER:
        return NUMBER
    return scalar(value)


def _open_members(entry: ir.Enum) -> list[TypeLayout]:
    """Arms for values that are not listed; `string & {}` keeps the completion of the listed ones."""
    kinds = {type(value.value) for value in entry.values}
    members: list[TypeLayout] = []
    if str in kinds:
        members.append("(string & {})")
    if kinds & {int, float}:
        members.extend(NUMBER.members)
    return members


def _union(members: Iterable[TypeLayout]) -> TypeLayout:
    """Alternatives without nesting and repetition; `unknown` takes in all others."""
    flat: dict[str, TypeLayout] = {}
    for member in members:
        for each in member.members if isinstance(member, Union) else (member,):
            flat.setdefault(flat_type(each), each)
    if "unknown" in flat:
        return "unknown"
    only = tuple(flat.values())
    if not only:
        return "never"
    return only[0] if len(only) == 1 else Union(only)


def _is_plain_number(text: str) -> bool:
    return _NUMBER.match(text) is not None


def _row(name: str, value: Any) -> str:
    """A member of an object of data; a long string goes below its name."""
    if isinstance(value, str):
        text = string(value)
        return f"  {name}: {text},\n" if columns(name) + columns(text) + 5 <= WIDTH else f"  {name}:\n    {text},\n"
    return f"  {name}: {literal(value, indent=2, before=columns(name) + 4)},\n"
