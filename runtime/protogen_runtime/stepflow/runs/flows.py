"""Flows: documents that are kept, and the plans that runs of them share.

Knows neither runs nor routes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import UNSET

from protogen_runtime.stepflow.engine import Dialect, NotRunnable
from protogen_runtime.stepflow.engine.plan import Plan
from protogen_runtime.stepflow.flow import canonical, documents, faults, validation, variables
from protogen_runtime.stepflow.flow.model import Flow, all_examples
from protogen_runtime.stepflow.flow.values import Json, is_object

from .blobs import Blobs, Kept
from .contract import Damaged, FlowVariable, Invalid, NotFound, StoredFlow, StoreResult, TooLarge
from .limits import Limits
from .records import blob_ids_in

MAX_PLANS_BYTES: Final = 16 * 1024 * 1024
"""Texts of the flows whose plans are in memory; a plan takes some ten times as much."""


class Planned(NamedTuple):
    """A flow that is ready to run, its text, and what that may refer to."""

    plan: Plan
    text: bytes
    refers_to: frozenset[str]


class Flows:
    """The flows among the blobs of a store; plans are of one dialect, unless a run says otherwise."""

    def __init__(self, blobs: Blobs, dialect: Dialect, limits: Limits) -> None:
        self._blobs = blobs
        self._dialect = dialect
        self._limits = limits
        self._plans: OrderedDict[str, Planned] = OrderedDict()
        self._plans_bytes = 0

    async def store(self, tree: Json, *, dry_run: bool) -> StoreResult:
        """Keep a flow until it is deleted. Errors: Invalid, TooLarge."""
        flow = read(tree)
        found = validation.diagnose(flow)
        if validation.blocks(found):
            return StoreResult(flow_id=None, stored=False, diagnostics=found)
        text = self._within(canonical.flow_text(flow))
        flow_id = canonical.blob_id(text)
        if not dry_run:
            await self._blobs.put_text(text, "flow", is_kept=True)
        return StoreResult(flow_id=flow_id, stored=not dry_run, diagnostics=found)

    async def put(self, tree: Json, *, source: str | None) -> str:
        """Keep the text of a flow as a blob, as long as something refers to it. Errors: Invalid, TooLarge."""
        read(tree)
        return await self._blobs.put_text(self._within(canonical.value_text(tree)), "flow", source=source)

    async def find(self, flow_id: str, *, even_released: bool = False) -> StoredFlow:
        """A flow in its stored form. Errors: NotFound, Damaged."""
        _, flow = await self._read(flow_id, even_released=even_released)
        examples: list[Json] = []
        for example in all_examples(flow):
            told: dict[str, Json] = {"name": example.name}
            if example.description is not None:
                told["description"] = example.description
            examples.append({**told, "input": example.input})
        return StoredFlow(flow=canonical.wire(flow), flow_id=flow_id, all_examples=examples)

    async def variables(self, flow_id: str) -> Mapping[str, FlowVariable]:
        """The variables that a flow declares. Errors: NotFound, Damaged."""
        _, flow = await self._read(flow_id)
        schema = flow.schemas.variables
        required = set(variables.required(schema))
        values = variables.default_values(schema)
        return {
            name: FlowVariable(schema=of_one, required=name in required, default=values.get(name, UNSET))
            for name, of_one in variables.declared(schema).items()
        }

    def plan_nowait(self, flow_id: str) -> Planned | None:
        """The plan of a flow, where it is in memory."""
        planned = self._plans.get(flow_id)
        if planned is not None:
            self._plans.move_to_end(flow_id)
        return planned

    async def plan(self, flow_id: str, *, dialect: Dialect | None = None, even_released: bool = False) -> Planned:
        """A flow ready to run. Errors: NotFound (flow), Invalid, Damaged."""
        wanted = dialect or self._dialect
        planned = self._plans.get(flow_id)
        if planned is not None and planned.plan.dialect == wanted:
            self._plans.move_to_end(flow_id)
            return planned
        text, flow = await self._read(flow_id, even_released=even_released)
        try:
            planned = Planned(Plan(flow, wanted), text, frozenset(blob_ids_in(text)))
        except NotRunnable as reason:
            raise Invalid(str(reason)) from None
        if wanted == self._dialect and not even_released:
            self._keep(flow_id, planned)
        return planned

    def forget(self, flow_id: str) -> Planned | None:
        """Have a plan no longer in memory; what it was."""
        planned = self._plans.pop(flow_id, None)
        if planned is not None:
            self._plans_bytes -= len(planned.text)
        return planned

    async def _read(self, flow_id: str, *, even_released: bool = False) -> tuple[bytes, Flow]:
        try:
            kept = await self._blobs.find(flow_id)
        except NotFound:
            raise NotFound("flow", flow_id) from None
        if not _is_flow(kept, even_released=even_released):
            raise NotFound("flow", flow_id)
        text = await self._blobs.text(kept)
        flow, wrong = documents.read_flow(canonical.read_value(text))
        if wrong:
            raise Damaged(f"flow {flow_id} is stored, and is none: {wrong[0].what}; store it anew")
        return text, flow

    def _keep(self, flow_id: str, planned: Planned) -> None:
        self.forget(flow_id)
        self._plans[flow_id] = planned
        self._plans_bytes += len(planned.text)
        while self._plans_bytes > MAX_PLANS_BYTES:
            self.forget(next(iter(self._plans)))

    def _within(self, text: bytes) -> bytes:
        if len(text) > self._limits.max_flow_bytes:
            raise TooLarge(f"the flow has {len(text)} bytes; at most {self._limits.max_flow_bytes} are taken")
        return text


def read(tree: Json) -> Flow:
    """The flow that a JSON value describes. Errors: Invalid, with the first fault and how many there are."""
    if not is_object(tree):
        raise Invalid("a flow is an object with steps and an output")
    flow, wrong = documents.read_flow(tree)
    if wrong:
        first = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        where = faults.show(first.at)
        raise Invalid(f"invalid flow: {where + ': ' if where else ''}{first.what}; {first.fix}{more}")
    return flow


def _is_flow(kept: Kept, *, even_released: bool) -> bool:
    return kept.kind == "flow" or (even_released and kept.kind == "released")
