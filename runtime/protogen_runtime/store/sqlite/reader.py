"""Reader: threads that answer questions, each on a connection of its own, whatever the writer does meanwhile.

In a write-ahead log a reader sees the last commit and never waits. Knows no trio.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, TypeAlias

from protogen_runtime.store import guarded
from protogen_runtime.store.catalogue import Catalogue
from protogen_runtime.store.interface import Snapshot
from protogen_runtime.store.jobs import Job, JobQueue
from protogen_runtime.store.model import Query, Select

from .file import translate
from .tables import Connection, R, Tables

MAX_BATCH: Final = 16
"""Answers handed over together: each hand-over wakes the event loop once."""
MAX_BATCH_SECONDS: Final = 0.001

Work: TypeAlias = Callable[["Look"], object]
"""What is done in a reader's thread for one caller."""


class Look:
    """What the work of one caller is done with."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self.tables = Tables(connection, catalogue)

    def answer(self, query: Query[R]) -> R:
        """Answer one question that was checked before."""
        # Counting is a second statement; everything else is one and needs no transaction around it.
        several: object = query
        with _Frozen(self._connection) if isinstance(several, Select) and several.total else nullcontext():
            return self.tables.read(query)

    def run(self, work: Callable[[Snapshot], R]) -> R:
        """Run a function with a Snapshot."""
        with _Frozen(self._connection):
            return guarded.look(work, self.tables, self._catalogue)


class _Frozen:
    """Several statements that see one state."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def read_jobs(
    queue: JobQueue[Work],
    connection: Connection,
    catalogue: Catalogue,
    *,
    deliver: Callable[[list[Job[Work]]], None],
    clock: Callable[[], float],
) -> None:
    """Do jobs until the queue is closed and empty; the loop of one reader's thread."""
    look = Look(connection, catalogue)
    while (job := queue.take()) is not None:
        until = clock() + MAX_BATCH_SECONDS
        batch: list[Job[Work]] = []
        more: Job[Work] | None = job
        while more is not None:
            _perform(more, look)
            batch.append(more)
            more = queue.take_nowait() if len(batch) < MAX_BATCH and clock() < until else None
        deliver(batch)


def _perform(job: Job[Work], look: Look) -> None:
    try:
        job.result = job.work(look)
    except sqlite3.Error as reason:
        job.error = translate(reason)
        job.error.__cause__ = reason
    except BaseException as error:  # noqa: BLE001 - whatever a caller's function raises is for that caller
        job.error = error
