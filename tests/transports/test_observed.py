"""What is seen of servers that are not plain HTTP/1.1: bytes of every transport, and all of a server over stdio."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import servers
import trio
from prometheus_client.parser import text_string_to_metric_families

from protogen_runtime.io.client import channel_to
from protogen_runtime.io.contract import Server, ask, service_of
from protogen_runtime.io.http.server import Tls
from protogen_runtime.io.peer import PeerChannel
from protogen_runtime.io.session import SessionApp
from protogen_runtime.io.stdio import pipe_stream, serve_stdio
from protogen_runtime.observe import ObserveSettings, Traffic, observing

TEXT = "x" * 10_000


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(20):
            await scenario()

    trio.run(limited)


@asynccontextmanager
async def counted(tls: Tls | None = None) -> AsyncGenerator[tuple[str, Traffic]]:
    """The shell with sessions beside it, and what it counts."""
    with observing(ObserveSettings(), service_of(Server()), sink=io.BytesIO()) as instruments:
        app: Any = SessionApp(instruments.service)
        async with servers.http_shell(instruments.service, app, tls=tls, instruments=instruments) as at:
            yield at.replace("127.0.0.1", "localhost"), instruments.traffic


@pytest.mark.parametrize("scheme", ["http", "ws", "sse+http"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_bytes_of_every_transport_are_counted(authority: servers.Authority, scheme: str, is_secure: bool) -> None:
    async def scenario() -> None:
        async with counted(authority.tls if is_secure else None) as (at, traffic):
            path = "events" if scheme.startswith("sse") else ""
            context = authority.context() if is_secure else None
            channel = channel_to(f"{scheme}{'s' if is_secure else ''}://{at}/{path}", tls=context)
            await channel.open()
            try:
                before = traffic.received_bytes, traffic.sent_bytes
                await ask(channel, "echo", {"text": TEXT})
                gained = traffic.received_bytes - before[0], traffic.sent_bytes - before[1]
                assert traffic.connections >= 1
            finally:
                await channel.aclose()
            assert all(len(TEXT) < it < len(TEXT) + 2000 for it in gained), gained

    run(scenario)


def test_bytes_of_http2_are_counted(authority: servers.Authority) -> None:
    async def scenario() -> None:
        async with counted(authority.tls) as (at, traffic):
            async with httpx.AsyncClient(http2=True, http1=False, verify=authority.context()) as http:
                body = {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"text": TEXT}}
                response = await http.post(f"https://{at}/", json=body)
            assert (response.http_version, response.status_code) == ("HTTP/2", 200)
            assert len(TEXT) < traffic.received_bytes < len(TEXT) + 2000
            assert len(TEXT) < traffic.sent_bytes < len(TEXT) + 2000

    run(scenario)


def test_bytes_of_pipes_are_counted() -> None:
    import os

    async def scenario() -> None:
        traffic = Traffic()
        source, our_sink = os.pipe()
        our_source, sink = os.pipe()

        async def connect() -> Any:
            await trio.lowlevel.checkpoint()
            return pipe_stream(our_source, our_sink)

        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await serve_stdio(service_of(Server()), source=source, sink=sink, traffic=traffic)
                os.close(source)
                os.close(sink)

            nursery.start_soon(serve)
            channel = PeerChannel(connect)
            await channel.open()
            await ask(channel, "echo", {"text": TEXT})
            sent = len(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"text": TEXT}}))
            assert abs(traffic.received_bytes - sent) < 20
            assert len(TEXT) < traffic.sent_bytes < len(TEXT) + 100
            assert (traffic.connections, traffic.open_connections) == (1, 1)
            await channel.aclose()
        assert traffic.open_connections == 0

    run(scenario)


# --- a whole server over stdio --------------------------------------------------------------------------

SERVE = [sys.executable, "-P", "-c", "from protogen.cli import main; main()", "serve", "echo", "--stdio"]


def call(request_id: int, method: str, params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode() + b"\n"


def serve(folder: Path, config: str, *lines: bytes) -> subprocess.CompletedProcess[bytes]:
    (folder / "serve.toml").write_text(config, "utf-8")
    command = [*SERVE, "--config", str(folder / "serve.toml")]
    return subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=20, check=False)


def test_lines_go_to_stderr_and_answers_alone_to_stdout(tmp_path: Path) -> None:
    config = f'[observe]\ncalls = "all"\nslow_seconds = 0.05\nmetrics_file = "{tmp_path / "metrics.prom"}"\n'
    calls = call(1, "echo", {"value": "x"}), call(2, "sleep", {"seconds": 0.1}), call(3, "no\nsuch", {})
    done = serve(tmp_path, config, *calls)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(answer["id"] for answer in answers) == [1, 2, 3]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    lines = sorted((json.loads(line) for line in done.stderr.splitlines()), key=lambda line: line["id"])
    assert [(it["event"], it["method"], it["outcome"]) for it in lines] == [
        ("call", "echo", "ok"),
        ("slow call", "sleep", "ok"),
        ("call", "no\\x0asuch", "error"),
    ]
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families((tmp_path / "metrics.prom").read_text("utf-8"))
        for sample in family.samples
    }
    assert samples["protogen_calls_total", "echo", "ok"] == 1
    assert samples["protogen_calls_total", "(unknown)", "-32601"] == 1
    assert samples["protogen_slow_calls_total",] == 1
    assert samples["protogen_received_bytes_total",] == sum(map(len, calls))
    assert samples["protogen_sent_bytes_total",] == len(done.stdout)
    assert sorted(it.name for it in tmp_path.iterdir()) == ["metrics.prom", "serve.toml"]


def test_by_default_only_what_is_notable_has_a_line(tmp_path: Path) -> None:
    done = serve(tmp_path, "", call(1, "echo", {"value": "x"}))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("key", ["log_file", "metrics_file"])
def test_files_that_cannot_be_written_are_told(tmp_path: Path, key: str) -> None:
    done = serve(tmp_path, f'[observe]\n{key} = "{tmp_path / "no" / "such"}"\n', call(1, "echo", {"value": "x"}))
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 2, line
    assert line.startswith(f"error: observe.{key}: cannot write ")
    assert done.stdout == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_may_finish_when_the_server_is_told_to_end(number: signal.Signals) -> None:
    with subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(call(1, "sleep", {"seconds": 0.5}) + call(2, "echo", {"value": 1}))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 2
        process.send_signal(number)
        # Its input is open still.
        assert json.loads(process.stdout.readline())["id"] == 1
        assert process.stdout.read() == b""
        assert process.wait(10) == 0
        assert process.stderr.read() == b""
