"""The components by which the kit sees more of a worker, on the published SDK; run in an environment that has it.

Annotations are evaluated: that SDK reads them as they are, and does not know texts.
"""

import asyncio
from typing import Any

from stepflow_py.worker import StepflowContext, StepflowServer

server = StepflowServer()


@server.component(name="echo")
async def echo(value: Any) -> Any:
    return value


@server.component(name="fail")
async def fail(value: Any) -> Any:
    raise RuntimeError("it failed")


@server.component(name="sleep")
async def sleep(value: dict[str, Any]) -> float:
    await asyncio.sleep(value["seconds"])
    return float(value["seconds"])


@server.component(name="put")
async def put(value: Any, context: StepflowContext) -> str:
    return await context.put_blob(value)


@server.component(name="get")
async def get(blob_id: str, context: StepflowContext) -> Any:
    return await context.get_blob(blob_id)


if __name__ == "__main__":
    asyncio.run(server.run(host="127.0.0.1", port=0))
