"""IR types as Python annotations that msgspec decodes, and where msgspec alone is a full check.

Knows which combinations msgspec can decode by itself; everything else becomes a boxed union, chosen by content.
"""

from __future__ import annotations

import math
import sys
from typing import Final, Literal

import msgspec

from protogen import ir
from protogen.targets.python.layout import Call, Either, Expr, either, flat, literal, text_literal
from protogen.targets.python.names import Names
from protogen.targets.python.patterns import UnsupportedPattern, translate

_INT64: Final = range(-(2**63), 2**63)
MAX_COUNT: Final = 2**63 - 1
"""The longest that msgspec can be told of."""
"""The bounds and literals that msgspec can hold for integers."""

_MARK: Final = "\ufdd0"
"""Begins the names that `rpc/boundary.py` gives what is no member of the protocol."""

Shape = Literal["null", "boolean", "integer", "float", "string", "array", "object", "box", "any"]
"""What msgspec tells alternatives apart by."""


class Rendered(msgspec.Struct, frozen=True):
    """An annotation; `exact`: msgspec refuses whatever the type excludes."""

    expr: Expr
    exact: bool = True


class Typing:
    """How the definitions of one protocol appear in Python; made once per protocol, then only read."""

    def __init__(self, protocol: ir.Protocol, names: Names) -> None:
        self.definitions = ir.definition_table(protocol)
        self.names = names
        self.tags = _record_tags(protocol, self.definitions)
        self.boxed = self._find_boxes()
        self.exact = self._find_exact(bounds=True)
        self.bounded = self._find_exact(bounds=False) - self.exact
        """Definitions that are not exact for what bounds values alone."""

    # --- which definitions need a class of their own ----------------------------------------------

    def _find_boxes(self) -> frozenset[str]:
        """Unions that msgspec cannot tell apart, and one alias of every cycle of aliases."""
        boxed: set[str] = set()
        while True:
            more = {
                definition.name
                for definition in self.definitions.values()
                if isinstance(definition, ir.Union)
                and definition.name not in boxed
                and not self._is_native(definition, boxed)
            }
            if not more:
                cycle = self._alias_in_cycle(boxed)
                if cycle is None:
                    return frozenset(boxed)
                more = {cycle}
            boxed |= more

    def _is_native(self, union: ir.Union, boxed: set[str]) -> bool:
        if union.tag is not None:
            return all(self._tag_fits(arm, union.tag) for arm in union.arms)
        seen: set[Shape] = set()
        for arm in union.arms:
            shapes = self.shapes(arm.type, boxed, frozenset({union.name}))
            if "any" in shapes or "box" in shapes:
                return False
            if {"array", "object"} & shapes & seen:
                return False
            seen |= shapes
        return True

    def _tag_fits(self, arm: ir.Arm, tag: str) -> bool:
        return (
            isinstance(arm.type, ir.NamedType)
            and len(arm.tags) == 1
            and self.tags.get(arm.type.name) == (tag, arm.tags[0])
        )

    def shapes(self, type_: ir.Type, boxed: set[str] | frozenset[str], trail: frozenset[str]) -> set[Shape]:
        """What msgspec sees in a type; `trail` are the aliases being looked through."""
        match type_:
            case ir.AnyType():
                return {"any"}
            case ir.NullType():
                return {"null"}
            case ir.BooleanType():
                return {"boolean"}
            case ir.StringType():
                return {"string"}
            case ir.IntegerType():
                return {"integer"}
            case ir.NumberType():
                return {"integer", "float"}
            case ir.LiteralType():
                return set(_value_shapes(type_.value))
            case ir.ListType() | ir.TupleType():
                return {"array"}
            case ir.MapType():
                return {"object"}
            case ir.NullableType():
                inner = self.shapes(type_.of, boxed, trail)
                inner.add("null")
                return inner
            case ir.NamedType():
                return self._named_shapes(type_.name, boxed, trail)

    def _named_shapes(self, name: str, boxed: set[str] | frozenset[str], trail: frozenset[str]) -> set[Shape]:
        if name in boxed or name in trail:
            return {"box"}
        match self.definitions[name]:
            case ir.Record():
                return {"object"}
            case ir.Enum() as enum:
                listed: set[Shape] = set()
                for value in enum.values:
                    listed.update(_value_shapes(value.value))
                return listed
            case ir.Alias() as alias:
                return self.shapes(alias.type, boxed, trail | {name})
            case ir.Union() as union:
                parts = [self.shapes(arm.type, boxed, trail | {name}) for arm in union.arms]
                return {shape for part in parts for shape in part}

    def _alias_in_cycle(self, boxed: set[str]) -> str | None:
        """The first alias or native union of the source that leads back to itself without a class between."""
        done: set[str] = set()
        path: list[str] = []

        def visit(name: str) -> str | None:
            if name in done or name in boxed:
                return None
            if name in path:
                return min(path[path.index(name) :], key=order.__getitem__)
            path.append(name)
            for other in self._needs(self.definitions[name]):
                found = visit(other)
                if found is not None:
                    return found
            path.pop()
            done.add(name)
            return None

        order = {name: index for index, name in enumerate(self.definitions)}
        for name in self.definitions:
            found = visit(name)
            if found is not None:
                return found
        return None

    def _needs(self, definition: ir.AnyDefinition) -> list[str]:
        """The names that must exist before an alias can be written; classes stand before all aliases."""
        match definition:
            case ir.Alias():
                return names_in(definition.type)
            case ir.Union():
                return [name for arm in definition.arms for name in names_in(arm.type)]
            case _:
                return []

    def alias_order(self) -> list[str]:
        """Aliases, enums and native unions in an order in which each is defined before it is used."""
        ordered: dict[str, None] = {}

        def visit(name: str) -> None:
            definition = self.definitions[name]
            if isinstance(definition, ir.Record) or name in self.boxed or name in ordered:
                return
            for other in self._needs(definition):
                visit(other)
            ordered[name] = None

        for name in self.definitions:
            visit(name)
        return list(ordered)

    # --- exactness --------------------------------------------------------------------------------

    def _find_exact(self, *, bounds: bool) -> frozenset[str]:
        """Definitions for which msgspec alone accepts nothing that the schema refuses, by constraints with `bounds`."""
        uses: dict[str, set[str]] = {}
        exact: set[str] = set()
        for definition in self.definitions.values():
            own, used = self._own_exactness(definition, bounds=bounds)
            uses[definition.name] = used
            if own and (definition.exact if bounds else definition.shaped):
                exact.add(definition.name)
        changed = True
        while changed:
            lost = {name for name in exact if not uses[name] <= exact}
            exact -= lost
            changed = bool(lost)
        # msgspec takes a record whose tag is missing unless it chooses among several.
        return frozenset(exact - self.tags.keys())

    def _own_exactness(self, definition: ir.AnyDefinition, *, bounds: bool) -> tuple[bool, set[str]]:
        def exact(type_: ir.Type) -> bool:
            return self.render(type_ if bounds else _unbounded(type_)).exact

        match definition:
            case ir.Record():
                types = [f.type for f in definition.fields]
                plain = all(map(exact, types)) and all(fits_msgspec(f.wire) for f in definition.fields)
                direct = {name for type_ in types for name in names_in(type_)}
                return plain and not (direct & self.tags.keys()), direct
            case ir.Enum():
                return self.enum_type(definition).exact, set()
            case ir.Alias():
                direct = set(names_in(definition.type))
                return exact(definition.type) and not (direct & self.tags.keys()), direct
            case ir.Union():
                direct = {name for arm in definition.arms for name in names_in(arm.type)}
                if definition.tag is not None and definition.name not in self.boxed:
                    return True, direct
                tagged = bool(direct & self.tags.keys())
                merged = definition.name not in self.boxed and self._merges(definition)
                return all(exact(arm.type) for arm in definition.arms) and not tagged and not merged, direct

    # --- annotations ------------------------------------------------------------------------------

    def render(self, type_: ir.Type) -> Rendered:
        """The annotation of a type expression."""
        match type_:
            case ir.AnyType():
                return Rendered("Json")
            case ir.NullType():
                return Rendered("None")
            case ir.BooleanType():
                return Rendered("bool")
            case ir.StringType():
                return _string(type_)
            case ir.IntegerType():
                return _integer(type_)
            case ir.NumberType():
                return _number(type_)
            case ir.LiteralType():
                return _literal(type_.value)
            case ir.ListType():
                item = self.render(type_.item)
                expr: Expr = Call("list", (item.expr,), "[]")
                counts, says_all = _counts(type_.min_items, type_.max_items)
                return Rendered(_annotated(expr, **counts), item.exact and says_all)
            case ir.TupleType():
                items = [self.render(item) for item in type_.items]
                args = tuple(item.expr for item in items) or ("()",)
                return Rendered(Call("tuple", args, "[]"), all(item.exact for item in items))
            case ir.MapType():
                value = self.render(type_.value)
                return Rendered(Call("dict", ("str", value.expr), "[]"), value.exact)
            case ir.NullableType():
                inner = self.render(type_.of)
                return Rendered(either((inner.expr, "None")), inner.exact)
            case ir.NamedType():
                return Rendered(self.names.types[type_.name])

    def field_type(self, record: ir.Record, field: ir.Field) -> Rendered:
        """The annotation of a field, without what says that it may be absent."""
        return self.render(field.type)

    def enum_type(self, enum: ir.Enum) -> Rendered:
        """The values of an enum; an open one also has the plain types of its values."""
        listed = [_literal(value.value) for value in enum.values]
        plain = {_plain_type(value.value) for value in enum.values if value.value is not None}
        literals = tuple(literal(value.value) for value in enum.values if _fits_literal(value.value))
        parts: list[Expr] = [Call("Literal", literals, "[]")] if literals else []
        parts.extend(rendered.expr for rendered in listed if not _is_literal(rendered.expr))
        if enum.open:
            parts.extend(sorted(plain))
        return Rendered(either(parts or ["Json"]), all(rendered.exact for rendered in listed))

    def union_type(self, union: ir.Union) -> Expr:
        """A union as alternatives; those that msgspec cannot hold side by side are widened to their plain type."""
        arms = [self.render(arm.type).expr for arm in union.arms]
        if union.name in self.boxed or not self._merges(union):
            unknown = self.names.unknown.get(union.name)
            return either([*arms, unknown] if unknown is not None and union.name not in self.boxed else arms)
        shapes = [self.shapes(arm.type, self.boxed, frozenset({union.name})) for arm in union.arms]
        parts = [
            expr
            for expr, shape in zip(arms, shapes, strict=True)
            if not shape <= {"null", "boolean", "integer", "float", "string"}
        ]
        every = {shape for part in shapes for shape in part}
        plain: tuple[tuple[Shape, str], ...] = (
            ("string", "str"),
            ("integer", "int"),
            ("float", "float"),
            ("boolean", "bool"),
            ("null", "None"),
        )
        return either([*parts, *(name for shape, name in plain if shape in every)])

    def _merges(self, union: ir.Union) -> bool:
        """Whether scalar alternatives have to be widened to their plain types.

        So it is where two of one kind stand side by side, and where a bounded one stands beside an array or a map:
        msgspec 0.22 corrupts memory on decoding some of those, such as `Annotated[str, Meta(pattern="a")] | list[int]`.
        """
        if any(map(self._is_container, union.arms)) and any(map(self._is_bounded, union.arms)):
            return True
        seen: set[Shape] = set()
        for arm in union.arms:
            shapes = self.shapes(arm.type, self.boxed, frozenset({union.name})) - {
                "object",
                "array",
                "null",
                "box",
                "any",
            }
            if shapes & seen:
                return True
            seen |= shapes
        return False

    def _is_container(self, arm: ir.Arm) -> bool:
        return any(isinstance(part, ir.ListType | ir.TupleType | ir.MapType) for part in self._parts(arm.type))

    def _is_bounded(self, arm: ir.Arm) -> bool:
        scalars = [
            part for part in self._parts(arm.type) if isinstance(part, ir.StringType | ir.IntegerType | ir.NumberType)
        ]
        return any("Meta(" in flat(self.render(scalar).expr) for scalar in scalars)

    def _parts(self, type_: ir.Type, trail: frozenset[str] = frozenset()) -> list[ir.Type]:
        """The members of the union that msgspec sees, aliases looked through."""
        match type_:
            case ir.NullableType():
                return self._parts(type_.of, trail)
            case ir.NamedType() if type_.name not in self.boxed and type_.name not in trail:
                match self.definitions[type_.name]:
                    case ir.Alias() as alias:
                        return self._parts(alias.type, trail | {type_.name})
                    case ir.Union() as union:
                        inner = trail | {type_.name}
                        return [part for arm in union.arms for part in self._parts(arm.type, inner)]
                    case _:
                        return [type_]
            case _:
                return [type_]


def names_in(type_: ir.Type) -> list[str]:
    """The definitions that a type expression names."""
    match type_:
        case ir.NamedType():
            return [type_.name]
        case ir.ListType():
            return names_in(type_.item)
        case ir.MapType():
            return names_in(type_.value)
        case ir.NullableType():
            return names_in(type_.of)
        case ir.TupleType():
            return [name for item in type_.items for name in names_in(item)]
        case _:
            return []


def _unbounded(type_: ir.Type) -> ir.Type:
    """A type expression without constraints."""
    match type_:
        case ir.StringType():
            return ir.StringType()
        case ir.IntegerType():
            return ir.IntegerType()
        case ir.NumberType():
            return ir.NumberType()
        case ir.ListType():
            return ir.ListType(item=_unbounded(type_.item))
        case ir.TupleType():
            return ir.TupleType(items=tuple(map(_unbounded, type_.items)))
        case ir.MapType():
            return ir.MapType(value=_unbounded(type_.value))
        case ir.NullableType():
            return ir.NullableType(of=_unbounded(type_.of))
        case _:
            return type_


def fits_msgspec(wire: str) -> bool:
    """Whether msgspec takes a wire name for a field; it refuses what would need an escape in JSON."""
    if wire.startswith(_MARK):
        return False  # what the boundary of the SDK calls its own members
    return not any(char in '"\\' or char < " " or "\ud800" <= char <= "\udfff" for char in wire)


def _record_tags(protocol: ir.Protocol, table: dict[str, ir.AnyDefinition]) -> dict[str, tuple[str, str]]:
    """The tag that each record carries in msgspec's sense: those of the first tagged union that lists it."""
    tags: dict[str, tuple[str, str]] = {}
    for definition in protocol.definitions:
        if not isinstance(definition, ir.Union) or definition.tag is None or not fits_msgspec(definition.tag):
            continue
        if not all(_can_be_tagged(arm, definition.tag, table) for arm in definition.arms):
            continue
        for arm in definition.arms:
            if isinstance(arm.type, ir.NamedType):
                tags.setdefault(arm.type.name, (definition.tag, arm.tags[0]))
    return tags


def _can_be_tagged(arm: ir.Arm, tag: str, table: dict[str, ir.AnyDefinition]) -> bool:
    if not isinstance(arm.type, ir.NamedType) or len(arm.tags) != 1:
        return False
    record = table[arm.type.name]
    return isinstance(record, ir.Record) and any(field.wire == tag and field.required for field in record.fields)


def _value_shapes(value: object) -> tuple[Shape, ...]:
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int):
        return ("integer",)
    if isinstance(value, float):
        return ("integer", "float")
    return ("string",)


def _fits_literal(value: object) -> bool:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    return isinstance(value, int) and value in _INT64


def _plain_type(value: object) -> str:
    if value is None:
        return "None"
    return type(value).__name__


def _literal(value: object) -> Rendered:
    if value is None:
        return Rendered("None")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if _fits_literal(value):
        return Rendered(Call("Literal", (literal(value),), "[]"))
    return Rendered(either(("int", "float")) if isinstance(value, float) else "int", exact=False)


def _is_literal(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.head == "Literal"


def _annotated(expr: Expr, **constraints: str | int | float | None) -> Expr:
    stated = tuple(f"{name}={value}" for name, value in constraints.items() if value is not None)
    return Call("Annotated", (expr, Call("Meta", stated)), "[]") if stated else expr


def _string(type_: ir.StringType) -> Rendered:
    pattern: str | None = None
    exact = True
    if type_.pattern is not None:
        try:
            pattern = text_literal(translate(type_.pattern))
        except UnsupportedPattern:
            exact = False
    counts, says_all = _counts(type_.min_length, type_.max_length)
    return Rendered(_annotated("str", **counts, pattern=pattern), exact and says_all)


def _counts(least: int | None, most: int | None) -> tuple[dict[str, int | None], bool]:
    """Bounds of a length that msgspec can hold, and whether they say all: nothing is longer than it counts."""
    says_all = least is None or least <= MAX_COUNT
    shown = {
        "min_length": least if says_all else None,
        "max_length": None if most is None or most > MAX_COUNT else most,
    }
    return shown, says_all


def _bound(value: int | float | None, *, upper: bool) -> tuple[int | None, bool]:
    """An integer bound that msgspec can hold, and whether it says all."""
    if value is None:
        return None, True
    whole = math.floor(value) if upper else math.ceil(value)
    return (whole, True) if whole in _INT64 else (None, False)


def _integer(type_: ir.IntegerType) -> Rendered:
    low, low_exact = _bound(type_.minimum, upper=False)
    high, high_exact = _bound(type_.maximum, upper=True)
    return Rendered(_annotated("int", ge=low, le=high), low_exact and high_exact)


def _number(type_: ir.NumberType) -> Rendered:
    low, low_exact = _bound(type_.minimum, upper=False)
    high, high_exact = _bound(type_.maximum, upper=True)
    least, most = _double(type_.minimum), _double(type_.maximum)
    whole = _annotated("int", ge=low, le=high)
    fraction = _annotated("float", ge=least, le=most)
    exact = low_exact and high_exact and (least, most) == (type_.minimum, type_.maximum)
    return Rendered(Either((whole, fraction)), exact)


def _double(value: int | float | None) -> int | float | None:
    """A bound that a double can be compared with; None where it is larger than any."""
    return None if value is None or abs(value) > sys.float_info.max else value
