"""Tables: questions and changes as SQL on one connection.

Knows neither threads nor when a transaction begins and ends, and no trio. SQL texts depend on the shape of a question
and never on its values, so that SQLite's statements are prepared once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, takewhile
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec

from protogen_runtime.store.catalogue import Catalogue
from protogen_runtime.store.errors import ExpectationFailed, KeyTaken
from protogen_runtime.store.model import (
    Append,
    Blob,
    Blobs,
    Change,
    Check,
    Claim,
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

R = TypeVar("R")

NO_LIMIT: Final = -1
# INSERT OR FAIL, UPDATE OR FAIL: a statement with triggers that may be undone by itself copies each page before it
# changes it, and that costs four times the change. Ours change nothing before they fail for a key that is taken;
# whatever else makes them fail ends the transaction.
_SELECTED: Final = "SELECT value FROM json_each(?)"
"""A list of any length as one parameter: SQLite caps their number, and each length would be another statement."""
COUNTED_NONE: Final = "x''"
"""What stands for None in the tables of counts."""
MAX_MERGED_VALUES: Final = 8
"""Values of a OneOf that are looked for one by one: each number of them is another statement."""
MAX_MERGED_RECORDS: Final = 1000
"""Up to here, finding the first records for each value is cheaper than sorting all."""

MAX_TOGETHER: Final = 64
"""Records that one statement changes: beyond that, preparing it costs what it saves."""
MAX_PARAMETERS: Final = 32_766
"""Of one statement, SQLite's own bound."""


class Cursor(Protocol):
    """The part of sqlite3.Cursor that is used."""

    @property
    def rowcount(self) -> int:
        """Rows changed by the statement."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...


class Connection(Protocol):
    """The part of sqlite3.Connection that is used, in autocommit mode; tests put a simulated disk beneath."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; an error may have ended it."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement. Errors: sqlite3.Error with `sqlite_errorcode`."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Tables:
    """Questions and changes on one connection, which one thread uses at a time.

    Errors: sqlite3.Error besides those named.
    """

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self.dropped_files: list[str] = []
        """Names of the files of blobs that DropBlobs removed: they may go once the transaction is committed."""

    # --- questions --------------------------------------------------------------------------------

    def read(self, query: Query[R]) -> R:
        """Answer a question."""
        return cast(R, self._answer(query))

    def _answer(self, query: Query[Any]) -> object:
        match query:
            case Get(collection, key):
                found = self._records(collection, 'WHERE "key" = ?', (key,), documents=True)
                return found[0] if found else None
            case Select():
                return self._select(query)
            case Entries(journal, after, limit):
                rows = self._connection.execute(
                    "SELECT sequence, data FROM protogen_entries WHERE journal = ? AND sequence > ?"
                    " ORDER BY sequence LIMIT ?",
                    (journal, after, NO_LIMIT if limit is None else limit),
                )
                return tuple(Entry(sequence, data) for sequence, data in rows.fetchall())
            case Blobs():
                return self._blobs(query)
            case _:
                raise AssertionError(query)

    def _select(self, query: Select) -> Page:
        where, values = self._where_of_first(query)
        limit = NO_LIMIT if query.limit is None else query.limit
        records: tuple[Record, ...] = ()
        if limit != 0:
            records = self._records(
                query.collection,
                f"{where} {_order(query.order)} LIMIT ? OFFSET ?",
                (*values, limit, query.offset),
                documents=query.documents,
            )
        return Page(records, self._count(query.collection, query.where) if query.total else None)

    def _where_of_first(self, query: Select) -> tuple[str, tuple[Value, ...]]:
        """A WHERE that holds for the records that `query` shows, if not for all that it finds.

        With `IN`, SQLite sorts all that it finds. Where an index has the records of each value in order, the first of
        each are enough.
        """
        if query.limit is None or query.limit + query.offset > MAX_MERGED_RECORDS:
            return _where(query.where)
        several = next(filter(partial(self._has_order, query), query.where), None)
        if not isinstance(several, OneOf):
            return _where(query.where)
        rest = [condition for condition in query.where if condition is not several]
        parts: list[str] = []
        values: list[Value] = []
        for value in dict.fromkeys(several.values):
            where, found = _where([Equal(several.field, value), *rest])
            # A sub-select may have an order and a limit of its own only if it is one in FROM.
            parts.append(
                f'SELECT * FROM (SELECT "arrival" FROM "{query.collection}" {where} {_order(query.order)} LIMIT ?)'
            )
            values += [*found, query.limit + query.offset]
        return f'WHERE "arrival" IN ({" UNION ALL ".join(parts)})', tuple(values)

    def _has_order(self, query: Select, condition: Condition) -> bool:
        """Whether it is a OneOf, and an index has the records of each of its values in the order asked for."""
        if not isinstance(condition, OneOf) or not 1 < len({*condition.values}) <= MAX_MERGED_VALUES:
            return False
        order = [name for name in query.order if name != "arrival"]
        fixed = {it.field for it in query.where if isinstance(it, Equal)} | {condition.field}
        for index in self._catalogue.collection(query.collection).indexes:
            searched = list(takewhile(fixed.__contains__, index))
            if condition.field in searched and list(index[len(searched) :]) == order:
                return True
        return False

    def _records(
        self, collection: str, clauses: str, values: Sequence[Value], *, documents: bool
    ) -> tuple[Record, ...]:
        names = tuple(self._catalogue.fields(collection))
        columns = "".join(f', "{name}"' for name in names)
        document = '"document"' if documents else "x''"
        rows = self._connection.execute(
            f'SELECT "key", {document}, "arrival"{columns} FROM "{collection}" {clauses}', values
        )
        return tuple(
            Record(key, document, dict(zip(names, fields, strict=True)), arrival)
            for key, document, arrival, *fields in rows.fetchall()
        )

    def _count(self, collection: str, conditions: Sequence[Condition]) -> int:
        group = _group_for(conditions, self._catalogue.collection(collection).counts)
        if group is None:
            where, values = _where(conditions)
            sql = f'SELECT count(*) FROM "{collection}" {where}'
        else:
            where, values = _where(conditions, none=f"= {COUNTED_NONE}")
            sql = f'SELECT coalesce(sum("#"), 0) FROM "{count_table(collection, group)}" {where}'
        (count,) = self._connection.execute(sql, values).fetchone()
        return cast(int, count)

    def _blobs(self, query: Blobs) -> tuple[Blob, ...]:
        conditions = ["digest > ?"]
        values: list[Value] = [query.after]
        if query.digests is not None:
            conditions.append(f"digest IN ({_SELECTED})")
            values.append(_json(query.digests))
        if query.put_before is not None:
            conditions.append("put_at < ?")
            values.append(query.put_before)
        rows = self._connection.execute(
            f"SELECT digest, size, put_at FROM protogen_blobs WHERE {' AND '.join(conditions)} ORDER BY digest LIMIT ?",
            (*values, NO_LIMIT if query.limit is None else query.limit),
        )
        return tuple(Blob(*row) for row in rows.fetchall())

    # --- changes ----------------------------------------------------------------------------------

    def write(self, change: Change[R]) -> R:
        """Make a change as a whole, or raise and make nothing of it. Errors: Conflict."""
        if not _is_compound(change):
            return cast(R, self._make(change))
        with self.savepoint():
            return cast(R, self._make(change))

    def savepoint(self) -> Savepoint:
        """A context that undoes what is done within it where that raises. Savepoints nest."""
        return Savepoint(self._connection, self.dropped_files)

    def _make(self, change: Change[Any]) -> object:
        match change:
            case Insert():
                return self._insert(change)
            case Update():
                return self._update(change)
            case Claim():
                return self._claim(change)
            case Delete(collection, conditions, expect, limit):
                where, values = _where(conditions)
                if limit is not None:
                    first = f'SELECT "arrival" FROM "{collection}" {where} {_order(())} LIMIT ?'
                    where, values = f'WHERE "arrival" IN ({first})', (*values, limit)
                count = self._connection.execute(f'DELETE FROM "{collection}" {where}', values).rowcount
                if expect is not None and count != expect:
                    raise ExpectationFailed(collection, f"{count} records to delete where {expect} were expected")
                return count
            case Check(collection, conditions, least, most):
                count = self._count(collection, conditions)
                if count < least or (most is not None and count > most):
                    raise ExpectationFailed(collection, f"{count} records where {bounds(least, most)} were expected")
                return count
            case Append():
                return self._append(change)
            case DropJournals(journals):
                return self._connection.execute(
                    f"DELETE FROM protogen_entries WHERE journal IN ({_SELECTED})", (_json(journals),)
                ).rowcount
            case DropBlobs(digests):
                return self._drop_blobs(digests)
            case _:
                raise AssertionError(change)

    def _insert(self, change: Insert) -> tuple[str, ...]:
        names = tuple(self._catalogue.fields(change.collection))
        columns = ("key", "document", *names)
        sql = (
            f'INSERT OR FAIL INTO "{change.collection}" ({", ".join(map(_quoted, columns))})'
            f" VALUES ({', '.join('?' * len(columns))})"
        )
        match change.existing:
            case "keep":
                sql += ' ON CONFLICT ("key") DO NOTHING'
            case "replace":
                sets = ", ".join(f'"{name}" = excluded."{name}"' for name in columns[1:])
                sql += f' ON CONFLICT ("key") DO UPDATE SET {sets}'
            case "refuse":
                pass
        rows = [(it.key, it.document, *map(it.fields.get, names)) for it in change.records]
        if len(rows) > 1 and self._insert_together(change, columns, rows):
            return tuple(record.key for record in change.records)
        written: list[str] = []
        for record, row in zip(change.records, rows, strict=True):
            try:
                done = self._connection.execute(sql, row)
            except sqlite3.IntegrityError:
                # The key is the only thing that is unique.
                raise KeyTaken(change.collection, record.key) from None
            if done.rowcount:
                written.append(record.key)
        return tuple(written)

    def _insert_together(self, change: Insert, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bool:
        """Insert several records by few statements; False, and nothing done, where one of them was there already."""
        sql = f'INSERT OR FAIL INTO "{change.collection}" ({", ".join(map(_quoted, columns))}) VALUES '
        end = ' ON CONFLICT ("key") DO NOTHING'
        if change.existing == "replace":
            sets = ", ".join(f'"{name}" = excluded."{name}"' for name in columns[1:])
            end = f' ON CONFLICT ("key") DO UPDATE SET {sets}'
        return self._execute_together(rows, sql, end)

    def _execute_together(self, rows: Sequence[tuple[Any, ...]], begin: str, end: str) -> bool:
        """Run a statement that changes a record for each of several rows of values, within a savepoint; the rows stand
        between its two parts.

        False, and nothing done since that savepoint, where it changed fewer. A statement for each row would cost more
        than SQLite's own work: a thread that asks for the interpreter after each one waits for it as often.
        """
        done = 0
        row = f"({', '.join('?' * len(rows[0]))})"
        most = min(MAX_TOGETHER, MAX_PARAMETERS // len(rows[0]))
        while done < len(rows):
            # Powers of two, so that there are few statements to prepare.
            count = min(most, 1 << (len(rows) - done).bit_length() - 1)
            values = list(chain.from_iterable(rows[done : done + count]))
            sql = f"{begin}{', '.join([row] * count)}{end}"
            if self._connection.execute(sql, values).rowcount != count:
                self._connection.execute(f"ROLLBACK TO {SAVEPOINT}")
                return False
            done += count
        return True

    def _update(self, change: Update) -> tuple[str, ...]:
        if len(change.patches) > 1 and self._update_together(change):
            return tuple(patch.key for patch in change.patches)
        changed: list[str] = []
        for patch in change.patches:
            sets = [f'"{name}" = ?' for name in patch.fields]
            values: list[Value | bytes] = list(patch.fields.values())
            if patch.document is not None:
                sets.append('"document" = ?')
                values.append(patch.document)
            conditions = "".join(f' AND "{name}" IS ?' for name in patch.when)
            done = self._connection.execute(
                # Without anything to set it is still the question whether the record is as it should be.
                f'UPDATE OR FAIL "{change.collection}" SET {", ".join(sets) or _NOTHING} WHERE "key" = ?{conditions}',
                (*values, patch.key, *patch.when.values()),
            )
            if done.rowcount:
                changed.append(patch.key)
            elif change.missed == "refuse":
                raise ExpectationFailed(change.collection, f"record {patch.key!r} is missing or not as expected")
        return tuple(changed)

    def _update_together(self, change: Update) -> bool:
        """Change several records by few statements; False, and nothing done, where one was missed."""
        if len({patch.key for patch in change.patches}) < len(change.patches):
            return False
        shapes: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        for patch in change.patches:
            document = () if patch.document is None else (patch.document,)
            shape = (tuple(patch.fields), len(document), tuple(patch.when))
            row = (patch.key, *patch.fields.values(), *document, *patch.when.values())
            shapes.setdefault(shape, []).append(row)
        for (fields, documents, when), rows in shapes.items():
            changed = [*fields, *["document"] * documents]
            sets = ", ".join(f'"{name}" = "#"."column{place}"' for place, name in enumerate(changed, 2))
            conditions = "".join(
                f' AND "{change.collection}"."{name}" IS "#"."column{place}"'
                for place, name in enumerate(when, 2 + len(changed))
            )
            begin = f'UPDATE OR FAIL "{change.collection}" SET {sets or _NOTHING} FROM (VALUES '
            end = f') AS "#" WHERE "{change.collection}"."key" = "#"."column1"{conditions}'
            if not self._execute_together(rows, begin, end):
                return False
        return True

    def _claim(self, change: Claim) -> tuple[Record, ...]:
        where, values = _where(change.where)
        records = self._records(
            change.collection,
            f"{where} {_order(change.order)} LIMIT ?",
            (*values, NO_LIMIT if change.limit is None else change.limit),
            documents=change.documents,
        )
        if not records or not change.fields:
            return records
        sets = ", ".join(f'"{name}" = ?' for name in change.fields)
        self._connection.execute(
            f'UPDATE OR FAIL "{change.collection}" SET {sets} WHERE "arrival" IN ({_SELECTED})',
            (*change.fields.values(), _json([record.arrival for record in records])),
        )
        return tuple(
            Record(record.key, record.document, {**record.fields, **change.fields}, record.arrival)
            for record in records
        )

    def _append(self, change: Append) -> int:
        last = cast(
            int,
            self._connection.execute(
                "SELECT coalesce(max(sequence), 0) FROM protogen_entries WHERE journal = ?", (change.journal,)
            ).fetchone()[0],
        )
        if change.after is not None and change.after != last:
            raise ExpectationFailed(
                f"journal {change.journal}", f"it ends at {last}, not at {change.after} as expected"
            )
        for last, entry in enumerate(change.entries, last + 1):  # noqa: B020 - the place goes on from where it was
            self._connection.execute(
                "INSERT INTO protogen_entries (journal, sequence, data) VALUES (?, ?, ?)", (change.journal, last, entry)
            )
        return last

    # --- blobs ------------------------------------------------------------------------------------

    def keep_blob(self, blob: Blob, *, data: bytes | None, file: str | None) -> bool:
        """Note a blob with its bytes or the name of its file; False where it was there and only `put_at` changed."""
        touched = self._connection.execute(
            "UPDATE protogen_blobs SET put_at = ? WHERE digest = ?", (blob.put_at, blob.digest)
        )
        if touched.rowcount:
            return False
        self._connection.execute(
            "INSERT INTO protogen_blobs (digest, size, put_at, data, file) VALUES (?, ?, ?, ?, ?)",
            (blob.digest, blob.size, blob.put_at, data, file),
        )
        return True

    def find_blob(self, digest: str) -> tuple[Blob, bytes | None, str | None] | None:
        """What is known of a blob, its bytes or the name of its file; None where there is none."""
        row = self._connection.execute(
            "SELECT digest, size, put_at, data, file FROM protogen_blobs WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else (Blob(*row[:3]), *row[3:])

    def blob_files(self) -> set[str]:
        """Names of the files of all blobs."""
        rows = self._connection.execute("SELECT file FROM protogen_blobs WHERE file IS NOT NULL")
        return {name for (name,) in rows.fetchall()}

    def _drop_blobs(self, digests: Sequence[str]) -> int:
        chosen = (_json(digests),)
        files = self._connection.execute(
            f"SELECT file FROM protogen_blobs WHERE file IS NOT NULL AND digest IN ({_SELECTED})", chosen
        )
        self.dropped_files += [name for (name,) in files.fetchall()]
        return self._connection.execute(f"DELETE FROM protogen_blobs WHERE digest IN ({_SELECTED})", chosen).rowcount


class Savepoint:
    """See `Tables.savepoint`."""

    def __init__(self, connection: Connection, dropped_files: list[str]) -> None:
        self._connection = connection
        self._dropped_files = dropped_files
        self._dropped_before = 0

    def __enter__(self) -> None:
        self._dropped_before = len(self._dropped_files)
        self._connection.execute(f"SAVEPOINT {SAVEPOINT}")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # An error such as a full disk may have ended the whole transaction, and the savepoint with it.
        if not self._connection.in_transaction:
            return
        if kind is not None:
            del self._dropped_files[self._dropped_before :]
            self._connection.execute(f"ROLLBACK TO {SAVEPOINT}")
        self._connection.execute(f"RELEASE {SAVEPOINT}")


SAVEPOINT: Final = "protogen"
_NOTHING: Final = '"key" = "key"'


def _is_compound(change: Change[Any]) -> bool:
    """Whether a change takes several statements that write, so that it can fail half made."""
    match change:
        case Insert(_, records):
            return len(records) > 1
        case Update(_, patches):
            return len(patches) > 1
        case Append(_, entries):
            return len(entries) > 1
        case Delete(_, _, expect):
            return expect is not None
        case _:
            return False


def _quoted(name: str) -> str:
    return f'"{name}"'


def _json(values: Sequence[str | int | float]) -> str:
    return msgspec.json.encode(values).decode()


def _group_for(conditions: Sequence[Condition], counts: Sequence[Sequence[str]]) -> Sequence[str] | None:
    """The smallest group by which records are counted that answers how many meet conditions."""
    if any(isinstance(condition, Compare) for condition in conditions):
        return None
    fields = {condition.field for condition in conditions}
    return min((group for group in counts if fields <= {*group}), key=len, default=None)


def _where(conditions: Sequence[Condition], *, none: str = "IS NULL") -> tuple[str, tuple[Value, ...]]:
    parts: list[str] = []
    values: list[Value] = []
    for condition in conditions:
        match condition:
            case Equal(field, None):
                parts.append(f'"{field}" {none}')
            case Equal(field, value):
                parts.append(f'"{field}" = ?')
                values.append(value)
            case OneOf(field, chosen):
                parts.append(f'"{field}" IN ({_SELECTED})')
                values.append(_json(chosen))
            case Compare(field, relation, value):
                parts.append(f'"{field}" {relation} ?')
                values.append(value)
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), tuple(values)


def _order(order: Sequence[str]) -> str:
    return f"ORDER BY {', '.join([*terms_of(order), _quoted('arrival')])}"


def terms_of(order: Sequence[str]) -> list[str]:
    """The fields of an order or an index as SQL has them."""
    return [f'"{name.removeprefix("-")}"{" DESC" if name.startswith("-") else ""}' for name in order]


def count_table(collection: str, group: Sequence[str]) -> str:
    """The name of the table that counts the records of a collection by a group of fields."""
    # No name of a collection or field has a bracket or a comma, so that no two tables have the same name.
    return f"{collection}[{','.join(group)}]"


def columns_of(fields: Mapping[str, str]) -> str:
    """Column definitions of declared fields."""
    types = {"text": "TEXT", "integer": "INTEGER", "number": "REAL"}
    return "".join(f', "{name}" {types[kind]}' for name, kind in fields.items())
