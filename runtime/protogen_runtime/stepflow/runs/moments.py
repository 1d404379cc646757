"""Moments: something that happens once, and whoever waits for it, in a task or without one.

Most runs come and go without a task that waits for them: an event of trio's for each would be a tenth of their cost.
"""

from __future__ import annotations

import trio


class Moment:
    """Happens once."""

    __slots__ = ("_event", "_has_come")

    def __init__(self) -> None:
        self._has_come = False
        self._event: trio.Event | None = None

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._has_come

    def set(self) -> None:
        """It happens."""
        self._has_come = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Wait for it."""
        if self._event is None:
            self._event = trio.Event()
            if self._has_come:
                self._event.set()
        await self._event.wait()
