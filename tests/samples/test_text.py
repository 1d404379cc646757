"""JSON text read and written exactly, and when two values are the same."""

from __future__ import annotations

from typing import Any

import pytest

from protogen.samples.text import NotJson, Spelled, difference, read, same, write


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1e2", "100"),
        ("-0", "0"),
        ("0.1", "1e-1"),
        ("123456789012345678901234567891", "123456789012345678901234567891"),
        ('{"a":1,"b":2}', '{"b":2.0,"a":1}'),
        ('"\\u00e9"', '"é"'),
        ("1e300", "1E+300"),
        ("1" * 5000, "1" * 5000),
    ],
)
def test_the_same_value_in_two_spellings(one: str, other: str) -> None:
    assert same(read(one), read(other))
    assert difference(read(one), read(other)) == ""


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("1", "true", "$: 1 became true"),
        ("0", "false", "$: 0 became false"),
        ("null", "{}", "$: null became {}"),
        ("9007199254740993", "9007199254740992", "$: 9007199254740993 became 9007199254740992"),
        ("9007199254740993", "9007199254740992.0", "$: 9007199254740993 became 9007199254740992.0"),
        ('{"a":null}', "{}", "$.a was lost"),
        ("{}", '{"a":null}', "$.a was added"),
        ('{"a":[1,{"b":"x"}]}', '{"a":[1,{"b":"y"}]}', '$.a[1].b: "x" became "y"'),
        ("[1,2]", "[2,1]", "$[0]: 1 became 2"),
        ("[1]", "[1,1]", "$: [1] became [1,1]"),
        ('"1"', "1", '$: "1" became 1'),
        ("1" * 5000, "1" * 4999 + "2", f"$: {'1' * 59}… became {'1' * 59}…"),
    ],
)
def test_a_difference_names_its_place(one: str, other: str, words: str) -> None:
    assert not same(read(one), read(other))
    assert difference(read(one), read(other)) == words


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "01", "[1,]", "", "{'a':1}", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        read(text)


def test_of_a_repeated_member_the_last_counts_unless_it_is_forbidden() -> None:
    assert read('{"a":1,"a":2}') == {"a": 2}
    with pytest.raises(NotJson, match="'a' occurs twice"):
        read('{"a":1,"a":2}', unique_keys=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [Spelled("1.0"), 1, None, True]}, '{"a":[1.0,1,null,true]}'),
        ("é\u2028\n\u0000😀", '"é\\u2028\\n\\u0000😀"'),
        (2**64, "18446744073709551616"),
        (-1.5e-7, "-1.5e-07"),
    ],
)
def test_values_are_written_as_they_are(value: Any, text: str) -> None:
    assert write(value) == text
