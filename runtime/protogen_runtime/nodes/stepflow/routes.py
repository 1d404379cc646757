"""The runtime's HTTP API put on a server: its operations as routes.

Knows no operation; `protogen_runtime.stepflow.api` has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Mapping
from typing import Final

from protogen_runtime.dispatch import Later, Mapped
from protogen_runtime.io.http.messages import Reply, Request
from protogen_runtime.io.http.routes import Answer as Routed
from protogen_runtime.io.http.routes import Route, Routes, Stream
from protogen_runtime.observe import Observer
from protogen_runtime.stepflow.api.exchange import Answer, Asked, Pieces
from protogen_runtime.stepflow.api.operations import PREFIX, Operation
from protogen_runtime.stepflow.api.serving import DOCUMENT_PATH, PAGE_PATHS, Serving

SPOOLED_BYTES: Final = 256 * 1024
"""An uploaded blob up to this size stays in memory until it is stored; larger ones go to a file as they come."""


TAKEN: Final = (b"x-blob-filename", b"last-event-id", b"if-none-match")
SHOWN: Final = (b"x-blob-filename", b"etag")
"""Headers of the API, for pages of allowed origins: those that operations look at, and those that tell something."""


def make_routes(serving: Serving, *, observer: Observer | None = None) -> Routes:
    """The routes of an API, its document and its page included."""
    table = [_route(serving, operation) for operation in serving.operations]
    table.append(Route("GET", DOCUMENT_PATH, lambda _, __: _reply(serving.document)))
    table += [Route("GET", path, lambda _, __: _reply(serving.page)) for path in PAGE_PATHS]

    def refuse(status: int, reason: str, *headers: tuple[bytes, bytes]) -> Reply:
        refused = serving.refuse(status, reason)
        return Reply(refused.status, refused.body, (*refused.headers, *headers))

    def fail(route: Route, error: Exception) -> Reply:
        return _reply(serving.fail(route.name, error))

    return Routes(table, refuse=refuse, fail=fail, observer=observer, taken=TAKEN, shown=SHOWN)


def _route(serving: Serving, operation: Operation) -> Route:
    def admit(request: Request) -> Reply | None:
        admission = serving.admit(operation, request.headers)
        if isinstance(admission, Answer):
            return _reply(admission)
        request.max_body_bytes = admission.max_bytes
        if admission.to_file:
            request.sink = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115 - the server closes it
        return None

    def answer(request: Request, values: Mapping[str, str]) -> Awaitable[Routed]:
        asked = Asked(
            values=values,
            query=request.target.partition(b"?")[2],
            headers=request.headers,
            body=bytes(request.body),
            file=request.sink,
        )
        answering = serving.answer(operation, asked)
        return Mapped(answering, _routed) if isinstance(answering, Later) else _waited(answering)

    return Route(operation.method, PREFIX + operation.path, answer, admit)


async def _waited(answering: Awaitable[Answer | Pieces]) -> Routed:
    return _routed(await answering)


def _routed(found: Answer | Pieces) -> Routed:
    return Stream(found.status, found.source, found.headers) if isinstance(found, Pieces) else _reply(found)


def _reply(answer: Answer) -> Reply:
    return Reply(answer.status, answer.body, answer.headers)
