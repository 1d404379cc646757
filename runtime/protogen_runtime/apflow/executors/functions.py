"""Functions as executors: async ones in the task that runs them, others in a thread.

Knows nothing of identifiers; `registry` decides which class fits a function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from .contract import Execution, JsonObject


class AsyncFunction:
    """An async function; cancellation reaches it at its next await."""

    def __init__(self, function: Callable[..., Awaitable[JsonObject]], *, takes_execution: bool) -> None:
        self._function = function
        self._takes_execution = takes_execution

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Await the function."""
        return await (self._function(inputs, execution) if self._takes_execution else self._function(inputs))


class ThreadFunction:
    """A function that blocks, in a thread. Python cannot stop a thread: a cancelled one runs on, unheard, until it
    ends or reports progress, which raises trio.Cancelled in it then.
    """

    def __init__(
        self, function: Callable[..., JsonObject], *, takes_execution: bool, threads: trio.CapacityLimiter
    ) -> None:
        self._function = function
        self._takes_execution = takes_execution
        self._threads = threads

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Call the function in a thread."""

        def report(fraction: float) -> None:
            trio.from_thread.check_cancelled()
            trio.from_thread.run_sync(execution.report_progress, fraction)

        arguments = (inputs, execution.reporting_to(report)) if self._takes_execution else (inputs,)
        return await trio.to_thread.run_sync(self._function, *arguments, abandon_on_cancel=True, limiter=self._threads)
