"""Hundreds of bodies that nobody should send: each has exactly one right answer, or silence, and soon."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import trio
from fuzz_targets import expected_of, parsed
from http_rig import Server, call, post, run, running, split

MAX_BATCH = 100
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


def check(body: bytes, answer: bytes) -> None:
    """An answer, or silence, is the one that a second reader of JSON-RPC expects."""
    messages = expected_of(body, MAX_BATCH)
    members = [] if not answer else parsed(answer)
    members = members if isinstance(members, list) else [members]
    for member in members:
        assert member["jsonrpc"] == "2.0"
        assert ("result" in member) != ("error" in member)
    assert len(members) <= MAX_BATCH
    if messages is None:
        # Deeper than that reader goes: one call that is answered, or one error.
        assert len(members) == 1, body[:200]
        return
    owed = [(kind, request_id) for kind, request_id in messages if kind in ("Call", "BadRequest")]
    assert [member["id"] for member in members] == [request_id for _, request_id in owed], body[:200]
    for (kind, _), member in zip(owed, members, strict=True):
        code = int(member["error"]["code"]) if "error" in member else 0
        assert kind != "BadRequest" or code in (-32700, -32600), body[:200]
        assert kind != "Call" or code != -32700, body[:200]


def check_http(body: bytes, status: int, answer: bytes) -> None:
    messages = expected_of(body, MAX_BATCH) or []
    if status == 400:
        # Answers to calls that nobody made, and nothing else.
        assert {kind for kind, _ in messages} == {"Answer"}, body[:200]
        assert msgspec.json.decode(answer)["error"]["code"] == -32600
        return
    assert (status, bool(answer)) in ((200, True), (202, False)), (body[:200], status)
    check(body, answer)


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
                check_http(body, status, answer)
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


COMMAND = [sys.executable, "-P", "-c", "from protogen.cli import main; main()", "serve", "echo", "--stdio"]
TICKS = os.sysconf("SC_CLK_TCK")


class Child:
    """The echo server on pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._asked = 0

    def ask(self, body: bytes, owed: int) -> list[bytes]:
        """The lines that answer a body; a call behind it tells when silence is all."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._asked += 1
        end = f"end-{self._asked}"
        self.process.stdin.write(body + b"\n" + call("add", [1, 2], end) + b"\n")
        self.process.stdin.flush()
        lines: list[bytes] = []
        is_over = False
        # A batch yields between its members, so that its answer may come after the one behind it.
        while not is_over or len(lines) < owed:
            line = self.process.stdout.readline()
            assert line, f"the server ended with {self.process.wait(10)} at {body[:200]!r}"
            if end.encode() in line:
                is_over = True
            else:
                lines.append(line)
        return lines

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_every_hostile_line_gets_one_right_answer_in_time() -> None:
    bodies = [body for body in corpus() if body.strip() and b"\n" not in body]
    assert len(bodies) >= MINIMUM
    slow: list[tuple[float, bytes]] = []
    memory = 0
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        child = Child(process)
        child.ask(call("add", [1, 2]), 1)
        for number, body in enumerate(bodies):
            if number == 50:
                # The largest are the first.
                memory = child.resident_bytes()
            messages = expected_of(body, MAX_BATCH)
            owes = messages is None or any(kind in ("Call", "BadRequest") for kind, _ in messages)
            began = child.cpu_seconds()
            lines = child.ask(body, int(owes))
            taken = child.cpu_seconds() - began
            if taken > SLOWEST_SECONDS + 1 / TICKS:
                slow.append((taken, body[:80]))
            assert len(lines) == owes, body[:200]
            check(body, b"".join(lines))
        assert child.resident_bytes() - memory < 4 * 1024 * 1024
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
    assert slow == []
