"""The engine alone: flows of 1,000, 10,000 and 40,000 steps whose components answer at once.

Each figure is a whole run of one item, its plan included, except where a run uses a plan that is there. Time is that of
this process, so that a busy machine does not show.
"""

from __future__ import annotations

import gc
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from report import Report, Series, Target

from protogen_runtime.stepflow.engine import S1, Run, StartStep
from protogen_runtime.stepflow.engine.plan import Plan
from protogen_runtime.stepflow.flow.documents import read_flow
from protogen_runtime.stepflow.flow.model import Flow, Success

STEPS = 10_000
SIZES = (1000, STEPS, 40_000)
MOST_MICROSECONDS = 10.0
"""A step at 100,000 steps a second."""
MOST_GROWTH = 2.0
"""How much more a step of the largest flow may cost than one of the smallest: memory, not the algorithm."""

CHAIN, PLANNED, PARTS, WIDE, CHOICE, CONDITIONS = (
    "each step uses the last",
    "the same, planned before",
    "each input has parts",
    "all side by side",
    "one choice among all",
    "a condition before each",
)


def run(repeats: int) -> Report:
    """Run each kind of flow as often as `repeats` says."""
    series: list[Series] = []
    for name, make in KINDS.items():
        flow = make(STEPS)
        plan = Plan(flow, S1) if name == PLANNED else None
        taken = tuple(_microseconds(plan or flow, STEPS) for _ in range(repeats))
        series.append(Series(name=name, seconds=taken))
    least = {entry.name: entry.least for entry in series}
    growth = {size: min(_microseconds(_chain(size), size) for _ in range(repeats)) for size in SIZES}
    return Report(
        unit=f"µs a step of {STEPS:,}",
        base=CHAIN,
        series=tuple(series),
        targets=(
            Target(name=CHAIN, measured=least[CHAIN], most=MOST_MICROSECONDS, unit="µs"),
            Target(name=PLANNED, measured=least[PLANNED], most=MOST_MICROSECONDS, unit="µs"),
            Target(
                name=f"{SIZES[-1]:,} steps beside {SIZES[0]:,}, each step",
                measured=growth[SIZES[-1]] / growth[SIZES[0]],
                most=MOST_GROWTH,
                unit="times",
            ),
        ),
        versions={"Python": platform.python_version(), "msgspec": msgspec.__version__},
        notes=tuple(f"{size:,} steps in a chain: {1e6 / cost:,.0f} steps/s" for size, cost in growth.items()),
    )


def _microseconds(flow: Flow | Plan, steps: int) -> float:
    gc.collect()
    started = time.process_time()
    run_ = Run(flow, [1])
    pending = deque(run_.begin())
    calls = 0
    while pending:
        effect = pending.popleft()
        if isinstance(effect, StartStep):
            calls += 1
            pending += run_.finished(effect.item, effect.step_id, Success(effect.input))
    taken = time.process_time() - started
    assert (run_.status, calls) == ("completed", steps), "every step runs, once"
    return taken / steps * 1e6


# --- flows ------------------------------------------------------------------------------------------


def _flow(inputs: Iterable[Any], output: Any) -> Flow:
    steps = [{"id": f"s{index}", "component": "/x", "input": value} for index, value in enumerate(inputs)]
    flow, faults = read_flow({"steps": steps, "output": output})
    assert not faults, "the flows of a benchmark are flows"
    return flow


def _ref(index: int, **path: str) -> dict[str, str]:
    return {"$step": f"s{index}"} | path


def _chain(steps: int) -> Flow:
    return _flow([{"$input": "$"}, *map(_ref, range(steps - 1))], _ref(steps - 1))


def _parts(steps: int) -> Flow:
    inputs = [{"v": _ref(index, path="v"), "i": {"$input": "$"}} for index in range(steps - 1)]
    return _flow([{"v": 1}, *inputs], _ref(steps - 1))


def _wide(steps: int) -> Flow:
    return _flow([{"$input": "$"}] * steps, [_ref(index) for index in range(steps)])


def _choice(steps: int) -> Flow:
    return _flow([None] * steps, {"$coalesce": [_ref(index) for index in range(steps)]})


def _conditions(steps: int) -> Flow:
    return _flow([1, *({"$if": _ref(index), "then": _ref(index)} for index in range(steps - 1))], _ref(steps - 1))


KINDS: dict[str, Callable[[int], Flow]] = {
    CHAIN: _chain,
    PLANNED: _chain,
    PARTS: _parts,
    WIDE: _wide,
    CHOICE: _choice,
    CONDITIONS: _conditions,
}
