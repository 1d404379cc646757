"""Stored texts and ids, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from protogen_runtime.stepflow.flow import canonical
from protogen_runtime.stepflow.flow.canonical import read_value, value_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"x": 1, "b": [1, 2]}, "9482a66ef57d57c9a9ab948b8f9c37a6898bcabd7633f4389841a0bdcf5dff9a"),
        ({"b": 1, "a": 2}, "a1d46c3cdb4e5795c8d637f80daeb578ebb1a9a65dc1ed5f11f51794c3c89f3a"),
        (1, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"),
    ],
)
def test_ids_of_values_are_those_of_the_original(value: Any, expected: str) -> None:
    assert canonical.value_id(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"x": 1, "b": 2}', '{"x":1,"b":2}'),
        ('{"b":2,"x":1}', '{"b":2,"x":1}'),
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'),
        (r'"\"\\\/\b\f\n\r\t\u0001\u001f"', r'"\"\\/\b\f\n\r\t\u0001\u001f"'),
        (r'"\u007f\u2028\u00e9\ud83d\ude00"', '"\x7f\u2028é😀"'),
        ("1e2", "100.0"),
        ("100", "100"),
        ("-0", "-0.0"),
        ("[-0,-0.0,0]", "[-0.0,-0.0,0]"),
        ('"-0"', '"-0"'),
        ("0.00001", "0.00001"),
        ("0.000001", "1e-6"),
        ("1e-7", "1e-7"),
        ("1e15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("123456789012345680.0", "1.2345678901234568e+17"),
        ('["1e16",1e16]', '["1e16",1e+16]'),
        ('["\\"1e16",1e300]', '["\\"1e16",1e+300]'),
        ("5e-324", "5e-324"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
        ("12345678901234567890123", "1.2345678901234568e+22"),
        ('{"12345678901234567890123":1}', '{"12345678901234567890123":1}'),
    ],
)
def test_values_are_written_as_serde_json_writes_them(text: str, expected: str) -> None:
    assert value_text(read_value(text)) == expected.encode()


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "1e400", "9" * 400, '"\\ud800"', "\ufeff1", "[" * 100_000, "{'a':1}", "01"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_value(text)
