"""Both programs of the cross-talk tests on the runtime's own transports.

Usage: stack.py TARGET (what `connect` takes) plays the scenario; stack.py --serve serves over HTTP (prints its port),
and stack.py --serve --stdio over its pipes.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import trio
from stepflow_protocol import WorkerClient
from stepflow_protocol.client import CLIENTS
from stepflow_protocol.methods import PROTOCOL

from protogen_runtime.dispatch import Service
from protogen_runtime.io import stdio
from protogen_runtime.io.client import connect
from protogen_runtime.io.http.server import Settings, run
from protogen_runtime.observe import ObserveSettings

sys.path.insert(0, str(Path(__file__).parent))

from runtime_program import Runtime, Scenario
from worker_program import Worker


def make_worker() -> Service:
    return Service(PROTOCOL, "worker", Worker(), clients=CLIENTS)


async def play(target: str) -> None:
    callbacks = Service(PROTOCOL, "runtime", Runtime(), clients=CLIENTS)
    async with connect(target, WorkerClient, callbacks=callbacks, timeout=10) as worker:
        await Scenario(worker).play()


if __name__ == "__main__":
    # The scenario makes a handler fail on purpose: what is logged of it would be noise.
    quiet = ObserveSettings(log_file=os.devnull)
    match sys.argv[1:]:
        case ["--serve", "--stdio"]:
            stdio.run(quiet, make_worker)
        case ["--serve"]:
            run(Settings(port=0, announce=True, observe=quiet), make_worker)
        case [target]:
            trio.run(partial(play, target))
        case words:
            sys.exit(f"unexpected arguments: {words}")
