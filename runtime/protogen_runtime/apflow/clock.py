"""Clock: the time of day as tasks carry it, RFC 3339 in UTC with microseconds and `Z`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Reads the time, which never goes back while the node runs, whatever happens to the system's clock."""

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._last = 0.0

    def seconds(self) -> float:
        """Seconds since the epoch."""
        self._last = max(self._last, self._seconds())
        return self._last

    def now(self) -> str:
        """The time as text."""
        return text_of(self.seconds())


def text_of(seconds: float) -> str:
    """A time as text, with microseconds."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_whole_seconds(whole)}.{micros:06}Z"


@lru_cache(maxsize=16)
def _whole_seconds(seconds: int) -> str:
    # A busy node asks thousands of times within one second.
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def seconds_of(text: str) -> float:
    """The seconds since the epoch of a time as text."""
    return (datetime.fromisoformat(text) - _EPOCH).total_seconds()
