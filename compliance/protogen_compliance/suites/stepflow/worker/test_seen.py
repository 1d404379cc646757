"""What holds of every message of the worker, judged last."""

from __future__ import annotations

import json

from protogen_compliance.peer.link import BYTE_ORDER_MARK, Seen
from protogen_compliance.peer.rpc import MISSING, parse_json
from protogen_compliance.registry import clause, last, needs

KNOWN_CODES = {-32700, *range(-32603, -32599), *range(-32012, -31999)}
CALLBACKS = ("blobs/put", "blobs/get", "runs/submit", "runs/get")
FOREIGN = ("cancel", "progress", "ping", "shutdown")


def shown(value: object, sent: bytes) -> str:
    """A message with what was sent before it, for a text."""
    return f"{json.dumps(value)[:160]} (after {sent[:120].decode('utf-8', 'replace')})"


@last
@clause("SF-MSG-001")
def test_messages_are_json_rpc(seen: Seen) -> None:
    for value, sent in seen.messages:
        if isinstance(value, list):
            continue  # a batch: SF-MSG-021 judges it
        assert isinstance(value, dict), f"a message is {shown(value, sent)}; expected an object"
        kinds = [name for name in ("method", "result", "error") if name in value]
        assert kinds, f"a message is neither request nor response: {shown(value, sent)}"


@last
@clause("SF-MSG-002")
@needs("SF-ERR-001")
def test_messages_have_a_version(seen: Seen) -> None:
    for value, sent in seen.messages:
        if isinstance(value, dict):
            assert value.get("jsonrpc") == "2.0", f"jsonrpc is {value.get('jsonrpc', MISSING)!r}: {shown(value, sent)}"


@last
@clause("SF-MSG-005")
def test_ids_of_requests(seen: Seen) -> None:
    for value, sent in seen.requests:
        number = value.get("id", "notification")
        whole = isinstance(number, int) and not isinstance(number, bool) and -(2**63) <= number < 2**63
        assert isinstance(number, str) or whole, f"the id of a request is {number!r}: {shown(value, sent)}"


@last
@clause("SF-MSG-010")
def test_requests_have_params(seen: Seen) -> None:
    for value, sent in seen.requests:
        assert isinstance(value.get("params"), dict), f"params are no object: {shown(value, sent)}"


@last
@clause("SF-MSG-013")
@needs("SF-MSG-001")
def test_result_or_error(seen: Seen) -> None:
    for value, sent in seen.responses:
        assert ("result" in value) != ("error" in value), f"not exactly one of both: {shown(value, sent)}"


@last
@clause("SF-MSG-015")
def test_shape_of_errors(seen: Seen) -> None:
    for value, sent in seen.responses:
        if "error" not in value or ("result" in value and value["error"] is None):
            continue
        error = value["error"]
        assert isinstance(error, dict), f"the error is {error!r}: {shown(value, sent)}"
        assert type(error.get("code")) is int, f"the code is {error.get('code')!r}: {shown(value, sent)}"
        assert isinstance(error.get("message"), str), f"the message is {error.get('message')!r}: {shown(value, sent)}"


@last
@clause("SF-MSG-021")
@needs("SF-MSG-022")
def test_no_batches(seen: Seen) -> None:
    for value, sent in seen.messages:
        assert not isinstance(value, list), f"a batch came: {shown(value, sent)}"


@last
@clause("SF-MSG-023")
def test_bodies_are_strict_json(seen: Seen) -> None:
    for body, sent in seen.bodies:
        text = body.decode("utf-8", "replace")
        if not text.lstrip().startswith(("{", "[")):
            continue
        try:
            value = parse_json(body.removeprefix(BYTE_ORDER_MARK))
        except (ValueError, RecursionError) as reason:
            raise AssertionError(f"a body is no JSON: {reason}; {text[:120]!r} after {sent[:80]!r}") from None
        assert "\\ud8" not in json.dumps(value) or _paired(json.dumps(value)), f"a lone surrogate came: {text[:120]!r}"


def _paired(text: str) -> bool:
    try:
        json.loads(text).__repr__().encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@last
@clause("SF-ERR-001")
@needs("SF-SSE-007")
def test_errors_have_version_and_id(seen: Seen) -> None:
    for value, sent in seen.responses:
        if "error" not in value:
            continue
        assert value.get("jsonrpc") == "2.0", f"an error has no jsonrpc: {shown(value, sent)}"
        assert "id" in value, f"an error has no id: {shown(value, sent)}"
        asked = _id_of(sent)
        if isinstance(asked, str) or (isinstance(asked, int) and not isinstance(asked, bool)):
            assert value["id"] == asked, (
                f"the id of an error is {value['id']!r}; expected {asked!r}: {shown(value, sent)}"
            )


def _id_of(sent: bytes) -> object:
    """The id of the request that was sent, MISSING where it is none or is not well-formed."""
    try:
        request = parse_json(sent)
    except (ValueError, RecursionError):
        return MISSING
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0" or not isinstance(request.get("params"), dict):
        return MISSING
    if b"\\ud800" in sent:
        return MISSING  # no JSON to a strict reader
    # A request whose id occurs twice has no one id.
    return request.get("id", MISSING) if sent.count(b'"id":') == 1 else MISSING


@last
@clause("SF-ERR-007")
def test_codes_are_of_the_table(seen: Seen) -> None:
    codes = {it["error"].get("code") for it, _ in seen.responses if isinstance(it.get("error"), dict)}
    unknown = sorted(
        code for code in codes if isinstance(code, int) and -32768 <= code <= -32000 and code not in KNOWN_CODES
    )
    assert not unknown, f"codes that the table does not have: {unknown}"


@last
@clause("SF-LIFE-001")
def test_nothing_but_the_protocol_is_sent(seen: Seen) -> None:
    foreign = [it.get("method") for it, _ in seen.requests if it.get("method") not in CALLBACKS]
    assert not foreign, f"the worker sent {foreign[0]!r}; expected one of {', '.join(CALLBACKS)}"
