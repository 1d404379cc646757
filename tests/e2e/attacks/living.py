"""An executor for nodes under attack: how many trio tasks live in the process."""

from __future__ import annotations

from typing import Any

import trio

from protogen_runtime.apflow.executors import Execution, executor


@executor("living")
async def living(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    """Count them; this one is among them."""
    del inputs, execution
    return {"count": trio.lowlevel.current_statistics().tasks_living}
