"""What distributions could register as stores: one that works, and one that is no function."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from protogen_runtime.store import Schema, Store
from protogen_runtime.store.memory import open_memory

opened: list[str] = []
"""Addresses that `open_toy` was given."""

NO_FUNCTION = 1


def open_toy(address: str, schema: Schema) -> AbstractAsyncContextManager[Store]:
    """A store in memory, whatever its address."""
    opened.append(address)
    return open_memory(schema)
