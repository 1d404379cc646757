"""A runtime on components that are functions of the test, and flows in short form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import trio

from protogen_runtime.stepflow.engine import S1, Dialect
from protogen_runtime.stepflow.plugins.contract import ComponentInfo, StepContext, StepFailed
from protogen_runtime.stepflow.runs import SCHEMA, Limits
from protogen_runtime.stepflow.runs.callbacks import Callbacks
from protogen_runtime.stepflow.runs.clock import Clock
from protogen_runtime.stepflow.runs.contract import RunEvent, SubmitRun
from protogen_runtime.stepflow.runs.service import Runs
from protogen_runtime.store import Store, open_store

PATIENCE = 20
"""Seconds after which a test that waits has failed."""

Work: TypeAlias = Callable[[Any, StepContext], Awaitable[Any]]


class Parts:
    """Components by name: functions of a test, and some that are always there.

    /echo: its input. /now: the same, without a wait. /fail: an error. /hold: its input once `let_go` was called.
    /sub: a run of the flow that `flow` names on `inputs`, waited for.
    """

    def __init__(self, **more: Work) -> None:
        self.calls: list[tuple[str, int, int, Any]] = []
        """Step, item, attempt and input of each call, in order."""
        self.holding = 0
        self.most = 0
        """How many calls were out at once at most."""
        self._out = 0
        self._gate = trio.Event()
        self._came = trio.lowlevel.ParkingLot()
        self.more = more
        self.runtime: Callbacks | None = None

    def let_go(self) -> None:
        """Let what holds go on."""
        self._gate.set()

    async def until_holding(self, count: int) -> None:
        """Wait until so many calls hold."""
        while self.holding < count:
            await self._came.park()

    def execute_nowait(self, component: str, value: Any) -> Any:
        """See service.Components."""
        if component == "/now":
            return value
        raise trio.WouldBlock

    async def components(self) -> list[ComponentInfo]:
        """See service.Components."""
        await trio.lowlevel.checkpoint()
        return [ComponentInfo(component="/echo", description="the input", input_schema={"type": "object"})]

    async def execute(self, component: str, value: Any, context: StepContext) -> Any:
        """See service.Components."""
        self.calls.append((context.step_id, context.item, context.attempt, value))
        self._out += 1
        self.most = max(self.most, self._out)
        try:
            await trio.lowlevel.checkpoint()
            return await self._execute(component, value, context)
        finally:
            self._out -= 1

    async def _execute(self, component: str, value: Any, context: StepContext) -> Any:
        name = component.removeprefix("/")
        if name in self.more:
            return await self.more[name](value, context)
        match name:
            case "echo":
                return value
            case "fail":
                raise StepFailed(-32100, "no luck", {"input": value})
            case "hold":
                self.holding += 1
                self._came.unpark_all()
                try:
                    await self._gate.wait()
                finally:
                    self.holding -= 1
                return value
            case _:
                raise StepFailed(-32001, f"Component not found: {component}", kind="routing")


@asynccontextmanager
async def opened(
    store: Store | str = "memory:",
    parts: Parts | None = None,
    *,
    dialect: Dialect = S1,
    limits: Limits | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[Runs]:
    """A runtime on components of a test."""
    known = parts or Parts()
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(open_store(store, SCHEMA)) if isinstance(store, str) else store
        runs = Runs(there, dialect, limits=limits, clock=clock)
        known.runtime = Callbacks(runs)
        async with runs.running(known):
            yield runs


def flow(*steps: Sequence[Any], output: Any = ..., **fields: Any) -> dict[str, Any]:
    """A flow of steps (id, component, input, further fields); its output is that of the last step."""
    written = [
        {
            "id": it[0],
            "component": it[1],
            "input": it[2] if len(it) > 2 else {"$input": "$"},
            **(it[3] if len(it) > 3 else {}),
        }
        for it in steps
    ]
    if output is ...:
        output = {"$step": written[-1]["id"]} if written else {"$input": "$"}
    return {"steps": written, "output": output, **fields}


ECHO = flow(("s", "/echo"))
NOW = flow(("s", "/now"))
HOLD = flow(("s", "/hold"))


async def stored(runs: Runs, tree: Any) -> str:
    """The id of a flow that is kept."""
    result = await runs.store_flow(tree)
    assert result.flow_id is not None, result
    return result.flow_id


async def started(runs: Runs, tree: Any, inputs: Iterable[Any] = ("x",), **options: Any) -> str:
    """The id of a run of a flow."""
    return await runs.submit(SubmitRun(flow_id=await stored(runs, tree), inputs=list(inputs), **options))


async def results(runs: Runs, run_id: str) -> list[Any]:
    """What the items of a run came to, when it has ended: values, and ("failed", code, message)."""
    await runs.wait(run_id)
    return [shown(it.result) if it.status != "cancelled" else "cancelled" for it in await runs.items(run_id)]


def shown(result: Any) -> Any:
    """A result in short form."""
    return result.result if hasattr(result, "result") else ("failed", result.error.code, result.error.message)


async def outcome(runs: Runs, tree: Any, inputs: Iterable[Any] = ("x",), **options: Any) -> list[Any]:
    """What a run of a flow comes to."""
    return await results(runs, await started(runs, tree, inputs, **options))


async def told(runs: Runs, run_id: str, *, after: int = 0) -> list[RunEvent]:
    """All events of a run."""
    return [event async for event in await runs.events(run_id, after=after)]


def running(scenario: Callable[[], Awaitable[None]], *, seconds: float = PATIENCE) -> None:
    """Run a scenario under a deadline."""

    async def run() -> None:
        with trio.fail_after(seconds):
            await scenario()

    trio.run(run)
