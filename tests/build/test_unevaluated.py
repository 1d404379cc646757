"""`unevaluatedProperties` and `unevaluatedItems`, written out: the same values as a validator of 2020-12 takes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.problems import Problem
from protogen.samples.labels import Judge

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS, VALUES = 60, 80
MANY_SCHEMAS = 3_000

NAMES = ("a", "b", "c", "d")
SCALARS: tuple[Any, ...] = ("x", 1, True, None)


def lowered(schema: Any, folder: Path, **definitions: Any) -> tuple[ir.Protocol, list[Problem]]:
    """A schema as the definition `Root` of a protocol."""
    document = {"$schema": DIALECT, "$defs": {"Root": schema, **definitions}}
    file = folder / "case.json"
    file.write_text(json.dumps(document))
    protocol, problems = read_protocol(file, root=folder.resolve())
    assert protocol is not None, problems
    return protocol, problems


def accepted(protocol: ir.Protocol, value: Any) -> bool:
    return Judge(protocol.schema["definitions"]).label("Root", value)


OBJECT: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({**OBJECT, "unevaluatedProperties": False}, [{}, {"a": "x"}], [{"b": 1}, {"a": 1}]),
        ({**OBJECT, "unevaluatedProperties": {"type": "integer"}}, [{"b": 1}], [{"b": "x"}]),
        ({**OBJECT, "unevaluatedProperties": True}, [{"b": 1}], [{"a": 1}]),
        ({"allOf": [{"$ref": "#/$defs/Base"}], **OBJECT, "unevaluatedProperties": False}, [{"c": 1}], [{"b": 1}]),
        (
            {"oneOf": [{"$ref": "#/$defs/Base"}, OBJECT], "required": ["k"], "unevaluatedProperties": False},
            [],
            [{"k": 1}],
        ),
        (
            {"anyOf": [{"required": ["b"], "properties": {"b": {}}}, {}], **OBJECT, "unevaluatedProperties": False},
            [{"a": "x"}, {"a": "x", "b": 1}],
            [{"c": 1}, {"b": 1, "c": 1}],
        ),
        (
            {"if": {"required": ["b"], "properties": {"b": {}}}, "else": OBJECT, "unevaluatedProperties": False},
            [{"b": 1}, {"a": "x"}],
            [{"a": "x", "b": 1}, {"c": 1}],
        ),
        ({"if": OBJECT, "unevaluatedProperties": False}, [{"a": "x"}], [{"a": 1}, {"b": 1}]),
        (
            {"dependentSchemas": {"a": {"properties": {"a": {}, "b": {}}}}, "unevaluatedProperties": False},
            [{"a": 1, "b": 1}, {}],
            [{"b": 1}],
        ),
        ({"prefixItems": [{}], "unevaluatedItems": False}, [[], [1]], [[1, 2]]),
        ({"contains": {"const": 1}, "unevaluatedItems": {"type": "string"}}, [[1, "x", 1]], [[1, 2], ["x"]]),
        ({"contains": {"const": 1}, "minContains": 0, "unevaluatedItems": False}, [[], [1]], [[2]]),
        ({"allOf": [{"items": {"type": "integer"}}], "unevaluatedItems": False}, [[1, 2]], [["x"]]),
    ],
)
def test_values_are_taken_and_refused(schema: Any, good: list[Any], bad: list[Any], tmp_path: Path) -> None:
    protocol, problems = lowered(schema, tmp_path, Base={"type": "object", "properties": {"c": {}}})
    assert [problem for problem in problems if problem.code == "PG117"] == []
    assert "unevaluated" not in json.dumps(protocol.schema)
    assert [accepted(protocol, value) for value in (*good, *bad)] == [True] * len(good) + [False] * len(bad)


def test_a_closed_object_is_closed_in_its_type(tmp_path: Path) -> None:
    base = {"type": "object", "required": ["c"], "properties": {"c": {"type": "string"}}}
    schema = {"allOf": [{"$ref": "#/$defs/Base"}], **OBJECT, "unevaluatedProperties": False}
    protocol, _ = lowered(schema, tmp_path, Base=base)
    root = ir.definition_table(protocol)["Root"]
    assert isinstance(root, ir.Record)
    assert sorted(field.wire for field in root.fields) == ["a", "c"]
    assert root.extra is None


def test_too_many_combinations_are_a_finding(tmp_path: Path) -> None:
    arms = [{"required": [f"k{at}"], "properties": {f"k{at}": {}}} for at in range(12)]
    schema = {"type": "object", "allOf": [{"anyOf": [arm, {}]} for arm in arms], "unevaluatedProperties": False}
    protocol, problems = lowered(schema, tmp_path)
    assert [problem.code for problem in problems if problem.code != "PG115"] == ["PG117"]
    assert protocol.schema["definitions"]["Root"]["unevaluatedProperties"] is False


def made(chance: random.Random, depth: int = 3) -> Any:
    """A random schema of objects and arrays with alternatives and what is left of them."""
    if depth == 0 or chance.random() < 0.15:
        return chance.choice([{}, True, {"type": "string"}, {"type": "integer"}, {"required": [chance.choice(NAMES)]}])
    schema: dict[str, Any] = {}
    for word in chance.sample(WORDS, chance.randint(1, 4)):
        schema |= keyword(word, chance, depth - 1)
    return schema


WORDS = (
    *("properties", "patternProperties", "additionalProperties", "required", "allOf", "anyOf", "oneOf", "if", "not"),
    *("dependentSchemas", "prefixItems", "items", "contains", "$ref", "unevaluatedProperties", "unevaluatedItems"),
)


def keyword(word: str, chance: random.Random, depth: int) -> dict[str, Any]:
    match word:
        case "properties":
            return {word: {name: made(chance, 0) for name in chance.sample(NAMES, 2)}}
        case "patternProperties":
            return {word: {f"^[{''.join(chance.sample(NAMES, 2))}]$": made(chance, 0)}}
        case "required":
            return {word: [chance.choice(NAMES)]}
        case "allOf" | "anyOf" | "oneOf":
            return {word: [made(chance, depth) for _ in range(2)]}
        case "if":
            return {word: made(chance, depth)} | {
                name: made(chance, depth) for name in ("then", "else") if chance.random() < 0.6
            }
        case "dependentSchemas":
            return {word: {chance.choice(NAMES): made(chance, depth)}}
        case "prefixItems":
            return {word: [made(chance, 0) for _ in range(chance.randint(1, 2))]}
        case "$ref":
            return {word: f"#/$defs/{chance.choice(['One', 'Two'])}"}
        case "unevaluatedProperties" | "unevaluatedItems":
            return {word: chance.choice([False, {"type": "string"}])}
        case _:
            return {word: made(chance, 0)}


def some(chance: random.Random) -> Any:
    if chance.random() < 0.5:
        return {name: chance.choice(SCALARS) for name in chance.sample((*NAMES, "e"), chance.randint(0, 4))}
    return [chance.choice(SCALARS) for _ in range(chance.randint(0, 4))]


def check(seed: int, folder: Path) -> bool:
    """Holds a random schema against a validator of 2020-12; whether both verdicts occurred."""
    chance = random.Random(seed)
    # References within these could lead back in place, which no validator ends.
    texts = {name: json.dumps(made(chance, 2)) for name in ("One", "Two")}
    definitions = {name: json.loads(text.replace("#/$defs/", "#/$defs/Plain")) for name, text in texts.items()}
    plain = {"PlainOne": {"properties": {"a": {}}}, "PlainTwo": {"prefixItems": [{}], "required": ["b"]}}
    other = made(chance)
    root = {
        **(other if isinstance(other, dict) else {}),
        **keyword(chance.choice(["unevaluatedProperties", "unevaluatedItems"]), chance, 1),
    }
    protocol, problems = lowered(root, folder, **definitions, **plain)
    if any(problem.code == "PG117" for problem in problems):
        return False
    whole = {"$schema": DIALECT, "$ref": "#/$defs/Root", "$defs": {"Root": root, **definitions, **plain}}
    validator = jsonschema_rs.Draft202012Validator(whole)
    judge = Judge(protocol.schema["definitions"])
    verdicts: set[bool] = set()
    for _ in range(VALUES):
        value = some(chance)
        expected = validator.is_valid(value)
        assert judge.label("Root", value) is expected, (seed, value, root, definitions)
        verdicts.add(expected)
    return len(verdicts) == 2


def test_random_schemas_mean_what_they_meant(tmp_path: Path) -> None:
    # A schema that takes all values, or none, shows little.
    assert sum(check(seed, tmp_path) for seed in range(SCHEMAS)) > SCHEMAS // 4


@pytest.mark.soak
def test_many_random_schemas_mean_what_they_meant(tmp_path: Path) -> None:
    assert sum(check(seed, tmp_path) for seed in range(SCHEMAS, SCHEMAS + MANY_SCHEMAS)) > MANY_SCHEMAS // 4
