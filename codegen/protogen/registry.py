"""The targets there are: ours by one line each, others' by entry points of the group `protogen.targets`.

Knows names and where their modules stand; a target is imported only when it is used.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING

from protogen.config import Refusal

if TYPE_CHECKING:
    from protogen.output import Target

BUILTIN = {
    "python": "protogen.targets.python.target",
    "typescript": "protogen.targets.typescript.target",
    "go": "protogen.targets.go.target",
    "jsonschema": "protogen.targets.jsonschema.target",
    "pydantic": "protogen.targets.pydantic.target",
    "samples": "protogen.targets.samples.target",
    "openapi": "protogen.targets.openapi.target",
    "openrpc": "protogen.targets.openrpc.target",
    "docs": "protogen.targets.docs.target",
}
"""Name to module; each module has a `TARGET`."""

GROUP = "protogen.targets"


def names() -> list[str]:
    """All targets by name: ours in their order, then those of other distributions, sorted."""
    return [*BUILTIN, *sorted(set(_foreign()) - set(BUILTIN))]


def target(name: str) -> Target:
    """The target called `name`. Errors: Refusal for an unknown name or an entry point that cannot be loaded."""
    if name in BUILTIN:
        built: Target = import_module(BUILTIN[name]).TARGET
        return built
    foreign = _foreign()
    if name not in foreign:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(names())}"
        raise Refusal("PG203", f'there is no target "{name}"', fix=hint)
    try:
        loaded: Target = foreign[name].load()
    except (ImportError, AttributeError) as reason:
        fix = "install or repair the distribution that declares it"
        raise Refusal("PG203", f'target "{name}" ({foreign[name].value}) cannot be loaded: {reason}', fix=fix) from None
    return loaded


def _foreign() -> dict[str, _EntryPoint]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


if TYPE_CHECKING:
    from importlib.metadata import EntryPoint as _EntryPoint
