"""The contenders: the same two operations on the same row, from trio, each made durable before it is answered.

An operation is the insertion of a row of about 1 kB, or the update of its status; all write with synchronous FULL.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import trio

from protogen_runtime.store import Collection, Insert, Patch, Record, Schema, Update, open_store

DOCUMENT = b'{"name":"crawl","inputs":{"text":"' + b"a thousand bytes " * 56 + b'"}}'
SCHEMA = Schema(
    application="bench",
    collections=[
        Collection(
            "tasks",
            {"parent": "text", "status": "text", "priority": "integer", "progress": "number"},
            [("status", "priority")],
        )
    ],
)

Operation: TypeAlias = Callable[[str], Awaitable[object]]
"""Takes the key of the row."""


@asynccontextmanager
async def store(folder: Path) -> AsyncGenerator[tuple[Operation, Operation], None]:
    """Ours, through its public interface."""
    async with open_store(f"sqlite:///{folder}/ours.db", SCHEMA) as opened:

        async def insert(key: str) -> None:
            fields = {"status": "pending", "priority": 2, "progress": 0.0}
            await opened.write(Insert("tasks", (Record(key, DOCUMENT, fields),)))

        async def update(key: str) -> None:
            patch = Patch(key=key, when={"status": "pending"}, fields={"status": "completed", "progress": 1.0})
            await opened.write(Update("tasks", (patch,)))

        yield insert, update


@asynccontextmanager
async def thread_calls(folder: Path) -> AsyncGenerator[tuple[Operation, Operation], None]:
    """One connection, and one thread call for each operation: what comes first to mind."""
    connection = _connect(folder / "thread.db")
    limiter = trio.CapacityLimiter(1)

    async def insert(key: str) -> None:
        await trio.to_thread.run_sync(_insert, connection, key, limiter=limiter)

    async def update(key: str) -> None:
        await trio.to_thread.run_sync(_update, connection, key, limiter=limiter)

    try:
        yield insert, update
    finally:
        connection.close()


@asynccontextmanager
async def thread_calls_in_parallel(folder: Path) -> AsyncGenerator[tuple[Operation, Operation], None]:
    """A connection for each of many threads, which wait for each other inside SQLite."""
    path = folder / "threads.db"
    _connect(path).close()
    own = threading.local()
    limiter = trio.CapacityLimiter(32)
    opened: list[sqlite3.Connection] = []

    def call(operation: Callable[[sqlite3.Connection, str], None], key: str) -> None:
        if not hasattr(own, "connection"):
            own.connection = _connect(path)
            opened.append(own.connection)
        operation(own.connection, key)

    async def insert(key: str) -> None:
        await trio.to_thread.run_sync(call, _insert, key, limiter=limiter)

    async def update(key: str) -> None:
        await trio.to_thread.run_sync(call, _update, key, limiter=limiter)

    try:
        yield insert, update
    finally:
        for connection in opened:
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS tasks (arrival INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,"
        " document BLOB NOT NULL, parent TEXT, status TEXT, priority INTEGER, progress REAL)"
    )
    connection.execute("CREATE INDEX IF NOT EXISTS by_status ON tasks (status, priority)")
    return connection


def _insert(connection: sqlite3.Connection, key: str) -> None:
    connection.execute(
        "INSERT INTO tasks (key, document, parent, status, priority, progress) VALUES (?, ?, ?, ?, ?, ?)",
        (key, DOCUMENT, None, "pending", 2, 0.0),
    )


def _update(connection: sqlite3.Connection, key: str) -> None:
    connection.execute(
        "UPDATE tasks SET status = ?, progress = ? WHERE key = ? AND status = ?", ("completed", 1.0, key, "pending")
    )
