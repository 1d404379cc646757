"""What must hold for any bytes whatsoever: one function per parser, which raises AssertionError where it does not.

Knows no fuzzing engine. The first two bytes of an input choose how the rest is cut into pieces, or in which order calls
are settled, so that a finding is one file. Where the standards are simple enough, a second reader written here for
clearness alone says what the result must be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Raw

from protogen_runtime.io.http.framing import RequestParser, Upgrade
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.messages import Reply, Request, refusal
from protogen_runtime.jsonrpc import (
    INTERNAL_ERROR,
    BadRequest,
    Call,
    Exchange,
    Failure,
    FrameTooLong,
    LineFramer,
    Notification,
    ServerSentEvent,
    SseParser,
    Success,
    decode,
    encode,
    receive,
)

CORPUS: Final = Path(__file__).resolve().parent / "corpus"

Target = Callable[[bytes], None]


def pieces(data: bytes) -> Iterator[bytes]:
    """The stream of an input, cut as its first two bytes say: whole, byte by byte, evenly, or at random."""
    seed, stream = int.from_bytes(data[:2], "big"), data[2:]
    match seed % 4:
        case 0:
            yield stream
        case 1:
            yield from (stream[i : i + 1] for i in range(len(stream)))
        case 2:
            size = seed % 61 + 2
            yield from (stream[i : i + size] for i in range(0, len(stream), size))
        case _:
            chance = random.Random(seed)
            start = 0
            while start < len(stream):
                size = chance.choice((0, 1, 1, 2, 3, 7, 20, 100, 1000))
                yield stream[start : start + size]
                start += size


# --- lines ----------------------------------------------------------------------------------------

LINE_BYTES: Final = 64


def check_lines(data: bytes) -> None:
    """Any chunking gives the lines of the stream; what is kept never exceeds the limit."""
    framer = LineFramer(LINE_BYTES)
    found: list[bytes | FrameTooLong] = []
    for piece in pieces(data):
        found += framer.feed(piece)
        assert len(framer._buffer) <= LINE_BYTES
    found += framer.finish()
    assert found == list(_lines(data[2:]))


def _lines(stream: bytes) -> Iterator[bytes | FrameTooLong]:
    for line in stream.split(b"\n"):
        if len(line) > LINE_BYTES:
            yield FrameTooLong(LINE_BYTES)
        elif stripped := line.strip(b" \t\r"):
            yield stripped


# --- server-sent events ---------------------------------------------------------------------------

EVENT_BYTES: Final = 64


def check_sse(data: bytes) -> None:
    """Any chunking gives the events of the stream; what is kept never exceeds a few times the limit."""
    stream = data[2:]
    parser = SseParser(EVENT_BYTES)
    found: list[ServerSentEvent | FrameTooLong] = []
    for piece in pieces(data):
        found += parser.feed(piece)
        kept = len(parser._line) + sum(len(line) + 1 for line in parser._data)
        assert kept <= 2 * EVENT_BYTES + 2, kept
        assert len(parser._name) <= EVENT_BYTES
        assert len(parser.last_event_id) <= EVENT_BYTES
    whole = SseParser(EVENT_BYTES)
    assert found == whole.feed(stream)
    assert (parser.last_event_id, parser.retry_ms) == (whole.last_event_id, whole.retry_ms)
    large = SseParser(len(stream) + 1)
    assert large.feed(stream) == list(_events(stream))
    if not any(isinstance(event, FrameTooLong) for event in found):
        assert found == list(_events(stream))


def _events(stream: bytes) -> Iterator[ServerSentEvent]:
    """The stream read as the standard says, all at once."""
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    name, last_id, rows = "", "", list[bytes]()
    for line in lines[:-1]:
        if not line:
            if rows:
                yield ServerSentEvent(data=b"\n".join(rows), name=name or "message", last_id=last_id)
            name, rows = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            rows.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            last_id = value.decode(errors="replace")


# --- messages and batches -------------------------------------------------------------------------

MAX_BATCH: Final = 8
_DEEPEST: Final = 200
"""Deeper texts are checked for a reply alone: where the two readers give up is not the same depth."""


def check_exchange(data: bytes) -> None:
    """Every frame is owed what JSON-RPC says: one reply for each call and each bad member, none for the rest."""
    frame = data[2:]
    exchange = receive(frame, max_batch=MAX_BATCH)
    calls = [work for work in exchange.work if isinstance(work, Call)]
    random.Random(data[:2]).shuffle(calls)
    for number, call in enumerate(calls):
        assert exchange.reply() is None, "replied before every call was settled"
        match number % 3:
            case 0:
                exchange.settle(call, Raw(b'{"ok":true}'))
            case 1:
                exchange.settle(call, INTERNAL_ERROR)
            case _:
                exchange.abandon(call)
    abandoned = [call for number, call in enumerate(calls) if number % 3 == 2]
    assert exchange.is_complete
    replies = _replies(exchange)
    _check_round_trip(exchange)
    _check_single(frame, exchange)
    expected = expected_of(frame)
    if expected is None:
        return
    kinds = [type(work).__name__ for work in exchange.work]
    assert kinds == [kind for kind, _ in expected if kind in ("Call", "Notification")]
    owed = [(kind, request_id) for kind, request_id in expected if kind in ("Call", "BadRequest")]
    assert len(owed) - len(abandoned) == len(replies), (owed, replies)
    if not abandoned:
        assert [request_id for _, request_id in owed] == [reply["id"] for reply in replies]
    assert len(exchange.answers) == sum(kind == "Answer" for kind, _ in expected)


def _replies(exchange: Exchange) -> list[dict[str, Any]]:
    """The members of the reply, each of which must be a JSON-RPC answer."""
    reply = exchange.reply()
    if reply is None:
        return []
    assert b"\n" not in reply
    tree = parsed(reply)
    members: list[dict[str, Any]] = tree if isinstance(tree, list) else [tree]
    assert isinstance(tree, list) is (exchange.is_batch and bool(members))
    for member in members:
        assert member["jsonrpc"] == "2.0"
        assert set(member) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    return members


def _check_round_trip(exchange: Exchange) -> None:
    for message in (*exchange.work, *exchange.answers):
        if isinstance(message, Call | Notification | Success | Failure):
            assert decode(encode(message)) == message


def _check_single(frame: bytes, exchange: Exchange) -> None:
    """`decode` and `receive` agree on what is no batch."""
    if exchange.is_batch:
        return
    message = decode(frame)
    if isinstance(message, Call | Notification):
        assert exchange.work == (message,)
    elif isinstance(message, BadRequest):
        assert exchange.work == ()
        assert exchange.reply() is not None
    else:
        assert exchange.answers == (message,)


def parsed(text: bytes) -> Any:
    """Strict JSON: numbers stay text (their size is nobody's problem here), the last of duplicate keys counts."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    def gather(members: list[tuple[str, Any]]) -> dict[str, Any]:
        # Here, since a member that a later one replaces must be text, too.
        _refuse_lone_surrogates(members)
        return dict(members)

    tree = json.loads(
        text.decode(), parse_int=_Number, parse_float=_Number, parse_constant=refuse, object_pairs_hook=gather
    )
    _refuse_lone_surrogates(tree)
    return tree


def _refuse_lone_surrogates(tree: Any) -> None:
    """Errors: UnicodeEncodeError, which is a ValueError. Objects were looked at when they were read."""
    match tree:
        case str():
            tree.encode()
        case list() | tuple():
            for item in tree:
                _refuse_lone_surrogates(item)
        case _:
            pass


class _Number(str):
    """A number by its text, -0 as the number that it is."""

    __slots__ = ()

    def __new__(cls, written: str) -> _Number:
        return str.__new__(cls, "0" if written == "-0" else written)


def expected_of(frame: bytes, max_batch: int = MAX_BATCH) -> list[tuple[str, Any]] | None:
    """The messages of a frame as (kind, id), None where this reader is out of its depth."""
    if frame.count(b"[") + frame.count(b"{") > _DEEPEST:
        return None
    try:
        tree = parsed(frame)
    except ValueError:
        return [("BadRequest", None)]
    if not isinstance(tree, list):
        return [_kind(tree)]
    if not 1 <= len(tree) <= max_batch:
        return [("BadRequest", None)]
    return [_kind(member) for member in tree]


def _kind(tree: Any) -> tuple[str, Any]:
    if not isinstance(tree, dict):
        return "BadRequest", None
    has_id = _is_id(tree.get("id"))
    request_id = tree.get("id") if has_id else None
    if "method" not in tree and ("result" in tree or "error" in tree):
        return "Answer", request_id
    if not has_id and isinstance(tree["id"], _Number):
        request_id = _double(tree["id"])
        has_id = request_id is not None
    good = (
        tree.get("jsonrpc") == "2.0"
        and not isinstance(tree.get("jsonrpc"), _Number)
        and isinstance(tree.get("method"), str)
        and not isinstance(tree["method"], _Number)
        and isinstance(tree.get("params", {}), dict | list)
        and ("id" not in tree or has_id)
        and "result" not in tree
        and "error" not in tree
    )
    if not good:
        return "BadRequest", request_id
    return ("Call", request_id) if "id" in tree else ("Notification", None)


def _double(number: _Number) -> _Number | None:
    """A number with a fraction or an exponent as it comes back, None where no double is the same number."""
    value = float(number)
    return _Number(msgspec.json.encode(value).decode()) if Decimal(number) == Decimal(repr(value)) else None


def _is_id(value: Any) -> bool:
    if isinstance(value, _Number):
        return value.lstrip("-").isdigit()
    return value is None or isinstance(value, str)


# --- HTTP/1.1 -------------------------------------------------------------------------------------

LIMITS: Final = Limits(max_body_bytes=64, max_header_bytes=256, max_headers=8)

Seen = tuple[bytes, bytes, dict[bytes, bytes], bytes, bool]


def check_http(data: bytes) -> None:
    """Any chunking gives the same requests and the same end; nothing ambiguous and nothing over a limit comes out."""
    found, ending = _requests(pieces(data))
    whole, whole_ending = _requests(iter([data[2:]]))
    # Lengths of what is not whole yet are known by the read, so a refusal may come at a later or an earlier request.
    common = min(len(found), len(whole))
    assert found[:common] == whole[:common]
    if ending not in (413, 431) and whole_ending not in (413, 431):
        assert (len(found), ending) == (len(whole), whole_ending)
    for method, target, headers, body, _ in found:
        assert method.isalpha() or b"-" in method
        assert target
        assert len(body) <= LIMITS.max_body_bytes
        assert len(headers) <= LIMITS.max_headers
        assert sum(len(name) + len(value) for name, value in headers.items()) <= LIMITS.max_header_bytes
        assert not {b"content-length", b"transfer-encoding"} <= headers.keys()
        assert all(name == name.lower() and name and not set(name) & set(b" \t\r\n:\0") for name in headers)
        assert all(not set(value) & set(b"\r\n\0") for value in headers.values())
        if b"content-length" in headers and (method, target, headers, body) != _upgraded(whole, whole_ending):
            assert len(body) == int(headers[b"content-length"])


def _upgraded(found: list[Seen], ending: int | str) -> tuple[bytes, bytes, dict[bytes, bytes], bytes] | None:
    """The request that asks for another protocol: its body is still to be read."""
    return found[-1][:4] if ending == "upgrade" else None


def _requests(stream: Iterator[bytes]) -> tuple[list[Seen], int | str]:
    parser = RequestParser(LIMITS, _admit, client=None, is_secure=False)
    found: list[Seen] = []
    for piece in stream:
        if not piece:
            continue
        upgrade = parser.feed(piece)
        assert len(parser._body) <= LIMITS.max_body_bytes + len(piece)
        while parser.requests:
            found.append(_seen(parser.requests.popleft()))
        if isinstance(upgrade, Upgrade):
            found.append(_seen(upgrade.request))
            return found, "upgrade"
        if parser.refused is not None:
            assert 400 <= parser.refused.status < 600
            assert parser.refused.close
            return found, parser.refused.status
    return found, "open"


def _admit(request: Request) -> Reply | None:
    return None if request.method in (b"GET", b"POST") else refusal(405, "no")


def _seen(request: Request) -> Seen:
    return request.method, request.target, dict(request.headers), bytes(request.body), request.refused is not None


TARGETS: Final[dict[str, Target]] = {
    "lines": check_lines,
    "sse": check_sse,
    "exchange": check_exchange,
    "http": check_http,
}
"""Name, which is that of the folder in the corpus, and what is checked."""


def seeds(name: str) -> list[Path]:
    """The files of a target's corpus, in order."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())


def mutations(name: str, *, seed: int) -> Iterator[bytes]:
    """Inputs without end, made of the corpus by cutting, repeating, joining and changing; the same for each seed."""
    chance = random.Random(seed)
    known = [path.read_bytes() for path in seeds(name)]
    alphabet = b"".join(known) or b"\0"
    while True:
        data = bytearray(chance.choice(known))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(6):
                case 0:
                    data[at : at + chance.randrange(1, 20)] = b""
                case 1:
                    data[at:at] = bytes(chance.choice(alphabet) for _ in range(chance.randrange(1, 8)))
                case 2:
                    other = chance.choice(known)
                    data[at:at] = other[chance.randrange(len(other) + 1) :]
                case 3:
                    data[at:at] = data[at : at + chance.randrange(1, 40)] * chance.randrange(1, 10)
                case 4 if at < len(data):
                    data[at] = chance.randrange(256)
                case _:
                    data[:2] = chance.randbytes(2)
        yield bytes(data[:4096])
