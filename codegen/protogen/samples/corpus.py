"""A protocol's labelled samples: made, labelled twice, cut or filled up to the number asked for.

Knows the lowered schema. The same schema, seed and count give the same samples, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from protogen.samples.labels import Judge
from protogen.samples.references import requoted
from protogen.samples.stock import Variant, thin
from protogen.samples.text import read, write
from protogen.samples.variants import Maker

_TURNS = 12
"""Rounds of random mixtures before types are taken to have no further values."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a corpus: `text` is the value's JSON text as it is to be decoded, spelling of numbers included."""

    type: str
    text: str
    valid: bool
    note: str = ""
    line: int = 0
    """The line of the file it came from, counted from 1; 0 where it was made."""


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """What make() gives: `disputed` are those on which the two validators differ, labelled by the first."""

    samples: tuple[Sample, ...]
    disputed: tuple[Sample, ...]


def make(
    definitions: dict[str, Any],
    *,
    names: Iterable[str] | None = None,
    seed: int = 0,
    least: int = 0,
    most: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Corpus:
    """Labelled samples of the definitions called `names` (default: all), in the order of the schema.

    Every sample the maker knows, some hundreds for a record; where these are fewer than `least`, random mixtures
    fill up as far as types are large enough for so many different values; of more than `most`, as many are kept,
    spread over the definitions and over both verdicts. `progress` is told definitions done and their number.
    """
    maker, judge = Maker(requoted(definitions), seed=seed), Judge(definitions)
    wanted = list(definitions if names is None else names)
    share = None if most is None else max(64, 8 * most // max(len(wanted), 1))
    found: dict[str, list[Sample]] = {}
    disputed: list[Sample] = []
    for at, name in enumerate(wanted):
        progress(at, len(wanted))
        variants = maker.definition(name)
        if share is not None:
            variants = thin(variants, share)
        found[name], doubts = _labelled(judge, name, variants, set())
        disputed.extend(doubts)
    missing = least - sum(map(len, found.values()))
    if missing > 0:
        disputed.extend(_fill(maker, judge, found, missing))
    if most is not None:
        found = _cut(found, most)
    progress(len(wanted), len(wanted))
    samples = [sample for samples in found.values() for sample in samples]
    return Corpus(samples=tuple(samples), disputed=tuple(disputed))


def _labelled(
    judge: Judge, name: str, variants: Iterable[Variant], seen: set[str]
) -> tuple[list[Sample], list[Sample]]:
    """The variants as samples, repetitions of a text in `seen` left out; those that are disputed apart."""
    agreed: list[Sample] = []
    disputed: list[Sample] = []
    for variant in variants:
        text = write(variant.value)
        if text in seen:
            continue
        seen.add(text)
        value = read(text)
        valid = judge.label(name, value)
        sample = Sample(type=name, text=text, valid=valid, note=variant.note)
        (agreed if judge.confirm(name, value) is valid else disputed).append(sample)
    return agreed, disputed


def _fill(maker: Maker, judge: Judge, found: dict[str, list[Sample]], missing: int) -> list[Sample]:
    """Adds random mixtures to `found` until `missing` are there or types run out of them; gives the disputed."""
    disputed: list[Sample] = []
    mixed = [name for name, samples in found.items() if len(samples) > 1]
    for turn in range(_TURNS):
        if missing <= 0 or not mixed:
            break
        each = -(-missing // len(mixed))
        for name in list(mixed):
            seen = {sample.text for sample in found[name]}
            more, doubts = _labelled(judge, name, maker.mixtures(name, each, turn=turn), seen)
            more = more[: max(missing, 0)]
            found[name].extend(more)
            disputed.extend(doubts)
            missing -= len(more)
            if not more:
                mixed.remove(name)
    return disputed


def _cut(found: dict[str, list[Sample]], most: int) -> dict[str, list[Sample]]:
    """At most `most` samples, none of a definition cut while another has more, both verdicts kept."""
    left = most
    kept: dict[str, list[Sample]] = {}
    for rank, name in enumerate(sorted(found, key=lambda name: len(found[name]))):
        share = -(-left // (len(found) - rank))
        kept[name] = _thin(found[name], share)
        left -= len(kept[name])
    return {name: kept[name] for name in found}


def _thin(samples: list[Sample], width: int) -> list[Sample]:
    chosen = thin([Variant(at, "", sample.valid) for at, sample in enumerate(samples)], width)
    return [samples[variant.value] for variant in chosen]
