"""Workers: the handshake, the calls, and keeping the way to one open, whatever carries the messages.

Knows no transport: `http_worker`, `stdio_worker` and `sessions` say how a worker is connected to and when it is lost.
A worker is greeted whenever it is connected to; it is connected to again with growing pauses when it was lost, and
never because a component failed (spec section 15).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import Channel, Service
from protogen_runtime.dispatch.channels import MalformedAnswer, TransportError
from protogen_runtime.jsonrpc import Answer, Failure

from .callbacks import InFlight, callbacks_of
from .contract import (
    BAD_ANSWER,
    NO_CONNECTION,
    NOT_INITIALIZED,
    TRANSPORT,
    TRANSPORT_CODES,
    CallRefused,
    CannotStart,
    ComponentInfo,
    DialectName,
    Json,
    Kind,
    Runtime,
    StepContext,
    StepFailed,
)
from .references import resolved

PROTOCOL_VERSION: Final = 1

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
    """

    channel: Channel
    lost: Callable[[], Awaitable[str]]
    fate: Callable[[], Awaitable[str | None]]
    is_lost: Callable[[], bool]
    is_to_blame: Callable[[], bool]


Connect: TypeAlias = Callable[[Service, trio.Nursery], AbstractAsyncContextManager[Link]]
"""Opens a link, whose background work runs in the nursery. Errors: StepFailed where that cannot be done."""


class BlobApi(msgspec.Struct, frozen=True):
    """The runtime's HTTP API for blobs, which workers of 0.11 use instead of callbacks."""

    url: str
    threshold_bytes: int = 1_048_576


def no() -> bool:
    """For links that are never lost, or never to blame."""
    return False


class _Greeted(msgspec.Struct, frozen=True):
    """A worker that has been greeted."""

    link: Link
    dialect: DialectName
    gives_refs: bool


class _InitializeResult(msgspec.Struct):
    """Either spelling (spec section 3.1)."""

    snake: int | None = msgspec.field(name="server_protocol_version", default=None)
    camel: int | None = msgspec.field(name="serverProtocolVersion", default=None)
    gives_refs: bool | None = msgspec.field(name="supportsBlobRefs", default=None)


class _ExecuteResult(msgspec.Struct):
    output: Any


class _Listed(msgspec.Struct):
    components: list[ComponentInfo]


class WorkerPlugin:
    """A plugin whose components are a worker's.

    `preferred` is the dialect of a worker that speaks both. `execute_seconds` bounds each call; None sets no bound.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        runtime: Runtime,
        *,
        execute_seconds: float | None,
        preferred: DialectName = "0.9",
        blob_api: BlobApi | None = None,
    ) -> None:
        self.name = name
        self._connect = connect
        self._runtime = runtime
        self._execute_seconds = execute_seconds
        self._preferred: DialectName = preferred
        self._blob_api = blob_api
        self._in_flight = InFlight()
        self._callbacks = callbacks_of(
            runtime, self._in_flight, self._report, dialect=lambda: self.dialect or self._preferred
        )
        self._greeted: _Greeted | None = None
        self._is_up = trio.Event()
        self._reason = "it has not been started"

    @property
    def dialect(self) -> DialectName | None:
        """What the worker speaks; None while there is no way to it."""
        return None if self._greeted is None else self._greeted.dialect

    async def start(self, nursery: trio.Nursery) -> None:
        """See Plugin; the worker is greeted."""
        await nursery.start(self._run, nursery)

    async def components(self) -> list[ComponentInfo]:
        """See Plugin."""
        greeted = await self._ready()
        answer = await self._ask(greeted, "components/list", {}, GREET_SECONDS)
        if isinstance(answer, Failure):
            raise self._failed(answer)
        try:
            return msgspec.json.decode(answer.result, type=_Listed).components
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f"its list of components is none: {error}") from None

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """See Plugin."""
        params = {
            "component": component,
            "input": value,
            "attempt": context.attempt,
            "observability": context.observability(),
        }
        with self._in_flight.during(context):
            greeted = await self._ready()
            answer = await self._ask(greeted, "components/execute", params, self._execute_seconds)
            if isinstance(answer, Failure) and answer.error.code == NOT_INITIALIZED:
                # A worker behind the same URL that was started anew; it has not executed anything.
                greeted = await self._greet(greeted.link)
                self._greeted = greeted
                answer = await self._ask(greeted, "components/execute", params, self._execute_seconds)
            if isinstance(answer, Failure):
                raise self._failed(answer)
            try:
                output = msgspec.json.decode(answer.result, type=_ExecuteResult).output
            except (msgspec.DecodeError, RecursionError) as error:
                raise self._malformed(f'expected a result with the member "output": {error}') from None
            return await self._without_refs(output, context) if greeted.gives_refs else output

    # --- the way to the worker --------------------------------------------------------------------

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
            _logger.warning("worker %s: %s; it is started again in %g s", self.name, self._reason, pause)
            await trio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _down(self) -> None:
        if self._greeted is not None:
            self._greeted = None
            self._is_up = trio.Event()

    async def _ready(self) -> _Greeted:
        """The worker, as soon as there is a way to it. Errors: StepFailed."""
        with trio.move_on_after(READY_SECONDS):
            while True:
                if self._greeted is not None and self._greeted.link.is_lost():
                    # Whoever keeps the link has not been told yet.
                    self._down()
                if self._greeted is not None:
                    return self._greeted
                await self._is_up.wait()
        message = f"worker {self.name} is not up within {READY_SECONDS:g} s: {self._reason}"
        raise StepFailed(NO_CONNECTION, message, kind="transport")

    async def _greet(self, link: Link) -> _Greeted:
        """The handshake. Errors: StepFailed."""
        params: dict[str, Json] = {
            "runtime_protocol_version": PROTOCOL_VERSION,
            "runtimeProtocolVersion": PROTOCOL_VERSION,
            # Ours: what a worker that speaks both is to speak. Others leave unknown members alone.
            "dialect": self._preferred,
        }
        if self._blob_api is not None:
            api = self._blob_api
            params["capabilities"] = {"blobApiUrl": api.url, "blobThreshold": api.threshold_bytes}
        provisional = _Greeted(link, self._preferred, gives_refs=False)
        answer = await self._ask(provisional, "initialize", params, GREET_SECONDS)
        if isinstance(answer, Failure):
            error = answer.error
            raise self._malformed(f"it answered initialize with the error {error.code}: {error.message}")
        try:
            result = msgspec.json.decode(answer.result, type=_InitializeResult)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f"its answer to initialize is none: {error}") from None
        if result.snake is None and result.camel is None:
            raise self._malformed("its answer to initialize names no version of the protocol")
        dialect = (
            self._preferred if None not in (result.snake, result.camel) else "0.9" if result.camel is None else "0.11"
        )
        try:
            with trio.fail_after(GREET_SECONDS):
                await link.channel.notify("initialized", Raw(b"{}"))
        except TransportError as error:
            raise await self._lost(link, error) from None
        except trio.TooSlowError:
            raise self._too_slow("initialized", GREET_SECONDS) from None
        return _Greeted(link, dialect, gives_refs=bool(result.gives_refs))

    async def _ask(self, greeted: _Greeted, method: str, params: Json, seconds: float | None) -> Answer:
        """The answer of the worker, good or bad. Errors: StepFailed where there is none."""
        text = Raw(msgspec.json.encode(params))
        fault: TransportError | None = None
        with trio.move_on_after(float("inf") if seconds is None else seconds) as scope:
            try:
                return await greeted.link.channel.call(method, text, None)
            except MalformedAnswer as error:
                raise self._malformed(str(error)) from None
            except TransportError as error:
                fault = error
        if fault is None:
            assert scope.cancelled_caught
            raise self._too_slow(method, seconds or 0)
        raise await self._lost(greeted.link, fault)

    # --- what can go wrong ------------------------------------------------------------------------

    async def _lost(self, link: Link, error: TransportError) -> StepFailed:
        if isinstance(error, MalformedAnswer) or link.is_to_blame():
            return self._malformed(str(error))
        fate = await link.fate()
        told = str(error) if fate is None else f"{error}; {fate}"
        return StepFailed(NO_CONNECTION, f"worker {self.name}: {told}", kind="transport")

    def _too_slow(self, method: str, seconds: float) -> StepFailed:
        return StepFailed(
            TRANSPORT, f"worker {self.name}: {method} was not answered within {seconds:g} s", kind="transport"
        )

    def _malformed(self, told: str) -> StepFailed:
        return StepFailed(BAD_ANSWER, f"worker {self.name}: {told}", kind="protocol")

    def _failed(self, answer: Failure) -> StepFailed:
        error = answer.error
        data = msgspec.json.decode(error.data) if isinstance(error.data, Raw) else None
        kind: Kind = "transport" if error.code in TRANSPORT_CODES else "component"
        return StepFailed(error.code, error.message, data, kind=kind)

    def _report(self, method: str, what: str, error: BaseException) -> None:
        _logger.error("worker %s: %s: %s", self.name, method, what, exc_info=error)

    # --- references to blobs ----------------------------------------------------------------------

    async def _without_refs(self, output: Json, context: StepContext) -> Json:
        """The output with the values that parts of it refer to, as 0.11 sends large ones (spec section 12)."""

        async def get(blob_id: str) -> Json:
            return (await self._runtime.get_blob(blob_id, context)).data

        try:
            return await resolved(output, get)
        except CallRefused as refused:
            raise self._malformed(f"its output refers to a blob: {refused.message}") from refused
