"""What a run asks for, call by call."""

from __future__ import annotations

from typing import Any

from protogen_runtime.stepflow.engine import ItemCompleted, Run, RunCompleted, StartStep, StepCompleted
from protogen_runtime.stepflow.flow.documents import read_flow
from protogen_runtime.stepflow.flow.model import Flow, Success


def flow_of(document: dict[str, Any]) -> Flow:
    flow, faults = read_flow(document)
    assert faults == []
    return flow


TWO_STEPS = flow_of(
    {
        "steps": [
            {"id": "a", "component": "/x", "input": {"$input": "n"}},
            {"id": "b", "component": "/y", "input": {"$step": "a"}},
        ],
        "output": {"$step": "b"},
    }
)


def test_a_step_starts_when_what_it_uses_is_there() -> None:
    run = Run(TWO_STEPS, [{"n": 1}])
    assert run.begin() == [StartStep(0, "a", "/x", 1)]
    assert run.finished(0, "a", Success(2)) == [StepCompleted(0, "a", Success(2)), StartStep(0, "b", "/y", 2)]
    assert run.finished(0, "b", Success(3)) == [
        StepCompleted(0, "b", Success(3)),
        ItemCompleted(0, Success(3)),
        RunCompleted("completed"),
    ]
