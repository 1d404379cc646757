"""What is noted of each call: one call of the observer at its start, one at its end.

Knows no transport. Counting happens on the spot, in less than three microseconds; what a log line or a span needs is
read from the headers only where one is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Raw

from protogen_runtime.dispatch import DirectCall, Link
from protogen_runtime.jsonrpc import INTERNAL_ERROR, ErrorObject, Notification, RequestId, Work

from . import request_ids, text, trace_context
from .log import Level, Log
from .metrics import UNKNOWN_METHOD, Ending, Metrics
from .spans import Span, Spans, current_trace
from .trace_context import TraceContext

End: TypeAlias = Raw | bytes | ErrorObject | Ending
"""How a call ended: its result (or its answer as bytes), its error, or why it has neither."""

Logged: TypeAlias = Literal["all", "notable", "none"]
"""Which calls get a line: every one; slow ones, failures of the server and passed deadlines; or none."""

SLOW_SECONDS: Final = 1.0
"""Calls that take longer are told as slow by default: people notice a second."""


class Observation(msgspec.Struct, eq=False):
    """One call under way, and what its headers say, read when it is asked for. A Struct: one is made for each call."""

    work: Work | DirectCall
    link: Link
    name: str
    started: float
    span: Span | None = None
    token: Token[Observation | None] | None = None
    _request_id: str | None = None
    _trace: TraceContext | None = None
    _trace_is_read: bool = False

    @property
    def request_id(self) -> str:
        """The id of the request that the call came in; its own one where the transport has no headers."""
        if self._request_id is None:
            self._request_id = request_ids.accept(self.link.headers.get(request_ids.HEADER))
        return self._request_id

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the caller says the call belongs to."""
        if not self._trace_is_read:
            headers = self.link.headers
            self._trace = trace_context.read(headers.get("traceparent"), headers.get("tracestate"))
            self._trace_is_read = True
        return self._trace


current: Final[ContextVar[Observation | None]] = ContextVar("protogen_observation", default=None)
"""The call whose handler runs now; None outside of handlers, and where nothing but metrics is kept."""


class Observer(Protocol):
    """Told of the start and the end of each call, in the thread that serves; neither may raise or block."""

    def expect(self, methods: Iterable[str], codes: Iterable[int]) -> None:
        """These methods and error codes are the protocol's own; all others are a caller's invention."""
        ...

    def begin(self, work: Work | DirectCall, link: Link) -> Observation:
        """A call starts; its handler runs in this task until `end` or `suspend`."""
        ...

    def suspend(self, observation: Observation) -> None:
        """The call goes on in another task, which says `resume`."""
        ...

    def resume(self, observation: Observation) -> None:
        """The handler goes on in this task."""
        ...

    def end(self, observation: Observation, outcome: End) -> None:
        """The call has ended."""
        ...


class CallObserver:
    """Counts every call; writes lines and spans where it is given a log and a tracer. An `Observer`."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        log: Log | None = None,
        logged: Logged = "notable",
        slow_seconds: float = SLOW_SECONDS,
        spans: Spans | None = None,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.metrics = metrics
        self._log = None if logged == "none" else log
        self._logs_all = logged == "all"
        self._slow_seconds = slow_seconds
        self._spans = spans
        self._clock = clock
        self._wall_clock = wall_clock
        self._is_scoped = log is not None or spans is not None
        self._known: set[str] = set()
        self._reports = log

    def expect(self, methods: Iterable[str], codes: Iterable[int]) -> None:
        """See Observer."""
        names = list(methods)
        self._known.update(names)
        self.metrics.expect(names, codes)

    def begin(self, work: Work | DirectCall, link: Link) -> Observation:
        """See Observer."""
        self.metrics.in_flight += 1
        name = work.method
        observation = Observation(work, link, name if name in self._known else UNKNOWN_METHOD, self._clock())
        if self._spans is not None:
            observation.span = self._spans.start(observation.name, work, observation.trace)
            self.resume(observation)
        elif self._is_scoped:
            observation.token = current.set(observation)
        return observation

    def suspend(self, observation: Observation) -> None:
        """See Observer."""
        token, observation.token = observation.token, None
        if token is not None:
            if observation.span is not None:
                observation.span.leave()
            current.reset(token)

    def resume(self, observation: Observation) -> None:
        """See Observer."""
        if self._is_scoped:
            observation.token = current.set(observation)
            if observation.span is not None:
                observation.span.enter()

    def end(self, observation: Observation, outcome: End) -> None:
        """See Observer."""
        metrics = self.metrics
        seconds = self._clock() - observation.started
        metrics.in_flight -= 1
        # A stream lasts as long as what it tells of: its answer came before.
        has_streamed = observation.link.has_answered
        metrics.count_call(observation.name, outcome, seconds, streamed=has_streamed)
        is_slow = seconds >= self._slow_seconds and not has_streamed
        if is_slow:
            metrics.slow += 1
        if self._is_scoped:
            token, span = observation.token, observation.span
            if span is not None:
                self.suspend(observation)
                span.end(_code(outcome))
            elif token is not None:
                observation.token = None
                current.reset(token)
            if self._log is not None and (self._logs_all or is_slow or _is_notable(outcome)):
                self._write(self._log, observation, outcome, seconds, is_slow=is_slow)

    def report(self, method: str, what: str, error: BaseException) -> None:
        """Log why a call failed where its caller is not told: what a Service takes as `report`."""
        if self._reports is not None:
            self._reports.tell(what, "error", **{**context(), "method": method, "error": error})

    def _write(self, log: Log, observation: Observation, outcome: End, seconds: float, *, is_slow: bool) -> None:
        level: Level = "warning" if is_slow else "info"
        if log.takes(level):
            log.put(CallRecord(observation, outcome, seconds, level, is_slow, self._wall_clock()))


def _is_notable(outcome: End) -> bool:
    return outcome == "deadline" or (type(outcome) is ErrorObject and outcome.code == INTERNAL_ERROR.code)


def _code(outcome: End) -> int | str | None:
    """The error code, or the ending; None for a result."""
    if type(outcome) is ErrorObject:
        return outcome.code
    return outcome if isinstance(outcome, str) else None


class CallRecord:
    """The line of a call; its members are made in the log's thread."""

    __slots__ = ("_members", "event", "level", "time")

    def __init__(
        self, observation: Observation, outcome: End, seconds: float, level: Level, is_slow: bool, when: float
    ) -> None:
        self.event = "slow call" if is_slow else "call"
        self.level: Level = level
        self.time = when
        work = observation.work
        identity = observation.link.identity
        ids = identify(observation)
        rpc_id: RequestId = None if isinstance(work, Notification) else work.id
        # Nothing of the link is kept: a queue of requests would be a queue of bodies.
        self._members = (
            work.method,
            not isinstance(work, Notification),
            rpc_id,
            ids,
            identity,
            seconds,
            _code(outcome),
        )

    @property
    def members(self) -> dict[str, Any]:
        """The members of the line, safe to write."""
        method, is_request, rpc_id, ids, identity, seconds, code = self._members
        members: dict[str, Any] = {"method": text.line(method, 128)}
        if is_request:
            members["id"] = text.line(rpc_id, 64) if isinstance(rpc_id, str) else text.safe(rpc_id)
        else:
            members["notification"] = True
        members.update(ids)
        if identity is not None:
            members["user"] = text.line(identity, 128)
        members["duration_ms"] = round(seconds * 1000, 3)
        members["outcome"] = "ok" if code is None else code if isinstance(code, str) else "error"
        if isinstance(code, int):
            members["code"] = text.safe(code)
        return members


def identify(observation: Observation) -> dict[str, str]:
    """Request id, trace and span of a call: what ties its lines to others."""
    ids = {"request_id": observation.request_id}
    if observation.span is not None:
        ids["trace_id"] = observation.span.trace_id
        ids["span_id"] = observation.span.span_id
    elif observation.trace is not None:
        ids["trace_id"] = observation.trace.trace_id
    return ids


def context() -> dict[str, str]:
    """What log records of the call that runs now should carry; empty outside of calls."""
    observation = current.get()
    if observation is None:
        return {}
    return {"method": text.line(observation.work.method, 128), **identify(observation)}


def outgoing_headers() -> Mapping[str, str]:
    """The headers that let a request to another service belong to the call that runs now.

    `traceparent` and `tracestate`: of the current span where spans are recorded, else as the caller sent them;
    `x-request-id` always. Outside of calls the trace alone, where the program has a current span.
    """
    observation = current.get()
    if observation is None:
        ambient = current_trace()
        return {} if ambient is None else trace_context.headers(ambient)
    found = {request_ids.HEADER: observation.request_id}
    trace = observation.trace if observation.span is None else observation.span.outgoing()
    return found if trace is None else {**found, **trace_context.headers(trace)}
