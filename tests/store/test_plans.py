"""What SQLite does for a question: it looks at what it answers with, and not at everything there is."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from connections import Watched

from protogen_runtime.store import (
    Claim,
    Collection,
    Compare,
    Condition,
    Equal,
    Insert,
    OneOf,
    Record,
    Schema,
    Select,
    Value,
    open_store,
)
from protogen_runtime.store.catalogue import Catalogue
from protogen_runtime.store.sqlite.tables import Tables

SCHEMA = Schema(
    application="plans",
    collections=[
        Collection(
            "tasks",
            {"user": "text", "status": "text", "priority": "integer", "created": "number"},
            [("status",), ("user", "status"), ("user", "priority", "-created"), ("status", "priority")],
            [("user", "status")],
        )
    ],
)
USER, STATUS = Equal("user", "u3"), Equal("status", "on")
UNFINISHED = OneOf("status", ("ready", "on"))
TABLE = "SCAN tasks"
SORTED = "USE TEMP B-TREE"
QUESTIONS: dict[str, tuple[Select, set[str]]] = {
    "everything": (Select("tasks", limit=20), {TABLE}),
    "the latest": (Select("tasks", order=["-arrival"], limit=20), {TABLE}),
    "one field": (Select("tasks", [STATUS], limit=20), set()),
    "one field, the latest": (Select("tasks", [STATUS], ["-arrival"], limit=20), set()),
    "one field, from somewhere on": (Select("tasks", [STATUS, Compare("arrival", ">", 7)], limit=20), set()),
    "two fields": (Select("tasks", [STATUS, USER], limit=20), set()),
    "an order of two fields": (Select("tasks", [USER], ["priority", "-created"], limit=20), set()),
    "one field, ordered by another": (Select("tasks", [STATUS], ["priority"], limit=1), set()),
    "several values": (Select("tasks", [UNFINISHED], limit=20), set()),
    "several values and a field": (Select("tasks", [UNFINISHED, USER], limit=20), set()),
    "several values, from somewhere on": (
        Select("tasks", [UNFINISHED, Compare("arrival", ">", 7)], limit=20),
        set(),
    ),
    "without an index": (Select("tasks", [Equal("priority", 1)], ["created"], limit=20), {TABLE, SORTED}),
}


def plan(path: Path, ask: Any) -> list[str]:
    """How SQLite does what `ask` asks of tables; a list of its steps for each statement."""
    steps: list[str] = []
    with sqlite3.connect(path) as explaining:

        def explain(sql: str) -> None:
            # Values do not matter: SQLite plans before it knows them.
            values = (None,) * sql.count("?")
            steps.extend(row[3] for row in explaining.execute(f"EXPLAIN QUERY PLAN {sql}", values))

        watched = Watched(str(path), explain)
        ask(Tables(watched, Catalogue(SCHEMA.collections)))
        watched.close()
    explaining.close()
    return steps


@pytest.fixture
def path(folder: Path) -> Path:
    path = folder / "store.db"

    async def fill() -> None:
        fields: dict[str, Value] = {"user": "u3", "status": "on", "priority": 1, "created": 0.5}
        async with open_store(f"sqlite:///{path}", SCHEMA) as store:
            await store.write(Insert("tasks", [Record(f"t{number}", b"", fields) for number in range(10)]))

    trio.run(fill)
    return path


@pytest.mark.parametrize("name", QUESTIONS)
def test_first_records_are_found_by_an_index(name: str, path: Path) -> None:
    query, expected = QUESTIONS[name]
    steps = plan(path, lambda tables: tables.read(query))
    assert {it for it in (TABLE, SORTED) if any(step.startswith(it) for step in steps)} == expected, steps


def test_totals_are_looked_up(path: Path) -> None:
    wheres: list[list[Condition]] = [[], [USER], [USER, STATUS], [USER, UNFINISHED], [STATUS]]
    for where in wheres:
        query = Select("tasks", where, limit=0, total=True)
        steps = plan(path, partial(Tables.read, query=query))
        assert any("tasks[user,status]" in step for step in steps), steps
        assert not any("tasks(" in step or step == TABLE for step in steps), steps
    (step,) = plan(path, lambda tables: tables.read(Select("tasks", [Compare("status", ">", "")], limit=0, total=True)))
    assert "COVERING INDEX" in step


def test_next_of_a_queue_is_found_by_an_index(path: Path) -> None:
    steps = plan(path, lambda tables: tables.write(Claim("tasks", [STATUS], {"status": "off"}, ["priority"], 1)))
    assert steps[0] == "SEARCH tasks USING INDEX tasks(status,priority) (status=?)"
    assert not any(step.startswith((TABLE, SORTED)) for step in steps), steps
