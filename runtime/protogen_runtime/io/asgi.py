"""What the ASGI applications among the transports share: reading a scope and a body, answering, seeing a client go.

Knows no JSON-RPC and no server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import trio

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client left before its request was whole."""


def text_headers(scope: Scope) -> Mapping[str, str]:
    """The headers of a request, names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def identity_of(scope: Scope) -> str | None:
    """The user that the server below has authenticated: `identity` in the scope's state."""
    state: dict[str, Any] = scope.get("state") or {}
    identity = state.get("identity")
    return identity if isinstance(identity, str) else None


async def read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes | None:
    """The whole body; None where it is larger than `limit` bytes. Errors: ClientGone."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        return None
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        body += event.get("body", b"")
        if len(body) > limit:
            return None
        if not event.get("more_body", False):
            return bytes(body)


async def watch(receive: Receive, scope: trio.CancelScope) -> None:
    """Cancel `scope` when the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def respond(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """A whole answer; a body is JSON."""
    content = [(b"content-type", b"application/json")] if body else []
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*content, length, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
