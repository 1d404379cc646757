"""Runs within runs: whose they are, how another attempt finds them, and what they share."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from runs_rig import ECHO, HOLD, NOW, Parts, flow, opened, outcome, results, running, started, stored

from protogen_runtime.stepflow.engine import S2
from protogen_runtime.stepflow.plugins.contract import (
    BadRunId,
    CallRefused,
    FlowNotFound,
    RunNotFound,
    RunQuery,
    RunRequest,
    StepContext,
    StepFailed,
)
from protogen_runtime.stepflow.runs import Limits
from protogen_runtime.stepflow.runs.contract import Conflict, NotFound, RunFilter


def submitting(parts: Parts, **options: Any) -> Any:
    """A component that runs the flow of its input, and gives the RunStatus."""

    async def sub(value: Any, context: StepContext) -> Any:
        assert parts.runtime is not None
        request = RunRequest(flow_id=value["flow"], inputs=value["inputs"], **{"wait": True, **options})
        return await parts.runtime.submit_run(request, context)

    return sub


def parts_of(**options: Any) -> Parts:
    """Components with /sub."""
    parts = Parts()
    parts.more["sub"] = submitting(parts, **options)
    return parts


SUB = flow(("s", "/sub"))


def test_a_run_that_a_step_started_is_within_its_run() -> None:
    async def scenario() -> None:
        async with opened(parts=parts_of(max_concurrency=2)) as runs:
            inner = await stored(runs, ECHO)
            outer = await started(runs, SUB, [{"flow": inner, "inputs": [1, 2]}])
            ((status,),) = [await results(runs, outer)]
            assert status["items"] == {"total": 2, "completed": 2, "running": 0, "failed": 0, "cancelled": 0}
            assert [it["result"] for it in status["results"]] == [
                {"outcome": "success", "result": 1},
                {"outcome": "success", "result": 2},
            ]
            assert set(status) == {"runId", "flowId", "status", "items", "createdAt", "completedAt", "results"}
            assert status["createdAt"].endswith("+00:00")
            assert status["results"][0]["completedAt"].endswith("Z")
            within = await runs.summary(status["runId"])
            assert (within.root_run_id, within.parent_run_id) == (outer, outer)
            assert [it.run_id for it in await runs.list_runs(RunFilter(parent_run_id=outer))] == [status["runId"]]
            assert [it.run_id for it in await runs.list_runs(RunFilter(roots_only=True))] == [outer]
            assert [it.run_id for it in await runs.list_runs(RunFilter(max_depth=0))] == [outer]
            assert len(await runs.list_runs(RunFilter(root_run_id=outer))) == 2

    running(scenario)


@pytest.mark.parametrize(("inner", "same"), [("/echo", True), ("/fail", False)])
def test_another_attempt_finds_the_run_that_was_started_unless_it_failed(inner: str, same: bool) -> None:
    async def scenario() -> None:
        seen: list[str] = []
        parts = Parts()

        async def sub(value: Any, context: StepContext) -> Any:
            assert parts.runtime is not None
            request = RunRequest(flow_id=value, inputs=[context.attempt], wait=True, subflow_key="k")
            status = await parts.runtime.submit_run(request, context)
            seen.append(status["runId"])
            if context.attempt == 1:
                raise StepFailed(-32302, "lost on the way", kind="transport")
            return [it["result"] for it in status["results"]]

        parts.more["sub"] = sub
        async with opened(parts=parts, dialect=S2) as runs:
            flow_id = await stored(runs, flow(("s", inner)))
            ((result,),) = await outcome(runs, SUB, [flow_id])
            assert (seen[0] == seen[1]) is same
            assert (result == {"outcome": "success", "result": 1}) is same
            assert len(await runs.list_runs(RunFilter(flow_id=flow_id))) == (1 if same else 2)

    running(scenario)


def test_keys_are_those_of_one_step_of_one_item() -> None:
    async def scenario() -> None:
        async with opened(parts=parts_of(subflow_key="k")) as runs:
            inner = await stored(runs, NOW)
            value = {"flow": inner, "inputs": [1]}
            tree = flow(("a", "/sub"), ("b", "/sub"), output=[{"$step": "a"}, {"$step": "b"}])
            statuses = await outcome(runs, tree, [value, value])
            assert len({status["runId"] for pair in statuses for status in pair}) == 4

    running(scenario)


def test_a_run_within_is_cancelled_with_its_run() -> None:
    async def scenario() -> None:
        parts = parts_of()
        async with opened(parts=parts) as runs:
            outer = await started(runs, SUB, [{"flow": await stored(runs, HOLD), "inputs": [1, 2]}])
            await parts.until_holding(1)
            with pytest.raises(Conflict):
                await runs.delete_run(outer)
            await runs.cancel(outer)
            assert {it.status for it in await runs.list_runs(RunFilter(root_run_id=outer))} == {"cancelled"}
            await trio.testing.wait_all_tasks_blocked()
            assert parts.holding == 0
            await runs.delete_run(outer)
            assert await runs.list_runs(RunFilter()) == []

    running(scenario)


def test_a_run_that_ended_is_not_deleted_while_one_that_it_started_runs() -> None:
    async def scenario() -> None:
        parts = parts_of(wait=False)
        async with opened(parts=parts) as runs:
            outer = await started(runs, SUB, [{"flow": await stored(runs, HOLD), "inputs": [1]}])
            ((status,),) = [await results(runs, outer)]
            assert (status["status"], "results" in status) == ("running", False)
            with pytest.raises(Conflict, match=f"run {status['runId']} has not ended"):
                await runs.delete_run(outer)
            parts.let_go()
            await runs.wait(status["runId"])
            await runs.delete_run(outer)
            with pytest.raises(NotFound):
                await runs.summary(status["runId"])

    running(scenario)


def test_calls_of_a_tree_are_bounded_and_a_step_that_waits_lends_its_room() -> None:
    async def scenario() -> None:
        parts = parts_of()
        async with opened(parts=parts, limits=Limits(steps=2)) as runs:
            middle = await stored(runs, SUB)
            inner = await stored(runs, HOLD)
            value = {"flow": middle, "inputs": [{"flow": inner, "inputs": list(range(5))}]}
            run_id = await started(runs, SUB, [value], max_concurrency=1)
            # Two that wait for runs, and one of five: with a step for each that waits nothing would go on.
            await parts.until_holding(1)
            await trio.testing.wait_all_tasks_blocked()
            assert parts.holding == 1
            parts.let_go()
            ((status,),) = [await results(runs, run_id)]
            assert status["results"][0]["result"]["result"]["items"]["completed"] == 5
            # All room was given back, by those that lent theirs, too.
            again = await started(runs, HOLD, range(4))
            assert await results(runs, again) == [0, 1, 2, 3]

    running(scenario)


def test_waiting_for_a_run_can_be_bounded() -> None:
    async def scenario() -> None:
        parts = parts_of(timeout_seconds=0.01)
        async with opened(parts=parts) as runs:
            run_id = await started(runs, SUB, [{"flow": await stored(runs, HOLD), "inputs": [1]}])
            ((status,),) = [await results(runs, run_id)]
            assert (status["status"], status["results"][0]["status"]) == ("running", "running")
            await runs.cancel(status["runId"])

    running(scenario)


def test_flows_that_run_themselves_come_to_an_end() -> None:
    async def scenario() -> None:
        depths: list[int] = []
        parts = Parts()

        async def again(value: Any, context: StepContext) -> Any:
            assert parts.runtime is not None
            depths.append(len(depths))
            request = RunRequest(flow_id=context.flow_id, inputs=[1], wait=True)
            try:
                return await parts.runtime.submit_run(request, context)
            except CallRefused as refused:
                raise StepFailed(refused.code, refused.message) from None

        parts.more["again"] = again
        async with opened(parts=parts, limits=Limits(max_depth=5)) as runs:
            await outcome(runs, flow(("s", "/again")))
            assert len(depths) == 6
            failed = (await runs.list_runs(RunFilter(status="failed")))[0]
            (item,) = await runs.items(failed.run_id)
            assert "runs are nested 5 deep; does the flow run itself?" in str(item.result)

    running(scenario)


def test_what_workers_are_refused_has_the_codes_of_the_protocol() -> None:
    async def scenario() -> None:
        parts = Parts()
        async with opened(parts=parts) as runs:
            runtime = parts.runtime
            assert runtime is not None
            with pytest.raises(FlowNotFound) as flow_refused:
                await runtime.submit_run(RunRequest(flow_id="0" * 64, inputs=[]), None)
            with pytest.raises(BadRunId) as id_refused:
                await runtime.get_run(RunQuery(run_id="x"), None)
            with pytest.raises(RunNotFound) as run_refused:
                await runtime.get_run(RunQuery(run_id="01900000-0000-7000-8000-000000000000"), None)
            with pytest.raises(CallRefused, match="invalid flow") as blob_refused:
                await runtime.put_blob({"steps": 5}, "flow", None)
            codes = [it.value.code for it in (flow_refused, id_refused, run_refused, blob_refused)]
            assert codes == [-32011, -32012, -32000, -32000]
            run_id = await started(runs, NOW, [1, 2])
            query = RunQuery(run_id=run_id.upper(), wait=True, include_results=True, result_order="by_completion")
            status = await runtime.get_run(query, None)
            assert [it["itemIndex"] for it in status["results"]] == [0, 1]

    running(scenario)
