"""Workers: the handshake of either dialect, and the calls.

Knows no transport: `links` keeps the way to one open.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from protogen_runtime.jsonrpc import Failure, Success

from .callbacks import InFlight, callbacks_of
from .contract import (
    NOT_INITIALIZED,
    CallRefused,
    ComponentInfo,
    DialectName,
    Json,
    Runtime,
    StepContext,
)
from .links import GREET_SECONDS, Connect, Greeted, Link, LinkedPlugin
from .references import resolved, with_references

PROTOCOL_VERSION: Final = 1

_logger = logging.getLogger("protogen_runtime.stepflow.workers")


class BlobApi(msgspec.Struct, frozen=True):
    """The runtime's HTTP API for blobs, which workers of 0.11 use instead of callbacks."""

    url: str
    threshold_bytes: int = 1_048_576


class _Greeting(msgspec.Struct, frozen=True):
    """What a worker answered to the handshake."""

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
            runtime, self._in_flight, self._report, dialect=lambda: self.dialect or self._preferred
        )
        super().__init__(name, connect, callbacks, execute_seconds=execute_seconds)
        self._runtime = runtime
        self._preferred: DialectName = preferred
        self._blob_api = blob_api

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
            answer = await self._asked(greeted, component, value, context)
            if isinstance(answer, Failure) and answer.error.code == NOT_INITIALIZED:
                # A worker behind the same URL that was started anew; it has not executed anything.
                greeted = await self._greet(greeted.link)
                self._greeted = greeted
                answer = await self._asked(greeted, component, value, context)
            if isinstance(answer, Failure):
                raise self._failed(answer)
            try:
                output = msgspec.json.decode(answer.result, type=_ExecuteResult).output
            except (msgspec.DecodeError, RecursionError) as error:
                raise self._malformed(f'expected a result with the member "output": {error}') from None
            return await self._without_refs(output, context) if greeted.greeting.gives_refs else output

    async def _asked(
        self, greeted: Greeted[_Greeting], component: str, value: Json, context: StepContext
    ) -> Success | Failure:
        """The answer to an execution. Errors: StepFailed where there is none."""
        if greeted.greeting.gives_refs and self._blob_api is not None and self._blob_api.threshold_bytes:
            value = await self._with_refs(value, self._blob_api.threshold_bytes, context)
        params = {
            "component": component,
            "input": value,
            "attempt": context.attempt,
            "observability": context.observability(),
        }
        return await self._ask(greeted.link, "components/execute", params, self._execute_seconds)

    async def _greet(self, link: Link) -> Greeted[_Greeting]:
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
        return Greeted(link, _Greeting(dialect, gives_refs=bool(result.gives_refs)))

    def _report(self, method: str, what: str, error: BaseException) -> None:
        _logger.error("worker %s: %s: %s", self.name, method, what, exc_info=error)

    # --- references to blobs ----------------------------------------------------------------------

    async def _with_refs(self, value: Json, threshold_bytes: int, context: StepContext) -> Json:
        """The input with references for its large members; as it is where one of them cannot be kept."""

        async def put(member: Json) -> str:
            return await self._runtime.put_blob(member, "data", context)

        try:
            return await with_references(value, threshold_bytes, put)
        except CallRefused as refused:
            _logger.warning("worker %s: its input is sent without references to blobs: %s", self.name, refused.message)
            return value

    async def _without_refs(self, output: Json, context: StepContext) -> Json:
        """The output with the values that parts of it refer to, as 0.11 sends large ones (spec section 12)."""

        async def get(blob_id: str) -> Json:
            return (await self._runtime.get_blob(blob_id, context)).data

        try:
            return await resolved(output, get)
        except CallRefused as refused:
            raise self._malformed(f"its output refers to a blob: {refused.message}") from refused
