"""The plan of a flow: its steps and choices as numbered nodes, made once for all items of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protogen_runtime.stepflow.flow.model import DEFAULT_MAX_RETRIES, Flow, OnErrorDefault, OnErrorRetry, Step, Success

from .dialects import Dialect
from .evaluate import Choice, Compiler, ForwardReference, Strict


class NotRunnable(ValueError):
    """A run cannot begin: the message says what is wrong and what to do."""


class PlannedStep:
    """A step with its input as a function, and what becomes of failures."""

    __slots__ = ("component", "default", "id", "input", "max_retries")

    def __init__(self, step: Step, compiled: Strict) -> None:
        self.id: Final = step.id
        self.component: Final = step.component
        self.input: Final = compiled
        action = step.on_error
        self.default: Final = Success(action.value) if isinstance(action, OnErrorDefault) else None
        self.max_retries: Final = (
            0
            if not isinstance(action, OnErrorRetry)
            else DEFAULT_MAX_RETRIES
            if action.max_retries is None
            else action.max_retries
        )


class Plan:
    """A flow that can run. Nodes: the steps in their order, then the choices, then the output.

    `wanted`: the nodes whose results complete an item, the output and the steps that must run.
    """

    __slots__ = ("choices", "flow", "number_of", "output", "size", "steps", "wanted")

    def __init__(self, flow: Flow, dialect: Dialect) -> None:
        self.flow: Final = flow
        self.number_of: Final[Mapping[str, int]] = {step.id: number for number, step in enumerate(flow.steps)}
        if len(self.number_of) < len(flow.steps):
            raise NotRunnable("two steps of the flow have the same id; give each its own")
        compiler = Compiler(self.number_of, dialect)
        self.steps: Final = [self._planned(step, number, compiler) for number, step in enumerate(flow.steps)]
        self.output: Final = compiler.compile(flow.output, before=len(flow.steps))
        self.choices: Final[list[Choice]] = compiler.choices
        self.size: Final = len(self.steps) + len(self.choices) + 1
        self.wanted: Final = [self.size - 1, *(number for number, step in enumerate(flow.steps) if step.must_execute)]

    @staticmethod
    def _planned(step: Step, number: int, compiler: Compiler) -> PlannedStep:
        try:
            return PlannedStep(step, compiler.compile(step.input, before=number))
        except ForwardReference as reference:
            raise NotRunnable(
                f'step "{step.id}" uses the result of step "{reference}", which does not come before it; reorder them'
            ) from None
