"""What each kind of text is, and what goes out for each message. The clause numbers are those of JSON-RPC 2.0."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from protogen_runtime.jsonrpc import (
    ABSENT,
    INVALID_REQUEST,
    PARSE_ERROR,
    BadAnswer,
    BadRequest,
    Call,
    ErrorObject,
    Failure,
    Message,
    Notification,
    Success,
    decode,
    encode,
)


def plain(message: Message) -> object:
    """A message with its raw members as JSON values, so that whole messages compare."""
    value: dict[str, Any] = {"kind": type(message).__name__, **msgspec.structs.asdict(message)}
    for key in ("params", "result"):
        if key in value:
            value[key] = json.loads(bytes(value[key])) if value[key] else None
    if isinstance(message, Failure):
        error = message.error
        value["error"] = (error.code, error.message, json.loads(bytes(error.data)) if error.data else None)
    elif isinstance(message, BadRequest):
        value["error"] = message.error.code
    return value


def call(request_id: object, method: str = "m", params: object = None) -> object:
    return {"kind": "Call", "id": request_id, "method": method, "params": params}


def bad(code: int, request_id: object = None) -> object:
    return {"kind": "BadRequest", "id": request_id, "error": code}


THIRTY_DIGITS = 123456789012345678901234567890

CASES: list[tuple[str, bytes, object]] = [
    ("call", b'{"jsonrpc":"2.0","method":"m","id":1}', call(1)),
    ("params by position", b'{"jsonrpc":"2.0","method":"m","params":[1,2],"id":"x"}', call("x", params=[1, 2])),
    ("params by name", b'{"jsonrpc":"2.0","method":"m","params": {"a":1},"id":""}', call("", params={"a": 1})),
    ("id null is a call", b'{"jsonrpc":"2.0","method":"m","id":null}', call(None)),
    ("id of 30 digits", b'{"jsonrpc":"2.0","method":"m","id":%d}' % THIRTY_DIGITS, call(THIRTY_DIGITS)),
    ("negative id", b'{"jsonrpc":"2.0","method":"m","id":-7}', call(-7)),
    ("escapes are resolved", rb'{"jsonrpc":"2\u002e0","m\u0065thod":"m","id":1}', call(1)),
    ("unknown members are ignored", b'{"jsonrpc":"2.0","method":"m","id":1,"x":[{}]}', call(1)),
    ("white space around", b' \r\n\t{"jsonrpc":"2.0","method":"m","id":1} \n', call(1)),
    ("last of duplicate ids counts", b'{"jsonrpc":"2.0","id":1,"method":"m","id":2}', call(2)),
    ("last counts though the first is bad", b'{"jsonrpc":"2.0","id":true,"method":"m","id":2}', call(2)),
    ("last version counts", b'{"jsonrpc":"1.0","id":1,"method":"m","jsonrpc":"2.0"}', call(1)),
    ("last method counts", b'{"jsonrpc":"2.0","id":1,"method":7,"method":"m"}', call(1)),
    ("last bad version counts", b'{"jsonrpc":"2.0","id":1,"method":"m","jsonrpc":"1.0"}', bad(-32600, 1)),
    (
        "notification",
        b'{"jsonrpc":"2.0","method":"m","params":[]}',
        {"kind": "Notification", "method": "m", "params": []},
    ),
    ("success", b'{"jsonrpc":"2.0","result":null,"id":3}', {"kind": "Success", "id": 3, "result": None}),
    ("success 0", b'{"jsonrpc":"2.0","result":0,"id":"a"}', {"kind": "Success", "id": "a", "result": 0}),
    (
        "failure",
        b'{"jsonrpc":"2.0","error":{"code":-1,"message":"no","data":null},"id":null}',
        {"kind": "Failure", "id": None, "error": (-1, "no", None)},
    ),
    (
        "both result and error",
        b'{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":"x"},"id":4}',
        {"kind": "BadAnswer", "id": 4, "reason": "it has both a result and an error"},
    ),
    (
        "error is no object",
        b'{"jsonrpc":"2.0","error":"no","id":4}',
        {"kind": "BadAnswer", "id": 4, "reason": "its error member is not an error object"},
    ),
    (
        "error without message",
        b'{"jsonrpc":"2.0","error":{"code":1},"id":4}',
        {"kind": "BadAnswer", "id": 4, "reason": "its error member is not an error object"},
    ),
    (
        "answer of version 1",
        b'{"result":1,"error":null,"id":4}',
        {"kind": "BadAnswer", "id": 4, "reason": 'its jsonrpc member is not "2.0"'},
    ),
    (
        "answer without id",
        b'{"jsonrpc":"2.0","result":1}',
        {"kind": "BadAnswer", "id": None, "reason": "it has no id"},
    ),
    (
        "answer with a fraction as id",
        b'{"jsonrpc":"2.0","result":1,"id":1.5}',
        {"kind": "BadAnswer", "id": None, "reason": "its id is not a string, an integer or null"},
    ),
    ("id true", b'{"jsonrpc":"2.0","method":"m","id":true}', bad(-32600)),
    ("id 1.50", b'{"jsonrpc":"2.0","method":"m","id":1.50}', call(1.5)),
    ("id 1.0", b'{"jsonrpc":"2.0","method":"m","id":1.0}', call(1.0)),
    ("id 0.1", b'{"jsonrpc":"2.0","method":"m","id":0.1}', call(0.1)),
    ("id -2.5E+300", b'{"jsonrpc":"2.0","method":"m","id":-2.5E+300}', call(-2.5e300)),
    ("bad call with a fraction as id", b'{"jsonrpc":"2.0","method":1,"id":1.5}', bad(-32600, 1.5)),
    ("id that no double holds", b'{"jsonrpc":"2.0","method":"m","id":0.12345678901234567890}', bad(-32600)),
    ("id too small for a double", b'{"jsonrpc":"2.0","method":"m","id":1e-400}', bad(-32600)),
    ("id too large for a double", b'{"jsonrpc":"2.0","method":"m","id":1e400}', bad(-32600)),
    ("id array", b'{"jsonrpc":"2.0","method":"m","id":[]}', bad(-32600)),
    ("id object", b'{"jsonrpc":"2.0","method":"m","id":{}}', bad(-32600)),
    ("method is a number", b'{"jsonrpc":"2.0","method":1,"params":"bar","id":5}', bad(-32600, 5)),
    ("method is null", b'{"jsonrpc":"2.0","method":null,"id":5}', bad(-32600, 5)),
    ("no version", b'{"method":"m","id":"q"}', bad(-32600, "q")),
    ("version 1.0", b'{"jsonrpc":"1.0","method":"m","id":6}', bad(-32600, 6)),
    ("version is a number", b'{"jsonrpc":2.0,"method":"m","id":6}', bad(-32600, 6)),
    ("version in capitals", b'{"JSONRPC":"2.0","method":"m","id":6}', bad(-32600, 6)),
    ("params a string", b'{"jsonrpc":"2.0","method":"m","params":"bar","id":7}', bad(-32600, 7)),
    ("params a number", b'{"jsonrpc":"2.0","method":"m","params":0}', bad(-32600)),
    ("params null", b'{"jsonrpc":"2.0","method":"m","params":null,"id":7}', bad(-32600, 7)),
    ("no method", b'{"jsonrpc":"2.0","id":8}', bad(-32600, 8)),
    ("method and result", b'{"jsonrpc":"2.0","method":"m","result":1,"id":9}', bad(-32600, 9)),
    ("empty object", b"{}", bad(-32600)),
    ("number", b"1", bad(-32600)),
    ("string", b'"x"', bad(-32600)),
    ("null", b"null", bad(-32600)),
    ("number beyond every double", b"1e400", bad(-32600)),
    ("nothing", b"", bad(-32700)),
    ("blank", b" \n", bad(-32700)),
    ("cut off", b'{"jsonrpc":"2.0","method":"m"', bad(-32700)),
    ("two texts", b"{} {}", bad(-32700)),
    ("trailing comma", b'{"jsonrpc":"2.0","method":"m","id":1,}', bad(-32700)),
    ("single quotes", b"{'jsonrpc':'2.0'}", bad(-32700)),
    ("NaN", b'{"jsonrpc":"2.0","method":"m","params":[NaN],"id":1}', bad(-32700)),
    ("Infinity", b'{"jsonrpc":"2.0","method":"m","params":[-Infinity],"id":1}', bad(-32700)),
    ("leading zero", b'{"jsonrpc":"2.0","method":"m","params":[01],"id":1}', bad(-32700)),
    ("raw control character", b'{"jsonrpc":"2.0","method":"m","params":["\n"],"id":1}', bad(-32700)),
    ("byte order mark", b'\xef\xbb\xbf{"jsonrpc":"2.0","method":"m","id":1}', bad(-32700)),
    ("UTF-16", '{"jsonrpc":"2.0","method":"m","id":1}'.encode("utf-16"), bad(-32700)),
    ("UTF-16 without mark", '{"jsonrpc":"2.0"}'.encode("utf-16-le"), bad(-32700)),
    ("invalid UTF-8 in params", b'{"jsonrpc":"2.0","method":"m","params":["\xff"],"id":1}', bad(-32700)),
    ("invalid UTF-8 in an unread member", b'{"jsonrpc":"2.0","method":"m","x":"\xc0\x80","id":1}', bad(-32700)),
    ("surrogate as UTF-8", b'{"jsonrpc":"2.0","method":"m","params":["\xed\xa0\x80"],"id":1}', bad(-32700)),
    ("lone surrogate", rb'{"jsonrpc":"2.0","method":"m","params":["\ud800"],"id":1}', bad(-32700)),
    ("lone surrogate in a key", rb'{"jsonrpc":"2.0","method":"m","params":{"\udc00":1},"id":1}', bad(-32700)),
    ("lone surrogate in the method", rb'{"jsonrpc":"2.0","method":"\ud800x","id":1}', bad(-32700)),
    ("arrays nested 100,000 deep", b"[" * 100_000, bad(-32700)),
    ("objects nested 100,000 deep", b'{"a":' * 100_000, bad(-32700)),
    ("params nested 100,000 deep", b'{"jsonrpc":"2.0","method":"m","id":1,"params":' + b"[" * 100_000, bad(-32700)),
]


@pytest.mark.parametrize(("text", "want"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_classifies(text: bytes, want: object) -> None:
    assert plain(decode(text)) == want


@pytest.mark.parametrize(
    ("message", "want"),
    [
        (Call(id=1, method="m"), b'{"id":1,"method":"m","jsonrpc":"2.0"}'),
        (
            Call(id="é", method="m/n", params=Raw(b"[1]")),
            '{"id":"é","method":"m/n","params":[1],"jsonrpc":"2.0"}'.encode(),
        ),
        (Notification(method="m", params=Raw(b"{}")), b'{"method":"m","params":{},"jsonrpc":"2.0"}'),
        (Success(id=THIRTY_DIGITS, result=Raw(b"null")), b'{"id":%d,"result":null,"jsonrpc":"2.0"}' % THIRTY_DIGITS),
        (
            Failure(id=None, error=PARSE_ERROR),
            b'{"id":null,"error":{"code":-32700,"message":"Parse error"},"jsonrpc":"2.0"}',
        ),
        (
            Failure(id=2, error=ErrorObject(code=5, message='"', data=Raw(b"null"))),
            rb'{"id":2,"error":{"code":5,"message":"\"","data":null},"jsonrpc":"2.0"}',
        ),
    ],
)
def test_encodes(message: Call | Notification | Success | Failure, want: bytes) -> None:
    assert encode(message) == want


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ids = st.none() | st.integers(-(10**40), 10**40) | st.text()
structured = json_values.filter(lambda value: isinstance(value, list | dict)).map(lambda value: Raw(_json(value)))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@given(ids, st.text(), structured | st.just(ABSENT))
def test_calls_survive_the_wire(request_id: str | int | None, method: str, params: Raw) -> None:
    sent = Call(id=request_id, method=method, params=params)
    assert plain(decode(encode(sent))) == plain(sent)


@given(ids, json_values, st.integers(-(10**20), 10**20), st.text())
def test_answers_survive_the_wire(request_id: str | int | None, value: object, code: int, text: str) -> None:
    for sent in (
        Success(id=request_id, result=Raw(_json(value))),
        Failure(id=request_id, error=ErrorObject(code=code, message=text, data=Raw(_json(value)))),
    ):
        assert plain(decode(encode(sent))) == plain(sent)


@given(st.binary(max_size=60) | json_values.map(_json))
def test_any_bytes_are_some_message(text: bytes) -> None:
    message = decode(text)
    assert isinstance(message, Call | Notification | Success | Failure | BadAnswer | BadRequest)
    if isinstance(message, BadRequest):
        try:
            json.loads(text.decode())
        except (ValueError, RecursionError):
            assert message.error in (PARSE_ERROR, INVALID_REQUEST)


@given(st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "x"]), json_values))
def test_any_object_is_read_by_the_same_rules_as_a_plain_reading(members: dict[str, object]) -> None:
    """A second, slow reading of the rules agrees on what each object is."""
    members.setdefault("jsonrpc", "2.0")
    message = decode(_json(members))
    request = "method" in members and not members.keys() & {"result", "error"}
    answer = "method" not in members and bool(members.keys() & {"result", "error"})
    request_id = members.get("id")
    id_valid = request_id is None or (isinstance(request_id, int | str) and not isinstance(request_id, bool))
    if request:
        valid = (
            members["jsonrpc"] == "2.0"
            and isinstance(members["method"], str)
            and id_valid
            and isinstance(members.get("params", []), list | dict)
        )
        want: type = (Call if "id" in members else Notification) if valid else BadRequest
        assert type(message) is want
    elif answer:
        assert isinstance(message, Success | Failure | BadAnswer)
        assert isinstance(message, Success) == (
            "result" in members
            and "error" not in members
            and "id" in members
            and id_valid
            and members["jsonrpc"] == "2.0"
        )
    else:
        assert isinstance(message, BadRequest)
    if not isinstance(message, Notification):
        assert message.id == (request_id if id_valid else None)
