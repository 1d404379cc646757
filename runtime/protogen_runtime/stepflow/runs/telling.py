"""Telling: a run told again from its record and its journal, commit by commit.

What is told is what was told when it happened: the same news in the same order, so the same events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import msgspec
import trio
from msgspec import UNSET

from protogen_runtime.stepflow.engine import Effect, ItemCompleted, StepCompleted, StepState, journal
from protogen_runtime.stepflow.engine.plan import Plan
from protogen_runtime.stepflow.flow.model import FlowResult, Success
from protogen_runtime.store import Entries, Record, Store

from .contract import RunEvent, StepInfo
from .feeds import News, events_of
from .flows import Flows
from .journaling import Replay, begun_of, read_row
from .ledger import journal_of
from .records import header_of, read_document

ROWS_AT_ONCE: Final = 200

ANY_NUMBER: Final = 2**31
"""Of steps at once: one item alone may be ahead of the run that it was a part of, never behind."""


class Story:
    """A run from its beginning to where its journal ends; `replay` is the run as far as it was told."""

    def __init__(self, store: Store, record: Record, replay: Replay) -> None:
        self._store = store
        self.run_id: Final = record.key
        self._document = read_document(record)
        self.replay: Final = replay
        self.has_begun = False
        self._rows: deque[bytes] = deque()
        self._last = 0
        self._is_whole = False
        self.succeeded = 0
        self.failed = 0

    @staticmethod
    async def entries(store: Store, record: Record) -> AsyncIterator[list[bytes]]:
        """The entries of a run but the first, as they are."""
        yield [bytes(entry) for entry in read_document(record).entries]
        last = 0
        while True:
            rows = await store.read(Entries(journal_of(record.key), last, ROWS_AT_ONCE))
            for it in rows:
                yield read_row(it.data)[1]
            last += len(rows)
            if len(rows) < ROWS_AT_ONCE:
                return

    async def next(self) -> tuple[int, list[News]] | None:
        """What the next commit kept, with its time in microseconds; None at the end."""
        if not self.has_begun and self._document.at:
            news: list[News] = []
            self._begin(news)
            self._tell([bytes(entry) for entry in self._document.entries], news)
            return self._document.at, news
        if not self._rows and not self._is_whole:
            query = Entries(journal_of(self.run_id), self._last, ROWS_AT_ONCE)
            rows = await self._store.read(query)
            self._is_whole = len(rows) < ROWS_AT_ONCE
            self._rows.extend(it.data for it in rows)
            self._last += len(rows)
        if not self._rows:
            await trio.lowlevel.checkpoint()
            return None
        at, entries = read_row(self._rows.popleft())
        told: list[News] = []
        if not self.has_begun:
            self._begin(told)
        self._tell(entries, told)
        return at, told

    def _begin(self, news: list[News]) -> None:
        self.has_begun = True
        news.append("run_started")
        self._add(self.replay.begin(), news)

    def _tell(self, entries: list[bytes], news: list[News]) -> None:
        for what, effects in self.replay.entries(entries):
            if isinstance(what, journal.Resumed):
                news.append("run_resumed")
            self._add(effects, news)

    def _add(self, effects: list[Effect], news: list[News]) -> None:
        news += effects
        for effect in effects:
            if isinstance(effect, ItemCompleted):
                if isinstance(effect.result, Success):
                    self.succeeded += 1
                else:
                    self.failed += 1


async def story_of(store: Store, flows: Flows, record: Record) -> Story:
    """The story of a run. Errors: NotFound (flow), Damaged, Invalid, journal.JournalDamaged, NotRunnable."""
    begun = read_document(record).begun
    dialect = begun_of(begun).dialect
    planned = await flows.plan(header_of(record).flow_id, dialect=dialect, even_released=True)
    return Story(store, record, Replay(begun, planned.plan))


class Past:
    """The events of a story behind a place, up to another one (None: to its end)."""

    def __init__(self, story: Story, *, after: int, upto: int | None) -> None:
        self._story = story
        self._after = after
        self._upto = upto
        self._told = 0
        self._ready: deque[RunEvent] = deque()

    def __aiter__(self) -> Past:
        return self

    async def __anext__(self) -> RunEvent:
        while not self._ready:
            if self._upto is not None and self._told >= max(self._upto, self._after):
                raise StopAsyncIteration
            told = await self._story.next()
            if told is None:
                raise StopAsyncIteration
            at, news = told
            before, self._told = self._told, self._told + len(news)
            if self._told > self._after:
                run_id = self._story.run_id
                for event in events_of(news, before=before, run_id=run_id, at=at):
                    if event.sequence > self._after and (self._upto is None or event.sequence <= self._upto):
                        self._ready.append(event)
        return self._ready.popleft()


class ItemSteps:
    """The steps of one item, told from the entries of its run: a run of that item alone."""

    def __init__(self, plan: Plan, begun: journal.Begun, item: int) -> None:
        one = msgspec.structs.replace(begun, inputs=[begun.inputs[item]], max_concurrency=ANY_NUMBER)
        self._run = journal.make(one, plan)
        self._item = item
        self._results: dict[str, FlowResult] = {}
        self._attempts: dict[str, int] = {}
        self._take(self._run.begin())

    def _take(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, StepCompleted):
                self._results[effect.step_id] = effect.result

    def tell(self, entries: Sequence[bytes]) -> None:
        """Go on."""
        for entry in entries:
            what = journal.read(entry)
            if isinstance(what, journal.Succeeded | journal.CallFailed) and what.item == self._item:
                self._attempts[what.step_id] = what.attempt
                # Attempts of restarts are counted by the run as a whole.
                outcome = Success(what.result) if isinstance(what, journal.Succeeded) else what.failure
                self._take(self._run.finished(0, what.step_id, outcome))

    def told(self, states: Mapping[str, StepState]) -> list[StepInfo]:
        """The steps; `states` are those of a run that is under way."""
        return [
            StepInfo(
                step_id=step.id,
                component=step.component,
                status=self._status(step.id, states),
                attempt=self._attempts.get(step.id, 0),
                result=self._results.get(step.id, UNSET),
            )
            for step in self._run.flow.steps
        ]

    def _status(self, step_id: str, states: Mapping[str, StepState]) -> StepState:
        result = self._results.get(step_id)
        if result is not None:
            return "completed" if isinstance(result, Success) else "failed"
        return states.get(step_id, "blocked")
