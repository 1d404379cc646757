"""Endings: whoever waits for the end of a run, in a task or without one.

Knows what a live run is, and nothing of what is done when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

import trio

from .contract import Ended, Ending
from .live import Live


class LiveEnding(Ending):
    """The end of a live run, which `convert` tells."""

    __slots__ = ("_convert", "_event", "_is_left", "_listener", "_live")

    def __init__(self, live: Live, convert: Callable[[Live], Ended]) -> None:
        self._live: Final = live
        self._convert: Final = convert
        self._listener: Callable[[], None] | None = None
        self._event: trio.Event | None = None
        self._is_left = False
        live.listener = self._look

    def leave(self) -> None:
        """See Ending."""
        self._is_left = True
        self._live.keep()
        self._look()

    def tell(self, listener: Callable[[], None] | None) -> None:
        """See Later."""
        self._listener = listener
        if listener is not None:
            self._look()

    def result(self) -> Ended:
        """See Later."""
        return self._convert(self._live)

    def withdraw(self) -> bool:
        """See Later: the run goes on without whoever waited for it."""
        return False

    def __await__(self) -> Generator[Any, Any, Ended]:
        if not self._has_come():
            self._event = trio.Event()
            yield from self._event.wait().__await__()
        return self.result()

    def _has_come(self) -> bool:
        live = self._live
        return live.ended.is_set() or (self._is_left and live.accepted.is_set())

    def _look(self) -> None:
        if not self._has_come():
            return
        # Nothing more is to be told: a circle of the two would be left to the collector.
        self._live.listener = None
        listener, self._listener = self._listener, None
        if self._event is not None:
            self._event.set()
        if listener is not None:
            listener()
