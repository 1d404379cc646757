"""Value expressions, rule by rule (spec section 9): one line is one rule.

Steps have the component /echo, which gives its input; `started` is what must have been called, in this order.
"""

from __future__ import annotations

from typing import Any

import pytest
from rig import broken, expected_result, fails, flow_of, play_flow

FAIL = {"component": "/fail"}
NULL = {"component": "/null"}
A = ("a", {"v": 1, "n": None, "f": False, "z": 0, "l": [10, [20, 21]], "o": {"k": "deep"}})
BAD = ("bad", None, FAIL)
EMPTY = ("empty", None, NULL)


def ref(step: str, path: str | None = None) -> dict[str, Any]:
    return {"$step": step} if path is None else {"$step": step, "path": path}


LITERALS: list[tuple[str, Any, Any]] = [
    ("null", None, None),
    ("true", True, True),
    ("false", False, False),
    ("an integer", 7, 7),
    ("a float", 0.5, 0.5),
    ("a large integer", 2**63, 2**63),
    ("a string", "x", "x"),
    ("a string that looks like a reference", "$input", "$input"),
    ("an empty array", [], []),
    ("an empty object", {}, {}),
    ("an array", [1, "a", None], [1, "a", None]),
    ("an object", {"b": 1, "a": [2]}, {"b": 1, "a": [2]}),
    ("nested", {"a": [{"b": [[]]}]}, {"a": [{"b": [[]]}]}),
    ("$literal of a scalar", {"$literal": 1}, 1),
    ("$literal of null", {"$literal": None}, None),
    ("$literal hides a $step", {"$literal": {"$step": "nobody"}}, {"$step": "nobody"}),
    ("$literal hides an $input", {"$literal": [{"$input": "x"}]}, [{"$input": "x"}]),
    ("$literal hides a $literal", {"$literal": {"$literal": 1}}, {"$literal": 1}),
    ("$literal inside an object", {"a": {"$literal": {"$if": 1}}}, {"a": {"$if": 1}}),
    ("$literal wins over $if", {"$if": True, "then": 1, "$literal": 2}, 2),
    ("$literal wins over $step", {"$step": "nobody", "$literal": 2}, 2),
    ("members beside $literal are ignored", {"x": {"$step": "nobody"}, "$literal": 2}, 2),
    ("$if wins over $coalesce", {"$coalesce": [5], "$if": True, "then": 1}, 1),
    ("$if wins over $step", {"$step": "nobody", "$if": True, "then": 1}, 1),
    ("$coalesce wins over $step", {"$step": "nobody", "$coalesce": [5]}, 5),
    ("$coalesce wins over $input", {"$input": "nothing", "$coalesce": [5]}, 5),
    ("$input wins over $variable", {"$variable": "nothing", "$input": ""}, "in"),
    ("$from is an ordinary key", {"$from": {"step": "a"}}, {"$from": {"step": "a"}}),
    ("$template is an ordinary key", {"$template": "{{x}}"}, {"$template": "{{x}}"}),
    ("$path is an ordinary key", {"$path": "$.x"}, {"$path": "$.x"}),
    ("a key of one dollar", {"$": 1}, {"$": 1}),
    ("then without $if is an ordinary key", {"then": 1, "else": 2}, {"then": 1, "else": 2}),
    ("step without a dollar is an ordinary key", {"step": "a", "path": "x"}, {"step": "a", "path": "x"}),
    ("an ordinary $ key holds an expression", {"$x": {"$input": ""}}, {"$x": "in"}),
]


@pytest.mark.parametrize(("rule", "output", "expected"), LITERALS, ids=[row[0] for row in LITERALS])
def test_literals(rule: str, output: Any, expected: Any) -> None:
    assert play_flow(flow_of(output=output), ["in"]).results == [expected_result(expected)]


INPUT = {
    "a": {"b": [1, {"c": 2}]},
    "a.b": "dotted",
    "k]": 1,
    "": "empty",
    "n": None,
    "s": "text",
    "0": "zero",
    "x y": 3,
}
INPUTS: list[tuple[str, Any, Any]] = [
    ("$ is the whole", "$", INPUT),
    ("an empty path is the whole", "", INPUT),
    ("null is the whole", None, INPUT),
    ("spaces are the whole", "  ", INPUT),
    ("a name", "s", "text"),
    ("a name after $.", "$.s", "text"),
    ("a member of null is missing", "$.n.x", fails(1, "Input path $.n.x not found")),
    ("null is a value", "$.n", None),
    ("two members", "$.a.b", [1, {"c": 2}]),
    ("two members without the dollar", "a.b", [1, {"c": 2}]),
    ("an index", "$.a.b[0]", 1),
    ("an index without the dollar", "a.b[0]", 1),
    ("a member of an element", "$.a.b[1].c", 2),
    ("a key in double quotes", '$["a"].b[0]', 1),
    ("a key in single quotes", "$['s']", "text"),
    ("a quoted key with a dot", '$["a.b"]', "dotted"),
    ("a quoted key with a bracket", "$['k]']", 1),
    ("a quoted empty key", '$[""]', "empty"),
    ("a quoted key with a space", "$['x y']", 3),
    ("a name with a space", "$.x y", 3),
    ("spaces around a path", "  $.s  ", "text"),
    ("spaces inside brackets", "$.a.b[ 0 ]", 1),
    ("empty segments are skipped", "$..s", "text"),
    ("a trailing dot is skipped", "$.s.", "text"),
    ("a quoted number is a key", '$["0"]', "zero"),
    ("a number after a dot is a key", "$.0", "zero"),
    ("a missing member", "$.nope", fails(1, "Input path $.nope not found")),
    ("a missing member without the dollar", "nope", fails(1, "Input path $.nope not found")),
    ("a missing index", "$.a.b[2]", fails(1, "Input path $.a.b[2] not found")),
    ("a huge index", "$.a.b[99999999999999999999]", fails(1, "Input path $.a.b[99999999999999999999] not found")),
    ("a member of an array", "$.a.b.c", fails(1, "Input path $.a.b.c not found")),
    ("a number after a dot is no index", "$.a.b.0", fails(1, "Input path $.a.b.0 not found")),
    ("an index into an object", "$[0]", fails(1, "Input path $[0] not found")),
    ("an index into a string", "$.s[0]", fails(1, "Input path $.s[0] not found")),
    ("a member of a string", "$.s.length", fails(1, "Input path $.s.length not found")),
    ("a missing quoted key", '$["no.pe"]', fails(1, 'Input path $["no.pe"] not found')),
]


@pytest.mark.parametrize(("rule", "path", "expected"), INPUTS, ids=[row[0] for row in INPUTS])
def test_paths_into_the_input(rule: str, path: str | None, expected: Any) -> None:
    assert play_flow(flow_of(output={"$input": path}), [INPUT]).results == [expected_result(expected)]


@pytest.mark.parametrize(("rule", "path", "expected"), INPUTS, ids=[row[0] for row in INPUTS])
def test_paths_into_a_result(rule: str, path: str | None, expected: Any) -> None:
    flow = flow_of([("a", {"$input": "$"})], {"$step": "a", "path": path})
    if hasattr(expected, "error"):
        expected = fails(1, expected.error.message.removeprefix("Input p").replace("ath", "Path", 1))
    assert play_flow(flow, [INPUT]).results == [expected_result(expected)]


STEPS: list[tuple[str, list[Any], Any, Any, list[str]]] = [
    ("a result", [A], ref("a"), A[1], ["a"]),
    ("a part of a result", [A], ref("a", "o.k"), "deep", ["a"]),
    ("a part that is null", [A], ref("a", "n"), None, ["a"]),
    ("a missing part", [A], ref("a", "nope"), fails(1, "Path $.nope not found"), ["a"]),
    ("a path into a null result is null", [EMPTY], ref("empty", "x.y"), None, ["empty"]),
    ("a null path", [A], {"$step": "a", "path": None}, A[1], ["a"]),
    ("other members of a reference are ignored", [A], {"$step": "a", "else": ref("nobody")}, A[1], ["a"]),
    ("a failed step", [BAD], ref("bad"), broken("bad"), ["bad"]),
    ("a part of a failed step", [BAD], ref("bad", "x"), broken("bad"), ["bad"]),
    ("a step that does not exist", [A], ref("nobody"), fails(404, "Unknown step: nobody"), []),
    ("the same step twice runs once", [A], [ref("a", "v"), ref("a", "z")], [1, 0], ["a"]),
    ("elements in their order", [A, EMPTY], [ref("empty"), ref("a", "v"), 5], [None, 1, 5], ["a", "empty"]),
    ("members in their order", [A], {"z": ref("a", "v"), "y": 0}, {"z": 1, "y": 0}, ["a"]),
    ("a failed element fails the array", [A, BAD], [ref("a"), ref("bad")], broken("bad"), ["a", "bad"]),
    ("a failed member fails the object", [A, BAD], {"x": ref("bad"), "y": ref("a")}, broken("bad"), ["a", "bad"]),
    ("the first failure counts", [BAD, A], [ref("a", "q"), ref("bad")], fails(1, "Path $.q not found"), ["bad", "a"]),
    ("the other way round", [BAD, A], [ref("bad"), ref("a", "q")], broken("bad"), ["bad", "a"]),
    ("steps in a chain", [A, ("b", ref("a", "v")), ("c", [ref("b")])], ref("c"), [1], ["a", "b", "c"]),
    (
        "a diamond",
        [A, ("b", ref("a", "v")), ("c", ref("a", "z")), ("d", [ref("b"), ref("c")])],
        ref("d"),
        [1, 0],
        [*"abcd"],
    ),
    ("nothing needed, nothing run", [A, BAD], 1, 1, []),
    ("only what is needed runs", [A, ("b", ref("a")), ("c", 3)], ref("c"), 3, ["c"]),
    ("a dependent of a failure is not called", [BAD, ("b", ref("bad"))], ref("b"), broken("bad"), ["bad"]),
    ("failures travel along a chain", [BAD, ("b", ref("bad")), ("c", ref("b"))], ref("c"), broken("bad"), ["bad"]),
    ("a missing part fails the dependent", [A, ("b", ref("a", "q"))], ref("b"), fails(1, "Path $.q not found"), ["a"]),
    ("siblings of a failure run", [BAD, A], {"x": ref("bad"), "y": ref("a")}, broken("bad"), ["bad", "a"]),
    ("a step without an input gets null", [("a",)], ref("a"), None, ["a"]),
    ("a step gets a literal", [("a", {"$literal": ref("b")})], ref("a"), ref("b"), ["a"]),
]


@pytest.mark.parametrize(("rule", "steps", "output", "expected", "started"), STEPS, ids=[row[0] for row in STEPS])
def test_references_to_steps(rule: str, steps: list[Any], output: Any, expected: Any, started: list[str]) -> None:
    played = play_flow(flow_of(steps, output))
    assert (played.results, played.started) == ([expected_result(expected)], started)


def if_(condition: Any, then: Any = "yes", *otherwise: Any) -> dict[str, Any]:
    return {"$if": condition, "then": then} | ({"else": otherwise[0]} if otherwise else {})


def first(*values: Any) -> dict[str, Any]:
    return {"$coalesce": list(values)}


X, Y, Z = (("x", "x"), ("y", "y"), ("z", "z"))
CHOICES: list[tuple[str, list[Any], Any, Any, list[str]]] = [
    ("true holds", [], if_(True, 1, 2), 1, []),
    ("false does not", [], if_(False, 1, 2), 2, []),
    ("null does not", [], if_(None, 1, 2), 2, []),
    ("0 holds", [], if_(0, 1, 2), 1, []),
    ("an empty string holds", [], if_("", 1, 2), 1, []),
    ("the string false holds", [], if_("false", 1, 2), 1, []),
    ("an empty array holds", [], if_([], 1, 2), 1, []),
    ("an empty object holds", [], if_({}, 1, 2), 1, []),
    ("0.0 holds", [], if_(0.0, 1, 2), 1, []),
    ("without an else, null", [], if_(False, 1), None, []),
    ("else null", [], if_(False, 1, None), None, []),
    ("then null", [], if_(True, None, 2), None, []),
    ("a missing input path does not hold", [], if_({"$input": "nope"}, 1, 2), 2, []),
    ("a missing variable does not hold", [], if_({"$variable": "nope"}, 1, 2), 2, []),
    ("a missing part of a result does not hold", [A], if_(ref("a", "nope"), 1, 2), 2, ["a"]),
    ("a failed step does not hold", [BAD], if_(ref("bad"), 1, 2), 2, ["bad"]),
    ("a result that is null does not hold", [EMPTY], if_(ref("empty"), 1, 2), 2, ["empty"]),
    ("a result that is false does not hold", [A], if_(ref("a", "f"), 1, 2), 2, ["a"]),
    ("a result that is 0 holds", [A], if_(ref("a", "z"), 1, 2), 1, ["a"]),
    ("a step that does not exist does not hold", [], if_(ref("nobody"), 1, 2), 2, []),
    ("an array with a failure does not hold", [BAD], if_([ref("bad")], 1, 2), 2, ["bad"]),
    ("then is found when it is needed", [X, Y], if_(ref("x"), ref("y"), 0), "y", ["x", "y"]),
    ("else is found when it is needed", [EMPTY, Y, Z], if_(ref("empty"), ref("y"), ref("z")), "z", ["empty", "z"]),
    ("the other branch does not run", [X, Y, Z], if_(ref("x"), ref("y"), ref("z")), "y", ["x", "y"]),
    ("a literal condition asks for one branch", [Y, Z], if_(True, ref("y"), ref("z")), "y", ["y"]),
    ("a failing branch fails", [BAD], if_(True, ref("bad"), 1), broken("bad"), ["bad"]),
    ("a failing branch that is not taken does not", [BAD], if_(False, ref("bad"), 1), 1, []),
    ("a condition inside a condition", [X], if_(if_(ref("x"), False, True), 1, 2), 2, ["x"]),
    ("a choice in a branch", [X, Y, Z], if_(ref("x"), if_(ref("y"), ref("z"))), "z", ["x", "y", "z"]),
    (
        "choices side by side",
        [X, Y, Z],
        [if_(ref("x"), ref("y")), if_(ref("x"), ref("z"))],
        ["y", "z"],
        ["x", "y", "z"],
    ),
    ("a choice inside an object", [X, Y], {"k": [if_(ref("x"), ref("y"))]}, {"k": ["y"]}, ["x", "y"]),
    ("a choice in an input", [X, Y, ("t", if_(ref("x"), ref("y")))], ref("t"), "y", ["x", "y", "t"]),
    (
        "a choice in an input that fails",
        [X, BAD, ("t", if_(ref("x"), ref("bad")))],
        ref("t"),
        broken("bad"),
        ["x", "bad"],
    ),
    ("a dependent that failed does not hold", [BAD, ("t", ref("bad"))], if_(ref("t"), 1, 2), 2, ["bad"]),
    ("a chain behind a branch", [X, Y, ("t", ref("y"))], if_(ref("x"), ref("t")), "y", ["x", "y", "t"]),
    ("the first that is not null", [], first(None, 1, 2), 1, []),
    ("nothing to choose from", [], first(), None, []),
    ("all null", [], first(None, None), None, []),
    ("one value", [], first(5), 5, []),
    ("false is not null", [], first(None, False, 1), False, []),
    ("0 is not null", [], first(0, 1), 0, []),
    ("an empty string is not null", [], first("", 1), "", []),
    ("an empty array is not null", [], first([], 1), [], []),
    ("an array of null is not null", [], first([None], 1), [None], []),
    ("an input that is null", [], first({"$input": "$"}, 1), 1, []),
    ("a missing input path fails", [], first({"$input": "nope"}, 1), fails(1, "Input path $.nope not found"), []),
    ("a missing variable fails", [], first({"$variable": "nope"}, 1), fails(1, "Undefined variable: nope"), []),
    ("a missing part fails", [A], first(ref("a", "nope"), 1), fails(1, "Path $.nope not found"), ["a"]),
    ("a failed step fails", [BAD], first(ref("bad"), 1), broken("bad"), ["bad"]),
    ("a failure after a null fails", [EMPTY, BAD], first(ref("empty"), ref("bad")), broken("bad"), ["empty", "bad"]),
    ("a failure after the choice does not", [BAD], first(1, ref("bad")), 1, []),
    ("the next step is found when it is needed", [EMPTY, X], first(ref("empty"), ref("x")), "x", ["empty", "x"]),
    ("what comes after the choice does not run", [X, Y], first(ref("x"), ref("y")), "x", ["x"]),
    ("the order is that of the text", [X, Y], first(ref("y"), ref("x")), "y", ["y"]),
    ("a part of a null result is null", [EMPTY, X], first(ref("empty", "a.b"), ref("x")), "x", ["empty", "x"]),
    ("a part that is null", [A, X], first(ref("a", "n"), ref("x")), "x", ["a", "x"]),
    (
        "a choice in a choice",
        [EMPTY, X, Y],
        first(first(ref("empty"), None), first(ref("x"), ref("y"))),
        "x",
        ["empty", "x"],
    ),
    ("a condition in a choice", [EMPTY, X], first(if_(ref("empty"), 1), ref("x")), "x", ["empty", "x"]),
    ("a choice as a condition", [EMPTY, X], if_(first(ref("empty"), ref("x")), 1, 2), 1, ["empty", "x"]),
    (
        "a choice in an input of a step",
        [EMPTY, X, ("t", {"k": first(ref("empty"), ref("x"))})],
        ref("t"),
        {"k": "x"},
        ["empty", "x", "t"],
    ),
    (
        "a default instead of a failure",
        [("d", None, FAIL | {"onError": {"action": "useDefault"}}), X],
        first(ref("d"), ref("x")),
        "x",
        ["d", "x"],
    ),
]


@pytest.mark.parametrize(("rule", "steps", "output", "expected", "started"), CHOICES, ids=[row[0] for row in CHOICES])
def test_choices(rule: str, steps: list[Any], output: Any, expected: Any, started: list[str]) -> None:
    played = play_flow(flow_of(steps, output))
    assert (played.results, played.started) == ([expected_result(expected)], started)
    assert played.status == ("failed" if hasattr(expected, "error") else "completed")
