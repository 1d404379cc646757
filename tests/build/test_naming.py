"""Names in a style, and how collisions are settled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protogen.naming import Claim, Collision, camel, pascal, settle, snake, upper, words


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("taskList", ["task", "List"]),
        ("HTTPServer", ["HTTP", "Server"]),
        ("getHTTPUrl_v2/x", ["get", "HTTP", "Url", "v2", "x"]),
        ("$type", ["type"]),
        ("x-y.z", ["x", "y", "z"]),
        ("2fast", ["2", "fast"]),
        ("größe", ["größe"]),
        ("", []),
    ],
)
def test_words(name: str, parts: list[str]) -> None:
    assert words(name) == parts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("components/execute", ("ComponentsExecute", "componentsExecute", "components_execute", "COMPONENTS_EXECUTE")),
        ("HTTPServer", ("HttpServer", "httpServer", "http_server", "HTTP_SERVER")),
        ("task_id", ("TaskId", "taskId", "task_id", "TASK_ID")),
        ("by_index", ("ByIndex", "byIndex", "by_index", "BY_INDEX")),
    ],
)
def test_styles(name: str, expected: tuple[str, str, str, str]) -> None:
    assert (pascal(name), camel(name), snake(name), upper(name)) == expected


def test_every_member_of_a_collision_is_renamed() -> None:
    table = settle([Claim("a", "foo_bar"), Claim("b", "FooBar"), Claim("c", "other")], pascal)
    assert table == {"a": "FooBar_2", "b": "FooBar_1", "c": "Other"}


def test_a_pin_keeps_its_name_and_the_others_move() -> None:
    table = settle([Claim("a", "foo_bar"), Claim("b", "zzz", pin="FooBar")], pascal)
    assert table == {"a": "FooBar_2", "b": "FooBar"}


def test_contradicting_pins_are_refused() -> None:
    with pytest.raises(Collision) as refused:
        settle([Claim("a", "x", pin="Same"), Claim("b", "y", pin="Same")], pascal)
    assert refused.value.keys == ("a", "b")


def test_reserved_words_and_digits_become_legal() -> None:
    table = settle([Claim("a", "class"), Claim("b", "2nd"), Claim("c", "$")], snake, reserved={"class"})
    assert table == {"a": "class_", "b": "_2_nd", "c": "value"}
    assert settle([Claim("a", "class")], snake, reserved={"class", "class_"}) == {"a": "class__"}


@given(st.lists(st.text(max_size=5), unique=True, max_size=12), st.sampled_from([pascal, camel, snake, upper]))
def test_names_are_distinct_and_independent_of_order(sources: list[str], style: object) -> None:
    reserved = {"class", "Value", "value"}
    claims = [Claim(source, source) for source in sources]
    table = settle(claims, style, reserved=reserved)  # type: ignore[arg-type] # sampled_from forgets the signature
    assert len(set(table.values())) == len(sources)
    assert not reserved & set(table.values())
    assert table == settle(list(reversed(claims)), style, reserved=reserved)  # type: ignore[arg-type] # as above
