"""A task node without its ways in: what operations cost, durable in SQLite, and how long dependants wait.

Beside the suite `apflow`, which measures the same over HTTP, this tells what the protocol's part is.
"""

from __future__ import annotations

import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median

import msgspec
import trio
from apflow_protocol import (
    Dependency,
    TaskInput,
    TaskSchemas,
    TasksCreateParams,
    TasksExecuteParams,
    TasksGetParams,
    TasksListParams,
)
from report import Report, Series, Target

from protogen_runtime.apflow.executors import Execution, ExecutorRegistry
from protogen_runtime.apflow.executors.builtin import register_builtin
from protogen_runtime.apflow.identifiers import new_uuid
from protogen_runtime.apflow.manager import Settings
from protogen_runtime.apflow.operations import Operations, open_operations
from protogen_runtime.apflow.records import SCHEMA
from protogen_runtime.store import open_store

CALLERS = 32
CALLS = 4000
LISTS = 500
SMALL, LARGE = 1_000, 20_000
RUNNING, LINKS = 1_000, 4
REPEATS = 3
"""At most: a run takes half a minute."""
ECHO = TaskSchemas(method="echo")


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What one run took: milliseconds by name for each call, microseconds of CPU for each task of two flows, and the
    milliseconds that dependants waited."""

    calls: dict[str, float]
    small: float
    large: float
    waits: tuple[float, ...]


def run(repeats: int) -> Report:
    """Measure everything; medians of some runs."""
    taken = [_measured() for _ in range(min(repeats, REPEATS))]
    names = list(taken[0].calls)
    waits = [sorted(costs.waits) for costs in taken]
    p50, p99 = (median(each[len(each) * part // 100] for each in waits) for part in (50, 99))
    return Report(
        unit=f"ms an operation, {CALLERS} callers",
        base="create",
        series=tuple(Series(name=name, seconds=tuple(costs.calls[name] for costs in taken)) for name in names),
        targets=(
            Target(name="execute one task", measured=_middle(taken, "execute"), most=0.5, unit="ms"),
            Target(name="list of 20, not in memory", measured=_middle(taken, "list"), most=0.2, unit="ms"),
            Target(name=f"a task of {LARGE:,} in one flow", measured=_middle(taken, "flow"), most=0.5, unit="ms"),
            Target(
                name=f"CPU a task, {LARGE:,} by {SMALL:,}",
                measured=median(costs.large for costs in taken) / median(costs.small for costs in taken),
                most=1.3,
                unit="",
            ),
            Target(name=f"dependant's start, {RUNNING:,} running, p99", measured=p99, most=10.0, unit="ms"),
        ),
        versions={"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version},
        notes=(f"dependants start after {p50:.1f} ms (median)",),
    )


def _middle(taken: list[Costs], name: str) -> float:
    return median(costs.calls[name] for costs in taken)


def _measured() -> Costs:
    calls = trio.run(_calls)
    small, _ = trio.run(_flow, SMALL)
    large, calls["flow"] = trio.run(_flow, LARGE)
    return Costs(calls=calls, small=small, large=large, waits=tuple(trio.run(_waits)))


@asynccontextmanager
async def _operations(**settings: int) -> AsyncGenerator[tuple[Operations, Clocked], None]:
    registry, clocked = ExecutorRegistry(), Clocked()
    register_builtin(registry)
    registry.register("clocked", clocked)
    with tempfile.TemporaryDirectory(prefix="protogen-bench-") as folder:
        async with (
            open_store(f"sqlite:///{Path(folder) / 'node.db'}", SCHEMA) as store,
            open_operations(store, registry, settings=Settings(**settings)) as operations,
        ):
            yield operations, clocked


async def _calls() -> dict[str, float]:
    async with _operations() as (operations, _):
        made: list[str] = []
        one = TasksExecuteParams(tasks=[TaskInput(name="one", schemas=ECHO, inputs={"n": 1})])
        page, offsets = TasksListParams(limit=20), count()

        async def create() -> None:
            made.append((await operations.create(TasksCreateParams(name="task", schemas=ECHO), None)).id)

        async def get() -> None:
            await operations.get(TasksGetParams(task_id=random.choice(made)), None)

        async def ask() -> None:
            # Another page each time, so that none is answered from memory.
            await operations.list_(msgspec.structs.replace(page, offset=next(offsets)), None)

        async def execute() -> None:
            await operations.execute(one, None)

        async def execute_to_the_end() -> None:
            started = await operations.execute(one, None, follow=True)
            assert started.feed is not None
            async for _ in started.feed:
                pass

        todo = {"create": create, "get": get, "list": ask, "execute": execute, "to the end": execute_to_the_end}
        return {name: await _timed(call, LISTS if call is ask else CALLS) for name, call in todo.items()}


async def _timed(call: Callable[[], Awaitable[None]], calls: int) -> float:
    """Milliseconds for each of many calls."""
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await call()

    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(CALLERS):
            nursery.start_soon(caller)
    return (time.perf_counter() - started) / calls * 1000


async def _flow(size: int) -> tuple[float, float]:
    """Microseconds of CPU and milliseconds for each task of a flow of so many that do nothing."""
    root = new_uuid()
    tasks = [TaskInput(id=root, name="root", schemas=ECHO)]
    tasks += [TaskInput(id=new_uuid(), parent_id=root, name="task", schemas=ECHO) for _ in range(size - 1)]
    async with _operations() as (operations, _):
        started, used = time.perf_counter(), time.process_time()
        await operations.execute(TasksExecuteParams(tasks=tasks), None)
        await operations.manager.wait_idle()
        assert operations.tasks.count(status="completed") == size
        taken, cpu = time.perf_counter() - started, time.process_time() - used
        return cpu / size * 1e6, taken / size * 1000


class Clocked:
    """Sleeps, and remembers when it began and ended."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    async def execute(self, inputs: dict[str, float], execution: Execution) -> dict[str, float]:
        self.began[execution.task_id] = time.perf_counter()
        await trio.sleep(inputs["seconds"])
        self.ended[execution.task_id] = time.perf_counter()
        return {}


async def _waits() -> list[float]:
    """Milliseconds from the end of each task to the start of its dependant, in chains that run beside each other."""
    root, chosen = new_uuid(), random.Random(1)
    tasks, pairs = [TaskInput(id=root, name="root")], list[tuple[str, str]]()
    for _ in range(RUNNING):
        before: str | None = None
        for _ in range(LINKS):
            id_ = new_uuid()
            tasks.append(
                TaskInput(
                    id=id_,
                    parent_id=root,
                    name="link",
                    schemas=TaskSchemas(method="clocked"),
                    inputs={"seconds": chosen.uniform(1, 3)},
                    dependencies=[] if before is None else [Dependency(id=before)],
                )
            )
            if before is not None:
                pairs.append((before, id_))
            before = id_
    async with _operations(concurrency=RUNNING) as (operations, clocked):
        await operations.execute(TasksExecuteParams(tasks=tasks), None)
        await operations.manager.wait_idle()
        return [(clocked.began[after] - clocked.ended[before]) * 1000 for before, after in pairs]
