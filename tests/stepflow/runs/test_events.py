"""Events: the same ones whenever they are read, and no reader holds anything up."""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing
from runs_rig import ECHO, HOLD, Parts, flow, opened, results, running, started, told

from protogen_runtime.stepflow.flow.model import Success
from protogen_runtime.stepflow.runs import Limits
from protogen_runtime.stepflow.runs.contract import Invalid, RunEvent

TREE = flow(("a", "/echo"), ("b", "/now", {"$step": "a"}), ("c", "/hold", {"$step": "b"}))


def short(events: list[RunEvent]) -> list[tuple[Any, ...]]:
    """Kind, item and step of events."""
    return [tuple(it for it in (e.kind, e.item_index, e.step_id) if isinstance(it, str | int)) for e in events]


WHOLE = [
    ("run_started",),
    ("step_started", 0, "a"),
    ("step_completed", 0, "a"),
    ("step_started", 0, "b"),
    ("step_completed", 0, "b"),
    ("step_started", 0, "c"),
    ("step_completed", 0, "c"),
    ("item_completed", 0),
    ("run_completed",),
]


def test_live_events_are_those_that_are_read_again() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts) as runs:
            run_id = await started(runs, TREE, [1])
            feed = await runs.events(run_id)
            await parts.until_holding(1)
            late = await runs.events(run_id, after=4)
            parts.let_go()
            live = [event async for event in feed]
            assert short(live) == WHOLE
            assert [event.sequence for event in live] == list(range(1, 10))
            assert [event async for event in late] == live[4:]
            assert await told(runs, run_id) == live
            assert await told(runs, run_id, after=7) == live[7:]
            assert await told(runs, run_id, after=99) == []
            assert live[-2].result == Success(1)
            assert not feed.dropped

    running(scenario)


def test_a_feed_may_begin_behind_what_has_been() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts) as runs:
            run_id = await started(runs, TREE, [1])
            await parts.until_holding(1)
            feed = await runs.events(run_id, after=8)
            parts.let_go()
            assert [event.sequence async for event in feed] == [9]
            with pytest.raises(Invalid):
                await runs.events(run_id, after=-1)

    running(scenario)


def test_a_reader_that_is_too_slow_is_dropped_and_can_begin_anew() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts, limits=Limits(feed_events=5)) as runs:
            run_id = await started(runs, HOLD, range(20), max_concurrency=1)
            feed = await runs.events(run_id)
            parts.let_go()
            await results(runs, run_id)
            seen = [event.sequence async for event in feed]
            assert feed.dropped
            rest = await told(runs, run_id, after=seen[-1])
            assert [*seen, *(event.sequence for event in rest)] == list(range(1, 63))

    running(scenario)


def test_events_of_a_run_that_waits_for_its_turn_come_when_it_begins() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts, limits=Limits(active_runs=1)) as runs:
            await started(runs, HOLD, [1])
            waiting = await started(runs, ECHO, [2])
            feed = await runs.events(waiting)
            await trio.testing.wait_all_tasks_blocked()
            parts.let_go()
            kinds = [event.kind async for event in feed]
            assert kinds == ["run_started", "step_started", "step_completed", "item_completed", "run_completed"]
            assert [event.kind for event in await told(runs, waiting)] == kinds

    running(scenario)
