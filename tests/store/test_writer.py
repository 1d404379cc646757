"""The writer's thread and the readers': what shares a commit, who waits for whom, what becomes of those who give up."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from connections import Watched, error

from protogen_runtime.store import (
    Append,
    DropBlobs,
    Entries,
    Get,
    Insert,
    KeyTaken,
    Record,
    Select,
    Snapshot,
    Store,
    StoreClosed,
    StoreFailed,
    StoreFull,
    Transaction,
    read_blob,
)
from protogen_runtime.store.contract import SCHEMA
from protogen_runtime.store.sqlite import Options, SqliteStore, open_sqlite, writer

PATIENCE = 10


def note(key: str, document: bytes = b"") -> Insert:
    return Insert("notes", [Record(key, document)])


async def notes(store: Store) -> list[str]:
    return [record.key for record in (await store.read(Select("notes"))).records]


@pytest.fixture(autouse=True)
def _groups_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests hand over together shares a group, however slow the machine is."""
    monkeypatch.setattr(writer, "MAX_GROUP_SECONDS", PATIENCE)


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncGenerator[SqliteStore, None]:
    with trio.fail_after(PATIENCE):
        async with open_sqlite(folder / "store.db", SCHEMA, Options(**options)) as store:
            yield store


class Held:
    """A transaction that keeps the writer's thread until it is let go."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._begun = trio.Event()
        self._gate = threading.Event()

    def __call__(self, _: object) -> None:
        self._token.run_sync_soon(self._begun.set)
        assert self._gate.wait(PATIENCE)

    async def begun(self) -> None:
        await self._begun.wait()

    def let_go(self) -> None:
        self._gate.set()


def test_what_waits_shares_a_commit(folder: Path) -> None:
    statements: Counter[str] = Counter()

    async def run() -> None:
        connect = partial(Watched, watch=lambda sql: statements.update([sql.partition(" ")[0]]))
        async with opened(folder, connect=connect) as store:
            held = Held()
            statements.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.transact, held)
                await held.begun()
                for number in range(200):
                    nursery.start_soon(store.write, note(f"n{number}"))
                await trio.testing.wait_all_tasks_blocked()
                held.let_go()
            assert statements["INSERT"] == 200
            # The one that was held may have been committed before the others were looked at.
            assert statements["COMMIT"] <= 2
            assert len(await notes(store)) == 200

    trio.run(run)


def test_large_group_is_committed_in_parts(folder: Path) -> None:
    commits: list[str] = []

    async def run() -> None:
        connect = partial(Watched, watch=lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        async with opened(folder, connect=connect, waiting=1100) as store:
            held = Held()
            commits.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.transact, held)
                await held.begun()
                for number in range(1050):
                    nursery.start_soon(store.write, note(f"n{number}"))
                await trio.testing.wait_all_tasks_blocked()
                held.let_go()
            assert len(commits) >= 3
            assert len(await notes(store)) == 1050

    trio.run(run)


def test_readers_do_not_wait_for_a_writer(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            await store.write(note("before"))
            held = Held()

            def insert_and_wait(transaction: Transaction) -> None:
                transaction.write(note("during"))
                held(transaction)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.transact, insert_and_wait)
                await held.begun()
                assert await notes(store) == ["before"]
                assert (await store.snapshot(lambda view: view.read(Get("notes", "during")))) is None
                held.let_go()
            assert await notes(store) == ["before", "during"]

    trio.run(run)


def test_writers_do_not_wait_for_readers_whose_view_stays(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            await store.write(note("before"))
            held = Held()
            seen: list[int] = []

            def look_twice(view: Snapshot) -> None:
                seen.append(len(view.read(Select("notes")).records))
                held(view)
                seen.append(len(view.read(Select("notes")).records))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.snapshot, look_twice)
                await held.begun()
                await store.write(note("during"))
                assert await notes(store) == ["before", "during"]
                held.let_go()
            assert seen == [1, 1]

    trio.run(run)


def test_as_many_readers_as_configured_work_at_once(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder, readers=3) as store:
            together = threading.Barrier(3, timeout=PATIENCE)
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(store.snapshot, lambda _: together.wait())

    trio.run(run)


def test_write_that_waits_is_withdrawn_when_cancelled(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            held = Held()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.transact, held)
                await held.begun()
                for cancelled in (partial(store.write, note("a")), partial(store.put_blob, b"b")):
                    with trio.CancelScope() as scope:
                        async with trio.open_nursery() as waiting:
                            waiting.start_soon(cancelled)
                            await trio.testing.wait_all_tasks_blocked()
                            # The writer is still held: nothing but giving up lets this end.
                            scope.cancel()
                    assert scope.cancelled_caught
                nursery.start_soon(store.write, note("c"))
                await trio.testing.wait_all_tasks_blocked()
                held.let_go()
            assert await notes(store) == ["c"]

    trio.run(run)


def test_write_under_way_is_finished_and_answered_though_cancelled(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            held = Held()
            answers: list[str] = []

            def work(transaction: Transaction) -> str:
                held(transaction)
                transaction.write(note("kept"))
                return "done"

            async def write(scope: trio.CancelScope) -> None:
                with scope:
                    answers.append(await store.transact(work))
                    await trio.lowlevel.checkpoint()
                    answers.append("not cancelled")

            scope = trio.CancelScope()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write, scope)
                await held.begun()
                scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
                assert answers == []
                held.let_go()
            assert answers == ["done"]
            assert await notes(store) == ["kept"]

    trio.run(run)


def test_beyond_the_limit_callers_wait_outside_and_can_give_up(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder, waiting=2) as store:
            held = Held()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.transact, held)
                await held.begun()
                nursery.start_soon(store.write, note("second"))
                await trio.testing.wait_all_tasks_blocked()
                with trio.move_on_after(0):
                    await store.write(note("given up"))
                for number in range(20):
                    nursery.start_soon(store.write, note(f"later {number}"))
                await trio.testing.wait_all_tasks_blocked()
                # One is with the writer and one in the queue; all others wait where they cost a task and no place.
                assert len(store._writing._queue._jobs) == 1
                held.let_go()
            assert sorted(await notes(store)) == sorted(["second", *(f"later {number}" for number in range(20))])

    trio.run(run)


def test_cancelled_caller_writes_nothing(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            with trio.CancelScope() as scope:
                scope.cancel()
                await store.write(note("a"))
            assert scope.cancelled_caught
            assert await notes(store) == []

    trio.run(run)


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError])
def test_whatever_a_function_raises_reaches_its_caller_alone(folder: Path, raised: type[BaseException]) -> None:
    async def run() -> None:
        async with opened(folder) as store:

            def stop(_: object) -> None:
                raise raised

            for method in (store.transact, store.snapshot):
                with pytest.raises(raised):
                    await method(stop)
            await store.write(note("after"))
            assert await notes(store) == ["after"]

    trio.run(run)


def test_function_cannot_write_through_a_snapshot(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            with pytest.raises(AttributeError):
                await store.snapshot(lambda view: view.write(note("a")))  # type: ignore[attr-defined]  # that is the test

    trio.run(run)


def failing_once(fails: Callable[[str], bool], raised: Exception) -> Callable[[str], None]:
    """A watch that raises at the first statement that `fails` tells."""
    left = [raised]

    def watch(sql: str) -> None:
        if left and fails(sql):
            raise left.pop()

    return watch


async def write_all_at_once(store: Store, count: int) -> dict[str, BaseException | None]:
    """Hold the writer, queue writes, let it go: what became of each."""
    outcomes: dict[str, BaseException | None] = {}

    async def write(key: str) -> None:
        try:
            await store.write_all([note(key), Append("log", [key.encode()])])
        except Exception as raised:  # noqa: BLE001 - the outcome is what the tests look at
            outcomes[key] = raised
        else:
            outcomes[key] = None

    held = Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.transact, held)
        await held.begun()
        for number in range(count):
            nursery.start_soon(write, f"n{number}")
        await trio.testing.wait_all_tasks_blocked()
        held.let_go()
    return outcomes


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY]
)
def test_group_whose_commit_fails_is_done_again_one_by_one(folder: Path, code: int) -> None:
    armed = [False]

    async def run() -> None:
        watch = failing_once(lambda sql: armed[0] and sql == "COMMIT", error(code))
        async with opened(folder, connect=partial(Watched, watch=watch)) as store:
            armed[0] = True
            outcomes = await write_all_at_once(store, 20)
            assert set(outcomes.values()) == {None}
            assert sorted(await notes(store)) == sorted(outcomes)
            assert len(await store.read(Entries("log"))) == 20

    trio.run(run)


def test_commits_that_keep_failing_are_errors_until_they_work_again(folder: Path) -> None:
    full = [False]

    def watch(sql: str) -> None:
        if full[0] and sql == "COMMIT":
            raise error(sqlite3.SQLITE_FULL)

    async def run() -> None:
        async with opened(folder, connect=partial(Watched, watch=watch)) as store:
            await store.write(note("before"))
            full[0] = True
            held = Held()
            outcomes: dict[str, BaseException | None] = {}

            async def write(key: str) -> None:
                try:
                    await store.write(note(key))
                except StoreFull as raised:
                    outcomes[key] = raised

            async with trio.open_nursery() as nursery:

                async def transact() -> None:
                    with pytest.raises(StoreFull):
                        await store.transact(held)

                nursery.start_soon(transact)
                await held.begun()
                for number in range(5):
                    nursery.start_soon(write, f"n{number}")
                await trio.testing.wait_all_tasks_blocked()
                held.let_go()
            assert len(outcomes) == 5
            assert await notes(store) == ["before"]
            full[0] = False
            await store.write(note("after"))
            assert await notes(store) == ["before", "after"]

    trio.run(run)


def test_statement_that_fails_is_an_error_of_its_writer_alone(folder: Path) -> None:
    """The third insertion of the group fails each time it is tried; SQLite gives up the whole transaction."""

    async def run() -> None:
        async with opened(folder, connect=partial(Breaking, broken=b"n3")) as store:
            outcomes = await write_all_at_once(store, 10)
            assert {key for key, raised in outcomes.items() if raised is not None} == {"n3"}
            assert isinstance(outcomes["n3"], StoreFull)
            assert sorted(await notes(store)) == sorted(set(outcomes) - {"n3"})
            assert len(await store.read(Entries("log"))) == 9

    trio.run(run)


class Breaking(Watched):
    """A connection on which one journal entry makes SQLite roll everything back, as a full disk may."""

    def __init__(self, path: str, broken: bytes) -> None:
        super().__init__(path, lambda _: None)
        self._broken = broken

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        if sql.startswith("INSERT INTO protogen_entries") and self._broken in parameters:
            super().execute("ROLLBACK")
            raise error(sqlite3.SQLITE_FULL)
        return super().execute(sql, parameters)


def test_decision_that_rested_on_a_lost_neighbour_is_made_again(folder: Path) -> None:
    """Two want one key; the group of the first fails, and then only the second may have it."""
    armed = [False]
    attempts: list[str] = []

    async def run() -> None:
        watch = failing_once(lambda sql: armed[0] and sql == "COMMIT", error(sqlite3.SQLITE_FULL))
        async with opened(folder, connect=partial(Watched, watch=watch)) as store:

            def first(transaction: Transaction) -> None:
                attempts.append("first")
                transaction.write(note("key"))
                if attempts.count("first") == 2:
                    raise KeyError("decided otherwise")

            outcomes: list[str] = []

            async def take(number: int) -> None:
                try:
                    await (store.transact(first) if number == 0 else store.write(note("key")))
                except (KeyError, KeyTaken) as raised:
                    outcomes.append(f"{number} {type(raised).__name__}")
                else:
                    outcomes.append(f"{number} done")

            held = Held()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.transact, held)
                await held.begun()
                nursery.start_soon(take, 0)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(take, 1)
                await trio.testing.wait_all_tasks_blocked()
                armed[0] = True
                held.let_go()
            assert attempts == ["first", "first"]
            assert sorted(outcomes) == ["0 KeyError", "1 done"]

    trio.run(run)


def test_after_a_failed_sync_nothing_more_is_written_and_reading_goes_on(folder: Path) -> None:
    armed = [False]

    async def run() -> None:
        watch = failing_once(lambda sql: armed[0] and sql == "COMMIT", error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O"))
        async with opened(folder, connect=partial(Watched, watch=watch)) as store:
            await store.write(note("before"))
            armed[0] = True
            for attempt in (note("lost"), note("after")):
                with pytest.raises(StoreFailed, match="did not confirm"):
                    await store.write(attempt)
            assert await notes(store) == ["before"]

    trio.run(run)


def test_failing_read_is_an_error_of_its_reader_alone(folder: Path) -> None:
    async def run() -> None:
        watch = failing_once(lambda sql: sql.startswith('SELECT "key"'), error(sqlite3.SQLITE_IOERR_READ))
        async with opened(folder, connect=partial(Watched, watch=watch), readers=1) as store:
            with pytest.raises(StoreFailed, match="made up"):
                await store.read(Get("notes", "a"))
            assert await store.read(Get("notes", "a")) is None

    trio.run(run)


def test_work_that_ends_the_transaction_of_its_group_fails_alone(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:

            def end_it(turn: Any) -> None:
                turn.tables._connection.execute("COMMIT")

            with pytest.raises(StoreFailed, match="ended from within"):
                await store._writing.do(end_it)
            await store.write(note("after"))
            assert await notes(store) == ["after"]

    trio.run(run)


def test_closing_finishes_what_callers_wait_for(folder: Path) -> None:
    outcomes: list[str] = []

    async def run() -> None:
        async with trio.open_nursery() as nursery, opened(folder) as store:

            async def write(key: str) -> None:
                try:
                    await store.write(note(key))
                except StoreClosed:
                    outcomes.append("closed")
                else:
                    outcomes.append("done")

            held = Held()
            nursery.start_soon(store.transact, held)
            await held.begun()
            for number in range(40):
                nursery.start_soon(write, f"n{number}")
            await trio.testing.wait_all_tasks_blocked()
            held.let_go()
        assert outcomes == ["done"] * 40
        async with opened(folder) as again:
            assert len(await notes(again)) == 40

    trio.run(run)


def test_closing_leaves_no_thread_and_no_descriptor(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            await store.put_blob(b"x" * 300_000)

    def threads() -> set[str]:
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("protogen-store")}

    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    trio.run(run)
    before = descriptors()
    trio.run(run)
    assert threads() == set()
    assert descriptors() == before


def test_dropped_file_goes_with_the_commit_and_stays_without(folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as store:
            blob = await store.put_blob(b"x" * 300_000)

            def drop_and_stop(transaction: Transaction) -> None:
                transaction.write(DropBlobs([blob.digest]))
                raise KeyError

            with pytest.raises(KeyError):
                await store.transact(drop_and_stop)
            assert len(await read_blob(store, blob.digest)) == 300_000
            await store.write(DropBlobs([blob.digest]))
            assert [it for it in (folder / "store.db.blobs").rglob("*") if it.is_file()] == []

    trio.run(run)


def test_file_of_a_blob_outlives_a_drop_that_could_not_be_committed(folder: Path) -> None:
    armed = [False]

    async def run() -> None:
        watch = failing_once(lambda sql: armed[0] and sql == "COMMIT", error(sqlite3.SQLITE_FULL))
        async with opened(folder, connect=partial(Watched, watch=watch)) as store:
            blob = await store.put_blob(b"x" * 300_000)
            armed[0] = True
            with pytest.raises(StoreFull):
                await store.write(DropBlobs([blob.digest]))
            await store.write(note("after"))
            assert len(await read_blob(store, blob.digest)) == 300_000

    trio.run(run)
