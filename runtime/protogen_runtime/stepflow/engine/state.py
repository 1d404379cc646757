"""Where an item of a run stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from protogen_runtime.stepflow.flow.values import Json

from .evaluate import Code, Context
from .plan import Plan

StepState: TypeAlias = Literal["blocked", "runnable", "running", "completed", "failed"]
"""The states of a step (spec section 12). A step that nothing needs stays blocked."""

UNASKED: Final = -1
"""In place of a number of needs: nothing has asked for this node yet."""


class Call:
    """A call that is out: its number among those of the step, and how often each kind of failure was tried again."""

    __slots__ = ("after_errors", "after_transport", "attempt")

    def __init__(self) -> None:
        self.attempt = 1
        self.after_errors = 0
        self.after_transport = 0


class Item:
    """One item: results of its nodes, how many needs each still waits for, and who waits for it."""

    __slots__ = ("calls", "context", "index", "stages", "unfinished", "waiters", "waiting")

    def __init__(self, plan: Plan, index: int, value: Json, variables: Mapping[str, Json]) -> None:
        self.index: Final = index
        self.context: Final = Context(value, variables, [None] * plan.size, plan.dialect)
        self.waiting: Final = [UNASKED] * plan.size
        self.waiters: Final[list[list[int] | None]] = [None] * plan.size
        self.stages: Final[dict[int, tuple[int, Code]]] = {}
        """For each choice that was asked for: its stage, counted from 0, and the code it evaluates."""
        self.calls: Final[dict[int, Call]] = {}
        self.unfinished = len(plan.wanted)
