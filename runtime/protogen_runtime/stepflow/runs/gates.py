"""Gates: how many calls may be out at once; the others wait in the order in which they came, without a task each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Gate:
    """Lets `limit` in at a time, None for any number."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._inside = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, go: Callable[[], None]) -> None:
        """Call `go`, now or when there is room; whoever was let in has to leave."""
        if self.limit is None or self._inside < self.limit:
            self._inside += 1
            go()
        else:
            self._waiting.append(go)

    def leave(self) -> None:
        """Make room."""
        self._inside -= 1
        while self._waiting and (self.limit is None or self._inside < self.limit):
            self._inside += 1
            self._waiting.popleft()()

    def come_back(self) -> None:
        """Be inside again at once, after having made room: one more than the limit may be inside for a while."""
        self._inside += 1
