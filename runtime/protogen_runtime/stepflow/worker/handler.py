"""What a runtime calls on a worker: the handshake, lists of components, and their execution under bounds.

Knows no transport. This is the one place where what a component raises becomes an error of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from difflib import get_close_matches
from math import inf
from typing import Any, Final, cast

import msgspec
import trio
from msgspec import UNSET, Raw
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
from stepflow_protocol.methods import INITIALIZE
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

from protogen_runtime.dispatch import CallContext, Link, Outcome, Service
from protogen_runtime.jsonrpc import Work

from .context import BlockingContext, Context, Patience
from .functions import BadCapture, Component, Components, Found
from .slots import Full, Slot, Slots
from .values import DoesNotFit, Json, NoJson, write

VERSION: Final = 1
"""The version of the protocol that is spoken, in every dialect."""

MAX_REASON_CHARS: Final = 1000
"""An exception's text may hold a whole document; what is cut off is in the worker's log."""


class Handler:
    """Serves the role `worker` with components. Nothing depends on a handshake: replicas see executions alone."""

    def __init__(
        self,
        components: Components,
        *,
        slots: Slots,
        patience: Patience,
        seconds: float | None,
        tells_reasons: bool,
    ) -> None:
        self._components = components
        self._slots = slots
        self._patience = patience
        self._seconds = seconds
        self._tells_reasons = tells_reasons

    def initialize(self, params: InitializeParams, _: CallContext) -> InitializeResult:
        """State our version; `runtime_protocol_version` is the highest that the runtime speaks."""
        spoken = params.runtime_protocol_version
        if spoken < VERSION:
            raise NotInitializedError(
                {"expected": VERSION, "got": spoken}, message=f"expected a runtime of version {VERSION}, got {spoken}"
            )
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

    async def components_execute(self, params: ComponentExecuteParams, call: CallContext) -> Raw:
        """Run a component under its deadline, when a slot is free."""
        path = params.component
        found = self._find(path)
        component = found.component
        arguments = _arguments(found, path, params.input)
        slot = Slot(self._slots)
        try:
            await slot.take()
        except Full:
            raise ResourceUnavailableError(
                {"component": path, "concurrency": self._slots.concurrency, "backlog": self._slots.backlog},
                message=f"{path}: the worker is busy; send it again later, or start another worker",
            ) from None
        context = Context(
            path,
            params.attempt,
            params.observability,
            channel=call.channel,
            patience=self._patience,
            lend=slot.lent,
        )
        seconds = self._seconds if component.seconds is None else component.seconds
        with trio.move_on_after(inf if seconds is None else seconds) as scope:
            output = await self._run(component, arguments, context, slot)
            return _result(path, output)
        assert scope.cancelled_caught
        raise ExecutionTimeoutError(
            {"component": path, "seconds": seconds}, message=f"{path} did not end within {seconds:g} s"
        )

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

_SPELLED: Final = {"runtimeProtocolVersion": "runtime_protocol_version"}


class WorkerService(Service):
    """Takes the members of `initialize` in snake and in camel case, and answers in the same (spec, section 3.1)."""

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        if work.method != INITIALIZE:
            return super().start(work, link)
        params = _in_snake_case(work.params)
        if params is None:
            return super().start(work, link)
        outcome = super().start(msgspec.structs.replace(work, params=params), link)
        return _CAMEL_RESULT if isinstance(outcome, Raw) else outcome


_CAMEL_RESULT: Final = Raw(msgspec.json.encode({"serverProtocolVersion": VERSION}))


def _in_snake_case(params: Raw) -> Raw | None:
    """The params with the other spelling of their members; None where they are in ours, or are no object."""
    try:
        members: dict[str, Raw] = msgspec.json.decode(params, type=dict[str, Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if any(name in members for name in _SPELLED.values()) or not any(name in members for name in _SPELLED):
        return None
    return Raw(msgspec.json.encode({_SPELLED.get(name, name): value for name, value in members.items()}))
