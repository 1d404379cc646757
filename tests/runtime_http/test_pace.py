"""How long a peer may take: for one large piece, for many small ones, and after it was late."""

from __future__ import annotations

import pytest

from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.pace import Pace

LIMITS = Limits(send_seconds=10.0, min_bytes_per_second=1000)


def drive(sizes: list[int], seconds_each: float, pause: float = 0.0) -> tuple[int, float]:
    """Pieces taken until one was too slow, and the time until then."""
    pace, now = Pace(LIMITS), 100.0
    for number, size in enumerate(sizes):
        allowed = pace.begin(size, now)
        if seconds_each > allowed:
            return number, now + allowed - 100.0
        now += seconds_each
        pace.end(size, now)
        now += pause
    return len(sizes), now - 100.0


def test_silence_is_the_spare_time_and_what_the_piece_may_take() -> None:
    assert Pace(LIMITS).begin(8000, 5.0) == 18.0


@pytest.mark.parametrize(
    ("size", "seconds_each", "pause", "taken"),
    [
        # As slow as may be, for ever; a little slower, until the spare time is used up.
        (1000, 1.0, 0.0, 1000),
        (1000, 1.1, 0.0, 100),
        # Small events read one by one, each in good time: ten seconds in all.
        (10, 1.0, 0.0, 10),
        # An event now and then, taken at leisure but never the cause of waiting for long.
        (10, 1.0, 1.0, 1000),
        (10, 9.0, 20.0, 1000),
        (10, 9.0, 2.0, 1),
    ],
)
def test_slow_peer_gets_its_spare_time_once(size: int, seconds_each: float, pause: float, taken: int) -> None:
    assert drive([size] * 1000, seconds_each, pause)[0] == pytest.approx(taken, abs=1)


def test_lag_is_made_good_by_what_is_taken_at_once() -> None:
    pace = Pace(LIMITS)
    pace.begin(1000, 0.0)
    pace.end(1000, 6.0)
    assert pace.begin(1000, 6.0) == 6.0
    pace.end(1000, 6.0)
    assert pace.begin(1000, 6.0) == 7.0
    assert Pace(LIMITS).begin(1000, 6.0) == 11.0
