"""Live: one run that has not ended: its engine, what is to be kept of it next, and the calls that are out.

The engine is driven here and nowhere else. It goes ahead of the disk: an outcome is told to it at once, and what it
says is to be done waits until the outcome is kept; save for a run whose submitter waits for its end and has been told
nothing yet, which is ahead of the disk for a moment. Starts no task: the host calls components.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol
from weakref import WeakSet

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.stepflow.engine import (
    Effect,
    ItemCompleted,
    Outcome,
    Run,
    RunCompleted,
    RunState,
    StartStep,
    StepFailure,
    StopStep,
    journal,
)
from protogen_runtime.stepflow.flow.model import Success
from protogen_runtime.stepflow.plugins.contract import INTERNAL
from protogen_runtime.store import Patch, Record, StoreError

from .clock import Clock, text_of
from .contract import ItemResult, RunSummary
from .feeds import Feed, News, events_of
from .gates import Gate
from .journaling import Replay, row
from .ledger import Staged
from .moments import Moment
from .records import (
    Header,
    RunDocument,
    blob_ids_in,
    encode_document,
    encode_item,
    ended_fields,
    fields_of,
    item_record,
    references,
    summary_of,
)

AT_ONCE: Final = 128
"""Steps that are executed at once between two commits: some milliseconds, for which everybody else waits."""

AHEAD_ITEMS: Final = 16
"""Runs with more items are kept before their components are called: they take longer than that does."""

REMEMBERED_BYTES: Final = 16 * 1024
"""The result of a run of one item up to this size is remembered for whoever asks next."""


class Call:
    """A call of a component that is out."""

    __slots__ = ("is_inside", "lent", "scope", "start", "stop")

    def __init__(self, start: StartStep) -> None:
        self.start: Final = start
        self.scope: trio.CancelScope | None = None
        """Of its task."""
        self.stop: Callable[[], None] | None = None
        """Ends it, where it has no task."""
        self.lent = 0
        """How many runs it waits for; it takes no room meanwhile."""
        self.is_inside = False
        """Whether it takes room, or has lent it."""

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if self.stop is not None:
            self.stop()
        else:
            self.enter().cancel()

    def enter(self) -> trio.CancelScope:
        """The scope of its task; cancelled already where it was cancelled before."""
        if self.scope is None:
            self.scope = trio.CancelScope()
        return self.scope


class Tree:
    """What runs under one root have in common: how many calls may be out, and how many runs there are."""

    def __init__(self, limit: int | None) -> None:
        self.gate: Final = Gate(limit)
        self.runs = 0


class Host(Protocol):
    """What a run needs of the runtime."""

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    def execute_nowait(self, start: StartStep) -> Outcome | None:
        """What comes of a component that only computes; None for any other one."""
        ...

    def launch(self, live: Live, start: StartStep) -> None:
        """Call a component, and tell `finished`."""
        ...

    def mark(self, live: Live) -> None:
        """The run has something to keep."""
        ...

    def ended(self, live: Live) -> None:
        """The run has ended, and that is kept."""
        ...

    def withdrawn(self, live: Live) -> None:
        """The run could not be kept, and does not exist."""
        ...


class Live:
    """A run that has not ended. Without an engine it waits on the disk for its turn."""

    def __init__(
        self, host: Host, header: Header, tree: Tree, parent: Live | None, *, is_awaited: bool = False
    ) -> None:
        self.is_ahead = is_awaited and header.total <= AHEAD_ITEMS
        """Whether its components are called although it is not kept: nobody has been told of it."""
        self.listener: Callable[[], None] | None = None
        """Called whenever something was kept."""
        self._host = host
        self.header: Final = header
        self.tree: Final = tree
        self.parent: Final = parent
        self.children: Final[set[Live]] = set()
        self.subruns: Final[dict[str, str]] = {}
        """The runs that its steps have started, by `item/step/key`."""
        self.calls: Final[dict[tuple[int, str], Call]] = {}
        self._feeds: WeakSet[Feed] | None = None
        """Those that somebody still reads; a set of this kind takes longer to make than all else here."""
        self.engine: Run | None = None
        self.accepted: Final = Moment()
        self.ended: Final = Moment()
        self.refusal: StoreError | None = None
        self.results: list[ItemResult] | None = None
        """Those of a run of one item."""
        self.is_small = False
        """Whether they are to be remembered for whoever asks next."""
        # What is kept:
        self.status: RunState = "running"
        self.told = 0
        """Events so far."""
        self._succeeded = 0
        self._failed = 0
        self._ended_at: int | None = None
        # What is to be kept next, and done then:
        self._begun: bytes | None = None
        self._entries: list[bytes] = []
        self._items: list[tuple[int, bytes]] = []
        self._news: list[News] = []
        self._held: list[StartStep | StopStep] = []
        self._deferred: deque[StartStep] = deque()
        self._refers: set[str] = set()
        self._end: RunState | None = None
        self._counts = [0, 0]
        self._at_once = 0
        self._is_marked = False
        self._taken: _Taken | None = None
        self._referred: set[str] = set()

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.header.run_id

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended, as far as the engine knows."""
        return self._end is None and self.status == "running"

    def restored(self) -> None:
        """It was kept before this runtime came."""
        self.accepted.set()

    def follow(self, feed: Feed) -> None:
        """Tell a feed what happens from now on."""
        if self._feeds is None:
            self._feeds = WeakSet()
        self._feeds.add(feed)

    def summary(self) -> RunSummary:
        """The run, as far as it is kept."""
        return summary_of(
            self.header, self.status, succeeded=self._succeeded, failed=self._failed, ended=self._ended_at
        )

    @property
    def kept_counts(self) -> tuple[int, int, int | None]:
        """Items that have succeeded, those that have failed, and when it has ended, as far as it is kept."""
        return self._succeeded, self._failed, self._ended_at

    # --- what happens to it -------------------------------------------------------------------------

    def begin(self, engine: Run, begun: bytes, refers_to: Iterable[str], *, goes_on: bool = True) -> None:
        """Begin a new run; `goes_on` False only keeps it, to be restored when it is its turn."""
        self._begun = begun
        self._refers.update(refers_to)
        self._refers |= blob_ids_in(begun)
        self._refers.discard(self.header.flow_id)
        self.is_ahead = self.is_ahead and goes_on
        if goes_on:
            self.engine = engine
            self._news.append("run_started")
            self._take_in(engine.begin())
        self._mark()

    def restore(self, replay: Replay, told: int, counts: Sequence[int]) -> None:
        """Go on where the journal ends: calls that were out are asked for again, as their next attempts."""
        self.engine = replay.run
        self.told = told
        self._succeeded, self._failed = counts
        self._counts = [self._succeeded, self._failed]
        effects = replay.run.again()
        if effects:
            self._entries.append(journal.resumed())
            self._news.append("run_resumed")
            self._take_in(effects)
            self._mark()

    def restart(self, replay: Replay) -> None:
        """Begin what has been kept without having begun."""
        self.engine = replay.run
        self._news.append("run_started")
        self._take_in(replay.begin())
        self._mark()

    def finished(self, item: int, step_id: str, outcome: Outcome, *, attempt: int) -> None:
        """A call has come to something; what comes too late counts for nothing."""
        if self.engine is not None and self._finish(item, step_id, outcome, attempt):
            self._mark()

    def cancel(self) -> bool:
        """End the run; False where it has ended, perhaps a moment ago."""
        if self.engine is None or self._end is not None:
            return False
        effects = self.engine.cancel()
        if not effects:
            return False
        self._deferred.clear()
        self._entries.append(journal.cancelled())
        self._take_in(effects)
        self._mark()
        return True

    def _finish(self, item: int, step_id: str, outcome: Outcome, attempt: int) -> bool:
        assert self.engine is not None
        entry, outcome = _entry(item, step_id, outcome, attempt)
        effects = self.engine.finished(item, step_id, outcome, attempt=attempt)
        if not effects:
            return False
        self._entries.append(entry)
        self._refers |= blob_ids_in(entry)
        self._take_in(effects)
        return True

    def _take_in(self, effects: Sequence[Effect]) -> None:
        """Note what the engine says; steps that only compute are executed at once, and what follows from them."""
        self._news += effects
        for effect in effects:
            match effect:
                case StartStep() if not effect.delay:
                    self._deferred.append(effect)
                case StartStep() | StopStep():
                    self._held.append(effect)
                case ItemCompleted(index, result):
                    good = isinstance(result, Success)
                    self._counts[0 if good else 1] += 1
                    item = ItemResult(
                        item_index=index,
                        status="completed" if good else "failed",
                        result=result,
                        completed_at=text_of(self._host.clock.micros()),
                    )
                    document = encode_item(item)
                    self._items.append((index, document))
                    if self.header.total == 1:
                        self.results = [item]
                        self.is_small = len(document) <= REMEMBERED_BYTES
                case RunCompleted(status):
                    self._end = status
                case _:
                    pass

    def _compute(self) -> None:
        """Execute what only computes; all else waits for the commit. Not recursive, and bounded between commits."""
        while self._deferred and self._at_once < AT_ONCE:
            start = self._deferred.popleft()
            outcome = self._host.execute_nowait(start)
            if outcome is None:
                self._held.append(start)
            else:
                self._at_once += 1
                self._finish(start.item, start.step_id, outcome, start.attempt)

    # --- what is kept of it -------------------------------------------------------------------------

    def keep(self) -> None:
        """Keep it now, though its end has not come: somebody is going to know of it."""
        if self.is_ahead:
            self.is_ahead = False
            self._mark()

    def _mark(self) -> None:
        self._compute()
        if self.is_ahead and self._end is None and not self._deferred:
            held, self._held = self._held, []
            self._act(held)
            return
        self.is_ahead = False
        if not self._is_marked:
            self._is_marked = True
            self._host.mark(self)

    def take(self) -> Staged:
        """See ledger.Source."""
        at = self._host.clock.micros()
        entries, self._entries = self._entries, []
        items, self._items = self._items, []
        refers, self._refers = self._refers - self._referred, set()
        self._referred |= refers
        news, self._news = self._news, []
        held, self._held = self._held, []
        self._taken = _Taken(at, news, held, self._end, self._counts[0], self._counts[1])
        staged = Staged(self.run_id, references=references(refers, self.run_id) if refers else ())
        if self._begun is not None:
            documents = [Raw(document) for _, document in items]
            document = RunDocument(Raw(self._begun), at if news else 0, [Raw(entry) for entry in entries], documents)
            self._begun = None
            fields = fields_of(self.header, self._end or "running")
            if self._end is not None:
                fields |= ended_fields(self._end, succeeded=self._counts[0], failed=self._counts[1], at=at)
            staged.new = Record(self.run_id, encode_document(document), fields)
            return staged
        # A run that waited on the disk begins with a row that has no entries.
        if news:
            staged.row = row(at, entries)
        staged.items = [item_record(self.run_id, index, document) for index, document in items]
        if self._end is not None:
            fields = ended_fields(self._end, succeeded=self._counts[0], failed=self._counts[1], at=at)
            staged.patch = Patch(key=self.run_id, fields=fields)
        return staged

    def kept(self) -> None:
        """See ledger.Source: what waited for the commit is done."""
        taken, self._taken = self._taken, None
        assert taken is not None
        self._is_marked = False
        self._at_once = 0
        self._succeeded, self._failed = taken.succeeded, taken.failed
        feeds = () if self._feeds is None else tuple(self._feeds)
        if feeds:
            for event in events_of(taken.news, before=self.told, run_id=self.run_id, at=taken.at):
                for feed in feeds:
                    feed.publish(event)
        self.told += len(taken.news)
        self._act(taken.held)
        if taken.end is not None:
            self.status, self._ended_at = taken.end, taken.at
            self._host.ended(self)
            for feed in feeds:
                feed.end()
            self.ended.set()
        self.accepted.set()
        if self._deferred or self._news:
            self._mark()
        if self.listener is not None:
            self.listener()

    def _act(self, held: Sequence[StartStep | StopStep]) -> None:
        """Do what the engine said."""
        for effect in held:
            if isinstance(effect, StopStep):
                call = self.calls.get((effect.item, effect.step_id))
                if call is not None and call.start.attempt == effect.attempt:
                    call.cancel()
            elif self._end is None:
                self._host.launch(self, effect)

    def refused(self, reason: StoreError) -> None:
        """See ledger.Source."""
        self.refusal = reason
        self._host.withdrawn(self)
        self.accepted.set()
        self.give_up()

    def give_up(self) -> None:
        """Nothing more comes of it."""
        self.ended.set()
        if self.listener is not None:
            self.listener()


class _Taken(msgspec.Struct, frozen=True, gc=False):
    """What the commit under way will have kept."""

    at: int
    news: list[News]
    held: list[StartStep | StopStep]
    end: RunState | None
    succeeded: int
    failed: int


def _entry(item: int, step_id: str, outcome: Outcome, attempt: int) -> tuple[bytes, Outcome]:
    """The entry for an outcome, and the outcome that is kept: what no JSON can hold is a failure of the component."""
    try:
        return journal.finished(item, step_id, outcome, attempt=attempt), outcome
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        failure = StepFailure(INTERNAL, f"what the component gave is no JSON: {error}")
        return journal.finished(item, step_id, failure, attempt=attempt), failure


def subrun_key(item: int, step_id: str, key: str) -> str:
    """How a run names one that a step of it has started."""
    return f"{item}/{step_id}/{key}"
