"""All deadlines of a server in one table with one sweeper.

Knows nothing of what waits. A cancel scope with a deadline costs 10 µs a request; a number in an object costs nothing,
and looking at a thousand of them ten times a second costs a thousandth of a core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Final, Protocol, runtime_checkable

import trio

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

TICK_SECONDS: Final = 0.05
"""Deadlines fire at most this late (and never early), which keeps a cancelled call within 100 ms."""


@runtime_checkable
class Timed(Protocol):
    """Something that can run out of time."""

    deadline: float
    """On the trio clock; math.inf for never."""

    def expire(self, now: float) -> None:
        """Act on the deadline or set a later one: called at each tick after `deadline`; never raises."""
        ...


class Deadlines:
    """The table. `now` is the trio clock as of the last tick: cheap to read, a tick behind at most.

    `date` is the header line with the time, `json_head` the head of the answer that is sent most often, up to its
    length, `accepted_head` that of one without a body: all change once a second. `states` are header lines that they
    have, too.
    """

    def __init__(self, states: bytes = b"") -> None:
        self._states = states
        self.now = 0.0
        self.date = b""
        self.json_head = b""
        self.accepted_head = b""
        self._date_second = -1.0
        self._timed: set[Timed] = set()

    def add(self, timed: Timed) -> None:
        """Look at `timed` from now on."""
        self._timed.add(timed)

    def discard(self, timed: Timed) -> None:
        """Look at it no longer."""
        self._timed.discard(timed)

    def __len__(self) -> int:
        return len(self._timed)

    def after(self, seconds: float | None) -> float:
        """The time `seconds` from now; None is never."""
        return inf if seconds is None else self.now + seconds + TICK_SECONDS

    async def sweep(self, at_tick: Callable[[], None], wall_clock: Callable[[], float]) -> None:
        """Run for ever: update `now` and `date`, call `at_tick`, and look at everything."""
        while True:
            self.tick(trio.current_time(), wall_clock())
            at_tick()
            now = self.now
            for timed in [timed for timed in self._timed if timed.deadline <= now]:
                timed.expire(now)
            await trio.sleep(TICK_SECONDS)

    def tick(self, now: float, wall_clock: float) -> None:
        """Set the clocks."""
        self.now = now
        if wall_clock // 1 != self._date_second:
            self._date_second = wall_clock // 1
            self.date = b"date: " + http_date(wall_clock) + b"\r\n"
            self.json_head = b"HTTP/1.1 200 OK\r\n%b%bcontent-type: application/json\r\ncontent-length: " % (
                self.date,
                self._states,
            )
            self.accepted_head = b"HTTP/1.1 202 Accepted\r\n%b%bcontent-length: 0\r\n" % (self.date, self._states)


def http_date(wall_clock: float) -> bytes:
    """A time in seconds since the epoch as HTTP writes it (RFC 9110, section 5.6.7), in English whatever the locale."""
    at = time.gmtime(wall_clock)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return (
        f"{day}, {at.tm_mday:02} {month} {at.tm_year:04} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    ).encode()
