"""Running: one execution of an executor, from inputs to a result that can be stored.

Knows no task: what becomes of results and failures is decided by who runs this.
"""

from __future__ import annotations

from typing import Final

import trio

from .contract import Execution, InvalidInputs, JsonObject
from .outcomes import as_result
from .registry import Registered
from .settings import ExecutorSettings

_DEFAULTS: Final = ExecutorSettings()


def check_inputs(registered: Registered, inputs: JsonObject) -> None:
    """Hold inputs to the executor's schema, then to its own check (03-data-model.md). Raises InvalidInputs."""
    if registered.input_schema is not None:
        faults = registered.input_schema.faults(inputs)
        if faults:
            raise InvalidInputs(*faults)
    validate_inputs = getattr(registered.executor, "validate_inputs", None)
    if validate_inputs is not None:
        validate_inputs(inputs)


def run_now(
    registered: Registered, inputs: JsonObject, execution: Execution, *, settings: ExecutorSettings = _DEFAULTS
) -> JsonObject:
    """Do the same at once, with an executor that has `execute_now`."""
    assert registered.execute_now is not None
    check_inputs(registered, inputs)
    return as_result(registered.execute_now(inputs, execution), max_bytes=settings.result_max_bytes)


async def run(
    registered: Registered, inputs: JsonObject, execution: Execution, *, settings: ExecutorSettings = _DEFAULTS
) -> JsonObject:
    """Check the inputs, execute, and return the result as a JSON object of its own.

    Raises InvalidInputs, ExecutorFailed, and whatever else the executor raises: `failure_text` says it to users. When
    it is cancelled, the executor's `cancel` is called, if it has one, for at most `cancel_seconds`.
    """
    check_inputs(registered, inputs)
    executor = registered.executor
    try:
        result = await executor.execute(inputs, execution)
    except trio.Cancelled:
        cancel = getattr(executor, "cancel", None)
        if cancel is not None:
            with trio.move_on_after(settings.cancel_seconds, shield=True):
                await cancel(execution)
        raise
    return as_result(result, max_bytes=settings.result_max_bytes)
