"""Calls of ours that wait for their answers.

Knows neither how ids are made (the caller passes them in) nor what waits: a ticket is whatever the shell hands in.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, Literal, TypeVar

from .messages import BadAnswer, Failure, RequestId, Success

Ticket = TypeVar("Ticket")

Stray = Literal["unknown", "late"]
"""Why an answer met no call: nobody asked (or it was answered already), or its call had been abandoned."""

MAX_REMEMBERED: Final = 1024
"""Abandoned ids kept, so that an answer crossing its cancellation is told from one nobody asked for."""


class PendingClosed(Exception):
    """The connection has ended: no call can be added any more."""


class Pending(Generic[Ticket]):
    """The calls of one connection that are under way, by id."""

    __slots__ = ("_abandoned", "_closed", "_tickets")

    def __init__(self) -> None:
        self._tickets: dict[RequestId, Ticket] = {}
        self._abandoned: OrderedDict[RequestId, None] = OrderedDict()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tickets)

    def add(self, request_id: str | int, ticket: Ticket) -> None:
        """Note a call before it is sent. Errors: ValueError for an id under way, PendingClosed after `close`."""
        if self._closed:
            raise PendingClosed("the connection has ended")
        if request_id in self._tickets:
            raise ValueError(f"id {request_id!r} is under way already")
        self._tickets[request_id] = ticket
        self._abandoned.pop(request_id, None)

    def take(self, answer: Success | Failure | BadAnswer) -> Ticket | Stray:
        """The ticket that `answer` belongs to, which is no longer pending then; else why there is none.

        A failure with id null belongs to no call by itself: the shell knows whether it can only mean one.
        """
        if answer.id in self._tickets:
            return self._tickets.pop(answer.id)
        if answer.id in self._abandoned:
            del self._abandoned[answer.id]
            return "late"
        return "unknown"

    def abandon(self, request_id: str | int) -> bool:
        """Forget a call whose caller has gone; False where it was not pending (answered meanwhile)."""
        if request_id not in self._tickets:
            return False
        del self._tickets[request_id]
        self._abandoned[request_id] = None
        if len(self._abandoned) > MAX_REMEMBERED:
            self._abandoned.popitem(last=False)
        return True

    def close(self) -> list[Ticket]:
        """End of the connection: the tickets that will never be answered, in the order they were added."""
        self._closed = True
        tickets = list(self._tickets.values())
        self._tickets.clear()
        return tickets
