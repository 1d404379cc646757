"""A small correct endpoint of shelf/protocol.json, written apart from the runtime, with single defects.

It is what the suite for documents of one's own is proved by. A defect is named after the clause that it breaks.

Run it by hand: python tests/compliance/reference_document.py [DEFECT ...]
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MESSAGES = {
    -32700: "Parse error",
    -32600: "Invalid Request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
    -32050: "The shelf is full",
    -32051: "There is no such thing",
}


class Fault(Exception):
    def __init__(self, code: int, data: Any = None) -> None:
        super().__init__(code)
        self.error: dict[str, Any] = {"code": code, "message": MESSAGES.get(code, "odd")}
        if data is not None:
            self.error["data"] = data


def whole(value: Any) -> bool:
    """Whether a value is an integer as JSON Schema says: 3.0 is one, true is none."""
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


class ReferenceDocument:
    """Serves on a free local port between `with` and its end."""

    def __init__(self, *defects: str) -> None:
        self.defects = frozenset(defects)
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                reply = endpoint.reply(self.rfile.read(int(self.headers["content-length"])))
                data = b"" if reply is None else json.dumps(reply).encode()
                self.send_response(200 if data else 202)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                """Stays silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> ReferenceDocument:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def broken(self, name: str) -> bool:
        return name in self.defects

    def reply(self, body: bytes) -> Any:
        try:
            request = json.loads(body)
        except ValueError:
            code = -32600 if self.broken("PD-ENV-002") else -32700
            return {"jsonrpc": "2.0", "id": None, "error": Fault(code).error}
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return {"jsonrpc": "2.0", "id": None, "error": Fault(-32600).error}
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        try:
            reply["result"] = self.call(request["method"], request.get("params", {}))
        except Fault as fault:
            reply["error"] = fault.error
        if self.broken("PD-ENV-001") and "result" in reply:
            reply["error"] = None
        return reply if "id" in request or self.broken("PD-ENV-003") else None

    def call(self, method: str, params: Any) -> Any:
        if method == "shelf.note":
            return None
        if method not in ("shelf.put", "shelf.get") or (method == "shelf.get" and self.broken("PD-METH-001")):
            if self.broken("PD-METH-002") and not method.startswith("shelf."):
                return {}
            raise Fault(-32601)
        if not isinstance(params, dict):
            raise Fault(-32602)
        name = params.get("name")
        longest = 10 if self.broken("PD-PARAM-002") else 20
        if not isinstance(name, str) or not 1 <= len(name) <= longest:
            raise Fault(-32602)
        return self.get(name) if method == "shelf.get" else self.put(name, params.get("count"))

    def put(self, name: str, count: Any) -> Any:
        if self.broken("PD-EX-002") and (name, count) == ("debt", -7):
            count = 0
        if not whole(count) or not 0 <= count <= (99 if self.broken("PD-PARAM-001") else 9):
            raise Fault(-32602)
        if self.broken("PD-PARAM-003") and count == 9:
            raise Fault(-32603)
        if self.broken("PD-EX-001") and name == "cup":
            raise Fault(-32602)
        if self.broken("PD-EX-003") and name == "cup":
            raise Fault(-32050)
        return {"name": name} if self.broken("PD-RESULT-001") else {"name": name, "count": int(count)}

    def get(self, name: str) -> Any:
        if self.broken("PD-ERR-001") and name != "hat":
            raise Fault(-32077, {"name": name})
        raise Fault(-32051, {} if self.broken("PD-ERR-002") else {"name": name})


if __name__ == "__main__":
    with ReferenceDocument(*sys.argv[1:]) as running:
        print(json.dumps({"port": running.server.server_address[1]}), flush=True)
        threading.Event().wait()
