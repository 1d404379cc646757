"""What is wrong with the shape of a flow document, and where.

Knows positions as pointers only; `reading` finds the lines.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Pointer: TypeAlias = tuple[str | int, ...]
"""The way from the document's root to a value: member names and indexes."""


class Fault(msgspec.Struct, frozen=True):
    """Something that keeps a document from being a flow: where, what is wrong, what to do.

    `line` and `column` count from 1; 0 where the text is not known. `wants_text`: a string would do, so that YAML,
    whose strings need no quotes, may have meant one.
    """

    at: Pointer
    what: str
    fix: str
    line: int = 0
    column: int = 0
    wants_text: bool = False


def show(at: Pointer) -> str:
    """A pointer as diagnostics print it: `$.steps[0].input`, keys with `.`, `[` or `]` quoted; empty for the root."""
    if not at:
        return ""
    return "$" + "".join(map(_show_part, at))


def _show_part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if any(character in part for character in ".[]"):
        escaped = part.replace("\\", "\\\\").replace('"', '\\"')
        return f'["{escaped}"]'
    return f".{part}"
