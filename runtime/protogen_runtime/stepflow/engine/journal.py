"""The journal of a run: what a restart needs to go on where the run was.

Entries are JSON, in the order in which things happened. An entry is kept before what follows from it is acted upon:
the beginning before the first call, each outcome before the calls that it leads to. A run is then resumed by doing the
same again, since the same calls in the same order give the same effects: what finished is not executed a second time,
and what was out is asked for again as the next attempt. Knows no store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from protogen_runtime.stepflow.flow.model import Flow, Success
from protogen_runtime.stepflow.flow.values import Json

from .dialects import Dialect, StepFailure
from .effects import Effect
from .plan import Plan
from .run import Outcome, Run


class Begun(msgspec.Struct, frozen=True, tag_field="is", tag="begun"):
    """A run began: its flow by its id, and what else it was given."""

    flow_id: str
    inputs: Sequence[Json]
    variables: dict[str, Json]
    overrides: Json
    max_concurrency: int | None
    dialect: Dialect


class Succeeded(msgspec.Struct, frozen=True, tag_field="is", tag="succeeded"):
    """A call gave a result."""

    item: int
    step_id: str
    attempt: int
    result: Json


class CallFailed(msgspec.Struct, frozen=True, tag_field="is", tag="failed"):
    """A call failed."""

    item: int
    step_id: str
    attempt: int
    failure: StepFailure


class Resumed(msgspec.Struct, frozen=True, tag_field="is", tag="resumed"):
    """The run went on after a restart: every call that was out then was asked for again."""


class Cancelled(msgspec.Struct, frozen=True, tag_field="is", tag="cancelled"):
    """The run was cancelled."""


Entry: TypeAlias = Begun | Succeeded | CallFailed | Resumed | Cancelled

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


class JournalDamaged(ValueError):
    """The entries are not those of a run; the message says which is wrong."""


def begun(
    flow_id: str,
    inputs: Sequence[Json],
    *,
    variables: Mapping[str, Json] | None = None,
    overrides: Json = None,
    max_concurrency: int | None = None,
    dialect: Dialect,
) -> bytes:
    """The first entry: what the run was made with."""
    return _ENCODER.encode(Begun(flow_id, list(inputs), dict(variables or {}), overrides, max_concurrency, dialect))


def finished(item: int, step_id: str, outcome: Outcome, *, attempt: int) -> bytes:
    """The entry for an outcome; to be kept before Run.finished() is told, or what it returns is acted upon."""
    if isinstance(outcome, Success):
        return _ENCODER.encode(Succeeded(item, step_id, attempt, outcome.result))
    return _ENCODER.encode(CallFailed(item, step_id, attempt, outcome))


def resumed() -> bytes:
    """The entry for a restart; to be kept before the effects of resume() are acted upon."""
    return _ENCODER.encode(Resumed())


def cancelled() -> bytes:
    """The entry for a cancellation."""
    return _ENCODER.encode(Cancelled())


def read(entry: bytes) -> Entry:
    """What an entry says. Errors: JournalDamaged."""
    try:
        return _DECODER.decode(entry)
    except msgspec.MsgspecError as reason:
        raise JournalDamaged(f"not an entry of a journal: {reason}") from None


def resume(entries: Iterable[bytes], flow_of: Callable[[str], Flow | Plan]) -> tuple[Run, list[Effect]]:
    """The run that a journal is of, and what is to be done now: the calls that were out, as their next attempts.

    `flow_of` gives the flow, or a plan of it, by its id. An outcome that came too late when it was recorded comes too
    late again. A run that had ended gives no effects. Errors: JournalDamaged, and what `flow_of` raises.
    """
    run: Run | None = None
    for position, entry in enumerate(entries):
        what = read(entry)
        if isinstance(what, Begun):
            if run is not None:
                raise JournalDamaged(f"entry {position} begins the run a second time")
            run = make(what, flow_of(what.flow_id))
            run.begin()
        elif run is None:
            raise JournalDamaged("the first entry of a journal is the beginning of a run; the journal has lost it")
        else:
            replay(run, what)
    if run is None:
        raise JournalDamaged("the journal is empty")
    return run, run.again()


def make(what: Begun, flow: Flow | Plan, *, keeps_results: bool = True) -> Run:
    """The run that an entry begins; Run.begin() is still to be called. Errors: NotRunnable."""
    return Run(
        flow,
        what.inputs,
        variables=what.variables,
        overrides=what.overrides,
        max_concurrency=what.max_concurrency,
        dialect=flow.dialect if isinstance(flow, Plan) and flow.dialect == what.dialect else what.dialect,
        keeps_results=keeps_results,
    )


def replay(run: Run, what: Succeeded | CallFailed | Resumed | Cancelled) -> list[Effect]:
    """Do again what an entry says; what came of it then."""
    match what:
        case Succeeded(item, step_id, attempt, result):
            return run.finished(item, step_id, Success(result), attempt=attempt)
        case CallFailed(item, step_id, attempt, failure):
            return run.finished(item, step_id, failure, attempt=attempt)
        case Resumed():
            return run.again()
        case Cancelled():
            return run.cancel()
