"""Several processes on one port: started together, ended together.

Knows nothing of what a worker does. Each worker is a fresh
interpreter that installs the hook for itself: what is patched in the parent is not patched in a spawned child.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any


def supervise(count: int, work: Callable[..., None], *arguments: Any) -> int:
    """Run `work(*arguments)` in so many processes until they end; SIGTERM and SIGINT are passed on.

    Returns an exit code. `work` is a function of a module, and the arguments can be pickled; sockets can.

    One that ends with a failure ends them all: half a server would hide the fault.
    """
    # SIGINT of a terminal reaches the whole group: the parent alone decides.
    context = get_context("spawn")
    workers: list[BaseProcess] = [context.Process(target=work, args=arguments) for _ in range(count)]

    is_told = False

    def pass_on(_: int, __: FrameType | None) -> None:
        nonlocal is_told
        is_told = True
        for worker in workers:
            if worker.is_alive():
                worker.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for worker in workers:
            worker.start()
        running: list[BaseProcess] = list(workers)
        failed: int | None = 0
        while running:
            wait([worker.sentinel for worker in running])
            running = [worker for worker in running if worker.is_alive()]
            # One that is told to end before it listens to signals ends by the signal.
            fine = (None, 0, -signal.SIGTERM) if is_told else (None, 0)
            failed = failed or next((worker.exitcode for worker in workers if worker.exitcode not in fine), 0)
            if failed and not is_told:
                pass_on(signal.SIGTERM, None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return abs(failed or 0)
