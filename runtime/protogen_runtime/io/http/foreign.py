"""The user's own ASGI application, called with a request that is whole.

Knows no sockets: it answers through a Responder, like every other handling.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import unquote

import trio

from .handling import Responder
from .messages import Headers, Request, refusal

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_logger = logging.getLogger(__name__)


class Foreign:
    """One request for the application; `marks` are headers of ours for its answer.

    Cancel `scope` when the client has gone.
    """

    def __init__(self, app: AsgiApp, request: Request, marks: Headers = ()) -> None:
        self.scope = trio.CancelScope()
        self._app = app
        self._request = request
        self._marks = marks
        self._body_given = False
        self._started = False
        self._ended = False

    def drop(self) -> None:
        """It will not be run after all."""

    async def run(self, responder: Responder) -> None:
        """Call the application and pass its answer on. Errors: those of the responder."""
        with self.scope:
            try:
                await self._app(asgi_scope(self._request), self._receive, lambda event: self._send(responder, event))
            except Exception:
                # The application is the user's: it can raise anything, and its client still gets an answer.
                _logger.exception("the ASGI application failed")
            if not self._started:
                await responder.reply(refusal(500, "internal error", close=True))
            elif not self._ended:
                await responder.abort()

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._body_given:
            # A client that goes away cancels the scope; there is nothing else to wait for.
            await trio.sleep_forever()
        self._body_given = True
        return {"type": "http.request", "body": bytes(self._request.body), "more_body": False}

    async def _send(self, responder: Responder, event: MutableMapping[str, Any]) -> None:
        match event["type"]:
            case "http.response.start":
                self._started = True
                headers = tuple((bytes(name), bytes(value)) for name, value in event.get("headers", ()))
                names = {name.lower() for name, _ in headers}
                ours = tuple(mark for mark in self._marks if mark[0] not in names)
                await responder.begin_stream(event["status"], (*headers, *ours))
            case "http.response.body" if not self._ended:
                body = bytes(event.get("body", b""))
                if body:
                    await responder.send(body)
                if not event.get("more_body", False):
                    self._ended = True
                    await responder.end()
            case _:
                return


def asgi_scope(request: Request) -> Scope:
    """The ASGI connection scope of a request."""
    path, _, query = request.target.partition(b"?")
    headers = request.text_headers()
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.version,
        "method": request.method.decode("latin-1"),
        "scheme": "https" if request.is_secure else "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": request.client,
        "server": None,
        "state": {"identity": request.identity},
        "extensions": {},
    }
