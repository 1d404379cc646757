"""JSON values: their type, what kind one is, and how a message speaks of one."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, and lists and dicts of them; never changed once it is in a flow."""


def is_object(value: Json) -> TypeGuard[dict[str, Json]]:
    """Whether a value is an object."""
    return isinstance(value, dict)


def is_array(value: Json) -> TypeGuard[list[Json]]:
    """Whether a value is an array."""
    return isinstance(value, list)


def kind_of(value: Json) -> str:
    """A JSON value in a message: its type, and its text where that is short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the string {value!r}" if len(value) <= 40 else "a long string"
        case list():
            return "an array"
        case _:
            return "an object"
