"""A receiver of callbacks: a small HTTP server that records every request and answers with a chosen status."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from protogen_compliance.peer.wire import Deadline

MAX_BODY_BYTES = 4 * 1024 * 1024


class Callback(NamedTuple):
    """One request that arrived; header names in lower case."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Listens on a free local port between `with` and its end; `statuses` are answered in turn, then 200."""

    def __init__(self, *, statuses: tuple[int, ...] = ()) -> None:
        self._arrived = threading.Condition()
        self._callbacks: list[Callback] = []
        self._statuses = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65_537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                length = self.headers.get("content-length", "0")
                size = min(int(length), MAX_BODY_BYTES) if length.isdigit() else 0
                status = receiver.take(self.command, self.path, dict(self.headers.items()), self.rfile.read(size))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                """Stays silent: what arrived is in `callbacks()`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "/callback") -> str:
        """The address of a path here."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def take(self, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
        """Records one request and returns the status to answer with."""
        with self._arrived:
            lower = {name.lower(): value for name, value in headers.items()}
            self._callbacks.append(Callback(time.monotonic(), method, path, lower, body))
            self._arrived.notify_all()
            return self._statuses.pop(0) if self._statuses else 200

    def callbacks(self, path: str | None = None) -> list[Callback]:
        """What has arrived so far, at one path or at all."""
        with self._arrived:
            return [it for it in self._callbacks if path in (None, it.path)]

    def wait(self, count: int, deadline: Deadline) -> list[Callback]:
        """Everything that has arrived, as soon as it is `count`; what there is when the deadline passes."""
        with self._arrived:
            self._arrived.wait_for(
                lambda: len(self._callbacks) >= count, timeout=max(0.0, deadline.end - time.monotonic())
            )
            return list(self._callbacks)
