"""Callbacks: what components ask of the runtime, as plugins know it (`plugins.contract.Runtime`).

Turns refusals into errors that workers are told, and runs into the RunStatus of the protocol (spec section 3.4).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from msgspec import UNSET

from protogen_runtime.stepflow.flow.canonical import result_wire
from protogen_runtime.stepflow.plugins.contract import (
    BadRunId,
    Blob,
    BlobNotFound,
    CallRefused,
    FlowNotFound,
    Json,
    RunNotFound,
    RunQuery,
    RunRequest,
    StepContext,
)

from .contract import ItemResult, NotFound, Refused, RunSummary, SubmitRun
from .identifiers import is_uuid
from .service import Runs

FAILED: Final = -32000
"""What the original answers for whatever it refuses and has no code for."""


class Callbacks:
    """The runtime as plugins see it."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def put_blob(self, data: Json, blob_type: str, caller: StepContext | None) -> str:
        """See Runtime; the blob stays as long as the run of the step."""
        if blob_type not in ("data", "flow"):
            raise CallRefused(FAILED, f"blob_type is data or flow, got {blob_type[:80]!r}")
        run_id = None if caller is None else caller.run_id
        with _refusing():
            return await self._runs.put_blob(data, "flow" if blob_type == "flow" else "data", run_id=run_id)

    async def get_blob(self, blob_id: str, caller: StepContext | None) -> Blob:
        """See Runtime."""
        del caller
        with _refusing():
            blob = await self._runs.get_blob(blob_id)
        return Blob(blob.data, blob.blob_type)

    async def submit_run(self, request: RunRequest, caller: StepContext | None) -> Json:
        """See Runtime; the run is one within that of the step."""
        submit = SubmitRun(
            flow_id=request.flow_id,
            inputs=request.inputs,
            overrides=request.overrides,
            max_concurrency=request.max_concurrency,
        )
        with _refusing():
            run_id = await self._runs.submit_within(submit, caller, request.subflow_key)
            if not request.wait:
                return status_of(await self._runs.summary(run_id))
            with self._runs.lending(caller):
                summary = await self._runs.wait(run_id, request.timeout_seconds)
            return status_of(summary, await self._runs.items(run_id))

    async def get_run(self, query: RunQuery, caller: StepContext | None) -> Json:
        """See Runtime."""
        if not is_uuid(query.run_id.lower()):
            raise BadRunId(query.run_id)
        run_id = query.run_id.lower()
        with _refusing():
            if query.wait:
                with self._runs.lending(caller):
                    summary = await self._runs.wait(run_id, query.timeout_seconds)
            else:
                summary = await self._runs.summary(run_id)
            if not query.include_results:
                return status_of(summary)
            return status_of(summary, await self._runs.items(run_id, order=query.result_order))


def status_of(summary: RunSummary, results: Sequence[ItemResult] | None = None) -> Json:
    """The RunStatus of a run; it leaves out what is null."""
    status: dict[str, Json] = {
        "runId": summary.run_id,
        "flowId": summary.flow_id,
        "status": summary.status,
        "items": msgspec.to_builtins(summary.items),
        "createdAt": summary.created_at.removesuffix("Z") + "+00:00",
    }
    if summary.flow_name is not None:
        status["flowName"] = summary.flow_name
    if summary.completed_at is not None:
        status["completedAt"] = summary.completed_at
    if results is not None:
        status["results"] = [_item(it) for it in results]
    return status


def _item(it: ItemResult) -> Json:
    # Values of components stay as they are: they need not be copied to be sent.
    written: dict[str, Json] = {"itemIndex": it.item_index, "status": it.status}
    if it.result is not UNSET:
        written["result"] = result_wire(it.result)
    if it.completed_at is not UNSET:
        written["completedAt"] = it.completed_at
    return written


@contextmanager
def _refusing() -> Generator[None]:
    try:
        yield
    except NotFound as error:
        match error.kind:
            case "flow":
                raise FlowNotFound(error.name) from error
            case "blob":
                raise BlobNotFound(error.name) from error
            case _:
                raise RunNotFound(error.name) from error
    except Refused as error:
        raise CallRefused(FAILED, str(error)) from error
