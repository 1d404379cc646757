"""Clients that mean harm, on real sockets against the echo server and a node, each in a process of its own.

The suite uses small numbers and deadlines of a second; `make soak` the full numbers and the defaults. With `-rP` each
test tells its figures.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import time
from contextlib import suppress
from itertools import count as numbers
from pathlib import Path

import h2.config
import h2.connection
import msgspec
import pytest
import trustme
from attack_rig import KINDS, LARGE_BYTES, SPARE_BYTES, Comparison, serving, tell, unharmed, wait_until
from http_rig import call, post, split

QUICK = """
[limits]
header_seconds = 1.0
body_grace_seconds = 1.0
idle_seconds = 1.0
send_seconds = 1.0
linger_seconds = 0.2
max_resets = 100
min_bytes_per_second = 16384
"""
DEFAULTS = ""
SIZES = [
    pytest.param(QUICK, 60, 5.0, id="quick"),
    pytest.param(DEFAULTS, 1000, 30.0, id="full", marks=pytest.mark.soak),
]
RESET_ON_CLOSE = b"\1\0\0\0\0\0\0\0"
"""struct linger {1, 0}."""

HICCUP_SECONDS = 0.0005
"""What one percent of the answers may take longer without being slow."""

OPENINGS = {
    "silent": b"",
    "idle": None,
    "slow head": b"POST / HTTP/1.1\r\nHost: localhost\r\nX: ",
    "slow body": post(b"", "Content-Length: 1000") + b"{",
    "slow chunks": post(b"", "Transfer-Encoding: chunked") + b"3e8\r\n",
}


@pytest.mark.parametrize(
    ("kind", "opening"),
    [
        ("echo", "silent"),
        ("echo", "idle"),
        ("echo", "slow head"),
        ("echo", "slow body"),
        ("echo", "slow chunks"),
        pytest.param("apflow", "silent", marks=pytest.mark.soak),
        pytest.param("apflow", "idle", marks=pytest.mark.soak),
        pytest.param("apflow", "slow head", marks=pytest.mark.soak),
        ("apflow", "slow body"),
        pytest.param("apflow", "slow chunks", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize(("config", "count", "seconds"), SIZES)
def test_many_connections_that_wait_are_gone_in_time(
    tmp_path: Path, config: str, count: int, seconds: float, opening: str, kind: str
) -> None:
    given = OPENINGS[opening]
    with serving(tmp_path, config, kind=kind) as target, serving(tmp_path, config, kind=kind) as quiet:
        with unharmed(target, spare_bytes=SPARE_BYTES + 20_000 * count):
            files = target.idle_descriptors()
            comparison = Comparison(target, quiet)
            clients = [target.connect() for _ in range(count)]
            wait_until(lambda: target.descriptors() > files + count / 2, 5, comparison.take)
            for client in clients:
                client.sendall(post(target.kind.quick) if given is None else given)
                client.setblocking(False)
            trickling = set(clients) if opening.startswith("slow") else set[socket.socket]()
            turns = numbers()

            def attack() -> None:
                comparison.take()
                # One byte of each client in a while: slow, and never silent.
                for client in tuple(trickling) if next(turns) % 10 == 0 else ():
                    try:
                        client.send(b"a")
                    except OSError:
                        trickling.discard(client)

            gone = wait_until(lambda: target.descriptors() <= files, seconds, attack)
            target.hang_up()
            if config == DEFAULTS:
                comparison.take(1000)
        ours, normal = comparison.p99s
        tell(f"{count} {opening}: gone after {gone:.1f} s; p99 {ours * 1e3:.2f} ms, quiet server {normal * 1e3:.2f} ms")
        # Beside other tests the 99th percentile of a few hundred answers says little.
        assert ours < 2 * normal + HICCUP_SECONDS + 0.02 * (config == QUICK)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("echo", "half-close in a body"),
        ("echo", "reset in a body"),
        ("echo", "half-close in a call"),
        ("echo", "reset in a call"),
        pytest.param("apflow", "half-close in a body", marks=pytest.mark.soak),
        pytest.param("apflow", "reset in a body", marks=pytest.mark.soak),
        ("apflow", "half-close in a call"),
        ("apflow", "reset in a call"),
    ],
)
@pytest.mark.parametrize(("config", "count", "seconds"), SIZES)
def test_clients_that_leave_in_the_middle_leave_nothing(
    tmp_path: Path, config: str, count: int, seconds: float, how: str, kind: str
) -> None:
    half_body = post(b"", "Content-Length: 100000") + b"{" * 50_000
    with serving(tmp_path, config, kind=kind) as target, unharmed(target, seconds=seconds):
        began = time.monotonic()
        for _ in range(count):
            with target.connect() as client:
                client.sendall(half_body if "body" in how else post(target.kind.waiting))
                if "half" in how:
                    client.shutdown(socket.SHUT_WR)
                    # A stream may have begun.
                    while client.recv(65536):
                        pass
                else:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        tell(f"{count} {how}: {time.monotonic() - began:.1f} s")


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("echo", "events"),
        ("echo", "answers"),
        ("echo", "answers after reading fast"),
        ("apflow", "answers"),
        pytest.param("apflow", "answers after reading fast", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize(("config", "count", "seconds"), SIZES)
def test_clients_that_stop_reading_are_evicted(
    tmp_path: Path, config: str, count: int, seconds: float, what: str, kind: str
) -> None:
    readers = 100 if config == DEFAULTS else 10
    with serving(tmp_path, config, kind=kind) as target, unharmed(target, spare_bytes=2 * SPARE_BYTES):
        large = post(target.kind.large(target))
        files, memory = target.idle_descriptors(), target.resident_bytes()
        for _ in range(readers):
            client = target.connect(receive_buffer=262_144 if "fast" in what else 4096)
            for _ in range(4 if "fast" in what else 0):
                # The windows of both sides grow with what is read fast.
                client.sendall(large)
                left = LARGE_BYTES
                while left > 0:
                    left -= len(client.recv(LARGE_BYTES))
            client.setblocking(False)
            with suppress(BlockingIOError):
                for request in [post(call("count", {"to": 10**9}))] if what == "events" else [large] * 8:
                    client.sendall(request)
        ours, kernels = 0, list[int]()

        def look() -> None:
            nonlocal ours
            ours = max(ours, target.resident_bytes() - memory)
            kernels.extend(target.unsent_bytes()[:1])
            target.answer_seconds(20)

        wait_until(lambda: target.descriptors() > files + readers / 2, seconds, look)
        gone = wait_until(lambda: target.descriptors() <= files, seconds, look)
        target.hang_up()
        # The median: what is on its way for a moment is no matter.
        each, kernel = ours / readers, statistics.median(kernels)
        tell(f"{readers} evicted after {gone:.1f} s; each {each / 1024:.0f} KiB, {kernel / 1024:.0f} KiB of the kernel")
        # An answer is in memory as a whole, and once more as what is left of it.
        assert each + kernel < MIB + (2 * LARGE_BYTES if "answers" in what else 0)


@pytest.mark.parametrize("kind", ["echo", "apflow"])
def test_huge_batch_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    batch = post(b"[" + b",".join([KINDS[kind].quick] * 14_767) + b"]", close=True)
    with serving(tmp_path, QUICK, kind=kind) as target, unharmed(target):
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            status, _, body = split(target.ask(batch))
            taken.append(time.perf_counter() - began)
            assert (status, msgspec.json.decode(body)["error"]["code"]) == (200, -32600)
        tell(f"a batch of 14,767: refused after {min(taken) * 1e3:.0f} to {max(taken) * 1e3:.0f} ms")
        assert min(taken) < 0.1
        assert max(taken) < 0.5


# --- HTTP/2 -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(tmp_path: Path) -> tuple[str, ssl.SSLContext]:
    """Settings of a server with a certificate, and what trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return f'\n[tls]\ncertificate = "{tmp_path}/cert.pem"\nkey = "{tmp_path}/key.pem"\n', context


HEADS = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "localhost")]
BURST = 25
"""Streams between two looks at whether the server is still there."""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("echo", "heads"),
        ("echo", "calls"),
        pytest.param("apflow", "heads", marks=pytest.mark.soak),
        ("apflow", "calls"),
    ],
)
@pytest.mark.parametrize(("config", "count", "seconds"), SIZES)
def test_rapid_resets_over_http2(
    tmp_path: Path, tls: tuple[str, ssl.SSLContext], config: str, count: int, seconds: float, body: str, kind: str
) -> None:
    settings, trust = tls
    with serving(tmp_path, config + settings, trust, kind=kind) as target, unharmed(target, seconds=seconds):
        began = time.monotonic()
        left, connections = 10 * count, 0
        while left > 0:
            left -= reset_streams(target.connect(protocol="h2"), left, target.kind.started if body == "calls" else b"")
            connections += 1
        tell(f"{10 * count} resets over {connections} connections: {time.monotonic() - began:.1f} s")
        # max_resets is 100 or 200: a connection that resets more is closed.
        assert connections >= 10 * count / (100 if config == QUICK else 200) / 2


def reset_streams(client: socket.socket, most: int, body: bytes) -> int:
    """Open streams and reset them until the server ends the connection; how many it were."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    done = 0
    with client:
        try:
            while done < most:
                for _ in range(BURST):
                    number = connection.get_next_available_stream_id()
                    connection.send_headers(number, [*HEADS, ("content-type", "application/json")])
                    if body:
                        connection.send_data(number, body, end_stream=True)
                    connection.reset_stream(number)
                    done += 1
                # The answer tells that the server has seen it all.
                connection.ping(b"12345678")
                client.sendall(connection.data_to_send())
                while b"12345678" not in (data := client.recv(65536)):
                    if not data:
                        return done
        except OSError:
            pass
    return done
