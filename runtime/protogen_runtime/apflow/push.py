"""Push: news of tasks as HTTP requests to receivers that callers name.

Each receiver gets its events in order, each at least once while the node lives, with retries. Knows the feeds of runs
and the guarded way out; knows no JSON-RPC.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
import trio
from apflow_protocol import CODEC, PushCallback, PushNotificationConfig
from msgspec import UNSET

from .clock import Clock
from .events import Feed, TaskEvent
from .executors.guard import Refused
from .executors.outgoing import Outgoing, RequestFailed
from .manager import RunRecord, TaskManager
from .rules.faults import FieldFault, refusal

_logger = logging.getLogger(__name__)

SIGNATURE_HEADER: Final = "x-apflow-signature"
"""`t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY` with the shared secret, so that old bodies age."""

OURS: Final = ("host", "content-length", "content-type", "transfer-encoding", "connection", SIGNATURE_HEADER)
"""Headers of a push that the caller does not set."""

MAX_BEHIND: Final = 100_000
"""Events that a receiver may be behind before it gets no more of a run."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class PushSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How pushes are sent: tries of one event in all, pauses between them, how long one may take, how many receivers
    are followed at once, and the secret that bodies are signed with, None for no signature.
    """

    max_attempts: Positive = 6
    initial_seconds: Seconds = 0.5
    factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.0
    max_seconds: Seconds = 60.0
    request_seconds: Seconds = 10.0
    max_receivers: Positive = 1000
    secret: str | None = None


class Pushes:
    """Follows the runs whose callers want pushes. Made by `open_pushes`."""

    def __init__(self, outgoing: Outgoing, settings: PushSettings, clock: Clock, nursery: trio.Nursery) -> None:
        self._outgoing = outgoing
        self._settings = settings
        self._clock = clock
        self._nursery = nursery
        self._followed: set[tuple[str, bytes]] = set()

    def check(self, config: PushNotificationConfig) -> None:
        """Refuse a receiver that the node does not dial, as far as its URL tells; for a name, dialling does.

        Errors: InvalidParams.
        """
        reason = self.why_not(config.url)
        if reason is not None:
            path = ("configuration", "push_notification_config", "url")
            fault = FieldFault(field="url", reason=reason, expected="a public URL", actual=config.url, path=path)
            raise refusal("InvalidParams", [fault])

    def why_not(self, url: str) -> str | None:
        """Why a URL is not dialled, as far as it tells; None where nothing speaks against it."""
        guard = self._outgoing.guard
        try:
            guard.check_url(url)
            reason = guard.forbidden(urlsplit(url).hostname or "")
        except Refused as refused:
            return str(refused)
        except ValueError:
            # A name, or a number in a form that only the system reads.
            return None
        return None if reason is None else f"the address is not public ({reason}); the operator may allow it"

    def on_enter(self, manager: TaskManager, root: str, record: RunRecord) -> None:
        """A run begins or goes on: follow it for everyone who asked for pushes."""
        for attachment in record.attachments:
            if not isinstance(attachment, Mapping) or "push" not in attachment:
                continue
            config: PushNotificationConfig = CODEC.from_json("PushNotificationConfig", attachment["push"])
            key = (root, CODEC.encode(config))
            if key in self._followed:
                continue
            if len(self._followed) >= self._settings.max_receivers:
                _logger.warning("no pushes for the run of %s: %d receivers are followed", root, len(self._followed))
                continue
            self._followed.add(key)
            # Subscribed here, before the first event; the task only reads.
            feed = manager.subscribe(root, max_behind=MAX_BEHIND)
            self._nursery.start_soon(self._follow, manager, root, feed, config, key)

    async def _follow(
        self, manager: TaskManager, root: str, feed: Feed, config: PushNotificationConfig, key: tuple[str, bytes]
    ) -> None:
        try:
            async for event in feed:
                await self._send(config, event)
            if feed.dropped:
                _logger.warning("the push receiver of the run of %s is too slow: it gets no more of it", root)
        finally:
            self._followed.discard(key)
            manager.unsubscribe(root, feed)

    async def _send(self, config: PushNotificationConfig, event: TaskEvent) -> None:
        body = CODEC.encode(
            PushCallback(task_id=event.task_id, status=event.status, progress=event.progress, result=event.result)
        )
        await self.deliver(config.url, {} if config.headers is UNSET else config.headers, body)

    async def deliver(
        self, url: str, headers: Mapping[str, str], body: bytes, *, media_type: str = "application/json"
    ) -> bool:
        """POST a body until the receiver takes it (any 2xx), at most as often as the settings say.

        What a receiver refuses for good (4xx but 408, 425 and 429) is not sent again. Returns whether it was taken.
        """
        settings = self._settings
        pause = settings.initial_seconds
        for attempt in range(1, settings.max_attempts + 1):
            reason = await self._attempt(url, self._headers(headers, body, media_type), body)
            if reason is None:
                return True
            if reason.is_final or attempt == settings.max_attempts:
                _logger.warning("push to %s given up after %d tries: %s", _shown(url), attempt, reason.text)
                return False
            await trio.sleep(pause)
            pause = min(pause * settings.factor, settings.max_seconds)
        return False

    async def _attempt(self, url: str, headers: Mapping[str, str], body: bytes) -> _Refusal | None:
        try:
            answer = await self._outgoing.request(
                "POST", url, headers=headers, content=body, seconds=self._settings.request_seconds
            )
        except Refused as reason:
            return _Refusal(str(reason), is_final=True)
        except RequestFailed as reason:
            return _Refusal(str(reason))
        if 200 <= answer.status < 300:
            return None
        is_final = 400 <= answer.status < 500 and answer.status not in (408, 425, 429)
        return _Refusal(f"HTTP {answer.status}", is_final=is_final)

    def _headers(self, given: Mapping[str, str], body: bytes, media_type: str) -> dict[str, str]:
        headers = {name: value for name, value in given.items() if name.lower() not in OURS}
        headers["content-type"] = media_type
        if self._settings.secret is not None:
            headers[SIGNATURE_HEADER] = sign(self._settings.secret, int(self._clock.seconds()), body)
        return headers


class _Refusal(msgspec.Struct, frozen=True):
    text: str
    is_final: bool = False


def sign(secret: str, seconds: int, body: bytes) -> str:
    """The signature of a body as SIGNATURE_HEADER carries it; receivers compute the same."""
    digest = hmac.new(secret.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _shown(url: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{host}/…"


@asynccontextmanager
async def open_pushes(
    outgoing: Outgoing, settings: PushSettings | None = None, *, clock: Clock | None = None
) -> AsyncGenerator[Pushes]:
    """Pushes for as long as the context lasts; what is not delivered then is lost."""
    async with trio.open_nursery() as nursery:
        yield Pushes(outgoing, settings or PushSettings(), clock or Clock(), nursery)
        nursery.cancel_scope.cancel()
