"""What carries messages to the other side and back, as clients see it.

Knows no transport: HTTP, stdio and the in-memory pair each make a Channel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, Protocol, TypeAlias

from msgspec import Raw

from .._jsonrpc import Failure, Success
from .jsonvalue import Json

OnEvent: TypeAlias = Callable[[Json], Awaitable[None]]
"""Told each event of a streaming answer, as a JSON value, in order."""


class ResultEvents:
    """An OnEvent of a call that is answered more than once: a transport tells it the result of each answer, too."""

    takes_results: Final = True

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self.is_told = False

    async def __call__(self, event: Json) -> None:
        """One event."""
        self.is_told = True
        await self._on_event(event)


def takes_results(on_event: OnEvent | None) -> bool:
    """Whether the results of answers are events, too; transports are also used by the clients of other SDKs."""
    return getattr(on_event, "takes_results", False)


class Attempts:
    """What the attempts of one call have in common: the id of its request, kept by a transport that sends one."""

    __slots__ = ("request_id",)

    def __init__(self) -> None:
        self.request_id: str | None = None


attempts: Final[ContextVar[Attempts | None]] = ContextVar("attempts", default=None)
"""Those of the call that runs now; None where it will not be tried again."""


class Channel(Protocol):
    """One way to the other side; safe to use from several tasks at once."""

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """Send a request and wait for its answer; cancelling it tells the other side.

        `params` is empty where there are none. Errors: TransportError.
        """
        ...

    async def notify(self, method: str, params: Raw) -> None:
        """Send a notification. Errors: TransportError."""
        ...

    async def open(self) -> None:
        """Make the connection where the transport has one to make; a channel can be opened once."""
        ...

    async def aclose(self) -> None:
        """End the connection; calls under way fail with TransportError."""
        ...
