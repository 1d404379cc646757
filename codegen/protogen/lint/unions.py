"""Rules about alternatives: values that fit two where one may fit, and enums that are open without saying so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from protogen.normalise import referred
from protogen.samples.checks import validity
from protogen.samples.references import requoted
from protogen.samples.text import read, write
from protogen.samples.variants import Maker

from .findings import Finding
from .subject import Subject

_VARIANTS: Final = 24
"""Values of each alternative that are tried on the others."""


def _alternatives(subject: Subject) -> Iterator[tuple[str, str, list[Any], Callable[[Any], bool]]]:
    """Every `oneOf` of a definition of this document: name, pointer, arms, and whether all else takes a value."""
    definitions: dict[str, Any] = subject.protocol.schema["definitions"]
    places = {definition.name: definition for definition in subject.protocol.definitions}
    for name, schema in definitions.items():
        definition = places.get(name)
        if definition is None or definition.path != subject.document.path or not isinstance(schema, dict):
            continue
        if isinstance(schema.get("oneOf"), list):
            rest = {word: value for word, value in schema.items() if word != "oneOf"}
            yield name, definition.pointer, schema["oneOf"], _check(subject, rest)


def null_twice(subject: Subject) -> Iterator[Finding]:
    """`oneOf` with several alternatives that take null: it takes null never."""
    for name, pointer, arms, rest in _alternatives(subject):
        takers = [arm for arm in arms if _check(subject, arm)(None)] if rest(None) else []
        if len(takers) > 1:
            what = f'null fits {len(takers)} alternatives of "{name}", so "oneOf" refuses it'
            yield Finding(pointer, what, 'let one of them take null, or write "anyOf"')


def overlaps(subject: Subject) -> Iterator[Finding]:
    """`oneOf` that refuses values because two alternatives take them."""
    maker = Maker(requoted(subject.protocol.schema["definitions"]))
    for name, pointer, arms, rest in _alternatives(subject):
        checks = [_check(subject, arm) for arm in arms]
        for value, one, other in _shared(maker, arms, checks):
            if rest(value):
                between = f"{_label(arms[one])} and {_label(arms[other])}"
                what = f'{_short(value)} fits {between}, so "oneOf" of "{name}" refuses it'
                fix = 'give the alternatives a required constant of their own, or write "anyOf"'
                yield Finding(pointer, what, fix)
                break


def _shared(maker: Maker, arms: list[Any], checks: list[Callable[[Any], bool]]) -> Iterator[tuple[Any, int, int]]:
    """Values that two alternatives take; null has a rule of its own."""
    for one, arm in enumerate(arms):
        target = referred(arm)
        if target is None:
            continue
        good = [read(write(variant.value)) for variant in maker.definition(target) if variant.good]
        for value in good[:_VARIANTS]:
            if value is None or not checks[one](value):
                continue
            for other in range(one + 1, len(arms)):
                if checks[other](value):
                    yield value, one, other


def unmarked_open_enums(subject: Subject) -> Iterator[Finding]:
    """A member that takes any string and lists values in its description only by `examples`."""
    for pointer, schema in subject.schemas:
        arms = schema.get("anyOf")
        if not isinstance(arms, list) or len(arms) != 2 or "x-open-enum" in schema:
            continue
        listed = [arm for arm in arms if isinstance(arm, dict) and "enum" in arm]
        plain = [arm for arm in arms if isinstance(arm, dict) and set(arm) == {"type"}]
        if len(listed) == len(plain) == 1:
            what = "alternatives of listed values and of any value: an enum that is open"
            yield Finding(pointer, what, 'write "enum" and "x-open-enum": true: SDKs name the values then')


def _check(subject: Subject, schema: Any) -> Callable[[Any], bool]:
    """Whether a value meets a part of the lowered schema."""
    definitions = requoted(subject.protocol.schema["definitions"])
    return validity(requoted({"it": schema})["it"], definitions)


def _label(arm: Any) -> str:
    name = referred(arm)
    return f'"{name}"' if name is not None else _short(arm)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
