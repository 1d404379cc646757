"""Messages and errors: what the runtime makes of nulls and rubbish, and what its own messages look like."""

from __future__ import annotations

import json

import pytest

from protogen_compliance.peer.link import BYTE_ORDER_MARK
from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, last, needs
from protogen_compliance.suites.stepflow.runtime.callbacks import (
    called,
    code,
    get,
    harmless,
    put,
    result,
    stored,
    submit,
)
from protogen_compliance.suites.stepflow.runtime.stage import Outcome, Runtime, Stage, success

KNOWN_CODES = {-32700, *range(-32603, -32599), *range(-32012, -31999)}


def answering(runtime: Runtime, old: bytes, new: bytes) -> Outcome:
    """What came of an execution whose answer has some bytes changed."""

    def component(asked: Asked) -> None:
        asked.respond(json.dumps(success(asked, "OLD")).encode().replace(old, new))

    return runtime.run(component, 1)


def empty_flow(runtime: Runtime) -> str:
    """The id of a flow that gives its input back."""
    return runtime.store({"name": "kit-empty", "steps": [], "output": {"$input": "$"}})


# --- what it takes --------------------------------------------------------------------------------


@clause("SF-MSG-023")
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '"\\ud800"'])
def test_what_is_no_json_is_not_taken(runtime: Runtime, text: str) -> None:
    good = answering(runtime, b'"OLD"', b'{"v": "\\ud83d\\ude00"}')
    assert good.result == {"v": "😀"}, f"a pair of surrogates gave {good.summary()}"
    outcome = answering(runtime, b'"OLD"', b'{"v": ' + text.encode() + b"}")
    assert outcome.failed, f"an output with {text} was taken for {outcome.summary()}"


@clause("SF-MSG-026")
def test_member_that_occurs_twice(runtime: Runtime, record: Record) -> None:
    outcome = answering(runtime, b'"jsonrpc": "2.0"', b'"jsonrpc": "2.0", "jsonrpc": "2.0"')
    record.note(f"an answer that has jsonrpc twice {'fails the step' if outcome.failed else 'is taken'}")


@clause("SF-MSG-027")
def test_byte_order_mark(runtime: Runtime, record: Record) -> None:
    outcome = answering(runtime, b'{"jsonrpc"', BYTE_ORDER_MARK + b'{"jsonrpc"')
    record.note(f"an answer that begins with a byte order mark {'fails the step' if outcome.failed else 'is taken'}")


NULLS: dict[str, Json] = {
    "blobs/put": {"data": 1, "blob_type": "data", "observability": None},
    "blobs/get": {"blob_id": "BLOB", "observability": None},
    "runs/submit": {
        "flowId": "FLOW",
        "inputs": [1],
        "wait": True,
        "maxConcurrency": None,
        "overrides": None,
        "observability": None,
    },
    "runs/get": {"runId": "RUN", "observability": None},
}
"""Methods with params whose nullable members are null; texts in capitals stand for what is there."""


@clause("SF-MSG-019")
@needs("SF-METH-003", "SF-METH-004")
@pytest.mark.parametrize("method", NULLS)
def test_null_is_as_good_as_nothing(runtime: Runtime, dialect: str, method: str) -> None:
    if dialect == "S2" and method.startswith("blobs/"):
        pytest.skip(f"{method} is not of the dialect S2")
    there = {"FLOW": empty_flow(runtime)}
    if method == "blobs/get":
        there["BLOB"] = stored(runtime, 1)
    if method == "runs/get":
        there["RUN"] = submitted(runtime, there["FLOW"])["runId"]
    params = {name: there.get(it, it) if isinstance(it, str) else it for name, it in NULLS[method].items()}
    bare = {name: it for name, it in params.items() if it is not None}
    if method == "runs/submit":
        keys = [submit(runtime.stage, there["FLOW"], [1])["params"] for _ in range(2)]
        bare, params = {**keys[0], **bare}, {**keys[1], **params}
    without, with_nulls = called(runtime, {"method": method, "params": bare}, {"method": method, "params": params})
    assert result(without) is not MISSING, f"{method} with {json.dumps(bare)} gave {json.dumps(without)[:200]}"
    assert result(with_nulls) is not MISSING, f"{method} with {json.dumps(params)} gave {json.dumps(with_nulls)[:200]}"


def submitted(runtime: Runtime, flow: str) -> dict[str, Json]:
    """The status of a run that was submitted by a worker and has ended."""
    (answer,) = called(runtime, submit(runtime.stage, flow, [1], wait=True))
    status = result(answer)
    assert isinstance(status, dict), f"runs/submit gave {json.dumps(answer)[:200]}"
    assert isinstance(status.get("runId"), str), f"runs/submit gave {json.dumps(answer)[:200]}"
    return status


@clause("SF-METH-004")
def test_runs_are_served(runtime: Runtime) -> None:
    run = submitted(runtime, empty_flow(runtime))["runId"]
    (answer,) = called(runtime, {"method": "runs/get", "params": {"runId": run}})
    assert result(answer) is not MISSING, f"runs/get gave {json.dumps(answer)[:200]}"


# --- errors ---------------------------------------------------------------------------------------

REFUSED: dict[str, Json] = {
    "method": {"method": "kit/nope", "params": {}},
    "params": put(1, MISSING),
    "blob": get("0" * 64),
    "flow": put({"steps": 1}, "flow"),
    "run": {"method": "runs/get", "params": {"runId": "nope"}},
}


@clause("SF-ERR-001")
@needs("SF-METH-010")
@pytest.mark.parametrize("kind", REFUSED)
def test_errors_have_version_and_id(runtime: Runtime, dialect: str, kind: str) -> None:
    if dialect == "S2" and REFUSED[kind]["method"].startswith("blobs/"):
        pytest.skip(f"{REFUSED[kind]['method']} is not of the dialect S2")
    (answer,) = called(runtime, {**REFUSED[kind], "id": f"refused-{kind}"})
    assert isinstance(answer, dict), f"no answer with its id came to {json.dumps(REFUSED[kind])}"
    assert code(answer) is not MISSING, f"{json.dumps(REFUSED[kind])} gave {json.dumps(answer)[:200]}"
    assert answer.get("jsonrpc") == "2.0", f"an error has no jsonrpc: {json.dumps(answer)[:200]}"


@pytest.fixture
def responses(runtime: Runtime, stage: Stage, dialect: str) -> list[dict[str, Json]]:
    """All responses of the runtime to callbacks of this run, among them a good one and errors."""
    bad = [it for kind, it in REFUSED.items() if kind != "method"]  # an unknown one is SF-METH-010's alone
    bad = [it for it in bad if dialect == "S1" or not it["method"].startswith("blobs/")]
    if None in called(runtime, harmless(stage), *bad):
        raise Unmet(("SF-SSE-015", "SF-METH-010", "SF-ERR-001"), "a callback was not answered")
    values = [it.value for it in stage.asked if it.method == "POST"]
    return [it for it in values if isinstance(it, dict) and "method" not in it]


@last
@clause("SF-ERR-007")
def test_codes_are_of_the_table(responses: list[dict[str, Json]]) -> None:
    codes = {code(it) for it in responses}
    unknown = sorted(it for it in codes if type(it) is int and -32768 <= it <= -32000 and it not in KNOWN_CODES)
    assert not unknown, f"codes that the table does not have: {unknown}"


@last
@clause("SF-ERR-008")
def test_data_of_errors(responses: list[dict[str, Json]], record: Record) -> None:
    told = {json.dumps(it["error"]["data"]) for it in responses if (it.get("error") or {}).get("data")}
    record.note(f"data of errors: {', '.join(sorted(told))[:200] or 'none'}")


@last
@clause("SF-MSG-013")
@needs("SF-MSG-001")
def test_result_or_error(responses: list[dict[str, Json]]) -> None:
    for it in responses:
        assert ("result" in it) != ("error" in it), f"not exactly one of result and error: {json.dumps(it)[:200]}"


@last
@clause("SF-MSG-015")
def test_shape_of_errors(responses: list[dict[str, Json]]) -> None:
    for it in responses:
        if "error" not in it or (it["error"] is None and "result" in it):
            continue
        error = it["error"]
        assert isinstance(error, dict), f"the error is {error!r}"
        assert type(error.get("code")) is int, f"the code of an error is {error.get('code')!r}"
        assert isinstance(error.get("message"), str), f"the message of an error is {error.get('message')!r}"


# --- what it sends --------------------------------------------------------------------------------


@last
@clause("SF-MSG-023")
def test_bodies_are_strict_json(stage: Stage) -> None:
    for it in stage.asked:
        if it.method == "POST":
            try:
                json.dumps(parse_json(it.body.removeprefix(BYTE_ORDER_MARK)), ensure_ascii=False).encode()
            except ValueError as reason:
                pytest.fail(f"a body is no JSON: {reason}: {it.body[:160]!r}")


@last
@clause("SF-MSG-027")
def test_no_byte_order_mark_is_sent(stage: Stage) -> None:
    for it in stage.asked:
        assert not it.body.startswith(BYTE_ORDER_MARK), f"a body begins with a byte order mark: {it.body[:80]!r}"
