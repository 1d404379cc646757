"""How the fields of one task must fit each other."""

from __future__ import annotations

from typing import Any

import pytest
from apflow_protocol import TASK_STATUS_VALUES, Task, TaskStatus
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from rule_cases import ENDED, NOW, STARTED, A, B, statuses, task, unhurried

from protogen_runtime.apflow.rules.consistency import BY_STATUS, faults_of_task

SCHEDULED = {"schedule_type": "daily", "schedule_expression": "09:30", "schedule_enabled": True}


def faulty(checked: Task) -> set[str]:
    return {fault.field for fault in faults_of_task(checked)}


@pytest.mark.parametrize("status", TASK_STATUS_VALUES)
def test_task_that_went_through_the_state_machine_is_sound(status: TaskStatus) -> None:
    assert faults_of_task(task(status=status)) == []


VALUES: dict[str, Any] = {"started_at": STARTED, "completed_at": ENDED, "result": {"n": 1}, "error": "x"}
BREAKS = [
    # state, field, whether it is set, whether that is a fault
    *[("pending", name, True, True) for name in VALUES],
    ("in_progress", "started_at", False, True),
    *[("in_progress", name, True, True) for name in ("completed_at", "result", "error")],
    *[("completed", name, False, True) for name in ("started_at", "completed_at")],
    ("completed", "error", True, True),
    ("completed", "result", False, False),
    *[("failed", name, False, True) for name in ("started_at", "completed_at", "error")],
    ("failed", "result", True, True),
    *[("cancelled", name, False, True) for name in ("completed_at", "error")],
    ("cancelled", "result", True, True),
    ("cancelled", "started_at", False, False),
]


@pytest.mark.parametrize(("status", "field", "is_set", "is_fault"), BREAKS)
def test_fields_must_fit_the_status(status: TaskStatus, field: str, is_set: bool, is_fault: bool) -> None:
    broken = task(status=status, **{field: VALUES[field] if is_set else None})
    assert faulty(broken) == ({field} if is_fault else set())


def test_every_rule_of_the_table_is_broken_above() -> None:
    listed = {(status, field) for status, field, _, is_fault in BREAKS if is_fault}
    assert listed == {(status, field) for status, rules in BY_STATUS.items() for field in rules}


@pytest.mark.parametrize(
    ("status", "progress", "is_fault"),
    [("pending", 0.5, True), ("completed", 0.5, True), ("failed", 0.5, False), ("in_progress", 1.0, False)],
)
def test_progress_must_fit_the_status(status: TaskStatus, progress: float, is_fault: bool) -> None:
    assert faulty(task(status=status, progress=progress)) == ({"progress"} if is_fault else set())


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({"started_at": ENDED, "completed_at": STARTED}, {"completed_at"}),
        ({"started_at": "2020-01-01T00:00:00Z"}, {"started_at"}),
        ({"completed_at": "2026-01-01T02:00:02+02:00"}, set()),
        ({"completed_at": "2026-01-01T00:00:02+02:00"}, {"completed_at"}),
        ({"started_at": STARTED, "completed_at": STARTED}, set()),
        ({"completed_at": "yesterday"}, {"completed_at"}),
        ({"last_run_at": "yesterday", "created_at": "2026-01-01"}, {"last_run_at", "created_at"}),
    ],
)
def test_times_follow_each_other(changed: dict[str, Any], faults: set[str]) -> None:  # A38
    assert faulty(task(status="completed", **changed)) == faults


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        (SCHEDULED, set()),
        ({**SCHEDULED, "schedule_type": None}, {"schedule_type"}),
        ({**SCHEDULED, "schedule_expression": None}, {"schedule_expression"}),
        ({"schedule_enabled": True}, {"schedule_type", "schedule_expression"}),
        ({**SCHEDULED, "schedule_expression": "25:00"}, {"schedule_expression"}),
        ({**SCHEDULED, "schedule_expression": "25:00", "schedule_enabled": False}, set()),
        ({"schedule_expression": "25:00"}, set()),
        ({"max_runs": 2, "run_count": 2}, set()),
        ({"max_runs": 2, "run_count": 3}, {"max_runs"}),
        ({"max_runs": 0}, set()),
        ({"next_run_at": NOW, "schedule_end_at": NOW}, set()),
        ({"next_run_at": NOW, "schedule_end_at": ENDED}, {"next_run_at"}),
        ({"next_run_at": None, "schedule_end_at": ENDED}, set()),
    ],
)
def test_schedule_is_consistent(changed: dict[str, Any], faults: set[str]) -> None:  # A47
    assert faulty(task(**changed)) == faults


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({"origin_type": None}, set()),
        ({"origin_type": "create"}, set()),
        ({"origin_type": "copy", "original_task_id": B}, set()),
        ({"origin_type": "link", "original_task_id": B}, set()),
        ({"origin_type": "link"}, {"original_task_id"}),
        ({"origin_type": "archive"}, {"original_task_id"}),
        ({"origin_type": "link", "original_task_id": A}, {"original_task_id"}),
    ],
)
def test_provenance_is_consistent(changed: dict[str, Any], faults: set[str]) -> None:  # A46
    assert faulty(task(**changed)) == faults


def test_fault_names_the_field_by_its_path() -> None:
    (fault,) = faults_of_task(task(result={"n": 1}), at=("tasks", 2))
    assert (fault.path, fault.actual, fault.expected) == (("tasks", 2, "result"), {"n": 1}, None)


@unhurried
@given(statuses, st.sampled_from(["started_at", "completed_at", "result", "error", "max_runs", "schedule_type"]))
def test_absent_fields_count_as_null(status: TaskStatus, field: str) -> None:
    absent = replace(task(status=status), **{field: UNSET})
    assert faulty(absent) == faulty(replace(absent, **{field: None}))
