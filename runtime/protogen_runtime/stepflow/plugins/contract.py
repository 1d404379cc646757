"""What the runtime and its plugins owe each other: components to execute, and how they may fail.

Knows no plugin. Errors that a step can meet are StepFailed, and those that a plugin's callbacks can meet CallRefused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeGuard

import msgspec
import trio

from protogen_runtime.dispatch import Channel, Service
from protogen_runtime.jsonrpc import Frame, Message

Json: TypeAlias = Any
"""Any JSON value as Python objects."""


def is_object(value: Json) -> TypeGuard[dict[str, Any]]:
    """Whether a value is an object; for type checkers, which learn no more from isinstance than that it is a dict."""
    return isinstance(value, dict)


def is_array(value: Json) -> TypeGuard[list[Any]]:
    """Whether a value is an array."""
    return isinstance(value, list)


DialectName: TypeAlias = Literal["0.9", "0.11"]
"""Which release's habits hold where they differ (spec section 1): S1 is 0.9, S2 is 0.11."""

DIALECT: Final = "dialect"
"""A member of `initialize` that is ours: which dialect a worker that speaks both is to speak."""

TAKES_CANCEL: Final = "takesCancel"
"""A member of its result that is ours: the worker ends what `$/cancelRequest` names, over stdio.

The protocol has no such message, and nobody else is sent it.
"""

Kind: TypeAlias = Literal["component", "plugin", "result", "crash", "transport", "protocol", "routing"]
"""What failed: the component (an error answer), the plugin that should have played it, its flow (a FlowResult that says
failed), the process that was started for it, the way to the worker, the worker's manners (what came is no answer), or
the search for a plugin."""

COMPONENT_NOT_FOUND: Final = -32001
NOT_INITIALIZED: Final = -32002
INVALID_VALUE: Final = -32004
NOT_FOUND: Final = -32005
"""This and the one before as 0.11 has them; in 0.9 these numbers say that an execution failed, or lacked something."""

BAD_REQUEST: Final = -32103
"""Input that a component of ours cannot take (0.11's name for it; 0.9 knows only 500)."""

INTERNAL: Final = -32202
TRANSPORT: Final = -32300
CANNOT_SPAWN: Final = -32301
NO_CONNECTION: Final = -32302
BAD_ANSWER: Final = -32303
TRANSPORT_CODES: Final = range(-32399, -32299)
"""The codes of transports in 0.11; a worker that answers with one asks for another attempt (spec section 4)."""


class StepFailed(Exception):
    """A component was not executed, or failed; `code`, `message` and `data` (None for none) are for the flow's error.

    `kind` tells who may try again: attempts are the business of whoever runs the step. `component` is the name that the
    plugin knows it by, None where none was asked. Not raised for a cancelled step.
    """

    def __init__(self, code: int, message: str, data: Json = None, *, kind: Kind = "component") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.kind: Kind = kind
        self.component: str | None = None


class CannotStart(Exception):
    """A plugin cannot be used; the message is one line that names it."""


class CallRefused(Exception):
    """The runtime refuses what a worker asked for; `code`, `message` and `data` are sent to the worker.

    `later_code` is the code in dialect 0.11, where that is another one. For reasons that the worker may be told: any
    other exception reaches it as an internal error without a text.
    """

    def __init__(self, code: int, message: str, data: Json = None, *, later_code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.later_code = code if later_code is None else later_code


class BlobNotFound(CallRefused):
    """There is no blob of that id (-32000 as the original answers; 0.11 has no such call)."""

    def __init__(self, blob_id: str) -> None:
        super().__init__(-32000, f"Blob not found: {blob_id}", {"blob_id": blob_id}, later_code=NOT_FOUND)


class FlowNotFound(CallRefused):
    """runs/submit names a flow that is not stored (-32011; -32005 in 0.11)."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(-32011, f"Flow not found: {flow_id}", {"flow_id": flow_id}, later_code=NOT_FOUND)


class BadRunId(CallRefused):
    """runs/get names a run by something that is no UUID (-32012; -32004 in 0.11)."""

    def __init__(self, run_id: str) -> None:
        super().__init__(-32012, f"Invalid run id: {run_id}", {"run_id": run_id}, later_code=INVALID_VALUE)


class RunNotFound(CallRefused):
    """There is no run of that id (-32000; -32005 in 0.11, where the original answers -32000 for any failure)."""

    def __init__(self, run_id: str) -> None:
        super().__init__(-32000, f"Run not found: {run_id}", {"run_id": run_id}, later_code=NOT_FOUND)


class StepContext(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a component is executed: a step of one item of a run. `attempt` counts from 1.

    Trace and span ids are lower-case hex, "" for none.
    """

    run_id: str
    flow_id: str
    step_id: str
    item: int = 0
    attempt: int = 1
    trace_id: str = ""
    span_id: str = ""

    def observability(self) -> dict[str, str]:
        """The member `observability` of components/execute: snake case in every dialect (spec section 3.2)."""
        known = {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "run_id": self.run_id,
            "flow_id": self.flow_id,
            "step_id": self.step_id,
        }
        if all(known.values()):
            return known
        return {name: value for name, value in known.items() if value}


class ComponentInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A component as its plugin names it; schemas are JSON Schema, None where they are not known."""

    component: str
    description: str | None = None
    input_schema: Json = None
    output_schema: Json = None


class Blob(msgspec.Struct, frozen=True):
    """A stored value; `blob_type` is `data` or `flow`."""

    data: Json
    blob_type: str


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a component asks for; see runs/submit (spec section 3.4).

    `overrides` are keyed by step. `timeout_seconds` bounds the waiting, not the run. `subflow_key` names the run within
    its item's step, so that another attempt finds it, unless it failed, instead of starting a second one; None where
    the worker gave none.
    """

    flow_id: str
    inputs: Sequence[Json]
    wait: bool = False
    max_concurrency: int | None = None
    overrides: Mapping[str, Json] | None = None
    timeout_seconds: float | None = None
    subflow_key: str | None = None


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question after a run; see runs/get."""

    run_id: str
    wait: bool = False
    include_results: bool = False
    result_order: Literal["by_index", "by_completion"] = "by_index"
    timeout_seconds: float | None = None


class Runtime(Protocol):
    """What plugins ask of the runtime; `caller` is the step on whose behalf, None where the worker did not say.

    Each raises CallRefused for what it does not do.
    """

    async def put_blob(self, data: Json, blob_type: str, caller: StepContext | None) -> str:
        """Store a value; its id. A blob of type `flow` is checked to be one."""
        ...

    async def get_blob(self, blob_id: str, caller: StepContext | None) -> Blob:
        """A stored value."""
        ...

    async def submit_run(self, request: RunRequest, caller: StepContext | None) -> Json:
        """Start a run; its RunStatus in wire form, with `results` in the order of the inputs where it waited."""
        ...

    async def get_run(self, query: RunQuery, caller: StepContext | None) -> Json:
        """The RunStatus of a run, in wire form."""
        ...


class Plugin(Protocol):
    """Executes the components that routes send to it."""

    async def start(self, nursery: trio.Nursery) -> None:
        """Return when components can be executed; what runs on does so in the nursery, and ends when it is cancelled.

        Errors: CannotStart.
        """
        ...

    async def components(self) -> list[ComponentInfo]:
        """Those that it can list. Errors: StepFailed."""
        ...

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """The output of a component for an input. Errors: StepFailed; cancellation abandons the call."""
        ...


class Rest(msgspec.Struct, frozen=True):
    """What is left of an execution, to be awaited in a task, in which it may be cancelled; it gives the output.

    Errors of `run`: StepFailed.
    """

    run: Callable[[], Awaitable[Json]]


Told: TypeAlias = Callable[[Callable[[], Json] | Rest], None]
"""Is told what came of an execution, once: a function that gives its output or raises StepFailed, or what is left."""


class Frames(Protocol):
    """Whole frames both ways; what the runtime's transports call a FrameStream."""

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """Send frames in order. Errors: TransportError."""
        ...

    async def receive_frames(self) -> list[Frame] | None:
        """The next frames, None at the end. Errors: TransportError."""
        ...

    async def aclose(self) -> None:
        """End both directions."""
        ...


class SessionChannel(Channel, Protocol):
    """A channel over a session, which may be lost."""

    @property
    def ended(self) -> trio.Event:
        """Set when the session is lost, or closed."""
        ...


class Channels(Protocol):
    """Makes the channels to workers; given by the wiring, since this package knows no transport.

    A channel is not open yet. `callbacks` serves what the worker calls on us, `read` is how its messages are read. The
    runtime's is protogen_runtime.io.factory.ChannelFactory.
    """

    def http(self, url: str, *, callbacks: Service, read: Callable[[bytes], Message]) -> Channel:
        """To a worker at a URL."""
        ...

    def session(self, url: str, *, callbacks: Service, read: Callable[[bytes], Message]) -> SessionChannel:
        """To a worker whose stream of events is at `url`; it connects once, and ends with the stream."""
        ...

    def pipes(self, source: int, sink: int) -> Frames:
        """Lines over two descriptors, which it owns and closes."""
        ...

    def framed(self, frames: Frames, *, callbacks: Service) -> Channel:
        """Over frames, which it closes in the end."""
        ...
