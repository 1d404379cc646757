"""Nodes as processes, and raw ways to ask them: what came over the wire, byte for byte."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

SERVE = [sys.executable, "-P", "-m", "protogen", "serve", "apflow"]
SECONDS = 60


class Answer(msgspec.Struct):
    """A whole answer of HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Node:
    """A node that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, errors: Path, tls: ssl.SSLContext | None) -> None:
        self.process = process
        self.port = port
        self.tls = tls
        self._errors = errors
        self._kept: http.client.HTTPConnection | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://localhost:{self.port}/"

    @property
    def log(self) -> str:
        """What the node wrote to stderr."""
        return self._errors.read_text()

    def hang_up(self) -> None:
        """Close the connection that stayed."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def connect(self) -> socket.socket:
        client = socket.create_connection(("localhost", self.port), timeout=SECONDS)
        if self.tls is None:
            return client
        self.tls.set_alpn_protocols(["http/1.1"])
        return self.tls.wrap_socket(client, server_hostname="localhost")

    def send(self, body: bytes, headers: Mapping[str, str] | None = None, *, path: str = "/") -> Answer:
        """The answer to a POST on a connection of its own."""
        given = {"Host": "localhost", "Content-Type": "application/json", "Connection": "close", **(headers or {})}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("utf-8", "surrogateescape")
        with self.connect() as client:
            client.sendall(head + body)
            return read_answer(client)

    def ask(self, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a POST, on a connection that stays; for one thread."""
        if self._kept is None:
            self._kept = http.client.HTTPConnection("localhost", self.port, timeout=SECONDS)
        self._kept.request("POST", "/", body, {"Content-Type": "application/json", **(headers or {})})
        answer = self._kept.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())

    def call(self, method: str, params: object, *, token: str | None = None, **beside: object) -> Any:
        """The whole message that answers a call."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **beside}
        return self.ask(json.dumps(message).encode(), bearer(token)).json

    def result(self, method: str, params: object, *, token: str | None = None) -> Any:
        answer = self.call(method, params, token=token)
        assert "result" in answer, answer
        return answer["result"]


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def read_answer(client: socket.socket) -> Answer:
    """An answer that the end of the connection ends."""
    data = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    return Answer(int(first.split()[1]), headers, body)


def _chunks(data: bytes) -> Iterator[bytes]:
    while data:
        size, _, data = data.partition(b"\r\n")
        yield data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]


def handshake(headers: Mapping[str, str], *, path: str = "/") -> bytes:
    """What asks for a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    asked = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items()), "", ""]
    return "\r\n".join(lines).encode()


@contextmanager
def serving(
    folder: Path,
    config: str = "",
    *options: str,
    tls: ssl.SSLContext | None = None,
    database: str | None = None,
    is_killed: bool = False,
) -> Generator[Node]:
    """A node with these settings (TOML), on a database in the folder; it has ended when the block is left.

    `is_killed`: within the block, by whoever uses it.
    """
    file, errors = folder / "node.toml", folder / "stderr"
    file.write_text(config)
    address = database or f"sqlite:///{folder / 'apflow.db'}"
    command = [*SERVE, "--port", "0", "--announce", "--db", address, "--config", str(file), *options]
    with errors.open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, errors.read_text()
        node = Node(process, json.loads(line)["port"], errors, tls)
        try:
            yield node
        finally:
            node.hang_up()
        process.terminate()
        assert process.wait(SECONDS) == (-signal.SIGKILL if is_killed else 0)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def events_of(text: bytes) -> list[tuple[str, Any]]:
    """Name and data of each event of a stream."""
    found: list[tuple[str, Any]] = []
    for block in text.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines.get("event", "message"), json.loads(lines["data"])))
    return found
