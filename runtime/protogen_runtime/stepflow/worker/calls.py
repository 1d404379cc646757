"""What an execution asks of its runtime, in the words of either dialect (spec, sections 3.4, 3.5 and 12).

Knows no component: values are JSON already, and whoever calls has taken care of slots.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property
from math import ceil
from typing import Any, Final, Protocol, cast

import msgspec
import trio
from msgspec import UNSET, Raw
from stepflow_protocol import PROTOCOL
from stepflow_protocol._jsonrpc import Failure as AdoptedFailure
from stepflow_protocol.client import RuntimeClient
from stepflow_protocol.errors import ResourceUnavailableError
from stepflow_protocol.methods import BLOBS_GET, BLOBS_PUT, METHODS
from stepflow_protocol.methods import RUNS_GET as RUNS_GET_OF_09
from stepflow_protocol.methods import RUNS_SUBMIT as RUNS_SUBMIT_OF_09
from stepflow_protocol.rpc.boundary import ValidationError
from stepflow_protocol.rpc.errors import CallTimeoutError, InvalidResultError, RpcError
from stepflow_protocol.rpc.errors import TransportError as NoAnswer
from stepflow_protocol.rpc.table import read_error
from stepflow_protocol.types import (
    BlobType,
    GetBlobParams,
    GetRunProtocolParams,
    ObservabilityContext,
    PutBlobParams,
    ResultOrder,
    RunStatusProtocol,
    SubmitRunProtocolParams,
    WorkflowOverrides,
)
from stepflow_v011_protocol.methods import RUNS_GET, RUNS_SUBMIT

from protogen_runtime.dispatch import Channel
from protogen_runtime.dispatch.channels import TransportError, adopt
from protogen_runtime.jsonrpc import Failure
from protogen_runtime.stepflow.plugins.contract import is_array, is_object

from .blob_api import BlobApi
from .dialects import understood
from .values import Json, in_ascii, plain, write

SPARE_SECONDS: Final = 5
"""What a runtime of 0.11 may wait longer than we do: our own patience ends first, with an error that says so."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A run to start; see `Context.submit_run`."""

    flow_id: str
    inputs: Sequence[Json]
    wait: bool
    max_concurrency: int | None
    overrides: dict[str, Json] | None
    """By step."""
    key: str | None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A question after a run; see `Context.get_run`."""

    run_id: str
    wait: bool
    include_results: bool
    result_order: ResultOrder


class Calls(Protocol):
    """The calls of one execution, each within `seconds`. Errors: those of the runtime, as the errors of 0.9."""

    async def put_blob(self, data: Any, blob_type: BlobType, seconds: float) -> str:
        """Store a value, which may be any that JSON can say, and give its id. Errors: NoJson."""
        ...

    async def get_blob(self, blob_id: str, seconds: float) -> Json:
        """The value of a blob."""
        ...

    async def submit_run(self, run: Submission, seconds: float) -> RunStatusProtocol:
        """Start a run."""
        ...

    async def get_run(self, query: Query, seconds: float) -> RunStatusProtocol:
        """What has become of a run."""
        ...


class Asking(Protocol):
    """An execution, as far as its calls need it."""

    @property
    def channel(self) -> Channel:
        """The way to the runtime."""
        ...

    @property
    def client(self) -> RuntimeClient:
        """The same with types."""
        ...

    @property
    def observability(self) -> ObservabilityContext:
        """What ties the execution to its run."""
        ...


class CallsOf09:
    """Calls for everything, typed as those of the generated client.

    Not by way of it: it has a scope for each call, and tries again over ways that a callback does not have.
    """

    def __init__(self, asking: Asking) -> None:
        # Not the execution itself, which has these calls: a circle would be left to the collector.
        self._channel = asking.channel
        self._seen = asking.observability

    async def put_blob(self, data: Any, blob_type: BlobType, seconds: float) -> str:
        """See Calls."""
        text = write(data)
        if blob_type in _BLOB_TYPES:
            # Nothing of it can be wrong, and its text is there.
            params = b'{"data":%b,"blob_type":"%b","observability":%b}' % (
                text,
                _BLOB_TYPES[blob_type],
                self._seen_text,
            )
        else:
            params = _params(BLOBS_PUT, PutBlobParams(data=Raw(text), blob_type=blob_type, observability=self._seen))
        blob_id: str = (await self._ask(BLOBS_PUT, params, seconds)).blob_id
        return blob_id

    async def get_blob(self, blob_id: str, seconds: float) -> Json:
        """See Calls."""
        params = _params(BLOBS_GET, GetBlobParams(blob_id=blob_id, observability=self._seen))
        return (await self._ask(BLOBS_GET, params, seconds)).data

    async def submit_run(self, run: Submission, seconds: float) -> RunStatusProtocol:
        """See Calls; there are no keys."""
        params = SubmitRunProtocolParams(
            flow_id=run.flow_id,
            inputs=list(run.inputs),
            wait=run.wait,
            max_concurrency=UNSET if run.max_concurrency is None else run.max_concurrency,
            overrides=UNSET if run.overrides is None else msgspec.convert(run.overrides, WorkflowOverrides),
            observability=self._seen,
        )
        status: RunStatusProtocol = await self._ask(RUNS_SUBMIT_OF_09, _params(RUNS_SUBMIT_OF_09, params), seconds)
        return status

    async def get_run(self, query: Query, seconds: float) -> RunStatusProtocol:
        """See Calls."""
        params = GetRunProtocolParams(
            run_id=query.run_id,
            wait=query.wait,
            include_results=query.include_results,
            result_order=query.result_order,
            observability=self._seen,
        )
        status: RunStatusProtocol = await self._ask(RUNS_GET_OF_09, _params(RUNS_GET_OF_09, params), seconds)
        return status

    @cached_property
    def _seen_text(self) -> bytes:
        return in_ascii(PROTOCOL.codec.encode(self._seen))

    async def _ask(self, name: str, params: bytes, seconds: float) -> Any:
        """The typed result of a method."""
        method, codec, channel = METHODS[name], PROTOCOL.codec, self._channel
        assert method.result is not None
        text = Raw(params)
        await trio.lowlevel.checkpoint_if_cancelled()
        answer: Any = None
        # Ways that look after deadlines themselves do so for less than a scope costs.
        within = getattr(channel, "call_within", None)
        if within is not None:
            try:
                answer = await within(name, text, seconds)
            except TransportError as error:
                raise NoAnswer(str(error), status=error.status) from error
        else:
            with trio.move_on_after(seconds):
                answer = await adopt(channel, RuntimeClient).call(name, text, None)
        if answer is None:
            raise CallTimeoutError(name, seconds)
        if isinstance(answer, Failure | AdoptedFailure):
            # The SDK's class of errors or the runtime's, whose members are the same.
            raise read_error(PROTOCOL, method, cast("Any", answer.error))
        try:
            return codec.decode(method.result, answer.result)
        except ValidationError as error:
            raise InvalidResultError(name, error.errors) from error


_BLOB_TYPES: Final = {"data": b"data", "flow": b"flow"}


def _params(name: str, params: object) -> bytes:
    """The params of a method as their schema has them, in ASCII. Errors: ValidationError."""
    kind = METHODS[name].params
    assert kind is not None
    return in_ascii(PROTOCOL.codec.encode_as(kind, params))


class CallsOf011:
    """Blobs over HTTP, and runs that have a key within their step."""

    def __init__(self, asking: Asking, blobs: BlobApi | None) -> None:
        self._client = asking.client
        self._seen = asking.observability
        self._blobs = blobs
        self._runs = 0

    async def put_blob(self, data: Any, blob_type: BlobType, seconds: float) -> str:
        """See Calls."""
        return await self._api().put(plain(data), blob_type, seconds)

    async def get_blob(self, blob_id: str, seconds: float) -> Json:
        """See Calls."""
        return await self._api().get(blob_id, seconds)

    async def submit_run(self, run: Submission, seconds: float) -> RunStatusProtocol:
        """See Calls; the key is the number of the run within the execution, so that every attempt has the same."""
        params: dict[str, Json] = {
            "flowId": run.flow_id,
            "inputs": list(run.inputs),
            "wait": run.wait,
            "subflowKey": self._key() if run.key is None else run.key,
        }
        if run.max_concurrency is not None:
            params["maxConcurrency"] = run.max_concurrency
        if run.overrides is not None:
            params["overrides"] = {"steps": run.overrides}
        return await self._ask(RUNS_SUBMIT, params, seconds)

    async def get_run(self, query: Query, seconds: float) -> RunStatusProtocol:
        """See Calls."""
        params = {
            "runId": query.run_id,
            "wait": query.wait,
            "includeResults": query.include_results,
            "resultOrder": query.result_order,
        }
        return await self._ask(RUNS_GET, params, seconds)

    def _api(self) -> BlobApi:
        if self._blobs is None:
            raise ResourceUnavailableError(message="the runtime offers no blobs; its blobApi is to be enabled")
        return self._blobs

    def _key(self) -> str:
        self._runs += 1
        run_id, step_id = (_text(self._seen, name) for name in ("run_id", "step_id"))
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"stepflow:{run_id}/{step_id}/{self._runs}"))

    async def _ask(self, method: str, params: dict[str, Json], seconds: float) -> RunStatusProtocol:
        seen = Raw(PROTOCOL.codec.encode(self._seen))
        params |= {"timeoutSecs": ceil(seconds) + SPARE_SECONDS, "observability": seen}
        try:
            status = await self._client.call(method, params, timeout=seconds)
        except RpcError as error:
            raise understood(error, "0.11") from error
        results = status.get("results") if is_object(status) else None
        for item in results if is_array(results) else ():
            # A state that 0.9 has no name for; its meaning is that the item has failed.
            if is_object(item) and item.get("status") == "recoveryFailed":
                item["status"] = "failed"
        try:
            decoded: RunStatusProtocol = PROTOCOL.codec.decode("RunStatusProtocol", msgspec.json.encode(status))
            return decoded
        except ValidationError as broken:
            raise InvalidResultError(method, broken.errors) from None


def _text(seen: ObservabilityContext, name: str) -> str:
    value: Any = getattr(seen, name)
    return value if isinstance(value, str) else ""
