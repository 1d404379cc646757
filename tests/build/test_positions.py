"""Line and column of JSON pointers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protogen.positions import escape, position

TEXT = """{
  "a": [10, {"b/c": true}],
  "q\\"uote": "x, y}",
  "d": {"e": null,
        "e": 2}
}
"""


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("", (1, 1)),
        ("/a", (2, 3)),
        ("/a/0", (2, 9)),
        ("/a/1", (2, 13)),
        ("/a/1/b~1c", (2, 14)),
        ('/q"uote', (3, 3)),
        ("/d/e", (5, 9)),
        ("/d/missing", (4, 3)),
        ("/a/7", (2, 3)),
        ("/a/0/deeper", (2, 9)),
    ],
)
def test_pointer_is_found_at_its_key_or_value(pointer: str, place: tuple[int, int]) -> None:
    assert position(TEXT, pointer) == place


keys = st.text(max_size=4)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(trees, st.sampled_from([None, 1]), st.booleans())
def test_every_member_is_found_in_any_layout(tree: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)

    def walk(node: Any, pointer: str) -> None:
        line, column = position(text, pointer)
        rest = text.split("\n")[line - 1][column - 1 :]
        if isinstance(node, dict):
            for key, value in node.items():
                below = f"{pointer}/{escape(key)}"
                at_line, at_column = position(text, below)
                assert text.split("\n")[at_line - 1][at_column - 1 :].startswith(
                    json.dumps(key, ensure_ascii=ascii_only)
                )
                walk(value, below)
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{pointer}/{index}")
        elif pointer.rsplit("/", 1)[-1].isdigit() and not rest.startswith('"'):
            assert rest.startswith(json.dumps(node, ensure_ascii=ascii_only))

    walk(tree, "")
