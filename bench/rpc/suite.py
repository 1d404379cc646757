"""The suite: wrk against each server, one process each, all of them up at once and taking turns.

CPU is that of the server's process, user and system, per request answered. With `--repeats 1` it is short: one turn
of a second each.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from measure import ChildFailed
from report import Report, Series, Target

HERE = Path(__file__).resolve().parent
OURS, OURS_FRESH = "protogen serve echo", "protogen serve echo, every head new"
OURS_UNSEEN = "protogen serve echo, nothing observed"
UVICORN, BARE = "uvicorn + uvloop + httptools, raw ASGI", "bare trio + httptools echo"
STOCK, NODE, FASTAPI = "hypercorn on trio, stock", "Node http echo", "FastAPI on uvicorn + uvloop"
CONNECTIONS = (1, 32, 128)
TURN_SECONDS = 3
TICKS = os.sysconf("SC_CLK_TCK")


class CannotMeasure(ChildFailed):
    """Something that the suite needs is missing, or a server failed."""


class Cell:
    """What one server did with so many connections."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.rate: list[float] = []


def run(repeats: int) -> Report:
    """Measure every server at every number of connections."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is missing; install it with your system's package manager (apt-get install wrk)")
    seconds = 1 if repeats == 1 else TURN_SECONDS
    cells = {(name, count): Cell() for name in (*commands(0), OURS_FRESH) for count in CONNECTIONS}
    with ExitStack() as stack:
        servers = {name: _start(stack, name) for name in commands(0)}
        for _ in range(repeats):
            for count in CONNECTIONS:
                for name, (process, port) in servers.items():
                    _measure(cells[name, count], process.pid, port, count, seconds, fresh=False)
                process, port = servers[OURS]
                _measure(cells[OURS_FRESH, count], process.pid, port, count, seconds, fresh=True)
    return _report(cells)


def commands(port: int) -> dict[str, list[str]]:
    """What starts each server on a port."""
    python, peers = sys.executable, str(HERE / "peers.py")
    ours = [str(Path(python).parent / "protogen"), "serve", "echo", "--port", str(port)]
    return {
        OURS: ours,
        OURS_UNSEEN: [*ours, "--config", str(HERE / "unseen.toml")],
        UVICORN: [python, peers, "uvicorn", str(port)],
        BARE: [python, peers, "bare", str(port)],
        NODE: ["node", str(HERE / "echo.js"), str(port)],
        STOCK: [python, peers, "hypercorn", str(port)],
        FASTAPI: [python, peers, "fastapi", str(port)],
    }


def _start(stack: ExitStack, name: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(commands(port)[name], stdout=subprocess.DEVNULL)
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise CannotMeasure(f"{name} does not listen") from None
        else:
            return process, port


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _measure(cell: Cell, pid: int, port: int, connections: int, seconds: int, *, fresh: bool) -> None:
    before = cpu_seconds(pid)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "call.lua"), f"http://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "FRESH": "1" if fresh else "0"},
    ).stdout
    used = cpu_seconds(pid) - before
    check_answers(done)
    requests = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]  # wrk prints both lines
    cell.cpu.append(used / requests * 1e6)
    cell.rate.append(float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]))  # type: ignore[index]  # wrk prints both lines


def check_answers(told: str) -> None:
    """Refuse what wrk tells of wrong answers and broken connections; late ones (2 s) are the server's own slowness.

    Errors: CannotMeasure.
    """
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", told)
    if "Non-2xx" in told or (broken is not None and set(broken.groups()) != {"0"}):
        raise CannotMeasure(f"wrong answers:\n{told}")


def _report(cells: dict[tuple[str, int], Cell]) -> Report:
    def cpu(name: str) -> float:
        return min(cells[name, 32].cpu)

    rows = [f"{'requests/s':<42}" + "".join(f"{count:>9} conn" for count in CONNECTIONS)]
    names = dict.fromkeys(name for name, _ in cells)
    rows += [
        f"{name:<42}" + "".join(f"{max(cells[name, count].rate):>14.0f}" for count in CONNECTIONS) for name in names
    ]
    targets = [
        Target(name=f"CPU at 32: ours by {peer}", measured=cpu(OURS) / cpu(peer), most=most, unit="")
        for peer, most in ((UVICORN, 0.7), (BARE, 1.3), (STOCK, 1 / 15), (NODE, 1.0))
    ]
    slower = max(cells[FASTAPI, 32].rate) / max(cells[OURS, 32].rate)
    targets.append(Target(name="requests/s at 32: FastAPI by ours", measured=slower, most=0.25, unit=""))
    return Report(
        unit="µs of CPU per request",
        base=f"{OURS}, 32",
        series=tuple(Series(name=f"{name}, {count}", seconds=tuple(cell.cpu)) for (name, count), cell in cells.items()),
        targets=tuple(targets),
        versions={
            "Python": platform.python_version(),
            **{name: version(name) for name in ("trio", "httptools", "hypercorn", "uvicorn", "uvloop", "fastapi")},
            "Node": subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        },
        notes=("", *rows),
    )
