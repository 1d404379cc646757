"""The walk: random actions on a node's tasks, each followed by a look at everything that is known.

Actions name tasks by handles (`t1`, `t2`); their identifiers are made when the action is played. What the specification
leaves open is accepted either way.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Event
from typing import Any, ClassVar

from protogen_compliance.fuzz.checks import Fault
from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.endpoint import Answer
from protogen_compliance.fuzz.models.apflow import draws
from protogen_compliance.fuzz.models.apflow.tasks import (
    DEFAULTS,
    DEFINITION,
    FIELDS,
    RESET,
    TERMINAL,
    UUID4,
    Known,
    Task,
    Wrong,
    instant,
    same,
    wrongs,
)
from protogen_compliance.fuzz.models.apflow.tour import tour
from protogen_compliance.fuzz.steps import Session
from protogen_compliance.peer.rpc import MISSING

POLL_SECONDS = 0.005
SETTLE_SECONDS = 8.0
BESIDE_SECONDS = 0.2
"""How long tasks run that have to run beside each other."""
BUSY_SECONDS = 0.25
"""How long a task runs that something is done to meanwhile."""

EXECUTORS = {"ok": "echo", "slow": "sleep", "fail": "fail"}
"""What the actions call executors that complete, take time and fail; options of the same names say otherwise."""

NOT_FOUND = (-32001,)
INVALID = (-32602, -32005)
BAD_PARENT = (-32010, -32012, -32001, *INVALID)
BAD_DEPENDENCY = (-32011, -32012, -32001, *INVALID)
CYCLE = (-32002, -32011, -32012, *INVALID)
TRANSITION = (-32006, *INVALID, -32008)


class TaskModel:
    """What is known of a node, and the actions."""

    methods: ClassVar[frozenset[str]] = frozenset(
        f"tasks.{name}"
        for name in ("create", "get", "update", "delete", "list", "execute", "cancel", "tree", "children")
    )

    def __init__(self, session: Session, options: dict[str, str]) -> None:
        self.session = session
        self.executors = {role: options.get(role, name) for role, name in EXECUTORS.items()}
        self.user = f"fuzz-{uuid.uuid4()}"
        self.tasks: dict[str, Known] = {}
        self.gone: list[str] = []
        self.busy_seconds = BUSY_SECONDS
        self._owner_is_ours = True
        self._strays = False
        self._named = 0
        self._copies = "tasks.copy" in session.description.operations

    # --- the walk ---------------------------------------------------------------------------------

    def draw(self, chance: random.Random) -> tuple[str, dict[str, Json]]:
        """The next action: what is possible now, weighted."""
        return draws.draw(chance, self)

    @staticmethod
    def tour() -> Iterator[tuple[str, list[tuple[str, dict[str, Json]]]]]:
        """Every rule once, as short walks."""
        return tour(BUSY_SECONDS, BESIDE_SECONDS)

    def play(self, action: str, arguments: dict[str, Json]) -> None:
        """Does an action where its tasks are there, and looks at all tasks afterwards."""
        act: Callable[[dict[str, Json]], None] = getattr(self, f"do_{action}")
        self._find_owner()
        if all(name in self.tasks for name in draws.handles(arguments)):
            act(arguments)
            self.audit()

    def _find_owner(self) -> None:
        """Asks once for all walks whether the node takes the user from the client, or from who is logged in."""
        memory = self.session.memory
        if "owner" not in memory:
            made = self.ask("tasks.create", {"name": "probe", "user_id": self.user}, "creating a task")
            task = self.ask("tasks.get", {"task_id": made.get("id")}, "reading a new task")
            memory["owner"] = None if task.get("user_id") == self.user else [task.get("user_id")]
            self.session.call("tasks.delete", {"task_id": made.get("id")})
        if memory["owner"] is not None:
            self._owner_is_ours = False
            self.user = memory["owner"][0]

    def kinds(self) -> tuple[str, ...]:
        """The kinds of executors that the node has; asked once, and remembered for all walks of a session."""
        memory = self.session.memory
        if "executors" not in memory:
            memory["executors"] = [kind for kind in self.executors if self._has(kind)]
        return tuple(memory["executors"])

    def _has(self, kind: str) -> bool:
        """Whether a task with such an executor is taken, and does not fail for want of it."""
        inputs = {"seconds": 0, "message": "probe", "marker": "probe"}
        task = {"id": str(uuid.uuid4()), "name": "probe", "user_id": f"{self.user}-probe", "inputs": inputs}
        task["schemas"] = {"method": self.executors[kind]}
        answer = self.session.call("tasks.execute", {"tasks": [task]})
        if answer.result is MISSING:
            return bool(answer.code != -32003)
        ends = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < ends:
            shown = self.session.call("tasks.get", {"task_id": task["id"]}).result
            if not isinstance(shown, dict) or shown.get("status") in TERMINAL:
                error = str(shown.get("error")) if isinstance(shown, dict) else ""
                return "probe" in error or self.executors[kind] not in error
            Event().wait(POLL_SECONDS)
        return True

    def new_handle(self) -> str:
        """A handle that was not used."""
        self._named += 1
        return f"t{self._named}"

    # --- faults -----------------------------------------------------------------------------------

    def wrong(self, method: str, it: Wrong) -> None:
        """A fault; raises Found unless it is a warning."""
        self.session.fault(Fault(check=it.check, method=method, text=it.text, level="should" if it.should else "must"))

    def ask(self, method: str, params: Json, what: str) -> Json:
        """The result of a call that has to succeed."""
        answer = self.session.call(method, params)
        if answer.result is MISSING:
            code = answer.code if isinstance(answer.code, int) else None
            text = f"{what} was to succeed and got {answer.summary()}"
            self.session.fault(Fault(check="refused", method=method, code=code, text=text))
        return answer.result

    def refused(self, method: str, params: Json, what: str, codes: tuple[int, ...]) -> Answer:
        """The answer to a call that has to fail, with a code that fits."""
        answer = self.session.call(method, params)
        if answer.result is not MISSING:
            self.wrong(method, Wrong(f"accepted: {what}", f"{what} was accepted: {answer.summary()}"))
        if answer.code not in codes:
            text = f"{what} got {answer.summary()}; expected one of {', '.join(map(str, codes))}"
            self.session.fault(Fault(check="error-code", method=method, code=answer.code, text=text, level="should"))
        return answer

    # --- looking ----------------------------------------------------------------------------------

    def audit(self) -> None:
        """Every known task is as it must be, and there are no others of this walk's user."""
        if not self._owner_is_ours:
            for known in self.stored():
                self.look(known)
            return
        shown = self.listed()
        missing = [known for known in self.stored() if known.id.lower() not in shown]
        if missing:
            self.wrong("tasks.list", Wrong("lost", f"the task {missing[0].id} is not listed, and was not deleted"))
        ours = {known.id.lower() for known in self.stored()}
        more = [task for key, task in shown.items() if key not in ours]
        if more:
            self.wrong("tasks.list", Wrong("stray", f"a task that nobody made is listed: {more[0]!r:.200}"))
        for known in self.stored():
            self.compare(known, shown[known.id.lower()], "tasks.list")

    def stored(self) -> list[Known]:
        """The tasks that the node has."""
        return [known for known in self.tasks.values() if known.stored]

    def listed(self) -> dict[str, Task]:
        """The tasks of this walk's user by their ids."""
        result = self.ask("tasks.list", {"user_id": self.user, "limit": 1000}, "listing tasks")
        return {str(task["id"]).lower(): task for task in result["tasks"]}

    def look(self, known: Known) -> Task:
        """Reads a task and compares it with what is known."""
        task: Task = self.ask("tasks.get", {"task_id": known.id}, f"reading a task that was made ({known.handle})")
        lacking = [name for name in FIELDS if name not in task]
        if lacking:
            self.wrong("tasks.get", Wrong("task-fields", f"the task has no {', '.join(lacking)}"))
        self.compare(known, task, "tasks.get")
        return task

    def compare(self, known: Known, task: Task, method: str) -> None:
        """Holds a shown task against what must be; what is new in it becomes known."""
        for it in wrongs(task):
            self.wrong(method, it)
        for it in known.unlike(task):
            self.wrong(method, it._replace(text=f"{it.text} (task {known.handle}, {known.status})"))
        for name in ("created_at", "started_at", "completed_at", "result", "error"):
            if name in task:
                known.fields.setdefault(name, task[name])
        if "updated_at" in task:
            known.updated = task["updated_at"]

    def expect(self, known: Known, **fields: Any) -> None:
        """From now on these fields have to be so."""
        known.fields.update(fields)

    def forget(self, known: Known, *fields: str) -> None:
        """From now on these fields may be anything, until they are seen."""
        for name in fields:
            known.fields.pop(name, None)

    def tree(self, handle: str) -> list[Known]:
        """A task with everything below it, parents first."""
        found = [self.tasks[handle]]
        for known in found:
            found += [it for it in self.tasks.values() if it.parent == known.handle]
        return found

    def root(self, known: Known) -> Known:
        """The task above all that are above a task."""
        while known.parent is not None:
            known = self.tasks[known.parent]
        return known

    def dependants(self, known: Known) -> list[Known]:
        """The tasks that wait for a task."""
        return [it for it in self.tasks.values() if known.handle in [name for name, _ in it.dependencies]]

    def children(self, known: Known) -> list[Known]:
        """The tasks right below a task."""
        return [it for it in self.tasks.values() if it.parent == known.handle]

    def _dependencies(self, pairs: Iterable[Json]) -> list[Json]:
        return [
            {"id": self.tasks[name].id} if required is None else {"id": self.tasks[name].id, "required": required}
            for name, required in pairs
        ]

    # --- create, read, update, delete -------------------------------------------------------------

    def _member_fields(self, kind: str, wait: float, text: str) -> Task:
        if kind == "none":
            return {}
        inputs = {"message": text, "marker": text, "seconds": wait}
        return {"schemas": {"method": self.executors[kind]}, "inputs": inputs}

    def _made(self, handle: str, task_id: str, params: Task, arguments: dict[str, Json]) -> Known:
        """A task that was asked for, as it has to be from now on."""
        given = {name: value for name, value in params.items() if name in DEFAULTS or name == "name"}
        known = Known(handle, task_id, {**DEFAULTS, **given, "id": task_id, "status": "pending"})
        known.kind = arguments.get("kind", "none")
        known.wait = arguments.get("wait", 0.0)
        known.parent = arguments.get("parent")
        known.dependencies = [(name, required is not False) for name, required in arguments.get("after", ())]
        if params.get("schedule_enabled"):
            self.forget(known, "last_run_at", "run_count")
        self.tasks[handle] = known
        return known

    def do_create(self, arguments: dict[str, Json]) -> None:
        """A new task; `smuggled` are fields that only the node sets, which it may refuse or leave out."""
        handle = self._name(arguments["as"])
        wait = arguments.get("wait", 0.0)
        params = {
            "name": handle,
            "user_id": self.user,
            **self._member_fields(arguments.get("kind", "none"), wait, handle),
        }
        params |= arguments.get("fields", {})
        if arguments.get("parent") is not None:
            params["parent_id"] = self.tasks[arguments["parent"]].id
        if arguments.get("after"):
            params["dependencies"] = self._dependencies(arguments["after"])
        smuggled = arguments.get("smuggled", {})
        if smuggled:
            answer = self.session.call("tasks.create", {**params, **smuggled})
            if answer.result is MISSING:
                return
            result = answer.result
        else:
            result = self.ask("tasks.create", params, "creating a task")
        self._check_made(result, "id", "tasks.create")
        known = self._made(handle, result["id"], params, arguments)
        known.stored = True
        task: Task = self.ask("tasks.get", {"task_id": known.id}, "reading a new task")
        for name, value in smuggled.items():
            if name != "status" and name in task and same(name, task[name], value):
                self.wrong("tasks.create", Wrong(f"read-only-{name}", f"{name} of a client was stored", should=True))
                known.fields[name] = value
        self.look(known)

    def _name(self, handle: str) -> str:
        self._named = max(self._named, int(handle[1:]))
        return handle

    def _check_made(self, result: Task, member: str, method: str) -> None:
        """A fresh UUID of version 4, and a task that is pending."""
        made = result.get(member)
        if not isinstance(made, str) or not UUID4.fullmatch(made):
            self.wrong(method, Wrong("fresh-id", f"the new id is {made!r}; expected a UUID of version 4"))
        if made in [known.id for known in self.tasks.values()]:
            self.wrong(method, Wrong("fresh-id", f"the new id {made} is that of another task"))
        if result.get("status") != "pending":
            self.wrong(method, Wrong("new-status", f"a new task is {result.get('status')!r}; expected pending"))

    def do_create_bad(self, arguments: dict[str, Json]) -> None:
        """A task that has to be refused, leaving nothing behind."""
        params = {"name": "bad", "user_id": self.user, **arguments["fields"]}
        codes = {"parent": BAD_PARENT, "dependency": BAD_DEPENDENCY}.get(arguments.get("about", ""), (*INVALID, -32003))
        if arguments.get("about") == "source":
            params["original_task_id"] = self.tasks[arguments["task"]].id
            if self.tasks[arguments["task"]].status == "completed":
                return
        answer = self.refused("tasks.create", params, arguments["what"], codes)
        if arguments.get("several"):
            errors = (answer.error or {}).get("data")
            if not isinstance(errors, dict) or len(errors.get("errors", ())) < 2:
                text = f"of two faults not both were told: {errors!r:.200}"
                self.wrong("tasks.create", Wrong("aggregate", text, should=True))

    def do_get(self, arguments: dict[str, Json]) -> None:
        """Reads a task."""
        self.look(self.tasks[arguments["task"]])

    def do_unknown(self, arguments: dict[str, Json]) -> None:
        """Asks for a task that does not exist, or does no longer."""
        method = arguments["method"]
        if method not in self.session.description.operations:
            return
        name = "parent_id" if method == "tasks.children" else "task_id"
        missing = self.gone[-1] if arguments.get("deleted") and self.gone else str(uuid.uuid4())
        more = {"updates": {"name": "x"}} if method == "tasks.update" else {}
        codes = (-32001, -32010) if method == "tasks.children" else NOT_FOUND
        self.refused(method, {name: missing, **more}, "a task that does not exist", codes)

    def do_update(self, arguments: dict[str, Json]) -> None:
        """New values for a pending task."""
        known = self.tasks[arguments["task"]]
        if known.status != "pending":
            return
        before, updates = known.updated, dict(arguments.get("fields", {}))
        if "after" in arguments:
            updates["dependencies"] = self._dependencies(arguments["after"])
        result = self.ask("tasks.update", {"task_id": known.id, "updates": updates}, "updating a pending task")
        if not same("id", result.get("id"), known.id):
            self.wrong("tasks.update", Wrong("update-id", f"the result has id {result.get('id')!r}"))
        moved = any(not same(name, known.fields.get(name), value) for name, value in updates.items())
        self.expect(known, **updates)
        if "after" in arguments:
            known.dependencies = [(name, required is not False) for name, required in arguments["after"]]
        task = self.look(known)
        if moved and before is not None and not _later(task.get("updated_at"), before):
            self.wrong("tasks.update", Wrong("updated_at", "updated_at did not move with an update", should=True))

    def do_read_only(self, arguments: dict[str, Json]) -> None:
        """Tries to set what only the node sets: it may refuse, or leave it out."""
        known = self.tasks[arguments["task"]]
        self.session.call("tasks.update", {"task_id": known.id, "updates": arguments["fields"]})
        task: Task = self.ask("tasks.get", {"task_id": known.id}, "reading a task")
        for name, value in arguments["fields"].items():
            if name in task and same(name, task[name], value):
                self.wrong("tasks.update", Wrong(f"read-only-{name}", f"{name} of a client was stored", should=True))
                known.fields[name] = value

    def do_update_bad(self, arguments: dict[str, Json]) -> None:
        """An update that has to be refused, leaving all as it was."""
        known = self.tasks[arguments["task"]]
        about, updates = arguments["about"], dict(arguments.get("fields", {}))
        codes: tuple[int, ...] = (*INVALID, -32003)
        if about == "status":
            if known.status not in arguments["from"]:
                return
            codes = TRANSITION
        elif known.status != "pending":
            return
        elif about == "id":
            updates["id"] = str(uuid.uuid4())
        elif about == "self":
            updates["dependencies"], codes = [{"id": known.id}], CYCLE
        elif about == "cycle":
            other = self.tasks[arguments["other"]]
            if known.handle not in self.upstream(other):
                return
            updates["dependencies"], codes = [{"id": other.id}], CYCLE
        elif about == "unknown-dependency":
            updates["dependencies"], codes = [{"id": str(uuid.uuid4())}], BAD_DEPENDENCY
        elif about == "unknown-parent":
            updates["parent_id"], codes = str(uuid.uuid4()), BAD_PARENT
        elif about == "parent-circle":
            other = self.tasks[arguments["other"]]
            if other not in self.tree(known.handle):
                return
            updates["parent_id"], codes = other.id, BAD_PARENT
        self.refused("tasks.update", {"task_id": known.id, "updates": updates}, arguments["what"], codes)

    def upstream(self, known: Known) -> set[str]:
        """The handles of everything that a task waits for, itself included."""
        found: set[str] = set()
        pending = [known.handle]
        while pending:
            name = pending.pop()
            if name not in found and name in self.tasks:
                found.add(name)
                pending += [it for it, _ in self.tasks[name].dependencies]
        return found

    def do_delete(self, arguments: dict[str, Json]) -> None:
        """Deletes a task, or is refused where others refer to it or it has run."""
        known = self.tasks[arguments["task"]]
        if known.status != "pending" or self.children(known) or self.dependants(known):
            why = "a task that is not pending" if known.status != "pending" else "a task that others refer to"
            self.refused("tasks.delete", {"task_id": known.id}, f"deleting {why}", (-32009, *INVALID))
            return
        result = self.ask("tasks.delete", {"task_id": known.id}, "deleting a pending task that nothing refers to")
        if result.get("success") is not True:
            self.wrong("tasks.delete", Wrong("delete-result", f"the result is {result!r}; expected success true"))
        del self.tasks[known.handle]
        self.gone.append(known.id)
        self.refused("tasks.get", {"task_id": known.id}, "reading a deleted task", NOT_FOUND)

    # --- questions --------------------------------------------------------------------------------

    def do_list(self, arguments: dict[str, Json]) -> None:
        """Pages and filters show what the whole list has."""
        if not self._owner_is_ours:
            return
        if self._strays:
            return
        status, limit, offset = arguments.get("status"), arguments.get("limit"), arguments.get("offset")
        params = {"user_id": self.user} | ({"status": status} if status else {})
        whole = self.ask("tasks.list", {**params, "limit": 1000}, "listing tasks")
        expected = {known.id.lower() for known in self.stored() if status in (None, known.status)}
        ids = [str(task["id"]).lower() for task in whole["tasks"]]
        if set(ids) != expected or len(ids) != len(expected):
            text = f"{len(ids)} tasks are listed with status {status!r}; expected {len(expected)}"
            self.wrong("tasks.list", Wrong("list-filter", text))
        paged = params | {name: value for name, value in (("limit", limit), ("offset", offset)) if value is not None}
        page = self.ask("tasks.list", paged, "listing a page")
        begin = offset or 0
        wanted = ids[begin : begin + (100 if limit is None else limit)]
        if [str(task["id"]).lower() for task in page["tasks"]] != wanted:
            text = f"the page has {len(page['tasks'])} tasks, or others than the list; expected {len(wanted)}"
            self.wrong("tasks.list", Wrong("list-page", text))
        if page.get("total") != len(ids):
            self.wrong(
                "tasks.list", Wrong("list-total", f"total is {page.get('total')!r}; expected {len(ids)}", should=True)
            )
        for name, value in (("limit", 100 if limit is None else limit), ("offset", begin)):
            if page.get(name) != value:
                self.wrong("tasks.list", Wrong(f"list-{name}", f"{name} is {page.get(name)!r}; expected {value}"))

    def do_tree(self, arguments: dict[str, Json]) -> None:
        """The tree of a root has every task below it, each whole."""
        known = self.tasks[arguments["task"]]
        if known.parent is not None:
            return  # a subtree, the whole tree or an error: all readings are allowed
        result = self.ask("tasks.tree", {"task_id": known.id}, "reading the tree of a root")
        pending: list[tuple[Known, Json]] = [(known, result)]
        while pending:
            at, node = pending.pop()
            task = node["task"]
            lacking = [name for name in FIELDS if name not in task]
            if lacking:
                self.wrong("tasks.tree", Wrong("task-fields", f"a task of the tree has no {', '.join(lacking)}"))
            self.compare(at, task, "tasks.tree")
            below = {str(it["task"]["id"]).lower(): it for it in node.get("children", ())}
            expected = {it.id.lower(): it for it in self.children(at)}
            if below.keys() != expected.keys():
                text = f"{at.handle} has {len(below)} children in the tree; expected {len(expected)}"
                self.wrong("tasks.tree", Wrong("tree-children", text))
            pending += [(expected[key], it) for key, it in below.items()]

    def do_children(self, arguments: dict[str, Json]) -> None:
        """The tasks right below one."""
        known = self.tasks[arguments["task"]]
        result = self.ask("tasks.children", {"parent_id": known.id}, "reading children")
        got = {str(task["id"]).lower(): task for task in result["children"]}
        expected = {it.id.lower(): it for it in self.children(known)}
        if got.keys() != expected.keys():
            text = f"{len(got)} children are shown; expected {len(expected)}"
            self.wrong("tasks.children", Wrong("children", text))
        for key, task in got.items():
            self.compare(expected[key], task, "tasks.children")

    def do_copy(self, arguments: dict[str, Json]) -> None:
        """A copy is fresh and reset, has the definition, and refers to no task that was copied along."""
        if not self._copies or not self._owner_is_ours:
            return
        known = self.tasks[arguments["task"]]
        deep = bool(arguments.get("children"))
        before = {it.id.lower() for it in self.stored()}
        result = self.ask("tasks.copy", {"task_id": known.id, "copy_children": deep}, "copying a task")
        self._check_made(result, "copied_task_id", "tasks.copy")
        if not same("id", result.get("original_task_id"), known.id):
            self.wrong("tasks.copy", Wrong("copy-result", f"original_task_id is {result.get('original_task_id')!r}"))
        new = {key: task for key, task in self.listed().items() if key not in before}
        if result["copied_task_id"].lower() not in new:
            self.wrong("tasks.copy", Wrong("copy-result", "the copy is not listed"))
        by_source = {str(task.get("original_task_id")).lower(): task for task in new.values()}
        sources = {it.id.lower(): it for it in self.stored()}
        if len(by_source) != len(new) or not by_source.keys() <= sources.keys():
            self.wrong("tasks.copy", Wrong("copy-twice", "a task was copied twice, or a copy names no source"))
        lacking = [it for it in [known, *(self.children(known) if deep else ())] if it.id.lower() not in by_source]
        if lacking:
            self.wrong("tasks.copy", Wrong("copy-lacks", f"{lacking[0].handle} was not copied"))
        for key, task in by_source.items():
            self._check_copy(sources[key], task, by_source)
        self._keep_copies(known, by_source, sources, arguments["as"])

    def _check_copy(self, source: Known, copy: Task, by_source: dict[str, Task]) -> None:
        for name, value in RESET.items():
            if name in copy and copy[name] != value:
                self.wrong("tasks.copy", Wrong(f"copy-{name}", f"{name} of a copy is {copy[name]!r:.80}"))
        if copy.get("origin_type") != "copy":
            self.wrong("tasks.copy", Wrong("copy-origin", f"origin_type of a copy is {copy.get('origin_type')!r}"))
        for name in DEFINITION:
            if name in copy and not same(name, copy[name], source.fields[name]):
                text = f"{name} of a copy is {copy[name]!r:.80}; expected {source.fields[name]!r:.80}"
                self.wrong("tasks.copy", Wrong(f"copy-{name}", text, should=True))
        for it in copy.get("dependencies", ()):
            if str(it.get("id")).lower() in by_source:
                text = "a copy depends on a task whose copy was made with it"
                self.wrong("tasks.copy", Wrong("copy-dependencies", text))

    def _keep_copies(self, known: Known, by_source: dict[str, Task], sources: dict[str, Known], first: str) -> None:
        """Takes the copies among the known tasks, and what was seen of them for true."""
        self._name(first)
        handles: dict[str, str] = {}
        for key, task in sorted(by_source.items(), key=lambda it: (it[0] != known.id.lower(), sources[it[0]].handle)):
            handle = f"{first}.{len(handles)}" if handles else first
            handles[str(task["id"]).lower()] = handle
            made = Known(handle, task["id"], {name: task[name] for name in task if name != "updated_at"})
            self.forget(made, "has_references", "next_run_at", "run_count", "last_run_at")
            made.kind, made.wait, made.stored = sources[key].kind, sources[key].wait, True
            self.tasks[handle] = made
        ids = {it.id.lower(): it.handle for it in self.stored()}
        for key, task in by_source.items():
            made = self.tasks[handles[str(task["id"]).lower()]]
            made.parent = ids.get(str(task.get("parent_id")).lower())
            made.dependencies = [
                (ids[str(it["id"]).lower()], it.get("required", True))
                for it in task.get("dependencies", ())
                if str(it["id"]).lower() in ids
            ]
            source = sources[key]
            self.forget(source, "has_references")
            if source is known and self.look(known).get("has_references") is False:
                text = "has_references of a task that was copied is false"
                self.wrong("tasks.copy", Wrong("has_references", text, should=True))

    # --- execution --------------------------------------------------------------------------------

    def do_plan(self, arguments: dict[str, Json]) -> None:
        """Executes a new flow; its tasks are the members of `tasks`, the first the root."""
        self._plan(arguments["tasks"])
        self._run([it["as"] for it in arguments["tasks"]], stream=bool(arguments.get("stream")))

    def _plan(self, members: list[Json]) -> None:
        """Takes new tasks among the known, not yet stored."""
        for it in members:
            handle = self._name(it["as"])
            task_id = str(uuid.uuid4())
            fields = {"name": handle, "user_id": self.user, **it.get("fields", {})}
            fields |= self._member_fields(it.get("kind", "ok"), it.get("wait", 0.0), handle)
            if it.get("parent") is not None:
                fields["parent_id"] = self.tasks[it["parent"]].id
            known = self._made(handle, task_id, fields, it)
            if known.dependencies:
                known.fields["dependencies"] = self._dependencies(it["after"])

    def do_run(self, arguments: dict[str, Json]) -> None:
        """Executes a tree of tasks that are stored, whether they have run or not."""
        if self.tasks[arguments["task"]].parent is not None:
            return
        members = self.tree(arguments["task"])
        if any(it.status == "cancelled" or it.fields.get("schedule_enabled") for it in members):
            return  # running a cancelled task again is the node's own choice
        if any(it.kind == "unknown" or (it.kind == "none" and self.dependants(it)) for it in members):
            return  # how a task without executor ends is the node's own choice
        if any(it.kind not in ("none", *self.kinds()) for it in members):
            return
        inside = {it.handle for it in members}
        if any(name not in inside for it in members for name, _ in it.dependencies):
            return
        if arguments.get("alone") and members[0].status in TERMINAL:
            self._run_alone(members)
        else:
            self._run([it.handle for it in members])

    def _run_alone(self, members: list[Known]) -> None:
        """Executes the root of a tree again: what has ended and waits for it should be reset, and may run (04)."""
        root = members[0]
        if root.dependencies:
            return
        waiting = [it for it in members[1:] if root.handle in self.upstream(it)]
        old = {it.handle: it.fields.get("started_at") for it in waiting if it.status in TERMINAL}
        for it in waiting:
            self.forget(it, *RESET, "updated_at")
        self._run([root.handle])
        ends = time.monotonic() + SETTLE_SECONDS
        before: list[Task] = []
        while time.monotonic() < ends:
            shown = [self._read(it) for it in waiting]
            if shown == before and all(task["status"] != "in_progress" for task in shown):
                break
            before = shown
            Event().wait(4 * POLL_SECONDS)
        for it, task in zip(waiting, before, strict=False):
            self.expect(it, status=task["status"])
            if old.get(it.handle) and task.get("started_at") == old[it.handle]:
                text = f"{it.handle} waits for {root.handle}, which ran again, and still shows its last run"
                self.wrong("tasks.execute", Wrong("cascade", text, should=True))

    def _objects(self, members: list[Known]) -> list[Task]:
        """Tasks as tasks.execute takes them."""
        names = ("name", "user_id", "parent_id", "priority", "inputs", "schemas", "params", "dependencies")
        return [
            {"id": it.id}
            | {
                name: it.fields[name]
                for name in names
                if name in it.fields and (it.stored or it.fields[name] != DEFAULTS.get(name))
            }
            for it in members
        ]

    def _run(self, handles: list[str], *, watch: Callable[[], None] | None = None, stream: bool = False) -> None:
        members = [self.tasks[name] for name in handles]
        members[0].fields["parent_id"] = None
        again = [it for it in members if it.status in TERMINAL]
        old = {it.handle: it.fields.get("started_at") for it in again}
        wish = {"use_streaming": True} if stream else {}
        answer = self.session.call("tasks.execute", {"tasks": self._objects(members), **wish})
        if stream and answer.result is not MISSING:
            self._check_events(answer, members)
        if answer.code == -32003:
            self._without_executors(members)
            return
        if answer.result is MISSING:
            only_completed = bool(again) and all(it.status == "completed" for it in again)
            check = "re-execution" if again else "refused"
            text = f"executing {'a flow again' if again else 'a flow'} got {answer.summary()}"
            self.wrong("tasks.execute", Wrong(check, text, should=only_completed))
            return
        if not same("id", answer.result.get("root_task_id"), members[0].id):
            text = f"root_task_id is {answer.result.get('root_task_id')!r}; expected {members[0].id}"
            self.wrong("tasks.execute", Wrong("root_task_id", text))
        for it in members:
            it.stored = True
            self.forget(it, *RESET, "updated_at", "last_run_at", "run_count")
        if watch is not None:
            watch()
        self._settle(members, old)

    def _check_events(self, answer: Answer, members: list[Known]) -> None:
        """A stream tells of every task that came to an end, and of no others (06)."""
        if answer.exchange.head is None or answer.exchange.head.media_type != "text/event-stream":
            text = f"events were asked for, and {answer.summary()} came"
            self.wrong("tasks.execute", Wrong("stream", text, should=True))
            return
        ids = {it.id.lower() for it in members}
        told = {str(data.get("task_id")).lower() for _, data in answer.events if isinstance(data, dict)}
        if not told <= ids:
            self.wrong("tasks.execute", Wrong("stream", "an event tells of a task that is not executed"))
        ended = {it.id.lower() for it in members if self.outcomes(members)[it.handle] != "pending"}
        if not ended <= told:
            text = f"of {len(ended)} tasks that came to an end events told of {len(ended & told)}"
            self.wrong("tasks.execute", Wrong("stream", text))

    def _without_executors(self, members: list[Known]) -> None:
        """The node lacks an executor: nothing may have been stored of new tasks."""
        for it in members:
            if not it.stored:
                del self.tasks[it.handle]

    def outcomes(self, members: list[Known]) -> dict[str, str]:
        """The status each task has to come to."""
        found: dict[str, str] = {}
        open_members = list(members)
        while open_members:
            rest: list[Known] = []
            for it in open_members:
                before = [(found.get(name), required) for name, required in it.dependencies if name in self.tasks]
                if any(status is None for status, _ in before):
                    rest.append(it)
                elif any(status == "pending" or (required and status != "completed") for status, required in before):
                    found[it.handle] = "pending"
                else:
                    found[it.handle] = it.fields.get("status") or ("failed" if it.kind == "fail" else "completed")
            if len(rest) == len(open_members):
                break
            open_members = rest
        return found

    def _settle(self, members: list[Known], old: dict[str, str | None]) -> None:
        """Waits until all have come to what they must, and holds the outcome against the rules of execution."""
        expected = self.outcomes(members)
        ends = time.monotonic() + SETTLE_SECONDS
        while True:
            shown = [self._read(it) for it in members]
            late = [
                (it, task)
                for it, task in zip(members, shown, strict=True)
                if expected[it.handle] != task["status"] or _unmoved(task, old.get(it.handle), expected[it.handle])
            ]
            if not late or time.monotonic() > ends:
                break
            if any(task["status"] in TERMINAL and expected[it.handle] == "pending" for it, task in late):
                break
            Event().wait(POLL_SECONDS)
        for it, task in late:
            if task["status"] == "completed" and old.get(it.handle) and task.get("started_at") == old[it.handle]:
                text = "a completed task was executed again and did not run"
                self.wrong("tasks.execute", Wrong("re-execution", text, should=True))
                continue
            if it.kind == "none" and task["status"] == "failed":
                continue
            text = f"{it.handle} ({it.kind}) is {task['status']}; expected {expected[it.handle]}"
            names = ", ".join(f"{name} {'required' if need else 'optional'}" for name, need in it.dependencies)
            text += f" after {names}" if names else ""
            self.wrong("tasks.execute", Wrong(f"outcome-{expected[it.handle]}", text))
        for it, task in zip(members, shown, strict=True):
            self.expect(it, status=task["status"])
            self.compare(it, task, "tasks.get")
            self._check_outcome(it, task)
        self._check_order(members, {it.handle: task for it, task in zip(members, shown, strict=True)})
        if "pending" in expected.values():
            Event().wait(4 * POLL_SECONDS)  # what must not start gets the time to do so

    def _read(self, known: Known) -> Task:
        task: Task = self.ask("tasks.get", {"task_id": known.id}, "reading a task of a flow")
        for it in wrongs(task):
            self.wrong("tasks.get", it)
        return task

    def _check_outcome(self, known: Known, task: Task) -> None:
        if task["status"] == "completed" and known.kind == "ok" and self.executors["ok"] == "echo":
            marker = known.fields["inputs"].get("marker")
            if marker is not None and marker not in str(task.get("result")):
                text = f"the result {task.get('result')!r:.80} has nothing of the inputs"
                self.wrong("tasks.execute", Wrong("executor", text))
        if task["status"] == "failed" and known.kind == "fail":
            message = known.fields["inputs"].get("message", "")
            if self.executors["fail"] == "fail" and message not in str(task.get("error")):
                self.wrong("tasks.execute", Wrong("task-error", f"the error is {task.get('error')!r:.80}", should=True))
            if task.get("progress") == 1.0:
                self.wrong("tasks.execute", Wrong("task-failed-progress", "a failed task has progress 1.0"))

    def _check_order(self, members: list[Known], shown: dict[str, Task]) -> None:
        """Dependencies, then priorities, decide who starts first; who waits for nobody runs beside others."""
        times = {name: (instant(it.get("started_at")), instant(it.get("completed_at"))) for name, it in shown.items()}
        for it in members:
            began = times[it.handle][0]
            for name, _ in it.dependencies:
                ended = times.get(name, (None, None))[1]
                if began and ended and began < ended:
                    text = f"{it.handle} started at {began.isoformat()}, before {name} ended at {ended.isoformat()}"
                    self.wrong("tasks.execute", Wrong("dependency-order", text))
        for it in members:
            for other in members:
                if it is not other and it.dependencies == other.dependencies:
                    self._check_pair(it, other, times)

    def _check_pair(self, it: Known, other: Known, times: dict[str, tuple[datetime | None, datetime | None]]) -> None:
        """Two tasks that wait for the same: the more urgent starts first, and both run at the same time."""
        (mine, my_end), (theirs, _) = times[it.handle], times[other.handle]
        if mine is None or theirs is None or my_end is None:
            return
        first, second = it.fields.get("priority", 2), other.fields.get("priority", 2)
        if it.dependencies and first < second and mine > theirs:
            text = f"priority {second} started before priority {first}, and both were ready"
            self.wrong("tasks.execute", Wrong("priority", text))
        if my_end <= theirs and it.kind == other.kind == "slow" and min(it.wait, other.wait) >= BESIDE_SECONDS:
            text = f"{it.handle} and {other.handle} do not wait for each other and ran one after the other"
            self.wrong("tasks.execute", Wrong("concurrency", text))

    def do_busy(self, arguments: dict[str, Json]) -> None:
        """Executes a flow whose root takes time, and does something to the root meanwhile."""
        self._plan(arguments["tasks"])
        handles = [it["as"] for it in arguments["tasks"]]
        root = self.tasks[handles[0]]
        self._run(handles, watch=lambda: self._disturb(root, arguments["by"]))

    def _disturb(self, root: Known, by: str) -> None:
        ends = time.monotonic() + SETTLE_SECONDS
        while (task := self._read(root))["status"] == "pending":
            if time.monotonic() > ends:
                self.wrong("tasks.execute", Wrong("outcome-in_progress", "the root of a flow did not start"))
            Event().wait(POLL_SECONDS)
        if task["status"] != "in_progress":
            return
        match by:
            case "again":
                self._still_busy(root, "tasks.execute", {"tasks": self._objects([root])}, (-32008, -32006, *INVALID))
            case "delete":
                self._still_busy(root, "tasks.delete", {"task_id": root.id}, (-32009, -32008, *INVALID))
            case "move" | "give":
                updates = {"user_id": "somebody"} if by == "give" else {"parent_id": str(uuid.uuid4())}
                params = {"task_id": root.id, "updates": updates}
                self._still_busy(root, "tasks.update", params, (-32008, -32006, -32010, -32004, *INVALID))
            case "cancel":
                self._cancel_running(root, task)
            case _:
                pass

    def _still_busy(self, root: Known, method: str, params: Json, codes: tuple[int, ...]) -> None:
        """What a task in progress does not allow; nothing is said where it ended meanwhile."""
        answer = self.session.call(method, params)
        if answer.result is not MISSING and self._read(root)["status"] == "in_progress":
            text = f"{method} on a task in progress was accepted: {answer.summary()}"
            self.wrong(method, Wrong("busy", text))
        if answer.error is not None and answer.code not in codes and answer.code != -32006:
            text = f"{method} on a task in progress got {answer.summary()}"
            self.session.fault(Fault(check="error-code", method=method, code=answer.code, text=text, level="should"))

    def _cancel_running(self, root: Known, before: Task) -> None:
        answer = self.session.call("tasks.cancel", {"task_id": root.id})
        task = self._read(root)
        if answer.result is MISSING:
            if task["status"] == "in_progress":
                text = f"cancelling a task in progress got {answer.summary()}"
                self.wrong("tasks.cancel", Wrong("cancel", text))
            return
        if task["status"] == "in_progress":
            self.wrong("tasks.cancel", Wrong("cancel", "a cancelled task is in progress"))
        self.expect(root, status=task["status"])
        if task["status"] == "cancelled" and task.get("started_at") != before.get("started_at"):
            text = f"started_at became {task.get('started_at')!r} by cancelling"
            self.wrong("tasks.cancel", Wrong("cancel-started_at", text))
        Event().wait(BUSY_SECONDS)  # its executor may run on, and must not overwrite the status

    def do_cancel(self, arguments: dict[str, Json]) -> None:
        """Cancels a pending task; one that has ended stays as it is."""
        known = self.tasks[arguments["task"]]
        answer = self.session.call("tasks.cancel", {"task_id": known.id})
        if known.status != "pending":
            return  # success and -32006 are both allowed; that nothing changed is seen afterwards
        if answer.result is MISSING:
            self.wrong("tasks.cancel", Wrong("cancel", f"cancelling a pending task got {answer.summary()}"))
            return
        if answer.result.get("status") != "cancelled":
            self.wrong("tasks.cancel", Wrong("cancel-result", f"the status is {answer.result.get('status')!r}"))
        self.expect(known, status="cancelled")
        self.forget(known, "error", "completed_at", "progress")
        self.look(known)

    def do_execute_bad(self, arguments: dict[str, Json]) -> None:
        """A tree that has to be refused as a whole; `unknown-executor` may run and fail instead."""
        about = arguments["about"]
        tasks, codes = draws.bad_tree(about, lambda: str(uuid.uuid4()), self.user, self.executors["ok"])
        if about == "unknown-executor":
            answer = self.session.call("tasks.execute", {"tasks": tasks})
            if answer.result is not MISSING:
                self._unknown_executor(tasks)
                return
        elif about == "bad-id":
            self.session.call("tasks.execute", {"tasks": tasks})
            answer = self.session.call("tasks.get", {"task_id": tasks[0]["id"]})
            if answer.result is not MISSING:
                text = f"a task is stored as {tasks[0]['id']!r}; expected a UUID of version 4"
                self.wrong("tasks.execute", Wrong("task-id", text))
            self._drop_strays()
            return
        else:
            self.refused("tasks.execute", {"tasks": tasks}, f"executing a bad tree ({about})", codes)
        for task in tasks:
            if UUID4.fullmatch(str(task.get("id"))):
                what = "a task of a tree that was refused"
                self.refused("tasks.get", {"task_id": task["id"]}, what, NOT_FOUND)

    def _drop_strays(self) -> None:
        """Cancels and forgets what a node made of identifiers of its own choice."""
        if not self._owner_is_ours:
            return
        ours = {known.id.lower() for known in self.stored()}
        for task in self.listed().values():
            if str(task["id"]).lower() not in ours:
                known = Known(f"stray{len(self.tasks)}", task["id"], {"id": task["id"]})
                known.stored, known.kind = True, "unknown"
                self._strays = True
                self.tasks[known.handle] = known

    def _unknown_executor(self, tasks: list[Task]) -> None:
        ends = time.monotonic() + SETTLE_SECONDS
        task: Task = {}
        while time.monotonic() < ends:
            task = self.ask("tasks.get", {"task_id": tasks[0]["id"]}, "reading a task of a flow")
            if task["status"] in TERMINAL:
                break
            Event().wait(POLL_SECONDS)
        if task.get("status") != "failed":
            text = f"a task whose executor nobody knows is {task.get('status')}; expected failed, or error -32003"
            self.wrong("tasks.execute", Wrong("unknown-executor", text))
        known = Known(f"failed{len(self.tasks)}", tasks[0]["id"], {"id": tasks[0]["id"], "status": "failed"})
        known.stored = True
        known.kind = "unknown"
        self.tasks[known.handle] = known


def _later(after: Any, before: Any) -> bool:
    times = instant(after), instant(before)
    return times[0] is None or times[1] is None or times[0] > times[1]


def _unmoved(task: Task, started: str | None, expected: str) -> bool:
    """Whether a task that runs again still shows its last run."""
    return started is not None and expected != "pending" and task.get("started_at") == started
