"""Flows: trees, dependencies and priorities (02-core-concepts.md, 03-data-model.md, 04-execution.md)."""

from __future__ import annotations

from itertools import pairwise

from protogen_compliance.plugin import Record
from protogen_compliance.registry import clause, needs, sums
from protogen_compliance.suites.apflow.node import INVALID, TERMINAL, TIMES, Node, Task, needs_task, new_id
from protogen_compliance.suites.apflow.observed import nodes_of
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.test_fields import ALL_FIELDS
from protogen_compliance.suites.apflow.timestamps import before

BAD_TREE = (-32012, *INVALID)
DANGLING = (-32011, -32010, -32012, -32001, *INVALID)
CIRCLE = (-32002, -32012, *INVALID)
ITSELF = (-32002, -32011, *INVALID)


def starts_after(later: Task, earlier: Task) -> bool:
    """Whether one task started no earlier than the end of another."""
    return before(earlier.get("completed_at"), later.get("started_at"))


def never_ran(task: Task, why: str) -> None:
    """The task is pending and has not been started."""
    found = (task.get("status"), task.get("started_at"))
    assert found == ("pending", None), f"{why}: its dependant has status and started_at {found}; expected it not to run"


# --- dependencies ---------------------------------------------------------------------------------


@clause("AF-DEP-001")
def test_dependencies_exist(node: Node) -> None:
    node.pair()
    params = {"name": "kit", "user_id": node.user, "dependencies": [{"id": new_id()}]}
    node.refused("an unknown dependency", "tasks.create", params, codes=DANGLING)


@clause("AF-DEP-002")
def test_no_task_depends_on_itself(node: Node) -> None:
    node.execute(node.task("alone", node.ok()))
    task = node.task("self", node.ok())
    task["dependencies"] = [needs_task(task)]
    node.refused("a flow of a task that needs itself", "tasks.execute", {"tasks": [task]}, codes=ITSELF)


@clause("AF-DEP-003")
def test_no_circle_of_dependencies(node: Node) -> None:
    node.execute(node.task("a", node.ok()), node.task("b", node.ok()))
    for size in (2, 3):
        tasks = [node.task(f"t{number}", node.ok()) for number in range(size)]
        circle = [
            {**task, "dependencies": [needs_task(tasks[(number + 1) % size])]} for number, task in enumerate(tasks)
        ]
        params = {"tasks": node.flow(*circle)}
        node.refused(f"a circle of {size} tasks", "tasks.execute", params, codes=CIRCLE)


@clause("AF-DEP-005", "AF-DEP-004")
@needs("AF-DEP-001", "AF-DEP-002", "AF-DEP-003")
def test_dependencies_are_checked_at_create_and_update(node: Node) -> None:
    first, second = node.pair()
    node.update(second, dependencies=[{"id": first, "required": False}])
    dangling = {"dependencies": [{"id": new_id()}]}
    node.refused("an unknown dependency in create", "tasks.create", {"name": "kit", **dangling}, codes=DANGLING)
    params = {"task_id": first, "updates": dangling}
    node.refused("an unknown dependency in update", "tasks.update", params, codes=DANGLING)
    params = {"task_id": first, "updates": {"dependencies": [{"id": second}]}}
    node.refused("an update that closes a circle", "tasks.update", params, codes=CIRCLE)
    params = {"task_id": first, "updates": {"dependencies": [{"id": first}]}}
    node.refused("an update to itself", "tasks.update", params, codes=ITSELF)


@clause("AF-DEP-006")
@needs("AF-DEP-010")
@needs("AF-DEP-009", *TIMES)
def test_required_is_true_where_absent(node: Node, failure: Seen) -> None:
    for bad in ("yes", 1, None):
        dependencies = [{"id": node.create(), "required": bad}]
        params = {"name": "kit", "user_id": node.user, "dependencies": dependencies}
        node.refused(f"required {bad!r}", "tasks.create", params, field="required")
    never_ran(failure.end["plain"], "a dependency without `required` failed")


@clause("AF-DEP-007")
@needs("AF-DEP-012")
@needs("AF-DEP-008", *TIMES)
def test_each_task_starts_after_its_dependencies(node: Node, diamond: Seen) -> None:
    for name, task in diamond.sent.items():
        for dependency in task.get("dependencies", ()):
            needed = next(it for it in diamond.end.values() if it["id"] == dependency["id"])
            late = starts_after(diamond.end[name], needed)
            assert late, f"{name} started before {needed['name']}, which it depends on, was completed"


@clause("AF-DEP-008")
@needs(*TIMES)
def test_required_dependency_is_completed_first(node: Node, awaited: Seen) -> None:
    assert awaited.more["during"].get("status") == "in_progress", "the slow task was never seen in progress"
    late = starts_after(awaited.end["required"], awaited.end["slow"])
    assert late, "a task started before its required dependency was completed"


@clause("AF-DEP-009")
@needs("AF-DEP-013")
@needs("AF-DEP-008")
@needs(*TIMES)
def test_dependant_of_a_failed_task_does_not_run(node: Node, failure: Seen) -> None:
    assert failure.end["x"].get("status") == "failed", "the task that was to fail did not"
    assert failure.end["optional"].get("started_at"), "the task with an optional dependency did not run either"
    found = failure.end["required"].get("started_at")
    assert found is None, f"a task whose required dependency failed was started at {found}"


@clause("AF-DEP-010")
@needs("AF-DEP-009", "AF-DATA-018", *TIMES)
def test_dependant_of_a_failed_task_stays_pending(node: Node, failure: Seen) -> None:
    for name in ("required", "chained"):
        found = {key: failure.end[name].get(key) for key in ("status", "error", "started_at", "completed_at")}
        expected = {"status": "pending", "error": None, "started_at": None, "completed_at": None}
        assert found == expected, f"behind a failed required dependency: {found}; expected {expected}"


@clause("AF-DEP-012")
@needs(*TIMES)
def test_optional_dependency_is_awaited(node: Node, awaited: Seen) -> None:
    assert awaited.more["during"].get("status") == "in_progress", "the slow task was never seen in progress"
    late = starts_after(awaited.end["optional"], awaited.end["slow"])
    assert late, "a task started before its optional dependency had come to its end"


@clause("AF-DEP-013")
@needs("AF-DEP-012")
@needs(*TIMES)
def test_failed_optional_dependency_does_not_block(node: Node, failure: Seen) -> None:
    optional, failed = failure.end["optional"], failure.end["x"]
    status = optional.get("status")
    assert status == "completed", f"a task whose optional dependency failed is {status}; expected completed"
    assert starts_after(optional, failed), "a task started before its optional dependency failed"


@clause("AF-DEP-014")
@needs("AF-CANCEL-001", "AF-CANCEL-002", *TIMES)
def test_dependant_of_a_cancelled_task_does_not_run(
    node: Node, cancelled_running: Seen, cancelled_waiting: Seen
) -> None:
    never_ran(cancelled_running.end["required"], "a required dependency was cancelled in progress")
    never_ran(cancelled_waiting.end["required"], "a required dependency was cancelled while pending")


@clause("AF-DEP-015")
@needs("AF-CONC-001")
@needs("AF-CANCEL-001", "AF-CANCEL-002")
def test_cancelled_optional_dependency_does_not_block(
    node: Node, cancelled_running: Seen, cancelled_waiting: Seen
) -> None:
    for when, seen in (("in progress", cancelled_running), ("while pending", cancelled_waiting)):
        status = seen.end["optional"].get("status")
        assert status == "completed", f"an optional dependency was cancelled {when}: its dependant is {status}"


# --- trees ----------------------------------------------------------------------------------------


@clause("AF-TREE-001")
def test_tree_has_one_root(node: Node) -> None:
    a, b = node.task("a", node.ok()), node.task("b", node.ok())
    node.execute(node.task("a", node.ok()), node.task("b", node.ok()))
    node.refused("two roots", "tasks.execute", {"tasks": [a, b]}, codes=BAD_TREE)
    tree = node.ask("tasks.tree", {"task_id": node.create()})
    assert tree.get("task", {}).get("parent_id") is None, "the root of a tree has a parent_id"


@clause("AF-TREE-002")
@needs("AF-CREATE-005")
def test_parent_is_an_existing_task(node: Node) -> None:
    parent = node.create()
    child = node.create(parent_id=parent)
    codes = (-32010, -32012, -32001, *INVALID)
    bad = {"name": "kit", "user_id": node.user, "parent_id": new_id()}
    node.refused("an unknown parent", "tasks.create", bad, codes=codes)
    root, lost = node.task("root", node.ok()), {**node.task("lost", node.ok()), "parent_id": new_id()}
    node.refused("an unknown parent in a flow", "tasks.execute", {"tasks": [root, lost]}, codes=codes)
    tree = node.ask("tasks.tree", {"task_id": parent})
    below = [(it.get("task", {}).get("id"), it.get("task", {}).get("parent_id")) for it in tree.get("children", ())]
    assert below == [(child, parent)], f"the children of a tree and their parents are {below}"


@clause("AF-TREE-003")
def test_parents_form_no_circle(node: Node) -> None:
    node.execute(node.task("a", node.ok()), node.task("b", node.ok()))
    root, a, b = (node.task(name, node.ok()) for name in ("root", "a", "b"))
    circle = [root, {**a, "parent_id": b["id"]}, {**b, "parent_id": a["id"]}]
    node.refused("a circle of parents", "tasks.execute", {"tasks": circle}, codes=BAD_TREE)


@clause("AF-TREE-004")
@needs("AF-DEP-001", "AF-TREE-002")
def test_everything_that_is_referred_to_is_in_the_tree(node: Node) -> None:
    a, b = node.task("a", node.ok()), node.task("b", node.ok())
    node.execute(node.task("a", node.ok()), node.task("b", node.ok()))
    dangling = node.flow(a, {**b, "dependencies": [{"id": new_id()}]})
    node.refused("a dangling dependency in a flow", "tasks.execute", {"tasks": dangling}, codes=DANGLING)


@clause("AF-TREE-005")
@needs("AF-CREATE-005")
@sums("AF-TREE-001", "AF-TREE-002", "AF-TREE-003", "AF-TREE-004")
def test_tree_is_checked_when_it_is_built(node: Node) -> None:
    made = node.create()
    child = node.create(parent_id=made)
    reply = node.call("tasks.update", {"task_id": made, "updates": {"parent_id": child}})
    assert reply.error is not None, "an update made a task the child of its own child"


@clause("AF-TREE-006")
@needs("AF-DEP-006")
@needs("AF-DATA-001", "AF-DATA-002")
def test_tree_has_complete_tasks(node: Node, diamond: Seen) -> None:
    tree = node.ask("tasks.tree", {"task_id": diamond.sent["root"]["id"]})
    tasks = {it.get("task", {}).get("name"): it.get("task", {}) for it in nodes_of(tree)}
    assert tasks.keys() == diamond.sent.keys(), f"the tree has {sorted(map(str, tasks))}"
    for name, sent in diamond.sent.items():
        missing = [field for field in ALL_FIELDS if field not in tasks[name]]
        assert not missing, f"{name} lacks {', '.join(missing)} in the tree"
        assert tasks[name]["parent_id"] == sent.get("parent_id"), f"{name} has another parent in the tree"
        needed = [(it["id"], it.get("required", True)) for it in sent.get("dependencies", ())]
        found = [(it.get("id"), it.get("required", True)) for it in tasks[name]["dependencies"]]
        assert found == needed, f"{name} has the dependencies {found} in the tree; expected {needed}"


@clause("AF-TREE-008")
@needs(*TIMES)
def test_parents_do_not_wait_for_children(node: Node, ordering: Seen) -> None:
    root, slow = ordering.end["root"], ordering.end["slow"]
    early = not before(slow.get("completed_at"), root.get("started_at"))
    assert early, "a parent without dependencies waited for the end of its child"


# --- priorities -----------------------------------------------------------------------------------


@clause("AF-PRIO-001")
@needs(*TIMES)
def test_ready_tasks_start_by_priority(node: Node, priorities: Seen) -> None:
    in_order(priorities, "p0", "p1", "p2", "p3")


def in_order(seen: Seen, *names: str) -> None:
    """Tasks that became ready at the same time started in this order, or at the same time (reading A34)."""
    times = [seen.end[name].get("started_at") for name in names]
    sorted_well = all(before(one, other) for one, other in pairwise(times))
    assert sorted_well, f"{', '.join(names)} became ready together and started at {times}"


@clause("AF-PRIO-002")
@needs("AF-DEP-008", "AF-DEP-012", *TIMES)
def test_dependencies_outrank_priority(node: Node, ordering: Seen) -> None:
    for name in ("required", "optional"):
        late = starts_after(ordering.end[name], ordering.end["slow"])
        assert late, "a task of priority 0 started before its dependency of priority 3 had ended"


@clause("AF-PRIO-003")
@needs("AF-PRIO-001", "AF-DATA-010", *TIMES)
def test_absent_priority_counts_as_2(node: Node, priorities: Seen) -> None:
    in_order(priorities, "p1", "absent", "p3")
    shown = priorities.end["absent"].get("priority")
    assert shown == 2, f"the priority of a task without one is {shown!r}; expected 2"


@clause("AF-PRIO-004")
def test_equal_tasks_all_get_their_turn(node: Node, concurrent: Seen, record: Record) -> None:
    equal = {name: task for name, task in concurrent.end.items() if name.startswith("equal")}
    left = [name for name, task in equal.items() if task.get("status") != "completed"]
    assert not left, f"of ten equal tasks {len(left)} did not complete"
    record.note(f"ten equal tasks started from {min(it['started_at'] for it in equal.values())} on")


# --- the manager ----------------------------------------------------------------------------------


@clause("AF-MGR-001")
@needs("AF-DEP-007", "AF-IND-005", *TIMES)
def test_diamond_runs_in_a_legal_order(node: Node, diamond: Seen) -> None:
    ended = {name: task.get("status") for name, task in diamond.end.items()}
    assert set(ended.values()) == {"completed"}, f"the tasks of a diamond ended as {ended}"
    assert starts_after(diamond.end["root"], diamond.end["a"]), "the last task of a diamond started before its first"


@clause("AF-MGR-003")
@needs("AF-CANCEL-001", "AF-CANCEL-002", "AF-STATE-009")
def test_manager_executes_cancels_and_tells_failures(
    node: Node, failure: Seen, cancelled_running: Seen, diamond: Seen
) -> None:
    assert failure.end["x"].get("status") == "failed", "a failing executor did not make its task failed"
    assert cancelled_running.end["slow"].get("status") == "cancelled", "a cancelled task is not cancelled"
    assert all(task.get("status") in TERMINAL for task in diamond.end.values()), "a flow did not come to its end"


def overlap(tasks: list[Task]) -> bool:
    """Whether there is a moment at which all of them ran."""
    return all(before(one.get("started_at"), other.get("completed_at")) for one in tasks for other in tasks)


@clause("AF-CONC-001", "AF-CONC-002")
@needs(*TIMES)
def test_independent_tasks_run_at_the_same_time(node: Node, concurrent: Seen) -> None:
    slow = [task for name, task in concurrent.end.items() if name.startswith("slow")]
    times = [(task.get("started_at"), task.get("completed_at")) for task in slow]
    assert overlap(slow), f"three slow independent tasks ran one after the other: {times}"


@clause("AF-CONC-003")
@needs(*TIMES)
def test_task_is_executed_once_at_a_time(node: Node, raced: Seen, record: Record) -> None:
    accepted = [name for name, reply in raced.replies.items() if reply.error is None]
    first = [name for name in accepted if name.startswith("first")]
    assert first, "none of ten simultaneous executions of one task was accepted"
    if raced.more["during"].get("status") == "in_progress":
        again = len(accepted) - len(first)
        assert not again, f"a task in progress was executed again {again} times of three"
    started = (raced.more["during"].get("started_at"), raced.end["raced"].get("started_at"))
    assert started[0] == started[1], f"the task was started at {started[0]} and once more at {started[1]}"
    status = raced.end["raced"].get("status")
    assert status == "completed", f"the task is {status} in the end"
    if len(first) > 1:
        record.note(f"{len(first)} of ten simultaneous executions of one task were accepted; it ran once")


@clause("AF-CONC-006")
@needs("AF-CANCEL-001", "AF-UPDATE-004")
def test_simultaneous_requests_do_not_disturb_each_other(node: Node) -> None:
    owner = node.owner("crowd")
    made: list[str] = []
    odd: list[str] = []

    def one(number: int) -> None:
        task_id = node.create(user_id=owner, name=f"of {number}")
        made.append(task_id)
        node.at_once(
            lambda: node.call("tasks.update", {"task_id": task_id, "updates": {"priority": 0}}),
            lambda: node.call("tasks.cancel", {"task_id": task_id}),
            lambda: node.call("tasks.cancel", {"task_id": task_id}),
        )
        task = node.get(task_id)
        if (task.get("status"), task.get("name")) != ("cancelled", f"of {number}"):
            odd.append(f"{task.get('status')} {task.get('name')!r}")

    for _ in range(5):
        node.at_once(*(lambda number=number: one(number) for number in range(8)))
    assert len(set(made)) == 40, f"40 simultaneous creations gave {len(set(made))} ids"
    assert not odd, f"after simultaneous updates and cancels {len(odd)} of 40 tasks are not cancelled: {odd[0]}"
    listed = node.listed(user_id=owner)
    assert len(listed) == 40, f"of 40 tasks that were created at the same time {len(listed)} are listed"
