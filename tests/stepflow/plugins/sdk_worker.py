"""A worker on the generated SDK: over stdio as a program, over HTTP and in sessions within a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

import trio
from msgspec import UNSET
from stepflow_protocol import PROTOCOL, ComponentNotFoundError, ExecutionFailedError, serve_stdio, worker_dispatcher
from stepflow_protocol.client import CLIENTS
from stepflow_protocol.types import (
    ComponentExecuteParams,
    ComponentExecuteResult,
    ComponentInfo,
    ComponentNotFoundData,
    GetBlobParams,
    InitializeResult,
    ListComponentsResult,
    PutBlobParams,
    SubmitRunProtocolParams,
)


class Worker:
    """/echo, /fail, /put (a blob, by way of a callback), /swap (reads a blob, puts another one), /run (a sub-run)."""

    async def initialize(self, params: Any, context: Any) -> InitializeResult:
        return InitializeResult(server_protocol_version=1)

    async def initialized(self, params: Any, context: Any) -> None:
        return None

    async def components_list(self, params: Any, context: Any) -> ListComponentsResult:
        names = ("/echo", "/fail", "/put", "/run", "/swap")
        return ListComponentsResult(components=[ComponentInfo(component=name) for name in names])

    async def components_execute(self, params: ComponentExecuteParams, context: Any) -> ComponentExecuteResult:
        client, seen, value = context.client, params.observability, params.input
        match params.component:
            case "/echo":
                output = value
            case "/fail":
                raise ExecutionFailedError({"input": value}, message="it failed")
            case "/put":
                put = PutBlobParams(data=value, blob_type="data", observability=seen)
                output = (await client.blobs_put(put)).blob_id
            case "/swap":
                blob = await client.blobs_get(GetBlobParams(blob_id=value, observability=seen))
                put = PutBlobParams(data=[blob.data, blob.blob_type], blob_type="data", observability=seen)
                output = (await client.blobs_put(put)).blob_id
            case "/run":
                run = SubmitRunProtocolParams(flow_id="f" * 64, inputs=value, wait=True, observability=seen)
                status = await client.runs_submit(run)
                results = [] if status.results is UNSET or status.results is None else status.results
                output = [item.result.result for item in results]
            case _:
                raise ComponentNotFoundError(ComponentNotFoundData(component=params.component))
        return ComponentExecuteResult(output=output)


@asynccontextmanager
async def _shell(app: Callable[[Any], Any] | None) -> AsyncGenerator[str]:
    # A program over stdio needs none of these, and starts in half of the time.
    from protogen_runtime.dispatch import Service
    from protogen_runtime.io.http import hook
    from protogen_runtime.io.http.limits import Limits
    from protogen_runtime.io.http.server import Settings, bind, serve
    from protogen_runtime.io.http.shell import Shell

    assert hook.install() is None
    service = Service(PROTOCOL, "worker", Worker(), clients=CLIENTS)
    settings = Settings(port=0, limits=Limits(graceful_seconds=0.1))
    shell = Shell(service, limits=settings.limits, app=None if app is None else app(service), access=settings.access)
    sock = bind(settings)
    with closing(sock):
        sock.listen(128)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, shell, settings, sock))
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving_http() -> AsyncGenerator[str]:
    """The worker over Streamable HTTP, in the runtime's own server; its URL."""
    async with _shell(None) as url:
        yield url


@asynccontextmanager
async def serving_sessions() -> AsyncGenerator[str]:
    """The worker in sessions; its URL."""
    from protogen_runtime.io.session import SessionApp

    async with _shell(lambda service: SessionApp(service, events_path="/runtime/events")) as url:
        yield url


if __name__ == "__main__":
    trio.run(serve_stdio, worker_dispatcher(Worker()))
