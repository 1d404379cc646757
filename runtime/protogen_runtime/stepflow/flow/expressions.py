"""Value expressions: what the input of a step and the output of a flow are computed from.

Knows how they are written, not how they are evaluated; the engine does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from . import paths
from .faults import Fault, Pointer
from .values import Json, is_array, is_object, kind_of


class Literal(msgspec.Struct, frozen=True):
    """`{"$literal": value}`: the value as it is; nothing inside is interpreted."""

    value: Json


class If(msgspec.Struct, frozen=True):
    """`{"$if": condition, "then": …, "else": …}`; without an else, null."""

    condition: Expression
    then: Expression
    otherwise: Expression | None


class Coalesce(msgspec.Struct, frozen=True):
    """`{"$coalesce": […]}`: the first value that is not null."""

    values: tuple[Expression, ...]


class StepRef(msgspec.Struct, frozen=True):
    """`{"$step": id, "path": …}`: the result of a step, or a part of it."""

    step: str
    path: paths.Path


class InputRef(msgspec.Struct, frozen=True):
    """`{"$input": path}`: the input of the item, or a part of it."""

    path: paths.Path


class VariableRef(msgspec.Struct, frozen=True):
    """`{"$variable": path, "default": …}`; the first part of the path is the name."""

    path: paths.Path
    default: Expression | None


class Array(msgspec.Struct, frozen=True):
    """An array of expressions."""

    items: tuple[Expression, ...]


class Object(msgspec.Struct, frozen=True):
    """An object whose values are expressions, in the order of its text."""

    fields: tuple[tuple[str, Expression], ...]


class Scalar(msgspec.Struct, frozen=True):
    """null, a boolean, a number or a string: itself."""

    value: bool | int | float | str | None


Expression: TypeAlias = Literal | If | Coalesce | StepRef | InputRef | VariableRef | Array | Object | Scalar

NULL: Final = Scalar(None)

MAX_DEPTH: Final = 128
"""Levels of nesting: what the parsers of the original take, and far less than what exhausts a stack."""


def read(value: Json, at: Pointer, faults: list[Fault]) -> Expression:
    """The expression that a JSON value writes (spec section 9, ValueExpr); what is wrong is added to the faults.

    The first of `$literal`, `$if`, `$coalesce`, `$step`, `$input` and `$variable` that an object has decides; its
    other members are then ignored. A part that is wrong is read as null.
    """
    if is_object(value):
        for key, reader in _FORMS.items():
            if key in value:
                return reader(value, at, faults)
        return Object(tuple((name, read(member, (*at, name), faults)) for name, member in value.items()))
    if is_array(value):
        return Array(tuple(read(item, (*at, index), faults) for index, item in enumerate(value)))
    return NULL if value is None else Scalar(value)


def _literal(value: dict[str, Json], _at: Pointer, _faults: list[Fault]) -> Expression:
    return Literal(value["$literal"])


def _if(value: dict[str, Json], at: Pointer, faults: list[Fault]) -> Expression:
    condition = read(value["$if"], (*at, "$if"), faults)
    if "then" not in value:
        faults.append(Fault(at, 'a "$if" needs a "then"', "add the value for a condition that holds"))
    then = read(value.get("then"), (*at, "then"), faults)
    return If(condition, then, read(value["else"], (*at, "else"), faults) if "else" in value else None)


def _coalesce(value: dict[str, Json], at: Pointer, faults: list[Fault]) -> Expression:
    values = value["$coalesce"]
    if not is_array(values):
        faults.append(Fault((*at, "$coalesce"), f"expected an array, got {kind_of(values)}", "list the values to try"))
        return NULL
    return Coalesce(tuple(read(item, (*at, "$coalesce", index), faults) for index, item in enumerate(values)))


def _step(value: dict[str, Json], at: Pointer, faults: list[Fault]) -> Expression:
    step = value["$step"]
    if not isinstance(step, str):
        faults.append(Fault((*at, "$step"), f"expected the id of a step, got {kind_of(step)}", "name a step"))
        return NULL
    return StepRef(step, _path(value.get("path"), (*at, "path"), faults))


def _input(value: dict[str, Json], at: Pointer, faults: list[Fault]) -> Expression:
    return InputRef(_path(value["$input"], (*at, "$input"), faults))


def _variable(value: dict[str, Json], at: Pointer, faults: list[Fault]) -> Expression:
    path = _path(value["$variable"], (*at, "$variable"), faults)
    return VariableRef(path, read(value["default"], (*at, "default"), faults) if "default" in value else None)


def _path(text: Json, at: Pointer, faults: list[Fault]) -> paths.Path:
    if text is not None and not isinstance(text, str):
        faults.append(Fault(at, f"expected a path, got {kind_of(text)}", 'write it as text, such as "$.name"'))
        return paths.WHOLE
    try:
        return paths.parse(text)
    except paths.BadPath as reason:
        faults.append(Fault(at, str(reason), 'write it as "$.name[0]", with other keys as ["key"]'))
        return paths.WHOLE


_FORMS: Final[dict[str, Callable[[dict[str, Json], Pointer, list[Fault]], Expression]]] = {
    "$literal": _literal,
    "$if": _if,
    "$coalesce": _coalesce,
    "$step": _step,
    "$input": _input,
    "$variable": _variable,
}
"""In the order in which they are looked for."""


def write(expression: Expression) -> Json:
    """An expression in its stored form: `path` only where there is one, every path as `$…`."""
    match expression:
        case Scalar(value):
            return value
        case Object(fields):
            return {name: write(member) for name, member in fields}
        case Array(items):
            return [write(item) for item in items]
        case StepRef(step, path):
            return {"$step": step, "path": paths.show(path)} if path else {"$step": step}
        case InputRef(path):
            return {"$input": paths.show(path)}
        case VariableRef(path, default):
            written: dict[str, Json] = {"$variable": paths.show(path)}
            return written if default is None else written | {"default": write(default)}
        case Literal(value):
            return {"$literal": value}
        case If(condition, then, otherwise):
            written = {"$if": write(condition), "then": write(then)}
            return written if otherwise is None else written | {"else": write(otherwise)}
        case Coalesce(values):
            return {"$coalesce": [write(value) for value in values]}


def parts(expression: Expression) -> Iterator[tuple[Pointer, Expression]]:
    """The expressions right inside one, each with the way to it in the document."""
    match expression:
        case Object(fields):
            yield from (((name,), member) for name, member in fields)
        case Array(items):
            yield from (((index,), item) for index, item in enumerate(items))
        case If(condition, then, otherwise):
            yield ("$if",), condition
            yield ("then",), then
            if otherwise is not None:
                yield ("else",), otherwise
        case Coalesce(values):
            yield from ((("$coalesce", index), value) for index, value in enumerate(values))
        case VariableRef(_, default):
            if default is not None:
                yield ("default",), default
        case Literal() | StepRef() | InputRef() | Scalar():
            return
