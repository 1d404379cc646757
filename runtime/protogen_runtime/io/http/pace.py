"""How long a peer may take for what is sent to it, however the answer is cut.

Knows no clock and no socket. A stream of small events is slow as a whole where each of them alone would be in time, so
what a peer was late is remembered until it has made good.
"""

from __future__ import annotations

from .limits import Limits


class Pace:
    """One peer. Times are in seconds, on any clock that does not go back."""

    __slots__ = ("_lag", "_since", "_slowest", "_spare")

    def __init__(self, limits: Limits) -> None:
        self._spare = limits.send_seconds
        self._slowest = limits.min_bytes_per_second
        self._lag = 0.0
        self._since = 0.0

    def begin(self, size: int, now: float) -> float:
        """The peer does not take `size` bytes at once: how long it may take for them."""
        # Time in which nobody waited for the peer makes good, too: an event now and then is no reason to hurry.
        self._lag = max(0.0, self._lag - (now - self._since))
        self._since = now
        return max(0.0, self._spare - self._lag) + size / self._slowest

    def end(self, size: int, now: float) -> None:
        """The peer has taken them."""
        self._lag = max(0.0, self._lag + (now - self._since) - size / self._slowest)
        self._since = now
