"""A server process: sockets, TLS, signals, the announcement of the port, workers. hypercorn runs below.

Knows no protocol: it is given what makes a service.
"""

from __future__ import annotations

import errno
import gc
import logging
import resource
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.observe import ObserveSettings, observing

from .access import Access
from .framing import Upgrade
from .limits import KIB, Limits, faults
from .memory import give_back_large
from .shell import Shell
from .tokens import BadKeySet, read_key_set
from .worker import Stream, serve_plain

if TYPE_CHECKING:
    from hypercorn.config import Config

    from .hook import Stock

_logger = logging.getLogger(__name__)

SPARE_DESCRIPTORS: Final = 64
"""Left to everything that is not a client: listeners, databases, logs."""

MAX_NOT_SENT_BYTES: Final = 128 * KIB
"""What the kernel takes of an answer beyond what is on its way: by itself it grows to 4 MiB for a client that reads
fast, and keeps them when that client stops reading. What is on its way does not count, so long lines stay full."""


class CannotServe(Exception):
    """The server cannot begin; the message is one line that says what to do."""


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files in PEM form; `client_ca`: clients must show a certificate that one of these signed."""

    certificate: str
    key: str
    client_ca: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about a server. Port 0 lets the system choose; `announce` prints `{"port": N}`."""

    host: str = "127.0.0.1"
    port: int = 8000
    announce: bool = False
    workers: int = 1
    backlog: int = 1024
    tls: Tls | None = None
    limits: Limits = Limits()
    access: Access = Access()
    observe: ObserveSettings = ObserveSettings()


Configured = TypeVar("Configured", bound=Settings)


def read_settings(file: Path | None, kind: type[Configured]) -> Configured:
    """The settings of a TOML file, the defaults without one. Errors: CannotServe, naming the key."""
    if file is None:
        return kind()
    import tomllib

    try:
        tree = tomllib.loads(file.read_text("utf-8"))
        return msgspec.convert(tree, kind, strict=False)
    except OSError as reason:
        raise CannotServe(f"{file}: cannot read it: {reason.strerror}; give --config an existing file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        raise CannotServe(f"{file}: is not TOML: {reason}") from None
    except msgspec.ValidationError as reason:
        raise CannotServe(f"{file}: {reason}; docs/how-to/serve.md lists what may stand there") from None


def override(settings: Configured, **given: Any) -> Configured:
    """The settings with every member of `given` that is not None in place of its own."""
    return msgspec.structs.replace(settings, **{name: value for name, value in given.items() if value is not None})


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Errors: CannotServe."""
    host, port = settings.host, settings.port
    if not 0 <= port <= 65535:
        raise CannotServe(f"port {port}: expected 0 to 65535")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as reason:
        raise CannotServe(f"host {host!r}: {reason.strerror}; give an address of this machine") from None
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Connections inherit it from their listener.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_NOT_SENT_BYTES)
        sock.bind(address)
    except OSError as reason:
        sock.close()
        raise CannotServe(_why_not_bound(host, port, reason)) from None
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def _why_not_bound(host: str, port: int, reason: OSError) -> str:
    match reason.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is in use; choose another one, or 0 for any that is free"
        case errno.EACCES:
            return f"port {port} on {host} is not allowed to this user; choose one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all of its addresses"
        case _:
            return f"cannot listen on {host}:{port}: {reason.strerror}"


def check(settings: Settings) -> None:
    """Find what would fail later. Errors: CannotServe."""
    found = faults(settings.limits)
    if found:
        raise CannotServe(f"limits.{found[0]}")
    if settings.workers < 1:
        raise CannotServe(f"workers: expected 1 or more, got {settings.workers}")
    for name, written in (("log_file", settings.observe.log_file), ("metrics_file", settings.observe.metrics_file)):
        if written is None:
            continue
        try:
            Path(written).open("ab").close()
        except OSError as reason:
            raise CannotServe(f"observe.{name}: cannot write {reason.filename}: {reason.strerror}") from None
    if settings.access.jwt is not None:
        try:
            read_key_set(Path(settings.access.jwt.key_set))
        except BadKeySet as reason:
            raise CannotServe(f"access.jwt.key_set: {reason}") from None
    tls = settings.tls
    if tls is None:
        return
    for name, file in (("certificate", tls.certificate), ("key", tls.key), ("client_ca", tls.client_ca)):
        if file is None:
            continue
        try:
            Path(file).read_bytes()
        except OSError as reason:
            raise CannotServe(f"tls.{name}: cannot read {file}: {reason.strerror}") from None
    import ssl

    try:
        hypercorn_config(settings).create_ssl_context()
    except ssl.SSLError as reason:
        raise CannotServe(
            f"tls: {tls.certificate} and {tls.key} are no certificate and its key in PEM form ({reason.reason})"
        ) from None


def hypercorn_config(settings: Settings) -> Config:
    """Our bounds in hypercorn's words, for the connections that stay its own."""
    import ssl

    from hypercorn.config import Config

    limits = settings.limits
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.backlog = settings.backlog
    config.include_server_header = False
    config.graceful_timeout = limits.graceful_seconds
    config.keep_alive_timeout = limits.idle_seconds
    config.ssl_handshake_timeout = limits.handshake_seconds
    config.h11_max_incomplete_size = limits.max_header_bytes
    config.h2_max_header_list_size = limits.max_header_bytes
    config.h2_max_concurrent_streams = limits.max_streams
    config.websocket_max_message_size = limits.max_body_bytes
    config.websocket_ping_interval = limits.idle_seconds / 3
    if settings.tls is not None:
        config.certfile = settings.tls.certificate
        config.keyfile = settings.tls.key
        if settings.tls.client_ca is not None:
            config.ca_certs = settings.tls.client_ca
            config.verify_mode = ssl.CERT_REQUIRED
    return config


def run(settings: Settings, make_service: Callable[[], Service]) -> None:
    """Serve until SIGTERM or SIGINT; what runs then may finish. Errors: CannotServe."""
    check(settings)
    sock = bind(settings)
    settings = begin(settings, sock)
    if settings.workers == 1:
        serve_socket(settings, sock, make_service)
        return
    from tempfile import TemporaryDirectory

    from .workers import supervise

    with TemporaryDirectory(prefix="protogen-workers-") as folder:
        observe = msgspec.structs.replace(settings.observe, shared_folder=folder)
        settings = msgspec.structs.replace(settings, observe=observe)
        code = supervise(settings.workers, serve_socket, settings, sock, make_service)
    if code:
        raise CannotServe(f"a worker ended with code {code}; its own message says why")


def begin(settings: Configured, sock: socket.socket) -> Configured:
    """Listen, and announce the port where that is asked for; the settings with limits that this process can keep."""
    settings = msgspec.structs.replace(settings, limits=_with_descriptors(settings.limits))
    sock.listen(settings.backlog)
    if settings.announce:
        print(msgspec.json.encode({"port": sock.getsockname()[1]}).decode(), flush=True)
    return settings


def serve_socket(settings: Settings, sock: socket.socket, make_service: Callable[[], Service]) -> None:
    """Serve in this process on a socket that listens already."""
    give_back_large()
    # What has been imported is there until the end: the collector need not look at it again.
    gc.freeze()
    with observing(settings.observe, make_service()) as instruments:
        shell = Shell(instruments.service, limits=settings.limits, access=settings.access, instruments=instruments)
        trio.run(partial(serve, shell, settings, sock))


async def serve(
    shell: Shell,
    settings: Settings,
    sock: socket.socket,
    *,
    until: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a shell on a socket until `until` returns; without it, until the process is told to end."""
    with _signals() as wait_for_signal:
        if settings.tls is None:
            others = _WebSockets(shell, settings)
            await serve_plain(shell, sock, others, until=until or wait_for_signal, task_status=task_status)
            return
        import hypercorn.trio.run
        from hypercorn.app_wrappers import ASGIWrapper
        from hypercorn.config import Sockets

        from . import hook

        reason = hook.install()
        if reason is not None:
            _logger.warning("serving without the fast path: %s", reason)
        await hypercorn.trio.run.worker_serve(
            ASGIWrapper(shell),  # type: ignore[arg-type]  # its own types are narrower than ASGI
            hypercorn_config(settings),
            sockets=Sockets([sock], [], []),
            shutdown_trigger=until or wait_for_signal,
            task_status=task_status,
        )


class _WebSockets:
    """Hands WebSockets over to hypercorn, which is imported for the first of them. See Others."""

    def __init__(self, shell: Shell, settings: Settings) -> None:
        self._shell = shell
        self._settings = settings
        self._stocks: list[Stock] = []

    async def hand_over(self, stream: Stream, upgrade: Upgrade | None) -> None:
        """See Others."""
        if not self._stocks:
            # In a thread: it takes 0.1 s, and other connections are served meanwhile. Several may come in that time.
            self._stocks.append(await trio.to_thread.run_sync(self._make_stock))
        await self._stocks[0].hand_over(stream, upgrade)

    async def end(self) -> None:
        """See Others."""
        for stock in self._stocks:
            await stock.end()

    def _make_stock(self) -> Stock:
        from . import hook

        reason = hook.misfit()
        if reason is not None:
            _logger.warning("WebSockets may fail: %s", reason)
        return hook.Stock(self._shell, hypercorn_config(self._settings))


@contextmanager
def _signals() -> Generator[Callable[[], Awaitable[None]]]:
    """Yields what waits for SIGTERM or SIGINT; outside the main thread, which gets no signals, it waits for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield trio.sleep_forever
        return
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as arrived:

        async def wait() -> None:
            async for _ in arrived:
                return

        yield wait


def _with_descriptors(limits: Limits) -> Limits:
    """The limits with no more connections than the process may open; its soft limit is raised as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.max_connections + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = max(1, soft - SPARE_DESCRIPTORS)
        if most < limits.max_connections:
            _logger.warning("the process may open %d files: max_connections is %d", soft, most)
            return msgspec.structs.replace(limits, max_connections=most)
    return limits
