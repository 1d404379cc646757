"""Request ids: one for each request that comes, the caller's own where it is well-formed.

Knows no transport. An id is a name in logs and no secret, so it is made without asking the system for randomness.
"""

from __future__ import annotations

import random
import re
from typing import Final

HEADER: Final = "x-request-id"
NAME: Final = b"x-request-id"
"""Where it comes in and goes back, in lower case."""

MAX_CHARS: Final = 128
"""Longer ids are replaced: every log line of the request carries its id."""

_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._~:/+=@\-]{1,128}", re.ASCII)

# Seeded from the system once per process; a fork must call `reseed`.
_source = random.Random()


def accept(presented: str | None) -> str:
    """The id that was presented where it is well-formed, else a new one of 32 hexadecimal digits."""
    if presented is not None and _WELL_FORMED.fullmatch(presented) is not None:
        return presented
    return f"{_source.getrandbits(128):032x}"


def tagged(headers: dict[bytes, bytes]) -> tuple[dict[bytes, bytes], bytes]:
    """The headers of a request (names in lower case) with a well-formed id, and the id; a copy where one was made."""
    presented = headers.get(NAME)
    if presented is None:
        made = new()
    else:
        made = accept(presented.decode("latin-1")).encode()
        if made == presented:
            return headers, made
    return {**headers, NAME: made}, made


def new() -> bytes:
    """An id of 32 hexadecimal digits."""
    return b"%032x" % _source.getrandbits(128)


def reseed() -> None:
    """Start anew from the system's randomness: for a process that was forked."""
    _source.seed()
