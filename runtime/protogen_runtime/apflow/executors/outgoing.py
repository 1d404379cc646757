"""Outgoing: HTTP requests on behalf of others, through the guard, bounded in size and time.

`Outgoing.request` is one request with its redirects, each checked again; `Outgoing.client` an httpx client for those
who bring their own protocol. Knows nothing of tasks.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cached_property
from typing import Any, Final, cast

import httpcore
import httpx
import msgspec
import trio

from .guard import Guard, Refused

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_KEPT_ACROSS_ORIGINS: Final = ("accept", "accept-encoding", "content-type", "content-length", "user-agent")
"""What a redirect to another origin may still be told: all else may be a secret of the first."""
_HEAD_BYTES: Final = 256 * 1024
"""Room for the heads of all answers of one request, beside the body."""
_USER_AGENT: Final = "protogen-apflow"


class RequestFailed(Exception):
    """No answer, or one that is beyond the bounds; the text is for the one who asked."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: `body` decoded of its content encoding, `headers` with lower-case names."""

    status: int
    url: str
    headers: dict[str, str]
    body: bytes
    encoding: str


class Outgoing:
    """Sends requests. `max_response_bytes` bounds a body as it is sent and as it is decoded."""

    def __init__(self, guard: Guard, *, max_response_bytes: int, max_seconds: float, max_redirects: int) -> None:
        self.guard = guard
        self._max_bytes = max_response_bytes
        self._max_seconds = max_seconds
        self._max_redirects = max_redirects

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        seconds: float | None = None,
        verify: bool = True,
        max_redirects: int | None = None,
    ) -> Answer:
        """Send a request and read its answer, whatever its status. Raises Refused, RequestFailed.

        `seconds` can only shorten what the settings allow, and counts everything from resolving the name to the last
        byte of the last answer.
        """
        self.guard.check_url(url)
        limit = min(self._max_seconds, seconds or self._max_seconds)
        redirects = self._max_redirects if max_redirects is None else max_redirects
        try:
            with trio.fail_after(limit):
                async with self._client(verify, self._max_bytes + _HEAD_BYTES) as client:
                    given = {"user-agent": _USER_AGENT, **(headers or {}), "accept-encoding": "identity"}
                    request = client.build_request(method, url, headers=given, params=params, content=content)
                    return await self._follow(client, request, redirects)
        except trio.TooSlowError:
            raise RequestFailed(f"no complete answer within {limit:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpcore.ProtocolError, httpcore.NetworkError) as reason:
            raise RequestFailed(_sentence(reason)) from None

    def client(self, *, verify: bool = True) -> httpx.AsyncClient:
        """An httpx client whose every connection goes through the guard; it follows no redirects, and has no deadline
        of its own. Its errors: httpx's, and Refused.
        """
        return self._client(verify, None)

    def _client(self, verify: bool, max_bytes: int | None) -> httpx.AsyncClient:
        context = self._verified if verify else self._unverified
        transport = GuardedTransport(GuardedNetwork(self.guard, max_bytes), context)
        # The environment could name a proxy, which would dial for us and past the guard.
        return httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)  # noqa: S113  # the callers' deadlines cover more than httpx's do

    async def _follow(self, client: httpx.AsyncClient, request: httpx.Request, redirects: int) -> Answer:
        follows = redirects > 0
        while True:
            # httpx would decode a small body of zeros into gigabytes, so the raw bytes are read and decoded here.
            response = await client.send(request, stream=True)
            try:
                target = response.next_request if response.status_code in _REDIRECTS and follows else None
                if target is None:
                    return await self._answer(response)
            finally:
                await response.aclose()
            if not redirects:
                raise RequestFailed("too many redirects")
            redirects -= 1
            self.guard.check_url(str(target.url))
            if _origin(target.url) != _origin(request.url):
                for name in {*target.headers} - {*_KEPT_ACROSS_ORIGINS, "host"}:
                    del target.headers[name]
            request = target

    async def _answer(self, response: httpx.Response) -> Answer:
        # Never left before its end: trio wants generators closed, and httpcore nests them. The network has the bound.
        body = b"".join([chunk async for chunk in response.aiter_raw()])
        if len(body) > self._max_bytes:
            raise RequestFailed(self._too_long)
        return Answer(
            status=response.status_code,
            url=str(response.url),
            headers=dict(response.headers),
            body=self._decoded(body, response.headers.get("content-encoding", "identity")),
            encoding=response.charset_encoding or "utf-8",
        )

    def _decoded(self, body: bytes, encoding: str) -> bytes:
        match encoding.strip().lower():
            case "identity" | "":
                return body
            case "gzip" | "x-gzip" | "deflate":
                # 32 + 15 recognises the heads of gzip and of zlib.
                decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
                try:
                    decoded = decoder.decompress(body, self._max_bytes + 1)
                except zlib.error as reason:
                    raise RequestFailed(f"the answer is no {encoding}: {reason}") from None
                if len(decoded) > self._max_bytes:
                    raise RequestFailed(self._too_long)
                return decoded
            case _:
                raise RequestFailed(f"the answer is encoded as {encoding}, though identity was asked for")

    @property
    def _too_long(self) -> str:
        return f"the answer has more than {self._max_bytes} bytes"

    @cached_property
    def _verified(self) -> ssl.SSLContext:
        # Reading the certificates takes some 10 ms, so once.
        return httpx.create_ssl_context(trust_env=False)

    @cached_property
    def _unverified(self) -> ssl.SSLContext:
        return httpx.create_ssl_context(verify=False, trust_env=False)


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """httpcore's network on trio, with names resolved and checked here; TLS still names and verifies the host.

    `max_bytes` bounds what each connection receives, None sets no bound.
    """

    def __init__(self, guard: Guard, max_bytes: int | None) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        # The typing of httpcore does not know which backends its own conditions leave.
        self._trio = cast("httpcore.AsyncNetworkBackend", httpcore.TrioBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Dial the addresses of a host in turn. Raises Refused before anything is dialled."""
        try:
            addresses = await self._guard.addresses(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"there is no host {host}") from None
        failure: Exception = httpcore.ConnectError(f"there is no host {host}")
        for address in addresses:
            try:
                stream = await self._trio.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                failure = httpcore.ConnectError(f"cannot connect to {host}:{port}")
            else:
                return stream if self._max_bytes is None else _Bounded(stream, self._max_bytes)
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Raise Refused: nobody outside may name a socket of this machine."""
        raise Refused("Unix sockets are not dialled")

    async def sleep(self, seconds: float) -> None:
        """Sleep, as httpcore does between its own retries."""
        await trio.sleep(seconds)


class _Bounded(httpcore.AsyncNetworkStream):
    """A stream that fails when more is received than is allowed."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, max_bytes: int) -> None:
        self._stream = stream
        self._left = max_bytes

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        self._left -= len(data)
        if self._left < 0:
            raise httpcore.ReadError("the answer is longer than the node takes")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx over a GuardedNetwork: what httpx.AsyncHTTPTransport does, which takes no network of one's own."""

    def __init__(self, network: GuardedNetwork, context: ssl.SSLContext) -> None:
        self._pool = httpcore.AsyncConnectionPool(ssl_context=context, network_backend=network)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises Refused, and httpx.TransportError for what httpcore raises."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(sent)
        except _CORE_ERRORS as reason:
            raise httpx.TransportError(_sentence(reason), request=request) from reason
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.aiter_stream():
                yield chunk
        except _CORE_ERRORS as reason:
            raise httpx.TransportError(_sentence(reason)) from reason

    async def aclose(self) -> None:
        await self._answer.aclose()


_CORE_ERRORS: Final = (
    *(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException),
    *(httpcore.UnsupportedProtocol, httpcore.ProxyError),
)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _sentence(reason: BaseException) -> str:
    """What to tell of a failure: httpcore often says nothing itself, and its cause does."""
    link: BaseException | None = reason
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"the certificate is not accepted: {link.verify_message}"
        if isinstance(link, ssl.SSLError):
            return f"TLS failed: {(link.reason or 'no reason given').lower().replace('_', ' ')}"
        link = link.__cause__ or link.__context__
    return str(reason) or "the connection broke off"
