"""Messages: envelope, ids, params, tolerance, values."""

from __future__ import annotations

import json

import pytest

from protogen_compliance.peer.link import Answer, done, failed
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.link import Runtime

INVALID_REQUEST, INVALID_PARAMS, NOT_FOUND, PARSE_ERROR = -32600, -32602, -32601, -32700
UUID7 = "01890a5d-ac96-774b-bcce-b302099a8057"
EACH_KIND: list[Json] = [None, True, False, 0, -1, 1.5, "", "ü\u2028😀", [], {}, [1, [2, {"a": None}]], {"k": {"": []}}]


def control(worker: Watched) -> None:
    """The plain request is answered with a result: what is refused below is refused for its fault."""
    answer = worker.call("components/list", {})
    if answer.result is MISSING:
        raise Unmet(("SF-METH-001", "SF-COMP-001"), f"components/list was answered with {answer.summary()}")


def refused(answer: Answer) -> bool:
    """Whether a message was refused in any way that shows."""
    return answer.result is MISSING and (answer.error is not None or (answer.status or 0) >= 400)


@clause("SF-MSG-004")
def test_request_without_jsonrpc(worker: Watched, record: Record) -> None:
    answer = worker.send({"id": "no-version", "method": "components/list", "params": {}})
    assert answer.result is not MISSING or answer.error is not None, f"expected a response, got {answer.summary()}"
    if answer.error is not None:
        record.warn(f"a request without jsonrpc was refused: {answer.summary()}")


@clause("SF-MSG-006")
@pytest.mark.parametrize("number", ["", "é", UUID7, "x" * 300, 0, -1, 2**53 + 1, 2**63 - 1], ids=repr)
def test_ids_come_back(worker: Watched, number: Json) -> None:
    answer = worker.call("components/list", {}, id=number)
    assert answer.result is not MISSING, f"id {number!r}: expected a result, got {answer.summary()}"
    found = answer.member("id")
    assert (found, type(found)) == (number, type(number)), f"the id {number!r} came back as {found!r}"


@clause("SF-MSG-007")
@needs("SF-ERR-003")
@pytest.mark.parametrize("number", [1.5, True, [], {}], ids=repr)
def test_ids_of_other_types_are_refused(worker: Watched, number: Json) -> None:
    control(worker)
    answer = worker.call("components/list", {}, id=number)
    assert refused(answer), f"the id {number!r} was taken: {answer.summary()}"
    if answer.error is not None:
        assert answer.code == INVALID_REQUEST, f"the id {number!r}: expected -32600, got {answer.summary()}"


@clause("SF-MSG-009")
def test_id_null_is_no_request(worker: Watched) -> None:
    answer = worker.call("components/list", {}, id=None, patience=2.0)
    assert answer.result is MISSING, f"a message with id null was answered with {answer.summary()}"


@clause("SF-MSG-011")
@pytest.mark.parametrize("params", [MISSING, None], ids=["absent", "null"])
def test_params_may_be_left_out(worker: Watched, record: Record, params: Json) -> None:
    answer = worker.call("components/list", params)
    assert answer.result is not MISSING or answer.code in (INVALID_REQUEST, INVALID_PARAMS), (
        f"params {params!r}: expected a result, -32600 or -32602, got {answer.summary()}"
    )
    if answer.result is MISSING:
        record.warn(f"params {params!r} were refused: {answer.summary()}")


@clause("SF-MSG-012")
@pytest.mark.parametrize("params", [[], 1, "x"], ids=repr)
def test_params_are_an_object(worker: Watched, params: Json) -> None:
    control(worker)
    answer = worker.call("components/list", params)
    assert answer.code in (INVALID_REQUEST, INVALID_PARAMS), (
        f"params {params!r}: expected -32600 or -32602, got {answer.summary()}"
    )


@clause("SF-MSG-018")
def test_unknown_members_are_ignored(worker: Watched) -> None:
    plain = worker.call("components/list", {})
    more = worker.send({**worker.message("components/list", {"unknown": [1]}), "unknown": {"a": 1}})
    assert more.result == plain.result, f"unknown members changed components/list to {more.summary()}"
    met = worker.call("initialize", {"runtime_protocol_version": 1, "unknown": 1, "observability": {"unknown": "x"}})
    assert met.result is not MISSING, f"unknown members in initialize gave {met.summary()}"
    answer = worker.call("components/execute", {**worker.params("echo", {"a": 1}), "unknown": "x"})
    assert answer.output == {"a": 1}, f"an unknown member in an execution gave {answer.summary()}"


@clause("SF-MSG-019")
def test_null_is_like_absent(worker: Watched) -> None:
    for where, params in (
        ("initialize", {"runtime_protocol_version": 1, "observability": None}),
        ("components/execute", {**worker.params("echo", 1), "observability": dict.fromkeys(("trace_id", "run_id"))}),
    ):
        answer = worker.call(where, params)
        assert answer.result is not MISSING, f"null in optional members of {where} gave {answer.summary()}"


@clause("SF-MSG-020")
def test_order_does_not_matter(worker: Watched) -> None:
    message = worker.message("components/execute", worker.params("echo", {"b": 1, "a": 2}))
    turned = {name: message[name] for name in reversed(message)}
    turned["params"] = {name: message["params"][name] for name in reversed(message["params"])}
    answer = worker.send(turned)
    assert answer.output == {"a": 2, "b": 1}, f"a request with its members reversed gave {answer.summary()}"


@clause("SF-MSG-022")
def test_batch_is_refused(worker: Watched) -> None:
    control(worker)
    answer = worker.send([worker.message("components/list", {})], patience=2.0)
    assert not isinstance(answer.value, list), f"a batch was answered with {answer.summary()}"
    assert refused(answer), f"a batch was answered with {answer.summary()}"


@clause("SF-MSG-023")
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '"\\ud800"'])
def test_what_is_no_json_value_is_refused(worker: Watched, text: str) -> None:
    message = worker.message("components/execute", worker.params("echo", "HERE"))
    good = worker.send(message)
    if good.output != "HERE":
        raise Unmet(("SF-EXEC-007",), f"a text was echoed as {good.summary()}")
    answer = worker.send(json.dumps(message).replace('"HERE"', text).encode())
    assert answer.output is MISSING, f"an input of {text} was taken: {answer.summary()}"


@clause("SF-MSG-024")
@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63)])
def test_integers_keep_their_value(worker: Watched, number: int) -> None:
    answer = worker.good("echo", number)
    assert (answer.output, type(answer.output)) == (number, int), f"{number} was echoed as {answer.output!r}"


@clause("SF-MSG-025")
def test_deep_values(worker: Watched, record: Record) -> None:
    def nested(depth: int) -> bytes:
        message = worker.message("components/execute", worker.params("echo", "HERE"))
        return json.dumps(message).replace('"HERE"', "[" * depth + "]" * depth).encode()

    answer = worker.send(nested(100))
    assert answer.output is not MISSING, f"a nesting of 100 gave {answer.summary()}"
    record.note(f"a nesting of 500: {'taken' if worker.send(nested(500)).output is not MISSING else 'refused'}")
    far = worker.send(nested(100_000))
    assert far.result is MISSING or far.output is not MISSING, f"a nesting of 100,000 gave {far.summary()}"
    control(worker)


@clause("SF-MSG-026")
def test_member_that_occurs_twice(worker: Watched, record: Record) -> None:
    answer = worker.send(
        b'{"jsonrpc":"2.0","id":"one","id":"two","method":"components/list","params":{}}', patience=2.0
    )
    record.note(f"a request with the ids one and two: {answer.summary()[:100]}")


@clause("SF-MSG-027")
def test_byte_order_mark(worker: Watched, record: Record) -> None:
    answer = worker.send(b"\xef\xbb\xbf" + json.dumps(worker.message("components/list", {})).encode(), patience=2.0)
    record.note(f"a request that begins with a byte order mark: {answer.summary()[:100]}")
    bodies = [body for body, _ in worker.link.seen.bodies if body.startswith(b"\xef\xbb\xbf")]
    assert not bodies, f"the worker sent a byte order mark: {bodies[0][:80]!r}"
    text = worker.good("echo", "ü€😀")
    assert text.output == "ü€😀", f"text outside ASCII came back as {text.output!r}"


@clause("SF-MSG-017")
@needs("SF-SSE-010")
@pytest.mark.parametrize("data", [MISSING, None, 1, "x", [], {}], ids=repr)
def test_errors_with_any_data_are_taken(worker: Watched, data: Json) -> None:
    """An error in answer to a callback fails the execution, whatever data it has: it is never left waiting."""
    more = {} if data is MISSING else {"data": data}
    answer = worker.execute("get", "0" * 64, responder=lambda it: failed(it, -32008, "no such blob", **more))
    assert answer.callbacks, f"the component did not ask for a blob: {answer.summary()}"
    assert answer.error is not None, f"an error with data {data!r}: expected a failure, got {answer.summary()}"


@clause("SF-EXEC-007")
@needs("SF-EXEC-005")
@pytest.mark.parametrize("value", EACH_KIND, ids=repr)
def test_input_arrives_as_it_was_sent(worker: Watched, value: Json) -> None:
    answer = worker.execute("echo", value)
    assert json.dumps(answer.output if answer.output is not MISSING else "missing") == json.dumps(value), (
        f"the input {value!r} was echoed as {answer.summary()}"
    )


def whole(request: Json, runtime: Runtime) -> Json:
    """A response with members that nobody knows."""
    response = runtime(request)
    return (
        {**response, "unknown": 1, "result": {**response["result"], "unknown": [1]}}
        if "result" in response
        else response
    )


@clause("SF-MSG-018")
@needs("SF-SSE-003", "SF-SSE-008")
def test_unknown_members_of_responses_are_ignored(worker: Watched, runtime: Runtime) -> None:
    answer = worker.execute("put", {"some": "value"}, responder=lambda it: whole(it, runtime))
    assert answer.output is not MISSING, f"a response with unknown members gave {answer.summary()}"


@clause("SF-MSG-020")
@needs("SF-SSE-003", "SF-SSE-008", "SF-SSE-012")
def test_order_of_responses_does_not_matter(worker: Watched, runtime: Runtime) -> None:
    answer = worker.execute("put", 1, responder=lambda it: dict(reversed(list(runtime(it).items()))))
    assert answer.output is not MISSING, f"a response with its members reversed gave {answer.summary()}"


@clause("SF-MSG-019")
@needs("SF-SSE-003", "SF-SSE-008")
def test_null_in_results_is_like_absent(worker: Watched, runtime: Runtime) -> None:
    def respond(request: Json) -> Json:
        if request.get("method") == "blobs/put":
            return done(request, {"blob_id": "b" * 64, "observability": None})
        return runtime(request)

    answer = worker.execute("put", 1, responder=respond)
    assert answer.output is not MISSING, f"null in a member that is not needed gave {answer.summary()}"
