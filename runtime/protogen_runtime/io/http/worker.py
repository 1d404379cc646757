"""The connections of one worker, from acceptance to end. In the clear no part of hypercorn is needed for that.

Knows no hypercorn: WebSocket and HTTP/2 go to a `HandOver`. Importing hypercorn with all its protocols takes a fifth of
the start of a server and of its memory, so it is left to those servers that meet a client who needs it.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeAlias

import trio

from .connection import Connection
from .framing import Upgrade
from .messages import encode_reply, refusal
from .shell import Shell
from .wire import GONE, PlainWire, TlsWire, Wire

Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]

HandOver: TypeAlias = Callable[[Upgrade | None], Awaitable[None]]
"""Serves a connection to its end: the handshake of a WebSocket has been read, or HTTP/2 begins."""


class Others(Protocol):
    """Serves what is not HTTP/1.1."""

    async def hand_over(self, stream: Stream, upgrade: Upgrade | None) -> None:
        """Serve a connection to its end."""
        ...

    async def end(self) -> None:
        """Ask all of them to end soon."""
        ...


async def serve_plain(
    shell: Shell,
    sock: socket.socket,
    others: Others,
    *,
    until: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve connections in the clear until `until` returns, then those that are busy for as long as the limits say."""
    is_ending = False
    shell.is_terminated = lambda: is_ending

    async def serve(stream: trio.SocketStream) -> None:
        await visit(shell, stream, partial(others.hand_over, stream))

    async with trio.open_nursery() as background:
        background.start_soon(shell.tend)
        async with trio.open_nursery() as clients:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, serve, [listener], handler_nursery=clients))
                host, port = sock.getsockname()[:2]
                task_status.started([f"http://{host}:{port}"])
                await until()
                accepting.cancel_scope.cancel()
            is_ending = True
            clients.cancel_scope.deadline = trio.current_time() + shell.limits.graceful_seconds
            await others.end()
        background.cancel_scope.cancel()


async def visit(shell: Shell, stream: Stream, hand_over: HandOver) -> None:
    """Serve one connection until it ends, within the bounds of the process."""
    if shell.open_connections >= shell.limits.max_connections:
        _turn_away(shell, stream)
        return
    shell.open_connections += 1
    shell.traffic.connections += 1
    try:
        await _serve(shell, stream, hand_over)
    finally:
        shell.open_connections -= 1


async def _serve(shell: Shell, stream: Stream, hand_over: HandOver) -> None:
    wire: Wire
    if isinstance(stream, trio.SSLStream):
        try:
            with trio.fail_after(shell.limits.handshake_seconds):
                await stream.do_handshake()
        except (*GONE, trio.TooSlowError):
            await trio.aclose_forcefully(stream)
            return
        if stream.selected_alpn_protocol() == "h2":
            await hand_over(None)
            return
        sock, wire = stream.transport_stream.socket, TlsWire(stream)
    else:
        sock, wire = stream.socket, PlainWire(stream)
    try:
        client = sock.getpeername()[:2]
    except OSError:
        wire.close(reset=True)
        return
    connection = Connection(shell, wire, client=client, is_secure=isinstance(wire, TlsWire))
    shell.add(connection)
    try:
        upgrade = await connection.run()
    finally:
        shell.discard(connection)
    if upgrade is not None:
        wire.release()
        await hand_over(upgrade)


def _turn_away(shell: Shell, stream: Stream) -> None:
    shell.count_refused(503, "connections")
    if isinstance(stream, trio.SSLStream):
        TlsWire(stream).close(reset=True)
        return
    wire = PlainWire(stream)
    retry = (b"retry-after", b"%d" % shell.limits.retry_after_seconds)
    reply = refusal(503, "too many connections", retry, close=True)
    try:
        wire.send_now(encode_reply(reply, shell.deadlines.date, close=True))
    except OSError:
        pass
    finally:
        wire.close(reset=False)
