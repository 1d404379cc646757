"""Contract: what an executor gets, what it answers, and how it fails.

Knows neither tasks nor queues: whoever runs an executor hands it inputs and an Execution.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from msgspec import UNSET

from protogen_runtime.apflow.rules.faults import FieldFault, shortened

Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Json]


Ask: TypeAlias = Callable[[str], Awaitable[JsonObject]]
"""Asks a question; gives the members of the answer."""


class ExecutorFailed(Exception):
    """An expected failure; its text becomes the task's `error` as it stands, so it must be fit for the task's owner."""


class InvalidInputs(Exception):
    """The inputs are not what the executor can work with; raised before anything was done."""

    def __init__(self, *faults: FieldFault) -> None:
        self.faults = faults
        super().__init__("; ".join(_sentence(fault) for fault in faults) or "the inputs are invalid")


class Execution:
    """One execution of one task, as the executor sees it.

    `schemas` and `params` are the task's (`{}` where it has none); `dependency_results()` gives the results of the
    completed dependencies by task id, in the order in which the task names them. `attempt` counts from 1.
    Cancellation is trio's: the executor's task is cancelled, and an executor that must tell someone else has `cancel`.
    """

    __slots__ = (
        *("_ask", "_report", "attempt", "dependency_results", "name"),
        *("params", "root_task_id", "schemas", "task_id", "user_id"),
    )

    def __init__(
        self,
        *,
        task_id: str,
        root_task_id: str,
        user_id: str | None = None,
        name: str = "",
        schemas: JsonObject | None = None,
        params: JsonObject | None = None,
        attempt: int = 1,
        report: Callable[[float], None] | None = None,
        dependency_results: Callable[[], Mapping[str, JsonObject]] | None = None,
        ask: Ask | None = None,
    ) -> None:
        self.task_id = task_id
        self.root_task_id = root_task_id
        self.user_id = user_id
        self.name = name
        self.schemas = schemas or {}
        self.params = params or {}
        self.attempt = attempt
        self.dependency_results = dependency_results or dict[str, JsonObject]
        self._report = report
        self._ask = ask

    def report_progress(self, fraction: float) -> None:
        """Say how much is done, from 0.0 to 1.0; ValueError beyond. Costs little: reports may be merged."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"progress goes from 0.0 to 1.0, not {fraction!r}")
        if self._report is not None:
            self._report(float(fraction))

    async def ask(self, question: str) -> JsonObject:
        """Ask whoever sent the message that this task came of, and wait for the next one: its members, `text` for text.

        Async executors ask; meanwhile A2A's task is `input-required`. Errors: ExecutorFailed where no message did.
        """
        if self._ask is None:
            raise ExecutorFailed(f"needs input ({question}), and cannot ask from here")
        return await self._ask(question)

    def reporting_to(self, report: Callable[[float], None]) -> Execution:
        """The same execution with its progress going elsewhere: on its way out of a thread or a process."""
        return Execution(
            task_id=self.task_id,
            root_task_id=self.root_task_id,
            user_id=self.user_id,
            name=self.name,
            schemas=self.schemas,
            params=self.params,
            attempt=self.attempt,
            report=report,
            dependency_results=self.dependency_results,
        )


class Executor(Protocol):
    """Runs tasks: one object for all tasks that name it, several at once.

    One that is idempotent and never waits may have `execute_now`, of the same arguments, which is called in place of
    `execute`, and must not block: its tasks start and end in one commit. Beside `execute` an executor may have
    `async def cancel(execution)`, called when an execution is cancelled, `get_input_schema() -> dict | None`, a
    draft-07 schema that inputs are held to, and `validate_inputs(inputs)`, which raises InvalidInputs. Source:
    02-core-concepts.md, 03-data-model.md.
    """

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Do the work and return its result, an object that JSON can hold.

        ExecutorFailed is an expected failure; any other exception fails the task too, with its type and message.
        """
        ...


def _sentence(fault: FieldFault) -> str:
    place = ".".join(map(str, fault.path or (fault.field,)))
    wanted = "" if fault.expected is UNSET else f" (expected {shortened(fault.expected)})"
    return f"{place}: {fault.reason}{wanted}"
