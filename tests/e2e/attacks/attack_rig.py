"""A server in a process of its own, what it holds of the system, and how long a well-behaved client waits for it."""

from __future__ import annotations

import os
import socket
import ssl
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from http_rig import call, post, split

HERE: Final = Path(__file__).parent
SPARE_BYTES: Final = 16 * 1024 * 1024
"""What the allocator may keep: the attacks cost many times that if they leak."""


class Kind:
    """A server that can be attacked: how it is begun, and what it can be asked."""

    quick: bytes
    """A call that is answered at once, with `quick_answer` in the answer."""
    quick_answer: bytes
    waiting: bytes
    """A call that is not answered for a while."""
    started: bytes
    """A call that is begun and may be answered soon."""

    def command(self, folder: Path, file: Path) -> list[str]:
        """What begins it."""
        raise NotImplementedError

    def config(self) -> str:
        """Settings of its own."""
        return ""

    def tasks(self, target: Target) -> int:
        """How many trio tasks live in it."""
        raise NotImplementedError

    def large(self, target: Target) -> bytes:
        """A call whose answer has LARGE_BYTES."""
        raise NotImplementedError


LARGE_BYTES: Final = 1_000_000


class Echo(Kind):
    """The echo server."""

    quick = call("add", [1, 2])
    quick_answer = b'{"sum":3}'
    waiting = started = call("sleep", {"seconds": 60})

    def command(self, folder: Path, file: Path) -> list[str]:
        return [str(HERE / "victim.py"), str(file)]

    def tasks(self, target: Target) -> int:
        return int(target.result(call("echo", {"value": None}))["value"])

    def large(self, target: Target) -> bytes:
        return call("echo", {"value": "x" * LARGE_BYTES})


class Apflow(Kind):
    """The node, with its database in a file."""

    quick = call("tasks.list", {"limit": 1})
    quick_answer = b'"total":'
    started = call("tasks.create", {"name": "attack"})

    @property
    def waiting(self) -> bytes:  # type: ignore[override]  # each has an id of its own
        task = {"name": "attack", "schemas": {"method": "sleep"}, "inputs": {"seconds": 0.5}}
        return call("tasks.execute", {"tasks": [task], "use_streaming": True})

    def command(self, folder: Path, file: Path) -> list[str]:
        database = f"sqlite:///{folder / file.stem}.db"
        return ["-m", "protogen", "serve", "apflow", "--port=0", "--announce", "--db", database, "--config", str(file)]

    def config(self) -> str:
        return f'\n[executors]\nmodules = ["{HERE / "living.py"}"]\n'

    def tasks(self, target: Target) -> int:
        task = {"id": str(uuid.uuid4()), "name": "count", "schemas": {"method": "living"}}
        target.ask(post(call("tasks.execute", {"tasks": [task], "use_streaming": True}), close=True))
        return int(target.result(call("tasks.get", {"task_id": task["id"]}))["result"]["count"])

    def large(self, target: Target) -> bytes:
        made = target.result(call("tasks.create", {"name": "large", "inputs": {"text": "x" * LARGE_BYTES}}))
        return call("tasks.get", {"task_id": made["id"]})


KINDS: Final[dict[str, Kind]] = {"echo": Echo(), "apflow": Apflow()}


class Target:
    """A server under attack."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, tls: ssl.SSLContext | None, kind: Kind) -> None:
        self.process = process
        self.kind = kind
        self.port = port
        self._tls = tls
        self._clients: list[socket.socket] = []

    def connect(self, *, receive_buffer: int = 0, protocol: str = "http/1.1") -> socket.socket:
        """A connection, over TLS where the server has a certificate; `hang_up` closes it, too."""
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(10)
        client.connect(("127.0.0.1", self.port))
        if self._tls is not None:
            self._tls.set_alpn_protocols([protocol])
            client = self._tls.wrap_socket(client, server_hostname="localhost")
        self._clients.append(client)
        return client

    def hang_up(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def ask(self, data: bytes) -> bytes:
        """The answer to one request on a connection of its own."""
        with self.connect() as client:
            client.sendall(data)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def result(self, body: bytes) -> Any:
        """What a call is answered with."""
        return msgspec.json.decode(split(self.ask(post(body, close=True)))[2])["result"]

    # --- what it holds ----------------------------------------------------------------------------

    def resident_bytes(self) -> int:
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGESIZE")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def idle_descriptors(self) -> int:
        """How many files are open when no client is there; the last ones may just be on their way out."""
        return min((self.tasks(), self.descriptors())[1] for _ in range(10))

    def tasks(self) -> int:
        """How many trio tasks live, the one that answers this included."""
        return self.kind.tasks(self)

    def unsent_bytes(self) -> list[int]:
        """What the kernel holds for each connection and its client has not taken, largest first."""
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [row[4] for row in rows if row[1].endswith(f":{self.port:04X}") and row[3] == "01"]
        return sorted((int(queues.partition(":")[0], 16) for queues in ours), reverse=True)

    # --- how it serves ----------------------------------------------------------------------------

    def answer_seconds(self, count: int) -> list[float]:
        """How long a well-behaved client waits for each of so many answers."""
        taken = []
        with self.connect() as client:
            for _ in range(count):
                began = time.perf_counter()
                client.sendall(post(self.kind.quick))
                assert self.kind.quick_answer in client.recv(65536)
                taken.append(time.perf_counter() - began)
        return taken


class Comparison:
    """Answers of a server under attack beside those of one that nobody attacks, taken in turns.

    A shared machine has slow moments, which meet both. `normal` is what the attacked one gave before.
    """

    def __init__(self, attacked: Target, quiet: Target) -> None:
        self._attacked = attacked
        self._quiet = quiet
        self._under_attack: list[float] = []
        self._beside: list[float] = []

    def take(self, count: int = 20) -> None:
        """Ask both so often."""
        self._under_attack += self._attacked.answer_seconds(count)
        self._beside += self._quiet.answer_seconds(count)

    @property
    def p99s(self) -> tuple[float, float]:
        """Seconds at the 99th percentile: under attack, and of the quiet server meanwhile."""
        return _p99(self._under_attack), _p99(self._beside)


def _p99(seconds: Iterable[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


@contextmanager
def serving(
    folder: Path, config: str = "", tls: ssl.SSLContext | None = None, *, kind: str = "echo"
) -> Generator[Target]:
    """A server with these settings (TOML); `tls` trusts its certificate, where it has one."""
    served = KINDS[kind]
    file = folder / f"serve-{len(list(folder.iterdir()))}.toml"
    file.write_text(config + served.config())
    command = [sys.executable, *served.command(folder, file)]
    with (
        (folder / "stderr").open("ab") as errors,
        subprocess.Popen(
            command,
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None
        target = Target(process, msgspec.json.decode(process.stdout.readline())["port"], tls, served)
        try:
            yield target
        finally:
            target.hang_up()
            process.terminate()
            assert process.wait(30) == 0


def wait_until(condition: Callable[[], bool], seconds: float, meanwhile: Callable[[], object]) -> float:
    """How long it took until the condition held; `meanwhile` is what is done between two looks."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        meanwhile()
    return time.monotonic() - began


@contextmanager
def unharmed(target: Target, *, seconds: float = 5.0, spare_bytes: int = SPARE_BYTES) -> Generator[None]:
    """After the block, and within so many seconds, the server has the files, tasks and memory that it had before."""
    target.answer_seconds(100)
    tasks, files, memory = target.tasks(), target.idle_descriptors(), target.resident_bytes()
    yield
    wait_until(lambda: target.descriptors() <= files, seconds, lambda: target.answer_seconds(5))
    wait_until(lambda: target.tasks() <= tasks, seconds, lambda: None)
    kept = target.resident_bytes() - memory
    tell(f"afterwards: {target.tasks() - tasks:+} tasks, {kept / 1024:+.0f} KiB")
    assert kept < spare_bytes


def tell(figure: str) -> None:
    """A figure for who runs this with `-rP` or `-s`."""
    print(f"  {figure}")
