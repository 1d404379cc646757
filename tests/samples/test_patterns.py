"""Expressions of ECMA-262: strings made for them match, and their Python form means the same."""

from __future__ import annotations

import random
import re

import jsonschema_rs
import pytest

from protogen.samples.patterns import UnreadPattern, matching, to_python

EXPRESSIONS = [
    "^a$",
    "^[0-9a-f]{8}-[0-9a-f]{4}$",
    "^(GET|PUT|[A-Z]{2,3})$",
    "^\\d+(\\.\\d+)?$",
    "^\\w[\\w.-]*$",
    "^\\S+\\s\\S+$",
    "^[^\\s/]+(/[^\\s/]+)*$",
    "^(?:x|y)?z{2,}$",
    "^(?<year>\\d{4})-\\d\\d$",
    "^\\u0041\\x42$",
    "^[\\u{1F600}-\\u{1F64F}]$",
    "^[a-z\\-\\]]+$",
    "^\\$[^$]*$",
    "a{2}b",
    "^\\/api\\/.+$",
    "^\\p{Lu}\\p{Ll}*$",
    "^.$",
    "^[\\s\\S]{3}$",
    "^a|b$",
    "",
]


@pytest.mark.parametrize("pattern", EXPRESSIONS)
def test_strings_made_for_an_expression_match_it(pattern: str) -> None:
    check = jsonschema_rs.Draft7Validator({"pattern": pattern})
    found = matching(pattern, random.Random(1))
    assert found
    assert [text for text in found if not check.is_valid(text)] == []


@pytest.mark.parametrize("pattern", EXPRESSIONS)
def test_the_python_form_agrees_with_the_labelling_validator(pattern: str) -> None:
    check = jsonschema_rs.Draft7Validator({"pattern": pattern})
    compiled = re.compile(to_python(pattern))
    texts = [
        *matching(pattern, random.Random(2)),
        "",
        "a",
        "a\n",
        "\na",
        "b",
        "é",
        "\u0663",
        " ",
        "\u00a0",
        "aa b",
        "AB",
        "_",
    ]
    texts += [text + "\n" for text in texts] + [text[1:] for text in texts]
    assert [t for t in texts if bool(compiled.search(t)) is not check.is_valid(t)] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("^a$", "a\n"), ("^\\d$", "\u0663"), ("^\\w$", "é"), ("^\\s$", "\u0085"), ("^a\\b", "aé"), ("^.$", "\u2028")],
)
def test_the_python_form_has_the_meaning_of_ecma_262(pattern: str, text: str) -> None:
    matches = {"^a\\b": True}.get(pattern, False)
    assert bool(re.search(to_python(pattern), text)) is matches


@pytest.mark.parametrize(
    "pattern", ["(", "a)", "[a", "*", "\\p{Script=Greek}", "\\u{110000}", "(?<n", "[z-a]", "\\k<n>"]
)
def test_what_cannot_be_read_is_said(pattern: str) -> None:
    with pytest.raises(UnreadPattern):
        to_python(pattern)
    assert matching(pattern, random.Random(1)) == []


def test_the_seed_decides_the_strings() -> None:
    first, again, other = (matching("^[a-z]{8}$", random.Random(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
