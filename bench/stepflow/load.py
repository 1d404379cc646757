"""Load: wrk for calls that are one request, and for components that call back a client of our own, which is a runtime.

The client is one thread over epoll that does nothing but what the exchange needs; how much of a core it took is told,
so that it can be seen whether it was the bound.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import msgspec
from measure import ChildFailed

HERE = Path(__file__).resolve().parent
READ_BYTES = 65536
MOST_CHARACTERS = 2000
SILENT_SECONDS = 30.0
"""A worker that says nothing for so long will not."""

EVENT = re.compile(rb"data: ?(\{[^\r\n]*\})\r?\n\r?\n")
INSTANCE = re.compile(rb"stepflow-instance-id: ?([^\r]+)\r", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202"


class CannotMeasure(ChildFailed):
    """Something that the suite needs is missing, or what is measured failed."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a turn: answers, how many a second, milliseconds until one, and the client's share of a core.

    `wrong` of the answers were errors, which only those of others may be.
    """

    answers: int
    wrong: int = 0
    rate: float
    p50: float
    p99: float
    client: float


def by_wrk(url: str, body: Any, expected: str, *, connections: int, seconds: int, may_fail: bool = False) -> Turn:
    """Post one call again and again; the answers have to contain `expected`, or are `wrong`. Errors: CannotMeasure."""
    used = os.times()
    started = time.perf_counter()
    told = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"),
            *("-s", str(HERE / "call.lua"), url),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BODY": json.dumps(body, separators=(",", ":")), "EXPECTED": expected},
    ).stdout
    wall, now = time.perf_counter() - started, os.times()
    busy = now.children_user + now.children_system - used.children_user - used.children_system
    return turn_of(told, busy / wall, may_fail=may_fail)


def turn_of(told: str, client: float, *, may_fail: bool) -> Turn:
    """What wrk tells. Errors: CannotMeasure, for no answers and broken connections, and for wrong answers."""
    found = re.search(r"took (\d+) answers (\d+) wrong (\d+) p50 (\d+) p99 (\d+)", told)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", told)
    if found is None or (broken is not None and set(broken.groups()) != {"0"}):
        raise CannotMeasure(f"wrk fails:\n{told}")
    took, done, wrong, p50, p99 = map(int, found.groups())
    if not done or (wrong and not may_fail):
        raise CannotMeasure(f"{done} answers, {wrong} of them wrong:\n{told[-MOST_CHARACTERS:]}")
    return Turn(answers=done, wrong=wrong, rate=done / took * 1e6, p50=p50 / 1000, p99=p99 / 1000, client=client)


# --- a runtime that is called back ------------------------------------------------------------------


def by_calling_back(port: int, call: Callable[[str], bytes], *, connections: int, seconds: float) -> Turn:
    """Execute a component that puts a blob and gets it back, answering it. Errors: CannotMeasure.

    `call` makes the body of an execution from its id. Each of the executions under way has two connections, one for
    its stream and one for the answers to what comes on it.
    """
    used, started = time.process_time(), time.perf_counter()
    took: list[float] = []
    until = started + seconds
    with select.epoll() as poll:
        exchanges = [_Exchange(port, call, number) for number in range(connections)]
        sockets = {sock.fileno(): (exchange, sock) for exchange in exchanges for sock in exchange.sockets}
        try:
            for descriptor in sockets:
                poll.register(descriptor, select.EPOLLIN)
            for exchange in exchanges:
                exchange.begin()
            while time.perf_counter() < until:
                ready = poll.poll(SILENT_SECONDS)
                if not ready:
                    raise CannotMeasure(f"the worker said nothing for {SILENT_SECONDS:g} s")
                for descriptor, _ in ready:
                    exchange, sock = sockets[descriptor]
                    if exchange.read(sock):
                        took.append(exchange.seconds)
                        exchange.begin()
        finally:
            for _, sock in sockets.values():
                sock.close()
    wall = time.perf_counter() - started
    if len(took) < 2:
        raise CannotMeasure(f"{len(took)} executions within {wall:.1f} s")
    return Turn(
        answers=len(took),
        rate=len(took) / wall,
        p50=median(took) * 1000,
        p99=quantiles(took, n=100)[98] * 1000,
        client=(time.process_time() - used) / wall,
    )


class _Exchange:
    """One execution after the other, each with what the component asks meanwhile."""

    def __init__(self, port: int, call: Callable[[str], bytes], number: int) -> None:
        self._stream, self._side = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\n" % port
        )
        self._call = call
        self._number = number
        self._count = 0
        self._id = ""
        self._buffer = self._accepted = b""
        self._instance = b""
        self._blobs: dict[str, Any] = {}
        self._to_send: list[bytes] = []
        self._is_posting = self._has_result = False
        self._began = self.seconds = 0.0

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return self._stream, self._side

    def begin(self) -> None:
        """Ask for the next execution."""
        self._count += 1
        self._id = f"{self._number}-{self._count}"
        self._buffer = b""
        self._has_result = False
        self._began = time.perf_counter()
        body = self._call(self._id)
        self._stream.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body))

    def read(self, sock: socket.socket) -> bool:
        """Take in what has come; whether the execution is over. Errors: CannotMeasure."""
        data = sock.recv(READ_BYTES)
        if not data:
            raise CannotMeasure(f"the worker closed a connection after {(self._buffer + self._accepted)[-500:]!r}")
        if sock is self._side:
            self._take_accepted(data)
        else:
            self._buffer += data
            if not self._instance and (found := INSTANCE.search(self._buffer)):
                self._instance = b"Stepflow-Instance-Id: %b\r\n" % found[1]
            self._take_events()
        if not (self._has_result and self._buffer.endswith(LAST_CHUNK)):
            return False
        self.seconds = time.perf_counter() - self._began
        return True

    def _take_accepted(self, data: bytes) -> None:
        """The answer to an answer: 202 and nothing of interest."""
        self._accepted += data
        head, found, body = self._accepted.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(ACCEPTED):
            raise CannotMeasure(f"the worker refused an answer: {self._accepted!r}")
        length = re.search(rb"content-length: ?(\d+)", head, re.IGNORECASE)
        if len(body) < (int(length[1]) if length else 0):
            return
        self._accepted = b""
        self._is_posting = False
        self._post()

    def _take_events(self) -> None:
        end = 0
        for found in EVENT.finditer(self._buffer):
            end = found.end()
            message = msgspec.json.decode(found[1])
            if "method" in message:
                self._to_send.append(self._answer(message))
            elif message.get("id") == self._id and "result" in message:
                self._has_result = True
            else:
                raise CannotMeasure(f"the worker answered {found[1]!r}")
        # The end of the last event's chunk stays, which says whether the stream is over.
        self._buffer = self._buffer[end:] if not self._has_result else self._buffer[-len(LAST_CHUNK) :]
        self._post()

    def _answer(self, message: dict[str, Any]) -> bytes:
        params = message["params"]
        if message["method"] == "blobs/put":
            blob_id = f"{self._number:064x}"
            self._blobs[blob_id] = params["data"]
            result: Any = {"blob_id": blob_id}
        elif message["method"] == "blobs/get":
            result = {"data": self._blobs[params["blob_id"]], "blob_type": "data"}
        else:
            raise CannotMeasure(f"the worker asked for {message['method']}")
        return msgspec.json.encode({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _post(self) -> None:
        if self._is_posting or not self._to_send:
            return
        self._is_posting = True
        body = self._to_send.pop(0)
        self._side.sendall(b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, self._instance, len(body), body))
