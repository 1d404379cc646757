"""File: an SQLite database of ours is locked, recognised, made or brought up to date, and opened.

Knows neither threads nor trio. Everything that is wrong with a file ends as `CannotOpen` with one line that says what
to do, and leaves the file as it was.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

import msgspec

from protogen_runtime.store import guarded, versions
from protogen_runtime.store.catalogue import Catalogue
from protogen_runtime.store.errors import CannotOpen, StoreError, StoreFailed, StoreFull
from protogen_runtime.store.interface import Schema
from protogen_runtime.store.model import Collection

from .tables import COUNTED_NONE, Connection, Tables, columns_of, count_table, terms_of

CheckAtOpen: TypeAlias = Literal["auto", "always", "never"]
Connect: TypeAlias = Callable[[str], Connection]
"""Open a database file in autocommit mode."""

APPLICATION_ID: Final = int.from_bytes(b"PGst")
LAYOUT: Final = 1
"""PRAGMA user_version: how our own tables look. A change of them raises it and adds to LAYOUT_STEPS."""
LAYOUT_STEPS: Final[Sequence[Sequence[str]]] = (
    (
        "CREATE TABLE protogen_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE protogen_entries (
            journal TEXT NOT NULL, sequence INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (journal, sequence)
        ) WITHOUT ROWID""",
        """CREATE TABLE protogen_blobs (
            digest TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, put_at REAL NOT NULL, data BLOB, file TEXT
        )""",
    ),
)
"""Statements that lead from layout i to i + 1."""

OLDEST_SQLITE: Final = (3, 35, 0)  # ALTER TABLE DROP COLUMN
MAX_CHECKED_BYTES: Final = 256 * 1024 * 1024
"""Up to this size a file is checked as a whole when it is opened ("auto"): about half a second."""
BUSY_MILLISECONDS: Final = 5000
"""How long to wait for programs that ignore our lock, such as a backup or the sqlite3 shell."""
WRITER_CACHE_KIB: Final = 16 * 1024
READER_CACHE_KIB: Final = 4 * 1024
MAX_KEPT_WAL_BYTES: Final = 64 * 1024 * 1024
"""A log that a burst made larger is cut back to this at the next checkpoint."""
CACHED_STATEMENTS: Final = 256

Synchronous: TypeAlias = Literal["FULL", "NORMAL", "OFF"]
"""Only FULL keeps what was acknowledged when the power fails; the others are there to show that the tests can tell."""


def connect(path: str) -> Connection:
    """Open a database file with the library that comes with Python."""
    return cast(
        Connection,
        sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS),
    )


class Lock:
    """The right to use a database file, held by one process at a time and given back when it ends, however it ends."""

    def __init__(self, path: Path) -> None:
        # A file beside the database: SQLite itself locks ranges of the database file, and POSIX drops all locks of a
        # process on a file when any descriptor of it is closed. It stays where it is, since removing it would be a
        # race.
        name = f"{path}.lock"
        try:
            self._file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as reason:
            way_out = _MAKE_SPACE if is_full(reason) else _WAY_OUT
            raise CannotOpen(f"{name}: cannot be written ({os.strerror(reason.errno or 0)}); {way_out}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "another"
            os.close(self._file)
            raise CannotOpen(
                f"{path} is in use by process {holder}, and a database has one process at a time;"
                " stop that one or choose another file"
            ) from None
        # The number is for people; on a full disk the lock is held without it.
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._file)


_WAY_OUT: Final = "choose another file or give this user the right to write there"
_MAKE_SPACE: Final = "make space on the disk or choose another file"
LEAST_FREE_BYTES: Final = 64 * 1024
"""What opening needs: the index of the log alone takes 32 KiB."""


def open_writer(
    path: Path,
    schema: Schema,
    *,
    check: CheckAtOpen = "auto",
    synchronous: Synchronous = "FULL",
    connect: Connect = connect,
) -> Connection:
    """Open a file for writing; make it, or bring it up to `schema`, where needed. The caller holds its Lock.

    Errors: CannotOpen; Misuse where the schema does not fit itself; what a migration raises.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise CannotOpen(f"SQLite is {sqlite3.sqlite_version}; {wanted} or later is needed: update it or use memory:")
    # SQLite would open it for reading, and the first write would be the first to hear of it.
    if path.exists() and not os.access(path, os.W_OK):
        raise CannotOpen(f"{path}: cannot be written; {_WAY_OUT}")
    try:
        connection = connect(str(path))
    except sqlite3.Error as reason:
        raise CannotOpen(f"{path}: {reason}; {_WAY_OUT}") from None
    with ExitStack() as undo:
        undo.callback(close_reader, connection)
        try:
            _recognise(connection, path)
            _prepare(connection, WRITER_CACHE_KIB)
            _use_log(connection, path, synchronous)
            _check(connection, path, check)
            bring_up_to_date(connection, path, schema)
        except sqlite3.Error as reason:
            raise _cannot_open(path, reason) from reason
        undo.pop_all()
    return connection


def open_reader(path: Path, *, connect: Connect = connect) -> Connection:
    """Open one more connection that never writes, while the writer's is open. Errors: CannotOpen."""
    try:
        connection = connect(str(path))
        with ExitStack() as undo:
            undo.callback(close_reader, connection)
            _prepare(connection, READER_CACHE_KIB)
            connection.execute("PRAGMA query_only = ON")
            undo.pop_all()
    except sqlite3.Error as reason:
        raise _cannot_open(path, reason) from reason
    return connection


def close_writer(connection: Connection) -> None:
    """Move the log into the database, where that works, and close: the next start finds one tidy file."""
    # Where the disk fails now, what is in the log is as durable there, and the next start reads it.
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    close_reader(connection)


def close_reader(connection: Connection) -> None:
    """Close a connection; nothing that matters can fail."""
    with suppress(sqlite3.Error):
        connection.close()


# --- what kind of file it is ----------------------------------------------------------------------


def _recognise(connection: Connection, path: Path) -> None:
    application = _pragma(connection, "application_id")
    layout = _pragma(connection, "user_version")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID:
        if layout > LAYOUT:
            raise CannotOpen(
                f"{path} was written by a newer protogen (layout {layout}, this one knows {LAYOUT});"
                " update protogen or choose another file"
            )
    elif application or layout or tables:
        raise CannotOpen(f"{path} is an SQLite database of another program; choose another file")


def _prepare(connection: Connection, cache_kib: int) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}").fetchall()
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")


def _use_log(connection: Connection, path: Path, synchronous: Synchronous) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise CannotOpen(f"{path}: its file system cannot hold a write-ahead log; choose a file on a local disk")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA journal_size_limit = {MAX_KEPT_WAL_BYTES}").fetchall()


def _check(connection: Connection, path: Path, check: CheckAtOpen) -> None:
    size = _pragma(connection, "page_count") * _pragma(connection, "page_size")
    if check == "never" or (check == "auto" and size > MAX_CHECKED_BYTES):
        return
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise CannotOpen(_damaged(path, " ".join(finding.split())))


def _damaged(path: Path, what: str) -> str:
    return f"{path} is damaged ({what}); restore a backup, or save what `sqlite3 {path} .recover` can read"


def _cannot_open(path: Path, reason: sqlite3.Error) -> StoreError:
    code = _code(reason)
    if code == sqlite3.SQLITE_NOTADB:
        return CannotOpen(f"{path} is no SQLite database; choose another file")
    if code == sqlite3.SQLITE_CORRUPT:
        return CannotOpen(_damaged(path, str(reason)))
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return CannotOpen(f"{path}: {reason}; {_WAY_OUT}")
    if code == sqlite3.SQLITE_BUSY:
        return CannotOpen(f"{path} is locked by a program that works on it (a backup?); wait until it has finished")
    # Where its index of the log does not fit, SQLite speaks of I/O.
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(path) < LEAST_FREE_BYTES):
        return CannotOpen(f"{path}: the disk is full; {_MAKE_SPACE}")
    return CannotOpen(f"{path}: {reason}; look at the disk, or choose another file")


def translate(reason: sqlite3.Error) -> StoreError:
    """The failure of an open database as what a caller of the store gets."""
    if _code(reason) == sqlite3.SQLITE_FULL:
        return StoreFull("the disk is full; nothing of this write was kept, and the next one works once there is space")
    return StoreFailed(f"the database failed: {reason}")


def is_sync_failure(reason: sqlite3.Error) -> bool:
    """Whether the system could not say that data reached the disk.

    It forgets what it could not write, so that a later success would prove nothing.
    """
    return getattr(reason, "sqlite_errorcode", 0) in (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)


def _free_bytes(path: Path) -> int:
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize


def _code(reason: sqlite3.Error) -> int:
    return cast(int, getattr(reason, "sqlite_errorcode", 0)) & 0xFF


def is_full(reason: OSError) -> bool:
    """Whether a file could not be written for want of space, quota or permitted size."""
    return reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _pragma(connection: Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return cast(int, value)


# --- what is in it --------------------------------------------------------------------------------


def bring_up_to_date(connection: Connection, path: Path, schema: Schema) -> None:
    """Make or change the tables so that they are those of `schema`, all in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _lay_out(connection)
        _adopt(connection, path, schema)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _lay_out(connection: Connection) -> None:
    layout = _pragma(connection, "user_version")
    if layout == LAYOUT:
        return
    for step in LAYOUT_STEPS[layout:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {LAYOUT}")


def _adopt(connection: Connection, path: Path, schema: Schema) -> None:
    meta = dict(connection.execute("SELECT name, value FROM protogen_meta").fetchall())
    wanted = versions.written(schema)
    if not meta:
        _reshape(connection, (), wanted.collections)
    else:
        found = msgspec.json.decode(meta["schema"], type=versions.Written)
        if not versions.must_migrate(found, schema, str(path)):
            return
        _migrate(connection, found, schema)
    connection.execute(
        "INSERT INTO protogen_meta (name, value) VALUES ('schema', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (msgspec.json.encode(wanted).decode(),),
    )


def _migrate(connection: Connection, found: versions.Written, schema: Schema) -> None:
    both = versions.both(found, schema)
    _reshape(connection, found.collections, both)
    catalogue = Catalogue(both)
    tables = Tables(connection, catalogue)
    for step in range(found.version + 1, schema.version + 1):
        if step in schema.migrations:
            guarded.run(schema.migrations[step], tables, catalogue)
    _reshape(connection, both, versions.written(schema).collections)


def _reshape(connection: Connection, old: Sequence[Collection], new: Sequence[Collection]) -> None:
    """Turn the tables of the collections `old` into those of `new`."""
    known = {it.name: it for it in old}
    for name in known.keys() - {it.name for it in new}:
        _drop_counts(connection, name, known[name].counts)
        connection.execute(f'DROP TABLE "{name}"')
    for collection in new:
        before = known.get(collection.name)
        if before is None:
            # AUTOINCREMENT: the place in the order of arrival of a removed record is never given again.
            connection.execute(
                f'CREATE TABLE "{collection.name}" ("arrival" INTEGER PRIMARY KEY AUTOINCREMENT,'
                f' "key" TEXT NOT NULL UNIQUE, "document" BLOB NOT NULL{columns_of(collection.fields)})'
            )
            before = Collection(collection.name, collection.fields)
        _change_columns(connection, before, collection)


def _change_columns(connection: Connection, before: Collection, after: Collection) -> None:
    name = after.name
    old_indexes, new_indexes = {tuple(it) for it in before.indexes}, {tuple(it) for it in after.indexes}
    old_counts, new_counts = {tuple(it) for it in before.counts}, {tuple(it) for it in after.counts}
    _drop_counts(connection, name, old_counts - new_counts)
    for index in old_indexes - new_indexes:
        connection.execute(f'DROP INDEX "{_index_name(name, index)}"')
    for field in before.fields.keys() - after.fields.keys():
        connection.execute(f'ALTER TABLE "{name}" DROP COLUMN "{field}"')
    for field, kind in after.fields.items():
        if field not in before.fields:
            connection.execute(f'ALTER TABLE "{name}" ADD COLUMN {columns_of({field: kind})[2:]}')
    for index in sorted(new_indexes - old_indexes):
        connection.execute(f'CREATE INDEX "{_index_name(name, index)}" ON "{name}" ({", ".join(terms_of(index))})')
    for group in sorted(new_counts - old_counts):
        _add_count(connection, after, group)


def _add_count(connection: Connection, collection: Collection, group: Sequence[str]) -> None:
    """Make a table of how many records have the same values in a group of fields, and triggers that keep it right."""
    name, table = collection.name, count_table(collection.name, group)
    fields = ", ".join(f'"{field}"' for field in group)
    # No constraint that could abort ("#" is not NOT NULL) and no step that would be undone by itself: see tables.py.
    columns = columns_of({field: collection.fields[field] for field in group})[2:].replace(",", " NOT NULL,")
    connection.execute(
        f'CREATE TABLE "{table}" ({columns} NOT NULL, "#" INTEGER, PRIMARY KEY ({fields})) WITHOUT ROWID'
    )
    connection.execute(
        f'INSERT INTO "{table}" SELECT {_counted(group)}, count(*) FROM "{name}" GROUP BY {fields}',
    )
    more = (
        f'INSERT OR FAIL INTO "{table}" VALUES ({_counted(group, "NEW.")}, 1)'
        f' ON CONFLICT ({fields}) DO UPDATE SET "#" = "#" + 1;'
    )
    those = " AND ".join(f'"{field}" = {_counted([field], "OLD.")}' for field in group)
    # What nothing is counted for goes: the values of fields may be as many as the records that there ever were.
    less = f'UPDATE OR FAIL "{table}" SET "#" = "#" - 1 WHERE {those}; DELETE FROM "{table}" WHERE {those} AND "#" = 0;'
    changed = " OR ".join(f'OLD."{field}" IS NOT NEW."{field}"' for field in group)
    for sign, event, steps in (
        ("+", f'INSERT ON "{name}"', more),
        ("-", f'DELETE ON "{name}"', less),
        ("~", f'UPDATE OF {fields} ON "{name}" WHEN {changed}', less + more),
    ):
        connection.execute(f'CREATE TRIGGER "{table}{sign}" AFTER {event} BEGIN {steps} END')


def _drop_counts(connection: Connection, name: str, groups: Iterable[Sequence[str]]) -> None:
    for group in groups:
        table = count_table(name, group)
        for sign in "+-~":
            connection.execute(f'DROP TRIGGER "{table}{sign}"')
        connection.execute(f'DROP TABLE "{table}"')


def _counted(group: Sequence[str], row: str = "") -> str:
    # A primary key holds no NULL; an empty blob is a value that no field has.
    return ", ".join(f"""ifnull({row}"{field}", {COUNTED_NONE})""" for field in group)


def _index_name(collection: str, index: Sequence[str]) -> str:
    # No name of a collection or field has a bracket or a comma, so that no two indexes have the same name.
    return f"{collection}({','.join(index)})"
