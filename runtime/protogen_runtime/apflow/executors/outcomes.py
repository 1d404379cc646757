"""Outcomes: what an executor returned or raised, as the result or the error of a task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, cast

import msgspec

from protogen_runtime.apflow.rules.nesting import MAX_DEPTH, is_too_deep

from .contract import ExecutorFailed, InvalidInputs, Json, JsonObject
from .shapes import is_object

MAX_ERROR: Final = 2000
"""Characters of an error: errors are read by people, and stand in every list of tasks."""


def as_result(value: object, *, max_bytes: int | None = None) -> JsonObject:
    """A copy of what an executor returned, as the JSON object that it must be. Raises ExecutorFailed, naming the place
    (02-core-concepts.md: an executor returns an object, never a primitive).
    """
    if not is_object(value):
        raise ExecutorFailed(f"the executor returned {_kind(value)}; it must return an object (dict)")
    copy, text = _as_it_stands(value)
    if copy is None or copy != value:
        # Slower, and able to say where: tuples and keys that are numbers pass as JSON has them, nothing else does.
        copy = _object(value, "result", 0)
        text = msgspec.json.encode(copy)
    if is_too_deep(copy):
        raise ExecutorFailed(f"the result is nested deeper than {MAX_DEPTH} levels")
    if max_bytes is not None and len(text) > max_bytes:
        raise ExecutorFailed(f"the result has {len(text)} bytes as JSON; at most {max_bytes} are kept")
    return copy


def failure_text(reason: BaseException) -> str:
    """What a task's `error` says of an exception: its text if it was expected, else its type, too; never a traceback,
    never empty.
    """
    inner = _inner(reason)
    if len(inner) == 1:
        return failure_text(inner[0])
    text = str(reason)
    if inner:
        text = "; ".join(map(failure_text, inner))
    elif isinstance(reason, InvalidInputs):
        text = f"invalid inputs: {text}"
    elif not isinstance(reason, ExecutorFailed):
        text = f"{type(reason).__name__}: {text}" if text else type(reason).__name__
    # A lone surrogate, from the name of a file for example, is no text that JSON can hold.
    text = text.strip().encode("utf-8", "replace").decode()
    if not text:
        text = f"the executor failed ({type(reason).__name__})"
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


def _as_it_stands(value: JsonObject) -> tuple[JsonObject | None, bytes]:
    """A copy by way of JSON, which equals the value unless that held something else; None where it cannot be made."""
    try:
        text = msgspec.json.encode(value)
        return msgspec.json.decode(text), text
    except (TypeError, ValueError, RecursionError):
        return None, b""


def _inner(reason: BaseException) -> Sequence[BaseException]:
    """The exceptions of a group; none for what is no group."""
    return (
        cast("BaseExceptionGroup[BaseException]", reason).exceptions if isinstance(reason, BaseExceptionGroup) else ()
    )


def _json(value: Json, place: str, depth: int) -> Json:
    match value:
        case None | bool() | int():
            return value
        case str():
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise ExecutorFailed(f"{place} is a text with a lone surrogate, which JSON cannot hold")
            return value
        case float():
            if not math.isfinite(value):
                raise ExecutorFailed(f"{place} is {value}, which JSON cannot hold")
            return value
        case _ if is_object(value):
            return _object(value, place, depth)
        case list() | tuple():
            if depth == MAX_DEPTH:
                raise ExecutorFailed(f"the result is nested deeper than {MAX_DEPTH} levels")
            items = cast("Sequence[Json]", value)
            return [_json(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(items)]
        case _:
            raise ExecutorFailed(f"{place} is {_kind(value)}, which JSON cannot hold")


def _object(value: dict[Json, Json], place: str, depth: int) -> JsonObject:
    if depth == MAX_DEPTH:
        raise ExecutorFailed(f"the result is nested deeper than {MAX_DEPTH} levels")
    found: JsonObject = {}
    for key, item in value.items():
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise ExecutorFailed(f"{place} has a key that is {_kind(key)}; keys are text")
        found[_json(str(key), f"a key of {place}", depth)] = _json(item, f"{place}.{key}"[:200], depth + 1)
    return found


def _kind(value: object) -> str:
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
