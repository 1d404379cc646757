"""YAML and JSON text: what its scalars are, and where what is wrong stands."""

from __future__ import annotations

from typing import Any

import pytest

from protogen_runtime.stepflow.flow import reading
from protogen_runtime.stepflow.flow.canonical import flow_id
from protogen_runtime.stepflow.flow.reading import read, read_value

SCALARS: list[tuple[str, Any]] = [
    ("~", None),
    ("", None),
    ("null", None),
    ("NULL", None),
    ("nULL", "nULL"),
    ("true", True),
    ("False", False),
    ("yes", "yes"),
    ("on", "on"),
    ("n", "n"),
    ("12", 12),
    ("+12", 12),
    ("-12", -12),
    ("-0", -0.0),
    ("012", "012"),
    ("0x1F", 31),
    ("-0x1", -1),
    ("0o17", 15),
    ("0b101", 5),
    ("1_000", "1_000"),
    ("18446744073709551616", 18446744073709551616.0),
    ("0xFFFFFFFFFFFFFFFFFF", float(0xFFFFFFFFFFFFFFFFFF)),
    (".5", 0.5),
    ("5.", 5.0),
    ("1e3", 1000.0),
    ("1E-3", 0.001),
    ("1e999", "1e999"),
    ("1:30", "1:30"),
    ("2020-01-01", "2020-01-01"),
    ("<<", "<<"),
    ('"12"', "12"),
    ("'true'", "true"),
    ('""', ""),
    ("!!str 12", "12"),
    ("!!int 12", 12),
    ("! 12", "12"),
    ("|\n  a\n  b\n", "a\nb\n"),
]


@pytest.mark.parametrize(("text", "expected"), SCALARS)
def test_scalars_of_yaml_are_those_of_its_core_schema(text: str, expected: Any) -> None:
    value, faults, _ = read_value(f"v: {text}")
    assert faults == []
    assert (repr(value["v"]), type(value["v"])) == (repr(expected), type(expected))


def test_aliases_stand_for_what_they_name() -> None:
    assert read_value("a: &x [1, {b: 2}]\nc: *x\n")[0] == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_keys_are_strings_whatever_they_look_like() -> None:
    assert read_value("1: a\ntrue: b\n~: c\n")[0] == {"1": "a", "true": "b", "~": "c"}


def test_plain_scalars_stand_for_strings_where_a_flow_wants_them() -> None:
    flow, faults = read("name: 5\nversion: 1.10\nsteps: [{id: 1, component: /x, input: 1.10}]\n")
    assert faults == []
    assert flow is not None
    assert (flow.name, flow.version, flow.steps[0].id) == ("5", "1.10", "1")
    assert read('{"version": 1.10}')[0] is None


FLOW_YAML = "steps:\n  - {component: /x, id: a, input: {$input: n}}\noutput: {$step: a}\n"
FLOW_JSON = '{"output": {"$step": "a"}, "steps": [{"id": "a", "component": "/x", "input": {"$input": "$.n"}}]}'


def test_yaml_and_json_of_a_flow_have_one_id() -> None:
    first, second = read(FLOW_YAML)[0], read(FLOW_JSON.encode())[0]
    assert first is not None
    assert second is not None
    assert flow_id(first) == flow_id(second)


def test_yaml_may_begin_with_a_brace() -> None:
    assert read("{steps: [], output: 5}")[0] == read('{"output": 5}')[0]


def test_a_byte_order_mark_is_skipped() -> None:
    assert read("\ufeffoutput: 5")[0] == read('\ufeff{"output": 5}')[0] == read("output: 5")[0]


WRONG: list[tuple[str | bytes, int, int, str]] = [
    ("", 1, 1, "expected a flow as an object, got null"),
    ("[1]", 1, 1, "got an array"),
    ("a: 1\n---\nb: 1", 2, 1, "a second document begins"),
    ("a: 1\na: 2", 2, 1, "the key 'a' stands twice"),
    ("a: [1,\n b: 2", 3, 1, "no YAML"),
    ("a: *x", 1, 4, "the alias *x has no anchor"),
    ("a: &x [*x]", 1, 8, "the alias *x has no anchor"),
    ("a: !foo 1", 1, 4, "the tag !foo"),
    ("a: !foo {}", 1, 4, "the tag !foo"),
    ("? [1]\n: 2", 1, 3, "a key is an object or an array"),
    ("k: &x [1]\n? *x\n: 2", 2, 3, "a key is no string"),
    ("a: .inf", 1, 4, ".inf is no number of JSON"),
    ("a: -.INF", 1, 4, "is no number of JSON"),
    ("a: .NaN", 1, 4, "is no number of JSON"),
    ("a: \x01", 1, 4, "no YAML"),
    ("a: " + "[" * 200, 1, 131, "nested deeper than 128 levels"),
    (b"a: 1\nb: \xff", 2, 4, "is not UTF-8"),
    ('{"a": 1,\n "a": 2}', 2, 2, "the key 'a' stands twice"),
    ('{"a": {"b": [{"c": 1, "c": 2}]}}', 1, 23, "the key 'c' stands twice"),
    ('{"steps": [{"id": "a"}],\n "name": ]}', 2, 10, "no JSON"),
    ('{"a": 1', 1, 8, "no JSON"),
    ('{"a": "\\ud800"}', 1, 1, "no JSON"),
    ("steps:\n  - id: [a]\n    component: /x", 2, 9, "expected a string, got an array"),
    ("output:\n  x: {$if: 1}", 2, 6, 'a "$if" needs a "then"'),
    ('{"output":\n  {"x": {"$if": 1}}}', 2, 9, 'a "$if" needs a "then"'),
    ("steps:\n  - component: /x", 2, 5, '"id": is missing'),
    ('{"steps": [\n  {"component": "/x"}]}', 2, 3, '"id": is missing'),
    ("output: {$input: $x}", 1, 18, "expected '.' or '['"),
]


@pytest.mark.parametrize(("text", "line", "column", "what"), WRONG)
def test_what_is_wrong_has_a_place(text: str | bytes, line: int, column: int, what: str) -> None:
    flow, faults = read(text)
    assert flow is None
    assert len(faults) == 1
    assert what in faults[0].what
    if "ud800" not in str(text):  # the decoder of that does not tell where
        assert (faults[0].line, faults[0].column) == (line, column)


def test_faults_come_in_the_order_of_their_lines() -> None:
    _, faults = read("output: {$if: 1}\nsteps:\n  - id: {}\n    component: 5.5.5\n    onError: {action: x}\nname: []\n")
    assert [fault.line for fault in faults] == [1, 3, 5, 6]


def test_a_bomb_of_aliases_does_not_go_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 10_000)
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    _, faults = read(bomb)
    assert [fault.what for fault in faults] == ["more than 10,000 values, aliases counted"]
