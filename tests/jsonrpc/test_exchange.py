"""Every call gets exactly one reply, every notification none, whatever the frame holds."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from protogen_runtime.jsonrpc import INTERNAL_ERROR, MAX_BATCH, Call, Exchange, receive


def answer(frame: bytes, *, backwards: bool = False) -> object:
    """The reply to a frame whose every call gives its own method name, or None where nothing is owed."""
    exchange = receive(frame)
    out = exchange.reply()
    calls = [work for work in exchange.work if isinstance(work, Call)]
    for work in reversed(calls) if backwards else calls:
        assert out is None, "a reply came before all was known"
        out = exchange.settle(work, Raw(json.dumps(work.method).encode()))
    assert exchange.is_complete
    return None if out is None else json.loads(out)


def ok(request_id: object, result: object = "m") -> object:
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error(code: int, request_id: object = None) -> object:
    message = {-32700: "Parse error", -32600: "Invalid Request"}[code]
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


CALL = b'{"jsonrpc":"2.0","method":"m","id":%d}'
NOTE = b'{"jsonrpc":"2.0","method":"n"}'

CASES: list[tuple[str, bytes, object]] = [
    ("call", CALL % 1, ok(1)),
    ("notification", NOTE, None),
    ("invalid notification", b'{"jsonrpc":"2.0","method":"m","params":1}', error(-32600)),
    ("not JSON", b"{", error(-32700)),
    ("not UTF-8", b'["\xff"]', error(-32700)),
    ("empty batch", b"[]", error(-32600)),
    ("empty batch with blanks", b" [ ] ", error(-32600)),
    ("batch of one", b"[%b]" % (CALL % 1), [ok(1)]),
    ("batch of junk", b"[1,2,3]", [error(-32600)] * 3),
    ("batch of notifications is silent", b"[%b,%b]" % (NOTE, NOTE), None),
    (
        "mixed batch keeps the order of its members",
        b'[%b,%b,1,{"foo":"boo"},%b]' % (CALL % 1, NOTE, CALL % 2),
        [ok(1), error(-32600), error(-32600), ok(2)],
    ),
    ("batch in a batch", b"[[%b]]" % (CALL % 1), [error(-32600)]),
    ("same id twice", b"[%b,%b]" % (CALL % 1, CALL % 1), [ok(1), ok(1)]),
    ("cut off batch", b"[%b," % (CALL % 1), error(-32700)),
    ("batch with a bad member text", b"[%b,{]" % (CALL % 1), error(-32700)),
    ("batch of 101", b"[" + b",".join([NOTE] * 101) + b"]", error(-32600)),
    ("batch of 14,767", b"[" + b",".join([CALL % 1] * 14_767) + b"]", error(-32600)),
    ("answer", b'{"jsonrpc":"2.0","result":1,"id":1}', None),
    ("batch of answers", b'[{"jsonrpc":"2.0","result":1,"id":1}]', None),
    ("deep batch", b"[" * 100_000, error(-32700)),
]


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize(("frame", "want"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_reply(frame: bytes, want: object, backwards: bool) -> None:
    assert answer(frame, backwards=backwards) == want


def test_largest_batch_is_answered_whole() -> None:
    frame = b"[" + b",".join(CALL % number for number in range(MAX_BATCH)) + b"]"
    assert answer(frame) == [ok(number) for number in range(MAX_BATCH)]


def test_cap_of_a_batch_can_be_set() -> None:
    assert receive(b"[%b,%b]" % (NOTE, NOTE), max_batch=1).reply() is not None
    assert receive(b"[%b]" % NOTE, max_batch=1).reply() is None


def test_error_outcome_is_a_failure() -> None:
    exchange = receive(CALL % 4)
    (work,) = exchange.work
    assert isinstance(work, Call)
    reply = exchange.settle(work, INTERNAL_ERROR)
    assert reply is not None
    assert json.loads(reply) == {"jsonrpc": "2.0", "id": 4, "error": {"code": -32603, "message": "Internal error"}}


def test_abandoned_call_is_left_out() -> None:
    exchange = receive(b"[%b,%b]" % (CALL % 1, CALL % 2))
    first, second = exchange.work
    assert isinstance(first, Call)
    assert isinstance(second, Call)
    assert exchange.abandon(first) is None
    reply = exchange.settle(second, Raw(b"7"))
    assert reply is not None
    assert json.loads(reply) == [ok(2, 7)]


def test_abandoning_the_only_call_leaves_silence() -> None:
    exchange = receive(CALL % 1)
    (work,) = exchange.work
    assert isinstance(work, Call)
    assert exchange.abandon(work) is None
    assert exchange.is_complete
    assert exchange.reply() is None


def test_settling_twice_is_misuse() -> None:
    exchange = receive(CALL % 1)
    (work,) = exchange.work
    assert isinstance(work, Call)
    exchange.settle(work, Raw(b"1"))
    with pytest.raises(RuntimeError, match="call 1 of method 'm' is not open"):
        exchange.settle(work, Raw(b"1"))


def test_answers_are_handed_over_and_cause_no_reply() -> None:
    exchange = receive(b'[{"jsonrpc":"2.0","result":1,"id":"a"},{"jsonrpc":"2.0","error":5,"id":"b"},%b]' % NOTE)
    assert [(type(item).__name__, item.id) for item in exchange.answers] == [("Success", "a"), ("BadAnswer", "b")]
    assert [work.method for work in exchange.work] == ["n"]
    assert exchange.reply() is None


members = st.sampled_from(
    [
        (CALL % 1, True),
        (b'{"jsonrpc":"2.0","method":"m","id":null}', True),
        (b'{"jsonrpc":"2.0","method":"m","id":"x","params":[]}', True),
        (b'{"jsonrpc":"2.0","method":"m","id":true}', True),
        (b"{}", True),
        (b"[]", True),
        (b"null", True),
        (NOTE, False),
        (b'{"jsonrpc":"2.0","result":{},"id":1}', False),
        (b'{"jsonrpc":"2.0","error":{"code":1,"message":""},"id":null}', False),
        (b'{"jsonrpc":"2.0","error":null,"id":1}', False),
    ]
)


@given(st.lists(members, min_size=1, max_size=12), st.randoms())
def test_every_batch_member_gets_what_it_is_owed(batch: list[tuple[bytes, bool]], rng: random.Random) -> None:
    exchange = receive(b"[" + b",".join(text for text, _ in batch) + b"]")
    calls = [work for work in exchange.work if isinstance(work, Call)]
    rng.shuffle(calls)
    out = exchange.reply()
    for work in calls:
        assert out is None
        out = exchange.settle(work, Raw(b"0"))
    owed = sum(answered for _, answered in batch)
    assert len(json.loads(out) if out else []) == owed


@given(st.binary(max_size=80) | st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b",", b'"', CALL % 1])).map(b"".join))
def test_any_frame_ends_in_one_reply_or_silence(frame: bytes) -> None:
    exchange: Exchange = receive(frame)
    out = exchange.reply()
    for work in exchange.work:
        if isinstance(work, Call):
            out = exchange.settle(work, Raw(b"0"))
    assert exchange.is_complete
    if out is not None:
        json.loads(out)
    else:
        assert exchange.work or exchange.answers
