"""The components of the benchmark on the published SDK; run in an environment that has it.

Annotations are evaluated: that SDK reads them as they are, and does not know texts.
"""

import asyncio
from typing import Any

from stepflow_py.worker import StepflowContext, StepflowServer

server = StepflowServer()


@server.component
async def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@server.component
async def blob(value: dict[str, Any], context: StepflowContext) -> dict[str, Any]:
    """Put the input, and get it back."""
    blob_id = await context.put_blob(value)
    return await context.get_blob(blob_id)


if __name__ == "__main__":
    asyncio.run(server.run(host="127.0.0.1", port=0))
