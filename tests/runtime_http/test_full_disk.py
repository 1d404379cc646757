"""A disk that is full while a server serves: errors, nothing acknowledged lost, and service again with new space."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

PROGRAM = Path(__file__).with_name("store_server.py")
SMALL_DISK = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" -P "$3" "$1" filler'
NAMESPACES = (["--user", "--map-root-user", "--mount"], ["--mount"])
CLIENTS = 4


class Server:
    def __init__(self, http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
        self.http = http
        self.process = process

    def ask(self, value: object) -> Any:
        """The result, or the code of the error."""
        call = {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"value": value}}
        answer = self.http.post("/", json=call)
        assert answer.status_code == 200
        found = answer.json()
        return found["result"]["value"] if "result" in found else found["error"]

    def make_room(self) -> None:
        note = {"jsonrpc": "2.0", "method": "notify", "params": {"topic": "space"}}
        assert self.http.post("/", json=note).status_code == 202


@contextmanager
def serving(command: list[str]) -> Iterator[Server]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            port = msgspec.json.decode(process.stdout.readline())["port"]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
                yield Server(http, process)
        finally:
            process.kill()
            process.wait(20)


def small_disk(folder: Path) -> list[str]:
    for namespaces in NAMESPACES:
        unshare = ["unshare", *namespaces]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            return [*unshare, "sh", "-c", SMALL_DISK, "sh", str(folder), sys.executable, str(PROGRAM)]
    reason = "a disk of its own needs root, or user namespaces that are permitted"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("how", ["filler", "limit"])
def test_server_on_a_full_disk(how: str, tmp_path: Path) -> None:
    program = [sys.executable, "-P", str(PROGRAM), str(tmp_path)]
    with serving(small_disk(tmp_path) if how == "filler" else [*program, "limit"]) as server:
        acknowledged: list[str] = []
        refused: list[str] = []

        def fill(client: int) -> None:
            for number in range(10_000):
                key = f"{client}-{number}"
                if server.ask(key) != key:
                    refused.append(key)
                    return
                acknowledged.append(key)

        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(fill, range(CLIENTS)))
        assert len(acknowledged) > 20
        assert len(refused) == CLIENTS
        # Full: who writes is told, who reads is served, and so is everybody else.
        for number in range(5):
            assert server.ask(f"full-{number}") == {"code": -32603, "message": "Internal error"}
        assert set(server.ask(None)) == set(acknowledged)
        assert server.http.get("/health").status_code == 200
        server.make_room()
        for number in range(20):
            assert server.ask(f"after-{number}") == f"after-{number}"
            acknowledged.append(f"after-{number}")
        assert set(server.ask(None)) == set(acknowledged)
    if how == "limit":
        # It was killed; what was acknowledged is there.
        with serving([*program, "none"]) as server:
            assert set(server.ask(None)) == set(acknowledged)
