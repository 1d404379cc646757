"""The life of 100,000 tasks in a store: created, started and completed, listed, walked, opened again and removed.

What a task server does with its store, without the server. Each task is a record whose status, owner and places in its
tree are fields; each transition is a compare-and-set that writes the document, too, answered when it is on the disk.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import trio
from report import Report, Series, Target

from protogen_runtime.store import (
    Collection,
    Equal,
    Insert,
    OneOf,
    Patch,
    Record,
    Schema,
    Select,
    Store,
    Update,
    Value,
    each,
    open_store,
    remove_all,
)

TASKS = 100_000
CREATED_AT_ONCE = 1000
STAGES = {1: 1000, 8: 8000, 64: 60_000}
"""How many callers take how many tasks; those that are left are never started."""
STARTED_AT_ONCE = 50
"""Transitions to a write where the caller gathers them."""
GATHERED = 25_000
USERS = 7
ASKED = 40
"""How often each question is asked; the median counts."""
REPEATS = 3
"""At most: a run takes a minute, and is long enough to even out what disturbs it."""

TRANSITION_MILLISECONDS = 0.5
LIST_MILLISECONDS = 2.0
OPEN_SECONDS = 2.0
GROWTH_MIB = 300.0

DOCUMENT = b'{"name":"crawl","inputs":{"text":"' + b"a hundred bytes " * 19 + b'"}}'
SCHEMA = Schema(
    application="bench",
    collections=[
        Collection(
            "tasks",
            {
                "user": "text",
                "status": "text",
                "priority": "integer",
                "parent": "text",
                "root": "text",
                "created": "number",
            },
            [("status",), ("user",), ("user", "status"), ("user", "priority", "-created"), ("parent",), ("root",)],
            [("user", "status")],
        )
    ],
)
MINE = Equal("user", "user 3")
LISTS: dict[str, Select] = {
    "of a user": Select("tasks", [MINE], limit=20, total=True),
    "of a user, completed": Select("tasks", [MINE, Equal("status", "completed")], limit=20, total=True),
    "of all, completed, the latest": Select("tasks", [Equal("status", "completed")], ["-arrival"], 20, total=True),
    "of all, unfinished": Select("tasks", [OneOf("status", ("pending", "in_progress"))], limit=20, total=True),
    "by two fields": Select("tasks", [MINE], ["priority", "-created"], 20, total=True),
    "the 500th page": Select("tasks", [MINE], limit=20, offset=10_000, total=True),
    "of a parent": Select("tasks", [Equal("parent", "t0000000")], limit=20),
}


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What one run took: milliseconds by name for each transition and each list, and what else was seen."""

    transitions: dict[str, float]
    lists: dict[str, float]
    busy_list: float
    """The dearest list's median, asked again and again while 64 callers write."""
    walk: float
    """Microseconds for each unfinished task that is read at the start."""
    opening: float
    """Seconds to open the file again."""
    growth: float
    """MiB that the process has grown by at its largest."""


def run(repeats: int) -> Report:
    """Measure everything, in SQLite and in memory; medians of some runs."""
    taken: dict[str, list[Life]] = {"sqlite": [], "memory": []}
    for _ in range(min(repeats, REPEATS)):
        with tempfile.TemporaryDirectory(prefix="protogen-bench-") as folder:
            taken["sqlite"].append(trio.run(_live, f"sqlite:///{Path(folder)}/tasks.db"))
        taken["memory"].append(trio.run(_live, "memory:"))
    lives = taken["sqlite"]
    base = "64 callers"
    names = [base, *(name for name in lives[0].transitions if name != base)]
    series = [Series(name=name, seconds=tuple(life.transitions[name] for life in lives)) for name in names]
    lists = _medians([life.lists for life in lives])
    dearest = max(lists, key=lambda name: lists[name])
    targets = [
        Target(
            name="a transition, 64 callers, median",
            measured=median(life.transitions[base] for life in lives),
            most=TRANSITION_MILLISECONDS,
            unit="ms",
        ),
        Target(name=f"20 {dearest}, with total", measured=lists[dearest], most=LIST_MILLISECONDS, unit="ms"),
        Target(name="open again", measured=median(life.opening for life in lives), most=OPEN_SECONDS, unit="s"),
        Target(name="growth", measured=max(life.growth for life in lives), most=GROWTH_MIB, unit="MiB"),
    ]
    return Report(
        unit="ms per durable transition",
        base=base,
        series=tuple(series),
        targets=tuple(targets),
        versions={"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version, "trio": trio.__version__},
        notes=(
            f"{TASKS} tasks of {len(DOCUMENT)} bytes in one tree, synchronous FULL; medians of {len(lives)} runs:",
            *_notes("SQLite", lives),
            *_notes("in memory", taken["memory"]),
        ),
    )


def _notes(name: str, lives: Sequence[Life]) -> list[str]:
    transitions = _medians([life.transitions for life in lives])
    lists = _medians([life.lists for life in lives])
    return [
        f"{name}: transitions/s: {', '.join(f'{it} {1000 / taken:.0f}' for it, taken in transitions.items())}",
        (
            f"{name}: 20 of {TASKS} in ms: {', '.join(f'{it} {taken:.2f}' for it, taken in lists.items())};"
            f" while 64 callers write {median(life.busy_list for life in lives):.2f}"
        ),
        (
            f"{name}: {median(life.walk for life in lives):.1f} us for each unfinished task walked, "
            f"open again in {median(life.opening for life in lives):.2f} s, "
            f"grown by {median(life.growth for life in lives):.0f} MiB"
        ),
    ]


def _medians(taken: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: median(it[name] for it in taken) for name in taken[0]}


async def _live(address: str) -> Life:
    before = _resident_mib()
    largest = [before]
    transitions: dict[str, float] = {}
    async with open_store(address, SCHEMA) as store, trio.open_nursery() as around:
        around.start_soon(_watch_memory, largest)
        transitions[f"created by {CREATED_AT_ONCE}"] = await _per(TASKS, partial(_create, store))
        first = 0
        busy: list[float] = []
        for callers, count in STAGES.items():
            async with trio.open_nursery() as beside:
                if callers == max(STAGES):
                    beside.start_soon(_keep_asking, store, busy)
                keys = range(first, first + count)
                transitions[f"{callers} caller{'s' * (callers > 1)}"] = await _per(
                    2 * count, partial(_run_tasks, store, keys, callers)
                )
                beside.cancel_scope.cancel()
            first += count
        gathered = range(first, first + GATHERED)
        transitions[f"gathered by {STARTED_AT_ONCE}"] = await _per(
            2 * GATHERED, partial(_run_gathered, store, gathered)
        )
        lists = {name: await _asked(store, query) for name, query in LISTS.items()}
        walk = await _per(TASKS - first - GATHERED, partial(_walk, store)) * 1000
        around.cancel_scope.cancel()
    started = time.perf_counter()
    async with open_store(address, SCHEMA) as store:
        opening = time.perf_counter() - started
        if not address.startswith("memory:"):
            transitions["removed"] = await _per(TASKS, partial(_remove, store))
    return Life(
        transitions=transitions,
        lists=lists,
        busy_list=median(busy),
        walk=walk,
        opening=opening,
        growth=max(largest) - before,
    )


def _key(number: int) -> str:
    return f"t{number:07}"


def _task(number: int) -> Record:
    fields: dict[str, Value] = {
        "user": f"user {number % USERS}",
        "status": "pending",
        "priority": number % 4,
        "parent": _key(0) if number else None,
        "root": _key(0),
        "created": 1e9 + number,
    }
    return Record(_key(number), DOCUMENT, fields)


async def _create(store: Store) -> None:
    for first in range(0, TASKS, CREATED_AT_ONCE):
        await store.write(Insert("tasks", [_task(number) for number in range(first, first + CREATED_AT_ONCE)]))


def _start(number: int) -> Patch:
    return Patch(key=_key(number), when={"status": "pending"}, fields={"status": "in_progress"}, document=DOCUMENT)


def _complete(number: int) -> Patch:
    return Patch(key=_key(number), when={"status": "in_progress"}, fields={"status": "completed"}, document=DOCUMENT)


async def _run_tasks(store: Store, numbers: range, callers: int) -> None:
    async def call(mine: range) -> None:
        for number in mine:
            await store.write(Update("tasks", (_start(number),)))
            await store.write(Update("tasks", (_complete(number),)))

    async with trio.open_nursery() as nursery:
        for caller in range(callers):
            nursery.start_soon(call, numbers[caller::callers])


async def _run_gathered(store: Store, numbers: range) -> None:
    for first in range(0, len(numbers), STARTED_AT_ONCE):
        some = numbers[first : first + STARTED_AT_ONCE]
        await store.write(Update("tasks", [_start(number) for number in some]))
        await store.write(Update("tasks", [_complete(number) for number in some]))


async def _remove(store: Store) -> None:
    assert await remove_all(store, "tasks", [Equal("root", _key(0))]) == TASKS


async def _keep_asking(store: Store, taken: list[float]) -> None:
    while True:
        taken.append(await _asked(store, LISTS["of a user, completed"], times=1))
        await trio.sleep(0.02)


async def _asked(store: Store, query: Select, *, times: int = ASKED) -> float:
    """Milliseconds to answer, the median."""
    taken: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        page = await store.read(query)
        taken.append((time.perf_counter() - started) * 1000)
        assert len(page.records) == 20 or times == 1
    return median(taken)


async def _walk(store: Store) -> None:
    async for _ in each(store, "tasks", [OneOf("status", ("pending", "in_progress"))]):
        pass


async def _per(count: int, work: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds for each of so many."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) / count * 1000


async def _watch_memory(largest: list[float]) -> None:
    while True:
        largest.append(_resident_mib())
        await trio.sleep(0.05)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
