"""Bounds: deadlines, slots, time-outs of callbacks, and an end in good order."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec
import pytest
import trio
from plugin_rig import CONTEXT, MemoryRuntime, failure_of, running
from worker_rig import execute_message, plugins_of, post, serving, serving_lines

from protogen_runtime.stepflow.worker import App, BlockingContext, Context
from protogen_runtime.stepflow.worker.context import ExecutionOver


class Gate:
    """Executions that are held until the test lets them go, and how many there were at once."""

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.changed = trio.lowlevel.ParkingLot()
        self.inside = 0
        self.most = 0

    async def hold(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.changed.unpark_all()
        await self.opened.wait()
        self.inside -= 1

    async def until_inside(self, count: int) -> None:
        while self.inside < count:
            await self.changed.park()


def test_no_more_run_at_once_than_may_and_one_too_many_is_refused() -> None:
    async def scenario() -> None:
        made, gate = App(concurrency=2, backlog=1), Gate()

        @made.component("/hold")
        async def hold() -> int:
            await gate.hold()
            return gate.most

        answers: list[Any] = []
        answered = trio.Event()

        async def call(url: str) -> None:
            answers.append((await post(url, execute_message("/hold"))).json)
            answered.set()

        async with serving(made) as url:
            async with trio.open_nursery() as nursery:
                for count in (1, 2):
                    nursery.start_soon(call, url)
                    await gate.until_inside(count)
                # Of two more one waits for a slot, and the other one has an answer at once.
                nursery.start_soon(call, url)
                nursery.start_soon(call, url)
                await answered.wait()
                error = answers.pop()["error"]
                assert error["code"] == -32005
                assert error["data"] == {"component": "/hold", "concurrency": 2, "backlog": 1}
                gate.opened.set()
            assert [answer["result"]["output"] for answer in answers] == [2, 2, 2]
            assert (await post(url, execute_message("/hold"))).json["result"]["output"] == 2

    running(scenario)


def test_a_component_that_waits_for_a_run_lends_its_slot_to_the_run() -> None:
    async def scenario() -> None:
        made = App(concurrency=1, backlog=0)
        reached: dict[str, Any] = {}

        @made.component("/outer")
        def outer(context: BlockingContext) -> Any:
            return context.evaluate("f" * 64, 1)

        @made.component("/inner")
        async def inner() -> str:
            return "inner"

        class Runtime(MemoryRuntime):
            async def submit_run(self, request: Any, caller: Any) -> Any:
                # The flow's own step needs the worker's only slot.
                reached["output"] = await reached["plugins"].execute("/w/inner", None, CONTEXT)
                return await super().submit_run(request, caller)

        async with plugins_of(made, runtime=Runtime()) as plugins:
            reached["plugins"] = plugins
            for _ in range(3):
                assert await plugins.execute("/w/outer", None, CONTEXT) == 1
            assert reached["output"] == "inner"

    running(scenario)


def test_a_deadline_ends_a_thread_at_its_next_callback_and_keeps_its_slot_until_then() -> None:
    async def scenario() -> None:
        made, go, ended = App(concurrency=1, backlog=5), threading.Event(), threading.Event()
        seen: list[type[BaseException]] = []

        @made.component("/slow", seconds=0.05)
        def slow(context: BlockingContext) -> None:
            try:
                go.wait(10)
                context.put_blob(1)
            except ExecutionOver as reason:
                seen.append(type(reason))
            finally:
                ended.set()

        @made.component("/next")
        async def after() -> bool:
            return ended.is_set()

        async with serving(made) as url:
            error = (await post(url, execute_message("/slow"))).json["error"]
            assert (error["code"], error["data"]) == (-32006, {"component": "/slow", "seconds": 0.05})
            answers: list[Any] = []

            async def call() -> None:
                answers.append((await post(url, execute_message("/next"))).json)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                go.set()
            assert answers[0]["result"] == {"output": True}
            assert seen == [ExecutionOver]

    running(scenario)


def test_an_app_s_deadline_holds_for_components_without_their_own() -> None:
    async def scenario() -> None:
        made = App(seconds=0.05)

        @made.component("/ever")
        async def ever() -> None:
            await trio.sleep_forever()

        async with serving(made) as url:
            error = (await post(url, execute_message("/ever"))).json["error"]
            assert (error["code"], error["data"]["seconds"]) == (-32006, 0.05)

    running(scenario)


def test_a_runtime_that_never_answers_fails_the_component_in_time() -> None:
    async def scenario() -> None:
        made = App(callback_seconds=0.05)

        @made.component("/put")
        async def put(value: Any, context: Context) -> str:
            return await context.put_blob(value)

        async with serving_lines(made) as lines:
            await lines.send(execute_message("/put", 1))
            assert (await lines.receive())["method"] == "blobs/put"
            # It is given up without a word: the protocol has none for that.
            answer = await lines.receive()
            assert answer["error"]["code"] == -32005
            assert answer["error"]["data"]["exception"] == "CallTimeoutError"

    running(scenario)


def test_a_runtime_that_takes_no_stream_fails_the_callback_alone() -> None:
    async def scenario() -> None:
        made = App()

        @made.component("/put")
        async def put(value: Any, context: Context) -> str:
            return await context.put_blob(value)

        async with serving(made) as url:
            answer = await post(url, execute_message("/put", 1), accept="application/json")
            assert (answer.status, answer.json["error"]["code"]) == (200, -32005)

    running(scenario)


def test_a_runtime_that_goes_away_cancels_its_component() -> None:
    async def scenario() -> None:
        made, gate, cancelled = App(concurrency=1), Gate(), trio.Event()

        @made.component("/hold")
        async def hold() -> None:
            try:
                await gate.hold()
            except trio.Cancelled:
                cancelled.set()
                raise

        async with serving(made) as url:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(post, url, execute_message("/hold"))
                    await gate.until_inside(1)
                    scope.cancel()
            await cancelled.wait()
            gate.opened.set()
            assert "result" in (await post(url, execute_message("/hold"))).json

    running(scenario)


def test_what_runs_at_the_end_may_finish() -> None:
    async def scenario() -> None:
        made, gate, stop = App(), Gate(), trio.Event()
        answers: list[Any] = []

        @made.component("/hold")
        async def hold() -> str:
            await gate.hold()
            return "done"

        async def call(url: str) -> None:
            answers.append((await post(url, execute_message("/hold"))).json)

        async with serving(made, until=stop.wait, graceful_seconds=10) as url, trio.open_nursery() as nursery:
            nursery.start_soon(call, url)
            await gate.until_inside(1)
            stop.set()
            gate.opened.set()
        assert answers[0]["result"] == {"output": "done"}

    running(scenario)


def test_the_end_of_input_lets_what_runs_finish_over_stdio() -> None:
    async def scenario() -> None:
        made, gate = App(), Gate()

        @made.component("/hold")
        async def hold() -> str:
            await gate.hold()
            return "done"

        async with serving_lines(made) as lines:
            await lines.send(execute_message("/hold"))
            await gate.until_inside(1)
            await lines.end()
            gate.opened.set()
            assert (await lines.receive())["result"] == {"output": "done"}

    running(scenario)


def test_what_a_component_stores_may_be_typed() -> None:
    class Item(msgspec.Struct):
        parts: tuple[int, ...]

    async def scenario() -> None:
        made, runtime = App(), MemoryRuntime()

        @made.component("/put")
        async def put(context: Context) -> str:
            return await context.put_blob([Item((1, 2)), {3}])

        async with plugins_of(made, runtime=runtime) as plugins:
            name = await plugins.execute("/w/put", None, CONTEXT)
            assert runtime.blobs[name].data == [{"parts": [1, 2]}, [3]]

    running(scenario)


def test_progress_is_a_fraction(capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        made = App()

        @made.component("/go")
        async def go(fraction: float, context: Context) -> None:
            context.progress(fraction, "half way")

        async with plugins_of(made) as plugins:
            await plugins.execute("/w/go", 0.5, CONTEXT)
            failed = await failure_of(plugins, "/w/go", 1.5)
            assert failed.data["reason"] == "progress is from 0 to 1, got 1.5"

    running(scenario)
    told = capfd.readouterr().out
    assert "half way" in told
    assert json.dumps(CONTEXT.run_id)[1:-1] in told
