"""Steps that fail, that are tried again and that must run; variables and overrides (spec section 9)."""

from __future__ import annotations

from typing import Any

import pytest
from rig import broken, expected_result, fails, flow_of, play_flow, unreached

from protogen_runtime.stepflow.engine import S1, S2, Dialect, NotRunnable, Run, StartStep, StepFailure, flow_error
from protogen_runtime.stepflow.flow.model import FlowError

DEFAULT: dict[str, Any] = {"onError": {"action": "useDefault"}}


def on_error(component: str, action: str, **fields: Any) -> dict[str, Any]:
    return {"component": component, "onError": {"action": action} | fields}


def ref(step: str, path: str | None = None) -> dict[str, Any]:
    return {"$step": step} if path is None else {"$step": step, "path": path}


GONE = unreached("a", "gone")
FLAKY = broken("a", -32100, "not yet")

FAILURES: list[tuple[str, dict[str, Any], Any, int]] = [
    ("a step fails", {"component": "/fail"}, broken("a"), 1),
    ("it fails with fail", on_error("/fail", "fail"), broken("a"), 1),
    ("it fails with null", {"component": "/fail", "onError": None}, broken("a"), 1),
    ("it has its default", on_error("/fail", "useDefault", defaultValue=7), 7, 1),
    ("its default is null", on_error("/fail", "useDefault"), None, 1),
    ("its default is an explicit null", on_error("/fail", "useDefault", defaultValue=None), None, 1),
    ("its default is no expression", on_error("/fail", "useDefault", defaultValue=ref("b")), ref("b"), 1),
    ("a default keeps its $literal", on_error("/fail", "useDefault", defaultValue={"$literal": 1}), {"$literal": 1}, 1),
    ("a default for a call that is lost", on_error("/lost", "useDefault", defaultValue=7), 7, 1),
    ("a default for an error of its own", on_error("/own", "useDefault", defaultValue=7), 7, 1),
    ("no default where it works", on_error("/echo", "useDefault", defaultValue=7), "in", 1),
    ("a result of null is none", on_error("/null", "useDefault", defaultValue=7), None, 1),
    ("an error of its own is passed on", {"component": "/own"}, fails(418, "teapot", {"a": 1}), 1),
    ("a call that is lost", {"component": "/lost"}, GONE, 1),
    ("retry works at once", on_error("/echo", "retry"), "in", 1),
    ("retry works at the second attempt", on_error("/flaky/1", "retry"), "in", 2),
    ("retry works at the last attempt", on_error("/flaky/3", "retry"), "in", 4),
    ("retry gives up after three by default", on_error("/flaky/4", "retry"), FLAKY, 4),
    ("retry gives up after as many as it says", on_error("/flaky/2", "retry", maxRetries=1), FLAKY, 2),
    ("retry works as often as it says", on_error("/flaky/5", "retry", maxRetries=5), "in", 6),
    ("no retry is a failure", on_error("/flaky/1", "retry", maxRetries=0), FLAKY, 1),
    ("null retries are the default", on_error("/flaky/3", "retry", maxRetries=None), "in", 4),
    ("retry of calls that are lost", on_error("/shaky/2", "retry"), "in", 3),
    ("without retry a lost call is final", {"component": "/shaky/1"}, None, 1),
]


@pytest.mark.parametrize(("rule", "fields", "expected", "calls"), FAILURES, ids=[row[0] for row in FAILURES])
def test_failures_in_0_9(rule: str, fields: dict[str, Any], expected: Any, calls: int) -> None:
    played = play_flow(flow_of([("a", "in", fields)], ref("a")))
    if expected is None and fields["component"].startswith("/shaky"):
        expected = unreached("a", "no line")
    assert (played.results, [call.attempt for call in played.calls]) == (
        [expected_result(expected)],
        list(range(1, calls + 1)),
    )


NO_LINE = fails(-32302, "no line")
RETRIES: list[tuple[str, dict[str, Any], Any, list[float]]] = [
    ("an error is told as it is", {"component": "/fail/-32100"}, fails(-32100, "broken"), [0]),
    ("a lost call is tried again", {"component": "/shaky/1"}, "in", [0, 1]),
    ("three times", {"component": "/shaky/3"}, "in", [0, 1, 1, 2]),
    ("and no more", {"component": "/shaky/4"}, NO_LINE, [0, 1, 1, 2]),
    ("whatever onError says", on_error("/shaky/3", "useDefault"), "in", [0, 1, 1, 2]),
    ("then the default", on_error("/shaky/4", "useDefault", defaultValue=5), 5, [0, 1, 1, 2]),
    ("retry does not add to it", on_error("/shaky/4", "retry"), NO_LINE, [0, 1, 1, 2]),
    ("retry of errors", on_error("/flaky/3", "retry"), "in", [0, 1, 1, 2]),
    ("retry of errors gives up", on_error("/flaky/4", "retry"), fails(-32100, "not yet"), [0, 1, 1, 2]),
    ("as often as it says", on_error("/flaky/2", "retry", maxRetries=1), fails(-32100, "not yet"), [0, 1]),
    ("no retry of errors by itself", {"component": "/flaky/1"}, fails(-32100, "not yet"), [0]),
    ("an error of the worker is final", on_error("/fail/-32001", "retry"), fails(-32001, "broken"), [0]),
    ("an error of the engine is final", on_error("/fail/-32201", "retry"), fails(-32201, "broken"), [0]),
    ("a code of transport is tried again", {"component": "/fail/-32303"}, fails(-32303, "broken"), [0, 1, 1, 2]),
    ("the last code of transport", {"component": "/fail/-32399"}, fails(-32399, "broken"), [0, 1, 1, 2]),
    ("a code below is none", {"component": "/fail/-32400"}, fails(-32400, "broken"), [0]),
    ("a code of one's own is retried", on_error("/fail/42", "retry", maxRetries=1), fails(42, "broken"), [0, 1]),
    ("a FlowError is passed on", {"component": "/own"}, fails(418, "teapot", {"a": 1}), [0]),
]


@pytest.mark.parametrize(("rule", "fields", "expected", "delays"), RETRIES, ids=[row[0] for row in RETRIES])
def test_failures_in_0_11(rule: str, fields: dict[str, Any], expected: Any, delays: list[float]) -> None:
    played = play_flow(flow_of([("a", "in", fields)], ref("a")), dialect=S2)
    assert played.results == [expected_result(expected)]
    assert played.calls == [
        StartStep(0, "a", fields["component"], "in", attempt, delay) for attempt, delay in enumerate(delays, 1)
    ]


@pytest.mark.parametrize(
    ("dialect", "kind", "fields", "attempts"),
    [
        (S1, "crash", {}, 3),
        (S1, "crash", on_error("/c", "retry", maxRetries=2), 5),
        (S1, "transport", {}, 1),
        (S1, "component", {}, 1),
        (S2, "crash", {}, 4),
    ],
)
def test_a_process_that_ended_is_given_another_chance(
    dialect: Dialect, kind: Any, fields: dict[str, Any], attempts: int
) -> None:
    run = Run(flow_of([("a", "in", {"component": "/c", **fields})], ref("a")), [None], dialect=dialect)
    (call,) = run.begin()
    seen: list[int] = []
    while isinstance(call, StartStep):
        seen.append(call.attempt)
        call, *_ = run.finished(0, "a", StepFailure(-32302, "gone", kind=kind))
    assert seen == list(range(1, attempts + 1))


def test_all_that_is_known_of_a_failure_is_told_in_0_9() -> None:
    failure = StepFailure(-32003, "boom", {"line": 1}, "component", "/c", ("a note",))
    notes = ["Component: /c", "Component execution failed for step 'a'", "a note"]
    stack = [{"error": 'step "a" failed', "attachments": notes}, {"error": "component server error(-32003): boom"}]
    assert flow_error(S1, "a", failure) == FlowError(500, 'step "a" failed', {"stack": stack, "data": {"line": 1}})
    assert flow_error(S2, "a", failure) == FlowError(-32003, "boom", {"line": 1})


def test_a_plugin_that_fails_itself_tells_the_reason_beside_the_step_in_0_9() -> None:
    failure = StepFailure(-32202, "no such behavior", kind="plugin", component="/c")
    notes = ["Component: /c", "Component execution failed for step 'a'", "no such behavior"]
    stack = [
        {"error": 'step "a" failed', "attachments": notes},
        {"error": "error executing user-defined function"},
    ]
    assert flow_error(S1, "a", failure) == FlowError(500, 'step "a" failed', {"stack": stack})
    assert flow_error(S2, "a", failure) == FlowError(-32202, "no such behavior")


UNDEFINED: list[tuple[str, Any, int, int, str]] = [
    ("an input path", {"$input": "x"}, 1, -32200, "Input path $.x not found"),
    ("a variable", {"$variable": "x"}, 1, -32200, "Undefined variable: x"),
    ("a step", {"$step": "x"}, 404, -32202, "Unknown step: x"),
    ("an empty variable path", {"$variable": "$"}, 500, -32202, "Variable path is empty"),
    ("a variable by number", {"$variable": "$[0]"}, 500, -32202, "Variable name must be a string"),
]


@pytest.mark.parametrize(("rule", "output", "code", "later", "message"), UNDEFINED, ids=[row[0] for row in UNDEFINED])
def test_codes_of_what_is_undefined_follow_the_dialect(
    rule: str, output: Any, code: int, later: int, message: str
) -> None:
    assert play_flow(flow_of(output=output), dialect=S1).results == [fails(code, message)]
    assert play_flow(flow_of(output=output), dialect=S2).results == [fails(later, message)]


MUST = {"mustExecute": True}
MUST_RUN: list[tuple[str, list[Any], Any, Any, list[str]]] = [
    ("a step that must run does", [("m", 1, MUST)], 2, 2, ["m"]),
    ("one that need not does not", [("m", 1, {"mustExecute": False})], 2, 2, []),
    ("null is no must", [("m", 1, {"mustExecute": None})], 2, 2, []),
    ("it runs beside what is needed", [("a", 1), ("m", 2, MUST)], ref("a"), 1, ["a", "m"]),
    ("what it needs runs", [("a", 1), ("m", ref("a"), MUST)], 2, 2, ["a", "m"]),
    ("what it may need does not", [("a", 1), ("m", {"$if": False, "then": ref("a")}, MUST)], 2, 2, ["m"]),
    ("its failure does not count", [("m", 1, MUST | {"component": "/fail"})], 2, 2, ["m"]),
    ("unless it is used", [("m", 1, MUST | {"component": "/fail"})], ref("m"), broken("m"), ["m"]),
    ("nor does that of its input", [("m", {"$input": "nope"}, MUST)], 2, 2, []),
    ("needed and a must, it runs once", [("m", 1, MUST)], ref("m"), 1, ["m"]),
    ("it runs where the output fails", [("m", 1, MUST)], {"$input": "x"}, fails(1, "Input path $.x not found"), ["m"]),
    ("two musts", [("m", 1, MUST), ("n", 2, MUST)], 3, 3, ["m", "n"]),
]


@pytest.mark.parametrize(("rule", "steps", "output", "expected", "started"), MUST_RUN, ids=[row[0] for row in MUST_RUN])
def test_steps_that_must_run(rule: str, steps: list[Any], output: Any, expected: Any, started: list[str]) -> None:
    played = play_flow(flow_of(steps, output))
    assert (played.results, played.started) == ([expected_result(expected)], started)


def test_a_default_does_not_help_an_input_that_fails() -> None:
    played = play_flow(flow_of([("a", {"$input": "nope"}, on_error("/echo", "useDefault", defaultValue=7))], ref("a")))
    assert (played.results, played.started) == ([fails(1, "Input path $.nope not found")], [])


# --- variables --------------------------------------------------------------------------------------

TYPES = {
    "s": {"type": "string"},
    "n": {"type": "number"},
    "i": {"type": "integer"},
    "b": {"type": "boolean"},
    "o": {"type": "object"},
    "l": {"type": "array"},
    "u": {"type": ["string", "null"]},
    "v": {"type": ["string", "integer"]},
    "d": {"type": "string", "default": "given"},
    "e": {"default": {"x": [1]}},
    "r": {"type": "string"},
    "q": {"type": "string", "default": "q"},
    "x": True,
}
SCHEMAS = {"properties": {"variables": {"type": "object", "properties": TYPES, "required": ["r", "q"]}}}


def missing(name: str) -> Any:
    return fails(1, f"Undefined variable: {name}")


VARIABLES: list[tuple[str, Any, dict[str, Any], Any]] = [
    ("a given one", {"$variable": "r"}, {"r": 5}, 5),
    ("a part of one", {"$variable": "$.o.k[0]"}, {"o": {"k": [7]}}, 7),
    ("a part without the dollar", {"$variable": "o.k"}, {"o": {"k": 7}}, 7),
    ("a quoted name", {"$variable": '$["a.b"]'}, {"a.b": 3}, 3),
    ("an undeclared one", {"$variable": "free"}, {"free": 1}, 1),
    ("no check of types", {"$variable": "s"}, {"s": [1]}, [1]),
    ("null counts", {"$variable": "d"}, {"d": None}, None),
    ("null wins over the default", {"$variable": "d", "default": 9}, {"d": None}, None),
    ("the default of the schema", {"$variable": "d"}, {}, "given"),
    ("a part of the default of the schema", {"$variable": "e.x[0]"}, {}, 1),
    ("the default of the schema wins", {"$variable": "d", "default": 9}, {}, "given"),
    ("a required one with a default", {"$variable": "q"}, {}, "q"),
    ("the zero of strings", {"$variable": "s"}, {}, ""),
    ("the zero of numbers", {"$variable": "n"}, {}, 0),
    ("the zero of integers", {"$variable": "i"}, {}, 0),
    ("the zero of booleans", {"$variable": "b"}, {}, False),
    ("null for a union with null", {"$variable": "u"}, {}, None),
    ("nothing for a union without", {"$variable": "v"}, {}, missing("v")),
    ("nothing for objects", {"$variable": "o"}, {}, missing("o")),
    ("nothing for arrays", {"$variable": "l"}, {}, missing("l")),
    ("nothing for a schema of true", {"$variable": "x"}, {}, missing("x")),
    ("nothing for what is required", {"$variable": "r"}, {}, missing("r")),
    ("the default of the reference", {"$variable": "r", "default": 9}, {}, 9),
    ("a default of null", {"$variable": "r", "default": None}, {}, None),
    ("a default that is an expression", {"$variable": "r", "default": {"$input": "$"}}, {}, "in"),
    ("a default that is a variable", {"$variable": "r", "default": {"$variable": "d"}}, {}, "given"),
    ("a default that fails", {"$variable": "r", "default": {"$variable": "o"}}, {}, missing("o")),
    ("a missing part", {"$variable": "d.x"}, {}, missing("d")),
    ("a default for a missing part", {"$variable": "d.x", "default": 9}, {}, 9),
    ("a zero is a value", {"$variable": "s", "default": 9}, {}, ""),
    ("in an object", {"k": {"$variable": "r"}}, {"r": 5}, {"k": 5}),
    ("in a choice", {"$coalesce": [{"$variable": "u"}, {"$variable": "d"}]}, {}, "given"),
]


@pytest.mark.parametrize(("rule", "output", "given", "expected"), VARIABLES, ids=[row[0] for row in VARIABLES])
def test_variables(rule: str, output: Any, given: dict[str, Any], expected: Any) -> None:
    flow = flow_of(output=output, schemas=SCHEMAS)
    assert play_flow(flow, ["in"], variables=given).results == [expected_result(expected)]


def test_a_step_in_a_default_runs_only_where_the_default_counts() -> None:
    flow = flow_of([("a", 1)], {"$variable": "v", "default": ref("a")})
    assert play_flow(flow).started == ["a"]
    assert play_flow(flow, variables={"v": 2}).started == []


# --- overrides --------------------------------------------------------------------------------------

OVERRIDES: list[tuple[str, dict[str, Any], Any]] = [
    ("nothing changes", {}, {"k": 1, "l": [1, 2]}),
    ("a member of the input", {"a": {"value": {"input": {"k": 2}}}}, {"k": 2, "l": [1, 2]}),
    ("a new member", {"a": {"value": {"input": {"m": 2}}}}, {"k": 1, "l": [1, 2], "m": 2}),
    ("null removes", {"a": {"value": {"input": {"k": None}}}}, {"l": [1, 2]}),
    ("null removes the input", {"a": {"value": {"input": None}}}, None),
    ("an array is replaced", {"a": {"value": {"input": {"l": [3]}}}}, {"k": 1, "l": [3]}),
    ("the input is replaced", {"a": {"value": {"input": "x"}}}, "x"),
    ("an expression", {"a": {"value": {"input": {"k": {"$input": "$"}}}}}, {"k": "in", "l": [1, 2]}),
    ("the form of 0.11", {"steps": {"a": {"value": {"input": "x"}}}}, "x"),
    ("the kind is named", {"a": {"$type": "merge_patch", "value": {"input": "x"}}}, "x"),
    ("null is no kind", {"a": {"$type": None, "value": {"input": "x"}}}, "x"),
    ("the component", {"a": {"value": {"component": "/null"}}}, None),
    ("onError", {"a": {"value": {"component": "/fail", "onError": {"action": "useDefault"}}}}, None),
    ("an empty patch", {"a": {"value": {}}}, {"k": 1, "l": [1, 2]}),
    (
        "a JSON patch replaces",
        {"a": {"$type": "json_patch", "value": [{"op": "replace", "path": "/input/k", "value": 2}]}},
        {"k": 2, "l": [1, 2]},
    ),
    (
        "a JSON patch adds to an array",
        {"a": {"$type": "json_patch", "value": [{"op": "add", "path": "/input/l/-", "value": 3}]}},
        {"k": 1, "l": [1, 2, 3]},
    ),
    ("a JSON patch removes", {"a": {"$type": "json_patch", "value": [{"op": "remove", "path": "/input/l"}]}}, {"k": 1}),
    ("an empty JSON patch", {"a": {"$type": "json_patch", "value": []}}, {"k": 1, "l": [1, 2]}),
]


@pytest.mark.parametrize(("rule", "overrides", "expected"), OVERRIDES, ids=[row[0] for row in OVERRIDES])
def test_overrides(rule: str, overrides: dict[str, Any], expected: Any) -> None:
    flow = flow_of([("a", {"k": 1, "l": [1, 2]})], ref("a"))
    assert play_flow(flow, ["in"], overrides=overrides).results == [expected_result(expected)]


BAD_OVERRIDES: list[tuple[str, Any, str]] = [
    ("an unknown step", {"c": {"value": {}}}, "no step 'c'; its steps are: a, b"),
    ("an unknown kind", {"a": {"$type": "xml", "value": {}}}, '"merge_patch" or "json_patch", got the string \'xml\''),
    ("a kind that is no string", {"a": {"$type": 1, "value": {}}}, "got the number 1"),
    ("without a value", {"a": {"input": 1}}, "got an object"),
    ("no object", {"a": 1}, "got the number 1"),
    ("no map of steps", [], "expected an object of steps, got an array"),
    ("no step afterwards", {"a": {"value": 1}}, "the changed step is none"),
    ("without an id", {"a": {"value": {"id": None}}}, '"id": is missing'),
    ("with an empty id", {"a": {"value": {"id": ""}}}, "empty id"),
    ("without a component", {"a": {"value": {"component": None}}}, '"component": is missing'),
    ("an unknown action", {"a": {"value": {"onError": {"action": "x"}}}}, "expected fail, useDefault or retry"),
    ("a bad path", {"a": {"value": {"input": {"$input": "$["}}}}, "is not closed"),
    ("two steps of one id", {"a": {"value": {"id": "b"}}}, "two steps would have the id 'b'"),
    ("a later step", {"a": {"value": {"input": {"$step": "b"}}}}, 'step "a" uses the result of step "b"'),
    ("its own result", {"a": {"value": {"input": {"$step": "a"}}}}, 'step "a" uses the result of step "a"'),
    ("a JSON patch that is none", {"a": {"$type": "json_patch", "value": {}}}, "expected an array of operations"),
    (
        "a JSON patch that does not fit",
        {"a": {"$type": "json_patch", "value": [{"op": "remove", "path": "/x"}]}},
        "operation 0: there is nothing at 'x'",
    ),
]


@pytest.mark.parametrize(("rule", "overrides", "message"), BAD_OVERRIDES, ids=[row[0] for row in BAD_OVERRIDES])
def test_overrides_that_cannot_be_applied_keep_a_run_from_beginning(rule: str, overrides: Any, message: str) -> None:
    with pytest.raises(NotRunnable) as refused:
        Run(flow_of([("a", 1), ("b", ref("a"))], ref("b")), [None], overrides=overrides)
    assert message in str(refused.value)


@pytest.mark.parametrize("depth", [127, 100_000])
@pytest.mark.parametrize("kind", ["merge_patch", "json_patch"])
def test_overrides_that_nest_too_deeply_are_refused(kind: str, depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = {"k": deep}
    value = {"input": deep} if kind == "merge_patch" else [{"op": "add", "path": "/input/k", "value": deep}]
    with pytest.raises(NotRunnable, match="nested deeper than 128 levels"):
        Run(flow_of([("a", {})], ref("a")), [None], overrides={"a": {"$type": kind, "value": value}})


def test_overrides_leave_the_flow_as_it_is() -> None:
    flow = flow_of([("a", {"k": [1]})], ref("a"))
    add = {"op": "add", "path": "/input/k/0", "value": 0}
    assert play_flow(flow, overrides={"a": {"$type": "json_patch", "value": [add]}}).results == [
        expected_result({"k": [0, 1]})
    ]
    assert flow == flow_of([("a", {"k": [1]})], ref("a"))


def test_a_changed_id_is_what_the_output_names() -> None:
    flow = flow_of([("a", 1)], ref("b"))
    assert play_flow(flow, overrides={"a": {"value": {"id": "b"}}}).results == [expected_result(1)]
