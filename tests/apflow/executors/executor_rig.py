"""Rig: an HTTP server that counts who comes, names that lead where a test wants, and executions."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any

import h11
import trio

from protogen_runtime.apflow.executors import Execution, ExecutorRegistry, ExecutorSettings, run
from protogen_runtime.apflow.executors.builtin import register_builtin


class Seen:
    """One request as it came in."""

    def __init__(self, request: h11.Request, body: bytes, local_address: str) -> None:
        self.method = request.method.decode()
        self.target = request.target.decode()
        self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
        self.body = body
        self.local_address = local_address


class Web:
    """Its port, what came in, and how many connections were made."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.seen: list[Seen] = []

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[[Seen], Answer] | Callable[[Seen], Awaitable[Answer]]


def answer(value: Any = None, *, status: int = 200, **headers: str) -> Answer:
    return status, {"content-type": "application/json"} | headers, json.dumps(value).encode()


def redirect(to: str, status: int = 302) -> Answer:
    return status, {"location": to}, b""


@asynccontextmanager
async def web(
    respond: Respond, *, host: str = "127.0.0.1", port: int = 0, ssl_context: Any = None
) -> AsyncGenerator[Web, None]:
    """A server of HTTP/1.1 for as long as the context lasts; `respond` may be async."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(port, host=host)
        found = Web(listener.socket.getsockname()[1])
        listeners: list[Any] = [listener]
        if ssl_context is not None:
            listeners = [trio.SSLListener(listener, ssl_context, https_compatible=True)]
        nursery.start_soon(trio.serve_listeners, partial(_serve, found, respond), listeners)
        try:
            yield found
        except BaseException as reason:  # noqa: BLE001  # raised again below, where no nursery wraps it
            failure = reason
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _serve(into: Web, respond: Respond, stream: Any) -> None:
    into.connections += 1
    connection = h11.Connection(h11.SERVER)
    try:
        async with stream:
            request, body = None, b""
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(65536))
                elif isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    return
            assert request is not None
            plain = getattr(stream, "transport_stream", stream)
            seen = Seen(request, body, plain.socket.getsockname()[0])
            into.seen.append(seen)
            found = respond(seen)
            status, headers, data = found if isinstance(found, tuple) else await found
            head = h11.Response(status_code=status, headers=[*headers.items(), ("connection", "close")])
            await stream.send_all(connection.send(head) or b"")
            await stream.send_all(
                (connection.send(h11.Data(data)) or b"") + (connection.send(h11.EndOfMessage()) or b"")
            )
    except (trio.BrokenResourceError, h11.RemoteProtocolError):
        pass


class Names(trio.abc.HostnameResolver):
    """Answers for names: each look takes the next answer, and the last one stays. What is no name goes to the system,
    which reads numbers in all their forms.
    """

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.looks: list[str] = []

    async def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in self.answers:
            self.looks.append(name)
            answers = self.answers[name]
            texts = (answers.pop(0) if len(answers) > 1 else answers[0]).split()
            return [
                (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
                for text in texts
            ]
        return socket.getaddrinfo(host, port, family, kind, proto, flags | socket.AI_NUMERICHOST)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise OSError("nobody asks")


def registry(**settings: Any) -> ExecutorRegistry:
    found = ExecutorRegistry(ExecutorSettings(**settings))
    register_builtin(found)
    return found


# Certificates take 10 ms to read.
_registry = lru_cache(registry)


def execution(**about: Any) -> Execution:
    return Execution(**{"task_id": "a", "root_task_id": "r"} | about)


async def perform(name: str, inputs: dict[str, Any], about: Execution | None = None, **settings: Any) -> dict[str, Any]:
    """Run one of the executors that are built in."""
    found = _registry(**settings)
    registered = found.find(name)
    assert registered is not None
    with trio.fail_after(20):
        return await run(registered, inputs, about or execution(), settings=found.settings)
