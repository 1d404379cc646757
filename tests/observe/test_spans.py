"""Spans of calls, seen by an exporter of OpenTelemetry's SDK; without an SDK there are none."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from msgspec import Raw
from observe_doubles import Link, Sink
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from protogen_runtime.dispatch import Outcome
from protogen_runtime.echo import make_service
from protogen_runtime.jsonrpc import INTERNAL_ERROR, Call, ErrorObject
from protogen_runtime.observe import (
    CallObserver,
    Log,
    Metrics,
    Observed,
    Operation,
    Spans,
    configured_spans,
    outgoing_headers,
)

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


class Traced:
    """The SDK with an exporter that keeps what it gets."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans("echo", self.provider)

    def finished(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def traced() -> Traced:
    return Traced()


def call(method: str = "echo", request_id: Any = 1, params: bytes = b'{"value":1}') -> Call:
    return Call(id=request_id, method=method, params=Raw(params))


def test_span_of_a_call_is_below_its_callers(traced: Traced) -> None:
    service = Observed(make_service(), CallObserver(Metrics(), spans=traced.spans))
    service.start(call(request_id="i1"), Link({"traceparent": TRACEPARENT, "tracestate": "a=1"}))
    (span,) = traced.finished()
    assert (span.name, span.kind, span.status.status_code) == ("echo", SpanKind.SERVER, StatusCode.UNSET)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE_ID, PARENT_ID)
    assert dict(span.attributes or {}) == {
        "rpc.system": "jsonrpc",
        "rpc.service": "echo",
        "rpc.method": "echo",
        "rpc.jsonrpc.version": "2.0",
        "rpc.jsonrpc.request_id": "i1",
    }
    context = span.get_span_context()
    assert context is not None
    assert context.trace_state.get("a") == "1"


@pytest.mark.parametrize(
    ("outcome", "attributes", "status"),
    [
        (b"", {}, StatusCode.UNSET),
        (ErrorObject(404, "Not Found"), {"http.response.status_code": 404}, StatusCode.UNSET),
        (INTERNAL_ERROR, {"http.response.status_code": 500, "error.type": "500"}, StatusCode.ERROR),
        ("cancelled", {"error.type": "cancelled"}, StatusCode.ERROR),
    ],
)
def test_operations_of_an_http_api_are_no_remote_procedure_calls(
    traced: Traced, outcome: Any, attributes: dict[str, Any], status: StatusCode
) -> None:
    observer = CallObserver(Metrics(), spans=traced.spans)
    observer.expect(["GET /runs/{id}"], [404])
    observer.end(observer.begin(Operation(id=None, method="GET /runs/{id}"), Link()), outcome)
    (span,) = traced.finished()
    assert (span.name, span.kind, span.status.status_code) == ("GET /runs/{id}", SpanKind.SERVER, status)
    told = {"http.request.method": "GET", "http.route": "/runs/{id}"}
    assert dict(span.attributes or {}) == {**told, **attributes}


@pytest.mark.parametrize("traceparent", [None, "", TRACEPARENT.upper(), TRACEPARENT + ",", "00-" + "0" * 52])
def test_invalid_trace_begins_a_new_one(traced: Traced, traceparent: str | None) -> None:
    service = Observed(make_service(), CallObserver(Metrics(), spans=traced.spans))
    service.start(call(), Link({} if traceparent is None else {"traceparent": traceparent, "tracestate": "a=1"}))
    (span,) = traced.finished()
    assert span.parent is None


@pytest.mark.parametrize(("code", "shown"), [(-32001, -32001), (10**30, "out of range")])
def test_error_answers_are_errors_with_their_code(traced: Traced, code: int, shown: object) -> None:
    service = Observed(make_service(), CallObserver(Metrics(), spans=traced.spans))
    service.start(call("fail", params=b'{"code":%d,"message":"never traced"}' % code), Link())
    (span,) = traced.finished()
    found = (span.attributes or {}).get("rpc.jsonrpc.error_code")
    # A schema may keep codes within bounds: then the params are refused instead.
    assert found in (shown, -32602)
    assert span.status.status_code is StatusCode.ERROR
    assert "never traced" not in str(span.to_json())


def test_names_that_callers_invent_name_no_span(traced: Traced) -> None:
    service = Observed(make_service(), CallObserver(Metrics(), spans=traced.spans))
    service.start(call("x" * 100_000 + "\n", request_id="y" * 100_000), Link())
    (span,) = traced.finished()
    assert span.name == "(unknown)"
    assert len(span.to_json()) < 3000


def test_work_of_a_waiting_handler_is_below_its_span_and_so_are_its_calls_to_others(
    traced: Traced, sink: Sink, log: Log
) -> None:
    sent: list[str] = []

    class Service:
        info: Any = make_service().info

        def start(self, work: Any, link: Any) -> Any:
            return self.wait()

        async def wait(self) -> Outcome:
            await trio.lowlevel.checkpoint()
            with traced.provider.get_tracer("mine").start_as_current_span("inner") as inner:
                sent.append(outgoing_headers()["traceparent"])
                sent.append(f"{inner.get_span_context().span_id:016x}")
            return INTERNAL_ERROR

    async def main() -> None:
        observer = CallObserver(Metrics(), spans=traced.spans, log=log, logged="all")
        running: Any = Observed(Service(), observer).start(call(), Link({"traceparent": TRACEPARENT}))
        assert not trace.get_current_span().get_span_context().is_valid
        await running
        assert not trace.get_current_span().get_span_context().is_valid

    with log:
        trio.run(main)
    inner, outer = traced.finished()
    assert inner.parent is not None
    own = outer.get_span_context()
    assert own is not None
    assert (inner.name, inner.parent.span_id) == ("inner", own.span_id)
    assert sent[0] == f"00-{TRACE_ID}-{sent[1]}-01"
    (line,) = sink.lines()
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, f"{own.span_id:016x}")


def test_cancelled_call_has_a_span_that_says_so(traced: Traced) -> None:
    class Service:
        info: Any = make_service().info

        def start(self, work: Any, link: Any) -> Any:
            return self.wait()

        async def wait(self) -> Outcome:
            await trio.sleep_forever()
            raise AssertionError

    async def main() -> None:
        running: Any = Observed(Service(), CallObserver(Metrics(), spans=traced.spans)).start(call(), Link())
        with trio.CancelScope() as scope:
            scope.cancel()
            await running

    trio.run(main)
    (span,) = traced.finished()
    assert (span.attributes or {}).get("error.type") == "cancelled"


def test_without_an_sdk_there_are_no_spans() -> None:
    assert configured_spans("echo") is None
