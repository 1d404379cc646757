"""A worker on the published SDK of others; run in an environment that has it, of either release.

Annotations are evaluated: that SDK reads them as they are, and does not know texts.
"""

import asyncio
import os
from typing import Any

from stepflow_py.worker import StepflowContext, StepflowServer

server = StepflowServer()


@server.component
def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@server.component
def fail(value: dict[str, Any]) -> dict[str, Any]:
    raise ValueError(f"bad {value['what']}")


@server.component
def pid(value: dict[str, Any]) -> dict[str, Any]:
    return {"pid": os.getpid(), "environment": dict(os.environ)}


@server.component
def die(value: dict[str, Any]) -> dict[str, Any]:
    os._exit(9)


@server.component
async def blobs(value: dict[str, Any], context: StepflowContext) -> dict[str, Any]:
    """Twenty at once, read back."""
    names = await asyncio.gather(*(context.put_blob({"number": number}) for number in range(20)))
    found = await asyncio.gather(*(context.get_blob(name) for name in names))
    return {"names": list(names), "numbers": [blob["number"] for blob in found], "step": context.step_id}


@server.component
async def runs(value: dict[str, Any], context: StepflowContext) -> dict[str, Any]:
    """A sub-run, waited for, and asked after."""
    status = await context.submit_run_by_id(value["flow"], [1, 2], wait=True, max_concurrency=2)
    again = await context.get_run(status.runId, include_results=True)
    return {"run": status.runId, "status": again.status, "results": len(status.results or [])}


@server.component
async def missing(value: dict[str, Any], context: StepflowContext) -> dict[str, Any]:
    await context.get_blob("0" * 64)
    return {}


@server.component(name="deep/{*rest}")
async def deep(value: dict[str, Any], context: StepflowContext, rest: str) -> dict[str, Any]:
    """Silent for a while, then an answer on its stream."""
    await asyncio.sleep(value.get("seconds", 0))
    return {"rest": rest, "text": "é😀\u2028" * 1000}


if __name__ == "__main__":
    asyncio.run(server.run(host="127.0.0.1", port=0))
