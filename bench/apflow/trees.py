"""Whole flows on a node of ours: of 1,000 to 100,000 tasks that do nothing, and of 1,000 that run at any time.

Each flow is one call over HTTP to a node that has just started, and durable. It is over when the node counts all of its
tasks as completed. Memory is the largest that the node's process had, the call's 13 MB and all that it is decoded to
included.
"""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from report import Target
from rpc.suite import cpu_seconds

from .nodes import HERE, CannotMeasure, Node, look_later, ours

SIZES = (1_000, 10_000, 100_000)
REPEATS = 3
"""At most: the flows of one turn take minutes."""
TASKS_A_SECOND = 2_000
MOST_MIB = 300.0
MOST_GROWTH = 1.3
"""What a task of the largest flow may cost of one of the smallest, at most: flat, but for the noise of the machine."""
RUNNING = 1_000
LINKS = 4
CALM_SECONDS, BUSY_SECONDS = 5.0, 1.0
"""How long each of those that run takes, about: 200 of them end in a second, or 1,000."""
MOST_WAIT_MS = 10.0
SYNCS = 500
MIB = 1024 * 1024
SETTINGS = f"""
concurrency = {RUNNING}
[executors]
modules = ["{HERE / "clocked.py"}"]
"""


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow took: seconds until its call was answered and until it was over, CPU seconds, and MiB at most."""

    tasks: int
    answered: float
    over: float
    cpu: float
    fresh: float
    peak: float

    @property
    def rate(self) -> float:
        """Durable tasks a second, from the call to the end."""
        return self.tasks / self.over

    @property
    def cost(self) -> float:
        """Microseconds of CPU for each task."""
        return self.cpu / self.tasks * 1e6


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """What all flows showed."""

    targets: tuple[Target, ...]
    rows: tuple[str, ...]


def run(repeats: int) -> Flows:
    """Run flows of all sizes, and one in which dependants wait."""
    flows: dict[int, list[Flow]] = {size: [] for size in SIZES}
    calm: list[tuple[float, float]] = []
    busy: list[tuple[float, float]] = []
    syncs: list[tuple[float, float]] = []
    for _ in range(min(repeats, REPEATS)):
        for size in SIZES:
            flows[size].append(run_flow(size))
        calm.append(percentiles(waited(RUNNING, LINKS, CALM_SECONDS)))
        busy.append(percentiles(waited(RUNNING, LINKS, BUSY_SECONDS)))
        syncs.append(percentiles(synced()))
    return _summary(flows, calm, busy, syncs)


def run_flow(size: int) -> Flow:
    """Have a node that has just started run one flow of so many tasks that do nothing. Errors: CannotMeasure."""
    body = flow_of(size)
    with tempfile.TemporaryDirectory(prefix="protogen-bench-") as folder, ours(Path(folder)) as node:
        fresh, used = memory(node.pid, "VmRSS"), cpu_seconds(node.pid)
        started = time.perf_counter()
        node.ask(body)
        answered = time.perf_counter() - started
        until_completed(node, size)
        return Flow(
            tasks=size,
            answered=answered,
            over=time.perf_counter() - started,
            cpu=cpu_seconds(node.pid) - used,
            fresh=fresh,
            peak=memory(node.pid, "VmHWM"),
        )


def flow_of(size: int) -> bytes:
    """The call that executes a flow: a root, and all other tasks below it."""
    root, schemas = str(uuid.uuid4()), {"method": "echo"}
    tasks: list[dict[str, Any]] = [{"id": root, "name": "root", "schemas": schemas}]
    tasks += [{"id": str(uuid.uuid4()), "parent_id": root, "name": "task", "schemas": schemas} for _ in range(size - 1)]
    return call_of(tasks)


def call_of(tasks: list[dict[str, Any]]) -> bytes:
    """The call that executes tasks."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": {"tasks": tasks}}
    return json.dumps(call, separators=(",", ":")).encode()


def until_completed(node: Node, size: int) -> None:
    """Wait until so many tasks have completed. Errors: CannotMeasure, where any failed."""
    while True:
        if node.call("tasks.list", {"status": "completed", "limit": 1})["total"] == size:
            return
        if node.call("tasks.list", {"status": "failed", "limit": 1})["total"]:
            raise CannotMeasure(f"tasks failed: {node.counts()}")
        look_later()


def memory(pid: int, name: str) -> float:
    """MiB of a process: VmRSS what it has in RAM, VmHWM the most that it has had."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / MIB


# --- waiting for dependencies ---------------------------------------------------------------------


def waited(running: int, links: int, seconds: float) -> list[float]:
    """Milliseconds from the end of each dependency to the start of its dependant, in chains of tasks that sleep for
    some seconds, one of each chain at any time.
    """
    tasks = list(chains(running, links, seconds))
    with tempfile.TemporaryDirectory(prefix="protogen-bench-") as folder, ours(Path(folder), settings=SETTINGS) as node:
        node.ask(call_of(tasks))
        until_completed(node, len(tasks))
        stored = node.call("tasks.children", {"parent_id": tasks[0]["id"]})["children"]
    results = {task["id"]: task["result"] for task in stored}
    return [
        (results[task["id"]]["began"] - results[task["dependencies"][0]["id"]]["ended"]) * 1000
        for task in tasks
        if "dependencies" in task
    ]


def chains(count: int, links: int, seconds: float) -> Iterator[dict[str, Any]]:
    """A root without work, and below it chains of tasks of which each depends on the one before."""
    root = str(uuid.uuid4())
    yield {"id": root, "name": "root"}
    chosen = random.Random(1)
    for _ in range(count):
        before: str | None = None
        for _ in range(links):
            task = {
                "id": str(uuid.uuid4()),
                "parent_id": root,
                "name": "link",
                "schemas": {"method": "clocked"},
                "inputs": {"seconds": chosen.uniform(0.5, 1.5) * seconds},
            }
            yield task if before is None else {**task, "dependencies": [{"id": before}]}
            before = str(task["id"])


def synced() -> list[float]:
    """Milliseconds that each of some small writes needs to be on the disk: what a dependant waits for at least."""
    taken: list[float] = []
    with tempfile.TemporaryFile(prefix="protogen-bench-") as file:
        for _ in range(SYNCS):
            started = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 0)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    return taken


def percentiles(values: list[float]) -> tuple[float, float]:
    """The median and what 99 of 100 stay below."""
    ordered = sorted(values)
    return median(ordered), ordered[len(ordered) * 99 // 100]


def _summary(
    flows: dict[int, list[Flow]],
    calm: list[tuple[float, float]],
    busy: list[tuple[float, float]],
    syncs: list[tuple[float, float]],
) -> Flows:
    def middle(size: int, name: str) -> float:
        return float(median(getattr(flow, name) for flow in flows[size]))

    rows = [f"{'tasks in a flow':<18}{'answered, s':>13}{'over, s':>9}{'tasks/s':>9}{'CPU, µs':>9}{'MiB, peak':>11}"]
    rows += [
        f"{size:<18,}{middle(size, 'answered'):>13.2f}{middle(size, 'over'):>9.2f}{middle(size, 'rate'):>9.0f}"
        f"{middle(size, 'cost'):>9.0f}{middle(size, 'peak'):>11.0f}"
        for size in SIZES
    ]
    small, middling, large = SIZES
    grown = [
        (middle(above, "peak") - middle(below, "peak")) * MIB / (above - below)
        for below, above in ((small, middling), (middling, large))
    ]
    rows.append(f"memory a task, bytes: {grown[0]:.0f} to {middling:,}, {grown[1]:.0f} to {large:,}")
    rows.append(f"{'ms':<52}{'p50':>7}{'p99':>8}")
    for name, taken in (
        (f"dependant's start, {RUNNING:,} running, {RUNNING / CALM_SECONDS:,.0f} ends a second", calm),
        (f"the same, {RUNNING / BUSY_SECONDS:,.0f} ends a second", busy),
        ("one small write to the disk, before all else", syncs),
    ):
        p50, p99 = (median(values) for values in zip(*taken, strict=True))
        rows.append(f"{name:<52}{p50:>7.1f}{p99:>8.1f}")
    waited99 = median(p99 for _, p99 in calm)
    return Flows(
        rows=tuple(rows),
        targets=(
            Target(
                name=f"{large:,} tasks in one flow, ms a task",
                measured=1000 / middle(large, "rate"),
                most=1000 / TASKS_A_SECOND,
                unit="ms",
            ),
            Target(name=f"memory at {large:,} tasks", measured=middle(large, "peak"), most=MOST_MIB, unit="MiB"),
            Target(
                name=f"CPU a task, {large:,} by {small:,}",
                measured=middle(large, "cost") / middle(small, "cost"),
                most=MOST_GROWTH,
                unit="",
            ),
            Target(
                name=f"dependant's start, {RUNNING:,} running, p99", measured=waited99, most=MOST_WAIT_MS, unit="ms"
            ),
        ),
    )
