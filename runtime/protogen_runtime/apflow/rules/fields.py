"""Fields: one table of what each of the 29 fields of a task may hold, to say what is wrong with a value.

Knows no typed task: it reads plain JSON, since what it explains could not be decoded. Sources: 03-data-model.md,
Complete Field Specification; 06-interfaces.md for the parameters; 08-errors.md and 09-validation.md for the form.

Clauses: AF-DATA-001 to -014, AF-DATA-021, AF-DATA-023, AF-DATA-032 to -034, AF-TIME-001, AF-TIME-006, AF-DEP-006,
AF-LIST-003, AF-EXECUTE-005, AF-METH-001, AF-VAL-001 to -003.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from apflow_protocol import (
    ORIGIN_TYPE_VALUES,
    SCHEDULE_TYPE_VALUES,
    TASK_SCHEMAS_TYPE_VALUES,
    TASK_STATUS_VALUES,
    Json,
    TaskInput,
    TasksCreateParams,
    TaskUpdates,
)
from msgspec import UNSET, Struct

from . import timestamps
from .faults import MAX_FAULTS, FieldFault, Path, RuleBroken, refusal
from .ids import UUID4

MAX_NAME: Final = 255
"""Characters of a name (03-data-model.md)."""

MAX_LIMIT: Final = 1000
"""Tasks on one page (06-interfaces.md, tasks.list)."""

Check = Callable[[Json], "str | None"]
"""From a value to what is wrong with it; None where nothing is."""


class Field(Struct, frozen=True, kw_only=True):
    """What a field holds: `check` finds the reason of a fault, `expected` says what would be right.

    `parts` finds the faults inside of an object or array that is right by itself.
    """

    check: Check
    expected: str
    nullable: bool = False
    parts: Callable[[Json, str, Path], Iterator[FieldFault]] | None = None


WRONG_TYPE: Final = "Wrong type"


def _text(shortest: int = 0, longest: int | None = None) -> Check:
    def check(value: Json) -> str | None:
        if not isinstance(value, str):
            return WRONG_TYPE
        if len(value) < shortest:
            return "Too short"
        return "Too long" if longest is not None and len(value) > longest else None

    return check


def _integer(least: int, most: int | None = None) -> Check:
    def check(value: Json) -> str | None:
        # 2.0 is an integer to JSON Schema, true is none.
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
            return WRONG_TYPE
        return "Value out of range" if value < least or (most is not None and value > most) else None

    return check


def _fraction(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return WRONG_TYPE
    return None if 0 <= value <= 1 else "Value out of range"


def _one_of(values: tuple[str, ...]) -> Check:
    def check(value: Json) -> str | None:
        if not isinstance(value, str):
            return WRONG_TYPE
        return None if value in values else "Not one of the allowed values"

    return check


def _uuid(value: Json) -> str | None:
    if not isinstance(value, str):
        return WRONG_TYPE
    return None if UUID4.fullmatch(value) else "Not a UUID of version 4"


def _time(value: Json) -> str | None:
    if not isinstance(value, str):
        return WRONG_TYPE
    return None if timestamps.parse(value) else "Not a timestamp"


def _of_type(kind: type) -> Check:
    return lambda value: None if isinstance(value, kind) else WRONG_TYPE


def _schemas_parts(value: Json, field: str, at: Path) -> Iterator[FieldFault]:
    yield from _members(value, SCHEMAS, required=("method",), prefix=f"{field}.", at=at)


def _dependencies_parts(value: Json, field: str, at: Path) -> Iterator[FieldFault]:
    for index, item in enumerate(value):
        name, path = f"{field}[{index}]", (*at, index)
        if _is_object(item):
            yield from _members(item, DEPENDENCY, required=("id",), prefix=f"{name}.", at=path)
        else:
            yield FieldFault(field=name, reason=WRONG_TYPE, expected="an object with an id", actual=item, path=path)


def _is_object(value: Json) -> bool:
    # isinstance would narrow Json to a dict of unknown things.
    return value.__class__ is dict


def _words(values: tuple[str, ...]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}"


_UUID: Final = Field(check=_uuid, expected="a UUID of version 4")
_UUID_OR_NULL: Final = Field(check=_uuid, expected="a UUID of version 4, or null", nullable=True)
_TIME: Final = Field(check=_time, expected=timestamps.EXPECTED)
_TIME_OR_NULL: Final = Field(check=_time, expected=f"{timestamps.EXPECTED}, or null", nullable=True)
_OBJECT: Final = Field(check=_of_type(dict), expected="an object")
_OBJECT_OR_NULL: Final = Field(check=_of_type(dict), expected="an object, or null", nullable=True)
_BOOLEAN: Final = Field(check=_of_type(bool), expected="true or false")
_TEXT_OR_NULL: Final = Field(check=_text(1), expected="a string that is not empty, or null", nullable=True)

FIELDS: Final[dict[str, Field]] = {
    "id": _UUID,
    "parent_id": _UUID_OR_NULL,
    "user_id": _TEXT_OR_NULL,
    "name": Field(check=_text(1, MAX_NAME), expected=f"1..{MAX_NAME} characters"),
    "status": Field(check=_one_of(TASK_STATUS_VALUES), expected=_words(TASK_STATUS_VALUES)),
    "priority": Field(check=_integer(0, 3), expected="0-3"),
    "inputs": _OBJECT,
    "schemas": Field(
        check=_of_type(dict), expected="an object with a method, or null", nullable=True, parts=_schemas_parts
    ),
    "params": _OBJECT_OR_NULL,
    "result": _OBJECT_OR_NULL,
    "error": _TEXT_OR_NULL,
    "dependencies": Field(check=_of_type(list), expected="an array of objects with an id", parts=_dependencies_parts),
    "progress": Field(check=_fraction, expected="0.0-1.0"),
    "created_at": _TIME,
    "started_at": _TIME_OR_NULL,
    "updated_at": _TIME,
    "completed_at": _TIME_OR_NULL,
    "origin_type": Field(
        check=_one_of(ORIGIN_TYPE_VALUES), expected=f"{_words(ORIGIN_TYPE_VALUES)}, or null", nullable=True
    ),
    "original_task_id": _UUID_OR_NULL,
    "has_references": _BOOLEAN,
    "schedule_type": Field(
        check=_one_of(SCHEDULE_TYPE_VALUES), expected=f"{_words(SCHEDULE_TYPE_VALUES)}, or null", nullable=True
    ),
    "schedule_expression": _TEXT_OR_NULL,
    "schedule_enabled": _BOOLEAN,
    "schedule_start_at": _TIME_OR_NULL,
    "schedule_end_at": _TIME_OR_NULL,
    "next_run_at": _TIME_OR_NULL,
    "last_run_at": _TIME_OR_NULL,
    "max_runs": Field(check=_integer(0), expected="0 or more, or null", nullable=True),
    "run_count": Field(check=_integer(0), expected="0 or more"),
}
"""The 29 fields of a task, in the order of the specification."""

SCHEMAS: Final[dict[str, Field]] = {
    "type": Field(check=_one_of(TASK_SCHEMAS_TYPE_VALUES), expected=_words(TASK_SCHEMAS_TYPE_VALUES)),
    "method": Field(check=_text(1), expected="the identifier of an executor"),
    "input_schema": Field(check=_of_type(dict), expected="a JSON Schema, as an object"),
    "model": Field(check=_text(), expected="a string"),
}
"""The members of `schemas`."""

DEPENDENCY: Final[dict[str, Field]] = {"id": _UUID, "required": _BOOLEAN}
"""The members of a dependency."""

SET_BY_NODE: Final = frozenset(FIELDS) - frozenset(TaskInput.__struct_fields__)
"""Fields that a node alone sets; from a caller they are checked and then not taken over (A29)."""

_BY_ID: Final[dict[str, Field]] = {"task_id": _UUID}
_PARAMS: Final[dict[str, dict[str, Field]]] = {
    "tasks.create": FIELDS,
    "tasks.get": _BY_ID,
    "tasks.update": {**_BY_ID, "updates": _OBJECT},
    "tasks.delete": _BY_ID,
    "tasks.list": {
        "limit": Field(check=_integer(1, MAX_LIMIT), expected=f"1-{MAX_LIMIT}"),
        "offset": Field(check=_integer(0), expected="0 or more"),
        "status": FIELDS["status"],
        "user_id": Field(check=_text(1), expected="a string that is not empty"),
    },
    "tasks.execute": {
        "tasks": Field(
            check=lambda value: ("Too short" if not value else None) if isinstance(value, list) else WRONG_TYPE,
            expected="an array of at least one task",
        ),
        "use_streaming": _BOOLEAN,
    },
    "tasks.cancel": _BY_ID,
    "tasks.tree": _BY_ID,
    "tasks.children": {"parent_id": _UUID},
    "tasks.copy": {**_BY_ID, "copy_children": _BOOLEAN},
}
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "tasks.create": ("name",),
    "tasks.update": ("task_id", "updates"),
    "tasks.list": (),
    "tasks.execute": ("tasks",),
    "tasks.children": ("parent_id",),
}


def faults_of_input(value: Json, *, at: Path = ()) -> list[FieldFault]:
    """Every fault of a task as a caller describes it; `at` is the path that leads to it in the params."""
    return _faults_of_task(value, at, required=("name",))


def faults_of_updates(value: Json, *, at: Path = ("updates",)) -> list[FieldFault]:
    """Every fault of new values for some fields of a task."""
    return _faults_of_task(value, at, required=())


def faults_of_decoded(value: TaskInput | TasksCreateParams | TaskUpdates, *, at: Path = ()) -> list[FieldFault]:
    """What decoding does not find: timestamps that are none, and wrong values of fields that only a node sets."""
    faults: list[FieldFault] = []
    # The schema knows these two as strings: formats are annotations (docs/ARCHITECTURE.md, Validity).
    for name in ("schedule_start_at", "schedule_end_at"):
        text = getattr(value, name)
        if text is not UNSET:
            faults += _faults_of_field(name, text, FIELDS[name], at=at)
    if value.extra is not UNSET:
        for name, member in value.extra.items():
            if name in FIELDS:
                faults += _faults_of_field(name, member, FIELDS[name], at=at)
    return faults


def explain_params(method: str, params: Json) -> RuleBroken:
    """Why the params of one of the ten methods cannot be decoded.

    InvalidParams where a parameter itself is wrong, InvalidTaskSchema where only what a task inside of them holds is
    (A9). Errors: KeyError for another method.
    """
    table = _PARAMS[method]
    if not _is_object(params):
        fault = FieldFault(field="params", reason=WRONG_TYPE, expected="an object", actual=params)
        return refusal("InvalidParams", [fault])
    faults = list(_members(params, table, required=_REQUIRED.get(method, ("task_id",))))
    nested = list(_nested(method, params))
    if faults or not nested:
        unknown = FieldFault(
            field="params", reason="Not valid for this method, or nested too deeply", expected=f"the params of {method}"
        )
        return refusal("InvalidParams", _bounded([*faults, *nested]) or [unknown])
    return refusal("InvalidTaskSchema", _bounded(nested))


def _nested(method: str, params: Mapping[str, Json]) -> Iterator[FieldFault]:
    """The faults of tasks inside of params."""
    if method == "tasks.update" and isinstance(params.get("updates"), dict):
        yield from faults_of_updates(params["updates"])
    elif method == "tasks.execute" and isinstance(params.get("tasks"), list):
        found = 0
        for index, task in enumerate(params["tasks"]):
            for fault in faults_of_input(task, at=("tasks", index)):
                yield fault
                found += 1
            if found >= MAX_FAULTS:
                return


def _bounded(faults: list[FieldFault]) -> list[FieldFault]:
    return faults[:MAX_FAULTS]


def _faults_of_task(value: Json, at: Path, *, required: tuple[str, ...]) -> list[FieldFault]:
    if not _is_object(value):
        name = "".join(f"[{step}]" if isinstance(step, int) else step for step in at) or "params"
        return [FieldFault(field=name, reason=WRONG_TYPE, expected="an object", actual=value, path=at)]
    return list(_members(value, FIELDS, required=required, at=at))


def _members(
    value: Mapping[str, Json], table: dict[str, Field], *, required: tuple[str, ...], prefix: str = "", at: Path = ()
) -> Iterator[FieldFault]:
    """The faults of an object's members; those that the table does not list are left alone (A52)."""
    for name, field in table.items():
        if name in value:
            yield from _faults_of_field(f"{prefix}{name}", value[name], field, at=at, step=name)
        elif name in required:
            yield FieldFault(field=f"{prefix}{name}", reason="Required", expected=field.expected, path=(*at, name))


def _faults_of_field(
    name: str, value: Json, field: Field, *, at: Path = (), step: str | None = None
) -> Iterator[FieldFault]:
    path = (*at, step or name)
    if value is None and field.nullable:
        return
    reason = field.check(value)
    if reason is not None:
        yield FieldFault(field=name, reason=reason, expected=field.expected, actual=value, path=path)
    elif field.parts is not None:
        yield from field.parts(value, name, path)
