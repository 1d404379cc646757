"""What each field may hold, and how a refusal explains itself."""

from __future__ import annotations

from typing import Any

import pytest
from apflow_protocol import CODEC, METHODS, Task, TaskInput, TasksCreateParams, TaskUpdates, ValidationError
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import CREATED, A, B, uid, unhurried

from protogen_runtime.apflow.rules import fields
from protogen_runtime.apflow.rules.faults import FieldFault

UUID_V1 = "7b6e8f7a-1c52-1f0e-9d3b-2a4c6e8f0a1b"
TIMES = ["created_at", "started_at", "updated_at", "completed_at", "next_run_at", "last_run_at"]
TIMES += ["schedule_start_at", "schedule_end_at"]
BAD_TIMES = [("yesterday", "Not a timestamp"), ("2025-01-20", "Not a timestamp"), (5, "Wrong type")]
BAD_FLAGS: list[tuple[Any, str]] = [("x", "Wrong type"), (1, "Wrong type"), (None, "Wrong type")]
BAD_OBJECTS: list[tuple[Any, str]] = [([], "Wrong type"), ("x", "Wrong type")]
BAD_UUIDS: list[tuple[Any, str]] = [
    ("abc", "Not a UUID of version 4"),
    (UUID_V1, "Not a UUID of version 4"),
    (5, "Wrong type"),
]

GOOD: dict[str, list[Any]] = {
    "id": [A, A.upper()],  # A37
    "parent_id": [A, None],
    "user_id": ["u", None],
    "name": ["x", "x" * 255, "Crawl Website", "\U0001f600" * 255],  # A13
    "status": ["pending", "in_progress", "completed", "failed", "cancelled"],
    "priority": [0, 3, 2.0],
    "inputs": [{}, {"a": [1]}],
    "schemas": [None, {"method": "echo"}, {"method": "m", "type": "local", "input_schema": {}, "model": "", "more": 1}],
    "params": [None, {}],
    "result": [None, {}],
    "error": [None, "x"],  # A17
    "dependencies": [[], [{"id": A}], [{"id": A, "required": False, "more": 1}]],
    "progress": [0, 1, 0.5],
    **{name: [CREATED, "2025-01-20T09:00:00+01:00"] for name in TIMES},
    "origin_type": [None, "create", "link", "copy", "archive"],  # A46
    "original_task_id": [None, A],
    "has_references": [True, False],
    "schedule_type": [None, "once", "interval", "cron", "daily", "weekly", "monthly"],
    "schedule_expression": [None, "x"],
    "schedule_enabled": [True, False],
    "max_runs": [None, 0, 5],
    "run_count": [0, 5],
}
BAD: dict[str, list[tuple[Any, str]]] = {
    "id": [*BAD_UUIDS, (None, "Wrong type")],
    "parent_id": BAD_UUIDS,
    "user_id": [("", "Too short"), (5, "Wrong type")],
    "name": [("", "Too short"), ("x" * 256, "Too long"), (None, "Wrong type"), (5, "Wrong type")],
    "status": [("bogus", "Not one of the allowed values"), (5, "Wrong type"), (None, "Wrong type")],
    "priority": [
        *[(value, "Value out of range") for value in (-1, 4, 7)],
        *[(value, "Wrong type") for value in ("2", 2.5, True, None)],
    ],
    "inputs": [*BAD_OBJECTS, (None, "Wrong type")],
    "schemas": BAD_OBJECTS,
    "params": BAD_OBJECTS,
    "result": BAD_OBJECTS,
    "error": [("", "Too short"), (5, "Wrong type")],
    "dependencies": [({}, "Wrong type"), ("x", "Wrong type"), (None, "Wrong type")],
    "progress": [
        *[(value, "Value out of range") for value in (1.5, -0.1, 7)],
        *[(value, "Wrong type") for value in ("x", True, None)],
    ],
    **dict.fromkeys(TIMES, BAD_TIMES),
    "created_at": [*BAD_TIMES, (None, "Wrong type")],
    "updated_at": [*BAD_TIMES, (None, "Wrong type")],
    "origin_type": [("bogus", "Not one of the allowed values"), (5, "Wrong type")],
    "original_task_id": BAD_UUIDS,
    "has_references": BAD_FLAGS,
    "schedule_type": [("hourly", "Not one of the allowed values"), (5, "Wrong type")],
    "schedule_expression": [("", "Too short"), (5, "Wrong type")],
    "schedule_enabled": BAD_FLAGS,
    "max_runs": [(-1, "Value out of range"), (1.5, "Wrong type"), (True, "Wrong type")],
    "run_count": [(-1, "Value out of range"), (1.5, "Wrong type"), (None, "Wrong type")],
}


def test_the_tables_have_all_29_fields() -> None:
    names = set(Task.__struct_fields__) - {"extra"}
    assert len(names) == 29
    assert names == fields.FIELDS.keys() == GOOD.keys() == BAD.keys()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_good_value_has_no_fault(name: str, value: Any) -> None:
    assert fields.faults_of_input({"name": "x", name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "reason"), [(name, value, reason) for name, values in BAD.items() for value, reason in values]
)
def test_bad_value_has_one_fault(name: str, value: Any, reason: str) -> None:
    expected = fields.FIELDS[name].expected
    assert fields.faults_of_input({"name": "x", name: value}, at=("tasks", 3)) == [
        FieldFault(field=name, reason=reason, expected=expected, actual=value, path=("tasks", 3, name))
    ]


@pytest.mark.parametrize(
    ("value", "field", "reason", "path"),
    [
        ({"schemas": {}}, "schemas.method", "Required", ("schemas", "method")),
        ({"schemas": {"type": "local"}}, "schemas.method", "Required", ("schemas", "method")),
        ({"schemas": {"method": ""}}, "schemas.method", "Too short", ("schemas", "method")),
        (
            {"schemas": {"method": "m", "type": "bogus"}},
            "schemas.type",
            "Not one of the allowed values",
            ("schemas", "type"),
        ),
        (
            {"schemas": {"method": "m", "input_schema": []}},
            "schemas.input_schema",
            "Wrong type",
            ("schemas", "input_schema"),
        ),
        ({"schemas": {"method": "m", "model": 1}}, "schemas.model", "Wrong type", ("schemas", "model")),
        ({"dependencies": [{}]}, "dependencies[0].id", "Required", ("dependencies", 0, "id")),
        ({"dependencies": [{"id": A}, 5]}, "dependencies[1]", "Wrong type", ("dependencies", 1)),
        (
            {"dependencies": [{"id": "task1"}]},  # A15
            "dependencies[0].id",
            "Not a UUID of version 4",
            ("dependencies", 0, "id"),
        ),
        (
            {"dependencies": [{"id": A, "required": "yes"}]},
            "dependencies[0].required",
            "Wrong type",
            ("dependencies", 0, "required"),
        ),
    ],
)
def test_fault_inside_of_a_field_is_named_by_its_path(
    value: Any, field: str, reason: str, path: tuple[Any, ...]
) -> None:
    (fault,) = fields.faults_of_input({"name": "x", **value})
    assert (fault.field, fault.reason, fault.path) == (field, reason, path)


def test_what_is_expected_is_said_in_words() -> None:
    (fault,) = fields.faults_of_input({"name": "x", "status": "bogus"})
    assert fault.expected == "pending, in_progress, completed, failed or cancelled"


def test_name_is_all_that_an_input_needs() -> None:  # A16
    (fault,) = fields.faults_of_input({})
    assert (fault.field, fault.reason, fault.path) == ("name", "Required", ("name",))
    assert fields.faults_of_input({"name": "x"}) == []


def test_updates_need_nothing() -> None:  # A54
    assert fields.faults_of_updates({}) == []


def test_unknown_fields_are_no_fault() -> None:  # A52
    assert fields.faults_of_input({"name": "x", "lease_id": 5, "task_tree_id": None}) == []


def test_all_faults_of_a_task_are_reported_together() -> None:
    found = fields.faults_of_input({"name": "", "priority": 9, "progress": 7, "dependencies": [{}, {"id": 1}]})
    assert [fault.field for fault in found] == [
        "name",
        "priority",
        "dependencies[0].id",
        "dependencies[1].id",
        "progress",
    ]


# --- what decoding does not find ------------------------------------------------------------------


def test_decoded_input_is_checked_for_times_and_for_fields_of_the_node() -> None:
    value = {"name": "x", "schedule_start_at": "yesterday", "progress": 7, "has_references": "x", "more": "kept"}
    decoded = CODEC.from_json("TaskInput", value)
    found = fields.faults_of_decoded(decoded, at=("tasks", 0))
    assert {fault.path for fault in found} == {
        ("tasks", 0, "schedule_start_at"),
        ("tasks", 0, "progress"),
        ("tasks", 0, "has_references"),
    }


@pytest.mark.parametrize("kind", [TaskInput(name="x"), TasksCreateParams(name="x"), TaskUpdates()])
def test_decoded_value_without_faults_has_none(kind: Any) -> None:
    assert fields.faults_of_decoded(kind) == []


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, "", "x", "pending", "copy", "daily", A, UUID_V1, CREATED, "x" * 256]),
    st.sampled_from([[], {}, [{"id": A}], [{"id": "x"}], [{}], {"method": "m"}, {"method": "", "type": "local"}]),
)
objects = st.dictionaries(st.sampled_from([*fields.FIELDS, "unknown"]), values, max_size=6)


def decoded(definition: str, value: Any) -> Any:
    try:
        return CODEC.from_json(definition, value)
    except ValidationError:
        return None


@unhurried
@given(objects)
def test_table_and_generated_types_agree_on_every_input(value: dict[str, Any]) -> None:
    found = fields.faults_of_input(value)
    typed = decoded("TaskInput", value)
    if typed is not None:
        assert found == [] or {fault.field for fault in fields.faults_of_decoded(typed)} == {it.field for it in found}
    else:
        assert found


@unhurried
@given(objects)
def test_table_and_generated_types_agree_on_every_stored_task(value: dict[str, Any]) -> None:
    whole = {"id": A, "name": "x", "status": "pending", **value}
    found = [fault for fault in fields.faults_of_input(whole) if fault.reason != "Not a timestamp"]
    assert (decoded("Task", whole) is None) == bool(found)


# --- params of methods ----------------------------------------------------------------------------

BY_ID = ["tasks.get", "tasks.update", "tasks.delete", "tasks.cancel", "tasks.tree", "tasks.copy"]


def explained(method: str, params: Any) -> tuple[str, list[tuple[str, list[Any]]]]:
    broken = fields.explain_params(method, params)
    listed = broken.data.get("errors", [broken.data])
    return broken.error, [(fault["reason"], fault.get("path", [])) for fault in listed]


@pytest.mark.parametrize("method", BY_ID)
@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "Required"),  # A1
        ({"task_id": None}, "Wrong type"),
        ({"task_id": 5}, "Wrong type"),
        ({"task_id": "abc"}, "Not a UUID of version 4"),  # A49
        ({"task_id": UUID_V1}, "Not a UUID of version 4"),  # A37
    ],
)
def test_bad_task_id_is_a_bad_parameter(method: str, params: dict[str, Any], reason: str) -> None:
    more = {"updates": {}} if method == "tasks.update" else {}
    assert explained(method, {**params, **more}) == ("InvalidParams", [(reason, ["task_id"])])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_positional_params_are_refused(method: str) -> None:  # A3
    assert explained(method, [A]) == ("InvalidParams", [("Wrong type", [])])


@pytest.mark.parametrize(
    ("method", "params", "error", "faults"),
    [
        ("tasks.create", {}, "InvalidParams", [("Required", ["name"])]),
        (
            "tasks.create",  # A9: fields of tasks.create are parameters
            {"name": "", "priority": 7},
            "InvalidParams",
            [("Too short", ["name"]), ("Value out of range", ["priority"])],
        ),
        ("tasks.create", {"name": "x", "priority": 4}, "InvalidParams", [("Value out of range", ["priority"])]),  # A24
        ("tasks.update", {"task_id": A}, "InvalidParams", [("Required", ["updates"])]),
        ("tasks.update", {"task_id": A, "updates": []}, "InvalidParams", [("Wrong type", ["updates"])]),
        (
            "tasks.update",  # A9: what sits in updates is a task's
            {"task_id": A, "updates": {"priority": 9, "name": ""}},
            "InvalidTaskSchema",
            [("Too short", ["updates", "name"]), ("Value out of range", ["updates", "priority"])],
        ),
        (
            "tasks.update",
            {"task_id": "abc", "updates": {"priority": 9}},
            "InvalidParams",
            [("Not a UUID of version 4", ["task_id"]), ("Value out of range", ["updates", "priority"])],
        ),
        ("tasks.list", {"limit": 1001}, "InvalidParams", [("Value out of range", ["limit"])]),  # A30
        (
            "tasks.list",
            {"limit": 0, "offset": -1},
            "InvalidParams",
            [("Value out of range", [it]) for it in ("limit", "offset")],
        ),
        ("tasks.list", {"status": "bogus"}, "InvalidParams", [("Not one of the allowed values", ["status"])]),
        ("tasks.list", {"user_id": ""}, "InvalidParams", [("Too short", ["user_id"])]),
        ("tasks.execute", {}, "InvalidParams", [("Required", ["tasks"])]),
        ("tasks.execute", {"tasks": []}, "InvalidParams", [("Too short", ["tasks"])]),
        ("tasks.execute", {"tasks": {}}, "InvalidParams", [("Wrong type", ["tasks"])]),
        ("tasks.execute", {"tasks": [5]}, "InvalidTaskSchema", [("Wrong type", ["tasks", 0])]),
        (
            "tasks.execute",
            {"tasks": [{"name": "x"}, {"priority": 9}]},
            "InvalidTaskSchema",
            [("Required", ["tasks", 1, "name"]), ("Value out of range", ["tasks", 1, "priority"])],
        ),
        (
            "tasks.execute",
            {"tasks": [{"name": "x", "id": "task1"}]},  # A15
            "InvalidTaskSchema",
            [("Not a UUID of version 4", ["tasks", 0, "id"])],
        ),
        (
            "tasks.execute",
            {"tasks": [{"name": "x"}], "use_streaming": "yes"},
            "InvalidParams",
            [("Wrong type", ["use_streaming"])],
        ),
        ("tasks.children", {}, "InvalidParams", [("Required", ["parent_id"])]),
        ("tasks.copy", {"task_id": A, "copy_children": 1}, "InvalidParams", [("Wrong type", ["copy_children"])]),
    ],
)
def test_params_are_explained(method: str, params: Any, error: str, faults: list[tuple[str, list[Any]]]) -> None:
    assert explained(method, params) == (error, faults)


def test_faults_of_a_large_request_are_bounded() -> None:
    broken = fields.explain_params("tasks.execute", {"tasks": [{"priority": 9, "id": uid(n)} for n in range(10_000)]})
    assert len(broken.data["errors"]) == fields.MAX_FAULTS


parameters = st.sampled_from(["task_id", "parent_id", "limit", "offset", "status", "user_id", "copy_children", "name"])
params = st.dictionaries(
    parameters | st.sampled_from(["updates", "tasks", "use_streaming"]),
    values | objects | st.lists(values | objects, max_size=3) | st.just(B),
    max_size=5,
)


@unhurried
@given(st.sampled_from(sorted(METHODS)), params)
def test_whatever_is_refused_is_explained_by_a_field(method: str, value: dict[str, Any]) -> None:
    if decoded(METHODS[method].params, value) is None:
        reasons = [reason for reason, path in explained(method, value)[1] if path]
        assert reasons
    else:
        # Nothing that decodes is refused for more than formats and fields of the node, which are checked later.
        assert all(path or reason.startswith("Not valid") for reason, path in explained(method, value)[1])
