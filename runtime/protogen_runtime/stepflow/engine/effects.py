"""What a run asks for and what it tells: the answers of the state machine."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from protogen_runtime.stepflow.flow.model import FlowResult
from protogen_runtime.stepflow.flow.values import Json

RunState: TypeAlias = Literal["running", "completed", "failed", "cancelled"]
"""The state of a run, and of an item of it."""


class StartStep(msgspec.Struct, frozen=True, gc=False):
    """Call a component, `delay` seconds from now, then tell the run with finished().

    `attempt` counts the calls of this step from 1, over retries and restarts. The input is shared: never change it.
    """

    item: int
    step_id: str
    component: str
    input: Json
    attempt: int = 1
    delay: float = 0.0


class StopStep(msgspec.Struct, frozen=True, gc=False):
    """Abandon a call that was asked for; its answer no longer counts."""

    item: int
    step_id: str
    attempt: int


class StepCompleted(msgspec.Struct, frozen=True):
    """A step has its result: that of its component, its default, or the failure of what its input uses."""

    item: int
    step_id: str
    result: FlowResult


class ItemCompleted(msgspec.Struct, frozen=True):
    """An item has its result."""

    index: int
    result: FlowResult


class RunCompleted(msgspec.Struct, frozen=True):
    """Nothing more will come."""

    status: RunState


Effect: TypeAlias = StartStep | StopStep | StepCompleted | ItemCompleted | RunCompleted
