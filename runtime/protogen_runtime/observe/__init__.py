"""What operators see of a server: JSON logs, metrics, traces, request ids, health and readiness.

Knows no transport: a transport serves an `Observed` service, adds to `Metrics.traffic`, and mounts the pages.
"""

from .calls import (
    SLOW_SECONDS,
    CallObserver,
    End,
    Logged,
    Observation,
    Observer,
    context,
    current,
    outgoing_headers,
)
from .log import Level, Log, Record, Sink, configure, get_logger
from .metrics import Ending, Metrics, Snapshot, Traffic
from .pages import Answer, Check, Readiness, health, metrics_page
from .process import PUBLISH_SECONDS, Instruments, ObserveSettings, SharedNumbers, observing
from .serving import Observed
from .spans import Operation, Spans, configured_spans
from .trace_context import TraceContext

__all__ = [
    "PUBLISH_SECONDS",
    "SLOW_SECONDS",
    "Answer",
    "CallObserver",
    "Check",
    "End",
    "Ending",
    "Instruments",
    "Level",
    "Log",
    "Logged",
    "Metrics",
    "Observation",
    "ObserveSettings",
    "Observed",
    "Observer",
    "Operation",
    "Readiness",
    "Record",
    "SharedNumbers",
    "Sink",
    "Snapshot",
    "Spans",
    "TraceContext",
    "Traffic",
    "configure",
    "configured_spans",
    "context",
    "current",
    "get_logger",
    "health",
    "metrics_page",
    "observing",
    "outgoing_headers",
]
