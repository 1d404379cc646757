"""Execution: calls of components, so many at once, each in a task that a run can abandon.

Knows neither the store nor why a step is called: it tells the run what came of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeAlias

import trio

from protogen_runtime.stepflow.engine import Outcome, StartStep, StepFailure
from protogen_runtime.stepflow.flow.model import Success
from protogen_runtime.stepflow.flow.values import Json
from protogen_runtime.stepflow.plugins.contract import INTERNAL, ComponentInfo, Rest, StepContext, StepFailed, Told
from protogen_runtime.stepflow.plugins.failures import failure_of

from .gates import Gate
from .identifiers import new_span
from .live import Call, Live

ExecuteSoon: TypeAlias = Callable[[str, Json, StepContext, Told], Callable[[], None] | None]
"""See `plugins.opening.Plugins.execute_soon`."""

_logger = logging.getLogger(__name__)


class Components(Protocol):
    """Executes what steps name; `plugins.opening.Plugins` is one."""

    def execute_nowait(self, component: str, value: Json) -> Json:
        """The output of what only computes. Errors: StepFailed; trio.WouldBlock for what does not."""
        ...

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """The output of a component. Errors: StepFailed."""
        ...

    async def components(self) -> list[ComponentInfo]:
        """All that can be listed."""
        ...


class Execution:
    """Calls components in a nursery, for all runs; `steps` of them may be out at once."""

    def __init__(self, components: Components, nursery: trio.Nursery, steps: int) -> None:
        self.components: Final = components
        # Not all can do without tasks.
        self._execute_soon: ExecuteSoon | None = getattr(components, "execute_soon", None)
        self._soon: set[Call] = set()
        self._nursery = nursery
        self._gate = Gate(steps)
        self._is_closed = False

    def close(self) -> None:
        """Call no more: what is asked for from now on is asked for again by the next runtime."""
        self._is_closed = True
        for call in tuple(self._soon):
            call.cancel()

    def execute_nowait(self, start: StartStep) -> Outcome | None:
        """See live.Host."""
        try:
            return Success(self.components.execute_nowait(start.component, start.input))
        except trio.WouldBlock:
            return None
        except StepFailed as failed:
            return failure_of(failed, start.component)
        except Exception as error:  # noqa: BLE001 - a defect of a component is the failure of one step
            return _defect(start, error)

    def launch(self, live: Live, start: StartStep) -> None:
        """See live.Host."""
        if self._is_closed:
            return
        call = Call(start)
        live.calls[start.item, start.step_id] = call
        if start.delay:
            self._nursery.start_soon(self._delay, live, call)
        else:
            self._let_in(live, call)

    def _let_in(self, live: Live, call: Call) -> None:
        def go() -> None:
            if self._is_closed:
                # Those that end now have left their room to it.
                return
            call.is_inside = True
            if not self._began_soon(live, call):
                self._nursery.start_soon(self._execute, live, call, None)

        live.tree.gate.enter(partial(self._gate.enter, go))

    async def _delay(self, live: Live, call: Call) -> None:
        with call.enter() as scope:
            await trio.sleep(call.start.delay)
        if scope.cancelled_caught:
            self._forget(live, call)
        else:
            call.scope = None
            self._let_in(live, call)

    def _began_soon(self, live: Live, call: Call) -> bool:
        """Whether it could be called without a task."""
        if self._execute_soon is None:
            return False
        start = call.start

        def told(result: Callable[[], Json] | Rest) -> None:
            self._soon.discard(call)
            call.stop = None
            if isinstance(result, Rest):
                self._nursery.start_soon(self._execute, live, call, result)
                return
            try:
                outcome: Outcome = Success(result())
            except StepFailed as failed:
                outcome = failure_of(failed, start.component)
            except Exception as error:  # noqa: BLE001 - a defect of a plugin is the failure of one step
                outcome = _defect(start, error)
            self._leave(live, call)
            live.finished(start.item, start.step_id, outcome, attempt=start.attempt)

        try:
            abandon = self._execute_soon(start.component, start.input, _context(live, start), told)
        except StepFailed:
            # Said in a task: nothing may happen to the run while it says what is to be done.
            return False
        if abandon is None:
            return False

        def stop() -> None:
            self._soon.discard(call)
            call.stop = None
            abandon()
            self._leave(live, call)

        call.stop = stop
        self._soon.add(call)
        return True

    async def _execute(self, live: Live, call: Call, rest: Rest | None) -> None:
        start = call.start
        outcome: Outcome | None = None
        try:
            with call.enter():
                outcome = await self._outcome(live, start, rest)
        finally:
            self._leave(live, call)
        if outcome is not None:
            live.finished(start.item, start.step_id, outcome, attempt=start.attempt)

    def _leave(self, live: Live, call: Call) -> None:
        """A call has ended."""
        self._forget(live, call)
        call.is_inside = False
        if not call.lent:
            self._gate.leave()
            live.tree.gate.leave()

    async def _outcome(self, live: Live, start: StartStep, rest: Rest | None) -> Outcome:
        try:
            if rest is not None:
                return Success(await rest.run())
            return Success(await self.components.execute(start.component, start.input, _context(live, start)))
        except StepFailed as failed:
            return failure_of(failed, start.component)
        except Exception as error:  # noqa: BLE001 - a defect of a plugin is the failure of one step
            return _defect(start, error)

    @staticmethod
    def _forget(live: Live, call: Call) -> None:
        place = (call.start.item, call.start.step_id)
        if live.calls.get(place) is call:
            del live.calls[place]

    @contextmanager
    def lending(self, live: Live, item: int, step_id: str) -> Generator[None]:
        """Have the room of a call free for others, as long as it waits for runs; there may be several of them."""
        call = live.calls.get((item, step_id))
        if call is None or not call.is_inside:
            yield
            return
        call.lent += 1
        if call.lent == 1:
            self._gate.leave()
            live.tree.gate.leave()
        try:
            yield
        finally:
            call.lent -= 1
            if not call.lent and call.is_inside:
                live.tree.gate.come_back()
                self._gate.come_back()


def _context(live: Live, start: StartStep) -> StepContext:
    header = live.header
    return StepContext(
        run_id=header.run_id,
        flow_id=header.flow_id,
        step_id=start.step_id,
        item=start.item,
        attempt=start.attempt,
        trace_id=header.root.replace("-", ""),
        span_id=new_span(),
    )


def _defect(start: StartStep, error: Exception) -> StepFailure:
    _logger.error("component %s failed by a defect of this runtime", start.component, exc_info=error)
    return StepFailure(INTERNAL, f"{start.component} failed by a defect of the runtime: {type(error).__name__}")
