"""Faults: why a request is refused, as the error's name and its data.

Knows no code and no transport: the names are those of the protocol's `x-errors`, and `typed` turns a refusal into the
generated error class.

Clauses: AF-ERR-001 to -021, AF-VAL-008, AF-VAL-009.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from apflow_protocol import CODEC, Json, TaskStatus, errors
from apflow_protocol.rpc.errors import TypedError
from msgspec import UNSET

ErrorName: TypeAlias = Literal[
    "InvalidParams",
    "TaskNotFound",
    "CircularDependency",
    "ExecutorNotFound",
    "Unauthorized",
    "InvalidTaskSchema",
    "InvalidStateTransition",
    "DependencyNotSatisfied",
    "TaskAlreadyExecuting",
    "CannotDeleteTask",
    "InvalidParentReference",
    "InvalidDependencyReference",
    "TaskTreeValidationFailed",
]
"""Name of an error that rules give, as in the protocol's `x-errors`."""

ERRORS: Final[dict[ErrorName, type[TypedError]]] = {
    "InvalidParams": errors.InvalidParamsError,
    "TaskNotFound": errors.TaskNotFoundError,
    "CircularDependency": errors.CircularDependencyError,
    "ExecutorNotFound": errors.ExecutorNotFoundError,
    "Unauthorized": errors.UnauthorizedError,
    "InvalidTaskSchema": errors.InvalidTaskSchemaError,
    "InvalidStateTransition": errors.InvalidStateTransitionError,
    "DependencyNotSatisfied": errors.DependencyNotSatisfiedError,
    "TaskAlreadyExecuting": errors.TaskAlreadyExecutingError,
    "CannotDeleteTask": errors.CannotDeleteTaskError,
    "InvalidParentReference": errors.InvalidParentReferenceError,
    "InvalidDependencyReference": errors.InvalidDependencyReferenceError,
    "TaskTreeValidationFailed": errors.TaskTreeValidationFailedError,
}
"""Every error that rules give, and its generated class, which holds code and message (08-errors.md, Error Codes)."""

MAX_ACTUAL: Final = 200
"""Characters of a wrong value that an error repeats: enough to recognise it, too few to echo a large body."""

MAX_FAULTS: Final = 100
"""Faults that one error lists: a client repairs some, not 100,000; the rest shows when it tries again."""

Path: TypeAlias = tuple[str | int, ...]
"""Way to a value: names of members and indexes of arrays, from the params."""


class RuleBroken(Exception):
    """A request that the rules refuse; nothing has changed.

    `error` is the name in `x-errors`, `data` the JSON object that the error carries.
    """

    def __init__(self, error: ErrorName, data: dict[str, Json]) -> None:
        super().__init__(error, data)
        self.error: ErrorName = error
        self.data = data


class FieldFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field (08-errors.md, Validation Errors; 09-validation.md, Error Format).

    `expected` and `actual` are any JSON; UNSET where there is nothing to say. `path` leads from the params to it.
    """

    field: str
    reason: str
    expected: Json = UNSET
    actual: Json = UNSET
    path: Path = ()

    def as_data(self) -> dict[str, Json]:
        """The fault as the JSON object of the protocol's FieldError; a long `actual` is shortened."""
        data: dict[str, Json] = {"field": self.field, "reason": self.reason}
        if self.expected is not UNSET:
            data["expected"] = self.expected
        if self.actual is not UNSET:
            data["actual"] = shortened(self.actual)
        if self.path:
            data["path"] = list(self.path)
        return data


def shortened(value: Json) -> Json:
    """`value` as it stands, or the start of its JSON text where that is longer than MAX_ACTUAL characters."""
    if value is None or isinstance(value, bool | float):
        return value
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except RecursionError:  # what could just be read is too deep to be written from further down the stack
        return "…"
    return value if len(text) <= MAX_ACTUAL else text[: MAX_ACTUAL - 1] + "…"


def refusal(error: ErrorName, faults: Sequence[FieldFault]) -> RuleBroken:
    """The refusal for one or more faults: one is the data itself, several stand in `errors` (08-errors.md)."""
    if len(faults) == 1:
        return RuleBroken(error, faults[0].as_data())
    return RuleBroken(error, {"errors": [fault.as_data() for fault in faults[:MAX_FAULTS]]})


def task_not_found(task_id: str) -> RuleBroken:
    """There is no such task, or none that the caller may see."""
    return RuleBroken("TaskNotFound", {"task_id": task_id})


def unauthorized(reason: str) -> RuleBroken:
    """The caller may not do this."""
    return RuleBroken("Unauthorized", {"reason": reason})


def circular(cycle: Iterable[str]) -> RuleBroken:
    """Tasks depend on each other; `cycle` repeats its first id at the end (A10)."""
    return RuleBroken("CircularDependency", {"cycle": list(cycle)})


def already_executing(task_id: str) -> RuleBroken:
    """The task is in progress, so this has to wait or be cancelled first."""
    return RuleBroken(
        "TaskAlreadyExecuting",
        {"task_id": task_id, "current_status": "in_progress", "reason": "the task is in progress"},
    )


def executor_not_found(method: str, *, path: Path = ()) -> RuleBroken:
    """No executor is registered under this `schemas.method`."""
    fault = FieldFault(
        field="schemas.method",
        reason="No executor has this identifier",
        expected="the identifier of a registered executor",
        actual=method,
        path=path,
    )
    return refusal("ExecutorNotFound", [fault])


def typed(broken: RuleBroken) -> TypedError:
    """The generated error for a refusal, its data typed, to be raised by a handler."""
    kind = ERRORS[broken.error]
    return kind(CODEC.from_json(kind.DATA, broken.data) if kind.DATA else broken.data)


def refused_transition(task_id: str, *, current: TaskStatus, to: str, reason: str) -> RuleBroken:
    """A change of state that is not allowed (08-errors.md; A56)."""
    return RuleBroken(
        "InvalidStateTransition",
        {
            "task_id": task_id,
            "current_status": current,
            "attempted_transition": f"{current} -> {to}",
            "reason": reason,
        },
    )
