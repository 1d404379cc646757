"""A toy protocol built into a package, its server over every transport, and a client of it, under trio and asyncio."""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import anyio
import anyio.abc
import hypercorn.asyncio
import hypercorn.trio
import pytest
import sniffio
from hypercorn.config import Config

from protogen import ir
from protogen.build import read_protocol
from protogen.output import GeneratedFile, Options
from protogen.render import Templates
from protogen.targets.python.target import TARGET

HERE = Path(__file__).parent

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


def read(path: Path) -> ir.Protocol:
    """A schema file as IR."""
    protocol, problems = read_protocol(path, root=path.parent)
    assert protocol is not None, "\n".join(map(str, problems))
    return protocol


def generate(protocol: ir.Protocol, *, package: str = "toy_protocol") -> list[GeneratedFile]:
    """All files of the SDK."""
    files, problems = TARGET.generate(protocol, Options(package=package, distribution="toy-protocol"), Templates())
    assert problems == []
    return files


def write(files: list[GeneratedFile], folder: Path) -> Path:
    """The files on disk; the folder."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, "utf-8")
    return folder


@pytest.fixture(scope="session")
def toy_protocol() -> ir.Protocol:
    """The toy protocol as IR."""
    return read(HERE / "toy.json")


@pytest.fixture(scope="session")
def toy_folder(toy_protocol: ir.Protocol, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy SDK as it would be published."""
    return write(generate(toy_protocol), tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def toy(toy_folder: Path) -> Generator[ModuleType]:
    """The toy SDK, imported."""
    sys.path.insert(0, str(toy_folder))
    try:
        yield importlib.import_module("toy_protocol")
    finally:
        sys.path.remove(str(toy_folder))


@pytest.fixture(scope="session")
def program() -> ModuleType:
    """The module of the toy server."""
    sys.path.insert(0, str(HERE))
    try:
        return importlib.import_module("toy_server")
    finally:
        sys.path.remove(str(HERE))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every asynchronous test runs under both."""
    return str(request.param)


@asynccontextmanager
async def http_server(app: Any) -> AsyncGenerator[str]:
    """An ASGI application on a port of its own, served by hypercorn on the current event loop; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = Config()
        # hypercorn closes the descriptor that it is given.
        config.bind = [f"fd://{os.dup(listener.fileno())}"]
        config.graceful_timeout = 0.5
        stop = anyio.Event()
        backend = hypercorn.trio if sniffio.current_async_library() == "trio" else hypercorn.asyncio
        serve: Callable[..., Awaitable[None]] = backend.serve
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: serve(app, config, shutdown_trigger=stop.wait))
            try:
                yield f"http://127.0.0.1:{port}/"
            finally:
                stop.set()


@pytest.fixture
def connectors(toy: Any, program: Any, toy_folder: Path) -> dict[str, Connect]:
    """By transport, a client of a new toy server: `async with connect(callbacks=dispatcher, timeout=…) as client`."""

    @asynccontextmanager
    async def memory(*, callbacks: Any = None, **options: Any) -> AsyncGenerator[Any]:
        served = toy.server_dispatcher(program.Server(toy))
        async with toy.memory_pair(callbacks, served) as (channel, _), toy.ServerClient(channel, **options) as client:
            yield client

    @asynccontextmanager
    async def http(*, callbacks: Any = None, **options: Any) -> AsyncGenerator[Any]:
        app = toy.AsgiApp(toy.server_dispatcher(program.Server(toy)))
        async with http_server(app) as url, toy.ServerClient.http(url, callbacks=callbacks, **options) as client:
            yield client

    @asynccontextmanager
    async def stdio(*, callbacks: Any = None, **options: Any) -> AsyncGenerator[Any]:
        command = [sys.executable, "-P", str(HERE / "toy_server.py"), str(toy_folder)]
        async with toy.ServerClient.stdio(command, callbacks=callbacks, **options) as client:
            yield client

    return {"memory": memory, "http": http, "stdio": stdio}


@pytest.fixture(params=["memory", "http", "stdio"])
def connect(request: pytest.FixtureRequest, connectors: dict[str, Connect]) -> Connect:
    """A client of a new toy server over each transport."""
    return connectors[request.param]


@pytest.fixture
def serve() -> Callable[[Any], AbstractAsyncContextManager[str]]:
    """An ASGI application on a real port: `async with serve(app) as url`."""
    return http_server


@pytest.fixture(scope="session")
def build() -> Callable[[Path, Path], Path]:
    """Builds the SDK of a schema file into a folder: `build(schema, folder)`."""
    return lambda schema, folder: write(generate(read(schema)), folder)


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], ir.Protocol]:
    """Reads a schema document that is not on disk."""
    path = tmp_path_factory.mktemp("schema") / "random.json"

    def read_document(document: dict[str, Any]) -> ir.Protocol:
        path.write_text(json.dumps(document), "utf-8")
        return read(path)

    return read_document


@pytest.fixture(scope="session")
def sources() -> Callable[[ir.Protocol], dict[str, str]]:
    """The text of each generated module of a protocol, by its name in the package."""
    templates = Templates()

    def texts(protocol: ir.Protocol) -> dict[str, str]:
        files, problems = TARGET.generate(protocol, Options(package="x", distribution="x"), templates)
        assert problems == []
        return {file.path.removeprefix("x/"): file.text for file in files}

    return texts
