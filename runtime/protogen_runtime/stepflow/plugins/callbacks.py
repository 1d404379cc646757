"""What workers call on the runtime, in both dialects: blobs and runs.

Knows no transport. The rows and classes are those of the generated SDK of 0.9; what 0.11 writes otherwise is brought
into that form first (spec sections 3.4 and 9).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw
from stepflow_protocol import PROTOCOL
from stepflow_protocol.types import (
    GetBlobParams,
    GetRunProtocolParams,
    PutBlobParams,
    PutBlobResult,
    SubmitRunProtocolParams,
)

from protogen_runtime.dispatch import CallContext, Codec, Link, Method, Outcome, Report, Sdk, Service, Usage, sdk_of
from protogen_runtime.jsonrpc import INVALID_REQUEST, Call, Notification, RequestId, Work

from .contract import CallRefused, DialectName, RunQuery, RunRequest, Runtime, StepContext, is_object

WAIT_SECONDS: Final = 300.0
"""How long 0.11 waits for a run where the worker does not say; then it tells how the run stands. 0.9 waits on."""

_SDK: Final = sdk_of(PROTOCOL)
_current: Final[ContextVar[StepContext | None]] = ContextVar("stepflow_step", default=None)


class _Refusal(CallRefused):
    """CallRefused as dispatch takes errors: data that is absent is UNSET."""

    def __init__(self, refused: CallRefused, dialect: DialectName) -> None:
        code = refused.later_code if dialect == "0.11" else refused.code
        super().__init__(code, refused.message, UNSET if refused.data is None else refused.data)


class _BothDialects:
    """The SDK's codec, which also takes null for what is absent, and overrides in the wrapping of 0.11."""

    def decode(self, name: str, data: bytes | Raw) -> Any:
        """See Codec."""
        codec = PROTOCOL.codec
        try:
            return codec.decode(name, data)
        except _SDK.invalid:
            plain = _plain(data)
            if plain is None:
                raise
            return codec.decode(name, plain)

    def encode(self, value: Any) -> bytes:
        """See Codec."""
        return PROTOCOL.codec.encode(value)

    def encode_as(self, name: str, value: Any) -> bytes:
        """See Codec."""
        return PROTOCOL.codec.encode_as(name, value)


class _Callable(msgspec.Struct, frozen=True):
    """The tables of the SDK, read by the codec above."""

    codec: Codec
    methods: Mapping[str, Method]
    name: str = PROTOCOL.name
    path: str = PROTOCOL.path
    health_path: str | None = PROTOCOL.health_path
    instance_header: str = PROTOCOL.instance_header


_INFO: Final = _Callable(_BothDialects(), PROTOCOL.methods)


class InFlight:
    """The calls of one worker that are under way: a callback is made on behalf of one of them."""

    def __init__(self) -> None:
        self._contexts: dict[int, StepContext] = {}

    @contextmanager
    def during(self, context: StepContext) -> Generator[None]:
        """Note a call, in whose task callbacks that come with its answer are served."""
        token = _current.set(context)
        self._contexts[id(token)] = context
        try:
            yield
        finally:
            del self._contexts[id(token)]
            _current.reset(token)

    def caller(self, observability: Any) -> StepContext | None:
        """Whose callback it is: that of the stream it came on; else of the step that it names; else of the only one."""
        current = _current.get()
        if current is not None:
            return current
        run_id, step_id = (_text(observability, name) for name in ("run_id", "step_id"))
        contexts = list(self._contexts.values())
        named = [it for it in contexts if run_id in (None, it.run_id) and step_id in (None, it.step_id)]
        if run_id is None and step_id is None:
            return contexts[0] if len(contexts) == 1 else None
        return named[0] if named else None


class _Handler:
    """The functions that rows of the table name."""

    def __init__(self, runtime: Runtime, in_flight: InFlight, dialect: Callable[[], DialectName]) -> None:
        self._runtime = runtime
        self._in_flight = in_flight
        self._dialect = dialect

    async def blobs_put(self, params: PutBlobParams, _: CallContext) -> PutBlobResult:
        caller = self._in_flight.caller(params.observability)
        with self._refusing():
            return PutBlobResult(blob_id=await self._runtime.put_blob(params.data, params.blob_type, caller))

    async def blobs_get(self, params: GetBlobParams, _: CallContext) -> Raw:
        caller = self._in_flight.caller(params.observability)
        with self._refusing():
            blob = await self._runtime.get_blob(params.blob_id, caller)
        return Raw(msgspec.json.encode({"data": blob.data, "blob_type": blob.blob_type}))

    async def runs_submit(self, params: SubmitRunProtocolParams, _: CallContext) -> Raw:
        overrides = params.overrides
        request = RunRequest(
            flow_id=params.flow_id,
            inputs=params.inputs,
            wait=params.wait_or_default,
            max_concurrency=None if params.max_concurrency is UNSET else params.max_concurrency,
            overrides=None if overrides is UNSET or overrides is None else msgspec.json.decode(_encoded(overrides)),
            timeout_seconds=self._patience(params.extra),
            subflow_key=_string(params.extra, "subflowKey"),
        )
        with self._refusing():
            status = await self._runtime.submit_run(request, self._in_flight.caller(params.observability))
        return Raw(msgspec.json.encode(status))

    async def runs_get(self, params: GetRunProtocolParams, _: CallContext) -> Raw:
        query = RunQuery(
            run_id=params.run_id,
            wait=params.wait_or_default,
            include_results=params.include_results_or_default,
            result_order=params.result_order_or_default,
            timeout_seconds=self._patience(params.extra),
        )
        with self._refusing():
            status = await self._runtime.get_run(query, self._in_flight.caller(params.observability))
        return Raw(msgspec.json.encode(status))

    def _patience(self, extra: Any) -> float | None:
        seconds = _number(extra, "timeoutSecs")
        return WAIT_SECONDS if seconds is None and self._dialect() == "0.11" else seconds

    @contextmanager
    def _refusing(self) -> Generator[None]:
        try:
            yield
        except CallRefused as refused:
            raise _Refusal(refused, self._dialect()) from refused


class _Callbacks(Service):
    """Refuses calls whose id is null or has a fraction: Stepflow has no such ids (spec section 2)."""

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        if type(work) is Call and type(work.id) not in (str, int):
            return INVALID_REQUEST
        return super().start(work, link)


def callbacks_of(
    runtime: Runtime,
    in_flight: InFlight,
    report: Report,
    *,
    dialect: Callable[[], DialectName],
    withdraw: Callable[[RequestId, str], Notification | None],
) -> Service:
    """What one worker may call; `report` is told of failures that the worker is not told the reason of.

    `dialect` is what the worker speaks: codes and the patience with runs are those of it. `withdraw` makes what it is
    told of a call that was given up.

    Unknown methods are answered with -32601, bad params with -32602, and so is everything else that has an id.
    """
    sdk = Sdk(_Refusal, _SDK.invalid, _SDK.types, frozenset())
    usage = Usage(has_batches=False, withdraw=withdraw)
    return _Callbacks(_INFO, "runtime", _Handler(runtime, in_flight, dialect), sdk=sdk, report=report, usage=usage)


def _plain(data: bytes | Raw) -> bytes | None:
    """Params as 0.9 writes them; None for what is no object."""
    value = msgspec.json.decode(data)
    if not is_object(value):
        return None
    # "data" is a value of the caller's, and null is one.
    known: dict[str, Any] = {name: member for name, member in value.items() if member is not None or name == "data"}
    overrides = known.get("overrides")
    if is_object(overrides) and overrides.keys() == {"steps"} and is_object(overrides["steps"]):
        known["overrides"] = overrides["steps"]
    return msgspec.json.encode(known)


def _encoded(overrides: Any) -> bytes:
    return PROTOCOL.codec.encode(overrides)


def _text(observability: Any, name: str) -> str | None:
    value = getattr(observability, name, None)
    return value if isinstance(value, str) and value else None


def _string(extra: Any, name: str) -> str | None:
    value = extra.get(name) if is_object(extra) else None
    return value if isinstance(value, str) else None


def _number(extra: Any, name: str) -> float | None:
    value = extra.get(name) if is_object(extra) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
