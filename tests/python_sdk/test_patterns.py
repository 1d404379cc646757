"""Patterns keep the meaning that ECMA 262 gives them when Python searches with them."""

from __future__ import annotations

import re

import pytest

from protogen.targets.python.patterns import UnsupportedPattern, translate

CASES: list[tuple[str, str, bool]] = [
    ("^a$", "a", True),
    ("^a$", "a\n", False),
    ("a", "bab", True),
    (r"^\d$", "5", True),
    (r"^\d$", "٣", False),
    (r"^\D$", "٣", True),
    (r"^\w+$", "aZ_9", True),
    (r"^\w$", "é", False),
    (r"^\W$", "é", True),
    (r"^\s$", "\ufeff", True),
    (r"^\s$", "\u2028", True),
    (r"^\s$", "\x1c", False),
    (r"^\S$", "\x1c", True),
    (r"^[\s\d]$", "\u00a0", True),
    (r"^[^\s\d]$", "7", False),
    (r"^[\D]$", "7", False),
    (r"^[\w-]+$", "a-b", True),
    (r"^[a\-z]$", "-", True),
    (r"^[a\-z]$", "b", False),
    (r"^[\d-x]+$", "1-x", True),
    (r"^[-a]$", "-", True),
    (r"^[a-]$", "-", True),
    ("^[[]$", "[", True),
    ("^[&&a]$", "&", True),
    ("^[]$", "a", False),
    ("^[^]$", "\n", True),
    (r"^[\b]$", "\b", True),
    ("^.$", "\n", False),
    ("^.$", "\u2029", False),
    ("^.$", "\x85", True),
    ("^.$", "😀", True),
    (r"\bx\b", "é x", True),
    (r"\bx\b", "éx", True),
    (r"\Bx", "ax", True),
    (r"^\u0041\x42$", "AB", True),
    (r"^\ud83d\ude00$", "😀", True),
    (r"^\u{1F600}$", "😀", True),
    (r"^\cJ$", "\n", True),
    (r"^\0$", "\0", True),
    (r"^\t\n\v\f\r$", "\t\n\v\f\r", True),
    (r"^\/\.\$\^\{\}$", "/.$^{}", True),
    ("^a{2}$", "aa", True),
    ("^a{1,}$", "aaa", True),
    ("^a{,2}$", "a{,2}", True),
    ("^{$", "{", True),
    ("^a}$", "a}", True),
    (r"^(a)(b)\2\1$", "abba", True),
    (r"^(?<year>\d)\k<year>$", "77", True),
    (r"^(?:a|b)+?$", "abab", True),
    ("^a(?=b)", "ab", True),
    ("^a(?!b)", "ab", False),
    ("(?<=a)b", "ab", True),
    ("(?<!a)b", "ab", False),
    ("a|^b", "xa", True),
    ("#x y", "#x y", True),
    ("^é$", "é", True),
    ("^\n$", "\n", True),
    ("^\"'\\\\$", "\"'\\", True),
]


@pytest.mark.parametrize(("pattern", "text", "found"), CASES)
def test_search(pattern: str, text: str, found: bool) -> None:
    assert (re.search(translate(pattern), text) is not None) is found


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\p{L}", "property escape"),
        (r"(?<=a+)b", "look-behind requires fixed-width pattern"),
        (r"(?i)a", "flags inside a group"),
        (r"(?<a-b>x)", "group name 'a-b'"),
        ("a\\", "in the middle"),
        ("[a", "in the middle"),
        (r"\x4", "hexadecimal"),
        ("(", "unterminated"),
        ("a**", "multiple repeat"),
    ],
)
def test_what_python_cannot_say_is_refused_with_a_reason(pattern: str, why: str) -> None:
    with pytest.raises(UnsupportedPattern, match=re.escape(why)):
        translate(pattern)
