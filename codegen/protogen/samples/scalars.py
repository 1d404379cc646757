"""Strings and numbers of a schema, good and broken: at every bound, one beyond it, in other spellings.

Knows the keywords of strings and numbers alone.
"""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

from protogen.samples import patterns
from protogen.samples.checks import validity
from protogen.samples.stock import LONGEST, Variant, distinct
from protogen.samples.text import Json, Spelled, read, write

SCALAR_WORDS = (
    "type",
    "enum",
    "const",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "patterns",
)

_FORMATS: dict[str, tuple[str, ...]] = {
    "date-time": ("2024-02-29T12:30:45Z", "1999-12-31T23:59:59.123456+05:30"),
    "date": ("2024-02-29",),
    "time": ("12:30:45Z",),
    "duration": ("P1DT2H",),
    "uuid": ("7f9c24e8-3b12-4fef-91e0-5a2d3b8c6f10",),
    "uri": ("https://example.org/a?b=c#d",),
    "uri-reference": ("../a",),
    "email": ("ann@example.org",),
    "hostname": ("example.org",),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1",),
    "byte": ("aGVsbG8=",),
    "binary": ("aGVsbG8=",),
    "regex": ("^a+$",),
    "json-pointer": ("/a/0",),
}

_TEXTS = (
    ("unicode", "ünïcödé 😀 \u2028"),
    ("escapes", 'quote " backslash \\ newline \n tab \t nul \u0000 del \u007f </script>'),
    ("empty text", ""),
    ("digits", "12345678901234567890"),
)

_INTEGERS = (
    0,
    1,
    -1,
    2**31,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64 - 1,
    2**64,
    123456789012345678901234567891,
)


@functools.lru_cache(maxsize=4096)
def scalars(kind: str, leaf: str, seed: int) -> tuple[Variant, ...]:
    """The variants of one string or number type; `leaf` is the JSON text of its keywords."""
    schema = json.loads(leaf)
    rng = random.Random(f"{seed}:{leaf}")
    candidates = list(_strings(schema, rng) if kind == "string" else _numbers(kind, schema))
    check = validity({**schema, "type": kind}, {})
    found = [Variant(value, f"{kind} {note}".rstrip(), check(read(write(value)))) for value, note in candidates]
    return tuple(distinct(found))


def _strings(schema: dict[str, Any], rng: random.Random) -> Iterator[tuple[Json, str]]:
    low, high = schema.get("minLength", 0), schema.get("maxLength", LONGEST + 1)
    expressions = [schema["pattern"], *schema.get("patterns", ())] if "pattern" in schema else []
    for text in _FORMATS.get(schema.get("format", ""), ()):
        yield text, f"of format {schema['format']}"
    for expression in expressions:
        matching = patterns.matching(expression, rng, count=8)
        for text in matching:
            yield text, "that matches"
            for filled in (text.ljust(low, text[-1:] or "x"), text[:high]):
                yield filled, "that matches, of fitting length"
        for text in matching[:1]:
            yield from _misses(text)
        yield from itertools.islice(filter(None, map(_foreign_digit, matching)), 1)
    if not any(patterns.matching(expression, rng, count=1) for expression in expressions):
        yield "text".ljust(low, "x")[: min(high, LONGEST)], ""
    if "format" in schema:
        yield f"not a {schema['format']}".ljust(low, "x"), "that ignores the format"
    yield from ((text, note) for note, text in _TEXTS)
    for length, note in ((low, "of minLength"), (low - 1, "shorter than minLength"), (low + 1, "just longer")):
        if "minLength" in schema and 0 <= length <= LONGEST:
            yield "a" * length, note
            yield "😀" * length, f"{note}, astral characters"
    for length, note in ((high, "of maxLength"), (high + 1, "longer than maxLength")):
        if length <= LONGEST:
            yield "a" * length, note
            yield "😀" * length, f"{note}, astral characters"
            yield "é" * length, f"{note}, two bytes each"


def _misses(text: str) -> Iterator[tuple[str, str]]:
    """Strings next to one that matches."""
    yield f"{text}\n", "pattern: a line end after it"
    yield f"{text}!", "pattern: a character more"
    yield f" {text}", "pattern: a blank before it"
    yield text[1:], "pattern: without its first character"
    yield text[:-1], "pattern: without its last character"
    yield text.swapcase(), "pattern: other case"
    yield f"x\n{text}", "pattern: on a second line"


def _foreign_digit(text: str) -> tuple[str, str] | None:
    """The string with its first digit in another script."""
    at = next((at for at, char in enumerate(text) if char.isdigit()), None)
    return None if at is None else (f"{text[:at]}\u0663{text[at + 1 :]}", "pattern: a digit of another script")


def _numbers(kind: str, schema: dict[str, Any]) -> Iterator[tuple[Json, str]]:
    low = max((schema[word] for word in ("minimum", "exclusiveMinimum") if word in schema), default=None)
    high = min((schema[word] for word in ("maximum", "exclusiveMaximum") if word in schema), default=None)
    step = schema.get("multipleOf")
    start = low if low is not None else high if high is not None else 0
    if step:
        start = -(-start // step) * step
        yield start, "a multiple"
        yield start + step, "the next multiple"
        yield start + step / 2, "no multiple"
    if start == int(start):
        yield from ((int(start) + delta, note) for delta, note in ((0, ""), (1, ""), (-1, "")))
    for bound, word in ((low, "lower bound"), (high, "upper bound")):
        if bound is not None:
            yield bound, f"at its {word}"
            for delta in (-1, 1, -0.5, 0.5):
                yield bound + delta, f"by its {word}"
            if bound == int(bound) and abs(bound) < 2**53:
                yield Spelled(f"{int(bound)}.0"), f"at its {word}, spelled with a fraction"
    for number in _INTEGERS:
        yield number, ""
    yield Spelled("1.0"), "spelled 1.0"
    yield Spelled("1e2"), "spelled 1e2"
    yield Spelled("-0"), "spelled -0"
    yield 1.5, "with a fraction"
    if kind == "number":
        for text in (
            "0.1",
            "-1.5E-7",
            "1e21",
            "1.7976931348623157e308",
            "5e-324",
            "123456.789e3",
            "0.30000000000000004",
        ):
            yield Spelled(text), f"spelled {text}"
