"""Opening: a runtime from a store, a configuration and channels to workers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from protogen_runtime.stepflow.engine import DIALECTS, Dialect
from protogen_runtime.stepflow.plugins.config import Config
from protogen_runtime.stepflow.plugins.contract import Channels, DialectName
from protogen_runtime.stepflow.plugins.opening import open_plugins
from protogen_runtime.store import Store

from .callbacks import Callbacks
from .clock import Clock
from .contract import RunService
from .limits import Limits
from .service import Runs


@asynccontextmanager
async def open_runs(
    store: Store,
    config: Config,
    channels: Channels,
    *,
    dialect: DialectName = "0.9",
    blob_api_url: str | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[RunService]:
    """The runtime of a store that was opened with `records.SCHEMA`, as long as the context lasts.

    `dialect` counts where the configuration names none; `blob_api_url` is where blobs are served over HTTP. When the
    context ends, calls are abandoned, and runs go on the next time. Errors: CannotStart.
    """
    runs = Runs(store, dialect_of(config, dialect), limits=limits, clock=clock)
    opened = open_plugins(config, Callbacks(runs), channels, dialect=dialect, blob_api_url=blob_api_url)
    async with opened as plugins, runs.running(plugins):
        yield runs


def dialect_of(config: Config, otherwise: DialectName) -> Dialect:
    """The rules for runs: those of the configured dialect, with the configured retries where it has any."""
    dialect = DIALECTS[config.dialect or otherwise]
    if not dialect.transport_retries:
        return dialect
    retry = config.retry
    return msgspec.structs.replace(dialect, transport_retries=retry.transport_max_retries, backoff=retry.backoff)
