"""Whatever a value holds, what is logged of it is printable, bounded, and no secret."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from pathlib import PurePosixPath
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protogen_runtime.observe import text


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Disguised(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "\n"


class Raising:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("given_text", "logged"),
    [
        ("plain é 日本 😀", "plain é 日本 😀"),
        ('a\n{"level":"error"}', 'a\\x0a{"level":"error"}'),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\0\x08\x7f", "\\x00\\x08\\x7f"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\ufeff\u200b", "\\ufeff\\u200b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_cannot_break_out_of_its_line_or_steer_a_terminal(given_text: str, logged: str) -> None:
    assert text.line(given_text) == logged
    assert text.safe({given_text: [given_text]}) == {logged: [logged]}


@pytest.mark.parametrize(
    ("given_text", "logged"),
    [
        ("Authorization: Bearer abc.def.ghi", "Authorization: [redacted]"),
        ("sent bearer abcdefgh to x", "sent bearer [redacted] to x"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("postgres://user:hunter2@db/x", "postgres://[redacted]@db/x"),
        ("https://host/a?token=abc&x=1", "https://host/a?token=[redacted]&x=1"),
        ('{"password": "hunter2", "a": 1}', '{"password": "[redacted]", "a": 1}'),
        ('{\\"api_key\\":\\"k-123\\"}', '{\\"api_key\\":\\"[redacted]\\"}'),
        ("x-api-key: k-123", "x-api-key: [redacted]"),
        ("Cookie: sid=1", "Cookie: [redacted]"),
        ("no secret here: 12", "no secret here: 12"),
    ],
)
def test_credentials_in_texts_are_taken_out(given_text: str, logged: str) -> None:
    assert text.line(given_text) == logged


@pytest.mark.parametrize(
    "name",
    "Authorization authorization proxy-authorization Cookie set-cookie X-Api-Key apiKey api_key password dbPassword "
    "client_secret accessToken ACCESS_TOKEN privateKey".split(),
)
def test_values_under_secret_names_are_never_logged(name: str) -> None:
    assert text.is_secret(name)
    assert text.safe_members({name: "x"}) == {name: text.REDACTED}
    assert text.safe({"headers": {name: ["x"]}}) == {"headers": {name: text.REDACTED}}


@pytest.mark.parametrize("name", ["key", "user", "author", "apiVersion", "method", "request_id", "passed", "cook"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert not text.is_secret(name)


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        (None, None),
        (True, True),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(10**30), "-" + "1" + "0" * 30),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        (Disguised("text"), "text"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a\nb"), "/a\\x0ab"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05+00:00"),
        (ValueError("a\nb"), "ValueError: a\\x0ab"),
        (Unprintable(), "Unprintable: <no text>"),
        (b"secret bytes", "<12 bytes>"),
        (Raising(), "<Raising>"),
        ({1: 2}, {"int": 2}),
        ((1, {2}), [1, [2]]),
    ],
)
def test_every_value_becomes_json(value: object, logged: object) -> None:
    assert text.safe(value) == logged
    assert type(text.safe(value)) is type(logged)


def test_huge_values_are_bounded() -> None:
    assert text.safe(1 << 1_000_000) == "<int of 1000001 bits>"
    assert text.line("x" * 5000) == "x" * 1024 + "... (3976 more)"
    assert text.safe(list(range(100)))[-1] == "... (68 more)"
    assert len(text.safe({str(i): i for i in range(100)})) == 33
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    assert text.safe(deep) == [[[["<list>"]]]]
    circle: list[Any] = []
    circle.append(circle)
    assert text.safe(circle) == [[[["<list>"]]]]
    wide = [[["x" * 2000] * 100] * 100] * 100
    assert len(json.dumps(text.safe(wide))) < 300_000


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_like)
def test_anything_becomes_printable_json(value: object) -> None:
    def texts(found: Any) -> list[str]:
        match found:
            case str():
                return [found]
            case list():
                return [each for item in found for each in texts(item)]
            case dict():
                return [each for item in found.items() for each in texts(list(item))]
            case _:
                return []

    safe = text.safe(value)
    json.dumps(safe, allow_nan=False).encode()
    used = {char for each in texts(safe) for char in each}
    assert {category(char) for char in used}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert used.isdisjoint("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_exception_is_a_list_of_lines_without_secrets() -> None:
    try:
        raise ValueError("first\nsecond \x1b[31m password=hunter2")
    except ValueError as error:
        captured = text.capture(error)
    found = text.exception(captured)
    assert found["exception"] == "second \\x1b[31m password=[redacted]"
    assert found["traceback"][0] == "Traceback (most recent call last):"
    assert found["traceback"][-2:] == ["ValueError: first", "second \\x1b[31m password=[redacted]"]


def test_endless_recursion_gives_a_short_traceback() -> None:
    def fall() -> None:
        fall()

    with pytest.raises(RecursionError) as caught:
        fall()
    assert len(text.exception(text.capture(caught.value))["traceback"]) <= 2 * text.MAX_FRAMES + 1
