"""What any endpoint has to keep of the document that describes it."""

from __future__ import annotations

import json

import pytest

from protogen import ir
from protogen_compliance.peer.link import Seen
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.wire import TimedOut
from protogen_compliance.plugin import Record
from protogen_compliance.registry import clause, last, needs
from protogen_compliance.suites.document.conftest import Call, Judged
from protogen_compliance.suites.document.described import STANDARD, Described
from protogen_compliance.suites.document.preflight import NO_SUCH_METHOD

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603


def shown(value: Json) -> str:
    """A value for a text."""
    return json.dumps(value, ensure_ascii=False)[:160]


@clause("PD-ENV-002")
@pytest.mark.parametrize(("text", "code"), [("{bad", PARSE_ERROR), ('{"foo":1}', INVALID_REQUEST)])
def test_what_is_no_request(endpoint: Judged, text: str, code: int) -> None:
    answer = endpoint.send(text.encode())
    assert answer.code == code, f"{text}: expected {code}, got {answer.summary()}"


@clause("PD-ENV-003")
def test_notifications_are_not_answered(endpoint: Judged, described: Described) -> None:
    sent = [(it.name, described.minimal(it.params)) for it in described.notifications]
    for name, params in [*sent, (NO_SUCH_METHOD, {})]:
        answer = endpoint.send({"jsonrpc": "2.0", "method": name, "params": params}, patience=2.0)
        assert answer.value is MISSING, f"a notification of {name} was answered with {answer.summary()}"


@clause("PD-METH-001")
def test_method_is_served(endpoint: Judged, described: Described, method: ir.Method) -> None:
    answer = endpoint.call(method.name, described.minimal(method.params))
    assert answer.code != METHOD_NOT_FOUND, f"{method.name} is not served: {answer.summary()}"


@clause("PD-METH-002")
def test_unknown_method(endpoint: Judged) -> None:
    answer = endpoint.call(NO_SUCH_METHOD, {})
    assert answer.code == METHOD_NOT_FOUND, f"{NO_SUCH_METHOD}: expected -32601, got {answer.summary()}"


@clause("PD-PARAM-001")
@needs("PD-METH-001")
def test_broken_params_are_refused(endpoint: Judged, described: Described, method: ir.Method) -> None:
    for params, what in described.samples(method.params, valid=False):
        answer = endpoint.call(method.name, params)
        assert answer.code in (INVALID_PARAMS, *_own(described, method)), (
            f"{method.name} with {shown(params)} ({what}): expected -32602, got {answer.summary()}"
        )


@clause("PD-PARAM-002")
@needs("PD-METH-001")
def test_valid_params_are_taken(endpoint: Judged, described: Described, method: ir.Method, record: Record) -> None:
    for params, what in described.samples(method.params, valid=True):
        answer = endpoint.call(method.name, params)
        if isinstance(answer.fault, TimedOut):
            record.note(f"{method.name} with {shown(params)} was not answered in time")
            break
        assert answer.value is not MISSING, f"{method.name} with {shown(params)} gave {answer.summary()}"
        assert answer.code != INVALID_PARAMS, f"{method.name} with {shown(params)} ({what}) gave {answer.summary()}"


@clause("PD-EX-001")
@needs("PD-METH-001")
def test_valid_example_is_taken(endpoint: Judged, described: Described, example: ir.Example) -> None:
    answer = endpoint.send(example.request)
    assert answer.value is not MISSING, f"the example {example.name!r} gave {answer.summary()}"
    method = described.method(example.request["method"]) if isinstance(example.request, dict) else None
    own = _own(described, method) if method is not None else set()
    # An answer with an error that the example does not show may be a matter of the endpoint's state.
    refused = answer.code in (INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL) and answer.code not in own
    assert not refused or answer.code == _shown_code(example), f"the example {example.name!r} gave {answer.summary()}"


@clause("PD-EX-003")
@needs("PD-EX-001")
def test_valid_example_is_answered_as_shown(endpoint: Judged, example: ir.Example) -> None:
    answer = endpoint.send(example.request)
    expected = _shown_code(example)
    if expected is not None:
        assert answer.code == expected, f"the example {example.name!r}: expected {expected}, got {answer.summary()}"
    else:
        assert answer.result is not MISSING, f"the example {example.name!r}: expected a result, got {answer.summary()}"


@clause("PD-EX-002")
@needs("PD-METH-001")
def test_invalid_example_is_refused(endpoint: Judged, example: ir.Example) -> None:
    answer = endpoint.send(example.request)
    assert answer.error is not None, f"the example {example.name!r} ({example.why}) gave {answer.summary()}"


def _shown_code(example: ir.Example) -> Json:
    """The code of the error that an example shows; None where it shows a result."""
    response = example.response
    if isinstance(response, dict) and isinstance(response.get("error"), dict):
        return response["error"].get("code")
    return example.error


# --- what holds of all ----------------------------------------------------------------------------


@last
@clause("PD-ENV-001")
def test_envelope_of_every_response(seen: Seen, calls: list[Call]) -> None:
    assert any(it.answer.value is not MISSING for it in calls), "not one call was answered"
    for value, sent in seen.messages:
        if isinstance(value, dict) and "method" in value:
            continue
        told = f"{shown(value)} (after {sent[:120].decode('utf-8', 'replace')})"
        assert isinstance(value, dict), f"a response is no object: {told}"
        assert value.get("jsonrpc") == "2.0", f"jsonrpc is {value.get('jsonrpc', MISSING)!r}: {told}"
        assert "id" in value, f"a response has no id: {told}"
        assert ("result" in value) != ("error" in value), f"not exactly one of result and error: {told}"
        if "error" in value:
            error = value["error"]
            good = isinstance(error, dict) and type(error.get("code")) is int and isinstance(error.get("message"), str)
            assert good, f"the error has no integer code and message: {told}"


@last
@clause("PD-PARAM-003")
def test_nothing_fails_inside(calls: list[Call], described: Described) -> None:
    for name, answer, _ in calls:
        method = described.method(name)
        if answer.code != INTERNAL or method is None or INTERNAL in _own(described, method):
            continue
        pytest.fail(f"{name} gave {answer.summary()}")


@last
@clause("PD-RESULT-001")
def test_results_fit_their_schema(calls: list[Call], described: Described) -> None:
    for name, answer, _ in calls:
        method = described.method(name)
        if method is None or answer.result is MISSING or method.event_framing == "results":
            continue
        assert described.fits(method.result, answer.result), (
            f"the result of {name} does not fit its schema: {shown(answer.result)}"
        )


@last
@clause("PD-ERR-001")
def test_codes_are_of_the_catalogue(calls: list[Call], described: Described) -> None:
    for name, answer, integers in calls:
        method = described.method(name)
        # A method may answer with the very error that it is asked for.
        if method is None or type(answer.code) is not int or answer.code in integers:
            continue
        known = {*STANDARD, *_own(described, method), *(it.code for it in described.protocol.errors)}
        assert answer.code in known, f"{name} gave {answer.summary()}; the document has no such code"


@last
@clause("PD-ERR-002")
def test_data_of_errors_fits(calls: list[Call], described: Described) -> None:
    for name, answer, _ in calls:
        if type(answer.code) is not int or not isinstance(answer.error, dict):
            continue
        types = [it.data for it in described.errors(answer.code)]
        data = answer.error.get("data", MISSING)
        if data is MISSING or not types or None in types:
            continue
        assert any(described.fits(type_, data) for type_ in types), (
            f"data of error {answer.code} of {name} does not fit its schema: {shown(data)}"
        )


def _own(described: Described, method: ir.Method) -> set[int]:
    """The codes of the errors that a method names."""
    return {it.code for it in described.protocol.errors if it.name in method.errors}
