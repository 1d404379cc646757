"""The methods: their parameters, their results and what they leave behind (06-interfaces.md)."""

from __future__ import annotations

from collections.abc import Iterable

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs, sums
from protogen_compliance.suites.apflow.node import INVALID, UUID4, Node, Task, method_blame, needs_task, new_id
from protogen_compliance.suites.apflow.observed import nodes_of
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.test_fields import ALL_FIELDS, VALUES


def ids(tasks: Iterable[Task]) -> list[str]:
    """The ids of tasks."""
    return [task["id"] for task in tasks]


# --- create, get ----------------------------------------------------------------------------------


def created(node: Node, **fields: Json) -> Json:
    """The result of tasks.create; raises Unmet where it is no object."""
    result = node.ask("tasks.create", {"name": "kit", "user_id": node.user, **fields})
    if not isinstance(result, dict):
        raise Unmet(method_blame("tasks.create"), f"tasks.create returned {result!r}; expected an object")
    return result


@clause("AF-CREATE-002", "AF-STORE-002")
def test_create_generates_a_uuid(node: Node) -> None:
    made = created(node).get("id", MISSING)
    assert isinstance(made, str), f"the result's id is {made!r}; expected a UUID of version 4"
    assert UUID4.fullmatch(made), f"the result's id is {made!r}; expected a UUID of version 4"


@clause("AF-CREATE-003")
def test_created_task_is_pending(node: Node) -> None:
    status = created(node).get("status", MISSING)
    assert status == "pending", f"the result's status is {status!r}; expected pending"


@clause("AF-STATE-016")
def test_created_task_is_pending_whatever_is_sent(node: Node) -> None:
    assert node.get(node.create()).get("status") == "pending", "a new task is not pending"
    reply = node.call("tasks.create", {"name": "kit", "user_id": node.user, "status": "completed"})
    if reply.error is None:
        status = node.get(reply.result["id"]).get("status")
        assert status == "pending", f"a task that was created with status completed is {status}; expected pending"


BAD_TASKS: tuple[tuple[str, Json], ...] = (
    *(("priority", 9), ("name", ""), ("inputs", []), ("schemas", "x"), ("parent_id", "abc")),
)


@clause("AF-CREATE-001")
@needs(*VALUES)
def test_invalid_task_leaves_nothing_behind(node: Node) -> None:
    owner = node.owner("nothing")
    node.create(user_id=owner)
    for field, bad in BAD_TASKS:
        node.call("tasks.create", {"name": "kit", field: bad, "user_id": owner})
    bad_tree = [{**node.task(name, node.ok()), "user_id": owner} for name in "ab"]
    node.call("tasks.execute", {"tasks": bad_tree})
    left = node.listed(user_id=owner)
    assert len(left) <= 1 + _accepted(left), f"{len(left) - 1} tasks were stored by requests that had to be refused"


def _accepted(tasks: list[Task]) -> int:
    """How many bad tasks were accepted as they were, which is another clause's matter."""
    return sum(any(task.get(field) == value for field, value in BAD_TASKS) for task in tasks) + sum(
        task.get("name") in ("a", "b") for task in tasks
    )


@clause("AF-CREATE-004")
def test_name_is_required(node: Node) -> None:
    created(node)
    node.refused("no name", "tasks.create", {"user_id": node.user}, codes=(-32602,), field="name")


@clause("AF-CREATE-005")
@needs("AF-CREATE-002")
def test_parent_takes_the_child(node: Node) -> None:
    parent = node.create()
    child = created(node, parent_id=parent)["id"]
    assert node.get(child).get("parent_id") == parent, "parent_id is not what was sent"
    assert ids(node.children(parent)) == [child], "tasks.children of the parent does not list the new child alone"


@clause("AF-GET-001")
@needs("AF-DATA-001", "AF-DATA-002")
def test_get_returns_the_complete_task(node: Node) -> None:
    made = node.create(name="to be read")
    reply = node.call("tasks.get", {"task_id": made})
    assert isinstance(reply.result, dict), f"tasks.get gave {reply.summary()}"
    missing = [name for name in ALL_FIELDS if name not in reply.result]
    assert not missing, f"tasks.get leaves out {', '.join(missing)}"
    assert (reply.result["id"], reply.result["name"]) == (made, "to be read"), "tasks.get returned another task"


@clause("AF-GET-002", "AF-STORE-004")
def test_get_of_no_task_is_an_error(node: Node) -> None:
    node.get(node.create())
    reply = node.call("tasks.get", {"task_id": new_id()})
    assert reply.error is not None, f"tasks.get of an unknown id: expected an error, got {reply.summary()}"


# --- update, delete -------------------------------------------------------------------------------


@clause("AF-UPDATE-004")
@needs("AF-DATA-002")
def test_update_changes_and_says_so(node: Node) -> None:
    made = node.create()
    reply = node.call("tasks.update", {"task_id": made, "updates": {"name": "changed", "priority": 0}})
    found = {key: reply.result.get(key) for key in ("id", "status")} if isinstance(reply.result, dict) else None
    assert found == {"id": made, "status": "pending"}, f"expected {{id, status}}, got {reply.summary()}"
    task = node.get(made)
    assert (task.get("name"), task.get("priority")) == ("changed", 0), "name and priority are not what the update said"
    nothing = node.call("tasks.update", {"task_id": made, "updates": {}})
    assert nothing.error is None, f"an empty update is to change nothing (reading A54) and gave {nothing.summary()}"


@clause("AF-UPDATE-001")
@needs("AF-STORE-005")
@needs(*VALUES, "AF-TIME-002")
def test_update_is_validated(node: Node) -> None:
    made = node.create(name="as it was")
    before = node.get(made)
    node.update(made, name="as it was")
    for values in VALUES.values():
        for bad in values.bad:
            params = {"task_id": made, "updates": {values.field: bad}}
            node.refused(f"{values.field} {bad!r} in updates", "tasks.update", params, field=values.field)
    node.refused("no updates", "tasks.update", {"task_id": made}, codes=(-32602,), field="updates")
    node.refused("updates []", "tasks.update", {"task_id": made, "updates": []}, codes=INVALID, field="updates")
    after = node.get(made)
    changed = [key for key in before if key != "updated_at" and before[key] != after.get(key)]
    assert not changed, f"refused updates changed {', '.join(changed)}"


@clause("AF-UPDATE-002")
def test_identity_is_fixed_while_a_task_runs(node: Node, running: Seen) -> None:
    long = running.sent["long"]["id"]
    other = node.create()
    before = node.get(long)
    for field, value in (("id", new_id()), ("parent_id", other), ("user_id", "somebody-else")):
        reply = node.call("tasks.update", {"task_id": long, "updates": {field: value}})
        after = node.get(long)
        assert after.get(field) == before.get(field), f"an update of {field} changed it while the task was in progress"
        assert reply.error is not None, f"an update of {field} of a task in progress gave {reply.summary()}"


@clause("AF-UPDATE-003")
@needs("AF-DEP-005")
@needs("AF-DEP-003", "AF-DEP-004")
def test_update_that_closes_a_circle_is_refused(node: Node) -> None:
    first, second = node.pair()
    params = {"task_id": first, "updates": {"dependencies": [{"id": second}]}}
    reply = node.call("tasks.update", params)
    assert reply.error is not None, "an update that closes a circle of dependencies was accepted"
    assert node.get(first).get("dependencies") == [], "the refused update was stored"


@clause("AF-STORE-005")
def test_update_is_all_or_nothing(node: Node) -> None:
    made = node.create(name="as it was")
    before = node.get(made)
    node.call("tasks.update", {"task_id": made, "updates": {"name": "half done", "priority": 9}})
    after = node.get(made)
    changed = [name for name in ("name", "priority") if before.get(name) != after.get(name)]
    assert len(changed) != 1, f"of an update of name and priority, which was bad, only the {changed[0]} was stored"


@clause("AF-DELETE-004")
def test_deleted_task_is_gone(node: Node) -> None:
    made = node.create()
    reply = node.call("tasks.delete", {"task_id": made})
    assert isinstance(reply.result, dict), f"expected {{success: true}}, got {reply.summary()}"
    assert reply.result.get("success") is True, f"expected {{success: true}}, got {reply.summary()}"
    gone = node.call("tasks.get", {"task_id": made})
    assert gone.result is MISSING or gone.result is None, "the deleted task can still be read"


@clause("AF-STORE-006", "AF-DELETE-001")
def test_only_pending_tasks_are_deleted(node: Node, running: Seen) -> None:
    node.ask("tasks.delete", {"task_id": node.create()})
    cases = {
        "completed": alone(node, node.ok()),
        "failed": alone(node, node.fails()),
        "in progress": running.sent["long"]["id"],
    }
    for what, task_id in cases.items():
        reply = node.call("tasks.delete", {"task_id": task_id})
        assert reply.error is not None, f"a task that is {what} was deleted"
        node.get(task_id)


def alone(node: Node, what: dict[str, Json]) -> str:
    """A task that has been executed and to which nothing refers."""
    task = node.task("alone", what)
    node.execute(task)
    node.settled(task)
    return str(task["id"])


@clause("AF-STORE-007", "AF-DELETE-002")
@needs("AF-CREATE-005")
@needs("AF-STORE-010")
def test_task_with_children_or_dependants_stays(node: Node) -> None:
    parent = node.create()
    child = node.create(parent_id=parent)
    needed, dependant = node.pair()
    for what, task_id in (("a child", parent), ("a dependant", needed)):
        reply = node.call("tasks.delete", {"task_id": task_id})
        assert reply.error is not None, f"a task with {what} was deleted"
    for task_id in (parent, child, needed, dependant):
        assert node.call("tasks.get", {"task_id": task_id}).error is None, "a refused deletion removed a task"


@clause("AF-DELETE-003")
@needs("AF-STORE-007")
def test_deletion_never_takes_children_along_unasked(node: Node) -> None:
    parent = node.create()
    child = node.create(parent_id=parent)
    reply = node.call("tasks.delete", {"task_id": parent})
    assert node.call("tasks.get", {"task_id": child}).error is None, "deleting a task removed its child"
    assert reply.error is not None, "a task with a child was deleted"


@clause("AF-STORE-010")
def test_every_dependant_keeps_a_task(node: Node) -> None:
    root = node.create()
    needed = node.create(parent_id=root)
    dependants = [
        node.create(parent_id=root, dependencies=[{"id": needed, "required": required}]) for required in (True, False)
    ]
    for dependant in dependants:
        reply = node.call("tasks.delete", {"task_id": needed})
        assert reply.error is not None, "a task was deleted while another depended on it"
        node.ask("tasks.delete", {"task_id": dependant})
    node.ask("tasks.delete", {"task_id": needed})


# --- list -----------------------------------------------------------------------------------------


@clause("AF-LIST-001")
def test_pages_are_disjoint_and_complete(node: Node) -> None:
    owner = node.owner("pages")
    made = [node.create(user_id=owner) for _ in range(7)]
    pages = [ids(node.listed(user_id=owner, limit=3, offset=offset)) for offset in (0, 3, 6)]
    assert [len(page) for page in pages] == [3, 3, 1], f"pages of 3 of 7 tasks have {[len(page) for page in pages]}"
    found = [it for page in pages for it in page]
    assert sorted(found) == sorted(made), "the pages of 7 tasks do not have each of them once"
    assert node.listed(user_id=owner, offset=7) == [], "a page beyond the end is not empty"


@clause("AF-LIST-002")
def test_total_is_told(node: Node) -> None:
    owner = node.owner("total")
    for _ in range(7):
        node.create(user_id=owner)
    result = node.ask("tasks.list", {"user_id": owner, "limit": 2})
    assert result.get("total", MISSING) == 7, f"total of 7 tasks is {result.get('total', MISSING)!r}"


@clause("AF-LIST-003")
def test_list_has_its_shape_and_limits(node: Node) -> None:
    owner = node.owner("shape")
    node.create(user_id=owner)
    reply = node.call("tasks.list", {"user_id": owner})
    assert isinstance(reply.result, dict), f"tasks.list gave {reply.summary()}"
    assert isinstance(reply.result.get("tasks"), list), f"expected {{tasks, total, limit, offset}}: {reply.summary()}"
    found = (reply.result.get("limit", MISSING), reply.result.get("offset", MISSING))
    assert found == (100, 0), f"limit and offset are {found}; expected the defaults 100 and 0"
    large = node.call("tasks.list", {"user_id": owner, "limit": 1001})
    if large.error is None:
        assert isinstance(large.result, dict), f"limit 1001 gave {large.summary()}"
        shown = large.result.get("limit", MISSING)
        assert shown in range(1, 1001), f"limit 1001 was taken as {shown!r}; expected at most 1000, or -32602"
    for name, bad in (("limit", -1), ("limit", "x"), ("offset", -1), ("offset", "x")):
        node.refused(f"{name} {bad!r}", "tasks.list", {"user_id": owner, name: bad}, codes=(-32602,), field=name)


@clause("AF-LIST-004", "AF-STORE-008")
def test_filters_are_kept(node: Node) -> None:
    owner = node.owner("filter")
    parent = node.create(user_id=owner)
    child = node.create(user_id=owner, parent_id=parent)
    stopped = node.create(user_id=owner)
    node.create(user_id=f"{owner}-other")
    node.ask("tasks.cancel", {"task_id": stopped})
    assert sorted(ids(node.listed(user_id=owner))) == sorted([parent, child, stopped]), "the filter by user_id fails"
    for status, expected in (("pending", [parent, child]), ("cancelled", [stopped]), ("failed", [])):
        found = ids(node.listed(user_id=owner, status=status))
        assert sorted(found) == sorted(expected), f"the filter by status {status} gives {len(found)} tasks"


# --- execute --------------------------------------------------------------------------------------


@clause("AF-EXECUTE-001")
@needs("AF-TREE-001", "AF-TREE-004", "AF-DEP-003")
def test_bad_tree_is_refused_whole(node: Node) -> None:
    a, b = node.task("a", node.ok()), node.task("b", node.ok())
    cases = {
        "two roots": [a, b],
        "a circle of dependencies": node.flow(
            {**a, "dependencies": [needs_task(b)]}, {**b, "dependencies": [needs_task(a)]}
        ),
        "a dangling dependency": node.flow(a, {**b, "dependencies": [{"id": new_id()}]}),
    }
    node.execute(node.task("good", node.ok()))
    for what, tasks in cases.items():
        reply = node.call("tasks.execute", {"tasks": tasks})
        assert reply.error is not None, f"a tree with {what} was executed"
        for task in tasks:
            found = node.call("tasks.get", {"task_id": task["id"]})
            assert found.error is not None or found.result is None, f"a tree with {what} was refused and stored"


@clause("AF-EXECUTE-002")
@sums("AF-DEP-007", "AF-DEP-008", "AF-DEP-009", "AF-DEP-01", "AF-PRIO-001", "AF-PRIO-002", "AF-PRIO-003")
def test_execution_obeys_dependencies_and_priorities(node: Node, diamond: Seen) -> None:
    assert {task.get("status") for task in diamond.end.values()} == {"completed"}, "a plain flow did not complete"


@clause("AF-EXECUTE-004")
@needs("AF-ERR-008")
def test_execute_returns_the_root(node: Node, record: Record, diamond: Seen) -> None:
    result = diamond.replies["execute"].result
    root = diamond.sent["root"]["id"]
    found = result.get("root_task_id", MISSING) if isinstance(result, dict) else MISSING
    assert found == root, f"root_task_id is {found!r}; expected the root's id {root!r}"
    if result.get("status") != "started":
        record.warn(f"status is {result.get('status')!r}; expected 'started' (reading A33)")
    node.get(root)


@clause("AF-EXECUTE-005")
def test_execute_needs_tasks(node: Node) -> None:
    node.execute(node.task("good", node.ok()))
    bad: tuple[Json, ...] = (MISSING, [], {}, ["x"], [None])
    for tasks in bad:
        params = {} if tasks is MISSING else {"tasks": tasks}
        node.refused(f"tasks {tasks!r}", "tasks.execute", params, codes=(*INVALID, -32012))


# --- trees, children ------------------------------------------------------------------------------


def grown(node: Node) -> dict[str, list[str]]:
    """A tree of depth 4 whose root has ten children: ids by level."""
    levels = {"root": [node.create(name="root")]}
    levels["children"] = [node.create(name=f"child {number}", parent_id=levels["root"][0]) for number in range(10)]
    levels["grandchildren"] = [node.create(name="grandchild", parent_id=levels["children"][0])]
    levels["last"] = [node.create(name="last", parent_id=levels["grandchildren"][0])]
    return levels


@clause("AF-TREEQ-001", "AF-STORE-009", "AF-TREE-007")
@needs("AF-CREATE-005")
def test_tree_has_all_descendants(node: Node) -> None:
    levels = grown(node)
    reply = node.call("tasks.tree", {"task_id": levels["root"][0]})
    assert isinstance(reply.result, dict), f"tasks.tree gave {reply.summary()}"
    found = [it.get("task", {}).get("id") for it in nodes_of(reply.result)]
    expected = [it for level in levels.values() for it in level]
    assert sorted(map(str, found)) == sorted(expected), f"the tree of {len(expected)} tasks has {len(found)}"


@clause("AF-CHILD-001", "AF-STORE-011")
@needs("AF-CREATE-005")
@needs("AF-RPC-013")
def test_children_are_direct_ones(node: Node) -> None:
    levels = grown(node)
    reply = node.call("tasks.children", {"parent_id": levels["root"][0]})
    found = reply.result.get("children", MISSING) if isinstance(reply.result, dict) else MISSING
    assert isinstance(found, list), f"expected {{children: [...]}}, got {reply.summary()}"
    assert sorted(ids(found)) == sorted(levels["children"]), f"a task with ten children has {len(found)}"
    assert node.children(levels["last"][0]) == [], "a task without children has some"


# --- all methods ----------------------------------------------------------------------------------

BAD_PARAMETERS: dict[str, tuple[tuple[str, Json], ...]] = {
    "tasks.get": (("task_id", []), ("task_id", MISSING)),
    "tasks.update": (("task_id", 5), ("task_id", MISSING), ("updates", "x"), ("updates", MISSING)),
    "tasks.delete": (("task_id", {}), ("task_id", MISSING)),
    "tasks.cancel": (("task_id", 5), ("task_id", MISSING)),
    "tasks.tree": (("task_id", None), ("task_id", MISSING)),
    "tasks.children": (("parent_id", 5), ("parent_id", MISSING)),
    "tasks.copy": (("task_id", 5), ("task_id", MISSING), ("copy_children", "yes")),
    "tasks.list": (("limit", "x"), ("offset", "x"), ("limit", 1.5), ("user_id", 5), ("status", 5)),
    "tasks.execute": (("tasks", "x"), ("tasks", MISSING), ("use_streaming", "yes")),
}


NEEDED: dict[str, tuple[str, ...]] = {
    "tasks.update": ("task_id", "updates"),
    "tasks.children": ("parent_id",),
    "tasks.list": (),
    "tasks.execute": ("tasks",),
}
"""The parameters that a method cannot do without; of the others it is task_id."""


@clause("AF-METH-001")
@needs("AF-ERR-007", "AF-RPC-013", "AF-COPY-001", "AF-LIST-003", "AF-EXECUTE-005", "AF-UPDATE-001", "AF-DATA-009")
def test_requests_are_validated(node: Node) -> None:
    for method, cases in BAD_PARAMETERS.items():
        if method == "tasks.copy" and node.call(method, {}).code == -32601:
            continue  # AF-COPY-001 tells
        made = node.create()
        good: dict[str, Json] = {
            "task_id": made,
            "parent_id": made,
            "updates": {},
            "tasks": [node.task("x", node.ok())],
        }
        base = {key: good[key] for key in NEEDED.get(method, ("task_id",))}
        for name, bad in cases:
            params = {key: value for key, value in {**base, name: bad}.items() if value is not MISSING}
            node.refused(f"{name} {bad!r} of {method}", method, params, codes=INVALID, field=name)
        node.ask(method, base)


@clause("AF-VAL-001")
@sums("AF-DATA-", "AF-DEP-00", "AF-TREE-")
def test_all_checks_are_made(node: Node) -> None:
    node.create()
    node.refused("a bad parent, name and priority", "tasks.create", {"name": "", "priority": 9, "parent_id": "x"})


@clause("AF-VAL-006")
def test_without_input_schema_any_object_goes(node: Node) -> None:
    odd: Json = {
        "": None,
        "list": [{}, [[]]],
        "number": 1e300,
        "text": "\u0000\u2028",
        "deep": {"a": {"b": {"c": [1]}}},
    }
    assert node.get(node.create(inputs=odd)).get("inputs") == odd, "odd inputs are not what was sent"


@clause("AF-STORE-001")
@needs("AF-CREATE-002", "AF-GET-001", "AF-UPDATE-004", "AF-DELETE-004", "AF-LIST-003", "AF-TREEQ-001")
def test_the_six_operations_work(node: Node) -> None:
    owner = node.owner("six")
    made = node.create(user_id=owner)
    node.update(made, name="updated")
    assert node.get(made).get("name") == "updated", "tasks.get does not show what tasks.update changed"
    assert ids(node.listed(user_id=owner)) == [made], "tasks.list does not show the new task"
    tree = node.ask("tasks.tree", {"task_id": made})
    assert [it.get("task", {}).get("id") for it in nodes_of(tree)] == [made], "tasks.tree does not show the new task"
    node.ask("tasks.delete", {"task_id": made})
    assert node.listed(user_id=owner) == [], "tasks.list shows a deleted task"


@clause("AF-STORE-003")
@needs("AF-DATA-001")
def test_all_fields_are_kept(node: Node) -> None:
    sent = {"params": {"kept": [1, {"two": None}]}, "inputs": {"kept": "ü"}, "max_runs": 7}
    task = node.get(node.create(**sent))
    assert {key: task.get(key) for key in sent} == sent, "fields are not what was sent"


@clause("AF-STORE-012")
@needs("AF-STORE-007", "AF-STORE-010")
def test_every_reference_resolves(node: Node) -> None:
    owner = node.owner("references")
    made = [node.create(user_id=owner)]
    for number in range(12):
        parent, needed = made[number // 2], made[number // 3]
        fields = {} if number % 2 else {"dependencies": [{"id": needed}]}
        made.append(node.create(user_id=owner, parent_id=parent, **fields))
    for number, task_id in enumerate(made):
        if number % 2:
            node.call("tasks.delete", {"task_id": task_id})
        elif number % 3 == 0:
            node.call("tasks.copy", {"task_id": task_id, "copy_children": True})
    tasks = node.listed(user_id=owner)
    known = set(ids(tasks))
    named = [(task["parent_id"], "parent") for task in tasks if task.get("parent_id")]
    named += [(it["id"], "dependency") for task in tasks for it in task.get("dependencies") or ()]
    dangling = [(what, it) for it, what in named if it not in known]
    assert not dangling, f"{len(dangling)} references name no task, the first is the {dangling[0][0]} {dangling[0][1]}"
