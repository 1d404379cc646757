"""A runtime that is killed again and again: forks one for each line on its input, and tells what it acknowledged.

Lines on its output: `pid N` (a runtime was started), `ack RUN SEED`, `done RUN RESULTS`, `blob ID SEED`, `ended`; in
the end `final RUN STATUS RESULTS` and `read ID VALUE`. In the log, which keeps the order: `call RUN ITEM STEP ATTEMPT`
before a component does its work, and `kept RUN ITEM STEP` once its outcome is said to be recorded.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import trio

from protogen_runtime.stepflow.engine import S1
from protogen_runtime.stepflow.plugins.contract import ComponentInfo, StepContext
from protogen_runtime.stepflow.runs import SCHEMA
from protogen_runtime.stepflow.runs.contract import RunFilter, SubmitRun
from protogen_runtime.stepflow.runs.service import Runs
from protogen_runtime.store import open_store

FLOW = {
    "steps": [
        {"id": "a", "component": "/log", "input": {"$input": "$"}},
        {"id": "b", "component": "/now", "input": {"$step": "a"}},
        {"id": "c", "component": "/log", "input": {"$step": "b"}},
        {"id": "d", "component": "/log", "input": {"$step": "c"}},
    ],
    "output": {"$step": "d"},
}
CLIENTS = 4
ITEMS = 3


class Logged:
    """/log notes that it is called and adds one; /now adds one."""

    def __init__(self, log: int) -> None:
        self._log = log

    def execute_nowait(self, component: str, value: Any) -> Any:
        if component == "/now":
            return value + 1
        raise trio.WouldBlock

    async def components(self) -> list[ComponentInfo]:
        return []

    async def execute(self, component: str, value: Any, context: StepContext) -> Any:
        note(self._log, f"call {context.run_id} {context.item} {context.step_id} {context.attempt}")
        await trio.lowlevel.checkpoint()
        return value + 1


def note(descriptor: int, line: str) -> None:
    """One line, whole or not at all."""
    os.write(descriptor, f"{line}\n".encode())


async def follow(runs: Runs, run_id: str, log: int) -> None:
    async for event in await runs.events(run_id):
        if event.kind == "step_completed":
            note(log, f"kept {run_id} {event.item_index} {event.step_id}")


async def shown(runs: Runs, run_id: str) -> str:
    return json.dumps(
        [getattr(item.result, "result", None) for item in await runs.items(run_id)], separators=(",", ":")
    )


async def client(runs: Runs, flow_id: str, number: int, log: int) -> None:
    seed = number
    async with trio.open_nursery() as nursery:
        while True:
            seed += CLIENTS
            run_id = await runs.submit(SubmitRun(flow_id=flow_id, inputs=[seed * 100 + item for item in range(ITEMS)]))
            note(1, f"ack {run_id} {seed}")
            nursery.start_soon(follow, runs, run_id, log)
            note(1, f"blob {await runs.put_blob(f'blob {seed}' * (1 + seed % 3 * 9000), 'data')} {seed}")
            await runs.wait(run_id)
            note(1, f"done {run_id} {await shown(runs, run_id)}")


async def serve(address: str, log: int) -> None:
    async with open_store(address, SCHEMA) as store:
        runs = Runs(store, S1)
        async with runs.running(Logged(log)), trio.open_nursery() as nursery:
            for summary in await runs.list_runs(RunFilter(status="running")):
                nursery.start_soon(follow, runs, summary.run_id, log)
            flow_id = (await runs.store_flow(FLOW)).flow_id
            assert flow_id is not None
            base = int.from_bytes(os.urandom(4), "big")
            for number in range(CLIENTS):
                nursery.start_soon(client, runs, flow_id, base + number, log)


async def finish(address: str, log: int) -> None:
    async with open_store(address, SCHEMA) as store:
        runs = Runs(store, S1)
        async with runs.running(Logged(log)):
            offset = 0
            while page := await runs.list_runs(RunFilter(limit=500, offset=offset)):
                for summary in page:
                    ended = await runs.wait(summary.run_id)
                    note(1, f"final {summary.run_id} {ended.status} {await shown(runs, summary.run_id)}")
                offset += len(page)
            # What it was asked after: blobs by their ids, in the lines that follow.
            for line in sys.stdin:
                if not line.strip():
                    break
                blob = await runs.get_blob(line.strip())
                note(1, f"read {line.strip()} {json.dumps(blob.data[:20])}")


def main() -> None:
    """Fork a runtime for each `go`; `finish` runs one that brings everything to its end."""
    address, log_path = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for line in iter(sys.stdin.readline, ""):
        if line.strip() == "finish":
            trio.run(finish, address, log)
        else:
            pid = os.fork()
            if not pid:
                note(1, f"pid {os.getpid()}")
                trio.run(serve, address, log)
                os._exit(0)
            os.waitpid(pid, 0)
        note(1, "ended")


if __name__ == "__main__":
    main()
