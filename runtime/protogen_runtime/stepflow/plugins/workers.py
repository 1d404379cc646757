"""Workers: the handshake of either dialect, and the calls.

Knows no transport: `links` keeps the way to one open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from typing import Any, Final

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import cancel_request, prompt
from protogen_runtime.jsonrpc import Answer, Failure, Notification, RequestId, Success

from .callbacks import InFlight, callbacks_of
from .contract import (
    DIALECT,
    NOT_INITIALIZED,
    TAKES_CANCEL,
    CallRefused,
    ComponentInfo,
    DialectName,
    Json,
    Rest,
    Runtime,
    StepContext,
    StepFailed,
    Told,
)
from .links import GREET_SECONDS, Connect, Greeted, Link, LinkedPlugin
from .references import resolved, with_references

PROTOCOL_VERSION: Final = 1

EXECUTE: Final = "components/execute"

_logger = logging.getLogger("protogen_runtime.stepflow.workers")


class BlobApi(msgspec.Struct, frozen=True):
    """The runtime's HTTP API for blobs, which workers of 0.11 use instead of callbacks."""

    url: str
    threshold_bytes: int = 1_048_576


class _Greeting(msgspec.Struct, frozen=True):
    """What a worker answered to the handshake."""

    dialect: DialectName
    gives_refs: bool
    takes_cancel: bool


class _InitializeResult(msgspec.Struct):
    """Either spelling (spec section 3.1)."""

    snake: int | None = msgspec.field(name="server_protocol_version", default=None)
    camel: int | None = msgspec.field(name="serverProtocolVersion", default=None)
    gives_refs: bool | None = msgspec.field(name="supportsBlobRefs", default=None)
    takes_cancel: bool | None = msgspec.field(name=TAKES_CANCEL, default=None)


class _ExecuteParams(msgspec.Struct, frozen=True):
    component: str
    input: Json
    attempt: int
    observability: dict[str, str]


class _ExecuteResult(msgspec.Struct):
    output: Any


class _Soon:
    """An execution without a task, by when it began."""

    __slots__ = ("late", "since")

    def __init__(self, since: float) -> None:
        self.since: Final = since
        self.late: Callable[[], None] = _nothing
        """Called when it has taken too long."""


class _Listed(msgspec.Struct):
    components: list[ComponentInfo]


def _nothing() -> None:
    """Before it has been sent."""


def _raised(failed: StepFailed) -> Json:
    raise failed


def _params_of(component: str, value: Json, context: StepContext) -> _ExecuteParams:
    return _ExecuteParams(component, value, context.attempt, context.observability())


_GONE: Final = object()
_MARK: Final = b'"$blob"'
_encode: Final = msgspec.json.Encoder().encode
_read_result: Final = msgspec.json.Decoder(_ExecuteResult).decode


class WorkerPlugin(LinkedPlugin[_Greeting]):
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
        self._in_flight = InFlight()
        callbacks = callbacks_of(
            runtime,
            self._in_flight,
            self._report,
            dialect=lambda: self.dialect or self._preferred,
            withdraw=self._withdraw,
        )
        super().__init__(name, connect, callbacks, execute_seconds=execute_seconds)
        self._under_way: dict[_Soon, None] = {}
        self._has_calls = trio.Event()
        self._runtime = runtime
        self._preferred: DialectName = preferred
        self._blob_api = blob_api

    async def start(self, nursery: trio.Nursery) -> None:
        """See Plugin."""
        if self._execute_seconds is not None:
            nursery.start_soon(self._expire, self._execute_seconds)
        await super().start(nursery)

    @property
    def dialect(self) -> DialectName | None:
        """What the worker speaks; None while there is no way to it."""
        return None if self._greeted is None else self._greeted.greeting.dialect

    async def components(self) -> list[ComponentInfo]:
        """See Plugin."""
        greeted = await self._ready()
        answer = await self._ask(greeted.link, "components/list", {}, GREET_SECONDS)
        if isinstance(answer, Failure):
            raise self._failed(answer)
        try:
            return msgspec.json.decode(answer.result, type=_Listed).components
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f"its list of components is none: {error}") from None

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """See Plugin."""
        with self._in_flight.during(context):
            greeted = await self._ready()
            params = _params_of(component, await self._with_refs(value, greeted, context), context)
            answer = await self._ask(greeted.link, EXECUTE, params, self._execute_seconds)
            return await self._come_to(answer, greeted, params, context)

    def execute_soon(self, component: str, value: Json, context: StepContext, told: Told) -> Callable[[], None] | None:
        """Execute without a task; what it returns abandons that. None where only `execute` can do it now."""
        greeted = self._greeted
        if greeted is None or greeted.link.call_soon is None or greeted.link.is_lost():
            return None
        params = _params_of(component, value, context)
        call = _Soon(trio.current_time())

        def came(answer: Answer | prompt.Rest) -> None:
            self._under_way.pop(call, None)
            call.late = _nothing
            if isinstance(answer, Success) and not (greeted.greeting.gives_refs and _MARK in bytes(answer.result)):
                told(lambda: self._output(answer))
            else:
                told(Rest(lambda: self._finish(answer, greeted, params, context, since=call.since)))

        def late() -> None:
            abandon()
            failed = self._too_slow(EXECUTE, self._execute_seconds or 0)
            told(lambda: _raised(failed))

        def leave() -> None:
            self._under_way.pop(call, None)
            abandon()

        text = _encode(params)
        if len(text) > self._threshold(greeted):
            return None
        made = greeted.link.call_soon(EXECUTE, Raw(text), came)
        if made is None:
            return None
        abandon, call.late = made, late
        if self._execute_seconds is not None:
            self._under_way[call] = None
            if len(self._under_way) == 1:
                self._has_calls.set()
        return leave

    async def _finish(
        self,
        answer: Answer | prompt.Rest,
        greeted: Greeted[_Greeting],
        params: _ExecuteParams,
        context: StepContext,
        *,
        since: float,
    ) -> Json:
        """The output of an execution that began without a task. Errors: StepFailed."""
        with self._in_flight.during(context):
            if not isinstance(answer, Success | Failure):
                answer = await self._answered(greeted.link, EXECUTE, answer, self._execute_seconds, since=since)
            return await self._come_to(answer, greeted, params, context)

    async def _come_to(
        self, answer: Answer, greeted: Greeted[_Greeting], params: _ExecuteParams, context: StepContext
    ) -> Json:
        """The output that an answer says. Errors: StepFailed."""
        if isinstance(answer, Failure) and answer.error.code == NOT_INITIALIZED:
            # A worker behind the same URL that was started anew; it has not executed anything.
            greeted = await self._greet(greeted.link)
            self._greeted = greeted
            answer = await self._ask(greeted.link, EXECUTE, params, self._execute_seconds)
        if isinstance(answer, Failure):
            raise self._failed(answer)
        output = self._output(answer)
        return await self._without_refs(output, context) if greeted.greeting.gives_refs else output

    def _output(self, answer: Success) -> Json:
        try:
            return _read_result(answer.result).output
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f'expected a result with the member "output": {error}') from None

    async def _expire(self, seconds: float) -> None:
        """End executions without a task that take longer; they began in their order."""
        while True:
            while not self._under_way:
                self._has_calls = trio.Event()
                await self._has_calls.wait()
            first = next(iter(self._under_way))
            await trio.sleep_until(first.since + seconds)
            if self._under_way.pop(first, _GONE) is not _GONE:
                first.late()

    async def _greet(self, link: Link) -> Greeted[_Greeting]:
        """The handshake. Errors: StepFailed."""
        params: dict[str, Json] = {
            "runtime_protocol_version": PROTOCOL_VERSION,
            "runtimeProtocolVersion": PROTOCOL_VERSION,
            # Ours: what a worker that speaks both is to speak. Others leave unknown members alone.
            DIALECT: self._preferred,
        }
        if self._blob_api is not None:
            api = self._blob_api
            params["capabilities"] = {"blobApiUrl": api.url, "blobThreshold": api.threshold_bytes}
        answer = await self._ask(link, "initialize", params, GREET_SECONDS)
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
        await self._tell(link, "initialized", {})
        greeting = _Greeting(dialect, gives_refs=bool(result.gives_refs), takes_cancel=bool(result.takes_cancel))
        return Greeted(link, greeting)

    def _withdraw(self, request_id: RequestId, method: str) -> Notification | None:
        greeted = self._greeted
        if greeted is None or not greeted.greeting.takes_cancel:
            return None
        return cancel_request(request_id, method)

    def _report(self, method: str, what: str, error: BaseException) -> None:
        _logger.error("worker %s: %s: %s", self.name, method, what, exc_info=error)

    # --- references to blobs ----------------------------------------------------------------------

    def _threshold(self, greeted: Greeted[_Greeting]) -> float:
        """How long the members of an input may be that are sent whole."""
        api = self._blob_api
        takes_refs = greeted.greeting.gives_refs and api is not None and api.threshold_bytes > 0
        return api.threshold_bytes if api is not None and takes_refs else inf

    async def _with_refs(self, value: Json, greeted: Greeted[_Greeting], context: StepContext) -> Json:
        """The input with references in the place of large members, for workers that take them (spec section 12)."""
        threshold = self._threshold(greeted)
        if threshold == inf:
            return value

        async def put(member: Json) -> str:
            return await self._runtime.put_blob(member, "data", context)

        try:
            return await with_references(value, int(threshold), put)
        except CallRefused as refused:
            _logger.warning("worker %s: an input is sent whole: %s", self.name, refused.message)
            return value

    async def _without_refs(self, output: Json, context: StepContext) -> Json:
        """The output with the values that parts of it refer to, as 0.11 sends large ones (spec section 12)."""

        async def get(blob_id: str) -> Json:
            return (await self._runtime.get_blob(blob_id, context)).data

        try:
            return await resolved(output, get)
        except CallRefused as refused:
            raise self._malformed(f"its output refers to a blob: {refused.message}") from refused
