"""The components of the benchmark on our SDK: `protogen worker ours:app`."""

from __future__ import annotations

from typing import Any

from protogen_runtime.stepflow.worker import App, Context

app = App("bench", concurrency=64, backlog=1024)


@app.component("/echo")
async def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@app.component("/blob")
async def blob(value: dict[str, Any], context: Context) -> dict[str, Any]:
    """Put the input, and get it back."""
    blob_id = await context.put_blob(value)
    found: dict[str, Any] = await context.get_blob(blob_id)
    return found
