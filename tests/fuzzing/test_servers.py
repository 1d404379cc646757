"""Servers of ours under the fuzzer, and the model of a Stepflow runtime on sound and on forgetful ones."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import openapi

from protogen_compliance.fuzz.description import describe
from protogen_compliance.fuzz.endpoint import Endpoint
from protogen_compliance.fuzz.engine import Run, Settings, run
from protogen_compliance.fuzz.models.stepflow import RuntimeModel
from protogen_compliance.fuzz.steps import Found, Session
from protogen_compliance.peer.http import parse_url


@contextmanager
def serving(*words: str, folder: Path | None = None) -> Generator[str]:
    """The address of a server that `protogen` starts."""
    command = [sys.executable, "-P", "-m", "protogen", *words, "--port", "0", "--announce"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}/"
        finally:
            server.terminate()


def told(done: Run) -> list[str]:
    return [f"{it.level} {it.title}: {it.text}" for it in done.findings]


@pytest.fixture(scope="module")
def stepflow(root: Path) -> Any:
    """The document of the Stepflow Protocol."""
    return openapi(root / "schemas" / "stepflow" / "0.9" / "protocol.json")


def test_echo_server_gives_no_finding(root: Path) -> None:
    document = openapi(root / "schemas" / "echo" / "protocol.json")
    with serving("serve", "echo") as url:
        done = run(Settings(url=url, protocol="echo", seconds=20, rounds=0), document)
    assert told(done) == []
    assert done.role == "server"
    # The server called the fuzzer back, was told that there is no such method, and said so.
    assert done.met["callback"]["409"] >= 1


def test_worker_gives_no_finding(root: Path, stepflow: Any) -> None:
    folder = root / "docs" / "examples" / "stepflow" / "python"
    with serving("worker", "components:app", folder=folder) as url:
        done = run(Settings(url=url, protocol="stepflow", seconds=5, rounds=1), stepflow)
    assert told(done) == []
    assert done.role == "worker"
    assert done.met["components/info"]["200"] >= 1


class _Runtime(BaseHTTPRequestHandler):
    """The JSON-RPC methods of a runtime that runs flows without steps."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    blobs: dict[str, tuple[Any, str]]
    runs: dict[str, dict[str, Any]]
    loses: str
    """What it does wrong."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            reply["result"] = self.answer(request["method"], request["params"])
        except LookupError:
            reply["error"] = {"code": -32000, "message": "not found"}
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def answer(self, method: str, params: Any) -> Any:
        match method:
            case "blobs/put":
                if params["blob_type"] == "flow" and not isinstance(params["data"], dict):
                    raise LookupError
                salt = str(len(self.blobs)) if self.loses == "sameness" else ""
                key = hashlib.sha256((json.dumps(params, sort_keys=True) + salt).encode()).hexdigest()
                self.blobs[key] = params["data"], params["blob_type"]
                return {"blob_id": key}
            case "blobs/get":
                data, kind = self.blobs[params["blob_id"]]
                return {"data": None if self.loses == "data" else data, "blob_type": kind}
            case "runs/submit":
                if params["flowId"] not in self.blobs:
                    raise LookupError
                return self.submit(params)
            case "runs/get":
                kept = self.runs[params["runId"]]
                return kept if params.get("includeResults") else {k: v for k, v in kept.items() if k != "results"}
            case _:
                raise LookupError

    def submit(self, params: Any) -> Any:
        count = len(params["inputs"]) - (self.loses == "items")
        good = {"outcome": "success", "result": 1}
        results = [{"itemIndex": at, "status": "completed", "result": good} for at in range(count)]
        items = {"total": count, "completed": count, "running": 0, "failed": 0, "cancelled": 0}
        made = {"runId": str(uuid.uuid4()), "flowId": params["flowId"], "status": "completed", "items": items}
        made |= {"createdAt": "2026-01-01T00:00:00+00:00", "results": results}
        self.runs[made["runId"]] = made
        return made

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Stays silent."""


@contextmanager
def runtime(loses: str = "") -> Generator[str]:
    """The address of such a runtime."""
    handler = type("Handler", (_Runtime,), {"blobs": {}, "runs": {}, "loses": loses})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def walked(url: str, document: Any) -> set[str]:
    """The checks of a runtime's walks that found something; how it treats what is no request is not asked here."""
    description = describe("stepflow", document)
    endpoint = Endpoint(parse_url(url), description, headers={}, patience=5)
    endpoint.forget()
    found: set[str] = set()
    for seed in range(8):
        session = Session(description, endpoint, None, None)
        model = RuntimeModel(session, {})
        chance = random.Random(seed)
        try:
            for _ in range(30):
                model.play(*model.draw(chance))
        except Found as reason:
            found.add(reason.fault.check)
    endpoint.close()
    return found


@pytest.mark.parametrize(
    ("loses", "found"),
    [
        ("", set()),
        ("sameness", {"blob-id"}),
        ("data", {"blob-data"}),
        ("items", {"run-items"}),
    ],
)
def test_walk_finds_what_a_runtime_loses(stepflow: Any, loses: str, found: set[str]) -> None:
    with runtime(loses) as url:
        assert walked(url, stepflow) == found
