"""Cache: the entries used last, within a bound of bytes.

Holds what is committed and nothing else: whoever writes puts the new entry in after the commit, and a reader that
fetched an entry meanwhile finds out that it may be old. Used in the event loop; other threads may only call `peek`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from .records import Entry


class Fetch:
    """A reading of the store that is under way, and what was written since it began."""

    __slots__ = ("outdated",)

    def __init__(self) -> None:
        self.outdated: set[str] = set()


class EntryCache:
    """Entries by key, the least recently used one going first."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._fetches: list[Fetch] = []

    def get(self, key: str) -> Entry | None:
        """The entry, which counts as used."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def peek(self, key: str) -> Entry | None:
        """The entry; nothing changes, so that another thread may ask."""
        return self._entries.get(key)

    def put(self, entry: Entry, *, is_new: bool = False) -> None:
        """Keep what was committed; a new one only where there is room.

        Of a flow that does not fit, the tasks that were stored first are executed first: they had better stay.
        """
        self._forbid(entry.key)
        if not is_new or self._bytes + entry.size_bytes <= self._max_bytes:
            self._keep(entry)

    def discard(self, key: str) -> None:
        """Forget a task that was deleted."""
        self._forbid(key)
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= old.size_bytes

    def begin_fetch(self) -> Fetch:
        """A reader starts to read from the store; `end_fetch` must follow."""
        fetch = Fetch()
        self._fetches.append(fetch)
        return fetch

    def end_fetch(self, fetch: Fetch, entries: Iterable[Entry] = ()) -> None:
        """A reader is done: what was not written meanwhile is kept."""
        self._fetches.remove(fetch)
        for entry in entries:
            if entry.key not in fetch.outdated:
                self._keep(entry)

    @property
    def size_bytes(self) -> int:
        """What the entries take, about."""
        return self._bytes

    def _forbid(self, key: str) -> None:
        for fetch in self._fetches:
            fetch.outdated.add(key)

    def _keep(self, entry: Entry) -> None:
        old = self._entries.pop(entry.key, None)
        if old is not None:
            self._bytes -= old.size_bytes
        self._entries[entry.key] = entry
        self._bytes += entry.size_bytes
        while self._bytes > self._max_bytes:
            _, gone = self._entries.popitem(last=False)
            self._bytes -= gone.size_bytes
