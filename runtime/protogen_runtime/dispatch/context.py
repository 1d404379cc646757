"""What a handler knows of the call it serves, and what a transport must provide for that.

Knows no transport and no clock; cancellation is the business of whoever runs the handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from protogen_runtime.jsonrpc import RequestId

from .channels import adopt
from .sdk import Channel

Emit: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends one event, given as JSON."""


class Link(Protocol):
    """What a transport gives to the handling of one frame."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the HTTP request in lower case, empty on other transports."""
        ...

    @property
    def identity(self) -> str | None:
        """The user that the transport has authenticated, None where it asks nobody."""
        ...

    @property
    def deadline(self) -> float | None:
        """When the call will be cancelled, on the transport's clock; None for never."""
        ...

    @property
    def channel(self) -> Channel:
        """The way back to the caller."""
        ...

    @property
    def emit(self) -> Emit | None:
        """Sends an event to the caller, None where the caller takes none."""
        ...


class CallContext:
    """One call: who asks, how to reach them while it is under way, and until when.

    `request_id` is None for a notification. A caller that gives up, or a deadline that passes, cancels the handler:
    `trio.Cancelled` is raised in it.
    """

    __slots__ = ("_link", "_make_client", "_write_event", "method", "request_id")

    def __init__(
        self,
        method: str,
        request_id: RequestId,
        link: Link,
        make_client: Callable[[Channel], Any] | None,
        write_event: Callable[[Any], bytes] | None,
    ) -> None:
        self.method = method
        self.request_id = request_id
        self._link = link
        self._make_client = make_client
        self._write_event = write_event

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the HTTP request, names in lower case; empty on other transports."""
        return self._link.headers

    @property
    def identity(self) -> str | None:
        """The authenticated user, None where the server asks nobody."""
        return self._link.identity

    @property
    def deadline(self) -> float | None:
        """When this call will be cancelled, on trio's clock; None for never."""
        return self._link.deadline

    @property
    def channel(self) -> Channel:
        """The untyped way back to the caller."""
        return self._link.channel

    @property
    def client(self) -> Any:
        """A typed client that calls the other side back while this call is under way.

        Errors: LookupError where the service was made without clients.
        """
        if self._make_client is None:
            raise LookupError(f"the service has no client that calls back the sender of {self.method}")
        channel = self._link.channel
        return self._make_client(adopt(channel, self._make_client) if isinstance(self._make_client, type) else channel)

    @property
    def is_streaming(self) -> bool:
        """Whether events reach the caller; where not, `emit` checks them and sends nothing."""
        return self._write_event is not None and self._link.emit is not None

    async def emit(self, event: Any) -> None:
        """Send one event before the result.

        Errors: the SDK's ValidationError for one that breaks its schema, LookupError for a method without events,
        and what the transport raises when the caller has gone.
        """
        if self._write_event is None:
            raise LookupError(f"{self.method} has no events in its protocol")
        data = self._write_event(event)
        send = self._link.emit
        if send is not None:
            await send(data)
