"""Routes: which pattern wins, what the plugin gets, and what keeps a rule from applying."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protogen_runtime.stepflow.flow import paths
from protogen_runtime.stepflow.plugins.contract import StepFailed
from protogen_runtime.stepflow.plugins.routing import BadPattern, Condition, Routes, Rule, same_json


def routes(*patterns: str) -> Routes:
    """Each pattern leads to a plugin that is called as it is, with all parameters as its component."""
    return Routes({pattern: [Rule(plugin=pattern, component="/same")] for pattern in patterns})


CHOICES: list[tuple[tuple[str, ...], str, str | None]] = [
    (("/a/b", "/a/{x}", "/a/{*x}"), "/a/b", "/a/b"),
    (("/a/{*x}", "/a/{x}", "/a/b"), "/a/b", "/a/b"),
    (("/a/b", "/a/{x}", "/a/{*x}"), "/a/c", "/a/{x}"),
    (("/a/b", "/a/{x}", "/a/{*x}"), "/a/b/c", "/a/{*x}"),
    (("/a/b/c", "/{*x}"), "/a/b/d", "/{*x}"),
    (("/a/{x}/c", "/a/b/{y}"), "/a/b/c", "/a/b/{y}"),
    (("/a/{x}/c", "/a/b/{y}"), "/a/b/d", "/a/b/{y}"),
    (("/a/{x}/c", "/a/b/d"), "/a/b/c", "/a/{x}/c"),
    (("/{*x}", "/a/{*x}"), "/a/b", "/a/{*x}"),
    (("/{*x}", "/a/{*x}"), "/a", "/{*x}"),
    (("/a/{*x}",), "/a", None),
    (("/a/{*x}",), "/a/", None),
    (("/a/{x}",), "/a/b/c", None),
    (("/a",), "a", None),
    (("/a",), "/A", None),
    ((), "/a", None),
]


@pytest.mark.parametrize(("patterns", "component", "chosen"), CHOICES)
def test_the_most_literal_pattern_wins(patterns: tuple[str, ...], component: str, chosen: str | None) -> None:
    if chosen is not None:
        assert routes(*patterns).find(component, None).plugin == chosen
        return
    with pytest.raises(StepFailed, match=r"No matching rule found for component: ") as told:
        routes(*patterns).find(component, None)
    assert told.value.kind == "routing"


NAMES: list[tuple[str, str | None, str, str]] = [
    ("/python/{component}", None, "/python/udf", "/udf"),
    ("/python/{*component}", None, "/python/a/b", "/a/b"),
    ("/{*component}", None, "/a", "/a"),
    ("/{v}/x/{*component}", None, "/1/x/y/z", "/y/z"),
    ("/{v}/{*rest}", "/{rest}/at/{v}", "/1/y/z", "/y/z/at/1"),
    ("/exact", "/other", "/exact", "/other"),
]


@pytest.mark.parametrize(("pattern", "template", "component", "name"), NAMES)
def test_the_plugin_gets_the_template_or_what_was_captured(
    pattern: str, template: str | None, component: str, name: str
) -> None:
    assert Routes({pattern: [Rule(plugin="p", component=template)]}).find(component, None).component == name


def test_a_pattern_without_a_component_needs_a_template() -> None:
    with pytest.raises(StepFailed, match=r"The route /a/\{x\} has no parameter \{component\}"):
        Routes({"/a/{x}": [Rule(plugin="p")]}).find("/a/b", None)
    with pytest.raises(StepFailed, match=r"The route /a/\{x\} has no parameter \{y\}"):
        Routes({"/a/{x}": [Rule(plugin="p", component="/{y}")]}).find("/a/b", None)


def when(path: str, value: Any) -> Condition:
    """A condition."""
    return Condition(paths.parse(path), value)


CONDITIONS: list[tuple[str, Any, Any, bool]] = [
    ("$.kind", "a", {"kind": "a"}, True),
    ("$.kind", "a", {"kind": "b"}, False),
    ("kind", 1, {"kind": 1.0}, True),
    ("kind", 1, {"kind": True}, False),
    ("kind", None, {"kind": None}, True),
    ("$", {"a": [1]}, {"a": [1]}, True),
    ("$.a[1]", 2, {"a": [1, 2]}, True),
    ('$["a.b"]', 1, {"a.b": 1}, True),
    ("$.o", {"x": 1, "y": 2}, {"o": {"y": 2, "x": 1}}, True),
    ("$.o", [1, 2], {"o": [2, 1]}, False),
]


@pytest.mark.parametrize(("path", "expected", "value", "holds"), CONDITIONS)
def test_conditions_compare_json(path: str, expected: Any, value: Any, holds: bool) -> None:
    table = Routes({"/{*component}": [Rule(plugin="first", conditions=(when(path, expected),)), Rule(plugin="second")]})
    assert table.find("/x", value).plugin == ("first" if holds else "second")


def test_a_path_that_leads_nowhere_is_an_error_and_no_mismatch() -> None:
    table = Routes({"/{*component}": [Rule(plugin="p", conditions=(when("$.a.b", 1),)), Rule(plugin="q")]})
    with pytest.raises(StepFailed, match=r"The input of /x has nothing at \$\.a\.b, which a condition for p asks for"):
        table.find("/x", {"a": {}})


def test_all_conditions_must_hold() -> None:
    rule = Rule(plugin="p", conditions=(when("a", 1), when("b", 2)))
    table = Routes({"/{*component}": [rule]})
    assert table.find("/x", {"a": 1, "b": 2}).plugin == "p"
    with pytest.raises(StepFailed, match="a condition for p does not hold"):
        table.find("/x", {"a": 1, "b": 3})


@pytest.mark.parametrize("conditions", [(), (when("$", None),)], ids=["a single rule", "a rule with conditions"])
def test_allow_and_deny_hold_in_every_rule(conditions: tuple[Condition, ...]) -> None:
    """Also where a pattern has one rule without conditions, for which the original forgets them."""
    rules = [Rule(plugin="p", allow=("/a", "/b"), deny=("/b",), conditions=conditions)]
    table = Routes({"/{*component}": rules})
    assert table.find("/a", None).plugin == "p"
    with pytest.raises(StepFailed, match="p denies /b"):
        table.find("/b", None)
    with pytest.raises(StepFailed, match="p does not allow /c"):
        table.find("/c", None)


def test_what_one_rule_does_not_allow_the_next_may() -> None:
    table = Routes({"/{*component}": [Rule(plugin="p", allow=("/a",)), Rule(plugin="q", deny=("/c",))]})
    assert [table.find(name, None).plugin for name in ("/a", "/b")] == ["p", "q"]


BAD: list[tuple[str, str]] = [
    ("a", "a route is a path"),
    ("/", "a route is a path"),
    ("", "a route is a path"),
    ("/a//b", "an empty segment"),
    ("/a/", "an empty segment"),
    ("/{x", "is no parameter"),
    ("/a{x}", "is no parameter"),
    ("/{}", "is no parameter"),
    ("/{*x}/a", "nothing can follow it"),
    ("/{x}/{x}", "the parameter 'x' twice"),
]


@pytest.mark.parametrize(("pattern", "told"), BAD)
def test_patterns_that_are_none_are_refused(pattern: str, told: str) -> None:
    with pytest.raises(BadPattern, match=told):
        routes(pattern)


@pytest.mark.parametrize("other", ["/a/{y}", "/b/{*y}"])
def test_two_patterns_that_mean_the_same_are_refused(other: str) -> None:
    with pytest.raises(BadPattern, match="means the same as"):
        routes("/a/{x}", "/b/{*x}", other)


SEGMENT = st.sampled_from(["a", "b", "{x}", "{*r}"])


@settings(max_examples=60)
@given(
    st.sets(st.lists(SEGMENT, min_size=1, max_size=4).map(tuple), max_size=8),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=5),
)
def test_the_trie_agrees_with_trying_every_pattern(patterns: set[tuple[str, ...]], segments: list[str]) -> None:
    """The order of the patterns never matters: the naive search sorts all that match by how literal they are."""
    known = [pattern for pattern in patterns if "{*r}" not in pattern[:-1] and pattern.count("{x}") <= 1]
    expected = min((rank for pattern in known if (rank := _rank(pattern, segments)) is not None), default=None)
    table = routes(*("/" + "/".join(pattern) for pattern in known))
    component = "/" + "/".join(segments)
    if expected is None:
        with pytest.raises(StepFailed):
            table.find(component, None)
    else:
        assert _rank(tuple(table.find(component, None).plugin[1:].split("/")), segments) == expected


def _rank(pattern: tuple[str, ...], segments: list[str]) -> tuple[int, ...] | None:
    """How literal each segment is (0 is best); None where the pattern does not match."""
    rank: list[int] = []
    for index, part in enumerate(pattern):
        if part == "{*r}":
            return (*rank, 2) if index < len(segments) else None
        if index >= len(segments) or part not in ("{x}", segments[index]):
            return None
        rank.append(1 if part == "{x}" else 0)
    return tuple(rank) if len(pattern) == len(segments) else None


def test_values_that_look_alike_are_told_apart() -> None:
    same = [(1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}), ([], []), (None, None), (True, True), (2**70, 2**70)]
    other = [(1, True), (0, False), (None, False), ("1", 1), ([1], [1, 2]), ({"a": 1}, {"a": 1, "b": 2}), ([True], [1])]
    assert all(same_json(*pair) for pair in same)
    assert not any(same_json(*pair) for pair in other)
