"""The plugins of a configuration, started together, and the components behind its routes.

Knows no transport: the channels to workers are given.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import trio

from .builtin import BuiltinPlugin
from .config import BuiltinSettings, Config, McpSettings, MockSettings, PluginSettings, WorkerSettings
from .contract import (
    CannotStart,
    Channels,
    ComponentInfo,
    DialectName,
    Json,
    Plugin,
    Rest,
    Runtime,
    StepContext,
    StepFailed,
    Told,
)
from .http_worker import connect_program, connect_url
from .links import Connect
from .mcp import McpPlugin, with_surroundings
from .mock import MockPlugin
from .sessions import connect_session
from .stdio_worker import connect_stdio
from .workers import BlobApi, WorkerPlugin

_logger = logging.getLogger(__name__)


class Plugins:
    """Executes what steps name, wherever the routes lead."""

    def __init__(self, config: Config, plugins: Mapping[str, Plugin]) -> None:
        self._routes = config.routes
        self._plugins = plugins
        self._soon = {name: plugin.execute_soon for name, plugin in plugins.items() if isinstance(plugin, WorkerPlugin)}
        self._at_once = {
            name: plugin.execute_nowait
            for name, plugin in plugins.items()
            if isinstance(plugin, BuiltinPlugin | MockPlugin)
        }

    def execute_nowait(self, component: str, value: Json) -> Json:
        """The output of a component that only computes: a task for it would cost more than it does.

        Errors: StepFailed; trio.WouldBlock where `execute` is to be called instead.
        """
        target = self._routes.find(component, value)
        execute = self._at_once.get(target.plugin)
        if execute is None:
            raise trio.WouldBlock
        try:
            return execute(target.component, value)
        except StepFailed as failed:
            failed.component = target.component
            raise

    def execute_soon(self, component: str, value: Json, context: StepContext, told: Told) -> Callable[[], None] | None:
        """Execute the component that a step names without a task; what it returns abandons that.

        None where `execute` is to be called instead. Errors: StepFailed.
        """
        target = self._routes.find(component, value)
        execute = self._soon.get(target.plugin)
        if execute is None:
            return None
        name = target.component

        def came(result: Callable[[], Json] | Rest) -> None:
            told(Rest(lambda: _named_later(result, name)) if isinstance(result, Rest) else lambda: _named(result, name))

        return execute(name, value, context, came)

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """The output of the component that a step names, for its resolved input. Errors: StepFailed."""
        target = self._routes.find(component, value)
        try:
            return await self._plugins[target.plugin].execute(target.component, value, context)
        except StepFailed as failed:
            failed.component = target.component
            raise

    def plugin(self, name: str) -> Plugin:
        """The plugin of a name. Errors: KeyError."""
        return self._plugins[name]

    async def components(self) -> list[ComponentInfo]:
        """The components of all plugins, sorted by name; a plugin that cannot tell is logged, and left out."""
        found: list[ComponentInfo] = []
        for name, plugin in self._plugins.items():
            try:
                found += await plugin.components()
            except StepFailed as failed:
                _logger.warning("plugin %s cannot list its components: %s", name, failed.message)
        return sorted(found, key=lambda info: info.component)


def _named(result: Callable[[], Json], component: str) -> Json:
    try:
        return result()
    except StepFailed as failed:
        failed.component = component
        raise


async def _named_later(rest: Rest, component: str) -> Json:
    try:
        return await rest.run()
    except StepFailed as failed:
        failed.component = component
        raise


@asynccontextmanager
async def open_plugins(
    config: Config,
    runtime: Runtime,
    channels: Channels,
    *,
    dialect: DialectName = "0.9",
    blob_api_url: str | None = None,
) -> AsyncGenerator[Plugins]:
    """The plugins of a configuration, as long as the context lasts; all are started at once.

    `blob_api_url` is where the runtime serves blobs over HTTP, None where it does not; a URL of the configuration goes
    before it. Errors: CannotStart, which names every plugin that cannot be used.
    """
    url = (config.blob_api.url or blob_api_url) if config.blob_api.enabled else None
    blob_api = None if url is None else BlobApi(url, config.blob_api.threshold_bytes)
    plugins = {
        name: _plugin(name, settings, config, runtime, channels, config.dialect or dialect, blob_api)
        for name, settings in config.plugins.items()
    }
    faults: list[str] = []

    async def start(plugin: Plugin, nursery: trio.Nursery) -> None:
        try:
            await plugin.start(nursery)
        except CannotStart as error:
            faults.append(str(error))

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:
            for plugin in plugins.values():
                starting.start_soon(start, plugin, nursery)
        try:
            if not faults:
                yield Plugins(config, plugins)
        finally:
            nursery.cancel_scope.cancel()
    if faults:
        raise CannotStart("; ".join(sorted(faults)))


def _plugin(
    name: str,
    settings: PluginSettings,
    config: Config,
    runtime: Runtime,
    channels: Channels,
    dialect: DialectName,
    blob_api: BlobApi | None,
) -> Plugin:
    match settings:
        case BuiltinSettings():
            return BuiltinPlugin(settings, runtime, directory=config.working_directory)
        case MockSettings():
            return MockPlugin(settings.components)
        case McpSettings():
            program = with_surroundings(settings.program)
            connect = connect_stdio(program, channels, directory=config.working_directory, name=name, lenient=False)
            return McpPlugin(name, connect, execute_seconds=settings.execute_seconds)
        case WorkerSettings():
            return WorkerPlugin(
                name,
                _connect(name, settings, config, channels),
                runtime,
                execute_seconds=settings.execute_seconds,
                preferred=dialect,
                blob_api=blob_api,
            )


def _connect(name: str, settings: WorkerSettings, config: Config, channels: Channels) -> Connect:
    program, lenient = settings.program, settings.lenient
    if program is None:
        assert settings.url is not None
        if settings.transport == "session":
            return connect_session(settings.url, channels, name=name, lenient=lenient)
        return connect_url(settings.url, channels, lenient=lenient)
    directory = config.working_directory
    if settings.transport == "stdio":
        return connect_stdio(program, channels, directory=directory, name=name, lenient=lenient)
    return connect_program(program, channels, directory=directory, health=settings.health, name=name, lenient=lenient)
