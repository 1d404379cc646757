"""Executors that tell a file of each execution before they do anything: `once`, and `again`, which may be repeated.

The file is the one named by APFLOW_EXECUTIONS; each line is a task's id.
"""

from __future__ import annotations

import os
from typing import Any, Final

import trio

from protogen_runtime.apflow.executors import Execution, ExecutorFailed, executor

_LOG: Final = os.open(os.environ["APFLOW_EXECUTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def _run(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    os.write(_LOG, f"{execution.task_id}\n".encode())
    await trio.sleep(inputs.get("seconds", 0.0))
    if inputs.get("fails"):
        raise ExecutorFailed("as asked")
    return {"id": execution.task_id}


@executor("once")
async def once(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    """Run it."""
    return await _run(inputs, execution)


@executor("again", idempotent=True)
async def again(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    """Run it, as often as need be."""
    return await _run(inputs, execution)
