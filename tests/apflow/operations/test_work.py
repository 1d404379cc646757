"""Executing stored flows again: what it may change of them, and that it costs the same for each task whatever their
number. Work is counted in calls of functions, which are the same on every machine.
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
from apflow_protocol import TaskInput
from node_rig import CountedIds, Rig, in_trio, open_rig, task

from protogen_runtime.apflow.rules.faults import RuleBroken

Shape = Callable[[Sequence[str], int], dict[str, Any]]
"""Place and dependencies of one task of a flow."""


def flat(keys: Sequence[str], index: int) -> dict[str, Any]:
    return {"parent_id": keys[0] if index else None}


def deep(keys: Sequence[str], index: int) -> dict[str, Any]:
    return {"parent_id": keys[index - 1] if index else None}


def chain(keys: Sequence[str], index: int) -> dict[str, Any]:
    return {**flat(keys, index), "needs": [keys[index - 1]] if index > 1 else []}


def back(keys: Sequence[str], index: int) -> dict[str, Any]:
    """The chain the other way round."""
    return {**flat(keys, index), "needs": [keys[index + 1]] if 0 < index < len(keys) - 1 else []}


def star(keys: Sequence[str], index: int) -> dict[str, Any]:
    return {**flat(keys, index), "needs": [keys[1]] if index > 1 else []}


def fan_in(keys: Sequence[str], index: int) -> dict[str, Any]:
    return {**flat(keys, index), "needs": [] if index else list(keys[1:])}


def tasks(keys: Sequence[str], shape: Shape) -> list[TaskInput]:
    return [task(key, method=None, **shape(keys, index)) for index, key in enumerate(keys)]


async def calls_per_task(count: int, first: Shape, then: Shape | None) -> float:
    """How many calls the decision to execute a flow again takes for each task; all of them, or the root alone."""
    profile = cProfile.Profile()
    async with open_rig() as rig:
        new_id = CountedIds()
        keys = [new_id() for _ in range(count)]
        await rig.run(*tasks(keys, first))
        enter = rig.operations._enter

        def profiled(*given: Any) -> Any:
            with profile:
                return enter(*given)

        rig.operations._enter = profiled  # type: ignore[method-assign]  # seen from outside, it is one decision
        await rig.run(*(tasks(keys, then) if then else [task(keys[0], method=None)]))
        assert set(await rig.statuses(*keys)) == {"completed"}
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]  # typeshed does not know it
    return calls / count


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (flat, chain),
        (flat, deep),
        (deep, flat),
        (chain, back),
        (chain, chain),
        (star, fan_in),
        (fan_in, None),
        (deep, None),
    ],
)
def test_a_task_costs_the_same_in_a_flow_of_any_size(first: Shape, then: Shape | None) -> None:
    few, many = (trio.run(calls_per_task, count, first, then) for count in (50, 400))
    assert many < 1.2 * few


@in_trio
async def test_tasks_that_change_together_are_checked_as_they_are_then() -> None:
    """One after the other, the first of the chain would wait for one that waits for it still."""
    async with open_rig() as rig:
        new_id = CountedIds()
        keys = [new_id() for _ in range(5)]
        await rig.run(*tasks(keys, chain))
        await rig.run(*tasks(keys, back))
        assert [it["id"] for it in (await rig.get(keys[1]))["dependencies"]] == [keys[2]]


async def refusal(rig: Rig, *given: TaskInput) -> RuleBroken:
    with pytest.raises(RuleBroken) as refused:
        await rig.execute(*given)
    return refused.value


@in_trio
async def test_what_would_be_a_circle_is_refused_and_nothing_is_changed() -> None:
    async with open_rig() as rig:
        new_id = CountedIds()
        keys = [new_id() for _ in range(4)]
        await rig.run(*tasks(keys, chain))
        before = await rig.tree(keys[0])
        circle = [task(keys[index], method=None, needs=[keys[3 if index == 1 else index - 1]]) for index in (1, 2, 3)]
        refused = await refusal(rig, task(keys[0], method=None), *circle)
        circular: Any = refused.data["cycle"]
        assert (refused.error, len(circular)) == ("CircularDependency", 4)
        below = [task(keys[1], method=None, parent_id=keys[2]), task(keys[2], method=None, parent_id=keys[1])]
        refused = await refusal(rig, task(keys[0], method=None), *below)
        assert (refused.error, refused.data["path"]) == ("InvalidParentReference", ["tasks", 1, "parent_id"])
        assert await rig.tree(keys[0]) == before


@in_trio
async def test_a_task_that_is_executed_again_stays_in_its_flow() -> None:
    async with open_rig() as rig:
        new_id = CountedIds()
        keys = [new_id() for _ in range(3)]
        await rig.run(*tasks(keys, flat))
        other = await rig.create()
        for parent in (other, None):
            refused = await refusal(rig, task(keys[1], method=None, parent_id=parent))
            assert refused.error == "TaskTreeValidationFailed"
            assert (refused.data["path"], refused.data["actual"]) == (["tasks", 0, "parent_id"], parent)
        await rig.run(task(keys[1], method=None, parent_id=keys[2]))
        assert (await rig.get(keys[1]))["parent_id"] == keys[2]
