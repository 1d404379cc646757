"""The suite: both ends of ours and of blocking pipes, in every pairing, in turns within one run."""

from __future__ import annotations

import platform
from collections.abc import Callable
from statistics import median
from typing import Final

import msgspec
import trio
from report import Report, Series, Target

from stdio.contenders import IN_FLIGHT, blocking_client, call_text, our_client

CALLS: Final = 64 * 250
"""Round trips per turn: about a second of the slowest."""

TIMES_AS_LONG: Final = 2.0

PAIRS: Final[dict[str, tuple[Callable[[str, int], float], str]]] = {
    "blocking client, blocking server": (blocking_client, "blocking"),
    "blocking client, our server": (blocking_client, "ours"),
    "blocking client, bare server": (blocking_client, "bare"),
    "our client, blocking server": (our_client, "blocking"),
    "our client, our server": (our_client, "ours"),
}
BASE: Final = "blocking client, blocking server"


def run(repeats: int) -> Report:
    """Measure every pair; of several turns the median counts."""
    turns: dict[str, list[float]] = {name: [] for name in PAIRS}
    for _ in range(repeats):
        for name, (client, server) in PAIRS.items():
            turns[name].append(client(server, CALLS) / CALLS * 1e6)
    middle = {name: median(taken) for name, taken in turns.items()}
    return Report(
        unit="microseconds per round trip",
        base=BASE,
        series=tuple(Series(name=name, seconds=tuple(taken)) for name, taken in turns.items()),
        targets=tuple(
            Target(name=f"{name}, by blocking", measured=middle[name] / middle[BASE], most=TIMES_AS_LONG, unit="")
            for name in ("blocking client, our server", "our client, our server")
        ),
        versions={"Python": platform.python_version(), "trio": trio.__version__, "msgspec": msgspec.__version__},
        notes=(
            f"{IN_FLIGHT} calls of {len(call_text(1000))} bytes in flight; medians in round trips/s:",
            *(f"{name}: {1e6 / it:.0f}" for name, it in middle.items()),
        ),
    )
