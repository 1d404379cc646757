"""Patterns: how large the automaton of a regular expression is, read from its text.

An estimate for bounding work, not a parser: what is no regular expression has some weight as well.
"""

from __future__ import annotations

import re
from typing import Final

_REPEAT: Final = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")
_ESCAPE: Final = re.compile(r"\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|u\{[^}]*\}|.)", re.DOTALL)
_PROPERTY: Final = re.compile(r"\\[pP]")
_UNICODE_CLASS: Final = 40
"""States of a class such as \\p{L}, whose characters have many ranges of bytes in UTF-8."""
_MAX: Final = 10**9


def weight(pattern: str) -> int:
    """Number of states, about: one for each character or class, times what encloses and repeats it."""
    # One entry for each group that is open: what it weighs so far, and what its last atom weighs.
    open_groups: list[tuple[int, int]] = []
    total, last, at = 1, 0, 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "(":
            open_groups.append((total, last))
            total, last = 0, 0
        elif char == ")" and open_groups:
            inside = total + 1
            total, _ = open_groups.pop()
            total, last = total + inside, inside
        elif char == "{" and (found := _REPEAT.match(pattern, at - 1)):
            times = max(int(found[1]), int(found[2] or 0), 1)
            total, last = min(total + last * (times - 1), _MAX), min(last * times, _MAX)
            at = found.end()
        elif char == "[":
            start, at = at, _end_of_class(pattern, at)
            last = 1 + (_UNICODE_CLASS - 1) * len(_PROPERTY.findall(pattern, start, at))
            total += last
        elif char == "\\" and (escaped := _ESCAPE.match(pattern, at - 1)):
            at = escaped.end()
            last = _UNICODE_CLASS if escaped[0][1] in "pP" else 1
            total += last
        elif char not in "*+?|^$":
            total, last = total + 1, 1
    return total + sum(outer for outer, _ in open_groups)


def _end_of_class(pattern: str, at: int) -> int:
    depth = 1
    while at < len(pattern) and depth:
        char = pattern[at]
        at += 2 if char == "\\" else 1
        depth += (char == "[") - (char == "]")
    return at
