"""Methods: the handshake, components, executions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from protogen_compliance.peer.link import HttpLink, StdioLink
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Lacking, Record, Unmet
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.first import VERSION, First
from protogen_compliance.suites.stepflow.worker.link import execution

NOT_FOUND, INVALID_REQUEST, INVALID_PARAMS = -32601, -32600, -32602
COMPONENT_NOT_FOUND, NOT_INITIALIZED, INVALID_INPUT, FAILED = -32001, -32002, -32003, -32004
SLOW_SECONDS = 1.0
AT_ONCE = 5

MakeLink = Callable[[], "HttpLink | StdioLink"]


# --- methods --------------------------------------------------------------------------------------


@clause("SF-METH-001")
def test_methods_are_served(worker: Watched, first: First) -> None:
    name = next(iter(worker.components.values()), "/nothing")
    for method, params in (
        ("initialize", VERSION),
        ("components/list", {}),
        ("components/info", {"component": name}),
        ("components/execute", execution(name, {})),
    ):
        answer = worker.call(method, params)
        assert answer.value is not MISSING, f"{method} was not answered: {answer.summary()}"
        assert answer.code != NOT_FOUND, f"{method} is not served"


@clause("SF-METH-002")
def test_schemas_are_inferred_or_not_served(worker: Watched) -> None:
    name = next(iter(worker.components.values()), "/nothing")
    answer = worker.call("components/infer_schema", {"component": name, "input_schema": {"type": "string"}})
    served = answer.result is not MISSING or answer.code in (NOT_FOUND, COMPONENT_NOT_FOUND)
    assert served, f"expected a result or -32601, got {answer.summary()}"


@clause("SF-METH-007")
@pytest.mark.parametrize("method", ["components/nope", "Components/list", ""])
def test_unknown_method(worker: Watched, method: str) -> None:
    answer = worker.call(method, {})
    assert answer.code == NOT_FOUND, f"method {method!r}: expected -32601, got {answer.summary()}"


@clause("SF-METH-008")
@needs("SF-METH-007")
def test_method_of_the_other_direction(worker: Watched) -> None:
    answer = worker.call("blobs/get", {"blob_id": "0" * 64})
    assert answer.code == NOT_FOUND, f"blobs/get: expected -32601, got {answer.summary()}"


# --- the handshake --------------------------------------------------------------------------------


@clause("SF-INIT-004")
def test_answer_has_the_version(first: First) -> None:
    result = first.initialized.result
    assert isinstance(result, dict), f"initialize: expected a result, got {first.initialized.summary()}"
    version = result.get("server_protocol_version", MISSING)
    assert type(version) is int, f"server_protocol_version is {version!r}; expected a whole number"
    assert version == 1, f"server_protocol_version is {version!r}; expected 1"


@clause("SF-INIT-005")
def test_version_is_needed(worker: Watched) -> None:
    answer = worker.call("initialize", {})
    assert answer.code in (INVALID_PARAMS, INVALID_REQUEST), f"expected -32602, got {answer.summary()}"


@clause("SF-INIT-006")
def test_unknown_version(worker: Watched, record: Record) -> None:
    answer = worker.call("initialize", {"runtime_protocol_version": 7})
    if answer.code == NOT_INITIALIZED:
        record.note("version 7 was refused with -32002")
        return
    assert isinstance(answer.result, dict), f"expected a result with the worker's version, got {answer.summary()}"
    version = answer.result.get("server_protocol_version")
    assert version != 7, "the worker says that it speaks version 7, which is not there yet"


@clause("SF-INIT-008")
def test_handshake_may_be_repeated(worker: Watched) -> None:
    one, two = worker.call("initialize", VERSION), worker.call("initialize", VERSION)
    assert one.result is not MISSING, f"the second handshake gave {one.summary()}"
    assert one.result == two.result, f"two handshakes gave {one.summary()} and {two.summary()}"
    listed = worker.call("components/list", {})
    assert listed.result is not MISSING, f"after a repeated handshake components/list gave {listed.summary()}"


@clause("SF-INIT-013")
def test_calls_are_served_without_a_handshake(first: First, record: Record) -> None:
    if first.executed is None:
        raise Lacking("the worker lists no component for 'echo'; name one with --executor echo=/NAME")
    if first.executed.code == NOT_INITIALIZED:
        record.warn("an execution before the handshake was refused with -32002")
        return
    assert first.executed.output is not MISSING, f"an execution before the handshake gave {first.executed.summary()}"


@clause("SF-INIT-014")
def test_calls_before_the_handshake_may_be_refused(first: First, record: Record) -> None:
    early = first.listed_early
    record.note(f"components/list before the handshake: {early.summary()[:80]}")
    good = early.result is not MISSING or early.code == NOT_INITIALIZED
    assert good, f"expected a result or -32002, got {early.summary()}"


@profile("dialects")
@last
@clause("SF-INIT-015")
def test_other_spelling_of_the_versions(worker: Watched) -> None:
    answer = worker.call("initialize", {"runtimeProtocolVersion": 1})
    # Whoever speaks several dialects may go on in the one of the last handshake.
    worker.call("initialize", VERSION)
    assert isinstance(answer.result, dict), f"runtimeProtocolVersion gave {answer.summary()}"
    assert "serverProtocolVersion" in answer.result, f"the answer has another spelling: {answer.summary()}"


# --- components -----------------------------------------------------------------------------------


def listed(worker: Watched) -> list[Json]:
    """The descriptions that are listed, as a setup."""
    answer = worker.call("components/list", {})
    found = answer.result.get("components") if isinstance(answer.result, dict) else None
    if not isinstance(found, list):
        raise Unmet(("SF-COMP-001",), f"components/list gave {answer.summary()}")
    return found


@clause("SF-COMP-001")
def test_list_of_components(worker: Watched) -> None:
    answer = worker.call("components/list", {})
    assert isinstance(answer.result, dict), f"expected an object, got {answer.summary()}"
    found = answer.result.get("components", MISSING)
    assert isinstance(found, list), f"the member components is {found!r}; expected an array"
    assert all(isinstance(it, dict) for it in found), f"components has {found!r}; expected objects"


@clause("SF-COMP-002")
def test_description_has_the_path(worker: Watched) -> None:
    for it in listed(worker):
        name = it.get("component", MISSING)
        assert isinstance(name, str), f"a description has no text in the member component: {it!r}"


@clause("SF-COMP-003")
def test_schemas_are_objects(worker: Watched) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    for it in listed(worker):
        for member in ("input_schema", "output_schema"):
            schema = it.get(member)
            assert schema is None or isinstance(schema, dict), f"{member} is {schema!r}; expected an object or null"
            try:
                Draft202012Validator.check_schema(schema or {})
            except SchemaError as reason:
                pytest.fail(f"{member} of {it.get('component')} is no JSON Schema: {reason.message}")


@clause("SF-COMP-004")
@needs("SF-COMP-002", "SF-COMP-003", "SF-COMP-005", "SF-COMP-007")
def test_what_is_listed_is_there(worker: Watched) -> None:
    for it in listed(worker)[:20]:
        name = it["component"]
        info = worker.call("components/info", {"component": name})
        assert isinstance(info.result, dict), f"components/info of {name}, which is listed, gave {info.summary()}"
        described = {key: value for key, value in info.result.get("info", {}).items() if value is not None}
        told = {key: value for key, value in it.items() if value is not None}
        assert described == told, f"{name} is listed as {told!r} and described as {described!r}"


@clause("SF-COMP-004")
@needs("SF-COMP-002")
def test_what_is_listed_can_be_executed(worker: Watched) -> None:
    for role, name in worker.components.items():
        if name in [it["component"] for it in listed(worker)]:
            value: Json = {"seconds": 0} if role == "slow" else "0" * 64
            answer = worker.execute(role, value)
            assert answer.code != COMPONENT_NOT_FOUND, f"{name} is listed, and an execution says that it is not there"


@clause("SF-COMP-005")
@needs("SF-COMP-002")
def test_patterns_are_not_listed(worker: Watched) -> None:
    braced = [it["component"] for it in listed(worker) if "{" in it["component"]]
    assert not braced, f"patterns are listed: {braced}"


@clause("SF-COMP-006")
def test_path_of_a_pattern_is_described(worker: Watched) -> None:
    if "pattern" not in worker.components:
        pytest.skip("no component with a path pattern was named; --executor pattern=/CONCRETE/PATH names one")
    name = worker.components["pattern"]
    answer = worker.call("components/info", {"component": name})
    info = answer.result.get("info") if isinstance(answer.result, dict) else None
    assert isinstance(info, dict), f"components/info of {name} gave {answer.summary()}"
    assert info.get("component") == name, f"{name} is described as {info.get('component')!r}"


@clause("SF-COMP-007")
@needs("SF-COMP-002", "SF-METH-001")
def test_info_is_a_description(worker: Watched) -> None:
    names = [it["component"] for it in listed(worker)]
    if not names:
        raise Lacking("the worker lists no component")
    answer = worker.call("components/info", {"component": names[0]})
    assert isinstance(answer.result, dict), f"expected an object, got {answer.summary()}"
    info = answer.result.get("info", MISSING)
    assert isinstance(info, dict), f"the member info is {info!r}; expected a description"
    assert info.get("component") == names[0], f"{names[0]} is described as {info.get('component')!r}"


@clause("SF-COMP-008")
@needs("SF-METH-001")
def test_info_of_an_unknown_component(worker: Watched) -> None:
    answer = worker.call("components/info", {"component": "/no-such-component"})
    assert answer.code == COMPONENT_NOT_FOUND, f"expected -32001, got {answer.summary()}"


@clause("SF-COMP-009")
@needs("SF-METH-002")
def test_inferred_schema(worker: Watched) -> None:
    name = next(iter(worker.components.values()), "/nothing")
    answer = worker.call("components/infer_schema", {"component": name, "input_schema": {"type": "string"}})
    if answer.code in (NOT_FOUND, COMPONENT_NOT_FOUND):
        pytest.skip("components/infer_schema is not served")
    assert isinstance(answer.result, dict), f"expected an object, got {answer.summary()}"
    schema = answer.result.get("output_schema")
    assert schema is None or isinstance(schema, dict), f"output_schema is {schema!r}; expected an object or null"


# --- executions -----------------------------------------------------------------------------------


@clause("SF-EXEC-005")
def test_result_has_an_output(worker: Watched) -> None:
    answer = worker.execute("echo", None)
    assert isinstance(answer.result, dict), f"expected an object with output, got {answer.summary()}"
    assert "output" in answer.result, f"the result has no output: {answer.summary()}"


@clause("SF-EXEC-008")
def test_unknown_component(worker: Watched) -> None:
    answer = worker.call("components/execute", execution("/no-such-component", {}))
    assert answer.code == COMPONENT_NOT_FOUND, f"expected -32001, got {answer.summary()}"


@clause("SF-EXEC-009")
@needs("SF-EXEC-008")
def test_error_names_the_component(worker: Watched) -> None:
    answer = worker.call("components/execute", execution("/no-such-component", {}))
    data = (answer.error or {}).get("data")
    assert isinstance(data, dict), f"data of the error is {data!r}; expected an object with component"
    assert data.get("component") == "/no-such-component", f"data names {data.get('component')!r}"


@clause("SF-EXEC-010")
def test_component_that_fails(worker: Watched) -> None:
    answer = worker.execute("fail", {"message": "the planned failure"})
    assert answer.error is not None, f"a component that fails gave {answer.summary()}"
    after = worker.execute("echo", 1)
    assert after.output == 1, f"after a failure an execution gave {after.summary()}"


@clause("SF-EXEC-011")
@needs("SF-EXEC-010")
def test_code_of_a_failure(worker: Watched, record: Record) -> None:
    answer = worker.execute("fail", {"message": "the planned failure"})
    assert answer.code in (FAILED, INVALID_INPUT), f"expected -32004, got {answer.summary()}"
    if answer.code == INVALID_INPUT:
        record.warn("the failure of a component has the code -32003")


@clause("SF-EXEC-012")
@needs("SF-COMP-003")
def test_input_that_does_not_fit(worker: Watched) -> None:
    for it in listed(worker):
        schema = it.get("input_schema") or {}
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not {"boolean"} & set(kinds):
            answer = worker.call("components/execute", execution(it["component"], True))
            assert answer.code == INVALID_INPUT, (
                f"{it['component']} takes {' or '.join(kinds)} and got true: expected -32003, got {answer.summary()}"
            )
            return
    pytest.skip("no listed component says which type its input has")


@clause("SF-EXEC-013")
@needs("SF-EXEC-010")
def test_message_is_no_traceback(worker: Watched) -> None:
    answer = worker.execute("fail", {"message": "the planned failure"})
    message = str((answer.error or {}).get("message"))
    assert "\n" not in message, f"the message has several lines: {message[:200]!r}"
    assert "Traceback" not in message, f"the message holds a traceback: {message[:200]!r}"


@clause("SF-EXEC-014")
def test_params_that_are_not_needed(worker: Watched) -> None:
    params = {**worker.params("echo", "x"), "attempt": 0, "observability": {}}
    answer = worker.call("components/execute", params)
    assert answer.output == "x", f"attempt 0 and an empty observability gave {answer.summary()}"


@clause("SF-EXEC-015")
def test_executions_run_side_by_side(worker: Watched, make_link: MakeLink) -> None:
    start = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: worker.good("slow", {"seconds": SLOW_SECONDS}), range(AT_ONCE)))
    seconds = time.monotonic() - start
    assert seconds < AT_ONCE * SLOW_SECONDS * 0.7, (
        f"{len(answers)} executions of {SLOW_SECONDS:g} s took {seconds:.1f} s; expected them side by side"
    )


@clause("SF-EXEC-016")
def test_execution_may_come_again(worker: Watched) -> None:
    for attempt in (1, 2):
        answer = worker.call("components/execute", {**worker.params("echo", [attempt]), "attempt": attempt})
        assert answer.output == [attempt], f"attempt {attempt} gave {answer.summary()}"


@clause("SF-LIFE-003")
@needs("SF-EXEC-015")
def test_abandoned_execution_does_not_disturb_others(worker: Watched, make_link: MakeLink) -> None:
    link = worker.link
    if not isinstance(link, HttpLink):
        pytest.skip("an execution over stdio cannot be abandoned by closing its connection")
    over = threading.Event()

    def abandon() -> None:
        link.exchange(_body(worker, worker.params("slow", {"seconds": SLOW_SECONDS})), patience=0.2)
        over.set()

    thread = threading.Thread(target=abandon, daemon=True)
    thread.start()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: worker.execute("slow", {"seconds": SLOW_SECONDS}), range(4)))
    thread.join(5)
    assert over.is_set(), "the abandoned execution could not be abandoned"
    bad = [it.summary() for it in answers if it.output is MISSING]
    assert not bad, f"beside an abandoned execution others gave {bad}"


def _body(worker: Watched, params: Json) -> bytes:
    import json

    return json.dumps(worker.message("components/execute", params)).encode()
