"""Paths: what they are read as, and that their stored form means the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protogen_runtime.stepflow.flow.paths import BadPath, Path, parse, show

PATHS: list[tuple[str | None, Path, str]] = [
    (None, (), "$"),
    ("", (), "$"),
    ("$", (), "$"),
    (" $ ", (), "$"),
    (".", (), "$"),
    ("a", ("a",), "$.a"),
    ("$.a", ("a",), "$.a"),
    ("a.b", ("a", "b"), "$.a.b"),
    ("a[0]", ("a", 0), "$.a[0]"),
    ("$[0][1]", (0, 1), "$[0][1]"),
    ("$[ 7 ]", (7,), "$[7]"),
    ("$[+7]", (7,), "$[7]"),
    ("$[007]", (7,), "$[7]"),
    ("$..a...b.", ("a", "b"), "$.a.b"),
    ("$['k']", ("k",), "$.k"),
    ('$["k"].x', ("k", "x"), "$.k.x"),
    ('$["a.b"]', ("a.b",), '$["a.b"]'),
    ('$["a[0]"]', ("a[0]",), '$["a[0]"]'),
    ("$['']", ("",), '$[""]'),
    ("$['it\"s']", ('it"s',), '$.it"s'),
    ("$['a.\"]b']", ('a."]b',), "$['a.\"]b']"),
    ('$["x]y"]', ("x]y",), "$.x]y"),
    ("$[ 'a ' ]", ("a ",), '$["a "]'),
    ("$['a '].b", ("a ", "b"), "$.a .b"),
    (" a ", (" a",), "$. a"),
    ("$. a", (" a",), "$. a"),
    ("a$", ("a$",), "$.a$"),
    ("é.日", ("é", "日"), "$.é.日"),
    ("$.0", ("0",), "$.0"),
    ("$.-1", ("-1",), "$.-1"),
]


@pytest.mark.parametrize(("text", "path", "stored"), PATHS)
def test_paths(text: str | None, path: Path, stored: str) -> None:
    assert parse(text) == path
    assert show(path) == stored
    assert parse(stored) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$a", "expected '.' or '[' in the path '$a', got 'a'"),
        ("$[0]a", "expected '.' or '[' in the path '$[0]a', got 'a'"),
        ("$[", "the '[' of the path '$[' is not closed"),
        ("$['a", "is not closed"),
        ("$[-1]", "expected a number or a quoted key between the brackets of '$[-1]', got '-1'"),
        ("$[x]", "got 'x'"),
        ("$[*]", "got '*'"),
        ("$[?(@.a)]", "got '?(@.a)'"),
        ("$[]", "got ''"),
        ("$[1.5]", "got '1.5'"),
        ("a[x]", "got 'x'"),
    ],
)
def test_bad_paths_say_why(text: str, message: str) -> None:
    with pytest.raises(BadPath) as refused:
        parse(text)
    assert message in str(refused.value)


characters = st.sampled_from(list(".[]'\"$ a1\\")) | st.characters()


@given(st.text(characters, max_size=12))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_stored_form_of_any_path_is_the_path(text: str) -> None:
    try:
        path = parse(text)
    except BadPath:
        return
    assert parse(show(path)) == path
    assert show(parse(show(path))) == show(path)
