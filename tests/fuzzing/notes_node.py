"""A small correct server of the protocol `notes`, with one switch for each way of being wrong, on plain threads."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEFECTS: dict[str, str] = {
    "id-as-text": "envelope",
    "both": "envelope",
    "version-1": "envelope",
    "code-as-text": "envelope",
    "own-code": "catalogue",
    "internal": "internal",
    "http-500": "http-status",
    "traceback": "leak",
    "path": "leak",
    "bad-result": "result",
    "text-unchecked": "accepted",
    "stars-unchecked": "accepted",
    "id-unchecked": "accepted",
    "no-data": "error-data",
    "strict": "unknown-member",
    "answers-notifications": "notification",
    "plain-text": "content-type",
    "lax-version": "raw-invalid",
    "lax-method": "raw-invalid",
    "parse-id": "raw-parse-id",
    "no-batch": "raw-batch",
    "deep": "transport",
    "slow": "time",
    "everybody": "identity",
    "no-login": "stranger",
}
"""Each defect with the check that finds it."""


class Fault(Exception):
    """An error to answer with."""

    def __init__(self, code: int, data: Any = None) -> None:
        super().__init__(code)
        self.code = code
        self.data = data


class NotesNode:
    """The server; `with` serves it on a free port. `tokens` are users by their token; `heard` has every body."""

    def __init__(self, *defects: str, tokens: dict[str, str] | None = None) -> None:
        self.defects = defects
        self.tokens = tokens or {}
        self.notes: dict[str, tuple[str | None, dict[str, Any]]] = {}
        self.ids = itertools.count()
        self.heard: list[bytes] = []
        self.connections: list[socket.socket] = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        node = self

        class Handler(_Handler):
            pass

        Handler.node = node
        self.server = _Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> NotesNode:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    def close_all(self) -> None:
        """Ends the connections that clients keep."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def broken(self, defect: str) -> bool:
        return defect in self.defects

    # --- JSON-RPC ---------------------------------------------------------------------------------

    def reply(self, body: bytes, user: str | None) -> Any:
        try:
            request = parsed(body, deep=self.broken("deep"))
        except ValueError:
            return failed(0 if self.broken("parse-id") else None, Fault(-32700))
        if not isinstance(request, list):
            return self.one(request, user)
        if not request:
            return failed(None, Fault(-32600))
        if self.broken("no-batch"):
            return self.one(request[0], user)
        return [it for it in (self.one(member, user) for member in request) if it is not None] or None

    def one(self, request: Any, user: str | None) -> Any:
        if not isinstance(request, dict):
            return failed(None, Fault(-32600))
        number, method, params = request.get("id"), request.get("method"), request.get("params", {})
        if isinstance(number, bool | list | dict):
            return failed(None, Fault(-32600))
        if request.get("jsonrpc") != "2.0" and not self.broken("lax-version"):
            return failed(number, Fault(-32600))
        if not isinstance(method, str):
            if not self.broken("lax-method"):
                return failed(number, Fault(-32600))
            method = "note.count"
        if not isinstance(params, dict | list):
            return failed(None, Fault(-32600))
        silent = "id" not in request and not self.broken("answers-notifications")
        try:
            reply: Any = {"jsonrpc": "2.0", "id": number, "result": self.call(method, params, user)}
        except Fault as fault:
            reply = failed(number, fault)
        return None if silent else self.changed(reply)

    def call(self, method: str, params: Any, user: str | None) -> Any:
        methods: dict[str, Callable[[Any, str | None], Any]] = {
            "note.put": self.put,
            "note.get": self.get,
            "note.drop": self.drop,
            "note.count": lambda params, user: {"count": len(self.notes)},
            "note.seen": lambda params, user: None,
        }
        if method not in methods:
            raise Fault(-32601)
        if not isinstance(params, dict):
            raise Fault(-32602)
        if method == "note.drop" and self.broken("slow"):
            self.ended.wait(30)
        with self.lock:
            return methods[method](params, user)

    def put(self, params: dict[str, Any], user: str | None) -> Any:
        text, stars = params.get("text"), params.get("stars", 0)
        if not (isinstance(text, str) and 1 <= len(text) <= 40) and not self.broken("text-unchecked"):
            raise Fault(-32602)
        whole = isinstance(stars, int | float) and not isinstance(stars, bool) and stars == int(stars)
        if not (whole and 0 <= stars <= 5) and not self.broken("stars-unchecked"):
            raise Fault(-32602)
        if params.keys() - {"text", "stars"} and self.broken("strict"):
            raise Fault(-32602)
        note = {"note_id": f"{next(self.ids):08x}", "text": str(text), "stars": int(stars) if whole else 0}
        if self.broken("bad-result"):
            note["stars"] = "many"
        self.notes[str(note["note_id"])] = (user, note)
        return note

    def find(self, params: dict[str, Any], user: str | None) -> str:
        note_id = params.get("note_id")
        if not (isinstance(note_id, str) and re.fullmatch("[0-9a-f]{8}", note_id)) and not self.broken("id-unchecked"):
            raise Fault(-32602)
        key = str(note_id)
        owner, _ = self.notes.get(key, (None, None))
        if key not in self.notes and self.broken("id-unchecked"):
            self.notes[key] = (user, {"note_id": "00000000", "text": "", "stars": 0})
        elif key not in self.notes or (owner != user and not self.broken("everybody")):
            raise Fault(-32001, {"note_id": key})
        return key

    def get(self, params: dict[str, Any], user: str | None) -> Any:
        return self.notes[self.find(params, user)][1]

    def drop(self, params: dict[str, Any], user: str | None) -> Any:
        key = self.find(params, user)
        if self.broken("http-500"):
            raise ZeroDivisionError
        del self.notes[key]
        return {"dropped": True}

    def changed(self, reply: Any) -> Any:
        """A reply as a broken server shows it."""
        error = reply.get("error")
        if self.broken("id-as-text"):
            reply["id"] = str(reply["id"])
        if self.broken("version-1"):
            reply["jsonrpc"] = "1.0"
        if self.broken("both") and error is None:
            reply["error"] = None
        if error is not None and error["code"] == -32001:
            if self.broken("own-code"):
                error["code"] = 7
            if self.broken("internal"):
                error["code"] = -32603
            if self.broken("code-as-text"):
                error["code"] = "-32001"
            if self.broken("traceback"):
                error["message"] = 'Traceback (most recent call last):\n  File "x.py", line 3'
            if self.broken("path"):
                error["data"]["hint"] = "see /home/me/notes/store.db"
            if self.broken("no-data"):
                error.pop("data")
        return reply


def parsed(body: bytes, *, deep: bool) -> Any:
    """The JSON value of a body; raises ValueError, and RecursionError where that is the defect."""

    def refuse(text: str) -> Any:
        raise ValueError(text)

    def finite(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else refuse(text)

    try:
        return json.loads(body.decode("utf-8"), parse_constant=refuse, parse_float=finite)
    except RecursionError:
        if deep:
            raise
        raise ValueError("too deep") from None


def failed(number: Any, fault: Fault) -> dict[str, Any]:
    """An error response."""
    error: dict[str, Any] = {"code": fault.code, "message": f"Error {fault.code}"}
    if fault.data is not None:
        error["data"] = fault.data
    return {"jsonrpc": "2.0", "id": number, "error": error}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a connection that ends in the middle is a defect that a test asks for."""


class _Handler(BaseHTTPRequestHandler):
    node: NotesNode
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.node.connections.append(self.connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.node.heard.append(body)
        user: str | None = None
        if self.node.tokens:
            user = self.node.tokens.get((self.headers.get("authorization") or "").removeprefix("Bearer "))
            if user is None and not self.node.broken("no-login"):
                return self.send(401, None)
        try:
            value = self.node.reply(body, user)
        except ZeroDivisionError:
            return self.send(500, {"error": "it broke"})
        return self.send(202 if value is None else 200, value)

    def send(self, status: int, value: Any) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if self.node.broken("plain-text") else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Stays silent."""
