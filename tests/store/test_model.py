"""Any sequence of changes and questions: the stores agree with a model that is simple enough to be believed."""

from __future__ import annotations

import copy
import itertools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from protogen_runtime.store import (
    Append,
    Change,
    Check,
    Claim,
    Collection,
    Compare,
    Condition,
    Conflict,
    Delete,
    DropJournals,
    Entries,
    Entry,
    Equal,
    Get,
    Insert,
    OneOf,
    Page,
    Patch,
    Query,
    Record,
    Schema,
    Select,
    Store,
    Transaction,
    Update,
    open_store,
)

SCHEMA = Schema(
    application="model",
    collections=[
        Collection(
            "tasks",
            {"status": "text", "priority": "integer"},
            [("status", "priority"), ("status",), ("-priority", "status")],
            [("status", "priority"), ("priority",)],
        ),
        Collection("edges", {"to": "text"}, [("to",)], [("to",)]),
    ],
)
STEPS = 25
EXAMPLES = {"memory": 25, "sqlite": 20}
EXAMPLES_IN_SOAK = 3000

MEMORY_DISK = Path("/dev/shm")


class Refused(Exception):
    """The model's conflict."""


class Model:
    """Lists of records in the order of arrival, and lists of entries."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {"tasks": [], "edges": []}
        self.journals: dict[str, list[bytes]] = {}
        self.arrivals = itertools.count(1)

    def change(self, change: Change[Any]) -> Any:
        match change:
            case Insert(collection, records, existing):
                return self._insert(collection, records, existing)
            case Update(collection, patches, missed):
                changed = []
                for patch in patches:
                    found = self._position(collection, patch.key)
                    old = None if found is None else self.records[collection][found]
                    if found is None or old is None or any(old.fields[n] != v for n, v in patch.when.items()):
                        if missed == "refuse":
                            raise Refused
                        continue
                    document = old.document if patch.document is None else patch.document
                    new = Record(old.key, document, {**old.fields, **patch.fields}, old.arrival)
                    self.records[collection][found] = new
                    changed.append(patch.key)
                return tuple(changed)
            case Claim(collection, where, fields, order, limit, documents):
                found_records = self._find(collection, where, order)[:limit]
                for record in found_records:
                    at = self.records[collection].index(record)
                    changed_record = Record(record.key, record.document, {**record.fields, **fields}, record.arrival)
                    self.records[collection][at] = changed_record
                return tuple(
                    Record(it.key, it.document if documents else b"", {**it.fields, **fields}, it.arrival)
                    for it in found_records
                )
            case Delete(collection, where, expect, limit):
                gone = self._find(collection, where, ())[:limit]
                if expect is not None and len(gone) != expect:
                    raise Refused
                self.records[collection] = [it for it in self.records[collection] if it not in gone]
                return len(gone)
            case Check(collection, where, least, most):
                count = len(self._find(collection, where, ()))
                if count < least or (most is not None and count > most):
                    raise Refused
                return count
            case Append(journal, entries, after):
                if after is not None and after != len(self.journals.get(journal, [])):
                    raise Refused
                self.journals[journal] = [*self.journals.get(journal, []), *entries]
                return len(self.journals[journal])
            case DropJournals(journals):
                return sum(len(self.journals.pop(name, [])) for name in journals)
        raise AssertionError(change)

    def _insert(self, collection: str, records: Sequence[Record], existing: str) -> tuple[str, ...]:
        written = []
        for new in records:
            at = self._position(collection, new.key)
            if at is not None and existing == "refuse":
                raise Refused
            if at is not None and existing == "keep":
                continue
            names = SCHEMA.collections[0 if collection == "tasks" else 1].fields
            arrival = next(self.arrivals) if at is None else self.records[collection][at].arrival
            record = Record(new.key, new.document, {name: new.fields.get(name) for name in names}, arrival)
            if at is None:
                self.records[collection].append(record)
            else:
                self.records[collection][at] = record
            written.append(new.key)
        return tuple(written)

    def answer(self, query: Query[Any]) -> Any:
        match query:
            case Get(collection, key):
                at = self._position(collection, key)
                return None if at is None else self.records[collection][at]
            case Select(collection, where, order, limit, offset, total, documents):
                found = self._find(collection, where, order)
                page = found[offset:][:limit]
                shown = [Record(it.key, it.document if documents else b"", it.fields, it.arrival) for it in page]
                return Page(tuple(shown), len(found) if total else None)
            case Entries(journal, after, limit):
                entries = self.journals.get(journal, [])
                return tuple(Entry(at, data) for at, data in enumerate(entries, 1) if at > after)[:limit]
        raise AssertionError(query)

    def _position(self, collection: str, key: str) -> int | None:
        return next((at for at, it in enumerate(self.records[collection]) if it.key == key), None)

    def _find(self, collection: str, where: Iterable[Condition], order: Sequence[str]) -> list[Record]:
        found = [it for it in self.records[collection] if all(holds(condition, it) for condition in where)]
        for name in reversed(order):
            field = name.removeprefix("-")
            nothing = [it for it in found if value(it, field) is None]
            known = [it for it in found if value(it, field) is not None]
            known.sort(key=partial(value, field=field), reverse=name.startswith("-"))
            found = known + nothing if name.startswith("-") else nothing + known
        return found


def value(record: Record, field: str) -> Any:
    return record.key if field == "key" else record.fields[field]


def holds(condition: Condition, record: Record) -> bool:
    found = value(record, condition.field)
    match condition:
        case Equal():
            return bool(found == condition.value)
        case OneOf():
            return found in condition.values
        case Compare():
            if found is None:
                return False
            return {
                "<": found < condition.value,
                "<=": found <= condition.value,
                ">": found > condition.value,
                ">=": found >= condition.value,
            }[condition.relation]


# --- what is tried --------------------------------------------------------------------------------

some_keys = st.sampled_from("abcdé")
some_statuses = st.sampled_from(["ready", "on", "done"])
some_priorities = st.integers(0, 3)
some_documents = st.binary(max_size=6)
some_fields = st.fixed_dictionaries(
    {}, optional={"status": st.none() | some_statuses, "priority": st.none() | some_priorities}
)
some_conditions = st.one_of(
    st.builds(Equal, st.just("status"), st.none() | some_statuses),
    st.builds(Equal, st.just("priority"), st.none() | some_priorities),
    st.builds(Equal, st.just("key"), some_keys),
    st.builds(OneOf, st.just("key"), st.lists(some_keys, max_size=3)),
    st.builds(OneOf, st.just("status"), st.lists(some_statuses, max_size=2)),
    st.builds(Compare, st.just("priority"), st.sampled_from(["<", "<=", ">", ">="]), some_priorities),
    st.builds(Compare, st.just("status"), st.sampled_from(["<", "<=", ">", ">="]), some_statuses),
    st.builds(Compare, st.just("key"), st.sampled_from(["<", "<=", ">", ">="]), some_keys),
)
some_where = st.lists(some_conditions, max_size=2)
some_order = st.lists(st.sampled_from(["key", "-key", "status", "-status", "priority", "-priority"]), max_size=2)
some_limit = st.none() | st.integers(0, 3)
some_journals = st.sampled_from(["x", "y"])
some_edges = st.builds(Record, some_keys, st.just(b""), st.fixed_dictionaries({"to": some_keys}))

some_changes: st.SearchStrategy[Change[Any]] = st.one_of(
    st.builds(
        Insert,
        st.just("tasks"),
        st.lists(st.builds(Record, some_keys, some_documents, some_fields), max_size=3),
        st.sampled_from(["refuse", "keep", "replace"]),
    ),
    st.builds(Insert, st.just("edges"), st.lists(some_edges, max_size=2), st.sampled_from(["refuse", "replace"])),
    st.builds(
        Update,
        st.just("tasks"),
        st.lists(
            st.builds(Patch, key=some_keys, when=some_fields, fields=some_fields, document=st.none() | some_documents),
            max_size=3,
        ),
        st.sampled_from(["refuse", "skip"]),
    ),
    st.builds(Claim, st.just("tasks"), some_where, some_fields, some_order, some_limit, st.booleans()),
    st.builds(Delete, st.just("tasks"), some_where, st.none() | st.integers(0, 2), some_limit),
    st.builds(Delete, st.just("edges"), st.lists(st.builds(Equal, st.just("to"), some_keys), max_size=1)),
    st.builds(Check, st.just("tasks"), some_where, st.integers(0, 2), st.none() | st.integers(0, 3)),
    st.builds(Append, some_journals, st.lists(some_documents, max_size=2), st.none() | st.integers(0, 3)),
    st.builds(DropJournals, st.lists(some_journals, max_size=2)),
)
some_queries: st.SearchStrategy[Query[Any]] = st.one_of(
    st.builds(Get, st.just("tasks"), some_keys),
    st.builds(
        Select, st.just("tasks"), some_where, some_order, some_limit, st.integers(0, 3), st.booleans(), st.booleans()
    ),
    st.builds(Entries, some_journals, st.integers(0, 3), some_limit),
)
EVERYTHING: tuple[Query[Any], ...] = (Select("tasks"), Select("edges"), Entries("x"), Entries("y"))
REFUSED = "refused"


class Stop(Exception):
    """What a function raises in the end to have its changes undone."""


def without_arrivals(answer: Any) -> Any:
    """Answers are compared but for the numbers of arrival, of which only the order counts."""
    match answer:
        case Record():
            return (answer.key, answer.document, dict(answer.fields))
        case Page():
            return (without_arrivals(answer.records), answer.total)
        case tuple() | list():
            return [without_arrivals(it) for it in answer]
    return answer


def try_changes(model: Model, changes: Sequence[Change[Any]]) -> tuple[Model, Any]:
    """The model after all changes or none, and their answers or REFUSED."""
    changed = copy.deepcopy(model)
    try:
        return changed, without_arrivals([changed.change(change) for change in changes])
    except Refused:
        return model, REFUSED


async def write_all(store: Store, changes: Sequence[Change[Any]]) -> Any:
    try:
        return without_arrivals(await store.write_all(changes))
    except Conflict:
        return REFUSED


async def read_everything(store: Store) -> Any:
    return without_arrivals(await store.snapshot(lambda view: [view.read(query) for query in EVERYTHING]))


Opener = Callable[[Path], str]


class StoreMachine(RuleBasedStateMachine):
    """A store and the model, side by side."""

    address: Opener
    outlives_closing: bool

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self._exit = ExitStack()
        parent = MEMORY_DISK if MEMORY_DISK.is_dir() else None
        folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(dir=parent)))
        self._address = type(self).address(folder)
        self._portal: BlockingPortal = self._exit.enter_context(start_blocking_portal("trio"))
        self._open()

    def _open(self) -> None:
        opening: AbstractContextManager[Store] = self._portal.wrap_async_context_manager(
            open_store(self._address, SCHEMA)
        )
        self._opening = opening
        self.store = opening.__enter__()

    def teardown(self) -> None:
        self._opening.__exit__(None, None, None)
        self._exit.close()

    @rule(change=some_changes)
    def one_change(self, change: Change[Any]) -> None:
        self.model, expected = try_changes(self.model, [change])
        try:
            answer = [without_arrivals(self._portal.call(self.store.write, change))]
        except Conflict:
            answer = REFUSED
        assert answer == expected

    @rule(changes=st.lists(some_changes, max_size=4))
    def several_changes(self, changes: list[Change[Any]]) -> None:
        self.model, expected = try_changes(self.model, changes)
        assert self._portal.call(write_all, self.store, changes) == expected

    @rule(changes=st.lists(some_changes, max_size=4), stop=st.booleans())
    def function_that_goes_on_after_conflicts(self, changes: list[Change[Any]], stop: bool) -> None:
        after = self.model
        expected = []
        for change in changes:
            after, answer = try_changes(after, [change])
            expected += [answer, without_arrivals([after.answer(query) for query in EVERYTHING])]
        seen: list[Any] = []

        def work(transaction: Transaction) -> None:
            seen.clear()
            for change in changes:
                try:
                    seen.append(without_arrivals([transaction.write(change)]))
                except Conflict:
                    seen.append(REFUSED)
                seen.append(without_arrivals([transaction.read(query) for query in EVERYTHING]))
            if stop:
                raise Stop

        try:
            self._portal.call(self.store.transact, work)
        except Stop:
            assert stop
        else:
            assert not stop
            self.model = after
        assert seen == expected

    @rule(groups=st.lists(st.lists(some_changes, min_size=1, max_size=2), min_size=2, max_size=3))
    def several_callers_at_once(self, groups: list[list[Change[Any]]]) -> None:
        """What each of them is told, and what is there in the end, is as if they had come in some order."""

        async def run() -> tuple[dict[int, Any], Any]:
            answers: dict[int, Any] = {}

            async def call(number: int) -> None:
                answers[number] = await write_all(self.store, groups[number])

            async with trio.open_nursery() as nursery:
                for number in range(len(groups)):
                    nursery.start_soon(call, number)
            return answers, await read_everything(self.store)

        seen = self._portal.call(run)
        possible = []
        for order in itertools.permutations(range(len(groups))):
            after, answers = self.model, {}
            for number in order:
                after, answers[number] = try_changes(after, groups[number])
            possible.append((answers, without_arrivals([after.answer(query) for query in EVERYTHING])))
            if possible[-1] == seen:
                self.model = after
                return
        raise AssertionError(f"{seen} is none of {possible}")

    @rule(query=some_queries)
    def question(self, query: Query[Any]) -> None:
        assert without_arrivals(self._portal.call(self.store.read, query)) == without_arrivals(self.model.answer(query))

    @rule()
    def closing_and_opening(self) -> None:
        if self.outlives_closing:
            self._opening.__exit__(None, None, None)
            self._open()

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        seen = self._portal.call(read_everything, self.store)
        assert seen == without_arrivals([self.model.answer(query) for query in EVERYTHING])


class MemoryMachine(StoreMachine):
    address = staticmethod(lambda _: "memory:")
    outlives_closing = False


class SqliteMachine(StoreMachine):
    address = staticmethod(lambda folder: f"sqlite:///{folder}/store.db?readers=1")
    outlives_closing = True


MACHINES: dict[str, type[StoreMachine]] = {"memory": MemoryMachine, "sqlite": SqliteMachine}


def try_examples(name: str, examples: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        MACHINES[name],
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("name", MACHINES)
def test_store_agrees_with_the_model(name: str) -> None:
    try_examples(name, EXAMPLES[name])


@pytest.mark.soak
@pytest.mark.parametrize("name", MACHINES)
def test_store_agrees_with_the_model_for_long(name: str) -> None:
    try_examples(name, EXAMPLES_IN_SOAK)
