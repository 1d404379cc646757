"""Writer: the one thread that changes the database, many transactions to a commit.

What waits is done in one SQLite transaction and made durable by one sync (group commit), and only then is anyone
answered. Each caller's transaction stands for itself all the same: where one raises, what it did is undone and its
neighbours notice nothing; where SQLite gives up the whole group, each is done again in a transaction of its own. Knows
no trio.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from protogen_runtime.store import guarded
from protogen_runtime.store.catalogue import Catalogue
from protogen_runtime.store.errors import StoreFailed
from protogen_runtime.store.interface import Transaction
from protogen_runtime.store.jobs import Job, JobQueue
from protogen_runtime.store.model import Change

from .file import is_sync_failure, translate
from .tables import Connection, R, Tables

MAX_GROUP: Final = 512
"""Transactions to a commit.

Beyond some hundreds the sync is a small part of the cost, and the first ones wait longer.
"""
MAX_GROUP_SECONDS: Final = 0.02
"""How long a group grows before those in it are answered, whatever still waits."""

Work: TypeAlias = Callable[["Turn"], object]
"""What is done in the writer's thread for one caller."""


class Turn:
    """What the work of one caller is done with: its changes are all made or none."""

    def __init__(self, tables: Tables, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.tables = tables

    def change(self, change: Change[R]) -> R:
        """Make one change that was checked before."""
        return self.tables.write(change)

    def changes(self, changes: Sequence[Change[Any]]) -> list[Any]:
        """Make several changes that were checked before, or none."""
        if len(changes) == 1:
            return [self.tables.write(changes[0])]
        with self.tables.savepoint():
            return [self.tables.write(change) for change in changes]

    def run(self, work: Callable[[Transaction], R]) -> R:
        """Run a function with a Transaction, and keep what it changed if it returns."""
        with self.tables.savepoint():
            return guarded.run(work, self.tables, self._catalogue)


class Writer:
    """The loop of the writer's thread and what it needs."""

    def __init__(
        self,
        connection: Connection,
        catalogue: Catalogue,
        *,
        deliver: Callable[[list[Job[Work]]], None],
        remove_files: Callable[[list[str]], None],
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._tables = Tables(connection, catalogue)
        self._turn = Turn(self._tables, catalogue)
        self._deliver = deliver
        self._remove_files = remove_files
        self._clock = clock
        self._broken: str | None = None

    def run(self, queue: JobQueue[Work]) -> None:
        """Do jobs until the queue is closed and empty."""
        while (job := queue.take()) is not None:
            group = [job]
            try:
                self._do(group, queue)
            except BaseException:
                # A defect of this module: nobody shall take it for an answer, or wait for a thread that is gone.
                group += queue.drain()
                for job in group:
                    job.error = StoreFailed("the writer has ended by a defect; restart")
                raise
            finally:
                self._deliver(group)

    def _do(self, group: list[Job[Work]], queue: JobQueue[Work]) -> None:
        """Do the jobs of `group`, to which those that arrive meanwhile are added."""
        if self._broken is not None:
            group[0].error = StoreFailed(self._broken)
            return
        try:
            self._attempt(group, queue)
        except sqlite3.Error as reason:
            self._undo(reason)
            if len(group) == 1:
                self._fail(group[0], reason)
            else:
                self._one_by_one(group)

    def _attempt(self, group: list[Job[Work]], queue: JobQueue[Work]) -> None:
        until = self._clock() + MAX_GROUP_SECONDS
        self._connection.execute("BEGIN IMMEDIATE")
        done = 0
        while done < len(group):
            self._perform(group[done])
            done += 1
            if len(group) < MAX_GROUP and self._clock() < until and (job := queue.take_nowait()) is not None:
                group.append(job)
        self._connection.execute("COMMIT")
        self._discard()

    def _one_by_one(self, group: list[Job[Work]]) -> None:
        # What the others of the group were told is void, too: they may have seen what is undone now.
        for job in group:
            job.result = job.error = None
            if self._broken is not None:
                job.error = StoreFailed(self._broken)
                continue
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._perform(job)
                self._connection.execute("COMMIT")
            except sqlite3.Error as reason:
                self._undo(reason)
                self._fail(job, reason)
            else:
                self._discard()

    def _perform(self, job: Job[Work]) -> None:
        """Do one job. Raises sqlite3.Error where the database failed, which concerns the whole group."""
        try:
            job.result = job.work(self._turn)
        except sqlite3.Error:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a caller's function raises is for that caller
            job.error = error
        if not self._connection.in_transaction:
            raise _GroupLost("a transaction was ended from within")

    def _undo(self, reason: sqlite3.Error) -> None:
        self._tables.dropped_files.clear()
        if is_sync_failure(reason):
            self._broken = (
                f"the disk did not confirm a write ({reason}); nothing more is written: look at the disk, then restart"
            )
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as second:
                self._broken = f"a write could not be undone ({second}); look at the disk, then restart"

    def _fail(self, job: Job[Work], reason: sqlite3.Error) -> None:
        job.result = None
        job.error = StoreFailed(self._broken) if self._broken else translate(reason)
        job.error.__cause__ = reason

    def _discard(self) -> None:
        if self._tables.dropped_files:
            self._remove_files(self._tables.dropped_files)
            self._tables.dropped_files.clear()


class _GroupLost(sqlite3.Error):
    """Work ended the transaction of its group."""
