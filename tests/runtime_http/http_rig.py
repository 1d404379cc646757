"""A real server on a real socket, in the test's own trio loop."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.echo import make_service
from protogen_runtime.io.http import hook
from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.server import Settings, Tls, bind, serve
from protogen_runtime.io.http.shell import Shell

TEST_SECONDS = 30


class Server:
    """A server under test."""

    def __init__(self, port: int, shell: Shell, stop: Callable[[], None]) -> None:
        self.port = port
        self.shell = shell
        self.stop = stop
        self._streams: list[trio.SocketStream] = []

    async def connect(self, tls: ssl.SSLContext | None = None) -> Any:
        """A connection to it."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self._streams.append(stream)
        if tls is None:
            return stream
        return trio.SSLStream(stream, tls, server_hostname="localhost", https_compatible=True)

    def hang_up(self) -> None:
        """Close every connection that `connect` made."""
        for stream in self._streams:
            stream.socket.close()
        self._streams.clear()

    async def exchange(self, data: bytes, *, pieces: int = 0, tls: ssl.SSLContext | None = None) -> bytes:
        """Everything that the server says to `data` (sent in pieces of that size) until it closes."""
        stream = await self.connect(tls)
        try:
            for start in range(0, len(data), pieces or len(data)):
                await stream.send_all(data[start : start + (pieces or len(data))])
        except trio.BrokenResourceError:
            pass
        got = b""
        try:
            while chunk := await stream.receive_some(65536):
                got += chunk
        except trio.BrokenResourceError:
            pass
        await trio.aclose_forcefully(stream)
        return got


def post(body: bytes | str, *headers: str, close: bool = False, path: str = "/") -> bytes:
    """A POST of JSON as bytes."""
    data = body.encode() if isinstance(body, str) else body
    names = {header.partition(":")[0].lower() for header in headers}
    lines = [f"POST {path} HTTP/1.1"]
    lines += [] if "host" in names else ["Host: localhost"]
    lines += [] if "content-type" in names else ["Content-Type: application/json"]
    lines += [] if names & {"content-length", "transfer-encoding"} else [f"Content-Length: {len(data)}"]
    lines += [*headers, *(["Connection: close"] if close else [])]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data


def call(method: str, params: object = msgspec.UNSET, request_id: object = 1) -> bytes:
    """A JSON-RPC call as bytes."""
    message = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return msgspec.json.encode(message if params is msgspec.UNSET else {**message, "params": params})


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


@asynccontextmanager
async def running(
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    service: Service | None = None,
    tls: Tls | None = None,
    **more: Any,
) -> AsyncGenerator[Server]:
    """A server with these bounds; it has shut down when the block is left."""
    assert hook.install() is None
    settings = Settings(port=0, tls=tls, limits=limits or Limits(), access=access or Access())
    sock = bind(settings)
    sock.listen(1024)
    shell = Shell(service or make_service(), limits=settings.limits, access=settings.access, **more)
    stopped = trio.Event()

    async def run(task_status: Any) -> None:
        await serve(shell, settings, sock, until=stopped.wait, task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        server = Server(sock.getsockname()[1], shell, stopped.set)
        try:
            yield server
        finally:
            server.hang_up()
            stopped.set()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous test within TEST_SECONDS."""

    async def bounded() -> None:
        with trio.fail_after(TEST_SECONDS):
            await test()

    trio.run(bounded)
