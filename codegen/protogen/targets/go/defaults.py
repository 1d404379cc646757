"""Whether a default can be offered: whether it can be read into the Go type of its field.

Knows types, not schemas: a default may still break a constraint that types do not carry.
"""

from __future__ import annotations

import sys

from protogen import ir
from protogen.targets.go.enums import TEXT, distinct, enum_base, fits_int64, json_text
from protogen.targets.go.types import INTEGER, Types, clipped


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
            return fits_int64(value) and (clipped(bounds) is INTEGER or _in_range(bounds, value))
        case ir.NumberType():
            return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)
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


def _is_finite(value: int | float) -> bool:
    """Whether a float64 holds the number, more or less."""
    return abs(value) <= sys.float_info.max


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
