"""A node under test, as its tests speak to it: calls, flows of tasks, waiting for their end.

A method used as a setup raises Unmet, which blames the clauses of that method; tests of a method use `call()`.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from protogen_compliance.dialects import Dialect, Spelling
from protogen_compliance.peer.http import Exchange
from protogen_compliance.peer.rpc import MISSING, Json, Reply, RpcPeer, parse_json
from protogen_compliance.peer.stdio import Line
from protogen_compliance.peer.wire import Unreachable
from protogen_compliance.plugin import Lacking, Lost, Unmet
from protogen_compliance.suites.apflow.observed import Answered, Observed, Refusal

Task = dict[str, Json]

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
TERMINAL = ("completed", "failed", "cancelled")
STATUSES = ("pending", "in_progress", *TERMINAL)
INVALID = (-32602, -32005)
"""Both are right wherever a task is invalid (reading A9)."""

CARD_PATHS = ("/.well-known/agent-card", "/.well-known/agent-card.json", "/.well-known/agent.json")
"""Where an agent card may be (reading A39)."""

TICK = 0.4
"""Seconds that a slow task lasts: long enough to be seen in progress, short enough for a quick suite."""

POLL_SECONDS = 0.03

SILENT_REQUESTS = 5
"""So many requests in a row without an answer end the run."""

BLAME = {
    "tasks.create": ("AF-STORE-001", "AF-CREATE-002"),
    "tasks.get": ("AF-STORE-001", "AF-GET-001"),
    "tasks.update": ("AF-UPDATE-004",),
    "tasks.delete": ("AF-DELETE-004",),
    "tasks.list": ("AF-LIST-003",),
    "tasks.execute": ("AF-EXECUTE-004", "AF-IND-005"),
    "tasks.cancel": ("AF-CANCEL-007", "AF-CANCEL-001"),
    "tasks.tree": ("AF-TREEQ-001",),
    "tasks.children": ("AF-CHILD-001",),
    "tasks.copy": ("AF-COPY-001",),
}
"""Method to the clauses whose own tests tell what is wrong with it."""

BLAME_OF_FIELDS = {"parent_id": "AF-CREATE-005", "dependencies": "AF-DEP-001"}
"""Field of a new task to the clause whose own test tells whether tasks.create takes it."""

SHAPE_CLAUSES = ("AF-DATA-001", "AF-DATA-002", *(name for names in BLAME.values() for name in names))
TIMES = ("AF-DATA-023", "AF-DATA-027", "AF-DATA-028", "AF-DATA-029", "AF-DATA-030", "AF-DATA-031", "AF-STATE-014")
RESULTS = ("AF-DATA-015", "AF-DATA-016", "AF-DATA-017")
ERRORS = ("AF-DATA-018", "AF-DATA-019")
"""What a test relies on that reads these fields of a task."""

ALWAYS_BLAMED = ("AF-TRANS-001", "AF-TRANS-003", "AF-RPC-013")


def new_id() -> str:
    """A UUID of version 4 in lower case."""
    return str(uuid.uuid4())


def method_blame(method: str, *more: str) -> tuple[str, ...]:
    """The clauses to blame where a plain use of the method fails."""
    return (*BLAME.get(method, ()), *more, *ALWAYS_BLAMED)


class Streamed(NamedTuple):
    """A streamed answer: `events` are (monotonic seconds, type, data); `ended` where it came to its end."""

    reply: Reply
    events: list[tuple[float, str, Json]]
    responses: list[Json]
    ended: bool


class Node:
    """The node, for one test or one scene: `log` has the exchanges that it made."""

    def __init__(
        self,
        peer: RpcPeer,
        observed: Observed,
        executors: Mapping[str, str],
        *,
        user: str,
        one_user: bool = False,
        dialect: Dialect | None = None,
    ) -> None:
        self.peer = peer
        self.observed = observed
        self.user = user
        self._one_user = one_user
        self._spellings = dialect.spellings if dialect is not None else {}
        self.log: list[Exchange | Line] = []
        self._executors = executors

    def owner(self, name: str) -> str:
        """A user whose tasks only one test makes; raises Lacking where the node decides who the user is."""
        if self._one_user:
            raise Lacking("tasks of several users are needed; run this without the profile auth")
        return f"{self.user}-{name}"

    # --- requests ---------------------------------------------------------------------------------

    def send(self, body: bytes | Json, *, path: str | None = None, **more: Json) -> Reply:
        """Sends a body of any kind; JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = self.peer.send(data, path=path, **more)
        self.log.append(reply.exchange)
        self.observed.raw(reply)
        return self._there(reply)

    def call(
        self,
        method: str,
        params: Json = MISSING,
        /,
        *,
        path: str | None = None,
        id: Json = MISSING,  # noqa: A002 - the member's name
        **members: Json,
    ) -> Reply:
        """Sends a well-formed request; `members` stand beside params. Params are left out where MISSING."""
        number = self.peer.next_id() if id is MISSING else id
        spelling = self._spellings.get(method, Spelling(method))
        request = {"jsonrpc": "2.0", "id": number, "method": spelling.method, **members}
        if params is not MISSING:
            request["params"] = spelling.params(params)
        reply = self.peer.send(json.dumps(request).encode(), path=path)
        self.log.append(reply.exchange)
        if reply.result is not MISSING:
            reply.value = {**reply.value, "result": spelling.result(params, reply.result)}
        self.observed.answer(Answered(method, number, reply))
        return self._there(reply)

    def a2a_path(self) -> str | None:
        """The path of the address in the agent card, which messages of A2A go to; None where no card tells one."""
        for path in CARD_PATHS:
            card = self.peer.send(b"", path=path, method="GET").value
            match card:
                case {"url": str(url)} | {"supportedInterfaces": [{"url": str(url)}, *_]}:
                    return urlsplit(url).path or "/"
                case _:
                    continue
        return None

    def offers_a2a(self) -> bool:
        """Whether a method that sends messages of A2A is there, of either generation."""
        path = self.a2a_path()
        return any(self.call(name, {}, path=path).code != -32601 for name in ("message/send", "SendMessage"))

    def stream(self, method: str, params: Json, /, **members: Json) -> Streamed:
        """Sends a request and reads its answer to the end, as events where it is a stream (reading A41)."""
        number = self.peer.next_id()
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params, **members}
        reply, seen, ended = self.peer.stream(json.dumps(request).encode())
        self.log.append(reply.exchange)
        self.observed.answer(Answered(method, number, reply, streamed=True))
        self._there(reply)
        events: list[tuple[float, str, Json]] = []
        responses: list[Json] = [reply.value] if isinstance(reply.value, dict) else []
        for at, event in seen:
            try:
                value = parse_json(event.data.encode())
            except ValueError:
                value = MISSING
            if isinstance(value, dict) and "jsonrpc" in value:
                responses.append(value)
                value = value.get("result", MISSING)
            if isinstance(value, dict) and isinstance(value.get("event"), str) and "data" in value:
                events.append((at, value["event"], value["data"]))
            elif event.name != "message" or (isinstance(value, dict) and "task_id" in value):
                events.append((at, event.name, value))
        return Streamed(reply, events, responses, ended)

    def _there(self, reply: Reply) -> Reply:
        """The reply; raises Lost where nobody takes connections any more, or answers."""
        if isinstance(reply.fault, Unreachable):
            raise Lost(f"the node went away: {reply.fault}")
        if self.observed.silence(reply) >= SILENT_REQUESTS:
            raise Lost(f"the node stopped answering: {reply.fault}, {SILENT_REQUESTS} times in a row")
        return reply

    def ask(self, method: str, params: Json, /, *, blame: tuple[str, ...] = (), **members: Json) -> Json:
        """The result of a call that has to succeed; raises Unmet."""
        reply = self.call(method, params, **members)
        if reply.result is MISSING:
            raise Unmet((*blame, *method_blame(method)), f"{method} was to succeed and gave {reply.summary()}")
        return reply.result

    def refused(
        self, what: str, method: str, params: Json, *, codes: tuple[int, ...] = INVALID, field: str | None = None
    ) -> Reply:
        """Sends what has to be refused and asserts that it is; whether the code is right is judged at the end."""
        reply = self.call(method, params)
        self.observed.refuse(Refusal(what, codes, reply, field))
        assert reply.error is not None, f"{what}: expected an error of {method}, got {reply.summary()}"
        return reply

    # --- tasks ------------------------------------------------------------------------------------

    def does(self, role: str, inputs: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """The members of a task that an executor runs; `role` is ok, slow or fail. Raises Lacking."""
        name = self._executors.get(role)
        if name is None:
            raise Lacking(f"the node has no executor for {role!r} tasks; name one with --executor {role}=NAME")
        return {"schemas": {"method": name}, "inputs": dict(inputs or {})}

    def has(self, role: str) -> bool:
        """Whether the executor that stands for a role seems to be there; a node that says nothing of it has it."""
        name = self._executors[role]
        task = self.task("probe", self.does(role, {"seconds": 0, "message": "probe"}))
        reply = self.call("tasks.execute", {"tasks": [task]})
        if reply.code == -32003:
            return False
        if reply.error is not None or reply.fault is not None:
            return True
        try:
            error = self.ended(task).get("error")
        except Unmet:
            return True
        return not isinstance(error, str) or "probe" in error or name not in error

    @property
    def uses_echo(self) -> bool:
        """Whether `ok` tasks are run by an executor that returns its inputs."""
        return self._executors.get("ok") == "echo"

    def ok(self, **inputs: Json) -> dict[str, Json]:
        """Members of a task that completes at once."""
        return self.does("ok", inputs)

    def slow(self, seconds: float = TICK) -> dict[str, Json]:
        """Members of a task that runs for some time and completes."""
        return self.does("slow", {"seconds": seconds})

    def fails(self, message: str = "the planned failure") -> dict[str, Json]:
        """Members of a task that fails at once."""
        return self.does("fail", {"message": message})

    def create(self, **fields: Json) -> str:
        """Creates a task as a setup and returns its id; it has a name and this run's user unless given."""
        blame = tuple(name for field, name in BLAME_OF_FIELDS.items() if field in fields)
        result = self.ask("tasks.create", {"name": "kit", "user_id": self.user, **fields}, blame=blame)
        made = result.get("id", MISSING) if isinstance(result, dict) else MISSING
        if not isinstance(made, str):
            raise Unmet(method_blame("tasks.create"), f"tasks.create returned no id: {result!r}")
        if not UUID4.fullmatch(made):
            raise Unmet(("AF-CREATE-002",), f"tasks.create returned the id {made!r}; expected a UUID of version 4")
        self.observed.made.append(made)
        return made

    def pair(self) -> tuple[str, str]:
        """Creates a task and one that depends on it as a setup, in one flow: across flows nodes may differ (A35)."""
        root = self.create()
        needed = self.create(parent_id=root)
        return needed, self.create(parent_id=root, dependencies=[{"id": needed}])

    def get(self, task_id: str) -> Task:
        """Reads a task as a setup."""
        task = self.ask("tasks.get", {"task_id": task_id})
        if not isinstance(task, dict):
            raise Unmet(method_blame("tasks.get"), f"tasks.get returned {task!r}; expected a task")
        return task

    def update(self, task_id: str, **updates: Json) -> Json:
        """Updates a task as a setup."""
        return self.ask("tasks.update", {"task_id": task_id, "updates": updates})

    def children(self, parent_id: str) -> list[Task]:
        """The children of a task, as a setup."""
        result = self.ask("tasks.children", {"parent_id": parent_id})
        found = result.get("children", MISSING) if isinstance(result, dict) else MISSING
        if not isinstance(found, list):
            raise Unmet(method_blame("tasks.children"), f"tasks.children returned {result!r}")
        return found

    def listed(self, **params: Json) -> list[Task]:
        """Tasks of this run's user by tasks.list, as a setup; one page of up to 1000."""
        result = self.ask("tasks.list", {"user_id": self.user, "limit": 1000, **params})
        found = result.get("tasks", MISSING) if isinstance(result, dict) else MISSING
        if not isinstance(found, list):
            raise Unmet(method_blame("tasks.list"), f"tasks.list returned {result!r}")
        return found

    def task(self, name: str, what: Mapping[str, Json] | None = None, **fields: Json) -> Task:
        """A task for tasks.execute, with an id of its own."""
        return {"id": new_id(), "name": name, "user_id": self.user, **(what or {}), **fields}

    def flow(self, *tasks: Task) -> list[Task]:
        """The tasks as one tree: all without a parent become children of the first."""
        root, *rest = tasks
        return [root, *({"parent_id": root["id"], **task} for task in rest)]

    def execute(self, *tasks: Task, blame: tuple[str, ...] = ()) -> None:
        """Executes one tree as a setup."""
        self.ask("tasks.execute", {"tasks": self.flow(*tasks)}, blame=blame)

    def at_once(self, *calls: Callable[[], object]) -> None:
        """Makes calls in threads of their own and waits for all; raises what one of them raised."""
        raised: list[BaseException] = []

        def run(call: Callable[[], object]) -> None:
            try:
                call()
            except (Unmet, Lacking, Lost, AssertionError) as reason:
                raised.append(reason)

        threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        if raised:
            raise raised[0]

    # --- waiting ----------------------------------------------------------------------------------

    def until(
        self, task_id: str, reached: Callable[[Task], bool], *, what: str, blame: tuple[str, ...], within: float = 6.0
    ) -> Task:
        """Reads a task again and again until it is as expected; raises Unmet with its last state."""
        end = time.monotonic() + within
        pause = threading.Event()
        while True:
            task = self.get(task_id)
            if reached(task):
                return task
            if time.monotonic() > end:
                state = {key: task.get(key) for key in ("name", "status", "error", "started_at", "completed_at")}
                raise Unmet(blame, f"{what} did not happen within {within:g} s; the task is {json.dumps(state)}")
            pause.wait(POLL_SECONDS)

    def settled(self, *tasks: Task, blame: tuple[str, ...] = (), within: float = 6.0) -> list[Task]:
        """The tasks when each has come to its end."""
        all_blame = (*blame, "AF-IND-005", "AF-STATE-008", "AF-TREE-008", *ALWAYS_BLAMED)
        return [
            self.until(
                task["id"], lambda it: it.get("status") in TERMINAL, what="its end", blame=all_blame, within=within
            )
            for task in tasks
        ]

    def ended(self, task: Task, *, within: float = 2.0) -> Task:
        """The task at its end, or as it is after some time, which may be what a test wants to know."""
        try:
            return self.settled(task, within=within)[0]
        except Unmet:
            return self.get(task["id"])

    def running(self, task: Task) -> Task:
        """The task once it is in progress."""
        blame = ("AF-STATE-007", "AF-IND-005", "AF-TREE-008", *ALWAYS_BLAMED)
        return self.until(task["id"], lambda it: it.get("status") != "pending", what="its start", blame=blame)

    def still(self, tasks: Iterable[Task], *, seconds: float = 0.25) -> list[Task]:
        """The tasks after some time, in which nothing may happen to them."""
        threading.Event().wait(seconds)
        return [self.get(task["id"]) for task in tasks]


def needs_task(task: Task, *, required: bool | None = None) -> dict[str, Json]:
    """A dependency on a task; `required` is left out where None."""
    return {"id": task["id"]} if required is None else {"id": task["id"], "required": required}
