"""The Stepflow runtime as a server: its configuration, its database, its HTTP API.

Knows no rules of the protocol; `protogen_runtime.stepflow` has them.
"""

from __future__ import annotations

import gc
import logging
import socket
from functools import partial
from typing import Final

import trio

from protogen_runtime.io.http import server
from protogen_runtime.io.http.memory import give_back_large
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.nodes import version_of
from protogen_runtime.observe import observing
from protogen_runtime.stepflow.api.handlers import Api
from protogen_runtime.stepflow.api.operations import PREFIX
from protogen_runtime.stepflow.api.serving import Serving, uncalled
from protogen_runtime.stepflow.plugins.config import Config

from .configured import Settings, address_of, check_limits, read_config, read_settings
from .routes import make_routes
from .runtime import REASONS, open_runtime, why

__all__ = ["Settings", "read_settings", "serve_http"]

_logger = logging.getLogger(__name__)

COLLECTED_AFTER: Final = (20_000, 5, 20)
"""Objects made before the collector looks at the youngest ones, and how often before it looks further.

What requests and steps make goes without it; by default it looks thirty times as often, at all the runs that wait.
"""


ANYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
"""Addresses that stand for all of the machine's: a worker on it reaches the runtime at its own."""


def serve_http(settings: Settings) -> None:
    """Serve a runtime until the process is told to end; what it interrupts goes on after a restart.

    Errors: CannotServe.
    """
    if settings.workers != 1:
        raise CannotServe(f"workers: a runtime is one process for its database, got {settings.workers}; leave it out")
    config = read_config(settings.config, dialect=settings.dialect)
    server.check(settings)
    check_limits(settings.runs)
    sock = server.bind(settings)
    try:
        trio.run(partial(_serve, settings, config, sock))
    except (*REASONS, BaseExceptionGroup) as error:
        reason = why(error)
        if reason is None:
            raise
        raise reason from None
    finally:
        sock.close()


async def _serve(settings: Settings, config: Config, sock: socket.socket) -> None:
    service = uncalled()
    # It tells each request to a worker: what is worth knowing of those is told where they are made.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with observing(settings.observe, service) as instruments:
        address = address_of(settings, config)
        for warning in config.warnings:
            _logger.warning("%s", warning)
        if address == "memory:":
            _logger.warning("runs are kept in memory, and end with this process; --db sqlite:///stepflow.db keeps them")
        url = f"{_url(settings, sock)}{PREFIX}/blobs"
        async with open_runtime(config, address, blob_api_url=url, limits=settings.runs) as runs:
            api = Api(runs, dialect=config.dialect or "0.9", version=version_of())
            serving = Serving(
                api,
                version=version_of(),
                max_blob_bytes=settings.max_blob_bytes,
                report=instruments.observer.report,
            )
            shell = Shell(
                instruments.service,
                limits=settings.limits,
                access=settings.access,
                instruments=instruments,
                routes=make_routes(serving, observer=instruments.observer),
                at_closing=serving.end,
            )
            settings = server.begin(settings, sock)
            _spare_collector()
            await server.serve(shell, settings, sock)


def _url(settings: Settings, sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    if host in ANYWHERE:
        host = "127.0.0.1"
    scheme = "http" if settings.tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _spare_collector() -> None:
    give_back_large()
    # What is there now is there until the end: the collector need not look at it again.
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
