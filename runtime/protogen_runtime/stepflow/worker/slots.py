"""How many components run at once, and how many wait: one more is refused, so that load shows where it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Full(Exception):
    """All slots are taken, and as many executions wait as may."""


class Slots:
    """`concurrency` executions at once, `backlog` more that wait for their turn."""

    def __init__(self, concurrency: int, backlog: int) -> None:
        self.concurrency = concurrency
        self.backlog = backlog
        self.waiting = 0
        self._free = trio.Semaphore(concurrency)

    @property
    def taken(self) -> int:
        """Slots in use."""
        return self.concurrency - self._free.value

    @property
    def is_free(self) -> bool:
        """Whether a slot is free."""
        return self._free.value > 0

    async def acquire(self) -> None:
        """Wait for a slot. Errors: Full."""
        try:
            self._free.acquire_nowait()
        except trio.WouldBlock:
            if self.waiting >= self.backlog:
                raise Full from None
            await self.acquire_late()

    async def acquire_late(self) -> None:
        """Wait for a slot, however many wait: for executions that have begun."""
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1

    def release(self) -> None:
        """Give a slot back."""
        self._free.release()


class Slot:
    """The slot of one execution."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._is_held = False
        self._is_over = False
        self._lent = 0

    async def take(self) -> None:
        """Wait for a slot. Errors: Full."""
        await self._slots.acquire()
        self._is_held = True

    def give(self) -> None:
        """The execution has ended."""
        self._is_over = True
        self._release()

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[None]:
        """Others may have the slot meanwhile: a flow that this execution waits for may need it for its own steps."""
        self._lent += 1
        if self._lent == 1:
            self._release()
        try:
            yield
        finally:
            self._lent -= 1
            if self._lent == 0 and not self._is_over:
                await self._slots.acquire_late()
                self._is_held = True
                self._settle()

    def _settle(self) -> None:
        # The thread of an execution that was given up may have ended while this waited.
        if self._is_over:
            self._release()

    def _release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._slots.release()
