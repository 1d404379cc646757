"""From what a caller describes to a whole task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apflow_protocol import CODEC, Task, TaskInput, TasksCreateParams
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import asdict
from rule_cases import NOW, A, B, C, D, ids, uid, unhurried

from protogen_runtime.apflow.rules import creation, fields
from protogen_runtime.apflow.rules.consistency import faults_of_task
from protogen_runtime.apflow.rules.faults import RuleBroken

EMPTY: dict[str, Any] = {
    "id": A,
    "parent_id": None,
    "user_id": None,
    "name": "Crawl Website",
    "status": "pending",
    "priority": 2,
    "inputs": {},
    "schemas": None,
    "params": None,
    "result": None,
    "error": None,
    "dependencies": [],
    "progress": 0.0,
    "created_at": NOW,
    "started_at": None,
    "updated_at": NOW,
    "completed_at": None,
    "origin_type": None,
    "original_task_id": None,
    "has_references": False,
    "schedule_type": None,
    "schedule_expression": None,
    "schedule_enabled": False,
    "schedule_start_at": None,
    "schedule_end_at": None,
    "next_run_at": None,
    "last_run_at": None,
    "max_runs": None,
    "run_count": 0,
}
FULL: dict[str, Any] = {
    "parent_id": B,
    "user_id": "u",
    "name": "Crawl Website",
    "priority": 0,
    "inputs": {"url": "https://example.com"},
    "schemas": {"type": "local", "method": "crawler", "input_schema": {"type": "object"}, "model": "m", "more": [1]},
    "params": {"retry": 3},
    "dependencies": [{"id": C}, {"id": D, "required": False, "note": "x"}],
    "origin_type": "create",
    "original_task_id": None,
    "schedule_type": "weekly",
    "schedule_expression": "mon,wed@09:30",
    "schedule_enabled": False,
    "schedule_start_at": "2025-01-20T00:00:00Z",
    "schedule_end_at": "2035-01-20T00:00:00+01:00",
    "max_runs": 5,
}


def plain(task: Task) -> Any:
    return json.loads(CODEC.encode(task))


def completed(value: dict[str, Any], **more: Any) -> Any:
    return plain(creation.complete(CODEC.from_json("TaskInput", value), id=A, now=NOW, **more))


def test_name_alone_makes_a_whole_pending_task() -> None:  # A13, A14, A16
    assert completed({"name": "Crawl Website"}) == EMPTY


def test_all_that_a_caller_may_set_is_kept_as_it_was_sent() -> None:  # A53, A58
    assert completed(FULL) == {**EMPTY, **FULL}


def test_no_field_is_absent() -> None:
    task = creation.complete(TaskInput(name="x"), id=A, now=NOW)
    assert [name for name, value in asdict(task).items() if value is UNSET] == ["extra"]


def test_unknown_fields_are_kept() -> None:  # A52
    assert completed({"name": "Crawl Website", "x-note": {"a": 1}}) == {**EMPTY, "x-note": {"a": 1}}


def test_fields_that_a_node_sets_are_not_taken_over() -> None:  # A29
    sent = {
        "name": "Crawl Website",
        "status": "completed",
        "result": {"n": 1},
        "error": "x",
        "progress": 1.0,
        "created_at": "2020-01-01T00:00:00Z",
        "started_at": "2020-01-01T00:00:00Z",
        "has_references": True,
        "run_count": 3,
        "next_run_at": "2020-01-01T00:00:00Z",
    }
    assert completed(sent) == EMPTY


def test_ids_are_stored_in_lower_case() -> None:  # A37
    sent = {"name": "x", "parent_id": B.upper(), "original_task_id": D.upper(), "dependencies": [{"id": C.upper()}]}
    task = creation.complete(CODEC.from_json("TaskInput", sent), id=A.upper(), now=NOW)
    assert (task.id, task.parent_id, task.original_task_id) == (A, B, D)
    assert [dependency.id for dependency in task.dependencies_or_default] == [C]


def test_authenticated_user_owns_what_it_creates() -> None:
    assert completed({"name": "x"}, user_id="me")["user_id"] == "me"
    assert completed({"name": "x", "user_id": "u"})["user_id"] == "u"


def test_missing_origin_is_fine() -> None:  # A46
    assert completed({"name": "x"})["origin_type"] is None
    assert completed({"name": "x", "origin_type": "create"})["origin_type"] == "create"


def test_enabled_schedule_has_a_next_time_from_the_start() -> None:  # A47
    sent = {"name": "x", "schedule_type": "daily", "schedule_expression": "09:30", "schedule_enabled": True}
    assert completed(sent)["next_run_at"] == "2026-01-01T09:30:00.000000Z"
    assert completed({**sent, "schedule_enabled": False})["next_run_at"] is None


def test_time_that_rfc_3339_does_not_know_is_stored_as_one_that_it_knows() -> None:  # A38
    assert completed({"name": "x", "schedule_start_at": "20250120T090000Z"})["schedule_start_at"] == (
        "2025-01-20T09:00:00.000000Z"
    )


inputs = st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in FULL.items() if name != "name"})


@unhurried
@given(inputs, st.booleans())
def test_whatever_is_left_out_the_task_is_whole_and_sound(sent: dict[str, Any], enabled: bool) -> None:
    value = {**sent, "name": "Crawl Website"}
    task = completed(value)
    assert task == {**EMPTY, **value}
    assert faults_of_task(CODEC.from_json("Task", task)) == []


# --- tasks.create ---------------------------------------------------------------------------------


def create(value: dict[str, Any]) -> Task:
    params: TasksCreateParams = CODEC.from_json("TasksCreateParams", value)
    return creation.create(params, id=A, now=NOW)


def test_node_chooses_the_id_of_a_created_task() -> None:  # A15
    assert create({"name": "x", "id": B}).id == A


@pytest.mark.parametrize(
    ("value", "error", "faults"),
    [
        ({"progress": 7, "status": "bogus"}, "InvalidParams", {"progress", "status"}),
        ({"schedule_start_at": "yesterday"}, "InvalidParams", {"schedule_start_at"}),
        ({"schedule_enabled": True}, "InvalidTaskSchema", {"schedule_type", "schedule_expression"}),
        ({"schedule_enabled": True, "schedule_type": "daily"}, "InvalidTaskSchema", {"schedule_expression"}),
        ({"origin_type": "link"}, "InvalidTaskSchema", {"original_task_id"}),
    ],
)
def test_fault_of_a_field_and_fault_across_fields_are_different_errors(  # A9
    value: dict[str, Any], error: str, faults: set[str]
) -> None:
    with pytest.raises(RuleBroken) as found:
        create({"name": "x", **value})
    assert found.value.error == error
    listed = found.value.data.get("errors", [found.value.data])
    assert {fault["field"] for fault in listed} == faults


# --- tasks.execute --------------------------------------------------------------------------------


def create_all(values: list[dict[str, Any]]) -> list[Task]:
    return creation.create_all([CODEC.from_json("TaskInput", value) for value in values], new_id=ids(), now=NOW)


def test_ids_that_were_sent_are_kept_and_missing_ones_made() -> None:  # A15
    tasks = create_all([{"name": "x", "id": B}, {"name": "y"}, {"name": "z", "id": C.upper()}])
    assert [(task.id, task.name) for task in tasks] == [(B, "x"), (uid(0x100), "y"), (C, "z")]


def test_faults_of_all_tasks_are_reported_together() -> None:  # A9
    with pytest.raises(RuleBroken) as found:
        create_all([{"name": "x", "progress": 7}, {"name": "y"}, {"name": "z", "schedule_enabled": True}])
    assert found.value.error == "InvalidTaskSchema"
    assert [fault["path"] for fault in found.value.data["errors"]] == [
        ["tasks", 0, "progress"],
        ["tasks", 2, "schedule_type"],
        ["tasks", 2, "schedule_expression"],
    ]


def test_faults_of_many_tasks_are_bounded() -> None:
    with pytest.raises(RuleBroken) as found:
        create_all([{"name": "x", "schedule_enabled": True}] * 200)
    assert len(found.value.data["errors"]) == fields.MAX_FAULTS


def test_task_that_was_read_can_be_sent_again() -> None:  # A21
    sent = {**EMPTY, "status": "failed", "error": "x", "started_at": NOW, "completed_at": NOW}
    (task,) = create_all([sent])
    assert plain(task) == EMPTY
