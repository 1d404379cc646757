"""The plugin `mock`: components that answer what the configuration says, for tests of flows.

Knows no schemas: those of a mock are shown, never checked (spec section 11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import trio

from protogen_runtime.stepflow.flow.model import Failed, FlowResult, Success

from .contract import COMPONENT_NOT_FOUND, INTERNAL, ComponentInfo, Json, StepContext, StepFailed
from .routing import same_json


class Broken(msgspec.Struct, frozen=True):
    """`{error: text}`: the plugin itself fails, as if something were wrong with it."""

    error: str


class Behaviour(msgspec.Struct, frozen=True):
    """What a component does with an input that equals `value`."""

    value: Json
    outcome: FlowResult | Broken


class MockComponent(msgspec.Struct, frozen=True, kw_only=True):
    """A component with its schemas and behaviours."""

    input_schema: Json = None
    output_schema: Json = None
    behaviours: Sequence[Behaviour] = ()


class MockPlugin:
    """Executes the components of a configuration."""

    def __init__(self, components: Mapping[str, MockComponent]) -> None:
        self._components = components

    async def start(self, nursery: trio.Nursery) -> None:
        """See Plugin."""
        del nursery
        await trio.lowlevel.checkpoint()

    async def components(self) -> list[ComponentInfo]:
        """See Plugin."""
        await trio.lowlevel.checkpoint()
        return [
            ComponentInfo(component=name, input_schema=known.input_schema, output_schema=known.output_schema)
            for name, known in sorted(self._components.items())
        ]

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """See Plugin; an input that no behaviour has is an error of the plugin."""
        del context
        await trio.lowlevel.checkpoint()
        return self.execute_nowait(component, value)

    def execute_nowait(self, component: str, value: Json) -> Json:
        """The same at once."""
        known = self._components.get(component)
        if known is None:
            raise StepFailed(COMPONENT_NOT_FOUND, f"Component not found: {component}", {"component": component})
        for behaviour in known.behaviours:
            if same_json(behaviour.value, value):
                return _played(behaviour.outcome)
        raise StepFailed(INTERNAL, f"No behavior defined for {component} on {_shown(value)}", kind="plugin")


def _played(outcome: FlowResult | Broken) -> Json:
    match outcome:
        case Success(result=result):
            return result
        case Failed(error=error):
            raise StepFailed(error.code, error.message, error.data, kind="result")
        case Broken(error=text):
            raise StepFailed(INTERNAL, text, kind="plugin")


def _shown(value: Json) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
