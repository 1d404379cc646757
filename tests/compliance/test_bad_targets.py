"""Targets that are none, for every role: one finding each, never a pass, never a hang, never a traceback."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import ssl
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner

from protogen.cli import cli

HERE = Path(__file__).resolve().parent
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
UNREACHED = 3
SERVERS = {
    "node": ["--protocol", "apflow"],
    "worker": ["--protocol", "stepflow"],
    "endpoint": ["--protocol", "jsonrpc"],
    "agent": ["--protocol", "a2a"],
    "document": ["--schema", str(HERE / "shelf" / "protocol.json")],
}
"""Kinds of reference programs that serve HTTP, with what judges them."""

OVER_STDIO = ("worker", "endpoint", "document")
RUNTIME = ["--protocol", "stepflow", "--role", "runtime"]


def told_of(*arguments: str) -> Any:
    """Runs the command in this process: it ends before pytest would begin."""
    return CliRunner().invoke(cli, ["test", *arguments, "--timeout", "0.5"])


def one_finding(done: Any, *said: str) -> None:
    assert done.exit_code == UNREACHED, done.output
    assert done.output.startswith("nothing to test at ")
    assert len(done.output.splitlines()) == 1, done.output
    assert any(it in done.output for it in said), done.output


# --- addresses ------------------------------------------------------------------------------------


@contextlib.contextmanager
def dead() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def accepting(serve: Callable[[socket.socket], None], scheme: str = "http") -> Iterator[str]:
    """Gives each connection to `serve`, and closes all at the end."""
    over = threading.Event()
    kept: list[socket.socket] = []

    def accept(server: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            kept.append(connection)
            with contextlib.suppress(OSError):  # the kit hangs up on what is no HTTP
                serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=(server,), daemon=True)
        thread.start()
        yield f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in kept:
        connection.close()


def silence() -> contextlib.AbstractContextManager[str]:
    return accepting(lambda connection: None)


def garbage() -> contextlib.AbstractContextManager[str]:
    def babble(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"\x00garbage\r\n\r\n")
        connection.close()

    return accepting(babble)


def unknown_certificate() -> contextlib.AbstractContextManager[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def shake_hands(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    return accepting(shake_hands, "https")


@contextlib.contextmanager
def http(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    silent = type("Silent", (handler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), silent) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Old(BaseHTTPRequestHandler):
    """A good answer in HTTP/1.0."""

    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


BAD: dict[str, tuple[Callable[[], contextlib.AbstractContextManager[str]], str]] = {
    "dead": (dead, "no connection to 127.0.0.1"),
    "silence": (silence, "it accepts connections and does not answer: no answer within 0.5 s"),
    "garbage": (garbage, "expected an HTTP/1.1 status line"),
    "files": (lambda: http(SimpleHTTPRequestHandler), "HTTP 501 with text/html"),
    "http-1.0": (lambda: http(Old), "it answers in HTTP/1.0; expected HTTP/1.1"),
    "certificate": (unknown_certificate, "certificate verify failed"),
}


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("bad", BAD)
def test_address_of_something_else(kind: str, bad: str) -> None:
    opened, said = BAD[bad]
    with opened() as url:
        one_finding(told_of(url, *SERVERS[kind]), said)


# --- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", 'ended with 0 before it printed {"port": N}'),
        ("sh -c 'echo it broke >&2; exit 7'", "it said 'it broke'"),
        ("sh -c 'kill -9 $$'", "ended with -9 before it printed"),
        ("echo '{\"port\": 1}'", "no connection to 127.0.0.1"),
    ],
    ids=["true", "fails", "killed", "lies"],
)
def test_command_that_serves_nothing(kind: str, command: str, said: str) -> None:
    one_finding(told_of(command, *SERVERS[kind]), said)


@pytest.mark.parametrize("kind", OVER_STDIO)
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", ("the program ended with 0, and answered nothing",)),
        ("sh -c 'echo it broke >&2; exit 7'", ("ended with 7; it said 'it broke'",)),
        ("sleep 60", ("within 0.5 s",)),
        ("cat", ("expected a response of JSON-RPC",)),
        ("yes", ("expected a response of JSON-RPC", "expected a line of JSON-RPC", "no answer within 0.5 s")),
    ],
    ids=["true", "fails", "sleeps", "echo", "babble"],
)
def test_program_that_speaks_no_lines(kind: str, command: str, said: tuple[str, ...]) -> None:
    one_finding(told_of(f"stdio:{command}", *SERVERS[kind]), *said)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true {config}", 'ended with 0 before it printed {"port": N}'),
        ("sh -c 'echo it broke >&2; exit 7' {config}", "it said 'it broke'"),
        ("sh -c 'kill -9 $$' {config}", "ended with -9 before it printed"),
    ],
    ids=["true", "fails", "killed"],
)
def test_command_that_is_no_runtime(command: str, said: str) -> None:
    one_finding(told_of(command, *RUNTIME), said)


def test_runtime_that_is_something_else() -> None:
    program = shlex.join([sys.executable, str(HERE / "reference_endpoint.py")])
    one_finding(told_of(f"sh -c {shlex.quote(program)} {{config}}", *RUNTIME), "expected the id of a flow")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", "the command ended with 0 and called nobody"),
        ("sh -c 'kill -9 $$'", "the command ended with -9 and called nobody"),
        ("sh -c 'sleep 60'", "the client neither succeeded nor failed within 0.5 s"),
        ("echo garbage", "called nobody; it said 'garbage"),
        ("curl -sS {url}", "the command was to call 'echo' and sent GET"),
        ('curl -sS {url} -d \'{"method":"echo"}\' -o /dev/null', "gave a failure"),
    ],
    ids=["true", "killed", "hangs", "garbage", "get", "silent"],
)
def test_command_that_is_no_client(command: str, said: str) -> None:
    one_finding(told_of("--client", command), said)


# --- those that go away ---------------------------------------------------------------------------


def lost(target: list[str], folder: Path) -> dict[str, Any]:
    """Judges what goes away during the run; asserts that this is the one finding, and gives the run."""
    file = folder / "run.json"
    done = subprocess.run(
        [str(PROTOGEN), "test", *target, "--timeout", "2", "--json", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == UNREACHED, done.stdout + done.stderr
    assert "\nLOST: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    run: dict[str, Any] = json.loads(file.read_bytes())
    failed = {it["clause"]: it["texts"] for it in run["verdicts"] if it["status"] in ("FAIL", "NOT_TESTED")}
    assert failed == {}
    assert not run["conformant"]
    assert {it["texts"][0] for it in run["verdicts"] if it["status"] == "BLOCKED"} == {run["lost"]}
    return run


@pytest.mark.parametrize("kind", SERVERS)
def test_server_that_goes_away(kind: str, tmp_path: Path, mutants: Any) -> None:
    program = mutants.program(kind)
    name = next(name for name in vars(program) if name.startswith("Reference"))
    with getattr(program, name)() as running:
        handler = running.server.RequestHandlerClass
        answer, left = handler.do_POST, iter(range(200 if kind == "node" else 20))

        def answer_or_vanish(self: Any) -> None:
            if next(left, None) is None:
                running.server.socket.close()
                raise ConnectionAbortedError  # ends the connection without an answer
            answer(self)

        running.server.handle_error = lambda *_: None
        handler.do_POST = answer_or_vanish
        run = lost([running.url, *SERVERS[kind]], tmp_path)
    assert "went away: no connection to 127.0.0.1" in run["lost"]


@pytest.mark.parametrize("kind", ["worker"])
def test_program_that_goes_away(kind: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    source = f"{HERE / f'reference_{kind}.py'}"
    program.write_text(
        "import os, runpy, sys, threading\n"
        "class Lines:\n"
        "    buffer = property(lambda self: (line if at < 20 else os._exit(5) for at, line in enumerate(LINES)))\n"
        "LINES = sys.stdin.buffer\n"
        "sys.stdin = Lines()\n"
        f"sys.argv = ['worker', '--stdio']\nrunpy.run_path({source!r}, run_name='__main__')\n",
        "utf-8",
    )
    run = lost([f"stdio:{shlex.join([sys.executable, str(program)])}", *SERVERS[kind]], tmp_path)
    assert "the program ended with 5" in run["lost"]


def test_runtime_that_goes_away(tmp_path: Path) -> None:
    program = tmp_path / "runtime.py"
    source = f"{HERE / 'reference_runtime.py'}"
    program.write_text(
        "import http.server, itertools, os, runpy, sys\n"
        "numbers, parse = itertools.count(), http.server.BaseHTTPRequestHandler.parse_request\n"
        "def parse_or_die(self):\n"
        "    return parse(self) if next(numbers) < 60 else os._exit(5)\n"
        "http.server.BaseHTTPRequestHandler.parse_request = parse_or_die\n"
        f"sys.argv[0] = {source!r}\nrunpy.run_path({source!r}, run_name='__main__')\n",
        "utf-8",
    )
    run = lost([f"{shlex.join([sys.executable, str(program)])} {{config}}", *RUNTIME], tmp_path)
    assert "no connection to 127.0.0.1" in run["lost"]


def test_client_that_goes_away(tmp_path: Path) -> None:
    program = tmp_path / "client"
    source = shlex.join([sys.executable, str(HERE / "reference_client.py")])
    program.write_text(
        f'#!/bin/sh\necho x >> {tmp_path}/calls\n[ "$(wc -l < {tmp_path}/calls)" -eq 5 ] && rm "$0"\n'
        f'exec {source} "$@"\n',
        "utf-8",
    )
    program.chmod(0o755)
    run = lost(["--client", str(program)], tmp_path)
    assert "cannot be started" in run["lost"]
