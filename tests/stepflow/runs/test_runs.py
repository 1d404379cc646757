"""Runs: what they come to, and what can be seen and done meanwhile."""

from __future__ import annotations

import itertools
import re
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from runs_rig import ECHO, HOLD, NOW, Parts, flow, opened, outcome, results, running, started, stored, told

from protogen_runtime.stepflow.engine import S2
from protogen_runtime.stepflow.flow.model import Success
from protogen_runtime.stepflow.plugins.contract import StepContext, StepFailed
from protogen_runtime.stepflow.runs import Limits, paging
from protogen_runtime.stepflow.runs.contract import (
    Busy,
    Conflict,
    Invalid,
    ItemCounts,
    NotFound,
    Refused,
    RunFilter,
    SubmitRun,
    TooLarge,
)

UNKNOWN = "01900000-0000-7000-8000-000000000000"


# --- what runs come to ------------------------------------------------------------------------------------

OUTCOMES: list[tuple[str, Any, list[Any], dict[str, Any], list[Any]]] = [
    ("one step", ECHO, [{"a": 1}], {}, [{"a": 1}]),
    ("a step that only computes", NOW, [{"a": 1}], {}, [{"a": 1}]),
    ("no step", flow(), [5], {}, [5]),
    ("no items", ECHO, [], {}, []),
    ("items in their order", ECHO, [1, 2, 3], {}, [1, 2, 3]),
    ("more items than are read at once", NOW, list(range(300)), {}, list(range(300))),
    ("steps one after the other", flow(("a", "/echo"), ("b", "/now", {"got": {"$step": "a"}})), [1], {}, [{"got": 1}]),
    (
        "a step that is needed only now",
        flow(("a", "/echo"), ("b", "/echo"), output={"$if": {"$step": "a"}, "then": {"$step": "b"}}),
        [1],
        {},
        [1],
    ),
    (
        "a failure",
        flow(("s", "/fail")),
        [1],
        {},
        [("failed", 500, 'step "s" failed')],
    ),
    (
        "a failure with a default",
        flow(("s", "/fail", 1, {"onError": {"action": "useDefault", "defaultValue": 7}})),
        [1],
        {},
        [7],
    ),
    (
        "a variable",
        flow(("s", "/echo", {"$variable": "v"})),
        [1],
        {"variables": {"v": "given"}},
        ["given"],
    ),
    ("an override", ECHO, [1], {"overrides": {"s": {"value": {"input": "changed"}}}}, ["changed"]),
    ("an override in the form of 0.11", ECHO, [1], {"overrides": {"steps": {"s": {"value": {"input": 2}}}}}, [2]),
]


@pytest.mark.parametrize(
    ("tree", "inputs", "options", "expected"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
def test_runs_come_to(tree: Any, inputs: list[Any], options: dict[str, Any], expected: list[Any]) -> None:
    async def scenario() -> None:
        async with opened() as runs:
            assert await outcome(runs, tree, inputs, **options) == expected

    running(scenario)


def test_a_run_is_described_by_its_summary_details_items_and_steps() -> None:
    async def scenario() -> None:
        tree = flow(
            ("a", "/echo"), ("b", "/fail"), ("never", "/echo"), output=[{"$step": "a"}, {"$step": "b"}], name="n"
        )
        async with opened() as runs:
            run_id = await started(runs, tree, [1, 2], variables={"v": 1}, overrides={"a": {"value": {"input": 3}}})
            summary = await runs.wait(run_id)
            assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", run_id)
            assert (summary.run_id, summary.root_run_id, summary.flow_name) == (run_id, run_id, "n")
            assert (summary.status, summary.items) == ("failed", ItemCounts(total=2, failed=2))
            assert summary == await runs.summary(run_id) == (await runs.list_runs(RunFilter()))[0]
            details = await runs.details(run_id)
            assert (details.inputs, details.variables) == ([1, 2], {"v": 1})
            assert details.overrides == {"a": {"value": {"input": 3}}}
            steps = {it.step_id: it for it in await runs.steps(run_id, 1)}
            assert {name: (it.status, it.attempt) for name, it in steps.items()} == {
                "a": ("completed", 1),
                "b": ("failed", 1),
                "never": ("blocked", 0),
            }
            assert steps["a"].result == Success(3)
            assert (await runs.run_flow(run_id)).flow["name"] == "n"
            with pytest.raises(NotFound, match="Item not found: 2"):
                await runs.steps(run_id, 2)

    running(scenario)


def test_steps_of_a_run_under_way_say_where_they_stand() -> None:
    async def scenario() -> None:
        parts = Parts()
        tree = flow(("a", "/echo"), ("b", "/hold", {"$step": "a"}), ("c", "/echo", {"$step": "b"}))
        async with opened(parts=parts) as runs:
            run_id = await started(runs, tree, [1, 2], max_concurrency=1)
            await parts.until_holding(1)
            assert [it.status for it in await runs.steps(run_id)] == ["completed", "running", "blocked"]
            assert [it.status for it in await runs.steps(run_id, 1)] == ["blocked", "blocked", "blocked"]
            assert [it.status for it in await runs.items(run_id)] == ["running", "running"]
            assert (await runs.wait(run_id, 0)).status == "running"
            parts.let_go()
            assert await results(runs, run_id) == [1, 2]

    running(scenario)


def test_items_come_by_index_or_by_completion_and_in_pages() -> None:
    async def scenario() -> None:
        async def later(value: int, _: StepContext) -> int:
            await trio.sleep(10 - value)
            return value

        async with opened(parts=Parts(later=later)) as runs:
            run_id = await started(runs, flow(("s", "/later")), range(6))
            await runs.wait(run_id)

            async def order(**which: Any) -> list[int]:
                return [it.item_index for it in await runs.items(run_id, **which)]

            assert await order() == [0, 1, 2, 3, 4, 5]
            assert await order(order="by_completion") == [5, 4, 3, 2, 1, 0]
            assert await order(limit=2, offset=3) == [3, 4]
            assert await order(order="by_completion", limit=2, offset=1) == [4, 3]
            assert await order(offset=9) == []

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("address", ["memory:", "sqlite"])
def test_items_are_told_in_pages_while_a_run_goes_on_and_after_it(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have ended, in the order in which they did; what has not ended comes last."""
    monkeypatch.setattr(paging, "ITEMS_AT_ONCE", 3)

    async def scenario() -> None:
        where = address if address == "memory:" else f"sqlite:///{tmp_path}/db"
        gate = trio.Event()

        async def half(value: int, _: StepContext) -> int:
            if value % 2:
                await gate.wait()
            return value

        parts = Parts(half=half)
        async with opened(where, parts=parts) as runs:
            run_id = await started(runs, flow(("s", "/half")), range(10), max_concurrency=10)
            async for event in await runs.events(run_id):
                if event.kind == "item_completed" and (await runs.summary(run_id)).items.completed == 5:
                    break

            async def told(**which: Any) -> list[tuple[int, str]]:
                found: list[tuple[int, str]] = []
                async with aclosing(runs.item_pages(run_id, **which)) as pages:
                    async for page in pages:
                        assert 0 < len(page) <= 3
                        found += [(it.item_index, it.status) for it in page]
                assert found == [(it.item_index, it.status) for it in await runs.items(run_id, **which)]
                return found

            going = [(index, "running" if index % 2 else "completed") for index in range(10)]
            assert await told() == going
            assert await told(limit=4, offset=5) == going[5:9]
            by_end = await told(order="by_completion")
            assert sorted(by_end[:5]) == going[::2]
            assert by_end[5:] == going[1::2]
            assert await told(order="by_completion", limit=5, offset=3) == by_end[3:8]
            assert await told(order="by_completion", limit=0) == await told(offset=10) == []
            gate.set()
            await runs.wait(run_id)
            assert await told() == [(index, "completed") for index in range(10)]
            assert (await told(order="by_completion"))[:5] == by_end[:5]

    running(scenario)


def test_runs_are_listed_the_newest_first_and_filtered() -> None:
    async def scenario() -> None:
        async with opened() as runs:
            first = await started(runs, flow(("s", "/now"), name="one"), [1])
            second = await started(runs, flow(("s", "/fail"), name="two"), [1])
            third = await started(runs, flow(("s", "/echo"), name="one"), [1])
            for run_id in (second, third):
                await runs.wait(run_id)

            async def found(**which: Any) -> list[str]:
                return [it.run_id for it in await runs.list_runs(RunFilter(**which))]

            assert await found() == [third, second, first]
            assert await found(flow_name="one") == [third, first]
            assert await found(status="failed") == [second]
            assert await found(limit=1, offset=1) == [second]
            assert await found(root_run_id=second) == [second]
            assert await found(parent_run_id=second) == []
            assert await found(roots_only=True, max_depth=0) == [third, second, first]
            with pytest.raises(Invalid, match="limit is 0 to 1000"):
                await found(limit=5000)

    running(scenario)


# --- what is refused --------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any], type[Refused], str]] = [
    ("no concurrency", {"max_concurrency": 0}, Invalid, "maxConcurrency must be at least 1, got 0"),
    ("an unknown step", {"overrides": {"x": {"value": {}}}}, Invalid, "the flow has no step 'x'"),
    ("too many items", {"inputs": [1] * 11}, TooLarge, "11 inputs; at most 10 are taken"),
    ("too many bytes", {"inputs": ["x" * 3000]}, TooLarge, "at most 2000 are taken: put large values into blobs"),
    ("no JSON", {"inputs": [object()]}, Invalid, "the inputs are no JSON"),
    ("an unknown flow", {"flow_id": "0" * 64}, NotFound, "Flow not found: 000"),
    ("what is no id", {"flow_id": "\0"}, NotFound, "Flow not found"),
]


@pytest.mark.parametrize(("change", "kind", "told"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_run_is_refused_for(change: dict[str, Any], kind: type[Refused], told: str) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(max_items=10, max_run_bytes=2000)) as runs:
            request = {"flow_id": await stored(runs, ECHO), "inputs": [1], **change}
            with pytest.raises(kind) as caught:
                await runs.submit(SubmitRun(**request))
            assert told in str(caught.value)
            assert "\n" not in str(caught.value)
            assert await runs.list_runs(RunFilter()) == []

    running(scenario)


def test_what_is_not_there_is_not_found() -> None:
    async def scenario() -> None:
        async with opened() as runs:
            for name in (UNKNOWN, "x", "\0", "é" * 5000):
                for ask in (runs.summary, runs.wait, runs.details, runs.items, runs.steps, runs.run_flow):
                    with pytest.raises(NotFound):
                        await ask(name)
                for do in (runs.cancel, runs.delete_run, runs.events):
                    with pytest.raises(NotFound):
                        await do(name)

    running(scenario)


# --- flows ------------------------------------------------------------------------------------------------


def test_a_flow_is_stored_once_it_is_free_of_fatal_faults() -> None:
    async def scenario() -> None:
        async with opened() as runs:
            dry = await runs.store_flow(ECHO, dry_run=True)
            assert (dry.stored, [it.kind for it in dry.diagnostics]) == (
                False,
                ["missingFlowName", "missingFlowDescription"],
            )
            assert dry.flow_id is not None
            with pytest.raises(NotFound):
                await runs.flow(dry.flow_id)
            kept = await runs.store_flow({**ECHO, "unknown": 1})
            assert (kept.flow_id, kept.stored) == (dry.flow_id, True)
            assert (await runs.flow(dry.flow_id)).flow == ECHO
            fatal = await runs.store_flow(flow(("a", "/echo", {"$step": "a"})))
            assert (fatal.flow_id, fatal.stored) == (None, False)
            with pytest.raises(Invalid, match=r"invalid flow: \$\.steps\[0\]: \"id\": is missing; .* \(and 1 more\)"):
                await runs.store_flow({"steps": [{}]})
            with pytest.raises(Invalid, match="a flow is an object"):
                await runs.store_flow([])

    running(scenario)


def test_a_flow_shows_its_examples_and_variables() -> None:
    async def scenario() -> None:
        declared = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["b"]}
        tree = flow(
            ("s", "/echo"),
            schemas={"type": "object", "properties": {"variables": declared}},
            examples=[{"name": "e", "input": 1}],
            test={"cases": [{"name": "c", "description": "d", "input": 2}]},
        )
        async with opened() as runs:
            flow_id = await stored(runs, tree)
            assert (await runs.flow(flow_id)).all_examples == [
                {"name": "e", "input": 1},
                {"name": "c", "description": "d", "input": 2},
            ]
            found = await runs.flow_variables(flow_id)
            assert {name: (it.required, it.default) for name, it in found.items() if name == "a"} == {"a": (False, "")}
            assert found["b"].required

    running(scenario)


def test_a_flow_can_be_deleted_when_nothing_runs_it() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts) as runs:
            run_id = await started(runs, HOLD)
            flow_id = (await runs.summary(run_id)).flow_id
            await parts.until_holding(1)
            with pytest.raises(Conflict, match=f"is being run by {run_id}"):
                await runs.delete_flow(flow_id)
            parts.let_go()
            await runs.wait(run_id)
            await runs.delete_flow(flow_id)
            for ask in (runs.flow, runs.delete_flow):
                with pytest.raises(NotFound, match="Flow not found"):
                    await ask(flow_id)
            with pytest.raises(NotFound, match="Flow not found"):
                await runs.submit(SubmitRun(flow_id=flow_id, inputs=[1]))
            # What has been is still explained.
            assert (await runs.run_flow(run_id)).flow == HOLD
            assert len(await runs.steps(run_id)) == 1
            assert await stored(runs, HOLD) == flow_id
            assert (await runs.flow(flow_id)).flow == HOLD

    running(scenario)


# --- cancelling and deleting ------------------------------------------------------------------------------


def test_a_cancelled_run_abandons_its_calls_and_no_answer_overwrites_it() -> None:
    async def scenario() -> None:
        ended: list[str] = []

        async def stubborn(value: Any, _: StepContext) -> Any:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                ended.append("cancelled")
                return "too late"

        async with opened(parts=Parts(stubborn=stubborn)) as runs:
            run_id = await started(
                runs, flow(("a", "/now"), ("b", "/stubborn", {"$step": "a"})), [1, 2, 3], max_concurrency=2
            )
            await trio.testing.wait_all_tasks_blocked()
            summary = await runs.cancel(run_id)
            assert (summary.status, summary.items) == ("cancelled", ItemCounts(total=3, cancelled=3))
            await trio.testing.wait_all_tasks_blocked()
            assert ended == ["cancelled", "cancelled"]
            assert await runs.summary(run_id) == summary
            assert await results(runs, run_id) == ["cancelled"] * 3
            with pytest.raises(Conflict, match="has ended: it is cancelled"):
                await runs.cancel(run_id)
            assert [it.kind for it in await told(runs, run_id)][-3:] == [
                "step_cancelled",
                "step_cancelled",
                "run_cancelled",
            ]

    running(scenario)


def test_a_run_that_ended_cannot_be_cancelled() -> None:
    async def scenario() -> None:
        async with opened() as runs:
            run_id = await started(runs, NOW)
            with pytest.raises(Conflict, match="has ended: it is completed"):
                await runs.cancel(run_id)

    running(scenario)


def test_items_that_ended_before_a_cancellation_keep_their_results() -> None:
    async def scenario() -> None:
        parts = Parts()
        tree = flow(("s", "/hold"), output={"$if": {"$input": "hold"}, "then": {"$step": "s"}, "else": "free"})
        async with opened(parts=parts) as runs:
            run_id = await started(runs, tree, [{"hold": False}, {"hold": True}])
            await parts.until_holding(1)
            await runs.cancel(run_id)
            assert await results(runs, run_id) == ["free", "cancelled"]
            assert (await runs.summary(run_id)).items == ItemCounts(total=2, completed=1, cancelled=1)

    running(scenario)


def test_a_deleted_run_is_gone_with_all_that_was_kept_of_it() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts) as runs:
            run_id = await started(runs, HOLD, [1, 2])
            await parts.until_holding(1)
            with pytest.raises(Conflict, match="has not ended; cancel it first"):
                await runs.delete_run(run_id)
            parts.let_go()
            await runs.wait(run_id)
            await runs.delete_run(run_id)
            for ask in (runs.summary, runs.items, runs.delete_run, runs.events):
                with pytest.raises(NotFound):
                    await ask(run_id)
            assert await runs.list_runs(RunFilter()) == []

    running(scenario)


# --- bounds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "bound", "most"), [(3, 100, 3), (None, 100, 8), (None, 5, 5), (50, 5, 5)])
def test_steps_of_a_run_are_bounded(asked: int | None, bound: int, most: int) -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts, limits=Limits(steps_per_run=bound)) as runs:
            run_id = await started(runs, HOLD, range(8), max_concurrency=asked)
            await parts.until_holding(most)
            await trio.testing.wait_all_tasks_blocked()
            parts.let_go()
            assert await results(runs, run_id) == list(range(8))
            assert parts.most == most

    running(scenario)


def test_steps_of_all_runs_together_are_bounded() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts, limits=Limits(steps=3)) as runs:
            ids = [await started(runs, HOLD, range(2)) for _ in range(4)]
            await parts.until_holding(3)
            await trio.testing.wait_all_tasks_blocked()
            assert parts.holding == 3
            await runs.cancel(ids[0])
            await parts.until_holding(3)
            parts.let_go()
            for run_id in ids[1:]:
                assert await results(runs, run_id) == [0, 1]
            assert parts.most == 3

    running(scenario)


def test_runs_wait_on_the_disk_for_their_turn_and_are_refused_beyond_a_bound() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts, limits=Limits(active_runs=2, queued_runs=3)) as runs:
            ids = [await started(runs, HOLD, [number]) for number in range(5)]
            with pytest.raises(Busy, match="3 runs are waiting for their turn; try again later"):
                await started(runs, HOLD)
            await trio.testing.wait_all_tasks_blocked()
            assert parts.holding == 2
            assert [(await runs.summary(run_id)).status for run_id in ids] == ["running"] * 5
            assert (await runs.cancel(ids[3])).status == "cancelled"
            parts.let_go()
            assert [await results(runs, run_id) for run_id in ids] == [[0], [1], [2], ["cancelled"], [4]]
            assert [it.kind for it in await told(runs, ids[4])][:2] == ["run_started", "step_started"]
            # There is room again.
            assert await outcome(runs, NOW) == ["x"]

    running(scenario)


# --- attempts ---------------------------------------------------------------------------------------------


def test_calls_that_do_not_arrive_are_made_again_after_pauses() -> None:
    async def scenario() -> None:
        async def shaky(value: Any, context: StepContext) -> Any:
            times.append(trio.current_time())
            if context.attempt < 3:
                raise StepFailed(-32302, "no line", kind="transport")
            return context.attempt

        times: list[float] = []
        async with opened(parts=Parts(shaky=shaky), dialect=S2) as runs:
            run_id = await started(runs, flow(("s", "/shaky")))
            assert await results(runs, run_id) == [3]
            assert [round(b - a) for a, b in itertools.pairwise(times)] == [1, 1]
            started_ = [it for it in await told(runs, run_id) if it.kind == "step_started"]
            assert [(it.attempt, it.delay_seconds) for it in started_] == [(1, 0.0), (2, 1.0), (3, 1.0)]
            assert [it.attempt for it in await runs.steps(run_id)] == [3]

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_run_can_be_cancelled_during_the_pause_before_an_attempt() -> None:
    async def scenario() -> None:
        parts = Parts()

        async def lost(value: Any, context: StepContext) -> Any:
            raise StepFailed(-32302, "no line", kind="transport")

        async with opened(parts=(parts := Parts(lost=lost)), dialect=S2) as runs:
            run_id = await started(runs, flow(("s", "/lost")))
            await trio.testing.wait_all_tasks_blocked()
            assert (await runs.cancel(run_id)).status == "cancelled"
            await trio.sleep(60)
            assert len(parts.calls) == 1

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_component_with_a_defect_fails_its_step_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async def broken(value: Any, context: StepContext) -> Any:
            raise ZeroDivisionError("the text of a defect")

        async def no_json(value: Any, context: StepContext) -> Any:
            return {"x": object()}

        async with opened(parts=Parts(broken=broken, no_json=no_json), dialect=S2) as runs:
            assert await outcome(runs, flow(("s", "/broken"))) == [
                ("failed", -32202, "/broken failed by a defect of the runtime: ZeroDivisionError")
            ]
            (told_,) = await outcome(runs, flow(("s", "/no_json")))
            assert told_[:2] == ("failed", -32202)
            assert "is no JSON" in told_[2]
            assert await outcome(runs, ECHO) == ["x"]

    running(scenario)
    assert "ZeroDivisionError" in caplog.text
