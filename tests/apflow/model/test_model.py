"""Any sequence of operations by several clients at once: a node agrees with a model that is easy to believe.

Clients that act at the same moment may come in any order; one of the orders must explain all answers and what is stored
afterwards. Where several do, each is gone on with until something that is seen later speaks against it. Executors wait
at a gate, and end when a rule lets them.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar

import msgspec
import pytest
import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, register_random, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from node_rig import CountedIds, Rig, open_rig, task
from trio._core import _run as trio_run
from trio.testing import wait_all_tasks_blocked

from protogen_runtime.apflow.rules.faults import RuleBroken

# What trio does in which order is part of an example, so that it can be repeated: as in pytest-trio.
trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True
register_random(trio_run._r)

STEPS = 50
EXAMPLES = 60
STEPS_IN_SUITE = 2_000
STEPS_IN_SOAK = 200_000
PARTS = 20
"""Parts of a soak, each with a seed of its own."""
EXAMPLES_IN_PART = 280
"""Some of them end before their last step."""

NUMBERS = st.integers(0, 999)
KINDS = ("tree", "tree", "create", "execute", "execute part", "cancel", "delete", "reopen", "rewire", "move", "copy")
ENDED = ("completed", "failed", "cancelled")


class Item(msgspec.Struct):
    """A task, as far as the model goes."""

    status: str
    parent: str | None
    root: str
    needs: dict[str, bool]
    in_run: bool = False
    runs: int = 0


class Model:
    """What a node does, without queues, caches, commits or concurrency."""

    def __init__(self, items: dict[str, Item] | None = None) -> None:
        self.items: dict[str, Item] = items or {}

    def twin(self) -> Model:
        """Another one that goes its own way from here; what an item holds is never changed in place."""
        return Model({id_: copy.copy(item) for id_, item in self.items.items()})

    # Each operation returns an answer, or the name of the error.

    def create(self, id_: str, parent: str | None, needs: dict[str, bool]) -> str:
        if parent is not None and parent not in self.items:
            return "InvalidParentReference"
        if any(need not in self.items for need in needs):
            return "InvalidDependencyReference"
        self.items[id_] = Item("pending", parent, self.items[parent].root if parent else id_, needs)
        return "pending"

    def execute_new(self, tree: list[tuple[str, str | None, dict[str, bool]]]) -> str:
        root = tree[0][0]
        if any(id_ in self.items for id_, _, _ in tree):
            return self.execute_stored([id_ for id_, _, _ in tree])
        for id_, parent, needs in tree:
            self.items[id_] = Item("pending", parent, root, needs, in_run=True)
        return root

    def execute_stored(self, given: list[str]) -> str:
        if any(id_ not in self.items for id_ in given):
            return "new"  # not asked by the machine
        tops = [id_ for id_ in given if self.items[id_].parent not in given]
        above = {self.items[id_].parent for id_ in tops} - {None}
        if any(parent not in self.items for parent in above):
            return "InvalidParentReference"
        if len(tops) != 1:
            return "TaskTreeValidationFailed"
        root = self.items[tops[0]].root
        flow = {id_: item for id_, item in self.items.items() if item.root == root}
        chosen = set(given)
        if self.items[tops[0]].parent is None:
            chosen |= {id_ for id_, item in flow.items() if item.status == "pending"}
        reached = self._closure(chosen, lambda id_: [other for other, item in flow.items() if id_ in item.needs])
        chosen |= {id_ for id_ in reached if self.items[id_].status in ENDED}
        needed = self._closure(chosen, lambda id_: [need for need in self.items[id_].needs if need in flow])
        chosen |= {id_ for id_ in needed if self.items[id_].status == "pending"}
        waiting = lambda id_: [  # noqa: E731 - one line, used once
            other for other, item in flow.items() if item.status == "pending" and id_ in item.needs
        ]
        chosen |= self._closure(chosen, waiting)
        if any(self.items[id_].status == "in_progress" for id_ in chosen):
            return "TaskAlreadyExecuting"
        if len(chosen) == 1:
            (alone,) = chosen
            for need, required in self.items[alone].needs.items():
                if required and self.items[need].status in ("failed", "cancelled"):
                    return "DependencyNotSatisfied"
        for id_ in chosen:
            self.items[id_].status = "pending"
            self.items[id_].in_run = True
        return root

    def cancel(self, id_: str) -> str:
        item = self.items.get(id_)
        if item is None:
            return "TaskNotFound"
        if item.status in ENDED:
            return "InvalidStateTransition"
        item.status, item.in_run = "cancelled", False
        return "cancelled"

    def delete(self, id_: str) -> str:
        item = self.items.get(id_)
        if item is None:
            return "TaskNotFound"
        used = any(id_ == other.parent or id_ in other.needs for other in self.items.values())
        if item.status != "pending" or used:
            return "CannotDeleteTask"
        del self.items[id_]
        return "deleted"

    def reopen(self, id_: str) -> str:
        item = self.items.get(id_)
        if item is None:
            return "TaskNotFound"
        if item.status != "failed":
            return "InvalidStateTransition"
        item.status = "pending"
        return "pending"

    def rewire(self, id_: str, needs: dict[str, bool]) -> str:
        item = self.items.get(id_)
        if item is None:
            return "TaskNotFound"
        if item.needs == needs:
            return item.status
        if item.status == "in_progress":
            return "TaskAlreadyExecuting"
        if id_ in needs:
            return "CircularDependency"
        if any(need not in self.items for need in needs):
            return "InvalidDependencyReference"
        if id_ in self._closure(set(needs), lambda other: self.items[other].needs):
            return "CircularDependency"
        item.needs = needs
        return item.status

    def move(self, id_: str, parent: str | None) -> str:
        item = self.items.get(id_)
        if item is None:
            return "TaskNotFound"
        if item.parent == parent:
            return item.status
        if item.status == "in_progress":
            return "TaskAlreadyExecuting"
        children = lambda id_: [  # noqa: E731 - one line, used once
            other for other, it in self.items.items() if it.parent == id_
        ]
        below = self._closure({id_}, children)
        if parent is not None and (parent not in self.items or parent in below):
            return "InvalidParentReference"
        root = id_ if parent is None else self.items[parent].root
        if root != item.root:
            if any(self.items[each].in_run for each in below):
                return "TaskAlreadyExecuting"
            for each in below:
                self.items[each].root = root
        item.parent = parent
        return item.status

    def copy(self, id_: str, copied: str) -> str:
        item = self.items.get(id_)
        if item is None:
            return "TaskNotFound"
        self.items[copied] = Item("pending", None, copied, dict(item.needs))
        return "pending"

    def end(self, id_: str, *, completed: bool) -> None:
        item = self.items[id_]
        if item.status == "in_progress":
            item.status, item.in_run = ("completed" if completed else "failed"), False

    def settle(self) -> None:
        """Start what can start, and end the runs in which nothing can."""
        for item in self.items.values():
            if item.in_run and item.status == "pending" and all(self._met(*need) for need in item.needs.items()):
                item.status = "in_progress"
                item.runs += 1
        live = {item.root for item in self.items.values() if item.in_run and item.status == "in_progress"}
        grown = True
        while grown:
            more = {
                item.root
                for item in self.items.values()
                if item.in_run
                for need in item.needs
                if need in self.items
                and self.items[need].in_run
                and self.items[need].status in ("pending", "in_progress")
                and self.items[need].root in live
            }
            grown = not more <= live
            live |= more
        for item in self.items.values():
            if item.in_run and item.root not in live:
                item.in_run = False

    def _met(self, need: str, required: bool) -> bool:
        item = self.items.get(need)
        status = "gone" if item is None else item.status
        return status == "completed" or (not required and status in ("failed", "cancelled", "gone"))

    def _closure(self, start: set[str], follow: Callable[[str], Any]) -> set[str]:
        found, pending = set(start), list(start)
        while pending:
            for other in follow(pending.pop()):
                if other not in found and other in self.items:
                    found.add(other)
                    pending.append(other)
        return found


Action = tuple[Callable[[Model], str], Callable[[Rig], Any]]
"""What the model does, and what a client does."""


class Node(RuleBasedStateMachine):
    """Clients of one node over the memory store."""

    address = "memory:"
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.models = [Model()]
        """All that may be so, given what was seen: alike in what can be seen, not in what runs have."""
        self.known: list[str] = []
        self._stack = ExitStack()
        self.new_id = CountedIds()

    @initialize(concurrency=st.just(1000))
    def open(self, concurrency: int) -> None:
        self.portal: BlockingPortal = self._stack.enter_context(start_blocking_portal("trio"))
        self.rig: Rig = self._stack.enter_context(
            self.portal.wrap_async_context_manager(open_rig(self.address, new_id=self.new_id))
        )

    def teardown(self) -> None:
        self._stack.close()

    # --- rules --------------------------------------------------------------------------------------

    @rule(data=st.data(), clients=st.sampled_from([1, 1, 1, 2, 3]))
    def act(self, data: st.DataObject, clients: int) -> None:
        """One client, or several at once."""
        self.count()
        self._do(self._drawn(data, clients))

    @rule(number=NUMBERS, completed=st.booleans())
    def end_one(self, number: int, completed: bool) -> None:
        """An executor ends."""
        self.count()
        id_ = self._running(number)
        if id_ is not None:
            self._end(id_, completed)
            for model in self.models:
                model.end(id_, completed=completed)
                model.settle()

    @rule(data=st.data(), number=NUMBERS, completed=st.booleans(), clients=st.integers(1, 2))
    def end_while_wanted(self, data: st.DataObject, number: int, completed: bool, clients: int) -> None:
        """An executor ends at the moment in which clients want something of its task: the end or they come first."""
        self.count()
        id_ = self._running(number)
        actions = self._drawn(data, clients, of=id_)
        if id_ is not None:

            def ended(model: Model) -> str:
                model.end(id_, completed=completed)
                return "ended"

            async def end(_: Rig) -> str:
                self._release(id_, completed)
                return "ended"

            actions.append((ended, end))
        self._do(actions)

    def _running(self, number: int) -> str | None:
        items = self.models[0].items
        running = sorted(id_ for id_, item in items.items() if item.status == "in_progress")
        return running[number % len(running)] if running else None

    @invariant()
    def agree(self) -> None:
        """What is stored is what the model says."""
        if hasattr(self, "rig"):
            seen = self._seen()
            fitting = [model for model in self.models if _shape(model) == seen]
            assert fitting, f"{seen} is none of\n" + "\n".join(str(_shape(model)) for model in self.models)
            self.models = fitting

    def count(self) -> None:
        """Count a step that was taken."""
        type(self).steps += 1

    # --- clients ------------------------------------------------------------------------------------

    def _drawn(self, data: st.DataObject, clients: int, of: str | None = None) -> list[Action]:
        kinds = [data.draw(st.sampled_from(KINDS)) for _ in range(clients)]
        if any(kind.startswith("execute") for kind in kinds):
            # Executing a task that was deleted just before stores a new one, which test_races.py has.
            kinds = ["cancel" if kind == "delete" else kind for kind in kinds]
        return [self._draw(data, kind, of) for kind in kinds]

    def _draw(self, data: st.DataObject, kind: str, of: str | None) -> Action:
        # What is drawn next never depends on what a node did: clients at once may do it in another order next time.
        numbers = data.draw(st.tuples(NUMBERS, NUMBERS, NUMBERS))
        required = data.draw(st.tuples(st.booleans(), st.booleans()))
        if kind == "tree":
            return self._tree(data)
        if not self.known:
            return self._create(None, {})
        chosen = [self.known[number % len(self.known)] for number in numbers]
        first = of or chosen[0]
        needs = dict(zip(chosen[1 : 1 + numbers[0] % 3], required, strict=False))
        match kind:
            case "create":
                return self._create(None if numbers[0] % 2 else first, needs)
            case "execute":
                return self._execute([first])
            case "execute part":
                return self._execute(list(dict.fromkeys([first, *chosen[1 : 1 + numbers[0] % 3]])))
            case "cancel":
                return (lambda model: model.cancel(first)), lambda rig: _answer(rig.cancel(first), "cancelled")
            case "delete":
                return (lambda model: model.delete(first)), lambda rig: _answer(rig.delete(first), "deleted")
            case "reopen":
                return (lambda model: model.reopen(first)), lambda rig: _answer(rig.update(first, status="pending"))
            case "rewire":
                return self._rewire(first, needs)
            case "move":
                parent = None if numbers[0] % 4 == 0 else chosen[1]
                return (lambda model: model.move(first, parent)), lambda rig: _answer(
                    rig.update(first, parent_id=parent)
                )
            case _:
                return self._copy(first)

    def _create(self, parent: str | None, needs: dict[str, bool]) -> Action:
        made: list[str] = []

        async def create(rig: Rig) -> str:
            more = {"parent_id": parent} if parent else {}
            made.append(await rig.create(method="gate", needs=_words(needs), **more))
            self.known.append(made[0])
            return "pending"

        return (lambda model: model.create(made[0] if made else "none", parent, needs)), lambda rig: _answer(
            create(rig)
        )

    def _tree(self, data: st.DataObject) -> Action:
        names = [self.new_id() for _ in range(data.draw(st.integers(1, 5)))]
        tree: list[tuple[str, str | None, dict[str, bool]]] = []
        # Dependencies go to those before in this order, and parents to those before in that of the list.
        order = data.draw(st.permutations(names))
        for index, name in enumerate(names):
            parent = data.draw(st.sampled_from(names[:index])) if index else None
            before = order[: order.index(name)]
            needs = data.draw(st.dictionaries(st.sampled_from(before), st.booleans(), max_size=3)) if before else {}
            tree.append((name, parent, needs))
        inputs = [task(id_, parent_id=parent, needs=_words(needs)) for id_, parent, needs in tree]

        async def execute(rig: Rig) -> str:
            result = (await rig.execute(*inputs)).result.root_task_id
            self.known += names
            return result

        return (lambda model: model.execute_new(tree)), lambda rig: _answer(execute(rig))

    def _execute(self, given: list[str]) -> Action:
        async def execute(rig: Rig) -> str:
            for id_ in given:
                await rig.get(id_)  # one that is not stored would be a new one
            # Without a parent: another client may give it another one before this execution comes.
            return (await rig.execute(*(task(id_, method=None) for id_ in given))).result.root_task_id

        def expected(model: Model) -> str:
            if any(id_ not in model.items for id_ in given):
                return "TaskNotFound"
            return model.execute_stored(given)

        return expected, lambda rig: _answer(execute(rig))

    def _rewire(self, id_: str, needs: dict[str, bool]) -> Action:
        return (lambda model: model.rewire(id_, needs)), lambda rig: _answer(rig.update(id_, needs=_words(needs)))

    def _copy(self, id_: str) -> Action:
        made: list[str] = []

        async def copied(rig: Rig) -> str:
            made.append(await rig.copy(id_))
            self.known.append(made[0])
            return "pending"

        return (lambda model: model.copy(id_, made[0] if made else "none")), lambda rig: _answer(copied(rig))

    # --- comparing ----------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        answers: list[str] = [""] * len(actions)

        async def client(index: int) -> None:
            answers[index] = await actions[index][1](self.rig)

        async def clients() -> None:
            async with trio.open_nursery() as nursery:
                for index in range(len(actions)):
                    nursery.start_soon(client, index)
            await wait_all_tasks_blocked()

        self.portal.call(clients)
        seen = self._seen()
        explanations: list[Any] = []
        fitting: list[Model] = []
        # What can start does so soon after, but what a client does next may still come before.
        pauses = list(itertools.product([True, False], repeat=len(actions) - 1))
        orders = itertools.permutations(range(len(actions)))
        for before, order, settled in itertools.product(self.models, orders, pauses):
            model = before.twin()
            said: list[str] = [""] * len(actions)
            for index, is_settled in zip(order, (*settled, True), strict=True):
                said[index] = actions[index][0](model)
                if is_settled:
                    model.settle()
            if said != answers or _shape(model) != seen:
                explanations.append((said, _shape(model)))
            elif all(model.items != other.items for other in fitting):
                fitting.append(model)
        if not fitting:
            raise AssertionError(f"no order explains {answers} and\n{seen};\n" + "\n".join(map(str, explanations)))
        self.models = fitting

    def _release(self, id_: str, completed: bool) -> None:
        if completed:
            self.rig.gate.end(id_)
        else:
            self.rig.gate.fail(id_)

    def _end(self, id_: str, completed: bool) -> None:
        async def end() -> None:
            self._release(id_, completed)
            await wait_all_tasks_blocked()

        self.portal.call(end)

    def _seen(self) -> dict[str, Any]:
        async def look() -> dict[str, Any]:
            await wait_all_tasks_blocked()
            page = await self.rig.list(limit=1000)
            assert page["total"] == len(page["tasks"])
            for each in page["tasks"]:
                _check_fields(each)
            running = sorted(self.rig.gate.running)
            assert running == sorted(each["id"] for each in page["tasks"] if each["status"] == "in_progress")
            return {each["id"]: self._state(each) for each in page["tasks"]}

        return self.portal.call(look)

    def _state(self, each: dict[str, Any]) -> tuple[object, ...]:
        needs = {need["id"]: need.get("required", True) for need in each["dependencies"]}
        return each["status"], self.rig.gate.started.count(each["id"]), each["parent_id"], needs


def _shape(model: Model) -> dict[str, Any]:
    return {id_: (item.status, item.runs, item.parent, item.needs) for id_, item in model.items.items()}


def _check_fields(each: dict[str, Any]) -> None:
    """Section 3 of the protocol's digest: fields by status."""
    status = each["status"]
    assert (each["started_at"] is None) <= (status in ("pending", "cancelled"))
    assert (status == "pending") <= (each["started_at"] is None)
    assert (each["completed_at"] is not None) == (status in ENDED)
    assert (each["result"] is not None) == (status == "completed")
    assert bool(each["error"]) == (status in ("failed", "cancelled"))
    assert each["progress"] == 1.0 or status != "completed"


async def _answer(call: Any, name: str | None = None) -> str:
    try:
        result = await call
    except RuleBroken as refused:
        return refused.error
    return name or result


def _words(needs: dict[str, bool]) -> list[str]:
    return [need if required else f"?{need}" for need, required in needs.items()]


def _examples(count: int) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize="SEED" not in os.environ,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def test_operations_agree_with_the_model() -> None:
    class Counted(Node):
        pass

    run_state_machine_as_test(Counted, settings=_examples(EXAMPLES))
    assert Counted.steps >= STEPS_IN_SUITE


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_operations_agree_with_the_model_at_length(part: int) -> None:
    @seed(part)
    class Seeded(Node):
        pass

    # What is found is told at once: to make it small may take longer than a test may, and the blob does for that.
    run_state_machine_as_test(Seeded, settings=settings(_examples(EXAMPLES_IN_PART), phases=[Phase.generate]))
    print(f"  part {part}: {Seeded.steps} steps agreed")
    assert Seeded.steps >= STEPS_IN_SOAK // PARTS
