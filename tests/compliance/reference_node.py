"""A small correct node of the AI Partner Up Flow Protocol, written apart from the runtime, with single defects.

Plain threads, one lock, everything in memory. A defect is named after the clause that it breaks, with a word after a
colon where there are several. Most are data: a rule that is not applied (RULES), a task or reply that is shown changed
(SHOWN, ANSWERED). The others are asked for by `broken()` where the behaviour stands.

Run it by hand: python tests/compliance/reference_node.py [DEFECT ...]
"""

from __future__ import annotations

import itertools
import json
import math
import queue
import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import jsonschema

Task = dict[str, Any]

FIELDS: dict[str, Any] = {
    "id": None,
    "parent_id": None,
    "user_id": None,
    "name": None,
    "status": "pending",
    "priority": 2,
    "inputs": {},
    "schemas": None,
    "params": None,
    "result": None,
    "error": None,
    "dependencies": [],
    "progress": 0.0,
    "created_at": None,
    "started_at": None,
    "updated_at": None,
    "completed_at": None,
    "origin_type": None,
    "original_task_id": None,
    "has_references": False,
    "schedule_type": None,
    "schedule_expression": None,
    "schedule_enabled": False,
    "schedule_start_at": None,
    "schedule_end_at": None,
    "next_run_at": None,
    "last_run_at": None,
    "max_runs": None,
    "run_count": 0,
}
INDIA = timezone(timedelta(hours=5, minutes=30))
STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
TERMINAL = STATUSES[2:]
NEXT = {"pending": ("in_progress", "cancelled"), "in_progress": TERMINAL, "failed": ("pending",)}
RESET = {"status": "pending", "result": None, "error": None, "progress": 0.0, "started_at": None, "completed_at": None}
# What the node alone decides; a client's values are left out.
OWN = ("status", "result", "error", "progress", "created_at", "started_at", "updated_at", "completed_at")
OWN += ("next_run_at", "last_run_at", "run_count", "has_references")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
DATE = r"(?:0?[1-9]|[12]\d|3[01])"
GRAMMARS = {
    "interval": r"0*[1-9]\d*",
    "daily": CLOCK,
    "weekly": rf"{DAY}(?:,{DAY})*@{CLOCK}",
    "monthly": rf"{DATE}(?:,{DATE})*@{CLOCK}",
}
CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MESSAGES = {
    -32700: "Parse error",
    -32600: "Invalid Request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
    -32001: "Task not found",
    -32002: "Circular dependency",
    -32003: "Executor not found",
    -32004: "Unauthorized",
    -32005: "Invalid task schema",
    -32006: "Invalid state transition",
    -32007: "Dependency not satisfied",
    -32008: "Task already executing",
    -32009: "Cannot delete task",
    -32010: "Invalid parent reference",
    -32011: "Invalid dependency reference",
    -32012: "Task tree validation failed",
}


class Fault(Exception):
    """An error of the protocol."""

    def __init__(self, code: int, data: Any = None) -> None:
        super().__init__(code)
        self.code = code
        self.data = data


def parsed(body: bytes) -> Any:
    """The JSON value of a body; raises ValueError for everything else, nesting without bound and NaN included."""

    def refuse(text: str) -> Any:
        raise ValueError(text)

    def finite(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(text)

    try:
        return json.loads(body.decode("utf-8"), parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise ValueError("too deep") from None


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def uuid4(value: Any) -> bool:
    return isinstance(value, str) and UUID4.fullmatch(value) is not None


def instant(value: Any) -> datetime | None:
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else None


def cron(expression: str) -> bool:
    parts = expression.split()
    return len(parts) == 5 and all(_cron_part(part, *bounds) for part, bounds in zip(parts, CRON, strict=True))


def _cron_part(part: str, low: int, high: int) -> bool:
    found = [re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/[1-9]\d*)?", item) for item in part.split(",")]
    return all(it and all(low <= int(n) <= high for n in it.groups() if n) for it in found)


def expression_fits(kind: Any, expression: Any) -> bool:
    if not isinstance(expression, str):
        return True  # another rule says so
    if kind == "once":
        return instant(expression) is not None
    if kind == "cron":
        return cron(expression)
    return kind not in GRAMMARS or re.fullmatch(GRAMMARS[kind], expression) is not None


def without_nulls(value: Any) -> Any:
    """What is left of a value when members of null are dropped."""
    if isinstance(value, dict):
        return {key: without_nulls(it) for key, it in value.items() if it is not None}
    return [without_nulls(it) for it in value] if isinstance(value, list) else value


def schemas_fit(value: Any) -> bool:
    if not isinstance(value, dict):
        return value is None
    further = isinstance(value.get("input_schema", {}), dict) and isinstance(value.get("model", ""), str)
    return isinstance(value.get("method"), str) and value["method"] != "" and further


def dependencies_fit(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(it, dict) and uuid4(it.get("id")) and isinstance(it.get("required", True), bool) for it in value
    )


Rule = tuple[str, str, Callable[[Any], bool], str]
STAMPS = ("created_at", "started_at", "updated_at", "completed_at", "schedule_start_at", "schedule_end_at")
STAMPS += ("next_run_at", "last_run_at")
# Clause, field, what holds of a value that is present, in words.
RULES: tuple[Rule, ...] = (
    ("AF-DATA-004", "id", uuid4, "a UUID of version 4"),
    ("AF-DATA-005", "parent_id", lambda v: v is None or uuid4(v), "a UUID of version 4 or null"),
    ("AF-DATA-006", "user_id", lambda v: v is None or (isinstance(v, str) and v != ""), "a non-empty string or null"),
    ("AF-DATA-007", "name", lambda v: isinstance(v, str) and 1 <= len(v) <= 255, "1..255 characters"),
    ("AF-DATA-009", "status", lambda v: v in STATUSES, f"one of {', '.join(STATUSES)}"),
    ("AF-DATA-010", "priority", lambda v: whole(v) and 0 <= v <= 3, "an integer 0..3"),
    ("AF-DATA-011", "inputs", lambda v: isinstance(v, dict), "an object"),
    ("AF-DATA-012", "schemas", schemas_fit, "an object with a non-empty method, or null"),
    (
        "AF-DATA-013",
        "schemas",
        lambda v: not isinstance(v, dict) or v.get("type", "local") in ("local", "remote", "external"),
        "type local, remote or external",
    ),
    ("AF-DATA-014", "params", lambda v: v is None or isinstance(v, dict), "an object or null"),
    ("AF-DEP-006", "dependencies", dependencies_fit, "dependencies with a UUID and a boolean"),
    ("AF-DATA-021", "progress", lambda v: number(v) and 0 <= v <= 1, "a number 0..1"),
    *(("AF-DATA-023", name, lambda v: v is None or instant(v) is not None, "an ISO 8601 time") for name in STAMPS),
    ("AF-DATA-032", "origin_type", lambda v: v in (None, "create", "link", "copy", "archive"), "an origin or null"),
    ("AF-DATA-033", "original_task_id", lambda v: v is None or uuid4(v), "a UUID of version 4 or null"),
    ("AF-DATA-034", "has_references", lambda v: isinstance(v, bool), "a boolean"),
    ("AF-TIME-001", "schedule_type", lambda v: v in (None, "once", "cron", *GRAMMARS), "a kind of schedule or null"),
    ("AF-TIME-006", "max_runs", lambda v: v is None or (whole(v) and v >= 0), "an integer >= 0 or null"),
    (
        "AF-TIME-007:empty",
        "schedule_expression",
        lambda v: v is None or (isinstance(v, str) and v != ""),
        "non-empty or null",
    ),
    ("AF-TIME-002:type", "schedule_enabled", lambda v: isinstance(v, bool), "a boolean"),
)


# What a broken node shows of a task.
def _where(status: Iterable[str], **fields: Any) -> Callable[[Task], None]:
    def change(task: Task) -> None:
        if task["status"] in status:
            task.update(fields)

    return change


def _without(name: str) -> Callable[[Task], None]:
    return lambda task: task.pop(name, None) and None


SHOWN: dict[str, Callable[[Task], None]] = {
    "AF-DATA-001": _without("run_count"),
    "AF-DATA-002": _without("name"),
    "AF-DATA-015": _where(["failed", "cancelled"], result={"partial": True}),
    "AF-DATA-016": _where(["completed"], result=None),
    "AF-DATA-017": lambda task: task.update(result="text") if task["status"] == "completed" else None,
    "AF-DATA-018": _where(["pending"], error="a dependency failed"),
    "AF-DATA-019": _where(["failed", "cancelled"], error=None),
    "AF-DATA-020": _where(["failed"], error="x"),
    "AF-DATA-023:naive": lambda task: task.update(created_at=task["created_at"].removesuffix("Z")),
    "AF-DATA-024": lambda task: task.update(
        created_at=datetime.fromisoformat(task["created_at"]).astimezone(INDIA).isoformat()
    ),
    "AF-DATA-025": lambda task: task.update(created_at="2001-01-01T00:00:00Z"),
    "AF-DATA-027": lambda task: task.update(started_at=task["created_at"]) if task["status"] == "pending" else None,
    "AF-DATA-028": _where(["in_progress"], started_at=None),
    "AF-DATA-029": _where(["completed"], completed_at=None),
    "AF-DATA-030": lambda task: (
        task.update(completed_at=task["created_at"]) if task["status"] == "in_progress" else None
    ),
    "AF-DATA-031": lambda task: task.update(started_at="2099-01-01T00:00:00Z") if task["status"] == "failed" else None,
    "AF-TIME-005": lambda task: task.update(next_run_at="2099-12-31T23:59:59Z") if task["schedule_end_at"] else None,
    "AF-STATE-008": _where(["completed"], progress=0.9),
    "AF-STATE-014": lambda task: (
        task.update(started_at=str(int(task["started_at"][:4]) - 1) + task["started_at"][4:])
        if task["status"] == "failed"
        else None
    ),
    "AF-STATE-015": lambda task: task.update(progress=0.9) if task["result"] == {} else None,
}

# What a broken node answers: (method, request, response) -> None, changing the response.
ANSWERED: dict[str, Callable[[str, Any, dict[str, Any]], Any]] = {
    "AF-RPC-001": lambda method, request, reply: reply.update(node="reference"),
    "AF-RPC-002:reply": lambda method, request, reply: reply.update(jsonrpc="1.0"),
    "AF-RPC-006": lambda method, request, reply: reply.update(id=str(reply["id"])),
    "AF-RPC-009": lambda method, request, reply: reply.update(error=None) if "result" in reply else None,
    "AF-RPC-012": lambda method, request, reply: (
        reply["error"].update(code=str(reply["error"]["code"])) if "error" in reply else None
    ),
    "AF-ERR-002": lambda method, request, reply: reply["error"].update(message="") if "error" in reply else None,
    "AF-ERR-003": lambda method, request, reply: (
        reply["error"].update(message='Traceback (most recent call last):\n  File "node.py", line 1')
        if "error" in reply
        else None
    ),
    "AF-CREATE-003": lambda method, request, reply: (
        reply["result"].update(status="created") if method == "tasks.create" and "result" in reply else None
    ),
    "AF-GET-001": lambda method, request, reply: (
        reply["result"].update(name=" ".join(reply["result"]["name"].split()[:2]))
        if method == "tasks.get" and "result" in reply
        else None
    ),
    "AF-CANCEL-007": lambda method, request, reply: (
        reply.update(result=True) if method == "tasks.cancel" and "result" in reply else None
    ),
    "AF-DELETE-004": lambda method, request, reply: (
        reply.update(result={"deleted": 1}) if method == "tasks.delete" and "result" in reply else None
    ),
    "AF-EXECUTE-004": lambda method, request, reply: (
        reply["result"].pop("root_task_id") if method == "tasks.execute" and "result" in reply else None
    ),
    "AF-LIST-002": lambda method, request, reply: (
        reply["result"].pop("total") if method == "tasks.list" and "result" in reply else None
    ),
    "AF-LIST-003": lambda method, request, reply: (
        reply["result"].pop("limit") if method == "tasks.list" and "result" in reply else None
    ),
    "AF-UPDATE-004": lambda method, request, reply: (
        reply.update(result=True) if method == "tasks.update" and "result" in reply else None
    ),
}

CODES = {
    "AF-ERR-004": -32700,
    "AF-ERR-005": -32600,
    "AF-ERR-006": -32601,
    "AF-ERR-009": -32001,
    "AF-ERR-010": -32002,
    "AF-ERR-011": -32003,
    "AF-ERR-014": -32006,
    "AF-ERR-016": -32008,
    "AF-ERR-017": -32009,
    "AF-ERR-018": -32010,
    "AF-ERR-019": -32011,
    "AF-ERR-020": -32012,
}
"""Under these defects another code takes the place of this one."""
OTHER = 1001


class Run:
    """One call of tasks.execute: its tasks, and who listens."""

    def __init__(self, root: str, ids: Iterable[str]) -> None:
        self.root = root
        self.ids = list(ids)
        self.feed: queue.Queue[dict[str, Any] | None] | None = None
        self.push: queue.Queue[dict[str, Any] | None] | None = None


class ReferenceNode:
    """The node; `with` serves it on a free port of 127.0.0.1."""

    def __init__(self, *defects: str, tokens: dict[str, str] | None = None, path: str = "/") -> None:
        self.defects = frozenset(defects)
        self.tokens = tokens or {}
        self.path = path
        self.executors = dict(EXECUTORS)
        self.bodies: set[bytes] = set()
        self.deleted: list[Task] = []
        self.unprioritised: set[str] = set()
        self.tasks: dict[str, Task] = {}
        self.runs: list[Run] = []
        self.changed = threading.Condition(threading.RLock())
        self.cancels: dict[str, threading.Event] = {}
        self.last = datetime.now(UTC)
        self.attempts = itertools.count()
        self.current: dict[str, int] = {}
        node = self

        class Handler(_Handler):
            pass

        Handler.node = node
        self.server = _Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> ReferenceNode:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        with self.changed:
            for flag in self.cancels.values():
                flag.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def broken(self, *defects: str) -> bool:
        return not self.defects.isdisjoint(defects)

    # --- time and identity ------------------------------------------------------------------------

    def now(self) -> str:
        with self.changed:
            self.last = max(datetime.now(UTC), self.last + timedelta(microseconds=1))
            return self.last.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def new_id(self) -> str:
        return str(uuid.uuid1() if self.broken("AF-CREATE-002") else uuid.uuid4())

    # --- JSON-RPC ---------------------------------------------------------------------------------

    def reply(self, body: bytes, user: str | None = None) -> Any:
        """The JSON value to answer with; None for no body."""
        try:
            request = parsed(body)
        except ValueError:
            return self.failed(None if not self.broken("AF-RPC-010") else 0, Fault(-32700))
        if not isinstance(request, list):
            return self.one(request, user)
        if self.broken("AF-RPC-011") or not request:
            return self.failed(None, Fault(-32600))
        return [reply for reply in (self.one(item, user) for item in request) if reply is not None] or None

    def one(self, request: Any, user: str | None = None) -> Any:
        if not isinstance(request, dict):
            return self.failed(None, Fault(-32600))
        known = request.get("id")
        if isinstance(known, dict | list | bool) and not self.broken("AF-RPC-007"):
            return self.failed(None, Fault(-32600))
        if request.get("jsonrpc") != "2.0" and not self.broken("AF-RPC-002"):
            return self.failed(known, Fault(-32600))
        method = request.get("method")
        if not isinstance(method, str):
            return self.failed(known, Fault(-32601 if self.broken("AF-RPC-003") else -32600))
        params = request.get("params", {})
        if "params" not in request and method == "tasks.get" and self.broken("AF-RPC-005"):
            return {"jsonrpc": "2.0", "id": known, "error": {"code": OTHER, "message": "No params"}}
        if "id" not in request and not self.broken("AF-RPC-008"):
            self.answer(method, params, request, user)
            return None
        if not isinstance(params, dict):
            if not self.broken("AF-RPC-004"):
                return self.failed(known, Fault(-32602))
            params = {}
        return self.answer(method, params, request, user)

    def answer(self, method: str, params: Any, request: Any, user: str | None) -> Any:
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        try:
            name = method.removeprefix("tasks.")
            handler = getattr(self, f"do_{name}", None) if method.startswith("tasks.") else None
            if handler is None or (self.broken("AF-RPC-013") and name == "children"):
                handler = {"message/send": self.a2a_send}.get(method)
            if handler is None or (self.broken("AF-COPY-001") and name == "copy"):
                if self.broken("AF-EXT-001") and (named := self.tasks.get(params.get("task_id"))):
                    self.change(named, "cancelled", error="cancelled by a method that is none")
                raise Fault(-32601)
            if not isinstance(params, dict):
                raise Fault(-32602)
            reply["result"] = handler(params, request, user)
        except Fault as fault:
            reply = self.failed(request.get("id"), fault)
        except (TypeError, KeyError, AttributeError, ValueError):  # what a defect let in
            reply = self.failed(request.get("id"), Fault(-32602))
        for defect in self.defects & ANSWERED.keys():
            ANSWERED[defect](method, request, reply)
        return reply

    def failed(self, known: Any, fault: Fault) -> dict[str, Any]:
        code = fault.code
        if any(CODES[defect] == code for defect in self.defects & CODES.keys()):
            code = OTHER
        if self.broken("AF-ERR-008") and code == -32001:
            code = -32603
        if self.broken("AF-ERR-007") and code == -32602:
            code = OTHER
        if self.broken("AF-ERR-013") and code == -32005:
            code = OTHER
        error: dict[str, Any] = {"code": code, "message": MESSAGES.get(fault.code, "Refused")}
        data = fault.data
        if self.broken("AF-VAL-008") and fault.code in (-32602, -32005):
            data = "bad value"
        if data is not None and not self.broken("AF-ERR-021"):
            error["data"] = data
        return {"jsonrpc": "2.0", "id": known, "error": error}

    # --- checks -----------------------------------------------------------------------------------

    def faults(self, fields: Any, at: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """What is wrong with the members of a task, present ones only."""
        if not isinstance(fields, dict):
            return [_wrong("task", "Invalid type", "an object", fields, at)]
        found = [
            _wrong(field, "Invalid value", expected, fields[field], (*at, field))
            for clause, field, holds, expected in RULES
            if field in fields and not self.broken(clause) and not holds(fields[field])
        ]
        if self.broken("AF-VAL-009"):
            return found[:1]
        return found

    def across(self, task: Task, at: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """What is wrong between the fields of a whole task."""
        found = []
        kind, expression = task["schedule_type"], task["schedule_expression"]
        if task["schedule_enabled"] is True:
            if (kind is None or expression is None) and not self.broken("AF-TIME-002"):
                found.append(_wrong("schedule_enabled", "Needs type and expression", "both", True, at))
            elif not self.broken("AF-TIME-007") and not expression_fits(kind, expression):
                found.append(_wrong("schedule_expression", "Bad expression", f"of type {kind}", expression, at))
        schemas = task["schemas"]
        if isinstance(schemas, dict) and "input_schema" in schemas and not self.broken("AF-VAL-004"):
            wanted = schemas["input_schema"]
            try:
                broken = list(jsonschema.Draft7Validator(wanted).iter_errors(task["inputs"]))
            except (jsonschema.SchemaError, TypeError, AttributeError):
                broken = []
            found += [_wrong("inputs", it.message, wanted, task["inputs"], (*at, "inputs", *it.path)) for it in broken]
        return found

    def check(self, found: list[dict[str, Any]], code: int) -> None:
        if len(found) == 1:
            raise Fault(code, found[0])
        if found:
            raise Fault(code, {"errors": found})

    def find(self, params: Any, user: str | None, name: str = "task_id") -> Task:
        """The task that a parameter names."""
        value = params.get(name)
        if not uuid4(value):
            self.check([_wrong(name, "Missing or no UUID", "a UUID of version 4", value, (name,))], -32602)
        with self.changed:
            task = self.tasks.get(value.lower())
        if task is None or (user is not None and task["user_id"] != user and not self.broken("AF-AUTH-002")):
            raise Fault(-32001, {"task_id": value})
        return task

    def check_references(self, task: Task, among: dict[str, Task]) -> None:
        if task["parent_id"] is not None and task["parent_id"] not in among and not self.broken("AF-TREE-002"):
            raise Fault(-32010, _wrong("parent_id", "No such task", "an existing task", task["parent_id"], ()))
        above, passed = task["parent_id"], set[str]()
        while above in among and above not in passed and not self.broken("AF-TREE-005", "AF-TREE-003"):
            if above == task["id"]:
                raise Fault(-32012, _wrong("parent_id", "Parents in a circle", None, above, ()))
            passed.add(above)
            above = among[above]["parent_id"]
        for dependency in task["dependencies"]:
            if dependency["id"] == task["id"]:
                if self.broken("AF-DEP-002"):
                    return
                raise Fault(-32002, {"cycle": [task["id"], task["id"]]})
            if dependency["id"] not in among and not self.broken("AF-DEP-001"):
                raise Fault(-32011, _wrong("dependencies", "No such task", "an existing task", dependency["id"], ()))
        if not self.broken("AF-DEP-003") and (cycle := find_cycle(task["id"], {**among, task["id"]: task})):
            raise Fault(-32002, {"cycle": cycle})

    def check_origin(self, task: Task) -> None:
        if task["origin_type"] in ("link", "archive") and not self.broken("AF-DATA-035"):
            source = self.tasks.get(task["original_task_id"] or "")
            if source is None or source["status"] != "completed":
                raise Fault(-32005, _wrong("original_task_id", "Not completed", "a completed task", None, ()))

    # --- methods ----------------------------------------------------------------------------------

    def built(self, fields: dict[str, Any], task_id: str) -> Task:
        """A whole task from what a client gave."""
        taken = {"AF-DATA-021": "progress", "AF-DATA-034": "has_references"}
        own = set(OWN) - {name for defect, name in taken.items() if self.broken(defect)}
        kept = {key: value for key, value in fields.items() if key not in own}
        if self.broken("AF-DATA-005") and not uuid4(fields.get("parent_id")):
            kept["parent_id"] = None
        stamp = self.now()
        task = {**json.loads(json.dumps(FIELDS)), **kept, "id": task_id, "created_at": stamp, "updated_at": stamp}
        if "priority" not in fields:
            self.unprioritised.add(task_id)
        if self.broken("AF-DATA-010:default"):
            task["priority"] = fields.get("priority", 1)
        if self.broken("AF-STATE-016"):
            task["status"] = fields.get("status", "pending")
        task["dependencies"] = [{"required": True, **it} for it in task["dependencies"]]
        if self.broken("AF-DEP-006:default"):
            task["dependencies"] = [
                {**it, "required": fields["dependencies"][at].get("required", False)}
                for at, it in enumerate(task["dependencies"])
            ]
        for key in ("parent_id", "original_task_id"):
            task[key] = task[key].lower() if isinstance(task[key], str) else task[key]
        return task

    def do_create(self, params: Any, request: Any, user: str | None) -> Any:
        found = self.faults({key: value for key, value in params.items() if key != "id"})
        if "name" not in params and not self.broken("AF-CREATE-004"):
            found.append(_wrong("name", "Missing", "1..255 characters", None, ("name",)))
        if self.broken("AF-VER-007:strict") and params.keys() - FIELDS.keys():
            found.append(_wrong("params", "Unknown field", "known fields", None, ()))
        if self.broken("AF-CREATE-001") and found:
            self.keep(self.built({"name": "left behind", "user_id": params.get("user_id")}, self.new_id()))
        if self.broken("AF-VAL-001") and len(found) > 2:
            params, found = {"user_id": params.get("user_id")}, []
        self.check(found, -32602)
        with self.changed:
            task = self.built({"name": "unnamed", **params}, self.new_id())
            if self.broken("AF-CREATE-005"):
                task["parent_id"] = None
            if user is not None:
                task["user_id"] = user
            self.check(self.across(task), -32005)
            visible = {key: it for key, it in self.tasks.items() if user is None or it["user_id"] == user}
            self.check_references(task, self.tasks if self.broken("AF-AUTH-002") else visible)
            self.check_origin(task)
            self.keep(task)
            if task["schedule_enabled"] and task["schedule_type"] == "interval" and not task["schedule_start_at"]:
                self.plan(task)
            if task["origin_type"] == "link" and task["original_task_id"] in self.tasks:
                self.tasks[task["original_task_id"]]["has_references"] = True
        return {"id": task["id"], "status": task["status"]}

    def plan(self, task: Task) -> None:
        """Sets the time of the next run of a task on an interval."""
        seconds = int(task["schedule_expression"])
        task["next_run_at"] = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        timer = threading.Timer(seconds, self.trigger, [task["id"]])
        timer.daemon = True
        timer.start()

    def trigger(self, task_id: str) -> None:
        with self.changed:
            task = self.tasks.get(task_id)
            if task is None or task["status"] == "in_progress":
                return
            task.update(run_count=task["run_count"] + 1, last_run_at=self.now(), next_run_at=None)
            if task["max_runs"] is None or task["run_count"] < task["max_runs"] or self.broken("AF-TIME-004"):
                self.plan(task)
            if task["status"] in TERMINAL:
                self.change(task, "pending")
            self.runs.append(Run(task["id"], [task["id"]]))
            self.wake()

    def keep(self, task: Task) -> None:
        with self.changed:
            if self.broken("AF-DATA-001:lost"):
                task["params"] = None
            if self.broken("AF-STORE-003") and task["params"]:
                task["params"] = without_nulls(task["params"])
            self.tasks[task["id"].lower()] = task

    def show(self, task: Task) -> Task:
        with self.changed:
            shown = json.loads(json.dumps(task))
        for defect in self.defects & SHOWN.keys():
            SHOWN[defect](shown)
        return shown

    def do_get(self, params: Any, request: Any, user: str | None) -> Any:
        try:
            return self.show(self.find(params, user))
        except Fault as fault:
            if fault.code == -32001 and self.broken("AF-GET-002"):
                return None
            raise

    def do_update(self, params: Any, request: Any, user: str | None) -> Any:
        task = self.find(params, user)
        updates = params.get("updates")
        if not isinstance(updates, dict):
            self.check([_wrong("updates", "Invalid type", "an object", updates, ("updates",))], -32602)
        found = [] if self.broken("AF-UPDATE-001") else self.faults(updates, ("updates",))
        if self.broken("AF-STORE-005") and found:
            with self.changed:
                task.update({k: v for k, v in updates.items() if k == "name" and isinstance(v, str) and v})
        self.check(found, -32005)
        with self.changed:
            busy = task["status"] == "in_progress" and not self.broken("AF-UPDATE-002")
            for name in ("id", *(("parent_id", "user_id") if busy else ())):
                if name in updates and updates[name] != task[name]:
                    self.check([_wrong(name, "Cannot change", task[name], updates[name], ("updates", name))], -32005)
            if task["origin_type"] == "archive":
                self.check([_wrong("origin_type", "An archive is frozen", None, "archive", ())], -32005)
            to = updates.get("status", task["status"])
            self.check_transition(task, to)
            kept = {key: value for key, value in updates.items() if key not in OWN and key != "id"}
            if self.broken("AF-CONC-006") and updates == {"priority": 0}:
                before = dict(task)  # read, then written whole: what others changed meanwhile is lost
                self.changed.wait_for(lambda: task["status"] != before["status"], timeout=0.05)
                task.update(before)
            if self.broken("AF-TIME-008"):
                kept.update({key: value for key, value in updates.items() if key == "next_run_at"})
            changed = {**task, **kept}
            changed["dependencies"] = [{"required": True, **it} for it in changed["dependencies"]]
            self.check(self.across(changed, ("updates",)), -32005)
            checked = {**changed, "dependencies": []} if self.broken("AF-DEP-005") else changed
            self.check_references(checked, self.tasks)
            task.update(changed)
            if not (self.broken("AF-DATA-026") or not updates):
                task["updated_at"] = self.now()
            if to != task["status"]:
                self.change(task, to)
                self.wake()
        return {"id": task["id"], "status": task["status"]}

    def check_transition(self, task: Task, to: str) -> None:
        now = task["status"]
        skipped = {
            "AF-STATE-002": (now, to) == ("pending", "completed"),
            "AF-STATE-003": (now, to) == ("pending", "failed"),
            "AF-STATE-004": now == "completed",
            "AF-STATE-005": now == "cancelled",
        }
        listed = [("pending", "cancelled"), *([] if self.broken("AF-REEX-001") else [("failed", "pending")])]
        allowed = to == now or (now, to) in listed
        if allowed or any(self.broken(defect) for defect, holds in skipped.items() if holds):
            return
        data = {
            "task_id": task["id"],
            "current_status": now,
            "attempted_transition": f"{now} -> {to}",
            "reason": "not allowed",
        }
        raise Fault(-32006, {} if self.broken("AF-STATE-006") else data)

    def do_delete(self, params: Any, request: Any, user: str | None) -> Any:
        with self.changed:
            task = self.find(params, user)
            referring = [it for it in self.tasks.values() if it["parent_id"] == task["id"]]
            if self.broken("AF-STORE-007") and task["status"] == "pending":
                for child in referring:
                    self.tasks.pop(child["id"], None)
                referring = []
            several = self.broken("AF-STORE-012") and len(referring) > 1
            if not self.broken("AF-STORE-010"):
                referring += [
                    it for it in self.tasks.values() if any(d["id"] == task["id"] for d in it["dependencies"])
                ]
            if (task["status"] != "pending" and not self.broken("AF-STORE-006")) or (referring and not several):
                raise Fault(-32009, _wrong("task_id", "Cannot delete", "a pending task alone", task["id"], ()))
            self.tasks.pop(task["id"].lower())
            if self.broken("AF-STORE-001"):
                self.deleted.append(task)
        return {"success": True}

    def do_list(self, params: Any, request: Any, user: str | None) -> Any:
        limit, offset = params.get("limit", 100), params.get("offset", 0)
        found = []
        if not (whole(limit) and 1 <= limit <= 1000):
            found.append(_wrong("limit", "Out of range", "1..1000", limit, ("limit",)))
        if not (whole(offset) and offset >= 0):
            found.append(_wrong("offset", "Out of range", ">= 0", offset, ("offset",)))
        for name, holds in (
            ("status", lambda v: self.broken("AF-DATA-009") or v in STATUSES),
            ("user_id", lambda v: isinstance(v, str) and v != ""),
        ):
            if name in params and not holds(params[name]):
                found.append(_wrong(name, "Invalid value", None, params[name], (name,)))
        self.check(found, 1001 if self.broken("AF-VAL-002") else -32602)
        wanted = {name: params[name] for name in ("status", "user_id") if name in params}
        if self.broken("AF-LIST-004"):
            wanted.pop("status", None)
        if user is not None and not self.broken("AF-AUTH-002"):
            wanted["user_id"] = user
        with self.changed:
            known = [*self.tasks.values(), *self.deleted]
            matching = [it for it in known if all(it[key] == value for key, value in wanted.items())]
        if self.broken("AF-LIST-001"):
            offset = 0
        limit = limit if whole(limit) else 100
        page = [self.show(task) for task in matching[offset : offset + limit]]
        return {"tasks": page, "total": len(matching), "limit": limit, "offset": offset}

    def do_cancel(self, params: Any, request: Any, user: str | None) -> Any:
        task = self.find(params, user)
        with self.changed:
            if task["status"] not in ("pending", "in_progress"):
                if self.broken("AF-STATE-001"):
                    task["status"] = "cancelled"
                self.check_transition(task, "cancelled")
                return {"task_id": task["id"], "status": task["status"]}
            if self.broken("AF-CANCEL-001") and task["status"] == "in_progress":
                raise Fault(-32006, {"task_id": task["id"], "current_status": task["status"]})
            self.change(task, "cancelled", error=params.get("error_message") or "Cancelled")
            if flag := self.cancels.get(task["id"]):
                flag.set()
            self.wake()
        return {"task_id": task["id"], "status": "cancelled"}

    def do_tree(self, params: Any, request: Any, user: str | None) -> Any:
        task = self.find(params, user)

        def node(it: Task, depth: int) -> Any:
            below = [child for child in list(self.tasks.values()) if child["parent_id"] == it["id"]]
            if self.broken("AF-TREEQ-001") and depth >= 2:
                below = []
            shown = self.show(it)
            if self.broken("AF-TREE-006"):
                shown["dependencies"] = []
            return {"task": shown, "children": [node(child, depth + 1) for child in below]}

        with self.changed:
            return node(task, 0)

    def do_children(self, params: Any, request: Any, user: str | None) -> Any:
        parent = self.find(params, user, "parent_id")
        with self.changed:
            found = [it for it in self.tasks.values() if it["parent_id"] == parent["id"]]
            if self.broken("AF-CHILD-001"):
                ids = [it["id"] for it in found]
                found += [it for it in self.tasks.values() if it["parent_id"] in ids]
            return {"children": [self.show(it) for it in found]}

    def do_copy(self, params: Any, request: Any, user: str | None) -> Any:
        with_children = params.get("copy_children", False)
        if not isinstance(with_children, bool) and not self.broken("AF-METH-001"):
            self.check(
                [_wrong("copy_children", "Invalid type", "a boolean", with_children, ("copy_children",))], -32602
            )
        with self.changed:
            original = self.find(params, user)
            sources = {original["id"]: original}
            if with_children:
                pending = [it for it in self.tasks.values() if it["parent_id"] == original["id"]]
                while pending:
                    task = pending.pop()
                    if task["id"] not in sources:
                        sources[task["id"]] = task
                        pending += [self.tasks[it["id"]] for it in task["dependencies"] if it["id"] in self.tasks]
            ids = {old: self.new_id() for old in sources}
            if self.broken("AF-COPY-003"):
                ids[original["id"]] = str(uuid.uuid1())
            for old, task in sources.items():
                self.keep(self.copied(task, ids, root=old == original["id"]))
            if not self.broken("AF-DATA-034:source"):
                original["has_references"] = True
            if self.broken("AF-COPY-006"):
                original["name"] += " (original)"
        return {"original_task_id": original["id"], "copied_task_id": ids[original["id"]], "status": "pending"}

    def copied(self, task: Task, ids: dict[str, str], *, root: bool) -> Task:
        stamp = self.now()
        copy = {
            **json.loads(json.dumps(task)),
            **RESET,
            "id": ids[task["id"]],
            "created_at": stamp,
            "updated_at": stamp,
        }
        copy.update(origin_type="copy", original_task_id=task["id"], has_references=False)
        copy["parent_id"] = None if root else ids.get(task["parent_id"] or "", ids[next(iter(ids))])
        for dependency in copy["dependencies"]:
            if not self.broken("AF-COPY-007"):
                dependency["id"] = ids.get(dependency["id"], dependency["id"])
        if self.broken("AF-COPY-004"):
            copy.update(progress=task["progress"])
        if self.broken("AF-COPY-005"):
            copy["inputs"] = {}
        return copy

    # --- execution --------------------------------------------------------------------------------

    def do_execute(self, params: Any, request: Any, user: str | None) -> Any:
        return {"root_task_id": self.begin(params, user).root, "status": "started"}

    def begin(self, params: Any, user: str | None, *, feed: bool = False, push: Any = None) -> Run:
        given = params.get("tasks")
        if not isinstance(given, list) or (not given and not self.broken("AF-EXECUTE-005")):
            self.check([_wrong("tasks", "Invalid value", "a non-empty array", given, ("tasks",))], -32602)
        if "use_streaming" in params and not isinstance(params["use_streaming"], bool):
            self.check([_wrong("use_streaming", "Invalid type", "a boolean", None, ("use_streaming",))], -32602)
        if not given:
            return Run(str(uuid.uuid4()), [])
        for at, item in enumerate(given):
            found = self.faults(item, ("tasks", at))
            if self.broken("AF-DATA-036") and found and found[0]["field"] == "params":
                item.pop("params")
                found = []
            if isinstance(item, dict) and "name" not in item:
                found.append(_wrong("name", "Missing", "1..255 characters", None, ("tasks", at, "name")))
            self.check(found, -32005)
        with self.changed:
            return self.accept(given, user, feed=feed, push=push)

    def accept(self, given: list[Any], user: str | None, *, feed: bool, push: Any) -> Run:
        tasks: dict[str, Task] = {}
        for at, item in enumerate(given):
            task_id = item.get("id") or str(uuid.uuid4())
            stored = self.tasks.get(task_id.lower())
            if task_id in tasks:
                raise Fault(-32012, _wrong("id", "Twice in one tree", "unique ids", task_id, ("tasks", at, "id")))
            if stored is not None and stored["status"] == "in_progress":
                if not self.broken("AF-CONC-003"):
                    fault = _wrong("id", "Already in progress", "a task that rests", task_id, ("tasks", at))
                    raise Fault(-32008, fault)
                self.start(stored)
            plain = stored is not None and stored["status"] == "pending" and not stored["dependencies"]
            if self.broken("AF-DATA-003") and plain and stored is not None:
                self.deleted.append(stored)
            tasks[task_id] = stored or self.built(item, task_id)
            if self.broken("AF-ERR-015") and stored is not None and len(given) == 1 and stored["dependencies"]:
                self.start(stored)
                return Run(task_id, [task_id])
            if user is not None:
                tasks[task_id]["user_id"] = user
            self.check(self.across(tasks[task_id], ("tasks", at)), -32005)
        root = self.check_tree(tasks)
        for task in tasks.values():
            method = (task["schemas"] or {}).get("method")
            if method is not None and method not in self.executors and not self.broken("AF-EXEC-008"):
                raise Fault(-32003, _wrong("schemas.method", "Not registered", None, method, ()))
            try:
                self.check_references(task, tasks)
            except Fault as fault:
                if fault.code == -32011 and self.broken("AF-TREE-004"):
                    continue
                if self.broken("AF-EXECUTE-001"):
                    self.keep(task)
                raise
        rerun = [task for task in tasks.values() if task["status"] in TERMINAL]
        if self.broken("AF-REEX-003") and any(task["status"] == "completed" for task in rerun):
            raise Fault(-32006, {"task_id": root["id"], "current_status": "completed"})
        if self.broken("AF-REEX-001") and any(task["status"] == "failed" for task in rerun):
            raise Fault(-32006, {"task_id": root["id"], "current_status": "failed"})
        ids = dict.fromkeys(tasks)
        for task in rerun:
            for again in [task, *([] if self.broken("AF-REEX-005") else self.after(task))]:
                self.change(again, "pending")
                ids.setdefault(again["id"])
        for task in tasks.values():
            self.keep(task)
        run = Run(root["id"], ids)
        run.feed = queue.Queue() if feed else None
        if push:
            run.push = queue.Queue()
            threading.Thread(target=self.pushed, args=(run.push, push), daemon=True).start()
        self.runs.append(run)
        self.wake()
        return run

    def check_tree(self, tasks: dict[str, Task]) -> Task:
        roots = [task for task in tasks.values() if task["parent_id"] is None]
        if len(roots) != 1 and not (self.broken("AF-TREE-001") and roots):
            raise Fault(-32012, _wrong("parent_id", "One root is needed", 1, len(roots), ("tasks",)))
        for task in tasks.values():
            seen = {task["id"]}
            above = task["parent_id"]
            while above is not None and not self.broken("AF-TREE-003"):
                if above in seen:
                    raise Fault(-32012, _wrong("parent_id", "Parents in a circle", None, above, ("tasks",)))
                seen.add(above)
                above = tasks[above]["parent_id"] if above in tasks else None
        return roots[0]

    def after(self, task: Task) -> list[Task]:
        """Everything in a terminal state that depends on a task, transitively."""
        found: dict[str, Task] = {}
        pending = [task["id"]]
        while pending:
            source = pending.pop()
            for other in self.tasks.values():
                hit = any(it["id"] == source for it in other["dependencies"])
                if hit and other["id"] not in found and other["status"] in TERMINAL:
                    found[other["id"]] = other
                    pending.append(other["id"])
        return list(found.values())

    def change(self, task: Task, to: str, **fields: Any) -> None:
        """One transition with its effects; tells who listens."""
        stamp = self.now()
        task["status"] = to
        if not (self.broken("AF-STATE-007:updated") and to == "in_progress"):
            task["updated_at"] = stamp
        if to == "pending":
            task.update(RESET)
            if self.broken("AF-STATE-012"):
                task["error"] = "old"
            if self.broken("AF-REEX-007"):
                task["priority"] = 2
                task["params"] = None
        elif to == "in_progress":
            task["started_at"] = stamp
        else:
            task["completed_at"] = stamp
            if to == "failed" and self.broken("AF-STATE-009"):
                task["progress"] = 1.0
            if to == "cancelled" and self.broken("AF-STATE-010"):
                task["started_at"] = None
            if to == "cancelled" and task["started_at"] is None and self.broken("AF-STATE-011"):
                task["started_at"] = stamp
        task.update(fields)
        if to == "failed" and self.broken("AF-DEP-010"):
            for other in self.tasks.values():
                if {"id": task["id"], "required": True} in other["dependencies"] and other["status"] == "pending":
                    self.change(other, "cancelled", error="a dependency failed")
        kind = {"completed": "task_completed", "failed": "task_failed", "cancelled": "task_cancelled"}
        event = {"event": kind.get(to, "task_status_update"), "task": json.loads(json.dumps(task))}
        for run in self.runs if to not in TERMINAL or not self.broken("AF-STREAM-001") else ():
            if task["id"] in run.ids:
                for listener in (run.feed, run.push):
                    if listener is not None:
                        listener.put(event)
        self.changed.notify_all()

    def ready(self, task: Task) -> bool:
        if len(task["dependencies"]) > 1:
            if self.broken("AF-IND-005"):
                return False
            if self.broken("AF-DEP-007"):
                return True
        for dependency in task["dependencies"]:
            other = self.tasks.get(dependency["id"])
            if self.broken("AF-PRIO-002") and other and (task["priority"], other["priority"]) == (0, 3):
                continue
            status = other["status"] if other else "completed"
            if dependency["required"]:
                if status == "failed" and self.broken("AF-DEP-009"):
                    continue
                if status == "cancelled" and self.broken("AF-DEP-014"):
                    continue
                if status == "in_progress" and self.broken("AF-DEP-008"):
                    continue
                if status != "completed":
                    return False
            else:
                if status == "failed" and self.broken("AF-DEP-013"):
                    return False
                if status == "cancelled" and self.broken("AF-DEP-015"):
                    return False
                if status not in TERMINAL and not (status == "in_progress" and self.broken("AF-DEP-012")):
                    return False
        below = [it for it in self.tasks.values() if it["parent_id"] == task["id"]]
        return not self.broken("AF-TREE-008") or all(it["status"] in TERMINAL for it in below)

    def wake(self) -> None:
        """Starts what is ready, in order of priority, and ends the runs in which nothing can become ready."""
        with self.changed:
            for run in list(self.runs):
                while True:
                    waiting = [self.tasks[it] for it in run.ids if it in self.tasks]
                    ready = [task for task in waiting if task["status"] == "pending" and self.ready(task)]
                    if self.broken("AF-CONC-001") and any(task["status"] == "in_progress" for task in waiting):
                        ready = []
                    if not ready:
                        break
                    ready.sort(key=self.urgency)
                    self.start(ready[0])
                if not any(self.tasks[it]["status"] == "in_progress" for it in run.ids if it in self.tasks):
                    self.runs.remove(run)
                    for listener in (run.feed, run.push):
                        if listener is not None:
                            listener.put(None)

    def urgency(self, task: Task) -> int:
        if self.broken("AF-PRIO-003") and task["id"] in self.unprioritised:
            return 4
        if self.broken("AF-PRIO-001"):
            return -int(task["priority"])
        return int(task["priority"]) if whole(task["priority"]) else 2

    def start(self, task: Task) -> None:
        attempt = next(self.attempts)
        self.current[task["id"]] = attempt
        flag = self.cancels[task["id"]] = threading.Event()
        self.change(task, "in_progress")
        arguments = (task["id"], attempt, flag, json.loads(json.dumps(task)))
        threading.Thread(target=self.work, args=arguments, daemon=True).start()

    def work(self, task_id: str, attempt: int, flag: threading.Event, task: Task) -> None:
        method = (task["schemas"] or {}).get("method")
        try:
            if method is None or (method not in self.executors and self.broken("AF-EXEC-008")):
                result = {}
            elif method not in self.executors:
                raise LookupError(f"no executor is registered as {method}")
            else:
                result = self.executors[method](task["inputs"], flag)
            if not isinstance(result, dict):
                raise TypeError("the executor returned no object")
        except Exception as reason:  # noqa: BLE001 - whatever an executor raises becomes the task's error
            self.finish(task_id, attempt, "failed", error=f"{reason}")
        else:
            if self.broken("AF-EXEC-007"):
                result = {}
            self.finish(task_id, attempt, "completed", result=result, progress=1.0)

    def finish(self, task_id: str, attempt: int, status: str, **fields: Any) -> None:
        with self.changed:
            task = self.tasks.get(task_id)
            late = task is not None and task["status"] != "in_progress" and not self.broken("AF-CANCEL-002")
            if task is None or late or self.current.get(task_id) != attempt:
                return
            self.change(task, status, **fields)
            if self.broken("AF-CANCEL-002") and status == "completed":
                task["error"] = None
            self.wake()

    # --- streams, callbacks, A2A ------------------------------------------------------------------

    def event_data(self, run: Run, event: dict[str, Any]) -> dict[str, Any]:
        task = event["task"]
        data = {key: task[key] for key in ("status", "progress")}
        return {"protocol": "a2a", "task_id": task["id"], **data, "root_task_id": run.root}

    def stream(self, request: Any, user: str | None) -> Iterator[bytes]:
        """The events of a streamed execution; raises Fault before the first where it is refused."""
        run = self.begin(request.get("params", {}), user, feed=True, push=_push_config(request))
        started = {"root_task_id": run.root, "status": "started"}
        assert run.feed is not None
        feed = run.feed

        def events() -> Iterator[bytes]:
            yield f"data: {json.dumps({'jsonrpc': '2.0', 'id': request.get('id'), 'result': started})}\n\n".encode()
            while (event := feed.get()) is not None:
                data = self.event_data(run, event)
                if self.broken("AF-STREAM-005"):
                    data.pop("protocol")
                yield f"event: {event['event']}\ndata: {json.dumps(data)}\n\n".encode()

        return events()

    def pushed(self, events: queue.Queue[dict[str, Any] | None], config: Any) -> None:
        parts = urlsplit(config["url"])
        while (event := events.get()) is not None:
            task = event["task"]
            body = json.dumps({"task_id": task["id"], **{k: task[k] for k in ("status", "progress", "result")}})
            headers = {} if self.broken("AF-PUSH-002") else config.get("headers", {})
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
            try:
                verb = "PUT" if self.broken("AF-PUSH-001") else "POST"
                connection.request(verb, parts.path or "/", body, {"content-type": "application/json", **headers})
                connection.getresponse().read()
            except OSError:
                pass  # a callback is sent once; retries are optional
            finally:
                connection.close()

    def a2a_send(self, params: Any, request: Any, user: str | None) -> Any:
        message = params.get("message", {})
        owner = user or (params.get("metadata") or message.get("metadata") or {}).get("user_id")
        given = [part["data"]["tasks"] for part in message.get("parts", ()) if "tasks" in part.get("data", {})]
        text = " ".join(part.get("text", "") for part in message.get("parts", ()))
        tasks = given[0] if given else [{"name": "message", "schemas": {"method": "echo"}, "inputs": {"text": text}}]
        tasks = [{"user_id": owner, **task} for task in tasks]
        run = self.begin({"tasks": tasks}, user)
        with self.changed:
            self.changed.wait_for(lambda: self.tasks[run.root]["status"] in TERMINAL, timeout=10)
            return self.as_a2a(self.tasks[run.root])

    def a2a_stream(self, request: Any, user: str | None) -> Iterator[bytes]:
        message = request["params"].get("message", {})
        given = [part["data"]["tasks"] for part in message.get("parts", ()) if "tasks" in part.get("data", {})]
        run = self.begin({"tasks": given[0] if given else None}, user, feed=True)
        assert run.feed is not None
        feed = run.feed

        def events() -> Iterator[bytes]:
            while (event := feed.get()) is not None:
                reply = {"jsonrpc": "2.0", "id": request.get("id"), "result": self.as_a2a(event["task"])}
                yield f"data: {json.dumps(reply)}\n\n".encode()

        return events()

    def as_a2a(self, task: Task) -> dict[str, Any]:
        data = {"protocol": "a2a", "status": task["status"], "progress": task["progress"], "root_task_id": task["id"]}
        parts: list[dict[str, Any]] = [{"kind": "data", "data": data}]
        if task["error"]:
            parts.append({"kind": "text", "text": task["error"]})
        state = {"pending": "submitted", "in_progress": "working", "cancelled": "canceled"}
        metadata = {"protocol": "a2a", "root_task_id": task["id"], "user_id": task["user_id"]}
        if self.broken("AF-A2A-004"):
            metadata.pop("protocol")
            data.pop("protocol")
        return {
            "id": str(uuid.uuid4()),
            "contextId": "elsewhere" if self.broken("AF-A2A-003") else task["id"],
            "kind": "task",
            "status": {
                "state": state.get(task["status"], task["status"]),
                "message": {"kind": "message", "role": "agent", "messageId": str(uuid.uuid4()), "parts": parts},
            },
            "artifacts": [{"artifactId": "result", "parts": [{"kind": "data", "data": task["result"]}]}]
            if task["result"] is not None
            else [],
            "metadata": metadata,
        }

    def card(self) -> dict[str, Any]:
        return {
            "name": "reference node",
            "description": "A node for tests.",
            "url": self.url + self.path,
            "version": 1 if self.broken("AF-VER-001") else "1.0",
            "protocolVersion": "0.3.0",
            "capabilities": {"streaming": True, "pushNotifications": True},
            "defaultInputModes": ["application/json"],
            "defaultOutputModes": ["application/json"],
            "skills": [{"id": "tasks.execute", "name": "execute", "description": "Executes tasks.", "tags": ["tasks"]}],
        }


def _wrong(field: str, reason: str, expected: Any, actual: Any, path: tuple[Any, ...]) -> dict[str, Any]:
    return {"field": field, "reason": reason, "expected": expected, "actual": actual, "path": list(path)}


def _push_config(request: Any) -> Any:
    configuration = request.get("configuration")
    return configuration.get("push_notification_config") if isinstance(configuration, dict) else None


def find_cycle(start: str, tasks: dict[str, Task]) -> list[str]:
    """The ids of a cycle of dependencies through `start`, which stands at both ends; empty where there is none."""
    pending = [[start]]
    seen: set[str] = set()
    while pending:
        path = pending.pop()
        for dependency in tasks[path[-1]]["dependencies"]:
            if dependency["id"] == start:
                return [*path, start]
            if dependency["id"] in tasks and dependency["id"] not in seen:
                seen.add(dependency["id"])
                pending.append([*path, dependency["id"]])
    return []


def _fail(inputs: Task, flag: threading.Event) -> Task:
    raise RuntimeError(inputs.get("message") or "it was asked to fail")


def _sleep(inputs: Task, flag: threading.Event) -> Task:
    flag.wait(inputs.get("seconds", 0))
    return {"slept": inputs.get("seconds", 0)}


EXECUTORS: dict[str, Callable[[Task, threading.Event], Any]] = {
    "echo": lambda inputs, flag: inputs,
    "sleep": _sleep,
    "fail": _fail,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the usual 5 a crowd of clients waits a second for its connections


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections."""

    node: ReferenceNode
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60
    answered = 0

    def do_GET(self) -> None:
        at_card = self.path in ("/.well-known/agent-card", "/.well-known/agent-card.json")
        if at_card and not self.node.broken("AF-A2A-002"):
            return self.send(200, self.node.card())
        return self.send(404, {"error": "no such page"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path == "/restart":  # what a restart leaves: with the defect nothing
            if self.node.broken("AF-STORE-014"):
                self.node.tasks.clear()
            return self.send(200, {})
        served = (self.node.path,) if self.node.broken("AF-TRANS-003") else (self.node.path, "/", "/tasks")
        if self.path not in served:
            return self.send(404, {"error": "no such page"})
        if self.node.broken("AF-TRANS-001") and b'"tasks.list"' in body and body in self.node.bodies:
            return self.send(200, None)  # a body that came before is taken for a repetition
        self.node.bodies.add(body)
        if self.node.broken("AF-ERR-001") and b'"tasks.nope", "params": {}' in body:
            return self.send(404, "no such method")
        user: str | None = None
        if self.node.tokens:
            user = self.node.tokens.get((self.headers.get("authorization") or "").removeprefix("Bearer "))
            if user is None and not self.node.broken("AF-ERR-012"):
                return self.send(401, self.node.failed(_id_of(body), Fault(-32004, {"reason": "no valid token"})))
        request = _streamed(body)
        plain = self.node.broken("AF-STREAM-002") and request is not None and request["method"] == "tasks.execute"
        if request is not None and not plain:
            return self.stream(request, user)
        push = _pushed(body)
        if push is not None:
            run = self.node.begin(push.get("params", {}), user, push=_push_config(push))
            result = {"root_task_id": run.root, "status": "started"}
            return self.send(200, {"jsonrpc": "2.0", "id": push.get("id"), "result": result})
        reply = self.node.reply(body, user)
        return self.send(202 if reply is None else 200, reply)

    def send(self, status: int, value: Any) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self.answered += 1
        if self.node.broken("AF-TRANS-002") and self.answered > 2:
            self.protocol_version = "HTTP/1.0"
            self.close_connection = True
        self.send_response(status)
        kind = "text/plain" if self.node.broken("AF-TRANS-004") else "application/json"
        self.send_header("content-type", kind)
        if not self.node.broken("AF-VER-001"):
            self.send_header("x-protocol-version", "1.0")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def stream(self, request: Any, user: str | None) -> None:
        start = self.node.stream if request["method"] == "tasks.execute" else self.node.a2a_stream
        try:
            events = start(request, user)
        except Fault as fault:
            return self.send(200, self.node.failed(request.get("id"), fault))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in itertools.chain(events, [b""]):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Stays silent."""


def _request(body: bytes) -> Any:
    try:
        request = parsed(body)
    except ValueError:
        return None
    streams = ("tasks.execute", "message/stream")
    return request if isinstance(request, dict) and request.get("method") in streams else None


def _id_of(body: bytes) -> Any:
    try:
        request = parsed(body)
    except ValueError:
        return None
    return request.get("id") if isinstance(request, dict) else None


def _streamed(body: bytes) -> Any:
    request = _request(body)
    if request is None or not isinstance(request.get("params"), dict):
        return None
    metadata = request.get("metadata")
    wanted = request["params"].get("use_streaming") is True
    if request["method"] == "message/stream":
        return request
    return request if wanted or (isinstance(metadata, dict) and metadata.get("stream") is True) else None


def _pushed(body: bytes) -> Any:
    request = _request(body)
    return request if request is not None and _push_config(request) else None


if __name__ == "__main__":
    with ReferenceNode(*sys.argv[1:]) as running:
        print(running.url, flush=True)
        threading.Event().wait()
