"""The suite: our runtime and worker beside the published ones, all of them up at once and taking turns.

A run counts once it was answered with its result. What the published ones had not answered at the end of a turn counts
for them, too, and so do the errors of the published runtime whose database is locked. The flow of one step is the same
for all: a builtin component that only computes, or one of a Python worker that gives its input back. Workers execute
the same functions.
"""

from __future__ import annotations

import platform
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from report import Report, Series, Target

from . import durable, servers
from .load import CannotMeasure, Turn, by_calling_back, by_wrk
from .servers import OUR_WORKER, OURS, OURS_IN_MEMORY, THEIR_WORKER, THEIRS, THEIRS_IN_MEMORY, Server

RUN_SECONDS, SHORT_SECONDS = 3, 1
"""A turn; the short one where there is only one of each."""
SLOW_SECONDS = 6
"""A turn of the published runtime on its disk, where one answer can take seconds."""
WATCHED_RUNS = 20

BUILTIN, PYTHON, DIRECT, BLOBS = "one builtin step", "one Python step", "execution", "execution with put and get"
INPUT = {"prompt": "What does the fox say?", "count": 12345, "tags": ["a", "b", "c"]}
GOOD = '"outcome":"success"'
STEPS: dict[str, Any] = {
    BUILTIN: {"id": "s", "component": "/builtin/create_messages", "input": {"user_prompt": {"$input": "$.prompt"}}},
    PYTHON: {"id": "s", "component": "/worker/echo", "input": {"$input": "$"}},
}
"""By the name of the load; the answers to all have `GOOD` in them."""


class Bout(msgspec.Struct, frozen=True, kw_only=True):
    """Two contenders at one load, and how many times as many of them we promise; None promises nothing."""

    load: str
    connections: int
    ours: str
    theirs: str
    times: float | None


BOUTS = (
    *(
        Bout(load=BUILTIN, connections=count, ours=OURS, theirs=THEIRS, times=times)
        for count, times in ((1, 4), (16, 10), (64, 10))
    ),
    *(
        Bout(load=BUILTIN, connections=count, ours=OURS_IN_MEMORY, theirs=THEIRS_IN_MEMORY, times=None)
        for count in (1, 16, 64)
    ),
    *(
        Bout(load=PYTHON, connections=count, ours=OURS, theirs=theirs, times=2)
        for theirs in (THEIRS, THEIRS_IN_MEMORY)
        for count in (1, 16, 64)
    ),
    *(Bout(load=DIRECT, connections=count, ours=OUR_WORKER, theirs=THEIR_WORKER, times=3) for count in (1, 32)),
    *(Bout(load=BLOBS, connections=count, ours=OUR_WORKER, theirs=THEIR_WORKER, times=5) for count in (1, 32)),
)

Cell = tuple[str, int, str]
"""A load, connections and a contender."""


def run(repeats: int) -> Report:
    """Let all take turns; then kill our runtime, and count. Errors: CannotMeasure."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is missing; install it with your system's package manager (apt-get install wrk)")
    seconds = SHORT_SECONDS if repeats == 1 else RUN_SECONDS
    cells: dict[Cell, list[Turn]] = {}
    for bout in BOUTS:
        for name in (bout.ours, bout.theirs):
            cells[bout.load, bout.connections, name] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="protogen-bench-")))
        ours, theirs = (stack.enter_context(make(folder)) for make in (servers.our_worker, servers.their_worker))
        up = {ours.name: ours, theirs.name: theirs}
        for make, worker in ((servers.our_runtime, ours), (servers.their_runtime, theirs)):
            for is_durable in (True, False):
                server = stack.enter_context(make(folder, worker, durable=is_durable))
                up[server.name] = server
        flows = {
            (load, name): store_flow(up[name], load)
            for load in STEPS
            for name in (OURS, OURS_IN_MEMORY, THEIRS, THEIRS_IN_MEMORY)
        }
        for _ in range(repeats):
            for (load, connections, name), turns in cells.items():
                flow_id = flows.get((load, name))
                took = SLOW_SECONDS if name == THEIRS else seconds
                try:
                    turns.append(turn(up[name], load, flow_id, connections=connections, seconds=took))
                except CannotMeasure as reason:
                    raise CannotMeasure(f"{name}: {load}, {connections} connections: {reason}") from None
        proofs = prove(up, flows, cells, folder)
    return _report(cells, proofs)


def store_flow(server: Server, load: str) -> str:
    """The id of the flow of a load, stored in a runtime."""
    flow = {"name": load, "steps": [STEPS[load]], "output": {"$step": "s"}}
    flow_id: str = server.ask("/flows", {"flow": flow})["flowId"]
    return flow_id


def turn(server: Server, load: str, flow_id: str | None, *, connections: int, seconds: int) -> Turn:
    """One turn of a load. Errors: CannotMeasure, for wrong answers."""
    if flow_id is not None:
        body = {"flowId": flow_id, "input": [INPUT]}
        return by_wrk(server.runs, body, GOOD, connections=connections, seconds=seconds, may_fail=server.name == THEIRS)
    if load == DIRECT:
        url = f"http://127.0.0.1:{server.port}/"
        return by_wrk(url, call("1", "/echo"), '"output":', connections=connections, seconds=seconds)
    return by_calling_back(
        server.port,
        lambda request_id: msgspec.json.encode(call(request_id, "/blob")),
        connections=connections,
        seconds=seconds,
    )


def call(request_id: str, component: str) -> dict[str, Any]:
    """What a runtime sends to a worker for a step."""
    return {
        "jsonrpc": "2.0",
        "id": request_id,
        "method": "components/execute",
        "params": {
            "component": component,
            "input": INPUT,
            "attempt": 1,
            "observability": {
                "trace_id": "01a201965ef5718aacee4430cf552965",
                "span_id": "b7ad6b7169203331",
                "run_id": "01a20196-5ef5-718a-acee-4430cf552965",
                "flow_id": "965cfb01751a2b1f8a434ac55e79b20155fcf80482089663ceb0ffefc95286af",
                "step_id": "s",
            },
        },
    }


def prove(
    up: dict[str, Server], flows: dict[tuple[str, str], str], cells: dict[Cell, list[Turn]], folder: Path
) -> list[str]:
    """What says that our runs were on the disk when they were answered. Errors: CannotMeasure, where they were not."""
    lines: list[str] = []
    for name in (OURS, THEIRS):
        body = {"flowId": flows[BUILTIN, name], "input": [INPUT]}

        def work(server: Server = up[name], body: dict[str, Any] = body) -> None:
            for _ in range(WATCHED_RUNS):
                server.ask("/runs", body)

        seen = durable.watch(up[name].pid, folder, work)
        if seen is None:
            lines.append(f"{name}: not watched (strace is missing, or may not look)")
            continue
        lines.append(
            f"{name}: {WATCHED_RUNS} runs one by one, {seen.syncs} syncs of the disk; "
            f"{seen.unsynced} of {seen.answers} answers without one before them"
        )
        if name == OURS and (seen.unsynced or seen.answers != WATCHED_RUNS):
            raise CannotMeasure(f"ours is not durable: {lines[-1]}")
    ours = up[OURS]
    assert ours.database is not None
    answered = sum(turn.answers for (_, _, name), turns in cells.items() if name == OURS for turn in turns)
    kept = durable.kept_after_kill(ours.pid, ours.database)
    lines.append(f"{OURS}: killed with SIGKILL; {answered:,} runs were answered, {kept:,} are in its database")
    if kept < answered:
        raise CannotMeasure(f"runs are lost: {lines[-1]}")
    return lines


def _report(cells: dict[Cell, list[Turn]], proofs: list[str]) -> Report:
    def middle(cell: Cell, what: str) -> float:
        return median(getattr(turn, what) for turn in cells[cell])

    def rate_of(cell: Cell) -> float:
        waiting = 0 if cell[2].startswith("our") else cell[1]
        return median(turn.rate * (turn.answers + waiting) / turn.answers for turn in cells[cell])

    head = f"{'answers/s':<26}{'conn.':>6}  {'ours':<24}  {'theirs':<31}{'times':>7}{'promised':>10}"
    rows = [f"{head}{'ours p50/p99, ms':>19}{'client: ours theirs':>21}"]
    targets: list[Target] = []
    for bout in BOUTS:
        mine, other = ((bout.load, bout.connections, name) for name in (bout.ours, bout.theirs))
        rate, theirs = rate_of(mine), rate_of(other)
        promised = "" if bout.times is None else f"{bout.times:g}"
        rows.append(
            f"{bout.load:<26}{bout.connections:>6}  {bout.ours:<16}{rate:>8.0f}  {bout.theirs:<24}{theirs:>7.0f}"
            f"{rate / theirs:>7.2f}{promised:>10}{middle(mine, 'p50'):>10.1f} /{middle(mine, 'p99'):>7.1f}"
            f"{middle(mine, 'client'):>14.0%}{middle(other, 'client'):>7.0%}"
        )
        if bout.times is not None:
            targets.append(
                Target(
                    name=f"{bout.load}, {bout.connections}: {bout.theirs} by ours",
                    measured=theirs / rate,
                    most=1 / bout.times,
                    unit="",
                )
            )
    for (load, connections, name), turns in cells.items():
        if wrong := sum(turn.wrong for turn in turns):
            total = sum(turn.answers for turn in turns)
            proofs.append(f"{name}: {load}, {connections} connections: {wrong} of {total} answers were errors")
    return Report(
        unit="ms an answer",
        base=f"{OURS}, {BUILTIN}, 1",
        series=tuple(
            Series(name=f"{name}, {load}, {connections}", seconds=tuple(1000 / it.rate for it in taken))
            for (load, connections, name), taken in cells.items()
        ),
        targets=tuple(targets),
        versions={
            "Python": platform.python_version(),
            "SQLite": sqlite3.sqlite_version,
            **{name: version(name) for name in ("trio", "msgspec")},
            **servers.their_versions(),
        },
        notes=("", *rows, "", *proofs),
    )
