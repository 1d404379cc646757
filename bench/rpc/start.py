"""The suites: how long until a server has given its first answer, what it holds in memory then and after load, and
whether that stays the same over a million requests.

Each server starts in turn, several times; the time is what passes from the start of its process to the answer.
"""

from __future__ import annotations

import os
import platform
import re
import select
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import linear_regression

from report import Report, Series, Target

from . import suite
from .suite import FASTAPI, OURS, UVICORN

MIB = 1024 * 1024
REQUESTS = 1_000_000
FIRST_SHARE = 0.1
"""What is left out of the slope: caches and buffers fill first."""
MOST_BYTES_A_REQUEST = 1.0
"""A slope of a byte a request is a megabyte in a million: less than any object that could be kept for each."""

BODY = b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1}}'
CALL = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def first_answer(name: str) -> tuple[subprocess.Popen[bytes], int, float]:
    """Start a server; its process, its port and the seconds until it had answered. Errors: CannotMeasure."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    started = time.perf_counter()
    process = subprocess.Popen(suite.commands(port)[name], stdout=subprocess.DEVNULL)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(CALL)
                if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise suite.CannotMeasure(f"{name}: a wrong answer")
        except OSError:
            if process.poll() is not None or time.perf_counter() - started > 20:
                raise suite.CannotMeasure(f"{name} does not answer") from None
            # A foreign process tells nobody when its port opens.
            select.select([], [], [], 0.001)
        else:
            return process, port, time.perf_counter() - started


def run(repeats: int) -> Report:
    """Start every server in turn, and load the last ones."""
    names = (OURS, FASTAPI, UVICORN)
    waited: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    fresh: dict[str, int] = {}
    loaded: dict[str, int] = {}
    for turn in range(repeats):
        for name in names:
            with ExitStack() as stack:
                process, port, seconds = first_answer(name)
                stack.callback(process.wait, 20)
                stack.callback(process.terminate)
                waited[name].append(seconds)
                cpu[name].append(suite.cpu_seconds(process.pid))
                fresh[name] = min(fresh.get(name, 1 << 60), resident_bytes(process.pid))
                if turn == repeats - 1:
                    load(port, 32, suite.TURN_SECONDS)
                    loaded[name] = resident_bytes(process.pid)
    rows = [f"{'memory, MiB':<42}{'fresh':>9}{'loaded':>9}"]
    rows += [f"{name:<42}{fresh[name] / MIB:>9.1f}{loaded[name] / MIB:>9.1f}" for name in names]
    return Report(
        unit="s to the first answer",
        base=OURS,
        series=(
            *(Series(name=name, seconds=tuple(values)) for name, values in waited.items()),
            *(Series(name=f"{name}, CPU", seconds=tuple(values)) for name, values in cpu.items()),
        ),
        targets=(
            Target(
                name="first answer: ours by FastAPI",
                measured=min(waited[OURS]) / min(waited[FASTAPI]),
                most=0.5,
                unit="",
            ),
            Target(
                name="CPU until then: ours by FastAPI", measured=min(cpu[OURS]) / min(cpu[FASTAPI]), most=0.5, unit=""
            ),
            Target(name="memory, fresh: ours by FastAPI", measured=fresh[OURS] / fresh[FASTAPI], most=0.7, unit=""),
            Target(name="memory, loaded: ours by FastAPI", measured=loaded[OURS] / loaded[FASTAPI], most=0.7, unit=""),
        ),
        versions={
            "Python": platform.python_version(),
            **{name: version(name) for name in ("trio", "fastapi", "uvicorn", "uvloop")},
        },
        notes=("", *rows),
    )


def load(port: int, connections: int, seconds: int) -> int:
    """Ask for so long; how many requests were answered."""
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "-s",
            str(suite.HERE / "call.lua"),
            f"http://127.0.0.1:{port}/",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    suite.check_answers(done)
    return int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]  # wrk prints the line


def sample(pid: int, requests: int, ask: Callable[[], int]) -> list[tuple[int, int]]:
    """(requests so far, resident bytes) after each `ask`, which tells how many it made, up to so many requests."""
    done = 0
    found: list[tuple[int, int]] = []
    while done < requests:
        done += ask()
        found.append((done, resident_bytes(pid)))
    return found


def slope(samples: Sequence[tuple[int, int]]) -> float:
    """Bytes a request by which memory grew, the first tenth of the requests left out."""
    kept = [at for at in samples if at[0] >= samples[-1][0] * FIRST_SHARE]
    return linear_regression([at for at, _ in kept], [held for _, held in kept]).slope


def run_flat(repeats: int) -> Report:
    """A million requests to one server, memory looked at every two seconds; a tenth of that with `--repeats 1`."""
    requests = REQUESTS if repeats > 1 else REQUESTS // 10
    with ExitStack() as stack:
        process, port, _ = first_answer(OURS)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        samples = sample(process.pid, requests, lambda: load(port, 32, 2 if repeats > 1 else 1))
    series = Series(name=OURS, seconds=tuple(held / MIB for _, held in samples))
    return Report(
        unit=f"MiB resident, over {samples[-1][0]:,} requests",
        base=OURS,
        series=(series,),
        targets=(
            Target(name="growth", measured=slope(samples), most=MOST_BYTES_A_REQUEST, unit="bytes a request"),
            Target(name="largest by first", measured=max(series.seconds) / series.seconds[0], most=1.1, unit=""),
        ),
        versions={"Python": platform.python_version(), "trio": version("trio")},
        notes=(f"first {series.seconds[0]:.2f}, last {series.seconds[-1]:.2f} MiB, {len(samples)} samples",),
    )
