"""A flow: steps, the output made from them, and what goes with it.

Frozen values without behaviour. `reading` makes them from documents, `canonical` writes them.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET

from .expressions import NULL, Expression
from .values import Json


class FlowError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a step or a flow failed; `data` is anything the component adds, None for nothing."""

    code: int
    message: str
    data: Json = None


class Success(msgspec.Struct, frozen=True, tag_field="outcome", tag="success"):
    """A step or a flow gave this value."""

    result: Json


class Failed(msgspec.Struct, frozen=True, tag_field="outcome", tag="failed"):
    """A step or a flow failed."""

    error: FlowError


FlowResult: TypeAlias = Success | Failed


class OnErrorFail(msgspec.Struct, frozen=True):
    """The step fails, and whatever uses its result."""


class OnErrorDefault(msgspec.Struct, frozen=True):
    """The step has this result instead; a literal, never an expression."""

    value: Json = None


class OnErrorRetry(msgspec.Struct, frozen=True):
    """The component is called again, `max_retries` times more at most (None: DEFAULT_MAX_RETRIES)."""

    max_retries: int | None = None


OnError: TypeAlias = OnErrorFail | OnErrorDefault | OnErrorRetry

DEFAULT_MAX_RETRIES: Final = 3
"""What the original's 0.11 does where `maxRetries` is absent."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a component. `on_error` and `must_execute` are None where the document says nothing."""

    id: str
    component: str
    on_error: OnError | None = None
    input: Expression = NULL
    must_execute: bool | None = None
    metadata: dict[str, Json] = {}


class Schemas(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON Schemas of a flow; they inform, and nothing is checked against them at run time.

    `input`, `output` and `variables` are UNSET where the document has none. `misplaced` names schemas that stand
    where they mean nothing, outside of `properties`.
    """

    defs: dict[str, Json] = {}
    input: Json = UNSET
    output: Json = UNSET
    variables: Json = UNSET
    steps: dict[str, Json] = {}
    misplaced: tuple[str, ...] = ()


class TestCase(msgspec.Struct, frozen=True, kw_only=True):
    """An input, and the result that a run of the flow must match in part (None: any)."""

    __test__ = False  # pytest collects classes by this name

    name: str
    description: str | None = None
    input: Json
    output: FlowResult | None = None


class TestConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The cases of a flow and the configuration they need: a file beside it, or inline."""

    __test__ = False  # pytest collects classes by this name

    config_file: str | None = None
    config: Json = None
    cases: tuple[TestCase, ...] = ()


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """An input to try the flow with."""

    name: str
    description: str | None = None
    input: Json


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow document (spec section 9). `examples` are None where it has none; an empty list is kept."""

    name: str | None = None
    description: str | None = None
    version: str | None = None
    schemas: Schemas = Schemas()
    steps: tuple[Step, ...] = ()
    output: Expression = NULL
    test: TestConfig | None = None
    examples: tuple[Example, ...] | None = None
    metadata: dict[str, Json] = {}


def all_examples(flow: Flow) -> tuple[Example, ...]:
    """The examples of a flow, then one for each test case whose name no example has."""
    cases = flow.test.cases if flow.test is not None else ()
    found = list(flow.examples or ())
    taken = {example.name for example in found}
    for case in cases:
        if case.name not in taken:
            taken.add(case.name)
            found.append(Example(name=case.name, description=case.description, input=case.input))
    return tuple(found)
