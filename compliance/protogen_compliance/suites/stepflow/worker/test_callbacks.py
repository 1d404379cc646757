"""Callbacks: executions that call back while they run, and the stream they do it on."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from protogen_compliance.peer.link import Answer, HttpLink, failed
from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.link import INSTANCE, Runtime

CALLBACKS = profile("callbacks")
AT_ONCE = 10
END_SECONDS = 5.0


@pytest.fixture
def stored(worker: Watched, over_http: HttpLink) -> Answer:
    """An execution that stored a blob."""
    answer = worker.execute("put", {"text": "ü€😀"})
    if not answer.callbacks:
        raise Unmet(("SF-SSE-001", "SF-SSE-003"), f"the component that stores a blob called nobody: {answer.summary()}")
    return answer


@CALLBACKS
@clause("SF-SSE-001")
def test_answer_is_a_stream(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.execute("put", 1)
    assert answer.status == 200, f"expected 200, got {answer.status}"
    kind = answer.head.media_type if answer.head else ""
    assert kind == "text/event-stream", f"the content type is {kind!r}; expected text/event-stream"


@CALLBACKS
@clause("SF-SSE-002")
@needs("SF-SSE-001")
def test_stream_names_the_instance(stored: Answer) -> None:
    value = stored.head.get(INSTANCE) if stored.head else None
    assert value, f"the header Stepflow-Instance-Id is {value!r}; expected a text"


@CALLBACKS
@clause("SF-SSE-003")
@needs("SF-SSE-001")
def test_each_callback_is_an_event(stored: Answer) -> None:
    for _, name, data in stored.events:
        try:
            value = parse_json(data.encode())
        except ValueError as reason:
            pytest.fail(f"an event {name!r} is no JSON: {reason}; {data[:120]!r}")
        assert isinstance(value, dict), f"an event is {data[:120]!r}; expected one message"
    call = stored.callbacks[0]
    assert call.get("method") == "blobs/put", f"the callback is {call.get('method')!r}; expected blobs/put"


@CALLBACKS
@clause("SF-SSE-004")
@needs("SF-SSE-001")
def test_framing_of_events(stored: Answer) -> None:
    text = b"".join(stored.pieces)
    assert b"\r" not in text, "the stream has carriage returns; expected line feeds alone"
    for block in text.split(b"\n\n"):
        lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
        data = [line for line in lines if line.startswith(b"data")]
        assert len(data) <= 1, f"an event has {len(data)} lines of data: {block[:120]!r}"
        for line in data:
            assert line.startswith(b"data: "), f"a line is {line[:80]!r}; expected 'data: ' with a space"
    assert text.endswith(b"\n\n"), f"the stream ends with {text[-10:]!r}; expected two line feeds"


@CALLBACKS
@clause("SF-SSE-005")
@needs("SF-SSE-001")
def test_no_chunk_ends_inside_a_character(stored: Answer) -> None:
    for piece in stored.pieces:
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError:
            pytest.fail(f"a chunk ends inside a character: {piece[-20:]!r}")


@CALLBACKS
@clause("SF-SSE-006")
@needs("SF-SSE-001")
def test_response_is_the_last_event(stored: Answer) -> None:
    assert stored.value is not MISSING, "the stream ended without the response"
    assert not stored.after, f"after the response came {stored.after[0][:120]!r}"
    assert stored.ended, f"the stream did not end: {stored.fault}"


@CALLBACKS
@clause("SF-SSE-007")
@needs("SF-SSE-001", "SF-SSE-010")
def test_failure_on_the_stream_has_the_id(worker: Watched, over_http: HttpLink) -> None:
    message = worker.message("components/execute", worker.params("get", "0" * 64), id="the-execution")
    answer = worker.send(message, responder=lambda it: failed(it, -32008, "no such blob"))
    assert answer.error is not None, f"expected an error, got {answer.summary()}"
    assert answer.member("id") == "the-execution", f"its id is {answer.member('id')!r}; expected 'the-execution'"


@CALLBACKS
@clause("SF-SSE-008")
@needs("SF-SSE-003", "SF-SSE-012")
def test_answers_reach_their_callbacks(worker: Watched, over_http: HttpLink, runtime: Runtime) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda number: worker.execute("put", {"n": number}), range(AT_ONCE)))
    for number, answer in enumerate(answers):
        assert answer.callbacks, f"execution {number} called nobody: {answer.summary()}"
        data = (answer.callbacks[0].get("params") or {}).get("data")
        asked = {"id": 0, "method": "blobs/put", "params": {"data": {"n": number}, "blob_type": "data"}}
        expected = runtime(asked)["result"]["blob_id"]
        assert expected in json.dumps(answer.output if answer.output is not MISSING else None), (
            f"execution {number} stored {data!r} and gave {answer.summary()}; expected its id {expected}"
        )


@CALLBACKS
@clause("SF-SSE-009")
@needs("SF-SSE-003")
def test_several_callbacks_at_once(worker: Watched, over_http: HttpLink, record: Record, runtime: Runtime) -> None:
    if "puts" not in worker.components:
        pytest.skip("no component that stores each of its input was named; --executor puts=/NAME names one")
    waiting: list[Json] = []
    three = threading.Event()

    def respond(request: Json) -> Json:
        waiting.append(request)
        if len(waiting) == 3:
            three.set()
        return runtime(request)

    answer = worker.execute("puts", [1, 2, 3], responder=respond)
    assert len(answer.callbacks) == 3, f"three values led to {len(answer.callbacks)} callbacks"
    record.note(f"three callbacks: {'side by side' if three.is_set() else 'one after the other'}")


@CALLBACKS
@clause("SF-SSE-010")
@needs("SF-SSE-001")
def test_error_reaches_the_component(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.execute("get", "0" * 64, responder=lambda it: failed(it, -32008, "no such blob"))
    assert answer.callbacks, f"the component asked for no blob: {answer.summary()}"
    assert answer.error is not None, f"an error in answer to a callback gave {answer.summary()}"


@CALLBACKS
@clause("SF-SSE-012")
@needs("SF-SSE-003")
def test_answers_come_on_any_connection(stored: Answer) -> None:
    """Each answer of the kit goes over a connection of its own: the stream is still open on the first one."""
    assert stored.output is not MISSING, f"an answer on another connection gave {stored.summary()}"


@CALLBACKS
@clause("SF-SSE-013")
def test_plain_execution_may_stream(worker: Watched, over_http: HttpLink, record: Record) -> None:
    answer = worker.good("echo", 1)
    record.note(f"an execution without callbacks is answered with {answer.head.media_type if answer.head else None}")


@CALLBACKS
@clause("SF-SSE-014")
@needs("SF-SSE-003", "SF-EXEC-015")
def test_runtime_closes_the_stream(worker: Watched, over_http: HttpLink) -> None:
    body = json.dumps(worker.message("components/execute", worker.params("put", 1))).encode()
    cut = threading.Event()

    def never(request: Json) -> None:
        cut.set()

    # The stream is closed as soon as the callback has come.
    over_http.exchange(body, responder=never, hold=cut)
    assert cut.is_set(), "the component that stores a blob called nobody"
    after = worker.execute("echo", 1)
    assert after.output == 1, f"after a stream was closed an execution gave {after.summary()}"


@CALLBACKS
@clause("SF-SSE-026")
def test_handshake_is_not_streamed(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.call("initialize", {"runtime_protocol_version": 1})
    assert not answer.streamed, "initialize is answered by a stream"
