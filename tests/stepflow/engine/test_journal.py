"""The journal: what is in it, what a restart makes of it, and what is no journal."""

from __future__ import annotations

from typing import Any

import pytest
from rig import flow_of

from protogen_runtime.stepflow.engine import S1, S2, Run, StartStep, StepFailure, journal
from protogen_runtime.stepflow.engine.journal import JournalDamaged
from protogen_runtime.stepflow.engine.plan import Plan
from protogen_runtime.stepflow.flow.model import Success

CHAIN = flow_of([("a", {"$input": "$"}), ("b", {"$step": "a"})], {"$step": "b"})
FLOWS = {"f": CHAIN}.__getitem__
BEGUN = journal.begun("f", ["x"], dialect=S1)
A = journal.finished(0, "a", Success(1), attempt=1)
B = journal.finished(0, "b", Success(2), attempt=1)

RESTARTS: list[tuple[str, list[bytes], list[StartStep], str]] = [
    ("nothing was recorded", [BEGUN], [StartStep(0, "a", "/echo", "x", 2)], "running"),
    ("a second restart", [BEGUN, journal.resumed()], [StartStep(0, "a", "/echo", "x", 3)], "running"),
    ("a step was recorded", [BEGUN, A], [StartStep(0, "b", "/echo", 1, 2)], "running"),
    ("both were", [BEGUN, A, B], [], "completed"),
    ("one was recorded twice", [BEGUN, A, A], [StartStep(0, "b", "/echo", 1, 2)], "running"),
    ("an attempt that was over", [BEGUN, journal.resumed(), A], [StartStep(0, "a", "/echo", "x", 3)], "running"),
    ("it was cancelled", [BEGUN, A, journal.cancelled()], [], "cancelled"),
    ("it was cancelled at its end", [BEGUN, A, B, journal.cancelled()], [], "completed"),
]


@pytest.mark.parametrize(("what", "entries", "calls", "status"), RESTARTS, ids=[row[0] for row in RESTARTS])
def test_restarts(what: str, entries: list[bytes], calls: list[StartStep], status: str) -> None:
    run, effects = journal.resume(entries, FLOWS)
    assert (effects, run.status) == (calls, status)


def test_a_failure_and_its_retries_are_kept() -> None:
    flow = flow_of([("a", 1, {"onError": {"action": "retry", "maxRetries": 2}})], {"$step": "a"})
    failure = StepFailure(-32100, "no", {"why": [1]})
    entries = [journal.begun("f", [None], dialect=S2)]
    entries += [journal.finished(0, "a", failure, attempt=attempt) for attempt in (1, 2)]
    run, effects = journal.resume(entries, lambda _: flow)
    assert effects == [StartStep(0, "a", "/echo", 1, 4)]
    run.finished(0, "a", failure, attempt=4)
    assert run.status == "failed"


def test_all_that_a_run_was_given_is_kept() -> None:
    flow = flow_of([("a", {"v": {"$variable": "v"}, "i": {"$input": "$"}})], {"$step": "a"})
    given: dict[str, Any] = {
        "variables": {"v": 2**60, "w": None},
        "overrides": {"a": {"value": {"component": "/null"}}},
        "max_concurrency": 1,
        "dialect": S2,
    }
    inputs = [{"x": [1.5, "é", None]}, 2]
    run, _ = journal.resume([journal.begun("f", inputs, **given)], lambda _: Plan(flow, S2))
    assert run.begin() == []
    assert run.again() == [StartStep(0, "a", "/null", {"v": 2**60, "i": inputs[0]}, 3)]
    assert (run.dialect, run.max_concurrency) == (S2, 1)


def test_results_of_every_kind_are_kept() -> None:
    value = {
        "n": None,
        "i": -(2**63),
        "u": 2**64 - 1,
        "f": -0.0,
        "h": 10**30,
        "e": 1e300,
        "s": "\x00😀",
        "l": [[], {}],
        "b": True,
    }
    run, _ = journal.resume([BEGUN, journal.finished(0, "a", Success(value), attempt=1)], FLOWS)
    run.finished(0, "b", Success(value))
    assert run.results() == [(0, Success(value))]
    assert str(value) == str(run.results()[0][1].result)  # type: ignore[union-attr]  # it succeeded, as asserted above


DAMAGED: list[tuple[str, list[bytes], str]] = [
    ("empty", [], "the journal is empty"),
    ("no beginning", [A], "the first entry of a journal is the beginning"),
    ("two beginnings", [BEGUN, BEGUN], "entry 1 begins the run a second time"),
    ("rubbish", [b"rubbish"], "not an entry of a journal"),
    ("cut off", [BEGUN[:-1]], "not an entry of a journal"),
    ("another kind", [b'{"is":"other"}'], "not an entry of a journal"),
]


@pytest.mark.parametrize(("what", "entries", "message"), DAMAGED, ids=[row[0] for row in DAMAGED])
def test_damaged_journals_are_refused(what: str, entries: list[bytes], message: str) -> None:
    with pytest.raises(JournalDamaged, match=message):
        journal.resume(entries, FLOWS)


def test_resuming_is_what_calling_again_does() -> None:
    run = Run(CHAIN, ["x"])
    run.begin()
    run.finished(0, "a", Success(1))
    resumed, _ = journal.resume([BEGUN, A], FLOWS)
    assert run.again() == [StartStep(0, "b", "/echo", 1, 2)]
    assert resumed.step_states(0) == run.step_states(0)
