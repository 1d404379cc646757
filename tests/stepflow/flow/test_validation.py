"""Diagnostics: which a flow gets, where, and how bad they are."""

from __future__ import annotations

from typing import Any

import pytest

from protogen_runtime.stepflow.flow import validation
from protogen_runtime.stepflow.flow.documents import read_flow
from protogen_runtime.stepflow.flow.validation import CODES, Diagnostic, blocks, diagnose


def found(document: dict[str, Any]) -> list[Diagnostic]:
    flow, faults = read_flow({"name": "n", "description": "d"} | document)
    assert faults == []
    return diagnose(flow)


def step(id_: str, input_: Any = None, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "component": "/b/x", "input": input_} | fields


def schemas(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def named(*steps: str) -> Any:
    return [{"$step": step} for step in steps]


A = step("a")
OPEN = {"type": "object", "properties": {"x": {"type": "string"}, "l": {"type": "array", "items": {"type": "object"}}}}
CLOSED = OPEN | {"additionalProperties": False}
SUB = {"name": "n", "description": "d", "steps": [step("q", {"$step": "q"})], "output": {"$step": "q"}}
PUT = "/builtin/put_blob"

CASES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("nothing is wrong", {"steps": [A], "output": named("a")}, []),
    ("no name", {"name": None}, [("missingFlowName", "$.name")]),
    ("a blank name", {"name": " "}, [("missingFlowName", "$.name")]),
    ("no description", {"description": None}, [("missingFlowDescription", "$.description")]),
    ("an empty description is one", {"description": ""}, []),
    ("an id twice", {"steps": [A, A], "output": named("a")}, [("duplicateStepId", "$.steps[1].id")]),
    (
        "an id three times",
        {"steps": [A, A, A], "output": named("a")},
        [("duplicateStepId", "$.steps[1].id"), ("duplicateStepId", "$.steps[2].id")],
    ),
    ("an empty id", {"steps": [step("")], "output": named("")}, [("emptyStepId", "$.steps[0].id")]),
    ("a blank id", {"steps": [step(" ")], "output": named(" ")}, [("emptyStepId", "$.steps[0].id")]),
    (
        "itself",
        {"steps": [step("a", [{"$step": "a"}])], "output": named("a")},
        [("selfReference", "$.steps[0].input[0]")],
    ),
    (
        "a later step",
        {"steps": [step("a", {"k": {"$step": "b"}}), step("b")], "output": named("a")},
        [("undefinedStepReference", "$.steps[0].input.k")],
    ),
    ("no step", {"output": {"k.e": {"$step": "x"}}}, [("undefinedStepReference", '$.output["k.e"]')]),
    ("in a condition", {"output": {"$if": named("x"), "then": 1}}, [("undefinedStepReference", "$.output.$if[0]")]),
    ("in a branch", {"output": {"$if": 1, "then": named("x")}}, [("undefinedStepReference", "$.output.then[0]")]),
    (
        "in the other",
        {"output": {"$if": 1, "then": 1, "else": {"$step": "x"}}},
        [("undefinedStepReference", "$.output.else")],
    ),
    (
        "in a choice",
        {"output": {"$coalesce": [1, {"$step": "x"}]}},
        [("undefinedStepReference", "$.output.$coalesce[1]")],
    ),
    ("in a literal it is none", {"output": {"$literal": {"$step": "x"}}}, []),
    (
        "in a default",
        {
            "output": {"$variable": "v", "default": {"$step": "x"}},
            "schemas": schemas(variables={"properties": {"v": {}}}),
        },
        [("undefinedStepReference", "$.output.default")],
    ),
    (
        "a component without a slash",
        {"steps": [A | {"component": "x"}], "output": named("a")},
        [("invalidComponent", "$.steps[0].component")],
    ),
    (
        "no component",
        {"steps": [A | {"component": " "}], "output": named("a")},
        [("emptyComponentName", "$.steps[0].component")],
    ),
    (
        "never needed",
        {"steps": [A, step("b", {"$step": "a"})]},
        [("unreachableStep", "$.steps[0]"), ("unreachableStep", "$.steps[1]")],
    ),
    ("needed by one that must run", {"steps": [A, step("b", {"$step": "a"}, mustExecute=True)]}, []),
    ("perhaps needed", {"steps": [A], "output": {"$if": False, "then": {"$step": "a"}}}, []),
    ("a part of an input", {"output": {"$input": "x"}}, [("unvalidatedFieldAccess", "$.output")]),
    ("all of an input", {"output": {"$input": "$"}}, []),
    ("a part of a known input", {"output": {"$input": "x"}, "schemas": schemas(input=OPEN)}, []),
    ("an element of a known input", {"output": {"$input": "l[0]"}, "schemas": schemas(input=OPEN)}, []),
    (
        "perhaps a part of an input",
        {"output": {"$input": "y"}, "schemas": schemas(input=OPEN)},
        [("unvalidatedFieldAccess", "$.output")],
    ),
    (
        "no part of an input",
        {"output": {"$input": "y"}, "schemas": schemas(input=CLOSED)},
        [("unknownPropertyInPath", "$.output")],
    ),
    (
        "a part of text",
        {"output": {"$input": "x.y"}, "schemas": schemas(input=OPEN)},
        [("unknownPropertyInPath", "$.output")],
    ),
    (
        "an element of an object",
        {"output": {"$input": "$[0]"}, "schemas": schemas(input=OPEN)},
        [("unknownPropertyInPath", "$.output")],
    ),
    (
        "an input of anything",
        {"output": {"$input": "x"}, "schemas": schemas(input=True)},
        [("unvalidatedFieldAccess", "$.output")],
    ),
    (
        "a union",
        {"output": {"$input": "y"}, "schemas": schemas(input={"anyOf": [OPEN]})},
        [("unvalidatedFieldAccess", "$.output")],
    ),
    (
        "a definition",
        {"output": {"$input": "x"}, "schemas": schemas(input={"$ref": "#/$defs/o"}) | {"$defs": {"o": OPEN}}},
        [],
    ),
    (
        "a circle of definitions",
        {
            "output": {"$input": "x"},
            "schemas": schemas(input={"$ref": "#/$defs/o"}) | {"$defs": {"o": {"$ref": "#/$defs/o"}}},
        },
        [("unvalidatedFieldAccess", "$.output")],
    ),
    (
        "a part of a result",
        {"steps": [A], "output": {"$step": "a", "path": "x"}},
        [("unvalidatedFieldAccess", "$.output")],
    ),
    (
        "a part of a known result",
        {"steps": [A], "output": {"$step": "a", "path": "x"}, "schemas": schemas(steps={"properties": {"a": OPEN}})},
        [],
    ),
    (
        "a variable without a schema",
        {"output": [{"$variable": "v"}, {"$variable": "w"}]},
        [("missingVariableSchema", "$.schemas.properties.variables")],
    ),
    ("a variable", {"output": {"$variable": "v"}, "schemas": schemas(variables={"properties": {"v": {}}})}, []),
    (
        "another variable",
        {"output": {"$variable": "w"}, "schemas": schemas(variables={"properties": {"v": {}}})},
        [("undefinedRequiredVariable", "$.output")],
    ),
    (
        "another variable with a default",
        {"output": {"$variable": "w", "default": 1}, "schemas": schemas(variables={"properties": {"v": {}}})},
        [("undefinedVariable", "$.output")],
    ),
    (
        "a part of a variable",
        {"output": {"$variable": "v.x"}, "schemas": schemas(variables={"properties": {"v": {}}})},
        [("unvalidatedFieldAccess", "$.output")],
    ),
    (
        "schemas in the wrong place",
        {"schemas": {"input": OPEN, "steps": {}}},
        [("schemaViolation", "$.schemas.input"), ("schemaViolation", "$.schemas.steps")],
    ),
    (
        "a flow inside",
        {
            "steps": [A | {"component": PUT, "input": {"blob_type": "flow", "data": {"$literal": SUB}}}],
            "output": named("a"),
        },
        [("selfReference", "$.steps[0].input.data.$literal.steps[0].input")],
    ),
    (
        "data inside",
        {
            "steps": [A | {"component": PUT, "input": {"blob_type": "data", "data": {"$literal": SUB}}}],
            "output": named("a"),
        },
        [],
    ),
    (
        "no flow inside",
        {
            "steps": [A | {"component": PUT, "input": {"blob_type": "flow", "data": {"$literal": {"steps": 1}}}}],
            "output": named("a"),
        },
        [("invalidSubflowLiteral", "$.steps[0].input.data.$literal.steps")],
    ),
    (
        "a flow to map",
        {
            "steps": [A | {"component": "/builtin/map", "input": {"workflow": {"$literal": []}, "items": []}}],
            "output": named("a"),
        },
        [("invalidSubflowLiteral", "$.steps[0].input.workflow.$literal")],
    ),
    (
        "a flow that is made",
        {"steps": [A | {"component": "/builtin/iterate", "input": {"flow": {"$input": "$"}}}], "output": named("a")},
        [],
    ),
]


@pytest.mark.parametrize(("rule", "document", "expected"), CASES, ids=[case[0] for case in CASES])
def test_diagnostics(rule: str, document: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    wire = validation.wire(found(document))
    assert [(it["kind"], it["path"]) for it in wire["diagnostics"]] == expected
    assert all(it["code"] == CODES[it["kind"]] and it["formatted"] for it in wire["diagnostics"])


@pytest.mark.parametrize(
    ("kind", "code", "level"),
    [
        ("unreachableStep", 1000, "warning"),
        ("mockComponent", 1500, "warning"),
        ("invalidFieldAccess", 2000, "error"),
        ("invalidComponent", 2500, "error"),
        ("duplicateStepId", 3000, "fatal"),
        ("invalidReferenceExpression", 3004, "fatal"),
    ],
)
def test_the_code_of_a_kind_says_its_level(kind: str, code: int, level: str) -> None:
    diagnostic = Diagnostic(kind=kind, formatted="", at=())
    assert (diagnostic.code, diagnostic.level) == (code, level)


def test_only_fatal_ones_keep_a_flow_from_being_stored() -> None:
    doubtful = found({"name": None, "steps": [step("a", component="x")]})
    assert {it.level for it in doubtful} == {"warning", "error"}
    assert not blocks(doubtful)
    assert blocks(found({"output": named("x")}))


def test_the_api_tells_numbers_and_data() -> None:
    assert validation.wire(found({"steps": [A, A], "output": [{"$step": "a", "path": "x"}]})) == {
        "diagnostics": [
            {
                "kind": "duplicateStepId",
                "code": 3000,
                "level": "fatal",
                "formatted": "Step 1 has the id 'a', too; give each its own",
                "data": {"step_id": "a"},
                "path": "$.steps[1].id",
            },
            {
                "kind": "unvalidatedFieldAccess",
                "code": 1003,
                "level": "warning",
                "formatted": "Whether 'a' has $.x cannot be known: no output schema available",
                "data": {"step_id": "a", "field": "$.x", "reason": "no output schema available"},
                "path": "$.output[0]",
                "experimental": True,
            },
        ],
        "numFatal": 1,
        "numError": 0,
        "numWarning": 1,
    }


def test_a_near_miss_is_told() -> None:
    (diagnostic,) = found({"steps": [step("load", mustExecute=True)], "output": {"$step": "laod"}})
    assert diagnostic.formatted == "The output uses step 'laod', which does not exist; did you mean 'load'?"
