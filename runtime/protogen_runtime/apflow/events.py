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

MAX_BEHIND: Final = 4096
"""Events that a follower may be behind: a second of the fastest run, and less than 1 MiB without results."""
MAX_BEHIND_BYTES: Final = 16 * 1024 * 1024
"""What the results and errors of these may take together, where they are kept."""


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

    Without `keeps_results` its events have neither results nor errors, which can be of any size. After the end
    `dropped` says whether events are missing because the follower was too far behind.
    """

    def __init__(self, max_behind: int = MAX_BEHIND, *, keeps_results: bool = True) -> None:
        self._events: deque[TaskEvent] = deque()
        self._max_behind = max_behind
        self._keeps_results = keeps_results
        self._held_bytes = 0
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
        event = self._events.popleft()
        if self._held_bytes:
            self._held_bytes -= _size(event)
        return event

    def publish(self, event: TaskEvent) -> None:
        """Add an event; the follower that is too far behind gets no more."""
        if self._ended:
            return
        if event.result or event.error:
            if self._keeps_results:
                self._held_bytes += _size(event)
            else:
                event = msgspec.structs.replace(event, result=None, error=None)
        if len(self._events) >= self._max_behind or self._held_bytes > MAX_BEHIND_BYTES:
            self.dropped = True
            self._events.clear()
            self._held_bytes = 0
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


def _size(event: TaskEvent) -> int:
    """What an event may take beside what every event does, as JSON."""
    return (len(msgspec.json.encode(event.result)) if event.result else 0) + len(event.error or "")
