"""/eval, /map and /iterate: components that run flows.

Knows no engine: runs are the runtime's. Each run has a key of its own within its step, so that another attempt of the
step finds what an earlier one began.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from protogen_runtime.stepflow.flow.model import FlowError
from protogen_runtime.stepflow.plugins.contract import (
    INTERNAL,
    CallRefused,
    Json,
    RunRequest,
    Runtime,
    StepContext,
    StepFailed,
)

from .component import describe, read_input, refused

NO_SHAPE: Final = 400
"""What /iterate fails with where the flow gives neither `result` nor `next` (spec section 10)."""


class _EvalInput(msgspec.Struct):
    flow_id: str
    input: Any


class _EvalOutput(msgspec.Struct):
    result: Any
    run_id: str


class _MapInput(msgspec.Struct):
    workflow: dict[str, Any]
    items: list[Any]
    max_concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _MapOutput(msgspec.Struct):
    results: list[Any]
    successful: int
    failed: int


class _IterateInput(msgspec.Struct):
    flow: dict[str, Any]
    initial_input: Any
    max_iterations: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 1000


class _IterateOutput(msgspec.Struct):
    result: Any
    iterations: int
    terminated: bool


class _Item(msgspec.Struct):
    status: str
    result: dict[str, Any] | None = None


class _Status(msgspec.Struct):
    run_id: str = msgspec.field(name="runId")
    results: list[_Item] = []


class _Running:
    """What the three have in common."""

    name: str

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def _store(self, flow: Json, context: StepContext) -> str:
        try:
            return await self._runtime.put_blob(flow, "flow", context)
        except CallRefused as error:
            raise refused(self.name, error) from error

    async def _run(self, request: RunRequest, context: StepContext) -> tuple[str, list[Json]]:
        """The id of a run, and its FlowResults in the order of the inputs."""
        try:
            answer = await self._runtime.submit_run(request, context)
        except CallRefused as error:
            raise refused(self.name, error) from error
        status = msgspec.convert(answer, _Status)
        if len(status.results) != len(request.inputs):
            told = f"the run {status.run_id} has {len(status.results)} results for {len(request.inputs)} inputs"
            raise StepFailed(INTERNAL, f"{self.name}: {told}")
        return status.run_id, [item.result or _without_result(item) for item in status.results]


def _without_result(item: _Item) -> Json:
    """An item that ended without one, such as a cancelled one, has failed for whoever waits for it."""
    return {"outcome": "failed", "error": {"code": INTERNAL, "message": f"the item is {item.status}"}}


class Eval(_Running):
    """{flow_id, input} to {result, run_id}; it succeeds even where the flow fails."""

    name = "/eval"
    info = describe(name, "Run a stored flow on an input; gives its result, good or bad.", _EvalInput, _EvalOutput)

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component; `run_id` is that of the run of the flow."""
        given = read_input(self.name, value, _EvalInput)
        request = RunRequest(flow_id=given.flow_id, inputs=[given.input], wait=True, subflow_key="eval")
        run_id, (result,) = await self._run(request, context)
        return {"result": result, "run_id": run_id}


class Map(_Running):
    """{workflow, items, max_concurrency?} to {results, successful, failed}; items that fail do not make it fail."""

    name = "/map"
    info = describe(name, "Run a flow on every item of a list; gives all results.", _MapInput, _MapOutput)

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component; no run is started for an empty list."""
        given = read_input(self.name, value, _MapInput)
        flow_id = await self._store(given.workflow, context)
        results: list[Json] = []
        if given.items:
            request = RunRequest(
                flow_id=flow_id,
                inputs=given.items,
                wait=True,
                max_concurrency=given.max_concurrency,
                subflow_key="map",
            )
            _, results = await self._run(request, context)
        successful = sum(result["outcome"] == "success" for result in results)
        return {"results": results, "successful": successful, "failed": len(results) - successful}


class Iterate(_Running):
    """{flow, initial_input, max_iterations} to {result, iterations, terminated}.

    The flow gives {"result": value} to stop, or {"next": value} to go on with that as its input; `terminated` says that
    it was stopped after `max_iterations`, with the last input as the result.
    """

    name = "/iterate"
    info = describe(name, "Run a flow again and again, until it gives a result.", _IterateInput, _IterateOutput)

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component; a flow that fails passes its error on."""
        given = read_input(self.name, value, _IterateInput)
        flow_id = await self._store(given.flow, context)
        current = given.initial_input
        for count in range(given.max_iterations):
            request = RunRequest(flow_id=flow_id, inputs=[current], wait=True, subflow_key=f"iterate/{count}")
            _, (outcome,) = await self._run(request, context)
            match outcome:
                case {"outcome": "success", "result": {"result": result}}:
                    return {"result": result, "iterations": count + 1, "terminated": False}
                case {"outcome": "success", "result": {"next": following}}:
                    current = following
                case {"outcome": "success"}:
                    message = "Workflow result must contain either 'result' or 'next' field"
                    raise StepFailed(NO_SHAPE, message, kind="result")
                case _:
                    error = msgspec.convert(outcome.get("error"), FlowError)
                    raise StepFailed(error.code, error.message, error.data, kind="result")
        return {"result": current, "iterations": given.max_iterations, "terminated": True}
