"""The identifiers of blobs and of flows, where they are more than the hash of a plain value."""

from __future__ import annotations

import hashlib
import json

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.stepflow.runtime.callbacks import called, code, get, put, result
from protogen_compliance.suites.stepflow.runtime.stage import RAW, Runtime

BLOBS, FLOWS = profile("blobs"), profile("flows")
BLOB_NOT_FOUND, SERVER_ERROR = -32008, -32000

NUMBERS = {
    "1.0": "1.0",
    "100.0": "100.0",
    "1e2": "100.0",
    "0.1": "0.1",
    "-0.0": "-0.0",
    "0.00001": "0.00001",
    "1e-7": "1e-7",
    "1e16": "1e+16",
    "1.5e300": "1.5e+300",
}
"""A number as it is sent, and the text of it that is hashed."""


def hashed(text: str) -> str:
    """The identifier of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def names_of(runtime: Runtime, *texts: str) -> list[str]:
    """The ids under which values are stored that are sent as these texts, as a setup; raises Unmet."""
    answers = runtime.talk(lambda talk: [it.answer() for it in [talk.begin(put(RAW), raw=text) for text in texts]])
    found: list[str] = []
    for text, answer in zip(texts, answers, strict=True):
        members = result(answer)
        if not isinstance(members, dict) or not isinstance(members.get("blob_id"), str):
            raise Unmet(("SF-METH-003", "SF-BLOB-001"), f"blobs/put of {text} gave {json.dumps(answer)[:200]}")
        found.append(members["blob_id"])
    return found


# --- blobs ----------------------------------------------------------------------------------------


@BLOBS
@clause("SF-BLOB-007")
@needs("SF-BLOB-006")
def test_code_of_an_unknown_blob(runtime: Runtime, record: Record) -> None:
    (answer,) = called(runtime, get("0" * 64))
    found = code(answer)
    if found == SERVER_ERROR:
        record.note("the code of an unknown blob is -32000, as the released runtimes have it")
        return
    assert found == BLOB_NOT_FOUND, f"the code of an unknown blob is {found}; expected -32008"


@BLOBS
@clause("SF-BLOB-012")
@needs("SF-BLOB-009")
def test_numbers_are_hashed_as_their_shortest_text(runtime: Runtime) -> None:
    found = names_of(runtime, *NUMBERS)
    wrong = [sent for (sent, text), name in zip(NUMBERS.items(), found, strict=True) if name != hashed(text)]
    assert not wrong, f"{', '.join(wrong)}: the id is not the hash of {', '.join(NUMBERS[it] for it in wrong)}"


@BLOBS
@clause("SF-BLOB-013")
@needs("SF-BLOB-009")
def test_members_that_occur_twice(runtime: Runtime) -> None:
    twice, once = names_of(runtime, '{"a":1,"b":2,"a":3}', '{"a":3,"b":2}')
    assert once == hashed('{"a":3,"b":2}'), f'{{"a":3,"b":2}} was stored as {once}'
    assert twice == once, 'the last one of two members "a" does not count in the place of the first one'


# --- flows ----------------------------------------------------------------------------------------


def flow(**members: Json) -> dict[str, Json]:
    """A flow with its members in canonical order."""
    steps = [{"id": "only", "component": "/kit/none", "input": {"a": {"$input": "$"}, "b": 1}}]
    return {"name": "kit", "version": "1", "steps": steps, "output": {"$step": "only"}, **members}


@FLOWS
@clause("SF-BLOB-015")
@needs("SF-BLOB-009")
def test_id_of_a_flow_is_canonical(runtime: Runtime) -> None:
    plain = runtime.store(flow())
    text = json.dumps(flow(), separators=(",", ":"))
    assert plain == hashed(text), f"{text} was stored as {plain}; expected its SHA-256 {hashed(text)}"
    (step,) = flow()["steps"]
    reordered = dict(reversed([*flow(steps=[dict(reversed(step.items()))]).items()]))
    assert runtime.store(reordered) == plain, "the same flow with its members in another order has another id"
    unknown = flow(schema={"a": 1}, steps=[{**step, "unknown": 1}])
    assert runtime.store(unknown) == plain, "the same flow with unknown members has another id"
    # An empty list of examples counts in all releases.
    empty = flow(description=None, metadata={}, steps=[{**step, "onError": None, "metadata": {}}])
    assert runtime.store(empty) == plain, "the same flow with empty members has another id"
    other = flow(steps=[{**step, "input": {"b": 1, "a": {"$input": "$"}}}])
    assert runtime.store(other) != plain, "a flow with another input has the same id"


@FLOWS
@clause("SF-BLOB-016")
@needs("SF-BLOB-015")
def test_metadata_in_an_id(runtime: Runtime) -> None:
    one = flow(metadata={"a": 1, "b": {"c": [2]}, "d": "x"})
    names = {runtime.store(one) for _ in range(10)}
    assert len(names) == 1, f"a flow with three metadata members that was stored ten times has {len(names)} ids"
    assert runtime.store(flow()) not in names, "metadata does not enter the id of a flow"


@FLOWS
@clause("SF-LIFE-007")
@pytest.mark.parametrize("key", ["a.b", "a[0]"])
def test_quoted_keys_of_a_stored_flow(runtime: Runtime, key: str) -> None:
    value = {key: "quoted", "a": {"b": "plain"}}

    def read(path: str) -> Json:
        outcome = runtime.run_flow({"name": "kit", "steps": [], "output": {"$input": path}}, value)
        return outcome.summary() if outcome.result is MISSING else outcome.result

    plain = read("$.a.b")
    assert plain == "plain", f"$.a.b of {json.dumps(value)} gave {plain}"
    found = read(f"$['{key}']")
    assert found == "quoted", f"$['{key}'] of {json.dumps(value)} gave {found}"


@FLOWS
@clause("SF-LIFE-005")
@pytest.mark.parametrize("place", ["output", "input"])
def test_steps_that_become_needed(runtime: Runtime, place: str) -> None:
    def steps(*names: str) -> list[Json]:
        return [{"id": name, "component": path, "input": name} for name in names]

    path = runtime.stage.add(lambda it: it.result({"output": it.value["params"]["input"]}))

    def run(then: str) -> Json:
        choice = {"$if": {"$step": "first"}, "then": {"$step": then}}
        user = {"id": "user", "component": path, "input": choice}
        last = choice if place == "output" else {"$step": "user"}
        more = [] if place == "output" else [user]
        outcome = runtime.run_flow({"name": "kit", "steps": [*steps("first", "later"), *more], "output": last})
        return outcome.summary() if outcome.result is MISSING else outcome.result

    known, later = run("first"), run("later")
    assert known == "first", f"$if in {place} whose branch is known gave {known}"
    assert later == "later", f"$if in {place} whose branch needs another step gave {later}"
