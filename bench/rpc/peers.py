"""The servers to compare with, each a process: `python peers.py NAME PORT`.

All answer POST; those that serve JSON-RPC use the very handler of `protogen serve echo`, with the same decoding and
checks. None has a bound beyond its defaults.
"""

# No future annotations: FastAPI reads those of nested functions.

import socket
import sys
from collections.abc import Callable
from typing import Any

READ_BYTES = 65536


def _rpc() -> Callable[[bytes], bytes]:
    from protogen_runtime.echo import make_service
    from protogen_runtime.jsonrpc import Success, decode, encode

    class Link:
        headers: dict[str, str] = {}  # noqa: RUF012 - never written
        identity = deadline = channel = emit = answer = None
        frame = b""

    service, link = make_service(), Link()

    def answer(body: bytes) -> bytes:
        direct: Any = service.direct(body, link)  # type: ignore[arg-type]  # as below
        if type(direct) is bytes:
            return direct
        message: Any = decode(body)
        result: Any = service.start(message, link)  # type: ignore[arg-type]  # the bench makes its own link
        return encode(Success(id=message.id, result=result))

    return answer


def _asgi() -> Any:
    answer = _rpc()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": event["type"] + ".complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        data = answer(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    return app


def uvicorn_asgi(port: int) -> None:
    _uvicorn(_asgi(), port)


def fastapi(port: int) -> None:
    from fastapi import FastAPI
    from pydantic import BaseModel

    app = FastAPI()

    class Params(BaseModel):
        value: Any

    class Call(BaseModel):
        jsonrpc: str
        id: int | str | None
        method: str
        params: Params

    class Answer(BaseModel):
        jsonrpc: str = "2.0"
        id: int | str | None
        result: Params

    @app.post("/")
    async def serve(call: Call) -> Answer:
        return Answer(id=call.id, result=Params(value=call.params.value))

    # The annotations of a nested function are strings that FastAPI cannot look up.
    _uvicorn(app, port)


def _uvicorn(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=port, http="httptools", loop="uvloop", access_log=False, log_level="error")


def hypercorn_trio(port: int) -> None:
    import hypercorn.trio
    import trio
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    trio.run(hypercorn.trio.serve, _asgi(), config)


def bare_trio(port: int) -> None:
    """Echoes the body: httptools and a socket, nothing else."""
    import httptools
    import trio

    class Collector:
        def __init__(self) -> None:
            self.parser = httptools.HttpRequestParser(self)
            self.done: list[bytes] = []
            self.headers: list[tuple[bytes, bytes]] = []
            self.url = self.body = b""

        def on_message_begin(self) -> None:
            self.headers = []
            self.url = self.body = b""

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name.lower(), value))

        def on_body(self, body: bytes) -> None:
            self.body = self.body + body if self.body else body

        def on_message_complete(self) -> None:
            self.done.append(self.body)

    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"

    async def serve(sock: socket.socket) -> None:
        collector = Collector()
        with sock:
            while True:
                await trio.lowlevel.wait_readable(sock)
                try:
                    data = sock.recv(READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    return
                if not data:
                    return
                collector.parser.feed_data(data)
                if collector.done:
                    sock.send(b"".join([head % (len(body), body) for body in collector.done]))
                    collector.done.clear()

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        listener.setblocking(False)
        async with trio.open_nursery() as nursery:
            while True:
                await trio.lowlevel.wait_readable(listener)
                try:
                    sock, _ = listener.accept()
                except BlockingIOError:
                    continue
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                nursery.start_soon(serve, sock)

    trio.run(main)


SERVERS = {
    "uvicorn": uvicorn_asgi,
    "fastapi": fastapi,
    "hypercorn": hypercorn_trio,
    "bare": bare_trio,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
