"""Worker: the process of one execution of a ProcessFunction. Run as `python -m …worker FD`, never imported."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import IO, cast

import msgspec
import trio

from .contract import Execution, InvalidInputs, Json, JsonObject
from .messages import Failed, Finished, Job, Progressed, Rejected, Report
from .outcomes import as_result, failure_text
from .processes import find


def main() -> None:
    """Read a job, do it, and report on the pipe whose number is the argument."""
    descriptor = int(sys.argv[1])
    # What the function starts must not keep the pipe open.
    os.set_inheritable(descriptor, False)
    with os.fdopen(descriptor, "wb") as pipe:
        try:
            report: Report = Finished(_run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job), pipe))
        except InvalidInputs as reason:
            report = Rejected(reason.faults)
        except Exception as reason:  # noqa: BLE001  # whatever a function raises becomes the error of its task
            report = Failed(failure_text(reason))
        _tell(pipe, report)


def _run(job: Job, pipe: IO[bytes]) -> JsonObject:
    execution = Execution(
        task_id=job.task_id,
        root_task_id=job.root_task_id,
        user_id=job.user_id,
        name=job.name,
        schemas=job.schemas,
        params=job.params,
        attempt=job.attempt,
        report=lambda fraction: _tell(pipe, Progressed(fraction)),
        dependency_results=lambda: job.dependency_results,
    )
    function = cast("Callable[..., Json]", find(job.function))
    call = partial(function, job.inputs, *([execution] if job.takes_execution else []))
    return as_result(trio.run(call) if inspect.iscoroutinefunction(function) else call())


def _tell(pipe: IO[bytes], report: Report) -> None:
    pipe.write(msgspec.json.encode(report) + b"\n")
    pipe.flush()


if __name__ == "__main__":
    main()
