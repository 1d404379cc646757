"""The suite: one synchronous call of the echo service as it is, counted, and with lines or spans on top.

All variants take turns within one run. The time is what passes in the thread that serves: the log's own thread works
beside it, so lines show what their writing takes from calls when calls come without a pause.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from echo_protocol.methods import PROTOCOL
from msgspec import Raw
from report import Report, Series, Target

from protogen_runtime.dispatch import Service
from protogen_runtime.echo import make_service
from protogen_runtime.jsonrpc import Call
from protogen_runtime.observe import CallObserver, Log, Metrics, Observed, Spans

CALLS = 20_000
MOST_MICROSECONDS = 3.0
"""What counting may add to a call."""

OFF, COUNTED, NOTABLE, ALL, SPANS = (
    "off",
    "metrics",
    "metrics, notable lines",
    "metrics, a line for each call",
    "metrics, spans of an SDK that drops them",
)
ECHO = Call(id=1, method="echo", params=Raw(b'{"value":"hello"}'))


class Link:
    """A transport that gives a call its headers and nothing else."""

    headers: Mapping[str, str] = {"x-request-id": "order-17"}
    identity = None
    deadline = None
    channel: Any = None
    emit = None
    answer = None
    frame = b""


def run(repeats: int) -> Report:
    """Measure every variant, each as often as `repeats` says."""
    with ExitStack() as stack:
        sink = stack.enter_context(Path(os.devnull).open("wb"))
        log = stack.enter_context(Log(sink))
        services: dict[str, Service] = {
            OFF: make_service(),
            COUNTED: Observed(make_service(), CallObserver(Metrics())),
            NOTABLE: Observed(make_service(), CallObserver(Metrics(), log=log)),
            ALL: Observed(make_service(), CallObserver(Metrics(), log=log, logged="all")),
            SPANS: Observed(make_service(), CallObserver(Metrics(), spans=_dropped_spans())),
        }
        taken: dict[str, list[float]] = {name: [] for name in services}
        for name, service in services.items():
            _microseconds(service.start, 1000)
            taken[name].clear()
        for _ in range(repeats):
            for name, service in services.items():
                taken[name].append(_microseconds(service.start, CALLS))
        dropped = log.counts.dropped
    least = {name: min(times) for name, times in taken.items()}
    return Report(
        unit="µs a call",
        base=OFF,
        series=tuple(Series(name=name, seconds=tuple(times)) for name, times in taken.items()),
        targets=tuple(
            Target(name=f"{name}: added", measured=least[name] - least[OFF], most=MOST_MICROSECONDS, unit="µs")
            for name in (COUNTED, NOTABLE)
        ),
        versions={"Python": platform.python_version(), "opentelemetry-sdk": version("opentelemetry-sdk")},
        notes=(f"{dropped} lines were dropped: calls without a pause outrun the thread that writes",),
    )


def _microseconds(start: Callable[[Call, Link], object], calls: int) -> float:
    link = Link()
    started = time.perf_counter()
    for _ in range(calls):
        start(ECHO, link)
    return (time.perf_counter() - started) / calls * 1e6


def _dropped_spans() -> Spans:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    return Spans(PROTOCOL.name, TracerProvider(sampler=ALWAYS_OFF))
