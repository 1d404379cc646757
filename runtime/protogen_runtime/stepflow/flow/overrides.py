"""Overrides: changes of a flow's steps for one run.

Two kinds: a merge patch (RFC 7396) and a JSON patch (RFC 6902), both of the step in its stored form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from .canonical import step_wire
from .documents import read_step, too_deep
from .expressions import MAX_DEPTH
from .faults import Fault, show
from .model import Flow, Step
from .patches import BadPatch, json_patch, merge_patch
from .values import Json, is_object, kind_of


class BadOverride(ValueError):
    """Overrides that cannot be applied; the message says which, why, and what to do."""


def unwrap(overrides: Json) -> dict[str, Json]:
    """The map of step id to change: given as it is (dialect 0.9), or as `{"steps": {…}}` (0.10 and later).

    A map whose one member is `steps` is taken for the second form unless that reads as a change. Errors: BadOverride.
    """
    if overrides is None:
        return {}
    if not is_object(overrides):
        raise BadOverride(f"overrides: expected an object of steps, got {kind_of(overrides)}")
    inner: Any = overrides.get("steps")
    if len(overrides) == 1 and is_object(inner) and "value" not in inner:
        return inner
    return overrides


def apply(flow: Flow, overrides: Mapping[str, Json]) -> Flow:
    """The flow with its steps changed; the flow that was given stays as it is. Errors: BadOverride."""
    positions = {step.id: index for index, step in enumerate(flow.steps)}
    steps = list(flow.steps)
    for step_id, change in overrides.items():
        index = positions.get(step_id)
        if index is None:
            known = ", ".join(positions) or "none"
            raise BadOverride(f"overrides: the flow has no step {step_id!r}; its steps are: {known}")
        steps[index] = _changed(steps[index], change)
    seen: set[str] = set()
    for step in steps:
        if step.id in seen:
            raise BadOverride(f"overrides: two steps would have the id {step.id!r}; give each its own")
        seen.add(step.id)
    return replace(flow, steps=tuple(steps))


def _changed(step: Step, change: Json) -> Step:
    where = f"overrides of step {step.id!r}"
    if not is_object(change) or "value" not in change:
        raise BadOverride(f'{where}: expected {{"$type": …, "value": …}}, got {kind_of(change)}')
    if too_deep(change) is not None:
        raise BadOverride(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten it")
    kind, value = change.get("$type"), change["value"]
    try:
        match kind:
            case None | "merge_patch":
                changed = merge_patch(step_wire(step), value)
            case "json_patch":
                changed = json_patch(step_wire(step), value)
            case _:
                raise BadOverride(f'{where}: "$type" is "merge_patch" or "json_patch", got {kind_of(kind)}')
    except BadPatch as reason:
        raise BadOverride(f"{where}: {reason}") from None
    if too_deep(changed) is not None:
        raise BadOverride(f"{where}: the changed step is nested deeper than {MAX_DEPTH} levels; flatten it")
    faults: list[Fault] = []
    patched = read_step(changed, (), faults)
    if faults:
        first = faults[0]
        raise BadOverride(f"{where}: the changed step is none: {show(first.at) or 'step'}: {first.what}; {first.fix}")
    if not patched.id.strip():
        raise BadOverride(f"{where}: the changed step has an empty id")
    return patched
