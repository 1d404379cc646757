"""Errors: what is no message, and what errors look like."""

from __future__ import annotations

import json

import pytest

from protogen_compliance.peer.link import HttpLink
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Lacking, Record
from protogen_compliance.registry import clause, needs
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.link import execution

INVALID_REQUEST, INVALID_PARAMS, PARSE_ERROR, INTERNAL_ERROR = -32600, -32602, -32700, -32603

BROKEN_PARAMS: list[tuple[str, Json]] = [
    ("initialize", {"runtime_protocol_version": "1"}),
    ("initialize", {"runtime_protocol_version": -1}),
    ("components/info", {}),
    ("components/info", {"component": 7}),
    ("components/execute", {"input": 1, "attempt": 1, "observability": {}}),
    ("components/execute", {**execution("/x", 1), "component": {"name": "x"}}),
    ("components/execute", {**execution("/x", 1), "attempt": "1"}),
    ("components/execute", {**execution("/x", 1), "observability": []}),
]


@clause("SF-ERR-002")
def test_body_that_is_no_json(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.send(b"{bad")
    assert answer.code == PARSE_ERROR, f"expected -32700, got {answer.summary()}"
    number = answer.member("id")
    # That an error has an id at all is SF-ERR-001.
    assert number is MISSING or number is None, f"the id of a parse error is {number!r}; expected null"


@clause("SF-ERR-003")
@pytest.mark.parametrize("text", ["1", '"x"', "null", "[]", "{}"])
def test_json_that_is_no_message(worker: Watched, over_http: HttpLink, text: str) -> None:
    answer = worker.send(text.encode())
    assert answer.code == INVALID_REQUEST, f"{text}: expected -32600, got {answer.summary()}"


@clause("SF-ERR-004")
@needs("SF-METH-001")
@pytest.mark.parametrize(("method", "params"), BROKEN_PARAMS, ids=lambda it: json.dumps(it)[:40])
def test_params_that_do_not_fit(worker: Watched, record: Record, method: str, params: Json) -> None:
    answer = worker.call(method, params)
    assert answer.code in (INVALID_PARAMS, INVALID_REQUEST), (
        f"{method} with {json.dumps(params)[:120]}: expected -32602, got {answer.summary()}"
    )
    if answer.code == INVALID_REQUEST:
        record.warn(f"params of {method} that do not fit have the code -32600")


@clause("SF-ERR-005")
def test_result_that_is_no_json(worker: Watched) -> None:
    if "unwritable" not in worker.components:
        pytest.skip("no component with such a result was named; --executor unwritable=/NAME names one")
    answer = worker.execute("unwritable", {})
    assert answer.code == INTERNAL_ERROR, f"expected -32603, got {answer.summary()}"


@clause("SF-ERR-006")
def test_body_that_is_no_utf8(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.send(b"\xff\xfe{}")
    good = answer.code in (PARSE_ERROR, INVALID_REQUEST) or (answer.value is MISSING and answer.status == 400)
    assert good, f"expected -32700, got {answer.summary()}"


@clause("SF-ERR-008")
@needs("SF-EXEC-008")
def test_data_tells_more(worker: Watched, record: Record) -> None:
    data = (worker.call("components/execute", execution("/no-such-component", {})).error or {}).get("data", MISSING)
    record.note(f"data of an unknown component: {data!r}")


@clause("SF-METH-006")
def test_worker_does_not_call_unasked(worker: Watched) -> None:
    """Over HTTP a worker has no way to call without an execution; over stdio every line would be seen."""
    calls: list[tuple[str, Json]] = [("components/list", {}), ("initialize", {"runtime_protocol_version": 1})]
    calls += [("components/info", {"component": name}) for name in worker.components.values()][:1]
    for method, params in calls:
        answer = worker.call(method, params)
        assert not answer.callbacks, f"during {method} the worker called {answer.callbacks[0]!r}"


@clause("SF-MSG-008")
@needs("SF-SSE-003", "SF-SSE-012")
def test_ids_of_callbacks(worker: Watched) -> None:
    if "put" not in worker.components:
        raise Lacking("the worker lists no component for 'put'; name one with --executor put=/NAME")
    ids: list[Json] = []
    for number in range(25):
        ids += [it.get("id") for it in worker.good("put", number).callbacks]
    assert ids, "25 executions of the component that stores a blob made no callback"
    odd = [it for it in ids if not isinstance(it, str)]
    assert not odd, f"an id of a callback is {odd[0]!r}; expected a text"
    assert len(set(ids)) == len(ids), f"{len(ids)} callbacks have {len(set(ids))} different ids"
