"""The stored form of flows: its fields, their order, what is left out. Ids are those that orchestrator 0.9.0 gives."""

from __future__ import annotations

from typing import Any

import pytest

from protogen_runtime.stepflow.flow import canonical
from protogen_runtime.stepflow.flow.canonical import read_value
from protogen_runtime.stepflow.flow.documents import read_flow
from protogen_runtime.stepflow.flow.model import Flow, all_examples


def flow_of(text: str) -> Flow:
    flow, faults = read_flow(read_value(text))
    assert faults == []
    return flow


STEP = '"id":"s","component":"/b/x"'
STORED: list[tuple[str, str]] = [
    ("{}", "{}"),
    ('{"steps":[],"output":null,"metadata":{},"name":null,"test":null}', "{}"),
    ('{"schema":"x","inputSchema":{},"input_schema":{},"nobody":1}', "{}"),
    ('{"version":"1","description":"","name":""}', '{"name":"","description":"","version":"1"}'),
    ('{"examples":[]}', '{"examples":[]}'),
    ('{"examples":[{"input":null,"name":"e","description":null}]}', '{"examples":[{"name":"e","input":null}]}'),
    ('{"test":{}}', '{"test":{}}'),
    ('{"test":{"cases":[],"configFile":"x"}}', '{"test":{"configFile":"x"}}'),
    (
        '{"test":{"cases":[{"input":1,"name":"c","output":{"result":null,"outcome":"success"}}]}}',
        '{"test":{"cases":[{"name":"c","input":1,"output":{"outcome":"success","result":null}}]}}',
    ),
    (
        '{"test":{"cases":[{"name":"c","input":1,"output":{"error":{"message":"m","code":5,"data":null},"outcome":"failed"}}]}}',
        '{"test":{"cases":[{"name":"c","input":1,"output":{"outcome":"failed","error":{"code":5,"message":"m"}}}]}}',
    ),
    ('{"metadata":{"z":1,"a":[2.50]}}', '{"metadata":{"z":1,"a":[2.5]}}'),
    (f'{{"output":1,"steps":[{{{STEP}}}]}}', f'{{"steps":[{{{STEP}}}],"output":1}}'),
    (
        f'{{"steps":[{{"input":null,"metadata":{{}},"mustExecute":null,"onError":null,{STEP}}}]}}',
        f'{{"steps":[{{{STEP}}}]}}',
    ),
    (
        f'{{"steps":[{{"metadata":{{"k":1}},"mustExecute":false,"input":{{"b":1,"a":2}},"onError":{{"action":"fail"}},{STEP}}}]}}',
        f'{{"steps":[{{{STEP},"onError":{{"action":"fail"}},"input":{{"b":1,"a":2}},"mustExecute":false,"metadata":{{"k":1}}}}]}}',
    ),
    (
        f'{{"steps":[{{{STEP},"onError":{{"defaultValue":null,"action":"useDefault"}}}}]}}',
        f'{{"steps":[{{{STEP},"onError":{{"action":"useDefault"}}}}]}}',
    ),
    (
        f'{{"steps":[{{{STEP},"onError":{{"defaultValue":{{"z":1,"a":2}},"action":"useDefault"}}}}]}}',
        f'{{"steps":[{{{STEP},"onError":{{"action":"useDefault","defaultValue":{{"z":1,"a":2}}}}}}]}}',
    ),
    (
        f'{{"steps":[{{{STEP},"onError":{{"maxRetries":2,"action":"retry"}}}}]}}',
        f'{{"steps":[{{{STEP},"onError":{{"action":"retry","maxRetries":2}}}}]}}',
    ),
    ('{"output":{"else":1,"then":2,"$if":true,"x":3}}', '{"output":{"$if":true,"then":2,"else":1}}'),
    ('{"output":{"$if":true,"then":null,"else":null}}', '{"output":{"$if":true,"then":null,"else":null}}'),
    ('{"output":{"path":"a.b","$step":"s"}}', '{"output":{"$step":"s","path":"$.a.b"}}'),
    ('{"output":{"path":"$","$step":"s"}}', '{"output":{"$step":"s"}}'),
    ('{"output":{"$input":null}}', '{"output":{"$input":"$"}}'),
    ('{"output":{"default":null,"$variable":"v"}}', '{"output":{"$variable":"$.v","default":null}}'),
    ('{"output":{"$coalesce":[null,1]}}', '{"output":{"$coalesce":[null,1]}}'),
    ('{"output":{"$literal":null}}', '{"output":{"$literal":null}}'),
    ('{"output":{"x":1,"$literal":{"$step":1,"z":-0}}}', '{"output":{"$literal":{"$step":1,"z":-0.0}}}'),
    ('{"output":[{"$from":{"step":"a"}}]}', '{"output":[{"$from":{"step":"a"}}]}'),
    ('{"schemas":{"type":"object"}}', "{}"),
    ('{"schemas":{"properties":{"input":null}}}', '{"schemas":{"type":"object","properties":{"input":null}}}'),
    (
        '{"schemas":{"title":"t","properties":{"variables":{},"output":true,"input":{"z":1,"a":2}},"$defs":{"q":{}}}}',
        '{"schemas":{"type":"object","$defs":{"q":{}},"properties":{"input":{"z":1,"a":2},"output":true,"variables":{}}}}',
    ),
    (
        '{"schemas":{"properties":{"steps":{"properties":{"b":{},"a":{}}}}}}',
        '{"schemas":{"type":"object","properties":{"steps":{"type":"object","properties":{"b":{},"a":{}}}}}}',
    ),
    ('{"schemas":{"properties":{"steps":{}}}}', "{}"),
]


@pytest.mark.parametrize(("text", "stored"), STORED)
def test_flows_are_stored_in_their_own_order(text: str, stored: str) -> None:
    assert canonical.flow_text(flow_of(text)) == stored.encode()
    assert canonical.flow_text(flow_of(stored)) == stored.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ('{"name":"n","examples":[]}', "cef687e30d91cb5139ffb85b880b3b56aab7ddf403b7701bdc8b5eed8709f37d"),
        ('{"output":{"$input":"$.a.b"}}', "4c1d6ecabd920a9f6e8393cdbe8e29e36af541c78e06ce51c634ddd10e60bbbd"),
        (
            '{"schemas":{"properties":{"input":null}}}',
            "462adc3194b41f63ca61f4b90a1f5c523609d8f0bf78e8113119f699348fd32a",
        ),
        (
            f'{{"steps":[{{{STEP},"onError":{{"action":"retry"}}}}],"output":{{"$step":"s"}}}}',
            "7de37cfcae4e9e719af95d817c470a9ea2e24b43d775088c1740e9ca89cdc401",
        ),
    ],
)
def test_ids_of_flows_are_those_of_the_original(text: str, expected: str) -> None:
    assert canonical.flow_id(flow_of(text)) == expected


FAULTS: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("[]", [()]),
    ("null", [()]),
    ('{"name":5}', [("name",)]),
    ('{"steps":1}', [("steps",)]),
    ('{"steps":[1]}', [("steps", 0)]),
    ('{"steps":[{}]}', [("steps", 0), ("steps", 0)]),
    ('{"steps":[{"id":1,"component":null}]}', [("steps", 0, "id"), ("steps", 0, "component")]),
    (f'{{"steps":[{{{STEP},"onError":1}}]}}', [("steps", 0, "onError")]),
    (f'{{"steps":[{{{STEP},"onError":{{}}}}]}}', [("steps", 0, "onError")]),
    (f'{{"steps":[{{{STEP},"onError":{{"action":"skip"}}}}]}}', [("steps", 0, "onError", "action")]),
    (
        f'{{"steps":[{{{STEP},"onError":{{"action":"retry","maxRetries":-1}}}}]}}',
        [("steps", 0, "onError", "maxRetries")],
    ),
    (f'{{"steps":[{{{STEP},"mustExecute":1}}]}}', [("steps", 0, "mustExecute")]),
    (f'{{"steps":[{{{STEP},"metadata":[]}}]}}', [("steps", 0, "metadata")]),
    ('{"output":{"a":[{"$if":1}]}}', [("output", "a", 0)]),
    ('{"output":{"$coalesce":{}}}', [("output", "$coalesce")]),
    ('{"output":{"$step":null}}', [("output", "$step")]),
    ('{"output":{"$step":"a","path":"$["}}', [("output", "path")]),
    ('{"output":{"$input":1}}', [("output", "$input")]),
    (
        '{"output":{"$if":{"$variable":[]},"then":1,"else":{"$coalesce":[{"$input":"$x"}]}}}',
        [("output", "$if", "$variable"), ("output", "else", "$coalesce", 0, "$input")],
    ),
    ('{"schemas":[]}', [("schemas",)]),
    ('{"test":[]}', [("test",)]),
    ('{"test":{"cases":[{"name":"c"}]}}', [("test", "cases", 0)]),
    (
        '{"test":{"cases":[{"name":"c","input":1,"output":{"outcome":"x"}}]}}',
        [("test", "cases", 0, "output", "outcome")],
    ),
    ('{"test":{"cases":[{"name":"c","input":1,"output":{"outcome":"success"}}]}}', [("test", "cases", 0, "output")]),
    (
        '{"test":{"cases":[{"name":"c","input":1,"output":{"outcome":"failed","error":{"code":"1"}}}]}}',
        [("test", "cases", 0, "output", "error", "code"), ("test", "cases", 0, "output", "error")],
    ),
    ('{"examples":{}}', [("examples",)]),
    ('{"output":' + "[" * 200 + "]" * 200 + "}", [("output", *[0] * 127)]),
]


@pytest.mark.parametrize(("text", "places"), FAULTS)
def test_all_that_is_wrong_is_found_at_once(text: str, places: list[tuple[Any, ...]]) -> None:
    _, faults = read_flow(read_value(text))
    assert [fault.at for fault in faults] == places
    assert all(fault.what and fault.fix for fault in faults)


def test_examples_of_test_cases_follow_those_of_the_flow() -> None:
    flow = flow_of(
        '{"examples":[{"name":"a","input":1}],"test":{"cases":[{"name":"a","input":2},{"name":"b","input":3}]}}'
    )
    assert [(example.name, example.input) for example in all_examples(flow)] == [("a", 1), ("b", 3)]
