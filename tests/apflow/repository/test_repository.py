"""What stands between operations and the store: commits, memory and the order of consequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from apflow_protocol import TasksCreateParams
from node_rig import CountedIds, Rig, in_no_time, in_trio, open_rig, task

from protogen_runtime.apflow.cache import EntryCache
from protogen_runtime.apflow.commits import View
from protogen_runtime.apflow.records import SCHEMA, TASKS, Entry, entry_of, patch_of
from protogen_runtime.apflow.repository import Tasks, open_tasks
from protogen_runtime.apflow.rules import creation, transitions
from protogen_runtime.store import (
    Conflict,
    ExpectationFailed,
    Insert,
    Record,
    Store,
    StoreFull,
    Transaction,
    open_store,
)

NOW = "2026-01-01T00:00:00.000000Z"
new_id = CountedIds()


def entry(user: str | None = None) -> Entry:
    made = creation.create(TasksCreateParams(name="n"), id=new_id(), now=NOW, user_id=user)
    return entry_of(made, root=made.id, in_run=False)


def cancelled(before: Entry) -> Entry:
    return entry_of(transitions.cancel(before.task, now=NOW), root=before.root, in_run=False)


# --- cache ------------------------------------------------------------------------------------------


def test_the_cache_keeps_what_was_used_last_within_its_bound() -> None:
    first, second, third = entry(), entry(), entry()
    cache = EntryCache(first.size_bytes + second.size_bytes + 10)
    cache.put(first)
    cache.put(second)
    assert cache.get(first.key) is first
    cache.put(third)
    assert [cache.peek(it.key) for it in (first, second, third)] == [first, None, third]
    assert cache.size_bytes == first.size_bytes + third.size_bytes


def test_new_tasks_do_not_drive_others_out() -> None:
    first, second = entry(), entry()
    cache = EntryCache(first.size_bytes + 10)
    cache.put(first, is_new=True)
    cache.put(second, is_new=True)
    assert (cache.peek(first.key), cache.peek(second.key)) == (first, None)


def test_what_was_read_before_a_change_does_not_replace_it() -> None:
    before = entry()
    after = cancelled(before)
    cache = EntryCache(10_000)
    fetch = cache.begin_fetch()
    cache.put(after)
    cache.end_fetch(fetch, [before])
    assert cache.peek(before.key) is after
    fetch = cache.begin_fetch()
    cache.discard(before.key)
    cache.end_fetch(fetch, [before])
    assert cache.peek(before.key) is None
    fetch = cache.begin_fetch()
    cache.end_fetch(fetch, [after])
    assert cache.peek(before.key) is after


# --- commits ----------------------------------------------------------------------------------------


@in_trio
async def test_a_decision_that_raises_changes_nothing_and_bothers_nobody() -> None:
    async with open_store("memory:", SCHEMA) as store, open_tasks(store) as tasks:
        good, bad = entry(), entry()
        answers: dict[str, Any] = {}

        def refuse(view: View) -> None:
            view.insert(bad, [])
            raise LookupError("no")

        async def commit(name: str, decision: Callable[[View], None]) -> None:
            try:
                await tasks.commit(decision)
                answers[name] = None
            except LookupError as error:
                answers[name] = str(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, "bad", refuse)
            nursery.start_soon(commit, "good", lambda view: view.insert(good, []))
        assert answers == {"bad": "no", "good": None}
        assert await tasks.find(bad.key) is None
        assert await tasks.find(good.key) == good
        assert tasks.count() == 1


@in_trio
async def test_decisions_of_one_transaction_see_each_other() -> None:
    async with open_store("memory:", SCHEMA) as store:
        first = entry()
        made = creation.create(TasksCreateParams(name="c", parent_id=first.key), id=new_id(), now=NOW)
        child = entry_of(made, root=first.key, in_run=False)
        seen: list[Any] = []

        def look(view: View) -> None:
            found = view.get(first.key)
            children = [it.key for it in view.children(first.key)]
            seen.append((found and found.status, children, view.dependants(first.key), len(view.flow(first.key))))

        def together(transaction: Transaction) -> None:
            view = View(transaction, lambda _: None)
            for decision in (
                lambda view: view.insert(first, []),
                lambda view: view.insert(child, [first.key]),
                look,
                lambda view: view.change(first, cancelled(first)),
                lambda view: view.delete(child, [first.key]),
                look,
            ):
                view.decide(decision)
            view.flush()

        await store.transact(together)
        assert seen == [("pending", [child.key], [child.key], 2), ("cancelled", [], [], 1)]


@in_trio
async def test_consequences_follow_in_the_order_of_decisions() -> None:
    async with open_store("memory:", SCHEMA) as store, open_tasks(store) as tasks:
        decided: list[int] = []
        followed: list[int] = []

        def numbered(number: int) -> Callable[[View], int]:
            def decide(_: View) -> int:
                decided.append(number)
                return number

            return decide

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(lambda number=number: tasks.commit(numbered(number), then=followed.append))
        assert sorted(followed) == list(range(200))
        assert followed == decided


@in_trio
async def test_a_decision_that_waits_can_be_withdrawn() -> None:
    async with open_store("memory:", SCHEMA) as store, open_tasks(store) as tasks:
        made = entry()
        with trio.CancelScope() as scope:
            scope.cancel()
            await tasks.commit(lambda view: view.insert(made, []))
        assert scope.cancelled_caught
        assert await tasks.find(made.key) is None


@in_trio
async def test_what_somebody_else_wrote_is_noticed_by_the_compare_and_set() -> None:
    async with open_store("memory:", SCHEMA) as store, open_tasks(store) as tasks:
        made, other = entry(), entry()
        await tasks.commit(lambda view: view.insert(made, []))
        foreign = cancelled(made)
        record = Record(made.key, foreign.document, {"status": "cancelled", "root": made.root})
        await store.write(Insert(TASKS, [record], existing="replace"))
        errors: list[Exception] = []

        async def clash() -> None:
            try:
                await tasks.commit(lambda view: view.change(made, cancelled(made)))
            except Conflict as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(clash)
            nursery.start_soon(tasks.commit, lambda view: view.insert(other, []))
        assert len(errors) == 1
        assert await tasks.find(other.key) == other


async def in_one_commit(tasks: Tasks, *decisions: Callable[[View], None]) -> list[Exception | None]:
    """What each decision raised, where all of them wait before the first is made."""
    errors: list[Exception | None] = [None] * len(decisions)

    async def commit(index: int) -> None:
        try:
            await tasks.commit(decisions[index])
        except Conflict as error:
            errors[index] = error

    async with trio.open_nursery() as running:
        async with trio.open_nursery() as waiting:
            for index in range(len(decisions)):
                waiting.start_soon(commit, index)
                await trio.testing.wait_all_tasks_blocked()
            running.start_soon(tasks.committer.run)
        tasks.committer.close()
    return errors


@in_trio
async def test_those_who_decide_after_a_clash_see_what_those_before_them_changed() -> None:
    async with open_store("memory:", SCHEMA) as store:
        made, clashing = entry(), entry()
        async with open_tasks(store) as tasks:
            await tasks.commit(lambda view: view.insert(made, []))
            await tasks.commit(lambda view: view.insert(clashing, []))
        record = Record(clashing.key, clashing.document, {"status": "failed", "root": clashing.root})
        await store.write(Insert(TASKS, [record], existing="replace"))
        seen: list[str | None] = []

        def look(view: View) -> None:
            found = view.get(made.key)
            seen.append(found and found.status)

        tasks = Tasks(store)
        await tasks.load()
        assert await tasks.find(made.key)
        errors = await in_one_commit(
            tasks,
            lambda view: view.change(made, cancelled(made)),
            lambda view: view.change(clashing, cancelled(clashing)),
            look,
        )
        assert [type(error) for error in errors] == [type(None), ExpectationFailed, type(None)]
        assert seen[-1] == "cancelled"


@in_trio
@pytest.mark.parametrize("last", [[], ["b", "c"]])
async def test_dependencies_changed_twice_in_one_commit(last: list[str]) -> None:
    async with open_store("memory:", SCHEMA) as store:
        tasks = Tasks(store)
        errors = await in_one_commit(
            tasks, lambda view: view.depend("a", [], ["b"]), lambda view: view.depend("a", ["b"], last)
        )
        assert errors == [None, None]
        found: dict[str, list[str]] = {}
        async with open_tasks(store) as tasks:
            await tasks.commit(lambda view: found.update({key: view.dependants(key) for key in "bc"}))
        assert found == {key: ["a"] if key in last else [] for key in "bc"}


def test_a_patch_holds_what_changed_and_the_status_it_relies_on() -> None:
    before = entry()
    patch = patch_of(before, cancelled(before))
    assert patch.when == {"status": "pending"}
    assert patch.fields == {"status": "cancelled"}
    assert patch_of(before, before).document is None


# --- counts -----------------------------------------------------------------------------------------


@in_trio
async def test_counts_are_right_after_changes_and_after_a_restart() -> None:
    async with open_store("memory:", SCHEMA) as store:
        async with open_tasks(store) as tasks:
            made = [entry(user) for user in (None, None, "a", "a", "b", "ü")]
            for it in made:
                await tasks.commit(lambda view, it=it: view.insert(it, []))
            await tasks.commit(lambda view: view.change(made[2], cancelled(made[2])))
            await tasks.commit(lambda view: view.delete(made[0], []))
            before = counts(tasks)
        async with open_tasks(store) as tasks:
            assert counts(tasks) == before == [5, 1, 2, 1, 1, 1, 4]


def counts(tasks: Tasks) -> list[int]:
    owners: list[str | None] = [None, "a", "b", "ü"]
    return [
        tasks.count(),
        *(tasks.count(owner=owner) for owner in owners),
        tasks.count(status="cancelled"),
        tasks.count(status="pending"),
    ]


# --- a full disk ------------------------------------------------------------------------------------


class Full:
    """A store that has no space for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def transact(self, work: Any) -> Any:
        if self.is_full:
            raise StoreFull("no space")
        return await self._store.transact(work)


@in_no_time
async def test_tasks_wait_while_the_disk_is_full_and_then_go_on() -> None:
    async with open_store("memory:", SCHEMA) as opened:
        store = Full(opened)
        async with open_rig(store=store) as rig:  # type: ignore[arg-type]  # all that is used of it
            given = task()
            await rig.execute(given)
            await rig.gate.wait_started(str(given.id))
            store.is_full = True
            rig.gate.end(str(given.id))
            await refused(rig)
            await trio.sleep(10)
            assert await rig.status(str(given.id)) == "in_progress"
            store.is_full = False
            await rig.manager.wait_idle()
            assert await rig.status(str(given.id)) == "completed"
            assert rig.gate.started == [given.id]


async def refused(rig: Rig) -> None:
    with pytest.raises(StoreFull):
        await rig.create()
