"""The runtime of the cross-talk tests in Python: calls a worker at a URL or over stdio and prints each step.

Usage: runtime_program.py URL [--backend trio|asyncio], or runtime_program.py [--backend ...] --stdio COMMAND...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable
from typing import Any

import anyio
from msgspec import UNSET, UnsetType
from stepflow_protocol import (
    BlobNotFoundError,
    CallTimeoutError,
    ComponentExecuteParams,
    ComponentInfoParams,
    ComponentListParams,
    ComponentNotFoundError,
    Context,
    GetBlobParams,
    GetBlobResult,
    GetRunProtocolParams,
    Initialized,
    InitializeParams,
    ObservabilityContext,
    PutBlobParams,
    PutBlobResult,
    RpcError,
    RunStatusProtocol,
    SubmitRunProtocolParams,
    WorkerClient,
    runtime_dispatcher,
)

Caller = Context[WorkerClient]


class Runtime:
    """Keeps blobs in memory."""

    def __init__(self) -> None:
        self._blobs: dict[str, PutBlobParams] = {}

    async def blobs_put(self, params: PutBlobParams, context: Caller) -> PutBlobResult:
        blob_id = f"blob-{len(self._blobs)}"
        self._blobs[blob_id] = params
        return PutBlobResult(blob_id=blob_id)

    async def blobs_get(self, params: GetBlobParams, context: Caller) -> GetBlobResult:
        blob = self._blobs.get(params.blob_id)
        if blob is None:
            raise BlobNotFoundError
        return GetBlobResult(data=blob.data, blob_type=blob.blob_type)

    async def runs_submit(self, params: SubmitRunProtocolParams, context: Caller) -> RunStatusProtocol:
        raise RpcError(-32000, "no runs here")

    async def runs_get(self, params: GetRunProtocolParams, context: Caller) -> RunStatusProtocol:
        raise RpcError(-32000, "no runs here")


class Scenario:
    """The steps, in order."""

    def __init__(self, worker: WorkerClient) -> None:
        self._worker = worker

    async def execute(self, component: str, given: object, *, timeout: float | UnsetType = UNSET) -> Any:
        params = ComponentExecuteParams(
            component=component, input=given, attempt=1, observability=ObservabilityContext()
        )
        return (await self._worker.components_execute(params, timeout=timeout)).output

    async def play(self) -> None:
        worker = self._worker
        say(
            "initialize",
            (await worker.initialize(InitializeParams(runtime_protocol_version=1))).server_protocol_version,
        )
        await worker.initialized(Initialized())
        say("list", len((await worker.components_list(ComponentListParams())).components))
        say("info", (await worker.components_info(ComponentInfoParams(component="/blob"))).info.component)
        given = {"text": "é\u2028😀", "big": 9007199254740993, "list": [1, None, {}]}
        data = (await self.execute("/blob", given))["data"]
        say("callback", [data["text"], str(data["big"]), data["list"]])
        say("typed error", await failure(self.execute("/nowhere", None)))
        say("invalid params", (await failure(worker.call("components/execute", {"component": "/blob"})))[:2])
        say("unknown method", (await failure(worker.call("components/nope", {})))[:2])
        say("internal error", await failure(self.execute("/boom", None)))
        with anyio.move_on_after(0.2):
            await self.execute("/sleep", None)
        say("abandoned", await self.cancellations(1))
        say("time-out", await failure(self.execute("/sleep", None, timeout=0.2)))
        say("time-out seen", await self.cancellations(2))
        await self.parallel()

    async def cancellations(self, least: int) -> bool:
        for _ in range(100):
            if await self.execute("/cancellations", None) >= least:
                return True
            await anyio.sleep(0.05)
        return False

    async def parallel(self) -> None:
        got: list[int] = [-1] * 20

        async def one(index: int) -> None:
            got[index] = (await self.execute("/blob", index))["data"]

        async with anyio.create_task_group() as group:
            for index in range(20):
                group.start_soon(one, index)
        say("parallel", got)


def say(step: str, got: object) -> None:
    print(json.dumps({"step": step, "got": got}), flush=True)


async def failure(work: Awaitable[object]) -> list[Any]:
    try:
        await work
    except ComponentNotFoundError as error:
        return ["ComponentNotFound", error.code, {"component": error.data.component}]
    except CallTimeoutError:
        return ["Timeout"]
    except RpcError as error:
        return ["RpcError", error.code, error.message]
    return ["no error"]


async def main(words: list[str]) -> None:
    callbacks = runtime_dispatcher(Runtime())
    if "--stdio" in words:
        client = WorkerClient.stdio(words[words.index("--stdio") + 1 :], callbacks=callbacks, timeout=10)
    else:
        client = WorkerClient.http(words[0], callbacks=callbacks, timeout=10)
    async with client:
        await Scenario(client).play()


if __name__ == "__main__":
    words = sys.argv[1:]
    backend = "trio"
    if "--backend" in words and ("--stdio" not in words or words.index("--backend") < words.index("--stdio")):
        at = words.index("--backend")
        backend = words[at + 1]
        del words[at : at + 2]
    anyio.run(main, words, backend=backend)
