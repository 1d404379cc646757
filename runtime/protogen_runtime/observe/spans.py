"""Spans of calls through the API of OpenTelemetry: nothing at all where no SDK was configured.

Knows no transport. The names of attributes are those of OpenTelemetry's conventions for JSON-RPC, and for HTTP where an
operation of an API is called; what a caller invents (an unknown method, a long id) is bounded before it gets there.
"""

from __future__ import annotations

import os
import sys
from contextvars import Token
from typing import TYPE_CHECKING, Any

from protogen_runtime.dispatch import DirectCall
from protogen_runtime.jsonrpc import Call, Notification, Work

from . import text
from .trace_context import TraceContext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as ApiSpan
    from opentelemetry.trace import SpanContext, Tracer, TracerProvider


class Operation(Call, frozen=True, kw_only=True):
    """An operation of an HTTP API in the place of a call: its method is `GET /path/{of}/it`."""


class Span:
    """The span of one call; `of_http`: of an operation of an HTTP API."""

    __slots__ = ("_context", "_of_http", "_span", "_token", "span_id", "trace_id")

    def __init__(self, span: ApiSpan, *, of_http: bool = False) -> None:
        from opentelemetry.trace import set_span_in_context

        own = span.get_span_context()
        self.trace_id = f"{own.trace_id:032x}"
        self.span_id = f"{own.span_id:016x}"
        self._span = span
        self._of_http = of_http
        self._context = set_span_in_context(span)
        self._token: Token[Context] | None = None

    def enter(self) -> None:
        """Make it the parent of the spans that are started in this task from now on."""
        from opentelemetry import context

        self._token = context.attach(self._context)

    def leave(self) -> None:
        """Undo `enter`, in the same task."""
        from opentelemetry import context

        if self._token is not None:
            context.detach(self._token)
            self._token = None

    def outgoing(self) -> TraceContext:
        """The context to pass on: that of the innermost span that is current."""
        from opentelemetry.trace import get_current_span

        current = get_current_span().get_span_context()
        return _to_trace_context(current if current.is_valid else self._span.get_span_context())

    def end(self, code: int | str | None) -> None:
        """End it; `code` is the error code, or why there is no outcome."""
        from opentelemetry.trace import Status, StatusCode

        if self._of_http and isinstance(code, int):
            # What a client did wrong is no error of the server's.
            is_clients = 400 <= code < 500
            self._span.set_attribute("http.response.status_code", code if is_clients else 500)
            code = None if is_clients else "500"
        if code is not None:
            name = "rpc.jsonrpc.error_code" if isinstance(code, int) else "error.type"
            self._span.set_attribute(name, _bounded(code))
            self._span.set_status(Status(StatusCode.ERROR, str(_bounded(code))))
        self._span.end()


class Spans:
    """Starts spans with a tracer of the provider that was configured."""

    def __init__(self, service: str, provider: TracerProvider | None = None) -> None:
        from opentelemetry.trace import get_tracer

        self._service = service
        self._tracer: Tracer = get_tracer("protogen_runtime", tracer_provider=provider)

    def start(self, name: str, work: Work | DirectCall, trace: TraceContext | None) -> Span:
        """The span of a call that begins, below the caller's where it named one."""
        from opentelemetry.context import Context
        from opentelemetry.trace import NonRecordingSpan, SpanKind, set_span_in_context

        # A context of our own: what happens to be current in the connection's task is no parent of this call.
        parent = Context()
        if trace is not None:
            parent = set_span_in_context(NonRecordingSpan(_to_span_context(trace)), parent)
        if isinstance(work, Operation):
            verb, _, route = name.partition(" ")
            told = {"http.request.method": verb, "http.route": route}
            started = self._tracer.start_span(name, parent, kind=SpanKind.SERVER, attributes=told)
            return Span(started, of_http=True)
        attributes: dict[str, Any] = {
            "rpc.system": "jsonrpc",
            "rpc.service": self._service,
            "rpc.method": name,
            "rpc.jsonrpc.version": "2.0",
        }
        if not isinstance(work, Notification) and work.id is not None:
            attributes["rpc.jsonrpc.request_id"] = text.line(str(text.safe(work.id)), 64)
        return Span(self._tracer.start_span(name, parent, kind=SpanKind.SERVER, attributes=attributes))


def configured_spans(service: str) -> Spans | None:
    """Spans where a program has configured a provider (an SDK) before now, else None: then calls pay nothing."""
    if "opentelemetry" not in sys.modules and "OTEL_PYTHON_TRACER_PROVIDER" not in os.environ:
        # Nobody can have configured what nobody imported.
        return None
    from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, get_tracer_provider

    provider = get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider):
        return None
    return Spans(service, provider)


def current_trace() -> TraceContext | None:
    """Where the current span of OpenTelemetry stands, whoever began it; None where there is none."""
    if "opentelemetry.trace" not in sys.modules:
        # Nobody can have begun one: to import it would take longer than a call.
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return _to_trace_context(context) if context.is_valid else None


def _bounded(code: int | str) -> int | str:
    # Attributes hold 64-bit integers; error codes of JSON-RPC have no bounds.
    return code if isinstance(code, str) or -(2**63) <= code < 2**63 else "out of range"


def _to_span_context(trace: TraceContext) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState

    return SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(trace.flags),
        trace_state=TraceState(list(trace.state)),
    )


def _to_trace_context(own: SpanContext) -> TraceContext:
    return TraceContext(
        f"{own.trace_id:032x}", f"{own.span_id:016x}", int(own.trace_flags), tuple(own.trace_state.items())
    )
