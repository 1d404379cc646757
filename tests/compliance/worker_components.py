"""Components by which the kit can see more of a worker."""

from typing import Any

import msgspec
import trio

from protogen_runtime.stepflow.worker import App, Context

app = App("kit")


class Nap(msgspec.Struct):
    seconds: float


@app.component("/echo")
async def echo(value: Any) -> Any:
    return value


@app.component("/fail")
async def fail(value: Any) -> Any:
    raise RuntimeError("it failed")


@app.component("/sleep")
async def sleep(nap: Nap) -> float:
    await trio.sleep(nap.seconds)
    return nap.seconds


@app.component("/put")
async def put(value: Any, context: Context) -> str:
    return await context.put_blob(value)


@app.component("/get")
async def get(blob_id: str, context: Context) -> Any:
    return await context.get_blob(blob_id)
