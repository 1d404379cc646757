"""Every client transport over TLS, on real sockets: whom it trusts, and what it says of whom it does not."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import servers
import trio
import trustme
from echo_protocol import AddParams, AddResult
from echo_protocol import TransportError as SdkTransportError
from echo_protocol.client import ServerClient

from protogen_runtime.dispatch import CallContext
from protogen_runtime.echo import make_service
from protogen_runtime.io import client_http
from protogen_runtime.io.channel import Channel, TransportError
from protogen_runtime.io.client import channel_to, connect
from protogen_runtime.io.contract import Client, Server, ask, callbacks_of, service_of
from protogen_runtime.io.http.server import Tls
from protogen_runtime.io.session import SessionApp

SCHEMES = ("https", "wss", "sse+https")
EVERY = pytest.mark.parametrize("scheme", SCHEMES)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(20):
            await scenario()

    trio.run(limited)


@asynccontextmanager
async def served(tls: Tls | None) -> AsyncGenerator[str]:
    """Yields the port."""
    service = service_of(Server())
    app: Any = SessionApp(service)
    async with servers.http_shell(service, app, tls=tls) as authority:
        yield authority.rpartition(":")[2]


def target(scheme: str, host: str, port: str) -> str:
    return f"{scheme}://{host}:{port}/{'events' if scheme.startswith('sse') else ''}"


@asynccontextmanager
async def opened(channel: Channel) -> AsyncGenerator[Channel]:
    await channel.open()
    try:
        yield channel
    finally:
        await channel.aclose()


@EVERY
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_file_says_whom_to_trust(authority: servers.Authority, scheme: str, host: str) -> None:
    async def scenario() -> None:
        async with served(authority.tls) as port:
            callbacks = callbacks_of(Client("me"))
            channel = channel_to(target(scheme, host, port), trust=authority.trust, callbacks=callbacks)
            async with opened(channel):
                assert await ask(channel, "echo", {"text": "é" * 100_000}) == {"text": "é" * 100_000}
                asked = await ask(channel, "ask", {"method": "answer", "mark": 1, "times": 3})
                assert asked == [["me", 1, number] for number in range(3)]

    run(scenario)


class Together(Client):
    """Answers nothing before so many callbacks wait for it."""

    def __init__(self, count: int) -> None:
        super().__init__("me")
        self._missing = count
        self._all = trio.Event()

    async def answer(self, params: Any, call: CallContext) -> Any:
        self._missing -= 1
        if not self._missing:
            self._all.set()
        await self._all.wait()
        return await super().answer(params, call)


@pytest.mark.parametrize(("scheme", "calls"), [("https", 8), ("sse+https", 7)])
def test_answers_to_callbacks_pass_calls_that_have_taken_every_connection(
    authority: servers.Authority, monkeypatch: pytest.MonkeyPatch, scheme: str, calls: int
) -> None:
    """What httpx serves: the stream of a session takes a connection, too."""
    monkeypatch.setattr(client_http, "MAX_CONNECTIONS", 8)

    async def scenario() -> None:
        async with served(authority.tls) as port:
            callbacks = callbacks_of(Together(calls))
            channel = channel_to(target(scheme, "127.0.0.1", port), trust=authority.trust, callbacks=callbacks)
            answers: list[Any] = []

            async def call(number: int) -> None:
                answers.append(await ask(channel, "ask", {"method": "answer", "mark": number, "times": 1}))

            async with opened(channel), trio.open_nursery() as nursery:
                for number in range(calls):
                    nursery.start_soon(call, number)
            assert sorted(answers) == [[["me", number, 0]] for number in range(calls)]

    run(scenario)


async def refusal(make: Callable[[], Channel]) -> str:
    """What is said when it is opened or called."""
    with pytest.raises(TransportError) as raised:
        async with opened(make()) as channel:
            await ask(channel, "echo", {})
    text = str(raised.value)
    assert "\n" not in text
    assert "_ssl.c" not in text
    return text


@EVERY
def test_a_certificate_of_nobody_we_know_is_refused(authority: servers.Authority, scheme: str, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")

    async def scenario() -> None:
        async with served(authority.tls) as port:
            for trust in (None, tmp_path / "other.pem"):
                text = await refusal(partial(channel_to, target(scheme, "localhost", port), trust=trust))
                assert "the server's certificate is not trusted (" in text
                assert text.endswith("if the server is the right one, give the file of its authority as trust=")

    run(scenario)


@EVERY
def test_a_certificate_for_another_name_is_refused(scheme: str, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.issue_cert("elsewhere.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    file = str(tmp_path / "server.pem")

    async def scenario() -> None:
        async with served(Tls(certificate=file, key=file)) as port:
            for host in ("localhost", "127.0.0.1"):
                text = await refusal(partial(channel_to, target(scheme, host, port), trust=tmp_path / "ca.pem"))
                assert "the server's certificate is for another name; connect by a name that it is for" in text

    run(scenario)


@EVERY
def test_a_server_without_tls_is_told_from_one_that_is_not_trusted(authority: servers.Authority, scheme: str) -> None:
    async def scenario() -> None:
        async with served(None) as port:
            text = await refusal(partial(channel_to, target(scheme, "localhost", port), trust=authority.trust))
            assert "does not speak TLS" in text or "ended the handshake" in text

    run(scenario)


@EVERY
def test_a_server_may_ask_who_we_are(authority: servers.Authority, scheme: str, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "clients.pem")
    ours = authority.context()
    ca.issue_cert("client@example.org").configure_cert(ours)
    tls = Tls(certificate=authority.tls.certificate, key=authority.tls.key, client_ca=str(tmp_path / "clients.pem"))

    async def scenario() -> None:
        async with served(tls) as port:
            async with opened(channel_to(target(scheme, "localhost", port), tls=ours)) as channel:
                assert await ask(channel, "echo", {"a": 1}) == {"a": 1}
            await refusal(partial(channel_to, target(scheme, "localhost", port), trust=authority.trust))

    run(scenario)


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_generated_clients_say_it_too(authority: servers.Authority, scheme: str) -> None:
    async def scenario() -> None:
        async with servers.http_shell(make_service(), tls=authority.tls) as at:
            async with connect(f"{scheme}://{at}/", ServerClient, trust=authority.trust) as client:
                assert await client.add(AddParams(a=1, b=2)) == AddResult(sum=3)
            with pytest.raises(SdkTransportError, match="certificate is not trusted"):
                async with connect(f"{scheme}://{at}/", ServerClient, retries=0) as client:
                    await client.add(AddParams(a=1, b=2))

    run(scenario)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "trust: cannot read .*ca.pem: No such file or directory"),
        (b"", "trust: .*ca.pem holds no certificates in PEM form"),
        (b"\xff\xfe", "trust: .*ca.pem holds no certificates in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "trust: .*ca.pem holds no certificates"),
    ],
)
def test_a_file_without_certificates_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        channel_to("https://localhost/", trust=file)


def test_a_context_and_a_file_are_not_both_taken(authority: servers.Authority) -> None:
    with pytest.raises(ValueError, match="give trust= or tls=, not both"):
        channel_to("https://localhost/", trust=authority.trust, tls=ssl.create_default_context())
