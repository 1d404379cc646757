"""Calls of the server to its clients that wait for an answer in a request of its own.

Knows no HTTP beyond the name of the header that says which server asked.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from math import inf
from typing import Final

import trio

from protogen_runtime.jsonrpc import BadAnswer, Failure, Pending, Success

from .messages import STREAM_TYPE, Headers

ID_BYTES: Final = 16
"""128 random bits: nobody can answer a call that was not sent to them."""

DRAWN_AT_ONCE: Final = 128
"""Ids: a draw for each is a system call."""


class Ticket:
    """One call, which one task waits for; a `Timed`."""

    __slots__ = ("_answer", "_is_late", "_task", "deadline", "is_answered")

    def __init__(self) -> None:
        self.deadline = inf
        self.is_answered = False
        self._is_late = False
        self._answer: Success | Failure | BadAnswer | None = None
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> Success | Failure | BadAnswer | None:
        """The answer; None when it has not come by the deadline."""
        if not (self.is_answered or self._is_late):
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        return self._answer

    def settle(self, answer: Success | Failure | BadAnswer) -> None:
        """Its answer has come."""
        self.is_answered = True
        self._answer = answer
        self._wake()

    def expire(self, now: float) -> None:
        """See Timed."""
        del now
        self.deadline = inf
        self._is_late = True
        self._wake()

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Callbacks:
    """The calls under way of one server process, whose random name is `instance`."""

    def __init__(self, instance_header: str) -> None:
        self.instance = secrets.token_hex(ID_BYTES).encode()
        self.instance_header = instance_header.lower().encode("latin-1")
        self.stream_headers: Headers = (
            (b"content-type", STREAM_TYPE),
            (b"cache-control", b"no-cache"),
            (self.instance_header, self.instance),
        )
        self._pending: Pending[Ticket] = Pending()
        self._ids_ahead: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    def add(self) -> tuple[str, Ticket]:
        """A new call: its id and what to wait for."""
        if not self._ids_ahead:
            drawn = secrets.token_hex(DRAWN_AT_ONCE * ID_BYTES)
            self._ids_ahead.extend(drawn[at : at + 2 * ID_BYTES] for at in range(0, len(drawn), 2 * ID_BYTES))
        request_id, ticket = self._ids_ahead.popleft(), Ticket()
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
        ticket.settle(answer)
        return True
