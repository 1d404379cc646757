"""Links, copies and archives."""

from __future__ import annotations

from typing import Any

import pytest
from apflow_protocol import TaskStatus
from rule_cases import ENDED, NOW, STARTED, A, B, task

from protogen_runtime.apflow.rules import provenance
from protogen_runtime.apflow.rules.faults import RuleBroken


@pytest.mark.parametrize("origin", ["link", "archive"])
@pytest.mark.parametrize("status", ["pending", "in_progress", "failed", "cancelled", None])
def test_source_of_a_link_or_an_archive_must_be_completed(origin: str, status: TaskStatus | None) -> None:  # A46
    made = task(origin_type=origin, original_task_id=B)
    stored = {B: task(B, status)} if status else {}
    with pytest.raises(RuleBroken) as found:
        provenance.check_origin(made, stored.get, at=("tasks", 1))
    assert found.value.error == "InvalidTaskSchema"
    assert found.value.data["path"] == ["tasks", 1, "original_task_id"]
    assert found.value.data["reason"] == (f"The source is {status}" if status else "No such task")


@pytest.mark.parametrize("origin", ["link", "archive"])
def test_completed_source_is_good(origin: str) -> None:
    provenance.check_origin(task(origin_type=origin, original_task_id=B), {B: task(B, "completed")}.get)


@pytest.mark.parametrize("fields", [{}, {"origin_type": "create"}, {"origin_type": "copy", "original_task_id": B}])
def test_other_origins_need_no_completed_source(fields: dict[str, Any]) -> None:  # A46
    provenance.check_origin(task(**fields), {B: task(B)}.get)


def test_archive_is_never_changed() -> None:  # A46
    with pytest.raises(RuleBroken) as found:
        provenance.check_changeable(task(origin_type="archive", original_task_id=B))
    assert (found.value.error, found.value.data["task_id"]) == ("InvalidTaskSchema", A)


@pytest.mark.parametrize("origin", [None, "create", "link", "copy"])
def test_other_tasks_can_be_changed(origin: str | None) -> None:
    provenance.check_changeable(task(origin_type=origin))


def test_source_is_marked_once_and_otherwise_unchanged() -> None:  # A23
    source = task(status="completed")
    marked = provenance.referenced(source, now=NOW)
    assert marked == task(status="completed", has_references=True, updated_at=NOW)
    assert provenance.referenced(marked, now=NOW) is marked


def test_mark_does_not_take_a_task_back_in_time() -> None:
    assert provenance.referenced(task(status="completed"), now=STARTED).updated_at == ENDED
