"""A worker as a server: an app loaded by its name, over HTTP with its sessions, or over standard input and output.

Knows no protocol: an app makes the service.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import sys
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
import trio

from protogen_runtime.dispatch import Report, Service
from protogen_runtime.io import stdio
from protogen_runtime.io.channel import Bounds
from protogen_runtime.io.http import server
from protogen_runtime.io.http.limits import SECONDS, Limits
from protogen_runtime.io.http.memory import give_back_large
from protogen_runtime.io.http.messages import JSON_TYPE, Reply
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.io.session import SessionApp, SessionBounds
from protogen_runtime.observe import Instruments, observing

_logger = logging.getLogger(__name__)

COLLECTED_AFTER = (20_000, 5, 20)
"""Objects made before the collector looks at the youngest ones, and how often before it looks further: calls leave no
circles behind, and by default it looks thirty times as often at all those that wait."""

NO_SECONDS = 0.0
"""Sessions of workers end with their streams."""

SPARE_CALLS = 1024
"""Calls beyond those that an app takes at once: it refuses with an error of its protocol, a transport with a status."""


@runtime_checkable
class WorkerApp(Protocol):
    """What can be served: an app of a worker SDK."""

    name: str
    events_path: str

    @property
    def max_executions(self) -> int:
        """How many calls can be under way or wait."""
        ...

    def make_service(self, report: Report | None = None) -> Service:
        """What a transport serves."""
        ...


class WorkerLimits(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a worker, whose clients are runtimes: they keep connections, and know how long a call may take.

    A runtime that sends on a connection while it is closed for idleness loses a step, and would not send it again.
    """

    call_seconds: float | None = None
    idle_seconds: float = 300 * SECONDS
    graceful_seconds: float = 25 * SECONDS


class Settings(server.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about a worker: as of every server, with other bounds."""

    limits: WorkerLimits = WorkerLimits()


def load_app(name: str) -> WorkerApp:
    """The app of `MODULE:APP`, found from the working directory too. Errors: CannotServe."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise CannotServe(f"expected MODULE:APP such as components:app, got {name!r}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        # Over stdio nothing but messages may reach the output.
        with contextlib.redirect_stdout(sys.stderr):
            module = import_module(module_name)
    except (Exception, SystemExit) as reason:
        raise CannotServe(_why_not_imported(module_name, folder, reason)) from reason
    app: object = getattr(module, attribute, None)
    if app is None:
        apps = [known for known, value in vars(module).items() if _is_app(value)]
        hint = f"; it has {', '.join(apps)}" if apps else ""
        raise CannotServe(f"{module_name} has no {attribute!r}{hint}")
    if not _is_app(app):
        raise CannotServe(f"{name} is of type {type(app).__name__}; expected the App of a worker")
    assert isinstance(app, WorkerApp)
    return app


def _is_app(value: object) -> bool:
    return isinstance(value, WorkerApp) and not isinstance(value, type)


def _why_not_imported(name: str, folder: str, reason: BaseException) -> str:
    if isinstance(reason, ModuleNotFoundError) and reason.name in (name, name.partition(".")[0]):
        return f"there is no module {name!r} in {folder} or where Python is installed"
    trace = reason.__traceback__
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file != __file__ and "importlib" not in file:
            place = f"{file}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return f"{place}{name} cannot be imported: {type(reason).__name__}: {reason}"


def serve_http(app: WorkerApp, settings: Settings) -> None:
    """Serve an app over HTTP until the process is told to end; what runs then may finish. Errors: CannotServe."""
    if settings.workers != 1:
        raise CannotServe(f"workers: answers come to the process that asked, got {settings.workers}; start several")
    server.check(settings)
    sock = server.bind(settings)
    with contextlib.closing(sock):
        settings = server.begin(settings, sock)
        give_back_large()
        # What is there now is there until the end: the collector need not look at it again.
        gc.freeze()
        gc.set_threshold(*COLLECTED_AFTER)
        with observing(settings.observe, app.make_service(_report)) as instruments:
            trio.run(partial(_serve, app, settings, sock, instruments))


def serve_stdio(app: WorkerApp, settings: Settings) -> None:
    """Serve one runtime on stdin and stdout, one message a line, until stdin ends; logs go to stderr.

    Errors: CannotServe, OSError where the log file of the settings cannot be opened.
    """
    server.check(settings)
    bounds = Bounds(
        call_seconds=settings.limits.call_seconds,
        finish_seconds=settings.limits.graceful_seconds,
        max_in_flight=app.max_executions + SPARE_CALLS,
    )
    stdio.run(settings.observe, partial(app.make_service, _report), bounds=bounds)


def make_shell(app: WorkerApp, service: Service, settings: Settings, instruments: Instruments | None = None) -> Shell:
    """The state of a server for an app: its endpoint, its sessions, its page of health."""
    limits = msgspec.structs.replace(
        settings.limits, max_in_flight=max(settings.limits.max_in_flight, app.max_executions + SPARE_CALLS)
    )
    # A runtime whose stream is lost begins another session: what runs for the old one has nobody to answer to.
    bounds = SessionBounds(
        call_seconds=limits.call_seconds, max_in_flight=limits.max_in_flight, resume_seconds=NO_SECONDS
    )
    made: list[Shell] = []

    def health() -> Reply:
        page = {
            "status": "healthy",
            "instanceId": made[0].endpoint.callbacks.instance.decode(),
            "timestamp": datetime.now(UTC).isoformat(),
            "service": app.name,
        }
        return Reply(200, msgspec.json.encode(page), ((b"content-type", JSON_TYPE),))

    pages = {} if service.info.health_path is None else {service.info.health_path: health}
    sessions = SessionApp(service, events_path=app.events_path, bounds=bounds)
    made.append(
        Shell(service, limits=limits, access=settings.access, pages=pages, app=sessions, instruments=instruments)
    )
    return made[0]


async def _serve(app: WorkerApp, settings: Settings, sock: socket.socket, instruments: Instruments) -> None:
    await server.serve(make_shell(app, instruments.service, settings, instruments), settings, sock)


def _report(method: str, what: str, error: BaseException) -> None:
    _logger.error("%s: %s", method, what, exc_info=error)
