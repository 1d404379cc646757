"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, UnsetType

from .rpc.boundary import Arm, Boxed, OpenRecord


class Tree(OpenRecord, kw_only=True):
    """The object `Tree`."""

    value: int
    children: list[Tree] | UnsetType = UNSET


class Json_(Boxed):
    """The value `Json`, told apart by its content."""

    __slots__ = ()

    value: bool | int | float | str | list[Json_] | dict[str, Json_] | None

    def __init__(self, value: bool | int | float | str | list[Json_] | dict[str, Json_] | None) -> None:
        super().__init__(value)


class Left(OpenRecord, kw_only=True):
    """The object `Left`."""

    right: Right | UnsetType = UNSET


class Right(OpenRecord, kw_only=True):
    """The object `Right`."""

    left: Left | UnsetType | None = UNSET


Json_.ARMS = (
    Arm(type=None, kinds=("null",), schema='#{"type":"null"}'),
    Arm(type=bool, kinds=("boolean",), schema='#{"type":"boolean"}'),
    Arm(type=int | float, kinds=("integer", "number"), schema='#{"type":"number"}'),
    Arm(type=str, kinds=("string",), schema='#{"type":"string"}'),
    Arm(type=list[Json_], kinds=("array",), schema='#{"type":"array","items":{"$ref":"#/definitions/Json"}}'),
    Arm(
        type=dict[str, Json_],
        kinds=("object",),
        schema='#{"type":"object","additionalProperties":{"$ref":"#/definitions/Json"}}',
    ),
)

TYPES: Final[dict[str, Any]] = {
    "Tree": Tree,
    "Json": Json_,
    "Left": Left,
    "Right": Right,
    '#{"type":"null"}': None,
    '#{"type":"boolean"}': bool,
    '#{"type":"number"}': int | float,
    '#{"type":"string"}': str,
    '#{"type":"array","items":{"$ref":"#/definitions/Json"}}': list[Json_],
    '#{"type":"object","additionalProperties":{"$ref":"#/definitions/Json"}}': dict[str, Json_],
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Tree", "Json", "Left", "Right"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
