"""TLS, HTTP/2 and WebSocket: what stays hypercorn's is under the same bounds."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httpx
import hypercorn.trio.run
import pytest
import trio
from http_rig import Server, call, post, run, running, split

from protogen_runtime.io.http import hook
from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.handoff import FrameMeter
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.server import Tls

ADD = call("add", [1, 2])
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(text: bytes) -> bytes:
    """A masked text frame of less than 126 bytes, with a mask of zeros."""
    return b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text


def trust(authority: Path, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(list(protocols))
    return context


def test_hook_fits_the_hypercorn_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook.misfit() is None
    monkeypatch.setattr(hook, "version", lambda name: "0.19.0")
    assert hook.misfit() == "hypercorn 0.19.0 is installed, 0.18 was expected"
    before = hypercorn.trio.run.TCPServer
    monkeypatch.setattr(hypercorn.trio.run, "TCPServer", hook.StockServer)
    assert hook.install() is not None
    assert hypercorn.trio.run.TCPServer is hook.StockServer
    monkeypatch.setattr(hypercorn.trio.run, "TCPServer", before)


def test_hook_that_finds_other_arguments_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook.StockServer, "__init__", lambda self, app: None)
    assert hook.misfit() == "hypercorn's TCPServer takes other arguments than expected"


def test_http1_over_tls(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def main() -> None:
        async with running(tls=tls, limits=Limits(header_seconds=0.3, linger_seconds=0.1)) as server:
            context = trust(authority, "http/1.1")
            data = post(call("sleep", {"seconds": 0.05})) + post(ADD, close=True)
            for pieces in (0, 31):
                answer = await server.exchange(data, pieces=pieces, tls=context)
                assert answer.count(b"HTTP/1.1 200 OK") == 2
            began = trio.current_time()
            assert (await server.exchange(b"POST / HT", tls=context)).startswith(b"HTTP/1.1 408 ")
            assert trio.current_time() - began < 2
            assert (await server.exchange(post(ADD, "Host: evil.example"), tls=context))[9:12] == b"421"
            # Not TLS at all, and still there afterwards.
            await server.exchange(post(ADD))
            assert split(await server.exchange(post(ADD, close=True), tls=context))[0] == 200

    run(main)


def test_http2(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def main() -> None:
        limits = Limits(max_body_bytes=1000, body_grace_seconds=0.3, min_bytes_per_second=10**6)
        async with running(tls=tls, limits=limits, access=Access(keys={"ann": "k"})) as server:
            key = {"authorization": "Bearer k", "content-type": "application/json"}
            async with httpx.AsyncClient(http2=True, verify=trust(authority)) as http:
                target = f"https://localhost:{server.port}"

                async def status(content: Any = ADD, path: str = "/", **headers: str) -> int:
                    changed = {**key, **{name.replace("_", "-"): value for name, value in headers.items()}}
                    answer = await http.post(target + path, content=content, headers=changed)
                    assert answer.http_version == "HTTP/2"
                    return answer.status_code

                answer = await http.post(target, content=ADD, headers=key)
                assert (answer.http_version, answer.json()["result"]) == ("HTTP/2", {"sum": 3})
                assert await status(authorization="Bearer wrong") == 401
                assert await status(content_type="text/plain") == 415
                assert await status(content_encoding="gzip") == 415
                assert await status(origin="http://evil.example") == 403
                assert await status(host="evil.example") == 421
                assert await status(path="/x") == 404
                assert await status(b" " * 1001) == 413
                assert await status(x="a" * 17_000) == 431

                events = await http.post(target, content=call("count", {"to": 2}), headers=key)
                assert events.text.startswith('data: {"number":1}\n\n')

                async def slow() -> Any:
                    yield b"{"
                    await trio.sleep(3)

                assert await status(slow()) == 408

    run(main)


async def http2_connection(server: Server, context: ssl.SSLContext) -> tuple[Any, h2.connection.H2Connection]:
    stream = await server.connect(context)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    await stream.send_all(connection.data_to_send())
    return stream, connection


class Http2Client:
    """One connection, frame by frame."""

    heads = (
        (":method", "POST"),
        (":path", "/"),
        (":scheme", "https"),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    )

    def __init__(self, stream: Any, connection: h2.connection.H2Connection) -> None:
        self.stream = stream
        self.connection = connection
        self.events: list[Any] = []

    async def send(self, number: int, data: bytes, *, begin: bool = False, end: bool = False) -> None:
        if begin:
            self.connection.send_headers(number, self.heads)
        self.connection.send_data(number, data, end_stream=end)
        await self.stream.send_all(self.connection.data_to_send())

    async def wait_for(self, kind: type, number: int) -> Any:
        """The first event of this kind for the stream; the others are kept in `events`."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if isinstance(event, kind) and event.stream_id == number:
                    return event
            seen = len(self.events)
            data = await self.stream.receive_some(65536)
            assert data, "the server has closed the connection"
            self.events += self.connection.receive_data(data)
            await self.stream.send_all(self.connection.data_to_send())


def test_http2_body_that_comes_after_its_refusal_harms_nobody(
    certificate: tuple[Tls, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tls, authority = certificate

    async def main() -> None:
        limits = Limits(body_grace_seconds=0.2, min_bytes_per_second=10**6)
        async with running(tls=tls, limits=limits) as server:
            client = Http2Client(*await http2_connection(server, trust(authority, "h2")))
            await client.send(1, b"{", begin=True)
            answer = await client.wait_for(h2.events.ResponseReceived, 1)
            assert dict(answer.headers)[b":status"] == b"408"
            await client.wait_for(h2.events.StreamEnded, 1)
            for number in range(3, 13, 2):
                await client.send(1, b"}" * 100)
                await client.send(number, ADD, begin=True, end=True)
                data = await client.wait_for(h2.events.DataReceived, number)
                assert b'{"sum":3}' in data.data
            await client.send(1, b"", end=True)
            # Who does not stop is told to.
            await client.send(15, b"{", begin=True)
            await client.wait_for(h2.events.StreamEnded, 15)
            with pytest.raises(h2.exceptions.StreamClosedError):  # noqa: PT012 - it is told at any one of them
                for _ in range(200):
                    while client.connection.local_flow_control_window(15) < 16_000:
                        data = await client.stream.receive_some(65536)
                        client.connection.receive_data(data)
                    await client.send(15, b" " * 16_000)
            await client.send(17, ADD, begin=True, end=True)
            await client.wait_for(h2.events.StreamEnded, 17)

    run(main)
    assert caplog.records == []


def test_http2_answer_that_breaks_off_is_reset_and_the_others_go_on(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def main() -> None:
        async with running(tls=tls, app=half) as server:
            client = Http2Client(*await http2_connection(server, trust(authority, "h2")))
            client.connection.send_headers(
                1, [(":method", "GET"), (":path", "/x"), *Http2Client.heads[2:4]], end_stream=True
            )
            await client.stream.send_all(client.connection.data_to_send())
            await client.wait_for(h2.events.StreamReset, 1)
            await client.send(3, ADD, begin=True, end=True)
            await client.wait_for(h2.events.StreamEnded, 3)

    run(main)


def test_http2_client_that_opens_no_window_is_reset(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def main() -> None:
        limits = Limits(send_seconds=0.3, min_bytes_per_second=10**6)
        async with running(tls=tls, limits=limits) as server:
            client = Http2Client(*await http2_connection(server, trust(authority, "h2")))
            # The window is 65,535 bytes, and nothing here ever widens it.
            await client.send(1, call("count", {"to": 10**9}), begin=True, end=True)
            await client.wait_for(h2.events.StreamReset, 1)
            while server.shell.endpoint.in_flight:
                await trio.sleep(0.01)

    run(main)


def test_http2_caller_that_resets_its_stream_cancels_the_handler(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def main() -> None:
        async with running(tls=tls) as server:
            stream, connection = await http2_connection(server, trust(authority, "h2"))
            heads = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "localhost")]
            connection.send_headers(1, [*heads, ("content-type", "application/json")])
            connection.send_data(1, call("sleep", {"seconds": 30}), end_stream=True)
            await stream.send_all(connection.data_to_send())
            while server.shell.endpoint.in_flight < 1:
                await trio.sleep(0.005)
            connection.reset_stream(1)
            await stream.send_all(connection.data_to_send())
            with trio.fail_after(0.1):
                while server.shell.endpoint.in_flight:
                    await trio.sleep(0.005)

    run(main)


def test_rapid_resets_end_the_connection(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate
    heads = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "localhost")]

    async def main() -> None:
        async with running(tls=tls, limits=Limits(max_resets=20)) as server:
            stream, connection = await http2_connection(server, trust(authority, "h2"))
            sent = 0
            with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - the break comes at any one of them
                for number in range(1, 2000, 2):
                    connection.send_headers(number, heads)
                    connection.reset_stream(number)
                    await stream.send_all(connection.data_to_send())
                    sent += 1
                    await trio.sleep(0.001)
            assert 15 < sent < 500
            while server.shell.open_connections:
                await trio.sleep(0.01)

    run(main)


def test_silent_http2_connection_is_closed(certificate: tuple[Tls, Path]) -> None:
    tls, authority = certificate

    async def main() -> None:
        async with running(tls=tls, limits=Limits(idle_seconds=0.3)) as server:
            stream, _ = await http2_connection(server, trust(authority, "h2"))
            with trio.fail_after(3):
                while await stream.receive_some(65536):
                    pass

    run(main)


def test_frame_meter_counts_alike_however_bytes_are_cut() -> None:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    for number in range(1, 20, 2):
        connection.send_headers(number, [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "x")])
        connection.send_data(number, b"abc")
        connection.reset_stream(number)
    data = connection.data_to_send()
    counts = set()
    for pieces in (1, 2, 3, 10, 24, 1000):
        meter = FrameMeter()
        counts.add([meter.feed(data[start : start + pieces], 1.0) for start in range(0, len(data), pieces)][-1])
    # Ten resets and the client's SETTINGS.
    assert counts == {11}


def test_websocket() -> None:
    async def main() -> None:
        async with running() as server:
            for before in (b"", post(ADD)):
                stream = await server.connect()
                # The first frame in the segment of the handshake ends a stock worker.
                await stream.send_all(before + UPGRADE + frame(ADD))
                got = b""
                while b'{"sum":3}' not in got[got.find(b"101 ") if b"101 " in got else len(got) :]:
                    got += await stream.receive_some(65536)
                await stream.send_all(frame(b"{"))
                while b"-32700" not in got:
                    got += await stream.receive_some(65536)
                await trio.aclose_forcefully(stream)
            assert split(await server.exchange(post(ADD, close=True)))[0] == 200

    run(main)


@pytest.mark.parametrize(
    "head",
    [
        UPGRADE.replace(b"localhost", b"evil.example"),
        UPGRADE.replace(b"Upgrade: w", b"Origin: http://evil.example\r\nUpgrade: w"),
        UPGRADE.replace(b"GET / ", b"GET /x "),
    ],
    ids=["host", "origin", "path"],
)
def test_websocket_is_admitted_like_any_request(head: bytes) -> None:
    async def main() -> None:
        async with running(limits=Limits(idle_seconds=0.5)) as server:
            assert split(await server.exchange(head))[0] in (403, 404, 421)

    run(main)


def test_websocket_whose_client_is_dead_is_closed() -> None:
    async def main() -> None:
        async with running(limits=Limits(idle_seconds=0.5)) as server:
            stream = await server.connect()
            await stream.send_all(UPGRADE)
            with trio.fail_after(4):
                try:
                    while await stream.receive_some(65536):
                        pass
                except trio.BrokenResourceError:
                    pass
            server.hang_up()
            while server.shell.open_connections:
                await trio.sleep(0.01)

    run(main)
