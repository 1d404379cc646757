"""What a component knows of its execution, and how it asks the runtime: blobs, runs, log lines.

Knows no transport: a channel leads back to the runtime while the execution lasts (spec, section 3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, Concatenate, Final, Generic, Literal, ParamSpec, TypeAlias, TypeVar

import msgspec
import trio
from msgspec import UNSET, Raw
from stepflow_protocol.client import RuntimeClient
from stepflow_protocol.errors import ExecutionFailedError
from stepflow_protocol.types import (
    BlobType,
    FlowResultSuccess,
    ObservabilityContext,
    ResultOrder,
    RunStatusProtocol,
    WorkflowOverrides,
)

from protogen_runtime.dispatch import Channel, OnEvent
from protogen_runtime.dispatch.channels import adopt
from protogen_runtime.observe import get_logger

from .calls import Asking, Calls, CallsOf09, Query, Submission
from .values import Json, in_ascii, plain

Params = ParamSpec("Params")
Result = TypeVar("Result")
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
MakeCalls: TypeAlias = Callable[[Asking], Calls]
Lend: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]

IDS: Final = ("run_id", "step_id", "flow_id", "trace_id", "span_id")
"""What ties an execution to its run (spec, section 3.2); any of them may be missing."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds a component waits for the runtime: for a plain answer, and for a run that it waits for.

    The original runtime leaves callbacks that it cannot read unanswered (spec, section 5).
    """

    callback_seconds: float
    run_seconds: float


class ExecutionOver(Exception):
    """The execution was given up, at its deadline or by the runtime, while its thread went on."""


class _Told:
    """What both kinds of context have."""

    def __init__(self, component: str, attempt: int, seen: ObservabilityContext) -> None:
        self.component = component
        """The path by which it was called."""
        self.attempt = attempt
        """Counted from 1; the same execution may come more than once."""
        self.observability = seen

    @property
    def run_id(self) -> str | None:
        """The run in whose course the component is executed."""
        return self._seen("run_id")

    @property
    def flow_id(self) -> str | None:
        """The flow that is run: the id of its blob."""
        return self._seen("flow_id")

    @property
    def step_id(self) -> str | None:
        """The step that is executed."""
        return self._seen("step_id")

    @property
    def trace_id(self) -> str | None:
        """The trace, 32 hexadecimal digits."""
        return self._seen("trace_id")

    @property
    def span_id(self) -> str | None:
        """The runtime's span, 16 hexadecimal digits."""
        return self._seen("span_id")

    def log(self, message: str, level: Level = "info", /, **members: object) -> None:
        """Write a line to the worker's log, which a runtime that started it keeps; it carries the ids of the run.

        `exc_info=error` adds an exception. Never blocks.
        """
        getattr(self._logger(), level)(message, **members)

    def progress(self, fraction: float, message: str = "") -> None:
        """Log how much is done, from 0 to 1: the protocol has no message for it. Errors: ValueError."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress is from 0 to 1, got {fraction!r}")
        self._logger().info(message or "progress", progress=fraction)

    def _seen(self, name: str) -> str | None:
        value: Any = getattr(self.observability, name)
        return None if value is UNSET else value

    def _logger(self) -> Any:
        known = {name: value for name in IDS if (value := self._seen(name)) is not None}
        return get_logger(component=self.component, attempt=self.attempt, **known)


class Context(_Told):
    """An execution, for `async` components: who asked for it, and the way back. Valid until the component returns.

    Errors of every call: the runtime's as `RpcError`, CallTimeoutError after `seconds` without an answer,
    TransportError where the runtime has gone or takes no callbacks.
    """

    def __init__(
        self,
        component: str,
        attempt: int,
        seen: ObservabilityContext,
        *,
        channel: Channel,
        patience: Patience,
        lend: Lend,
        make_calls: MakeCalls = CallsOf09,
    ) -> None:
        super().__init__(component, attempt, seen)
        self.channel = channel
        """The untyped way to the runtime."""
        self._patience = patience
        self._lend = lend
        self._make_calls = make_calls
        self._made: RuntimeClient | None = None
        self._calls: Calls | None = None

    @property
    def client(self) -> RuntimeClient:
        """The typed client of a runtime of 0.9, for whatever the methods below leave out."""
        if self._made is None:
            channel = _InAscii(adopt(self.channel, RuntimeClient))
            self._made = RuntimeClient(channel, timeout=self._patience.callback_seconds)
        return self._made

    async def put_blob(self, data: Any, *, blob_type: BlobType = "data", seconds: float | None = None) -> str:
        """Store a value, and give its id, which its content decides. Errors: NoJson, and as above."""
        return await self._ask.put_blob(data, blob_type, self._within(seconds))

    async def get_blob(self, blob_id: str, *, seconds: float | None = None) -> Json:
        """The value of a blob. Errors: as above; the original runtime answers ServerError for one that is not there."""
        return await self._ask.get_blob(blob_id, self._within(seconds))

    async def get_flow(self, *, seconds: float | None = None) -> Json:
        """The flow that is being run. Errors: LookupError where the runtime has not told which it is; as above."""
        if self.flow_id is None:
            raise LookupError("the runtime did not tell which flow it runs")
        return await self.get_blob(self.flow_id, seconds=seconds)

    async def submit_run(
        self,
        flow_id: str,
        inputs: Sequence[Any],
        *,
        wait: bool = False,
        max_concurrency: int | None = None,
        overrides: WorkflowOverrides | dict[str, Json] | None = None,
        key: str | None = None,
        seconds: float | None = None,
    ) -> RunStatusProtocol:
        """Start a run of a stored flow, one item for each input; with `wait` the answer has the results, in order.

        `key` is a UUID by which a runtime of 0.11 knows the run again when the step is tried again; without it the
        number of the run within the execution is it. Others may have this execution's slot while it waits. Errors: as
        above.
        """
        run = Submission(
            flow_id=flow_id,
            inputs=[plain(value) for value in inputs],
            wait=wait,
            max_concurrency=max_concurrency,
            overrides=None if overrides is None else plain(overrides),
            key=key,
        )
        if not wait:
            return await self._ask.submit_run(run, self._within(seconds))
        async with self._lend():
            return await self._ask.submit_run(run, seconds or self._patience.run_seconds)

    async def get_run(
        self,
        run_id: str,
        *,
        wait: bool = False,
        include_results: bool = False,
        result_order: ResultOrder = "by_index",
        seconds: float | None = None,
    ) -> RunStatusProtocol:
        """What has become of a run. Errors: as above."""
        query = Query(run_id=run_id, wait=wait, include_results=include_results, result_order=result_order)
        if not wait:
            return await self._ask.get_run(query, self._within(seconds))
        async with self._lend():
            return await self._ask.get_run(query, seconds or self._patience.run_seconds)

    async def evaluate(self, flow: str | Json, value: Any = None, *, seconds: float | None = None) -> Json:
        """What a flow gives for one input; `flow` is its id, or the document, which is stored first.

        Errors: ExecutionFailedError with the flow's error as its data; as above.
        """
        flow_id = flow if isinstance(flow, str) else await self.put_blob(flow, blob_type="flow")
        status = await self.submit_run(flow_id, [value], wait=True, seconds=seconds)
        results = status.results
        result = None if results is UNSET or not results else results[0].result
        if isinstance(result, FlowResultSuccess):
            return result.result
        if result is None or result is UNSET:
            raise ExecutionFailedError({"flow_id": flow_id}, message="the run of a flow ended without a result")
        data = {"flow_id": flow_id, "error": plain(result.error)}
        raise ExecutionFailedError(data, message=f"the flow failed: {result.error.message}")

    @property
    def _ask(self) -> Calls:
        if self._calls is None:
            self._calls = self._make_calls(self)
        return self._calls

    def _within(self, seconds: float | None) -> float:
        return self._patience.callback_seconds if seconds is None else seconds


class _Blocking(Generic[Params, Result]):
    """A call of Context as a method that blocks until the answer; the signature stays."""

    def __init__(self, call: Callable[Concatenate[Context, Params], Awaitable[Result]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, owner: BlockingContext, _: type[BlockingContext]) -> Callable[Params, Result]:
        @wraps(self._call)
        def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            return owner.run(lambda context: self._call(context, *args, **kwargs))

        return call


class BlockingContext(_Told):
    """An execution, for components that run in a thread: what `Context` has, each call blocking until its answer."""

    def __init__(self, context: Context, token: trio.lowlevel.TrioToken) -> None:
        super().__init__(context.component, context.attempt, context.observability)
        self._context = context
        self._token = token
        self._calls: set[trio.CancelScope] = set()
        self._is_over = False

    put_blob = _Blocking(Context.put_blob)
    get_blob = _Blocking(Context.get_blob)
    get_flow = _Blocking(Context.get_flow)
    submit_run = _Blocking(Context.submit_run)
    get_run = _Blocking(Context.get_run)
    evaluate = _Blocking(Context.evaluate)

    def end(self) -> None:
        """Nobody waits for the component any more: its calls fail with ExecutionOver, and so does its thread."""
        self._is_over = True
        for scope in self._calls:
            scope.cancel()

    def run(self, call: Callable[[Context], Awaitable[Result]]) -> Result:
        """What an async function gives for the execution's Context, awaited where the worker runs."""
        return trio.from_thread.run(self._while_awaited, call, trio_token=self._token)

    async def _while_awaited(self, call: Callable[[Context], Awaitable[Result]]) -> Result:
        with trio.CancelScope() as scope:
            if self._is_over:
                scope.cancel()
            self._calls.add(scope)
            try:
                return await call(self._context)
            finally:
                self._calls.discard(scope)
        raise ExecutionOver(f"nobody waits for {self.component} any more")


class _InAscii:
    """A channel whose params are ASCII: see `values.write`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Any:
        """See Channel."""
        return await self._channel.call(method, Raw(in_ascii(bytes(params))), on_event)

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        await self._channel.notify(method, Raw(in_ascii(bytes(params))))

    async def open(self) -> None:
        """See Channel."""
        await self._channel.open()

    async def aclose(self) -> None:
        """See Channel."""
        await self._channel.aclose()
