"""Merge patches and JSON patches, with the examples of their RFCs among others."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from protogen_runtime.stepflow.flow.overrides import BadOverride, unwrap
from protogen_runtime.stepflow.flow.patches import BadPatch, json_patch, merge_patch, same

MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "expected"), MERGES)
def test_merge_patches(target: Any, patch: Any, expected: Any) -> None:
    before = deepcopy(target)
    assert merge_patch(target, patch) == expected
    assert target == before


def op(name: str, path: str, **members: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **{key.rstrip("_"): value for key, value in members.items()}}


PATCHES: list[tuple[Any, list[Any], Any]] = [
    ({"foo": "bar"}, [op("add", "/baz", value="qux")], {"foo": "bar", "baz": "qux"}),
    ({"foo": ["bar", "baz"]}, [op("add", "/foo/1", value="qux")], {"foo": ["bar", "qux", "baz"]}),
    ({"foo": ["bar"]}, [op("add", "/foo/-", value=["abc"])], {"foo": ["bar", ["abc"]]}),
    ({"foo": 1}, [op("add", "/foo", value=2)], {"foo": 2}),
    ({"foo": 1}, [op("add", "", value=[2])], [2]),
    ({"foo": 1, "baz": 2}, [op("remove", "/baz")], {"foo": 1}),
    ([1, 2, 3], [op("remove", "/1")], [1, 3]),
    ({"a": 1}, [op("remove", "")], None),
    ({"baz": "qux"}, [op("replace", "/baz", value="boo")], {"baz": "boo"}),
    ({"baz": "qux"}, [op("replace", "", value=5)], 5),
    ({"a": {"x": 1}, "b": {}}, [op("move", "/b/y", from_="/a/x")], {"a": {}, "b": {"y": 1}}),
    ([1, 2, 3], [op("move", "/2", from_="/0")], [2, 3, 1]),
    ({"a": [1]}, [op("copy", "/b", from_="/a"), op("add", "/b/-", value=2)], {"a": [1], "b": [1, 2]}),
    ({"a": 1}, [op("test", "/a", value=1.0)], {"a": 1}),
    ({"a": {"x": 1, "y": 2}}, [op("test", "/a", value={"y": 2, "x": 1})], {"a": {"x": 1, "y": 2}}),
    ({"a/b": 1, "m~n": 2}, [op("remove", "/a~1b"), op("remove", "/m~0n")], {}),
    ({"": 1}, [op("replace", "/", value=2)], {"": 2}),
    ({"~1": 1}, [op("remove", "/~01")], {}),
    ({"a": 1}, [], {"a": 1}),
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 1, "xyz": 5}], {"a": 1, "b": 1}),
]


@pytest.mark.parametrize(("target", "operations", "expected"), PATCHES)
def test_json_patches(target: Any, operations: list[Any], expected: Any) -> None:
    before = deepcopy(target)
    assert json_patch(target, operations) == expected
    assert target == before


BAD: list[tuple[Any, Any, str]] = [
    ({}, {}, "expected an array of operations, got an object"),
    ({}, [1], "operation 0: expected an object, got the number 1"),
    ({}, [{"path": ""}], '"op" is one of add, remove, replace, move, copy, test, got null'),
    ({}, [op("spam", "")], "got the string 'spam'"),
    ({}, [{"op": "remove"}], 'expected a JSON pointer as "path", got null'),
    ({}, [op("remove", "a")], "a JSON pointer begins with"),
    ({}, [op("remove", "/a")], "there is nothing at 'a'"),
    ({}, [op("replace", "/a", value=1)], "there is nothing at 'a'"),
    ({}, [op("add", "/a")], '"value" is missing'),
    ({}, [op("add", "/a/b", value=1)], "there is nothing at 'a'"),
    ({"a": 1}, [op("add", "/a/b", value=1)], "the number 1 has no members"),
    ([1], [op("add", "/2", value=1)], "the array has 1 elements, so none can be added at 2"),
    ([1], [op("remove", "/1")], "there is nothing at 1"),
    ([1], [op("remove", "/-")], "there is nothing at 1"),
    ([1], [op("remove", "/01")], "'01' is no index of an array"),
    ([1], [op("remove", "/x")], "'x' is no index of an array"),
    ({"a": {}}, [op("move", "/a/b", from_="/a")], "a value cannot be moved into itself"),
    ({"a": 1}, [op("move", "/b")], 'expected a JSON pointer as "from", got null'),
    ({"a": 1}, [op("test", "/a", value=2)], "the test of '/a' fails"),
    ({"a": 1}, [op("test", "/a", value=True)], "the test of '/a' fails"),
    ({"a": 1}, [op("remove", "/a"), op("remove", "/a")], "operation 1: there is nothing at 'a'"),
]


@pytest.mark.parametrize(("target", "operations", "message"), BAD)
def test_json_patches_that_do_not_fit(target: Any, operations: Any, message: str) -> None:
    before = deepcopy(target)
    with pytest.raises(BadPatch) as refused:
        json_patch(target, operations)
    assert message in str(refused.value)
    assert target == before


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ("1", 1, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": None}, {}, False),
    ],
)
def test_equality_is_that_of_json(left: Any, right: Any, expected: bool) -> None:
    assert same(left, right) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"a": {"value": 1}}, {"a": {"value": 1}}),
        ({"steps": {"a": {"value": 1}}}, {"a": {"value": 1}}),
        ({"steps": {}}, {}),
        ({"steps": {"value": {"input": 1}}}, {"steps": {"value": {"input": 1}}}),
        ({"steps": {"value": 1}, "b": {"value": 2}}, {"steps": {"value": 1}, "b": {"value": 2}}),
    ],
)
def test_both_forms_of_overrides_are_understood(given: Any, expected: Any) -> None:
    assert unwrap(given) == expected


def test_overrides_that_are_no_object_are_refused() -> None:
    with pytest.raises(BadOverride, match="expected an object of steps, got an array"):
        unwrap([])
