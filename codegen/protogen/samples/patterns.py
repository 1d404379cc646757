"""Regular expressions of JSON Schema (ECMA-262): strings that match one, and the same expression for Python.

Knows no schema. Look-arounds and back-references are read but not honoured when strings are made; whoever asks
checks the candidates.
"""

from __future__ import annotations

import functools
import random
import re
import unicodedata

import msgspec

Ranges = tuple[tuple[int, int], ...]

_LAST = 0x10FFFF
_DIGIT: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Ranges = (
    (9, 13),
    (32, 32),
    (160, 160),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
_LINE_END: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
_CONTROL = {"n": 10, "r": 13, "t": 9, "v": 11, "f": 12, "0": 0}
_LONGEST_RUN = 4
"""Repetitions made where an expression sets no upper bound."""


class UnreadPattern(ValueError):
    """The expression uses something this reader does not know, such as `\\p{Script=Greek}`."""


class Chars(msgspec.Struct, frozen=True, tag=True):
    """One character out of `ranges`."""

    ranges: Ranges


class Sequence(msgspec.Struct, frozen=True, tag=True):
    """The parts one after another."""

    parts: tuple[Part, ...]


class Choice(msgspec.Struct, frozen=True, tag=True):
    """One of the parts; `number` is that of a capturing group, 0 where it captures nothing."""

    parts: tuple[Part, ...]
    number: int = 0


class Repeat(msgspec.Struct, frozen=True, tag=True):
    """`part` between `low` and `high` times."""

    part: Part
    low: int
    high: int | None
    lazy: bool = False


class Assertion(msgspec.Struct, frozen=True, tag=True):
    """Something of no width: `^`, `$`, `\\b`, `\\B`, or a look-around around `inner`."""

    kind: str
    inner: Part | None = None


class Again(msgspec.Struct, frozen=True, tag=True):
    """A back-reference to a numbered group."""

    number: int


Part = Chars | Sequence | Choice | Repeat | Assertion | Again


class _Reader:
    """Reads an expression once from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._groups = 0
        self._names: dict[str, int] = {}

    def whole(self) -> Part:
        part = self._choice(0)
        if self._at < len(self._pattern):
            raise UnreadPattern(f"unmatched ) in {self._pattern!r}")
        return part

    def _peek(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise UnreadPattern(f"{self._pattern!r} ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _choice(self, number: int) -> Part:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return Choice(tuple(parts), number)

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self._at < len(self._pattern) and not self._peek("|") and not self._peek(")"):
            parts.append(self._repeated(self._atom()))
        return Sequence(tuple(parts))

    def _atom(self) -> Part:
        char = self._next()
        match char:
            case "^" | "$":
                return Assertion(char)
            case ".":
                return Chars(_complement(_LINE_END))
            case "[":
                return Chars(self._class())
            case "(":
                return self._group()
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise UnreadPattern(f"nothing to repeat in {self._pattern!r}")
            case _:
                return Chars(((ord(char), ord(char)),))

    def _group(self) -> Part:
        for opening in ("(?=", "(?!", "(?<=", "(?<!"):
            if self._peek(opening[1:]):
                self._at += len(opening) - 1
                inner = self._choice(0)
                self._close()
                return Assertion(opening, inner)
        number = 0
        if not self._take("?:"):
            self._groups += 1
            number = self._groups
            if self._take("?<"):
                end = self._pattern.index(">", self._at) if ">" in self._pattern[self._at :] else -1
                if end < 0:
                    raise UnreadPattern(f"a group's name does not end in {self._pattern!r}")
                self._names[self._pattern[self._at : end]] = number
                self._at = end + 1
            elif self._peek("?"):
                raise UnreadPattern(f"unknown group in {self._pattern!r}")
        inner = self._choice(number)
        self._close()
        return inner

    def _close(self) -> None:
        if not self._take(")"):
            raise UnreadPattern(f"missing ) in {self._pattern!r}")

    def _repeated(self, part: Part) -> Part:
        while True:
            if self._take("*"):
                low, high = 0, None
            elif self._take("+"):
                low, high = 1, None
            elif self._take("?"):
                low, high = 0, 1
            else:
                counts = self._counts()
                if counts is None:
                    return part
                low, high = counts
            part = Repeat(part, low, high, self._take("?"))

    def _counts(self) -> tuple[int, int | None] | None:
        end = self._pattern.find("}", self._at)
        if not self._peek("{") or end < 0:
            return None
        low, comma, high = self._pattern[self._at + 1 : end].partition(",")
        if not low.isdecimal() or (high and not high.isdecimal()):
            return None
        self._at = end + 1
        return int(low), int(high) if high else None if comma else int(low)

    def _escape(self) -> Part:
        char = self._next()
        if char in "bB":
            return Assertion(f"\\{char}")
        if char in "123456789":
            digits = char
            while self._at < len(self._pattern) and self._pattern[self._at] in "0123456789":
                digits += self._next()
            return Again(int(digits))
        if char == "k" and self._take("<"):
            end = self._pattern.find(">", self._at)
            name = self._pattern[self._at : end]
            if end < 0 or name not in self._names:
                raise UnreadPattern(f"unknown group name in {self._pattern!r}")
            self._at = end + 1
            return Again(self._names[name])
        return Chars(self._escaped(char))

    def _escaped(self, char: str) -> Ranges:
        known = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
        if char in known:
            return known[char]
        if char.lower() in known:
            return _complement(known[char.lower()])
        if char in "pP":
            ranges = _category(self._property())
            return ranges if char == "p" else _complement(ranges)
        point = _CONTROL.get(char, ord(char))
        if char == "x":
            point = self._hex(2)
        elif char == "c":
            point = ord(self._next()) % 32
        elif char == "u":
            point = self._code_point()
        return ((point, point),)

    def _property(self) -> str:
        end = self._pattern.find("}", self._at)
        if not self._peek("{") or end < 0:
            raise UnreadPattern(f"\\p without a name in {self._pattern!r}")
        name = self._pattern[self._at + 1 : end]
        self._at = end + 1
        return name.removeprefix("General_Category=").removeprefix("gc=")

    def _code_point(self) -> int:
        if self._take("{"):
            end = self._pattern.find("}", self._at)
            point = self._hex(end - self._at) if end > self._at else -1
            if not 0 <= point <= _LAST or not self._take("}"):
                raise UnreadPattern(f"\\u{{ in {self._pattern!r}")
            return point
        point = self._hex(4)
        if 0xD800 <= point < 0xDC00 and self._take("\\u"):
            return 0x10000 + ((point - 0xD800) << 10) + (self._hex(4) - 0xDC00)
        return point

    def _hex(self, width: int) -> int:
        digits = self._pattern[self._at : self._at + width]
        if len(digits) < width or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise UnreadPattern(f"{digits!r} is not hexadecimal in {self._pattern!r}")
        self._at += width
        return int(digits, 16)

    def _class(self) -> Ranges:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            low = self._member()
            if self._peek("-") and not self._peek("-]") and len(low) == 1 and low[0][0] == low[0][1]:
                self._at += 1
                high = self._member()
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise UnreadPattern(f"bad range in {self._pattern!r}")
                low = ((low[0][0], high[0][0]),)
            ranges.extend(low)
        return _complement(tuple(ranges)) if negated else tuple(ranges)

    def _member(self) -> Ranges:
        char = self._next()
        if char != "\\":
            return ((ord(char), ord(char)),)
        char = self._next()
        return ((8, 8),) if char == "b" else self._escaped(char)


@functools.cache
def _category(name: str) -> Ranges:
    """The characters of a general category such as `L` or `Nd`, of the Unicode version that Python has."""
    if not re.fullmatch(r"[CLMNPSZ][a-z]?", name):
        raise UnreadPattern(f"unknown property {name!r}")
    ranges: list[tuple[int, int]] = []
    start: int | None = None
    for point in range(_LAST + 2):
        inside = point <= _LAST and unicodedata.category(chr(point)).startswith(name)
        if inside and start is None:
            start = point
        elif not inside and start is not None:
            ranges.append((start, point - 1))
            start = None
    if not ranges:
        raise UnreadPattern(f"unknown property {name!r}")
    return tuple(ranges)


def _complement(ranges: Ranges) -> Ranges:
    rest: list[tuple[int, int]] = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            rest.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _LAST:
        rest.append((start, _LAST))
    return tuple(rest)


def parse(pattern: str) -> Part:
    """The expression as a tree. Errors: UnreadPattern."""
    return _Reader(pattern).whole()


def matching(pattern: str, rng: random.Random, *, count: int = 6) -> list[str]:
    """Up to `count` distinct strings meant to match, shortest repetitions first; empty where it cannot be read."""
    try:
        part = parse(pattern)
    except UnreadPattern:
        return []
    found = [_make(part, rng, {}, spread) for spread in (0, 1, *(_LONGEST_RUN for _ in range(count)))]
    return list(dict.fromkeys(found))[:count]


def _make(part: Part, rng: random.Random, groups: dict[int, str], spread: int) -> str:
    match part:
        case Chars(ranges=ranges):
            return _char(ranges, rng) if ranges else ""
        case Sequence(parts=parts):
            return "".join(_make(inner, rng, groups, spread) for inner in parts)
        case Choice(parts=parts, number=number):
            text = _make(parts[rng.randrange(len(parts))] if spread else parts[0], rng, groups, spread)
            groups[number] = text
            return text
        case Repeat(part=inner, low=low, high=high):
            most = low + spread if high is None else min(high, low + max(spread, 0) * 4)
            times = rng.randint(low, most)
            return "".join(_make(inner, rng, groups, spread) for _ in range(times))
        case Again(number=number):
            return groups.get(number, "")
        case Assertion():
            return ""


def _char(ranges: Ranges, rng: random.Random) -> str:
    """A character of the set: mostly a printable ASCII one, since those are easiest to read in a report."""
    plain = [(max(low, 33), min(high, 126)) for low, high in ranges if low <= 126 and high >= 33]
    low, high = rng.choice(plain or list(ranges))
    point = rng.randint(low, high)
    return chr(point) if not 0xD800 <= point <= 0xDFFF else "\ufffd"


def to_python(pattern: str) -> str:
    """The expression as Python's `re` reads it, with ECMA's meaning of `$`, `\\d`, `\\w`, `\\s` and `\\b`.

    Errors: UnreadPattern.
    """
    return _python(parse(pattern))


def _python(part: Part) -> str:
    match part:
        case Chars(ranges=ranges):
            spans = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
            return f"[{spans}]" if ranges else "(?!)"
        case Sequence(parts=parts):
            return "".join(_python(inner) for inner in parts)
        case Choice(parts=parts, number=number):
            return f"({'' if number else '?:'}{'|'.join(_python(inner) for inner in parts)})"
        case Repeat(part=inner, low=low, high=high, lazy=lazy):
            bound = "" if high is None else str(high)
            return f"(?:{_python(inner)}){{{low},{bound}}}{'?' if lazy else ''}"
        case Again(number=number):
            return f"(?:\\{number})"
        case Assertion(kind="^"):
            return r"\A"
        case Assertion(kind="$"):
            return r"\Z"
        case Assertion(kind="\\b" | "\\B" as kind):
            return f"(?a:{kind})"
        case Assertion(kind=kind, inner=inner):
            return f"{kind}{_python(inner) if inner is not None else ''})"
