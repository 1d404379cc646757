"""The nodes to compare: how each is started, and what each calls the same thing.

The reference implementation lives in a virtual environment of its own, which is made once and kept in the cache: its
requirements and ours cannot be met in one.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from measure import ChildFailed

HERE = Path(__file__).resolve().parent
APFLOW = "0.18.2"
PINS = (
    f"apflow[a2a,cli,scheduling]=={APFLOW}",
    "a2a-sdk[http-server]==0.3.22",
    "starlette<1",
    "sqlalchemy<2.1",
    "greenlet",
    "duckdb<1.5",
    "duckdb-engine",
    "fastapi<0.130",
)
"""What the reference implementation starts with; newer releases of what it builds on break it."""
START_SECONDS = 60.0
LOOK_SECONDS = 0.05
"""How often a node that cannot tell is asked whether it is done."""


class CannotMeasure(ChildFailed):
    """Something that the suite needs is missing, or a node failed."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node that runs, and its calls."""

    name: str
    pid: int
    url: str
    counted: Callable[[Node], dict[str, int]]

    def call(self, method: str, params: Any) -> Any:
        """The result of a call. Errors: CannotMeasure, for an error answer."""
        return self.ask(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())

    def ask(self, body: bytes) -> Any:
        """The result of a call that is written already. Errors: CannotMeasure, for an error answer."""
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            reply = json.load(answer)
        if "result" not in reply:
            raise CannotMeasure(f"{self.name}: {body[:100]!r} answered {reply}")
        return reply["result"]

    def counts(self) -> dict[str, int]:
        """How many tasks are in each state."""
        return self.counted(self)


def look_later() -> None:
    """Let a moment pass: neither a foreign process nor a node that is not followed tells when it is ready."""
    select.select([], [], [], LOOK_SECONDS)


@contextmanager
def ours(folder: Path, *, settings: str = "") -> Generator[Node]:
    """`protogen serve apflow` with a database in `folder`, and with settings in TOML, for as long as the context."""
    command = [str(Path(sys.executable).parent / "protogen"), "serve", "apflow", "--port", "0", "--announce"]
    command += ["--db", f"sqlite:///{folder / 'ours.db'}"]
    if settings:
        (folder / "ours.toml").write_text(settings, "utf-8")
        command += ["--config", str(folder / "ours.toml")]
    with _running(command, folder, "ours", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said:
            raise CannotMeasure(f"ours does not start: {(folder / 'ours.log').read_text('utf-8')[-1000:]}")
        yield Node(name="ours", pid=process.pid, url=f"http://127.0.0.1:{json.loads(said)['port']}/", counted=_ours)


def _ours(node: Node) -> dict[str, int]:
    states = ("pending", "in_progress", "completed", "failed")
    return {state: node.call("tasks.list", {"status": state, "limit": 1})["total"] for state in states}


@contextmanager
def reference(folder: Path, port: int) -> Generator[Node]:
    """`apflow serve` with its database in `folder`, for as long as the context lasts."""
    program = environment() / "bin" / "apflow"
    # Its database is where HOME is, unless a variable says otherwise.
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    surroundings = {**kept, "HOME": str(folder), "APFLOW_LOG_LEVEL": "error"}
    with _running(command, folder, "reference", env=surroundings, stdout=subprocess.DEVNULL) as process:
        node = Node(
            name=f"apflow {APFLOW}",
            pid=process.pid,
            url=f"http://127.0.0.1:{port}/tasks",
            counted=lambda node: dict(node.call("tasks.count", {})),
        )
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                node.counts()
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise CannotMeasure(
                        f"{node.name} does not start: {(folder / 'reference.log').read_text('utf-8')[-1000:]}"
                    ) from None
                look_later()
            else:
                break
        yield node


@contextmanager
def _running(command: Sequence[str], folder: Path, name: str, **options: Any) -> Generator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def environment() -> Path:
    """The virtual environment of the reference implementation; made where it is not there. Errors: CannotMeasure."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "protogen" / "bench"
    place = folder / f"apflow-{APFLOW}-{sys.implementation.cache_tag}"
    pins = "\n".join(PINS)
    mark = place / "pins.txt"
    if mark.exists() and mark.read_text("utf-8") == pins:
        return place
    print(f"installing apflow {APFLOW} in {place} ...", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", str(place)], [str(place / "bin" / "pip"), "-q", "install", *PINS]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise CannotMeasure(f"{' '.join(command)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    mark.write_text(pins, "utf-8")
    return place


def reference_versions() -> dict[str, str]:
    """Name to version of what the reference implementation is and stands on."""
    names = ("apflow", "a2a-sdk", "starlette", "uvicorn", "SQLAlchemy", "duckdb")
    program = f"from importlib.metadata import version; print(*map(version, {names!r}))"
    told = subprocess.run(
        [str(environment() / "bin" / "python"), "-c", program], capture_output=True, text=True, check=True
    ).stdout
    return dict(zip(names, told.split(), strict=True))
