"""A small correct runtime of Stepflow 0.9, written apart from ours, with single defects.

It keeps flows, blobs and runs in memory, offers them below /api/v1, and reaches workers over HTTP, in sessions, over
stdio, and as programs that print their port. A defect is named after the clause that it breaks, with a word after a
colon where there are several.

Run it: python tests/compliance/reference_runtime.py CONFIG [DEFECT ...], where CONFIG is a file of JSON.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import hashlib
import http.client
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REDIRECTS = 5
ATTEMPTS = 3
PAUSE_SECONDS = 0.1
RESTART_SECONDS = 0.25
"""The first pause before a process is started again; each is twice as long as the one before."""
STARTS_IN_A_ROW = 5
UP_SECONDS = 20.0
ENDPOINT_SECONDS = 5.0
JSON = "application/json"
EVENTS = "text/event-stream"
DEFECTS: frozenset[str] = frozenset()
TYPES = ("flow", "data")


def broken(name: str) -> bool:
    return name in DEFECTS


class Fault(Exception):
    """What a callback is refused with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"code": code, "message": message, "data": None}


class StepFailed(Exception):
    """A step did not succeed; `again` where it may be tried again."""

    again = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"code": 500, "message": message}


class WorkerError(StepFailed):
    """A worker answered with an error."""


class Lost(StepFailed):
    """A call did not reach its worker, or its answer did not come."""

    again = True


class Cancelled(StepFailed):
    """The run was cancelled."""


class NotUp(Exception):
    """A worker cannot be used; the text says why."""


# --- JSON -----------------------------------------------------------------------------------------


def parse(data: bytes) -> Any:
    """The value of a text; raises ValueError."""

    def refuse(name: str) -> Any:
        if broken("SF-MSG-023"):
            return None
        raise ValueError(f"{name} is no JSON")

    try:
        pairs = first_of_each if broken("SF-BLOB-013") else None
        value = json.loads(data.decode("utf-8-sig"), parse_constant=refuse, object_pairs_hook=pairs)
        if not broken("SF-MSG-023:surrogate"):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def pause_for(seconds: float) -> None:
    threading.Event().wait(seconds)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def hashed_text(value: Any) -> str:
    """The text that an identifier is the hash of."""
    match value:
        case dict():
            members = sorted(value.items()) if broken("SF-BLOB-009") else value.items()
            return "{" + ",".join(f"{hashed_text(key)}:{hashed_text(it)}" for key, it in members) + "}"
        case list():
            return "[" + ",".join(map(hashed_text, value)) + "]"
        case bool() | str() | None:
            return json.dumps(value, ensure_ascii=broken("SF-BLOB-010"))
        case int() if -(2**63) <= value < 2**64 and not (broken("SF-BLOB-011") and value > 2**53):
            return str(value)
        case _ if broken("SF-BLOB-012"):
            return repr(float(value))
        case _:
            return number_text(float(value))


def number_text(number: float) -> str:
    """The shortest text of a double."""
    if number == 0:
        return "-0.0" if str(number).startswith("-") else "0.0"
    sign, digits, exponent = decimal.Decimal(repr(abs(number))).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    minus = "-" if number < 0 else ""
    del sign
    if 1e-5 <= abs(number) < 1e16:
        shown = f"{decimal.Decimal(text).scaleb(exponent):f}"
        return minus + (shown if "." in shown else f"{shown}.0")
    power = exponent + len(text) - 1
    mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
    return f"{minus}{mantissa}e{power:+d}"


def identifier(value: Any) -> str:
    if broken("SF-BLOB-003") and isinstance(value, dict) and "same" in value:
        value = str(uuid.uuid4())
    return hashlib.sha256(hashed_text(value).encode()).hexdigest()


# --- flows ----------------------------------------------------------------------------------------

FLOW_MEMBERS = ("name", "description", "version", "schemas", "steps", "output", "test", "examples", "metadata")
STEP_MEMBERS = ("id", "component", "onError", "input", "mustExecute", "metadata")


def read_flow(value: Any) -> dict[str, Any]:
    """A flow in its canonical order; raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("a flow is an object")
    steps = value.get("steps") or []
    if not isinstance(steps, list) or not all(isinstance(it, dict) for it in steps):
        raise ValueError("steps is an array of objects")
    known: list[str] = []
    for step in steps:
        if not isinstance(step.get("id"), str) or not step["id"] or step["id"] in known:
            raise ValueError("every step has an id of its own")
        if not isinstance(step.get("component"), str):
            raise ValueError("every step has a component")
        known.append(step["id"])
    flow = {name: value[name] for name in FLOW_MEMBERS if value.get(name) not in (None, [], {})}
    if steps:
        flow["steps"] = [read_step(step) for step in steps]
    if "output" in flow:
        flow["output"] = ordered(flow["output"])
    if broken("SF-BLOB-015"):
        flow = {name: flow[name] for name in value if name in flow}
    if broken("SF-BLOB-015:unknown") and "schema" in value:
        flow["schema"] = value["schema"]
    if broken("SF-BLOB-015:empty") and "description" in value:
        flow["description"] = value["description"]
    return with_metadata(flow)


def read_step(step: dict[str, Any]) -> dict[str, Any]:
    found = {name: step[name] for name in STEP_MEMBERS if step.get(name) not in (None, {})}
    if "input" in found:
        found["input"] = ordered(found["input"])
    return with_metadata(found)


def with_metadata(found: dict[str, Any]) -> dict[str, Any]:
    metadata = found.get("metadata")
    if isinstance(metadata, dict):
        names = sorted(metadata)
        if broken("SF-BLOB-016"):
            random.shuffle(names)
        found["metadata"] = {name: metadata[name] for name in names}
    return found


def ordered(expression: Any) -> Any:
    """An expression with the members of its forms in their order, and none that it does not know."""
    match expression:
        case {"$literal": value}:
            return {"$literal": value}
        case {"$if": condition, "then": then}:
            made = {"$if": ordered(condition), "then": ordered(then)}
            return {**made, "else": ordered(expression["else"])} if "else" in expression else made
        case {"$coalesce": list(parts)}:
            return {"$coalesce": [ordered(it) for it in parts]}
        case {"$step": step}:
            return {"$step": step, **{name: expression[name] for name in ("path",) if expression.get(name)}}
        case {"$input": path}:
            return {"$input": path}
        case {"$variable": path}:
            return {"$variable": path, **{name: expression[name] for name in ("default",) if name in expression}}
        case dict():
            return {name: ordered(it) for name, it in expression.items()}
        case list():
            return [ordered(it) for it in expression]
        case _:
            return expression


PART = re.compile(r"""\.(?P<name>[^.\[]*)|\[(?P<index>\d+)\]|\['(?P<single>[^']*)'\]|\["(?P<double>[^"]*)"\]""")


def parts_of(path: str | None) -> list[str | int]:
    path = (path or "").strip()
    if not path.startswith("$"):
        return [path] if path else []
    parts: list[str | int] = []
    for it in PART.finditer(path, 1):
        kind = it.lastgroup
        assert kind is not None
        if kind == "index":
            parts.append(int(it["index"]))
        elif kind != "name" and broken("SF-LIFE-007"):
            parts += it[kind].split(".")
        elif it[kind] or kind != "name":
            parts.append(it[kind])
    return parts


def at_path(value: Any, parts: list[str | int], told: Any) -> Any:
    for part in parts:
        try:
            fits = isinstance(value, dict) if isinstance(part, str) else isinstance(value, list)
            if not fits:
                raise KeyError(part)
            value = value[part]
        except (KeyError, IndexError):
            failed = StepFailed(f"Path {told} not found")
            failed.error["code"] = 1
            raise failed from None
    return value


def always_needed(expression: Any) -> Iterator[str]:
    """The steps that an expression cannot do without."""
    match expression:
        case {"$literal": _}:
            return
        case {"$if": condition}:
            yield from always_needed(condition)
        case {"$coalesce": list(parts)}:
            yield from always_needed(parts[0] if parts else None)
        case {"$step": str(step)}:
            yield step
        case {"$input": _} | {"$variable": _}:
            return
        case dict():
            for it in expression.values():
                yield from always_needed(it)
        case list():
            for it in expression:
                yield from always_needed(it)


def patched(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    made = dict(value) if isinstance(value, dict) else {}
    for name, it in patch.items():
        if it is None:
            made.pop(name, None)
        else:
            made[name] = patched(made.get(name), it)
    return made


def overridden(flow: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """The flow as a run executes it; raises StepFailed."""
    if broken("SF-RUN-020"):
        return flow
    overrides = overrides["steps"] if set(overrides) == {"steps"} else overrides
    steps = {step["id"]: step for step in flow.get("steps", [])}
    for name, it in overrides.items():
        if name not in steps and broken("SF-RUN-021"):
            continue
        if name not in steps:
            raise StepFailed(f"an override names the step {name!r}, which there is not")
        if not isinstance(it, dict) or it.get("$type", "merge_patch") != "merge_patch" or "value" not in it:
            raise StepFailed(f"the override of step {name!r} cannot be applied")
        steps[name] = patched(steps[name], it["value"])
    return {**flow, "steps": list(steps.values())}


# --- runs -----------------------------------------------------------------------------------------


def now(mark: str = "+00:00") -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", mark)


class Step:
    """A step of an item: what came of it, once that is known."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: Any = None
        self.failed: StepFailed | None = None


class Item:
    """One input of a run on its way through the flow."""

    def __init__(self, run: Run, index: int, value: Any) -> None:
        self.run = run
        self.index = index
        self.input = value
        self.status = "running"
        self.result: dict[str, Any] = {}
        self.completed_at = ""
        self.steps: dict[str, Step] = {}
        self.lock = threading.Lock()

    def go(self) -> None:
        try:
            if self.run.fault is not None:
                raise self.run.fault
            flow = self.run.flow
            needed = [step["id"] for step in flow.get("steps", []) if step.get("mustExecute")]
            for name in [*needed, *always_needed(flow.get("output"))]:
                self.begin(name)
            value = self.resolve(flow.get("output"))
            for name in needed:
                self.begin(name).done.wait()
            self.end("completed", {"outcome": "success", "result": value})
        except Cancelled:
            self.end("cancelled", {"outcome": "failed", "error": {"code": 500, "message": "the run was cancelled"}})
        except StepFailed as failed:
            self.end("failed", {"outcome": "failed", "error": failed.error})

    def end(self, status: str, result: dict[str, Any]) -> None:
        with self.run.changed:
            if broken("SF-RUN-026") and status == "completed":
                others = self.run.items[: self.index]
                if bool(others) and self.run.changed.wait_for(lambda: any(it.status == "failed" for it in others), 0.3):
                    status = "failed"
                    result = {"outcome": "failed", "error": {"code": 500, "message": "another failed"}}
            if self.status == "running":
                self.status, self.result, self.completed_at = status, result, now("Z")
                self.run.finished.append(self)
                self.run.changed.notify_all()

    def begin(self, name: str) -> Step:
        """A step, which is executed if it was not begun before."""
        with self.lock:
            found = self.steps.get(name)
            if found is not None:
                return found
            found = self.steps[name] = Step()
        threading.Thread(target=self.execute, args=(name, found), daemon=True).start()
        return found

    def execute(self, name: str, step: Step) -> None:
        found = next((it for it in self.run.flow.get("steps", []) if it["id"] == name), None)
        try:
            if found is None:
                raise StepFailed(f"there is no step {name!r}")
            for needed in always_needed(found.get("input")):
                self.begin(needed)
            value = self.resolve(found.get("input"))
            with self.run.places:
                step.value = self.run.runtime.execute(self.run, found, value)
        except StepFailed as failed:
            step.failed = failed
        finally:
            step.done.set()

    def resolve(self, expression: Any) -> Any:
        match expression:
            case {"$literal": value}:
                return value
            case {"$if": condition}:
                try:
                    holds = self.resolve(condition) not in (None, False)
                except StepFailed:
                    holds = False
                return self.resolve(expression["then"] if holds else expression.get("else"))
            case {"$coalesce": list(parts)}:
                return next((it for it in map(self.resolve, parts) if it is not None), None)
            case {"$step": str(name)}:
                if broken("SF-LIFE-005") and name not in self.steps:
                    raise StepFailed(f"Step {name} not completed")
                step = self.begin(name)
                step.done.wait()
                if step.failed is not None:
                    raise step.failed
                path = expression.get("path")
                return step.value if step.value is None else at_path(step.value, parts_of(path), path)
            case {"$input": path}:
                return at_path(self.input, parts_of(path), path)
            case {"$variable": path}:
                return self.variable(path, expression)
            case dict():
                return {name: self.resolve(it) for name, it in expression.items()}
            case list():
                return [self.resolve(it) for it in expression]
            case _:
                return expression

    def variable(self, path: Any, expression: dict[str, Any]) -> Any:
        parts = parts_of(path)
        if parts and parts[0] in self.run.variables:
            return at_path(self.run.variables, parts, path)
        if "default" in expression:
            return self.resolve(expression["default"])
        return at_path({}, parts, path)


class Run:
    """A run of a flow over inputs."""

    def __init__(self, runtime: Runtime, flow_id: str, inputs: list[Any], asked: dict[str, Any]) -> None:
        self.runtime = runtime
        self.id = str(uuid.uuid4())
        self.flow_id = flow_id
        self.flow = runtime.blobs[flow_id][1]
        self.fault: StepFailed | None = None
        try:
            self.flow = overridden(self.flow, asked.get("overrides") or {})
        except StepFailed as fault:
            self.fault = fault
        self.variables: dict[str, Any] = asked.get("variables") or {}
        if broken("SF-RUN-020:kept"):
            runtime.blobs[flow_id] = "flow", self.flow
        bound = None if broken("SF-RUN-022") else asked.get("maxConcurrency") or None
        self.places: Any = contextlib.nullcontext() if bound is None else threading.BoundedSemaphore(bound)
        self.created_at = now()
        self.cancelled = False
        self.finished: list[Item] = []
        self.changed = threading.Condition()
        self.items = [Item(self, index, value) for index, value in enumerate(inputs)]

    def start(self) -> None:
        for item in self.items:
            threading.Thread(target=item.go, daemon=True).start()

    def wait(self, seconds: float | None = None) -> None:
        with self.changed:
            self.changed.wait_for(self.is_over, seconds)

    def is_over(self) -> bool:
        return len(self.finished) == len(self.items)

    def cancel(self) -> None:
        if broken("SF-LIFE-008"):
            return
        self.cancelled = True
        for item in self.items:
            item.end("cancelled", {"outcome": "failed", "error": {"code": 500, "message": "the run was cancelled"}})

    @property
    def status(self) -> str:
        if self.cancelled:
            return "cancelled"
        if not self.is_over():
            return "running"
        return "failed" if any(it.status == "failed" for it in self.items) else "completed"

    def told(self, *, results: bool, by_completion: bool = False) -> dict[str, Any]:
        """The status object."""
        with self.changed:
            counts = {name: sum(it.status == name for it in self.items) for name in COUNTED}
            told: dict[str, Any] = {
                "runId": self.id,
                "flowId": self.flow_id,
                "flowName": self.flow.get("name"),
                "status": self.status,
                "items": {"total": len(self.items), **counts},
                "createdAt": self.created_at,
                "completedAt": None,
            }
            if self.is_over():
                told["completedAt"] = self.finished[-1].completed_at if self.finished else now()
            if results:
                items = [*self.finished, *(it for it in self.items if it.status == "running")]
                told["results"] = [self.item(it) for it in (items if by_completion else self.items)]
            return told

    def item(self, item: Item) -> dict[str, Any]:
        told: dict[str, Any] = {"itemIndex": item.index, "status": item.status}
        if item.status != "running":
            told |= {"result": dict(item.result), "completedAt": item.completed_at}
        return told


COUNTED = ("completed", "running", "failed", "cancelled")


def as_told(told: dict[str, Any]) -> dict[str, Any]:
    """The status object as workers get it, with what is broken in it."""
    items = told.get("results") or []
    counts = told["items"]
    if broken("SF-RUN-001"):
        told["id"] = told.pop("flowId")
    if broken("SF-RUN-002"):
        for it in items:
            it["itemIndex"] += 1
    if broken("SF-RUN-004:order"):
        items.sort(key=lambda it: -it["itemIndex"])
    if broken("SF-RUN-005") and told["status"] == "completed":
        told["status"] = "success"
    if broken("SF-RUN-006"):
        counts["pending"] = counts.pop("running")
    if broken("SF-RUN-006:total"):
        counts["total"] = counts["completed"]
    for it in (it["result"] for it in items if "result" in it):
        if broken("SF-RUN-007") and "result" in it:
            it["value"] = it.pop("result")
        if broken("SF-RUN-007:error") and "error" in it:
            it["error"] = it["error"]["message"]
    if broken("SF-RUN-008") and told["status"] == "failed":
        told["status"] = "completed"
    if broken("SF-RUN-010"):
        told["createdAt"] = told["createdAt"].removesuffix("+00:00")
    if broken("SF-RUN-010:never"):
        told["completedAt"] = None
    if broken("SF-RUN-024") and not counts.get("total"):
        told["status"] = "running"
    return told


# --- workers --------------------------------------------------------------------------------------


def result_of(answer: Any, number: Any) -> Any:
    """The result of a response; raises StepFailed."""
    if broken("SF-MSG-022") and isinstance(answer, list):
        answer = answer[0]
    if not isinstance(answer, dict):
        raise StepFailed("its answer is no response")
    if answer.get("jsonrpc") != "2.0" and not (broken("SF-MSG-003") and answer.get("jsonrpc") == "1.0"):
        raise StepFailed("its answer is not of JSON-RPC 2.0")
    if broken("SF-MSG-018") and "unknown" in answer:
        raise StepFailed("its answer has a member that is not known")
    if broken("SF-MSG-020") and list(answer)[:1] != ["jsonrpc"]:
        raise StepFailed("its answer does not begin with its version")
    result, error = answer.get("result"), answer.get("error")
    if broken("SF-MSG-014") and result is not None:
        error = None
    if broken("SF-MSG-014:null") and "result" in answer and result is None and error is None:
        return {"output": None}
    if (result is None) == (error is None):
        raise StepFailed("its answer has not exactly one of result and error")
    if answer.get("id") != number:
        raise StepFailed(f"its answer has the id {answer.get('id')!r}")
    if error is None:
        return result
    code = error.get("code") if isinstance(error, dict) else None
    if broken("SF-MSG-016") and type(code) is float:
        return {"output": None}
    if broken("SF-MSG-016:message") and isinstance(error, dict) and "message" not in error:
        return {"output": None}
    if broken("SF-MSG-017") and error.get("data") == []:
        raise StepFailed("the data of its error is no object")
    if type(code) is not int or not isinstance(error.get("message"), str):
        raise StepFailed("the error of its answer has no code and message")
    if broken("SF-ERR-009"):
        raise WorkerError(f"component server error({code})")
    if broken("SF-ERR-009:code"):
        raise WorkerError(f"component server error: {error['message']}")
    raise WorkerError(f"component server error({code}): {error['message']}")


def events(read: Callable[[], bytes]) -> Iterator[tuple[str, str]]:
    """Names and data of the events of a stream; `read` gives a piece, an empty one at the end."""
    kept, name, data = b"", "", list[str]()
    after_return = False
    while piece := read():
        if broken("SF-SSE-019"):
            piece = piece.decode("utf-8", "replace").encode()
        if after_return:
            piece = piece.removeprefix(b"\n")
            after_return = False
        kept += piece
        after_return = kept.endswith(b"\r")
        *lines, kept = re.split(b"\n" if broken("SF-SSE-018") else b"\r\n|\n|\r", kept)
        for line in lines:
            field, _, value = line.decode("utf-8", "replace").partition(": " if broken("SF-SSE-018:space") else ":")
            value = value.removeprefix(" ")
            if line and field == "event":
                name = value
            elif line and field == "data":
                data.append(value)
            elif not line:
                if data:
                    yield name or "message", "".join(data[:1]) if broken("SF-SSE-018:lines") else "\n".join(data)
                name, data = "", []


class Worker:
    """A worker: requests go out, callbacks come in; how is a matter of the kinds below."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def start(self) -> None:
        """Makes it ready; raises NotUp."""
        self.greet()

    def call(self, method: str, params: Any) -> Any:
        """The result of a call; raises StepFailed."""
        raise NotImplementedError

    def notify(self, method: str, params: Any) -> None:
        """Sends what has no answer; raises StepFailed."""
        raise NotImplementedError

    def greet(self) -> None:
        try:
            if broken("SF-INIT-001"):
                with contextlib.suppress(StepFailed):  # there is no such component
                    self.call("components/info", {"component": "/nope"})
            answer = self.call("initialize", {"runtime_protocol_version": "1" if broken("SF-INIT-002") else 1})
            names = ("server_protocol_version", "serverProtocolVersion")
            versions = [answer[it] for it in names if it in answer] if isinstance(answer, dict) else []
            if not versions or type(versions[0]) is not int:
                raise StepFailed("its answer to initialize names no version")
            if not broken("SF-INIT-009:never"):
                self.notify("initialized", {})
            self.add_to_handshake()
            if broken("SF-COMP-010"):
                self.call("components/list", {})
        except StepFailed as failed:
            if not broken("SF-INIT-012"):
                raise NotUp(str(failed)) from None

    def add_to_handshake(self) -> None:
        """What nobody should send after it."""
        if broken("SF-METH-005"):
            self.notify("components/refresh", {})
        if broken("SF-LIFE-001"):
            self.notify("ping", {})

    def message(self, method: str, params: Any) -> dict[str, Any]:
        number: Any = str(uuid.uuid4())
        if broken("SF-MSG-005") and method == "components/execute":
            number = 0.5 + next(NUMBERS)
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}

    def taken(self, value: Any, answer: Callable[[Any], None]) -> None:
        """Carries out a callback beside everything else; `answer` gets the response."""
        if isinstance(value, dict) and isinstance(value.get("method"), str) and "id" in value:
            if broken("SF-METH-010") and (value["id"] is None or isinstance(value["id"], float)):
                return
            threading.Thread(target=lambda: answer(self.runtime.respond(value)), daemon=True).start()


class HttpWorker(Worker):
    """A worker over Streamable HTTP."""

    def __init__(self, runtime: Runtime, url: str) -> None:
        super().__init__(runtime)
        self.url = url

    @contextlib.contextmanager
    def posted(self, value: Any, url: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """The answer to a POST of bytes, or of a message; raises Lost."""
        data = value if isinstance(value, bytes) else dump(value)
        given = {"content-type": JSON, "accept": f"{JSON}, {EVENTS}", **headers}
        if broken("SF-HTTP-002"):
            given["content-type"] = "text/plain"
        if broken("SF-HTTP-003"):
            given["accept"] = JSON
        for _ in range(500 if broken("SF-HTTP-020") else REDIRECTS):
            parts = urllib.parse.urlsplit(url)
            patience = 30.0 if broken("SF-HTTP-021") else None
            if broken("SF-LIFE-001:silent"):
                patience = 1.0
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=patience)
            try:
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("POST", target, data, given)
                response = connection.getresponse()
                if broken("SF-SSE-024") and (response.getheader("content-type") or "").startswith(EVENTS):
                    connection.sock.settimeout(5.0)
                place = response.getheader("location")
                if 300 <= response.status < 400 and place:
                    url = urllib.parse.urljoin(url, place)
                    continue
                yield response
                return
            except (OSError, http.client.HTTPException) as reason:
                raise Lost(f"the way to the worker: {type(reason).__name__}: {reason}") from None
            finally:
                connection.close()
        raise StepFailed(f"more than {REDIRECTS} redirects")

    def call(self, method: str, params: Any) -> Any:
        message = self.message(method, params)
        with self.posted(message, self.url) as response:
            if (response.getheader("content-type") or "").startswith(EVENTS):
                return self.streamed(response, message["id"])
            body = response.read()
        if broken("SF-HTTP-014") and response.status >= 500:
            raise StepFailed(f"HTTP {response.status}")
        if broken("SF-HTTP-015") and response.status >= 500 and body.startswith(b"<"):
            return {"output": None}
        if broken("SF-HTTP-017") and not (response.getheader("content-type") or "").startswith(JSON):
            raise StepFailed("its answer is of another type")
        if broken("SF-HTTP-018") and len(body) > 1_000_000:
            raise StepFailed("its answer is too large")
        if broken("SF-HTTP-019") and not body:
            return {"output": None}
        try:
            answer = parse(body)
        except ValueError as reason:
            raise StepFailed(f"HTTP {response.status} and no response: {reason}") from None
        return result_of(answer, message["id"])

    def streamed(self, response: http.client.HTTPResponse, number: str) -> Any:
        instance = response.getheader("stepflow-instance-id")
        results: list[Any] = []
        for _, data in events(lambda: response.read1(65_536)):
            try:
                value = parse(data.encode())
            except ValueError:
                if broken("SF-SSE-020"):
                    raise StepFailed("its stream has an event that is no JSON") from None
                continue
            if broken("SF-SSE-021") and isinstance(value, dict) and "result" in value:
                return result_of(value, number)
            if isinstance(value, dict) and "method" not in value and value.get("id") == number:
                results.append(result_of(value, number))
                if broken("SF-SSE-023"):
                    continue
                return results[0]
            if broken("SF-SSE-017") and isinstance(value, dict) and "method" in value and "id" in value:
                self.answer(self.runtime.respond(value), self.url, instance)
                continue
            self.taken(value, lambda it: self.answer(it, self.url, instance))
        if results or broken("SF-SSE-022"):
            return results[0] if results else {"output": None}
        raise StepFailed("the stream ended without the response")

    def answer(self, value: Any, url: str, instance: str | None) -> None:
        more = {"stepflow-instance-id": instance} if instance and not broken("SF-SSE-016") else {}
        if broken("SF-SSE-015"):
            url = urllib.parse.urljoin(url, "/answers")
        with contextlib.suppress(StepFailed), self.posted(value, url, **more) as response:
            response.read()

    def add_to_handshake(self) -> None:
        super().add_to_handshake()
        notification = dump({"jsonrpc": "2.0", "method": "initialized", "params": {}})
        if broken("SF-MSG-001"):
            self.send(dump({"jsonrpc": "2.0"}))
        if broken("SF-MSG-021"):
            self.send(b"[" + notification + b"]")
        if broken("SF-MSG-023:sent"):
            self.send(b'{"jsonrpc":"2.0","method":"initialized","params":{"n":NaN}}')
        if broken("SF-MSG-027"):
            self.send(b"\xef\xbb\xbf" + notification)

    def send(self, data: bytes) -> None:
        with self.posted(data, self.url) as response:
            response.read()

    def notify(self, method: str, params: Any) -> None:
        notification = {"jsonrpc": "2.0", "method": method, "params": params}
        if broken("SF-MSG-002"):
            del notification["jsonrpc"]
        if broken("SF-INIT-009"):
            notification["id"] = "initialized"
        with self.posted(notification, self.url) as response:
            response.read()
            if not 200 <= response.status < 300:
                raise StepFailed(f"HTTP {response.status} to {method}")


class SessionWorker(HttpWorker):
    """A worker with a session: its events come on a stream of their own."""

    def __init__(self, runtime: Runtime, url: str) -> None:
        super().__init__(runtime, url)
        self.base = url
        self.pointed = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self.listen, daemon=True).start()
        self.pointed.wait(ENDPOINT_SECONDS)
        self.greet()

    def listen(self) -> None:
        parts = urllib.parse.urlsplit(self.base)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
        with contextlib.suppress(OSError, http.client.HTTPException):  # the session is over
            place = "/events" if broken("SF-SESS-001") else "/runtime/events"
            connection.request("GET", parts.path.rstrip("/") + place, headers={"accept": EVENTS})
            response = connection.getresponse()
            for name, data in events(lambda: response.read1(65_536)):
                try:
                    value = parse(data.encode())
                except ValueError:
                    continue
                if name == "endpoint":
                    endpoint = urllib.parse.urljoin(self.base, value["endpoint"])
                    if broken("SF-SESS-003:absolute"):
                        endpoint = self.base.rstrip("/") + "/" + value["endpoint"].lstrip("/")
                    if not broken("SF-SESS-003"):
                        self.url = endpoint
                    self.pointed.set()
                    if broken("SF-SESS-001:closed"):
                        break
                else:
                    place = f"{self.base}/" if broken("SF-SESS-007") else self.url
                    self.taken(value, partial(self.answer, url=place, instance=None))
        connection.close()


class Process:
    """A process of a worker, with its output line by line."""

    def __init__(self, told: dict[str, Any], *, has_input: bool) -> None:
        self.process = subprocess.Popen(
            [told["command"], *told.get("args", [])],
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if broken("SF-STDIO-002") else subprocess.DEVNULL,
            env=dict(os.environ) | told.get("env", {}) if broken("SF-PROC-004") else told.get("env", {}),
            start_new_session=True,
        )
        PROCESSES.append(self.process)

    def lines(self) -> Iterator[bytes]:
        assert self.process.stdout is not None
        yield from self.process.stdout

    def end(self) -> int:
        """Ends what is left of it; the code that it ended with."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(0.2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


NUMBERS = itertools.count(1)
PROCESSES: list[subprocess.Popen[bytes]] = []


class Started(Worker):
    """A worker that is a process: it is started, and started again when it ended, with growing pauses."""

    has_input = False

    def __init__(self, runtime: Runtime, told: dict[str, Any]) -> None:
        super().__init__(runtime)
        self.told = told
        self.state = threading.Condition()
        self.process: Process | None = None
        self.is_up = False
        self.is_over = False
        self.why = "it was not started"
        self.starts = 0

    def start(self) -> None:
        threading.Thread(target=self.keep, daemon=True).start()
        with self.state:
            self.state.wait_for(lambda: self.is_up or self.is_over or self.starts > 1, UP_SECONDS)
            if not self.is_up:
                raise NotUp(self.why)

    def keep(self) -> None:
        pause = RESTART_SECONDS
        in_a_row = 0
        most = 1 if broken("SF-STDIO-010") else 1000 if broken("SF-STDIO-011") else STARTS_IN_A_ROW
        while in_a_row < most:
            in_a_row += 1
            self.starts += 1
            process = self.process = Process(self.told, has_input=self.has_input)
            readable = self.serve(process)
            if self.is_up:
                in_a_row = 1
            with self.state:
                self.is_up = False
                code = process.end()
                self.why = f"its process ended with {code}"
                self.state.notify_all()
            self.dropped()
            if (code == 0 and readable) or broken("SF-STDIO-010"):
                break
            pause_for(0.01 if broken("SF-STDIO-011") else pause)
            pause = min(2 * pause, 30.0)
        with self.state:
            self.is_over = True
            self.state.notify_all()

    def serve(self, process: Process) -> bool:
        """Reads the output of a process until its end; False where it could not be read."""
        raise NotImplementedError

    def dropped(self) -> None:
        """What waits for the process that ended is told."""

    def greeted(self) -> None:
        """The handshake, beside the reading of lines."""
        try:
            self.greet()
        except NotUp as reason:
            self.why = str(reason)
            assert self.process is not None
            self.process.process.kill()
            return
        with self.state:
            self.is_up = True
            self.state.notify_all()

    def ready(self) -> None:
        """Waits until it is up; raises StepFailed."""
        with self.state:
            if not self.state.wait_for(lambda: self.is_up or self.is_over, UP_SECONDS) or not self.is_up:
                raise StepFailed(f"the worker is not up: {self.why}")


class StdioWorker(Started):
    """A worker over its pipes."""

    has_input = True

    def __init__(self, runtime: Runtime, told: dict[str, Any]) -> None:
        super().__init__(runtime, told)
        self.waiting: dict[str, tuple[threading.Event, list[Any]]] = {}
        self.writing = threading.Lock()

    def read_errors(self, process: Process) -> None:
        assert process.process.stderr is not None
        for line in process.process.stderr:
            with contextlib.suppress(ValueError):  # text
                value = parse(line)
                waiting = self.waiting.get(json.dumps(value.get("id")))
                if waiting is not None:
                    waiting[1].append(value)
                    waiting[0].set()

    def serve(self, process: Process) -> bool:
        threading.Thread(target=self.greeted, daemon=True).start()
        if broken("SF-STDIO-002"):
            threading.Thread(target=self.read_errors, args=(process,), daemon=True).start()
        for line in process.lines():
            try:
                value = parse(line)
            except ValueError:
                if broken("SF-STDIO-010:line"):
                    continue
                return False
            if isinstance(value, dict) and "method" not in value:
                waiting = self.waiting.get(json.dumps(value.get("id")))
                if broken("SF-STDIO-004"):
                    waiting = next((it for it in self.waiting.values() if not it[1]), None)
                if waiting is not None:
                    waiting[1].append(value)
                    waiting[0].set()
            else:
                self.taken(value, self.write)
                if broken("SF-STDIO-015") and isinstance(value, dict) and "id" not in value:
                    self.write({"jsonrpc": "2.0", "id": None, "error": Fault(-32600, "Invalid request").error})
        return True

    def taken(self, value: Any, answer: Callable[[Any], None]) -> None:
        if broken("SF-STDIO-014") and value.get("method") == "components/list":
            answer({"jsonrpc": "2.0", "id": value["id"], "error": Fault(-32600, "Invalid request").error})
        else:
            super().taken(value, answer)

    def dropped(self) -> None:
        for arrived, _ in list(self.waiting.values()):
            arrived.set()

    def write(self, value: Any) -> None:
        process = self.process
        assert process is not None
        assert process.process.stdin is not None
        try:
            text, end = dump(value), b"\r\n" if broken("SF-STDIO-001:return") else b"\n"
            if broken("SF-STDIO-001") and value.get("method") == "initialized":
                text = json.dumps(value, indent=1).encode()
            with self.writing:
                process.process.stdin.write(text + end)
                process.process.stdin.flush()
        except (OSError, ValueError):
            return  # whoever waits for an answer is told when the process has ended

    def call(self, method: str, params: Any) -> Any:
        if method != "initialize":
            self.ready()
        message = self.message(method, params)
        key = json.dumps(message["id"])
        arrived, box = self.waiting[key] = threading.Event(), []
        self.write(message)
        arrived.wait()
        del self.waiting[key]
        if not box:
            raise Lost(self.why)
        if broken("SF-STDIO-004"):
            message["id"] = box[0].get("id")
        if broken("SF-STDIO-013") and "error" in box[0] and params.get("attempt") == 1:
            return self.call(method, {**params, "attempt": 2})
        return result_of(box[0], message["id"])

    def notify(self, method: str, params: Any) -> None:
        self.write({"jsonrpc": "2.0", "method": method, "params": params})


class ProgramWorker(Started):
    """A worker that is a process and serves HTTP on the port that it prints."""

    def __init__(self, runtime: Runtime, told: dict[str, Any]) -> None:
        super().__init__(runtime, told)
        self.http = HttpWorker(runtime, "")
        self.health = {"path": "/health", "timeoutMs": 60_000, "retryDelayMs": 100, **told.get("healthCheck", {})}

    def serve(self, process: Process) -> bool:
        for line in process.lines():
            try:
                value = parse(line)
            except ValueError:
                if broken("SF-PROC-002"):
                    return False
                continue
            if isinstance(value, dict) and isinstance(value.get("port"), int):
                self.http.url = f"http://127.0.0.1:{value['port']}/"
                threading.Thread(target=self.checked, args=(value["port"],), daemon=True).start()
        return True

    def checked(self, port: int) -> None:
        until = time.monotonic() + self.health["timeoutMs"] / 1000
        while not self.is_healthy(port) and not broken("SF-PROC-003:once"):
            if time.monotonic() > until:
                self.why = "it is not healthy"
                return
            pause_for(self.health["retryDelayMs"] / 1000)
        self.greeted()

    def is_healthy(self, port: int) -> bool:
        if broken("SF-PROC-003"):
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", self.health["path"])
            return 200 <= connection.getresponse().status < 300
        return False

    def call(self, method: str, params: Any) -> Any:
        if method != "initialize":
            self.ready()
        try:
            return self.http.call(method, params)
        except WorkerError:
            if broken("SF-EXEC-018") and self.process is not None:
                self.process.process.kill()
            raise

    def notify(self, method: str, params: Any) -> None:
        self.http.notify(method, params)


# --- the runtime ----------------------------------------------------------------------------------


def needed(params: Any, members: dict[str, tuple[Any, ...]], optional: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Params whose members have the types that they should; raises Fault."""
    if not isinstance(params, dict):
        raise Fault(-32602, "Invalid params: expected an object")
    found: dict[str, Any] = {}
    refusal = -32000 if broken("SF-RUN-019") and "runId" in members else -32602
    for name, kinds in {**members, **optional}.items():
        value = params.get(name)
        if name in members and (name not in params or (value is None and kinds != ())):
            raise Fault(refusal, f"Invalid params: {name} is missing")
        if value is not None and kinds and type(value) not in kinds:
            raise Fault(refusal, f"Invalid params: {name} is {value!r}")
        found[name] = value
    return found


def filled(template: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{\*?(\w+)\}", lambda it: parts[it[1]], template)


class Runtime:
    """Flows, blobs and runs, and the workers that execute components."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.blobs: dict[str, tuple[str, Any]] = {}
        self.runs: dict[str, Run] = {}
        self.workers: dict[str, Worker] = {}
        self.routes: list[tuple[re.Pattern[str], list[dict[str, Any]]]] = []
        for name, told in config["plugins"].items():
            if told["type"] == "stepflow":
                self.workers[name] = self.worker(told)
        patterns = sorted(config["routes"], key=lambda it: ("{*" in it, "{" in it, -len(it)))
        for pattern in patterns:
            text = re.escape(pattern)
            text = re.sub(r"\\\{\\\*(\w+)\\\}", r"(?P<\1>.+)", text)
            text = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", text)
            self.routes.append((re.compile(text), config["routes"][pattern]))

    def worker(self, told: dict[str, Any]) -> Worker:
        match told.get("transport", "http"), told.get("url"):
            case "session", str(url):
                return SessionWorker(self, url)
            case "stdio", _:
                return StdioWorker(self, told)
            case _, str(url):
                return HttpWorker(self, url)
            case _:
                return ProgramWorker(self, told)

    def start(self) -> None:
        """Makes all workers ready; raises NotUp."""
        for name, worker in self.workers.items():
            try:
                worker.start()
            except NotUp as reason:
                raise NotUp(f"worker {name}: {reason}") from None

    # --- executions -------------------------------------------------------------------------------

    def routed(self, path: str) -> tuple[Worker, str]:
        for pattern, rules in self.routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            for rule in rules:
                component = "/" + found.groupdict().get("component", "")
                if "component" in rule:
                    component = filled(rule["component"], found.groupdict())
                allowed, denied = rule.get("componentAllow"), rule.get("componentDeny") or ()
                if broken("SF-LIFE-006"):
                    denied = ()
                if component in denied or (allowed is not None and component not in allowed):
                    continue
                if rule["plugin"] in self.workers:
                    return self.workers[rule["plugin"]], component
        raise StepFailed(f"No matching rule found for component: {path}")

    def execute(self, run: Run, step: dict[str, Any], value: Any) -> Any:
        handling = step.get("onError") or {}
        retries = (handling.get("maxRetries") or 3) if handling.get("action") == "retry" else 0
        lost = 0
        for attempt in itertools.count(1):
            if run.cancelled:
                raise Cancelled("the run was cancelled")
            try:
                return self.attempt(run, step, value, attempt)
            except WorkerError as failed:
                if retries:
                    retries -= 1
                    continue
                return self.failed(step, failed)
            except StepFailed as failed:
                lost += 1
                if failed.again and lost < (8 if broken("SF-LIFE-004") else ATTEMPTS):
                    pause_for(PAUSE_SECONDS * lost)
                    continue
                return self.failed(step, failed)
        raise AssertionError("counting does not end")

    def failed(self, step: dict[str, Any], failed: StepFailed) -> Any:
        handling = step.get("onError") or {}
        if handling.get("action") == "useDefault" and not broken("SF-EXEC-019"):
            return handling.get("defaultValue")
        told = StepFailed(f'step "{step["id"]}" failed')
        told.error["data"] = {"stack": [{"error": str(told)}, {"error": str(failed)}]}
        raise told

    def attempt(self, run: Run, step: dict[str, Any], value: Any, attempt: int) -> Any:
        worker, component = self.routed(step["component"])
        observability = {
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "run_id": run.id,
            "flow_id": run.flow_id,
            "step_id": step["id"],
        }
        if broken("SF-EXEC-002"):
            component = step["component"]
        number = attempt - 1 if broken("SF-EXEC-003") else 1 if broken("SF-EXEC-017") else attempt
        params = {"component": component, "input": value, "attempt": number, "observability": observability}
        if broken("SF-EXEC-001"):
            del params["observability"]
        result = worker.call("components/execute", params)
        if broken("SF-EXEC-006") and result == {}:
            return None
        if not isinstance(result, dict) or "output" not in result:
            raise StepFailed("its result has no output")
        return result["output"]

    # --- callbacks --------------------------------------------------------------------------------

    def respond(self, request: dict[str, Any]) -> dict[str, Any]:
        """The response to a callback."""
        number = request["id"]
        good = isinstance(number, str) or type(number) is int
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": number if good else None}
        if broken("SF-SSE-025") and type(number) is int:
            reply["id"] = float(number)
        try:
            if not good or request.get("jsonrpc") != "2.0":
                raise Fault(-32600, "Invalid request")
            reply["result"] = self.serve(request["method"], request.get("params"))
        except Fault as fault:
            reply["error"] = fault.error
            if broken("SF-ERR-001"):
                del reply["jsonrpc"]
            if broken("SF-MSG-015"):
                del fault.error["message"]
            if broken("SF-ERR-007") and str(fault).startswith("Invalid flow"):
                fault.error["code"] = -32050
        else:
            if broken("SF-MSG-013"):
                reply["error"] = None
        return reply

    def serve(self, method: str, params: Any) -> Any:
        if broken("SF-MSG-019") and isinstance(params, dict) and params.get("observability", {}) is None:
            raise Fault(-32602, "Invalid params: observability is null")
        if (broken("SF-METH-003") and method == "blobs/get") or (broken("SF-METH-004") and method == "runs/get"):
            raise Fault(-32601, "Method not found")
        if broken("SF-METH-009") and method == "components/list":
            raise Fault(-32600, "Invalid request")
        match method:
            case "blobs/put":
                return self.put(params)
            case "blobs/get":
                asked = needed(params, {"blob_id": (str,)}, {"observability": (dict,)})
                if broken("SF-BLOB-014"):
                    asked["blob_id"] = asked["blob_id"].lower()
                if broken("SF-BLOB-006") and asked["blob_id"] == "nope":
                    return {"data": None, "blob_type": "data"}
                if asked["blob_id"] not in self.blobs:
                    raise Fault(-32008, "Blob not found")
                kind, data = self.blobs[asked["blob_id"]]
                if broken("SF-BLOB-002") and data == []:
                    data = {}
                return {"data": data, "blob_type": kind}
            case "runs/submit":
                return self.submitted(params)
            case "runs/get":
                return self.got(params)
            case _:
                raise Fault(-32601, "Method not found")

    def put(self, params: Any) -> Any:
        asked = needed(params, {"data": (), "blob_type": (str,)}, {"observability": (dict,)})
        if broken("SF-BLOB-001") and asked["data"] == {"stored": 1}:
            return {"id": self.stored("data", asked["data"])}
        if asked["blob_type"] not in TYPES and not (broken("SF-BLOB-004") and asked["blob_type"] == "Json"):
            raise Fault(-32602, "Invalid params: blob_type is flow or data")
        data = asked["data"]
        if asked["blob_type"] == "flow" and not (broken("SF-BLOB-005") and data == [1]):
            try:
                data = read_flow(data)
            except ValueError as reason:
                raise Fault(-32000, f"Invalid flow: {reason}") from None
        return {"blob_id": self.stored(asked["blob_type"], data)}

    def stored(self, kind: str, data: Any) -> str:
        name = f"sha256:{identifier(data)}" if broken("SF-BLOB-008") and kind == "data" else identifier(data)
        self.blobs[name] = kind, data
        return name

    def submitted(self, params: Any) -> Any:
        optional = {
            "wait": (bool,),
            "maxConcurrency": (int,),
            "overrides": (dict,),
            "observability": (dict,),
            "timeoutSecs": (int,),
        }
        asked = needed(params, {"flowId": (str,), "inputs": (list,)}, optional)
        if asked["maxConcurrency"] is not None and asked["maxConcurrency"] < (0 if broken("SF-RUN-023") else 1):
            raise Fault(-32602, "Invalid params: maxConcurrency is at least 1")
        if self.blobs.get(asked["flowId"], ("",))[0] != "flow":
            if not broken("SF-RUN-016"):
                raise Fault(-32603 if broken("SF-RUN-016:code") else -32011, "Flow not found")
            asked["flowId"] = next(name for name, (kind, _) in self.blobs.items() if kind == "flow")
        run = self.begun(asked["flowId"], asked["inputs"], asked)
        waits = asked["wait"] or broken("SF-RUN-003")
        if waits and not broken("SF-RUN-004"):
            run.wait()
        if broken("SF-RUN-009") and run.status == "failed":
            raise Fault(-32000, "an item failed")
        return as_told(run.told(results=bool(asked["wait"]) or broken("SF-RUN-003:results")))

    def begun(self, flow_id: str, inputs: list[Any], asked: dict[str, Any]) -> Run:
        run = Run(self, flow_id, inputs, asked)
        self.runs[run.id] = run
        run.start()
        return run

    def got(self, params: Any) -> Any:
        optional = {
            "wait": (bool,),
            "includeResults": (bool,),
            "resultOrder": (str,),
            "observability": (dict,),
            "timeoutSecs": (int,),
        }
        asked = needed(params, {"runId": (str,)}, optional)
        order = asked["resultOrder"] or "by_index"
        if broken("SF-RUN-014:refused") and order == "by_completion":
            order = "another"
        if order not in ("by_index", "by_completion") and not (broken("SF-RUN-014") and order == "byIndex"):
            raise Fault(-32602, "Invalid params: resultOrder is by_index or by_completion")
        try:
            uuid.UUID(asked["runId"])
        except ValueError:
            raise Fault(-32603 if broken("SF-RUN-018") else -32012, "Invalid run id") from None
        run = self.runs.get(asked["runId"])
        if run is None and broken("SF-RUN-017"):
            run = Run(self, next(iter(self.runs.values())).flow_id, [], {})
        if run is None:
            raise Fault(-32000, "Run not found")
        if asked["wait"] and not broken("SF-RUN-013"):
            run.wait()
        by_completion = order == "by_completion" and not broken("SF-RUN-015")
        told = run.told(results=bool(asked["includeResults"]) or broken("SF-RUN-012"), by_completion=by_completion)
        if broken("SF-RUN-011"):
            told["flowId"] = told["runId"]
        return as_told(told)

    # --- HTTP -------------------------------------------------------------------------------------

    def asked(self, method: str, path: str, value: Any) -> tuple[int, Any]:
        """Status and answer to a request of the API."""
        match method, path.removeprefix("/api/v1/").split("/"):
            case "GET", ["health"]:
                return 200, {"status": "healthy", "timestamp": now(), "version": "0"}
            case "GET", ["components"]:
                return 200, {"components": self.components()}
            case "POST", ["flows"]:
                return self.flow_stored(value)
            case "GET", ["flows", name] if self.blobs.get(name, ("",))[0] == "flow":
                return 200, {"flow": self.blobs[name][1], "flowId": name}
            case "POST", ["runs"]:
                return self.run_begun(value)
            case "GET", ["runs"]:
                return 200, {"runs": [it.told(results=False) for it in reversed(self.runs.values())]}
            case method, ["runs", name, *rest] if name in self.runs:
                return self.of_run(method, self.runs[name], rest)
            case _:
                return 404, {"code": 404, "message": "not found"}

    def components(self) -> list[Any]:
        found: list[Any] = []
        for worker in self.workers.values():
            with contextlib.suppress(StepFailed, TypeError, KeyError):  # a worker that cannot tell has none to tell of
                found += worker.call("components/list", {})["components"]
        return found

    def flow_stored(self, value: Any) -> tuple[int, Any]:
        diagnostics = {"diagnostics": [], "numFatal": 0, "numError": 0, "numWarning": 0}
        try:
            flow = read_flow(value["flow"])
        except (ValueError, KeyError, TypeError) as reason:
            return 422, {"code": 422, "message": str(reason)}
        return 200, {"flowId": self.stored("flow", flow), "stored": True, "diagnostics": diagnostics}

    def run_begun(self, value: Any) -> tuple[int, Any]:
        if not isinstance(value, dict) or not isinstance(value.get("input"), list):
            return 422, {"code": 422, "message": "input is an array"}
        if self.blobs.get(value.get("flowId", ""), ("",))[0] != "flow":
            return 404, {"code": 404, "message": "flow not found"}
        if value.get("maxConcurrency") == 0:
            return 400, {"code": 400, "message": "maxConcurrency is at least 1"}
        run = self.begun(value["flowId"], value["input"], value)
        if not value.get("wait", True):
            return 202, run.told(results=False)
        run.wait(value.get("timeoutSecs"))
        return 200, run.told(results=True)

    def of_run(self, method: str, run: Run, rest: list[str]) -> tuple[int, Any]:
        match method, rest:
            case "GET", []:
                root = next(iter(self.runs)) if broken("SF-RUN-025") else run.id
                return 200, {**run.told(results=False), "rootRunId": root}
            case "GET", ["items"]:
                told = run.told(results=True)
                return 200, {"itemCount": len(run.items), "items": told["results"]}
            case "POST", ["cancel"]:
                if run.is_over():
                    return 409, {"code": 409, "message": "the run has ended"}
                run.cancel()
                return 200, run.told(results=False)
            case "DELETE", []:
                if not run.is_over():
                    return 409, {"code": 409, "message": "the run has not ended"}
                if broken("SF-LIFE-008:kept"):
                    return 204, None
                del self.runs[run.id]
                return 204, None
            case _:
                return 404, {"code": 404, "message": "not found"}


def server(runtime: Runtime, port: int) -> ThreadingHTTPServer:
    """The API on a local port, 0 for any free one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def do_DELETE(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            try:
                value = parse(body) if body else None
                status, told = runtime.asked(self.command, self.path.partition("?")[0], value)
            except ValueError as reason:
                status, told = 400, {"code": 400, "message": str(reason)}
            data = b"" if told is None else dump(told)
            self.send_response(status)
            self.send_header("content-type", JSON)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Stays silent."""

    made = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    made.daemon_threads = True
    made.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away on purpose
    return made


def main(config: str, *defects: str) -> int:
    global DEFECTS  # noqa: PLW0603 - set once, before anything runs
    DEFECTS = frozenset(defects)
    told = json.loads(Path(config).read_text("utf-8"))
    runtime = Runtime(told)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    try:
        runtime.start()
        made = server(runtime, told.get("port", 0))
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        print(json.dumps({"port": made.server_address[1]}), flush=True)
        over.wait()
    except NotUp as reason:
        print(reason, file=sys.stderr)
        return 1
    finally:
        for process in PROCESSES:
            with contextlib.suppress(ProcessLookupError):
                (os.kill if broken("SF-PROC-006") else os.killpg)(process.pid, signal.SIGTERM)
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that wait for workers are not waited for
