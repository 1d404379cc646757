"""Our connections inside hypercorn's trio worker: the one place that touches what hypercorn keeps private.

Knows `hypercorn.trio.run` and the stock TCPServer and H2Protocol, whose places it takes. What it relies on is checked
at start, and a hypercorn that does not fit serves on without us.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Generator
from importlib.metadata import version
from typing import Any, Final

import hypercorn.protocol
import hypercorn.trio.run
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer as StockServer
from hypercorn.trio.worker_context import WorkerContext

from .framing import Upgrade
from .handoff import HandedOver
from .http2 import NEEDED, Http2
from .shell import Shell, shell_of
from .worker import Stream, visit

FITS: Final = "0.18"
"""The minor version of hypercorn whose insides this was written for."""

_PARAMETERS: Final = ("self", "app", "config", "context", "state", "stream")

_logger = logging.getLogger(__name__)


def misfit() -> str | None:
    """Why the hook cannot be used with the hypercorn that is installed; None where it fits."""
    found = version("hypercorn")
    if not found.startswith(f"{FITS}."):
        return f"hypercorn {found} is installed, {FITS} was expected"
    if tuple(inspect.signature(StockServer.__init__).parameters) != _PARAMETERS:
        return "hypercorn's TCPServer takes other arguments than expected"
    if not hasattr(hypercorn.trio.run, "TCPServer"):
        return "hypercorn.trio.run has no TCPServer to take the place of"
    if not all(hasattr(getattr(hypercorn.protocol, "H2Protocol", None), name) for name in NEEDED):
        return "hypercorn.protocol has no H2Protocol as expected"
    return None


def install() -> str | None:
    """Take the places of the stock TCPServer and H2Protocol in this process; returns why not, where it does not fit."""
    reason = misfit()
    if reason is None:
        setattr(hypercorn.trio.run, "TCPServer", FastServer)  # noqa: B010 - this is the hook, and no type allows it
        setattr(hypercorn.protocol, "H2Protocol", Http2)  # noqa: B010 - and this is the other one
    return reason


class FastServer:
    """What hypercorn makes and awaits for each connection."""

    def __init__(self, app: Any, config: Config, context: WorkerContext, state: Any, stream: Stream) -> None:
        self._arguments = (app, config, context, state)
        self._shell = shell_of(app)
        self._context = context
        self._stream = stream

    def __await__(self) -> Generator[Any, None, None]:
        return self.run().__await__()

    async def run(self) -> None:
        """Serve the connection until it ends."""
        shell = self._shell
        if shell is None:
            await StockServer(*self._arguments, self._stream)  # type: ignore[arg-type]  # as hypercorn itself calls it
            return
        shell.is_terminated = self._context.terminated.is_set
        await visit(shell, self._stream, self.hand_over)

    async def hand_over(self, upgrade: Upgrade | None) -> None:
        """Leave the connection to hypercorn, which reads the handshake of a WebSocket first; without it, HTTP/2."""
        shell = self._shell
        assert shell is not None
        stream = HandedOver(
            self._stream,
            upgrade.head(with_upgrade=True) if upgrade else b"",
            upgrade.rest if upgrade else b"",
            limits=shell.limits,
            deadlines=shell.deadlines,
            traffic=shell.traffic,
            is_http2=upgrade is None,
        )
        shell.deadlines.add(stream)
        try:
            with stream.scope:
                await StockServer(*self._arguments, stream)  # type: ignore[arg-type]  # all it uses of a stream is there
        except* Exception as errors:  # noqa: BLE001 - whatever a client makes hypercorn raise, the others stay served
            # Stock 0.18 lets a client's mistakes end the worker: a frame in the segment of the handshake is enough.
            _logger.warning("a connection was ended: %r", errors.exceptions[0])
        finally:
            shell.deadlines.discard(stream)
            stream.abort()


class Stock:
    """What serves WebSockets for a server in the clear: hypercorn's own connections, outside of hypercorn's worker."""

    def __init__(self, shell: Shell, config: Config) -> None:
        self._config = config
        self._app = ASGIWrapper(shell)  # type: ignore[arg-type]  # its own types are narrower than ASGI
        self._context = WorkerContext(None)

    async def hand_over(self, stream: Stream, upgrade: Upgrade | None) -> None:
        """See Others."""
        await FastServer(self._app, self._config, self._context, {}, stream).hand_over(upgrade)

    async def end(self) -> None:
        """See Others."""
        await self._context.terminated.set()
