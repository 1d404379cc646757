"""The executor `stepflow` of a task node: tasks that call a component, or run a flow, of a Stepflow configuration.

The two protocols meet here and nowhere else: a task is a run of a runtime in this process, which keeps nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import trio

from protogen_runtime.apflow.executors.contract import Execution, ExecutorFailed, InvalidInputs, JsonObject
from protogen_runtime.apflow.rules.faults import FieldFault
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.stepflow.flow.model import Failed, FlowResult, Success
from protogen_runtime.stepflow.plugins.contract import DialectName, is_array, is_object
from protogen_runtime.stepflow.runs import Limits
from protogen_runtime.stepflow.runs.contract import Refused, RunService, SubmitRun

from .configured import read_config
from .runtime import REASONS, open_runtime, why

ID: Final = "stepflow"
ALIAS: Final = "stepflow_executor"

STEP: Final = "call"
"""The only step of the flow that a component is called by."""

BLOB_SECONDS: Final = 3600.0
"""How long a blob stays that nothing refers to: as long as a component may take to name what it has put."""

CANCEL_SECONDS: Final = 5.0

_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "component": {"type": "string", "pattern": "^/."},
        "flow": {"type": ["object", "string"]},
        "input": {},
        "variables": {"type": "object"},
        "timeout": {"type": "number", "exclusiveMinimum": 0},
    },
    "oneOf": [{"required": ["component"]}, {"required": ["flow"]}],
}


class StepflowExecutor:
    """Calls `component` with `input`, and gives `{"output": …, "run_id": …}`; or runs `flow`, a document or an id.

    A component that fails, or a flow, fails the task with its message and code. Cancellation cancels the run.
    """

    def __init__(self, runs: RunService) -> None:
        self.runs = runs
        self._flows: dict[str, str] = {}

    def get_input_schema(self) -> JsonObject:
        """`component` or `flow`, `input`, `variables` of a flow, `timeout` in seconds (none)."""
        return _SCHEMA

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Make a run and wait for it. Errors: ExecutorFailed, InvalidInputs for a flow that is none."""
        del execution
        try:
            flow_id = await self._flow_id(inputs)
            request = SubmitRun(flow_id=flow_id, inputs=[inputs.get("input")], variables=inputs.get("variables", {}))
            run_id = await self.runs.submit(request)
            result = await self._result(run_id, inputs.get("timeout"))
        except Refused as reason:
            raise ExecutorFailed(f"stepflow: {reason}") from None
        match result:
            case Success(result=output):
                return {"output": output, "run_id": run_id}
            case Failed(error=error):
                raise ExecutorFailed(f"{_told(error.message, error.data)} ({error.code})")
            case None:
                raise ExecutorFailed("stepflow: the run ended without a result")

    async def _result(self, run_id: str, seconds: float | None) -> FlowResult | None:
        """The result of the run, which is gone afterwards."""
        try:
            await self.runs.wait(run_id, seconds)
            item = (await self.runs.items(run_id))[0]
            if isinstance(item.result, msgspec.UnsetType):
                if seconds is not None and item.status == "running":
                    raise ExecutorFailed(f"the component did not answer within {seconds:g} s")
                return None
            return item.result
        finally:
            # Nobody else knows of the run.
            with trio.move_on_after(CANCEL_SECONDS, shield=True):
                with suppress(Refused):
                    await self.runs.cancel(run_id)
                with suppress(Refused):
                    await self.runs.delete_run(run_id)

    async def _flow_id(self, inputs: JsonObject) -> str:
        flow: Any = inputs.get("flow")
        if isinstance(flow, str):
            return flow
        if flow is None:
            component = inputs["component"]
            if component in self._flows:
                return self._flows[component]
            step = {"id": STEP, "component": component, "input": {"$input": "$"}}
            flow = {"steps": [step], "output": {"$step": STEP}}
        stored = await self.runs.store_flow(flow)
        if stored.flow_id is None:
            reasons = [it.formatted for it in stored.diagnostics if it.level == "fatal"]
            raise InvalidInputs(*(FieldFault(field="flow", reason=reason) for reason in reasons))
        if "component" in inputs:
            self._flows[inputs["component"]] = stored.flow_id
        return stored.flow_id


@asynccontextmanager
async def open_executor(config: str, *, dialect: DialectName | None = None) -> AsyncGenerator[StepflowExecutor]:
    """The executor for a configuration, a file, with its workers running, as long as the context lasts.

    Errors: CannotServe.
    """
    known = read_config(config, dialect=dialect)
    try:
        async with open_runtime(known, limits=Limits(grace_seconds=BLOB_SECONDS)) as runs:
            yield StepflowExecutor(runs)
    except (*REASONS, BaseExceptionGroup) as error:
        reason = why(error)
        if reason is None:
            raise
        raise CannotServe(f"stepflow: {reason}") from None


def _told(message: str, data: Any) -> str:
    """The message of an error; in 0.9 the last cause says what happened."""
    stack = data.get("stack") if is_object(data) else None
    last = stack[-1] if is_array(stack) and stack else None
    cause = last.get("error") if is_object(last) else None
    return f"{message}: {cause}" if isinstance(cause, str) and cause != message else message
