"""A node without transports: operations over a store, with executors that tests hold in their hands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import Any

import msgspec
import trio
from apflow_protocol import (
    Dependency,
    TaskInput,
    TasksCancelParams,
    TaskSchemas,
    TasksCopyParams,
    TasksCreateParams,
    TasksDeleteParams,
    TasksExecuteParams,
    TasksGetParams,
    TasksListParams,
    TasksTreeParams,
    TasksUpdateParams,
    TaskUpdates,
)
from trio.testing import MockClock

from protogen_runtime.apflow.clock import Clock
from protogen_runtime.apflow.executors import Execution, ExecutorFailed, ExecutorRegistry
from protogen_runtime.apflow.executors.builtin import register_builtin
from protogen_runtime.apflow.identifiers import new_uuid
from protogen_runtime.apflow.operations import Operations, Started, open_operations
from protogen_runtime.apflow.records import SCHEMA
from protogen_runtime.store import Store, open_store

SECONDS = 20
"""What a test may take that waits for nothing but the machine."""
START = 1_800_000_000.0
"""What the clock of a rig says at first; from there it follows trio's."""


class Gate:
    """An executor whose executions wait until a test lets them end, and which remembers what it was asked."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.told: list[str] = []
        self.executions: dict[str, Execution] = {}
        self.running: set[str] = set()
        self.most = 0
        self._ends: dict[str, tuple[trio.Event, list[Any]]] = {}
        self._news = trio.Event()

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        key = execution.task_id
        self.started.append(key)
        self.executions[key] = execution
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        end, outcome = self._ends[key] = (trio.Event(), [])
        self._tell()
        try:
            await end.wait()
        except trio.Cancelled:
            self.cancelled.append(key)
            raise
        finally:
            self.running.discard(key)
            self._tell()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    async def cancel(self, execution: Execution) -> None:
        self.told.append(execution.task_id)

    def end(self, task_id: str, outcome: dict[str, Any] | BaseException | None = None) -> None:
        """Let an execution end, by default with its id as the result."""
        end, outcomes = self._ends[task_id]
        outcomes.append({"done": task_id} if outcome is None else outcome)
        end.set()

    def fail(self, task_id: str, message: str = "no") -> None:
        self.end(task_id, ExecutorFailed(message))

    async def wait_started(self, *task_ids: str) -> None:
        """Wait until all of these are running."""
        while not self.running.issuperset(task_ids):
            if self._news.is_set():
                self._news = trio.Event()
            await self._news.wait()

    def _tell(self) -> None:
        self._news.set()


class Rig:
    """What a test has at hand."""

    def __init__(self, operations: Operations, registry: ExecutorRegistry, gate: Gate, clock: Clock) -> None:
        self.operations = operations
        self.tasks = operations.tasks
        self.manager = operations.manager
        self.registry = registry
        self.gate = gate
        self.clock = clock

    async def create(self, user: str | None = None, **fields: Any) -> str:
        given = {"name": "task", **_typed(fields)}
        return (await self.operations.create(TasksCreateParams(**given), user)).id

    async def execute(self, *tasks: TaskInput, user: str | None = None, **options: Any) -> Started:
        return await self.operations.execute(TasksExecuteParams(tasks=[*tasks]), user, **options)

    async def run(self, *tasks: TaskInput, user: str | None = None) -> list[dict[str, Any]]:
        """Execute tasks to the end of their run; returns the tasks as they are then."""
        started = await self.execute(*tasks, user=user, follow=True)
        assert started.feed is not None
        async for _ in started.feed:
            pass
        return [await self.get(task.id) for task in tasks if isinstance(task.id, str)]

    async def get(self, task_id: str, user: str | None = None) -> dict[str, Any]:
        return msgspec.json.decode(await self.operations.get(TasksGetParams(task_id=task_id), user))

    async def status(self, task_id: str) -> str:
        return (await self.get(task_id))["status"]

    async def statuses(self, *task_ids: str) -> list[str]:
        return [await self.status(task_id) for task_id in task_ids]

    async def update(self, task_id: str, user: str | None = None, **fields: Any) -> str:
        params = TasksUpdateParams(task_id=task_id, updates=TaskUpdates(**_typed(fields)))
        return (await self.operations.update(params, user)).status

    async def cancel(self, task_id: str, user: str | None = None, **extra: Any) -> None:
        params = TasksCancelParams(task_id=task_id, **({"extra": extra} if extra else {}))
        await self.operations.cancel(params, user)

    async def delete(self, task_id: str, user: str | None = None) -> None:
        await self.operations.delete(TasksDeleteParams(task_id=task_id), user)

    async def copy(self, task_id: str, user: str | None = None, **fields: Any) -> str:
        return (await self.operations.copy(TasksCopyParams(task_id=task_id, **fields), user)).copied_task_id

    async def list(self, user: str | None = None, **fields: Any) -> dict[str, Any]:
        return msgspec.json.decode(await self.operations.list_(TasksListParams(**fields), user))

    async def tree(self, task_id: str, user: str | None = None) -> dict[str, Any]:
        return msgspec.json.decode(await self.operations.tree(TasksTreeParams(task_id=task_id), user))


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with `method` for schemas, and dependencies by id, `?` in front for optional ones."""
    fields = dict(fields)
    if "method" in fields:
        fields["schemas"] = TaskSchemas(method=fields.pop("method"))
    if "needs" in fields:
        fields["dependencies"] = [needed(each) for each in fields.pop("needs")]
    return fields


def needed(task_id: str) -> Dependency:
    return Dependency(id=task_id[1:], required=False) if task_id.startswith("?") else Dependency(id=task_id)


def task(task_id: str | None = None, **fields: Any) -> TaskInput:
    """A task to execute, by default at the gate."""
    given = {"name": "task", "id": task_id or new_uuid(), "method": "gate", **fields}
    if given["method"] is None:
        del given["method"]
    return TaskInput(**_typed(given))


class CountedIds:
    """Identifiers that are the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f"00000000-0000-4000-8000-{self._count:012x}"


def ids(count: int) -> list[str]:
    return [new_uuid() for _ in range(count)]


@asynccontextmanager
async def open_rig(
    address: str = "memory:",
    *,
    gate_options: dict[str, Any] | None = None,
    executors: Iterable[tuple[str, Any]] = (),
    store: Store | None = None,
    start: float = START,
    **options: Any,
) -> AsyncGenerator[Rig, None]:
    """A rig over the store at an address, or over one that is open; `options` are those of `open_operations`."""
    registry = ExecutorRegistry()
    register_builtin(registry)
    gate = Gate()
    registry.register("gate", gate, **(gate_options or {}))
    for name, work in executors:
        registry.register(name, work)
    began = trio.current_time()
    clock = Clock(lambda: start + trio.current_time() - began)
    async with AsyncExitStack() as stack:
        opened = store or await stack.enter_async_context(open_store(address, SCHEMA))
        operations = await stack.enter_async_context(open_operations(opened, registry, clock=clock, **options))
        yield Rig(operations, registry, gate, clock)


Test = Callable[..., Awaitable[None]]


def in_trio(test: Test) -> Callable[..., None]:
    """Run an asynchronous test, which has SECONDS."""
    return _run(test, None)


def in_no_time(test: Test) -> Callable[..., None]:
    """Run an asynchronous test with a clock that jumps to the next deadline; it must not wait for threads."""
    return _run(test, MockClock(autojump_threshold=0))


def _run(test: Test, clock: MockClock | None) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        async def bounded() -> None:
            with trio.fail_after(SECONDS if clock is None else 10**9):
                await test(*arguments, **options)

        trio.run(bounded, clock=clock)

    return run


def by_status(tasks: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in tasks:
        found[each["status"]].add(each["id"])
    return dict(found)
