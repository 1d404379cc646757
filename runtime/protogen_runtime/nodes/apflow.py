"""The apflow node as a server: its settings, its database, its HTTP endpoint.

Knows no rules of the protocol; `protogen_runtime.apflow` has them.
"""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Literal

import msgspec
import trio

from protogen_runtime.apflow import handler
from protogen_runtime.apflow.a2a import card, handlers
from protogen_runtime.apflow.a2a.agent import open_agent
from protogen_runtime.apflow.a2a.settings import A2ASettings
from protogen_runtime.apflow.executors.builtin import make_registry, outgoing_of
from protogen_runtime.apflow.executors.registry import CannotRegister, ExecutorRegistry
from protogen_runtime.apflow.executors.settings import ExecutorSettings
from protogen_runtime.apflow.manager import RunRecord, TaskManager
from protogen_runtime.apflow.manager import Settings as ManagerSettings
from protogen_runtime.apflow.operations import open_operations
from protogen_runtime.apflow.push import PushSettings, open_pushes
from protogen_runtime.apflow.records import SCHEMA
from protogen_runtime.apflow.retries import NEVER, Retry
from protogen_runtime.dispatch import Joined, Service
from protogen_runtime.io.http import server
from protogen_runtime.io.http.endpoint import Document
from protogen_runtime.io.http.memory import give_back_large
from protogen_runtime.io.http.messages import JSON_TYPE, Reply, Request
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.nodes import version_of
from protogen_runtime.observe import observing
from protogen_runtime.store import CannotOpen, open_store

_logger = logging.getLogger(__name__)

STATES = ((b"x-apflow-protocol-version", handler.PROTOCOL_VERSION.encode()),)
"""States the version of the protocol that the node speaks, since it gives no place on the wire (A45)."""

MAX_CARDS = 100
"""Cards kept: one for each name by which the node is reached."""

COLLECTED_AFTER = (2_000, 5, 100)
"""Objects made before the collector looks at the youngest ones, and how often before it looks further.

What calls and tasks make goes without it. By default it looks three times as often, at thousands of tasks that wait;
much larger, and one look takes longer than a dependant should wait.
"""

PATHS = ("/tasks",)
"""Where the node answers beside `/` (06-interfaces.md, HTTP; A5)."""


class StepflowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about tasks that call components.

    `config`: the configuration of plugins and routes, a file in YAML or JSON; its routes are what tasks may call.
    `dialect` goes before that of the configuration.
    """

    config: str
    dialect: Literal["0.9", "0.11"] | None = None


class Settings(server.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about a node, beside what every server has.

    `database`: `sqlite:///FILE`, or `memory:` for one that is gone at the end. `concurrency`: tasks in progress at the
    same time. `retry`: how failed executions are tried again where a task does not say it. `a2a`: the node as an agent.
    `stepflow`: the components that the executor `stepflow` calls; without it there is no such executor.
    """

    database: str = "sqlite:///apflow.db"
    concurrency: Annotated[int, msgspec.Meta(ge=1)] = 100
    retry: Retry = NEVER
    executors: ExecutorSettings = ExecutorSettings()
    push: PushSettings = PushSettings()
    a2a: A2ASettings = A2ASettings()
    stepflow: StepflowSettings | None = None


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
    registry = make_registry(settings.executors)
    async with open_node(settings, registry=registry) as service:
        with observing(settings.observe, service) as instruments:
            shell = Shell(
                instruments.service,
                limits=settings.limits,
                access=settings.access,
                instruments=instruments,
                aliases=PATHS,
                unauthorized=handler.unauthorized_error,
                documents=documents_of(settings, registry.known()),
                states=STATES,
                query_headers=(handlers.VERSION_HEADER,),
            )
            settings = server.begin(settings, sock)
            _spare_collector()
            await server.serve(shell, settings, sock)


def _spare_collector() -> None:
    give_back_large()
    # What is there now is there until the end: the collector need not look at it again.
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


@asynccontextmanager
async def open_node(
    settings: Settings,
    *,
    registry: ExecutorRegistry | None = None,
    register: Callable[[ExecutorRegistry], None] | None = None,
) -> AsyncGenerator[Service]:
    """A node's service, with its database open and its tasks running, for as long as the context lasts.

    `registry` has the executors, None for those that are built in or installed; `register` adds to them.
    Errors: CannotOpen, CannotRegister.
    """
    registry = make_registry(settings.executors) if registry is None else registry
    if register is not None:
        register(registry)
    async with (
        _components(settings, registry),
        open_store(settings.database, SCHEMA) as store,
        open_pushes(outgoing_of(settings.executors), settings.push) as pushes,
        open_agent(store, pushes, registry, settings.a2a) as agent,
    ):

        def on_enter(manager: TaskManager, root: str, record: RunRecord) -> None:
            pushes.on_enter(manager, root, record)
            agent.on_enter(manager, root, record)

        running = ManagerSettings(concurrency=settings.concurrency, retry=settings.retry)
        async with open_operations(store, registry, settings=running, on_enter=on_enter) as operations:
            service = handler.make_service(operations, pushes, _report)
            await agent.start(operations)
            yield Joined(service, *handlers.make_services(agent, _report)) if settings.a2a.enabled else service


@asynccontextmanager
async def _components(settings: Settings, registry: ExecutorRegistry) -> AsyncGenerator[None]:
    """The executor `stepflow`, where the settings say what it calls."""
    if settings.stepflow is None:
        yield
        return
    # A whole runtime, which most nodes never start.
    from protogen_runtime.nodes.stepflow import executor

    async with executor.open_executor(settings.stepflow.config, dialect=settings.stepflow.dialect) as found:
        registry.register(executor.ID, found)
        registry.alias(executor.ALIAS, executor.ID)
        yield


def documents_of(settings: Settings, executors: Sequence[str]) -> dict[str, Document]:
    """The agent card at each path where it is looked for; nothing where the node is no agent."""
    if not settings.a2a.enabled:
        return {}
    asks_who = bool(settings.access.keys) or settings.access.jwt is not None
    made: dict[str, card.Card] = {}

    def answer(request: Request) -> Reply:
        url = settings.a2a.url or _base_of(request)
        found = made.get(url)
        if found is None:
            if len(made) >= MAX_CARDS:
                made.clear()
            found = made[url] = card.make_card(
                settings.a2a, url=url, version=version_of(), executors=executors, asks_who=asks_who
            )
        headers = (
            (b"etag", found.tag),
            (b"cache-control", b"public, max-age=%d" % settings.a2a.card_seconds),
            (b"vary", b"host"),
        )
        if card.is_known(request.headers.get(b"if-none-match"), found):
            return Reply(304, b"", headers)
        return Reply(200, found.body, ((b"content-type", JSON_TYPE), *headers))

    return dict.fromkeys(card.PATHS, answer)


def _base_of(request: Request) -> str:
    scheme = "https" if request.is_secure else "http"
    return f"{scheme}://{request.headers.get(b'host', b'localhost').decode('latin-1')}/"


def _report(method: str, what: str, error: BaseException) -> None:
    _logger.error("%s: %s", method, what, exc_info=error)
