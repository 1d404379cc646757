"""What a mock answers: examples first, values that are valid, the same ones for the same request."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.mocking import Answers, Values

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted((ROOT / "schemas").rglob("protocol.json"))
VALUES = 6

HARD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "Node": {
            "type": "object",
            "required": ["id", "when", "children", "kind", "code", "exact", "pair", "even"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "when": {"type": "string", "format": "date-time"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "kind": {"enum": ["leaf", "branch"]},
                "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$", "maxLength": 12},
                "exact": {"type": "string", "minLength": 30},
                "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2},
                "even": {"type": "integer", "multipleOf": 2, "minimum": 4, "maximum": 8},
                "other": {"oneOf": [{"type": "integer"}, {"type": "null"}, {"$ref": "#/$defs/Leaf"}]},
            },
        },
        "Leaf": {"type": "object", "required": ["leaf"], "properties": {"leaf": {"const": True}}},
        "Distinct": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
        "Never": {"type": "object", "required": ["never"], "properties": {"never": False}},
    },
}


def protocol_of(path: Path) -> ir.Protocol:
    """The protocol that a document describes."""
    protocol, problems = read_protocol(path, root=path.parents[0].resolve())
    assert protocol is not None, problems
    return protocol


@pytest.fixture
def hard(tmp_path: Path) -> Values:
    """Values of types that cannot be guessed."""
    (tmp_path / "hard.json").write_text(json.dumps(HARD))
    return Values(protocol_of(tmp_path / "hard.json"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.parent.relative_to(ROOT).as_posix() for path in DOCUMENTS])
def test_answers_of_each_method_are_valid(path: Path) -> None:
    protocol, _ = read_protocol(path, root=ROOT)
    assert protocol is not None
    values, answers = Values(protocol), Answers(protocol, errors=0.3, seed=5)
    for method in protocol.methods:
        for at in range(VALUES):
            params = None
            if isinstance(method.params, ir.NamedType):
                params = values.value(method.params.name, random.Random(at))
                assert values.faults(method.params.name, params) == []
            made = answers.answer(method, params)
            if made.error is None and isinstance(method.result, ir.NamedType):
                assert values.faults(method.result.name, made.result) == []
            for event in made.events:
                assert isinstance(method.events, ir.NamedType)
                assert values.faults(method.events.name, event) == []
            assert answers.answer(method, params) == made


def test_an_example_answers_the_request_that_it_shows() -> None:
    protocol, _ = read_protocol(ROOT / "schemas" / "echo" / "protocol.json", root=ROOT)
    assert protocol is not None
    methods = {method.name: method for method in protocol.methods}
    shown = [example for example in protocol.examples if example.valid and isinstance(example.response, dict)]
    assert len(shown) > 3
    for example in shown:
        request: Any = example.request
        made = Answers(protocol, seed=3).answer(methods[request["method"]], request.get("params"))
        response: Any = example.response
        assert made.error == response.get("error")
        assert made.result == response.get("result")


def test_another_seed_gives_other_answers() -> None:
    protocol, _ = read_protocol(ROOT / "schemas" / "a2a" / "0.3" / "protocol.json", root=ROOT)
    assert protocol is not None
    values = Values(protocol)
    assert len({json.dumps(values.value("Task", random.Random(seed))) for seed in range(20)}) > 10


@pytest.mark.parametrize("name", ["Node", "Leaf", "Distinct"])
def test_hard_types_have_values(name: str, hard: Values) -> None:
    made = [hard.value(name, random.Random(seed)) for seed in range(40)]
    assert [hard.faults(name, value) for value in made] == [[]] * 40


def test_a_type_without_values_is_said_to_have_none(hard: Values) -> None:
    with pytest.raises(LookupError, match="no value of 'Never' is known"):
        hard.value("Never", random.Random(0))


def test_faults_are_told_with_their_places(hard: Values) -> None:
    good = hard.value("Leaf", random.Random(0))
    assert hard.faults("Leaf", {**good, "leaf": 1}) == [{"path": "/leaf", "message": "True was expected"}]
