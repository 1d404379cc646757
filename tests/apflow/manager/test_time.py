"""What a node does by the clock: schedules, retries and progress, at a clock that jumps."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from node_rig import START, Rig, in_no_time, open_rig, task

from protogen_runtime.apflow.clock import text_of
from protogen_runtime.apflow.executors import Execution, ExecutorFailed
from protogen_runtime.apflow.manager import Settings
from protogen_runtime.apflow.records import SCHEMA
from protogen_runtime.apflow.retries import Retry
from protogen_runtime.store import open_store

HOUR = 3600.0


def at(seconds: float) -> str:
    """The time so long after the start of a rig."""
    return text_of(START + seconds)


class Flaky:
    """Fails as often as its inputs say, and remembers when it was tried."""

    def __init__(self) -> None:
        self.tries: list[float] = []

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        self.tries.append(trio.current_time())
        assert execution.attempt == len(self.tries)
        if len(self.tries) <= inputs["failures"]:
            raise ExecutorFailed(f"failure {len(self.tries)}")
        return {"tries": len(self.tries)}

    def pauses(self) -> list[float]:
        return [round(later - earlier, 6) for earlier, later in zip(self.tries, self.tries[1:], strict=False)]


# --- retries ----------------------------------------------------------------------------------------


@in_no_time
async def test_retries_wait_longer_each_time_and_the_task_stays_in_progress() -> None:
    flaky = Flaky()
    async with open_rig(executors=[("flaky", flaky)]) as rig:
        given = task(method="flaky", inputs={"failures": 4}, params={"retry": {"max_attempts": 5, "max_seconds": 3}})
        started = await rig.execute(given, follow=True)
        assert started.feed is not None
        kinds = [event.kind async for event in started.feed]
        assert kinds == ["task_status_update", "task_completed"]
        assert flaky.pauses() == [1, 2, 3, 3]
        assert (await rig.get(started.root))["result"] == {"tries": 5}


@in_no_time
async def test_the_last_attempt_decides_and_says_that_it_was_the_last() -> None:
    flaky = Flaky()
    async with open_rig(executors=[("flaky", flaky)]) as rig:
        (done,) = await rig.run(task(method="flaky", inputs={"failures": 9}, params={"retry": {"max_attempts": 3}}))
        assert (done["status"], done["error"]) == ("failed", "failure 3 (attempt 3 of 3)")
        assert flaky.pauses() == [1, 2]


@in_no_time
async def test_nothing_is_retried_unless_asked_for() -> None:
    flaky = Flaky()
    async with open_rig(executors=[("flaky", flaky)]) as rig:
        (done,) = await rig.run(task(method="flaky", inputs={"failures": 1}))
        assert (done["status"], done["error"]) == ("failed", "failure 1")


@in_no_time
async def test_an_operator_may_have_all_tasks_retried() -> None:
    flaky = Flaky()
    settings = Settings(retry=Retry(max_attempts=2, initial_seconds=60))
    async with open_rig(executors=[("flaky", flaky)], settings=settings) as rig:
        (done,) = await rig.run(task(method="flaky", inputs={"failures": 1}))
        assert done["status"] == "completed"
        assert flaky.pauses() == [60]


@in_no_time
async def test_a_task_is_cancelled_between_attempts() -> None:
    flaky = Flaky()
    async with open_rig(executors=[("flaky", flaky)]) as rig:
        given = task(method="flaky", inputs={"failures": 9}, params={"retry": {"initial_seconds": 100}})
        started = await rig.execute(given)
        await trio.sleep(50)
        await rig.cancel(started.root)
        await rig.manager.wait_idle()
        await trio.sleep(500)
        assert len(flaky.tries) == 1
        assert await rig.status(started.root) == "cancelled"


@pytest.mark.parametrize("retry", [{"max_attempts": 0}, {"max_attempts": "3"}, {"attempts": 3}, [3], 3])
def test_a_malformed_retry_fails_the_task_and_says_why(retry: object) -> None:
    @in_no_time
    async def run() -> None:
        async with open_rig() as rig:
            (done,) = await rig.run(task(method="echo", params={"retry": retry}))
            assert done["status"] == "failed"
            assert done["error"].startswith("params.retry: ")

    run()


# --- progress ---------------------------------------------------------------------------------------


@in_no_time
async def test_progress_is_stored_and_told_some_times_a_second() -> None:
    async with open_rig() as rig:
        started = await rig.execute(task(method="sleep", inputs={"seconds": 10}), follow=True)
        assert started.feed is not None
        events = [event async for event in started.feed]
        seen = [event.progress for event in events if event.kind == "task_progress_update"]
        assert seen == [pytest.approx(step / 10) for step in range(1, 10)]
        assert events[-1].kind == "task_completed"


@in_no_time
async def test_a_thousand_reports_are_a_few_writes() -> None:
    async def busy(_: dict[str, Any], execution: Execution) -> dict[str, Any]:
        for step in range(1000):
            execution.report_progress(step / 1000)
            await trio.sleep(0.001)
        return {}

    async with open_rig(executors=[("busy", busy)]) as rig:
        started = await rig.execute(task(method="busy"), follow=True)
        assert started.feed is not None
        events = [event async for event in started.feed]
        assert 5 <= len(events) <= 12
        assert [event.progress for event in events] == sorted(event.progress for event in events)


# --- schedules --------------------------------------------------------------------------------------


async def runs(rig: Rig, task_id: str) -> tuple[int, str, str | None, str | None]:
    found = await rig.get(task_id)
    return found["run_count"], found["status"], found["last_run_at"], found["next_run_at"]


@in_no_time
async def test_an_interval_runs_a_task_again_and_again() -> None:
    async with open_rig() as rig:
        id_ = await rig.create(
            method="echo", schedule_type="interval", schedule_expression="3600", schedule_enabled=True, inputs={"n": 1}
        )
        assert await runs(rig, id_) == (0, "pending", None, at(HOUR))
        await trio.sleep(HOUR + 1)
        assert await runs(rig, id_) == (1, "completed", at(HOUR), at(2 * HOUR))
        await trio.sleep(10 * HOUR)
        assert await runs(rig, id_) == (11, "completed", at(11 * HOUR), at(12 * HOUR))


@in_no_time
async def test_a_schedule_ends_with_max_runs_and_once_is_once() -> None:
    async with open_rig() as rig:
        some = await rig.create(
            method="echo", schedule_type="interval", schedule_expression="60", schedule_enabled=True, max_runs=3
        )
        once = await rig.create(method="echo", schedule_type="once", schedule_expression=at(90), schedule_enabled=True)
        await trio.sleep(HOUR)
        assert await runs(rig, some) == (3, "completed", at(180), None)
        assert await runs(rig, once) == (1, "completed", at(90), None)


@in_no_time
async def test_disabling_and_changing_a_schedule_is_heeded_at_once() -> None:
    async with open_rig() as rig:
        id_ = await rig.create(
            method="echo", schedule_type="interval", schedule_expression="3600", schedule_enabled=True
        )
        await rig.update(id_, schedule_expression="60")
        await trio.sleep(61)
        assert (await runs(rig, id_))[0] == 1
        await rig.update(id_, schedule_enabled=False)
        await trio.sleep(HOUR)
        assert await runs(rig, id_) == (1, "completed", at(60), None)


@in_no_time
async def test_a_schedule_on_the_root_runs_the_flow_and_one_on_a_task_what_it_needs() -> None:
    async with open_rig() as rig:
        root = await rig.create(method="echo")
        first = await rig.create(method="echo", parent_id=root)
        second = await rig.create(method="echo", parent_id=root, needs=[first])
        other = await rig.create(method="echo", parent_id=root)
        every = {"schedule_type": "interval", "schedule_enabled": True}
        await rig.update(second, schedule_expression="60", max_runs=1, **every)
        await trio.sleep(70)
        assert await rig.statuses(root, first, second, other) == ["pending", "completed", "completed", "pending"]
        before = (await rig.get(first))["completed_at"]
        await rig.update(root, schedule_expression="60", max_runs=1, **every)
        await trio.sleep(70)
        assert await rig.statuses(root, first, second, other) == ["completed"] * 4
        assert (await rig.get(first))["completed_at"] > before


@in_no_time
async def test_a_trigger_is_passed_over_while_the_task_is_in_progress() -> None:
    async with open_rig() as rig:
        id_ = await rig.create(
            method="sleep",
            inputs={"seconds": 150},
            schedule_type="interval",
            schedule_expression="60",
            schedule_enabled=True,
        )
        await trio.sleep(200)
        assert await runs(rig, id_) == (1, "in_progress", at(60), at(240))
        await trio.sleep(50)
        assert await runs(rig, id_) == (2, "in_progress", at(240), at(300))


@in_no_time
async def test_what_was_due_while_the_node_was_down_runs_once() -> None:
    async with open_store("memory:", SCHEMA) as store:
        async with open_rig(store=store) as rig:
            id_ = await rig.create(
                method="echo", schedule_type="interval", schedule_expression="60", schedule_enabled=True
            )
        await trio.sleep(1000)
        async with open_rig(store=store, start=START + 1000) as rig:
            await trio.sleep(1)
            count, status, _, planned = await runs(rig, id_)
            assert (count, status, planned) == (1, "completed", at(1020))


@in_no_time
async def test_a_hundred_schedules_at_the_same_moment_all_run() -> None:
    async with open_rig() as rig:
        made = [
            await rig.create(method="echo", schedule_type="once", schedule_expression=at(60), schedule_enabled=True)
            for _ in range(250)
        ]
        await trio.sleep(62)
        assert await rig.statuses(*made) == ["completed"] * 250
