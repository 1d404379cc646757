"""The apflow node as a server: its settings, its database, its HTTP endpoint.

Knows no rules of the protocol; `protogen_runtime.apflow` has them.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

import msgspec
import trio

from protogen_runtime.apflow import handler
from protogen_runtime.apflow.executors.builtin import make_registry, outgoing_of
from protogen_runtime.apflow.executors.registry import CannotRegister, ExecutorRegistry
from protogen_runtime.apflow.executors.settings import ExecutorSettings
from protogen_runtime.apflow.manager import Settings as ManagerSettings
from protogen_runtime.apflow.manager import open_manager
from protogen_runtime.apflow.operations import Operations
from protogen_runtime.apflow.push import PushSettings, open_pushes
from protogen_runtime.apflow.records import SCHEMA
from protogen_runtime.apflow.repository import open_tasks
from protogen_runtime.apflow.retries import NEVER, Retry
from protogen_runtime.dispatch import Service
from protogen_runtime.io.http import server
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.observe import observing
from protogen_runtime.store import CannotOpen, open_store

_logger = logging.getLogger(__name__)

PATHS = ("/tasks",)
"""Where the node answers beside `/` (06-interfaces.md, HTTP; A5)."""


class Settings(server.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about a node, beside what every server has.

    `database`: `sqlite:///FILE`, or `memory:` for one that is gone at the end. `concurrency`: tasks in progress at the
    same time. `retry`: how failed executions are tried again where a task does not say it.
    """

    database: str = "sqlite:///apflow.db"
    concurrency: Annotated[int, msgspec.Meta(ge=1)] = 100
    retry: Retry = NEVER
    executors: ExecutorSettings = ExecutorSettings()
    push: PushSettings = PushSettings()


def serve_http(settings: Settings) -> None:
    """Serve a node until the process is told to end; what it interrupts goes on after a restart.

    Errors: CannotServe.
    """
    if settings.workers != 1:
        raise CannotServe(f"workers: a node is one process for its database, got {settings.workers}; leave it out")
    server.check(settings)
    sock = server.bind(settings)
    try:
        trio.run(partial(_serve, settings, sock))
    except* CannotOpen as group:
        raise CannotServe(str(group.exceptions[0])) from None
    except* CannotRegister as group:
        raise CannotServe(str(group.exceptions[0])) from None
    finally:
        sock.close()


async def _serve(settings: Settings, sock: socket.socket) -> None:
    async with open_node(settings) as service:
        with observing(settings.observe, service) as instruments:
            shell = Shell(
                instruments.service,
                limits=settings.limits,
                access=settings.access,
                instruments=instruments,
                aliases=PATHS,
                unauthorized=handler.unauthorized_error,
            )
            settings = server.begin(settings, sock)
            await server.serve(shell, settings, sock)


@asynccontextmanager
async def open_node(
    settings: Settings, *, register: Callable[[ExecutorRegistry], None] | None = None
) -> AsyncGenerator[Service]:
    """A node's service, with its database open and its tasks running, for as long as the context lasts.

    `register` adds executors to those that are built in and those that are installed. Errors: CannotOpen,
    CannotRegister.
    """
    registry = make_registry(settings.executors)
    if register is not None:
        register(registry)
    async with (
        open_store(settings.database, SCHEMA) as store,
        open_tasks(store) as tasks,
        open_pushes(outgoing_of(settings.executors), settings.push) as pushes,
        open_manager(
            tasks,
            registry,
            settings=ManagerSettings(concurrency=settings.concurrency, retry=settings.retry),
            on_enter=pushes.on_enter,
        ) as manager,
    ):
        yield handler.make_service(Operations(tasks, manager, registry), pushes, _report)


def _report(method: str, what: str, error: BaseException) -> None:
    _logger.error("%s: %s", method, what, exc_info=error)
