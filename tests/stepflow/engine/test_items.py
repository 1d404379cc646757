"""Runs of several items: order, limits, results, cancellation, and answers that come when nobody waits."""

from __future__ import annotations

from typing import Any

import pytest
from rig import broken, fails, flow_of, play_flow

from protogen_runtime.stepflow.engine import (
    S1,
    S2,
    Backoff,
    Dialect,
    Effect,
    ItemCompleted,
    NotRunnable,
    Run,
    RunCompleted,
    StartStep,
    StepCompleted,
    StepFailure,
    StopStep,
)
from protogen_runtime.stepflow.engine.plan import Plan
from protogen_runtime.stepflow.flow.model import Success

CHAIN = flow_of([("a", {"$input": "$"}), ("b", {"$step": "a"})], {"$step": "b"})
PAIR = flow_of([("a", 1), ("b", 2)], [{"$step": "a"}, {"$step": "b"}])
EITHER = flow_of([("a", {"$input": "$"}, {"component": "/fail"})], {"$if": {"$input": "$"}, "then": {"$step": "a"}})


def calls(effects: list[Effect]) -> list[tuple[int, str]]:
    return [(it.item, it.step_id) for it in effects if isinstance(it, StartStep)]


LIMITS: list[tuple[str, Any, int, int | None, Dialect, list[tuple[int, str]]]] = [
    ("0.9: one item, one step at a time", PAIR, 1, None, S1, [(0, "a")]),
    ("0.9: two items, two steps", PAIR, 2, None, S1, [(0, "a"), (0, "b")]),
    ("0.9: three items, three steps", PAIR, 3, None, S1, [(0, "a"), (0, "b"), (1, "a")]),
    ("0.11: all at once", PAIR, 2, None, S2, [(0, "a"), (0, "b"), (1, "a"), (1, "b")]),
    ("0.11: all items at once", CHAIN, 3, None, S2, [(0, "a"), (1, "a"), (2, "a")]),
    ("one", PAIR, 3, 1, S2, [(0, "a")]),
    ("two", CHAIN, 3, 2, S1, [(0, "a"), (1, "a")]),
    ("more than there is", PAIR, 1, 10, S1, [(0, "a"), (0, "b")]),
]


@pytest.mark.parametrize(
    ("rule", "flow", "items", "limit", "dialect", "expected"), LIMITS, ids=[row[0] for row in LIMITS]
)
def test_steps_that_start_at_once(
    rule: str, flow: Any, items: int, limit: int | None, dialect: Dialect, expected: list[tuple[int, str]]
) -> None:
    run = Run(flow, [None] * items, max_concurrency=limit, dialect=dialect)
    assert calls(run.begin()) == expected


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(NotRunnable, match=f"maxConcurrency must be at least 1, got {limit}"):
        Run(CHAIN, [None], max_concurrency=limit)


@pytest.mark.parametrize("dialect", [S1, S2])
def test_no_items_are_completed_at_once(dialect: Dialect) -> None:
    run = Run(CHAIN, [], dialect=dialect)
    assert run.begin() == [RunCompleted("completed")]
    assert (run.status, run.results(), run.counts()["total"]) == ("completed", [], 0)


def test_a_started_item_goes_before_a_new_one() -> None:
    run = Run(CHAIN, ["x", "y"], max_concurrency=1)
    assert calls(run.begin()) == [(0, "a")]
    assert calls(run.finished(0, "a", Success(1))) == [(0, "b")]
    assert calls(run.finished(0, "b", Success(2))) == [(1, "a")]


def test_the_earlier_item_and_step_goes_first() -> None:
    run = Run(CHAIN, ["x", "y"], max_concurrency=2)
    assert calls(run.begin()) == [(0, "a"), (1, "a")]
    assert calls(run.finished(1, "a", Success(1))) == [(1, "b")]
    assert calls(run.finished(0, "a", Success(1))) == [(0, "b")]


RESULTS: list[tuple[str, Any, list[Any], list[Any], str]] = [
    ("each item its own", CHAIN, [1, None, "x"], [Success(1), Success(None), Success("x")], "completed"),
    ("one fails, the run fails", EITHER, [False, True], [Success(None), broken("a")], "failed"),
    ("all fail", EITHER, [True, True], [broken("a"), broken("a")], "failed"),
    ("the others go on", EITHER, [True, False, False], [broken("a"), Success(None), Success(None)], "failed"),
    (
        "an output that fails",
        flow_of(output={"$input": "x"}),
        [{"x": 1}, {}],
        [Success(1), fails(1, "Input path $.x not found")],
        "failed",
    ),
    ("nothing to run", flow_of(output=5), [1, 2], [Success(5), Success(5)], "completed"),
]


@pytest.mark.parametrize("limit", [None, 1, 2, 100])
@pytest.mark.parametrize("dialect", [S1, S2], ids=["0.9", "0.11"])
@pytest.mark.parametrize(("rule", "flow", "inputs", "expected", "status"), RESULTS, ids=[row[0] for row in RESULTS])
def test_results_by_index(
    rule: str, flow: Any, inputs: list[Any], expected: list[Any], status: str, dialect: Dialect, limit: int | None
) -> None:
    played = play_flow(flow, inputs, dialect=dialect, max_concurrency=limit)
    if dialect is S1:
        assert played.results == expected
    assert ([type(result) for result in played.results], played.status) == ([type(it) for it in expected], status)


def test_results_by_completion() -> None:
    run = Run(CHAIN, ["x", "y", "z"], dialect=S2)
    run.begin()
    for item in (2, 0):
        run.finished(item, "a", Success(item))
        run.finished(item, "b", Success(item))
    assert run.results("by_completion") == [(2, Success(2)), (0, Success(0)), (1, None)]
    assert run.results() == [(0, Success(0)), (1, None), (2, Success(2))]
    assert run.counts() == {"total": 3, "completed": 2, "running": 1, "failed": 0, "cancelled": 0}


def test_a_result_is_told_before_what_it_starts() -> None:
    run = Run(CHAIN, ["x"])
    run.begin()
    assert run.finished(0, "a", Success(1)) == [StepCompleted(0, "a", Success(1)), StartStep(0, "b", "/echo", 1)]


def test_the_end_of_a_run_is_told_last_and_once() -> None:
    run = Run(CHAIN, ["x"])
    run.begin()
    run.finished(0, "a", Success(1))
    ends = [StepCompleted(0, "b", Success(2)), ItemCompleted(0, Success(2)), RunCompleted("completed")]
    assert run.finished(0, "b", Success(2)) == ends
    assert run.finished(0, "b", Success(2)) == []


def test_cancelling_abandons_calls_and_items() -> None:
    run = Run(CHAIN, ["x", "y", "z"], max_concurrency=2)
    run.begin()
    run.finished(0, "a", Success(1))
    run.finished(0, "b", Success(1))
    assert run.cancel() == [StopStep(1, "a", 1), StopStep(2, "a", 1), RunCompleted("cancelled")]
    assert [run.item_status(index) for index in range(3)] == ["completed", "cancelled", "cancelled"]
    assert run.finished(1, "a", Success(1)) == []
    assert run.cancel() == []
    assert run.status == "cancelled"


def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    run = Run(flow_of(output=1), [None])
    run.begin()
    assert (run.cancel(), run.status) == ([], "completed")


LATE: list[tuple[str, int, str, int | None]] = [
    ("an item that does not exist", 9, "a", None),
    ("a step that does not exist", 0, "z", None),
    ("a step that was not called", 0, "b", None),
    ("an attempt that is over", 0, "a", 1),
    ("an attempt that has not begun", 0, "a", 3),
]


@pytest.mark.parametrize(("rule", "item", "step_id", "attempt"), LATE, ids=[row[0] for row in LATE])
def test_answers_that_nobody_waits_for_change_nothing(rule: str, item: int, step_id: str, attempt: int | None) -> None:
    flow = flow_of([("a", 1, {"onError": {"action": "retry"}}), ("b", {"$step": "a"})], {"$step": "b"})
    run = Run(flow, [None])
    run.begin()
    run.finished(0, "a", StepFailure(1, "again"))
    assert run.finished(item, step_id, Success(5), attempt=attempt) == []
    assert calls(run.finished(0, "a", Success(1), attempt=2)) == [(0, "b")]


def test_states_of_steps() -> None:
    flow = flow_of(
        [("a", 1), ("b", 2), ("c", {"$step": "a"}), ("d", 4), ("e", {"$input": "x"}, {"mustExecute": True})],
        [{"$step": "a"}, {"$step": "b"}, {"$step": "c"}],
    )
    run = Run(flow, [None], max_concurrency=1)
    run.begin()
    assert run.step_states(0) == {"a": "running", "b": "runnable", "c": "blocked", "d": "blocked", "e": "runnable"}
    run.finished(0, "a", Success(1))
    run.finished(0, "b", Success(1))
    run.finished(0, "c", Success(1))
    assert run.step_states(0) == {}
    assert run.item_status(0) == "completed"


def test_calls_that_are_out_are_asked_for_again_as_the_next_attempt() -> None:
    run = Run(CHAIN, ["x", "y"], max_concurrency=2)
    run.begin()
    assert run.again() == [StartStep(0, "a", "/echo", "x", 2), StartStep(1, "a", "/echo", "y", 2)]
    assert run.finished(0, "a", Success(1), attempt=1) == []
    assert calls(run.finished(0, "a", Success(1), attempt=2)) == [(0, "b")]


def test_runs_share_a_plan() -> None:
    plan = Plan(CHAIN, S1)
    for value in ("x", "y"):
        assert play_flow(plan, [value]).results == [Success(value)]  # type: ignore[arg-type]  # a plan stands for its flow
    changed = Run(plan, ["x"], overrides={"a": {"value": {"input": 5}}})
    assert changed.begin() == [StartStep(0, "a", "/echo", 5)]


PAUSES: list[tuple[Backoff, list[float]]] = [
    (Backoff(), [1, 1, 2, 3, 5, 8, 10, 10]),
    (Backoff(first=2.0, longest=5.0), [2, 2, 4, 5, 5]),
    (Backoff(grows="exponential"), [1, 2, 4, 8, 10]),
    (Backoff(grows="constant", first=3.0), [3, 3, 3]),
    (Backoff(grows="constant", first=30.0), [10, 10]),
]


@pytest.mark.parametrize(("backoff", "expected"), PAUSES)
def test_pauses_grow_up_to_a_limit(backoff: Backoff, expected: list[float]) -> None:
    assert [backoff.seconds(retry) for retry in range(1, len(expected) + 1)] == expected
    assert backoff.seconds(10_000) == expected[-1]


def test_a_flow_of_ten_thousand_steps_needs_no_depth() -> None:
    chain = [
        ("s0", 0),
        *((f"s{i}", {"$if": {"$step": f"s{i - 1}"}, "then": {"$step": f"s{i - 1}"}}) for i in range(1, 10_000)),
    ]
    assert play_flow(flow_of(chain, {"$step": "s9999"})).results == [Success(0)]
