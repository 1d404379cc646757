"""Likely values of a protocol's types: valid, seeded, and such as people would write.

Samples break readers; these please them. Where types cannot say what the schema wants, the stock of samples helps out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from protogen import ir
from protogen.naming import snake
from protogen.samples.labels import Judge
from protogen.samples.references import requoted
from protogen.samples.text import read, write
from protogen.samples.variants import Maker

Json = Any

_WORDS: Final = (
    *("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper", "kestrel"),
    *("lagoon", "meadow", "nectar", "opal", "prairie", "quartz", "river", "sierra", "tundra", "umber", "willow"),
)
_DEEPEST: Final = 6
"""Optional members and list members end here: types may hold themselves."""

_TRIES: Final = 12
"""Values that are made of types before the stock of samples is asked."""


class Values:
    """Makes values of the definitions of one protocol."""

    def __init__(self, protocol: ir.Protocol) -> None:
        self._table = ir.definition_table(protocol)
        self._judge = Judge(protocol.schema["definitions"])
        self._schema = protocol.schema["definitions"]
        self._maker: Maker | None = None
        self._shown: dict[str, list[Json]] = {}
        for example in protocol.examples:
            if example.valid and example.type is not None and example.value is not ir.UNSET:
                self._shown.setdefault(example.type, []).append(example.value)

    def accepts(self, name: str, value: Json) -> bool:
        """Whether a value is valid for a definition."""
        return self._judge.label(name, value)

    def faults(self, name: str, value: Json) -> list[dict[str, str]]:
        """What is wrong with a value: JSON pointers and messages; empty for a valid one."""
        if self.accepts(name, value):
            return []
        from jsonschema import Draft7Validator
        from referencing.jsonschema import EMPTY_REGISTRY

        from protogen.samples.references import reference_to

        schema = {"$ref": reference_to(name), "definitions": requoted(self._schema)}
        found = Draft7Validator(schema, registry=EMPTY_REGISTRY).iter_errors(value)
        faults = [
            {"path": "".join(f"/{part}" for part in fault.absolute_path), "message": fault.message[:200]}
            for fault in found
        ]
        return faults or [{"path": "", "message": f"is no {name}"}]

    def value(self, name: str, chance: random.Random) -> Json:
        """A valid value of a definition, another one for each state of `chance`. Errors: LookupError where none is."""
        shown = self._shown.get(name)
        if shown and chance.random() < 0.5:
            return chance.choice(shown)
        for _ in range(_TRIES):
            made = self._definition(name, chance, 0)
            if self.accepts(name, made):
                return made
        return self._sample(name, chance)

    def _sample(self, name: str, chance: random.Random) -> Json:
        if self._maker is None:
            self._maker = Maker(requoted(self._schema))
        good = [read(write(variant.value)) for variant in self._maker.definition(name) if variant.good]
        good = [value for value in good if self.accepts(name, value)]
        if not good:
            raise LookupError(f"no value of {name!r} is known: its schema may refuse all; give an example of one")
        return chance.choice(good[:8])

    # --- from types -----------------------------------------------------------------------------

    def _definition(self, name: str, chance: random.Random, depth: int) -> Json:
        definition = self._table[name]
        match definition:
            case ir.Record():
                return dict(self._members(definition, chance, depth))
            case ir.Enum(values=values):
                return chance.choice(values).value
            case ir.Union(arms=arms):
                arm = arms[0] if depth > _DEEPEST else chance.choice(arms)
                return self._type(arm.type, snake(name), chance, depth + 1)
            case ir.Alias(type=type_):
                return self._type(type_, snake(name), chance, depth + 1)

    def _members(self, record: ir.Record, chance: random.Random, depth: int) -> Iterator[tuple[str, Json]]:
        for field in record.fields:
            wanted = depth < _DEEPEST and not field.deprecated and chance.random() < 0.6
            if field.required or wanted:
                if field.default is not ir.UNSET and chance.random() < 0.5:
                    yield field.wire, field.default
                else:
                    yield field.wire, self._type(field.type, field.wire, chance, depth + 1)

    def _type(self, type_: ir.Type, hint: str, chance: random.Random, depth: int) -> Json:
        match type_:
            case ir.AnyType():
                return {hint: chance.choice(_WORDS)}
            case ir.NullType():
                return None
            case ir.BooleanType():
                return chance.random() < 0.5
            case ir.StringType():
                return _text(type_, hint, chance)
            case ir.IntegerType(minimum=least, maximum=most):
                low = least if least is not None else min(0, most if most is not None else 0)
                return chance.randint(low, min(most if most is not None else low + 100, low + 100))
            case ir.NumberType(minimum=least, maximum=most):
                start = float(least) if least is not None else 0.0
                return round(start + chance.random() * ((float(most) if most is not None else start + 1) - start), 3)
            case ir.LiteralType(value=value):
                return value
            case ir.ListType(item=item, min_items=least, max_items=most):
                usual = 0 if depth > _DEEPEST else chance.randint(1, 3)
                count = max(least or 0, min(usual, most if most is not None else usual))
                return self._distinct(item, hint.removesuffix("s"), chance, depth, count)
            case ir.TupleType(items=items):
                return [self._type(item, hint, chance, depth + 1) for item in items]
            case ir.MapType(value=value):
                count = 0 if depth > _DEEPEST else chance.randint(1, 2)
                return {word: self._type(value, word, chance, depth + 1) for word in chance.sample(_WORDS, count)}
            case ir.NullableType(of=inner):
                empty = depth > _DEEPEST or chance.random() < 0.3
                return None if empty else self._type(inner, hint, chance, depth + 1)
            case ir.NamedType(name=name):
                return self._definition(name, chance, depth + 1)

    def _distinct(self, item: ir.Type, hint: str, chance: random.Random, depth: int, count: int) -> list[Json]:
        """Members of a list, different ones where that is possible: lists may refuse equal ones."""
        made: dict[str, Json] = {}
        for _ in range(count * _TRIES):
            if len(made) == count:
                break
            value = self._type(item, hint, chance, depth + 1)
            made.setdefault(write(value), value)
        return [*made.values(), *(self._type(item, hint, chance, depth + 1) for _ in range(count - len(made)))]


def _text(type_: ir.StringType, hint: str, chance: random.Random) -> str:
    """A text as its format says, or as its name suggests."""
    if type_.pattern is not None:
        from protogen.samples.patterns import UnreadPattern, matching

        try:
            found = matching(type_.pattern, chance)
        except UnreadPattern:
            found = []
        fitting = [text for text in found if _fits(text, type_)]
        return chance.choice(fitting) if fitting else ""
    make = _FORMATS.get(type_.format or "")
    if make is not None:
        text = make(chance)
        return text if _fits(text, type_) else text[: type_.max_length]
    word = chance.choice(_WORDS)
    text = f"{snake(hint).replace('_', '-')}-{chance.randrange(100)}" if hint.lower().endswith("id") else word
    text = text[: type_.max_length] if type_.max_length is not None else text
    return text + "x" * max(0, (type_.min_length or 0) - len(text))


def _fits(text: str, type_: ir.StringType) -> bool:
    longest = type_.max_length
    return len(text) >= (type_.min_length or 0) and (longest is None or len(text) <= longest)


def _hex(chance: random.Random, digits: int) -> str:
    return f"{chance.getrandbits(4 * digits):0{digits}x}"


def _date(chance: random.Random) -> str:
    return f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def _time(chance: random.Random) -> str:
    return f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}Z"


_FORMATS: Final[dict[str, Callable[[random.Random], str]]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda chance: f"{_date(chance)}T{_time(chance)}",
    "duration": lambda chance: f"PT{chance.randint(1, 59)}M",
    "uuid": lambda chance: (
        f"{_hex(chance, 8)}-{_hex(chance, 4)}-4{_hex(chance, 3)}-a{_hex(chance, 3)}-{_hex(chance, 12)}"
    ),
    "uri": lambda chance: f"https://{chance.choice(_WORDS)}.example/{chance.choice(_WORDS)}",
    "uri-reference": lambda chance: f"/{chance.choice(_WORDS)}",
    "url": lambda chance: f"https://{chance.choice(_WORDS)}.example/",
    "email": lambda chance: f"{chance.choice(_WORDS)}@{chance.choice(_WORDS)}.example",
    "hostname": lambda chance: f"{chance.choice(_WORDS)}.example",
    "ipv4": lambda chance: f"192.0.2.{chance.randint(1, 254)}",
    "ipv6": lambda chance: f"2001:db8::{_hex(chance, 4)}",
    "byte": lambda chance: "cHJvdG9nZW4=",
}
