"""A run: one flow, its items, and which step is to run next.

A state machine: begin(), finished() and cancel() change it and return what is to be done, in order. It starts nothing,
reads no clock and keeps nothing; the same calls in the same order give the same effects, which is what the journal
relies on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, Literal, TypeAlias

from protogen_runtime.stepflow.flow import overrides as patches
from protogen_runtime.stepflow.flow import variables as defaults
from protogen_runtime.stepflow.flow.model import Failed, Flow, FlowError, FlowResult, Success
from protogen_runtime.stepflow.flow.values import Json

from .dialects import S1, Dialect, StepFailure, flow_error, retried_as
from .effects import Effect, ItemCompleted, RunCompleted, RunState, StartStep, StepCompleted, StopStep
from .evaluate import Unresolved, evaluate, first_stage, next_stage, result_of
from .plan import NotRunnable, Plan, PlannedStep
from .state import UNASKED, Call, Item, StepState

Outcome: TypeAlias = Success | StepFailure
"""What came of calling a component."""

_FORGOTTEN: Final[Mapping[type, FlowResult]] = {Success: Success(None), Failed: Failed(FlowError(0, ""))}
"""In place of results that are not kept."""

ResultOrder: TypeAlias = Literal["by_index", "by_completion"]


class Run:
    """A run of a flow over items; a plan of the flow saves making one, where there are no overrides.

    `variables`: given values; the rest come from the flow's schema. `overrides`: step id to the change of that step, in
    either dialect's form. `max_concurrency`: how many steps run at once at most (None: what the dialect says). Values
    that are given are shared, never changed. Errors: NotRunnable.
    """

    __slots__ = (
        *("_completion_order", "_heap", "_inputs", "_items", "_keeps", "_limit", "_next", "_plan", "_results"),
        *("_running", "_state", "_variables"),
    )

    def __init__(
        self,
        flow: Flow | Plan,
        inputs: Sequence[Json],
        *,
        variables: Mapping[str, Json] | None = None,
        overrides: Json = None,
        max_concurrency: int | None = None,
        dialect: Dialect = S1,
        keeps_results: bool = True,
    ) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise NotRunnable(f"maxConcurrency must be at least 1, got {max_concurrency}; leave it out for the default")
        self._plan: Final = _planned(flow, overrides, dialect)
        self._inputs: Final = inputs
        self._variables: Final = defaults.effective(self._plan.flow.schemas.variables, variables or {})
        self._limit: Final = self._limited(max_concurrency)
        self._state: RunState = "running"
        self._items: Final[dict[int, Item]] = {}
        self._next = 0
        self._heap: Final[list[int]] = []
        self._running = 0
        self._keeps: Final = keeps_results
        self._results: Final[list[FlowResult | None]] = [None] * len(inputs)
        self._completion_order: Final[list[int]] = []

    def _limited(self, max_concurrency: int | None) -> float:
        if max_concurrency is not None:
            return max_concurrency
        return float("inf") if self._plan.dialect.parallel else max(1, len(self._inputs))

    # --- what happens to a run ------------------------------------------------------------------------

    def begin(self) -> list[Effect]:
        """Start the run; to be called once, before anything else. Without items it is completed at once."""
        effects: list[Effect] = []
        self._drain(effects)
        return effects

    def finished(self, item: int, step_id: str, outcome: Outcome, *, attempt: int | None = None) -> list[Effect]:
        """A call that was asked for has come to something.

        An answer that is too late counts for nothing: after a cancellation, a second one, or that of another attempt
        than the current one where `attempt` is given.
        """
        state = self._items.get(item)
        number = self._plan.number_of.get(step_id)
        if state is None or number is None:
            return []
        call = state.calls.get(number)
        if call is None or (attempt is not None and attempt != call.attempt):
            return []
        effects: list[Effect] = []
        step = self._plan.steps[number]
        if isinstance(outcome, Success):
            result: FlowResult = outcome
        elif self._again(state, step, call, outcome, effects):
            return effects
        else:
            result = step.default or Failed(flow_error(self.dialect, step_id, outcome))
        del state.calls[number]
        self._running -= 1
        self._settle(state, number, result, effects)
        self._drain(effects)
        return effects

    def cancel(self) -> list[Effect]:
        """End the run now: calls that are out are abandoned, items without a result are cancelled."""
        if self._state != "running":
            return []
        steps = self._plan.steps
        effects: list[Effect] = [
            StopStep(index, steps[number].id, call.attempt)
            for index, item in sorted(self._items.items())
            for number, call in sorted(item.calls.items())
        ]
        self._items.clear()
        self._heap.clear()
        self._running = 0
        self._state = "cancelled"
        effects.append(RunCompleted("cancelled"))
        return effects

    def again(self) -> list[Effect]:
        """Ask anew, as the next attempt, for every call that is out: after a restart nobody will answer the last."""
        effects: list[Effect] = []
        for _, item in sorted(self._items.items()):
            for number, call in sorted(item.calls.items()):
                call.attempt += 1
                self._ask_for_call(item, self._plan.steps[number], call, 0.0, effects)
        return effects

    # --- what can be seen of a run --------------------------------------------------------------------

    @property
    def flow(self) -> Flow:
        """The flow that runs, with overrides applied."""
        return self._plan.flow

    @property
    def dialect(self) -> Dialect:
        """The rules that the run follows."""
        return self._plan.dialect

    @property
    def status(self) -> RunState:
        """Where the run stands."""
        return self._state

    @property
    def max_concurrency(self) -> int | None:
        """How many steps run at once at most, None for any number."""
        return None if self._limit == float("inf") else int(self._limit)

    def item_status(self, index: int) -> RunState:
        """Where an item stands."""
        result = self._results[index]
        if result is None:
            return "cancelled" if self._state == "cancelled" else "running"
        return "completed" if result.__class__ is Success else "failed"

    def results(self, order: ResultOrder = "by_index") -> list[tuple[int, FlowResult | None]]:
        """Items with their results, None for one without; by completion, those come last."""
        if order == "by_index":
            return list(enumerate(self._results))
        open_ = [index for index, result in enumerate(self._results) if result is None]
        return [(index, self._results[index]) for index in (*self._completion_order, *open_)]

    def counts(self) -> dict[str, int]:
        """How many items there are in all and in each state."""
        found = {"total": len(self._results), "completed": 0, "running": 0, "failed": 0, "cancelled": 0}
        for index in range(len(self._results)):
            found[self.item_status(index)] += 1
        return found

    def step_states(self, index: int) -> dict[str, StepState]:
        """Where each step of an unfinished item stands; empty for an item that has ended, or not begun."""
        item = self._items.get(index)
        if item is None:
            return {}
        return {step.id: self._step_state(item, number) for number, step in enumerate(self._plan.steps)}

    @staticmethod
    def _step_state(item: Item, number: int) -> StepState:
        result = item.context.results[number]
        if result is not None:
            return "completed" if result.__class__ is Success else "failed"
        if number in item.calls:
            return "running"
        return "runnable" if item.waiting[number] == 0 else "blocked"

    # --- the machine ----------------------------------------------------------------------------------

    def _drain(self, effects: list[Effect]) -> None:
        """Start what may start: by item, then by the order of steps; a new item only when no step is left to start."""
        size, heap = self._plan.size, self._heap
        while self._running < self._limit:
            if heap:
                index, number = divmod(heappop(heap), size)
                self._start(self._items[index], number, effects)
            elif self._next < len(self._inputs):
                index = self._next
                self._next += 1
                item = Item(self._plan, index, self._inputs[index], self._variables)
                self._items[index] = item
                self._advance(item, list(self._plan.wanted), [], effects)
            else:
                break
        if self._state == "running" and len(self._completion_order) == len(self._results):
            failed = any(result.__class__ is Failed for result in self._results)
            self._state = "failed" if failed else "completed"
            effects.append(RunCompleted(self._state))

    def _start(self, item: Item, number: int, effects: list[Effect]) -> None:
        step = self._plan.steps[number]
        try:
            value = evaluate(step.input, item.context)
        except Unresolved as reason:
            self._settle(item, number, reason.failed, effects)
            return
        item.calls[number] = Call()
        self._running += 1
        effects.append(StartStep(item.index, step.id, step.component, value))

    def _ask_for_call(self, item: Item, step: PlannedStep, call: Call, delay: float, effects: list[Effect]) -> None:
        value = evaluate(step.input, item.context)
        effects.append(StartStep(item.index, step.id, step.component, value, call.attempt, delay))

    def _again(self, item: Item, step: PlannedStep, call: Call, failure: StepFailure, effects: list[Effect]) -> bool:
        kind = retried_as(self.dialect, failure)
        lost = {"transport": self.dialect.transport_retries, "crash": self.dialect.crash_retries}.get(kind or "", 0)
        if call.after_transport < lost:
            call.after_transport += 1
            retries = call.after_transport
        elif kind in ("component", "crash") and call.after_errors < step.max_retries:
            call.after_errors += 1
            retries = call.after_errors
        else:
            return False
        call.attempt += 1
        delay = self.dialect.backoff.seconds(retries)
        self._ask_for_call(item, step, call, delay, effects)
        return True

    def _settle(self, item: Item, number: int, result: FlowResult, effects: list[Effect]) -> None:
        """A step has its result; whatever that makes ready goes on."""
        effects.append(StepCompleted(item.index, self._plan.steps[number].id, result))
        ready: list[int] = []
        self._give(item, number, result, ready, effects)
        if ready:
            self._advance(item, [], ready, effects)

    def _give(self, item: Item, number: int, result: FlowResult, ready: list[int], effects: list[Effect]) -> None:
        item.context.results[number] = result
        waiters = item.waiters[number]
        if waiters is not None:
            item.waiters[number] = None
            waiting = item.waiting
            for waiter in waiters:
                waiting[waiter] -= 1
                if not waiting[waiter]:
                    ready.append(waiter)
        if number in self._plan.wanted:
            item.unfinished -= 1
            if not item.unfinished:
                self._complete(item, effects)

    def _complete(self, item: Item, effects: list[Effect]) -> None:
        result = item.context.results[-1]
        assert result is not None, "the output is among the nodes that complete an item"
        self._results[item.index] = result if self._keeps else _FORGOTTEN[result.__class__]
        self._completion_order.append(item.index)
        del self._items[item.index]
        effects.append(ItemCompleted(item.index, result))

    def _advance(self, item: Item, asked: list[int], ready: list[int], effects: list[Effect]) -> None:
        """Ask for nodes and resolve those that are ready, until only calls are left; no recursion, so no depth."""
        steps, size = len(self._plan.steps), self._plan.size
        waiting, heap = item.waiting, self._heap
        while True:
            if asked:
                number = asked.pop()
                if waiting[number] == UNASKED and not self._wait(item, number, self._needs(item, number), asked):
                    ready.append(number)
            elif ready:
                number = ready.pop()
                if number < steps:
                    heappush(heap, item.index * size + number)
                elif number == size - 1:
                    self._give(item, number, result_of(self._plan.output.code, item.context), ready, effects)
                else:
                    self._choose(item, number, asked, ready, effects)
            else:
                return

    def _needs(self, item: Item, number: int) -> tuple[int, ...]:
        """What a node needs when it is asked for first."""
        plan = self._plan
        if number < len(plan.steps):
            return plan.steps[number].needs
        if number == plan.size - 1:
            return plan.output.needs
        first = first_stage(plan.choices[number - len(plan.steps)])
        item.stages[number] = (0, first.code)
        return first.needs

    @staticmethod
    def _wait(item: Item, number: int, needs: tuple[int, ...], asked: list[int]) -> int:
        """Let a node wait for others; returns how many results are missing."""
        results, waiters, waiting = item.context.results, item.waiters, item.waiting
        missing = 0
        for need in needs:
            if results[need] is None:
                missing += 1
                waiting_for = waiters[need]
                if waiting_for is None:
                    waiters[need] = [number]
                else:
                    waiting_for.append(number)
                if waiting[need] == UNASKED:
                    asked.append(need)
        waiting[number] = missing
        return missing

    def _choose(self, item: Item, number: int, asked: list[int], ready: list[int], effects: list[Effect]) -> None:
        """The stage of a choice has all it needs: the choice is made, or its next stage begins."""
        stage, code = item.stages[number]
        result = result_of(code, item.context)
        following = next_stage(self._plan.choices[number - len(self._plan.steps)], stage, result)
        if following is None:
            del item.stages[number]
            self._give(item, number, result, ready, effects)
            return
        item.stages[number] = (stage + 1, following.code)
        if self._wait(item, number, following.needs, asked) == 0:
            ready.append(number)


def _planned(flow: Flow | Plan, overrides: Json, dialect: Dialect) -> Plan:
    """The plan of a flow with its overrides; one that is there is used where it fits."""
    try:
        changes = patches.unwrap(overrides)
        if isinstance(flow, Plan):
            if not changes and flow.dialect is dialect:
                return flow
            flow = flow.flow
        return Plan(patches.apply(flow, changes) if changes else flow, dialect)
    except patches.BadOverride as reason:
        raise NotRunnable(str(reason)) from None
