"""Regular expressions of ECMA 262 (unicode mode, the dialect of JSON Schema) as Python writes them.

Knows no schema. The meaning stays: `$` is the very end, `\\d`, `\\w` and `\\b` are ASCII, `.` stops at line ends.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final


class UnsupportedPattern(ValueError):
    """A pattern that Python's regular expressions cannot say; the message names the construct."""


_SPACES: Final = (
    *((9, 13), (32, 32), (160, 160), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
_DIGITS: Final = ((48, 57),)
_WORD: Final = ((48, 57), (65, 90), (95, 95), (97, 122))
_LINE_ENDS: Final = ((10, 10), (13, 13), (0x2028, 0x2029))
_LAST: Final = 0x10FFFF

_QUANTIFIER: Final = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}


def _complement(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    out: list[tuple[int, int]] = []
    start = 0
    for first, last in ranges:
        if first > start:
            out.append((start, first - 1))
        start = last + 1
    out.append((start, _LAST))
    return tuple(out)


_CLASSES: Final = {
    "d": _DIGITS,
    "D": _complement(_DIGITS),
    "w": _WORD,
    "W": _complement(_WORD),
    "s": _SPACES,
    "S": _complement(_SPACES),
}


def _char(code: int) -> str:
    """One character, written so that it means itself inside and outside of a class."""
    if 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A or code == 0x5F:
        return chr(code)
    if code < 0x80:
        return "\\" + chr(code) if 0x20 < code < 0x7F else f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    return "".join(_char(first) if first == last else f"{_char(first)}-{_char(last)}" for first, last in ranges)


class _Reader:
    """Walks one pattern; each method consumes what it names."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise UnsupportedPattern("it ends in the middle of an escape or a class")
        self.at += 1
        return char

    def pattern(self) -> str:
        out: list[str] = []
        while self.at < len(self.text):
            out.append(self.term())
        return "".join(out)

    def term(self) -> str:
        char = self.take()
        match char:
            case "\\":
                return self.escape()
            case "[":
                return self.char_class()
            case "$":
                return r"\Z"
            case ".":
                return f"[^{_ranges(_LINE_ENDS)}]"
            case "(":
                return self.group()
            case "{":
                return self.brace()
            case "^" | "|" | ")" | "*" | "+" | "?":
                return char
            case _:
                return _char(ord(char))

    def brace(self) -> str:
        match = _QUANTIFIER.match(self.text, self.at - 1)
        if match is None:
            return r"\{"
        self.at = match.end()
        return match.group()

    def group(self) -> str:
        for opening in ("?:", "?=", "?!", "?<=", "?<!"):
            if self.text.startswith(opening, self.at):
                self.at += len(opening)
                return f"({opening}"
        if self.text.startswith("?<", self.at):
            end = self.text.find(">", self.at)
            name = self.text[self.at + 2 : end]
            if end < 0 or not name.isidentifier():
                raise UnsupportedPattern(f"the group name {name!r} is not a plain word")
            self.at = end + 1
            return f"(?P<{name}>"
        if self.peek() == "?":
            raise UnsupportedPattern("flags inside a group are not part of ECMA 262")
        return "("

    def escape(self) -> str:
        char = self.take()
        if char in _CLASSES:
            return f"[{_ranges(_CLASSES[char])}]"
        if char in "bB":
            return f"(?a:\\{char})"
        if char in "123456789":
            start = self.at - 1
            while self.peek().isdigit():
                self.at += 1
            return f"(?:\\{self.text[start : self.at]})"
        if char == "k" and self.peek() == "<":
            end = self.text.find(">", self.at)
            name = self.text[self.at + 1 : end]
            if end < 0 or not name.isidentifier():
                raise UnsupportedPattern(f"the group name {name!r} is not a plain word")
            self.at = end + 1
            return f"(?P={name})"
        return _char(self.code(char))

    def code(self, char: str) -> int:
        """The code point of an escape whose backslash and first character are consumed."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "c" and self.peek().isalpha() and self.peek().isascii():
            return ord(self.take()) % 32
        if char == "x":
            return self.hex(2)
        if char == "u":
            return self.unicode()
        if char in "pP":
            raise UnsupportedPattern(f"the property escape \\{char}{{…}} has no counterpart")
        return ord(char)

    def hex(self, digits: int) -> int:
        text = self.text[self.at : self.at + digits]
        if len(text) < digits or any(char not in "0123456789abcdefABCDEF" for char in text):
            raise UnsupportedPattern(f"{text!r} is not a number of {digits} hexadecimal digits")
        self.at += digits
        return int(text, 16)

    def unicode(self) -> int:
        if self.peek() == "{":
            end = self.text.find("}", self.at)
            self.at += 1
            code = self.hex(max(end - self.at, 1))
            self.take()
            return code
        code = self.hex(4)
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
            back = self.at
            self.at += 2
            low = self.hex(4)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            self.at = back
        return code

    def char_class(self) -> str:
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        parts: list[str] = []
        while self.peek() != "]":
            parts.append(self.class_part())
        self.at += 1
        if not parts:
            return "(?s:.)" if negated else "(?!)"
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def class_part(self) -> str:
        first = self.class_atom()
        if isinstance(first, tuple):
            return _ranges(first)
        if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
            back = self.at
            self.at += 1
            last = self.class_atom()
            if isinstance(last, tuple):
                self.at = back
                return _char(first)
            return f"{_char(first)}-{_char(last)}"
        return _char(first)

    def class_atom(self) -> int | tuple[tuple[int, int], ...]:
        char = self.take()
        if char != "\\":
            return ord(char)
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        return 8 if char == "b" else self.code(char)


@lru_cache(maxsize=1024)
def translate(pattern: str) -> str:
    """The same pattern for Python's `re`, to be used with `search`.

    Errors: UnsupportedPattern where Python cannot say it (property escapes, look-behind of varying width).
    """
    translated = _Reader(pattern).pattern()
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsupportedPattern(str(error)) from None
    return translated
