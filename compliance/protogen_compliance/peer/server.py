"""A server that a script answers for: it reads whole HTTP requests, and sends whatever bytes the script wants.

Knows nothing of what the bodies say. Every request is kept, with its time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from protogen_compliance.peer.rpc import MISSING, Json, parse_json

REQUEST_SECONDS = 30.0
MAX_HEAD_BYTES = 65_536


class Asked(NamedTuple):
    """One request; header names in lower case. `send` takes any bytes, `hang_up` closes the connection."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    send: Callable[[bytes], None]
    hang_up: Callable[[], None]

    @property
    def value(self) -> Json:
        """The body as JSON; MISSING where it is none."""
        try:
            return parse_json(self.body)
        except (ValueError, RecursionError):
            return MISSING

    @property
    def id(self) -> Json:
        """The id of the request; None where it has none."""
        return self.value.get("id") if isinstance(self.value, dict) else None

    def respond(self, body: bytes | Json, *, status: int = 200, kind: str = "application/json", more: str = "") -> None:
        """A whole answer; JSON unless it is bytes. `more` are further header lines, each with its end."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} Answer\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n{more}\r\n"
        self.send(head.encode() + data)

    def result(self, value: Json, **members: Json) -> None:
        """A good response with this result."""
        self.respond({"jsonrpc": "2.0", "id": self.id, "result": value, **members})

    def stream(self, more: str = "") -> Callable[[bytes], None]:
        """Begins a chunked stream of events; returns what sends a piece, whose empty one ends the stream."""
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{more}\r\n"
        self.send(head.encode())

        def piece(data: bytes) -> None:
            self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

        return piece


Script = Callable[[Asked], None]


class Server:
    """Listens on a free local port between `with` and its end, and gives each request to `script`."""

    def __init__(self, script: Script, *, port: int = 0) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for one in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):  # closed by the other side already
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def drop(self) -> None:
        """Closes every connection, as where a server dies; new ones are taken."""
        for one in list(self._open):
            with contextlib.suppress(OSError):  # closed by the other side already
                one.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> bool:
        """Waits, at most until the end of the server; whether it has ended."""
        return self._over.wait(seconds)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            connection.settimeout(REQUEST_SECONDS)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            rest = b""
            while True:
                found = self._request(connection, rest)
                if found is None:
                    return
                asked, rest = found
                self.asked.append(asked)
                self.script(asked)
        except OSError:
            return  # the other side went away, or the script hung up
        finally:
            connection.close()
            self._open.discard(connection)

    def _request(self, connection: socket.socket, rest: bytes) -> tuple[Asked, bytes] | None:
        while b"\r\n\r\n" not in rest:
            more = connection.recv(65_536)
            if not more or len(rest) > MAX_HEAD_BYTES:
                return None
            rest += more
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, *_ = [*first.split(" "), "", ""]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0") or 0)
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        while len(rest) < size or (chunked and not rest.endswith(b"0\r\n\r\n")):
            more = connection.recv(65_536)
            if not more:
                return None
            rest += more
        body, rest = (_joined(rest), b"") if chunked else (rest[:size], rest[size:])

        def hang_up() -> None:
            connection.shutdown(socket.SHUT_RDWR)

        return Asked(time.monotonic(), method, path, headers, body, connection.sendall, hang_up), rest


def _joined(chunks: bytes) -> bytes:
    """The body of chunks that are all there."""
    found = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        found, chunks = found + chunks[:length], chunks[length + 2 :]
    return found
