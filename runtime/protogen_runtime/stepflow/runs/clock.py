"""Clock: the time of day, in microseconds since the epoch and as text.

Times are kept as numbers; RFC 3339 in UTC with microseconds and `Z` is what callers see.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Reads the time, which never goes back while the runtime is up, whatever happens to the system's clock."""

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._last = 0

    def micros(self) -> int:
        """Microseconds since the epoch."""
        self._last = max(self._last, round(self._seconds() * 1_000_000))
        return self._last


def text_of(micros: int) -> str:
    """A time as text."""
    whole, rest = divmod(micros, 1_000_000)
    return f"{_whole_seconds(whole)}.{rest:06}Z"


@lru_cache(maxsize=16)
def _whole_seconds(seconds: int) -> str:
    # A busy runtime asks thousands of times within one second.
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
