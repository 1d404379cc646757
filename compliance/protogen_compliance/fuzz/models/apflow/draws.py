"""Draws: which action comes next, with which arguments. Knows what is possible, not what has to come of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.models.apflow.tasks import Known, Task

MOST_TASKS = 30
"""A walk that has so many makes no more: each is looked at after every action."""
INVALID = (-32602, -32005)
TREE = (-32012, *INVALID)

FIELDS: dict[str, tuple[Json, ...]] = {
    "priority": (0, 1, 2, 3),
    "inputs": ({}, {"a": 1}, {"deep": {"list": [1, None, "x", 2.5]}, "": "\u00e9\U0001f600"}),
    "params": ({}, {"b": [True]}, None),
    "name": ("n", "x" * 255, "\u4e2d\u6587 \U0001f600", " "),
    "max_runs": (0, 5, None),
}
SCHEDULES: tuple[Task, ...] = (
    {"schedule_type": "daily", "schedule_expression": "09:30"},
    {"schedule_type": "weekly", "schedule_expression": "mon,wed@09:30", "schedule_end_at": "2031-01-01T00:00:00Z"},
    {"schedule_type": "monthly", "schedule_expression": "1,15@09:30", "schedule_start_at": "2030-01-01T00:00:00Z"},
    {"schedule_type": "cron", "schedule_expression": "0 9 * * 1-5"},
    {"schedule_type": "interval", "schedule_expression": "86400", "schedule_end_at": "2031-01-01T00:00:00Z"},
    {"schedule_type": "once", "schedule_expression": "2031-01-20T09:00:00Z", "max_runs": 1},
)
SMUGGLED: tuple[Task, ...] = (
    {"status": "completed"},
    {"progress": 0.5},
    {"has_references": True},
    {"result": {"a": 1}},
    {"run_count": 3},
    {"created_at": "2001-01-01T00:00:00Z"},
)
READ_ONLY: tuple[Task, ...] = (
    {"next_run_at": "2031-01-01T00:00:00Z"},
    {"run_count": 3},
    {"created_at": "2001-01-01T00:00:00Z"},
    {"progress": 0.5},
)
UNKNOWN_ID = "e7d4f1a8-2c6b-4a95-b3e8-5f0a9c1d7e04"
BAD_FIELDS: tuple[tuple[str, Task], ...] = (
    ("an enabled schedule without expression", {"schedule_enabled": True, "schedule_type": "daily"}),
    ("an enabled schedule without type", {"schedule_enabled": True, "schedule_expression": "09:30"}),
    ("a daily schedule at 25:00", {"schedule_type": "daily", "schedule_expression": "25:00", "schedule_enabled": True}),
    ("an interval of 0", {"schedule_type": "interval", "schedule_expression": "0", "schedule_enabled": True}),
    ("a weekly schedule on noday", {"schedule_type": "weekly", "schedule_expression": "x@9", "schedule_enabled": True}),
    ("a cron expression of one word", {"schedule_type": "cron", "schedule_expression": "x", "schedule_enabled": True}),
    (
        "inputs that break input_schema",
        {"schemas": {"method": "echo", "input_schema": {"required": ["a"]}}, "inputs": {}},
    ),
    ("an id of a dependency that is no UUID", {"dependencies": [{"id": "t1"}]}),
    ("a priority of 4", {"priority": 4}),
    ("a priority that is text", {"priority": "high"}),
    ("an empty name", {"name": ""}),
    ("inputs that are a list", {"inputs": []}),
    ("schemas without method", {"schemas": {"type": "local"}}),
    ("a start that is no time", {"schedule_start_at": "yesterday"}),
    ("an end that is no time", {"schedule_end_at": "soon"}),
)
CREATE_BAD = (
    ("an unknown parent", {"parent_id": UNKNOWN_ID}, "parent"),
    ("an unknown dependency", {"dependencies": [{"id": UNKNOWN_ID}]}, "dependency"),
    *((what, fields, "") for what, fields in BAD_FIELDS),
)
JUMPS = (
    ("completed", ("pending",)),
    ("failed", ("pending",)),
    ("pending", ("completed", "cancelled")),
    ("in_progress", ("completed", "cancelled", "failed")),
    ("failed", ("completed", "cancelled")),
    ("cancelled", ("completed", "failed")),
    ("completed", ("failed", "cancelled")),
)
"""To a status, from some: transitions that a client may not make (section 4 of the digest of 04)."""
BAD_UPDATES = {
    "id": 1,
    "self": 1,
    "cycle": 3,
    "unknown-dependency": 1,
    "unknown-parent": 1,
    "parent-circle": 2,
    "field": 2,
}
"""What is wrong with an update, and how often it is drawn."""
BAD_TREES = (
    *("empty", "two-roots", "parent-circle", "unknown-dependency", "self-dependency", "cycle", "twice"),
    *("unknown-executor", "bad-id", "unknown-parent", "no-name", "bad-field"),
)
METHODS = ("tasks.get", "tasks.update", "tasks.delete", "tasks.cancel", "tasks.tree", "tasks.children", "tasks.copy")


class Drawn(Protocol):
    """What a draw has to know of a walk."""

    tasks: dict[str, Known]
    busy_seconds: float

    def new_handle(self) -> str:
        """A handle that was not used."""
        ...

    def kinds(self) -> tuple[str, ...]:
        """The kinds of executors that the node has."""
        ...

    def stored(self) -> list[Known]:
        """The tasks that the node has."""
        ...

    def tree(self, handle: str) -> list[Known]:
        """A task with everything below it."""
        ...

    def root(self, known: Known) -> Known:
        """The task above all that are above a task."""
        ...

    def children(self, known: Known) -> list[Known]:
        """The tasks right below a task."""
        ...

    def upstream(self, known: Known) -> set[str]:
        """The handles of everything that a task waits for, itself included."""
        ...


def handles(arguments: dict[str, Json]) -> list[str]:
    """The tasks that have to be there for an action."""
    named = [arguments[key] for key in ("task", "other", "parent") if arguments.get(key) is not None]
    return named + [name for name, _ in arguments.get("after", ())]


def draw(chance: random.Random, model: Drawn) -> tuple[str, dict[str, Json]]:
    """The next action of a walk."""
    known = [it for it in model.stored() if it.kind != "unknown"]
    weights: dict[str, int] = {"execute_bad": 3, "create_bad": 5, "unknown": 2}
    if len(known) < MOST_TASKS:
        weights |= {"create": 12, "plan": 8, "busy": 3}
    if known:
        weights |= {"update": 5, "update_bad": 7, "delete": 4, "list": 3, "tree": 3, "children": 3, "cancel": 3}
        weights |= {"get": 1, "run": 5, "read_only": 2}
        if len(known) < MOST_TASKS:
            weights["copy"] = 4
    action = chance.choices(list(weights), list(weights.values()))[0]
    return action, _DRAWS[action](chance, model, known)


def _task(chance: random.Random, known: list[Known], *statuses: str) -> str:
    """A task, one with such a status where there is one."""
    fitting = [it for it in known if it.status in statuses]
    return chance.choice(fitting or known).handle


def _fields(chance: random.Random) -> Task:
    names = chance.sample(list(FIELDS), chance.choice((0, 1, 1, 2, 3)))
    fields: Task = {name: chance.choice(FIELDS[name]) for name in names}
    if chance.random() < 0.15:
        fields |= chance.choice(SCHEDULES)
        fields["schedule_enabled"] = chance.random() < 0.5
    return fields


def _create(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    arguments: Json = {"as": model.new_handle(), "fields": _fields(chance)}
    resting = [it for it in known if it.status == "pending"]
    if resting and chance.random() < 0.65:
        parent = chance.choice(resting)
        arguments["parent"] = parent.handle
        beside = [it.handle for it in model.tree(model.root(parent).handle) if it.kind not in ("none", "unknown")]
        chosen = chance.sample(beside, min(len(beside), chance.choice((0, 1, 1, 2))))
        arguments["after"] = [[name, chance.choice((None, True, False))] for name in chosen]
    arguments["kind"] = chance.choice(("none", *model.kinds(), "ok"))
    if "inputs" not in arguments["fields"] and arguments["kind"] == "slow":
        arguments["wait"] = 0.02
    if arguments["kind"] != "none":
        arguments["fields"].pop("inputs", None)
    if chance.random() < 0.2:
        arguments["smuggled"] = chance.choice(SMUGGLED)
    return arguments


def _create_bad(chance: random.Random, _model: Drawn, known: list[Known]) -> Json:
    if known and chance.random() < 0.1:
        origin = chance.choice(("link", "archive"))
        what = f"a {origin} of a task that is not completed"
        return {
            "what": what,
            "about": "source",
            "fields": {"origin_type": origin},
            "task": _task(chance, known, "pending"),
        }
    if chance.random() < 0.2:
        two = {"name": "", "priority": 9}
        return {"what": "an empty name and a priority of 9", "fields": two, "several": True}
    what, fields, about = chance.choice(CREATE_BAD)
    return {"what": what, "fields": fields, "about": about}


def _unknown(chance: random.Random, _model: Drawn, _known: list[Known]) -> Json:
    return {"method": chance.choice(METHODS), "deleted": chance.random() < 0.5}


def _update(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    fields = _fields(chance)
    task = model.tasks[_task(chance, known, "pending")]
    if task.kind != "none":
        fields.pop("inputs", None)
    arguments: Json = {"task": task.handle, "fields": fields}
    if chance.random() < 0.3:
        beside = [
            it
            for it in model.tree(model.root(task).handle)
            if it is not task and it.kind not in ("none", "unknown") and task.handle not in model.upstream(it)
        ]
        chosen = chance.sample(beside, min(len(beside), chance.choice((0, 1, 2))))
        arguments["after"] = [[it.handle, chance.choice((None, True, False))] for it in chosen]
    return arguments


def _read_only(chance: random.Random, _model: Drawn, known: list[Known]) -> Json:
    return {"task": _task(chance, known, "pending"), "fields": chance.choice(READ_ONLY)}


def _update_bad(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    if chance.random() < 0.45:
        there = {it.status for it in known}
        to, origins = chance.choice([it for it in JUMPS if there.intersection(it[1])] or JUMPS)
        what = f"a change of the status from {' or '.join(origins)} to {to}"
        task = _task(chance, known, *origins)
        return {"task": task, "about": "status", "fields": {"status": to}, "from": list(origins), "what": what}
    task = _task(chance, known, "pending")
    about = chance.choices(list(BAD_UPDATES), list(BAD_UPDATES.values()))[0]
    arguments: Json = {"task": task, "about": about, "what": f"an update with {about.replace('-', ' ')}"}
    if about == "field":
        arguments["what"], bad = chance.choice(BAD_FIELDS)
        arguments["fields"] = {"name": "half an update", **bad}
    if about == "cycle":
        waiting = [it for it in known if it.dependencies and it.status == "pending"]
        if waiting:
            other = chance.choice(waiting)
            first = [
                name for name in model.upstream(other) if name != other.handle and model.tasks[name].status == "pending"
            ]
            arguments |= {"other": other.handle, "task": chance.choice(sorted(first) or [task])}
        else:
            arguments["other"] = task
    if about == "parent-circle":
        parents = [it for it in known if model.children(it) and it.status == "pending"]
        above = chance.choice(parents) if parents else model.tasks[task]
        arguments |= {"task": above.handle, "other": chance.choice(model.tree(above.handle)).handle}
    return arguments


def _delete(chance: random.Random, _model: Drawn, known: list[Known]) -> Json:
    if chance.random() < 0.4:
        return {"task": _task(chance, known, "completed", "failed", "cancelled")}
    return {"task": _task(chance, known, "pending")}


def _list(chance: random.Random, _model: Drawn, _known: list[Known]) -> Json:
    status = chance.choice((None, None, "pending", "completed", "failed", "cancelled", "in_progress"))
    limit, offset = chance.choice((None, 1, 2, 5, 1000)), chance.choice((None, 0, 1, 3))
    return {"status": status, "limit": limit, "offset": offset}


def _any(chance: random.Random, _model: Drawn, known: list[Known]) -> Json:
    return {"task": chance.choice(known).handle}


def _parent(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    """A task that has children, where there is one, or the root of such."""
    parents = [it for it in known if model.children(it)]
    task = chance.choice(parents or known)
    return {"task": chance.choice((task, model.root(task))).handle}


def _copy(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    task = _parent(chance, model, known)["task"] if chance.random() < 0.6 else chance.choice(known).handle
    return {"task": task, "children": chance.random() < 0.6, "as": model.new_handle()}


def _run(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    alone = chance.random() < 0.3
    return {"task": model.root(chance.choice(known)).handle, "alone": alone}


def _cancel(chance: random.Random, _model: Drawn, known: list[Known]) -> Json:
    return {"task": _task(chance, known, chance.choice(("pending", "completed", "failed", "cancelled")))}


def _plan(chance: random.Random, model: Drawn, _known: list[Known]) -> Json:
    kinds = model.kinds()
    first: Task = {"as": model.new_handle(), "kind": chance.choice(("ok", "ok", *kinds)), "fields": _plain(chance)}
    members: list[Json] = [first]
    if first["kind"] == "slow":
        first["wait"] = 0.05
    form = chance.choice(("chain", "gate", "gate", "free", "free", "beside", "beside"))
    for _ in range(chance.choice((0, 1, 2, 3, 4)) if form != "beside" else 2):
        it: Json = {"as": model.new_handle(), "kind": chance.choice(("ok", *kinds)), "fields": _plain(chance)}
        it["parent"] = chance.choice(members)["as"]
        if form == "gate":
            it["after"] = [[first["as"], None]]
        elif form == "chain":
            it["after"] = [[members[-1]["as"], chance.choice((None, True, False, False))]]
        elif form == "free":
            chosen = chance.sample(members, min(len(members), chance.choice((0, 1, 2))))
            it["after"] = [[other["as"], chance.choice((None, True, False))] for other in chosen]
        elif "slow" in kinds:
            it |= {"after": [], "kind": "slow", "parent": first["as"]}
        it["wait"] = 0.0 if it["kind"] != "slow" else 0.2 if form == "beside" else 0.05
        members.append(it)
    return {"tasks": members, "stream": chance.random() < 0.15}


def _plain(chance: random.Random) -> Task:
    return {"priority": chance.choice((0, 1, 2, 3))} if chance.random() < 0.7 else {}


def _busy(chance: random.Random, model: Drawn, known: list[Known]) -> Json:
    if "slow" not in model.kinds():
        return _plan(chance, model, known) | {"by": "nothing"}
    first = {"as": model.new_handle(), "kind": "slow", "wait": model.busy_seconds}
    members: list[Json] = [first]
    for required in chance.choice(((), (True,), (False,), (None, False))):
        it = {"as": model.new_handle(), "kind": "ok", "parent": first["as"], "after": [[first["as"], required]]}
        members.append(it)
    return {"tasks": members, "by": chance.choice(("again", "delete", "move", "give", "cancel", "cancel"))}


def _execute_bad(chance: random.Random, _model: Drawn, _known: list[Known]) -> Json:
    return {"about": chance.choice(BAD_TREES)}


_DRAWS: dict[str, Callable[[random.Random, Drawn, list[Known]], Any]] = {
    "create": _create,
    "create_bad": _create_bad,
    "unknown": _unknown,
    "update": _update,
    "update_bad": _update_bad,
    "read_only": _read_only,
    "delete": _delete,
    "list": _list,
    "get": _any,
    "tree": _parent,
    "children": _parent,
    "cancel": _cancel,
    "copy": _copy,
    "run": _run,
    "plan": _plan,
    "busy": _busy,
    "execute_bad": _execute_bad,
}


def bad_tree(about: str, new_id: Callable[[], str], user: str, executor: str) -> tuple[list[Task], tuple[int, ...]]:
    """Tasks that are no tree to execute, and the codes that say so."""
    root: Task = {"id": new_id(), "name": "root", "user_id": user, "schemas": {"method": executor}}
    child: Task = {**root, "id": new_id(), "name": "child", "parent_id": root["id"]}
    match about:
        case "empty":
            return [], INVALID
        case "two-roots":
            return [root, {**child, "parent_id": None}], TREE
        case "parent-circle":
            other = {**child, "id": new_id()}
            return [root, {**child, "parent_id": other["id"]}, {**other, "parent_id": child["id"]}], (*TREE, -32010)
        case "unknown-parent":
            return [root, {**child, "parent_id": new_id()}], (*TREE, -32010)
        case "unknown-dependency":
            return [root, {**child, "dependencies": [{"id": new_id()}]}], (*TREE, -32011)
        case "self-dependency":
            return [root, {**child, "dependencies": [{"id": child["id"]}]}], (*TREE, -32002, -32011)
        case "cycle":
            first = {**root, "dependencies": [{"id": child["id"]}]}
            return [first, {**child, "dependencies": [{"id": root["id"]}]}], (*TREE, -32002)
        case "twice":
            return [root, {**child, "id": root["id"]}], TREE
        case "unknown-executor":
            return [{**root, "schemas": {"method": f"none-{new_id()}"}}], (-32003, *INVALID)
        case "bad-id":
            return [{**root, "id": "task1"}], INVALID
        case "no-name":
            return [root, {name: value for name, value in child.items() if name != "name"}], INVALID
        case _:
            return [root, {**child, "priority": 4}], INVALID
