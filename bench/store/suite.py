"""The suite: 32 tasks that insert and update rows, and a probe that says how late the event loop runs meanwhile.

All contenders take turns within one run, so that a slow spell of the disk hits all of them.
"""

from __future__ import annotations

import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

import msgspec
import trio
from report import Report, Series, Target

from store import contenders
from store.contenders import Operation

TASKS = 32
ROWS = {"store": 4096, "thread call": 640, "thread calls in parallel": 640}
"""Rows per turn, two operations each: fewer where they take longer, enough that a turn lasts some seconds."""
PROBE_SECONDS = 0.001

SHARE_OF_THREAD_CALL = 0.25
LATE_MILLISECONDS = 10.0

Contender: TypeAlias = Callable[[Path], AbstractAsyncContextManager[tuple[Operation, Operation]]]
CONTENDERS: dict[str, Contender] = {
    "store": contenders.store,
    "thread call": contenders.thread_calls,
    "thread calls in parallel": contenders.thread_calls_in_parallel,
}


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of one contender, in milliseconds save the CPU time, which is in microseconds per operation."""

    per_operation: float
    cpu: float
    answered_p50: float
    answered_p99: float
    late_p99: float


def run(repeats: int) -> Report:
    """Measure everything; of several turns the median counts, since a disk has slow spells and no fast ones."""
    turns: dict[str, list[Turn]] = {name: [] for name in CONTENDERS}
    for _ in range(repeats):
        for name, contender in CONTENDERS.items():
            with tempfile.TemporaryDirectory(prefix="protogen-bench-") as folder:
                turns[name].append(trio.run(partial(_turn, contender, Path(folder), ROWS[name] // TASKS)))
    middle = {
        name: Turn(**{it: median(getattr(turn, it) for turn in taken) for it in Turn.__struct_fields__})
        for name, taken in turns.items()
    }
    series = [Series(name=name, seconds=tuple(turn.per_operation for turn in taken)) for name, taken in turns.items()]
    targets = [
        Target(
            name="store by thread call, medians",
            measured=middle["store"].per_operation / middle["thread call"].per_operation,
            most=SHARE_OF_THREAD_CALL,
            unit="",
        ),
        Target(name="store: loop late, p99", measured=middle["store"].late_p99, most=LATE_MILLISECONDS, unit="ms"),
    ]
    notes = [
        f"{name}: {1000 / it.per_operation:.0f} operations/s, {it.cpu:.0f} us CPU each, answered in "
        f"{it.answered_p50:.1f} ms (p99 {it.answered_p99:.1f}), loop late by {it.late_p99:.1f} ms (p99)"
        for name, it in middle.items()
    ]
    return Report(
        unit="ms per durable operation",
        base="store",
        series=tuple(series),
        targets=tuple(targets),
        versions={"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version, "trio": trio.__version__},
        notes=(f"{TASKS} tasks, rows of {len(contenders.DOCUMENT)} bytes, synchronous FULL; medians:", *notes),
    )


async def _turn(contender: Contender, folder: Path, rows: int) -> Turn:
    answered: list[float] = []
    late: list[float] = []

    async def work(task: int, insert: Operation, update: Operation) -> None:
        for row in range(rows):
            key = f"{task:04}-{row:08}-7c9e6679-7425-40de-944b-e07fc1f90ae7"
            for operation in (insert, update):
                started = time.perf_counter()
                await operation(key)
                answered.append(time.perf_counter() - started)

    async def probe() -> None:
        while True:
            started = time.perf_counter()
            await trio.sleep(PROBE_SECONDS)
            late.append(time.perf_counter() - started - PROBE_SECONDS)

    async with contender(folder) as (insert, update), trio.open_nursery() as around:
        around.start_soon(probe)
        started, cpu = time.perf_counter(), time.process_time()
        async with trio.open_nursery() as nursery:
            for task in range(TASKS):
                nursery.start_soon(work, task, insert, update)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        around.cancel_scope.cancel()
    return Turn(
        per_operation=seconds / len(answered) * 1000,
        cpu=cpu / len(answered) * 1e6,
        answered_p50=_quantile(answered, 0.5) * 1000,
        answered_p99=_quantile(answered, 0.99) * 1000,
        late_p99=_quantile(late, 0.99) * 1000,
    )


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
