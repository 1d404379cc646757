"""Servers of every transport, each serving a service in the test's own process for as long as its context lasts."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.io.channel import Bounds, Channel, FrameStream
from protogen_runtime.io.client import channel_to
from protogen_runtime.io.contract import Connect
from protogen_runtime.io.http import hook
from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.server import Settings, Tls, bind, serve
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.io.memory import memory_streams
from protogen_runtime.io.peer import Peer, PeerChannel
from protogen_runtime.io.session import SessionApp, SessionBounds
from protogen_runtime.io.stdio import pipe_stream, serve_stdio
from protogen_runtime.observe import Instruments


class Authority(NamedTuple):
    """A certificate authority of the tests': what a server at localhost and 127.0.0.1 shows, and whom to trust."""

    tls: Tls
    trust: Path

    def context(self) -> ssl.SSLContext:
        """A context that trusts nobody else."""
        return ssl.create_default_context(cafile=str(self.trust))


async def serve_stream(stream: FrameStream, service: Service, bounds: Bounds | None = None) -> None:
    """One connection, closed when it has ended."""
    try:
        await Peer(stream, service, bounds=bounds).run()
    finally:
        with trio.CancelScope(shield=True):
            await stream.aclose()


@asynccontextmanager
async def memory(service: Service) -> AsyncGenerator[Connect]:
    """Every channel gets a pair of its own."""
    async with trio.open_nursery() as nursery:

        async def open_stream() -> FrameStream:
            await trio.lowlevel.checkpoint()
            ours, theirs = memory_streams()
            nursery.start_soon(serve_stream, theirs, service)
            return ours

        yield lambda callbacks: PeerChannel(open_stream, callbacks=callbacks)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def pipes(service: Service) -> AsyncGenerator[Connect]:
    """What serves standard input and output, on pipes of the test's own."""
    async with trio.open_nursery() as nursery:

        async def run(source: int, sink: int) -> None:
            try:
                await serve_stdio(service, bounds=Bounds(finish_seconds=0), source=source, sink=sink)
            finally:
                os.close(source)
                os.close(sink)

        async def open_stream() -> FrameStream:
            await trio.lowlevel.checkpoint()
            their_source, our_sink = os.pipe()
            our_source, their_sink = os.pipe()
            nursery.start_soon(run, their_source, their_sink)
            return pipe_stream(our_source, our_sink)

        yield lambda callbacks: PeerChannel(open_stream, callbacks=callbacks)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def http_shell(
    service: Service,
    app: Callable[..., Awaitable[None]] | None = None,
    limits: Limits | None = None,
    access: Access | None = None,
    tls: Tls | None = None,
    instruments: Instruments | None = None,
) -> AsyncGenerator[str]:
    """The server shell on a free port; yields its authority."""
    assert hook.install() is None
    settings = Settings(port=0, limits=limits or Limits(graceful_seconds=0.1), access=access or Access(), tls=tls)
    shell = Shell(service, limits=settings.limits, app=app, access=settings.access, instruments=instruments)
    sock = bind(settings)
    with closing(sock):
        sock.listen(128)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, shell, settings, sock))
            yield f"127.0.0.1:{sock.getsockname()[1]}"
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def http(service: Service) -> AsyncGenerator[Connect]:
    """Streamable HTTP."""
    async with http_shell(service) as authority:
        yield partial(_channel, f"http://{authority}/")


@asynccontextmanager
async def websocket(service: Service) -> AsyncGenerator[Connect]:
    """WebSocket."""
    async with http_shell(service) as authority:
        yield partial(_channel, f"ws://{authority}/")


@asynccontextmanager
async def sessions(service: Service, bounds: SessionBounds | None = None) -> AsyncGenerator[Connect]:
    """Sessions."""
    app: Any = SessionApp(service, bounds=bounds)
    async with http_shell(service, app) as authority:
        yield partial(_channel, f"sse+http://{authority}/events")


def _channel(target: str, callbacks: Service | None) -> Channel:
    return channel_to(target, callbacks=callbacks)
