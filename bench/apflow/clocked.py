"""An executor that says when it began and ended, so that what lies between two executions can be told."""

from __future__ import annotations

import time
from typing import Any

import trio

from protogen_runtime.apflow.executors.registry import executor


@executor("clocked")
async def clocked(inputs: dict[str, Any]) -> dict[str, Any]:
    """Sleep `seconds`; `began` and `ended` are those of a clock that all executions share."""
    began = time.perf_counter()
    await trio.sleep(inputs["seconds"])
    return {"began": began, "ended": time.perf_counter()}
