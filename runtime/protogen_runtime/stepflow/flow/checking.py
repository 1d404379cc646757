"""A flow document checked as its author reads it: everything that is wrong, with lines, the first line first."""

from __future__ import annotations

from typing import Final

import msgspec

from . import faults, reading, validation
from .canonical import flow_id
from .model import Flow
from .reading import Form
from .validation import Level

__all__ = ["Finding", "check", "flow_id"]

UNREADABLE: Final = "invalidDocument"
"""The kind of what keeps a document from being read as a flow; it has no code in the protocol."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a flow document, with its line and column from 1; `code` is 0 where the protocol has none."""

    line: int
    column: int
    level: Level
    kind: str
    code: int
    message: str
    path: str


def check(text: str | bytes, form: Form | None = None) -> tuple[Flow | None, list[Finding]]:
    """The flow of a document, None where it cannot be read, and what is wrong or doubtful about it."""
    flow, wrong = reading.read(text, form)
    if flow is None:
        return None, [_unreadable(fault) for fault in wrong]
    diagnostics = validation.diagnose(flow)
    if not diagnostics:
        return flow, []
    _, _, source = reading.read_value(text, form)
    places = source()
    found = [_placed(it, reading.near(it.at, places)) for it in diagnostics]
    return flow, sorted(found, key=lambda it: (it.line, it.column, -it.code))


def _unreadable(fault: faults.Fault) -> Finding:
    return Finding(
        line=fault.line,
        column=fault.column,
        level="fatal",
        kind=UNREADABLE,
        code=0,
        message=f"{fault.what}; {fault.fix}",
        path=faults.show(fault.at),
    )


def _placed(it: validation.Diagnostic, place: reading.Place) -> Finding:
    return Finding(
        line=place.line,
        column=place.column,
        level=it.level,
        kind=it.kind,
        code=it.code,
        message=it.formatted,
        path=faults.show(it.at),
    )
