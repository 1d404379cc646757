"""A small correct JSON-RPC 2.0 endpoint, written apart from the runtime, with single defects.

It has `add` (numbers a and b, by name or by position) and `fail`. A defect is named after the clause that it breaks.
Most are asked for where the behaviour stands; those of ODD change one reply alone, which nothing else looks at: that to
a request without jsonrpc.

Run it by hand: python tests/compliance/reference_endpoint.py [DEFECT ...]
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MESSAGES = {
    -32700: "Parse error",
    -32600: "Invalid Request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
}


class Fault(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def error(code: int, number: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": MESSAGES.get(code, "odd")}}


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda reply: {key: value for key, value in reply.items() if key != name}


def changed(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda reply: {**reply, "error": {**reply["error"], name: value}}


# What a broken endpoint makes of its reply to a request without jsonrpc.
ODD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "JR-CONV-001": lambda reply: b'{"jsonrpc": "2.0", "id": NaN}',
    "JR-RESP-002": lambda reply: [reply],
    "JR-RESP-003": without("jsonrpc"),
    "JR-RESP-005": lambda reply: {**reply, "result": None},
    "JR-RESP-006": without("error"),
    "JR-RESP-008": without("id"),
    "JR-ERR-001": changed("code", "-32600"),
    "JR-ERR-002": changed("message", 5),
    "JR-ERR-003": changed("message", "one line\nanother line"),
    "JR-ERR-007": changed("code", -32500),
}


class ReferenceEndpoint:
    """Serves on a free local port between `with` and its end."""

    def __init__(self, *defects: str) -> None:
        self.defects = frozenset(defects)
        self.calls = 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                reply = endpoint.reply(body)
                data = b"" if reply is None else reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(200 if data else 204)
                if data:
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                """Stays silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> ReferenceEndpoint:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def broken(self, name: str) -> bool:
        return name in self.defects

    def reply(self, body: bytes) -> Any:
        try:
            message = json.loads(body, parse_constant=self.refuse)
        except ValueError:
            faulty = error(-32600 if self.broken("JR-ERR-008") else -32700, 0 if self.broken("JR-RESP-009") else None)
            return [faulty] if self.broken("JR-BATCH-008") and body.startswith(b"[") else faulty
        if not isinstance(message, list):
            return self.one(message)
        if not message:
            return [error(-32600, None)] if self.broken("JR-BATCH-009") else error(-32600, None)
        if self.broken("JR-BATCH-011") and not all(isinstance(it, dict) for it in message):
            return [error(-32600, None) for _ in message]
        replies = [self.one(it, batch=True) for it in message]
        replies = [it for it in replies if it is not None]
        if self.broken("JR-BATCH-003"):
            replies = replies[:9]
        return replies if replies or self.broken("JR-BATCH-012") else None

    def refuse(self, name: str) -> Any:
        raise ValueError(name)

    def one(self, message: Any, *, batch: bool = False) -> Any:
        if not isinstance(message, dict):
            if batch and self.broken("JR-BATCH-010"):
                return error(-32600, 0)
            return error(-32601 if self.broken("JR-ERR-009") and not batch else -32600, None)
        number = message.get("id")
        good_id = number is None or (isinstance(number, str | int | float) and not isinstance(number, bool))
        if not good_id and not self.broken("JR-REQ-008"):
            return error(-32600, None)
        version, method, params = message.get("jsonrpc"), message.get("method"), message.get("params", {})
        if "jsonrpc" not in message and isinstance(method, str) and "id" in message and params == []:
            reply: Any = error(-32600, number)
            for name, change in ODD.items():
                reply = change(reply) if self.broken(name) else reply
            return reply
        if version != "2.0" and not (self.broken("JR-REQ-002") and version == "1.0"):
            return error(-32600, number)
        if not isinstance(method, str):
            return error(-32601 if self.broken("JR-REQ-004") and method is not None else -32600, number)
        if not isinstance(params, dict | list) and not self.broken("JR-PARAM-002"):
            return error(-32600, number)
        silent = "id" not in message or (number is None and self.broken("JR-REQ-011"))
        reply = self.result(method, params, number, batch=batch)
        if silent:
            known = method in ("add", "fail")
            told = (known and self.broken("JR-NOTIF-001") and not batch) or (batch and self.broken("JR-NOTIF-002"))
            return reply if told or (not known and not batch and self.broken("JR-NOTIF-003")) else None
        if number == "" and self.broken("JR-REQ-012"):
            reply["id"] = None
        if number == "once-3" and self.broken("JR-RESP-001"):
            return None
        return reply

    def result(self, method: str, params: Any, number: Any, *, batch: bool) -> Any:
        try:
            value = self.call(method, params)
        except Fault as fault:
            return error(fault.code, number)
        self.calls += 1
        reply = {"jsonrpc": "2.0", "id": number, "result": value}
        if self.broken("JR-RESP-004") and self.calls > 1:
            del reply["result"]
        if self.broken("JR-RESP-007"):
            reply["error"] = None
        if self.broken("JR-BATCH-013") and batch:
            return error(-32000, number)
        return reply

    def call(self, method: str, params: Any) -> Any:
        if method == "fail":
            raise Fault(-32601 if self.broken("JR-ERR-012") else -32000)
        if method == "rpc.nope" and self.broken("JR-REQ-005"):
            return {}
        if method == "rpc.discover" and self.broken("JR-EXT-002"):
            return {"methods": [{"name": "rpc.add"}]}
        if method != "add" and not (self.broken("JR-ERR-010:case") and method == "ADD"):
            raise Fault(-32000 if self.broken("JR-ERR-010") else -32601)
        if isinstance(params, list):
            params = dict(zip(("a", "b"), reversed(params) if self.broken("JR-PARAM-007") else params, strict=False))
        if self.broken("JR-PARAM-005"):
            params = {name.lower(): value for name, value in params.items()}
        terms = [params.get(name) for name in ("a", "b")]
        if any(isinstance(it, bool) or not isinstance(it, int | float) for it in terms):
            raise Fault(-32603 if self.broken("JR-ERR-011") else -32602)
        return terms[0] - terms[1] if self.broken("JR-PARAM-007") else terms[0] + terms[1]


if __name__ == "__main__":
    with ReferenceEndpoint(*sys.argv[1:]) as running:
        print(json.dumps({"port": running.server.server_address[1]}), flush=True)
        threading.Event().wait()
