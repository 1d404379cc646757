"""Executors that kill their node in their first execution of a task; APFLOW_EXECUTIONS names the file of executions.

`once`, `again`, which may be repeated, and `prompt`, which may be repeated and never waits.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Final

from protogen_runtime.apflow.executors import Execution, executor

_LOG: Final = Path(os.environ["APFLOW_EXECUTIONS"])


def _run(execution: Execution) -> dict[str, Any]:
    is_first = not _LOG.exists() or execution.task_id not in _LOG.read_text().split()
    with _LOG.open("a") as log:
        log.write(f"{execution.task_id}\n")
    if is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"id": execution.task_id}


@executor("once")
async def once(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    """Kill the node."""
    return _run(execution)


@executor("again", idempotent=True)
async def again(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    """Kill the node the first time."""
    return _run(execution)


@executor("prompt", idempotent=True)
class Prompt:
    """Kills the node the first time."""

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        """Kill it."""
        raise AssertionError("execute_now is called in place of this")

    def execute_now(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        """Kill it."""
        return _run(execution)
