"""What holds of every response of the endpoint, judged last."""

from __future__ import annotations

import json
from collections.abc import Iterator

from protogen_compliance.peer.link import Seen
from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, last, needs

STANDARD = (-32700, -32600, -32601, -32602, -32603)
LONGEST = 200


def responses(seen: Seen) -> Iterator[tuple[dict[str, Json], str]]:
    """Every response object, those within batches included, with what was sent before it."""
    for value, sent in seen.messages:
        for it in value if isinstance(value, list) else [value]:
            if isinstance(it, dict) and "method" not in it:
                yield it, f"{json.dumps(it)[:160]} (after {sent[:120].decode('utf-8', 'replace')})"


def errors(seen: Seen) -> Iterator[tuple[dict[str, Json], dict[str, Json], str]]:
    """Every error response with its error object."""
    for it, shown in responses(seen):
        if isinstance(it.get("error"), dict):
            yield it, it["error"], shown


def not_json(body: bytes) -> str:
    """Why a body is no JSON, and how it begins; empty where it is."""
    try:
        parse_json(body)
    except (ValueError, RecursionError) as reason:
        return f"{reason}; {body[:120]!r}"
    return ""


@last
@clause("JR-CONV-001")
def test_bodies_are_json(seen: Seen) -> None:
    assert seen.bodies, "the endpoint sent no body at all"
    found = {why: sent for body, sent in seen.bodies if (why := not_json(body))}
    for why, sent in found.items():
        assert not_json(sent), f"a body is no JSON: {why} after {sent[:100]!r}"
    if found:
        # How what is not JSON is answered has a clause of its own.
        why, sent = next(iter(found.items()))
        raise Unmet(("JR-ERR-008",), f"a body is no JSON: {why} after {sent[:100]!r}, which is none either")


@last
@clause("JR-RESP-002")
def test_response_is_one_object(seen: Seen) -> None:
    for value, sent in seen.messages:
        batch = sent.lstrip().startswith(b"[") or not sent
        one = isinstance(value, dict) or (batch and isinstance(value, list))
        assert one, f"a response is {json.dumps(value)[:120]} (after {sent[:120]!r}); expected an object"


@last
@clause("JR-RESP-003", "JR-COMPAT-001")
def test_responses_have_the_version(seen: Seen) -> None:
    for it, shown in responses(seen):
        assert it.get("jsonrpc") == "2.0", f"jsonrpc is {it.get('jsonrpc', MISSING)!r}: {shown}"


@last
@clause("JR-RESP-005")
def test_failure_has_no_result(seen: Seen) -> None:
    for it, _, shown in errors(seen):
        assert "result" not in it, f"an error response has a result: {shown}"


@last
@clause("JR-RESP-006")
@needs("JR-RESP-004")
def test_failure_has_an_error(seen: Seen) -> None:
    for it, shown in responses(seen):
        if "result" not in it:
            assert isinstance(it.get("error"), dict), f"neither a result nor an error object: {shown}"


@last
@clause("JR-RESP-008")
def test_responses_have_an_id(seen: Seen) -> None:
    for it, shown in responses(seen):
        assert "id" in it, f"a response has no id: {shown}"


@last
@clause("JR-ERR-001")
@needs("JR-RESP-006")
def test_code_is_an_integer(seen: Seen) -> None:
    for _, error, shown in errors(seen):
        assert type(error.get("code")) is int, f"the code is {error.get('code', MISSING)!r}: {shown}"


@last
@clause("JR-ERR-002")
@needs("JR-RESP-006")
def test_message_is_a_string(seen: Seen) -> None:
    for _, error, shown in errors(seen):
        assert isinstance(error.get("message"), str), f"the message is {error.get('message', MISSING)!r}: {shown}"


@last
@clause("JR-ERR-003")
@needs("JR-ERR-002")
def test_message_is_one_sentence(seen: Seen) -> None:
    for _, error, shown in errors(seen):
        message = str(error.get("message"))
        assert message.strip(), f"the message is empty: {shown}"
        assert "\n" not in message, f"the message has several lines: {shown}"
        assert len(message) <= LONGEST, f"the message has {len(message)} characters: {shown}"


@last
@clause("JR-ERR-004")
def test_data_may_be_left_out(seen: Seen, record: Record) -> None:
    found = [error for _, error, _ in errors(seen)]
    record.note(f"{sum('data' in it for it in found)} of {len(found)} errors have data")


@last
@clause("JR-ERR-005")
def test_data_may_be_anything(seen: Seen, record: Record) -> None:
    kinds = sorted({type(error["data"]).__name__ for _, error, _ in errors(seen) if "data" in error})
    record.note(f"data is {', '.join(kinds) or 'never there'}")


@last
@clause("JR-ERR-007")
@needs("JR-ERR-001")
def test_reserved_codes_are_not_used(seen: Seen) -> None:
    for _, error, shown in errors(seen):
        code = error.get("code")
        free = not isinstance(code, int) or code in STANDARD or not -32768 <= code < -32099
        assert free, f"the code {code} is reserved and not assigned: {shown}"


@last
@clause("JR-ERR-013")
def test_codes_of_servers(seen: Seen, record: Record) -> None:
    codes = {error.get("code") for _, error, _ in errors(seen)}
    record.note(
        f"codes of the server's own: {sorted(it for it in codes if type(it) is int and -32099 <= it <= -32000)}"
    )


@last
@clause("JR-ERR-014")
def test_codes_of_applications(seen: Seen, record: Record) -> None:
    codes = {error.get("code") for _, error, _ in errors(seen)}
    own = sorted(it for it in codes if type(it) is int and not -32768 <= it <= -32000)
    record.note(f"codes of the application: {own}")
