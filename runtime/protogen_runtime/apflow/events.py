"""Events: news of tasks, for whoever follows a run.

Knows no transport. A follower that does not keep up is dropped at a bound, so that it costs nobody else anything.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec
import trio
from apflow_protocol import Json, StreamEventName, TaskStatus

from .questions import Question

MAX_BEHIND: Final = 10_000
"""Events that a follower may be behind. A flow of some thousand tasks fits, so that a follower who looks away for a
moment loses nothing; an event takes some 100 bytes."""


class TaskEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a task, published after it was stored. `result` is set once it is completed, `error` once it
    failed or was cancelled, `asks` where its executor wants to know something, or does so no longer."""

    kind: StreamEventName
    task_id: str
    root_task_id: str
    status: TaskStatus
    progress: float
    result: dict[str, Json] | None = None
    error: str | None = None
    asks: Question | None = None


class Feed:
    """The events of one run from now on, in order; iterate once. It ends with the run.

    After the end `dropped` says whether events are missing because the follower was too far behind.
    """

    def __init__(self, max_behind: int = MAX_BEHIND) -> None:
        self._events: deque[TaskEvent] = deque()
        self._max_behind = max_behind
        self._news = trio.Event()
        self._ended = False
        self.dropped = False

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> TaskEvent:
        while not self._events:
            if self._ended:
                await trio.lowlevel.checkpoint()
                raise StopAsyncIteration
            self._news = trio.Event()
            await self._news.wait()
        return self._events.popleft()

    def publish(self, event: TaskEvent) -> None:
        """Add an event; the follower that is too far behind gets no more."""
        if self._ended:
            return
        if len(self._events) >= self._max_behind:
            self.dropped = True
            self._events.clear()
            self.end()
            return
        self._events.append(event)
        self._news.set()

    def end(self) -> None:
        """There will be no more; those that are waiting are still read."""
        self._ended = True
        self._news.set()

    @property
    def is_ended(self) -> bool:
        """Whether there will be no more."""
        return self._ended
