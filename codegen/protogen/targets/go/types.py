"""Go types for IR type expressions: how each is written, read from JSON and written to JSON.

Knows which definitions are Go types of their own, which are other names for something, and where a struct would
contain itself and needs a pointer. Lays nothing out.
"""

from __future__ import annotations

import msgspec

from protogen import ir
from protogen.targets.go import names
from protogen.targets.go.text import quote

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UINT64_MAX = 2**64 - 1
EXACT_FLOAT = 2**53


class GoType(msgspec.Struct, frozen=True):
    """A Go type, the function that reads it from a `*rpc.Value` and the one that writes it."""

    text: str
    read: str
    write: str
    nilable: bool = False
    """nil can stand for an absent member: slices, maps, raw JSON."""


ANY = GoType("json.RawMessage", "rpc.ReadAny", "rpc.WriteAny", nilable=True)
NULL = GoType("rpc.Nothing", "rpc.ReadNull", "rpc.WriteNull")
BOOLEAN = GoType("bool", "rpc.ReadBool", "rpc.WriteBool")
STRING = GoType("string", "rpc.ReadString", "rpc.WriteString")
INT64 = GoType("int64", "rpc.ReadInt64", "rpc.WriteInt64")
UINT64 = GoType("uint64", "rpc.ReadUint64", "rpc.WriteUint64")
CLIPPED_INT64 = GoType("int64", "rpc.ReadClippedInt64", "rpc.WriteClippedInt64")
CLIPPED_UINT64 = GoType("uint64", "rpc.ReadClippedUint64", "rpc.WriteClippedUint64")
INTEGER = GoType("json.Number", "rpc.ReadInteger", "rpc.WriteInteger")
FLOAT64 = GoType("float64", "rpc.ReadFloat64", "rpc.WriteFloat64")
NUMBER = GoType("json.Number", "rpc.ReadNumber", "rpc.WriteNumber")


class Types:
    """The Go types of one protocol."""

    def __init__(self, protocol: ir.Protocol) -> None:
        self.definitions = ir.definition_table(protocol)
        self.names = names.types(protocol)
        self.groups = self._groups()
        self.tuples: dict[ir.TupleType, str] = {}
        """Go names of the tuples that are no definition of their own, as the view settles them."""

    def resolve(self, expression: ir.Type) -> ir.Type:
        """The expression behind names that only stand for another one."""
        seen = 0
        while isinstance(expression, ir.NamedType) and seen <= len(self.definitions):
            definition = self.definitions[expression.name]
            if not isinstance(definition, ir.Alias):
                return expression
            expression = definition.type
            seen += 1
        return expression

    def own(self, definition: ir.AnyDefinition) -> bool:
        """Whether the definition is a Go type of its own with methods, not another name for one."""
        if not isinstance(definition, ir.Alias):
            return True
        return isinstance(definition.type, (ir.ListType, ir.MapType, ir.TupleType)) or self._endless(definition)

    def _endless(self, alias: ir.Alias) -> bool:
        """Whether a nullable alias leads back to itself, which Go allows to declared types only."""
        return isinstance(alias.type, ir.NullableType) and alias.name in self._mentioned(alias.type, set())

    def _mentioned(self, expression: ir.Type, seen: set[str]) -> set[str]:
        """The aliases that are written out inside an expression."""
        match expression:
            case ir.NamedType(name=name):
                definition = self.definitions[name]
                if isinstance(definition, ir.Alias) and name not in seen:
                    seen.add(name)
                    self._mentioned(definition.type, seen)
            case ir.ListType(item=inner) | ir.MapType(value=inner) | ir.NullableType(of=inner):
                self._mentioned(inner, seen)
            case ir.TupleType(items=items):
                for item in items:
                    self._mentioned(item, seen)
            case _:
                pass
        return seen

    def of(self, expression: ir.Type, boxed: frozenset[str] = frozenset()) -> GoType:
        """The type of a value; `boxed` are the definitions that must stand behind a pointer here."""
        match expression:
            case ir.AnyType():
                return ANY
            case ir.NullType():
                return NULL
            case ir.BooleanType():
                return BOOLEAN
            case ir.StringType():
                return STRING
            case ir.IntegerType():
                return integer(expression)
            case ir.NumberType():
                return number(expression)
            case ir.LiteralType():
                return literal(expression.value)
            case ir.ListType():
                item = self.of(expression.item)
                return GoType(
                    f"[]{item.text}", f"rpc.ReadList({item.read})", f"rpc.WriteList({item.write})", nilable=True
                )
            case ir.MapType():
                value = self.of(expression.value)
                return GoType(
                    f"map[string]{value.text}",
                    f"rpc.ReadMap({value.read})",
                    f"rpc.WriteMap({value.write})",
                    nilable=True,
                )
            case ir.NullableType():
                inner = self.of(expression.of, boxed)
                return GoType(
                    f"rpc.Nullable[{inner.text}]",
                    f"rpc.ReadNullable({inner.read})",
                    f"rpc.WriteNullable({inner.write})",
                )
            case ir.TupleType():
                return declared(self.tuples[expression])
            case ir.NamedType():
                return self._named(expression.name, boxed)

    def _named(self, name: str, boxed: frozenset[str]) -> GoType:
        definition = self.definitions[name]
        text = self.names[name]
        if not self.own(definition):
            assert isinstance(definition, ir.Alias)
            behind = self.of(definition.type, boxed)
            return behind if boxed else GoType(text, behind.read, behind.write, nilable=behind.nilable)
        if name in boxed:
            return GoType(f"*{text}", f"rpc.ReadPtr((*{text}).read)", f"rpc.WritePtr({text}.write)")
        nilable = isinstance(definition, ir.Alias) and isinstance(definition.type, (ir.ListType, ir.MapType))
        return declared(text, nilable=nilable)

    # --- structs that would contain themselves ---

    def _groups(self) -> dict[str, frozenset[str]]:
        """For each definition the others it contains by value and that contain it: a pointer must break the circle."""
        edges = {name: self._contained(definition) for name, definition in self.definitions.items()}
        reached = {name: _reach(name, edges) for name in edges if edges[name]}
        return {
            name: frozenset(other for other in found if name in reached.get(other, ()))
            for name, found in reached.items()
            if name in found
        }

    def _contained(self, definition: ir.AnyDefinition) -> set[str]:
        match definition:
            case ir.Record(fields=fields):
                found: set[str] = set()
                for field in fields:
                    if field.required or isinstance(self.resolve(field.type), ir.NullableType):
                        found |= self._by_value(field.type)
                return found
            case ir.Alias(type=expression):
                return self._by_value(expression)
            case _:
                return set()

    def _by_value(self, expression: ir.Type) -> set[str]:
        match expression:
            case ir.NamedType(name=name):
                return {name}
            case ir.NullableType(of=inner):
                return self._by_value(inner)
            case ir.TupleType(items=items):
                return {name for item in items for name in self._by_value(item)}
            case _:
                return set()


def _reach(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges[name]
    return found


def declared(text: str, *, nilable: bool = False) -> GoType:
    """A generated type with methods `read` and `write`."""
    return GoType(text, f"(*{text}).read", f"{text}.write", nilable=nilable)


def unsigned(expression: ir.IntegerType) -> bool:
    """Whether uint64 suits the integer better than int64."""
    least, most = expression.minimum, expression.maximum
    if expression.format == "uint64":
        return True
    return least is not None and least >= 0 and most is not None and most > INT64_MAX


def integer(expression: ir.IntegerType) -> GoType:
    """An integer outside a record: 64 bits where it is bounded to them, else its digits."""
    least, most = expression.minimum, expression.maximum
    if least is not None and most is not None:
        if least >= INT64_MIN and most <= INT64_MAX:
            return INT64
        if least >= 0 and most <= UINT64_MAX:
            return UINT64
    return INTEGER


def clipped(expression: ir.IntegerType) -> GoType:
    """An integer in a record that keeps the text of those that do not fit."""
    exact = integer(expression)
    if exact is not INTEGER:
        return exact
    return CLIPPED_UINT64 if unsigned(expression) else CLIPPED_INT64


def number(expression: ir.NumberType) -> GoType:
    """A number: float64 where every integer of its range fits, else its text."""
    least, most = expression.minimum, expression.maximum
    if least is not None and most is not None and least >= -EXACT_FLOAT and most <= EXACT_FLOAT:
        return FLOAT64
    return NUMBER


def literal(value: ir.Json) -> GoType:
    """A constant as the type of its value, read with a check."""
    if value is None:
        return NULL
    if isinstance(value, str):
        base, text = STRING, quote(value)
    elif isinstance(value, bool):
        base, text = BOOLEAN, "true" if value else "false"
    elif isinstance(value, int) or value.is_integer():
        whole = int(value)
        fits = INT64_MIN <= whole <= INT64_MAX
        base, text = (INT64, str(whole)) if fits else (INTEGER, quote(str(whole)))
    else:
        base, text = FLOAT64, repr(value)
    return GoType(base.text, f"rpc.ReadOnly({base.read}, {text})", base.write)
