"""Workers over HTTP without a task for each call: all that holds with one, and what becomes of calls that are left."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import plugin_rig
import pytest
import trio
from plugin_rig import CONTEXT, Request, raw_worker, running
from test_http_worker import *  # noqa: F403 - its tests are these tests, too, on the plugins of the fixture below

from protogen_runtime.stepflow.plugins.contract import Rest, StepContext, StepFailed
from protogen_runtime.stepflow.plugins.opening import Plugins

_opened = plugin_rig.opened


class Soon:
    """Plugins that are asked as runs ask them: without a task as long as that can be."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self.without_task = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugins, name)

    async def execute(self, component: str, value: Any, context: StepContext) -> Any:
        came, told = trio.Event(), list[Callable[[], Any] | Rest]()

        def tell(result: Callable[[], Any] | Rest) -> None:
            told.append(result)
            came.set()

        abandon = self._plugins.execute_soon(component, value, context, tell)
        if abandon is None:
            return await self._plugins.execute(component, value, context)
        self.without_task += 1
        try:
            await came.wait()
        except trio.Cancelled:
            if not told:
                abandon()
            raise
        (result,) = told
        return await result.run() if isinstance(result, Rest) else result()


@asynccontextmanager
async def _soon(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
    async with _opened(*args, **kwargs) as plugins:
        yield Soon(plugins)


@pytest.fixture(autouse=True)
def without_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_rig, "opened", _soon)


def test_a_worker_that_is_up_is_called_without_a_task() -> None:
    async def scenario() -> None:
        async with raw_worker() as (worker, plugins):
            for number in range(20):
                assert await plugins.execute("/w/x", {"n": number}, CONTEXT) == {"n": number}
            assert cast("Soon", plugins).without_task == 20
            assert len({id(request.stream) for request in worker.requests}) <= 2, "on connections that were there"

    running(scenario)


def test_a_call_that_is_abandoned_ends_its_connection_and_no_other() -> None:
    async def scenario() -> None:
        ended = trio.Event()

        async def handle(request: Request) -> None:
            if request.message["params"]["component"] == "/hold":
                assert await request.stream.receive_some() == b""
                ended.set()
            else:
                await request.result({"output": 1})

        async with raw_worker(handle) as (worker, plugins):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(plugins.execute, "/w/hold", None, CONTEXT)
                await worker.until(lambda: "components/execute" in worker.methods())
                nursery.cancel_scope.cancel()
            await ended.wait()
            assert await plugins.execute("/w/x", None, CONTEXT) == 1

    running(scenario)


def test_calls_that_take_too_long_fail_in_their_order_and_others_do_not() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            if request.message["params"]["component"] == "/hold":
                await trio.sleep_forever()
            await request.result({"output": 1})

        failed: list[str] = []
        async with raw_worker(handle, settings=", executeTimeoutMs: 100") as (_, plugins):

            async def call(name: str) -> None:
                with pytest.raises(StepFailed, match=r"components/execute was not answered within 0.1 s") as reason:
                    await plugins.execute("/w/hold", None, CONTEXT)
                assert reason.value.kind == "transport"
                failed.append(name)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, "a")
                for _ in range(3):
                    assert await plugins.execute("/w/x", None, CONTEXT) == 1
                nursery.start_soon(call, "b")
            assert sorted(failed) == ["a", "b"]
            assert await plugins.execute("/w/x", None, CONTEXT) == 1

    running(scenario)
