"""The state of one server process: its endpoint, its connections, its clock; also the ASGI application for hypercorn.

Knows how requests come in two ways: by `Connection` for HTTP/1.1, and by ASGI for HTTP/2 and WebSocket, which stay
hypercorn's. Both end at the same endpoint, under the same bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.io.websocket import SERVER_BOUNDS
from protogen_runtime.observe import Answer, Instruments, Traffic

from .access import Access, Guard
from .asgi import serve_http, serve_websocket
from .connection import Connection
from .deadlines import Deadlines, Timed
from .endpoint import Document, Endpoint, Page, Unauthorized
from .foreign import AsgiApp, Receive, Scope, Send
from .heads import Heads
from .limits import Limits
from .messages import Headers, Reply
from .routes import Routes
from .watch import Watch

_REFUSED: Final = {
    400: "malformed",
    401: "key",
    403: "origin",
    404: "path",
    405: "verb",
    408: "time",
    413: "body_bytes",
    415: "media_type",
    417: "expect",
    421: "host",
    429: "rate",
    431: "header_bytes",
    501: "coding",
    503: "busy",
    505: "version",
}
"""What a refusal's status says of the bound that was met, as the metrics name it."""


class Shell:
    """Serves a service, at `aliases` of its path, too; `pages` answer GET at their paths, `app` gets whatever else is
    asked for.

    An `app` that is `Timed`, such as a SessionApp, is swept with the connections.
    `instruments`, whose service this must be, add their pages, ids for requests, and the numbers of the transport.
    `unauthorized` is the protocol's error for somebody unknown; `documents`, `states`, `query_headers` and `routes`:
    see Endpoint. `at_closing` is called when the server begins to end: what would last may end now.

    Errors: BadKeySet.
    """

    def __init__(
        self,
        service: Service,
        *,
        limits: Limits | None = None,
        access: Access | None = None,
        pages: Mapping[str, Page] | None = None,
        app: AsgiApp | None = None,
        instruments: Instruments | None = None,
        aliases: Iterable[str] = (),
        unauthorized: Unauthorized | None = None,
        documents: Mapping[str, Document] | None = None,
        states: Headers = (),
        query_headers: Iterable[str] = (),
        routes: Routes | None = None,
        at_closing: Callable[[], None] | None = None,
    ) -> None:
        self._at_closing = at_closing
        self._instruments = instruments
        self.traffic = Traffic() if instruments is None else instruments.traffic
        if instruments is not None:
            pages = {**{path: _page(answer) for path, answer in instruments.pages.items()}, **(pages or {})}
            instruments.readiness.watch(lambda: self.endpoint.is_closing)
        self.limits = limits or Limits()
        self.deadlines = Deadlines(b"".join(b"%b: %b\r\n" % header for header in states))
        self.deadlines.tick(0.0, time.time())
        if routes is None:
            guard = Guard(access or Access(), self.limits, self.deadlines)
        else:
            guard = Guard(
                access or Access(),
                self.limits,
                self.deadlines,
                methods=routes.methods,
                taken=routes.taken,
                shown=routes.shown,
            )
        self.endpoint = Endpoint(
            service,
            limits=self.limits,
            guard=guard,
            deadlines=self.deadlines,
            pages=pages,
            app=app,
            aliases=aliases,
            unauthorized=unauthorized,
            documents=documents,
            states=states,
            query_headers=query_headers,
            routes=routes,
        )
        self.endpoint.tags_requests = instruments is not None and instruments.tags_requests
        # A rate is spent by each request, whatever its head says.
        self.heads = Heads(
            is_used=self.limits.requests_per_second is None, also=self.endpoint.callbacks.instance_header
        )
        limits = self.limits
        self.websocket_bounds = msgspec.structs.replace(
            SERVER_BOUNDS,
            max_frame_bytes=limits.max_body_bytes,
            max_batch=limits.max_batch,
            max_in_flight=limits.max_in_flight_per_connection,
            send_seconds=limits.send_seconds,
            min_bytes_per_second=limits.min_bytes_per_second,
            call_seconds=limits.call_seconds,
        )
        self.watch = Watch()
        self.connections: set[Connection] = set()
        self.open_connections = 0
        swept: object = app
        if isinstance(swept, Timed):
            self.deadlines.add(swept)
        self.is_terminated: Callable[[], bool] = bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        match scope["type"]:
            case "lifespan":
                await self._lifespan(receive, send)
            case "http":
                await serve_http(self, scope, receive, send)
            case "websocket":
                await serve_websocket(self, scope, receive, send)
            case _:
                return

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.tend)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            nursery.cancel_scope.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def tend(self) -> None:
        """Keep the clock and wait for connections until cancelled; nothing is served before."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.deadlines.sweep, self._at_tick, time.time)
            nursery.start_soon(self.watch.run)

    def _at_tick(self) -> None:
        self.traffic.open_connections = self.open_connections
        if self._instruments is not None:
            self._instruments.publish(self.deadlines.now)
        if self.is_terminated() and not self.endpoint.is_closing:
            self.endpoint.is_closing = True
            if self._at_closing is not None:
                self._at_closing()
            for connection in tuple(self.connections):
                connection.close_if_idle()

    def count_refused(self, status: int, bound: str | None = None) -> None:
        """Somebody was refused with this status."""
        if self._instruments is not None:
            self._instruments.metrics.count_refused(bound or _REFUSED.get(status, "other"))

    def add(self, connection: Connection) -> None:
        """A connection begins."""
        self.connections.add(connection)
        self.deadlines.add(connection)

    def discard(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.deadlines.discard(connection)


def _page(answer: Callable[[], Answer]) -> Page:
    def page() -> Reply:
        found = answer()
        return Reply(found.status, found.body, ((b"content-type", found.media_type.encode()),))

    return page


def shell_of(app: Any) -> Shell | None:
    """The shell that hypercorn was given as its application, None for any other application."""
    inner = getattr(app, "app", None)
    return inner if isinstance(inner, Shell) else None
