"""Recovery: a runtime that ends at any moment, and the next one on the same store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import written
from runs_rig import ECHO, HOLD, Parts, flow, opened, results, running, shown, started, stored, told
from strategies import documents, values, variables

from protogen_runtime.stepflow.engine import S1, S2, Dialect, journal
from protogen_runtime.stepflow.plugins.contract import RunRequest, StepContext, StepFailed
from protogen_runtime.stepflow.runs import SCHEMA, Limits
from protogen_runtime.stepflow.runs.contract import ItemCounts, NotFound, RunFilter, SubmitRun, Unavailable
from protogen_runtime.stepflow.runs.journaling import read_row
from protogen_runtime.stepflow.runs.ledger import journal_of
from protogen_runtime.stepflow.runs.records import read_document
from protogen_runtime.store import Change, Entries, Get, Patch, Query, Store, StoreFailed, StoreFull, Update, open_store

R = TypeVar("R")


class Mortal:
    """A store whose process dies before or after a commit: from then on nothing is written, and nobody is answered."""

    def __init__(self, store: Store, commits: float, *, answers_last: bool = True) -> None:
        self._store = store
        self._left = commits
        self._answers_last = answers_last
        self.died = trio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, query: Query[R]) -> R:
        return await self._store.read(query)

    async def write_all(self, changes: Sequence[Change[Any]]) -> list[Any]:
        return await self._commit(lambda: self._store.write_all(changes))

    async def transact(self, work: Any) -> Any:
        return await self._commit(lambda: self._store.transact(work))

    async def _commit(self, commit: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left >= 0:
            answer = await commit()
            if self._left or self._answers_last:
                return answer
        self.died.set()
        raise StoreFailed("dead")


@asynccontextmanager
async def until_death(store: Mortal, parts: Parts, **options: Any) -> AsyncGenerator[Any]:
    """A runtime that is torn down when its store dies."""
    with trio.CancelScope() as scope:

        async def watch() -> None:
            await store.died.wait()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            try:
                async with opened(store, parts, **options) as runs:
                    yield runs
            finally:
                nursery.cancel_scope.cancel()


async def recorded(store: Store, run_id: str) -> set[tuple[int, str]]:
    """Item and step of the calls whose outcome is in the journal, and stays what it is."""
    record = await store.read(Get("runs", run_id))
    if record is None:
        return set()
    entries = [bytes(entry) for entry in read_document(record).entries]
    for it in await store.read(Entries(journal_of(run_id))):
        entries += read_row(it.data)[1]
    read = [journal.read(entry) for entry in entries]
    return {(it.item, it.step_id) for it in read if isinstance(it, journal.Succeeded)}


class Played(Parts):
    """The components of the engine's tests, which do the same whenever they are called."""

    def execute_nowait(self, component: str, value: Any) -> Any:
        raise trio.WouldBlock

    async def _execute(self, component: str, value: Any, context: StepContext) -> Any:
        match component:
            case "/null":
                return None
            case "/wrap":
                return {"a": value}
            case "/false":
                return False
            case "/fail":
                raise StepFailed(-32100, "broken")
            case _:
                return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=documents(),
    inputs=st.lists(values, min_size=1, max_size=4),
    given_variables=variables,
    limit=st.none() | st.integers(1, 3),
    deaths=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=5),
    dialect=st.sampled_from([S1, S2]),
)
def test_a_run_that_is_killed_and_resumed_gives_the_same_result(
    tree: Any, inputs: list[Any], given_variables: Any, limit: int | None, deaths: Any, dialect: Dialect
) -> None:
    """And what was recorded is not executed again; attempts of a step rise."""

    tree = {
        "steps": [step | {"input": written(step["input"])} for step in tree["steps"]],
        "output": written(tree["output"]),
    }

    async def scenario() -> None:
        options: dict[str, Any] = {"variables": given_variables, "max_concurrency": limit}
        async with opened(parts=Played(), dialect=dialect) as runs:
            run_id = await started(runs, tree, inputs, **options)
            expected = await results(runs, run_id)
            status = (await runs.summary(run_id)).status
        async with open_store("memory:", SCHEMA) as store:
            async with opened(store, dialect=dialect) as runs:
                flow_id = await stored(runs, tree)
            run_id = ""
            done: set[tuple[int, str]] = set()
            attempts: dict[tuple[int, str], int] = defaultdict(int)
            for commits, answers_last in [*deaths, (float("inf"), True)]:
                parts = Played()
                mortal = Mortal(store, commits, answers_last=answers_last)
                async with until_death(mortal, parts, dialect=dialect) as runs:
                    try:
                        if not run_id:
                            run_id = await runs.submit(SubmitRun(flow_id=flow_id, inputs=inputs, **options))
                        await runs.wait(run_id)
                    except Unavailable:
                        assert mortal.died.is_set()
                for step_id, item, attempt, _ in parts.calls:
                    assert (item, step_id) not in done
                    if run_id:
                        assert attempt > attempts[item, step_id]
                        attempts[item, step_id] = attempt
                if not run_id:
                    # It was not acknowledged, and may be there all the same: then it is another run than ours.
                    async with opened(store, Played(), dialect=dialect) as runs:
                        for other in await runs.list_runs(RunFilter()):
                            await runs.wait(other.run_id)
                            await runs.delete_run(other.run_id)
                done |= await recorded(store, run_id) if run_id else set()
            async with opened(store, Played(), dialect=dialect) as runs:
                assert await results(runs, run_id) == expected
                assert (await runs.summary(run_id)).status == status
                events = await told(runs, run_id)
                assert [it.sequence for it in events] == list(range(1, len(events) + 1))
                ended = [it for it in events if it.kind in ("item_completed", "item_failed")]
                assert [shown(it.result) for it in sorted(ended, key=lambda it: it.item_index)] == expected

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_runs_go_on_where_they_were() -> None:
    async def scenario() -> None:
        tree = flow(("a", "/echo"), ("b", "/hold", {"$step": "a"}), ("c", "/now", {"$step": "b"}))
        async with open_store("memory:", SCHEMA) as store:
            first = Parts()
            async with opened(store, first) as runs:
                run_id = await started(runs, tree, [1, 2])
                await first.until_holding(2)
            second = Parts()
            async with opened(store, second) as runs:
                await second.until_holding(2)
                assert (await runs.summary(run_id)).items == ItemCounts(total=2, running=2)
                second.let_go()
                assert await results(runs, run_id) == [1, 2]
                assert sorted(second.calls) == [("b", 0, 2, 1), ("b", 1, 2, 2)]
                assert [it.attempt for it in await runs.steps(run_id, 1)] == [1, 2, 1]
                assert "run_resumed" in [it.kind for it in await told(runs, run_id)]

    running(scenario)


def test_events_that_were_told_before_a_restart_are_told_again_under_the_same_numbers() -> None:
    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as store:
            first = Parts()
            async with opened(store, first) as runs:
                run_id = await started(runs, HOLD, [1, 2])
                feed = await runs.events(run_id)
                seen = [await anext(feed) for _ in range(3)]
                await first.until_holding(2)
            second = Parts()
            async with opened(store, second) as runs:
                feed = await runs.events(run_id, after=3)
                second.let_go()
                rest = [event async for event in feed]
                assert [it.kind for it in rest][:3] == ["run_resumed", "step_started", "step_started"]
                assert await told(runs, run_id) == seen + rest

    running(scenario)


def test_a_resumed_step_finds_the_run_that_it_started() -> None:
    async def scenario() -> None:
        def sub(parts: Parts) -> Any:
            async def work(value: Any, context: StepContext) -> Any:
                assert parts.runtime is not None
                request = RunRequest(flow_id=value, inputs=[1], wait=True, subflow_key="k")
                return (await parts.runtime.submit_run(request, context))["runId"]

            return work

        async with open_store("memory:", SCHEMA) as store:
            first = Parts()
            first.more["sub"] = sub(first)
            async with opened(store, first) as runs:
                outer = await started(runs, flow(("s", "/sub")), [await stored(runs, HOLD)])
                await first.until_holding(1)
                (inner,) = await runs.list_runs(RunFilter(parent_run_id=outer))
            second = Parts()
            second.more["sub"] = sub(second)
            async with opened(store, second) as runs:
                await second.until_holding(1)
                second.let_go()
                assert await results(runs, outer) == [inner.run_id]
                assert len(await runs.list_runs(RunFilter())) == 2
                assert (await runs.summary(inner.run_id)).parent_run_id == outer

    running(scenario)


def test_runs_that_waited_for_their_turn_still_do() -> None:
    async def scenario() -> None:
        limits = Limits(active_runs=1)
        async with open_store("memory:", SCHEMA) as store:
            async with opened(store, Parts(), limits=limits) as runs:
                ids = [await started(runs, HOLD, [number]) for number in range(4)]
            parts = Parts()
            async with opened(store, parts, limits=limits) as runs:
                await trio.testing.wait_all_tasks_blocked()
                assert parts.holding == 1
                await runs.cancel(ids[2])
                parts.let_go()
                assert [await results(runs, run_id) for run_id in ids] == [[0], [1], ["cancelled"], [3]]

    running(scenario)


def test_a_cancellation_is_final() -> None:
    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as store:
            async with opened(store, Parts()) as runs:
                run_id = await started(runs, HOLD, [1])
                await runs.cancel(run_id)
            parts = Parts()
            async with opened(store, parts) as runs:
                assert (await runs.summary(run_id)).status == "cancelled"
                await trio.testing.wait_all_tasks_blocked()
                assert parts.calls == []

    running(scenario)


def test_what_is_kept_while_the_runtime_closes_is_done_by_the_next_one() -> None:
    """The commit under way ends after the last task that could call a component."""

    class Slow(Mortal):
        async def _commit(self, commit: Callable[[], Any]) -> Any:
            committing.set()
            with trio.CancelScope(shield=True):
                await closing.wait()
            return await commit()

    committing, closing = trio.Event(), trio.Event()

    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as store:
            async with opened(store) as runs:
                flow_id = await stored(runs, ECHO)
            first = Parts()
            acknowledged: list[str] = []

            async def submit(runs: Any) -> None:
                acknowledged.append(await runs.submit(SubmitRun(flow_id=flow_id, inputs=[1])))

            async with trio.open_nursery() as nursery, opened(Slow(store, float("inf")), first) as runs:
                nursery.start_soon(submit, runs)
                await committing.wait()

                async def go_on() -> None:
                    await trio.testing.wait_all_tasks_blocked()
                    closing.set()

                nursery.start_soon(go_on)
            assert first.calls == []
            async with opened(store) as runs:
                assert await results(runs, acknowledged[0]) == [1]

    running(scenario)


def test_a_run_whose_journal_is_damaged_fails_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as store:
            async with opened(store, Parts()) as runs:
                bad, good = await started(runs, HOLD, [1]), await started(runs, HOLD, [2])
            record = await store.read(Get("runs", bad))
            assert record is not None
            broken = record.document.replace(b'"is":"begun"', b'"is":"ended"')
            await store.write(Update("runs", [Patch(key=bad, document=broken)]))
            parts = Parts()
            async with opened(store, parts) as runs:
                parts.let_go()
                assert await results(runs, good) == [2]
                assert (await runs.summary(bad)).status == "failed"

    running(scenario)
    assert "cannot go on, and has failed: not the beginning of a run" in caplog.text


def test_what_was_being_deleted_is_gone_in_the_end() -> None:
    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as store:
            async with opened(store, Parts()) as runs:
                run_id = await started(runs, ECHO, range(10))
                await runs.wait(run_id)
            mortal = Mortal(store, 1)
            async with until_death(mortal, Parts(), limits=Limits(collect_seconds=1e9)) as runs:
                with pytest.raises(Unavailable):
                    await runs.delete_run(run_id)
            async with opened(store, Parts()) as runs:
                with pytest.raises(NotFound):
                    await runs.summary(run_id)
                await runs.collect_garbage()
            assert await store.read(Entries(journal_of(run_id))) == ()

    running(scenario)


# --- a store that fails -----------------------------------------------------------------------------------


class Limited(Mortal):
    """A store that is full until there is space again."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, float("inf"))
        self.is_full = False

    async def _commit(self, commit: Callable[[], Any]) -> Any:
        if self.is_full:
            await trio.lowlevel.checkpoint()
            raise StoreFull("no space")
        return await commit()


def test_a_full_store_refuses_runs_and_those_under_way_go_on_when_there_is_space() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with open_store("memory:", SCHEMA) as store:
            limited = Limited(store)
            async with opened(limited, parts) as runs:
                run_id = await started(runs, HOLD, [1])
                flow_id = (await runs.summary(run_id)).flow_id
                await parts.until_holding(1)
                limited.is_full = True
                parts.let_go()
                await trio.sleep(10)
                for _ in range(2):
                    with pytest.raises(Unavailable, match=r"full|no space"):
                        await runs.submit(SubmitRun(flow_id=flow_id, inputs=[1]))
                assert (await runs.summary(run_id)).status == "running"
                limited.is_full = False
                assert await results(runs, run_id) == [1]
                assert await results(runs, await started(runs, HOLD, [2])) == [2]

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_store_that_fails_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        parts = Parts()
        async with open_store("memory:", SCHEMA) as store:
            mortal = Mortal(store, 2)
            async with opened(mortal, parts) as runs:
                run_id = await started(runs, HOLD, [1])
                await parts.until_holding(1)
                parts.let_go()
                with pytest.raises(Unavailable, match="nothing can be kept any more: dead; restart"):
                    await runs.wait(run_id)
                with pytest.raises(Unavailable, match="nothing can be kept any more"):
                    await runs.submit(SubmitRun(flow_id=(await runs.summary(run_id)).flow_id, inputs=[1]))
                assert (await runs.summary(run_id)).status == "running"
            async with opened(store, parts) as runs:
                assert await results(runs, run_id) == [1]

    running(scenario)
    assert "nothing can be kept any more: dead" in caplog.text
