"""What a client makes of answers, good and bad, and what it asks."""

from __future__ import annotations

import json
import threading

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.server import Asked, Script
from protogen_compliance.plugin import Settings
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.jsonrpc.client.caller import METHOD, PARAMS
from protogen_compliance.suites.jsonrpc.client.conftest import Watched

GOOD = {"text": "ü€😀", "list": [1, None]}
LATE_SECONDS = 2.0
STALL_SECONDS = "40"


def good(asked: Asked) -> Json:
    """The right response to a request."""
    return {"jsonrpc": "2.0", "id": asked.id, "result": GOOD}


def sends(body: bytes | Json, *, status: int = 200, kind: str = "application/json", more: str = "") -> Script:
    """Answers every request with the same bytes, or with JSON whose id is that of the request."""

    def script(asked: Asked) -> None:
        data = body
        if isinstance(data, dict) and data.get("id", "") == "ID":
            data = {**data, "id": asked.id}
        asked.respond(data, status=status, kind=kind, more=more)

    return script


def error(code: int, **members: Json) -> Json:
    """An error response to the request."""
    return {"jsonrpc": "2.0", "id": "ID", "error": {"code": code, "message": "no", **members}}


def fails(client: Watched, script: Script, what: str) -> None:
    """Asserts that the call fails, with the good answer as its control."""
    outcome = client.against(script)
    assert outcome.asked, f"{what}: the client asked nobody"
    assert outcome.failed, f"{what} was taken for {outcome.summary()}; expected a failure"


# --- answers --------------------------------------------------------------------------------------


@clause("JR-RESP-011")
@pytest.mark.parametrize(
    ("members", "what"),
    [({"result": 1, "error": {"code": 5, "message": "no"}}, "a response with both"), ({}, "a response with neither")],
    ids=["both", "neither"],
)
def test_result_and_error(client: Watched, members: Json, what: str) -> None:
    outcome = client.against(sends({"jsonrpc": "2.0", "id": "ID", **members}))
    assert outcome.result is MISSING, f"{what} was taken for {outcome.summary()}; expected the call to fail"


@clause("JR-CONV-002")
@needs("JR-RESP-011")
def test_member_names_have_a_case(client: Watched) -> None:
    fails(client, sends({"jsonrpc": "2.0", "id": "ID", "RESULT": 1}), "a response with RESULT in place of result")


@clause("JR-RESP-012")
@needs("KC-ID-001")
def test_unknown_id_is_set_aside(client: Watched) -> None:
    def script(asked: Asked) -> None:
        piece = asked.stream()
        for message in ({**good(asked), "id": "of-nobody", "result": 0}, good(asked)):
            piece(f"data: {json.dumps(message)}\n\n".encode())
        piece(b"")

    outcome = client.against(script)
    assert outcome.result == GOOD, f"after a response to nobody the right one gave {outcome.summary()}"


@clause("JR-RESP-013")
def test_null_is_a_result(client: Watched) -> None:
    outcome = client.against(lambda asked: asked.result(None))
    assert outcome.result is None, f"the result null was taken for {outcome.summary()}"


@clause("JR-RESP-014")
def test_unknown_members_are_no_reason(client: Watched) -> None:
    outcome = client.against(lambda asked: asked.result(GOOD, unknown={"a": 1}))
    assert outcome.result == GOOD, f"a response with an unknown member gave {outcome.summary()}"


@clause("JR-ERR-006")
@pytest.mark.parametrize("data", [MISSING, None, 1, "x", [], {}], ids=repr)
def test_errors_with_any_data(client: Watched, data: Json) -> None:
    more = {} if data is MISSING else {"data": data}
    outcome = client.against(sends(error(-32001, **more)))
    code = outcome.error.get("code") if isinstance(outcome.error, dict) else None
    assert code == -32001, f"an error with data {data!r} gave {outcome.summary()}; expected the error -32001"


@clause("KC-ID-001")
@needs("JR-REQ-009")
@pytest.mark.parametrize("number", ["of-nobody", None], ids=repr)
def test_id_of_another_call(client: Watched, number: Json) -> None:
    fails(client, sends({"jsonrpc": "2.0", "id": number, "result": 1}), f"a result with the id {number!r}")


@clause("KC-ID-002")
@needs("KC-SSE-001")
def test_response_that_comes_twice(client: Watched) -> None:
    def script(asked: Asked) -> None:
        piece = asked.stream()
        for _ in range(2):
            piece(f"data: {json.dumps(good(asked))}\n\n".encode())
        piece(b"")

    outcome = client.against(script)
    assert outcome.result == GOOD, f"a response that came twice gave {outcome.summary()}"


@clause("KC-HTTP-001")
@pytest.mark.parametrize("status", [400, 500])
def test_error_under_any_status(client: Watched, status: int) -> None:
    outcome = client.against(sends(error(-32001), status=status))
    code = outcome.error.get("code") if isinstance(outcome.error, dict) else None
    assert code == -32001, f"the error -32001 under HTTP {status} gave {outcome.summary()}"


@clause("KC-HTTP-002")
@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (502, "text/html", b"<html>Bad Gateway</html>"),
        (404, "application/json", b'{"error":"no such page"}'),
        (200, "text/html", b"<html>hello</html>"),
    ],
)
def test_status_without_a_response(client: Watched, status: int, kind: str, body: bytes) -> None:
    fails(client, sends(body, status=status, kind=kind), f"HTTP {status} with {kind}")


@clause("KC-HTTP-003")
def test_redirects_in_a_circle(client: Watched) -> None:
    fails(client, sends(b"", status=307, more="location: /\r\n"), "a redirect in a circle")


@clause("KC-HTTP-004")
def test_body_byte_by_byte(client: Watched) -> None:
    def script(asked: Asked) -> None:
        data = json.dumps(good(asked), ensure_ascii=False).encode()
        asked.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        for at in range(len(data)):
            asked.send(b"1\r\n" + data[at : at + 1] + b"\r\n")
        asked.send(b"0\r\n\r\n")

    outcome = client.against(script)
    assert outcome.result == GOOD, f"a body in chunks of one byte gave {outcome.summary()}"


@clause("KC-HTTP-005")
def test_connection_that_drops(client: Watched) -> None:
    def half(asked: Asked) -> None:
        data = json.dumps(good(asked)).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        asked.send(head.encode() + data[: len(data) // 2])
        asked.hang_up()

    fails(client, half, "half of a response")
    fails(client, lambda asked: asked.hang_up(), "a connection that drops")


@clause("KC-HTTP-006")
@pytest.mark.parametrize("status", [200, 202])
def test_empty_body(client: Watched, status: int) -> None:
    fails(client, sends(b"", status=status), f"HTTP {status} without a body")


FRAMES = {
    "plain": "data: {}\n\n",
    "crlf": "data: {}\r\n\r\n",
    "no space": "data:{}\n\n",
    "comments": ": hello\n\n: there\ndata: {}\n\n",
    "fields": "id: 7\nretry: 10\nevent: message\ndata: {}\n\n",
}


@clause("KC-SSE-001")
@pytest.mark.parametrize("frame", FRAMES)
def test_framing_of_events(client: Watched, frame: str) -> None:
    def script(asked: Asked) -> None:
        piece = asked.stream()
        data = FRAMES[frame].replace("{}", json.dumps(good(asked), ensure_ascii=False)).encode()
        for at in range(0, len(data), 7):
            piece(data[at : at + 7])
        piece(b"")

    outcome = client.against(script)
    assert outcome.result == GOOD, f"an event ({frame}) in pieces of seven bytes gave {outcome.summary()}"


@clause("KC-SSE-002")
def test_stream_that_ends(client: Watched) -> None:
    def script(asked: Asked) -> None:
        piece = asked.stream()
        piece(b": nothing follows\n\n")
        piece(b"")

    fails(client, script, "a stream that ends without the response")


@clause("KC-JSON-001")
@pytest.mark.parametrize("body", [b"{bad", b"[]", b"1", b"null", b"{}"])
def test_body_that_is_no_response(client: Watched, body: bytes) -> None:
    fails(client, sends(body), f"the body {body.decode()}")


@clause("KC-TIME-001")
def test_answer_that_is_late(client: Watched) -> None:
    late = threading.Event()

    def script(asked: Asked) -> None:
        late.wait(LATE_SECONDS)
        asked.result(GOOD)

    outcome = client.against(script)
    assert outcome.result == GOOD, f"an answer after {LATE_SECONDS:g} s gave {outcome.summary()}"


@profile("slow")
@clause("KC-TIME-002")
def test_call_that_is_never_answered(client: Watched, settings: Settings) -> None:
    silence = threading.Event()
    seconds = float(settings.options.get("stall", STALL_SECONDS))

    def script(asked: Asked) -> None:
        del asked
        silence.wait(seconds)

    outcome = client.against(script, patience=seconds)
    assert outcome.failed, f"silence gave {outcome.summary()}"


# --- requests -------------------------------------------------------------------------------------


@clause("JR-PARAM-004")
@needs("JR-PARAM-001")
def test_params_as_they_were_given(client: Watched) -> None:
    outcome = client.against(lambda asked: asked.result(GOOD))
    sent = outcome.asked[0].value.get("params")
    assert sent == PARAMS, f"the client was given {json.dumps(PARAMS)} and sent {json.dumps(sent)}"


@last
@clause("JR-CONV-001")
def test_bodies_are_json(everything: list[Asked]) -> None:
    assert everything, "the client sent nothing"
    for asked in everything:
        if asked.method == "POST":
            assert asked.value is not MISSING, f"a body is no JSON: {asked.body[:120]!r}"


def requests(everything: list[Asked]) -> list[dict[str, Json]]:
    """The messages of the client that have a method."""
    return [it.value for it in everything if isinstance(it.value, dict) and "method" in it.value]


@last
@clause("JR-REQ-001", "JR-COMPAT-001")
def test_requests_have_the_version(everything: list[Asked]) -> None:
    for it in requests(everything):
        assert it.get("jsonrpc") == "2.0", f"jsonrpc is {it.get('jsonrpc', MISSING)!r} in {json.dumps(it)[:160]}"


@last
@clause("JR-REQ-003")
def test_method_is_what_was_asked_for(everything: list[Asked]) -> None:
    for it in requests(everything):
        right = it["method"] == METHOD or is_extension(it)
        assert right, f"the client was to call {METHOD!r} and called {it['method']!r}"


@last
@clause("JR-EXT-002")
def test_extensions_are_not_called_unasked(everything: list[Asked]) -> None:
    for it in requests(everything):
        assert not is_extension(it), f"the client was to call {METHOD!r} and called {it['method']!r}"


def is_extension(request: dict[str, Json]) -> bool:
    """Whether a request calls a method of an extension."""
    return isinstance(request["method"], str) and request["method"].startswith("rpc.")


@last
@clause("JR-REQ-007")
def test_type_of_ids(everything: list[Asked]) -> None:
    for it in requests(everything):
        number = it.get("id", None)
        good_id = number is None or (isinstance(number, str | int | float) and not isinstance(number, bool))
        assert good_id, f"the id is {number!r}; expected a string or a number"


@last
@clause("JR-REQ-009")
def test_ids_are_not_null(everything: list[Asked]) -> None:
    nulls = [it for it in requests(everything) if "id" in it and it["id"] is None]
    assert not nulls, f"a request has the id null: {json.dumps(nulls[0])[:160]}"


@last
@clause("JR-REQ-010")
def test_ids_have_no_fraction(everything: list[Asked]) -> None:
    odd = [it["id"] for it in requests(everything) if isinstance(it.get("id"), float)]
    assert not odd, f"an id has a fraction: {odd[0]!r}"


@last
@clause("JR-PARAM-001")
def test_params_are_structured(everything: list[Asked]) -> None:
    for it in requests(everything):
        params = it.get("params", {})
        assert isinstance(params, dict | list), f"params are {params!r}; expected an object or an array"
