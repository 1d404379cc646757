"""Repository: the tasks of a node, as they are stored.

Reads are answered from memory where they can be, as the JSON that was stored; changes go through `commit`. Knows
neither who may see a task nor what may be done with one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import trio
from apflow_protocol import TaskStatus

from protogen_runtime.dispatch import Later
from protogen_runtime.store import Compare, Condition, Equal, Get, OneOf, Record, Select, Snapshot, Store

from .cache import EntryCache
from .commits import CHUNK, Changed, Committer, View
from .records import RUNS, STATUSES, TASKS, Entry, entry_of_record, needs_of

R = TypeVar("R")

CACHE_BYTES: Final = 32 * 1024 * 1024
"""Entries in memory: some 20,000 tasks of the usual size."""
PAGES_BYTES: Final = 4 * 1024 * 1024
"""Answered pages in memory; they hold until the next change of any task."""


class Everyone:
    """The type of EVERYONE."""


EVERYONE: Final = Everyone()
"""The owner to ask for where tasks of all owners are wanted: None stands for tasks that have none."""

Owner = str | None | Everyone


class Tasks:
    """All tasks of a store. Make one with `open_tasks`; one per store."""

    def __init__(self, store: Store, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._cache = EntryCache(cache_bytes)
        self._counts: dict[tuple[str | None, TaskStatus], int] = {}
        self._pages: OrderedDict[object, bytes] = OrderedDict()
        self._pages_bytes = 0
        self._version = 0
        self._schedule_changed = trio.Event()
        self._committer = Committer(store, self._cache, self._applied)

    # --- reading ----------------------------------------------------------------------------------

    def find_nowait(self, key: str) -> Entry | None:
        """The task, where it is in memory; None says nothing."""
        return self._cache.get(key)

    async def find(self, key: str) -> Entry | None:
        """The task, or None where there is none."""
        entry = self._cache.get(key)
        if entry is not None:
            return entry
        fetch = self._cache.begin_fetch()
        found: list[Entry] = []
        try:
            record = await self._store.read(Get(TASKS, key))
            if record is None:
                return None
            found.append(entry_of_record(record))
            return found[0]
        finally:
            self._cache.end_fetch(fetch, found)

    async def find_all(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Those of the tasks that exist, by key."""
        found: dict[str, Entry] = {}
        missing: list[str] = []
        for key in keys:
            entry = self._cache.get(key)
            if entry is None:
                missing.append(key)
            else:
                found[key] = entry
        if missing:
            fetch = self._cache.begin_fetch()
            fetched: list[Entry] = []
            try:
                for start in range(0, len(missing), CHUNK):
                    page = await self._store.read(Select(TASKS, [OneOf("key", missing[start : start + CHUNK])]))
                    fetched += map(entry_of_record, page.records)
            finally:
                self._cache.end_fetch(fetch, fetched)
            found.update((entry.key, entry) for entry in fetched)
        return found

    async def any_known(self, keys: Sequence[str]) -> bool:
        """Whether any of these tasks exists."""
        for start in range(0, len(keys), CHUNK):
            where = [OneOf("key", keys[start : start + CHUNK])]
            if (await self._store.read(Select(TASKS, where, limit=1, documents=False))).records:
                return True
        return False

    async def children(self, key: str) -> list[Entry]:
        """The tasks directly below one, in the order of arrival."""
        page = await self._store.read(Select(TASKS, [Equal("parent", key)]))
        return [entry_of_record(record) for record in page.records]

    async def flow(self, root: str) -> list[Entry]:
        """All tasks of a flow, as of one moment, in the order of arrival."""

        def look(snapshot: Snapshot) -> list[Entry]:
            page = snapshot.read(Select(TASKS, [Equal("root", root)], order=["arrival"]))
            return [entry_of_record(record) for record in page.records]

        return await self._store.snapshot(look)

    async def results(self, root: str, *, limit: int) -> list[Entry]:
        """Completed tasks of a flow: its root first, then the first others to arrive."""
        where = [Equal("root", root), Equal("status", "completed")]
        page = await self._store.read(Select(TASKS, where, order=["arrival"], limit=limit))
        entries = [entry_of_record(record) for record in page.records]
        top = await self.find(root)
        if top is None or top.status != "completed":
            return entries
        return [top, *(entry for entry in entries if entry.key != root)][:limit]

    def page_nowait(
        self, *, owner: Owner = EVERYONE, status: TaskStatus | None = None, limit: int, offset: int = 0
    ) -> bytes | None:
        """What `page` answers, where nothing has changed since it was last asked; else None."""
        return self._pages.get((owner, status, limit, offset))

    async def page(
        self, *, owner: Owner = EVERYONE, status: TaskStatus | None = None, limit: int, offset: int = 0
    ) -> bytes:
        """One page of tasks as the JSON `{"tasks", "total", "limit", "offset"}`, in the order of arrival."""
        where: list[Condition] = []
        if not isinstance(owner, Everyone):
            where.append(Equal("owner", owner))
        if status is not None:
            where.append(Equal("status", status))
        version = self._version
        total = self.count(owner=owner, status=status)
        documents: list[bytes] = []
        if offset < total:
            page = await self._store.read(Select(TASKS, where, limit=limit, offset=offset))
            documents = [record.document for record in page.records]
        else:
            await trio.lowlevel.checkpoint()
        tail = b'],"total":%d,"limit":%d,"offset":%d}' % (total, limit, offset)
        answer = b'{"tasks":[' + b",".join(documents) + tail
        if version == self._version:
            self._keep_page((owner, status, limit, offset), answer)
        return answer

    def count(self, *, owner: Owner = EVERYONE, status: TaskStatus | None = None) -> int:
        """How many tasks there are."""
        statuses = STATUSES if status is None else (status,)
        if not isinstance(owner, Everyone):
            return sum(self._counts.get((owner, each), 0) for each in statuses)
        return sum(number for (_, each), number in self._counts.items() if each in statuses)

    async def runs(self) -> list[tuple[str, str, bytes]]:
        """Root, state and document of every run that is kept, oldest first."""
        page = await self._store.read(Select(RUNS, order=["arrival"]))
        return [(record.key, str(record.fields["state"]), record.document) for record in page.records]

    async def members(self, root: str, *, status: TaskStatus) -> AsyncGenerator[Entry, None]:
        """The tasks of a flow that its run is to execute, in the order of arrival."""
        async for record in self._walk([Equal("root", root), Equal("in_run", 1), Equal("status", status)]):
            yield entry_of_record(record)

    async def member_keys(self, root: str) -> AsyncGenerator[str, None]:
        """The keys of the tasks of a flow that its run is to execute."""
        async for record in self._walk([Equal("root", root), Equal("in_run", 1)], documents=False):
            yield record.key

    async def _walk(self, where: Sequence[Condition], *, documents: bool = True) -> AsyncGenerator[Record, None]:
        last = 0
        while True:
            here = [*where, Compare("arrival", ">", last)]
            page = await self._store.read(Select(TASKS, here, order=["arrival"], limit=CHUNK, documents=documents))
            for record in page.records:
                yield record
            if len(page.records) < CHUNK:
                return
            last = page.records[-1].arrival

    def schedule_changed(self) -> trio.Event:
        """An event that is set when the `next_run_at` of any task changes from now on."""
        self._schedule_changed = trio.Event()
        return self._schedule_changed

    async def due(self, now: str, *, limit: int) -> list[Entry]:
        """Tasks whose `next_run_at` has come, the longest overdue first."""
        page = await self._store.read(Select(TASKS, [Compare("next_run", "<=", now)], order=["next_run"], limit=limit))
        return [entry_of_record(record) for record in page.records]

    async def next_due(self) -> str | None:
        """The earliest `next_run_at` of all tasks."""
        page = await self._store.read(
            Select(TASKS, [Compare("next_run", ">", "")], order=["next_run"], limit=1, documents=False)
        )
        return str(page.records[0].fields["next_run"]) if page.records else None

    # --- changing ---------------------------------------------------------------------------------

    async def commit(
        self, decision: Callable[[View], R], *, then: Callable[[R], None] | None = None, weight: int = 1
    ) -> R:
        """Make a decision and its changes; see `Committer.commit`."""
        return await self._committer.commit(decision, then=then, weight=weight)

    def begin(
        self, decision: Callable[[View], R], *, then: Callable[[R], None] | None = None, weight: int = 1
    ) -> Later[R]:
        """The same without waiting; see `Committer.begin`."""
        return self._committer.begin(decision, then=then, weight=weight)

    async def remove_flow(self, root: str) -> None:
        """Delete all tasks of a flow and what is kept of its run."""
        while True:
            page = await self._store.read(Select(TASKS, [Equal("root", root)], limit=CHUNK))
            entries = [entry_of_record(record) for record in page.records]

            def decide(view: View, entries: Sequence[Entry] = entries) -> None:
                for entry in entries:
                    if (stored := view.get(entry.key)) is not None:
                        view.delete(stored, needs_of(stored.task))
                if not entries:
                    view.end_run(root)

            await self.commit(decide, weight=len(entries))
            if not entries:
                return

    # --- inside -----------------------------------------------------------------------------------

    async def load(self) -> None:
        """Count what is stored; once, before anything else."""
        owner: str | None = None
        while True:
            for status in STATUSES:
                where = [Equal("owner", owner), Equal("status", status)]
                page = await self._store.read(Select(TASKS, where, limit=0, total=True))
                if page.total:
                    self._counts[owner, status] = page.total
            later = await self._store.read(
                Select(TASKS, [Compare("owner", ">", owner or "")], order=["owner"], limit=1, documents=False)
            )
            if not later.records:
                return
            owner = str(later.records[0].fields["owner"])

    @property
    def committer(self) -> Committer:
        """What makes the changes; its `run` must run."""
        return self._committer

    def _applied(self, changes: Sequence[Changed]) -> None:
        self._version += 1
        self._pages.clear()
        self._pages_bytes = 0
        for changed in changes:
            before = changed.before.next_run if changed.before is not None else None
            if changed.after is not None and changed.after.next_run != before:
                self._schedule_changed.set()
            if changed.before is not None:
                self._counts[changed.before.owner, changed.before.status] -= 1
            if changed.after is not None:
                place = (changed.after.owner, changed.after.status)
                self._counts[place] = self._counts.get(place, 0) + 1

    def _keep_page(self, asked: object, answer: bytes) -> None:
        old = self._pages.pop(asked, b"")
        self._pages[asked] = answer
        self._pages_bytes += len(answer) - len(old)
        while self._pages_bytes > PAGES_BYTES:
            _, gone = self._pages.popitem(last=False)
            self._pages_bytes -= len(gone)


@asynccontextmanager
async def open_tasks(store: Store, *, cache_bytes: int = CACHE_BYTES) -> AsyncGenerator[Tasks, None]:
    """The tasks of a store that was opened with `records.SCHEMA`, for as long as the context lasts."""
    tasks = Tasks(store, cache_bytes=cache_bytes)
    await tasks.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tasks.committer.run)
        try:
            yield tasks
        finally:
            tasks.committer.close()
