"""The memory store: everything a store does, except to outlive its process.

`MemoryTables` is the data with its questions, changes and undoing, without anything asynchronous, for stores that keep
their data in memory and write it somewhere else; `MemoryStore` is the store that does not.
"""

from __future__ import annotations

import hashlib
import operator
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from heapq import merge
from itertools import chain, islice, product, takewhile
from typing import Any, Final, Literal, TypeVar, cast

import trio

from . import guarded
from .blobs import CheckedReader, pieces
from .catalogue import Catalogue, check_digests
from .errors import BlobMissing, BlobTooLarge, ExpectationFailed, KeyTaken, StoreClosed
from .interface import BlobReader, Schema, Snapshot, Transaction
from .model import (
    Append,
    Blob,
    Blobs,
    Change,
    Check,
    Claim,
    Collection,
    Compare,
    Condition,
    Delete,
    DropBlobs,
    DropJournals,
    Entries,
    Entry,
    Equal,
    Get,
    Insert,
    OneOf,
    Page,
    Query,
    Record,
    Select,
    Update,
    Value,
    bounds,
)
from .ordered import Ordered, Place, comparable

R = TypeVar("R")
MAX_MERGED: Final = 64
"""Ranges of an index that are walked side by side, each in order; of more, everything is sorted."""
Undo = Callable[[], object]


class MemoryTables:
    """Records, journals and blobs in dictionaries, and how to undo what was changed since the last `commit`.

    Questions and changes must have been checked. Indexes and counts serve what `Collection` says that they do; a
    question that none serves looks at the whole collection.
    """

    def __init__(self, collections: Iterable[Collection]) -> None:
        self._collections = {it.name: _Records(it) for it in collections}
        self._journals: dict[str, list[bytes]] = {}
        self._blobs: dict[str, tuple[Blob, bytes]] = {}
        self._undo: list[Undo] = []

    def commit(self) -> None:
        """Forget how to undo what was changed."""
        self._undo.clear()

    def roll_back(self, to: int = 0) -> None:
        """Undo what was changed since `commit`, or since `mark` returned `to`."""
        while len(self._undo) > to:
            self._undo.pop()()

    def mark(self) -> int:
        """A place to roll back to."""
        return len(self._undo)

    def reshape(self, collections: Iterable[Collection]) -> None:
        """Have these collections from now on: new fields are None, what is gone is gone. Nothing undoes this."""
        self._undo.clear()
        old = self._collections
        self._collections = {it.name: _Records(it) for it in collections}
        for name in old.keys() & self._collections.keys():
            self._collections[name].take_over(old[name])

    # --- questions --------------------------------------------------------------------------------

    def read(self, query: Query[R]) -> R:
        """Answer a question."""
        return cast(R, self._answer(query))

    def _answer(self, query: Query[Any]) -> object:
        match query:
            case Get(collection, key):
                record = self._collections[collection].get(key)
                return None if record is None else _copy(record)
            case Select():
                return self._select(query)
            case Entries(journal, after, limit):
                start = max(after, 0)
                data = self._journals.get(journal, [])[start : None if limit is None else start + limit]
                return tuple(Entry(sequence, entry) for sequence, entry in enumerate(data, start + 1))
            case Blobs(digests, put_before, after, limit):
                chosen = self._blobs.keys() if digests is None else self._blobs.keys() & digests
                found = [self._blobs[digest][0] for digest in sorted(chosen) if digest > after]
                found = [blob for blob in found if put_before is None or blob.put_at < put_before]
                return tuple(found[:limit])
            case _:
                raise AssertionError(query)

    def _select(self, query: Select) -> Page:
        records = self._collections[query.collection]
        end = None if query.limit is None else query.offset + query.limit
        page = records.find(query.where, query.order, end, query.offset)
        return Page(
            tuple(_copy(record, documents=query.documents) for record in page),
            records.count(query.where) if query.total else None,
        )

    # --- changes ----------------------------------------------------------------------------------

    def write(self, change: Change[R]) -> R:
        """Make a change as a whole, or raise and make nothing of it. Errors: Conflict."""
        mark = self.mark()
        try:
            return cast(R, self._make(change))
        except BaseException:
            self.roll_back(mark)
            raise

    def _make(self, change: Change[Any]) -> object:
        match change:
            case Insert():
                return self._insert(change)
            case Update():
                return self._update(change)
            case Claim():
                return self._claim(change)
            case Delete(collection, where, expect, limit):
                found = self._collections[collection].find(where, (), limit)
                if expect is not None and len(found) != expect:
                    raise ExpectationFailed(collection, f"{len(found)} records to delete where {expect} were expected")
                for record in found:
                    self._put(collection, record, None)
                return len(found)
            case Check(collection, where, least, most):
                count = self._collections[collection].count(where)
                if count < least or (most is not None and count > most):
                    raise ExpectationFailed(collection, f"{count} records where {bounds(least, most)} were expected")
                return count
            case Append():
                return self._append(change)
            case DropJournals(journals):
                return sum(self._drop_journal(journal) for journal in dict.fromkeys(journals))
            case DropBlobs(digests):
                return sum(self._drop_blob(digest) for digest in dict.fromkeys(digests))
            case _:
                raise AssertionError(change)

    def _insert(self, change: Insert) -> tuple[str, ...]:
        records = self._collections[change.collection]
        written: list[str] = []
        for new in change.records:
            old = records.get(new.key)
            if old is not None and change.existing == "keep":
                continue
            if old is not None and change.existing == "refuse":
                raise KeyTaken(change.collection, new.key)
            fields = {name: new.fields.get(name) for name in records.fields}
            arrival = records.next_arrival() if old is None else old.arrival
            self._put(change.collection, old, Record(new.key, new.document, fields, arrival))
            written.append(new.key)
        return tuple(written)

    def _update(self, change: Update) -> tuple[str, ...]:
        records = self._collections[change.collection]
        changed: list[str] = []
        for patch in change.patches:
            old = records.get(patch.key)
            if old is not None and all(old.fields[name] == value for name, value in patch.when.items()):
                document = old.document if patch.document is None else patch.document
                new = Record(old.key, document, {**old.fields, **patch.fields}, old.arrival)
                self._put(change.collection, old, new)
                changed.append(patch.key)
            elif change.missed == "refuse":
                raise ExpectationFailed(change.collection, f"record {patch.key!r} is missing or not as expected")
        return tuple(changed)

    def _claim(self, change: Claim) -> tuple[Record, ...]:
        claimed: list[Record] = []
        for old in self._collections[change.collection].find(change.where, change.order, change.limit):
            new = Record(old.key, old.document, {**old.fields, **change.fields}, old.arrival)
            self._put(change.collection, old, new)
            claimed.append(_copy(new, documents=change.documents))
        return tuple(claimed)

    def _append(self, change: Append) -> int:
        journal = self._journals.get(change.journal, [])
        last = len(journal)
        if change.after is not None and change.after != last:
            raise ExpectationFailed(
                f"journal {change.journal}", f"it ends at {last}, not at {change.after} as expected"
            )
        if change.entries:
            self._journals[change.journal] = journal
            journal += change.entries
            self._undo.append(partial(self._shorten, change.journal, last))
        return len(journal)

    def _shorten(self, name: str, length: int) -> None:
        del self._journals[name][length:]
        if not length:
            del self._journals[name]

    def _drop_journal(self, name: str) -> int:
        journal = self._journals.pop(name, None)
        if journal is None:
            return 0
        self._undo.append(partial(self._journals.__setitem__, name, journal))
        return len(journal)

    def keep_blob(self, blob: Blob, data: bytes) -> None:
        """Keep a blob; of one that is there already only `put_at` changes."""
        old = self._blobs.get(blob.digest)
        self._blobs[blob.digest] = (blob, data if old is None else old[1])
        self._undo.append(
            partial(self._blobs.__delitem__, blob.digest)
            if old is None
            else partial(self._blobs.__setitem__, blob.digest, old)
        )

    def find_blob(self, digest: str) -> tuple[Blob, bytes] | None:
        """A blob and its bytes, or None."""
        return self._blobs.get(digest)

    def _drop_blob(self, digest: str) -> int:
        old = self._blobs.pop(digest, None)
        if old is None:
            return 0
        self._undo.append(partial(self._blobs.__setitem__, digest, old))
        return 1

    def _put(self, collection: str, old: Record | None, new: Record | None) -> None:
        records = self._collections[collection]
        records.exchange(old, new)
        self._undo.append(partial(records.exchange, new, old))


class _Records:
    """The records of one collection by arrival and by key, in the order of each index, and counted."""

    def __init__(self, collection: Collection) -> None:
        self.fields = tuple(collection.fields)
        self._records: dict[int, Record] = {}
        self._arrivals: dict[str, int] = {}
        # The one without fields has all records in the order of arrival.
        self._indexes = [Ordered(index) for index in ((), *dict.fromkeys(map(tuple, collection.indexes)))]
        self._counts: dict[tuple[str, ...], Counter[tuple[Value, ...]]] = {
            tuple(group): Counter() for group in collection.counts
        }
        self.last_arrival = 0

    def next_arrival(self) -> int:
        self.last_arrival += 1
        return self.last_arrival

    def take_over(self, other: _Records) -> None:
        """Hold what another one holds, as far as the fields are the same."""
        self.last_arrival = other.last_arrival
        for old in other.find(()):
            fields = {name: old.fields.get(name) for name in self.fields}
            self.exchange(None, Record(old.key, old.document, fields, old.arrival))

    def get(self, key: str) -> Record | None:
        arrival = self._arrivals.get(key)
        return None if arrival is None else self._records[arrival]

    def exchange(self, old: Record | None, new: Record | None) -> None:
        """Put `new` in the place of `old`; None stands for no record."""
        for index in self._indexes:
            before = None if old is None else index.place(old.fields, old.arrival)
            after = None if new is None else index.place(new.fields, new.arrival)
            if before != after:
                if before is not None:
                    index.remove(before)
                if after is not None:
                    index.add(after)
        for group, counts in self._counts.items():
            if old is not None:
                values = tuple(old.fields[name] for name in group)
                counts[values] -= 1
                if not counts[values]:
                    del counts[values]
            if new is not None:
                counts[tuple(new.fields[name] for name in group)] += 1
        if new is not None:
            self._records[new.arrival] = new
            self._arrivals[new.key] = new.arrival
        elif old is not None:
            del self._records[old.arrival]
            del self._arrivals[old.key]

    def count(self, where: Sequence[Condition]) -> int:
        """How many records meet all conditions."""
        if not where:
            return len(self._records)
        fields = {condition.field for condition in where}
        groups = [group for group in self._counts if fields <= {*group}]
        if not groups or any(isinstance(condition, Compare) for condition in where):
            return len(self.find(where))
        group = min(groups, key=len)
        tests = [(group.index(condition.field), _test(condition)) for condition in where]
        return sum(
            count for values, count in self._counts[group].items() if all(test(values[at]) for at, test in tests)
        )

    def find(
        self, where: Sequence[Condition], order: Sequence[str] = (), end: int | None = None, begin: int = 0
    ) -> list[Record]:
        """The records that meet all conditions, in order, from the place `begin` up to `end`."""
        if end is not None and end <= begin:
            return []
        arrivals, rest, ordered = self._candidates(where, order)
        tests = [(condition.field, _test(condition)) for condition in rest]
        if ordered and not tests:
            return [self._records[arrival] for arrival in islice(arrivals, begin, end)]
        found = (
            record
            for record in map(self._records.__getitem__, arrivals)
            if all(test(_value(record, field)) for field, test in tests)
        )
        return list(islice(found if ordered else sorted(found, key=partial(_place, order)), begin, end))

    def _candidates(
        self, where: Sequence[Condition], order: Sequence[str]
    ) -> tuple[Iterable[int], Sequence[Condition], bool]:
        """Arrivals that hold those of all records that meet the conditions; what of the conditions is still to be
        tested; and whether they stand in order already."""
        fixed = _fixed(where)
        if "key" in fixed:
            return [self._arrivals[key] for key in fixed["key"] if key in self._arrivals], where, False
        index = max(self._indexes, key=partial(_worth, fixed, order))
        searched = _searched(fixed, index)
        way = _way(index.index[len(searched) :], order)
        fields = [condition.field for condition in where]
        rest = [it for it in where if it.field not in searched or fields.count(it.field) > 1]
        starts = [index.start(values) for values in product(*(fixed[name] for name in searched))]
        if way == "backward" and len(starts) == 1:
            return index.begin_with_backwards(starts[0]), rest, True
        after = max((_floor(condition) for condition in where), default=0)
        found = [index.begin_with(start, after) for start in starts]
        if way == "forward" and len(found) <= MAX_MERGED:
            return (found[0] if len(found) == 1 else merge(*found, key=partial(self._place_of, order))), rest, True
        return chain.from_iterable(found), rest, False

    def _place_of(self, order: Sequence[str], arrival: int) -> Place:
        return _place(order, self._records[arrival])


def _fixed(where: Sequence[Condition]) -> dict[str, Sequence[Value]]:
    """The values that records may have in some fields to meet the conditions: several in one field besides the key."""
    fixed: dict[str, Sequence[Value]] = {}
    several = None
    for condition in where:
        match condition:
            case Equal(field, value):
                fixed[field] = (value,)
                several = None if several == field else several
            case OneOf(field, values) if field not in fixed and (several is None or field == "key"):
                fixed[field] = tuple(dict.fromkeys(values))
                several = several if field == "key" else field
            case _:
                pass
    return fixed


def _searched(fixed: Mapping[str, Sequence[Value]], index: Ordered) -> tuple[str, ...]:
    """The first fields of an index as far as their values are fixed."""
    return tuple(takewhile(fixed.__contains__, index.index))


def _way(rest: Sequence[str], order: Sequence[str]) -> Literal["forward", "backward"] | None:
    """How the places of an index whose first fields are fixed, and these not, are walked to meet an order."""
    if [*order] in ([*rest], [*rest, "arrival"]):
        return "forward"
    opposite = [name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in (*rest, "arrival")]
    return "backward" if [*order] == opposite else None


def _worth(fixed: Mapping[str, Sequence[Value]], order: Sequence[str], index: Ordered) -> tuple[int, bool]:
    searched = len(_searched(fixed, index))
    return searched, _way(index.index[searched:], order) is not None


def _floor(condition: Condition) -> int:
    """The arrival beyond which all records are that meet a condition."""
    match condition:
        case Compare("arrival", ">", value):
            return cast(int, value)
        case _:
            return 0


def _value(record: Record, field: str) -> Value:
    match field:
        case "key":
            return record.key
        case "arrival":
            return record.arrival
        case _:
            return record.fields[field]


def _place(order: Sequence[str], record: Record) -> Place:
    return (*(comparable(name, _value(record, name.removeprefix("-"))) for name in order), record.arrival)


def _test(condition: Condition) -> Callable[[Value], bool]:
    match condition:
        case Equal(_, wanted):
            return lambda value: value == wanted
        case OneOf(_, values):
            return frozenset(values).__contains__
        case Compare(_, relation, bound):
            holds = _RELATIONS[relation]
            return lambda value: value is not None and holds(value, bound)


_RELATIONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _copy(record: Record, *, documents: bool = True) -> Record:
    """The record for a caller, who may do to its fields what it likes."""
    return Record(record.key, record.document if documents else b"", dict(record.fields), record.arrival)


class MemoryStore:
    """A Store that lasts as long as its process. Functions run in the event loop, between two of its steps."""

    def __init__(self, schema: Schema, *, clock: Callable[[], float] = time.time) -> None:
        self._schema = schema
        self._catalogue = Catalogue(schema.collections)
        self._tables = MemoryTables(schema.collections)
        self._clock = clock
        self._closed = False

    @property
    def schema(self) -> Schema:
        """The schema that it was opened with."""
        return self._schema

    async def read(self, query: Query[R]) -> R:
        """See Store.read."""
        self._catalogue.check(query)
        await self._turn()
        return self._tables.read(query)

    async def snapshot(self, work: Callable[[Snapshot], R]) -> R:
        """See Store.snapshot."""
        await self._turn()
        return guarded.look(work, self._tables, self._catalogue)

    async def write(self, change: Change[R]) -> R:
        """See Store.write."""
        self._catalogue.check(change)
        return await self._commit(lambda: self._tables.write(change))

    async def write_all(self, changes: Sequence[Change[Any]]) -> list[Any]:
        """See Store.write_all."""
        for change in changes:
            self._catalogue.check(change)
        return await self._commit(lambda: [self._tables.write(change) for change in changes])

    async def transact(self, work: Callable[[Transaction], R]) -> R:
        """See Store.transact."""
        return await self._commit(lambda: guarded.run(work, self._tables, self._catalogue))

    async def put_blob(self, source: bytes | AsyncIterable[bytes], *, max_bytes: int | None = None) -> Blob:
        """See Store.put_blob."""
        held = bytearray()
        async with pieces(source) as chunks:
            async for chunk in chunks:
                held += chunk
                if max_bytes is not None and len(held) > max_bytes:
                    raise BlobTooLarge(max_bytes)
        data = bytes(held)
        blob = Blob(hashlib.sha256(data).hexdigest(), len(data), self._clock())
        await self._commit(lambda: self._tables.keep_blob(blob, data))
        return blob

    @asynccontextmanager
    async def open_blob(self, digest: str) -> AsyncGenerator[BlobReader, None]:
        """See Store.open_blob."""
        check_digests([digest])
        await self._turn()
        found = self._tables.find_blob(digest)
        if found is None:
            raise BlobMissing(digest)
        blob, data = found
        rest = [b"", data]

        async def next_piece() -> bytes:
            return rest.pop()

        yield CheckedReader(blob, next_piece)

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    async def _turn(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise StoreClosed("the store is closed")

    async def _commit(self, work: Callable[[], R]) -> R:
        await self._turn()
        try:
            result = work()
        except BaseException:
            self._tables.roll_back()
            raise
        self._tables.commit()
        return result


@asynccontextmanager
async def open_memory(schema: Schema) -> AsyncGenerator[MemoryStore, None]:
    """A new, empty store in memory for as long as the context lasts."""
    store = MemoryStore(schema)
    try:
        yield store
    finally:
        store.close()
