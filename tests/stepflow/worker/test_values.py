"""Values: what is written is ASCII and reads as the same JSON, whatever the value is made of."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protogen_runtime.stepflow.worker.values import DoesNotFit, NoJson, in_ascii, reader_of, write

# Lone surrogates are no text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_json_in_ascii_reads_as_the_same_value(value: Any) -> None:
    text = write(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert in_ascii(msgspec.json.encode(value)) == text


class Colour(enum.Enum):
    RED = "red"


class Typed(TypedDict):
    name: str


@dataclass
class Data:
    typed: Typed


class Inner(pydantic.BaseModel):
    number: int = pydantic.Field(alias="n")


class Node(msgspec.Struct):
    value: int
    after: Node | None = None


WRITTEN = [
    (Data({"name": "é"}), {"typed": {"name": "é"}}),
    (Inner(n=1), {"n": 1}),
    ([Inner(n=1), Node(2)], [{"n": 1}, {"value": 2, "after": None}]),
    ({1: Colour.RED}, {"1": "red"}),
    ((1, {2}), [1, [2]]),
    (b"ab", "YWI="),
]


@pytest.mark.parametrize(("value", "expected"), WRITTEN)
def test_what_components_return_is_written_as_json(value: Any, expected: Any) -> None:
    assert json.loads(write(value)) == expected


@pytest.mark.parametrize("value", [object(), float("inf"), [{"a": float("nan")}], {(1, 2): 3}, "\udfff", {"\ud800": 1}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(NoJson):
        write(value)


READ: list[tuple[Any, Any, Any]] = [
    (Typed, {"name": "x"}, {"name": "x"}),
    (Data, {"typed": {"name": "x"}}, Data({"name": "x"})),
    (Inner, {"n": 3}, Inner(n=3)),
    (list[Inner], [{"n": 3}], [Inner(n=3)]),
    (Colour, "red", Colour.RED),
    (Node, {"value": 1, "after": {"value": 2}}, Node(1, Node(2))),
    (int | None, None, None),
    (Any, {"a": 2**64}, {"a": 2**64}),
]


@pytest.mark.parametrize(("kind", "value", "expected"), READ)
def test_values_are_read_as_their_type(kind: Any, value: Any, expected: Any) -> None:
    assert reader_of(kind).read(value) == expected


def test_faults_name_every_place_that_pydantic_finds() -> None:
    with pytest.raises(DoesNotFit) as caught:
        reader_of(list[Inner]).read([{"n": "x"}, {}])
    assert [fault["path"] for fault in caught.value.faults] == ["$[0].n", "$[1].n"]


def test_a_type_that_refers_to_itself_keeps_its_definitions() -> None:
    schema = reader_of(Node).schema
    assert schema is not None
    assert schema["$ref"] == "#/$defs/Node"
    assert list(schema["$defs"]) == ["Node"]
