"""Ledger: commits what happened to runs, many runs to a commit, and tells each when it is kept.

A run that has something to keep says so and waits in nobody's way; while a commit is under way, more comes together
for the next. Knows no engine: runs are what has something staged.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
import trio

from protogen_runtime.store import Append, Change, Insert, Patch, Record, Store, StoreError, StoreFull, Update

from .records import ITEMS, REFERENCES, RUNS

MAX_GROUP: Final = 256
"""Runs to a commit: beyond that its sync is a small part of what it costs."""
MAX_GROUP_BYTES: Final = 8 * 1024 * 1024

FULL_PAUSE_SECONDS: Final = 1.0
"""How long to wait before a write is tried again for which there was no space."""

_logger = logging.getLogger(__name__)


class Staged(msgspec.Struct, gc=False):
    """What one run wants kept at once."""

    run_id: str
    new: Record | None = None
    patch: Patch | None = None
    row: bytes | None = None
    items: Sequence[Record] = ()
    references: Sequence[Record] = ()

    @property
    def size_bytes(self) -> int:
        """About how much it is."""
        size = 500 if self.new is None else 500 + len(self.new.document)
        return size + len(self.row or b"") + sum([len(item.document) for item in self.items])


class Source(Protocol):
    """A run, as the ledger sees it."""

    def take(self) -> Staged:
        """What is to be kept now, once: it is the ledger's from then on."""
        ...

    def kept(self) -> None:
        """What was taken last is on the disk."""
        ...

    def refused(self, reason: StoreError) -> None:
        """What was taken last, the run's first, was not kept and will not be: the run does not exist."""
        ...


class Ledger:
    """Commits for runs. `run` is its task; `failed` is told when nothing can be kept any more."""

    def __init__(self, store: Store, failed: Callable[[str], None]) -> None:
        self._store = store
        self._failed = failed
        self._waiting: deque[Source] = deque()
        self._filled = trio.Event()
        self._closed = False
        self.is_full = False
        self.fault: str | None = None
        """Why nothing can be kept any more."""

    def add(self, source: Source) -> None:
        """A run has something to keep; to be called once, until `kept` was called."""
        self._waiting.append(source)
        self._filled.set()

    def close(self) -> None:
        """Take no more; what waits is still kept."""
        self._closed = True
        self._filled.set()

    async def run(self) -> None:
        """Commit what comes, until `close`."""
        with trio.CancelScope(shield=True):
            while True:
                while not self._waiting:
                    if self._closed:
                        return
                    self._filled = trio.Event()
                    await self._filled.wait()
                group: list[Source] = []
                staged: list[Staged] = []
                size = 0
                while self._waiting and len(group) < MAX_GROUP and size < MAX_GROUP_BYTES:
                    group.append(self._waiting.popleft())
                    staged.append(group[-1].take())
                    size += staged[-1].size_bytes
                await self._commit(group, staged)

    async def _commit(self, group: list[Source], staged: list[Staged]) -> None:
        while group:
            try:
                await self._store.write_all(changes_of(staged))
            except StoreFull as reason:
                group, staged = _refuse_new(group, staged, reason)
                if not self.is_full:
                    _logger.error("the store is full; runs go on when there is space: %s", reason)
                self.is_full = True
                if self._closed:
                    return
                await trio.sleep(FULL_PAUSE_SECONDS)
            except StoreError as reason:
                self.fault = str(reason)
                _refuse_new(group, staged, reason)
                _logger.error("nothing can be kept any more: %s", reason)
                self._failed(self.fault)
                return
            else:
                self.is_full = False
                for source in group:
                    source.kept()
                return
        self.is_full = False


def changes_of(staged: Sequence[Staged]) -> list[Change[Any]]:
    """What the store is to do: as few statements as there are kinds of records."""
    changes: list[Change[Any]] = []
    if new := [it.new for it in staged if it.new is not None]:
        changes.append(Insert(RUNS, new))
    if patches := [it.patch for it in staged if it.patch is not None]:
        changes.append(Update(RUNS, patches))
    if items := [item for it in staged for item in it.items]:
        changes.append(Insert(ITEMS, items))
    changes += [Append(journal_of(it.run_id), [it.row]) for it in staged if it.row is not None]
    if references := [reference for it in staged for reference in it.references]:
        changes.append(Insert(REFERENCES, references, existing="keep"))
    return changes


def journal_of(run_id: str) -> str:
    """The name of the journal of a run."""
    return f"run/{run_id}"


def _refuse_new(
    group: Sequence[Source], staged: Sequence[Staged], reason: StoreError
) -> tuple[list[Source], list[Staged]]:
    """Tell the runs that begin that they do not; the others."""
    rest: list[tuple[Source, Staged]] = []
    for source, it in zip(group, staged, strict=True):
        if it.new is None:
            rest.append((source, it))
        else:
            source.refused(reason)
    return [source for source, _ in rest], [it for _, it in rest]
