"""Line and column of a JSON pointer in a JSON text, found only when a Problem needs them.

Knows JSON's grammar and nothing else; the text is known to parse.
"""

from __future__ import annotations

import json
import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^\s,\]}]+")


def position(text: str, pointer: str) -> tuple[int, int]:
    """Line and column (from 1) of the member that `pointer` names: of its key in an object, of the value elsewhere.

    A pointer that leads nowhere yields the nearest ancestor that exists.
    """
    offset, _ = _locate(text, [unescape(part) for part in pointer.split("/")[1:]])
    line = text.count("\n", 0, offset) + 1
    return line, offset - (text.rfind("\n", 0, offset) + 1) + 1


def span(text: str, pointer: str) -> tuple[int, int, int]:
    """Offsets of the member that `pointer` names: of its key (or value), of its value, and of the end of that."""
    start, value = _locate(text, [unescape(part) for part in pointer.split("/")[1:]])
    return start, value, _end(text, value)


def escape(part: str) -> str:
    """One segment of a JSON pointer (RFC 6901 section 3)."""
    return part.replace("~", "~0").replace("/", "~1")


def unescape(part: str) -> str:
    """The member name that a segment of a JSON pointer stands for."""
    return part.replace("~1", "/").replace("~0", "~")


def _locate(text: str, path: list[str]) -> tuple[int, int]:
    """Offsets of the member at `path`: of its key for a property (of the value in an array), and of its value."""
    at = _skip(text, 0)
    found = at
    for part in path:
        step = _member(text, at, part) if text[at] == "{" else _item(text, at, part) if text[at] == "[" else None
        if step is None:
            return found, at
        found, at = step
    return found, at


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Offsets of the key `name` and its value in the object that starts at `at`; the last one where it is repeated."""
    at = _skip(text, at + 1)
    found: tuple[int, int] | None = None
    while text[at] != "}":
        key_at = at
        key, at = _string(text, at)
        value_at = _skip(text, _skip(text, at) + 1)
        if key == name:
            found = key_at, value_at
        at = _after_value(text, value_at)
    return found


def _item(text: str, at: int, index: str) -> tuple[int, int] | None:
    """Offset (twice) of member `index` of the array that starts at `at`."""
    at = _skip(text, at + 1)
    number = 0
    while text[at] != "]":
        if str(number) == index:
            return at, at
        at = _after_value(text, at)
        number += 1
    return None


def _after_value(text: str, at: int) -> int:
    """Where the next member, or the closing bracket, stands after the value at `at`."""
    at = _skip(text, _end(text, at))
    return _skip(text, at + 1) if text[at] == "," else at


def _end(text: str, at: int) -> int:
    """One past the last character of the value at `at`."""
    first = text[at]
    if first == '"':
        return _string(text, at)[1]
    if first in "{[":
        return int(json.JSONDecoder().raw_decode(text, at)[1])
    match = _SCALAR.match(text, at)
    return match.end() if match else at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _string(text: str, at: int) -> tuple[str, int]:
    """The string that starts at `at`, and one past its closing quote."""
    match = _STRING.match(text, at)
    if match is None:
        return "", at + 1
    return str(json.loads(match.group(), strict=False)), match.end()
