"""One descriptor to wait for in place of many: whatever waits for its client is woken, in turn, by one task.

Knows neither HTTP nor what it wakes. A wait of trio's costs a task switch, a pass of its scheduler and a system call,
which together are more than a small call; here they are shared by all that became ready meanwhile.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import perf_counter
from typing import Final

import trio

MAX_READY: Final = 64
"""Descriptors taken at once; the kernel puts those that were taken behind the others, so that each gets its turn."""

TURN_SECONDS: Final = 0.0005
"""How long it goes on while there is something to do before other tasks get theirs: a pass of trio's is 2 % of that."""


class Watch:
    """Descriptors and what to call when one is readable, at an end or broken; level-triggered.

    Only where the system has epoll: elsewhere, and while `run` does not run, `is_running` is False, and each has to
    wait for itself.
    """

    __slots__ = ("_callbacks", "_epoll", "is_running")

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self.is_running = False

    def add(self, fileno: int, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is something to read; it must not raise. Errors: OSError."""
        self._epoll.register(fileno, select.EPOLLIN)
        self._callbacks[fileno] = wake

    def discard(self, fileno: int) -> None:
        """Call it no longer; to be said before the descriptor is closed."""
        if self._callbacks.pop(fileno, None) is not None:
            self._epoll.unregister(fileno)

    def __len__(self) -> int:
        return len(self._callbacks)

    async def run(self) -> None:
        """Wait and wake until cancelled; returns at once where there is no epoll."""
        if not hasattr(select, "epoll"):
            return
        callbacks = self._callbacks
        with select.epoll() as epoll:
            self._epoll = epoll
            self.is_running = True
            fileno, poll = epoll.fileno(), epoll.poll
            try:
                while True:
                    await trio.lowlevel.wait_readable(fileno)
                    until = perf_counter() + TURN_SECONDS
                    while ready := poll(0, MAX_READY):
                        for found, _ in ready:
                            # One that is woken may take others away.
                            wake = callbacks.get(found)
                            if wake is not None:
                                wake()
                        if perf_counter() >= until:
                            break
            finally:
                self.is_running = False
                callbacks.clear()
