"""Calls of the server to its clients that wait for an answer in a request of its own.

Knows no HTTP beyond the name of the header that says which server asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import trio

from protogen_runtime.jsonrpc import BadAnswer, Failure, Pending, Success

ID_BYTES: Final = 16
"""128 random bits: nobody can answer a call that was not sent to them."""


class Ticket:
    """One call: set when its answer has come."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.answer: Success | Failure | BadAnswer | None = None


class Callbacks:
    """The calls under way of one server process, whose random name is `instance`."""

    def __init__(self, instance_header: str) -> None:
        self.instance = secrets.token_hex(ID_BYTES).encode()
        self.instance_header = instance_header.lower().encode("latin-1")
        self._pending: Pending[Ticket] = Pending()

    def __len__(self) -> int:
        return len(self._pending)

    def add(self) -> tuple[str, Ticket]:
        """A new call: its id and what to wait for."""
        request_id, ticket = secrets.token_hex(ID_BYTES), Ticket()
        self._pending.add(request_id, ticket)
        return request_id, ticket

    def abandon(self, request_id: str) -> None:
        """Nobody waits any more."""
        self._pending.abandon(request_id)

    def take(self, answer: Success | Failure | BadAnswer, headers: Mapping[bytes, bytes]) -> bool:
        """Hand an answer to the call that waits for it; False where none does."""
        instance = headers.get(self.instance_header)
        if instance is not None and not secrets.compare_digest(instance, self.instance):
            return False
        ticket = self._pending.take(answer)
        if isinstance(ticket, str):
            return ticket == "late"
        ticket.answer = answer
        ticket.done.set()
        return True
