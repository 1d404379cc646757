"""Processes: functions of Python that run in a process of their own, and are killed when their task is cancelled.

A process serves one execution: what a function leaks, or how it crashes, ends with it. It gets one line of JSON on its
standard input and answers in lines on a pipe of its own, so that what the function prints disturbs nothing.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from importlib import import_module
from typing import Final

import msgspec
import trio

from protogen_runtime.jsonrpc import FrameTooLong, LineFramer

from .contract import Execution, ExecutorFailed, InvalidInputs, JsonObject
from .messages import Failed, Finished, Job, Progressed, Rejected, Report
from .programs import ProgramFailed, started

_ENVELOPE_BYTES: Final = 1024
"""Room around a result for the JSON of its message."""
_WORKER: Final = "protogen_runtime.apflow.executors.worker"


class ProcessFunction:
    """A function in a process of its own; at most as many at once as the limiter has tokens."""

    def __init__(
        self, function: Callable[..., object], *, takes_execution: bool, processes: trio.CapacityLimiter, max_bytes: int
    ) -> None:
        """ValueError where a process of its own could not import the function."""
        self._name = importable_name(function)
        self._takes_execution = takes_execution
        self._processes = processes
        self._max_bytes = max_bytes

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Run the function; cancellation kills its process and whatever that started."""
        job = Job(
            function=self._name,
            inputs=inputs,
            takes_execution=self._takes_execution,
            task_id=execution.task_id,
            root_task_id=execution.root_task_id,
            user_id=execution.user_id,
            name=execution.name,
            schemas=execution.schemas,
            params=execution.params,
            attempt=execution.attempt,
            dependency_results=dict(execution.dependency_results()) if self._takes_execution else {},
        )
        async with self._processes:
            try:
                return await self._run(job, execution)
            except ProgramFailed as reason:
                raise ExecutorFailed(f"the process of the function: {reason}") from None

    async def _run(self, job: Job, execution: Execution) -> JsonObject:
        ours, theirs = os.pipe()
        # The module of the function is found where it was found here.
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        command = [sys.executable, "-P", "-m", _WORKER, str(theirs)]
        async with trio.lowlevel.FdStream(ours) as answers, AsyncExitStack() as stack:
            try:
                process = await stack.enter_async_context(
                    started(command, variables=variables, stdout=subprocess.DEVNULL, stderr=None, pass_fds=(theirs,))
                )
            finally:
                os.close(theirs)
            assert process.stdin is not None
            # The worker reads all of it before it does anything, unless it cannot even start.
            with suppress(trio.BrokenResourceError):
                await process.stdin.send_all(msgspec.json.encode(job))
            await process.stdin.aclose()
            async with aclosing(_reports(answers, self._max_bytes)) as reports:
                async for report in reports:
                    match report:
                        case Progressed(fraction=fraction):
                            execution.report_progress(fraction)
                        case Finished(result=result):
                            return result
                        case Rejected(faults=faults):
                            raise InvalidInputs(*faults)
                        case Failed(error=error):
                            raise ExecutorFailed(error)
            code = await process.wait()
            raise ProgramFailed(f"it ended with code {code} and no result")


def importable_name(function: Callable[..., object]) -> str:
    """`module:name` of a function that another process can import. Raises ValueError."""
    module, name = inspect.getmodule(function), getattr(function, "__qualname__", "")
    if module is None or module.__name__ == "__main__" or find(f"{module.__name__}:{name}") is not function:
        raise ValueError("a process of its own cannot import it; define it at the top of an importable module")
    return f"{module.__name__}:{name}"


def find(name: str) -> object:
    """The object that `module:name` names; None where the module has none."""
    module, _, path = name.partition(":")
    found: object = import_module(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


async def _reports(answers: trio.lowlevel.FdStream, max_bytes: int) -> AsyncGenerator[Report, None]:
    framer = LineFramer(max_bytes + _ENVELOPE_BYTES)
    while data := await answers.receive_some():
        for frame in framer.feed(data):
            if isinstance(frame, FrameTooLong):
                raise ProgramFailed(f"its result has more than {max_bytes} bytes")
            yield msgspec.json.decode(frame, type=Report)
