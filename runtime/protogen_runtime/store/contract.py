"""The contract: what every store must do, as tests that anybody runs against a store of their own.

    class TestMyStore(DurableStoreContract):
        @pytest.fixture
        def opener(self, tmp_path):
            return lambda schema: open_my_store(tmp_path / "data", schema)

An `opener` opens one and the same place each time it is called within a test, and another one in every test. Put
`pytest.register_assert_rewrite("protogen_runtime.store.contract")` into conftest.py to see the values of what fails.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, TypeAlias

import pytest
import trio

from .blobs import collect_blobs, read_blob
from .errors import BlobMissing, BlobTooLarge, CannotOpen, ExpectationFailed, KeyTaken, Misuse, StoreClosed
from .interface import Schema, Snapshot, Store, Transaction
from .model import (
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
    Patch,
    Query,
    Record,
    Select,
    Update,
    Value,
)
from .model import Collection as Records
from .walk import each, remove_all

Opener: TypeAlias = Callable[[Schema], AbstractAsyncContextManager[Store]]

PATIENCE: Final = 60
"""Seconds after which a test that waits has failed."""

SCHEMA: Final = Schema(
    application="contract",
    collections=[
        Records(
            "tasks",
            {"status": "text", "priority": "integer", "progress": "number", "parent": "text"},
            [("status", "priority"), ("parent",), ("parent", "-priority", "progress")],
            [("parent", "status"), ("priority",)],
        ),
        Records("notes"),
    ],
)

Scenario: TypeAlias = Callable[[Any, Store], Awaitable[None]]


def with_store(scenario: Scenario) -> Callable[[Any, Opener], None]:
    """Turn a coroutine that takes a store into a test that opens one with SCHEMA."""

    def test(self: Any, opener: Opener) -> None:
        async def run() -> None:
            with trio.fail_after(PATIENCE):
                async with opener(SCHEMA) as store:
                    await scenario(self, store)

        trio.run(run)

    test.__name__ = test.__qualname__ = getattr(scenario, "__name__", "test")
    return test


def task(key: str, status: str | None = "ready", priority: int | None = 2, **fields: Any) -> Record:
    """A record for `tasks`."""
    return Record(key, f'{{"id":"{key}"}}'.encode(), {"status": status, "priority": priority, **fields})


async def keys(store: Store, *where: Condition, order: Sequence[str] = ()) -> list[str]:
    """Keys of the tasks that meet conditions, in order."""
    page = await store.read(Select("tasks", where, order))
    return [record.key for record in page.records]


async def statuses(store: Store) -> dict[str, Any]:
    """Status of every task by key."""
    page = await store.read(Select("tasks"))
    return {record.key: record.fields["status"] for record in page.records}


def sha256(data: bytes) -> str:
    """Digest of bytes as blobs have it."""
    return hashlib.sha256(data).hexdigest()


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """Chunks as `put_blob` takes them."""
    for chunk in chunks:
        await trio.lowlevel.checkpoint()
        yield chunk


class Stop(Exception):
    """What functions of these tests raise."""


# What a query with one condition finds among these records.
FIND_RECORDS: Final = [
    task("a", "ready", 1, progress=0.5),
    task("B", "done", 2, progress=-1.25, parent="a"),
    task("c", None, None),
    task("é", "ready", -(2**63), parent="a"),
    task("😀", "waiting", 2**63 - 1, progress=1e308, parent="B"),
    task("\uffff", "", 0, progress=0.0, parent="ä"),
]
FIND: Final[list[tuple[Sequence[Condition], list[str]]]] = [
    ((), ["a", "B", "c", "é", "😀", "\uffff"]),
    ((Equal("key", "é"),), ["é"]),
    ((Equal("key", "É"),), []),
    ((Equal("status", "ready"),), ["a", "é"]),
    ((Equal("status", None),), ["c"]),
    ((Equal("status", ""),), ["\uffff"]),
    ((Equal("status", "READY"),), []),
    ((Equal("priority", 2**63 - 1),), ["😀"]),
    ((Equal("priority", -(2**63)),), ["é"]),
    ((Equal("progress", -1.25),), ["B"]),
    ((Equal("progress", 0),), ["\uffff"]),
    ((Equal("parent", "a"), Equal("status", "done")), ["B"]),
    ((Equal("parent", "a"), Equal("status", "nowhere")), []),
    ((OneOf("status", ("ready", "done", "ready")),), ["a", "B", "é"]),
    ((OneOf("status", ()),), []),
    ((OneOf("priority", (1, 2, 2**63 - 1)),), ["a", "B", "😀"]),
    ((OneOf("key", ("😀", "a", "missing", '"', "%")),), ["a", "😀"]),
    ((Compare("priority", "<", 1),), ["é", "\uffff"]),
    ((Compare("priority", "<=", 1),), ["a", "é", "\uffff"]),
    ((Compare("priority", ">", 1), Compare("priority", "<", 2**63 - 1)), ["B"]),
    ((Compare("progress", ">=", 0.5),), ["a", "😀"]),
    ((Compare("status", ">", ""),), ["a", "B", "é", "😀"]),
    ((Compare("key", "<", "a"),), ["B"]),
    ((Compare("key", ">=", "\uffff"),), ["😀", "\uffff"]),
    ((Compare("arrival", ">", 0), Equal("parent", None)), ["a", "c"]),
]
ORDER: Final[list[tuple[Sequence[str], list[str]]]] = [
    ((), ["a", "B", "c", "é", "😀", "\uffff"]),
    (("key",), ["B", "a", "c", "é", "\uffff", "😀"]),
    (("-key",), ["😀", "\uffff", "é", "c", "a", "B"]),
    (("-arrival",), ["\uffff", "😀", "é", "c", "B", "a"]),
    (("priority",), ["c", "é", "\uffff", "a", "B", "😀"]),
    (("-priority",), ["😀", "B", "a", "\uffff", "é", "c"]),
    (("progress",), ["c", "é", "B", "\uffff", "a", "😀"]),
    (("status",), ["c", "\uffff", "B", "a", "é", "😀"]),
    (("-status",), ["😀", "a", "é", "B", "\uffff", "c"]),
    (("status", "-priority"), ["c", "\uffff", "B", "a", "é", "😀"]),
    (("parent",), ["a", "c", "😀", "B", "é", "\uffff"]),
]
GOOD_DIGEST: Final = "0" * 64
MISUSED: Final[list[Query[Any] | Change[Any]]] = [
    Get("nothing", "a"),
    Get("tasks", "a\0"),
    Get("tasks", "\ud800"),
    Get("tasks", "x" * 4097),
    Select("nothing"),
    Select("tasks", [Equal("document", "x")]),
    Select("tasks", [Equal("colour", "x")]),
    Select("tasks", [Equal("status", 1)]),
    Select("tasks", [Equal("priority", "1")]),
    Select("tasks", [Equal("priority", True)]),
    Select("tasks", [Equal("priority", 1.0)]),
    Select("tasks", [Equal("priority", 2**63)]),
    Select("tasks", [Equal("progress", float("nan"))]),
    Select("tasks", [Equal("progress", 2**53 + 1)]),
    Select("tasks", [OneOf("status", "ready")]),
    Select("tasks", [OneOf("progress", [1])]),
    Select("tasks", [OneOf("status", ["ready", 1])]),
    Select("tasks", order=["colour"]),
    Select("tasks", order=["--key"]),
    Select("tasks", limit=-1),
    Select("tasks", offset=-1),
    Entries("j\0"),
    Entries("j", limit=-1),
    Blobs(["no digest"]),
    Blobs(limit=-1),
    Insert("nothing", [task("a")]),
    Insert("tasks", [task("a"), task("b", colour="red")]),
    Insert("tasks", [task("a"), task("b", progress=float("inf"))]),
    Insert("tasks", [task("a"), task("b\0")]),
    Insert("tasks", [task("a"), Record("b", "text")]),  # type: ignore[arg-type]  # what a caller may do all the same
    Update("tasks", [Patch(key="a", fields={"key": "b"})]),
    Update("tasks", [Patch(key="a", when={"colour": "red"})]),
    Claim("tasks", [Equal("colour", "red")], {"status": "x"}),
    Claim("tasks", [], {"colour": "red"}),
    Claim("tasks", [], {"status": "x"}, limit=-1),
    Delete("tasks", [Equal("colour", "red")]),
    Delete("tasks", [], limit=-1),
    Check("tasks", [Equal("colour", "red")]),
    Append("j\0", [b""]),
    Append("j", ["text"]),  # type: ignore[list-item]  # what a caller may do all the same
    DropJournals(["j\0"]),
    DropBlobs([GOOD_DIGEST.upper().replace("0", "A")]),
]


class StoreContract:
    """What every store does."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Opens the store under test; to be replaced."""
        raise NotImplementedError("give your class a fixture `opener`")

    # --- records ----------------------------------------------------------------------------------

    @with_store
    async def test_records_are_read_back_whole(self, store: Store) -> None:
        document = bytes(range(256)) * 40
        fields: dict[str, Value] = {"status": "réady", "priority": -(2**63), "progress": 0.1, "parent": None}
        assert await store.write(Insert("tasks", [Record("kéy", document, fields)])) == ("kéy",)
        assert await store.read(Get("tasks", "kéy")) == Record("kéy", document, fields, 1)

    @with_store
    async def test_fields_left_out_are_none(self, store: Store) -> None:
        await store.write(Insert("tasks", [Record("a", b"")]))
        record = await store.read(Get("tasks", "a"))
        assert record is not None
        assert record.fields == {"status": None, "priority": None, "progress": None, "parent": None}

    @with_store
    async def test_collection_without_fields_keeps_documents(self, store: Store) -> None:
        await store.write(Insert("notes", [Record("a", b"one"), Record("b", b"two")]))
        assert (await store.read(Select("notes"))).records == (Record("a", b"one", {}, 1), Record("b", b"two", {}, 2))

    @with_store
    async def test_missing_record_is_none(self, store: Store) -> None:
        assert await store.read(Get("tasks", "nobody")) is None

    @with_store
    async def test_records_arrive_in_their_order_and_places_are_not_given_again(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("z"), task("y")]))
        await store.write(Delete("tasks", [Equal("key", "y")]))
        await store.write(Insert("tasks", [task("x"), task("y")]))
        page = await store.read(Select("tasks"))
        assert [record.key for record in page.records] == ["z", "x", "y"]
        arrivals = [record.arrival for record in page.records]
        assert arrivals == sorted(set(arrivals))
        assert arrivals[1] > 2

    @with_store
    async def test_taken_key_refuses_the_whole_insertion(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "old")]))
        with pytest.raises(KeyTaken) as refused:
            await store.write(Insert("tasks", [task("b"), task("a", "new"), task("c")]))
        assert (refused.value.collection, refused.value.key) == ("tasks", "a")
        assert await statuses(store) == {"a": "old"}

    @with_store
    async def test_same_key_twice_in_one_insertion_is_taken(self, store: Store) -> None:
        with pytest.raises(KeyTaken):
            await store.write(Insert("tasks", [task("a"), task("a")]))
        assert await statuses(store) == {}

    @with_store
    async def test_insertion_can_keep_what_is_there(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "old")]))
        assert await store.write(Insert("tasks", [task("a", "new"), task("b", "new")], "keep")) == ("b",)
        assert await statuses(store) == {"a": "old", "b": "new"}

    @with_store
    async def test_insertion_can_replace_what_is_there_at_its_place(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "old", progress=0.5), task("b", "old")]))
        written = await store.write(Insert("tasks", [task("a", "new"), task("c", "new")], "replace"))
        assert written == ("a", "c")
        page = await store.read(Select("tasks"))
        assert [(it.key, it.fields["status"], it.fields["progress"]) for it in page.records] == [
            ("a", "new", None),
            ("b", "old", None),
            ("c", "new", None),
        ]

    @with_store
    async def test_update_changes_what_it_names_and_nothing_else(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", parent="p"), task("b")]))
        patch = Patch(key="a", fields={"status": "done", "progress": 1.0})
        assert await store.write(Update("tasks", [patch])) == ("a",)
        expected: dict[str, Value] = {"status": "done", "priority": 2, "progress": 1.0, "parent": "p"}
        assert await store.read(Get("tasks", "a")) == Record("a", b'{"id":"a"}', expected, 1)
        assert await store.write(Update("tasks", [Patch(key="a", document=b"new", fields={"parent": None})])) == ("a",)
        assert await store.read(Get("tasks", "a")) == Record("a", b"new", {**expected, "parent": None}, 1)
        assert (await statuses(store))["b"] == "ready"

    @with_store
    async def test_index_follows_an_update(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "one"), task("b", "one")]))
        await store.write(Update("tasks", [Patch(key="a", fields={"status": "two"})]))
        assert await keys(store, Equal("status", "one")) == ["b"]
        assert await keys(store, Equal("status", "two")) == ["a"]

    @with_store
    async def test_compare_and_set_writes_once(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "pending", None)]))
        start = Update("tasks", [Patch(key="a", when={"status": "pending", "priority": None}, fields={"status": "on"})])
        assert await store.write(start) == ("a",)
        with pytest.raises(ExpectationFailed) as lost:
            await store.write(start)
        assert lost.value.place == "tasks"
        assert await statuses(store) == {"a": "on"}

    @with_store
    async def test_missed_patch_refuses_the_whole_update_or_is_skipped(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "one"), task("b", "two"), task("c", "one")]))
        patches = [Patch(key=key, when={"status": "one"}, fields={"status": "three"}) for key in ("a", "b", "no", "c")]
        with pytest.raises(ExpectationFailed):
            await store.write(Update("tasks", patches))
        assert await statuses(store) == {"a": "one", "b": "two", "c": "one"}
        assert await store.write(Update("tasks", patches, "skip")) == ("a", "c")
        assert await statuses(store) == {"a": "three", "b": "two", "c": "three"}

    @with_store
    async def test_patches_see_those_before_them(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "one")]))
        patches = [
            Patch(key="a", when={"status": old}, fields={"status": new})
            for old, new in (("one", "two"), ("two", "three"))
        ]
        assert await store.write(Update("tasks", patches)) == ("a", "a")
        assert await statuses(store) == {"a": "three"}

    @with_store
    async def test_patch_without_changes_asks_whether_the_record_is_so(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "one")]))
        patches = [Patch(key="a", when={"status": "one"}), Patch(key="a", when={"status": "two"})]
        assert await store.write(Update("tasks", patches, "skip")) == ("a",)

    @with_store
    async def test_claim_takes_the_first_in_order_and_shows_them_changed(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", priority=3), task("b", priority=1), task("c", priority=1)]))
        claim = Claim("tasks", [Equal("status", "ready")], {"status": "on", "progress": 0.0}, ["priority"], 2)
        claimed = await store.write(claim)
        assert [(it.key, it.document, it.fields["status"], it.fields["progress"]) for it in claimed] == [
            ("b", b'{"id":"b"}', "on", 0.0),
            ("c", b'{"id":"c"}', "on", 0.0),
        ]
        assert [it.key for it in await store.write(claim)] == ["a"]
        assert await store.write(claim) == ()
        assert await keys(store, Equal("status", "on")) == ["a", "b", "c"]

    @with_store
    async def test_claim_without_limit_changes_all_and_may_leave_documents_out(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a"), task("b", "done"), task("c")]))
        claimed = await store.write(Claim("tasks", [Equal("status", "ready")], {"status": "off"}, documents=False))
        assert [(it.key, it.document) for it in claimed] == [("a", b""), ("c", b"")]
        assert await statuses(store) == {"a": "off", "b": "done", "c": "off"}
        document = await store.read(Get("tasks", "a"))
        assert document is not None
        assert document.document == b'{"id":"a"}'

    @with_store
    async def test_delete_removes_what_meets_the_conditions(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "one"), task("b", "two"), task("c", "one")]))
        assert await store.write(Delete("tasks", [Equal("status", "one")])) == 2
        assert await store.write(Delete("tasks", [Equal("status", "one")])) == 0
        assert await keys(store) == ["b"]
        assert await keys(store, Equal("status", "one")) == []

    @with_store
    async def test_delete_of_another_number_than_expected_removes_nothing(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", "pending")]))
        for where in ([Equal("key", "b")], [Equal("key", "a"), Equal("status", "done")]):
            with pytest.raises(ExpectationFailed):
                await store.write(Delete("tasks", where, expect=1))
        with pytest.raises(ExpectationFailed):
            await store.write(Delete("tasks", (), expect=0))
        assert await keys(store) == ["a"]
        assert await store.write(Delete("tasks", [Equal("key", "a"), Equal("status", "pending")], expect=1)) == 1

    @with_store
    async def test_delete_takes_the_first_to_arrive(self, store: Store) -> None:
        await store.write(Insert("tasks", [task(f"t{number}", ("on", "off")[number % 2]) for number in range(9)]))
        assert await store.write(Delete("tasks", [Equal("status", "on")], limit=2)) == 2
        assert await keys(store) == ["t1", "t3", "t4", "t5", "t6", "t7", "t8"]
        with pytest.raises(ExpectationFailed):
            await store.write(Delete("tasks", [Equal("status", "on")], expect=3, limit=2))
        assert await store.write(Delete("tasks", (), limit=0)) == 0
        assert await remove_all(store, "tasks", [OneOf("status", ("on", "nothing"))], at_once=2) == 3
        assert await keys(store) == ["t1", "t3", "t5", "t7"]
        assert await remove_all(store, "tasks", [], at_once=2) == 4
        assert await keys(store) == []

    @with_store
    async def test_check_counts_and_guards(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a"), task("b", parent="a"), task("c", parent="a")]))
        children = [Equal("parent", "a")]
        assert await store.write(Check("tasks", children, least=2)) == 2
        assert await store.write(Check("tasks", children, most=2)) == 2
        for least, most in ((3, None), (0, 1), (0, 0)):
            with pytest.raises(ExpectationFailed):
                await store.write(Check("tasks", children, least, most))

    # --- questions --------------------------------------------------------------------------------

    @with_store
    async def test_conditions_find_what_they_say(self, store: Store) -> None:
        await store.write(Insert("tasks", FIND_RECORDS))
        found = [(where, await keys(store, *where)) for where, _ in FIND]
        assert found == FIND

    @with_store
    async def test_order_is_what_was_asked_and_then_arrival(self, store: Store) -> None:
        await store.write(Insert("tasks", FIND_RECORDS))
        found = [(order, await keys(store, order=order)) for order, _ in ORDER]
        assert found == ORDER

    @with_store
    async def test_pages_cover_everything_once_and_tell_the_total(self, store: Store) -> None:
        await store.write(Insert("tasks", [task(f"t{number}", priority=number % 3) for number in range(25)]))
        seen: list[str] = []
        for offset in range(0, 30, 10):
            page = await store.read(
                Select("tasks", [Compare("priority", "<", 2)], ["-priority"], limit=10, offset=offset, total=True)
            )
            assert page.total == 17
            seen += [record.key for record in page.records]
        by_priority = [f"t{n}" for n in range(25) if n % 3 == 1] + [f"t{n}" for n in range(25) if n % 3 == 0]
        assert seen == by_priority

    @with_store
    async def test_first_records_are_the_same_with_and_without_an_index(self, store: Store) -> None:
        chance = random.Random(12)
        records = [
            task(
                f"t{number}",
                chance.choice(("ready", "on", "done", None)),
                chance.choice((None, 0, 1, 2)),
                progress=chance.choice((None, 0.5)),
                parent=chance.choice((None, "a", "b", "c")),
            )
            for number in range(80)
        ]
        await store.write(Insert("tasks", records))
        await store.write(Delete("tasks", [Equal("parent", "c"), Equal("status", "on")]))
        wheres: list[list[Condition]] = [
            [Equal("status", "on")],
            [OneOf("status", ("done", "ready", "done"))],
            [OneOf("status", ("ready", "done")), Equal("parent", "a")],
            [OneOf("parent", ("b", "nowhere")), OneOf("status", ("on", "ready"))],
            [OneOf("parent", ("a", "b", "c")), Compare("arrival", ">", 20)],
            [Equal("parent", None), Compare("priority", ">", 0)],
            [OneOf("parent", ()), Equal("status", "on")],
            [Equal("parent", "a"), OneOf("parent", ("a", "b"))],
        ]
        orders = [(), ("priority",), ("-arrival",), ("-priority", "progress"), ("-priority", "-progress"), ("-key",)]
        for where in wheres:
            for order in orders:
                whole = await keys(store, *where, order=order)
                for offset, limit in ((0, 3), (2, 5), (7, 100)):
                    page = await store.read(Select("tasks", where, order, limit, offset, total=True))
                    assert [it.key for it in page.records] == whole[offset : offset + limit], (where, order)
                    assert page.total == len(whole), where
                    assert len({*whole}) == len(whole)

    @with_store
    async def test_totals_follow_every_change(self, store: Store) -> None:
        wheres: list[list[Condition]] = [
            [],
            [Equal("parent", "a")],
            [Equal("parent", None)],
            [Equal("status", "on")],
            [Equal("parent", "a"), Equal("status", None)],
            [Equal("parent", None), OneOf("status", ("on", "off", "on"))],
            [OneOf("parent", ("a", "b"))],
            [OneOf("priority", (1, 2))],
            [Equal("priority", None)],
            [Equal("status", "on"), Equal("status", "off")],
            [Equal("parent", "a"), Compare("status", ">", "o")],
        ]

        async def compare() -> None:
            for where in wheres:
                found = len((await store.read(Select("tasks", where))).records)
                assert (await store.read(Select("tasks", where, limit=0, total=True))).total == found, where
                assert await store.write(Check("tasks", where, found, found)) == found

        records = [
            task(f"t{number}", ("on", "off", None)[number % 3], (1, 2, None)[number % 5 % 3], parent=parent)
            for number, parent in enumerate(("a", "b", None) * 6)
        ]
        changes: list[Change[Any]] = [
            Insert("tasks", records),
            Insert("tasks", [task("t1", "on", 7, parent="a"), task("new", "on", parent="a")], "keep"),
            Insert("tasks", [task("t2", "on", 7, parent="a"), task("more", "off")], "replace"),
            Update("tasks", [Patch(key="t3", fields={"status": "off"}), Patch(key="t4", fields={"progress": 1.0})]),
            Update("tasks", [Patch(key="t5", fields={"parent": None, "priority": None})]),
            Update("tasks", [Patch(key="t6", fields={"status": "off"}), Patch(key="nobody")]),
            Claim("tasks", [Equal("parent", "b")], {"status": "on", "parent": "a"}, limit=3),
            Insert("tasks", [task("fresh"), task("t1")]),
            Delete("tasks", [Equal("status", "off")]),
            Delete("tasks", [Equal("parent", "a")], expect=1000),
            Delete("tasks", []),
            Insert("tasks", records),
        ]
        await compare()
        for change in changes:
            with suppress(KeyTaken, ExpectationFailed):
                await store.write(change)
            await compare()

    @with_store
    async def test_records_are_walked_in_the_order_of_arrival(self, store: Store) -> None:
        await store.write(Insert("tasks", [task(f"t{number}", ("on", "off")[number % 2]) for number in range(25)]))
        await store.write(Delete("tasks", [OneOf("key", [f"t{number}" for number in range(4, 16)])]))
        seen = [it.key async for it in each(store, "tasks", [OneOf("status", ("off", "on"))], at_once=4)]
        assert seen == [f"t{number}" for number in range(25) if not 4 <= number < 16]
        walked: list[str] = []
        async for record in each(store, "tasks", [Equal("status", "on")], at_once=2, documents=False):
            assert record.document == b""
            walked.append(record.key)
            # What it finds may be changed meanwhile, and what arrives is found, too.
            await store.write(Update("tasks", [Patch(key=record.key, fields={"status": "off"})]))
            if record.key == "t24":
                await store.write(Insert("tasks", [task("late", "on")]))
        assert walked == ["t0", "t2", "t16", "t18", "t20", "t22", "t24", "late"]
        assert [it async for it in each(store, "notes")] == []

    @with_store
    async def test_limit_of_nothing_and_offset_beyond_the_end(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a"), task("b")]))
        none = await store.read(Select("tasks", limit=0, total=True))
        beyond = await store.read(Select("tasks", offset=5, total=True))
        assert [(page.records, page.total) for page in (none, beyond)] == [((), 2), ((), 2)]
        assert (await store.read(Select("tasks"))).total is None

    @with_store
    async def test_documents_can_be_left_out(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a")]))
        (record,) = (await store.read(Select("tasks", documents=False))).records
        assert (record.document, record.fields["status"]) == (b"", "ready")

    @with_store
    async def test_thousands_of_values_can_be_asked_for(self, store: Store) -> None:
        await store.write(Insert("tasks", [task(f"t{number}") for number in range(300)]))
        asked = [f"t{number}" for number in range(0, 60_000, 2)]
        assert await keys(store, OneOf("key", asked)) == [f"t{number}" for number in range(0, 300, 2)]

    @with_store
    async def test_misuse_is_refused_and_changes_nothing(self, store: Store) -> None:
        accepted: list[object] = []
        for asked in MISUSED:
            try:
                match asked:
                    case Query():
                        await store.read(asked)
                    case Change():
                        await store.write(asked)
            except Misuse:
                continue
            accepted.append(asked)
        assert accepted == []
        with pytest.raises(Misuse):
            await store.write_all([Insert("tasks", [task("a")]), Delete("nothing", ())])
        assert await statuses(store) == {}

    # --- several changes --------------------------------------------------------------------------

    @with_store
    async def test_changes_are_all_made_and_answered_in_order(self, store: Store) -> None:
        answers = await store.write_all(
            [
                Insert("tasks", [task("a"), task("b")]),
                Update("tasks", [Patch(key="a", fields={"status": "done"})]),
                Check("tasks", [Equal("status", "done")], 1, 1),
                Append("log", [b"one", b"two"]),
                Delete("tasks", [Equal("key", "b")]),
            ]
        )
        assert answers == [("a", "b"), ("a",), 1, 2, 1]
        assert await store.write_all([]) == []

    @with_store
    async def test_one_failing_change_undoes_all(self, store: Store) -> None:
        data = b"blob"
        blob = await store.put_blob(data)
        await store.write_all([Insert("tasks", [task("a", "old")]), Append("log", [b"one"])])
        with pytest.raises(ExpectationFailed):
            await store.write_all(
                [
                    Insert("tasks", [task("b")]),
                    Insert("tasks", [task("a", "new")], "replace"),
                    Claim("tasks", (), {"priority": 9}),
                    Append("log", [b"two"]),
                    Append("other", [b"one"]),
                    DropJournals(["log"]),
                    DropBlobs([blob.digest]),
                    Delete("tasks", [Equal("key", "a")]),
                    Check("tasks", [Equal("key", "a")], least=1),
                ]
            )
        assert (await store.read(Select("tasks"))).records == (
            Record("a", b'{"id":"a"}', {"status": "old", "priority": 2, "progress": None, "parent": None}, 1),
        )
        assert await keys(store, Equal("status", "old")) == ["a"]
        assert await store.read(Entries("log")) == (Entry(1, b"one"),)
        assert await store.read(Entries("other")) == ()
        assert await read_blob(store, blob.digest) == data

    @with_store
    async def test_function_reads_and_changes_as_it_goes(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("a", priority=1)]))

        def raise_priority(transaction: Transaction) -> int:
            record = transaction.read(Get("tasks", "a"))
            assert record is not None
            assert isinstance(record.fields["priority"], int)
            transaction.write(Update("tasks", [Patch(key="a", fields={"priority": record.fields["priority"] + 5})]))
            again = transaction.read(Get("tasks", "a"))
            assert again is not None
            assert isinstance(again.fields["priority"], int)
            return again.fields["priority"]

        assert await store.transact(raise_priority) == 6
        assert await keys(store, Equal("priority", 6)) == ["a"]

    @with_store
    async def test_function_that_raises_changes_nothing(self, store: Store) -> None:
        def change_and_stop(transaction: Transaction) -> None:
            transaction.write(Insert("tasks", [task("a")]))
            transaction.write(Append("log", [b"one"]))
            raise Stop

        with pytest.raises(Stop):
            await store.transact(change_and_stop)
        assert await keys(store) == []
        assert await store.read(Entries("log")) == ()

    @with_store
    async def test_function_can_go_on_after_a_conflict(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("b", "old")]))

        def insert_all(transaction: Transaction) -> str:
            transaction.write(Insert("tasks", [task("a")]))
            try:
                transaction.write(Insert("tasks", [task("c"), task("b", "new"), task("d")]))
            except KeyTaken as taken:
                transaction.write(Append("log", [taken.key.encode()]))
                return taken.key
            return ""

        assert await store.transact(insert_all) == "b"
        assert await statuses(store) == {"b": "old", "a": "ready"}
        assert await store.read(Entries("log")) == (Entry(1, b"b"),)

    @with_store
    async def test_misuse_in_a_function_undoes_it(self, store: Store) -> None:
        def misuse(transaction: Transaction) -> None:
            transaction.write(Insert("tasks", [task("a")]))
            transaction.write(Insert("nothing", [task("a")]))

        with pytest.raises(Misuse):
            await store.transact(misuse)
        assert await keys(store) == []

    @with_store
    async def test_transaction_and_snapshot_are_of_no_use_afterwards(self, store: Store) -> None:
        kept: list[Any] = []
        await store.transact(kept.append)
        await store.snapshot(kept.append)
        for view in kept:
            with pytest.raises(Misuse):
                view.read(Get("tasks", "a"))
        with pytest.raises(Misuse):
            kept[0].write(Insert("tasks", [task("a")]))
        assert await keys(store) == []

    @with_store
    async def test_snapshot_answers_several_questions(self, store: Store) -> None:
        await store.write_all([Insert("tasks", [task("a"), task("b", parent="a")]), Append("log", [b"one"])])

        def family(snapshot: Snapshot) -> tuple[int | None, int]:
            children = snapshot.read(Select("tasks", [Equal("parent", "a")], limit=0, total=True))
            return children.total, len(snapshot.read(Entries("log")))

        assert await store.snapshot(family) == (1, 1)

        def stop(_: Snapshot) -> None:
            raise Stop

        with pytest.raises(Stop):
            await store.snapshot(stop)

    # --- journals ---------------------------------------------------------------------------------

    @with_store
    async def test_journal_numbers_its_entries_from_one(self, store: Store) -> None:
        assert await store.write(Append("run/1", [b"a", b"", bytes(range(256))])) == 3
        assert await store.write(Append("run/1", [b"d"])) == 4
        assert await store.write(Append("run/2", [b"x"])) == 1
        assert await store.read(Entries("run/1")) == (
            Entry(1, b"a"),
            Entry(2, b""),
            Entry(3, bytes(range(256))),
            Entry(4, b"d"),
        )
        assert await store.read(Entries("run/1", after=1, limit=2)) == (Entry(2, b""), Entry(3, bytes(range(256))))
        assert await store.read(Entries("run/1", after=4)) == ()
        assert await store.read(Entries("run/1", limit=0)) == ()
        assert await store.read(Entries("run/3")) == ()

    @with_store
    async def test_nothing_appended_tells_where_the_journal_ends(self, store: Store) -> None:
        assert await store.write(Append("log", [])) == 0
        await store.write(Append("log", [b"one"]))
        assert await store.write(Append("log", [])) == 1

    @with_store
    async def test_append_at_another_place_than_expected_is_refused(self, store: Store) -> None:
        assert await store.write(Append("log", [b"one"], after=0)) == 1
        for after in (0, 2):
            with pytest.raises(ExpectationFailed):
                await store.write(Append("log", [b"two"], after=after))
        assert await store.write(Append("log", [b"two"], after=1)) == 2

    @with_store
    async def test_dropped_journal_begins_anew(self, store: Store) -> None:
        await store.write_all([Append("a", [b"1", b"2"]), Append("b", [b"1"]), Append("c", [b"1"])])
        assert await store.write(DropJournals(["a", "c", "nothing", "a"])) == 3
        assert await store.read(Entries("a")) == ()
        assert await store.read(Entries("b")) == (Entry(1, b"1"),)
        assert await store.write(Append("a", [b"new"], after=0)) == 1

    # --- blobs ------------------------------------------------------------------------------------

    @with_store
    async def test_blobs_of_every_size_are_read_back(self, store: Store) -> None:
        chance = random.Random(7)
        for size in (0, 1, 4096, 100_000, 131_072, 131_073, 262_144, 1_500_000):
            data = chance.randbytes(size)
            blob = await store.put_blob(data)
            assert (blob.digest, blob.size) == (sha256(data), size)
            assert await read_blob(store, blob.digest) == data

    @with_store
    async def test_blob_is_streamed_in_and_out(self, store: Store) -> None:
        chance = random.Random(8)
        chunks = [chance.randbytes(size) for size in (0, 1, 200_000, 7, 300_000, 65_536, 0)]
        blob = await store.put_blob(stream(*chunks))
        assert (blob.digest, blob.size) == (sha256(b"".join(chunks)), sum(map(len, chunks)))
        async with store.open_blob(blob.digest) as reader:
            assert reader.blob == blob
            assert b"".join([chunk async for chunk in reader]) == b"".join(chunks)

    @with_store
    async def test_same_bytes_are_one_blob(self, store: Store) -> None:
        for data in (b"small", b"large" * 100_000):
            first = await store.put_blob(data)
            second = await store.put_blob(stream(data[:3], data[3:]))
            assert (first.digest, first.size) == (second.digest, second.size)
            assert first.put_at <= second.put_at
            assert await store.read(Blobs([first.digest])) == (second,)
            assert await store.write(DropBlobs([first.digest])) == 1

    @with_store
    async def test_same_bytes_put_at_once_are_one_blob(self, store: Store) -> None:
        data = b"together" * 100_000
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(store.put_blob, data)
        assert len(await store.read(Blobs())) == 1
        assert await read_blob(store, sha256(data)) == data

    @with_store
    async def test_missing_blob(self, store: Store) -> None:
        with pytest.raises(BlobMissing) as missing:
            await read_blob(store, GOOD_DIGEST)
        assert missing.value.digest == GOOD_DIGEST
        with pytest.raises(Misuse):
            await read_blob(store, "../../etc/passwd")

    @with_store
    async def test_blob_beyond_the_limit_is_refused(self, store: Store) -> None:
        for data in (b"x" * 11, b"x" * 500_000):
            for source in (data, stream(data[:5], data[5:])):
                with pytest.raises(BlobTooLarge) as refused:
                    await store.put_blob(source, max_bytes=len(data) - 1)
                assert refused.value.max_bytes == len(data) - 1
        assert await store.read(Blobs()) == ()
        blob = await store.put_blob(b"x" * 10, max_bytes=10)
        assert blob.size == 10
        with pytest.raises(BlobTooLarge):
            await read_blob(store, blob.digest, max_bytes=9)

    @with_store
    async def test_source_that_fails_leaves_nothing(self, store: Store) -> None:
        async def failing(size: int) -> AsyncIterator[bytes]:
            yield b"x" * size
            raise Stop

        for size in (10, 500_000):
            with pytest.raises(Stop):
                await store.put_blob(failing(size))
        assert await store.read(Blobs()) == ()

    @with_store
    async def test_put_that_is_cancelled_leaves_nothing(self, store: Store) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield b"x" * 500_000
            scope.cancel()
            await trio.sleep_forever()

        with trio.CancelScope() as scope:
            await store.put_blob(endless())
        assert scope.cancelled_caught
        assert await store.read(Blobs()) == ()

    @with_store
    async def test_open_blob_is_read_to_its_end_though_dropped(self, store: Store) -> None:
        for data in (b"small", random.Random(9).randbytes(1_000_000)):
            blob = await store.put_blob(data)
            async with store.open_blob(blob.digest) as reader:
                await store.write(DropBlobs([blob.digest]))
                assert b"".join([chunk async for chunk in reader]) == data
            with pytest.raises(BlobMissing):
                await read_blob(store, blob.digest)
            await store.put_blob(data)
            assert await read_blob(store, blob.digest) == data

    @with_store
    async def test_blobs_are_listed_by_digest_in_pages(self, store: Store) -> None:
        blobs = [await store.put_blob(str(number).encode()) for number in range(7)]
        digests = sorted(blob.digest for blob in blobs)
        listed = await store.read(Blobs())
        assert [blob.digest for blob in listed] == digests
        assert set(listed) == set(blobs)
        page = await store.read(Blobs(after=digests[2], limit=2))
        assert [blob.digest for blob in page] == digests[3:5]
        chosen = await store.read(Blobs([digests[4], GOOD_DIGEST, digests[0]]))
        assert [blob.digest for blob in chosen] == [digests[0], digests[4]]
        assert await store.read(Blobs([])) == ()
        latest = max(blob.put_at for blob in blobs)
        assert await store.read(Blobs(put_before=min(blob.put_at for blob in blobs))) == ()
        assert len(await store.read(Blobs(put_before=latest + 1))) == 7

    @with_store
    async def test_blobs_out_of_use_are_collected(self, store: Store) -> None:
        blobs: list[Blob] = []

        async def put(number: int) -> None:
            blobs.append(await store.put_blob(str(number).encode()))

        async with trio.open_nursery() as nursery:
            for number in range(600):
                nursery.start_soon(put, number)
        used = {blob.digest for blob in blobs[::3]}
        await store.write(Insert("notes", [Record(digest, b"") for digest in used]))

        def in_use(transaction: Transaction, digests: Sequence[str]) -> Collection[str]:
            found = transaction.read(Select("notes", [OneOf("key", digests)]))
            return {record.key for record in found.records}

        earliest, latest = min(blob.put_at for blob in blobs), max(blob.put_at for blob in blobs)
        assert await collect_blobs(store, in_use, put_before=earliest) == 0
        assert await collect_blobs(store, in_use, put_before=latest + 1) == 400
        assert {blob.digest for blob in await store.read(Blobs())} == used

    # --- many at once -----------------------------------------------------------------------------

    @with_store
    async def test_one_of_many_wins_a_compare_and_set(self, store: Store) -> None:
        winners: list[int] = []

        async def compete(number: int, key: str) -> None:
            patch = Patch(key=key, when={"status": "ready"}, fields={"status": "on", "priority": number})
            if await store.write(Update("tasks", [patch], "skip")):
                winners.append(number)

        for turn in range(10):
            key = f"t{turn}"
            await store.write(Insert("tasks", [task(key)]))
            winners.clear()
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(compete, number, key)
            assert len(winners) == 1
            record = await store.read(Get("tasks", key))
            assert record is not None
            assert record.fields["priority"] == winners[0]

    @with_store
    async def test_every_record_is_claimed_once(self, store: Store) -> None:
        await store.write(Insert("tasks", [task(f"t{number}") for number in range(100)]))
        claimed: list[str] = []

        async def work() -> None:
            claim = Claim("tasks", [Equal("status", "ready")], {"status": "on"}, ["priority"], 3)
            while records := await store.write(claim):
                claimed.extend(record.key for record in records)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(work)
        assert sorted(claimed) == sorted(f"t{number}" for number in range(100))

    @with_store
    async def test_functions_follow_one_another(self, store: Store) -> None:
        await store.write(Insert("tasks", [task("counter", priority=0)]))

        def add_one(transaction: Transaction) -> None:
            record = transaction.read(Get("tasks", "counter"))
            assert record is not None
            assert isinstance(record.fields["priority"], int)
            patch = Patch(key="counter", fields={"priority": record.fields["priority"] + 1})
            transaction.write(Update("tasks", [patch]))

        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(store.transact, add_one)
        assert await keys(store, Equal("priority", 60)) == ["counter"]

    @with_store
    async def test_those_that_fail_do_no_harm_to_others(self, store: Store) -> None:
        outcomes: dict[int, str] = {}

        def insert_or_stop(number: int, transaction: Transaction) -> None:
            transaction.write(Insert("tasks", [task(f"f{number}")]))
            transaction.write(Append("log", [b"f"]))
            if number % 2:
                raise Stop

        async def write(number: int) -> None:
            try:
                match number % 3:
                    case 0:
                        await store.transact(lambda transaction: insert_or_stop(number, transaction))
                    case 1:
                        await store.write_all(
                            [Append("log", [b"w"]), Insert("tasks", [task(f"w{number % 2 or number}")])]
                        )
                    case _:
                        await store.write(Insert("tasks", [task(f"i{number}"), task(f"x{number % 2 or number}")]))
            except Stop:
                outcomes[number] = "stop"
            except KeyTaken:
                outcomes[number] = "taken"
            else:
                outcomes[number] = "done"

        async with trio.open_nursery() as nursery:
            for number in range(90):
                nursery.start_soon(write, number)
        done = {number for number, outcome in outcomes.items() if outcome == "done"}
        assert {number % 3 for number in done} == {0, 1, 2}
        expected: set[str] = set()
        for number in done:
            last = number % 2 or number
            expected |= [{f"f{number}"}, {f"w{last}"}, {f"i{number}", f"x{last}"}][number % 3]
        assert set(await keys(store)) == expected
        assert len(await store.read(Entries("log"))) == sum(number % 3 != 2 for number in done)
        assert outcomes[3] == "stop"
        assert sum(outcome == "done" for number, outcome in outcomes.items() if number % 6 == 1) == 1

    @with_store
    async def test_cancelled_write_was_made_and_answered_or_not_made(self, store: Store) -> None:
        returned: set[str] = set()
        cancelled: set[str] = set()

        async def insert(key: str, scope: trio.CancelScope) -> None:
            with scope:
                await store.write(Insert("tasks", [task(key)]))
                returned.add(key)
            if scope.cancelled_caught and key not in returned:
                cancelled.add(key)

        chance = random.Random(10)
        for turn in range(20):
            scopes = [trio.CancelScope() for _ in range(30)]
            async with trio.open_nursery() as nursery:
                for number, scope in enumerate(scopes):
                    nursery.start_soon(insert, f"{turn}-{number}", scope)
                for _ in range(chance.randrange(4)):
                    await trio.lowlevel.checkpoint()
                for scope in chance.sample(scopes, 15):
                    scope.cancel()
        assert len(returned) + len(cancelled) == 600
        assert set(await keys(store)) == returned
        assert cancelled

    # --- the end ----------------------------------------------------------------------------------

    @with_store
    async def test_store_knows_its_schema(self, store: Store) -> None:
        assert store.schema == SCHEMA

    def test_closed_store_refuses_everything(self, opener: Opener) -> None:
        async def run() -> None:
            async with opener(SCHEMA) as store:
                pass

            async def open_blob() -> None:
                async with store.open_blob(GOOD_DIGEST):
                    pass

            attempts: list[Callable[[], Awaitable[object]]] = [
                lambda: store.read(Get("tasks", "a")),
                lambda: store.snapshot(lambda _: None),
                lambda: store.write(Insert("tasks", [task("a")])),
                lambda: store.write_all([Insert("tasks", [task("a")])]),
                lambda: store.transact(lambda _: None),
                lambda: store.put_blob(b"x"),
                lambda: store.put_blob(b"x" * 500_000),
                open_blob,
            ]
            for attempt in attempts:
                with pytest.raises(StoreClosed):
                    await attempt()

        trio.run(run)


NEXT: Final = Schema(
    application="contract",
    version=3,
    collections=[
        Records(
            "tasks",
            {"status": "text", "priority": "integer", "owner": "text"},
            [("owner", "-priority"), ("status",)],
            [("priority",), ("owner", "status")],
        ),
        Records("people", {"age": "integer"}, [("age",)], [("age",)]),
    ],
)
"""`notes`, `tasks.progress`, `tasks.parent`, indexes and a count have gone; `people`, `tasks.owner`, two indexes and
counts are new."""


class DurableStoreContract(StoreContract):
    """What stores do that keep their data from one opening to the next."""

    def test_everything_is_there_when_opened_again(self, opener: Opener) -> None:
        large = random.Random(11).randbytes(700_000)

        async def fill() -> tuple[Blob, ...]:
            async with opener(SCHEMA) as store:
                await store.write_all([Insert("tasks", FIND_RECORDS), Append("log", [b"one", b"two"])])
                await store.write(Delete("tasks", [Equal("key", "\uffff")]))
                return (await store.put_blob(b"small"), await store.put_blob(large))

        async def look(blobs: tuple[Blob, ...]) -> None:
            async with opener(SCHEMA) as store:
                page = await store.read(Select("tasks"))
                assert [(it.key, it.document, it.fields["priority"], it.arrival) for it in page.records] == [
                    (it.key, it.document, it.fields["priority"], arrival)
                    for arrival, it in enumerate(FIND_RECORDS[:-1], 1)
                ]
                assert await store.read(Entries("log")) == (Entry(1, b"one"), Entry(2, b"two"))
                assert await store.write(Append("log", [b"three"], after=2)) == 3
                assert await store.read(Blobs()) == tuple(sorted(blobs, key=lambda blob: blob.digest))
                assert await read_blob(store, blobs[0].digest) == b"small"
                assert await read_blob(store, blobs[1].digest) == large
                await store.write(Insert("tasks", [task("new")]))
                new = await store.read(Get("tasks", "new"))
                assert new is not None
                assert new.arrival > len(FIND_RECORDS)

        trio.run(look, trio.run(fill))

    def test_new_version_migrates(self, opener: Opener) -> None:
        steps: list[int] = []

        def to_two(transaction: Transaction) -> None:
            steps.append(2)
            page = transaction.read(Select("tasks", [Equal("parent", "a")]))
            patches = [Patch(key=it.key, fields={"owner": f"of {it.fields['parent']}"}) for it in page.records]
            transaction.write(Update("tasks", patches))

        def to_three(transaction: Transaction) -> None:
            steps.append(3)
            notes = transaction.read(Select("notes"))
            transaction.write(Insert("people", [Record(it.key, it.document, {"age": 40}) for it in notes.records]))

        async def run() -> None:
            async with opener(SCHEMA) as store:
                await store.write_all([Insert("tasks", FIND_RECORDS), Insert("notes", [Record("ann", b"Ann")])])
            schema = Schema(
                application="contract",
                version=3,
                collections=NEXT.collections,
                migrations={2: to_two, 3: to_three},
            )
            for _ in range(2):
                async with opener(schema) as store:
                    assert await keys(store, Equal("owner", "of a")) == ["B", "é"]
                    record = await store.read(Get("tasks", "B"))
                    assert record is not None
                    assert dict(record.fields) == {"status": "done", "priority": 2, "owner": "of a"}
                    for where, total in (
                        ((Equal("owner", "of a"), Equal("status", "ready")), 1),
                        ((Equal("owner", None),), 4),
                        ((OneOf("priority", (2, 0)),), 2),
                    ):
                        assert (await store.read(Select("tasks", where, limit=0, total=True))).total == total
                    assert (await store.read(Select("people", [Equal("age", 40)], total=True))).total == 1
                    assert (await store.read(Select("people", [Equal("age", 40)]))).records == (
                        Record("ann", b"Ann", {"age": 40}, 1),
                    )
                    for gone in (Select("notes"), Select("tasks", [Equal("parent", "a")])):
                        with pytest.raises(Misuse):
                            await store.read(gone)
            assert steps == [2, 3]

        trio.run(run)

    def test_migration_that_fails_changes_nothing(self, opener: Opener) -> None:
        def stop(transaction: Transaction) -> None:
            transaction.write(Delete("tasks", ()))
            raise Stop

        async def run() -> None:
            async with opener(SCHEMA) as store:
                await store.write(Insert("tasks", [task("a", parent="p")]))
            failing = Schema(application="contract", version=3, collections=NEXT.collections, migrations={3: stop})
            with pytest.raises(Stop):
                async with opener(failing):
                    pass
            async with opener(SCHEMA) as store:
                assert await keys(store, Equal("parent", "p")) == ["a"]

        trio.run(run)

    @pytest.mark.parametrize(
        ("written", "opened", "words"),
        [
            (NEXT, SCHEMA, ("newer contract", "version 3")),
            (Schema(application="other"), SCHEMA, ("other", "contract")),
        ],
        ids=["newer", "another application"],
    )
    def test_data_of_somebody_else_is_refused(
        self, opener: Opener, written: Schema, opened: Schema, words: tuple[str, ...]
    ) -> None:
        async def run() -> None:
            async with opener(written):
                pass
            with pytest.raises(CannotOpen) as refused:
                async with opener(opened):
                    pass
            message = str(refused.value)
            assert "\n" not in message
            assert [word for word in words if word not in message] == []
            async with opener(written):
                pass

        trio.run(run)

    @pytest.mark.parametrize(
        "changed",
        [
            Schema(application="contract", collections=NEXT.collections),
            Schema(application="contract", version=2, collections=[Records("tasks", {"status": "integer"})]),
        ],
        ids=["without a new version", "with another kind of field"],
    )
    def test_schema_that_does_not_fit_is_misuse(self, opener: Opener, changed: Schema) -> None:
        async def run() -> None:
            async with opener(SCHEMA):
                pass
            with pytest.raises(Misuse):
                async with opener(changed):
                    pass
            async with opener(SCHEMA):
                pass

        trio.run(run)
