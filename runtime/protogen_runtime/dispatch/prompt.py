"""Calls that need no task of their own: whoever reads the answer tells whoever asked.

Knows no transport. What cannot be told at once, such as an answer that comes in pieces, is left to a task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Raw

from protogen_runtime.jsonrpc import Answer

Rest: TypeAlias = "Callable[[], Awaitable[Answer]]"
"""What is left of a call, to be awaited in a task, or to be abandoned there. Errors: TransportError."""

Told: TypeAlias = "Callable[[Answer | Rest], None]"
"""Is told what came of a call, once; it must not raise."""

CallSoon: TypeAlias = "Callable[[str, Raw, Told], Callable[[], None] | None]"
"""Calls (method, params); what it returns abandons the call, of which nothing is told then. None, and nothing done,
where only `Channel.call` can do it now."""


@runtime_checkable
class PromptChannel(Protocol):
    """A channel that can also be called without a task, as long as `watch` runs."""

    @property
    def call_soon(self) -> CallSoon:
        """See CallSoon."""
        ...

    async def watch(self) -> None:
        """Let answers come until it is cancelled; returns at once where the system cannot do it."""
        ...
