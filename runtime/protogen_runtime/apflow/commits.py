"""Commits: every change of every task, one after the other, many to a commit.

A *decision* is a function that looks at what is stored and stages changes; it runs in the writer's thread, where
nobody else changes anything, so what it saw still holds when its changes are made. All decisions that wait are made in
one transaction, and after its commit their consequences follow in the event loop, in the same order. So two changes of
one task never cross, neither on the disk nor in memory. Knows no rule of the protocol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar, cast

import msgspec
import outcome
import trio

from protogen_runtime.dispatch import Later
from protogen_runtime.store import (
    Change,
    Compare,
    Condition,
    Conflict,
    Delete,
    Equal,
    Get,
    Insert,
    OneOf,
    Record,
    Select,
    Store,
    StoreClosed,
    Transaction,
    Update,
)

from .cache import EntryCache
from .records import (
    DEPENDENCIES,
    RUNS,
    TASKS,
    Entry,
    dependant_in,
    dependants_range,
    edges_of,
    entry_of_record,
    insertion,
    patch_of,
)

R = TypeVar("R")

MAX_WEIGHT: Final = 512
"""Tasks changed by one commit, about: a commit of so many takes some 10 ms, which is what the next one waits."""
MAX_WAITING: Final = 10_000
"""Decisions that wait before callers must wait for their turn to wait."""
CHUNK: Final = 500
"""Records read or written by one statement's worth of parameters."""


class Changed(msgspec.Struct, frozen=True):
    """What a commit did to one task: None before for a new one, None after for a deleted one."""

    before: Entry | None
    after: Entry | None


class View:
    """What is stored, as decisions see it one after the other, and where they stage changes.

    Searches do not see what the same decision staged; `get` and `get_all` do.
    """

    def __init__(self, transaction: Transaction, peek: Callable[[str], Entry | None]) -> None:
        self._transaction = transaction
        self._peek = peek
        self._staged = _Changes()
        """By the decision at hand."""
        self._pending = _Changes()
        """By decisions before it, and not written yet: together they need fewer statements."""
        self._written: dict[str, Entry | None] = {}
        """What became of the tasks that this transaction has changed."""
        self.runs_kept: set[str] = set()
        """Roots of the runs that this transaction has begun or added to."""

    # --- looking ----------------------------------------------------------------------------------

    def get(self, key: str) -> Entry | None:
        """A task."""
        changed = self._staged.tasks.get(key)
        if changed is not None:
            return changed.after
        if key in self._written:
            return self._written[key]
        entry = self._peek(key)
        if entry is None:
            record = self._transaction.read(Get(TASKS, key))
            entry = None if record is None else entry_of_record(record)
        return entry

    def is_touched(self, key: str) -> bool:
        """Whether a decision of the same transaction has changed this task."""
        return key in self._written

    def get_all(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Those of the tasks that exist, by key."""
        found: dict[str, Entry] = {}
        missing: list[str] = []
        for key in keys:
            if key in self._staged.tasks or key in self._written:
                entry = self.get(key)
            elif (entry := self._peek(key)) is None:
                missing.append(key)
            if entry is not None:
                found[key] = entry
        for start in range(0, len(missing), CHUNK):
            page = self._transaction.read(Select(TASKS, [OneOf("key", missing[start : start + CHUNK])]))
            found.update((record.key, entry_of_record(record)) for record in page.records)
        return found

    def children(self, key: str) -> list[Entry]:
        """The tasks directly below one, in the order of arrival."""
        return [entry_of_record(record) for record in self._search(Select(TASKS, [Equal("parent", key)]))]

    def flow(self, root: str) -> list[Entry]:
        """All tasks of a flow, in the order of arrival."""
        entries: list[Entry] = []
        last = 0
        while True:
            where: list[Condition] = [Equal("root", root), Compare("arrival", ">", last)]
            records = self._search(Select(TASKS, where, order=["arrival"], limit=CHUNK))
            entries += map(entry_of_record, records)
            if len(records) < CHUNK:
                return entries
            last = records[-1].arrival

    def dependants(self, key: str) -> list[str]:
        """The keys of the tasks that depend on one."""
        found = self._search(Select(DEPENDENCIES, dependants_range(key), documents=False))
        return [dependant_in(record.key) for record in found]

    def run_document(self, root: str) -> bytes | None:
        """What is kept of the run of a flow, None where it has none."""
        self.flush()
        record = self._transaction.read(Get(RUNS, root))
        return None if record is None else record.document

    def _search(self, query: Select) -> Sequence[Record]:
        self.flush()
        return self._transaction.read(query).records

    # --- staging ----------------------------------------------------------------------------------

    def insert(self, entry: Entry, needs: Iterable[str]) -> None:
        """Store a new task with what it depends on."""
        self._staged.tasks[entry.key] = Changed(None, entry)
        self._staged.edges += edges_of(entry.key, needs)

    def change(self, before: Entry, after: Entry) -> None:
        """Give a task that was looked at another state."""
        staged = self._staged.tasks.get(before.key)
        self._staged.tasks[before.key] = Changed(staged.before if staged else before, after)

    def delete(self, entry: Entry, needs: Iterable[str]) -> None:
        """Remove a task, which depended on these."""
        self._staged.tasks[entry.key] = Changed(entry, None)
        self._forget(edges_of(entry.key, needs))

    def depend(self, key: str, before: Iterable[str], after: Iterable[str]) -> None:
        """Change what a task depends on."""
        self._forget(edges_of(key, before))
        self._staged.edges += edges_of(key, after)

    def _forget(self, edges: list[str]) -> None:
        if edges:
            self._staged.further.append(Delete(DEPENDENCIES, [OneOf("key", edges)]))

    def keep_run(self, root: str, document: bytes, state: str) -> None:
        """Keep that a flow has something under way."""
        self._staged.runs[root] = Record(root, document, {"state": state})

    def end_run(self, root: str) -> None:
        """Forget the run of a flow."""
        self._staged.runs[root] = None

    # --- for the committer ------------------------------------------------------------------------

    def decide(self, decision: Callable[[View], R]) -> tuple[R, list[Changed]]:
        """Make one decision; one that raises changes nothing."""
        self._staged = _Changes()
        result = decision(self)
        staged, self._staged = self._staged, _Changes()
        if staged.further:
            # It may remove dependencies that a decision before it has staged: those are written first.
            self.flush()
        for key, changed in staged.tasks.items():
            self._pending.merge(key, changed)
            self._written[key] = changed.after
        self._pending.edges += staged.edges
        self._pending.runs.update(staged.runs)
        self.runs_kept.update(root for root, record in staged.runs.items() if record is not None)
        if staged.further:
            self._pending.further = staged.further
            self.flush()
        return result, list(staged.tasks.values())

    def flush(self) -> None:
        """Write what decisions have staged so far."""
        pending, self._pending = self._pending, _Changes()
        for change in pending.changes():
            self._transaction.write(change)


class _Changes:
    """Changes that were staged and not written yet."""

    def __init__(self) -> None:
        self.tasks: dict[str, Changed] = {}
        self.edges: list[str] = []
        self.runs: dict[str, Record | None] = {}
        self.further: list[Change[Any]] = []

    def merge(self, key: str, changed: Changed) -> None:
        """Add a change of a task that may have been changed before."""
        before = self.tasks.get(key)
        self.tasks[key] = changed if before is None else Changed(before.before, changed.after)

    def changes(self) -> Iterator[Change[Any]]:
        """What the store is to do."""
        tasks = self.tasks.values()
        for it in tasks:
            if it.before is not None and it.after is None:
                yield Delete(TASKS, [Equal("key", it.before.key), Equal("status", it.before.status)], expect=1)
        if new := [it.after for it in tasks if it.before is None and it.after is not None]:
            yield insertion(new)
        if patches := [patch_of(it.before, it.after) for it in tasks if it.before is not None and it.after is not None]:
            yield Update(TASKS, patches)
        yield from self.further
        if self.edges:
            yield Insert(DEPENDENCIES, [Record(edge, b"") for edge in self.edges])
        if kept := [record for record in self.runs.values() if record is not None]:
            yield Insert(RUNS, kept, existing="replace")
        if ended := [root for root, record in self.runs.items() if record is None]:
            yield Delete(RUNS, [OneOf("key", ended)])


class _Job(Later[R]):
    """A decision that waits, and what became of it."""

    __slots__ = (
        *("_listener", "_waiter", "_withdraw", "changes", "decision"),
        *("error", "has_ended", "then", "value", "weight"),
    )

    def __init__(
        self,
        decision: Callable[[View], R],
        then: Callable[[R], None] | None,
        weight: int,
        withdraw: Callable[[_Job[Any]], bool],
    ) -> None:
        self.decision = decision
        self.then = then
        self.weight = weight
        self.value: Any = None
        self.changes: list[Changed] = []
        self.error: BaseException | None = None
        self.has_ended = False
        self._withdraw = withdraw
        self._waiter: trio.lowlevel.Task | None = None
        self._listener: Callable[[], None] | None = None

    def tell(self, listener: Callable[[], None] | None) -> None:
        """See Later."""
        self._listener = listener
        if self.has_ended:
            self.end()

    def result(self) -> R:
        """See Later. Errors: StoreFull, StoreFailed, StoreClosed, what the decision raised."""
        if self.error is not None:
            raise self.error
        return cast(R, self.value)

    def withdraw(self) -> bool:
        """See Later."""
        return self._withdraw(self)

    def end(self) -> None:
        """It is done: whoever waits goes on."""
        self.has_ended = True
        listener, self._listener = self._listener, None
        waiter, self._waiter = self._waiter, None
        if listener is not None:
            listener()
        if waiter is not None:
            trio.lowlevel.reschedule(waiter, outcome.Value(None))

    def __await__(self) -> Generator[Any, Any, R]:
        return self._wait().__await__()

    async def _wait(self) -> R:
        if self.has_ended:
            await trio.lowlevel.checkpoint()
            return self.result()

        def abort(_: object) -> trio.lowlevel.Abort:
            if not self.withdraw():
                return trio.lowlevel.Abort.FAILED
            self._waiter = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
        return self.result()


class Committer:
    """Makes decisions, in the order in which they came. `run` is its task; `applied` is told of each commit."""

    def __init__(self, store: Store, cache: EntryCache, applied: Callable[[Sequence[Changed]], None]) -> None:
        self._store = store
        self._cache = cache
        self._applied = applied
        self._waiting: deque[_Job[Any]] = deque()
        self._room = trio.lowlevel.ParkingLot()
        self._filled = trio.Event()
        self._closed = False

    async def commit(
        self, decision: Callable[[View], R], *, then: Callable[[R], None] | None = None, weight: int = 1
    ) -> R:
        """Make a decision; returns its result once its changes are durable, or raises what it raised.

        `decision` runs in another thread, perhaps more than once, and must do nothing but look and stage. `then` is
        called with its result in the event loop, in the order of all decisions, and before any later one is made.
        `weight`: how many tasks it changes, about. Cancelled while it waits, nothing was changed; later, it is
        finished.
        Errors: StoreFull, StoreFailed, StoreClosed; nothing was changed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while len(self._waiting) >= MAX_WAITING:
            await self._room.park()
        return await self.begin(decision, then=then, weight=weight)

    def begin(
        self, decision: Callable[[View], R], *, then: Callable[[R], None] | None = None, weight: int = 1
    ) -> Later[R]:
        """Make a decision as `commit` does, whether or not anyone waits for it, and however many wait already.

        Errors: StoreClosed.
        """
        if self._closed:
            raise StoreClosed("the node is ending")
        job: _Job[R] = _Job(decision, then, weight, self._withdraw)
        self._waiting.append(job)
        self._filled.set()
        return job

    def _withdraw(self, job: _Job[Any]) -> bool:
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        return True

    async def run(self) -> None:
        """Make the decisions that come, until `close`; what waits then is still made. Not to be cancelled: others may
        have to clean up when they are.
        """
        with trio.CancelScope(shield=True):
            while True:
                while not self._waiting:
                    if self._closed:
                        return
                    self._filled = trio.Event()
                    await self._filled.wait()
                batch = [self._waiting.popleft()]
                weight = batch[0].weight
                while self._waiting and weight + self._waiting[0].weight <= MAX_WEIGHT:
                    batch.append(self._waiting.popleft())
                    weight += batch[-1].weight
                self._room.unpark(count=len(batch))
                await self._make(batch)

    def close(self) -> None:
        """Take no more decisions."""
        self._closed = True
        self._filled.set()

    async def _make(self, batch: list[_Job[Any]]) -> None:
        try:
            await self._store.transact(lambda transaction: self._decide(batch, transaction))
        except Conflict:
            # No decision relies on what can change under it, so this is a defect of one of them: the others go on,
            # each after the consequences of the one before it.
            for job in batch:
                await self._make_alone(job)
                self._follow([job])
            return
        except BaseException as error:  # noqa: BLE001 - a store that fails is each caller's to deal with
            for job in batch:
                job.error, job.changes = error, []
        self._follow(batch)

    async def _make_alone(self, job: _Job[Any]) -> None:
        try:
            await self._store.transact(lambda transaction: self._decide([job], transaction))
        except BaseException as error:  # noqa: BLE001 - as above
            job.error, job.changes = error, []

    def _decide(self, batch: list[_Job[Any]], transaction: Transaction) -> None:
        view = View(transaction, self._cache.peek)
        for job in batch:
            job.value, job.changes, job.error = None, [], None
            try:
                job.value, job.changes = view.decide(job.decision)
            except Conflict:
                raise
            except Exception as error:  # noqa: BLE001 - what a decision raises is for whoever wanted it
                job.error = error
        view.flush()

    def _follow(self, batch: list[_Job[Any]]) -> None:
        for job in batch:
            if job.error is None:
                self._apply(job)
            job.end()

    def _apply(self, job: _Job[Any]) -> None:
        for changed in job.changes:
            if changed.after is not None:
                self._cache.put(changed.after, is_new=changed.before is None)
            elif changed.before is not None:
                self._cache.discard(changed.before.key)
        try:
            if job.changes:
                self._applied(job.changes)
            if job.then is not None:
                job.then(job.value)
        except Exception as error:  # noqa: BLE001 - a defect of one caller must not leave the others waiting for ever
            job.error = error
