"""Values made fit for a log: no control character, no secret, no more than so many characters.

Knows no logging library. What comes out is JSON (dict, list, str, int, float, bool, None) that is safe to print on a
terminal even after the JSON has been undone: control characters appear as visible escapes, not as themselves.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
import traceback
import uuid
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from math import isfinite
from pathlib import PurePath
from typing import Any, Final, TypeAlias, cast

Json: TypeAlias = Any
"""A JSON value."""

MAX_CHARS: Final = 1024
"""Characters of one text; the rest is counted and left out."""

MAX_ITEMS: Final = 32
"""Members of one object or array."""

MAX_DEPTH: Final = 4
MAX_NODES: Final = 256
"""Values of one record altogether: a tree of lists could have MAX_ITEMS ** MAX_DEPTH."""

MAX_FRAMES: Final = 20
"""Lines of a traceback kept, from its end: the innermost frames tell most."""

REDACTED: Final = "[redacted]"

# C0, DEL and C1, line and paragraph separators, what turns the direction of text, byte order marks, lone surrogates.
_UNSAFE: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff]"
)
_CREDENTIALS: Final = re.compile(r"\b(bearer|basic|digest|negotiate)([ =:]{1,3})[^\s,;\"']{4,}", re.IGNORECASE)
_USER_INFO: Final = re.compile(r"(//)[^\s/@:]{0,256}:[^\s/@]{0,256}@")
_ASSIGNED: Final = re.compile(
    r"\b((?:x-)?(?:api[-_]?key|access[-_]?token|refresh[-_]?token|auth[-_]?token|token|secret|password|passwd|cookie"
    r"|authorization))(\\*[\"']?\s{0,3}[=:]\s{0,3}\\*[\"']?)(?:(?:bearer|basic) )?[^\s,;&\"'\\]+",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", re.ASCII)
_SECRET_WORDS: Final = frozenset(
    "authorization cookie cookies credential credentials passphrase passwd password passwords pwd secret secrets "
    "token apikey".split()
)
_SECRET_PAIRS: Final = frozenset({("api", "key"), ("private", "key"), ("access", "key"), ("signing", "key")})


def line(text: str, limit: int = MAX_CHARS) -> str:
    """One line of text that is safe to print, credentials taken out, bounded to `limit` characters and a count."""
    dropped = len(text) - limit
    if dropped > 0:
        text = text[:limit]
    text = _without_credentials(text)
    if not text.isascii() or not text.isprintable():
        text = _UNSAFE.sub(_escape, text)
    return f"{text}... ({dropped} more)" if dropped > 0 else text


def _without_credentials(text: str) -> str:
    # Few texts have any of these; looking for a letter is cheaper than running three patterns.
    if "=" in text or ":" in text or " " in text:
        text = _CREDENTIALS.sub(rf"\1\2{REDACTED}", text)
        text = _ASSIGNED.sub(rf"\1\2{REDACTED}", text)
        text = _USER_INFO.sub(rf"\1{REDACTED}@", text)
    return text


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def is_secret(name: str) -> bool:
    """Whether what stands under such a name must not be logged: `Authorization`, `apiKey`, `db_password`."""
    words = [word.lower() for word in _WORD.findall(name[:256])]
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairwise(words))


def safe(value: object) -> Json:
    """The value as bounded, printable JSON; what is not JSON is named by its type and never asked for its repr."""
    return _Cleaner().value(value, MAX_DEPTH)


def safe_members(members: Mapping[str, object]) -> dict[str, Json]:
    """`safe` for the members of one record."""
    cleaner = _Cleaner()
    return {
        line(str(name), 64): REDACTED if is_secret(str(name)) else cleaner.value(value, MAX_DEPTH)
        for name, value in list(members.items())[:MAX_ITEMS]
    }


class _Cleaner:
    """Counts the values of one record."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_NODES

    def value(self, value: object, depth: int) -> Json:
        self._left -= 1
        if self._left < 0:
            return "..."
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            # A subclass may print as something else than what it holds.
            return line(str.__str__(value))
        if isinstance(value, int) and not isinstance(value, enum.Enum):
            return _integer(int(value))
        if isinstance(value, float):
            return float(value) if isfinite(value) else float.__repr__(value)
        if depth > 0 and isinstance(value, dict):
            return self._object(cast("dict[object, object]", value), depth)
        if depth > 0 and isinstance(value, list | tuple | set | frozenset):
            return self._array(cast("Collection[object]", value), depth)
        return _other(value)

    def _object(self, value: Mapping[object, object], depth: int) -> Json:
        found: dict[str, Json] = {}
        for name, member in list(value.items())[:MAX_ITEMS]:
            key = line(name if isinstance(name, str) else type(name).__name__, 64)
            found[key] = REDACTED if isinstance(name, str) and is_secret(name) else self.value(member, depth - 1)
        if len(value) > MAX_ITEMS:
            found["..."] = f"({len(value) - MAX_ITEMS} more)"
        return found

    def _array(self, value: Collection[object], depth: int) -> Json:
        found = [self.value(item, depth - 1) for item in list(value)[:MAX_ITEMS]]
        if len(value) > MAX_ITEMS:
            found.append(f"... ({len(value) - MAX_ITEMS} more)")
        return found


def _integer(value: int) -> Json:
    # Writing a huge integer takes quadratic time, and readers of logs lose what exceeds a double.
    bits = value.bit_length()
    if bits <= 53:
        return value
    return str(value) if bits <= 256 else f"<int of {bits} bits>"


def _exception(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__ may do anything, and the log must go on
        text = "<no text>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_READABLE: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (enum.Enum, lambda value: value.name),
    (uuid.UUID, str),
    (PurePath, str),
    (dt.datetime, lambda value: value.isoformat()),
    (dt.date, lambda value: value.isoformat()),
)


def _other(value: object) -> str:
    if isinstance(value, BaseException):
        return line(_exception(value))
    for kind, write in _READABLE:
        if isinstance(value, kind):
            return line(write(value))
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    return f"<{type(value).__name__}>"


def capture(error: BaseException) -> traceback.TracebackException:
    """What `exception` needs, without reading source files yet and without keeping the frames alive."""
    return traceback.TracebackException.from_exception(error, limit=-MAX_FRAMES, lookup_lines=False, compact=True)


def exception(captured: traceback.TracebackException) -> dict[str, Json]:
    """An exception as members of a record: its last line, and its traceback as a list of lines."""
    lines: list[str] = []
    for part in captured.format():
        lines += part.splitlines()
    last = lines[-1] if lines else ""
    if len(lines) > 2 * MAX_FRAMES:
        lines = [f"... ({len(lines) - 2 * MAX_FRAMES} more)", *lines[-2 * MAX_FRAMES :]]
    return {"exception": line(last), "traceback": [line(text, 256) for text in lines]}
