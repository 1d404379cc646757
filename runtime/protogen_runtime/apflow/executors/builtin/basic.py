"""Executors that do next to nothing: echo, sleep and fail. They are for tests, demonstrations and measurements."""

from __future__ import annotations

from typing import Final

import trio

from protogen_runtime.apflow.executors.contract import Execution, ExecutorFailed, JsonObject

_MAX_SECONDS: Final = 24 * 60 * 60
"""A task that sleeps longer than a day wants a schedule."""


class Echo:
    """Returns its inputs."""

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Return `inputs` as they are."""
        return self.execute_now(inputs, execution)

    def execute_now(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """The same."""
        return inputs


class Sleep:
    """Waits `seconds`, in ten steps of progress, and returns `{"slept": seconds}`."""

    def get_input_schema(self) -> JsonObject:
        """`seconds`, from 0 to a day."""
        return {
            "type": "object",
            "properties": {"seconds": {"type": "number", "minimum": 0, "maximum": _MAX_SECONDS}},
            "required": ["seconds"],
        }

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Wait; cancellation ends it at once."""
        seconds = inputs["seconds"]
        end = trio.current_time() + seconds
        for step in range(1, 11):
            await trio.sleep_until(end - seconds * (10 - step) / 10)
            execution.report_progress(step / 10)
        return {"slept": seconds}


class Fail:
    """Fails with `message`."""

    def get_input_schema(self) -> JsonObject:
        """`message`, not empty."""
        return {"type": "object", "properties": {"message": {"type": "string", "minLength": 1}}}

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Fail."""
        return self.execute_now(inputs, execution)

    def execute_now(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """The same."""
        raise ExecutorFailed(inputs.get("message", "failed as asked"))
