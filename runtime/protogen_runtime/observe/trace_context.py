"""W3C trace context: `traceparent` and `tracestate` as they come and as they are passed on (Level 2).

Knows no tracing library and no transport. Reading is strict: a header that breaks the grammar is as good as absent, so
that nobody's bytes reach a log or another service under the name of a trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

MAX_MEMBERS: Final = 32
"""Members of a tracestate (section 3.3.1.1); a list with more is invalid as a whole."""

MAX_STATE_CHARS: Final = 512
"""What is passed on of a tracestate at most: section 3.3.1.5 asks for at least as much."""

MAX_MEMBER_CHARS_KEPT: Final = 128
"""Members longer than this are left out first where the list is too long (section 3.3.1.5)."""

SAMPLED: Final = 0x01
_KNOWN_FLAGS: Final = 0x03
"""sampled and random-trace-id; the other bits are reserved and passed on as 0."""

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
_LONGEST_PARENT: Final = 256
_KEY: Final = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_VALUE: Final = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = re.compile(f"({_KEY})=({_VALUE})", re.ASCII)


class TraceContext(msgspec.Struct, frozen=True):
    """Where a call stands in a trace: 32 and 16 hexadecimal digits, flags, and the vendors' members in order."""

    trace_id: str
    parent_id: str
    flags: int = 0
    state: tuple[tuple[str, str], ...] = ()

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded the trace."""
        return bool(self.flags & SAMPLED)


def read(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """The context of two header values, None where there is no valid traceparent.

    Repeated headers come joined by commas: that is invalid for traceparent, and one list for tracestate. An invalid
    tracestate is dropped without harm to the traceparent (section 3.3.1).
    """
    if traceparent is None or len(traceparent) > _LONGEST_PARENT:
        return None
    found = _PARENT.fullmatch(traceparent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    # A later version may have more fields behind a dash; version 00 has none, and ff is forbidden.
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if trace_id == "0" * 32 or parent_id == "0" * 16:
        return None
    return TraceContext(trace_id, parent_id, int(flags, 16) & _KNOWN_FLAGS, read_state(tracestate))


def read_state(tracestate: str | None) -> tuple[tuple[str, str], ...]:
    """The members of a tracestate, in order; none where any of it is invalid."""
    if not tracestate:
        return ()
    members: dict[str, str] = {}
    for listed in tracestate.split(",", 2 * MAX_MEMBERS):
        part = listed.strip(" \t")
        if not part:
            continue
        found = _MEMBER.fullmatch(part)
        if found is None or found[1] in members or len(members) == MAX_MEMBERS:
            return ()
        members[found[1]] = found[2]
    return tuple(members.items())


def headers(context: TraceContext) -> dict[str, str]:
    """The two headers that pass a context on; `tracestate` only where there is one."""
    passed = {"traceparent": f"00-{context.trace_id}-{context.parent_id}-{context.flags & _KNOWN_FLAGS:02x}"}
    state = _join(context.state)
    if state:
        passed["tracestate"] = state
    return passed


def _join(state: Iterable[tuple[str, str]]) -> str:
    members = [f"{key}={value}" for key, value in state]
    if len(",".join(members)) > MAX_STATE_CHARS:
        members = [member for member in members if len(member) <= MAX_MEMBER_CHARS_KEPT]
    while len(",".join(members)) > MAX_STATE_CHARS:
        members.pop()
    return ",".join(members)
