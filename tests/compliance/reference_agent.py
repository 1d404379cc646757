"""A small correct agent of A2A 1.0, with 0.3 beside it, written apart from the runtime, with single defects.

It answers a message by a task with an artifact; the skill `sleep` works for as many seconds as its data says. A defect
is named after the clause that it breaks, with a word after a colon where there are several.

Run it by hand: python tests/compliance/reference_agent.py [DEFECT ...]
"""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CARD = "/.well-known/agent-card.json"
ETAG = '"1"'
DOMAIN = "a2a-protocol.org"
TYPE = "type.googleapis.com/google.rpc.ErrorInfo"
REASONS = {
    -32001: "TASK_NOT_FOUND",
    -32002: "TASK_NOT_CANCELABLE",
    -32004: "UNSUPPORTED_OPERATION",
    -32009: "VERSION_NOT_SUPPORTED",
}
TERMINAL = ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED")
WORKING, COMPLETED = "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"


class Fault(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Task:
    """A task, its receivers, and who listens to it."""

    def __init__(self, owner: str, message: Any) -> None:
        self.owner = owner
        self.id = str(uuid.uuid4())
        self.context = message.get("contextId") or str(uuid.uuid4())
        self.state = WORKING
        self.timestamp = ""
        self.history = [message]
        self.artifacts: list[Any] = []
        self.receivers: dict[str, Any] = {}
        self.listeners: list[queue.Queue[Any]] = []
        self.over = threading.Event()

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL

    def status(self) -> Any:
        return {"state": self.state, "timestamp": self.timestamp}

    def shown(self, *, artifacts: bool = True, history: int | None = None) -> Any:
        kept = self.history if history is None else self.history[len(self.history) - min(history, len(self.history)) :]
        whole = {"id": self.id, "contextId": self.context, "status": self.status(), "history": kept}
        return {**whole, "artifacts": self.artifacts} if artifacts else whole

    def of_0_3(self) -> Any:
        state = self.state.removeprefix("TASK_STATE_").lower()
        status = {"state": state, "timestamp": self.timestamp}
        return {"kind": "task", "id": self.id, "contextId": self.context, "status": status}


class ReferenceAgent:
    """Serves on a free local port between `with` and its end; `tokens` names the users."""

    def __init__(self, *defects: str, tokens: dict[str, str] | None = None) -> None:
        self.defects = frozenset(defects)
        self.tokens = tokens or {}
        self.tasks: dict[str, Task] = {}
        self.lock = threading.RLock()
        self.last = datetime.now(UTC)
        self.numbers = itertools.count(1)
        agent = self

        class Handler(_Handler):
            pass

        Handler.agent = agent
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away on purpose
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> ReferenceAgent:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def broken(self, name: str) -> bool:
        return name in self.defects

    def now(self) -> str:
        with self.lock:
            self.last = max(datetime.now(UTC), self.last + timedelta(microseconds=1))
            return self.last.isoformat(timespec="microseconds").replace("+00:00", "Z")

    # --- JSON-RPC ---------------------------------------------------------------------------------

    def error(self, number: Any, fault: Fault) -> Any:
        made: dict[str, Any] = {"code": fault.code, "message": fault.message}
        if fault.code in REASONS:
            info: Any = {"@type": TYPE, "reason": REASONS[fault.code], "domain": DOMAIN}
            made["data"] = info if self.broken("AA-ERR-001") else [info]
        return {"jsonrpc": "2.0", "id": number, "error": made}

    def reply(self, request: Any, version: str, user: str) -> Any:
        """The response to a request, or its responses one after the other, where it streams."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return self.error(None, Fault(-32600, "Invalid Request"))
        number, method, params = request.get("id"), request["method"], request.get("params", {})
        tables = {"1.0": self.new, "0.3": self.old, "": self.old}
        try:
            if version not in tables and not self.broken("AA-VER-003"):
                raise Fault(-32009, "This version is not supported")
            if not isinstance(params, dict):
                raise Fault(-32602, "Invalid params")
            result = tables.get(version, self.new)(method, params, user)
        except Fault as fault:
            return self.error(number, fault)
        if isinstance(result, Iterator):
            named = number if not self.broken("AA-STREAM-001") else None
            return ({"jsonrpc": "2.0", "id": named, "result": it} for it in result)
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def new(self, method: str, params: Any, user: str) -> Any:
        handlers = {
            "SendMessage": self.send,
            "SendStreamingMessage": self.stream,
            "SubscribeToTask": self.subscribe,
            "GetTask": self.get,
            "CancelTask": self.cancel,
            "ListTasks": self.list,
            "CreateTaskPushNotificationConfig": self.create_receiver,
            "GetTaskPushNotificationConfig": self.get_receiver,
            "ListTaskPushNotificationConfigs": self.list_receivers,
            "DeleteTaskPushNotificationConfig": self.delete_receiver,
        }
        if method not in handlers:
            raise Fault(-32601, "Method not found")
        return handlers[method](params, user)

    def old(self, method: str, params: Any, user: str) -> Any:
        if method == "message/send":
            sent = self.send({"message": params.get("message")}, user)
            return sent if self.broken("AA-VER-002") else self.tasks[sent["task"]["id"]].of_0_3()
        if method == "tasks/get":
            task = self.find(params.get("id"), user)
            return task.shown() if self.broken("AA-VER-001") else task.of_0_3()
        raise Fault(-32601, "Method not found")

    # --- messages ---------------------------------------------------------------------------------

    def begin(self, params: Any, user: str) -> Task:
        """Makes the task of a message and begins it."""
        message = params.get("message")
        if not isinstance(message, dict) or not isinstance(message.get("parts"), list):
            raise Fault(-32602, "Invalid params")
        if "taskId" in message:
            known = self.find(message["taskId"], user)
            if message.get("contextId", known.context) != known.context and not self.broken("AA-SEND-004"):
                raise Fault(-32602, "The context is not that of the task")
            if known.ended and not self.broken("AA-SEND-003"):
                raise Fault(-32004, "The task has come to an end")
        task = Task(user, message)
        task.timestamp = self.now()
        with self.lock:
            self.tasks[task.id] = task
        seconds = [it["data"].get("seconds", 0) for it in message["parts"] if isinstance(it.get("data"), dict)]
        slow = (message.get("metadata") or {}).get("skill") == "sleep"
        if slow:
            threading.Thread(target=self.work, args=(task, sum(seconds)), daemon=True).start()
        return task

    def work(self, task: Task, seconds: float) -> None:
        threading.Event().wait(seconds)
        self.end(task, COMPLETED)

    def end(self, task: Task, state: str) -> None:
        with self.lock:
            if task.ended:
                return
            task.state, task.timestamp = state, self.now()
            task.artifacts = [{"artifactId": "result", "parts": [{"text": "done"}]}]
            update = {"statusUpdate": {"taskId": task.id, "contextId": task.context, "status": task.status()}}
            for listener in task.listeners:
                listener.put(update)
                listener.put(None)
        task.over.set()
        for receiver in list(task.receivers.values()):
            self.push(receiver, update)

    def send(self, params: Any, user: str) -> Any:
        task = self.begin(params, user)
        slow = (task.history[0].get("metadata") or {}).get("skill") == "sleep"
        if not slow:
            self.end(task, COMPLETED)
        at_once = (params.get("configuration") or {}).get("returnImmediately") is True
        if not at_once and not self.broken("AA-SEND-002"):
            task.over.wait(30)
        found: dict[str, Any] = {"task": task.shown()}
        if self.broken("AA-SEND-001"):
            found["message"] = {"messageId": str(uuid.uuid4()), "role": "ROLE_AGENT", "parts": [{"text": "done"}]}
        return found

    def events(self, task: Task) -> Iterator[Any]:
        """The task, then what happens to it until its end."""
        feed: queue.Queue[Any] = queue.Queue()
        with self.lock:
            first: Any = {"task": task.shown()}
            task.listeners.append(feed)
        yield first
        while (event := feed.get()) is not None:
            yield event

    def stream(self, params: Any, user: str) -> Iterator[Any]:
        task = self.begin(params, user)
        found = self.events(task)
        yield next(found)
        self.end(task, COMPLETED)
        if not self.broken("AA-STREAM-002"):
            yield from found

    def subscribe(self, params: Any, user: str) -> Iterator[Any]:
        task = self.find(params.get("id"), user)
        if task.ended:
            if not self.broken("AA-STREAM-004"):
                raise Fault(-32004, "The task has come to an end")
            return iter([{"task": task.shown()}])
        found = self.events(task)
        if self.broken("AA-STREAM-003"):
            next(found)
        return found

    # --- tasks ------------------------------------------------------------------------------------

    def find(self, name: Any, user: str) -> Task:
        task = self.tasks.get(name) if isinstance(name, str) else None
        if task is None:
            raise Fault(-32602 if self.broken("AA-TASK-001") else -32001, "There is no such task")
        if task.owner != user:
            raise Fault(-32001, "It is not yours" if self.broken("AA-TASK-001:user") else "There is no such task")
        return task

    def get(self, params: Any, user: str) -> Any:
        length = None if self.broken("AA-TASK-003") else params.get("historyLength")
        return self.find(params.get("id"), user).shown(history=length)

    def cancel(self, params: Any, user: str) -> Any:
        task = self.find(params.get("id"), user)
        if task.ended and not self.broken("AA-TASK-002"):
            raise Fault(-32002, "The task has come to an end")
        self.end(task, "TASK_STATE_CANCELED")
        return task.shown()

    def list(self, params: Any, user: str) -> Any:
        with self.lock:
            own = [it for it in self.tasks.values() if it.owner == user]
        own.sort(key=lambda it: it.timestamp, reverse=not self.broken("AA-LIST-001"))
        start, size = int(params.get("pageToken") or 0), params.get("pageSize", 50)
        artifacts = params.get("includeArtifacts") is True or self.broken("AA-LIST-003")
        page = [it.shown(artifacts=artifacts) for it in own[start : start + size]]
        following = str(start + size) if start + size < len(own) else ""
        found = {"tasks": page, "totalSize": len(own), "pageSize": size, "nextPageToken": following}
        if self.broken("AA-LIST-002") and not following:
            del found["nextPageToken"]
        return found

    # --- pushes -----------------------------------------------------------------------------------

    def create_receiver(self, params: Any, user: str) -> Any:
        task = self.find(params.get("taskId"), user)
        made = {**params, "id": params.get("id") or f"receiver-{next(self.numbers)}"}
        task.receivers[made["id"]] = made
        return made

    def get_receiver(self, params: Any, user: str) -> Any:
        task = self.find(params.get("taskId"), user)
        if params.get("id") not in task.receivers:
            raise Fault(-32602, "There is no such receiver")
        return task.receivers[params["id"]]

    def list_receivers(self, params: Any, user: str) -> Any:
        return {"configs": list(self.find(params.get("taskId"), user).receivers.values())}

    def delete_receiver(self, params: Any, user: str) -> Any:
        receivers = self.find(params.get("taskId"), user).receivers
        if not self.broken("AA-PUSH-001"):
            receivers.pop(params.get("id"), None)
        return {}

    def push(self, receiver: Any, update: Any) -> None:
        parts = urlsplit(receiver["url"])
        headers = {"content-type": "application/json" if self.broken("AA-PUSH-002") else "application/a2a+json"}
        authentication = receiver.get("authentication")
        if authentication and not self.broken("AA-PUSH-003"):
            headers["authorization"] = f"{authentication['scheme']} {authentication['credentials']}"
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
        try:
            connection.request("POST", parts.path or "/", json.dumps(update), headers)
            connection.getresponse().read()
        except OSError:
            pass  # a push is sent once
        finally:
            connection.close()

    # --- the card ---------------------------------------------------------------------------------

    def card(self) -> Any:
        found: dict[str, Any] = {
            "name": "reference agent",
            "description": "An agent for tests.",
            "version": "1.0",
            "supportedInterfaces": [{"url": self.url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
            "capabilities": {"streaming": True, "pushNotifications": True},
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
            "skills": [{"id": "sleep", "name": "sleep", "description": "Waits.", "tags": ["time"]}],
        }
        if self.broken("AA-CARD-001"):
            del found["skills"]
        return found


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections."""

    agent: ReferenceAgent
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path != CARD:
            return self.send(404, b"")
        cached = {} if self.agent.broken("AA-CARD-002") else {"cache-control": "max-age=60", "etag": ETAG}
        if cached and self.headers.get("if-none-match") == ETAG:
            return self.send(304, b"", cached)
        return self.send(200, json.dumps(self.agent.card()).encode(), cached)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        try:
            request = json.loads(body)
        except ValueError:
            return self.send(200, json.dumps(self.agent.error(None, Fault(-32700, "Parse error"))).encode())
        user = self.agent.tokens.get(token, "")
        reply = self.agent.reply(request, self.headers.get("a2a-version") or "", user)
        if isinstance(reply, dict):
            return self.send(200, json.dumps(reply).encode())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for it in reply:
            piece = f"data: {json.dumps(it)}\n\n".encode()
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        return None

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Stays silent."""


if __name__ == "__main__":
    with ReferenceAgent(*sys.argv[1:]) as running:
        print(json.dumps({"port": running.server.server_address[1]}), flush=True)
        threading.Event().wait()
