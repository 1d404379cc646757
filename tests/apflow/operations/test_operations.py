"""The ten methods below the transports: what they answer and refuse, and what two users see of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio
from apflow_protocol import (
    TaskInput,
    TaskSchemas,
    TasksChildrenParams,
    TasksCopyParams,
    TasksExecuteParams,
    TasksListParams,
    TasksTreeParams,
)
from node_rig import Rig, ids, in_trio, needed, open_rig, task
from trio.testing import wait_all_tasks_blocked

from protogen_runtime.apflow.manager import ARRIVING
from protogen_runtime.apflow.operations import LARGE
from protogen_runtime.apflow.records import DEPENDENCIES, RUNS, SCHEMA, TASKS
from protogen_runtime.apflow.rules.faults import RuleBroken
from protogen_runtime.store import Select, Store, StoreFull, open_store


async def error_of(call: Awaitable[object]) -> tuple[str, Any]:
    """The name and data of the error that a call ends with."""
    with pytest.raises(RuleBroken) as refused:
        await call
    return refused.value.error, refused.value.data


# --- single tasks -----------------------------------------------------------------------------------


@in_trio
async def test_a_created_task_is_read_as_it_was_stored_and_keeps_unknown_members() -> None:
    async with open_rig() as rig:
        id_ = await rig.create(name="n", inputs={"x": [1, 2.5, None]}, extra={"color": "red"})
        found = await rig.get(id_)
        assert (found["name"], found["inputs"], found["color"]) == ("n", {"x": [1, 2.5, None]}, "red")
        assert (found["status"], found["created_at"]) == ("pending", found["updated_at"])
        assert len(found) == 30


@in_trio
async def test_identifiers_are_found_in_either_case() -> None:
    async with open_rig() as rig:
        id_ = await rig.create()
        child = await rig.create(parent_id=id_.upper(), needs=[id_.upper()])
        assert (await rig.get(child.upper()))["parent_id"] == id_


@in_trio
async def test_references_must_exist_when_a_task_is_created() -> None:
    async with open_rig() as rig:
        (absent,) = ids(1)
        assert (await error_of(rig.create(parent_id=absent)))[0] == "InvalidParentReference"
        assert (await error_of(rig.create(needs=[absent])))[0] == "InvalidDependencyReference"
        assert (await error_of(rig.get(absent))) == ("TaskNotFound", {"task_id": absent})


@in_trio
async def test_inputs_are_held_to_the_schema_that_a_task_brings() -> None:
    schemas = TaskSchemas(method="echo", input_schema={"type": "object", "required": ["n"]})
    async with open_rig() as rig:
        error, data = await error_of(rig.create(schemas=schemas))
        assert (error, data["path"]) == ("InvalidTaskSchema", ["inputs", "n"])
        error, data = await error_of(rig.execute(TaskInput(name="t", schemas=schemas)))
        assert (error, data["path"]) == ("InvalidTaskSchema", ["tasks", 0, "inputs", "n"])
        id_ = await rig.create(schemas=schemas, inputs={"n": 1})
        error, data = await error_of(rig.update(id_, inputs={}))
        assert (error, data["path"]) == ("InvalidTaskSchema", ["updates", "inputs", "n"])
        assert (await rig.get(id_))["inputs"] == {"n": 1}


@in_trio
async def test_only_a_pending_task_that_nothing_refers_to_is_deleted() -> None:
    async with open_rig() as rig:
        parent = await rig.create()
        child = await rig.create(parent_id=parent)
        dependant = await rig.create(needs=[f"?{child}"])
        assert (await error_of(rig.delete(parent)))[0] == "CannotDeleteTask"
        assert (await error_of(rig.delete(child)))[0] == "CannotDeleteTask"
        await rig.delete(dependant)
        await rig.delete(child)
        await rig.delete(parent)
        assert (await rig.list())["total"] == 0


@in_trio
async def test_a_dependency_that_would_close_a_circle_is_refused() -> None:
    async with open_rig() as rig:
        first = await rig.create()
        second = await rig.create(parent_id=first, needs=[first])
        error, data = await error_of(rig.update(first, dependencies=[needed(second)]))
        assert (error, data["cycle"][0], data["cycle"][-1]) == ("CircularDependency", first, first)
        await rig.update(second, dependencies=[])
        await rig.update(first, dependencies=[needed(second)])


@in_trio
async def test_what_is_below_a_task_moves_with_it() -> None:
    async with open_rig() as rig:
        first, second = await rig.create(), await rig.create()
        child = await rig.create(parent_id=first)
        below = await rig.create(parent_id=child)
        await rig.update(child, parent_id=second)
        tree = await rig.tree(second)
        assert tree["children"][0]["children"][0]["task"]["id"] == below
        assert (await rig.tree(first))["children"] == []
        await rig.execute(task(second, method=None))
        await rig.manager.wait_idle()
        await rig.update(below, method="gate")
        await rig.execute(task(below, parent_id=child, method=None))
        await rig.gate.wait_started(below)
        assert (await error_of(rig.update(child, parent_id=first)))[0] == "TaskAlreadyExecuting"


@in_trio
async def test_a_copy_starts_afresh_with_its_children_and_what_they_need() -> None:
    root, first, second = ids(3)
    async with open_rig() as rig:
        await rig.run(
            task(root, method="echo", inputs={"n": 1}),
            task(first, parent_id=root, method="echo"),
            task(second, parent_id=root, method="echo", needs=[first]),
        )
        before = await rig.get(root)
        copied = await rig.copy(root, copy_children=True)
        tree = await rig.tree(copied)
        assert (tree["task"]["status"], tree["task"]["inputs"]) == ("pending", {"n": 1})
        assert tree["task"]["original_task_id"] == root
        by_source = {node["task"]["original_task_id"]: node["task"] for node in tree["children"]}
        assert by_source.keys() == {first, second}
        assert by_source[second]["dependencies"] == [{"id": by_source[first]["id"]}]
        assert await rig.get(root) == {
            **before,
            "has_references": True,
            "updated_at": (await rig.get(root))["updated_at"],
        }
        await rig.run(*(task(each, method=None) for each in [copied]))
        assert (await rig.get(copied))["status"] == "completed"


# --- lists and trees --------------------------------------------------------------------------------


@in_trio
async def test_pages_have_totals_and_never_overlap() -> None:
    async with open_rig(cache_bytes=2000) as rig:
        made = [await rig.create(user_id=f"user {number % 2}") for number in range(25)]
        pages = [await rig.list(limit=10, offset=offset) for offset in (0, 10, 20, 30)]
        assert [page["total"] for page in pages] == [25] * 4
        assert [each["id"] for page in pages for each in page["tasks"]] == made
        assert [each["id"] for each in (await rig.list(user_id="user 1"))["tasks"]] == made[1::2]
        await rig.run(task(made[1], method=None))
        found = await rig.list(user_id="user 1", status="completed")
        assert (found["total"], found["tasks"][0]["id"]) == (1, made[1])
        assert (await rig.list(status="pending"))["total"] == 24


@in_trio
async def test_a_list_is_answered_from_memory_until_something_changes() -> None:
    params = TasksListParams(limit=5)
    async with open_rig() as rig:
        await rig.create()
        assert rig.operations.list_nowait(params, None) is None
        first = await rig.operations.list_(params, None)
        assert bytes(rig.operations.list_nowait(params, None) or b"") == bytes(first)
        await rig.create()
        assert rig.operations.list_nowait(params, None) is None
        assert msgspec.json.decode(await rig.operations.list_(params, None))["total"] == 2


@in_trio
async def test_a_tree_as_deep_as_it_gets_is_read() -> None:
    chain = ids(2000)
    async with open_rig() as rig:
        above = zip([None, *chain], chain, strict=False)
        await rig.execute(*(task(id_, parent_id=parent, method=None) for parent, id_ in above))
        await rig.manager.wait_idle()
        text = bytes(await rig.operations.tree(TasksTreeParams(task_id=chain[0]), None))
        # Deeper than most readers go, so it is not read here.
        assert text.count(b'"children":[{"task":') == 1999
        assert text.endswith(b"]}" * 2000)


# --- execution --------------------------------------------------------------------------------------


@in_trio
async def test_what_cannot_be_executed_leaves_nothing_behind() -> None:
    root, child = ids(2)
    async with open_rig() as rig:
        refused = {
            "ExecutorNotFound": [task(root, method="absent")],
            "TaskTreeValidationFailed": [task(root), task(child)],
            "InvalidParentReference": [task(root, parent_id=child)],
            "InvalidDependencyReference": [task(root, needs=[child])],
            "CircularDependency": [task(root, needs=[child]), task(child, parent_id=root, needs=[root])],
        }
        for error, tasks in refused.items():
            assert (await error_of(rig.execute(*tasks)))[0] == error
        assert (await rig.list())["total"] == 0


@in_trio
async def test_a_task_in_progress_is_not_executed_again() -> None:
    async with open_rig() as rig:
        given = task()
        await rig.execute(given)
        await rig.gate.wait_started(str(given.id))
        assert (await error_of(rig.execute(given)))[0] == "TaskAlreadyExecuting"


@in_trio
async def test_a_single_task_with_a_lost_dependency_is_refused() -> None:
    async with open_rig() as rig:
        lost = await rig.create(method="echo")
        await rig.cancel(lost)
        dependant = await rig.create(method="echo", needs=[lost])
        error, data = await error_of(rig.execute(task(dependant, method=None)))
        assert (error, data["dependency_id"]) == ("DependencyNotSatisfied", lost)


@in_trio
async def test_a_stored_root_stands_for_its_flow_and_a_task_for_what_it_needs() -> None:
    async with open_rig() as rig:
        root = await rig.create(method="echo")
        first = await rig.create(method="echo", parent_id=root)
        second = await rig.create(method="echo", parent_id=root, needs=[first])
        other = await rig.create(method="echo", parent_id=root)
        await rig.execute(task(second, method=None, parent_id=root))
        await rig.manager.wait_idle()
        assert await rig.statuses(root, first, second, other) == ["pending", "completed", "completed", "pending"]
        await rig.execute(task(root, method=None))
        await rig.manager.wait_idle()
        assert await rig.statuses(root, first, second, other) == ["completed"] * 4


@in_trio
async def test_fields_that_are_sent_with_a_stored_task_change_it() -> None:
    async with open_rig() as rig:
        id_ = await rig.create(method="echo", inputs={"n": 1})
        await rig.run(TaskInput(id=id_, name="renamed", inputs={"n": 2}))
        found = await rig.get(id_)
        assert (found["name"], found["result"]) == ("renamed", {"n": 2})


# --- large flows ------------------------------------------------------------------------------------


def large(count: int = LARGE + 300) -> list[TaskInput]:
    root, *others = ids(count)
    return [task(id_, parent_id=root, method="echo") for id_ in others[:100]] + [
        task(root, method="echo"),
        *(task(id_, parent_id=root, method="echo") for id_ in others[100:]),
    ]


@in_trio
async def test_a_large_flow_is_stored_in_pieces_and_runs() -> None:
    given = large()
    async with open_rig() as rig:
        root = (await rig.execute(*given)).root
        await rig.manager.wait_idle()
        assert root == given[100].id
        assert rig.tasks.count(status="completed") == len(given)


class Interrupting:
    """A store whose writes fail, or whose caller is cancelled, after some."""

    def __init__(self, store: Store, after: int, act: Callable[[], None]) -> None:
        self._store = store
        self._left = after
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def transact(self, work: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._act()
        return await self._store.transact(work)


@pytest.mark.parametrize("way", ["cancelled", "full", "taken"])
def test_a_large_flow_that_does_not_arrive_leaves_nothing(way: str) -> None:
    @in_trio
    async def run() -> None:
        given = large()
        scope = trio.CancelScope()

        def full() -> None:
            raise StoreFull("no space")

        act = {"cancelled": scope.cancel, "full": full, "taken": lambda: None}[way]
        async with open_store("memory:", SCHEMA) as store, open_rig(store=Interrupting(store, 2, act)) as rig:  # type: ignore[arg-type]  # all that is used of it
            if way == "taken":
                # Checked before, and taken by another one since.
                rig.tasks.any_known = _never  # type: ignore[method-assign]  # on purpose
                await rig.execute(task(str(given[-1].id), method="echo"))
            with scope:
                if way == "taken":
                    assert (await error_of(rig.execute(*given)))[0] == "TaskAlreadyExecuting"
                elif way == "full":
                    with pytest.raises(StoreFull):
                        await rig.execute(*given)
                else:
                    await rig.execute(*given)
            assert scope.cancelled_caught == (way == "cancelled")
            await rig.manager.wait_idle()
            assert len((await store.read(Select(TASKS))).records) == (1 if way == "taken" else 0)
            assert (await store.read(Select(RUNS))).records == ()
            assert (await store.read(Select(DEPENDENCIES))).records == ()

    run()


@in_trio
async def test_a_node_that_ends_while_a_large_flow_arrives_cleans_up() -> None:
    async with open_store("memory:", SCHEMA) as store:
        with trio.CancelScope() as scope:
            async with open_rig(store=Interrupting(store, 2, scope.cancel)) as rig:  # type: ignore[arg-type]  # as above
                await rig.execute(*large())
        assert scope.cancelled_caught
        assert (await store.read(Select(TASKS))).records == ()
        assert (await store.read(Select(RUNS))).records == ()


async def _never(_: object) -> bool:
    return False


@in_trio
async def test_a_large_flow_that_a_crash_cut_short_is_removed() -> None:
    async with open_store("memory:", SCHEMA) as store:
        async with open_rig(store=store) as rig:
            root = await rig.create(method="echo")
            await rig.create(method="echo", parent_id=root, needs=[root])
            kept = await rig.create()
            await rig.tasks.commit(lambda view: view.keep_run(root, b'{"id":"x"}', ARRIVING))
        async with open_rig(store=store) as rig:
            assert [each["id"] for each in (await rig.list())["tasks"]] == [kept]
            assert (await store.read(Select(RUNS))).records == ()
            assert (await store.read(Select(DEPENDENCIES))).records == ()


# --- two users --------------------------------------------------------------------------------------


def operations_of(rig: Rig, theirs: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every way to reach a task by its id, for the user "eve"."""
    operations, eve = rig.operations, "eve"
    return {
        "get": lambda: rig.get(theirs, eve),
        "update": lambda: rig.update(theirs, eve, name="mine"),
        "delete": lambda: rig.delete(theirs, eve),
        "cancel": lambda: rig.cancel(theirs, eve),
        "tree": lambda: rig.tree(theirs, eve),
        "children": lambda: operations.children(TasksChildrenParams(parent_id=theirs), eve),
        "copy": lambda: operations.copy(TasksCopyParams(task_id=theirs), eve),
        "execute": lambda: operations.execute(TasksExecuteParams(tasks=[TaskInput(id=theirs, name="t")]), eve),
    }


@in_trio
async def test_another_users_task_is_not_found_by_any_method() -> None:
    async with open_rig() as rig:
        theirs = await rig.create("adam", method="gate")
        before = await rig.get(theirs)
        for name, call in operations_of(rig, theirs).items():
            assert await error_of(call()) == ("TaskNotFound", {"task_id": theirs}), name
        assert (await error_of(rig.create("eve", parent_id=theirs)))[0] == "InvalidParentReference"
        assert (await error_of(rig.create("eve", needs=[theirs])))[0] == "InvalidDependencyReference"
        assert (await rig.list("eve"))["total"] == 0
        assert await rig.get(theirs) == before


@in_trio
async def test_nobody_acts_for_another_user() -> None:
    async with open_rig() as rig:
        mine = await rig.create("eve")
        assert (await rig.get(mine))["user_id"] == "eve"
        for call in (
            rig.create("eve", user_id="adam"),
            rig.update(mine, "eve", user_id="adam"),
            rig.update(mine, "eve", user_id=None),
            rig.list("eve", user_id="adam"),
            rig.execute(task(user_id="adam"), user="eve"),
        ):
            assert (await error_of(call))[0] == "Unauthorized"
        assert (await rig.list("eve", user_id="eve"))["total"] == 1
        await rig.execute(task(user_id="eve", method="echo"), user="eve")
        await wait_all_tasks_blocked()
        assert (await rig.list("eve"))["total"] == 2


@pytest.mark.parametrize("user", ["x" * 10_000, "nul\0", "ü", "sha256:", "'; drop table tasks"])
def test_any_name_of_a_user_is_kept_apart(user: str) -> None:
    @in_trio
    async def run() -> None:
        async with open_rig() as rig:
            mine = await rig.create(user)
            await rig.create(f"{user} ")
            assert [each["id"] for each in (await rig.list(user))["tasks"]] == [mine]
            assert (await rig.get(mine, user))["user_id"] == user

    run()
