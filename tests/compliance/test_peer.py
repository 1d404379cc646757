"""The raw peer: what it reads, whole and in pieces, and that it never waits beyond its deadline."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from protogen_compliance.peer.http import parse_head, parse_url
from protogen_compliance.peer.receiver import Receiver
from protogen_compliance.peer.rpc import MISSING, Reply, RpcPeer, parse_json
from protogen_compliance.peer.sse import Event, events
from protogen_compliance.peer.wire import Address, Deadline, Garbled, TimedOut, Unreachable, Wire
from protogen_compliance.transcripts import exchanged

Script = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Script], str]]:
    """Serves each connection by a script; returns the address."""
    open_sockets: list[socket.socket] = []

    def start(script: Script) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                open_sockets.append(connection)
                try:
                    script(connection)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for opened in open_sockets:
        opened.close()


def answering(data: bytes, *, pieces: int = 1, close: bool = False) -> Script:
    """Answers the first request of a connection with bytes, in so many pieces."""

    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        size = max(1, len(data) // pieces)
        for start in range(0, len(data), size):
            connection.sendall(data[start : start + size])
        if close:
            connection.close()

    return script


def ask(url: str, *, patience: float = 5.0) -> Reply:
    peer = RpcPeer(parse_url(url), patience=patience)
    try:
        return peer.send(b'{"jsonrpc":"2.0","id":1,"method":"x"}')
    finally:
        peer.close()


BODY = b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}'
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\n%s\r\n%x\r\n%s\r\n0\r\nX-T: 1\r\n\r\n" % (
    BODY[:5],
    len(BODY) - 5,
    BODY[5:],
)
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + COUNTED


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
@pytest.mark.parametrize("data", [COUNTED, CHUNKED, CLOSED, INTERIM], ids=["counted", "chunked", "closed", "interim"])
def test_answer_is_read_whole(serve: Callable[[Script], str], data: bytes, pieces: int) -> None:
    reply = ask(serve(answering(data, pieces=pieces, close=data is CLOSED)))
    assert (reply.head.status, reply.result) == (200, {"a": 1})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ended without a whole answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "expected an HTTP/1.1 status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "ended in the middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "content-length is '-1'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size is b'zz'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n", "longer than its size"),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", "is no header"),
        (b"x" * 70_000, "the head of the answer has more than"),
    ],
)
def test_broken_answer_is_one_fault(serve: Callable[[Script], str], data: bytes, said: str) -> None:
    reply = ask(serve(answering(data, close=True)))
    assert reply.fault is not None
    assert said in str(reply.fault)
    with pytest.raises(Garbled):
        _ = reply.head


def test_silence_ends_at_the_deadline(serve: Callable[[Script], str]) -> None:
    start = time.monotonic()
    reply = ask(serve(lambda connection: None), patience=0.2)
    assert isinstance(reply.fault, TimedOut)
    assert time.monotonic() - start < 3


def test_dripping_bytes_do_not_move_the_deadline(serve: Callable[[Script], str]) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not stop.wait(0.02):
            connection.sendall(b" ")

    reply = ask(serve(drip), patience=0.3)
    stop.set()
    assert isinstance(reply.fault, TimedOut)


def test_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert isinstance(ask(f"http://127.0.0.1:{port}").fault, Unreachable)


def test_connection_is_used_again_and_replaced_when_it_was_closed(serve: Callable[[Script], str]) -> None:
    accepted: list[int] = []

    def two_answers(connection: socket.socket) -> None:
        accepted.append(1)
        for _ in range(2):
            connection.recv(65_536)
            connection.sendall(COUNTED)
        connection.close()

    peer = RpcPeer(parse_url(serve(two_answers)))
    replies = [peer.send(b"{}") for _ in range(4)]
    peer.close()
    assert [reply.result for reply in replies] == [{"a": 1}] * 4
    assert len(accepted) == 2


def test_every_byte_is_kept_in_both_directions_with_its_time(serve: Callable[[Script], str]) -> None:
    exchange = ask(serve(answering(COUNTED, pieces=5))).exchange
    assert b"".join(it.data for it in exchange.moments if not it.sent) == COUNTED
    assert exchange.moments[0].data.endswith(b'{"jsonrpc":"2.0","id":1,"method":"x"}')
    assert exchange.moments[0].sent
    times = [it.at for it in exchange.moments]
    assert times == sorted(times)
    assert exchange.started <= exchange.ended


def test_wire_sends_any_bytes(serve: Callable[[Script], str]) -> None:
    got: list[bytes] = []
    arrived = threading.Event()

    def keep(connection: socket.socket) -> None:
        got.append(connection.recv(100))
        arrived.set()

    url = parse_url(serve(keep))
    wire = Wire(Address(url.address.host, url.address.port), Deadline(2))
    wire.send(b"\x00\xff rubbish", Deadline(2))
    assert arrived.wait(2)
    wire.close()
    assert got == [b"\x00\xff rubbish"]


def test_curl_line_repeats_the_request(serve: Callable[[Script], str]) -> None:
    line = exchanged(ask(serve(answering(COUNTED))).exchange).curl()
    assert line.startswith("curl -sS -X POST http://127.0.0.1:")
    assert """--data-binary '{"jsonrpc":"2.0","id":1,"method":"x"}'""" in line


STREAM = (
    b": a comment\r\ndata: one\r\n\r\nevent: named\ndata: two\ndata:three\n\nid: 7\ndata\n\n"
    b"event: nothing\n\rdata: caf\xc3\xa9\r\rdata: unfinished\n"
)
EXPECTED = [Event("message", "one"), Event("named", "two\nthree"), Event("message", ""), Event("message", "café")]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_from_any_pieces(size: int) -> None:
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert list(events(pieces)) == EXPECTED


def test_stream_tells_events_times_and_its_end(serve: Callable[[Script], str]) -> None:
    body = b"data: 1\n\ndata: 2\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body)
    peer = RpcPeer(parse_url(serve(answering(head + body, pieces=3))))
    reply, seen, ended = peer.stream(b"{}")
    assert ([event.data for _, event in seen], ended, reply.fault) == (["1", "2"], True, None)
    cut = RpcPeer(parse_url(serve(answering((head + body)[:-3], close=True))))
    reply, seen, ended = cut.stream(b"{}", patience=2)
    assert ([event.data for _, event in seen], ended) == (["1"], False)
    assert isinstance(reply.fault, Garbled)


def test_receiver_records_and_answers_as_told() -> None:
    with Receiver(statuses=(503,)) as receiver:
        peer = RpcPeer(parse_url(receiver.url("/cb")), headers={"X-Kit": "1"})
        statuses = [peer.send(json.dumps(number).encode()).head.status for number in range(2)]
        found = receiver.wait(2, Deadline(2))
        peer.close()
    assert statuses == [503, 200]
    assert [(it.method, it.path, it.body, it.headers["x-kit"]) for it in found] == [
        ("POST", "/cb", b"0", "1"),
        ("POST", "/cb", b"1", "1"),
    ]


def test_receiver_waits_no_longer_than_the_deadline() -> None:
    with Receiver() as receiver:
        assert receiver.wait(1, Deadline(0.05)) == []


@pytest.mark.parametrize("text", ["", "127.0.0.1:8000", "ftp://x", "http://", "http:///path"])
def test_address_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        parse_url(text)


def test_address_is_taken_apart() -> None:
    url = parse_url("https://[::1]/a?b=c")
    assert (url.address, url.path, url.authority) == (Address("::1", 443, True), "/a?b=c", "[::1]:443")


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"{", b"\xff", b"1 2"])
def test_body_that_is_no_json_is_no_value(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(body)


def test_integers_of_any_length_are_json() -> None:
    assert parse_json(b'{"id":%d}' % 10**100) == {"id": 10**100}
    assert parse_json(b'{"id":-' + b"1" * 5000 + b"}") == {"id": float("-inf")}


def test_odd_members_are_missing_rather_than_an_exception(serve: Callable[[Script], str]) -> None:
    body = b'{"error":"text","id":1}'
    reply = ask(serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))))
    assert (reply.error, reply.code, reply.result is MISSING) == (None, MISSING, True)


def test_head_keeps_repeated_headers_in_lower_case() -> None:
    head = parse_head(b"HTTP/1.1 204 No Content\r\nA: 1\r\na: 2\r\nContent-Type: Text/Plain; charset=utf-8")
    assert head.headers == (("a", "1"), ("a", "2"), ("content-type", "Text/Plain; charset=utf-8"))
    assert (head.status, head.get("a"), head.media_type) == (204, "1", "text/plain")
