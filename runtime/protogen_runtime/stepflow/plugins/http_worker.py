"""Workers over Streamable HTTP: at a URL, or as a process that announces its port (spec section 5).

Knows no HTTP beyond the question after a worker's health; `contract.Channels` makes the channels.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import httpx
import msgspec
import trio

from protogen_runtime.dispatch import Channel, Service
from protogen_runtime.dispatch.prompt import CallSoon, PromptChannel
from protogen_runtime.jsonrpc import FrameTooLong, LineFramer

from .config import Health, Program
from .contract import CANNOT_SPAWN, NO_CONNECTION, Channels, StepFailed
from .lenient import reader
from .links import Connect, Link, no
from .processes import MAX_LINE_BYTES, Running, WorkerLog, running

CLOSE_SECONDS: Final = 2.0
"""How long closing the connections to a worker may take."""


class _Announcement(msgspec.Struct):
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]


_read_announcement = msgspec.json.Decoder(_Announcement).decode


def connect_url(url: str, channels: Channels, *, lenient: bool) -> Connect:
    """How a worker at a URL is connected to. It is never lost: each call finds out for itself whether it is there."""

    @asynccontextmanager
    async def connect(callbacks: Service, nursery: trio.Nursery) -> AsyncGenerator[Link]:
        async with (
            _opened(channels.http(url, callbacks=callbacks, read=reader(lenient=lenient))) as channel,
            _watched(channel, nursery) as soon,
        ):
            yield Link(channel, _never, _unknown, no, no, call_soon=soon)

    return connect


def connect_program(
    program: Program, channels: Channels, *, directory: Path, health: Health, name: str, lenient: bool
) -> Connect:
    """How a worker that is started, announces its port and serves HTTP there is connected to."""

    @asynccontextmanager
    async def connect(callbacks: Service, nursery: trio.Nursery) -> AsyncGenerator[Link]:
        log = WorkerLog(name)
        async with running(program, directory=directory, log=log, nursery=nursery, has_input=False) as process:
            scope = trio.CancelScope()
            port = await _port(process, log, health, nursery, scope)
            try:
                url = f"http://127.0.0.1:{port}"
                await _until_healthy(url, health, process, name)
                channel = channels.http(f"{url}/", callbacks=callbacks, read=reader(lenient=lenient))
                async with _opened(channel), _watched(channel, nursery) as soon:
                    yield Link(
                        channel,
                        process.ended,
                        process.fate,
                        process.has_ended,
                        no,
                        has_process=True,
                        call_soon=soon,
                    )
            finally:
                scope.cancel()

    return connect


async def _never() -> str:
    await trio.sleep_forever()
    raise AssertionError


async def _unknown() -> None:
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def _opened(channel: Channel) -> AsyncGenerator[Channel]:
    await channel.open()
    try:
        yield channel
    finally:
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await channel.aclose()


@asynccontextmanager
async def _watched(channel: Channel, nursery: trio.Nursery) -> AsyncGenerator[CallSoon | None]:
    """How the channel is called without tasks, as long as the context lasts; None where it cannot be."""
    if not isinstance(channel, PromptChannel):
        yield None
        return
    scope = trio.CancelScope()

    async def watch() -> None:
        with scope:
            await channel.watch()

    nursery.start_soon(watch)
    try:
        yield channel.call_soon
    finally:
        scope.cancel()


async def _port(
    process: Running, log: WorkerLog, health: Health, nursery: trio.Nursery, scope: trio.CancelScope
) -> int:
    """The port that the process announces; what it prints before and afterwards is logged. Errors: StepFailed."""
    stream = trio.lowlevel.FdStream(process.source)
    framer = LineFramer(MAX_LINE_BYTES)
    ports: list[int] = []
    try:
        with trio.move_on_after(health.timeout_seconds):
            while not ports and (data := await stream.receive_some(65_536)):
                for line in framer.feed(data):
                    port = None if ports else _announced(line)
                    if port is None:
                        log.line(line, level=logging.INFO if ports else logging.WARNING)
                    else:
                        ports.append(port)
    finally:
        if not ports:
            with trio.CancelScope(shield=True):
                await stream.aclose()
    if ports:
        nursery.start_soon(_log_rest, stream, framer, log, scope)
        return ports[0]
    fate = await process.fate()
    told = fate or f"it announced no port within {health.timeout_seconds:g} s{log.last_words()}"
    expected = 'expected a line {"port": N} on its standard output'
    raise StepFailed(CANNOT_SPAWN, f"worker {log.name}: {expected}, but {told}", kind="transport")


def _announced(line: bytes | FrameTooLong) -> int | None:
    if isinstance(line, FrameTooLong):
        return None
    try:
        return _read_announcement(line).port
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


async def _log_rest(
    stream: trio.lowlevel.FdStream, framer: LineFramer, log: WorkerLog, scope: trio.CancelScope
) -> None:
    with scope:
        async with stream:
            while data := await stream.receive_some(65_536):
                for line in framer.feed(data):
                    log.line(line)


async def _until_healthy(url: str, health: Health, process: Running, name: str) -> None:
    """Ask until the answer is 2xx. Errors: StepFailed where that takes too long, or the process ends meanwhile."""
    told = "it did not answer"
    # Not by way of a proxy: the worker is on this machine.
    async with httpx.AsyncClient(trust_env=False, timeout=health.timeout_seconds) as http:
        with trio.move_on_after(health.timeout_seconds):
            while True:
                try:
                    response = await http.get(f"{url}{health.path}")
                except httpx.HTTPError as error:
                    told = str(error) or type(error).__name__
                else:
                    if response.is_success:
                        return
                    told = f"HTTP status {response.status_code}"
                with trio.move_on_after(health.retry_seconds):
                    told = await process.ended()
                    break
    where = f"GET {url}{health.path}"
    raise StepFailed(NO_CONNECTION, f"worker {name}: {where} did not succeed: {told}", kind="transport")
