"""Identifiers: UUIDs of version 7 (RFC 9562, section 5.7), as runs have them: a time, then chance.

Chance is drawn for many at once; a draw for each would be a system call, and a moment in which another thread takes
the interpreter.
"""

from __future__ import annotations

import os
import re
from collections import deque
from typing import Final

DRAWN_AT_ONCE: Final = 256
_DIGITS: Final = 20

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ahead: Final[deque[str]] = deque()

os.register_at_fork(after_in_child=_ahead.clear)


def new_id(seconds: float) -> str:
    """A new identifier for a time in seconds since the epoch."""
    chance = _chance()
    time = f"{int(seconds * 1000):012x}"
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{time[:8]}-{time[8:12]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"


def new_span() -> str:
    """A new id of a span: 16 hexadecimal digits."""
    return _chance()[:16]


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in lower case."""
    return _UUID.fullmatch(text) is not None


def _chance() -> str:
    if not _ahead:
        drawn = os.urandom(DRAWN_AT_ONCE * _DIGITS // 2).hex()
        _ahead.extend(drawn[start : start + _DIGITS] for start in range(0, len(drawn), _DIGITS))
    return _ahead.popleft()
