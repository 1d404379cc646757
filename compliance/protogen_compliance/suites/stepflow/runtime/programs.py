"""Workers that a runtime starts as processes: each is a puppet, and what it does is decided here.

Knows no protocol. Every line that a process was sent is kept, with its time.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from protogen_compliance.peer.rpc import Json
from protogen_compliance.peer.stdio import Heard

PUPPET = Path(__file__).resolve().with_name("puppet.py")
OUTPUT, ERRORS = 1, 2
WORKER, CHILD = "worker", "child"


class Program:
    """One process that the runtime started; `heard` has the lines of its standard input, with their ends.

    `environment` is what it was started with.
    """

    def __init__(self, connection: socket.socket, number: int, environment: dict[str, str]) -> None:
        self.number = number
        self.environment = environment
        self.started_at = time.monotonic()
        self.heard: list[Heard] = []
        self.ended = threading.Event()
        self._connection = connection
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._sending = threading.Lock()

    def lines(self) -> Iterator[bytes]:
        """The lines of its standard input as they come, until that ends or the process does."""
        while (line := self._lines.get()) is not None:
            yield line

    def write(self, data: bytes) -> None:
        """Lets it write on its standard output."""
        self._order({"write": data.decode("latin-1"), "to": OUTPUT})

    def complain(self, data: bytes) -> None:
        """Lets it write on its standard error."""
        self._order({"write": data.decode("latin-1"), "to": ERRORS})

    def start_child(self) -> None:
        """Lets it start a process that does nothing; see Programs.children."""
        self._order({"child": CHILD})

    def exit(self, code: int) -> None:
        """Lets it end."""
        self._order({"exit": code})

    def _order(self, value: Json) -> None:
        with contextlib.suppress(OSError), self._sending:  # it has ended; whoever waits for its effect sees that
            self._connection.sendall(json.dumps(value).encode() + b"\n")

    def follow(self, told: Iterator[bytes]) -> None:
        """Keeps what it tells, until it tells no more."""
        with contextlib.suppress(OSError):  # the process was killed
            for line in told:
                value = json.loads(line)
                if "line" in value:
                    data = value["line"].encode("latin-1")
                    self.heard.append(Heard(time.monotonic(), data))
                    self._lines.put(data)
                else:
                    self._lines.put(None)
        self._lines.put(None)
        self.ended.set()


Part = Callable[[Program], None]
"""Plays a process, in a thread of its own."""


class Programs:
    """The processes of one worker between `with` and its end, each played by `part`; `started` has all of them.

    `children` are those that processes were told to start.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.started: list[Program] = []
        self.children: list[Program] = []
        self._changed = threading.Condition()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def command(self) -> list[str]:
        """The words of the command line that a runtime has to run."""
        host, port = self._listener.getsockname()[:2]
        return [sys.executable, "-I", "-S", str(PUPPET), host, str(port), WORKER]

    def __enter__(self) -> Programs:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):  # closed by the other side already
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def wait(self, count: int, seconds: float) -> int:
        """Waits until so many were started, or the time is over; how many were."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.started) >= count, seconds)
            return len(self.started)

    def has_child(self, seconds: float) -> bool:
        """Waits until a process has started a child, or the time is over; whether one has."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self.children), seconds)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._follow, args=(connection,), daemon=True).start()

    def _follow(self, connection: socket.socket) -> None:
        told = connection.makefile("rb")
        first = told.readline()
        if not first:
            return
        hello = json.loads(first)
        with self._changed:
            those = self.children if hello["name"] == CHILD else self.started
            program = Program(connection, len(those), hello["environment"])
            those.append(program)
            self._changed.notify_all()
        if those is self.started:
            threading.Thread(target=self.part, args=(program,), daemon=True).start()
        program.follow(told)
