"""ECMA-262 patterns in the syntax of Go's package regexp.

Keeps the meaning that JSON Schema gives a pattern: an unanchored search over code points, `\\d` and `\\w` in ASCII, `$`
only at the very end. Go matches in linear time and therefore has no look-around and no back-references: those patterns
are refused, never approximated.
"""

from __future__ import annotations

from functools import lru_cache

MAX_REPEAT = 1000
"""Go refuses a larger repeat count."""

MAX_TOTAL = 10_000
"""The largest count we spell out as a series of smaller ones; beyond it the compiled pattern takes megabytes."""

SPACE = r"\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
"""White space and line ends of ECMA-262, inside a class."""

CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": SPACE}

CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0x00}

CATEGORIES = {
    "letter": "L", "cased_letter": "LC", "uppercase_letter": "Lu", "lowercase_letter": "Ll", "titlecase_letter": "Lt",
    "modifier_letter": "Lm", "other_letter": "Lo", "mark": "M", "nonspacing_mark": "Mn", "spacing_mark": "Mc",
    "enclosing_mark": "Me", "number": "N", "decimal_number": "Nd", "letter_number": "Nl", "other_number": "No",
    "punctuation": "P", "connector_punctuation": "Pc", "dash_punctuation": "Pd", "open_punctuation": "Ps",
    "close_punctuation": "Pe", "initial_punctuation": "Pi", "final_punctuation": "Pf", "other_punctuation": "Po",
    "symbol": "S", "math_symbol": "Sm", "currency_symbol": "Sc", "modifier_symbol": "Sk", "other_symbol": "So",
    "separator": "Z", "space_separator": "Zs", "line_separator": "Zl", "paragraph_separator": "Zp", "other": "C",
    "control": "Cc", "format": "Cf", "private_use": "Co",
}  # fmt: skip
"""General categories by their long names; Go 1.24 knows the short ones only. Cn and Cs have no Go form."""

SHORT = frozenset(CATEGORIES.values()) - {"LC", "C"}

SCRIPTS = frozenset(
    "Arabic Armenian Bengali Bopomofo Cherokee Common Coptic Cyrillic Devanagari Ethiopic Georgian Greek Gujarati"
    " Gurmukhi Han Hangul Hebrew Hiragana Inherited Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Oriya"
    " Sinhala Syriac Tamil Telugu Thaana Thai Tibetan".split()
)


class Untranslatable(Exception):
    """The pattern has no equivalent; the text says which part of it."""


@lru_cache(maxsize=1024)
def translate(pattern: str) -> str:
    """The Go pattern that matches the same strings. Raises Untranslatable."""
    reader = _Reader(pattern)
    text = reader.alternatives()
    if reader.at < len(pattern):
        raise Untranslatable("an unmatched parenthesis")
    return text


def _literal(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        # Strings of code points have no surrogates, so that nothing matches.
        return r"[^\x{0}-\x{10FFFF}]"
    letter = chr(code)
    if letter.isascii() and (letter.isalnum() or letter in "_ -/:;<>=!@#%&,~'\"`"):
        return letter
    return f"\\{letter}" if letter in ".+*?()|[]{}^$\\" else f"\\x{{{code:x}}}"


def _in_class(code: int) -> str:
    letter = chr(code)
    return letter if letter.isascii() and letter.isalnum() else f"\\x{{{code:x}}}"


class _Reader:
    """A pattern and how much of it has been read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.weight = 1
        self.heaviest = 1

    def peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def take(self, text: str) -> bool:
        if not self.peek(text):
            return False
        self.at += len(text)
        return True

    def alternatives(self) -> str:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return "|".join(branches)

    def sequence(self) -> str:
        parts: list[str] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self.term())
        return "".join(parts)

    def term(self) -> str:
        letter = self.pattern[self.at]
        if letter == "^":
            self.at += 1
            return r"\A"
        if letter == "$":
            self.at += 1
            return r"\z"
        if self.take("\\b"):
            return r"\b"
        if self.take("\\B"):
            return r"\B"
        return self.quantified(self.atom())

    def atom(self) -> str:
        letter = self.pattern[self.at]
        self.weight = 1
        if letter == "(":
            return self.group()
        if letter == "[":
            return self.character_class()
        if letter == "\\":
            return self.escape()
        self.at += 1
        if letter == ".":
            return r"[^\n\r\x{2028}\x{2029}]"
        if letter in "*+?":
            raise Untranslatable(f"a {letter} with nothing to repeat")
        return _literal(ord(letter))

    def group(self) -> str:
        self.at += 1
        if self.take("?"):
            if self.take("="):
                raise Untranslatable("a look-ahead")
            if self.take("!"):
                raise Untranslatable("a negative look-ahead")
            if self.take("<=") or self.take("<!"):
                raise Untranslatable("a look-behind")
            if self.take("<"):
                end = self.pattern.find(">", self.at)
                if end < 0:
                    raise Untranslatable("an unfinished group name")
                self.at = end + 1
            elif not self.take(":"):
                raise Untranslatable("a group of an unknown kind")
        self.depth += 1
        if self.depth > 200:
            raise Untranslatable("groups nested too deep")
        outer, self.heaviest = self.heaviest, 1
        body = self.alternatives()
        self.weight, self.heaviest = self.heaviest, max(outer, self.heaviest)
        self.depth -= 1
        if not self.take(")"):
            raise Untranslatable("an unmatched parenthesis")
        return f"(?:{body})"

    def quantified(self, atom: str) -> str:
        bounds = self.quantifier()
        if bounds is None:
            return atom
        lazy = "?" if self.take("?") else ""
        least, most = bounds
        count = max(least, most or 0)
        if count > MAX_TOTAL:
            raise Untranslatable("a repeat count over 10000")
        # Go multiplies nested counts; groups are read from the inside out.
        weight = self.weight * max(1, min(count, MAX_REPEAT))
        if weight > MAX_REPEAT:
            raise Untranslatable("repeats inside repeats beyond 1000 in all")
        self.heaviest = max(self.heaviest, weight)
        if count <= MAX_REPEAT:
            if (least, most) == (0, None):
                return f"{atom}*{lazy}"
            if (least, most) == (1, None):
                return f"{atom}+{lazy}"
            if (least, most) == (0, 1):
                return f"{atom}?{lazy}"
            return f"{atom}{{{least}{'' if most == least else ',' if most is None else f',{most}'}}}{lazy}"
        return f"(?:{''.join(_series(atom, least, most))})"

    def quantifier(self) -> tuple[int, int | None] | None:
        if self.take("*"):
            return 0, None
        if self.take("+"):
            return 1, None
        if self.take("?"):
            return 0, 1
        if not self.peek("{"):
            return None
        end = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1 : max(end, 0)].partition(",")
        if end < 0 or not (low.isascii() and low.isdigit()) or (high and not (high.isascii() and high.isdigit())):
            return None
        if len(low) > 9 or len(high) > 9:
            raise Untranslatable("a repeat count over 10000")
        self.at = end + 1
        least = int(low)
        most = least if not comma else int(high) if high else None
        if most is not None and most < least:
            raise Untranslatable("a repeat count with its bounds in the wrong order")
        return least, most

    def escape(self) -> str:
        """An escape outside a class."""
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter and letter in "dws":
            self.at += 2
            return f"[{CLASSES[letter]}]"
        if letter and letter in "DWS":
            self.at += 2
            return f"[^{CLASSES[letter.lower()]}]"
        if letter and letter in "pP":
            return self.unicode_property()
        if letter == "k" or (letter.isdigit() and letter != "0"):
            raise Untranslatable("a back-reference")
        return _literal(self.code_point())

    def unicode_property(self) -> str:
        negated = self.pattern[self.at + 1] == "P"
        end = self.pattern.find("}", self.at)
        if not self.pattern.startswith("{", self.at + 2) or end < 0:
            raise Untranslatable("a \\p without a property")
        name = self.pattern[self.at + 3 : end]
        self.at = end + 1
        key, _, value = name.rpartition("=")
        short = CATEGORIES.get(value.lower(), value)
        if key in {"", "gc", "General_Category"} and short in SHORT:
            return f"\\{'P' if negated else 'p'}{{{short}}}"
        if key in {"Script", "sc"} and value in SCRIPTS:
            return f"\\{'P' if negated else 'p'}{{{value}}}"
        if name in {"ASCII", "Any"}:
            last = "7f" if name == "ASCII" else "10FFFF"
            return f"[{'^' if negated else ''}\\x{{0}}-\\x{{{last}}}]"
        raise Untranslatable(f"the Unicode property {name!r}")

    def code_point(self) -> int:
        """The character that an escape at this place stands for."""
        self.at += 1
        if self.at >= len(self.pattern):
            raise Untranslatable("a backslash at the end")
        letter = self.pattern[self.at]
        self.at += 1
        if letter in CONTROLS:
            return CONTROLS[letter]
        if letter == "c":
            control = self.pattern[self.at : self.at + 1]
            if not (control.isascii() and control.isalpha()):
                raise Untranslatable("a \\c without a letter")
            self.at += 1
            return ord(control) % 32
        if letter == "x":
            return self.hexadecimal(2)
        if letter == "u":
            return self.unicode_escape()
        return ord(letter)

    def unicode_escape(self) -> int:
        if self.take("{"):
            end = self.pattern.find("}", self.at)
            digits = self.pattern[self.at : max(end, 0)]
            self.at = end + 1
            code = _hex(digits) if 0 < len(digits) <= 8 else None
            if end < 0 or code is None or code > 0x10FFFF:
                raise Untranslatable("an unfinished \\u escape")
            return code
        code = self.hexadecimal(4)
        if 0xD800 <= code <= 0xDBFF and self.peek("\\u"):
            back = self.at
            self.at += 2
            low = self.hexadecimal(4)
            if 0xDC00 <= low <= 0xDFFF:
                return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            self.at = back
        return code

    def hexadecimal(self, count: int) -> int:
        digits = self.pattern[self.at : self.at + count]
        code = _hex(digits) if len(digits) == count else None
        if code is None:
            raise Untranslatable("an unfinished escape")
        self.at += count
        return code

    def character_class(self) -> str:
        self.at += 1
        negated = self.take("^")
        parts: list[str] = []
        while not self.take("]"):
            if self.at >= len(self.pattern):
                raise Untranslatable("an unfinished class")
            parts.append(self.class_member())
        body = "".join(parts)
        if not body:
            return r"[\x{0}-\x{10FFFF}]" if negated else r"[^\x{0}-\x{10FFFF}]"
        return f"[{'^' if negated else ''}{body}]"

    def class_member(self) -> str:
        whole = self.class_escape()
        if whole is not None:
            return whole
        low = self.class_code()
        if not self.peek("-") or self.pattern[self.at + 1 : self.at + 2] in {"]", ""}:
            return _class_range(low, low)
        self.at += 1
        whole = self.class_escape()
        if whole is not None:
            return f"{_class_range(low, low)}\\x{{2d}}{whole}"
        high = self.class_code()
        if high < low:
            raise Untranslatable("a range in the wrong order")
        return _class_range(low, high)

    def class_escape(self) -> str | None:
        """An escape that stands for many characters, or None where the next member is one character."""
        if not self.peek("\\"):
            return None
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter and letter in "dws":
            self.at += 2
            return CLASSES[letter]
        if letter and letter in "DWS":
            self.at += 2
            return _COMPLEMENTS[letter]
        if letter and letter in "pP":
            text = self.unicode_property()
            if text.startswith("["):
                raise Untranslatable("a property of its own inside a class")
            return text
        return None

    def class_code(self) -> int:
        if self.peek("\\b"):
            self.at += 2
            return 0x08
        if self.peek("\\"):
            return self.code_point()
        self.at += 1
        return ord(self.pattern[self.at - 1])


_COMPLEMENTS = {
    "D": r"\x{0}-/:-\x{10FFFF}",
    "W": r"\x{0}-/:-@\x{5b}-\x{5e}`{-\x{10FFFF}",
    "S": (
        r"\x{0}-\x{8}\x{e}-\x{1f}!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}"
        r"\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10FFFF}"
    ),
}


def _class_range(low: int, high: int) -> str:
    """A range inside a class without the surrogates, which Go has not."""
    if low == high:
        return "" if 0xD800 <= low <= 0xDFFF else _in_class(low)
    if low <= 0xDFFF and high >= 0xD800:
        below = _class_range(low, 0xD7FF) if low <= 0xD7FF else ""
        above = _class_range(0xE000, high) if high >= 0xE000 else ""
        return below + above
    return f"{_in_class(low)}-{_in_class(high)}"


def _hex(digits: str) -> int | None:
    if all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return int(digits, 16)
    return None


def _series(atom: str, least: int, most: int | None) -> list[str]:
    """A large repeat as a series of repeats that Go allows."""
    parts: list[str] = []
    rest = least
    while rest:
        count = min(rest, MAX_REPEAT)
        parts.append(f"{atom}{{{count}}}")
        rest -= count
    if most is None:
        parts.append(f"{atom}*")
        return parts
    rest = most - least
    while rest:
        count = min(rest, MAX_REPEAT)
        parts.append(f"{atom}{{0,{count}}}")
        rest -= count
    return parts
