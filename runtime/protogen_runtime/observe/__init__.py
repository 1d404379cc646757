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
from .log import Level, Log, Record, Sink, configure
from .metrics import Ending, Metrics, Snapshot, Traffic
from .pages import Answer, Check, Readiness, health, metrics_page
from .serving import Observed, Serving
from .spans import Spans, configured_spans
from .trace_context import TraceContext

__all__ = [
    "SLOW_SECONDS",
    "Answer",
    "CallObserver",
    "Check",
    "End",
    "Ending",
    "Level",
    "Log",
    "Logged",
    "Metrics",
    "Observation",
    "Observed",
    "Observer",
    "Readiness",
    "Record",
    "Serving",
    "Sink",
    "Snapshot",
    "Spans",
    "TraceContext",
    "Traffic",
    "configure",
    "configured_spans",
    "context",
    "current",
    "health",
    "metrics_page",
    "outgoing_headers",
]
