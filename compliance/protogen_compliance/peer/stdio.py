"""A program that speaks lines of JSON on its standard input and output, with every line of both directions kept.

Knows nothing of what the lines say. Standard error is kept, too, and never read as messages.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

from protogen_compliance.peer.wire import Deadline, Garbled, TimedOut, Unreachable

MAX_LINE_BYTES = 64 * 1024 * 1024
ENDING_SECONDS = 5.0
"""How long a program may take to end once it was told to."""


class Line(NamedTuple):
    """A line that was sent, and one that answered it; None where none did."""

    sent: bytes
    received: bytes | None
    seconds: float


class Heard(NamedTuple):
    """A line that arrived, without its end; `at` in seconds of the monotonic clock."""

    at: float
    data: bytes


class Began(NamedTuple):
    """When something was sent."""

    at: float

    def since(self) -> float:
        """Seconds that have passed."""
        return time.monotonic() - self.at


class StdioPeer:
    """A running program, between `with` and its end. `heard` has every line it wrote, `errors` its standard error."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.heard: list[Heard] = []
        self.errors = b""
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._writing = threading.Lock()
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
            )
        except (OSError, ValueError) as reason:
            raise Unreachable(f"{' '.join(self.command)!r} cannot be started: {reason}") from None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read_lines, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self.process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> StdioPeer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_lines(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed under the reader: the program has ended
            while line := stream.readline(MAX_LINE_BYTES):
                data = line.rstrip(b"\n")
                self.heard.append(Heard(time.monotonic(), data))
                self._lines.put(data)
        self._lines.put(None)

    def _read_errors(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):  # as above
            while data := stream.read1(65_536):  # type: ignore[attr-defined]  # a BufferedReader has it
                self.errors = (self.errors + data)[-65_536:]

    def send(self, line: bytes, deadline: Deadline) -> Began:
        """Writes one line, whose end is added; raises Garbled where the program takes no more, and TimedOut."""
        done = threading.Event()
        trouble: list[OSError | ValueError] = []

        def write() -> None:
            assert self.process.stdin is not None
            try:
                with self._writing:
                    self.process.stdin.write(line + b"\n")
                    self.process.stdin.flush()
            except (OSError, ValueError) as reason:
                trouble.append(reason)
            done.set()

        began = Began(time.monotonic())
        # A program that does not read would block the writer for ever; its thread ends with the program.
        threading.Thread(target=write, daemon=True).start()
        if not done.wait(max(0.0, deadline.end - time.monotonic())):
            raise TimedOut(f"the program did not take a line of {len(line)} bytes within {deadline.seconds:g} s")
        if trouble:
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise Garbled(f"the program ended with {self.process.wait(1.0)}{self.told()}")
            raise Garbled(f"the program takes no more lines: {trouble[0]}{self.told()}")
        return began

    def next_line(self, deadline: Deadline) -> bytes:
        """The next line; raises TimedOut, and Garbled where the program wrote its last one."""
        try:
            line = self._lines.get(timeout=max(0.0, deadline.end - time.monotonic()))
        except queue.Empty:
            raise TimedOut(f"no line within {deadline.seconds:g} s{self.told()}") from None
        if line is None:
            self._lines.put(None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(ENDING_SECONDS)
            raise Garbled(f"the program ended with {self.process.poll()}{self.told()}")
        return line

    def told(self) -> str:
        """The end of its standard error, for a message."""
        last = self.errors.decode("utf-8", "replace").strip().splitlines()
        return f"; it said {last[-1][:200]!r}" if last else ""

    def close_input(self) -> None:
        """Ends the program's standard input."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def close(self) -> None:
        """Ends the program and everything that it started."""
        self.close_input()
        end(self.process)
        for thread in self._threads:
            thread.join(ENDING_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that has a session of its own, with its children: asked first, then killed."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
            if how is signal.SIGTERM:
                # Children may have outlived it.
                continue
            return
