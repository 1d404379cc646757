"""The benchmark of pipes measures what it says: every server answers every client, about 200 bytes a call."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from stdio import contenders, suite


@pytest.mark.parametrize("name", suite.PAIRS)
def test_every_pair_makes_its_round_trips(name: str) -> None:
    client, server = suite.PAIRS[name]
    assert client(server, 2 * contenders.IN_FLIGHT) > 0


def test_calls_have_the_size_that_was_promised() -> None:
    assert 190 <= len(contenders.call_text(1000)) <= 210
