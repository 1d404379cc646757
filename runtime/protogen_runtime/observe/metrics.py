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

MAX_BOUNDS: Final = 64
"""Names of bounds counted apart; they are the server's own names."""


class MethodCounts(msgspec.Struct):
    """One method: calls by outcome, and how long they took; `buckets` has one more than BUCKETS_SECONDS."""

    outcomes: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    seconds: float = 0.0


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

    def count_call(self, method: str, outcome: Raw | bytes | ErrorObject | Ending, seconds: float) -> None:
        """A call has ended."""
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
        counts.buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        counts.seconds += seconds

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
            into.buckets = [a + b for a, b in zip(into.buckets, counts.buckets, strict=True)]
            into.seconds += counts.seconds
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
        for method, counts in total.calls.items():
            for outcome, number in counts.outcomes.items():
                calls.add_metric([method, outcome], number)
            if counts.outcomes:
                durations.add_metric([method], _buckets(counts), counts.seconds)
        yield calls
        yield durations
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


def _buckets(counts: MethodCounts) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    running = 0
    for bound, number in zip((*map(str, BUCKETS_SECONDS), "+Inf"), counts.buckets, strict=True):
        running += number
        found.append((bound, running))
    return found
