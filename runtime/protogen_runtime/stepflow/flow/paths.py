"""Paths into JSON values: the `path` of a step reference, `$input` and `$variable`.

Knows nothing of flows: text to parts, parts to text, and the walk along them.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias, cast

Path: TypeAlias = tuple[str | int, ...]
"""The parts of a path, outermost first: a string for a member of an object, a number for an element of an array."""

WHOLE: Final[Path] = ()
"""The path of the value itself."""

MISSING: Final[Any] = object()
"""What walk() returns where nothing is; never a JSON value."""

_NAME = re.compile(r"[^.\[]+")
_QUOTED = re.compile(r"""\[\s*(?:"(?P<double>.*?)"|'(?P<single>.*?)')\s*\]""", re.DOTALL)
_INDEX = re.compile(r"\[\s*\+?(?P<index>[0-9]+)\s*\]")
_ENDS_EARLY = re.compile(r'"\s*\]')
"""What a key between double quotes must not hold."""


class BadPath(ValueError):
    """A text that is no path; the message says which character is to blame."""


def parse(text: str | None) -> Path:
    """The parts of a path (spec section 9, Paths).

    None, an empty text and `$` are the whole value. A text that does not start with `$` is read as if `$.` stood
    before it: `a.b` walks two members, as it does in every flow that was stored once. Quoted keys may hold any
    character but their own quote followed by `]`. Errors: BadPath.
    """
    if not text:
        return WHOLE
    stripped = text.strip()
    stripped = stripped[1:] if stripped.startswith("$") else f".{text.rstrip()}"
    parts: list[str | int] = []
    at, end = 0, len(stripped)
    while at < end:
        if stripped[at] == ".":
            name = _NAME.match(stripped, at + 1)
            if name is None:
                at += 1  # an empty segment names nothing: `$..a` is `$.a`
                continue
            parts.append(name[0])
            at = name.end()
        elif stripped[at] == "[":
            bracket = _QUOTED.match(stripped, at) or _INDEX.match(stripped, at)
            if bracket is None:
                raise BadPath(_bad_bracket(stripped, at, text))
            key = bracket.groupdict()
            parts.append(
                int(key["index"]) if "index" in key else key["double"] if key["double"] is not None else key["single"]
            )
            at = bracket.end()
        else:
            raise BadPath(f"expected '.' or '[' in the path {text!r}, got {stripped[at]!r}")
    return tuple(parts)


def _bad_bracket(stripped: str, at: int, text: str) -> str:
    close = stripped.find("]", at)
    if close < 0:
        return f"the '[' of the path {text!r} is not closed"
    return f"expected a number or a quoted key between the brackets of {text!r}, got {stripped[at + 1 : close]!r}"


def show(path: Path) -> str:
    """A path in its stored form: `$`, then `.name`, `[0]`, or `["a.b"]` for a key that cannot stand after a dot.

    parse(show(path)) is the path again, for every path that parse() gives.
    """
    last = len(path) - 1
    return "$" + "".join(_show_part(part, is_last=index == last) for index, part in enumerate(path))


def _show_part(part: str | int, *, is_last: bool) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _NAME.fullmatch(part) and not (is_last and part[-1].isspace()):  # the spaces around a path do not count
        return f".{part}"
    return f"['{part}']" if _ENDS_EARLY.search(part) else f'["{part}"]'


def walk(value: Any, path: Path) -> Any:
    """What a path leads to, or MISSING: a member of an array, an element of an object and an absent key are nothing."""
    for part in path:
        if part.__class__ is str:
            if value.__class__ is not dict or part not in value:
                return MISSING
            value = value[part]
        elif value.__class__ is list and (index := cast("int", part)) < len(value):
            value = value[index]
        else:
            return MISSING
    return value
