"""What a caller may change of a stored task."""

from __future__ import annotations

from typing import Any

import pytest
from apflow_protocol import CODEC, TASK_STATUS_VALUES, Task, TaskStatus, TaskUpdates
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict
from rule_cases import ENDED, NOW, STARTED, A, B, C, D, needs, statuses, task, unhurried

from protogen_runtime.apflow.rules import transitions
from protogen_runtime.apflow.rules.consistency import faults_of_task
from protogen_runtime.apflow.rules.faults import RuleBroken
from protogen_runtime.apflow.rules.updates import BY_CALLER, apply_updates, updates_of

OTHERS = {B: task(B), C: task(C, parent_id=A), D: task(D, "completed")}


def updated(before: Task, updates: dict[str, Any], now: str = NOW) -> Task:
    stored = {**OTHERS, before.id: before}
    return apply_updates(before, CODEC.from_json("TaskUpdates", updates), now=now, find=stored.get)


def difference(before: Task, after: Task) -> dict[str, Any]:
    old = asdict(before)
    return {name: value for name, value in asdict(after).items() if value != old[name]}


def refused(before: Task, updates: dict[str, Any]) -> RuleBroken:
    kept = asdict(before)
    with pytest.raises(RuleBroken) as found:
        updated(before, updates)
    assert asdict(before) == kept
    return found.value


@pytest.mark.parametrize("status", TASK_STATUS_VALUES)
@pytest.mark.parametrize("updates", [{}, {"name": "a task"}, {"priority": 2, "inputs": {}, "dependencies": []}])
def test_nothing_changed_is_the_same_task(status: TaskStatus, updates: dict[str, Any]) -> None:  # A54
    before = task(status=status)
    assert updated(before, updates) is before


@pytest.mark.parametrize(
    ("updates", "changed"),
    [
        ({"name": "new"}, {"name": "new"}),
        ({"priority": 0, "params": {"a": 1}}, {"priority": 0, "params": {"a": 1}}),
        ({"inputs": {"n": True}}, {"inputs": {"n": True}}),
        ({"parent_id": B}, {"parent_id": B}),
        ({"user_id": "u"}, {"user_id": "u"}),
        ({"dependencies": [{"id": B.upper()}]}, {"dependencies": needs(B)}),
        ({"x-note": 1}, {"extra": {"x-note": 1}}),
        ({"origin_type": "link", "original_task_id": D}, {"origin_type": "link", "original_task_id": D}),
        ({"max_runs": 5}, {"max_runs": 5}),
    ],
)
def test_these_fields_change_and_no_other(updates: dict[str, Any], changed: dict[str, Any]) -> None:
    assert difference(task(), updated(task(), updates)) == {**changed, "updated_at": NOW}


def test_unknown_member_that_is_there_changes_nothing() -> None:
    before = task(extra={"a": 1, "b": 2})
    assert updated(before, {"b": 2}) is before


def test_true_is_not_one() -> None:
    assert updated(task(inputs={"n": 1}), {"inputs": {"n": True}}).inputs == {"n": True}


def test_value_that_is_too_deep_to_compare_counts_as_new() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    after = apply_updates(task(), TaskUpdates(inputs={"deep": deep}), now=NOW, find=OTHERS.get)
    assert after.updated_at == NOW


def test_unknown_members_are_added_to_those_there_are() -> None:  # A52
    assert updated(task(extra={"a": 1, "b": 2}), {"b": 3}).extra == {"a": 1, "b": 3}


def test_clock_that_goes_back_does_not_take_the_task_along() -> None:
    assert updated(task(status="completed"), {"name": "new"}, now=STARTED).updated_at == ENDED


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("current", TASK_STATUS_VALUES)
@pytest.mark.parametrize("to", TASK_STATUS_VALUES)
def test_caller_may_only_cancel_and_reset_what_failed(current: TaskStatus, to: TaskStatus) -> None:  # A19, A29
    before = task(status=current)
    if (current, to) in BY_CALLER:
        assert updated(before, {"status": to}).status == to
        return
    broken = refused(before, {"status": to, "name": "new"})
    assert broken.error == "InvalidStateTransition"
    assert (broken.data["current_status"], broken.data["attempted_transition"]) == (current, f"{current} -> {to}")


def test_callers_transitions_are_in_the_table() -> None:
    assert {to for one, to in BY_CALLER if to not in transitions.TABLE[one]} == set()


def test_update_to_pending_is_the_reset() -> None:  # A18, A21
    before = task(status="failed", progress=0.5)
    assert updated(before, {"status": "pending"}) == transitions.reset(before, now=NOW)


def test_whole_task_sent_back_reset_to_pending_is_accepted() -> None:  # A21
    before = task(status="failed", progress=0.5)
    whole = {**asdict(task()), "status": "pending", "created_at": before.created_at, "name": "new", "updated_at": ENDED}
    del whole["extra"]
    assert updated(before, whole).name == "new"


@pytest.mark.parametrize(("updates", "message"), [({}, "Cancelled"), ({"error": "enough"}, "enough")])
def test_update_to_cancelled_cancels_with_the_message(updates: dict[str, Any], message: str) -> None:  # A25
    after = updated(task(status="in_progress"), {"status": "cancelled", **updates})
    assert after == transitions.cancel(task(status="in_progress"), now=NOW, error=message)


def test_state_and_fields_change_together() -> None:
    after = updated(task(status="failed"), {"status": "pending", "inputs": {"n": 2}})
    assert (after.status, after.inputs, after.error) == ("pending", {"n": 2}, None)


# --- what never changes ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", TASK_STATUS_VALUES)
def test_id_never_changes(status: TaskStatus) -> None:  # A29
    broken = refused(task(status=status), {"id": B})
    assert broken.error == ("TaskAlreadyExecuting" if status == "in_progress" else "InvalidTaskSchema")
    assert updated(task(status=status), {"id": A.upper()}) == task(status=status)


@pytest.mark.parametrize(
    "updates",
    [
        {"parent_id": B},
        {"user_id": "other"},
        {"inputs": {"n": 5}},
        {"schemas": {"method": "other"}},
        {"params": {}},
        {"dependencies": [{"id": B}]},
    ],
)
def test_place_owner_and_work_stay_while_a_task_executes(updates: dict[str, Any]) -> None:  # A29
    broken = refused(task(status="in_progress"), updates)
    assert (broken.error, broken.data["task_id"]) == ("TaskAlreadyExecuting", A)


def test_other_fields_change_while_a_task_executes() -> None:
    after = updated(task(status="in_progress"), {"name": "new", "priority": 0, "parent_id": None})
    assert (after.name, after.priority, after.status) == ("new", 0, "in_progress")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created_at", "2020-01-01T00:00:00Z"),
        ("updated_at", "2020-01-01T00:00:00Z"),
        ("started_at", NOW),
        ("completed_at", NOW),
        ("result", {}),
        ("error", "x"),
        ("progress", 0.5),
        ("has_references", True),
        ("next_run_at", NOW),
        ("last_run_at", NOW),
        ("run_count", 1),
    ],
)
def test_what_a_node_sets_cannot_be_written(field: str, value: Any) -> None:  # A29
    broken = refused(task(), {field: value, "name": "new"})
    assert broken.error == "InvalidTaskSchema"
    assert (broken.data["field"], broken.data["path"]) == (field, ["updates", field])


def test_what_a_node_sets_may_be_sent_back_as_it_is() -> None:
    before = task(status="completed")
    whole = asdict(before)
    del whole["extra"], whole["status"]
    assert updated(before, {**whole, "name": "new", "progress": 1}).name == "new"


@pytest.mark.parametrize("updates", [{"name": "new"}, {"x-note": 1}, {"status": "cancelled"}])
def test_archive_cannot_be_updated(updates: dict[str, Any]) -> None:  # A46
    archive = task(origin_type="archive", original_task_id=D)
    assert refused(archive, updates).error == "InvalidTaskSchema"
    assert updated(archive, {}) is archive


# --- whether the changed task is sound ------------------------------------------------------------


@pytest.mark.parametrize(
    ("updates", "error", "faults"),
    [
        ({"progress": 2, "has_references": "x"}, "InvalidTaskSchema", {"progress", "has_references"}),
        ({"schedule_end_at": "yesterday"}, "InvalidTaskSchema", {"schedule_end_at"}),
        ({"schedule_enabled": True}, "InvalidTaskSchema", {"schedule_type", "schedule_expression"}),
        ({"origin_type": "link", "original_task_id": B}, "InvalidTaskSchema", {"original_task_id"}),
        ({"parent_id": "00000001-0000-4000-8000-000000000000"}, "InvalidParentReference", {"parent_id"}),
        ({"parent_id": C}, "InvalidParentReference", {"parent_id"}),
        ({"parent_id": A}, "InvalidParentReference", {"parent_id"}),
        (
            {"dependencies": [{"id": "00000001-0000-4000-8000-000000000000"}]},
            "InvalidDependencyReference",
            {"dependencies[0].id"},
        ),
    ],
)
def test_unsound_update_is_refused_as_a_whole(updates: dict[str, Any], error: str, faults: set[str]) -> None:  # A9
    broken = refused(task(), {**updates, "name": "new"})
    listed = broken.data.get("errors", [broken.data])
    assert (broken.error, {fault["field"] for fault in listed}) == (error, faults)
    assert {fault["path"][0] for fault in listed} == {"updates"}


def test_update_that_closes_a_circle_is_refused() -> None:
    before = task()
    stored = {A: before, B: task(B, dependencies=needs(A))}
    with pytest.raises(RuleBroken) as found:
        apply_updates(before, CODEC.from_json("TaskUpdates", {"dependencies": [{"id": B}]}), now=NOW, find=stored.get)
    assert (found.value.error, found.value.data) == ("CircularDependency", {"cycle": [A, B, A]})


def test_fewer_runs_than_there_were_are_refused() -> None:
    assert refused(task(run_count=3), {"max_runs": 2}).data["field"] == "max_runs"


def test_schedule_that_changes_is_planned_anew() -> None:  # A47
    after = updated(task(), {"schedule_type": "daily", "schedule_expression": "09:30", "schedule_enabled": True})
    assert after.next_run_at == "2026-01-01T09:30:00.000000Z"
    assert updated(after, {"name": "new"}).next_run_at == after.next_run_at
    assert updated(after, {"schedule_enabled": False}).next_run_at is None
    assert updated(after, {"schedule_end_at": NOW}).next_run_at is None


# --- execution of a stored task -------------------------------------------------------------------


def test_task_that_is_executed_again_may_be_changed_by_what_is_sent() -> None:  # A21, A55
    sent = CODEC.from_json("TaskInput", {"id": A, "name": "new", "inputs": {"n": 2}, "status": "failed", "x-note": 1})
    assert CODEC.encode(updates_of(sent)) == CODEC.encode(
        CODEC.from_json("TaskUpdates", {"name": "new", "inputs": {"n": 2}, "x-note": 1})
    )


def test_execution_by_id_and_name_keeps_the_definition() -> None:
    before = task(inputs={"n": 1}, dependencies=needs(B))
    sent = CODEC.from_json("TaskInput", {"id": A, "name": "a task"})
    assert apply_updates(before, updates_of(sent), now=NOW, find=OTHERS.get) is before


changes = st.fixed_dictionaries(
    {},
    optional={
        "status": statuses,
        "name": st.sampled_from(["a task", "new"]),
        "parent_id": st.sampled_from([None, A, B, C]),
        "priority": st.integers(0, 3),
        "dependencies": st.lists(st.sampled_from([{"id": A}, {"id": B}, {"id": D}])),
        "schedule_type": st.sampled_from([None, "daily", "interval"]),
        "schedule_expression": st.sampled_from([None, "09:30", "60"]),
        "schedule_enabled": st.booleans(),
        "schedule_end_at": st.sampled_from([None, ENDED, "2030-01-01T00:00:00Z"]),
        "max_runs": st.sampled_from([None, 0, 1]),
        "origin_type": st.sampled_from([None, "create", "link", "copy"]),
        "original_task_id": st.sampled_from([None, A, B, D]),
        "progress": st.sampled_from([0.0, 1.0, 2.0]),
        "error": st.sampled_from([None, "x"]),
    },
)


@unhurried
@given(statuses, st.lists(changes, max_size=4))
def test_whatever_is_updated_the_task_stays_sound(status: TaskStatus, many: list[dict[str, Any]]) -> None:
    current = task(status=status)
    for updates in many:
        try:
            after = updated(current, updates)
        except RuleBroken:
            continue
        assert faults_of_task(after) == []
        assert after.id == current.id
        assert after.status == current.status or (current.status, after.status) in BY_CALLER
        current = after
