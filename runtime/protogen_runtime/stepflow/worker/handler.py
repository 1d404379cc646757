"""What a runtime calls on a worker: the handshake, lists of components, and their execution under bounds.

Knows no transport. This is the one place where what a component raises becomes an error of the protocol.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from difflib import get_close_matches
from functools import partial
from math import inf
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import msgspec
import trio
from msgspec import UNSET, Raw
from stepflow_protocol.client import CLIENTS
from stepflow_protocol.errors import (
    ComponentNotFoundError,
    ExecutionFailedError,
    ExecutionTimeoutError,
    InternalError,
    InvalidInputSchemaError,
    InvalidValueError,
    NotInitializedError,
    PermissionDeniedError,
    ResourceUnavailableError,
)
from stepflow_protocol.methods import INITIALIZE, PROTOCOL
from stepflow_protocol.rpc.errors import CallError, RpcError
from stepflow_protocol.types import (
    ComponentExecuteParams,
    ComponentInferSchemaParams,
    ComponentInferSchemaResult,
    ComponentInfo,
    ComponentInfoParams,
    ComponentInfoResult,
    ComponentListParams,
    ComponentNotFoundData,
    Initialized,
    InitializeParams,
    InitializeResult,
    ListComponentsResult,
)
from stepflow_v011_protocol import types as later
from stepflow_v011_protocol.errors import VersionMismatchError
from stepflow_v011_protocol.methods import PROTOCOL as PROTOCOL_OF_011

from protogen_runtime.dispatch import CallContext, Channel, DirectCall, Link, Outcome, Report, Service
from protogen_runtime.jsonrpc import Work
from protogen_runtime.stepflow.plugins.contract import DIALECT, TAKES_CANCEL, is_object
from protogen_runtime.stepflow.plugins.references import reference_to, resolved

from .blob_api import BlobApi
from .calls import CallsOf011, CallsOf09
from .context import BlockingContext, Context, Lend, Patience
from .dialects import Peer, told
from .functions import BadCapture, Component, Components, Found
from .messages import USAGE
from .slots import Full, Slot, Slots
from .values import DoesNotFit, Json, NoJson, write

VERSION: Final = 1
"""The version of the protocol that is spoken, in every dialect."""

MAX_REASON_CHARS: Final = 1000
"""An exception's text may hold a whole document; what is cut off is in the worker's log."""


class _Met(msgspec.Struct, frozen=True):
    """A runtime, and its blobs where they are behind HTTP."""

    peer: Peer
    blobs: BlobApi | None

    @classmethod
    def of(cls, peer: Peer) -> _Met:
        """The one whose peer is told."""
        url = peer.blob_api_url
        return cls(peer, None if url is None or peer.dialect == "0.9" else BlobApi(url))


class Handler:
    """Serves the role `worker` with components. Nothing depends on a handshake: replicas see executions alone."""

    def __init__(
        self,
        components: Components,
        *,
        peer: Peer,
        slots: Slots,
        patience: Patience,
        seconds: float | None,
        tells_reasons: bool,
    ) -> None:
        self._peer = _Met.of(peer)
        self._on_connections: WeakKeyDictionary[Channel, _Met] = WeakKeyDictionary()
        self._components = components
        self._slots = slots
        self._patience = patience
        self._seconds = seconds
        self._tells_reasons = tells_reasons

    def meet(self, peer: Peer, call: CallContext) -> None:
        """A runtime has shaken hands; executions that are under way go on as they began.

        Over HTTP nothing ties an execution to a handshake: the last one counts there, and on its connection elsewhere.
        """
        if call.is_of_connection:
            self._on_connections[call.channel] = _Met.of(peer)
        else:
            self._peer = _Met.of(peer)

    def initialize(self, params: InitializeParams, call: CallContext) -> InitializeResult:
        """State our version; `runtime_protocol_version` is the highest that the runtime speaks."""
        spoken = params.runtime_protocol_version
        if spoken < VERSION:
            raise NotInitializedError(
                {"expected": VERSION, "got": spoken}, message=f"expected a runtime of version {VERSION}, got {spoken}"
            )
        self.meet(Peer(dialect="0.9"), call)
        return InitializeResult(server_protocol_version=VERSION)

    def initialized(self, _: Initialized, __: CallContext) -> None:
        """Nothing begins with it."""

    def components_list(self, _: ComponentListParams, __: CallContext) -> ListComponentsResult:
        """Every component that has one path."""
        return ListComponentsResult(components=[_info(it, it.path) for it in self._components.listed])

    def components_info(self, params: ComponentInfoParams, _: CallContext) -> ComponentInfoResult:
        """One component, or what a pattern makes of a path."""
        return ComponentInfoResult(info=_info(self._find(params.component).component, params.component))

    def components_infer_schema(self, params: ComponentInferSchemaParams, _: CallContext) -> ComponentInferSchemaResult:
        """What the component makes of the schema, or what it returns in any case."""
        component = self._find(params.component).component
        if component.infer is None:
            schema: Any = component.output_schema
        else:
            try:
                schema = component.infer(params.input_schema)
            except (ValueError, TypeError, LookupError) as reason:
                data = {"component": params.component, "reason": self._reason(reason)}
                raise InvalidInputSchemaError(data) from reason
        return ComponentInferSchemaResult(output_schema=UNSET if schema is None else schema)

    def components_execute_nowait(self, params: ComponentExecuteParams, call: CallContext) -> Raw | None:
        """What a component gives that never waits; None where it is to be run.

        Its deadline does not matter: only what waits can be stopped.
        """
        met = self._met(call)
        if met.blobs is not None or not self._slots.is_free:
            return None
        path = params.component
        try:
            found = self._find(path)
            component = found.component
            if not component.never_waits:
                return None
            arguments = _arguments(found, path, params.input)
            context: Context | None = None
            if component.context_name is not None:
                context = arguments[component.context_name] = self._context(params, call, met, _keeps)
            running = component.function(**arguments)
            try:
                running.send(None)
            except StopIteration as end:
                return _result(path, end.value)
            except (Exception, SystemExit) as error:
                raise self._answer(context or self._context(params, call, met, _keeps), error) from error
        except RpcError as error:
            raise told(error, met.peer.dialect) from error.__cause__
        raise AssertionError("a function without an await has waited")

    def _met(self, call: CallContext) -> _Met:
        return self._on_connections.get(call.channel, self._peer) if call.is_of_connection else self._peer

    async def components_execute(self, params: ComponentExecuteParams, call: CallContext) -> Raw:
        """Run a component under its deadline, when a slot is free."""
        met = self._met(call)
        try:
            return await self._execute(params, call, met)
        except RpcError as error:
            raise told(error, met.peer.dialect) from error.__cause__

    async def _execute(self, params: ComponentExecuteParams, call: CallContext, met: _Met) -> Raw:
        blobs = met.blobs
        path = params.component
        found = self._find(path)
        component = found.component
        # What is refused needs no slot; references have to be followed first.
        arguments = _arguments(found, path, params.input) if blobs is None else None
        slot = Slot(self._slots)
        try:
            await slot.take()
        except Full:
            raise ResourceUnavailableError(
                {"component": path, "concurrency": self._slots.concurrency, "backlog": self._slots.backlog},
                message=f"{path}: the worker is busy; send it again later, or start another worker",
            ) from None
        context = self._context(params, call, met, slot.lent)
        seconds = self._seconds if component.seconds is None else component.seconds
        if seconds is None:
            return await self._output(found, arguments, params, context, slot, met)
        with trio.move_on_after(seconds):
            return await self._output(found, arguments, params, context, slot, met)
        raise ExecutionTimeoutError(
            {"component": path, "seconds": seconds}, message=f"{path} did not end within {seconds:g} s"
        )

    def _context(self, params: ComponentExecuteParams, call: CallContext, met: _Met, lend: Lend) -> Context:
        return Context(
            params.component,
            params.attempt,
            params.observability,
            channel=call.channel,
            patience=self._patience,
            lend=lend,
            make_calls=CallsOf09 if met.peer.dialect == "0.9" else partial(CallsOf011, blobs=met.blobs),
        )

    async def _output(
        self,
        found: Found,
        arguments: dict[str, Any] | None,
        params: ComponentExecuteParams,
        context: Context,
        slot: Slot,
        met: _Met,
    ) -> Raw:
        """The result of an execution that has a slot; without `arguments` references are to be followed first."""
        path, component, blobs = params.component, found.component, met.blobs
        if arguments is not None:
            return _result(path, await self._run(component, arguments, context, slot))
        assert blobs is not None
        async with blobs.used():
            try:
                value = await self._whole(params.input, context)
                arguments = _arguments(found, path, value)
            except BaseException:
                slot.give()
                raise
            output = await self._run(component, arguments, context, slot)
            return await self._result(path, output, context, met.peer)

    async def _whole(self, value: Json, context: Context) -> Json:
        """An input with the blobs in the place of the references in it."""
        try:
            return await resolved(value, context.get_blob)
        except CallError as reason:
            raise self._answer(context, reason) from reason

    async def _result(self, path: str, output: Any, context: Context, peer: Peer) -> Raw:
        """The output, whose large members are blobs; they are sent whole where the runtime does not take them."""
        whole = _result(path, output)
        if not peer.blob_threshold or len(whole) <= peer.blob_threshold:
            return whole
        members = msgspec.json.decode(whole)["output"]
        if not is_object(members):
            return whole
        try:
            for name, member in members.items():
                size = len(msgspec.json.encode(member))
                if size > peer.blob_threshold:
                    members[name] = reference_to(await context.put_blob(member), size)
        except CallError as reason:
            context.log(f"{path}: its output is sent without references to blobs", "warning", exc_info=reason)
            return whole
        return _result(path, members)

    async def _run(self, component: Component, arguments: dict[str, Any], context: Context, slot: Slot) -> Any:
        try:
            if component.is_async:
                try:
                    if component.context_name is not None:
                        arguments[component.context_name] = context
                    return await component.function(**arguments)
                finally:
                    slot.give()
            return await _in_thread(component, arguments, context, slot)
        except (Exception, SystemExit) as error:
            raise self._answer(context, error) from error

    # --- what failed ------------------------------------------------------------------------------

    def _find(self, path: str) -> Found:
        found = self._components.find(path)
        if found is None:
            near = get_close_matches(path, self._components.paths, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            data = ComponentNotFoundData(component=path)
            raise ComponentNotFoundError(data, message=f"Component not found: {path}{hint}")
        return found

    def _answer(self, context: Context, error: BaseException) -> RpcError:
        """The error to answer with for what a component raised: an error of the protocol is the answer itself."""
        cause = next(_leaves(error))
        if isinstance(cause, RpcError):
            return cause
        path = context.component
        data = {"component": path, "exception": type(cause).__qualname__}
        reason = self._reason(cause)
        if isinstance(cause, CallError):
            # What came of a callback; its text is ours.
            return ResourceUnavailableError({**data, "reason": str(cause)}, message=f"{path}: {cause}")
        kind = next((kind for known, kind in _KINDS if isinstance(cause, known)), ExecutionFailedError)
        context.log(f"{path} failed", "error", exc_info=error)
        if not self._tells_reasons:
            return kind({"component": path})
        return kind({**data, "reason": reason}, message=f"{path}: {type(cause).__qualname__}: {reason}")

    def _reason(self, error: BaseException) -> str:
        if not self._tells_reasons:
            return "see the worker's log"
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - the exception is the component's, and so is its text
            text = "its text cannot be made"
        return text.encode("utf-8", "replace").decode()[:MAX_REASON_CHARS]


_KINDS: Final[tuple[tuple[tuple[type[BaseException], ...], Callable[..., RpcError]], ...]] = (
    ((TimeoutError, trio.TooSlowError), ExecutionTimeoutError),
    ((PermissionError,), PermissionDeniedError),
    ((ConnectionError,), ResourceUnavailableError),
)
"""Exceptions whose meaning the protocol has a code for; every other one is a failed execution."""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group, those of the protocol first; the exception itself where it is no group."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    members = cast("BaseExceptionGroup[BaseException]", error).exceptions
    leaves = [leaf for member in members for leaf in _leaves(member)]
    yield from sorted(leaves, key=lambda leaf: not isinstance(leaf, CallError))


def _info(component: Component, path: str) -> ComponentInfo:
    return ComponentInfo(
        component=path,
        description=UNSET if component.description is None else component.description,
        input_schema=UNSET if component.input.schema is None else component.input.schema,
        output_schema=UNSET if component.output_schema is None else component.output_schema,
    )


def _arguments(found: Found, path: str, value: Json) -> dict[str, Any]:
    try:
        return found.component.arguments(value, found.captured)
    except DoesNotFit as reason:
        data = {"component": path, "errors": reason.faults}
        raise InvalidInputSchemaError(data, message=f"{path}: its input does not fit: {reason}") from None
    except BadCapture as reason:
        data = {"component": path, "parameter": reason.name, "reason": reason.reason}
        raise InvalidValueError(data, message=f"{path}: {reason}") from None


def _result(path: str, output: Any) -> Raw:
    try:
        return Raw(b'{"output":%b}' % write(output))
    except NoJson as reason:
        data = {"component": path, "reason": str(reason)}
        raise InternalError(data, message=f"{path}: its output is no JSON: {reason}") from None


@asynccontextmanager
async def _keeps() -> AsyncGenerator[None]:
    """What has no slot has none to lend."""
    yield


_THREADS: Final = trio.CapacityLimiter(inf)
"""Slots bound the threads; a thread of an execution that waits for a run must not keep others from starting."""


async def _in_thread(component: Component, arguments: dict[str, Any], context: Context, slot: Slot) -> Any:
    """Run a function in a thread, which has the slot until it ends: a deadline can leave a thread, but not stop it."""
    token = trio.lowlevel.current_trio_token()
    blocking = BlockingContext(context, token)
    if component.context_name is not None:
        arguments[component.context_name] = blocking

    def run() -> Any:
        try:
            return component.function(**arguments)
        finally:
            with suppress(trio.RunFinishedError):  # the worker may have ended in the meantime
                token.run_sync_soon(slot.give)

    try:
        await trio.lowlevel.checkpoint_if_cancelled()
    except trio.Cancelled:
        slot.give()
        raise
    try:
        # Nothing can cancel between the check above and the start of the thread.
        return await trio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=_THREADS)
    finally:
        blocking.end()


# --- either spelling of the handshake -------------------------------------------------------------


class _HandlerOf011:
    """What 0.11 spells otherwise."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def initialize(self, params: later.InitializeParams, call: CallContext) -> later.InitializeResult:
        """State our version, and that references to blobs are understood; note where the runtime's blobs are."""
        spoken = params.runtime_protocol_version
        if spoken < VERSION:
            raise VersionMismatchError(
                {"expected": VERSION, "got": spoken}, message=f"expected a runtime of version {VERSION}, got {spoken}"
            )
        offered = params.capabilities or later.RuntimeCapabilities()
        url, threshold = offered.blob_api_url or None, offered.blob_threshold or 0
        self._handler.meet(Peer(dialect="0.11", blob_api_url=url, blob_threshold=threshold), call)
        return later.InitializeResult(server_protocol_version=VERSION, supports_blob_refs=True)


class WorkerService(Service):
    """Takes `initialize` in snake and in camel case, and answers in the same: that is the dialect (spec, section 3.1).

    Of a runtime that writes both, as ours does, the member `dialect` says which one it wants; 0.9 without it.
    """

    def __init__(self, handler: Handler, *, report: Report | None = None) -> None:
        super().__init__(PROTOCOL, "worker", handler, clients=CLIENTS, report=report, usage=USAGE)
        self._later = Service(PROTOCOL_OF_011, "worker", _HandlerOf011(handler), report=report)

    def read(self, frame: bytes) -> DirectCall | None:
        """See Service; an id that is null goes the long way, where it is refused."""
        call = super().read(frame)
        return None if call is None or call.id is None else call

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        if work.method != INITIALIZE:
            return super().start(work, link)
        members = _members(work.params)
        outcome = self._later.start(work, link) if _speaks_011(members) else super().start(work, link)
        if isinstance(outcome, Raw) and DIALECT in members:
            # Ours: whoever names a dialect may also say that it has given a call up.
            return Raw(b'%b,"%b":true}' % (bytes(outcome)[:-1], TAKES_CANCEL.encode()))
        return outcome


def _members(params: Raw) -> dict[str, Raw]:
    try:
        return msgspec.json.decode(params, type=dict[str, Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _speaks_011(members: dict[str, Raw]) -> bool:
    if "runtimeProtocolVersion" not in members:
        return False
    return "runtime_protocol_version" not in members or bytes(members.get(DIALECT, b"")) == b'"0.11"'
