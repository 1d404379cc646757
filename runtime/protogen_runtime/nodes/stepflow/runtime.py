"""A Stepflow runtime in this process: its store, its plugins and the runs that go on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, cast

from protogen_runtime.io.factory import ChannelFactory
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.stepflow.plugins.config import Config
from protogen_runtime.stepflow.plugins.contract import CannotStart
from protogen_runtime.stepflow.runs import SCHEMA, Limits, open_runs
from protogen_runtime.stepflow.runs.contract import RunService
from protogen_runtime.store import CannotOpen, open_store


@asynccontextmanager
async def open_runtime(
    config: Config, database: str = "memory:", *, blob_api_url: str | None = None, limits: Limits | None = None
) -> AsyncGenerator[RunService]:
    """The runtime of a configuration, with the runs of the database under way, for as long as the context lasts.

    `blob_api_url` is where its blobs are served over HTTP. Errors, in a group or alone: CannotOpen, CannotStart.
    """
    async with (
        open_store(database, SCHEMA) as store,
        open_runs(store, config, ChannelFactory(), blob_api_url=blob_api_url, limits=limits) as runs,
    ):
        yield runs


REASONS: Final = (CannotOpen, CannotStart, CannotServe)
"""What keeps a runtime from starting; each has a line for the user."""


def why(error: BaseException) -> CannotServe | None:
    """What keeps a runtime from starting, as one error; None where something else was raised."""
    if isinstance(error, REASONS):
        return CannotServe(str(error))
    if not isinstance(error, BaseExceptionGroup):
        return None
    parts = cast("BaseExceptionGroup[BaseException]", error).exceptions
    told = [why(part) for part in parts]
    known = [str(reason) for reason in told if reason is not None]
    return CannotServe("; ".join(known)) if len(known) == len(told) else None
