"""What a runtime sends to its workers, and what it makes of their answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.runtime.callbacks import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    called,
    code,
    get,
    harmless,
    put,
    result,
    stored,
)
from protogen_compliance.suites.stepflow.runtime.stage import INSTANCE, PREFIX, Runtime, Stage, success

HTTP, CALLBACKS, BLOBS = profile("http"), profile("callbacks"), profile("blobs")
TO_WORKERS = (
    *("initialize", "initialized", "components/list", "components/info", "components/execute"),
    "components/infer_schema",
)


def answers(make: Callable[[Asked], bytes | Json], **more: Json) -> Callable[[Asked], None]:
    """A component that answers with what is made of its request."""
    return lambda asked: asked.respond(make(asked), **more)


def fails(runtime: Runtime, component: Callable[[Asked], None], what: str) -> None:
    """Asserts that the step fails, and that the runtime says so."""
    outcome = runtime.run(component, 1)
    assert outcome.failed, f"{what} was taken for {outcome.summary()}; expected the step to fail"
    assert outcome.error is not MISSING, f"{what}: the run says nothing of a failure: {outcome.summary()}"


def takes(runtime: Runtime, component: Callable[[Asked], None], what: str, expected: Json = "ü") -> None:
    """Asserts that the step succeeds with an output."""
    outcome = runtime.run(component, 1)
    assert outcome.result == expected, f"{what} gave {outcome.summary()}; expected {json.dumps(expected)[:80]}"


def changed(**members: Json) -> Callable[[Asked], None]:
    """A component whose response has members replaced; those of MISSING are left out."""

    def make(asked: Asked) -> Json:
        whole = {**success(asked, "ü"), **members}
        return {name: value for name, value in whole.items() if value is not MISSING}

    return answers(make)


def erring(error: Json) -> Callable[[Asked], None]:
    """A component that answers with an error."""
    return changed(result=MISSING, error=error)


# --- messages -------------------------------------------------------------------------------------


@clause("SF-MSG-003")
@pytest.mark.parametrize("version", [MISSING, "1.0", 2.0], ids=repr)
def test_answer_without_the_version(runtime: Runtime, record: Record, version: Json) -> None:
    outcome = runtime.run(changed(jsonrpc=version), 1)
    if version is MISSING and not outcome.failed:
        record.warn("an answer without jsonrpc was taken")
        return
    assert outcome.failed, f"an answer with jsonrpc {version!r} was taken for {outcome.summary()}"


@clause("SF-MSG-014")
@pytest.mark.parametrize(
    "members", [{"error": {"code": -32000, "message": "no"}}, {"result": None}, {"result": MISSING}], ids=repr
)
def test_answer_that_is_no_success(runtime: Runtime, members: Json) -> None:
    fails(runtime, changed(**members), f"an answer with {members!r}")


@clause("SF-MSG-016")
@pytest.mark.parametrize(
    "error", [{"code": "1", "message": "no"}, {"code": 1.5, "message": "no"}, {"code": -32004}], ids=repr
)
def test_error_without_shape(runtime: Runtime, error: Json) -> None:
    fails(runtime, erring(error), f"an answer with the error {error!r}")


@clause("SF-MSG-017")
@needs("SF-ERR-009")
@pytest.mark.parametrize("data", [MISSING, None, 1, [], {}], ids=repr)
def test_error_with_any_data(runtime: Runtime, data: Json) -> None:
    more = {} if data is MISSING else {"data": data}
    outcome = runtime.run(erring({"code": -32004, "message": "kit says no", **more}), 1)
    assert "kit says no" in json.dumps(outcome.error if outcome.failed else None, default=str), (
        f"an error with data {data!r} gave {outcome.summary()}"
    )


@clause("SF-ERR-009")
def test_error_of_a_worker_is_told(runtime: Runtime) -> None:
    outcome = runtime.run(erring({"code": -32004, "message": "kit says no"}), 1)
    assert outcome.failed, f"an error was taken for {outcome.summary()}"
    told = json.dumps(outcome.error, default=str)
    assert "kit says no" in told, f"the failure does not tell the worker's message: {told[:300]}"
    assert "32004" in told, f"the failure does not tell the worker's code: {told[:300]}"


@clause("SF-MSG-018")
def test_unknown_members_of_answers(runtime: Runtime) -> None:
    takes(runtime, changed(unknown={"a": 1}), "an answer with an unknown member")


@clause("SF-MSG-020")
def test_order_of_members_of_answers(runtime: Runtime) -> None:
    takes(runtime, answers(lambda it: dict(reversed(success(it, "ü").items()))), "an answer with its members reversed")


@clause("SF-MSG-022")
def test_array_is_no_answer(runtime: Runtime) -> None:
    fails(runtime, answers(lambda it: [success(it, 1)]), "an array with the response")


@clause("SF-MSG-024")
@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 - 1])
def test_integers_keep_their_value(runtime: Runtime, number: int) -> None:
    path = runtime.stage.add(lambda it: it.respond(success(it, it.value["params"]["input"])))
    outcome = runtime.run_path(path, number)
    sent = [it.get("input") for it in runtime.stage.executions(path)]
    assert sent[:1] == [number], f"the worker got {sent}; expected {number}"
    assert outcome.result == number, f"{number} came back as {outcome.summary()}"


# --- executions -----------------------------------------------------------------------------------


@clause("SF-EXEC-006")
def test_output_is_needed(runtime: Runtime) -> None:
    fails(runtime, changed(result={}), "a result without output")
    takes(runtime, changed(result={"output": None}), "the output null", expected=None)


@profile("routing")
@clause("SF-EXEC-002")
def test_component_is_the_path_after_routing(runtime: Runtime) -> None:
    path = runtime.stage.add(lambda it: it.respond(success(it, 1)))
    outcome = runtime.run_path(path, 1)
    seen = [it.get("component") for it in runtime.stage.executions(path)]
    assert seen, f"the worker saw no execution of it: {outcome.summary()}"
    expected = path.removeprefix(PREFIX)
    assert seen == [expected], f"{path} was routed to the worker as {seen[0]!r}; expected {expected!r}"


@profile("flows")
@clause("SF-EXEC-019")
def test_default_of_a_failed_step(runtime: Runtime) -> None:
    path = runtime.stage.add(erring({"code": -32004, "message": "no"}))
    outcome = runtime.run_path(path, 1, onError={"action": "useDefault", "defaultValue": "instead"})
    assert outcome.result == "instead", f"a failed step with a default gave {outcome.summary()}"


def sent(stage: Stage) -> list[tuple[Asked, dict[str, Json]]]:
    """The messages of the runtime that have a method."""
    return [(it, it.value) for it in stage.asked if isinstance(it.value, dict) and "method" in it.value]


@last
@clause("SF-EXEC-001")
def test_params_of_executions(stage: Stage) -> None:
    for _, it in sent(stage):
        if it["method"] == "components/execute":
            lacking = {"component", "input", "attempt", "observability"} - set(it.get("params") or ())
            assert not lacking, f"an execution lacks {sorted(lacking)}: {json.dumps(it)[:200]}"


@last
@clause("SF-EXEC-003")
@needs("SF-EXEC-001")
def test_attempts_count_from_one(stage: Stage) -> None:
    for _, it in sent(stage):
        if it["method"] == "components/execute":
            attempt = it["params"]["attempt"]
            assert type(attempt) is int, f"attempt is {attempt!r}; expected a whole number"
            assert attempt >= 1, f"attempt is {attempt!r}; expected 1 or more"


@last
@clause("SF-EXEC-004")
@needs("SF-EXEC-001")
def test_observability_names_the_run(stage: Stage) -> None:
    for _, it in sent(stage):
        if it["method"] == "components/execute":
            lacking = {"run_id", "flow_id", "step_id"} - set(it["params"]["observability"])
            assert not lacking, f"observability of an execution lacks {sorted(lacking)}"


@last
@clause("SF-METH-005")
@needs("SF-LIFE-001")
def test_nothing_else_is_sent(stage: Stage) -> None:
    foreign = [it["method"] for _, it in sent(stage) if it["method"] not in TO_WORKERS]
    assert not foreign, f"the runtime sent {foreign[0]!r} to a worker"


@last
@clause("SF-INIT-001")
def test_handshake_comes_first(stage: Stage) -> None:
    assert sent(stage)[0][1]["method"] == "initialize", f"the first message is {json.dumps(sent(stage)[0][1])[:160]}"


@last
@clause("SF-INIT-002")
@needs("SF-INIT-001")
def test_handshake_has_the_version(stage: Stage) -> None:
    params = sent(stage)[0][1].get("params") or {}
    version = params.get("runtime_protocol_version", params.get("runtimeProtocolVersion", MISSING))
    assert version == 1, f"the version of initialize is {version!r}; expected 1"


@last
@clause("SF-INIT-009")
@needs("SF-INIT-001")
def test_handshake_is_ended(stage: Stage) -> None:
    second = sent(stage)[1][1]
    assert second["method"] == "initialized", f"the second message is {json.dumps(second)[:160]}"
    assert "id" not in second, f"initialized has the id {second.get('id')!r}"


@last
@clause("SF-MSG-001")
@needs("SF-MSG-023", "SF-MSG-027")
def test_messages_are_json_rpc(stage: Stage) -> None:
    for it in stage.asked:
        # SF-MSG-021 judges arrays
        if it.method == "POST" and not isinstance(it.value, list):
            assert isinstance(it.value, dict), f"a message is {it.body[:120]!r}; expected an object"
            kinds = {"method", "result", "error"} & it.value.keys()
            assert kinds, f"a message is neither request nor response: {it.body[:160]!r}"


@last
@clause("SF-MSG-002")
@needs("SF-ERR-001")
def test_messages_have_a_version(stage: Stage) -> None:
    for it in stage.asked:
        if isinstance(it.value, dict):
            assert it.value.get("jsonrpc") == "2.0", f"a message has no jsonrpc 2.0: {it.body[:160]!r}"


@last
@clause("SF-MSG-005")
def test_ids_of_requests(stage: Stage) -> None:
    for _, it in sent(stage):
        number = it.get("id", "")
        whole = type(number) is int and -(2**63) <= number < 2**63
        assert isinstance(number, str) or whole, f"an id is {number!r}"


@last
@clause("SF-MSG-010")
def test_params_are_objects(stage: Stage) -> None:
    for _, it in sent(stage):
        assert isinstance(it.get("params"), dict), f"params are no object: {json.dumps(it)[:160]}"


@last
@clause("SF-MSG-021")
def test_no_batches(stage: Stage) -> None:
    batches = [it.body for it in stage.asked if isinstance(it.value, list)]
    assert not batches, f"a batch was sent: {batches[0][:120]!r}"


# --- HTTP -----------------------------------------------------------------------------------------


@HTTP
@last
@clause("SF-HTTP-002")
def test_requests_are_posts(stage: Stage) -> None:
    for asked, _ in sent(stage):
        kind = asked.headers.get("content-type", "").partition(";")[0].strip()
        assert kind == "application/json", f"the content type of a request is {kind!r}"


@HTTP
@last
@clause("SF-HTTP-003")
def test_both_media_types_are_accepted(stage: Stage) -> None:
    for asked, it in sent(stage):
        if "id" in it:
            accept = asked.headers.get("accept", "")
            both = "application/json" in accept and "text/event-stream" in accept
            assert both, f"Accept of {it['method']} is {accept!r}"


@HTTP
@clause("SF-HTTP-014")
@pytest.mark.parametrize("status", [202, 400, 500])
def test_response_under_any_status(runtime: Runtime, status: int) -> None:
    takes(runtime, answers(lambda it: success(it, "ü"), status=status), f"a response under HTTP {status}")


@HTTP
@clause("SF-HTTP-015")
@pytest.mark.parametrize(
    ("status", "body"), [(400, b'{"error":{"code":-32600,"message":"bad"}}'), (502, b"<html>Bad Gateway</html>")]
)
def test_status_without_a_response(runtime: Runtime, status: int, body: bytes) -> None:
    fails(runtime, answers(lambda _: body, status=status), f"HTTP {status} with {body.decode()}")


@HTTP
@clause("SF-HTTP-016")
def test_id_of_a_plain_answer(runtime: Runtime, record: Record) -> None:
    outcome = runtime.run(changed(id="of-nobody"), 1)
    if not outcome.failed:
        record.warn("an answer with another id was taken")


@HTTP
@clause("SF-HTTP-017")
def test_odd_answers_are_tolerated(runtime: Runtime) -> None:
    takes(runtime, answers(lambda it: b"\n  " + json.dumps(success(it, "ü"), indent=3).encode() + b"\n"), "white space")
    takes(runtime, answers(lambda it: success(it, "ü"), kind="text/plain"), "another content type")


@HTTP
@clause("SF-HTTP-018")
def test_large_answers(runtime: Runtime) -> None:
    text = "x" * 5_000_000
    outcome = runtime.run(answers(lambda it: success(it, text)), 1)
    assert outcome.result == text, f"an output of 5 MB gave {outcome.summary()[:200]}"


@HTTP
@clause("SF-HTTP-019")
def test_answers_that_break_off(runtime: Runtime) -> None:
    def half(asked: Asked) -> None:
        data = json.dumps(success(asked, 1)).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        asked.send(head.encode() + data[:10])
        asked.hang_up()

    fails(runtime, answers(lambda _: b""), "an empty body")
    fails(runtime, half, "half of a response")
    fails(runtime, lambda asked: asked.hang_up(), "a connection that drops")


# --- streams --------------------------------------------------------------------------------------


def streams(*pieces: str) -> Callable[[Asked], None]:
    """A component that streams; RESPONSE stands for the response, LINES for its text in several data lines."""

    def component(asked: Asked) -> None:
        piece = asked.stream()
        for text in pieces:
            whole = json.dumps(success(asked, "ü"), ensure_ascii=False)
            lines = json.dumps(success(asked, "ü"), ensure_ascii=False, indent=1).replace("\n", "\ndata: ")
            piece(text.replace("RESPONSE", whole).replace("LINES", lines).encode())
        piece(b"")

    return component


FRAMES = {
    "crlf": "data: RESPONSE\r\n\r\n",
    "cr": "data: RESPONSE\r\r",
    "several lines": "data: LINES\n\n",
    "no space": "data:RESPONSE\n\n",
    "comments": ": hello\n\ndata: RESPONSE\n\n",
    "fields": "event: message\nid: 1\nretry: 5\ndata: RESPONSE\n\n",
}


@CALLBACKS
@clause("SF-SSE-018")
@pytest.mark.parametrize("frame", FRAMES)
def test_framing_of_events(runtime: Runtime, frame: str) -> None:
    takes(runtime, streams(FRAMES[frame]), f"an event ({frame})")


@CALLBACKS
@clause("SF-SSE-019")
def test_characters_in_pieces(runtime: Runtime) -> None:
    def component(asked: Asked) -> None:
        piece = asked.stream()
        data = f"data: {json.dumps(success(asked, 'ü'), ensure_ascii=False)}\n\n".encode()
        for at in range(len(data)):
            piece(data[at : at + 1])
        piece(b"")

    takes(runtime, component, "a stream byte by byte")


@CALLBACKS
@clause("SF-SSE-020")
def test_rubbish_is_skipped(runtime: Runtime) -> None:
    rubbish = ("event: ping\ndata: {}\n\n", 'data: {"jsonrpc":"2.0","method":"x","params":{}}\n\n', "data: rubbish\n\n")
    takes(runtime, streams(*rubbish, "data: RESPONSE\n\n"), "a response after rubbish")


@CALLBACKS
@clause("SF-SSE-021")
def test_responses_to_others_are_skipped(runtime: Runtime) -> None:
    other = 'data: {"jsonrpc":"2.0","id":"of-nobody","result":{"output":0}}\n\n'
    takes(runtime, streams(other, "data: RESPONSE\n\n"), "a response after one to nobody")


@CALLBACKS
@clause("SF-SSE-022")
def test_stream_without_the_response(runtime: Runtime) -> None:
    fails(runtime, streams(": nothing\n\n"), "a stream that ends without the response")


# --- callbacks ------------------------------------------------------------------------------------


@CALLBACKS
@clause("SF-SSE-015")
def test_callback_is_answered_by_a_post(runtime: Runtime) -> None:
    def look(found: list[Asked | None]) -> Json:
        return [None if it is None else f"{it.method} {it.path}" for it in found]

    callback = {**harmless(runtime.stage), "id": "the-callback"}
    outcome = runtime.run(runtime.stage.calling(callback, then=look), 1)
    assert outcome.result != [None], "a callback was not answered"
    assert outcome.result == ["POST /"], f"the answer came as {outcome.summary()}; expected POST /"
    count = sum(isinstance(it.value, dict) and it.id == "the-callback" for it in runtime.stage.asked)
    assert count == 1, f"one callback was answered {count} times"


@CALLBACKS
@clause("SF-SSE-016")
@needs("SF-SSE-015")
def test_answer_repeats_the_instance(runtime: Runtime) -> None:
    def look(found: list[Asked | None]) -> Json:
        return [None if it is None else it.headers.get("stepflow-instance-id") for it in found]

    outcome = runtime.run(runtime.stage.calling(harmless(runtime.stage), then=look), 1)
    assert outcome.result == [INSTANCE], f"Stepflow-Instance-Id of the answer is {outcome.summary()}"


@CALLBACKS
@clause("SF-SSE-025")
@needs("SF-SSE-015")
def test_callbacks_with_integer_ids(runtime: Runtime) -> None:
    first, second = harmless(runtime.stage), harmless(runtime.stage)
    found = called(runtime, {**first, "id": 1}, {**second, "id": 2**53 + 1})
    ids = [it.get("id") if isinstance(it, dict) else None for it in found]
    assert ids == [1, 2**53 + 1], f"callbacks with the ids 1 and 2^53+1 were answered with {ids}"


@clause("SF-METH-003")
def test_blobs_are_served(runtime: Runtime) -> None:
    (answer,) = called(runtime, get(stored(runtime, {"a": 1})))
    assert result(answer) is not MISSING, f"blobs/get gave {json.dumps(answer)[:200]}"


@clause("SF-METH-009")
@needs("SF-METH-010")
@pytest.mark.parametrize("method", ["components/list", "blobs/nope"])
def test_callback_of_another_method(runtime: Runtime, method: str) -> None:
    (answer,) = called(runtime, {"method": method, "params": {}})
    assert code(answer) == METHOD_NOT_FOUND, f"{method}: expected -32601, got {json.dumps(answer)[:200]}"


@clause("SF-METH-010")
@pytest.mark.parametrize("method", ["", "nope"], ids=["params", "method"])
def test_every_callback_is_answered(runtime: Runtime, method: str) -> None:
    known = harmless(runtime.stage)["method"]
    (answer,) = called(runtime, {"method": method or known, "params": {}})
    assert code(answer) is not MISSING, f"expected an error, got {json.dumps(answer)[:200]}"


@clause("SF-METH-010")
@pytest.mark.parametrize("number", [None, 1.5, True, {}], ids=repr)
def test_callback_whose_id_is_none_is_answered(runtime: Runtime, number: Json) -> None:
    (answer,) = called(runtime, {**harmless(runtime.stage), "id": number})
    assert isinstance(answer, dict), f"a callback with the id {json.dumps(number)} was not answered"
    assert code(answer) is not MISSING, f"a callback with the id {json.dumps(number)} gave {json.dumps(answer)[:200]}"


@BLOBS
@clause("SF-BLOB-001")
@needs("SF-METH-003")
def test_blob_has_an_id(runtime: Runtime) -> None:
    (answer,) = called(runtime, put({"stored": 1}))
    found = result(answer)
    assert isinstance(found, dict), f"blobs/put gave {json.dumps(answer)[:200]}"
    assert isinstance(found.get("blob_id"), str), f"blobs/put gave {json.dumps(found)[:200]}"


@BLOBS
@clause("SF-BLOB-008")
@needs("SF-METH-003", "SF-BLOB-001")
def test_shape_of_ids(runtime: Runtime) -> None:
    name = stored(runtime, {"a": 1})
    assert re.fullmatch("[0-9a-f]{64}", name), f"the id of a blob is {name!r}; expected 64 hexadecimal digits"


@BLOBS
@clause("SF-BLOB-002")
@needs("SF-METH-003")
@pytest.mark.parametrize("data", [None, True, 0, 1.5, "ü", [], {}, {"b": [1, {"a": None}]}], ids=repr)
def test_blob_comes_back(runtime: Runtime, data: Json) -> None:
    (answer,) = called(runtime, get(stored(runtime, data)))
    found = result(answer)
    assert isinstance(found, dict), f"blobs/get gave {json.dumps(answer)[:200]}"
    assert json.dumps(found.get("data")) == json.dumps(data), f"{data!r} came back as {found.get('data')!r}"


@BLOBS
@clause("SF-BLOB-003")
@needs("SF-METH-003")
def test_same_value_has_the_same_id(runtime: Runtime) -> None:
    names = {stored(runtime, {"same": [1, 2]}) for _ in range(2)}
    assert len(names) == 1, f"the same value was stored as {sorted(names)}"


@BLOBS
@clause("SF-BLOB-004")
@needs("SF-METH-003")
@pytest.mark.parametrize("kind", [MISSING, "Json", None], ids=repr)
def test_blob_type_is_needed(runtime: Runtime, kind: Json) -> None:
    (answer,) = called(runtime, put(1, kind))
    assert code(answer) == INVALID_PARAMS, f"blob_type {kind!r}: expected -32602, got {json.dumps(answer)[:200]}"


@BLOBS
@clause("SF-BLOB-005")
@needs("SF-METH-003")
def test_blob_that_is_no_flow(runtime: Runtime) -> None:
    bad, good = called(runtime, put([1], "flow"), put({"steps": []}, "flow"))
    assert result(good) is not MISSING, f"a flow as a blob gave {json.dumps(good)[:200]}"
    assert code(bad) is not MISSING, f"[1] as a flow gave {json.dumps(bad)[:200]}"


@BLOBS
@clause("SF-BLOB-006")
@needs("SF-METH-003")
@pytest.mark.parametrize("name", ["0" * 64, "nope"])
def test_unknown_blob(runtime: Runtime, name: str) -> None:
    (answer,) = called(runtime, get(name))
    assert code(answer) in (-32008, -32000), f"blob {name[:8]!r}: expected -32008, got {json.dumps(answer)[:200]}"


@BLOBS
@needs("SF-BLOB-001", "SF-BLOB-008")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"x": 1, "b": [1, 2]}, marks=clause("SF-BLOB-009"), id="order"),
        pytest.param({"b": 2, "x": 1}, marks=clause("SF-BLOB-009"), id="other order"),
        pytest.param('q" b\\ s/ \x00\x1f\x7f\u2028 é😀', marks=clause("SF-BLOB-010"), id="text"),
        pytest.param([0, -1, 2**53 + 1, 2**63 - 1, 2**64 - 1], marks=clause("SF-BLOB-011"), id="integers"),
    ],
)
def test_id_is_the_hash_of_the_text(runtime: Runtime, data: Json) -> None:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    expected = hashlib.sha256(text.encode()).hexdigest()
    found = stored(runtime, data)
    assert found == expected, f"{text} was stored as {found}; expected its SHA-256 {expected}"


@BLOBS
@clause("SF-BLOB-014")
@needs("SF-BLOB-001")
def test_id_is_exact_text(runtime: Runtime) -> None:
    name = stored(runtime, {"exact": True})
    (answer,) = called(runtime, get(name.upper()))
    assert code(answer) is not MISSING, f"an id in upper case gave {json.dumps(answer)[:200]}"
