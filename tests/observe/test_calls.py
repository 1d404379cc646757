"""Each call is observed once: counted, and where asked for logged and traced, whichever way it ends."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
import trio.testing
from echo_protocol.methods import PROTOCOL
from msgspec import Raw
from observe_doubles import Clock, Link, Sink

from protogen_runtime.dispatch import Outcome
from protogen_runtime.echo import make_service
from protogen_runtime.jsonrpc import INTERNAL_ERROR, METHOD_NOT_FOUND, Call, ErrorObject, Notification, Work
from protogen_runtime.observe import CallObserver, Log, Metrics, Observed, context, outgoing_headers

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Scripted:
    """A service of the echo protocol whose handler is the test's."""

    info: Any = PROTOCOL

    def __init__(self, act: Callable[[], Outcome] | None = None, wait: Callable[[], Any] | None = None) -> None:
        self._act = act
        self._wait = wait

    def start(self, work: Work, link: Any) -> Outcome | Coroutine[Any, Any, Outcome]:
        if self._wait is not None:
            return self._waiting(self._wait)
        assert self._act is not None
        return self._act()

    async def _waiting(self, wait: Callable[[], Any]) -> Outcome:
        await wait()
        return Raw(b"1")


def call(method: str = "echo", request_id: str | int | None = 1, params: bytes = b'{"value":1}') -> Call:
    return Call(id=request_id, method=method, params=Raw(params))


def outcomes(metrics: Metrics) -> dict[str, dict[str, int]]:
    return {name: counts.outcomes for name, counts in metrics.snapshot().calls.items() if counts.outcomes}


def test_calls_are_counted_by_method_and_outcome() -> None:
    metrics = Metrics()
    service = Observed(make_service(), CallObserver(metrics))
    service.start(call(), Link())
    service.start(call(params=b"{}"), Link())
    service.start(Notification(method="notify", params=Raw(b'{"topic":"x"}')), Link())
    service.start(call("fail", params=b'{"code":12345,"message":"m"}'), Link())
    service.start(call("add", params=b'{"a":1e308,"b":1e308}'), Link())
    declared = {code for errors in PROTOCOL.errors.values() for code in errors}
    out_of_range = next(name for name in outcomes(metrics)["add"])
    assert int(out_of_range) in declared
    assert outcomes(metrics) == {
        "echo": {"ok": 1, "-32602": 1},
        "notify": {"ok": 1},
        "fail": {"other": 1},
        "add": {out_of_range: 1},
    }
    assert metrics.in_flight == 0


def test_methods_and_codes_that_callers_invent_make_no_series() -> None:
    metrics = Metrics()
    service = Observed(make_service(), CallObserver(metrics))
    for number in range(10_000):
        assert service.start(call(f"x{number}"), Link()) == METHOD_NOT_FOUND
        service.start(call("fail", params=b'{"code":%d,"message":"m"}' % number), Link())
    assert outcomes(metrics)["(unknown)"] == {"-32601": 10_000}
    assert sum(outcomes(metrics)["fail"].values()) == 10_000
    assert len(outcomes(metrics)["fail"]) <= 5


def test_method_that_the_handler_lacks_keeps_its_name() -> None:
    metrics = Metrics()
    service = Observed(make_service(), CallObserver(metrics))
    service.start(call("client/echo"), Link())
    assert outcomes(metrics) == {"client/echo": {"-32601": 1}}


def test_durations_fall_into_buckets(clock: Clock) -> None:
    metrics = Metrics()

    def act() -> Outcome:
        clock.now += 0.02
        return Raw(b"1")

    service = Observed(Scripted(act), CallObserver(metrics, clock=clock))
    service.start(call(), Link())
    clock.now += 5
    service.start(call(), Link())
    counts = metrics.snapshot().calls["echo"]
    assert (sum(counts.calls.buckets), round(counts.calls.seconds, 6)) == (2, 0.04)
    assert [index for index, number in enumerate(counts.calls.buckets) if number] == [7]


def test_waiting_call_is_in_flight_until_its_outcome(clock: Clock) -> None:
    metrics = Metrics()
    go = trio.Event()
    service = Observed(Scripted(wait=go.wait), CallObserver(metrics, clock=clock))

    async def main() -> None:
        running: Any = service.start(call(), Link())
        assert metrics.in_flight == 1
        async with trio.open_nursery() as nursery:

            async def finish() -> None:
                assert await running == Raw(b"1")

            nursery.start_soon(finish)
            await trio.testing.wait_all_tasks_blocked()
            assert metrics.in_flight == 1
            go.set()
        assert metrics.in_flight == 0

    trio.run(main)
    assert outcomes(metrics) == {"echo": {"ok": 1}}


@pytest.mark.parametrize(("deadline_in", "ending"), [(None, "cancelled"), (1000.0, "cancelled"), (0.0, "deadline")])
def test_cancelled_call_ends_and_says_whether_its_time_was_over(
    deadline_in: float | None, ending: str, sink: Sink, log: Log
) -> None:
    metrics = Metrics()

    async def main() -> None:
        deadline = None if deadline_in is None else trio.current_time() + deadline_in
        service = Observed(Scripted(wait=trio.sleep_forever), CallObserver(metrics, log=log, logged="all"))
        running: Any = service.start(call(), Link(deadline=deadline))
        with trio.CancelScope() as scope:
            scope.cancel()
            await running
        assert scope.cancelled_caught

    with log:
        trio.run(main)
    assert outcomes(metrics) == {"echo": {ending: 1}}
    assert metrics.in_flight == 0
    assert [line["outcome"] for line in sink.lines()] == [ending]
    assert context() == {}


def test_call_that_is_refused_before_it_runs_ends_and_closes_its_handler() -> None:
    metrics = Metrics()
    inner: list[Any] = []

    class Kept(Scripted):
        def start(self, work: Work, link: Any) -> Any:
            inner.append(super().start(work, link))
            return inner[-1]

    running: Any = Observed(Kept(wait=trio.sleep_forever), CallObserver(metrics)).start(call(), Link())
    running.close()
    assert outcomes(metrics) == {"echo": {"refused": 1}}
    assert metrics.in_flight == 0
    assert inner[0].cr_frame is None


def test_line_of_a_call(clock: Clock, sink: Sink, log: Log) -> None:
    def act() -> Outcome:
        clock.now += 0.0125
        return ErrorObject(-32001, "never logged")

    observer = CallObserver(Metrics(), log=log, logged="all", clock=clock, wall_clock=lambda: 0.0)
    link = Link({"x-request-id": "r-1", "traceparent": TRACE, "authorization": "Bearer secret-key"}, identity="ann")
    with log:
        Observed(Scripted(act), observer).start(call(request_id="id\n\x1b"), link)
    assert sink.lines() == [
        {
            "time": "1970-01-01T00:00:00.000000Z",
            "level": "info",
            "event": "call",
            "method": "echo",
            "id": "id\\x0a\\x1b",
            "request_id": "r-1",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "user": "ann",
            "duration_ms": 12.5,
            "outcome": "error",
            "code": -32001,
        }
    ]
    assert b"secret-key" not in sink.getvalue()


HOSTILE = ["a\nb", "\x1b[2J", 'x","level":"error', "é" * 5000, "\u202e", "\x9b1m", "x" * 1_000_000]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_no_part_of_a_call_breaks_out_of_its_line(hostile: str, sink: Sink, log: Log) -> None:
    observer = CallObserver(Metrics(), log=log, logged="all")
    service = Observed(make_service(), observer)
    headers = {"x-request-id": hostile, "traceparent": hostile, "tracestate": hostile}
    with log:
        service.start(call(hostile, request_id=hostile), Link(headers, identity=hostile))
        service.start(Notification(method=hostile), Link(headers))
        observer.report(hostile, hostile, ValueError(hostile))
    assert len(sink.lines()) == 3
    assert all(len(line) < 8192 for line in sink.getvalue().splitlines())
    assert all(char.isprintable() for char in sink.getvalue().decode().replace("\n", ""))


def test_only_slow_calls_and_the_servers_failures_are_notable(clock: Clock, sink: Sink, log: Log) -> None:
    results: list[tuple[float, Outcome]] = [
        (0.0, Raw(b"1")),
        (0.0, METHOD_NOT_FOUND),
        (0.0, INTERNAL_ERROR),
        (0.5, Raw(b"1")),
        (0.499, Raw(b"1")),
    ]

    def act() -> Outcome:
        seconds, outcome = results.pop(0)
        clock.now += seconds
        return outcome

    metrics = Metrics()
    observer = CallObserver(metrics, log=log, slow_seconds=0.5, clock=clock)
    with log:
        for _ in range(5):
            Observed(Scripted(act), observer).start(call(), Link())
    assert [(line["level"], line["event"], line["outcome"]) for line in sink.lines()] == [
        ("info", "call", "error"),
        ("warning", "slow call", "ok"),
    ]
    assert metrics.slow == 1


def test_a_stream_is_no_slow_call(clock: Clock, sink: Sink, log: Log) -> None:
    link = Link()

    def act() -> Outcome:
        link.has_answered = True
        clock.now += 3600
        return Raw(b"1")

    metrics = Metrics()
    with log:
        Observed(Scripted(act), CallObserver(metrics, log=log, clock=clock)).start(call(), link)
    assert (sink.lines(), metrics.slow) == ([], 0)


def test_a_stream_counts_apart_from_calls(clock: Clock) -> None:
    link = Link()

    def act() -> Outcome:
        clock.now += 3
        return Raw(b"1")

    metrics = Metrics()
    metrics.expect(["echo"])
    service = Observed(Scripted(act), CallObserver(metrics, clock=clock))
    service.start(call(), link)
    link.has_answered = True
    service.start(call(), link)
    counts = metrics.snapshot().calls["echo"]
    assert (counts.outcomes, sum(counts.calls.buckets), sum(counts.streams.buckets)) == ({"ok": 2}, 1, 1)
    assert (counts.calls.seconds, counts.streams.seconds) == (3, 3)


def test_failure_of_a_handler_is_told_with_the_ids_of_its_call(sink: Sink, log: Log) -> None:
    observer = CallObserver(Metrics(), log=log)

    def act() -> Outcome:
        observer.report("echo", "the handler failed", RuntimeError("inside\npassword=hunter2"))
        return INTERNAL_ERROR

    with log:
        Observed(Scripted(act), observer).start(call(), Link({"x-request-id": "r-1", "traceparent": TRACE}))
    failed, ended = sink.lines()
    assert (failed["event"], failed["level"], failed["method"]) == ("the handler failed", "error", "echo")
    assert failed["exception"] == "password=[redacted]"
    assert failed["traceback"] == ["RuntimeError: inside", "password=[redacted]"]
    assert (failed["request_id"], failed["trace_id"]) == (ended["request_id"], ended["trace_id"])


@pytest.mark.parametrize(
    ("presented", "is_kept"),
    [
        ("abc", True),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", True),
        ("Root=1-67891233-abcdef012345678912345678", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("a,b", False),
        ("é", False),
        (None, False),
    ],
)
def test_request_id_is_kept_where_it_is_well_formed_and_made_otherwise(presented: str | None, is_kept: bool) -> None:
    seen: list[str] = []

    def act() -> Outcome:
        seen.extend([context()["request_id"], outgoing_headers()["x-request-id"], context()["request_id"]])
        return Raw(b"1")

    with Log(Sink()) as log:
        headers = {} if presented is None else {"x-request-id": presented}
        Observed(Scripted(act), CallObserver(Metrics(), log=log)).start(call(), Link(headers))
    assert len(set(seen)) == 1
    assert (seen[0] == presented) is is_kept
    assert is_kept or (len(seen[0]) == 32 and int(seen[0], 16) >= 0)


def test_calls_at_once_see_their_own_ids(log: Log) -> None:
    seen: dict[str, list[str]] = {"a": [], "b": []}

    async def wait_for(name: str) -> None:
        for _ in range(3):
            seen[name].append(context()["request_id"])
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        observer = CallObserver(Metrics(), log=log)
        async with trio.open_nursery() as nursery:
            for name in seen:

                async def run(name: str = name) -> None:
                    service = Observed(Scripted(wait=lambda: wait_for(name)), observer)
                    running: Any = service.start(call(), Link({"x-request-id": name}))
                    await running
                    assert context() == {}

                nursery.start_soon(run)

    with log:
        trio.run(main)
    assert seen == {"a": ["a"] * 3, "b": ["b"] * 3}


def test_trace_of_the_caller_is_passed_on(log: Log) -> None:
    seen: list[dict[str, str]] = []

    def act() -> Outcome:
        seen.append(dict(outgoing_headers()))
        return Raw(b"1")

    with log:
        service = Observed(Scripted(act), CallObserver(Metrics(), log=log))
        service.start(call(), Link({"x-request-id": "r", "traceparent": TRACE, "tracestate": "a=1"}))
        service.start(call(), Link({"x-request-id": "r", "traceparent": TRACE + "x", "tracestate": "a=1"}))
    assert seen == [{"x-request-id": "r", "traceparent": TRACE, "tracestate": "a=1"}, {"x-request-id": "r"}]
    assert outgoing_headers() == {}
