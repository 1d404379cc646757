"""Feeds: what happens to a run, told to whoever follows it.

Events are made from what the engine said, so that those told live and those told again from the journal are the same
ones. Knows neither the store nor how anything is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final, Literal, TypeAlias

import trio

from protogen_runtime.stepflow.engine import Effect, ItemCompleted, RunCompleted, StartStep, StepCompleted, StopStep
from protogen_runtime.stepflow.engine.effects import RunState
from protogen_runtime.stepflow.flow.model import Success

from .clock import text_of
from .contract import EventKind, RunEvent

News: TypeAlias = Effect | Literal["run_started", "run_resumed"]
"""What an event is made of: each gives one, so that they are counted without making them."""

_ENDS: Final[dict[RunState, EventKind]] = {
    "completed": "run_completed",
    "failed": "run_failed",
    "cancelled": "run_cancelled",
}


def event_of(news: News, *, sequence: int, run_id: str, at: int) -> RunEvent:
    """The event for a piece of news."""
    time = text_of(at)
    match news:
        case StartStep():
            return RunEvent(
                sequence=sequence,
                kind="step_started",
                run_id=run_id,
                at=time,
                item_index=news.item,
                step_id=news.step_id,
                component=news.component,
                attempt=news.attempt,
                delay_seconds=news.delay,
            )
        case StepCompleted():
            return RunEvent(
                sequence=sequence,
                kind="step_completed" if isinstance(news.result, Success) else "step_failed",
                run_id=run_id,
                at=time,
                item_index=news.item,
                step_id=news.step_id,
                result=news.result,
            )
        case StopStep():
            return RunEvent(
                sequence=sequence,
                kind="step_cancelled",
                run_id=run_id,
                at=time,
                item_index=news.item,
                step_id=news.step_id,
                attempt=news.attempt,
            )
        case ItemCompleted():
            return RunEvent(
                sequence=sequence,
                kind="item_completed" if isinstance(news.result, Success) else "item_failed",
                run_id=run_id,
                at=time,
                item_index=news.index,
                result=news.result,
            )
        case RunCompleted():
            return RunEvent(sequence=sequence, kind=_ENDS[news.status], run_id=run_id, at=time)
        case _:
            return RunEvent(sequence=sequence, kind=news, run_id=run_id, at=time)


def events_of(news: Iterable[News], *, before: int, run_id: str, at: int) -> Iterator[RunEvent]:
    """The events for news, numbered on from the one before."""
    for sequence, piece in enumerate(news, before + 1):
        yield event_of(piece, sequence=sequence, run_id=run_id, at=at)


class Feed:
    """The events of one run: those that have been, from `past`, then those that are published behind `after`.

    Iterate once. A reader that is more than `max_behind` events late is dropped.
    """

    def __init__(self, past: AsyncIterator[RunEvent], *, after: int, max_behind: int) -> None:
        self._past: AsyncIterator[RunEvent] | None = past
        self._after = after
        self._events: deque[RunEvent] = deque()
        self._max_behind = max_behind
        self._news = trio.Event()
        self._ended = False
        self.dropped = False

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> RunEvent:
        if self._past is not None:
            try:
                return await anext(self._past)
            except StopAsyncIteration:
                self._past = None
        while not self._events:
            if self._ended:
                await trio.lowlevel.checkpoint()
                raise StopAsyncIteration
            self._news = trio.Event()
            await self._news.wait()
        return self._events.popleft()

    def publish(self, event: RunEvent) -> None:
        """Add an event."""
        if self._ended or event.sequence <= self._after:
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
