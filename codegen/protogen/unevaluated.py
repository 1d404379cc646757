"""`unevaluatedProperties` and `unevaluatedItems` as draft-07 says them.

What a schema has evaluated depends on which of its alternatives fit. That is written out: unconditional parts as
`additionalProperties` or `additionalItems`, conditional ones as a tree of `if`, `then` and `else`. SDKs would know the
keywords; samples, types, and every document in draft-07 would not. Knows normal form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from protogen import keywords
from protogen.normalise import NormalSchema, Schema, referred
from protogen.problems import Problem, warning

_MOST_LEAVES: Final = 256
"""Combinations of alternatives that are written out; with more, the keyword stays for the validators of SDKs."""

_MAPS: Final = ("properties", "patternProperties", "dependencies")
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLES: Final = ("additionalProperties", "additionalItems", "contains", "propertyNames", "not", "if", "then", "else")


class _Seen(msgspec.Struct, frozen=True):
    """What has been evaluated for certain: members by name and pattern, or the first `places` of an array.

    `everything`: there is nothing left. `matching`: members of an array that fit one of these are evaluated, too.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    places: int = 0
    matching: tuple[Any, ...] = ()
    everything: bool = False

    def with_(self, other: _Seen) -> _Seen:
        """Both together."""
        return _Seen(
            names=tuple(dict.fromkeys((*self.names, *other.names))),
            patterns=tuple(dict.fromkeys((*self.patterns, *other.patterns))),
            places=max(self.places, other.places),
            matching=(*self.matching, *(part for part in other.matching if part not in self.matching)),
            everything=self.everything or other.everything,
        )


class _Choice(msgspec.Struct, frozen=True):
    """Alternatives of which at most one counts, the first that fits: its condition, and what is evaluated then."""

    cases: tuple[tuple[Schema, _Found], ...]
    otherwise: _Found


class _Found(msgspec.Struct, frozen=True):
    """What a schema evaluates: for certain, and as its alternatives go."""

    certain: _Seen = _Seen()
    choices: tuple[_Choice, ...] = ()

    def with_(self, other: _Found) -> _Found:
        """Both together."""
        return _Found(self.certain.with_(other.certain), (*self.choices, *other.choices))


class _TooMany(Exception):
    """More combinations than anybody wants to read."""


def spelled_out(entries: Iterable[NormalSchema]) -> tuple[list[NormalSchema], list[Problem]]:
    """The definitions without the two keywords; a Problem for each that cannot be said without, and stays."""
    entries = list(entries)
    table = {entry.name: entry.schema for entry in entries}
    problems: list[Problem] = []
    made: list[NormalSchema] = []
    for entry in entries:
        speller = _Speller(table, entry.site.draft)
        schema = speller.schema(entry.schema)
        made.append(entry if schema is entry.schema else msgspec.structs.replace(entry, schema=schema))
        problems += [
            warning(
                "PG117",
                f'"{word}" of "{entry.name}" depends on too many combinations to be written out for all validators',
                fix='use "additionalProperties" or "additionalItems", or fewer alternatives; SDKs check it as it is',
                place=entry.site.place(""),
            )
            for word in speller.kept
        ]
    return made, problems


class _Speller:
    """Rewrites the schema of one definition."""

    def __init__(self, table: Mapping[str, Schema], draft: int) -> None:
        self._table = table
        self._draft = draft
        self._leaves = 0
        self.kept: list[str] = []

    def schema(self, schema: Schema) -> Schema:
        """A schema without the two keywords; the very same object where it has none."""
        if not isinstance(schema, dict):
            return schema
        made: dict[str, Any] = {}
        for word, value in schema.items():
            if word in _MAPS:
                parts = {name: part if isinstance(part, list) else self.schema(part) for name, part in value.items()}
                made[word] = parts if any(parts[name] is not value[name] for name in parts) else value
            elif word in _LISTS or (word == "items" and isinstance(value, list)):
                arms = [self.schema(arm) for arm in value]
                made[word] = arms if any(new is not old for new, old in zip(arms, value, strict=True)) else value
            elif word in _SINGLES or word == "items":
                made[word] = self.schema(value)
            else:
                made[word] = value
        idle = schema.get("minContains") == 0 and "maxContains" not in schema
        if all(made[word] is schema[word] for word in schema) and not _WORDS & schema.keys() and not idle:
            return schema
        for word in ("unevaluatedProperties", "unevaluatedItems"):
            if word in schema:
                rest = made.pop(word)
                try:
                    self._add(made, self._written(schema, word))
                except _TooMany:
                    made[word] = rest
                    self.kept.append(word)
        if idle:
            # Nothing need be contained; what would match counts as evaluated, and that has been written out.
            made.pop("minContains")
            made.pop("contains", None)
        return made

    def _add(self, made: dict[str, Any], arm: dict[str, Any]) -> None:
        """Adds a condition to a schema: beside its other keywords where none of them is in the way."""
        if not arm:
            return
        plain = {word for word in arm if word not in ("properties", "patternProperties")}
        if len(plain) == 1 and not plain & made.keys() and not {"allOf", "$ref"} & made.keys():
            known = made.get("properties", {}).keys() | made.get("patternProperties", {}).keys()
            if all(name in known for word in ("properties", "patternProperties") for name in arm.get(word, ())):
                made |= {word: arm[word] for word in plain}
                return
        made["allOf"] = [*made.get("allOf", ()), arm]

    def _written(self, schema: dict[str, Any], word: str) -> dict[str, Any]:
        """The condition that one of the keywords states, as draft-07 says it."""
        rest = self.schema(schema[word])
        if rest is True or rest == {}:
            return {}
        of_objects = word == "unevaluatedProperties"
        found = self._found({key: value for key, value in schema.items() if key != word}, of_objects, frozenset())
        self._leaves = 0
        return self._tree(found.certain, list(found.choices), rest, of_objects)

    # --- what is evaluated --------------------------------------------------------------------------

    def _found(self, schema: Schema, of_objects: bool, trail: frozenset[str]) -> _Found:
        """What a schema that fits has evaluated of an object, or of an array."""
        if not isinstance(schema, dict):
            return _Found()
        name = referred(schema)
        if name is not None:
            if name in trail:
                return _Found()
            return self._found(self._table[name], of_objects, trail | {name})
        found = _Found(self._certain(schema, of_objects))
        for arm in schema.get("allOf", ()):
            found = found.with_(self._found(arm, of_objects, trail))
        for arm in schema.get("anyOf", ()):
            case = (self.schema(arm), self._found(arm, of_objects, trail))
            found = found.with_(_Found(choices=(_Choice((case,), _Found()),)))
        if "oneOf" in schema:
            cases = tuple((self.schema(arm), self._found(arm, of_objects, trail)) for arm in schema["oneOf"])
            found = found.with_(_Found(choices=(_Choice(cases, _Found()),)))
        if "if" in schema:
            then = self._found(schema["if"], of_objects, trail)
            if "then" in schema:
                then = then.with_(self._found(schema["then"], of_objects, trail))
            otherwise = self._found(schema["else"], of_objects, trail) if "else" in schema else _Found()
            found = found.with_(_Found(choices=(_Choice(((self.schema(schema["if"]), then),), otherwise),)))
        for member, part in schema.get("dependencies", {}).items():
            if not isinstance(part, list):
                case = ({"type": "object", "required": [member]}, self._found(part, of_objects, trail))
                found = found.with_(_Found(choices=(_Choice((case,), _Found()),)))
        return found

    def _certain(self, schema: dict[str, Any], of_objects: bool) -> _Seen:
        if of_objects:
            return _Seen(
                names=tuple(schema.get("properties", ())),
                patterns=tuple(schema.get("patternProperties", ())),
                everything="additionalProperties" in schema or "unevaluatedProperties" in schema,
            )
        items = schema.get("items")
        counts = self._draft >= keywords.DRAFT_2020 and "contains" in schema
        return _Seen(
            places=len(items) if isinstance(items, list) else 0,
            matching=(self.schema(schema["contains"]),) if counts else (),
            everything=(items is not None and not isinstance(items, list))
            or "additionalItems" in schema
            or "unevaluatedItems" in schema,
        )

    # --- as conditions ------------------------------------------------------------------------------

    def _tree(self, seen: _Seen, choices: list[_Choice], rest: Schema, of_objects: bool) -> dict[str, Any]:
        """The condition on what is left, for what is certain and each way that the choices may go."""
        if seen.everything:
            return {}
        while choices and not _matters(choices[0], seen):
            choices = choices[1:]
        if not choices:
            self._leaves += 1
            if self._leaves > _MOST_LEAVES:
                raise _TooMany
            return _leaf(seen, rest, of_objects)
        first, others = choices[0], choices[1:]
        made = self._branch(first.otherwise, seen, others, rest, of_objects)
        for condition, found in reversed(first.cases):
            then = self._branch(found, seen, others, rest, of_objects)
            if then == made:
                continue
            tree: dict[str, Any] = {"if": condition}
            if then:
                tree["then"] = then
            if made:
                tree["else"] = made
            made = tree if then or made else {}
        return made

    def _branch(
        self, found: _Found, seen: _Seen, others: list[_Choice], rest: Schema, of_objects: bool
    ) -> dict[str, Any]:
        return self._tree(seen.with_(found.certain), [*found.choices, *others], rest, of_objects)


_WORDS: Final = frozenset(("unevaluatedProperties", "unevaluatedItems"))


def _matters(choice: _Choice, seen: _Seen) -> bool:
    """Whether anything of a choice is not certain anyway."""
    parts = [found for _, found in choice.cases] + [choice.otherwise]
    return any(part.choices or seen.with_(part.certain) != seen for part in parts)


def _leaf(seen: _Seen, rest: Schema, of_objects: bool) -> dict[str, Any]:
    if of_objects:
        made: dict[str, Any] = {}
        if seen.names:
            made["properties"] = {name: {} for name in seen.names}
        if seen.patterns:
            made["patternProperties"] = {pattern: {} for pattern in seen.patterns}
        return {**made, "additionalProperties": rest}
    if seen.matching:
        rest = {"anyOf": [*seen.matching, rest]} if rest is not False else _any_of(seen.matching)
    return {"items": [{} for _ in range(seen.places)], "additionalItems": rest} if seen.places else {"items": rest}


def _any_of(schemas: tuple[Any, ...]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
