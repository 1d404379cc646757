"""The contract: what the runtime does for whoever serves it, as values, refusals and the Protocol `RunService`.

Members of values stand on the wire in camel case; what is UNSET is left out there. Times are RFC 3339 in UTC. Knows no
store.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from protogen_runtime.dispatch import Later
from protogen_runtime.stepflow.engine import ResultOrder, RunState, StepState
from protogen_runtime.stepflow.flow.model import FlowResult
from protogen_runtime.stepflow.flow.validation import Diagnostic
from protogen_runtime.stepflow.plugins.contract import ComponentInfo, Json

__all__ = [
    "BlobInfo",
    "BlobReader",
    "BlobType",
    "Busy",
    "Conflict",
    "Damaged",
    "Diagnostic",
    "Ended",
    "Ending",
    "EventKind",
    "Feed",
    "FlowVariable",
    "Invalid",
    "ItemCounts",
    "ItemResult",
    "NotFound",
    "Refused",
    "ResultOrder",
    "RunDetails",
    "RunEvent",
    "RunFilter",
    "RunService",
    "RunState",
    "RunSummary",
    "StepInfo",
    "StepState",
    "StoreResult",
    "StoredBlob",
    "StoredFlow",
    "SubmitRun",
    "TooLarge",
    "Unavailable",
]

BlobType: TypeAlias = Literal["data", "flow", "binary"]

DEFAULT_PAGE: Final = 100
"""Runs on a page, where the caller does not say."""

# --- what is refused --------------------------------------------------------------------------------------


class Refused(Exception):
    """Something was not done, and nothing changed; the text is one line for whoever asked. Never raised itself.

    Refused
    ├── NotFound        there is no such thing
    ├── Conflict        its state does not allow it
    ├── Invalid         what was given cannot be used
    │   └── TooLarge    it is more than is taken
    ├── Busy            too much is under way; the same may work later
    ├── Unavailable     the store cannot keep anything now
    └── Damaged         what is kept is not what was put
    """


class NotFound(Refused):
    """There is no `kind` of this id, which is `name`."""

    def __init__(self, kind: Literal["flow", "run", "item", "blob"], name: str) -> None:
        super().__init__(f"{kind.capitalize()} not found: {name[:200]}")
        self.kind: Final = kind
        self.name: Final = name


class Conflict(Refused):
    """The state of a run, or of what uses a flow, does not allow it; the text says which and what to do."""


class Invalid(Refused):
    """What was given cannot be used; `diagnostics` of a flow where it was one that can be read."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics: Final = tuple(diagnostics)


class TooLarge(Invalid):
    """It is more than is taken; the text says how much is."""


class Busy(Refused):
    """As many runs are waiting as may; `retry_seconds` is when to try again."""

    def __init__(self, message: str, retry_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_seconds: Final = retry_seconds


class Unavailable(Refused):
    """The store is full, failing or closed."""


class Damaged(Refused):
    """The bytes that are kept are not those that were put."""


# --- flows ------------------------------------------------------------------------------------------------


class StoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a flow that was to be stored: its id, whether it is stored now, and what is to be said of it.

    `flow_id` is None where a diagnostic is fatal.
    """

    flow_id: str | None
    stored: bool
    diagnostics: Sequence[Diagnostic]


class StoredFlow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A flow in its stored form; `all_examples` are its examples and test cases, {name, description?, input}."""

    flow: Json
    flow_id: str
    all_examples: Sequence[Json] = ()


class FlowVariable(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A variable that a flow declares; `default` is what it is where nothing is given, UNSET for nothing."""

    schema: Json
    required: bool
    default: Json | UnsetType = UNSET


# --- runs -------------------------------------------------------------------------------------------------


class SubmitRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be made: one item for each input.

    `overrides`: step id to change, or the same in `{"steps": …}`. `max_concurrency`: steps at once, None for what the
    dialect says.
    """

    flow_id: str
    inputs: Sequence[Json]
    overrides: Json = None
    variables: Mapping[str, Json] = {}
    max_concurrency: int | None = None


class ItemCounts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many items a run has, in all and in each state."""

    total: int
    completed: int = 0
    running: int = 0
    failed: int = 0
    cancelled: int = 0


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A run; `root_run_id` is its own where no run started it."""

    run_id: str
    flow_id: str
    flow_name: str | None
    status: RunState
    items: ItemCounts
    created_at: str
    completed_at: str | None = None
    root_run_id: str
    parent_run_id: str | UnsetType = UNSET


class RunDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a run was given."""

    inputs: Sequence[Json]
    overrides: Json | UnsetType = UNSET
    variables: Mapping[str, Json] | UnsetType = UNSET


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs: all that meet every condition which is not None. The newest come first.

    `max_depth` counts from 0, the runs that no run started; `roots_only` is the same as 0.
    """

    status: RunState | None = None
    flow_id: str | None = None
    flow_name: str | None = None
    root_run_id: str | None = None
    parent_run_id: str | None = None
    max_depth: int | None = None
    roots_only: bool = False
    limit: int = DEFAULT_PAGE
    offset: int = 0


class ItemResult(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Where an item stands, and what it came to."""

    item_index: int
    status: RunState
    result: FlowResult | UnsetType = UNSET
    completed_at: str | UnsetType = UNSET


class StepInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a step of one item stands; `attempt` is its last call's number, 0 where its component was not called."""

    step_id: str
    component: str
    status: StepState
    attempt: int = 0
    result: FlowResult | UnsetType = UNSET


EventKind: TypeAlias = Literal[
    "run_started",
    "run_resumed",
    "step_started",
    "step_completed",
    "step_failed",
    "step_cancelled",
    "item_completed",
    "item_failed",
    "run_completed",
    "run_failed",
    "run_cancelled",
]
"""What can happen to a run. A step is started once for each attempt; the last three end a feed."""


class RunEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Something that happened to a run, after it was stored.

    `sequence` counts from 1 without a gap, and is the same however often and after whatever restart it is read.
    `result` is that of an item, or of a step.
    """

    sequence: int
    kind: EventKind
    run_id: str
    at: str
    item_index: int | UnsetType = UNSET
    step_id: str | UnsetType = UNSET
    component: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    delay_seconds: float | UnsetType = UNSET
    result: FlowResult | UnsetType = UNSET


class Feed(Protocol):
    """The events of a run, in order; iterate once. It ends with the run.

    A reader that falls too far behind is dropped: the feed ends, and `dropped` is true. It can begin anew after the
    last event that it saw.
    """

    @property
    def dropped(self) -> bool:
        """Whether events are missing at the end."""
        ...

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        """Iterate over the events."""
        ...

    async def __anext__(self) -> RunEvent:
        """The next event."""
        ...


# --- blobs ------------------------------------------------------------------------------------------------


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is kept; of a binary blob, which has no JSON, `data` is not to be had here."""

    data: Json
    blob_type: Literal["data", "flow"]


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of a blob besides its bytes."""

    blob_id: str
    blob_type: BlobType
    size: int
    filename: str | None = None


class BlobReader(Protocol):
    """A blob while it is read; iterate once. The last chunk comes only when the bytes were found to be right."""

    @property
    def info(self) -> BlobInfo:
        """Type and size, known before the first byte."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes. Errors: Damaged."""
        ...


# --- the service ------------------------------------------------------------------------------------------


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run that was waited for; `results` is None where they are to be asked for."""

    run_id: str
    status: RunState
    items: int
    results: Sequence[ItemResult] | None


class Ending(Later[Ended]):
    """The end of a run that is waited for."""

    __slots__ = ()

    @abstractmethod
    def leave(self) -> None:
        """Wait no longer than until the run is stored: its status may be `running` then."""


class RunService(Protocol):
    """The runtime. Every method may raise Unavailable; what is said to be done is on the disk."""

    async def store_flow(self, tree: Json, *, dry_run: bool = False) -> StoreResult:
        """Keep a flow, given as the JSON value of its document, until it is deleted.

        Errors: Invalid for what is no flow at all, TooLarge.
        """
        ...

    async def flow(self, flow_id: str) -> StoredFlow:
        """A flow that is kept. Errors: NotFound, Damaged."""
        ...

    async def flow_variables(self, flow_id: str) -> Mapping[str, FlowVariable]:
        """The variables that a flow declares, by name. Errors: NotFound, Damaged."""
        ...

    async def delete_flow(self, flow_id: str) -> None:
        """Keep a flow no longer; runs that have ended still show theirs. Errors: NotFound, Conflict while one runs."""
        ...

    async def submit(self, request: SubmitRun) -> str:
        """Make a run; its id, once it is stored. The run may be over by then.

        Errors: NotFound (flow), Invalid, TooLarge, Busy.
        """
        ...

    def run_nowait(self, request: SubmitRun) -> Ending | None:
        """Make a run whose end is waited for; None where only `submit` can do it, since its flow is not in memory.

        Its components may be called before it is stored: nobody has been told of it. Errors: Invalid, TooLarge, Busy.
        """
        ...

    async def wait(self, run_id: str, seconds: float | None = None) -> RunSummary:
        """The run once it has ended, or as it is after so many seconds. Errors: NotFound."""
        ...

    async def summary(self, run_id: str) -> RunSummary:
        """The run as it is now. Errors: NotFound."""
        ...

    async def details(self, run_id: str) -> RunDetails:
        """What the run was given. Errors: NotFound."""
        ...

    async def list_runs(self, which: RunFilter) -> Sequence[RunSummary]:
        """Runs, the newest first. Errors: Invalid."""
        ...

    async def items(
        self, run_id: str, *, order: ResultOrder = "by_index", limit: int | None = None, offset: int = 0
    ) -> Sequence[ItemResult]:
        """The items of a run; by completion, those without a result come last. Errors: NotFound, Invalid."""
        ...

    def item_pages(
        self, run_id: str, *, order: ResultOrder = "by_index", limit: int | None = None, offset: int = 0
    ) -> AsyncGenerator[Sequence[ItemResult]]:
        """The same in pages of at most `paging.ITEMS_AT_ONCE`, which are read as they are asked for; to be closed."""
        ...

    async def steps(self, run_id: str, item: int = 0) -> Sequence[StepInfo]:
        """The steps of one item, in the order of the flow. Errors: NotFound (run, item)."""
        ...

    async def run_flow(self, run_id: str) -> StoredFlow:
        """The flow of a run, without its overrides. Errors: NotFound."""
        ...

    async def cancel(self, run_id: str) -> RunSummary:
        """End a run and the runs that it started: calls are abandoned. Errors: NotFound, Conflict once it has ended."""
        ...

    async def delete_run(self, run_id: str) -> None:
        """Remove a run, and the runs that it started, with all that is kept of them.

        Errors: NotFound, Conflict while one of them runs.
        """
        ...

    async def events(self, run_id: str, *, after: int = 0) -> Feed:
        """The events of a run behind a place, those that have been as well as those to come. Errors: NotFound."""
        ...

    async def put_blob(self, data: Json, blob_type: Literal["data", "flow"], *, filename: str | None = None) -> str:
        """Keep a value; its id. It stays as long as something refers to it, and for a while after it was put.

        A flow has no name but its own. Errors: Invalid where a flow is none, or for the file name; TooLarge.
        """
        ...

    async def get_blob(self, blob_id: str) -> StoredBlob:
        """A value. Errors: NotFound, Damaged; Invalid for a binary blob, TooLarge for what is too large to be one."""
        ...

    async def put_bytes(self, source: bytes | AsyncIterable[bytes], *, filename: str | None = None) -> BlobInfo:
        """Keep bytes, which are never in memory as a whole. Errors: Invalid (the file name), TooLarge."""
        ...

    def open_bytes(self, blob_id: str) -> AbstractAsyncContextManager[BlobReader]:
        """Open any blob for reading; a value is its JSON text. Errors on entry: NotFound."""
        ...

    async def components(self, *, include_schemas: bool = True) -> Sequence[ComponentInfo]:
        """The components of all plugins, by name."""
        ...

    async def collect_garbage(self) -> int:
        """Remove the blobs that nothing refers to and that were not put lately; returns their number."""
        ...
