"""A node that works until it is killed: it executes flows and says on stdout what was acknowledged, a line each.

    kill_node.py DATABASE LOG work     new flows without end
    kill_node.py DATABASE LOG finish   what is left to do, then end

Every execution first writes its task's id to LOG. Lines: `ready`, `created ID`, `started ID...` (a flow, its root
first), `STATUS ID` (told by the feed, so it is stored).
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

import trio
from apflow_protocol import Dependency, TaskInput, TaskSchemas, TasksCreateParams, TasksExecuteParams

from protogen_runtime.apflow.executors import Execution, ExecutorFailed, ExecutorRegistry
from protogen_runtime.apflow.identifiers import new_uuid
from protogen_runtime.apflow.operations import Operations, open_operations
from protogen_runtime.apflow.records import SCHEMA
from protogen_runtime.store import open_store

CLIENTS = 4


def say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


def flow() -> list[TaskInput]:
    """Some tasks that depend on each other; the last one fails now and then."""
    ids = [new_uuid() for _ in range(random.randint(1, 12))]
    tasks = [TaskInput(id=ids[0], name="root", schemas=TaskSchemas(method="logged"))]
    for index, id_ in enumerate(ids[1:], 1):
        needs = random.sample(ids[1:index], min(index - 1, random.randint(0, 2)))
        tasks.append(
            TaskInput(
                id=id_,
                name="task",
                parent_id=ids[0],
                schemas=TaskSchemas(method=random.choice(["logged", "logged", "again"])),
                inputs={"fails": random.random() < 0.1},
                dependencies=[Dependency(id=need, required=random.random() < 0.5) for need in needs],
            )
        )
    return tasks


async def work(operations: Operations) -> None:
    while True:
        result = await operations.create(TasksCreateParams(name="kept"), None)
        say("created", result.id)
        tasks = flow()
        started = await operations.execute(TasksExecuteParams(tasks=tasks), None, follow=True)
        say("started", *(str(task.id) for task in tasks))
        assert started.feed is not None
        async for event in started.feed:
            say(event.status, event.task_id)


async def main(database: str, log: str, mode: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def logged(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        os.write(out, f"{execution.task_id}\n".encode())
        await trio.lowlevel.checkpoint()
        if inputs.get("fails"):
            raise ExecutorFailed("as asked")
        return {"id": execution.task_id}

    registry = ExecutorRegistry()
    registry.register("logged", logged)
    registry.register("again", logged, idempotent=True)
    async with open_store(f"sqlite:///{database}", SCHEMA) as store, open_operations(store, registry) as operations:
        say("ready")
        if mode == "finish":
            await operations.manager.wait_idle()
            return
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(work, operations)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
