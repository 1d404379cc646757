"""Nesting: how deep the JSON of a task may be. What is deeper could be read once, and then neither written nor shown.

Knows no limit of a stack: its own is far below any.

Clauses: AF-VAL-001, AF-VAL-008.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from apflow_protocol import Json, TaskInput, TasksCreateParams, TaskUpdates
from msgspec import Struct

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
    for name in given.__struct_fields__:
        value = getattr(given, name)
        if isinstance(value, _WHOLES) and is_too_deep(value):
            fault = FieldFault(
                field=name, reason="Nested too deeply", expected=f"at most {MAX_DEPTH} levels", path=(*at, name)
            )
            raise refusal("InvalidTaskSchema" if at else "InvalidParams", [fault])


_WHOLES: Final = (dict, list, Struct)


def _parts(whole: Any) -> Iterable[Any]:
    if isinstance(whole, dict):
        return cast("dict[str, Any]", whole).values()
    if isinstance(whole, list):
        return cast("Iterable[Any]", whole)
    return (getattr(whole, name) for name in whole.__struct_fields__)
