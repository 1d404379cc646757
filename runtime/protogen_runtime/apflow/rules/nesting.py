"""Nesting: how deep the JSON of a task may be. What is deeper could be read once, and then neither written nor shown.

Knows no limit of a stack: its own is far below any.

Clauses: AF-VAL-001, AF-VAL-008.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from apflow_protocol import Json, TaskInput, TasksCreateParams, TaskUpdates
from msgspec import Struct, inspect

from .faults import FieldFault, Path, refusal

MAX_DEPTH: Final = 200
"""Levels of arrays and objects within a member of a task: what is nested deeper, many readers of JSON refuse."""


def is_too_deep(value: Json) -> bool:
    """Whether a value has more than MAX_DEPTH levels; level by level, since to recurse is what it protects from."""
    level: list[Any] = [value] if isinstance(value, _WHOLES) else []
    for _ in range(MAX_DEPTH + 1):
        level = [part for whole in level for part in _parts(whole) if isinstance(part, _WHOLES)]
        if not level:
            return False
    return True


def check_nesting(given: TasksCreateParams | TaskInput | TaskUpdates, *, at: Path = ()) -> None:
    """Refuse what was given of a task where a member is too deep; `at` leads to it, and is empty for direct params.

    Errors: InvalidParams, InvalidTaskSchema (A9).
    """
    for name in _names(given):
        value = getattr(given, name)
        if isinstance(value, _WHOLES) and is_too_deep(value):
            fault = FieldFault(
                field=name, reason="Nested too deeply", expected=f"at most {MAX_DEPTH} levels", path=(*at, name)
            )
            raise refusal("InvalidTaskSchema" if at else "InvalidParams", [fault])


_WHOLES: Final = (dict, list, Struct)


_WHOLE_FIELDS: Final[dict[type, tuple[str, ...]]] = {}
"""The fields of each class that can hold something with parts."""


def _names(whole: Struct) -> tuple[str, ...]:
    kind = type(whole)
    names = _WHOLE_FIELDS.get(kind)
    if names is None:
        described = inspect.type_info(kind)
        assert isinstance(described, inspect.StructType)
        names = _WHOLE_FIELDS[kind] = tuple(it.name for it in described.fields if not _is_plain(it.type))
    return names


def _is_plain(described: inspect.Type) -> bool:
    if isinstance(described, inspect.UnionType):
        return all(map(_is_plain, described.types))
    return isinstance(described, _PLAIN)


_PLAIN: Final = (
    *(inspect.StrType, inspect.IntType, inspect.FloatType, inspect.BoolType),
    *(inspect.NoneType, inspect.LiteralType, inspect.EnumType),
)


def _parts(whole: Any) -> Iterable[Any]:
    if isinstance(whole, dict):
        return cast("dict[str, Any]", whole).values()
    if isinstance(whole, list):
        return cast("Iterable[Any]", whole)
    return [getattr(whole, name) for name in _names(whole)]
