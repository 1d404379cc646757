"""Apps served in the test's own process over real sockets and pipes, and raw bytes sent to them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

import trio
from plugin_rig import ROUTES, MemoryRuntime, opened

from protogen_runtime.io.factory import ChannelFactory
from protogen_runtime.io.http import server
from protogen_runtime.io.stdio import serve_stdio
from protogen_runtime.stepflow.plugins.opening import Plugins
from protogen_runtime.stepflow.worker import App
from protogen_runtime.workers import Settings, WorkerLimits, make_shell

__all__ = ["ChannelFactory", "Lines", "execute_message", "plugins_of", "post", "serving", "serving_lines"]


@asynccontextmanager
async def serving(
    app: App, *, until: Callable[[], Any] | None = None, graceful_seconds: float = 0.1
) -> AsyncGenerator[str]:
    """An app over HTTP and in sessions; its URL."""
    settings = Settings(port=0, limits=WorkerLimits(graceful_seconds=graceful_seconds))
    shell = make_shell(app, app.make_service(), settings)
    with closing(server.bind(settings)) as sock:
        sock.listen(128)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, shell, settings, sock, until=until))
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def plugins_of(
    app: App, transport: str = "http", runtime: MemoryRuntime | None = None
) -> AsyncGenerator[Plugins]:
    """The plugins of a runtime with the app behind /w/…."""
    async with serving(app) as url:
        config = f'plugins: {{w: {{type: stepflow, transport: {transport}, url: "{url}"}}}}\n{ROUTES}'
        async with opened(config, runtime=runtime) as plugins:
            yield plugins


class Answer:
    """A raw HTTP answer."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


async def post(url: str, body: bytes, *, path: str = "/", verb: str = "POST", **headers: str) -> Answer:
    """Send bytes as they are on a connection of their own, and read to its end."""
    host, _, port = url.removeprefix("http://").partition(":")
    known = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    known |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in known.items() if value)
    head = f"{verb} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}content-length: {len(body)}\r\n\r\n"
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        await stream.send_all(head.encode() + body)
        data = b""
        async for chunk in stream:
            data += chunk
    return Answer(data)


def execute_message(component: str, value: Any = None, *, request_id: Any = 1, **params: Any) -> bytes:
    """A call of a component, as the runtime sends it."""
    known = {"component": component, "input": value, "attempt": 1, "observability": {}, **params}
    message = {"jsonrpc": "2.0", "id": request_id, "method": "components/execute", "params": known}
    return json.dumps(message).encode()


class Lines:
    """The runtime's end of the pipes of a worker."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = trio.lowlevel.FdStream(source)
        self._sink = trio.lowlevel.FdStream(sink)
        self._buffer = b""

    async def send(self, *lines: bytes) -> None:
        """Write lines."""
        await self._sink.send_all(b"".join(line + b"\n" for line in lines))

    async def receive(self) -> Any:
        """The next message; None at the end."""
        while b"\n" not in self._buffer:
            data = await self._source.receive_some()
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    async def end(self) -> None:
        """Say that nothing more comes."""
        await self._sink.aclose()

    async def aclose(self) -> None:
        """Close both."""
        await self._sink.aclose()
        await self._source.aclose()


@asynccontextmanager
async def serving_lines(app: App) -> AsyncGenerator[Lines]:
    """An app over two pipes."""
    source, their_sink = os.pipe()
    their_source, sink = os.pipe()
    lines = Lines(source, sink)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(serve_stdio, app.make_service(), source=their_source, sink=their_sink))
            yield lines
            await lines.end()
    finally:
        await lines.aclose()
        os.close(their_sink)
        os.close(their_source)
