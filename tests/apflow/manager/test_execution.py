"""What runs when: dependencies, priorities, bounds, cancellation, and what followers are told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from node_rig import Rig, ids, in_no_time, in_trio, open_rig, task
from trio.testing import wait_all_tasks_blocked

from protogen_runtime.apflow.executors import Execution, ExecutorFailed, InvalidInputs
from protogen_runtime.apflow.executors.contract import FieldFault
from protogen_runtime.apflow.manager import INTERRUPTED, Settings
from protogen_runtime.apflow.records import RUNS, SCHEMA, TASKS
from protogen_runtime.apflow.rules.faults import RuleBroken
from protogen_runtime.store import Select, open_store

# --- order ------------------------------------------------------------------------------------------


@in_trio
async def test_dependencies_come_first_whatever_the_priorities() -> None:
    root, first, second = ids(3)
    async with open_rig() as rig:
        await rig.run(
            task(root, needs=[second], priority=0, method="echo"),
            task(first, parent_id=root, priority=3, method="echo"),
            task(second, parent_id=root, needs=[first], priority=0, method="echo"),
        )
        times = [(await rig.get(id_))["started_at"] for id_ in (first, second, root)]
        assert times == sorted(times)


@in_trio
async def test_of_the_ready_tasks_the_urgent_ones_start_first() -> None:
    root, gate, *others = ids(6)
    async with open_rig(settings=Settings(concurrency=1)) as rig:
        await rig.execute(
            task(root, needs=others),
            task(gate, parent_id=root),
            *(task(id_, parent_id=root, needs=[gate], priority=3 - number) for number, id_ in enumerate(others)),
        )
        for id_ in (gate, *reversed(others), root):
            await rig.gate.wait_started(id_)
            rig.gate.end(id_)
        await rig.manager.wait_idle()
        assert rig.gate.started == [gate, *reversed(others), root]


@in_trio
async def test_a_small_flow_does_not_wait_behind_a_large_one() -> None:
    async with open_rig(settings=Settings(concurrency=2)) as rig:
        root, *others = ids(50)
        await rig.execute(task(root), *(task(id_, parent_id=root) for id_ in others))
        await rig.gate.wait_started(root)
        late = (await rig.execute(task())).root
        for _ in range(2):
            await wait_all_tasks_blocked()
            for id_ in list(rig.gate.running):
                rig.gate.end(id_)
        await wait_all_tasks_blocked()
        assert late in rig.gate.started


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_lost_dependency_stops_those_that_require_it(required: bool, outcome: str) -> None:
    @in_trio
    async def run() -> None:
        root, needed_, dependant = ids(3)
        async with open_rig() as rig:
            await rig.execute(
                task(root, method=None),
                task(needed_, parent_id=root),
                task(dependant, parent_id=root, needs=[needed_ if required else f"?{needed_}"], method="echo"),
            )
            await rig.gate.wait_started(needed_)
            if outcome == "failed":
                rig.gate.fail(needed_)
            else:
                await rig.cancel(needed_)
            await rig.manager.wait_idle()
            assert await rig.statuses(root, needed_, dependant) == [
                "completed",
                outcome,
                "pending" if required else "completed",
            ]
            assert (await rig.get(dependant))["error"] is None

    run()


@in_trio
async def test_a_run_waits_for_what_another_run_executes() -> None:
    async with open_rig() as rig:
        other = (await rig.execute(task())).root
        dependant = await rig.create(method="gate", needs=[other])
        await rig.gate.wait_started(other)
        await rig.execute(task(dependant, method=None))
        await wait_all_tasks_blocked()
        assert await rig.status(dependant) == "pending"
        assert rig.manager.is_running(dependant)
        rig.gate.end(other)
        await rig.gate.wait_started(dependant)
        rig.gate.end(dependant)
        await rig.manager.wait_idle()
        assert await rig.status(dependant) == "completed"


@in_trio
async def test_a_run_is_over_when_its_tasks_are_made_to_wait_for_what_no_run_has() -> None:
    async with open_rig() as rig:
        other, idle = (await rig.execute(task())).root, await rig.create()
        dependant = await rig.create(method="gate", needs=[other])
        await rig.gate.wait_started(other)
        await rig.execute(task(dependant, method=None))
        await wait_all_tasks_blocked()
        await rig.update(dependant, needs=[f"?{idle}"])
        await wait_all_tasks_blocked()
        assert not rig.manager.is_running(dependant)
        await rig.cancel(idle)
        await wait_all_tasks_blocked()
        assert await rig.status(dependant) == "pending"


@in_trio
async def test_a_task_heeds_what_happens_to_one_that_no_run_has() -> None:
    async with open_rig() as rig:
        outside = await rig.create()
        root, dependant = ids(2)
        await rig.execute(task(root), task(dependant, parent_id=root))
        await rig.gate.wait_started(root, dependant)
        rig.gate.fail(dependant)
        waiting = await rig.create(method="gate", parent_id=root, needs=[f"?{outside}", f"?{dependant}"])
        await rig.execute(task(waiting, parent_id=root, method=None))
        await wait_all_tasks_blocked()
        assert await rig.status(waiting) == "pending"
        await rig.cancel(outside)
        await rig.gate.wait_started(waiting)


@in_trio
async def test_a_failed_task_runs_again_with_what_depends_on_it() -> None:
    root, first, second = ids(3)
    async with open_rig() as rig:
        await rig.execute(
            task(root, method=None),
            task(first, parent_id=root),
            task(second, parent_id=root, needs=[f"?{first}"]),
        )
        await rig.gate.wait_started(first)
        rig.gate.fail(first)
        await rig.gate.wait_started(second)
        rig.gate.end(second)
        await rig.manager.wait_idle()
        await rig.execute(task(first, parent_id=root, method=None))
        await rig.gate.wait_started(first)
        assert await rig.statuses(first, second) == ["in_progress", "pending"]
        rig.gate.end(first)
        await rig.gate.wait_started(second)
        rig.gate.end(second)
        await rig.manager.wait_idle()
        assert await rig.statuses(root, first, second) == ["completed"] * 3
        assert rig.gate.started == [first, second, first, second]


# --- bounds -----------------------------------------------------------------------------------------


@in_trio
async def test_no_more_tasks_run_at_once_than_allowed() -> None:
    async with open_rig(settings=Settings(concurrency=3)) as rig:
        root, *others = ids(12)
        await rig.execute(task(root), *(task(id_, parent_id=root) for id_ in others))
        while rig.manager.is_running(root):
            await wait_all_tasks_blocked()
            for id_ in list(rig.gate.running):
                rig.gate.end(id_)
        assert rig.gate.most == 3
        assert len(rig.gate.started) == 12


@in_trio
async def test_an_executor_has_a_bound_of_its_own_that_holds_up_nobody_else() -> None:
    async with open_rig(gate_options={"concurrency": 2}) as rig:
        root, *others = ids(6)
        quick = ids(3)
        await rig.execute(
            task(root),
            *(task(id_, parent_id=root, priority=0) for id_ in others),
            *(task(id_, parent_id=root, method="echo", priority=3) for id_ in quick),
        )
        await wait_all_tasks_blocked()
        assert await rig.statuses(*quick) == ["completed"] * 3
        while rig.manager.is_running(root):
            assert len(rig.gate.running) <= 2
            rig.gate.end(min(rig.gate.running))
            await wait_all_tasks_blocked()
        assert rig.gate.most == 2
        assert len(rig.gate.started) == 6


# --- executors --------------------------------------------------------------------------------------


class Broken:
    """Fails in every way that there is."""

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        if inputs["how"] == "inputs":
            raise InvalidInputs(FieldFault(field="how", reason="Not that", path=("inputs", "how")))

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> Any:
        match inputs["how"]:
            case "expected":
                raise ExecutorFailed("the disk is full")
            case "unexpected":
                raise KeyError("name")
            case "empty":
                raise ValueError
            case "group":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.execute, {"how": "expected"}, execution)
            case "primitive":
                return 5
            case "unwritable":
                return {"a": object()}
        return {}


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("expected", "the disk is full"),
        ("unexpected", "KeyError: 'name'"),
        ("empty", "ValueError"),
        ("group", "the disk is full"),
        ("primitive", "the executor returned an int; it must return an object (dict)"),
        ("unwritable", "result.a is an object, which JSON cannot hold"),
        ("inputs", "invalid inputs: inputs.how: Not that"),
    ],
)
def test_whatever_an_executor_does_its_task_says_it(how: str, error: str) -> None:
    @in_trio
    async def run() -> None:
        async with open_rig(executors=[("broken", Broken())]) as rig:
            (done,) = await rig.run(task(method="broken", inputs={"how": how}))
            assert (done["status"], done["error"], done["result"]) == ("failed", error, None)
            assert done["started_at"] <= done["completed_at"]

    run()


@in_trio
async def test_a_task_without_an_executor_groups_others() -> None:
    async with open_rig() as rig:
        (done,) = await rig.run(task(method=None))
        assert (done["status"], done["result"], done["progress"]) == ("completed", {}, 1.0)


@in_trio
async def test_a_dependant_is_given_the_results_of_what_it_needed() -> None:
    seen: list[Any] = []

    async def look(_: dict[str, Any], execution: Execution) -> dict[str, Any]:
        seen.append(execution.dependency_results())
        return {}

    root, good, bad = ids(3)
    async with open_rig(executors=[("look", look)]) as rig:
        await rig.run(
            task(root, method="look", needs=[good, f"?{bad}"]),
            task(good, parent_id=root, method="echo", inputs={"n": 1}),
            task(bad, parent_id=root, method="fail"),
        )
    assert seen == [{good: {"n": 1}}]


# --- cancelling -------------------------------------------------------------------------------------


@in_trio
async def test_cancelling_stops_the_executor_and_tells_it() -> None:
    async with open_rig() as rig:
        id_ = (await rig.execute(task())).root
        await rig.gate.wait_started(id_)
        await rig.cancel(id_, error_message="Changed my mind")
        await wait_all_tasks_blocked()
        assert (rig.gate.cancelled, rig.gate.told) == ([id_], [id_])
        found = await rig.get(id_)
        assert (found["status"], found["error"], found["result"]) == ("cancelled", "Changed my mind", None)


class Stubborn:
    """Goes on when it is cancelled, and returns a result."""

    def __init__(self) -> None:
        self.ended = trio.Event()

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        try:
            await trio.sleep_forever()
        finally:
            self.ended.set()
            return {"too": "late"}  # noqa: B012 - it swallows the cancellation, as badly written code does


@in_trio
async def test_a_late_result_does_not_undo_a_cancellation() -> None:
    async with open_rig(executors=[("stubborn", Stubborn())]) as rig:
        id_ = (await rig.execute(task(method="stubborn"))).root
        await wait_all_tasks_blocked()
        await rig.cancel(id_)
        await wait_all_tasks_blocked()
        assert (await rig.get(id_))["result"] is None
        assert await rig.status(id_) == "cancelled"
        assert not rig.manager.is_running(id_)


@in_trio
async def test_what_has_ended_is_not_cancelled() -> None:
    async with open_rig() as rig:
        (done,) = await rig.run(task(method="echo"))
        with pytest.raises(RuleBroken) as refused:
            await rig.cancel(done["id"])
        assert refused.value.error == "InvalidStateTransition"
        assert await rig.get(done["id"]) == done


# --- followers --------------------------------------------------------------------------------------


@in_trio
async def test_followers_see_every_change_in_order_and_the_end() -> None:
    root, child = ids(2)
    async with open_rig() as rig:
        started = await rig.execute(
            task(root, needs=[child], method="echo"), task(child, parent_id=root, method="fail"), follow=True
        )
        assert started.feed is not None
        seen = [(event.kind, event.task_id, event.status) async for event in started.feed]
        assert seen == [
            ("task_status_update", child, "in_progress"),
            ("task_failed", child, "failed"),
        ]


@in_trio
async def test_a_follower_who_does_not_read_is_dropped() -> None:
    root, *others = ids(30)
    async with open_rig() as rig:
        slow = rig.manager.subscribe(root, max_behind=10)
        await rig.execute(task(root), *(task(id_, parent_id=root, method="echo") for id_ in others))
        await wait_all_tasks_blocked()
        assert slow.dropped
        assert [event async for event in slow] == []


# --- restarts ---------------------------------------------------------------------------------------


async def stop_while_running(rig: Rig, *given: Any) -> None:
    await rig.execute(*given)
    await rig.gate.wait_started(str(given[0].id))


@in_trio
async def test_what_was_in_progress_has_failed_after_a_restart_and_the_rest_goes_on() -> None:
    root, needs_it, after_it, free = ids(4)
    async with open_store("memory:", SCHEMA) as store:
        async with open_rig(store=store, settings=Settings(concurrency=1)) as rig:
            await stop_while_running(
                rig,
                task(root),
                task(needs_it, parent_id=root, needs=[root], method="echo"),
                task(after_it, parent_id=root, needs=[f"?{root}"], method="echo"),
                task(free, parent_id=root, method="echo"),
            )
            assert await rig.status(free) == "pending"
        async with open_rig(store=store) as rig:
            await rig.manager.wait_idle()
            assert await rig.statuses(root, needs_it, after_it, free) == ["failed", "pending", "completed", "completed"]
            assert (await rig.get(root))["error"] == INTERRUPTED
            assert (await store.read(Select(RUNS))).records == ()
            assert all(record.fields["in_run"] is None for record in (await store.read(Select(TASKS))).records)


@pytest.mark.parametrize(
    ("gate_options", "params"), [({"idempotent": True}, None), ({}, {"retry": {"max_attempts": 2}})]
)
def test_what_may_run_twice_goes_on_after_a_restart(gate_options: dict[str, Any], params: Any) -> None:
    @in_trio
    async def run() -> None:
        given = task(params=params)
        async with open_store("memory:", SCHEMA) as store:
            async with open_rig(store=store, gate_options=gate_options) as rig:
                await stop_while_running(rig, given)
                before = await rig.get(str(given.id))
            async with open_rig(store=store, gate_options=gate_options) as rig:
                await rig.gate.wait_started(str(given.id))
                assert await rig.get(str(given.id)) == before
                rig.gate.end(str(given.id))
                await rig.manager.wait_idle()
                assert await rig.status(str(given.id)) == "completed"

    run()


@in_trio
async def test_an_executor_that_is_gone_after_a_restart_fails_its_tasks() -> None:
    root, later = ids(2)
    async with open_store("memory:", SCHEMA) as store:
        async with open_rig(store=store, executors=[("old", Broken())]) as rig:
            await stop_while_running(rig, task(root), task(later, parent_id=root, needs=[f"?{root}"], method="old"))
        async with open_rig(store=store) as rig:
            await rig.manager.wait_idle()
            found = await rig.get(later)
            assert (found["status"], found["error"]) == ("failed", "no executor is registered as 'old'")


@in_trio
async def test_what_was_attached_to_a_run_is_told_again_after_a_restart() -> None:
    told: list[tuple[str, list[Any]]] = []
    given = task()

    def on_enter(_: object, root: str, record: Any) -> None:
        told.append((root, record.attachments))

    async with open_store("memory:", SCHEMA) as store:
        async with open_rig(store=store, on_enter=on_enter) as rig:
            await rig.execute(given, attachment={"url": "http://x"})
            await rig.gate.wait_started(str(given.id))
        async with open_rig(store=store, on_enter=on_enter):
            pass
    assert told == [(given.id, [{"url": "http://x"}])] * 2


@in_no_time
async def test_draining_lets_what_runs_end_and_starts_nothing() -> None:
    root, later = ids(2)
    async with open_rig() as rig:
        await rig.execute(
            task(root, method="sleep", inputs={"seconds": 5}), task(later, parent_id=root, needs=[root], method="echo")
        )
        await wait_all_tasks_blocked()
        await rig.manager.drain()
        assert await rig.statuses(root, later) == ["completed", "pending"]


# --- the ends of runs -------------------------------------------------------------------------------


@in_trio
async def test_a_run_ends_however_a_cancellation_meets_the_end_of_its_task() -> None:
    """They may be decided by one commit, the cancellation first: what waited for the end then waits for ever."""
    async with open_rig() as rig:
        for _ in range(20):
            first, second = ids(2)
            started = await rig.execute(task(first), task(second, parent_id=first, needs=[first]), follow=True)
            assert started.feed is not None
            await rig.gate.wait_started(first)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancelled_or_ended, rig, first)
                rig.gate.end(first)
            if await rig.status(first) == "completed":
                await rig.gate.wait_started(second)
                rig.gate.end(second)
            async for _ in started.feed:
                pass
            assert not rig.manager.is_running(first)


async def _cancelled_or_ended(rig: Rig, id_: str) -> None:
    with suppress(RuleBroken):
        await rig.cancel(id_)


@in_trio
@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_a_run_ends_when_what_it_waits_for_in_another_flow_is_lost(how: str) -> None:
    """The other flow goes on."""
    async with open_rig() as rig:
        root, other = ids(2)
        await rig.execute(task(root), task(other, parent_id=root))
        await rig.gate.wait_started(root, other)
        created = await rig.create(method="gate", needs=[other])
        started = await rig.execute(task(created, method=None), follow=True)
        assert started.feed is not None
        if how == "failed":
            rig.gate.fail(other)
        else:
            await rig.cancel(other)
        async for _ in started.feed:
            pass
        assert rig.manager.is_running(root)
        assert not rig.manager.is_running(created)


# --- executors that never wait ----------------------------------------------------------------------


class Doubling:
    """Doubles `n` and what the tasks it depends on gave, at once."""

    def __init__(self) -> None:
        self.now: list[str] = []
        self.later: list[str] = []

    def execute_now(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        self.now.append(execution.task_id)
        given = [inputs["n"], *(each["n"] for each in execution.dependency_results().values())]
        return {"n": 2 * sum(given)}

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        self.later.append(execution.task_id)
        await trio.lowlevel.checkpoint()
        return self.execute_now(inputs, execution)


@in_trio
async def test_what_never_waits_is_told_and_stored_as_all_else() -> None:
    doubling = Doubling()
    root, first, broken, behind = ids(4)
    async with open_rig() as rig:
        rig.registry.register("double", doubling, idempotent=True)
        started = await rig.execute(
            task(root, method="double", inputs={"n": 1}, needs=[first, f"?{broken}"]),
            task(first, parent_id=root, method="double", inputs={"n": 2}),
            task(broken, parent_id=root, method="double", inputs={}),
            task(behind, parent_id=root, method="double", inputs={"n": 1}, needs=[broken]),
            follow=True,
        )
        assert started.feed is not None
        told = [(event.task_id, event.status) async for event in started.feed]
        for id_, end in ((first, "completed"), (broken, "failed"), (root, "completed")):
            assert [status for task_id, status in told if task_id == id_] == ["in_progress", end]
        assert (await rig.get(root))["result"] == {"n": 10}
        assert (await rig.get(broken))["error"] == "KeyError: 'n'"
        stored = await rig.get(first)
        assert stored["started_at"] <= stored["completed_at"]
        assert await rig.status(behind) == "pending"
        assert sorted(doubling.now) == sorted({*doubling.now})
        await rig.manager.wait_idle()


@in_trio
async def test_what_is_not_idempotent_is_stored_as_started_first() -> None:
    doubling = Doubling()
    async with open_rig() as rig:
        rig.registry.register("double", doubling)
        (done,) = await rig.run(task(method="double", inputs={"n": 1}))
        assert (done["status"], doubling.later) == ("completed", [done["id"]])


@in_trio
async def test_what_never_waits_can_be_tried_again() -> None:
    doubling = Doubling()
    async with open_rig() as rig:
        rig.registry.register("double", doubling, idempotent=True)
        (done,) = await rig.run(task(method="double", inputs={}, params={"retry": {"initial_seconds": 0}}))
        assert (done["status"], len(doubling.later)) == ("failed", 3)


@in_trio
async def test_cancellations_meet_what_never_waits() -> None:
    doubling = Doubling()
    async with open_rig() as rig:
        rig.registry.register("double", doubling, idempotent=True)
        for delay in range(12):
            started = await rig.execute(task(method="double", inputs={"n": 1}), follow=True)
            for _ in range(delay):
                await trio.lowlevel.checkpoint()
            with suppress(RuleBroken):
                await rig.cancel(started.root)
            assert started.feed is not None
            told = [event.status async for event in started.feed]
            ended = await rig.status(started.root)
            assert told == (["cancelled"] if ended == "cancelled" else ["in_progress", "completed"])
        await rig.manager.wait_idle()
