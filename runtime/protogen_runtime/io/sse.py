"""Streams of server-sent events as a client reads them: from one answer, or from a URL that is connected to again.

Knows nothing of what an event means. The bytes are the core's business (jsonrpc.sse).
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Final, Protocol

import httpx
import trio

from protogen_runtime.jsonrpc import FrameTooLong, ServerSentEvent, SseParser

from .channel import MalformedAnswer, TransportError
from .http_pool import Reply
from .outgoing import request_headers
from .tls import why_refused

EVENT_STREAM: Final = "text/event-stream"

CONNECT_SECONDS: Final = 10.0
"""How long connecting may take; a server on the same planet answers a SYN within one."""

RETRY_SECONDS: Final = 0.5
"""Before the first reconnection, where the server said nothing about it; each failure doubles it."""

MAX_RETRY_SECONDS: Final = 30.0
"""What the pauses grow to, and what a server can ask for at most."""

QUIET_SECONDS: Final = 60.0
"""A stream without even a keepalive for so long is dead: servers send one every 15 to 30 s."""


class Response(Protocol):
    """What is needed of an answer whose head has come: a part of httpx.Response."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        ...

    @property
    def headers(self) -> httpx.Headers:
        """The headers."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        ...

    async def aclose(self) -> None:
        """Read no more of it."""
        ...


def media_type(response: Response) -> str:
    """The content type without its parameters, in lower case."""
    content_type: str = (
        response.content_type if isinstance(response, Reply) else response.headers.get("content-type", "")
    )
    return content_type.partition(";")[0].strip().lower()


async def chunks(response: Response) -> AsyncGenerator[bytes]:
    """The body as it comes; close it where it is not read to its end."""
    body = response.aiter_bytes()
    try:
        async for chunk in body:
            yield chunk
    except GeneratorExit:
        # httpx has generators below that nobody can close: they end when they find that the response is.
        await response.aclose()
        with suppress(httpx.HTTPError, httpx.StreamError):
            async for _ in body:
                pass
        raise


async def events_of(response: Response, parser: SseParser) -> AsyncGenerator[ServerSentEvent]:
    """The events of one answer, in order. Errors: TransportError for one that is too large, and httpx's own."""
    async with aclosing(chunks(response)) as body:
        async for chunk in body:
            for event in parser.feed(chunk):
                if isinstance(event, FrameTooLong):
                    raise MalformedAnswer(f"an event has more than {event.limit} bytes")
                yield event


class EventSource:
    """A stream of events at a URL, connected to again whenever it ends, from the event that came last.

    `retries` is how often in a row connecting may fail before `events` gives up; where it never succeeded, the first
    failure is the last. A status of 204 says that there is nothing more. Any other that is not 200 with an event stream
    is a refusal, which trying again would not change unless it says that the server is busy (429, 502, 503, 504).
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        retries: int = 5,
        quiet_seconds: float = QUIET_SECONDS,
        max_event_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self.last_event_id = ""
        self._http = http
        self._url = url
        own = {name.lower(): value for name, value in (headers or {}).items()}
        self._headers = {**own, "accept": EVENT_STREAM, "cache-control": "no-store"}
        self._retries = retries
        self._quiet_seconds = quiet_seconds
        self._max_event_bytes = max_event_bytes
        self._pause = RETRY_SECONDS
        self._has_connected = False

    async def events(self) -> AsyncGenerator[ServerSentEvent]:
        """Every event of every connection, in order; ends where the server says 204. Errors: TransportError."""
        failures = 0
        while True:
            fault: TransportError | None = None
            try:
                async with aclosing(self._connection()) as connection:
                    async for event in connection:
                        failures = 0
                        yield event
            except TransportError as error:
                fault = error
            except _Finished:
                return
            failures += 1
            if fault is not None and (failures > self._retries or not self._can_pass(fault)):
                raise fault
            if fault is None and failures > self._retries:
                often = " again and again" if self._retries else ""
                raise TransportError(f"the server ended the event stream{often}")
            pause = min(self._pause * 2 ** (failures - 1), MAX_RETRY_SECONDS)
            # Spread out, so that many clients of one server do not come back together.
            await trio.sleep(pause * (0.5 + random.random() / 2))

    def _can_pass(self, fault: TransportError) -> bool:
        if fault.status is None:
            # Where nobody has ever answered, the address is wrong, or the server is not up: its user wants to know.
            return self._has_connected
        return fault.status in (429, 502, 503, 504)

    async def _connection(self) -> AsyncGenerator[ServerSentEvent]:
        headers = request_headers(self._headers)
        if self.last_event_id:
            headers = {**headers, "last-event-id": self.last_event_id}
        timeout = httpx.Timeout(CONNECT_SECONDS, read=self._quiet_seconds)
        parser = SseParser(self._max_event_bytes)
        parser.last_event_id = self.last_event_id
        try:
            async with self._http.stream("GET", self._url, headers=headers, timeout=timeout) as response:
                if response.status_code == 204:
                    raise _Finished
                if response.status_code != 200 or media_type(response) != EVENT_STREAM:
                    status = response.status_code
                    raise TransportError(f"{self._url} gives no event stream (HTTP status {status})", status=status)
                self._has_connected = True
                async with aclosing(events_of(response, parser)) as events:
                    async for event in events:
                        self.last_event_id = event.last_id
                        if parser.retry_ms is not None:
                            self._pause = min(parser.retry_ms / 1000, MAX_RETRY_SECONDS)
                        yield event
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            reason = why_refused(error) or str(error) or type(error).__name__
            raise TransportError(f"{self._url}: {reason}") from error


class _Finished(Exception):
    """The server said that there are no more events."""
