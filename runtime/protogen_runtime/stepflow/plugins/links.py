"""Ways to programs and servers that execute components: opened, greeted, kept open, asked; whoever is at the other end.

Knows no transport and no protocol beyond calls and answers: `http_worker`, `stdio_worker` and `sessions` say how
something is connected to and when it is lost, a subclass of `LinkedPlugin` what it is told and asked. It is greeted
whenever it is connected to; it is connected to again with growing pauses when it was lost, and never because a
component failed (spec section 15).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import Channel, Service
from protogen_runtime.dispatch.channels import MalformedAnswer, TransportError
from protogen_runtime.dispatch.prompt import CallSoon
from protogen_runtime.jsonrpc import Answer, Failure

from .contract import (
    BAD_ANSWER,
    NO_CONNECTION,
    TRANSPORT,
    TRANSPORT_CODES,
    CannotStart,
    Json,
    Kind,
    StepFailed,
)

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 30.0
"""Pauses before a worker is connected to again double from the first to the last of these (spec section 6.1)."""

STEADY_SECONDS: Final = 60.0
"""A worker that was up for so long has not failed "again": the pauses begin anew."""

READY_SECONDS: Final = 60.0
"""How long a call waits for a worker that is being connected to: two of the longest pauses."""

GREET_SECONDS: Final = 30.0
"""How long a worker may take to answer `initialize`, or to list its components."""

_logger = logging.getLogger("protogen_runtime.stepflow.workers")


class Link(msgspec.Struct, frozen=True):
    """A way to a worker that is open: `lost` returns when it is not any more, and says why as a clause.

    `is_lost` is whether that is so already. `fate` says what became of the worker, where that may explain why a call
    failed; None where nothing is known. `is_to_blame` is whether the link was given up for what the worker sent.
    `has_process`: the worker is a process that was started for this link. `call_soon` is None where each call needs a
    task.
    """

    channel: Channel
    lost: Callable[[], Awaitable[str]]
    fate: Callable[[], Awaitable[str | None]]
    is_lost: Callable[[], bool]
    is_to_blame: Callable[[], bool]
    has_process: bool = False
    call_soon: CallSoon | None = None


Connect: TypeAlias = Callable[[Service, trio.Nursery], AbstractAsyncContextManager[Link]]
"""Opens a link, whose background work runs in the nursery. Errors: StepFailed where that cannot be done."""


def no() -> bool:
    """For links that are never lost, or never to blame."""
    return False


Greeting = TypeVar("Greeting")
"""What is known of the other end once it has been greeted."""


class Greeted(msgspec.Struct, Generic[Greeting], frozen=True):
    """A way to what has been greeted, and what it answered."""

    link: Link
    greeting: Greeting


class LinkedPlugin(ABC, Generic[Greeting]):
    """A plugin whose components are at the other end of a link; `noun` is what messages call that.

    `execute_seconds` bounds each call; None sets no bound.
    """

    noun = "worker"

    def __init__(self, name: str, connect: Connect, callbacks: Service, *, execute_seconds: float | None) -> None:
        self.name = name
        self._connect = connect
        self._callbacks = callbacks
        self._execute_seconds = execute_seconds
        self._greeted: Greeted[Greeting] | None = None
        self._is_up = trio.Event()
        self._reason = "it has not been started"

    async def start(self, nursery: trio.Nursery) -> None:
        """See Plugin; the other end is greeted."""
        await nursery.start(self._run, nursery)

    @abstractmethod
    async def _greet(self, link: Link) -> Greeted[Greeting]:
        """The handshake. Errors: StepFailed."""

    async def _run(
        self, nursery: trio.Nursery, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        pause = FIRST_PAUSE_SECONDS
        has_started = False
        while True:
            up_since: float | None = None
            try:
                async with self._connect(self._callbacks, nursery) as link:
                    self._greeted = await self._greet(link)
                    self._is_up.set()
                    if not has_started:
                        has_started = True
                        task_status.started()
                    up_since = trio.current_time()
                    self._reason = await link.lost()
                    # Before the link is closed, which may take a moment.
                    self._down()
            except StepFailed as failed:
                if not has_started:
                    raise CannotStart(f"plugin {self.name}: {failed.message}") from failed
                self._reason = failed.message
            finally:
                self._down()
            if up_since is not None and trio.current_time() - up_since >= STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            _logger.warning("%s %s: %s; it is started again in %g s", self.noun, self.name, self._reason, pause)
            await trio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _down(self) -> None:
        if self._greeted is not None:
            self._greeted = None
            self._is_up = trio.Event()

    async def _ready(self) -> Greeted[Greeting]:
        """The other end, as soon as there is a way to it. Errors: StepFailed."""
        greeted = self._greeted
        if greeted is not None and not greeted.link.is_lost():
            return greeted
        with trio.move_on_after(READY_SECONDS):
            while True:
                if self._greeted is not None and self._greeted.link.is_lost():
                    # Whoever keeps the link has not been told yet.
                    self._down()
                if self._greeted is not None:
                    return self._greeted
                await self._is_up.wait()
        message = f"{self.noun} {self.name} is not up within {READY_SECONDS:g} s: {self._reason}"
        raise StepFailed(NO_CONNECTION, message, kind="transport")

    async def _ask(self, link: Link, method: str, params: Json, seconds: float | None) -> Answer:
        """The answer of the other end, good or bad. Errors: StepFailed where there is none."""
        text = Raw(msgspec.json.encode(params))
        return await self._answered(
            link, method, lambda: link.channel.call(method, text, None), seconds, since=trio.current_time()
        )

    async def _answered(
        self, link: Link, method: str, work: Callable[[], Awaitable[Answer]], seconds: float | None, *, since: float
    ) -> Answer:
        """What `work` gives within so many seconds. Errors: StepFailed."""
        fault: TransportError | None = None
        with trio.CancelScope(deadline=inf if seconds is None else since + seconds) as scope:
            try:
                return await work()
            except MalformedAnswer as error:
                raise self._malformed(str(error)) from None
            except TransportError as error:
                fault = error
        if fault is None:
            assert scope.cancelled_caught
            raise self._too_slow(method, seconds or 0)
        raise await self._lost(link, fault)

    async def _tell(self, link: Link, method: str, params: Json) -> None:
        """Send a notification. Errors: StepFailed."""
        try:
            with trio.fail_after(GREET_SECONDS):
                await link.channel.notify(method, Raw(msgspec.json.encode(params)))
        except TransportError as error:
            raise await self._lost(link, error) from None
        except trio.TooSlowError:
            raise self._too_slow(method, GREET_SECONDS) from None

    # --- what can go wrong ------------------------------------------------------------------------

    async def _lost(self, link: Link, error: TransportError) -> StepFailed:
        if isinstance(error, MalformedAnswer) or link.is_to_blame():
            return self._malformed(str(error))
        fate = await link.fate()
        told = str(error) if fate is None else f"{error}; {fate}"
        kind: Kind = "crash" if link.has_process else "transport"
        return StepFailed(NO_CONNECTION, f"{self.noun} {self.name}: {told}", kind=kind)

    def _too_slow(self, method: str, seconds: float) -> StepFailed:
        return StepFailed(
            TRANSPORT, f"{self.noun} {self.name}: {method} was not answered within {seconds:g} s", kind="transport"
        )

    def _malformed(self, told: str) -> StepFailed:
        return StepFailed(BAD_ANSWER, f"{self.noun} {self.name}: {told}", kind="protocol")

    def _failed(self, answer: Failure) -> StepFailed:
        error = answer.error
        data = msgspec.json.decode(error.data) if isinstance(error.data, Raw) else None
        kind: Kind = "transport" if error.code in TRANSPORT_CODES else "component"
        return StepFailed(error.code, error.message, data, kind=kind)
