"""The suite: requests a second of a node, ours and the reference implementation's, at 32 connections, in turns.

Both execute the same trivial task, which both have built in. A turn of executions counts those that had completed, and
a turn of creations the tasks that were there, once nothing changed any more, by the time until then: whatever wrk still
waited for is counted, too. Of reads, what it still waited for counts for the reference implementation.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from report import Report, Series, Target
from rpc.suite import cpu_seconds

from . import trees
from .nodes import APFLOW, HERE, CannotMeasure, Node, look_later, ours, reference, reference_versions

CONNECTIONS = 32
SEEDED = 100
"""Tasks that each node has from the start; their ids are asked for in turn."""
QUIET_SECONDS = 3.0
"""Executions are over when no count has changed for so long."""
TRIVIAL = {"name": "trivial", "schemas": {"method": "aggregate_results_executor"}, "inputs": {}}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A call, how many times as many of them we promise, and the seconds of a turn."""

    name: str
    method: str
    params: dict[str, Any]
    times: float
    seconds: int
    makes: str | None = None
    """The state of the tasks that it leaves behind."""


LOADS = (
    Load(name="get", method="tasks.get", params={"task_id": "%s"}, times=25, seconds=4),
    Load(name="create", method="tasks.create", params=TRIVIAL, times=60, seconds=6, makes="pending"),
    Load(name="list of 20", method="tasks.list", params={"limit": 20}, times=100, seconds=6),
    Load(name="execute", method="tasks.execute", params={"tasks": [TRIVIAL]}, times=200, seconds=12, makes="completed"),
)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a node did in a turn: requests or completed executions a second, and what one of them took."""

    rate: float
    p50: float
    p99: float
    """Milliseconds until the answer."""
    cpu: float
    """Microseconds of the node's CPU for each."""


def run(repeats: int) -> Report:
    """Measure both nodes, then whole flows on ours."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is missing; install it with your system's package manager (apt-get install wrk)")
    turns: dict[tuple[str, str], list[Turn]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="protogen-bench-")))
        nodes = [stack.enter_context(ours(folder)), stack.enter_context(reference(folder, _free_port()))]
        ids = {node.name: [node.call("tasks.create", TRIVIAL)["id"] for _ in range(SEEDED)] for node in nodes}
        for _ in range(repeats):
            for load in LOADS:
                for node in nodes:
                    turns.setdefault((load.name, node.name), []).append(turn(node, load, ids[node.name]))
    return _report(turns, trees.run(repeats))


def turn(node: Node, load: Load, ids: list[str], seconds: int | None = None) -> Turn:
    """One turn of a load. Errors: CannotMeasure, for wrong answers and failed executions."""
    used, before = cpu_seconds(node.pid), node.counts()
    started = time.perf_counter()
    call = {"jsonrpc": "2.0", "id": 1, "method": load.method, "params": load.params}
    told = subprocess.run(
        [
            *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds or load.seconds}s", "--timeout", "120s"),
            *("-s", str(HERE / "call.lua"), node.url),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BODY": json.dumps(call, separators=(",", ":")), "IDS": " ".join(ids)},
    ).stdout
    done, took, p50, p99 = answers(told)
    if load.makes is not None:
        done, took = _made(node, load.makes, before, started)
    elif node.name != "ours":
        done += CONNECTIONS
    return Turn(
        rate=done / took,
        p50=p50,
        p99=p99,
        cpu=(cpu_seconds(node.pid) - used) / done * 1e6,
    )


def answers(told: str) -> tuple[int, float, float, float]:
    """What wrk tells: answers, seconds, and the milliseconds that half and that 99 of 100 of them stayed below.

    Errors: CannotMeasure, for answers without a result and broken connections.
    """
    found = re.search(r"took (\d+) answers (\d+) wrong (\d+) p50 (\d+) p99 (\d+)", told)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", told)
    if found is None or found[3] != "0" or (broken is not None and set(broken.groups()) != {"0"}):
        raise CannotMeasure(f"wrong answers:\n{told}")
    return int(found[2]), int(found[1]) / 1e6, int(found[4]) / 1000, int(found[5]) / 1000


def _made(node: Node, state: str, before: dict[str, int], started: float) -> tuple[int, float]:
    """How many tasks have come to a state since, and the seconds until the last of them had."""
    last, changed = node.counts(), time.perf_counter()
    while (now := time.perf_counter()) < changed + QUIET_SECONDS or last["in_progress"]:
        counts = node.counts()
        if counts != last:
            last, changed = counts, now
        look_later()
    if last["failed"] or last[state] == before[state]:
        raise CannotMeasure(f"{node.name}: not all tasks are {state}: {last}")
    return last[state] - before[state], changed - started


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _report(turns: dict[tuple[str, str], list[Turn]], flows: trees.Flows) -> Report:
    theirs = f"apflow {APFLOW}"

    def rate(load: str, name: str) -> float:
        return median(turn.rate for turn in turns[load, name])

    def cpu(load: str, name: str) -> float:
        return median(turn.cpu for turn in turns[load, name])

    rows = [f"{'requests/s':<12}{'ours':>9}{theirs:>16}{'times':>8}{'promised':>10}{'ours p50/p99, ms':>19}"]
    for load in LOADS:
        mine, other = rate(load.name, "ours"), rate(load.name, theirs)
        p50, p99 = (median(getattr(turn, name) for turn in turns[load.name, "ours"]) for name in ("p50", "p99"))
        rows.append(
            f"{load.name:<12}{mine:>9.0f}{other:>16.2f}{mine / other:>8.0f}{load.times:>10.0f}{p50:>10.1f} /{p99:>7.1f}"
        )
    rows += ["", f"{'CPU, ms each':<12}{'ours':>9}{theirs:>16}{'times':>8}"]
    for load in LOADS:
        mine, other = cpu(load.name, "ours") / 1000, cpu(load.name, theirs) / 1000
        rows.append(f"{load.name:<12}{mine:>9.3f}{other:>16.1f}{other / mine:>8.0f}")
    return Report(
        unit="ms a request",
        base="ours, get",
        series=(
            *(
                Series(
                    name=f"{'ours' if name == 'ours' else theirs}, {load}",
                    seconds=tuple(1000 / it.rate for it in taken),
                )
                for (load, name), taken in turns.items()
            ),
        ),
        targets=(
            *(
                Target(
                    name=f"{load.name}: theirs by ours",
                    measured=rate(load.name, theirs) / rate(load.name, "ours"),
                    most=1 / load.times,
                    unit="",
                )
                for load in LOADS
            ),
            *flows.targets,
        ),
        versions={
            "Python": platform.python_version(),
            "SQLite": sqlite3.sqlite_version,
            **{name: version(name) for name in ("trio", "msgspec")},
            **reference_versions(),
        },
        notes=("", *rows, "", *flows.rows),
    )
