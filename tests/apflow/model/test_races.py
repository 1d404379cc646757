"""Pairs of operations at the same moment, on a real store: whoever comes first, no illegal transition ever."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from node_rig import Rig, in_trio, open_rig, task

from protogen_runtime.apflow.commits import Changed
from protogen_runtime.apflow.executors import Execution, ExecutorFailed
from protogen_runtime.apflow.rules.faults import RuleBroken
from protogen_runtime.apflow.rules.transitions import TABLE, TERMINAL

RACES = 100
RACES_IN_SOAK = 3400
AT_ONCE = 20
SEED = 11

Race = Callable[[Rig, random.Random], Awaitable[str]]


class Witness:
    """Sees every change of every task, as it was committed."""

    def __init__(self, rig: Rig) -> None:
        self.history: defaultdict[str, list[str]] = defaultdict(list)
        self._next = rig.tasks.committer._applied
        rig.tasks.committer._applied = self._look

    def _look(self, changes: Sequence[Changed]) -> None:
        for it in changes:
            before = it.before.status if it.before else None
            after = it.after.status if it.after else None
            key = (it.before or it.after).key  # type: ignore[union-attr]  # one of them is there
            self.history[key].append(f"{before} -> {after}")
            assert before == after or is_legal(before, after), (key, self.history[key])
        self._next(changes)


def is_legal(before: str | None, after: str | None) -> bool:
    if before is None:
        return after == "pending"
    if after is None:
        return before == "pending"
    # Re-execution is an operation of its own, which admits every ended state.
    return after in TABLE[before] or (before in TERMINAL and after == "pending")  # type: ignore[index]  # they are states


class Counted:
    """Runs for a moment, and sees to it that no task is executed twice at once."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.running: set[str] = set()
        self._started: defaultdict[str, trio.Event] = defaultdict(trio.Event)

    async def wait_started(self, id_: str, runs: int = 1) -> None:
        while self.runs[id_] < runs:
            await self._started[id_].wait()

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        id_ = execution.task_id
        assert id_ not in self.running
        self.running.add(id_)
        self.runs[id_] += 1
        self._started.pop(id_, trio.Event()).set()
        try:
            await some_time(inputs["time"])
        finally:
            self.running.discard(id_)
        if inputs.get("fails"):
            raise ExecutorFailed("as asked")
        return {"run": self.runs[id_]}


def counted(rig: Rig) -> Counted:
    registered = rig.registry.find("counted")
    assert registered is not None
    assert isinstance(registered.executor, Counted)
    return registered.executor


async def some_time(steps: int) -> None:
    for _ in range(steps):
        await trio.lowlevel.checkpoint()


async def both(*calls: Callable[[], Awaitable[Any]]) -> list[str]:
    """The errors that the calls end with, "" for none."""
    errors = [""] * len(calls)

    async def run(index: int) -> None:
        try:
            await calls[index]()
        except RuleBroken as refused:
            errors[index] = refused.error

    async with trio.open_nursery() as nursery:
        for index in range(len(calls)):
            nursery.start_soon(run, index)
    return errors


async def settled(rig: Rig, id_: str, *, exists: bool = True) -> dict[str, Any]:
    """The task once nothing of its flow is under way."""
    while rig.manager.is_running(id_):
        feed = rig.manager.subscribe(id_)
        async for _ in feed:
            pass
    return await rig.get(id_) if exists else {}


async def cancel_against_completion(rig: Rig, chance: random.Random) -> str:
    fails = chance.random() < 0.3
    given = task(method="counted", inputs={"time": chance.randint(0, 3), "fails": fails})
    started = await rig.execute(given)

    async def cancel() -> None:
        if chance.random() < 0.8:
            await counted(rig).wait_started(started.root)
        await some_time(chance.randint(0, 4))
        await rig.cancel(started.root)

    (error,) = await both(cancel)
    found = await settled(rig, started.root)
    if error:
        assert error == "InvalidStateTransition"
        assert found["status"] == ("failed" if fails else "completed")
        return "ended"
    assert (found["status"], found["result"], found["error"]) == ("cancelled", None, "Cancelled")
    return "cancelled while running" if found["started_at"] else "cancelled before"


async def two_executions(rig: Rig, chance: random.Random) -> str:
    given = task(method="counted", inputs={"time": chance.randint(0, 3), "fails": True})
    id_ = str(given.id)
    await rig.run(given)

    async def again() -> None:
        # At once, or when the other one has led to an execution, or to the end of that.
        if chance.random() < 0.4:
            with trio.move_on_after(1):
                await counted(rig).wait_started(id_, 2)
        await some_time(chance.randint(0, 4))
        await rig.execute(task(id_, method=None))

    errors = await both(again, again)
    found = await settled(rig, id_)
    assert set(errors) <= {"", "TaskAlreadyExecuting"}
    assert errors != ["TaskAlreadyExecuting"] * 2
    assert 2 <= counted(rig).runs[id_] <= 1 + errors.count("")
    assert found["status"] == "failed"
    return " ".join(error or "accepted" for error in sorted(errors))


async def delete_against_execution(rig: Rig, chance: random.Random) -> str:
    id_ = await rig.create(method="counted", inputs={"time": 1})

    async def delete() -> None:
        if chance.random() < 0.3:
            await counted(rig).wait_started(id_)
        await some_time(chance.randint(0, 4))
        await rig.delete(id_)

    async def execute() -> None:
        await some_time(chance.randint(0, 4))
        await rig.execute(task(id_, method="counted", inputs={"time": 1}))

    deletion, execution = await both(delete, execute)
    assert execution == ""
    assert deletion in ("", "CannotDeleteTask")
    assert deletion == "" or (await settled(rig, id_))["status"] == "completed"
    if deletion == "":
        # Deleted first and stored anew, or deleted after it was stored for execution and before it was started.
        await settled(rig, id_, exists=False)
        assert counted(rig).runs[id_] <= 1
        return "deleted"
    return "executed"


RACES_OF = (cancel_against_completion, two_executions, delete_against_execution)


async def run_races(race: Race, count: int, address: str) -> Counter[str]:
    chance = random.Random(SEED)
    found: Counter[str] = Counter()
    async with open_rig(address, executors=[("counted", Counted())]) as rig:
        Witness(rig)
        turns = iter(range(count))

        async def run() -> None:
            for _ in turns:
                found[await race(rig, chance)] += 1

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(run)
    assert sum(found.values()) == count
    assert len(found) > 1, f"no race at all: {found}"
    return found


@pytest.mark.parametrize("race", RACES_OF)
def test_races(race: Race, tmp_path: Path) -> None:
    in_trio(run_races)(race, RACES, f"sqlite:///{tmp_path / 'node.db'}")


@pytest.mark.soak
@pytest.mark.parametrize("race", RACES_OF)
def test_ten_thousand_races(race: Race, tmp_path: Path) -> None:
    trio.run(run_races, race, RACES_IN_SOAK, f"sqlite:///{tmp_path / 'node.db'}")
