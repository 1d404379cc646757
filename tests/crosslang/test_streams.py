"""Streams that are answers to one request: each language's client against each language's server, and the task node.

The programs in `streams/` are servers with `--serve`, and clients of the URL that they are given otherwise.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "streams"
ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "generated"
LANGUAGES = ("python", "typescript", "go")
CALL_SECONDS = 60

SUBMITTED, WORKING, COMPLETED = "TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"
EXPECTED = {
    "stream": [[SUBMITTED, WORKING, COMPLETED], COMPLETED],
    # An answer in one piece is the only event.
    "once": [[SUBMITTED], SUBMITTED],
    "gone": [[SUBMITTED], -32001],
}
FROM_NODE = [[SUBMITTED, WORKING, "artifact", COMPLETED], COMPLETED]
NODE = [sys.executable, "-P", "-m", "protogen", "serve", "apflow", "--port", "0", "--announce", "--db", "memory:"]


@pytest.fixture(scope="module")
def programs(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The command line of each program, compiled once."""
    folder = tmp_path_factory.mktemp("streams")
    return {
        "python": [sys.executable, "-P", str(HERE / "program.py")],
        "typescript": _typescript(tool, folder / "typescript"),
        "go": _go(tool, folder / "go"),
    }


def _typescript(tool: Callable[[str], str], folder: Path) -> list[str]:
    package = folder / "node_modules" / "@protogen" / "a2a"
    shutil.copytree(GENERATED / "typescript" / "a2a", package, ignore=shutil.ignore_patterns("node_modules", "dist"))
    for name in ("@types", "undici-types"):
        if (ROOT / "node_modules" / name).is_dir():
            (folder / "node_modules" / name).symlink_to(ROOT / "node_modules" / name)
    _run([tool("tsc"), "-p", "tsconfig.json"], package)
    (folder / "package.json").write_text('{"type": "module"}\n')
    shutil.copy(HERE / "program.ts", folder)
    options = "--strict --exactOptionalPropertyTypes --module nodenext --target es2022 --types node --skipLibCheck"
    _run([tool("tsc"), *options.split(), "--outDir", "out", "program.ts"], folder)
    return [tool("node"), str(folder / "out" / "program.js")]


def _go(tool: Callable[[str], str], folder: Path) -> list[str]:
    shutil.copytree(HERE / "go", folder)
    sdk = json.dumps(str(GENERATED / "go" / "a2a"))
    (folder / "go.mod").write_text(
        f"module streams\n\ngo 1.24\n\nrequire protogen.dev/a2a v0.0.0\n\nreplace protogen.dev/a2a => {sdk}\n"
    )
    environment = {**os.environ, "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    _run([tool("go"), "vet", "./..."], folder, environment)
    _run([tool("go"), "build", "-o", "streams", "."], folder, environment)
    return [str(folder / "streams")]


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@contextmanager
def serving(command: list[str]) -> Iterator[str]:
    """The URL of a server, which prints its port first."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, "the server ended at once"
            yield f"http://127.0.0.1:{json.loads(line)['port']}/"
        finally:
            process.kill()


def call(command: list[str], url: str) -> dict[str, object]:
    """What each step gave."""
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    steps: dict[str, object] = json.loads(done.stdout)
    return steps


class Cutting(http.server.BaseHTTPRequestHandler):
    """Answers with the beginning of a stream, and ends the connection: each event is an answer, the last is missing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for state in (SUBMITTED, WORKING):
            result = {"task": {"id": "t", "status": {"state": state}}}
            event = f"data: {json.dumps({'jsonrpc': '2.0', 'id': request['id'], 'result': result})}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def cutting() -> Iterator[str]:
    """The URL of a server whose streams break off."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cutting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_no_client_takes_a_part_of_a_stream_for_the_whole(programs: dict[str, list[str]]) -> None:
    with cutting() as url:
        cut = [[SUBMITTED, WORKING], "cut"]
        steps = {"stream": cut, "once": cut, "gone": cut}
        assert {client: call(programs[client], url) for client in LANGUAGES} == dict.fromkeys(LANGUAGES, steps)


@pytest.mark.parametrize("server", LANGUAGES)
def test_every_client_gets_each_answer_of_every_server_as_an_event(programs: dict[str, list[str]], server: str) -> None:
    with serving([*programs[server], "--serve"]) as url:
        assert {client: call(programs[client], url) for client in LANGUAGES} == dict.fromkeys(LANGUAGES, EXPECTED)


def test_every_client_follows_a_task_of_the_node(programs: dict[str, list[str]]) -> None:
    with serving(NODE) as url:
        for client in LANGUAGES:
            steps = call(programs[client], url)
            assert (steps["stream"], steps["once"]) == (FROM_NODE, [[], -32001]), client
