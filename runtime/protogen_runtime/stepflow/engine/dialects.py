"""What differs between the dialects of Stepflow where the engine is concerned: limits, retries and error codes."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from protogen_runtime.stepflow.flow.model import FlowError
from protogen_runtime.stepflow.flow.values import Json

Kind: TypeAlias = Literal["component", "plugin", "crash", "transport", "engine"]
"""Who failed: the component, the plugin in its place, the process that had it, the way to it, or something that has a
FlowError of its own, which is passed on."""

PLUGIN_FAILED: Final = "error executing user-defined function"
"""What 0.9 gives as the cause where no worker answered; what really was the matter stands among the attachments."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds to wait before a call is tried again: the first, the longest, and how they grow."""

    grows: Literal["fibonacci", "exponential", "constant"] = "fibonacci"
    first: float = 1.0
    longest: float = 10.0

    def seconds(self, retry: int) -> float:
        """The pause before the retry of this number, counted from 1."""
        if self.grows == "constant":
            return min(self.first, self.longest)
        if self.grows == "exponential":
            return min(self.first * 2.0 ** min(retry - 1, 64), self.longest)
        last, pause = 0.0, self.first
        for _ in range(retry - 1):
            last, pause = pause, last + pause
            if pause >= self.longest:
                break
        return min(pause, self.longest)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one dialect for the engine.

    `parallel`: without a limit all items run at once; otherwise as many steps as there are items (spec section 9).
    `transport_retries`: how often a call is tried again that did not reach its component, whatever onError says;
    `crash_retries`: how often where the runtime had started the process that ended.
    """

    name: str
    undefined_field: int
    unknown_step: int
    internal: int
    parallel: bool
    transport_retries: int = 0
    crash_retries: int = 0
    backoff: Backoff = Backoff()
    wraps_failures: bool
    """Whether a failure is told as code 500 with the answer of the worker in `data.stack`."""


S1: Final = Dialect(
    name="0.9",
    undefined_field=1,
    unknown_step=404,
    internal=500,
    parallel=False,
    backoff=Backoff(first=0.1),
    crash_retries=2,
    wraps_failures=True,
)
"""The dialect of orchestrator 0.9; its pauses are ours. It calls a process that it started three times, whatever comes
of it, errors of components included (spec section 7): this is the part that helps."""

S2: Final = Dialect(
    name="0.11",
    undefined_field=-32200,
    unknown_step=-32202,
    internal=-32202,
    parallel=True,
    transport_retries=3,
    wraps_failures=False,
)
"""The dialect of orchestrators 0.10 and 0.11."""

DIALECTS: Final = {dialect.name: dialect for dialect in (S1, S2)}


class StepFailure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of calling a component, when it is no result: its code, a sentence for people, anything else.

    `component` is the name that the plugin knew it by, and `notes` are further sentences; dialect 0.9 tells both.
    """

    code: int
    message: str
    data: Json = None
    kind: Kind = "component"
    component: str | None = None
    notes: tuple[str, ...] = ()


def flow_error(dialect: Dialect, step_id: str, failure: StepFailure) -> FlowError:
    """The FlowError that a failed call of a component becomes in a result (spec section 4)."""
    if failure.kind == "engine" or not dialect.wraps_failures:
        return FlowError(failure.code, failure.message, failure.data)
    told = f'step "{step_id}" failed'
    attachments = [f"Component execution failed for step '{step_id}'", *failure.notes]
    if failure.component is not None:
        attachments.insert(0, f"Component: {failure.component}")
    cause = failure.message
    if failure.kind == "plugin":
        attachments.append(failure.message)
        cause = PLUGIN_FAILED
    elif failure.kind == "component":
        cause = f"component server error({failure.code}): {failure.message}"
    data: dict[str, Json] = {"stack": [{"error": told, "attachments": attachments}, {"error": cause}]}
    if failure.data is not None:
        data["data"] = failure.data
    return FlowError(dialect.internal, told, data)


def retried_as(dialect: Dialect, failure: StepFailure) -> Kind | None:
    """Which budget of retries a failure draws on: that of the way to the component, or of `onError: retry`.

    In 0.11 the code of an error decides: from -32300 on it counts as transport; those of the worker itself (from
    -32000 on) and of the orchestrator (from -32200 on) are final (spec section 4). In 0.9, which has no retries of its
    own for transports, every failure draws on `onError: retry` but that of a process that ended.
    """
    if dialect.crash_retries:
        return "crash" if failure.kind == "crash" else "component"
    if not dialect.transport_retries:
        return "component"
    if failure.kind in ("transport", "crash") or -32399 <= failure.code <= -32300:
        return "transport"
    if -32099 <= failure.code <= -32000 or -32299 <= failure.code <= -32200:
        return None
    return "component"
