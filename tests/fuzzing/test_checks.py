"""Checks: one answer, and exactly the faults that it has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protogen_compliance.fuzz import raw
from protogen_compliance.fuzz.checks import Away, Fault, found_leak, judge, same_id
from protogen_compliance.fuzz.description import Description, describe
from protogen_compliance.fuzz.endpoint import Answer, Sent
from protogen_compliance.peer.http import Exchange, Head
from protogen_compliance.peer.rpc import MISSING
from protogen_compliance.peer.wire import Garbled, PeerFault, TimedOut, Unreachable

NOTE = {"note_id": "00000001", "text": "t", "stars": 1}


@pytest.fixture(scope="module")
def description(notes: Any) -> Description:
    return describe("notes", notes)


def answer(
    value: Any,
    *,
    method: str = "note.get",
    params: Any = MISSING,
    number: Any = 1,
    status: int = 200,
    kind: str = "application/json",
    fault: PeerFault | None = None,
    sent: bytes = b"",
) -> Answer:
    body = b"" if value is MISSING else value if isinstance(value, bytes) else json.dumps(value).encode()
    head = None if fault is not None else Head("1.1", status, (("content-type", kind),))
    exchange = Exchange("http://h:1/", "POST", (), sent, head, body, ())
    shown = MISSING if isinstance(value, bytes) else value
    return Answer(Sent(method, params, number), exchange, fault, shown, (), status if head else 0)


def result(value: Any, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": value, **more}


def error(code: Any, message: Any = "m", **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, **more}}


FOUND = {"note_id": "00000001"}


@pytest.mark.parametrize(
    ("it", "found"),
    [
        (answer(result(NOTE), params=FOUND), []),
        (answer(error(-32001, data=FOUND)), []),
        (answer(error(-32602)), []),
        (answer({**result(NOTE), "id": "1"}), ["envelope"]),
        (answer({**result(NOTE), "id": None}), ["envelope"]),
        (answer({**result(NOTE), "id": True}), ["envelope"]),
        (answer({**result(NOTE), "jsonrpc": "1.0"}), ["envelope"]),
        (answer(result(NOTE, error=None)), ["envelope"]),
        (answer({"jsonrpc": "2.0", "id": 1}), ["envelope"]),
        (answer([result(NOTE)]), ["envelope"]),
        (answer(b"<html>"), ["envelope"]),
        (answer(MISSING), ["envelope"]),
        (answer(error("-32001")), ["envelope"]),
        (answer(error(True)), ["envelope"]),
        (answer(error(-32001, None)), ["envelope"]),
        (answer({"jsonrpc": "2.0", "id": 1, "error": "no"}), ["envelope"]),
        (answer(result(NOTE), kind="text/html"), ["content-type"]),
        (answer(result(7)), ["result"]),
        (answer(result(NOTE), params={"note_id": 7}), ["accepted"]),
        (answer(result(7), params={"note_id": 7}), ["accepted", "result"]),
        (answer(error(-32603)), ["internal"]),
        (answer(error(5)), ["catalogue"]),
        (answer(error(-32001, " ", data=FOUND)), ["message"]),
        (answer(error(-32001)), ["error-data"]),
        (answer(error(-32001, data={"note_id": 7})), ["error-data"]),
        (answer(error(-32001, data=FOUND), status=503), ["http-status"]),
        (answer(error(-32001, 'File "a.py", line 3', data=FOUND)), ["leak"]),
        (answer(MISSING, fault=TimedOut("late")), ["time"]),
        (answer(MISSING, fault=Garbled("odd")), ["transport"]),
        (answer(MISSING, method="note.seen", number=MISSING, status=202), []),
        (answer(result(1), method="note.seen", number=MISSING), ["notification"]),
        (answer({**error(-32600), "id": None}, method="note.seen", number=MISSING, params=0), []),
        (answer({**error(-32600), "id": None}, params=0), []),
        (answer({**error(-32602), "id": None}, params=0), ["envelope"]),
    ],
)
def test_answer_has_these_faults(description: Description, it: Answer, found: list[str]) -> None:
    assert [fault.check for fault in judge(it, description)] == found


def test_fault_names_method_and_code(description: Description) -> None:
    it = answer(error(-32603, "it broke"))
    assert list(judge(it, description)) == [
        Fault(
            check="internal",
            method="note.get",
            code=-32603,
            text="the server failed: error -32603 'it broke'",
            level="must",
        )
    ]


def test_what_is_graded_should_is_a_warning(description: Description) -> None:
    assert [fault.level for fault in judge(answer(error(-32001)), description)] == ["should"]


def test_target_that_is_gone_ends_the_run(description: Description) -> None:
    with pytest.raises(Away, match="refused"):
        list(judge(answer(MISSING, fault=Unreachable("refused")), description))


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):",
        'File "/srv/x.py", line 12, in f',
        "at Object.<anonymous> (/srv/app/index.js:10:5)",
        "goroutine 1 [running]:",
        "main.go:42",
        "at com.acme.Main.run(Main.java:3)",
        "thread 'main' panicked at src/main.rs:4",
        "cannot open /home/me/notes/store.db",
        "C:\\Users\\me\\notes.db",
    ],
)
def test_inside_of_a_program_is_found_in_errors(text: str) -> None:
    assert found_leak(answer(error(-32001, f"it broke: {text}"))) is not None
    assert found_leak(answer(error(-32001, data={"deep": [text]}))) is not None
    assert found_leak(answer(text.encode(), status=500)) is not None


@pytest.mark.parametrize("text", ["no such task", "expected /tasks/0/id", "see https://example.org/home/", "at 10:30"])
def test_plain_errors_show_no_inside(text: str) -> None:
    assert found_leak(answer(error(-32001, text))) is None


def test_what_the_request_said_itself_is_no_leak() -> None:
    text = "/home/me/notes/store.db"
    assert found_leak(answer(error(-32001, f"no note {text}"), sent=text.encode())) is None


def test_results_may_hold_anything() -> None:
    assert found_leak(answer(result({"text": 'File "a.py", line 3'}))) is None


@pytest.mark.parametrize(
    ("got", "asked", "same"),
    [
        (1, 1, True),
        (1.0, 1, True),
        ("1", 1, False),
        (True, 1, False),
        (None, None, True),
        (None, 1, False),
        ("", "", True),
    ],
)
def test_ids_are_compared_by_value_and_type(got: Any, asked: Any, same: bool) -> None:
    assert same_id(got, asked) is same


def nameless(code: int) -> dict[str, Any]:
    return {**error(code), "id": None}


BATCH = b'[{"jsonrpc": "2.0", "id": 1, "method": "note.count"}, {"jsonrpc": "2.0", "method": "note.count"}]'
ECHO = b'{"jsonrpc": "2.0", "id": "x", "method": "note.count"}'


@pytest.mark.parametrize(
    ("expect", "sent", "it", "found"),
    [
        ("parse", b"{", answer(nameless(-32700)), []),
        ("parse", b"{", answer(nameless(-32600)), ["raw-parse"]),
        ("parse", b"{", answer(nameless(-32600), status=400), []),
        ("parse", b"{", answer(error(-32700)), ["raw-parse-id"]),
        ("parse", b"{", answer(b"Bad Request", status=400), []),
        ("parse", b"{", answer(b"Oops", status=500), ["http-status"]),
        ("parse", b"{", answer(b"Oops"), ["envelope"]),
        ("invalid", b"1", answer(nameless(-32600)), []),
        ("invalid", b"1", answer(result(1)), ["raw-invalid"]),
        ("method", b"{}", answer(error(-32601)), []),
        ("method", b"{}", answer(error(-32602)), ["raw-method"]),
        ("refused", b"{}", answer(error(-32602)), []),
        ("refused", b"{}", answer(result(1)), ["raw-params"]),
        ("no-id", b"{}", answer(nameless(-32600)), []),
        ("no-id", b"{}", answer({**result(1), "id": True}), ["raw-id"]),
        ("echo", ECHO, answer({**result(1), "id": "x"}), []),
        ("echo", ECHO, answer(result(1)), ["envelope"]),
        ("silent", b"{}", answer(MISSING, status=202), []),
        ("silent", b"{}", answer(nameless(-32600)), []),
        ("silent", b"{}", answer(result(1)), ["notification"]),
        ("silent", b"{}", answer(error(-32601)), ["notification"]),
        ("batch", BATCH, answer([result(1)]), []),
        ("batch", BATCH, answer([result(1), result(1)]), ["raw-batch"]),
        ("batch", BATCH, answer(result(1)), ["raw-batch"]),
        ("batch", BATCH, answer(nameless(-32600)), ["raw-batch"]),
        ("stranger", b"{}", answer(MISSING, status=401), []),
        ("stranger", b"{}", answer(error(-32004), status=401), ["catalogue"]),
        ("stranger", b"{}", answer(result(1)), ["stranger"]),
        ("any", b"{}", answer(result(1)), []),
        ("any", b"{", answer(result(1)), ["raw-lenient"]),
        ("any", b"{}", answer(error(-32603)), ["internal"]),
        ("any", b"{}", answer(error(12)), ["catalogue"]),
        ("any", b"{}", answer({**result(1), "id": [1]}), ["raw-id"]),
    ],
)
def test_raw_request_gets_what_it_deserves(
    description: Description, expect: str, sent: bytes, it: Answer, found: list[str]
) -> None:
    assert [fault.check for fault in raw.judge(it, sent, expect, description)] == found
