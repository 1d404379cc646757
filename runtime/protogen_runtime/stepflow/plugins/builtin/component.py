"""What a builtin component is, and how it reads its input.

Knows no component.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol, TypeVar

import msgspec

from protogen_runtime.stepflow.plugins.contract import (
    BAD_REQUEST,
    CallRefused,
    ComponentInfo,
    Json,
    StepContext,
    StepFailed,
    is_object,
)

Input = TypeVar("Input", bound=msgspec.Struct)


class Component(Protocol):
    """One builtin component."""

    @property
    def info(self) -> ComponentInfo:
        """Its name, and what it takes and gives."""
        ...

    async def execute(self, value: Json, context: StepContext) -> Json:
        """Its output. Errors: StepFailed."""
        ...


def read_input(name: str, value: Json, kind: type[Input]) -> Input:
    """The input as a Struct; null is as good as absent. Errors: StepFailed, which says where the input is wrong."""
    known: Any = value
    if is_object(value):
        optional = _optional(kind)
        known = {key: member for key, member in value.items() if member is not None or key not in optional}
    try:
        return msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        raise StepFailed(BAD_REQUEST, f"invalid input for {name}: {error}") from None


@cache
def _optional(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The members that a Struct may do without; to find out reads its annotations anew, which takes 100 µs."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind) if not field.required)


def describe(name: str, description: str, takes: type, gives: type) -> ComponentInfo:
    """The description of a component with the schemas of its classes."""
    return ComponentInfo(
        component=name,
        description=description,
        input_schema=msgspec.json.schema(takes),
        output_schema=msgspec.json.schema(gives),
    )


def refused(name: str, error: CallRefused) -> StepFailed:
    """What the runtime refused, as the failure of the component that asked for it."""
    return StepFailed(error.code, f"{name}: {error.message}", error.data)
