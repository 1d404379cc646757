"""A runtime in memory, raw workers that say on the wire whatever a test wants, and plugins opened against them."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import trio

from protogen_runtime.io.factory import ChannelFactory
from protogen_runtime.stepflow.flow.canonical import blob_id, value_text
from protogen_runtime.stepflow.plugins.config import Config, parse_config
from protogen_runtime.stepflow.plugins.contract import (
    Blob,
    BlobNotFound,
    CallRefused,
    RunQuery,
    RunRequest,
    StepContext,
    StepFailed,
)
from protogen_runtime.stepflow.plugins.opening import Plugins, open_plugins

PATIENCE = 20
"""Seconds after which a test that waits has failed."""

CONTEXT = StepContext(
    run_id="018f0000-0000-7000-8000-000000000001",
    flow_id="f" * 64,
    step_id="s1",
    trace_id="0" * 31 + "1",
    span_id="0" * 15 + "2",
)

INITIALIZED = {"server_protocol_version": 1}


def name_of(value: Any) -> str:
    """The id of the blob of a value."""
    return blob_id(value_text(value))


class MemoryRuntime:
    """Blobs in a dict; runs answer what `flow` gives for each input, and are remembered."""

    def __init__(self, flow: Callable[[Any], Any] | None = None) -> None:
        self.blobs: dict[str, Blob] = {}
        self.requests: list[RunRequest] = []
        self.callers: list[StepContext | None] = []
        self.queries: list[RunQuery] = []
        self._flow = flow or (lambda value: {"outcome": "success", "result": value})

    async def put_blob(self, data: Any, blob_type: str, caller: StepContext | None) -> str:
        await trio.lowlevel.checkpoint()
        self.callers.append(caller)
        name = name_of(data)
        self.blobs[name] = Blob(data, blob_type)
        return name

    async def get_blob(self, blob_id: str, caller: StepContext | None) -> Blob:
        await trio.lowlevel.checkpoint()
        self.callers.append(caller)
        if blob_id not in self.blobs:
            raise BlobNotFound(blob_id)
        return self.blobs[blob_id]

    async def submit_run(self, request: RunRequest, caller: StepContext | None) -> Any:
        await trio.lowlevel.checkpoint()
        self.callers.append(caller)
        self.requests.append(request)
        results = [
            {"itemIndex": index, "status": "completed", "result": self._flow(value)}
            for index, value in enumerate(request.inputs)
        ]
        return self._status(request.flow_id, results if request.wait else None)

    async def get_run(self, query: RunQuery, caller: StepContext | None) -> Any:
        await trio.lowlevel.checkpoint()
        self.callers.append(caller)
        self.queries.append(query)
        if query.run_id == "crash":
            raise RuntimeError("the text of a crash")
        if query.run_id == "refuse":
            raise CallRefused(-32000, "not today", {"why": 1})
        return self._status("f" * 64, [])

    def _status(self, flow_id: str, results: list[Any] | None) -> dict[str, Any]:
        count = len(results or [])
        status: dict[str, Any] = {
            "runId": "018f0000-0000-7000-8000-00000000000a",
            "flowId": flow_id,
            "status": "running" if results is None else "completed",
            "items": {"total": count, "completed": count, "running": 0, "failed": 0, "cancelled": 0},
            "createdAt": "2026-01-01T00:00:00+00:00",
        }
        return status if results is None else {**status, "results": results}


@asynccontextmanager
async def opened(
    config: str | Config, *, runtime: MemoryRuntime | None = None, folder: Path | None = None, **options: Any
) -> AsyncGenerator[Plugins]:
    """The plugins of a configuration."""
    known = config if isinstance(config, Config) else parse_config(config, folder=folder, environment={})
    async with open_plugins(known, runtime or MemoryRuntime(), ChannelFactory(), **options) as plugins:
        yield plugins


async def failure_of(plugins: Plugins, component: str, value: Any = None, context: StepContext = CONTEXT) -> StepFailed:
    """How a step fails."""
    try:
        output = await plugins.execute(component, value, context)
    except StepFailed as failed:
        return failed
    raise AssertionError(f"expected a failure, got {output!r}")


def running(scenario: Callable[[], Awaitable[None]], *, seconds: float = PATIENCE) -> None:
    """Run a scenario under a deadline."""

    async def run() -> None:
        with trio.fail_after(seconds):
            await scenario()

    trio.run(run)


# --- raw workers over HTTP ------------------------------------------------------------------------------


class Request:
    """One HTTP request that came, and the connection that it came on."""

    def __init__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, stream: trio.SocketStream
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.stream = stream

    @property
    def message(self) -> Any:
        """The JSON-RPC message of the body."""
        return json.loads(self.body)

    async def raw(self, data: bytes) -> None:
        """Send bytes."""
        await self.stream.send_all(data)

    async def answer(self, body: bytes, *, status: str = "200 OK", kind: str = "application/json") -> None:
        """Send a whole answer."""
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        await self.raw(head.encode() + body)

    async def result(self, result: Any) -> None:
        """Answer the call with a result."""
        await self.answer(json.dumps({"jsonrpc": "2.0", "id": self.message["id"], "result": result}).encode())

    async def error(self, code: int, message: str, data: Any = None) -> None:
        """Answer the call with an error."""
        error = {"code": code, "message": message, "data": data}
        await self.answer(json.dumps({"jsonrpc": "2.0", "id": self.message["id"], "error": error}).encode())

    async def begin_stream(self, *, instance: str | None = None) -> None:
        """Begin an answer of events."""
        header = "" if instance is None else f"Stepflow-Instance-Id: {instance}\r\n"
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{header}transfer-encoding: chunked\r\n\r\n"
        await self.raw(head.encode())

    async def chunk(self, data: bytes) -> None:
        """One chunk of such an answer; an empty one ends it."""
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, message: Any) -> None:
        """One message as an event."""
        await self.chunk(b"data: " + json.dumps(message).encode() + b"\n\n")


Handle: TypeAlias = Callable[[Request], Awaitable[None]]


class RawWorker:
    """Answers the handshake, and leaves everything else to a function; remembers every request."""

    def __init__(self, handle: Handle | None = None, initialized: Any = None) -> None:
        self.requests: list[Request] = []
        self.came = trio.lowlevel.ParkingLot()
        self.url = ""
        self._handle = handle
        self._initialized = INITIALIZED if initialized is None else initialized

    def methods(self) -> list[str]:
        """The methods that were called, in order."""
        return [request.message["method"] for request in self.requests if request.body and "method" in request.message]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a request changes."""
        while not condition():
            await self.came.park()

    async def take(self, request: Request) -> None:
        """Answer one request."""
        self.requests.append(request)
        self.came.unpark_all()
        method = request.message.get("method") if request.body else None
        if method == "initialize":
            await request.result(self._initialized)
        elif (method is None and request.method == "POST") or method == "initialized":
            await request.answer(b"", status="202 Accepted")
        elif self._handle is not None:
            await self._handle(request)
        else:
            await request.result({"output": request.message["params"]["input"]})

    async def _connection(self, stream: trio.SocketStream) -> None:
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = await stream.receive_some()
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                lines = head.decode().split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
                }
                length = int(headers.get("content-length", "0"))
                while len(buffer) < length:
                    buffer += await stream.receive_some()
                body, buffer = buffer[:length], buffer[length:]
                await self.take(Request(method, path, headers, body, stream))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the runtime has gone, or the test has closed it

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[RawWorker]:
        """Serve as long as the context lasts."""
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, self._connection, 0, host="127.0.0.1")
            (listener,) = await nursery.start(serve)
            self.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            yield self
            nursery.cancel_scope.cancel()


class BlobApi(RawWorker):
    """The HTTP API for blobs, which workers of 0.11 use."""

    def __init__(self, runtime: MemoryRuntime) -> None:
        super().__init__()
        self._runtime = runtime

    async def take(self, request: Request) -> None:
        self.requests.append(request)
        if request.method == "POST":
            blob = request.message
            name = await self._runtime.put_blob(blob["data"], blob["blobType"], None)
            await request.answer(json.dumps({"blobId": name}).encode())
            return
        blob = self._runtime.blobs.get(request.path.rpartition("/")[2])
        if blob is None:
            await request.answer(b'{"code": 404, "message": "Blob not found"}', status="404 Not Found")
        else:
            await request.answer(json.dumps({"data": blob.data, "blobType": blob.blob_type}).encode())


@asynccontextmanager
async def raw_worker(
    handle: Handle | None = None,
    *,
    runtime: MemoryRuntime | None = None,
    initialized: Any = None,
    settings: str = "",
    before: str = "",
    **options: Any,
) -> AsyncGenerator[tuple[RawWorker, Plugins]]:
    """A raw worker at a URL, and the plugins of a configuration with it behind /w/….

    `before` stands ahead of it in the configuration. `settings` are those of the plugin; behind /patient/… is the same
    worker without them, where there are some.
    """
    async with RawWorker(handle, initialized).serving() as worker:
        plain = f'{{type: stepflow, url: "{worker.url}"'
        others = f", patient: {plain}}}" if settings else ""
        config = f"{before}plugins: {{w: {plain}{settings}}}{others}}}\n{PATIENT_ROUTES if settings else ROUTES}"
        async with opened(config, runtime=runtime, **options) as plugins:
            yield worker, plugins


ROUTES = 'routes: {"/w/{*component}": [{plugin: w}]}\n'
PATIENT_ROUTES = 'routes: {"/w/{*component}": [{plugin: w}], "/patient/{*component}": [{plugin: patient}]}\n'


# --- raw workers as programs ----------------------------------------------------------------------------


PRELUDE = """
import json, os, signal, sys, threading, time
def read():
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)
def write(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()
def result(message, value):
    write({"jsonrpc": "2.0", "id": message["id"], "result": value})
def output(message, value):
    result(message, {"output": value})
def greet():
    message = read()
    assert message["method"] == "initialize", message
    result(message, {"server_protocol_version": 1})
    assert read()["method"] == "initialized"
"""


def program(folder: Path, source: str) -> str:
    """A Python program in a file; its settings in a configuration, in YAML's flow style."""
    file = folder / "worker.py"
    file.write_text(PRELUDE + textwrap.dedent(source), "utf-8")
    return json.dumps({"command": sys.executable, "args": ["-P", "-S", str(file)]})[1:-1]


def stdio_config(folder: Path, source: str, settings: str = "") -> str:
    """A configuration with a worker over stdio behind /w/…."""
    return f"plugins: {{w: {{type: stepflow, transport: stdio, {program(folder, source)}{settings}}}}}\n{ROUTES}"


async def all_of(calls: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """What calls that run at the same time give, in their order."""
    results: list[Any] = [None] * len(calls)

    async def one(index: int) -> None:
        results[index] = await calls[index]()

    async with trio.open_nursery() as nursery:
        for index in range(len(calls)):
            nursery.start_soon(one, index)
    return results
