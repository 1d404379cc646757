"""Identifiers: new UUIDs, made from randomness that is drawn for many at once.

A draw of its own for each would be a system call, and a moment in which another thread takes the interpreter.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Final

DRAWN_AT_ONCE: Final = 256
_DIGITS: Final = 32

_ahead: Final[deque[str]] = deque()
"""Random digits of the next ones. Any thread may take from it."""

os.register_at_fork(after_in_child=_ahead.clear)


def new_uuid() -> str:
    """A new identifier: a UUID of version 4 (RFC 9562, section 5.4)."""
    while True:
        try:
            digits = _ahead.popleft()
        except IndexError:
            drawn = os.urandom(DRAWN_AT_ONCE * _DIGITS // 2).hex()
            _ahead.extend(drawn[start : start + _DIGITS] for start in range(0, len(drawn), _DIGITS))
            continue
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
