"""The state machine: what is allowed, and what each transition does."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from apflow_protocol import TASK_STATUS_VALUES, TaskStatus
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace
from rule_cases import CREATED, ENDED, NOW, STARTED, A, statuses, task, unhurried

from protogen_runtime.apflow.rules import transitions
from protogen_runtime.apflow.rules.consistency import faults_of_task
from protogen_runtime.apflow.rules.faults import RuleBroken

ALLOWED = {
    ("pending", "in_progress"),
    ("pending", "cancelled"),
    ("in_progress", "completed"),
    ("in_progress", "failed"),
    ("in_progress", "cancelled"),
    ("failed", "pending"),
}

MOVES: dict[TaskStatus, Any] = {
    "in_progress": lambda it: transitions.start(it, now=NOW),
    "completed": lambda it: transitions.complete(it, now=NOW, result={}),
    "failed": lambda it: transitions.fail(it, now=NOW, error="it broke"),
    "cancelled": lambda it: transitions.cancel(it, now=NOW, error="no more"),
}


def difference(before: Any, after: Any) -> dict[str, Any]:
    old = asdict(before)
    return {name: value for name, value in asdict(after).items() if value != old[name]}


@pytest.mark.parametrize(("current", "to"), list(product(TASK_STATUS_VALUES, repeat=2)))
def test_only_the_six_transitions_are_allowed(current: TaskStatus, to: TaskStatus) -> None:
    if (current, to) in ALLOWED:
        transitions.check_transition(task(status=current), to)
        return
    with pytest.raises(RuleBroken) as found:
        transitions.check_transition(task(status=current), to)
    assert found.value.error == "InvalidStateTransition"
    data = found.value.data
    assert (data["task_id"], data["current_status"]) == (A, current)
    assert data["attempted_transition"] == f"{current} -> {to}"
    assert data["reason"]


@pytest.mark.parametrize(
    ("current", "to", "reason"),
    [
        ("completed", "in_progress", "completed is terminal"),
        ("cancelled", "pending", "cancelled is terminal"),
        ("pending", "pending", "the task is pending already"),
        ("completed", "completed", "the task is completed already"),
        ("pending", "completed", "a task that is pending can only become cancelled or in_progress"),
        ("failed", "in_progress", "a task that is failed can only become pending"),
    ],
)
def test_refusal_says_why(current: TaskStatus, to: TaskStatus, reason: str) -> None:
    with pytest.raises(RuleBroken) as found:
        transitions.check_transition(task(status=current), to)
    assert found.value.data["reason"] == reason


@pytest.mark.parametrize(("current", "to"), list(product(TASK_STATUS_VALUES, MOVES)))
def test_each_move_obeys_the_table(current: TaskStatus, to: TaskStatus) -> None:
    before = task(status=current)
    if (current, to) in ALLOWED:
        assert MOVES[to](before).status == to
        return
    with pytest.raises(RuleBroken, match="InvalidStateTransition"):
        MOVES[to](before)


def test_effects_are_given_for_exactly_the_transitions_of_the_table() -> None:
    assert transitions.EFFECTS.keys() == {(one, to) for one, many in transitions.TABLE.items() for to in many}
    assert transitions.EFFECTS.keys() == ALLOWED


@pytest.mark.parametrize(
    ("before", "move", "changed"),
    [
        (task(), "in_progress", {"status": "in_progress", "started_at": NOW, "updated_at": NOW}),
        (
            task(),
            "cancelled",
            {"status": "cancelled", "error": "no more", "completed_at": NOW, "updated_at": NOW},
        ),
        (
            task(status="in_progress", progress=0.4),
            "completed",
            {"status": "completed", "result": {}, "progress": 1.0, "completed_at": NOW, "updated_at": NOW},
        ),
        (
            task(status="in_progress", progress=0.4),
            "failed",
            {"status": "failed", "error": "it broke", "completed_at": NOW, "updated_at": NOW},
        ),
        (
            task(status="in_progress", progress=0.4),
            "cancelled",
            {"status": "cancelled", "error": "no more", "completed_at": NOW, "updated_at": NOW},
        ),
    ],
)
def test_transition_changes_these_fields_and_no_other(before: Any, move: TaskStatus, changed: dict[str, Any]) -> None:
    assert difference(before, MOVES[move](before)) == changed


def test_task_cancelled_before_it_ran_has_no_start_and_no_progress() -> None:  # A48
    cancelled = transitions.cancel(task(), now=NOW)
    assert (cancelled.started_at, cancelled.progress, cancelled.result) == (None, 0.0, None)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_task_that_has_ended_is_not_cancelled(status: TaskStatus) -> None:  # A26
    with pytest.raises(RuleBroken) as found:
        transitions.cancel(task(status=status), now=NOW)
    assert (found.value.error, found.value.data["current_status"]) == ("InvalidStateTransition", status)


@pytest.mark.parametrize("message", [None, ""])
def test_cancellation_without_a_message_gets_one(message: str | None) -> None:  # A25
    assert transitions.cancel(task(), now=NOW, error=message).error == "Cancelled"


def test_failure_without_a_message_gets_one() -> None:
    assert transitions.fail(task(status="in_progress"), now=NOW, error="").error


@pytest.mark.parametrize("status", ["failed", "completed", "cancelled"])
def test_reset_brings_an_ended_task_back_with_nothing_of_its_run(status: TaskStatus) -> None:  # A18, A19
    before = task(status=status, priority=0, inputs={"n": 1})
    after = transitions.reset(before, now=NOW)
    assert after == replace(task(priority=0, inputs={"n": 1}), updated_at=NOW)
    assert after.created_at == CREATED


def test_reset_leaves_a_pending_task_as_it_is() -> None:
    before = task()
    assert transitions.reset(before, now=NOW) is before


def test_reset_of_a_running_task_is_refused() -> None:  # A55
    with pytest.raises(RuleBroken) as found:
        transitions.reset(task(status="in_progress"), now=NOW)
    assert found.value.error == "TaskAlreadyExecuting"
    assert found.value.data["task_id"] == A


@pytest.mark.parametrize(
    ("reported", "kept"),
    [(0, 0.0), (0.5, 0.5), (1, 1.0), (-1.0, 0.0), (7.5, 1.0), (math.nan, 0.0), (math.inf, 1.0), (-math.inf, 0.0)],
)
def test_progress_stays_between_zero_and_one(reported: float, kept: float) -> None:
    after = transitions.advance(task(status="in_progress"), now=NOW, progress=reported)
    assert (after.progress, after.updated_at, type(after.progress)) == (kept, NOW, float)


@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
def test_only_a_task_in_progress_makes_progress(status: TaskStatus) -> None:
    with pytest.raises(RuleBroken, match="InvalidStateTransition"):
        transitions.advance(task(status=status), now=NOW, progress=0.5)


def test_clock_that_goes_back_never_completes_a_task_before_it_started() -> None:
    started = transitions.start(task(), now=ENDED)
    failed = transitions.fail(started, now=STARTED, error="x")
    assert (failed.started_at, failed.completed_at, failed.updated_at) == (ENDED, ENDED, ENDED)


def test_tasks_are_values() -> None:
    before = task()
    transitions.start(before, now=NOW)
    assert before == task()


@unhurried
@given(
    st.lists(st.tuples(st.sampled_from([*MOVES, "pending"]), st.integers(0, 5), st.floats(0, 1))),
)
def test_whatever_happens_the_fields_fit_the_status(steps: list[tuple[TaskStatus, int, float]]) -> None:
    current = task()
    for to, second, fraction in steps:
        now = f"2026-01-01T00:00:0{second}.000000Z"
        try:
            match to:
                case "pending":
                    current = transitions.reset(current, now=now)
                case "in_progress":
                    current = transitions.start(current, now=now)
                    current = transitions.advance(current, now=now, progress=fraction)
                case "completed":
                    current = transitions.complete(current, now=now, result={})
                case "failed":
                    current = transitions.fail(current, now=now, error="x")
                case "cancelled":
                    current = transitions.cancel(current, now=now)
        except RuleBroken:
            continue
        assert faults_of_task(current) == []


@unhurried
@given(statuses)
def test_terminal_states_are_those_without_a_way_on_but_for_another_try(status: TaskStatus) -> None:
    is_final = transitions.TABLE[status] <= {"pending"}
    assert (status in transitions.TERMINAL) == is_final
