"""Executors for the tests of the agent: one that asks, one that waits until it is cancelled."""

from __future__ import annotations

from typing import Any

import trio

from protogen_runtime.apflow.executors import Execution, executor


@executor("greet", idempotent=True)
async def greet(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    """Greets by name, and asks for the name where there is none."""
    name = inputs.get("name")
    if name is None:
        name = (await execution.ask("What is your name?"))["text"]
    return {"greeting": f"Hello, {name}!"}


@executor("forever")
async def forever(inputs: dict[str, Any]) -> dict[str, Any]:
    """Waits until somebody cancels it."""
    await trio.Event().wait()
    return inputs
