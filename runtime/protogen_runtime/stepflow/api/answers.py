"""What the operations answer with, beyond what runs and flows are in themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protogen_runtime.stepflow.flow.model import FlowResult
from protogen_runtime.stepflow.plugins.contract import ComponentInfo, Json
from protogen_runtime.stepflow.runs.contract import BlobType, ItemResult, RunState, RunSummary, StepInfo, StepState

FlowDocument = Annotated[Json, Meta(extra_json_schema={"$ref": "#/components/schemas/Flow"})]

FIRST_ENTRY = 1
"""Where a run begins in its journal: each run has one of its own."""


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Members in camel case."""


class Health(_Wire, frozen=True, kw_only=True):
    """The runtime answers."""

    status: Literal["healthy"]
    timestamp: str
    version: str


class Components(_Wire, frozen=True, kw_only=True):
    """The components of all plugins, sorted by name."""

    components: Sequence[ComponentInfo]


class DiagnosticInfo(_Wire, frozen=True, kw_only=True):
    """Something that is to be said of a flow."""

    kind: str
    code: int
    level: Literal["fatal", "error", "warning"]
    formatted: str
    data: dict[str, Json] | UnsetType = UNSET
    path: str | UnsetType = UNSET
    experimental: bool | UnsetType = UNSET


class Diagnostics(_Wire, frozen=True, kw_only=True):
    """All that is to be said of a flow; a fatal one keeps it from being stored."""

    diagnostics: Sequence[DiagnosticInfo]
    num_fatal: int
    num_error: int
    num_warning: int


class FlowStored(_Wire, frozen=True, kw_only=True):
    """What became of a flow; its id is there even where it was not stored."""

    flow_id: str
    stored: bool
    diagnostics: Diagnostics


class ExampleInput(_Wire, frozen=True, kw_only=True):
    """An input to try a flow with."""

    name: str
    description: str | None = None
    input: Json


class FlowAnswer(_Wire, frozen=True, kw_only=True):
    """A flow, and inputs to try it with: its examples, then its test cases."""

    flow: FlowDocument
    flow_id: str
    all_examples: Sequence[ExampleInput] | UnsetType = UNSET


class RunFlow(_Wire, frozen=True, kw_only=True):
    """The flow of a run."""

    flow: FlowDocument
    flow_id: str


class FlowVariables(_Wire, frozen=True, kw_only=True):
    """The variables of a flow as one schema, and which of them name a variable of the environment."""

    flow_id: str
    schema: dict[str, Json]
    env_vars: dict[str, str]


class RunEnded(_Wire, frozen=True, kw_only=True):
    """The answer of dialect 0.9 to a new run; `result` only where it has one item."""

    run_id: str
    item_count: int
    result: FlowResult | UnsetType = UNSET
    status: RunState


class ItemDetails(_Wire, frozen=True, kw_only=True):
    """An item of a run with its input and its steps."""

    item_index: int
    input: Json
    status: RunState
    steps: Sequence[StepStatus]
    completed_at: str | UnsetType = UNSET


class StepStatus(_Wire, frozen=True, kw_only=True):
    """Where a step stands."""

    step_id: str
    status: StepState


class RunListed(RunSummary, frozen=True, kw_only=True, rename="camel"):
    """A run as dialect 0.11 tells it; `orchestratorId` is the runtime that it is under way in.

    `finishedAtSeqno` is where it ended among its events, whose ids these are: it is told of one run with few items.
    """

    orchestrator_id: str | UnsetType = UNSET
    created_at_seqno: int = FIRST_ENTRY
    finished_at_seqno: int | UnsetType = UNSET


class RunCreated(RunListed, frozen=True, kw_only=True, rename="camel"):
    """The answer of dialect 0.11 to a new run; `results` where it was waited for."""

    results: Sequence[ItemResult] | UnsetType = UNSET


class RunDetails(RunSummary, frozen=True, kw_only=True, rename="camel"):
    """A run with what it was given."""

    inputs: Sequence[Json]
    overrides: Json | UnsetType = UNSET
    variables: Mapping[str, Json] | UnsetType = UNSET


class RunDetailsListed(RunListed, frozen=True, kw_only=True, rename="camel"):
    """A run with what it was given, as dialect 0.11 tells it; `itemDetails` where it has few items."""

    inputs: Sequence[Json]
    overrides: Json | UnsetType = UNSET
    variables: Mapping[str, Json] | UnsetType = UNSET
    item_details: Sequence[ItemDetails] | UnsetType = UNSET


class Runs(_Wire, frozen=True, kw_only=True):
    """Runs, the newest first."""

    runs: Sequence[RunSummary]


class RunsListed(_Wire, frozen=True, kw_only=True):
    """Runs, the newest first, as dialect 0.11 tells them."""

    runs: Sequence[RunListed]


class Items(_Wire, frozen=True, kw_only=True):
    """Items of a run; `itemCount` is how many there are in all."""

    item_count: int
    items: Sequence[ItemResult]


class Steps(_Wire, frozen=True, kw_only=True):
    """The steps of one item, by id, in the order of the flow."""

    steps: dict[str, StepInfo]


class BlobStored(_Wire, frozen=True, kw_only=True):
    """The id of a blob."""

    blob_id: str
    filename: str | UnsetType = UNSET


class BlobAnswer(_Wire, frozen=True, kw_only=True):
    """A value that is kept."""

    data: Json
    blob_type: BlobType
    blob_id: str
    filename: str | UnsetType = UNSET


def listed(summary: RunSummary, orchestrator: str) -> RunListed:
    """A run as dialect 0.11 tells it, by the runtime of that id."""
    return RunListed(**_members(summary), orchestrator_id=managed_by(orchestrator, summary))


def managed_by(orchestrator: str, summary: RunSummary) -> str | UnsetType:
    """Whose run it is: nobody's once it has ended."""
    return orchestrator if summary.status == "running" else UNSET


def _members(value: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def widened(kind: type[Any], value: msgspec.Struct, **more: Any) -> Any:
    """A value of a class that adds members to those of `value`."""
    return kind(**_members(value), **more)
