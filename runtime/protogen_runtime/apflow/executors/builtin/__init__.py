"""Built in: the executors that every node has."""

from __future__ import annotations

from typing import Final

from protogen_runtime.apflow.executors.registry import ExecutorRegistry
from . import basic

ALIASES: Final = {
    "aggregate_results_executor": "aggregate_results",
    "command_executor": "command",
    "rest_executor": "http",
    "system_info_executor": "system_info",
}
"""Identifiers of the protocol's reference implementation, so that flows written for it run here."""


def register_builtin(registry: ExecutorRegistry) -> None:
    """Register the executors that every node has, and the aliases. Raises CannotRegister where a name is taken."""
    registry.register("echo", basic.Echo(), idempotent=True)
    registry.register("sleep", basic.Sleep(), idempotent=True)
    registry.register("fail", basic.Fail(), idempotent=True)
    for alias, name in ALIASES.items():
        if registry.find(name) is not None:
            registry.alias(alias, name)
