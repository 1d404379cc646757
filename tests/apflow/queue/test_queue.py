"""The queue: who is next, beside a model that looks at everything anew each time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protogen_runtime.apflow.queue import Member, Need, Node, Phase, ReadyQueue


def taken(queue: ReadyQueue) -> list[str]:
    """All that can be taken now."""
    found: list[str] = []
    while (node := queue.take()) is not None:
        found.append(node.key)
    return found


def node(queue: ReadyQueue, key: str) -> Node:
    found = queue.find(key)
    assert found is not None
    return found


def member(key: str, *needs: str, priority: int = 2, group: str | None = None) -> Member:
    """A member that needs others: `?` in front of optional ones."""
    return Member(key, priority, tuple(Need(need.lstrip("?"), not need.startswith("?")) for need in needs), group)


def test_priority_then_arrival() -> None:
    queue = ReadyQueue()
    queue.join(
        "r", [member("a", priority=3), member("b"), member("c", priority=0), member("d"), member("e", priority=1)]
    )
    assert taken(queue) == ["c", "e", "b", "d", "a"]


def test_runs_take_turns() -> None:
    queue = ReadyQueue()
    queue.join("r", [member(f"r{number}") for number in range(4)])
    queue.join("s", [member(f"s{number}") for number in range(2)])
    assert taken(queue) == ["r0", "s0", "r1", "s1", "r2", "r3"]


@pytest.mark.parametrize(
    ("need", "completed", "ready"), [("a", True, ["b"]), ("a", False, []), ("?a", True, ["b"]), ("?a", False, ["b"])]
)
def test_a_dependant_is_ready_at_once(need: str, completed: bool, ready: list[str]) -> None:
    queue = ReadyQueue()
    run = queue.join("r", [member("b", need), member("a")])
    assert taken(queue) == ["a"]
    queue.settle(node(queue, "a"), completed=completed)
    assert taken(queue) == ready
    assert queue.is_over(run) == (not ready)


@pytest.mark.parametrize(
    ("required", "outcome", "ready"),
    [(True, True, True), (True, False, False), (True, None, False), (False, False, True), (False, None, False)],
)
def test_what_is_outside_counts_by_its_outcome(required: bool, outcome: bool | None, ready: bool) -> None:
    queue = ReadyQueue()
    run = queue.join("r", [Member("b", 2, (Need("elsewhere", required, outcome),))])
    assert taken(queue) == (["b"] if ready else [])
    assert queue.is_over(run) == (not ready)


def test_a_run_waits_for_another_run_and_not_for_ever() -> None:
    queue = ReadyQueue()
    other = queue.join("s", [member("a"), member("x", "y"), member("y")])
    run = queue.join("r", [Member("b", 2, (Need("a"),)), Member("c", 2, (Need("x"),))])
    assert taken(queue) == ["a", "y"]
    assert not queue.is_over(run)
    queue.settle(node(queue, "a"), completed=True)
    assert taken(queue) == ["b"]
    queue.settle(node(queue, "b"), completed=True)
    assert not queue.is_over(run)
    queue.settle(node(queue, "y"), completed=False)
    assert queue.is_over(other)
    assert queue.is_over(run)
    queue.end(other)
    assert [left.key for left in queue.end(run)] == ["c"]


def test_what_happens_outside_of_runs_counts_too() -> None:
    queue = ReadyQueue()
    queue.join("r", [Member("b", 2, (Need("x", False), Need("y", False, False))), member("a")])
    queue.retire(node(queue, "y"))
    queue.settle(node(queue, "x"), completed=False)
    assert taken(queue) == ["a"], "y is pending again"
    queue.join("s", [member("y")])
    assert taken(queue) == ["y"]
    queue.settle(node(queue, "y"), completed=True)
    assert taken(queue) == ["b"]


def test_a_settled_task_begins_again() -> None:
    queue = ReadyQueue()
    queue.join("r", [member("a"), member("b", "a"), member("c", "?a")])
    queue.settle(node(queue, taken(queue)[0]), completed=True)
    queue.join("r", [member("a")])
    assert taken(queue) == ["a"], "b and c were ready and wait again"
    queue.settle(node(queue, "a"), completed=False)
    assert taken(queue) == ["c"]


def test_an_end_that_did_not_count_is_taken_back() -> None:
    queue = ReadyQueue()
    queue.join("r", [member("a"), member("b", "a"), member("c", "a")])
    first = node(queue, taken(queue)[0])
    queue.settle(first, completed=True)
    b = queue.take()
    assert b is not None
    queue.put_back(b)
    queue.correct(first)
    assert taken(queue) == []
    assert (b.phase, first.phase) == (Phase.WAITING, Phase.LOST)


def test_a_retired_task_neither_runs_nor_lets_others_run() -> None:
    queue = ReadyQueue()
    run = queue.join("r", [member("a"), member("b", "?a"), member("c")])
    queue.retire(node(queue, "a"))
    assert taken(queue) == ["c"]
    queue.settle(node(queue, "c"), completed=True)
    assert queue.is_over(run)
    queue.join("r", [member("a")])
    assert taken(queue) == ["a"]


def test_dependencies_and_priorities_change_while_a_task_waits() -> None:
    queue = ReadyQueue()
    queue.join("r", [member("a"), member("b", "a"), member("c")])
    queue.revise(member("c", "b"))
    queue.revise(member("b", priority=0))
    assert taken(queue) == ["b", "a"]
    queue.settle(node(queue, "b"), completed=True)
    assert taken(queue) == ["c"]


def test_a_group_is_bounded_and_holds_up_nobody_else() -> None:
    queue = ReadyQueue({"g": 1})
    queue.join("r", [member("a", priority=0, group="g"), member("b", priority=0, group="g"), member("c")])
    assert taken(queue) == ["a", "c"]
    queue.settle(node(queue, "a"), completed=True)
    assert taken(queue) == ["b"]


def test_a_settled_task_begins_again_with_what_it_needs_now() -> None:
    queue = ReadyQueue()
    queue.join("r", [member("a"), member("b", "?a"), member("c")])
    queue.settle(node(queue, "b"), completed=False)
    queue.join("r", [member("b", "a", "c")])
    assert taken(queue) == ["a", "c"]
    queue.settle(node(queue, "a"), completed=True)
    assert taken(queue) == []
    queue.settle(node(queue, "c"), completed=True)
    assert taken(queue) == ["b"]


def test_a_task_of_an_ended_run_needs_what_it_is_said_to_need_later() -> None:
    queue = ReadyQueue()
    ended = queue.join("r", [member("x", "y"), member("y")])
    queue.join("s", [member("z", "x")])
    queue.settle(node(queue, "y"), completed=False)
    queue.end(ended)
    queue.join("r", [member("x")])
    assert taken(queue) == ["x"]


def test_a_task_that_moved_to_another_flow_runs_there() -> None:
    queue = ReadyQueue()
    first = queue.join("r", [member("a"), member("b", "a")])
    queue.settle(node(queue, "a"), completed=False)
    second = queue.join("s", [member("a")])
    assert not queue.is_over(first)
    assert not queue.is_over(second)
    assert taken(queue) == ["a"]
    queue.settle(node(queue, "a"), completed=True)
    assert queue.is_over(second)
    assert not queue.end(second)
    assert taken(queue) == ["b"]


def test_a_run_is_looked_at_when_what_it_waits_for_elsewhere_is_lost() -> None:
    queue = ReadyQueue()
    queue.join("r", [member("a"), member("b")])
    waiting = queue.join("s", [member("c", "a", "?b")])
    assert taken(queue) == ["a", "b"]
    queue.settle(node(queue, "a"), completed=False)
    assert queue.take_stalled() == [waiting]
    assert not queue.is_over(waiting)
    queue.settle(node(queue, "b"), completed=True)
    assert queue.take_stalled() == [waiting]
    assert queue.is_over(waiting)
    assert queue.take_stalled() == []


def test_nobody_waits_for_room_that_a_withdrawn_task_did_not_take() -> None:
    queue = ReadyQueue({"g": 1})
    queue.join("r", [member(key, group="g") for key in "abc"])
    assert taken(queue) == ["a"]
    queue.settle(node(queue, "a"), completed=True)
    queue.settle(node(queue, "b"), completed=False)
    assert taken(queue) == ["c"]


def test_a_task_counts_for_the_group_that_it_has_now() -> None:
    queue = ReadyQueue({"g": 1, "h": 1})
    queue.join("r", [member("a", group="g"), member("b", group="h"), member("c", group="h")])
    assert taken(queue) == ["a", "b"]
    queue.revise(member("a", group="h"))
    assert taken(queue) == []
    queue.settle(node(queue, "b"), completed=True)
    assert taken(queue) == ["c"]


def test_ended_runs_leave_nothing_behind() -> None:
    queue = ReadyQueue()
    for _ in range(3):
        run = queue.join("r", [Member("a", 2, (Need("elsewhere"),)), member("b", "a"), member("c")])
        queue.settle(node(queue, taken(queue)[0]), completed=True)
        assert queue.is_over(run)
        assert len(queue.end(run)) == 2
        assert not queue._nodes
        assert not list(queue.runs)


@pytest.mark.parametrize("shape", ["chain", "star", "fan in", "layers"])
def test_steps_cost_the_same_whatever_the_size(shape: str) -> None:
    def cost(count: int) -> float:
        keys = [f"{number:08}" for number in range(count)]
        match shape:
            case "chain":
                members = [member(key, *keys[max(index - 1, 0) : index]) for index, key in enumerate(keys)]
            case "star":
                members = [member(keys[0]), *(member(key, keys[0]) for key in keys[1:])]
            case "fan in":
                members = [*(member(key) for key in keys[1:]), member(keys[0], *keys[1:])]
            case _:
                members = [member(key, *keys[max(index - 100, 0) : index : 33]) for index, key in enumerate(keys)]
        best = 1e9
        for _ in range(3):
            queue = ReadyQueue()
            started = time.process_time()
            queue.join("r", members)
            done = 0
            while (found := queue.take()) is not None:
                queue.settle(found, completed=True)
                done += 1
            best = min(best, time.process_time() - started)
            assert done == count
        return best / count

    # Quadratic would be 8 times as much.
    assert cost(16_000) < 4 * cost(2_000)


KEYS = [f"k{number}" for number in range(6)]
GROUPS = {"one": 1, "two": 2}


class Model:
    """The same by looking at all tasks."""

    def __init__(self) -> None:
        self.needs: dict[str, dict[str, bool]] = {}
        self.phase: dict[str, str] = {}
        self.group: dict[str, str | None] = {}
        self.home: dict[str, str] = {}
        """The run that a task takes part in."""

    def can_start(self, key: str) -> bool:
        def met(need: str, required: bool) -> bool:
            phase = self.phase.get(need, "absent")
            return phase == "completed" or (phase == "lost" and not required)

        return key in self.home and self.phase[key] == "pending" and all(met(*need) for need in self.needs[key].items())

    def has_room(self, key: str) -> bool:
        taken = [each for each, phase in self.phase.items() if phase == "taken" and self.group[each] == self.group[key]]
        return len(taken) < GROUPS.get(self.group[key] or "", len(KEYS))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_sequence_agrees_with_the_model(data: st.DataObject) -> None:
    queue, model = ReadyQueue(GROUPS), Model()
    order = data.draw(st.permutations(KEYS))

    def draw(key: str) -> None:
        before = order[: order.index(key)]
        model.needs[key] = (
            data.draw(st.dictionaries(st.sampled_from(before), st.booleans(), max_size=3)) if before else {}
        )
        model.group[key] = data.draw(st.sampled_from([None, None, *GROUPS]))

    def as_member(key: str) -> Member:
        outcomes = {"completed": True, "lost": False}
        needs = [Need(need, required, outcomes.get(model.phase[need])) for need, required in model.needs[key].items()]
        return Member(key, 2, tuple(needs), model.group[key])

    def join(root: str, *keys: str) -> None:
        for key in keys:
            model.phase[key] = "pending"
        queue.join(root, [as_member(key) for key in keys])
        model.home.update(dict.fromkeys(keys, root))

    for key in KEYS:
        draw(key)
        model.phase[key] = "pending"
    join("r", *KEYS[:4])
    join("s", *KEYS[4:])
    for _ in range(data.draw(st.integers(1, 25))):
        key = data.draw(st.sampled_from(KEYS))
        phase = model.phase[key]
        match data.draw(st.sampled_from(["take", "settle", "again", "retire", "revise", "put back", "end"])):
            case "take":
                found = queue.take()
                startable = {each for each in KEYS if model.can_start(each) and model.has_room(each)}
                assert (found is None) == (not startable)
                if found is not None:
                    assert found.key in startable
                    model.phase[found.key] = "taken"
            case "settle" if phase in ("pending", "taken"):
                completed = phase == "taken" and data.draw(st.booleans())
                if (it := queue.find(key)) is not None:
                    queue.settle(it, completed=completed)
                model.phase[key] = "completed" if completed else "lost"
            case "again" if phase in ("completed", "lost", "idle") or key not in model.home:
                if data.draw(st.booleans()):
                    draw(key)
                join(data.draw(st.sampled_from("rs")), key)
            case "retire" if phase != "taken":
                if (it := queue.find(key)) is not None:
                    queue.retire(it)
                model.phase[key] = "idle"
            case "revise" if phase == "pending" and key in model.home:
                draw(key)
                queue.revise(as_member(key))
            case "put back" if phase == "taken":
                queue.put_back(node(queue, key))
                model.phase[key] = "pending"
            case "end":
                for root in "rs":
                    run = queue.run_of(root)
                    if run is not None and queue.is_over(run):
                        waiting = [each for each in KEYS if model.home.get(each) == root]
                        left = {each for each in waiting if model.phase[each] == "pending"}
                        assert {it.key for it in queue.end(run)} == left
                        for each in waiting:
                            del model.home[each]
                        assert not left & {each for each in KEYS if model.can_start(each)}
            case _:
                pass
    while (found := queue.take()) is not None:
        assert model.can_start(found.key)
        assert model.has_room(found.key)
        model.phase[found.key] = "taken"
    assert not [each for each in KEYS if model.can_start(each) and model.has_room(each)]
    for root in "rs":
        run = queue.run_of(root)
        taken_here = [each for each in KEYS if model.home.get(each) == root and model.phase[each] == "taken"]
        assert run is None or not taken_here or not queue.is_over(run)
