"""Built in: the executors that every node has."""

from __future__ import annotations

from typing import Final

from protogen_runtime.apflow.executors.guard import Guard
from protogen_runtime.apflow.executors.outgoing import Outgoing
from protogen_runtime.apflow.executors.registry import CannotRegister, ExecutorRegistry
from protogen_runtime.apflow.executors.settings import ExecutorSettings

from .aggregate import AggregateResults
from .basic import Echo, Fail, Sleep
from .command import Command
from .http import HttpRequest
from .remote import Remote
from .system_info import SystemInfo

ALIASES: Final = {
    "aggregate_results_executor": "aggregate_results",
    "command_executor": "command",
    "rest_executor": "http",
    "system_info_executor": "system_info",
}
"""Identifiers of the protocol's reference implementation, so that flows written for it run here."""


def make_registry(settings: ExecutorSettings) -> ExecutorRegistry:
    """The executors of a node: what is built in, what installed distributions offer, and what the operator's modules
    declare. Raises CannotRegister.
    """
    registry = ExecutorRegistry(settings)
    try:
        register_builtin(registry)
    except ValueError as reason:
        raise CannotRegister(
            f"allowed_networks: {reason}; write the network's first address, as in 10.1.0.0/16"
        ) from None
    registry.add_installed()
    for name in settings.modules:
        registry.add_named(name)
    return registry


def register_builtin(registry: ExecutorRegistry) -> None:
    """Register the executors that every node has, and the aliases. Raises CannotRegister where a name is taken,
    ValueError where `allowed_networks` of the settings has one that is none.
    """
    settings = registry.settings
    outgoing = outgoing_of(settings)
    registry.register("echo", Echo(), idempotent=True)
    registry.register("sleep", Sleep(), idempotent=True)
    registry.register("fail", Fail(), idempotent=True)
    registry.register("aggregate_results", AggregateResults(), idempotent=True)
    registry.register("system_info", SystemInfo(), idempotent=True)
    registry.register("http", HttpRequest(outgoing, settings))
    registry.register("command", Command(settings))
    registry.register("remote", Remote(outgoing, settings))
    for alias, name in ALIASES.items():
        registry.alias(alias, name)


def outgoing_of(settings: ExecutorSettings) -> Outgoing:
    """What sends requests on behalf of others, guarded as the operator says. ValueError for a network that is none."""
    guard = Guard(allow_private_addresses=settings.allow_private_addresses, allowed_networks=settings.allowed_networks)
    return Outgoing(
        guard,
        max_response_bytes=settings.http_max_response_bytes,
        max_seconds=settings.http_max_seconds,
        max_redirects=settings.http_max_redirects,
    )
