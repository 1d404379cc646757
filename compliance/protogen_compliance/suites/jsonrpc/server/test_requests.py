"""Requests: versions, methods, ids, params, notifications."""

from __future__ import annotations

import json

import pytest

from protogen_compliance.peer.link import Answer
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.jsonrpc.server.endpoint import METHOD_NOT_FOUND, NO_SUCH_METHOD, Endpoint, Known

PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS = -32700, -32600, -32602
METHODS = profile("methods")


def control(endpoint: Endpoint) -> Answer:
    """A well-formed request is answered with an error of its own: what is refused below is refused for its fault."""
    answer = endpoint.nothing()
    if answer.error is None:
        raise Unmet(("JR-ERR-010", "JR-RESP-001"), f"a method that is not there was answered with {answer.summary()}")
    return answer


def invalid(answer: Answer, what: str) -> None:
    """Asserts that a message was refused as no valid request."""
    assert answer.code == INVALID_REQUEST, f"{what}: expected -32600, got {answer.summary()}"


def request(**members: Json) -> Json:
    """A good request with members replaced; those of MISSING are left out."""
    whole = {"jsonrpc": "2.0", "id": 1, "method": NO_SUCH_METHOD, **members}
    return {name: value for name, value in whole.items() if value is not MISSING}


@clause("JR-CONV-002")
@needs("JR-ERR-010", "JR-REQ-002", "JR-REQ-004")
def test_member_names_have_a_case(endpoint: Endpoint) -> None:
    control(endpoint)
    for small in ("method", "jsonrpc"):
        whole = request(**{small: MISSING, small.upper(): request()[small]})
        invalid(endpoint.send(whole), f"{small.upper()} in place of {small}")
    answer = endpoint.send(request(METHOD="kit.other"))
    assert answer.code == METHOD_NOT_FOUND, f"METHOD beside method: expected -32601, got {answer.summary()}"


@clause("JR-COMPAT-002")
def test_version_1_0(endpoint: Endpoint, record: Record) -> None:
    answer = endpoint.send(request(jsonrpc=MISSING, params=[]))
    record.note(f"a request without jsonrpc: {answer.summary()[:100]}")


@clause("JR-REQ-002")
@pytest.mark.parametrize("version", [MISSING, 2.0, "2", "1.0", " 2.0", None], ids=repr)
def test_version_is_2_0(endpoint: Endpoint, version: Json) -> None:
    control(endpoint)
    invalid(endpoint.send(request(jsonrpc=version)), f"jsonrpc {version!r}")


@clause("JR-REQ-004")
@pytest.mark.parametrize("method", [MISSING, 1, None, [], {}], ids=repr)
def test_method_is_a_string(endpoint: Endpoint, method: Json) -> None:
    control(endpoint)
    invalid(endpoint.send(request(method=method)), f"method {method!r}")


@clause("JR-REQ-005")
@needs("JR-ERR-010")
def test_names_of_extensions(endpoint: Endpoint) -> None:
    answer = endpoint.call("rpc.nope")
    assert answer.code == METHOD_NOT_FOUND, f"rpc.nope: expected -32601, got {answer.summary()}"


@clause("JR-EXT-002")
def test_own_methods_have_other_names(endpoint: Endpoint) -> None:
    found = endpoint.call("rpc.discover", {}).result
    listed = found.get("methods") if isinstance(found, dict) else None
    own = [it.get("name") for it in listed if isinstance(it, dict)] if isinstance(listed, list) else []
    odd = [name for name in own if str(name).startswith("rpc.") and name != "rpc.discover"]
    assert not odd, f"the endpoint describes methods of its own as {odd}"


@clause("JR-REQ-008")
@pytest.mark.parametrize("number", [True, [], {}], ids=repr)
def test_id_of_another_type(endpoint: Endpoint, number: Json) -> None:
    control(endpoint)
    answer = endpoint.send(request(id=number))
    invalid(answer, f"id {number!r}")
    assert answer.member("id") is None, f"id {number!r}: the error has the id {answer.member('id')!r}; expected null"


@METHODS
@clause("JR-REQ-011")
def test_id_null_is_a_request(endpoint: Endpoint, known: Known) -> None:
    answer = endpoint.call(known.method, known.params, id=None)
    assert answer.value is not MISSING, f"a request with id null was not answered: {answer.summary()}"
    assert answer.member("id") is None, f"it was answered with the id {answer.member('id')!r}; expected null"


@clause("JR-REQ-012")
@pytest.mark.parametrize("number", [0, -1, 1, 2**53, "1", "", "é", "x" * 1000], ids=lambda it: repr(it)[:20])
def test_id_comes_back(endpoint: Endpoint, number: Json) -> None:
    answer = endpoint.nothing(id=number)
    found = answer.member("id")
    assert (found, type(found)) == (number, type(number)), (
        f"the id {str(number)[:40]!r} came back as {str(found)[:40]!r} in {answer.summary()}"
    )


# --- notifications --------------------------------------------------------------------------------


def silent(answer: Answer, what: str) -> None:
    """Asserts that nothing was answered."""
    assert answer.value is MISSING, f"{what} was answered with {answer.summary()}"


@clause("JR-NOTIF-003")
def test_errors_of_notifications_are_not_told(endpoint: Endpoint) -> None:
    control(endpoint)
    silent(endpoint.notify(NO_SUCH_METHOD), "a notification of an unknown method")
    silent(endpoint.notify(NO_SUCH_METHOD, {"a": 1}), "a notification of an unknown method with params")


@clause("JR-NOTIF-001")
def test_notification_is_not_answered(endpoint: Endpoint, known_or_none: Known | None) -> None:
    control(endpoint)
    if known_or_none is None:
        silent(endpoint.notify("rpc.discover", {}), "a notification")
        return
    silent(endpoint.notify(known_or_none.method, known_or_none.params), f"a notification of {known_or_none.method}")


# --- params ---------------------------------------------------------------------------------------


@clause("JR-PARAM-002")
@pytest.mark.parametrize("params", ["bar", 1, True], ids=repr)
def test_params_are_no_primitive(endpoint: Endpoint, params: Json) -> None:
    control(endpoint)
    answer = endpoint.send(request(params=params))
    good = (INVALID_REQUEST, INVALID_PARAMS)
    assert answer.code in good, f"params {params!r}: expected -32600, got {answer.summary()}"


@METHODS
@clause("JR-PARAM-005")
def test_names_of_params_have_a_case(endpoint: Endpoint, known: Known) -> None:
    if not isinstance(known.params, dict) or not known.params:
        pytest.skip(f"{known.method} has no params by name")
    required = known.required or tuple(known.params)
    turned = {(name.upper() if name in required else name): value for name, value in known.params.items()}
    without = {name: value for name, value in known.params.items() if name not in required}
    if turned == known.params:
        pytest.skip(f"the params of {known.method} have no small letters")
    missing = endpoint.call(known.method, without)
    if missing.result is not MISSING:
        pytest.skip(f"{known.method} needs none of its params")
    answer = endpoint.call(known.method, turned)
    assert answer.error is not None, f"{sorted(turned)} in place of {sorted(known.params)} gave {answer.summary()}"


@METHODS
@clause("JR-PARAM-006")
def test_missing_params(endpoint: Endpoint, known: Known, record: Record) -> None:
    answer = endpoint.call(known.method, {})
    record.note(f"{known.method} without params: {answer.summary()[:100]}")


@METHODS
@clause("JR-PARAM-007")
def test_both_forms_mean_the_same(endpoint: Endpoint, known: Known) -> None:
    if not isinstance(known.params, dict) or not known.params:
        pytest.skip(f"{known.method} has no params by name")
    by_position = endpoint.call(known.method, list(known.params.values()))
    if by_position.result is MISSING:
        pytest.skip(f"{known.method} takes no params by position")
    by_name = endpoint.call(known.method, known.params)
    assert by_name.result == by_position.result, (
        f"by name {known.method} gave {by_name.summary()} and by position {by_position.summary()}"
    )


@METHODS
@clause("JR-RESP-014")
@needs("JR-RESP-004")
def test_unknown_members_are_taken(endpoint: Endpoint, known: Known) -> None:
    answer = endpoint.send({**endpoint.message(known.method, known.params), "unknown": {"a": [1]}})
    assert answer.result is not MISSING, f"a request with an unknown member gave {answer.summary()}"


# --- results --------------------------------------------------------------------------------------


@METHODS
@clause("JR-RESP-004")
def test_success_has_a_result(endpoint: Endpoint, known: Known) -> None:
    answer = endpoint.call(known.method, known.params)
    assert answer.result is not MISSING, f"{known.method} gave {answer.summary()}; expected a result"


@METHODS
@clause("JR-RESP-007")
@needs("JR-RESP-004")
def test_success_has_no_error(endpoint: Endpoint, known: Known) -> None:
    answer = endpoint.call(known.method, known.params)
    assert isinstance(answer.value, dict), f"{known.method} gave {answer.summary()}"
    assert "error" not in answer.value, f"{known.method} gave a result with error {answer.value['error']!r}"


# --- errors ---------------------------------------------------------------------------------------

NO_JSON = [b"{", b'{"jsonrpc": "2.0", "method": "a', b'{"a":1,}', b"nul", b'{"jsonrpc":"2.0","id":NaN,"method":"a"}']
NO_REQUEST = ["1", '"x"', "null", "{}", '{"foo":1}']


@clause("JR-ERR-008")
@pytest.mark.parametrize("text", NO_JSON, ids=repr)
def test_text_that_is_no_json(endpoint: Endpoint, text: bytes) -> None:
    control(endpoint)
    answer = endpoint.send(text)
    assert answer.code == PARSE_ERROR, f"{text!r}: expected -32700, got {answer.summary()}"


@clause("JR-ERR-009")
@pytest.mark.parametrize("text", NO_REQUEST)
def test_json_that_is_no_request(endpoint: Endpoint, text: str) -> None:
    control(endpoint)
    invalid(endpoint.send(text.encode()), text)


@clause("JR-ERR-010")
@pytest.mark.parametrize("name", [NO_SUCH_METHOD, ""])
def test_unknown_method(endpoint: Endpoint, name: str) -> None:
    answer = endpoint.call(name)
    assert answer.code == METHOD_NOT_FOUND, f"method {name!r}: expected -32601, got {answer.summary()}"


@clause("JR-ERR-010")
def test_names_of_methods_have_a_case(endpoint: Endpoint, known_or_none: Known | None) -> None:
    if known_or_none is None or known_or_none.method.upper() == known_or_none.method:
        pytest.skip("no method with small letters is known")
    answer = endpoint.call(known_or_none.method.upper(), known_or_none.params)
    assert answer.code == METHOD_NOT_FOUND, f"{known_or_none.method.upper()}: expected -32601, got {answer.summary()}"


@METHODS
@clause("JR-ERR-011")
def test_params_that_do_not_fit(endpoint: Endpoint, known: Known) -> None:
    bad: list[Json] = []
    if isinstance(known.params, dict):
        bad = [{}, {name: _unlike(value) for name, value in known.params.items()}]
    elif isinstance(known.params, list):
        bad = [[_unlike(value) for value in known.params]]
    answers = [endpoint.call(known.method, params) for params in bad]
    refused = [answer for answer in answers if answer.error is not None]
    if not refused:
        pytest.skip(f"no params are known that {known.method} refuses")
    for answer in refused:
        own = isinstance(answer.code, int) and not -32768 <= answer.code <= -32100
        assert answer.code == INVALID_PARAMS or own, f"expected -32602, got {answer.summary()}"


def _unlike(value: Json) -> Json:
    """A value of another JSON type."""
    return [] if isinstance(value, dict | str) else {"unlike": True}


@METHODS
@clause("JR-ERR-012")
def test_failure_inside(endpoint: Endpoint, known: Known, fails: str) -> None:
    name, _, params = fails.partition("=")
    answer = endpoint.call(name, json.loads(params) if params else MISSING)
    assert answer.error is not None, f"{name}, which was to fail, gave {answer.summary()}"
    assert answer.code not in (PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND), f"{name} gave {answer.summary()}"


@clause("JR-EXT-001")
@needs("JR-ERR-010")
def test_extensions_are_optional(endpoint: Endpoint, record: Record) -> None:
    answer = endpoint.call("rpc.discover", {})
    record.note(f"rpc.discover: {answer.summary()[:80]}")
    good = answer.result is not MISSING or answer.code == METHOD_NOT_FOUND
    assert good, f"rpc.discover: expected -32601 or a result, got {answer.summary()}"


# --- ids of errors --------------------------------------------------------------------------------


@clause("JR-RESP-009")
@pytest.mark.parametrize("text", ["{bad", "1", '{"jsonrpc":"2.0"}'])
def test_id_that_could_not_be_read(endpoint: Endpoint, text: str) -> None:
    answer = endpoint.send(text.encode())
    if answer.error is None:
        raise Unmet(("JR-ERR-008", "JR-ERR-009"), f"{text}: expected an error, got {answer.summary()}")
    assert answer.member("id") is None, f"{text}: the id is {answer.member('id')!r}; expected null"


@clause("JR-RESP-010")
@needs("JR-REQ-004")
def test_id_that_could_be_read(endpoint: Endpoint) -> None:
    answer = endpoint.send({"jsonrpc": "2.0", "id": 7, "method": 1})
    assert answer.member("id") in (7, None), f"the id is {answer.member('id')!r}; expected 7 or null"


@clause("JR-RESP-001")
def test_every_request_is_answered_once(endpoint: Endpoint) -> None:
    for number in range(10):
        answer = endpoint.nothing(id=f"once-{number}")
        assert isinstance(answer.value, dict), f"a request got {answer.summary()}; expected one response"
        assert answer.member("id") == f"once-{number}", f"request once-{number} got {answer.summary()}"
