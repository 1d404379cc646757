"""Flows in short form, components to run them with, and a loop that plays a run to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from protogen_runtime.stepflow.engine import (
    Effect,
    Outcome,
    Run,
    RunCompleted,
    StartStep,
    StepCompleted,
    StepFailure,
)
from protogen_runtime.stepflow.flow.documents import read_flow
from protogen_runtime.stepflow.flow.model import Failed, Flow, FlowError, FlowResult, Success

ShortStep = tuple[Any, ...]
"""(id), (id, input) or (id, input, further fields): a step of the component /echo unless a field says otherwise."""

WHOLE = {"$input": "$"}


def step(short: ShortStep) -> dict[str, Any]:
    """A step from its short form."""
    fields: dict[str, Any] = {"id": short[0], "component": "/echo"}
    if len(short) > 1:
        fields["input"] = short[1]
    return fields | (short[2] if len(short) > 2 else {})


def flow_of(steps: Iterable[ShortStep] = (), output: Any = None, **fields: Any) -> Flow:
    """A flow from steps in short form."""
    flow, faults = read_flow({"steps": [step(short) for short in steps], "output": output, **fields})
    assert faults == []
    return flow


def fails(code: int, message: str, data: Any = None) -> Failed:
    """The result of what failed."""
    return Failed(FlowError(code, message, data))


def broken(step_id: str, code: int = -32003, message: str = "broken") -> Failed:
    """The result, in dialect 0.9, of a step whose component answered with an error."""
    return unreached(step_id, f"component server error({code}): {message}")


def unreached(step_id: str, message: str) -> Failed:
    """The result, in dialect 0.9, of a step whose component was not reached."""
    told = f'step "{step_id}" failed'
    notes = [f"Component execution failed for step '{step_id}'"]
    return fails(500, told, {"stack": [{"error": told, "attachments": notes}, {"error": message}]})


def component(call: StartStep) -> Outcome:
    """What the components of these tests do.

    /echo: its input. /null: null. /fail, /fail/CODE: an error. /lost: the call does not arrive. /flaky/N, /shaky/N: N
    errors, or calls that do not arrive, then its input. /own: a FlowError of its own.
    """
    name, _, number = call.component.removeprefix("/").partition("/")
    match name:
        case "null":
            return Success(None)
        case "fail":
            return StepFailure(int(number or -32003), "broken")
        case "lost":
            return StepFailure(-32300, "gone", None, "transport")
        case "own":
            return StepFailure(418, "teapot", {"a": 1}, "engine")
        case "flaky" if call.attempt <= int(number):
            return StepFailure(-32100, "not yet")
        case "shaky" if call.attempt <= int(number):
            return StepFailure(-32302, "no line", None, "transport")
        case _:
            return Success(call.input)


@dataclass
class Played:
    """What a run came to: results by item, calls in their order, step results, and its status."""

    results: list[FlowResult | None]
    calls: list[StartStep]
    steps: dict[tuple[int, str], FlowResult] = field(default_factory=dict)
    status: str = "running"

    @property
    def started(self) -> list[str]:
        """The steps that were called, in order."""
        return [call.step_id for call in self.calls]


def play(run: Run, answer: Callable[[StartStep], Outcome] = component) -> Played:
    """Play a run to its end, answering calls in the order in which they were asked for."""
    played = Played([], [])
    pending: deque[Effect] = deque(run.begin())
    while pending:
        effect = pending.popleft()
        match effect:
            case StartStep(item, step_id):
                played.calls.append(effect)
                pending += run.finished(item, step_id, answer(effect), attempt=effect.attempt)
            case StepCompleted(item, step_id, result):
                played.steps[item, step_id] = result
            case RunCompleted(status):
                played.status = status
            case _:
                continue
    played.results = [result for _, result in run.results()]
    return played


def play_flow(flow: Flow, inputs: Iterable[Any] = (None,), **options: Any) -> Played:
    """Play a run of a flow over inputs."""
    return play(Run(flow, list(inputs), **options))


def expected_result(expected: Any) -> FlowResult:
    """The result that a table means: a failure as it is, any other value as a success."""
    return expected if isinstance(expected, Failed) else Success(expected)


def only(result: Mapping[str, Any]) -> Any:
    """The one value of a mapping."""
    (value,) = result.values()
    return value
