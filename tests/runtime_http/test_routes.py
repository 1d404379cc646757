"""Routes: an HTTP API that is served by methods and paths, with bodies that go to a file and answers in pieces."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import IO

import httpx
import pytest
import trio
from http_rig import Server, post, run, running, split

from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.messages import Reply, Request, refusal
from protogen_runtime.io.http.routes import Route, Routes, Stream, json_reply
from protogen_runtime.io.http.server import Tls
from protogen_runtime.observe import CallObserver, Metrics

SMALL = Limits(max_body_bytes=1000, linger_seconds=0.1)


class Api:
    """Routes of every kind; tests watch it."""

    def __init__(self) -> None:
        self.sinks: list[IO[bytes]] = []
        self.entered = trio.Event()
        self.ended = trio.Event()
        self.failures: list[str] = []
        self.metrics = Metrics()

    def routes(self) -> Routes:
        table = [
            Route("GET", "/things", self.things),
            Route("POST", "/things", self.things),
            Route("GET", "/things/{id}", self.thing),
            Route("GET", "/things/{id}/parts/{part}", self.thing),
            Route("DELETE", "/things/{id}", self.crash),
            Route("GET", "/waiting", self.waiting),
            Route("GET", "/pieces", self.pieces),
            Route("GET", "/broken", self.broken),
            Route("POST", "/upload", self.upload, self.admit_upload),
        ]
        observer = CallObserver(self.metrics)
        taken, shown = (b"x-file-name", b"if-match"), (b"x-file-name", b"etag")
        return Routes(table, fail=self.fail, observer=observer, taken=taken, shown=shown)

    def fail(self, route: Route, error: Exception) -> Reply:
        self.failures.append(f"{route.name}: {error}")
        return refusal(500, "it failed")

    def things(self, request: Request, _: Mapping[str, str]) -> Reply:
        return json_reply(200, len(request.body))

    async def thing(self, _: Request, values: Mapping[str, str]) -> Reply:
        await trio.lowlevel.checkpoint()
        return json_reply(200, values)

    async def crash(self, _: Request, __: Mapping[str, str]) -> Reply:
        await trio.lowlevel.checkpoint()
        raise ValueError("untold")

    async def waiting(self, _: Request, __: Mapping[str, str]) -> Reply:
        self.entered.set()
        try:
            await trio.sleep_forever()
        finally:
            self.ended.set()
        raise AssertionError

    def pieces(self, _: Request, __: Mapping[str, str]) -> Stream:
        return Stream(200, self.count(), ((b"content-type", b"text/plain"),))

    async def count(self) -> AsyncGenerator[bytes]:
        try:
            for number in range(3):
                await trio.lowlevel.checkpoint()
                yield b"%d;" % number
        finally:
            self.ended.set()

    def broken(self, _: Request, __: Mapping[str, str]) -> Stream:
        return Stream(200, self.break_off(), ())

    async def break_off(self) -> AsyncGenerator[bytes]:
        await trio.lowlevel.checkpoint()
        yield b"half"
        raise OSError("the disk is gone")

    def admit_upload(self, request: Request) -> Reply | None:
        request.sink = tempfile.TemporaryFile()  # noqa: SIM115 - the shell closes it
        self.sinks.append(request.sink)
        request.max_body_bytes = 100_000
        return None

    async def upload(self, request: Request, _: Mapping[str, str]) -> Reply:
        await trio.lowlevel.checkpoint()
        assert request.sink is not None
        assert request.body == b""
        request.sink.seek(0)
        return json_reply(200, len(request.sink.read()))


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/things", 200, "0"),
        ("GET", "/things?a=b", 200, "0"),
        ("GET", "/things/a%2Fb", 200, '{"id":"a/b"}'),
        ("GET", "/things/1/parts/2", 200, '{"id":"1","part":"2"}'),
        ("GET", "/things/", 404, "nothing is served at this path\n"),
        ("GET", "/things/1/parts", 404, "nothing is served at this path\n"),
        ("GET", "/things/%FF", 400, "the path is no UTF-8 text: percent-encode it anew\n"),
        ("PUT", "/things", 405, "this path takes GET, POST, HEAD\n"),
        ("DELETE", "/things/1", 500, "it failed\n"),
        ("POST", "/", 404, "nothing is served at this path\n"),
        ("GET", "/pieces", 200, "0;1;2;"),
        ("GET", "/health", 200, '{"status":"healthy"}'),
        ("HEAD", "/things", 200, ""),
        ("HEAD", "/pieces", 200, ""),
    ],
)
@pytest.mark.parametrize("http2", [False, True])
def test_a_route_answers_what_is_asked(
    method: str, path: str, status: int, body: str, http2: bool, certificate: tuple[Tls, Path]
) -> None:
    tls, authority = certificate

    async def main() -> None:
        api = Api()
        async with (
            running(routes=api.routes(), tls=tls if http2 else None) as server,
            httpx.AsyncClient(
                http2=http2, http1=not http2, verify=ssl.create_default_context(cafile=authority)
            ) as client,
        ):
            target = f"https://localhost:{server.port}{path}" if http2 else url(server, path)
            answer = await client.request(method, target)
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert (answer.status_code, answer.text) == (status, body)
            if status == 500:
                assert api.failures == ["DELETE /things/{id}: untold"]

    run(main)


def test_the_client_that_goes_away_cancels_what_runs() -> None:
    async def main() -> None:
        api = Api()
        async with running(routes=api.routes()) as server:
            stream = await server.connect()
            await stream.send_all(b"GET /waiting HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await api.entered.wait()
            assert server.shell.endpoint.in_flight == 1
            await stream.aclose()
            await api.ended.wait()
        assert server.shell.endpoint.in_flight == 0
        assert api.metrics.in_flight == 0
        assert api.metrics.snapshot().calls["GET /waiting"].outcomes == {"cancelled": 1}

    run(main)


def test_a_stream_that_fails_is_broken_off() -> None:
    async def main() -> None:
        api = Api()
        async with running(routes=api.routes()) as server, httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.get(url(server, "/broken"))
        assert api.failures == ["GET /broken: the disk is gone"]

    run(main)


@pytest.mark.parametrize(("size", "status"), [(10, 200), (2_000, 200), (100_000, 200), (100_001, 413)])
@pytest.mark.parametrize("head", ["Content-Type: x/y", "Transfer-Encoding: chunked"])
def test_a_body_goes_to_a_file_up_to_a_limit_of_its_own(size: int, status: int, head: str) -> None:
    async def main() -> None:
        api = Api()
        body = b"x" * size
        if head.startswith("Transfer"):
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        async with running(routes=api.routes(), limits=SMALL) as server:
            for _ in range(2):
                got = await server.exchange(post(body, head, close=True, path="/upload"), pieces=4096)
                told, _, said = split(got)
                assert told == status
                assert status == 413 or said == b"%d" % size
        assert len(api.sinks) == 2
        assert all(sink.closed for sink in api.sinks)

    run(main)


def test_other_bodies_keep_the_limit_of_the_server() -> None:
    async def main() -> None:
        async with running(routes=Api().routes(), limits=SMALL) as server:
            got = await server.exchange(post(b"x" * 1001, path="/things"))
            assert split(got)[0] == 413

    run(main)


def test_no_more_run_at_once_than_the_limit_allows() -> None:
    async def main() -> None:
        api = Api()
        async with running(routes=api.routes(), limits=Limits(max_in_flight=1)) as server:
            stream = await server.connect()
            await stream.send_all(b"GET /waiting HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await api.entered.wait()
            got = await server.exchange(b"GET /things/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert split(got)[0] == 503
            got = await server.exchange(b"GET /things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert split(got)[0] == 200

    run(main)


def test_pages_of_allowed_origins_are_told_the_methods_and_the_headers() -> None:
    async def main() -> None:
        access = Access(origins=("http://page.example",))
        page = {"origin": "http://page.example"}
        async with running(routes=Api().routes(), access=access) as server, httpx.AsyncClient() as client:
            answer = await client.options(url(server, "/things/1"), headers=page)
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, POST"
            taken = answer.headers["access-control-allow-headers"]
            assert taken == "authorization, content-type, x-api-key, x-file-name, if-match"
            shown = [await client.get(url(server, path), headers=page) for path in ("/things", "/things/1", "/pieces")]
            assert [it.headers.get("access-control-expose-headers") for it in shown] == ["x-file-name, etag"] * 3
            assert "access-control-expose-headers" not in (await client.get(url(server, "/things"))).headers

    run(main)
