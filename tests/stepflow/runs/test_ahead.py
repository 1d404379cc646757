"""Runs whose submitter waits for their end: ahead of the disk for a moment, and never behind an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing
from runs_rig import ECHO, HOLD, Parts, flow, opened, results, running, shown, started, told

from protogen_runtime.stepflow.api.exchange import Asked, BadRequest
from protogen_runtime.stepflow.api.handlers import Api
from protogen_runtime.stepflow.plugins.contract import RunRequest, StepContext
from protogen_runtime.stepflow.runs import SCHEMA
from protogen_runtime.stepflow.runs.contract import Ending, NotFound, RunFilter, SubmitRun, Unavailable
from protogen_runtime.stepflow.runs.live import AHEAD_ITEMS
from protogen_runtime.stepflow.runs.service import AHEAD_SECONDS, Runs
from protogen_runtime.store import Change, Get, Store, StoreFailed, open_store

TWO = flow(("a", "/echo"), ("b", "/echo", {"$step": "a"}))


class Watched:
    """A store whose commits are counted, can be held back, and fail after so many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits = 0
        self.left = float("inf")
        self.go = trio.Event()
        self.go.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write_all(self, changes: Sequence[Change[Any]]) -> list[Any]:
        self.commits += 1
        await self.go.wait()
        self.left -= 1
        if self.left < 0:
            raise StoreFailed("dead")
        return await self._store.write_all(changes)


def ahead(
    scenario: Callable[[Runs, Watched, Parts], Awaitable[None]], parts: Parts | None = None, *, is_fast: bool = True
) -> None:
    """Run a scenario on a runtime; time passes only where all wait, if `is_fast`."""
    known = parts or Parts()

    async def main() -> None:
        async with open_store("memory:", SCHEMA) as store:
            watched = Watched(store)
            async with opened(cast("Store", watched), known) as runs:
                await scenario(runs, watched, known)

    if is_fast:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        running(main)


async def awaited(runs: Runs, tree: Any, inputs: Sequence[Any] = ("x",)) -> Ending:
    """The end of a run, whose flow is in memory."""
    flow_id = (await runs.store_flow(tree)).flow_id
    assert flow_id is not None
    assert runs.run_nowait(SubmitRun(flow_id=flow_id, inputs=list(inputs))) is None, "nothing has read the flow yet"
    await runs.submit(SubmitRun(flow_id=flow_id, inputs=[]))
    ending = runs.run_nowait(SubmitRun(flow_id=flow_id, inputs=list(inputs)))
    assert ending is not None
    return ending


async def is_kept(store: Watched, run_id: str) -> bool:
    return await store.read(Get("runs", run_id)) is not None


def test_a_run_of_several_steps_is_one_commit() -> None:
    async def scenario(runs: Runs, store: Watched, parts: Parts) -> None:
        ending = await awaited(runs, TWO)
        before = store.commits
        ended = await ending
        assert (ended.status, ended.items, store.commits - before) == ("completed", 1, 1)
        assert [shown(it.result) for it in ended.results or ()] == ["x"]
        assert [call[:3] for call in parts.calls] == [("a", 0, 1), ("b", 0, 1)]
        kinds = [event.kind for event in await told(runs, ended.run_id)]
        assert kinds == ["run_started", "step_started", "step_completed", "step_started", "step_completed", *ENDS]

    ahead(scenario)


ENDS = ["item_completed", "run_completed"]


def test_components_are_called_before_the_commit_and_nobody_is_answered_before_it() -> None:
    async def scenario(runs: Runs, store: Watched, parts: Parts) -> None:
        answers: list[str] = []
        ending = await awaited(runs, TWO)
        ending.tell(lambda: answers.append(ending.result().status))
        store.go = trio.Event()
        await trio.testing.wait_all_tasks_blocked()
        assert (len(parts.calls), answers) == (2, [])
        run_id = ending.result().run_id
        assert not await is_kept(store, run_id)
        store.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert answers == ["completed"]
        assert await is_kept(store, run_id)

    ahead(scenario, is_fast=False)


def test_a_run_that_takes_longer_is_kept_under_way() -> None:
    async def scenario(runs: Runs, _: Watched, parts: Parts) -> None:
        ending = await awaited(runs, HOLD, [1])
        await trio.sleep(AHEAD_SECONDS / 2)
        assert [run.items.total for run in await runs.list_runs(RunFilter())] == [0]
        await trio.sleep(2 * AHEAD_SECONDS)
        assert [run.status for run in await runs.list_runs(RunFilter(status="running"))] == ["running"]
        parts.let_go()
        assert (await ending).status == "completed"
        assert len(parts.calls) == 1

    ahead(scenario)


def test_a_run_of_many_items_is_kept_first() -> None:
    async def scenario(runs: Runs, store: Watched, parts: Parts) -> None:
        ending = await awaited(runs, ECHO, range(AHEAD_ITEMS + 1))
        store.go = trio.Event()
        await trio.testing.wait_all_tasks_blocked()
        assert parts.calls == []
        store.go.set()
        ended = await ending
        assert (ended.items, ended.results, len(parts.calls)) == (AHEAD_ITEMS + 1, None, AHEAD_ITEMS + 1)

    ahead(scenario, is_fast=False)


@pytest.mark.parametrize("what", ["summary", "items", "put_blob", "submit_run"])
def test_whoever_hears_of_a_run_from_its_component_finds_it_kept(what: str) -> None:
    kept: list[bool] = []

    async def work(_: Any, context: StepContext) -> Any:
        runs, store = known["runs"], known["store"]
        match what:
            case "put_blob":
                blob_id = await parts.runtime_now.put_blob({"a": 1}, "data", context)
                assert (await runs.get_blob(blob_id)).data == {"a": 1}
            case "submit_run":
                request = RunRequest(flow_id=known["flow"], inputs=[1], wait=True)
                status = await parts.runtime_now.submit_run(request, context)
                assert (await runs.summary(status["runId"])).parent_run_id == context.run_id
            case _:
                assert await getattr(runs, what)(context.run_id)
        kept.append(await is_kept(store, context.run_id))
        return 1

    class Known(Parts):
        @property
        def runtime_now(self) -> Any:
            return self.runtime

    known: dict[str, Any] = {}
    parts = Known(work=work)

    async def scenario(runs: Runs, store: Watched, _: Parts) -> None:
        ending = await awaited(runs, flow(("s", "/work")))
        known.update(runs=runs, store=store, flow=(await runs.store_flow(ECHO)).flow_id)
        assert (await ending).status == "completed"
        assert kept == [True]

    ahead(scenario, parts, is_fast=False)


def test_a_run_can_be_cancelled_before_it_is_kept() -> None:
    async def scenario(runs: Runs, store: Watched, parts: Parts) -> None:
        ending = await awaited(runs, HOLD)
        await parts.until_holding(1)
        run_id = ending.result().run_id
        assert not await is_kept(store, run_id)
        assert (await runs.cancel(run_id)).status == "cancelled"
        assert (await ending).status == "cancelled"
        assert await is_kept(store, run_id)
        await trio.testing.wait_all_tasks_blocked()
        assert parts.holding == 0

    ahead(scenario, is_fast=False)


def test_a_runtime_that_ends_keeps_what_was_under_way() -> None:
    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as store:
            first, second = Parts(), Parts()
            async with opened(store, first) as runs:
                run_id = (await awaited(runs, HOLD, [1])).result().run_id
                await first.until_holding(1)
            second.let_go()
            async with opened(store, second) as runs:
                assert await results(runs, run_id) == [1]
            assert [call[:3] for call in first.calls + second.calls] == [("s", 0, 1), ("s", 0, 2)]

    running(scenario)


def test_a_run_that_the_store_loses_was_never_there() -> None:
    async def scenario() -> None:
        async with open_store("memory:", SCHEMA) as inner:
            store = Watched(inner)
            async with opened(cast("Store", store)) as runs:
                ending = await awaited(runs, TWO)
                store.left = 0
                run_id = ending.result().run_id
                with pytest.raises(Unavailable, match=r"dead"):
                    await ending
            async with opened(inner) as runs:
                with pytest.raises(NotFound):
                    await runs.summary(run_id)

    running(scenario)


@pytest.mark.parametrize("commits", range(4))
def test_after_a_death_at_any_commit_a_run_is_gone_or_goes_on(commits: int) -> None:
    """A second step that takes long: the run is kept before it ends."""

    async def scenario() -> None:
        tree = flow(("a", "/echo"), ("b", "/hold", {"$step": "a"}), ("c", "/echo", {"$step": "b"}))
        async with open_store("memory:", SCHEMA) as inner:
            store, first, second = Watched(inner), Parts(), Parts()
            answered: list[str] = []
            async with opened(cast("Store", store), first) as runs:
                ending = await awaited(runs, tree, [7])
                store.left = commits
                await first.until_holding(1)
                await trio.sleep(3 * AHEAD_SECONDS)
                first.let_go()
                with suppress(Unavailable):
                    answered.append((await ending).run_id)
            second.let_go()
            async with opened(inner, second) as runs:
                for run in await runs.list_runs(RunFilter()):
                    if run.items.total:
                        assert await results(runs, run.run_id) == [7]
                there = [run.run_id for run in await runs.list_runs(RunFilter()) if run.items.total]
            assert set(answered) <= set(there)
            assert len(there) == (commits > 0)
            assert not any(call[0] == "a" for call in second.calls), "its outcome was in the first commit"

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_server_that_stops_tells_whoever_waits_where_the_run_is() -> None:
    async def scenario(runs: Runs, store: Watched, parts: Parts) -> None:
        flow_id = (await runs.summary(await started(runs, HOLD, []))).flow_id
        api = Api(runs)
        body = msgspec.json.encode({"flowId": flow_id, "input": [1]})
        refused: list[BadRequest] = []

        async def ask() -> None:
            with pytest.raises(BadRequest) as caught:
                await api.create_run(Asked(body=body))
            refused.append(caught.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await parts.until_holding(1)
            store.go = trio.Event()
            api.end()
            await trio.testing.wait_all_tasks_blocked()
            assert refused == [], "it is told of what is kept"
            store.go.set()
        assert refused[0].status == 503
        run_id = refused[0].message.partition("the run ")[2].partition(" ")[0]
        assert await is_kept(store, run_id)
        parts.let_go()
        assert await results(runs, run_id) == [1]

    ahead(scenario, is_fast=False)


def test_results_of_any_size_are_told() -> None:
    async def scenario(runs: Runs, _: Watched, __: Parts) -> None:
        flow_id = (await runs.summary(await started(runs, ECHO, []))).flow_id
        large = "x" * 100_000
        answer: Any = await Api(runs).create_run(Asked(body=msgspec.json.encode({"flowId": flow_id, "input": [large]})))
        assert msgspec.json.decode(answer.body)["result"]["result"] == large

    ahead(scenario, is_fast=False)


def test_a_runtime_that_ends_calls_nothing_more() -> None:
    """What it abandons makes room, into which nothing may go."""

    class Prompt(Parts):
        abandoned = 0

        def execute_soon(self, _: str, value: Any, context: StepContext, __: Any) -> Callable[[], None]:
            self.calls.append((context.step_id, context.item, context.attempt, value))
            return self._abandon

        def _abandon(self) -> None:
            self.abandoned += 1

    async def scenario() -> None:
        parts = Prompt()
        async with opened("memory:", parts) as runs:
            await started(runs, HOLD, [1, 2], max_concurrency=1)
            await trio.testing.wait_all_tasks_blocked()
        assert (len(parts.calls), parts.abandoned) == (1, 1)

    running(scenario)
