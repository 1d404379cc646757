"""The worker of the cross-talk tests in Python: serves over HTTP (prints its port) or, with --stdio, over its pipes."""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from stepflow_protocol import (
    AsgiApp,
    ComponentExecuteParams,
    ComponentExecuteResult,
    ComponentInferSchemaParams,
    ComponentInferSchemaResult,
    ComponentInfo,
    ComponentInfoParams,
    ComponentInfoResult,
    ComponentListParams,
    ComponentNotFoundData,
    ComponentNotFoundError,
    Context,
    GetBlobParams,
    Initialized,
    InitializeParams,
    InitializeResult,
    ListComponentsResult,
    PutBlobParams,
    RuntimeClient,
    serve_stdio,
    worker_dispatcher,
)

COMPONENTS = ("/blob", "/fail", "/sleep", "/cancellations", "/boom")

Caller = Context[RuntimeClient]


class Worker:
    """Offers the components of the scenario; counts the executions that it saw cancelled."""

    def __init__(self) -> None:
        self._cancellations = 0

    async def initialize(self, params: InitializeParams, context: Caller) -> InitializeResult:
        return InitializeResult(server_protocol_version=1)

    async def initialized(self, params: Initialized, context: Caller) -> None:
        return None

    async def components_list(self, params: ComponentListParams, context: Caller) -> ListComponentsResult:
        return ListComponentsResult(components=[ComponentInfo(component=name) for name in COMPONENTS])

    async def components_info(self, params: ComponentInfoParams, context: Caller) -> ComponentInfoResult:
        if params.component not in COMPONENTS:
            raise ComponentNotFoundError(ComponentNotFoundData(component=params.component))
        return ComponentInfoResult(info=ComponentInfo(component=params.component))

    async def components_infer_schema(
        self, params: ComponentInferSchemaParams, context: Caller
    ) -> ComponentInferSchemaResult:
        return ComponentInferSchemaResult()

    async def components_execute(self, params: ComponentExecuteParams, context: Caller) -> ComponentExecuteResult:
        match params.component:
            case "/blob":
                put = await context.client.blobs_put(PutBlobParams(data=params.input, blob_type="data"))
                got = await context.client.blobs_get(GetBlobParams(blob_id=put.blob_id))
                return ComponentExecuteResult(output={"blob_id": put.blob_id, "data": got.data})
            case "/sleep":
                try:
                    await trio.sleep(60)
                except trio.Cancelled:
                    self._cancellations += 1
                    raise
                return ComponentExecuteResult(output=None)
            case "/cancellations":
                return ComponentExecuteResult(output=self._cancellations)
            case "/boom":
                raise RuntimeError("the secret of the worker")
            case _:
                raise ComponentNotFoundError(ComponentNotFoundData(component=params.component))


async def serve_http(app: AsgiApp) -> None:
    """Serves until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "CRITICAL"
    print(json.dumps({"port": port}), flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, app, config))  # type: ignore[arg-type] # hypercorn's own ASGI types
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        os._exit(0)


if __name__ == "__main__":
    dispatcher = worker_dispatcher(Worker())
    if "--stdio" in sys.argv:
        trio.run(serve_stdio, dispatcher)
    else:
        trio.run(serve_http, AsgiApp(dispatcher))
