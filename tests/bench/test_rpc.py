"""The benchmarks of serving measure what they say, and memory stays flat over the first 20,000 requests."""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from rpc import decode, start, suite

REQUESTS = 20_000
AHEAD = 50
SPARE_BYTES = 2 * start.MIB
"""What the allocator may take meanwhile; 100 bytes kept for each request would be as much."""


@pytest.fixture
def server() -> Generator[tuple[int, int]]:
    """The process id and the port of a server that has given its first answer."""
    with ExitStack() as stack:
        process, port, seconds = start.first_answer(suite.OURS)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        assert 0 < seconds < 20
        yield process.pid, port


def test_memory_stays_flat(server: tuple[int, int]) -> None:
    pid, port = server
    with socket.create_connection(("127.0.0.1", port)) as client:

        def ask() -> int:
            for _ in range(1000 // AHEAD):
                client.sendall(start.CALL * AHEAD)
                answers = b""
                while answers.count(b"HTTP/1.1 200 OK") < AHEAD or not answers.endswith(b"}"):
                    answers += client.recv(65536)
            return 1000

        samples = start.sample(pid, REQUESTS, ask)
    assert samples[-1][0] == REQUESTS
    settled = [held for requests, held in samples if requests > 2000]
    assert max(settled) - settled[0] < SPARE_BYTES


def test_server_that_observes_nothing_answers() -> None:
    process, _, _ = start.first_answer(suite.OURS_UNSEEN)
    process.terminate()
    assert process.wait(20) == 0


def test_slope_leaves_the_beginning_out() -> None:
    grown = [(1, 0), *((requests, 5000 + 3 * requests) for requests in range(100, 1100, 100))]
    assert start.slope(grown) == pytest.approx(3)
    assert start.slope([(requests, 7) for requests in range(100, 1100, 100)]) == 0


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("protocol", decode.PROTOCOLS)
def test_messages_are_read_whole(protocol: str, unknown: bool) -> None:
    frame = decode.frame_of(protocol, unknown=unknown)
    params = decode.typed_reader(protocol)(frame)
    codec = decode.PROTOCOLS[protocol][0].codec
    assert msgspec.json.decode(codec.encode(params)) == msgspec.json.decode(frame)["params"]
    assert (params.extra == {"x-note": "kept"}) is unknown


def test_slow_answers_are_measured_and_wrong_ones_are_not() -> None:
    suite.check_answers("  Socket errors: connect 0, read 0, write 0, timeout 44\n10 requests in 3.00s")
    for told in ("  Socket errors: connect 0, read 3, write 0, timeout 0", "  Non-2xx or 3xx responses: 4"):
        with pytest.raises(suite.CannotMeasure, match="wrong answers"):
            suite.check_answers(told)
