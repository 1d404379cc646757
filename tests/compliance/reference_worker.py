"""A small correct worker of Stepflow 0.9, written apart from the runtime, with single defects.

It is reached over Streamable HTTP, in sessions at /runtime/events, or with `--stdio` by lines. It has /echo, /fail,
/sleep, /put, /get, /prints and /unwritable. A defect is named after the clause that it breaks, with a word after a
colon where there are several.

Run it by hand: python tests/compliance/reference_worker.py [--stdio] [DEFECT ...]
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import queue
import select
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MAX_BODY = 16 * 1024 * 1024
MAX_DEPTH = 900
INSTANCE = "reference"
NUMBER = {"type": "object", "properties": {"seconds": {"type": "number"}}, "required": ["seconds"]}
COMPONENTS: dict[str, dict[str, Any]] = {
    "/echo": {"component": "/echo", "description": "Gives its input back."},
    "/fail": {"component": "/fail"},
    "/sleep": {"component": "/sleep", "input_schema": NUMBER, "output_schema": {"type": "number"}},
    "/put": {"component": "/put", "output_schema": {"type": "string"}},
    "/get": {"component": "/get", "input_schema": {"type": "string"}},
    "/prints": {"component": "/prints"},
    "/unwritable": {"component": "/unwritable"},
}
CALLBACK_SECONDS = 5.0


class Fault(Exception):
    def __init__(self, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **more}


class Call:
    """One execution: `ask` puts a callback on its stream and waits for the answer."""

    def __init__(self, worker: ReferenceWorker, stream: Any, gone: Any = None) -> None:
        self.worker = worker
        self.stream = stream
        self.gone = gone or (lambda: False)

    def ask(self, method: str, params: Any) -> Any:
        worker = self.worker
        number: Any = next(worker.ids)
        name: Any = number if worker.broken("SF-MSG-008") else f"{uuid.uuid4()}"
        if worker.broken("SF-MSG-005"):
            name = None if number == 3 else name
        box: queue.Queue[Any] = queue.Queue()
        worker.waiting[worker.key(name)] = box
        if worker.broken("SF-SSE-012"):
            box.put({"error": {"code": -32006, "message": "nobody answered on this connection"}})
        message = {"jsonrpc": "2.0", "id": name, "method": method, "params": params}
        if worker.broken("SF-MSG-010"):
            self.stream({"jsonrpc": "2.0", "method": method})
        if worker.broken("SF-LIFE-001"):
            self.stream({"jsonrpc": "2.0", "method": "progress", "params": {}})
        self.stream(message)
        try:
            answer = box.get(timeout=CALLBACK_SECONDS)
        except queue.Empty:
            raise Fault(-32006, "nobody answered") from None
        finally:
            worker.waiting.pop(worker.key(name), None)
        if "error" in answer:
            if worker.broken("SF-SSE-010"):
                return {"blob_id": None, "data": None}
            if worker.broken("SF-MSG-017") and answer["error"].get("data") == []:
                return {"data": None}
            raise Fault(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]


class ReferenceWorker:
    """Serves on a free local port between `with` and its end."""

    def __init__(self, *defects: str) -> None:
        self.defects = frozenset(defects)
        self.ids = itertools.count(1)
        self.waiting: dict[str, queue.Queue[Any]] = {}
        self.lock = threading.Lock()
        self.handshakes = 0
        self.sessions: dict[str, Any] = {}
        self.disturbed = threading.Event()
        worker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                worker.post(self)

            def do_GET(self) -> None:
                if self.path == "/runtime/events":
                    worker.session(self)
                    return
                if self.path != "/health" or worker.broken("SF-HEALTH-001"):
                    self.plain(404, b"")
                    return
                body = {"status": "healthy", "instanceId": INSTANCE, "timestamp": "2026-01-01T00:00:00Z"}
                body["service"] = "reference"
                if worker.broken("SF-HEALTH-002"):
                    body["status"] = "fine"
                if worker.broken("SF-HEALTH-003"):
                    del body["instanceId"]
                self.plain(200, json.dumps(body).encode())

            def do_PUT(self) -> None:
                self.plain(405, b"", ("allow", "POST, GET"))

            def plain(
                self, status: int, body: bytes, *headers: tuple[str, str], kind: str = "application/json"
            ) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                for name, value in headers:
                    self.send_header(name, value)
                if status >= 400 or worker.broken("SF-HTTP-012"):
                    self.close_connection = True
                    self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                """Stays silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away on purpose
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> ReferenceWorker:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def broken(self, name: str) -> bool:
        return name in self.defects

    def key(self, number: Any) -> str:
        return json.dumps(number)

    # --- HTTP -------------------------------------------------------------------------------------

    def post(self, http: Any) -> None:
        length = int(http.headers["content-length"])
        if length > MAX_BODY:
            return http.plain(413, b"")
        body = http.rfile.read(length)
        known = self.sessions.get(http.path.removeprefix("/session/"))
        lost = http.path.startswith("/session/") and known is None and not self.broken("SF-SESS-009")
        if http.path != "/" and not http.path.startswith("/session/"):
            return http.plain(404, b"")
        if not (http.headers.get("content-type") or "").startswith("application/json"):
            return http.plain(200 if self.broken("SF-HTTP-009") else 415, b"")
        message = self.read(body)
        if isinstance(message, Fault):
            return self.respond(http, {"jsonrpc": "2.0", "id": None, "error": message.error})
        if "method" not in message:
            box = self.waiting.get(self.key(message.get("id")))
            if box is None:
                return http.plain(200 if self.broken("SF-HTTP-007") else 400, b"")
            box.put(message)
            return http.plain(200 if self.broken("SF-HTTP-006") else 202, b"")
        if "id" not in message:
            return http.plain(200 if self.broken("SF-HTTP-005") else 202, b'""')
        if lost:
            error = {"code": -32600, "message": "no such session"}
            return http.plain(400, json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode())
        if http.path.startswith("/session/"):
            return self.in_session(http, message, known)
        return self.request(http, message)

    # --- sessions ---------------------------------------------------------------------------------

    def session(self, http: Any) -> None:
        """Serves the stream of a session until its reader goes away."""
        name = f"{uuid.uuid4()}"
        http.send_response(200)
        http.send_header("content-type", "text/event-stream")
        http.send_header("transfer-encoding", "chunked")
        http.end_headers()
        lock = threading.Lock()

        def send(kind: str, value: Any) -> None:
            piece = f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()
            with lock:
                http.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                http.wfile.flush()

        self.sessions[name] = send
        send("hello" if self.broken("SF-SESS-002") else "endpoint", {"endpoint": f"/session/{name}"})
        select.select([http.connection], [], [])  # nothing comes but the end
        if not self.broken("SF-SESS-011"):
            del self.sessions[name]
        http.close_connection = True

    def in_session(self, http: Any, message: dict[str, Any], send: Any) -> None:
        if self.broken("SF-SESS-010"):
            send = list(self.sessions.values())[-1]
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}

        def ask(callback: Any) -> None:
            if self.broken("SF-SESS-006"):
                raise Fault(-32006, "no way to call")
            send("message", callback)

        try:
            reply["result"] = self.serve(message["method"], message.get("params"), Call(self, ask))
        except Fault as fault:
            reply["error"] = fault.error
        if self.broken("SF-SESS-005") and message["method"] == "initialize":
            send("message", reply)
            return http.plain(202, b"")
        return self.respond(http, reply)

    # --- lines ------------------------------------------------------------------------------------

    def serve_lines(self) -> None:
        """Serves standard input until its end."""
        out, lock = sys.stdout.buffer, threading.Lock()
        turns: list[int] = []
        spoilt = b""

        def write(message: Any) -> None:
            with lock:
                out.write(json.dumps(message).encode() + b"\n")
                out.flush()

        def run(message: dict[str, Any], turn: int) -> None:
            reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
            try:
                reply["result"] = self.serve(message["method"], message.get("params"), Call(self, write))
                json.dumps(reply)
            except TypeError:
                reply = {**reply, "error": {"code": -32603, "message": "Internal error"}}
                del reply["result"]
            except Fault as fault:
                reply["error"] = fault.error
            while self.broken("SF-STDIO-005") and turns[0] != turn:
                threading.Event().wait(0.01)
            if self.broken("SF-STDIO-001") and reply.get("result") == {"output": 1}:
                with lock:
                    out.write(b"executed /echo\n")
            write(reply)
            turns.remove(turn)

        for number, line in enumerate(sys.stdin.buffer):
            message = self.read(spoilt + line)
            spoilt = b""
            if isinstance(message, Fault):
                if self.broken("SF-STDIO-007") and line[:1].isalpha() and line != b"null\n":
                    spoilt = line
                write({"jsonrpc": "2.0", "id": None, "error": message.error})
            elif "method" not in message:
                boxes = [*self.waiting.values()] if self.broken("SF-STDIO-004") else []
                box = next(iter(boxes), self.waiting.get(self.key(message.get("id"))))
                if box is not None:
                    box.put(message)
                    threading.Event().wait(0.02 if boxes else 0)
            elif "id" in message:
                turns.append(number)
                threading.Thread(target=run, args=(message, number), daemon=True).start()

    # --- messages ---------------------------------------------------------------------------------

    def read(self, body: bytes) -> Any:
        parse = Fault(-32600 if self.broken("SF-ERR-002") else -32700, "Parse error")
        invalid = Fault(-32602 if self.broken("SF-ERR-003") else -32600, "Invalid request")
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return Fault(-32001, "odd") if self.broken("SF-ERR-006") else parse
        try:
            message = json.loads(text, parse_constant=self.constant)
            json.dumps(message, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return parse
        if self.broken("SF-MSG-022") and isinstance(message, list) and message:
            message = message[0]
        if not isinstance(message, dict):
            return invalid
        number = message.get("id", "")
        good = isinstance(number, str) or (isinstance(number, int) and not isinstance(number, bool))
        if self.broken("SF-MSG-007") and isinstance(number, float):
            good = True
        if self.broken("SF-MSG-009") and number is None:
            good = True
        if not good:
            return invalid
        if "method" in message and not isinstance(message["method"], str):
            return invalid
        if self.broken("SF-MSG-020") and next(iter(message), "") == "params":
            return {**message, "params": {}}
        if "method" not in message and "result" not in message and "error" not in message:
            return invalid
        return message

    def constant(self, name: str) -> Any:
        if self.broken("SF-MSG-023"):
            return 0
        raise ValueError(name)

    def respond(self, http: Any, reply: dict[str, Any]) -> None:
        status = 200
        if http.headers.get("accept") == "text/html":
            if self.broken("SF-MSG-001"):
                del reply["result"]
            if self.broken("SF-MSG-021"):
                http.plain(200, json.dumps([reply]).encode())
                return
        if "error" in reply:
            status = 400 if self.broken("SF-HTTP-008") and reply["id"] is not None else 200
            if self.broken("SF-ERR-001"):
                reply = {"error": reply["error"]}
            elif self.broken("SF-MSG-015"):
                reply = {**reply, "error": {k: v for k, v in reply["error"].items() if k != "message"}}
        elif self.broken("SF-MSG-002"):
            del reply["jsonrpc"]
        elif self.broken("SF-MSG-013"):
            reply["error"] = None
        if self.broken("SF-HTTP-001") and "server_protocol_version" in reply.get("result", ()):
            status = 201
        kind = "text/plain" if self.broken("SF-HTTP-004") else "application/json"
        data = json.dumps(reply, ensure_ascii=not self.broken("SF-MSG-027")).encode()
        data = b"\xef\xbb\xbf" + data if self.broken("SF-MSG-027") and "error" in reply else data
        http.plain(status, data, kind=kind)

    def request(self, http: Any, message: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if self.broken("SF-MSG-006") and message["id"] == 2**53 + 1:
            reply["id"] = float(message["id"])
        stream = self.streaming(http)
        component = None
        params = message.get("params") or {}
        if message["method"] == "components/execute" and isinstance(params, dict):
            component = params.get("component")
        streamed = component in ("/put", "/get") and not self.broken("SF-SSE-001")
        unasked = self.broken("SF-METH-006") and message["method"] == "components/info" and params.get("component")
        if streamed or unasked or (self.broken("SF-SSE-026") and message["method"] == "initialize"):
            http.send_response(200)
            http.send_header("content-type", "text/event-stream")
            http.send_header("transfer-encoding", "chunked")
            if not self.broken("SF-SSE-002"):
                http.send_header("stepflow-instance-id", INSTANCE)
            http.end_headers()
            streamed = True
        if unasked:
            stream({"jsonrpc": "2.0", "id": f"{uuid.uuid4()}", "method": "blobs/get", "params": {"blob_id": "0" * 64}})

        def gone() -> bool:
            return bool(select.select([http.connection], [], [], 0)[0])

        try:
            reply["result"] = self.serve(message["method"], message.get("params"), Call(self, stream, gone))
            json.dumps(reply)
        except TypeError:
            code = -32000 if self.broken("SF-ERR-005") else -32603
            reply = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": "Internal error"}}
        except Fault as fault:
            reply["error"] = fault.error
        if not streamed:
            self.respond(http, reply)
            return
        if self.broken("SF-SSE-007") and "error" in reply:
            reply["id"] = None
        stream(reply)
        if self.broken("SF-SSE-006"):
            stream({"jsonrpc": "2.0", "method": "initialized", "params": {}})
        http.wfile.write(b"0\r\n\r\n")

    def streaming(self, http: Any) -> Any:
        def send(message: Any) -> None:
            text = json.dumps(message, ensure_ascii=False)
            event = f"data: {text}\n\n".encode()
            if self.broken("SF-SSE-004"):
                event = f"data: {text}\r\n\r\n".encode()
            if self.broken("SF-SSE-004:space"):
                event = f"data:{text}\n\n".encode()
            if self.broken("SF-SSE-003") and "method" in message:
                event = b"data: not JSON\n\n" + event
            at = event.find("ü".encode())
            pieces = [event[: at + 1], event[at + 1 :]] if self.broken("SF-SSE-005") and at >= 0 else [event]
            for piece in pieces:
                http.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                http.wfile.flush()
                if len(pieces) > 1:
                    threading.Event().wait(0.05)

        return send

    # --- methods ----------------------------------------------------------------------------------

    def serve(self, method: str, params: Any, call: Call) -> Any:
        if params is None:
            params = {}
        known = ("initialize", "components/list", "components/info", "components/execute", "components/infer_schema")
        if method not in known or (self.broken("SF-METH-001") and method == "components/info"):
            foreign = method.startswith("blobs/")
            wrong = self.broken("SF-METH-008") if foreign else self.broken("SF-METH-007")
            raise Fault(-32600 if wrong and method != "components/info" else -32601, "Method not found")
        if not isinstance(params, dict):
            if self.broken("SF-MSG-012"):
                params = {}
            else:
                raise Fault(-32602, "Invalid params")
        if self.broken("SF-MSG-018") and "unknown" in params:
            raise Fault(-32602, "Invalid params")
        if self.broken("SF-MSG-019") and params.get("observability", {}) is None:
            raise Fault(-32602, "Invalid params")
        if method == "initialize":
            return self.initialize(params)
        if method == "components/list":
            return self.listed()
        component = params.get("component")
        if not isinstance(component, str):
            raise Fault(-32600 if self.broken("SF-ERR-004") else -32602, "Invalid params")
        if method == "components/execute":
            return self.execute(component, params, call)
        if component not in COMPONENTS:
            raise Fault(-32000 if self.broken("SF-COMP-008") else -32001, "Component not found")
        if method == "components/infer_schema":
            return {"output_schema": "any" if self.broken("SF-COMP-009") else None}
        described = dict(COMPONENTS[component])
        if self.broken("SF-COMP-004") and component == "/sleep":
            described["description"] = "something else"
        return described if self.broken("SF-COMP-007") else {"info": described}

    def initialize(self, params: dict[str, Any]) -> Any:
        version = params.get("runtime_protocol_version")
        if self.broken("SF-INIT-005") and version is None:
            version = 1
        if isinstance(version, bool) or not isinstance(version, int) or version < 0:
            raise Fault(-32602, "Invalid params")
        if self.broken("SF-INIT-008"):
            self.handshakes += 1
            return {"server_protocol_version": 1, "count": self.handshakes}
        if self.broken("SF-INIT-006"):
            return {"server_protocol_version": version}
        return {"server_protocol_version": "1" if self.broken("SF-INIT-004") else 1}

    def listed(self) -> Any:
        found = [dict(it) for it in COMPONENTS.values()]
        if self.broken("SF-COMP-002"):
            found.append({"name": "/other"})
        if self.broken("SF-COMP-003"):
            found[0]["input_schema"] = {"type": "anything"}
        if self.broken("SF-COMP-004:gone"):
            found.append({"component": "/gone"})
        if self.broken("SF-COMP-005"):
            found.append({"component": "/x/{y}"})
        return found if self.broken("SF-COMP-001") else {"components": found}

    def execute(self, component: str, params: dict[str, Any], call: Call) -> Any:
        attempt, observability, value = params.get("attempt"), params.get("observability"), params.get("input")
        if "input" not in params or not isinstance(attempt, int) or not isinstance(observability, dict):
            raise Fault(-32602, "Invalid params")
        if self.broken("SF-EXEC-014") and attempt == 0:
            raise Fault(-32602, "Invalid params")
        if self.broken("SF-EXEC-016") and attempt == 2:
            raise Fault(-32000, "again?")
        if self.broken("SF-EXEC-015"):
            with self.lock:
                return self.run(component, value, call)
        return self.run(component, value, call)

    def run(self, component: str, value: Any, call: Call) -> Any:
        match component:
            case "/echo":
                if self.broken("SF-EXEC-007") and value == "":
                    value = None
                if self.broken("SF-MSG-024") and isinstance(value, int) and value == 2**64 - 1:
                    value = float(value)
                if self.broken("SF-MSG-025") and isinstance(value, list) and "[" * 90 in json.dumps(value):
                    raise Fault(-32603, "too deep")
                if self.broken("SF-EXEC-005") and value is None:
                    return {}
                return {"output": value}
            case "/fail":
                if self.broken("SF-EXEC-010"):
                    return {"output": None}
                text = "Traceback (most recent call last)" if self.broken("SF-EXEC-013") else "it failed"
                raise Fault(-32000 if self.broken("SF-EXEC-011") else -32004, text)
            case "/sleep":
                seconds = value.get("seconds") if isinstance(value, dict) else None
                if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                    raise Fault(-32004 if self.broken("SF-EXEC-012") else -32003, "Invalid input")
                end = time.monotonic() + seconds
                while self.broken("SF-LIFE-003") and time.monotonic() < end:
                    if call.gone():
                        self.disturbed.set()  # one that was abandoned takes along those that run beside it
                    if self.disturbed.wait(0.02):
                        raise Fault(-32000, "cancelled")
                threading.Event().wait(max(0.0, end - time.monotonic()))
                return {"output": time.monotonic()}
            case "/prints":
                if self.broken("SF-STDIO-003"):
                    raise Fault(-32000, "standard output is taken")
                print(value, file=sys.stderr)
                return {"output": value}
            case "/unwritable":
                return {"output": {1, 2}}
            case "/put":
                if self.broken("SF-SSE-001"):
                    return {"output": "0" * 64}
                stored = value
                if self.broken("SF-SSE-008") and isinstance(value, dict) and value.get("n") == 3:
                    stored = {"n": 4}
                return {"output": call.ask("blobs/put", {"data": stored, "blob_type": "data"})["blob_id"]}
            case "/get":
                if not isinstance(value, str):
                    raise Fault(-32004 if self.broken("SF-EXEC-012") else -32003, "Invalid input")
                if self.broken("SF-SSE-001"):
                    raise Fault(-32008, "no blobs here")
                return {"output": call.ask("blobs/get", {"blob_id": value})["data"]}
            case _:
                data = {} if self.broken("SF-EXEC-009") else {"data": {"component": component}}
                raise Fault(-32000 if self.broken("SF-EXEC-008") else -32001, "Component not found", **data)


def is_first() -> bool:
    """Whether no other one that the same process started is running."""
    # Open, and so locked, until the end.
    file = (Path(tempfile.gettempdir()) / f"reference-worker-{os.getppid()}").open("w")
    LOCKS.append(file)
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


LOCKS: list[Any] = []


def main(words: list[str]) -> None:
    if words[:1] == ["--stdio"]:
        ReferenceWorker(*words[1:]).serve_lines()
        return
    with ReferenceWorker(*words) as running:
        port = running.server.server_address[1]
        # With the defect a second one beside the first prints a port that it does not listen at.
        print(json.dumps({"port": port if "SF-PROC-001" not in words or is_first() else 1}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
