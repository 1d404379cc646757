"""Counts of calls and connections, and their exposition for Prometheus.

Knows no transport. Counting is adding to plain numbers in one thread; prometheus_client, which writes the text, is
imported at the first scrape. Labels come from tables only: what a caller invents (methods, codes) is counted under one
name, so that nobody makes series.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
from msgspec import Raw

from protogen_runtime.jsonrpc import STANDARD_ERRORS, ErrorObject

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Ending: TypeAlias = Literal["cancelled", "deadline", "refused"]
"""How a call ends without an outcome: its caller has gone, its time is over, no room was left for it."""

UNKNOWN_METHOD: Final = "(unknown)"
OTHER_CODE: Final = "other"

BUCKETS_SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""From a synchronous handler to the longest wait that clients have patience for."""

STREAM_BUCKETS_SECONDS: Final = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""A stream lasts as long as what it tells of: from a trivial task to a long run."""

MAX_BOUNDS: Final = 64
"""Names of bounds counted apart; they are the server's own names."""


class Times(msgspec.Struct):
    """How long things took: numbers by upper bound, with one more than there are bounds, and the sum."""

    buckets: list[int]
    seconds: float = 0.0

    def add(self, seconds: float, bounds: tuple[float, ...]) -> None:
        """Count one more."""
        self.buckets[bisect_left(bounds, seconds)] += 1
        self.seconds += seconds


class MethodCounts(msgspec.Struct):
    """One method: calls by outcome, and how long they took; streams that outlived their answer count apart."""

    outcomes: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    calls: Times = msgspec.field(default_factory=lambda: Times([0] * (len(BUCKETS_SECONDS) + 1)))
    streams: Times = msgspec.field(default_factory=lambda: Times([0] * (len(STREAM_BUCKETS_SECONDS) + 1)))


class Traffic(msgspec.Struct):
    """What a transport counts by adding to these numbers itself; `open_connections` is a gauge."""

    connections: int = 0
    open_connections: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


class Snapshot(msgspec.Struct):
    """All numbers of one process, as they travel between the workers of a server."""

    calls: dict[str, MethodCounts] = msgspec.field(default_factory=dict[str, MethodCounts])
    in_flight: int = 0
    slow: int = 0
    traffic: Traffic = msgspec.field(default_factory=Traffic)
    refused: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    log_written: int = 0
    log_dropped: int = 0


class Metrics:
    """The numbers of one process. Everything but `render` is for the thread that serves."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.in_flight = 0
        self.slow = 0
        self._refused: dict[str, int] = {}
        self._unknown = MethodCounts()
        self._methods: dict[str, MethodCounts] = {}
        self._codes: dict[int, str] = {code: str(code) for code in STANDARD_ERRORS}
        self._log_counts: Callable[[], tuple[int, int]] | None = None

    def expect(self, methods: Iterable[str], codes: Iterable[int] = ()) -> None:
        """Count these methods and error codes under their own names: those of a protocol's tables."""
        for method in methods:
            self._methods.setdefault(method, MethodCounts())
        for code in codes:
            self._codes[code] = str(code)

    def read_log(self, counts: Callable[[], tuple[int, int]]) -> None:
        """Expose what became of log records, too: `counts()` gives (written, dropped)."""
        self._log_counts = counts

    def count_call(
        self, method: str, outcome: Raw | bytes | ErrorObject | Ending, seconds: float, *, streamed: bool = False
    ) -> None:
        """A call has ended; `streamed`: its answer had come before."""
        counts = self._methods.get(method)
        if counts is None:
            counts = self._unknown
        outcomes = counts.outcomes
        if type(outcome) is ErrorObject:
            name = self._codes.get(outcome.code, OTHER_CODE)
        elif isinstance(outcome, str):
            name = outcome
        else:
            name = "ok"
        outcomes[name] = outcomes.get(name, 0) + 1
        if streamed:
            counts.streams.add(seconds, STREAM_BUCKETS_SECONDS)
        else:
            counts.calls.add(seconds, BUCKETS_SECONDS)

    def count_refused(self, bound: str) -> None:
        """A connection or a request met a bound of the server, such as `max_body_bytes`."""
        refused = self._refused
        if bound not in refused and len(refused) >= MAX_BOUNDS:
            bound = "other"
        refused[bound] = refused.get(bound, 0) + 1

    def snapshot(self) -> Snapshot:
        """The numbers as they are now; those of calls are shared, not copied."""
        written, dropped = (0, 0) if self._log_counts is None else self._log_counts()
        calls = {UNKNOWN_METHOD: self._unknown, **self._methods} if self._unknown.outcomes else dict(self._methods)
        return Snapshot(calls, self.in_flight, self.slow, self.traffic, self._refused, written, dropped)

    def render(self, others: Iterable[Snapshot] = ()) -> tuple[str, bytes]:
        """Content type and text for Prometheus, with the numbers of other processes added where there are any."""
        return render([self.snapshot(), *others])


def prepare() -> None:
    """Import what writes the text: 0.1 s that the first scrape would take from every call under way."""
    import prometheus_client

    del prometheus_client


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum of the numbers of several processes."""
    total = Snapshot()
    for one in snapshots:
        for method, counts in one.calls.items():
            into = total.calls.setdefault(method, MethodCounts())
            _add(into.outcomes, counts.outcomes)
            _add_times(into.calls, counts.calls)
            _add_times(into.streams, counts.streams)
        _add(total.refused, one.refused)
        total.in_flight += one.in_flight
        total.slow += one.slow
        total.log_written += one.log_written
        total.log_dropped += one.log_dropped
        for name in Traffic.__struct_fields__:
            setattr(total.traffic, name, getattr(total.traffic, name) + getattr(one.traffic, name))
    return total


def _add(into: dict[str, int], numbers: Mapping[str, int]) -> None:
    for name, number in numbers.items():
        into[name] = into.get(name, 0) + number


def _add_times(into: Times, times: Times) -> None:
    into.buckets = [a + b for a, b in zip(into.buckets, times.buckets, strict=True)]
    into.seconds += times.seconds


def render(snapshots: list[Snapshot]) -> tuple[str, bytes]:
    """Content type and text for Prometheus: the sum of the snapshots, and the figures of this process."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

    registry = CollectorRegistry()
    registry.register(_Collector(merge(snapshots)))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry)


class _Collector:
    """A snapshot in prometheus_client's words."""

    def __init__(self, total: Snapshot) -> None:
        self._total = total

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family, those without series included."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        total = self._total
        calls = CounterMetricFamily(
            "protogen_calls", "Calls and notifications that ended, by method and outcome.", labels=["method", "outcome"]
        )
        durations = HistogramMetricFamily(
            "protogen_call_seconds", "From the start of a call to its outcome, by method.", labels=["method"]
        )
        streams = HistogramMetricFamily(
            "protogen_stream_seconds",
            "From the start of a call to the end of the stream that followed its answer, by method.",
            labels=["method"],
        )
        for method, counts in total.calls.items():
            for outcome, number in counts.outcomes.items():
                calls.add_metric([method, outcome], number)
            for family, times, bounds in (
                (durations, counts.calls, BUCKETS_SECONDS),
                (streams, counts.streams, STREAM_BUCKETS_SECONDS),
            ):
                if any(times.buckets):
                    family.add_metric([method], _buckets(times, bounds), times.seconds)
        yield calls
        yield durations
        yield streams
        yield GaugeMetricFamily("protogen_calls_in_flight", "Calls whose handlers run now.", value=total.in_flight)
        yield CounterMetricFamily("protogen_slow_calls", "Calls above the threshold of the slow-call log.", total.slow)
        traffic = total.traffic
        yield GaugeMetricFamily("protogen_connections_open", "Connections that are open now.", traffic.open_connections)
        yield CounterMetricFamily("protogen_connections", "Connections that were accepted.", traffic.connections)
        yield CounterMetricFamily("protogen_received_bytes", "Bytes read from clients.", traffic.received_bytes)
        yield CounterMetricFamily("protogen_sent_bytes", "Bytes written to clients.", traffic.sent_bytes)
        refused = CounterMetricFamily(
            "protogen_refused", "Connections and requests that met a bound of the server, by bound.", labels=["bound"]
        )
        for bound, number in total.refused.items():
            refused.add_metric([bound], number)
        yield refused
        yield CounterMetricFamily("protogen_log_records", "Log records that were written.", total.log_written)
        yield CounterMetricFamily("protogen_log_dropped", "Log records that were lost.", total.log_dropped)


def _buckets(times: Times, bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    running = 0
    for bound, number in zip((*map(str, bounds), "+Inf"), times.buckets, strict=True):
        running += number
        found.append((bound, running))
    return found
