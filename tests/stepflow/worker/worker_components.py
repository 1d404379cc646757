"""The components that most of these tests call; `protogen worker worker_components:app` serves them, too."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pydantic
import trio

from protogen_runtime.stepflow.worker import App, BlockingContext, Context, ResourceUnavailableError, RpcError

app = App("tested", concurrency=4, backlog=4, callback_seconds=5)


class Two(msgspec.Struct):
    a: int
    b: int = 1


@dataclass
class Point:
    x: float
    tags: list[str]


class Model(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2)


@app.component("/echo")
async def echo(value: Any) -> Any:
    """Give the input back.

    This line is no part of the description.
    """
    return value


@app.component("/add", description="Adds two numbers.")
def add(two: Two) -> dict[str, int]:
    return {"sum": two.a + two.b}


@app.component("/point")
async def point(value: Point) -> Point:
    return Point(value.x * 2, [*value.tags, "seen"])


@app.component("/model")
def model(value: Model) -> Model:
    return Model(name=value.name * 2)


@app.component("/ids")
async def ids(context: Context) -> list[Any]:
    return [context.component, context.attempt, context.run_id, context.flow_id, context.step_id, context.trace_id]


@app.component("/thread")
def in_a_thread(value: Any, context: BlockingContext) -> Any:
    name = context.put_blob(value)
    return [threading.current_thread() is threading.main_thread(), name, context.get_blob(name)]


@app.component("/blobs")
async def blobs(value: Any, context: Context) -> list[str]:
    names: list[str] = [""] * len(value)

    async def put(at: int) -> None:
        names[at] = await context.put_blob(value[at])

    async with trio.open_nursery() as nursery:
        for at in range(len(value)):
            nursery.start_soon(put, at)
    return names


@app.component("/get")
async def get(blob_id: str, context: Context) -> Any:
    return await context.get_blob(blob_id)


@app.component("/run")
async def run(inputs: list[Any], context: Context) -> list[Any]:
    status = await context.submit_run("f" * 64, inputs, wait=True, max_concurrency=2)
    again = await context.get_run(status.run_id, wait=True, include_results=True)
    assert again.status == "completed"
    return [msgspec.to_builtins(item.result) for item in status.results or []]


@app.component("/evaluate")
def evaluate(value: Any, context: BlockingContext) -> Any:
    return context.evaluate({"steps": [], "output": {"$input": "$"}}, value)


@app.component("/sub-runs")
async def sub_runs(inputs: list[Any], context: Context) -> list[Any]:
    flow_id = await context.put_blob({"output": {"$input": "$"}}, blob_type="flow")
    begun = await context.submit_run(flow_id, inputs)
    ended = await context.get_run(begun.run_id, wait=True, include_results=True)
    return [*([item.status, msgspec.to_builtins(item.result)["result"]] for item in ended.results or []), ended.status]


@app.component("/convert/json")
async def convert_json() -> str:
    return "literal"


@app.component("/convert/{format}")
async def convert(format: Literal["a", "b"]) -> str:  # noqa: A002 - the path names it
    return f"one {format}"


@app.component("/convert/{count}/times")
async def times(value: str, count: int) -> str:
    return value * count


@app.component("/convert/{*rest}")
async def convert_rest(rest: str) -> str:
    return f"rest {rest}"


@app.component("/raise")
async def fail(what: str) -> Any:
    match what:
        case "value":
            raise ValueError("bad é value \ud800")
        case "own":
            raise ResourceUnavailableError({"why": "asked"}, message="not there")
        case "code":
            raise RpcError(-32099, "mine", [1])
        case "connection":
            raise ConnectionRefusedError("nobody at port 1")
        case "permission":
            raise PermissionError("not for you")
        case "exit":
            raise SystemExit(3)
        case "group":
            raise ExceptionGroup("several", [ValueError("first"), ResourceUnavailableError(message="second")])
        case "object":
            return object()
        case "nan":
            return {"a": [float("nan")]}
        case _:
            return "\ud800"


@app.component("/late", seconds=0.05)
async def late(value: Any) -> None:
    await trio.sleep_forever()


given_up: list[str] = []


@app.component("/endless")
async def endless(context: Context) -> None:
    try:
        await trio.sleep_forever()
    finally:
        given_up.append(context.component)


@app.component("/ended")
async def ended() -> int:
    return len(given_up)


@app.component("/shape", infer_schema=lambda schema: {"type": "array", "items": schema})
async def shape(value: Any) -> list[Any]:
    return [value]
