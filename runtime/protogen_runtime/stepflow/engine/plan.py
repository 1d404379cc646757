"""The plan of a flow: its steps and choices as numbered nodes, made once for all items of all its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from protogen_runtime.stepflow.flow.model import (
    DEFAULT_MAX_RETRIES,
    Flow,
    OnErrorDefault,
    OnErrorRetry,
    Step,
    Success,
)

from .dialects import Dialect
from .evaluate import Choice, Code, Compiler, ForwardReference


class NotRunnable(ValueError):
    """A run cannot begin: the message says what is wrong and what to do."""


class PlannedStep(NamedTuple):
    """A step that is ready to run: the code of its input with what that needs, and what becomes of failures."""

    id: str
    component: str
    input: Code
    needs: tuple[int, ...]
    default: Success | None
    max_retries: int


class Plan:
    """A flow that can run in a dialect. Nodes: the steps in their order, then the choices, then the output.

    `wanted`: the nodes whose results complete an item, the output and the steps that must run. A plan never changes:
    runs share it. Errors: NotRunnable.
    """

    __slots__ = ("choices", "dialect", "flow", "number_of", "output", "size", "steps", "wanted")

    def __init__(self, flow: Flow, dialect: Dialect) -> None:
        self.flow: Final = flow
        self.dialect: Final = dialect
        self.number_of: Final[Mapping[str, int]] = {step.id: number for number, step in enumerate(flow.steps)}
        if len(self.number_of) < len(flow.steps):
            raise NotRunnable("two steps of the flow have the same id; give each its own")
        compiler = Compiler(self.number_of, dialect)
        self.steps: Final = [_planned(step, number, compiler) for number, step in enumerate(flow.steps)]
        self.output: Final = compiler.compile(flow.output, before=len(flow.steps))
        self.choices: Final[list[Choice]] = compiler.choices
        self.size: Final = len(self.steps) + len(self.choices) + 1
        must_run = [number for number, step in enumerate(flow.steps) if step.must_execute]
        self.wanted: Final = frozenset([self.size - 1, *must_run])


def _planned(step: Step, number: int, compiler: Compiler) -> PlannedStep:
    try:
        compiled = compiler.compile(step.input, before=number)
    except ForwardReference as reference:
        what = f'step "{step.id}" uses the result of step "{reference}", which does not come before it'
        raise NotRunnable(f"{what}; change their order") from None
    action = step.on_error
    default, max_retries = None, 0
    if isinstance(action, OnErrorDefault):
        default = Success(action.value)
    elif isinstance(action, OnErrorRetry):
        max_retries = DEFAULT_MAX_RETRIES if action.max_retries is None else action.max_retries
    return PlannedStep(step.id, step.component, *compiled, default, max_retries)
