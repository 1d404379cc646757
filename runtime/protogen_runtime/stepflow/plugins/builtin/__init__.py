"""The plugin `builtin`: the components that every runtime has (spec section 10).

Knows no transport and no store; blobs and runs are the runtime's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import trio

from protogen_runtime.stepflow.plugins.config import BuiltinSettings
from protogen_runtime.stepflow.plugins.contract import (
    COMPONENT_NOT_FOUND,
    ComponentInfo,
    Json,
    Runtime,
    StepContext,
    StepFailed,
)

from .blobs import GetBlob, PutBlob
from .component import Component
from .files import LoadFile
from .flows import Eval, Iterate, Map
from .messages import CreateMessages
from .openai import OpenAI


class BuiltinPlugin:
    """Executes the builtin components. `environment` has OPENAI_API_KEY and OPENAI_BASE_URL, None for this process'."""

    def __init__(
        self,
        settings: BuiltinSettings,
        runtime: Runtime,
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        known = os.environ if environment is None else environment
        components: tuple[Component, ...] = (
            PutBlob(runtime),
            GetBlob(runtime),
            Eval(runtime),
            Map(runtime),
            Iterate(runtime),
            CreateMessages(),
            OpenAI(settings, known),
            LoadFile(directory, settings.roots),
        )
        self._components = {component.info.component: component for component in components}

    async def start(self, nursery: trio.Nursery) -> None:
        """See Plugin."""
        del nursery
        await trio.lowlevel.checkpoint()

    async def components(self) -> list[ComponentInfo]:
        """See Plugin."""
        await trio.lowlevel.checkpoint()
        return [component.info for _, component in sorted(self._components.items())]

    def execute_nowait(self, component: str, value: Json) -> Json:
        """The output of a component that only computes. Errors: StepFailed; trio.WouldBlock for any other one."""
        known = self._components.get(component)
        if isinstance(known, CreateMessages):
            return known.execute_nowait(value)
        raise trio.WouldBlock

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """See Plugin."""
        known = self._components.get(component)
        if known is None:
            raise StepFailed(COMPONENT_NOT_FOUND, f"Component not found: {component}", {"component": component})
        return await known.execute(value, context)
