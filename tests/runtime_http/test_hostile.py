"""Hundreds of bodies that nobody should send: each has exactly one right answer, or silence, and soon."""

from __future__ import annotations

import random
import resource
import time

import msgspec
import pytest
import trio
from http_rig import Server, call, post, run, running, split

from protogen_runtime.jsonrpc import Call, Failure, Notification, Success, decode

SLOWEST_SECONDS = 0.1
MINIMUM = 500

VALUES = [
    *(
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.0",
        "1e2",
        "1e400",
        "-1e400",
        "1.5",
        "9007199254740993",
        "1" * 30,
        "-" + "1" * 30,
    ),
    *('""', '"x"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"2.0"', '"2\\u002e0"', "[]", "{}", "[[]]", '{"":1}'),
    *("NaN", "Infinity", "-Infinity", "undefined", "01", "+1", ".5", "1.", "0x10", "'x'", "\x00", '"\x01"', '"\\x"'),
]
ENVELOPES = [
    '{"jsonrpc":%s,"id":1,"method":"add","params":{"a":1,"b":2}}',
    '{"jsonrpc":"2.0","id":%s,"method":"add","params":{"a":1,"b":2}}',
    '{"jsonrpc":"2.0","id":1,"method":%s,"params":{"a":1,"b":2}}',
    '{"jsonrpc":"2.0","id":1,"method":"add","params":%s}',
    '{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":%s,"b":2}}',
    '{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":%s}}',
    '{"jsonrpc":"2.0","id":1,"method":"fail","params":{"code":%s,"message":"x"}}',
    '{"jsonrpc":"2.0","id":1,"method":"fail","params":{"code":1,"message":%s}}',
    '{"jsonrpc":"2.0","method":"notify","params":%s}',
    '{"jsonrpc":"2.0","id":1,"result":%s}',
    '{"jsonrpc":"2.0","id":1,"error":%s}',
    "%s",
    "[%s]",
    '[{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"b":2}},%s]',
]
SPECIAL: list[bytes] = [
    b"",
    b" ",
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
    b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":' + b"9" * 5_000 + b"}}",
    b'{"jsonrpc":"2.0","id":"' + b"i" * 100_000 + b'","method":"add","params":[1,2]}',
    b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 100_000 + b'"}',
    b'{"jsonrpc":"2.0","id":1,"id":2,"method":"add","params":[1,2]}',
    b'{"jsonrpc":"2.0","id":1,"method":"nope","method":"add","params":[1,2]}',
    b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}',
    '{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}'.encode("utf-16"),
    '{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}'.encode("utf-32"),
    b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":"\xc3\x28"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":"\xed\xa0\x80"}}',
    b"[" + b",".join([b"1"] * 14_767) + b"]",
    b"[" + b",".join([call("add", [1, 2])] * 14_767) + b"]",
    b'{"jsonrpc":"2.0","id":1,"method":"__class__"}',
    b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1,"\\ufdd0extra":{"x":1}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"b":2,"__proto__":{}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"add","params":[' + b",".join([b"1"] * 100_000) + b"]}",
]


def corpus() -> list[bytes]:
    bodies = [(envelope % value).encode() for envelope in ENVELOPES for value in VALUES]
    chance = random.Random(3)
    good = [call("add", {"a": 1, "b": 2}), call("echo", {"value": "é"}), b"[" + call("add", [1, 2]) + b"]"]
    for _ in range(200):
        body = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.choice(b'{}[]":,\\ \x00\xff0e-')
        bodies.append(bytes(body))
    return SPECIAL + bodies


def expected(body: bytes) -> str:
    """What kind of answer is right, judged by the core's own reading of single messages and by shape for batches."""
    text = body.lstrip(b" \t\r\n")
    if text[:1] == b"[":
        return "any"
    match decode(body):
        case Call():
            return "one"
        case Notification() | Success() | Failure():
            return "none"
    return "any"


async def ask(server: Server, stream: trio.SocketStream, body: bytes) -> tuple[int, bytes]:
    await stream.send_all(post(body))
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive_some(65536)
    length = int(split(got)[1]["content-length"])
    while len(split(got)[2]) < length:
        got += await stream.receive_some(65536)
    status, _, answer = split(got)
    return status, answer


def check(body: bytes, status: int, answer: bytes) -> None:
    kind = expected(body)
    if not answer:
        assert status == 202, body[:200]
        assert kind != "one", body[:200]
        return
    assert status in (200, 400), (body[:200], status)
    assert kind != "none" or status == 400, body[:200]
    read = msgspec.json.decode(answer)
    for member in read if isinstance(read, list) else [read]:
        assert member["jsonrpc"] == "2.0"
        assert "id" in member
        assert ("result" in member) != ("error" in member)
    if isinstance(read, list):
        assert 0 < len(read) <= 100


def test_corpus_is_large() -> None:
    assert len(corpus()) >= MINIMUM


def test_every_hostile_body_gets_one_right_answer_in_time() -> None:
    async def main() -> None:
        slow: list[tuple[float, bytes]] = []
        async with running() as server:
            stream = await server.connect()
            for body in corpus():
                began = time.process_time()
                status, answer = await ask(server, stream, body)
                if time.process_time() - began > SLOWEST_SECONDS:
                    slow.append((time.process_time() - began, body[:80]))
                check(body, status, answer)
            assert slow == []
            assert server.shell.endpoint.in_flight == 0

    run(main)


@pytest.mark.soak
def test_memory_stays_flat_under_the_corpus() -> None:
    async def main() -> None:
        async with running() as server:
            stream = await server.connect()
            peaks = []
            for _ in range(5):
                for body in corpus():
                    await ask(server, stream, body)
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            assert peaks[-1] - peaks[1] < 8 * 1024

    run(main)
