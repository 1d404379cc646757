"""Values of a draft-07 schema, good and broken: every branch taken, every keyword broken on its own.

Knows no file and no protocol; a variant's `good` is an intention, the labels are given elsewhere by a validator.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from protogen.samples import patterns
from protogen.samples.checks import Schema, validity
from protogen.samples.merge import merge, without
from protogen.samples.references import definition_name, reference_to
from protogen.samples.scalars import SCALAR_WORDS, scalars
from protogen.samples.stock import (
    ANY,
    KEYS,
    KINDS,
    LONGEST,
    NOTHING,
    Nothing,
    Variant,
    at_path,
    distinct,
    holds,
    kind_of,
    near,
    short,
    thin,
    unlike,
)
from protogen.samples.text import Json, Spelled, read, same, write

Wrap = Callable[[Json], Json]
"""Puts a value into a larger one."""

DEPTH = 2
"""How many references a definition's variants follow before a referenced type is represented by one value."""

_WIDTHS = {DEPTH - 1: 36, 0: 3}
"""How many variants of a referenced definition its user repeats, by references still to follow."""

_CASES = 24
"""Combinations of `anyOf`, `oneOf`, `allOf` and `if` that are tried for one schema."""

_DEEPEST = 24
"""Schemas within schemas whose smallest value is looked for; `contains` of itself makes new ones without end."""

_MOST_WORK = 1_500
"""Schemas looked at for one definition: alternatives within `contains` within alternatives would take for ever."""

_NEST = 24
"""Levels of a recursive value: deeper than any hand-written document, far from every reader's limit."""

_COMBINATORS = ("allOf", "anyOf", "oneOf", "not", "if")

_DOUBTFUL = (*_COMBINATORS, "dependencies", "dependentSchemas", "contains", "propertyNames", "patternProperties")
"""Keywords whose meeting cannot be told while a value is made: a validator decides then."""


class Maker:
    """Makes the variants of one schema document's definitions; keeps what it made, since types share types."""

    def __init__(self, definitions: dict[str, Schema], *, seed: int = 0) -> None:
        """`definitions`: a lowered schema's, requoted; `seed` decides only on strings for patterns and on mixtures."""
        self._definitions = definitions
        self._seed = seed
        self._memo: dict[tuple[str, int], list[Variant]] = {}
        # Keyed by identity, since schemas are dicts; each entry keeps its schema so that no identity is used twice.
        self._checks: dict[int, tuple[Schema, Callable[[Json], bool]]] = {}
        self._flattened: dict[int, tuple[Schema, list[tuple[Schema, str]]]] = {}
        self._smallest: dict[int, tuple[Schema, Json | Nothing]] = {}
        self._bases: dict[str, Json] = {}
        self._searching = False
        self._depth = 0
        self._work = _MOST_WORK
        self._settle_bases()

    def _settle_bases(self) -> None:
        """A smallest value of every definition, built from those that need fewer others first."""
        waiting = list(self._definitions)
        while waiting:
            self._work = _MOST_WORK * len(waiting)
            built = {name: self._base(self._definitions[name]) for name in waiting}
            found = {name: value for name, value in built.items() if value is not NOTHING}
            if not found:
                return
            self._bases.update(found)
            waiting = [name for name in waiting if name not in found]
            self._smallest.clear()
            self._memo.clear()

    # --- validity of parts ---------------------------------------------------------------------

    def _valid(self, schema: Schema, value: Json) -> bool:
        known = self._checks.get(id(schema))
        if known is None:
            known = (schema, validity(schema, self._definitions))
            self._checks[id(schema)] = known
        return known[1](read(write(value)))

    # --- smallest values -----------------------------------------------------------------------

    def _base(self, schema: Schema) -> Json | Nothing:
        if isinstance(schema, dict) and "$ref" in schema:
            return self._bases.get(definition_name(schema["$ref"]), NOTHING)
        known = self._smallest.get(id(schema))
        if known is None:
            self._smallest[id(schema)] = (schema, NOTHING)  # what a schema that needs itself finds
            known = self._smallest[id(schema)] = (schema, self._find_base(schema))
        return known[1]

    def _find_base(self, schema: Schema) -> Json | Nothing:
        self._work -= 1
        if self._depth == _DEEPEST or self._work < 0:
            return NOTHING
        self._depth += 1
        try:
            return self._first_base(schema)
        finally:
            self._depth -= 1

    def _first_base(self, schema: Schema) -> Json | Nothing:
        for case, _ in self._cases(schema):
            value = self._flat_base(case)
            if value is not NOTHING and (not _has(schema, _DOUBTFUL) or self._valid(schema, value)):
                return value
        return self._search_base(schema)

    def _search_base(self, schema: Schema) -> Json | Nothing:
        """A value that fits one alternative alone where the smallest values of the alternatives fit several."""
        if self._searching or not _has(schema, _DOUBTFUL):
            return NOTHING
        self._searching = True  # a search within a search would never end for recursive types
        try:
            options = (item.value for case, _ in self._cases(schema) for item in self.variants(case, DEPTH - 1))
            return next((value for value in options if self._valid(schema, value)), NOTHING)
        finally:
            self._searching = False

    def _flat_base(self, schema: Schema) -> Json | Nothing:
        if isinstance(schema, bool):
            return "text" if schema else NOTHING
        if "$ref" in schema:
            return self._bases.get(definition_name(schema["$ref"]), NOTHING)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return next((item.value for item in self._listed(schema) if item.good), NOTHING)
        for kind in sorted(_types(schema), key=lambda kind: kind == "null"):
            value = self._base_of(kind, schema)
            if value is not NOTHING:
                return value
        return NOTHING

    def _base_of(self, kind: str, schema: dict[str, Any]) -> Json | Nothing:
        match kind:
            case "object":
                return self._object_base(schema)
            case "array":
                return self._array_base(schema)
            case "integer" | "number" | "string":
                return next((variant.value for variant in self._scalars(kind, schema) if variant.good), NOTHING)
            case "boolean":
                return True
            case _:
                return None

    def _object_base(self, schema: dict[str, Any]) -> Json | Nothing:
        value: dict[str, Json] = {}
        for key in schema.get("required", ()):
            member = self._base(_member_schema(schema, key))
            if member is NOTHING:
                return NOTHING
            value[key] = member
        spare = itertools.chain(schema.get("properties", {}), self._names(schema))
        while len(value) < min(schema.get("minProperties", 0), LONGEST):
            name = next((key for key in spare if key not in value), None)
            if name is None:
                return NOTHING
            member = self._base(_member_schema(schema, name))
            if member is not NOTHING:
                value[name] = member
        return value

    def _array_base(self, schema: dict[str, Any]) -> Json | Nothing:
        wanted = min(schema.get("minItems", 0), LONGEST)
        if "contains" in schema:
            wanted = max(wanted, schema.get("minContains", 1))
        value: list[Json] = []
        for at in range(wanted):
            item = _item_schema(schema, at)
            if "contains" in schema and at < max(1, schema.get("minContains", 1)):
                item = merge(item, schema["contains"], self._definitions)
            if schema.get("uniqueItems"):
                member = next((other for other in self._distinct(item, at + 1) if not holds(value, other)), NOTHING)
            else:
                member = self._base(item)
            if member is NOTHING:
                return NOTHING
            value.append(member)
        return value

    def _distinct(self, schema: Schema, count: int) -> list[Json]:
        """Values of a schema, no two of them the same JSON value; more than `count` where there are."""
        found: list[Json] = []
        for variant in self.variants(schema, 0):
            if variant.good and not holds(found, variant.value):
                found.append(variant.value)
        kinds = set(_types(schema)) if isinstance(schema, dict) else {"integer"}
        for number in range(count * 2 if kinds & {"integer", "number", "string"} else 0):
            value = f"text{number}" if "string" in kinds else number
            if self._valid(schema, value) and not holds(found, value):
                found.append(value)
        return found

    # --- flattening combinators ----------------------------------------------------------------

    def _cases(self, schema: Schema) -> list[tuple[Schema, str]]:
        """The schema without combinators, once for each way of meeting them, and which way that is."""
        known = self._flattened.get(id(schema))
        if known is None:
            cases = list(itertools.islice(self._expand(schema, 0), _CASES))
            known = self._flattened[id(schema)] = (schema, cases)
        return known[1]

    def _expand(self, schema: Schema, steps: int) -> Iterator[tuple[Schema, str]]:
        if isinstance(schema, bool) or "$ref" in schema or steps > 16:
            yield schema, ""
            return
        for word in ("anyOf", "oneOf"):
            if word in schema:
                rest = without(schema, word)
                for at, arm in enumerate(schema[word]):
                    for case, way in self._expand(merge(rest, arm, self._definitions), steps + 1):
                        yield case, at_path(f"{word}[{at}]", way)
                return
        if "allOf" in schema:
            whole: Schema = without(schema, "allOf")
            for part in schema["allOf"]:
                whole = merge(whole, part, self._definitions)
            yield from self._expand(whole, steps + 1)
            return
        if "if" in schema:
            yield from self._conditional(schema, steps)
            return
        if "not" in schema:
            yield from self._expand(without(schema, "not"), steps + 1)
            return
        yield schema, ""

    def _conditional(self, schema: dict[str, Any], steps: int) -> Iterator[tuple[Schema, str]]:
        rest = without(schema, "if", "then", "else")
        met = merge(rest, schema["if"], self._definitions)
        for case, way in self._expand(merge(met, schema.get("then", True), self._definitions), steps + 1):
            yield case, at_path("then", way)
        for case, way in self._expand(merge(rest, schema.get("else", True), self._definitions), steps + 1):
            yield case, at_path("else", way)

    def _clashes(self, schema: dict[str, Any]) -> Iterator[tuple[Schema, str]]:
        """Schemas whose values break a combinator of `schema` itself."""
        if "oneOf" in schema:
            rest = without(schema, "oneOf")
            for (left, one), (right, other) in itertools.islice(
                itertools.combinations(enumerate(schema["oneOf"]), 2), _CASES
            ):
                both = merge(merge(rest, one, self._definitions), other, self._definitions)
                yield both, f"oneOf[{left}] and [{right}] at once"
        if "not" in schema:
            yield merge(without(schema, "not"), schema["not"], self._definitions), "what not forbids"
        if "if" in schema:
            rest = without(schema, "if", "then", "else")
            yield merge(rest, schema["if"], self._definitions), "if without then"
            yield rest, "neither if nor else"

    # --- variants ------------------------------------------------------------------------------

    def definition(self, name: str, level: int = DEPTH) -> list[Variant]:
        """The variants of a definition, following `level` references; the first good one is the smallest."""
        known = self._memo.get((name, level))
        if known is None:
            if level == DEPTH:
                self._work = _MOST_WORK
            known = self._memo[name, level] = self._definition(name, level)
        return known

    def _definition(self, name: str, level: int) -> list[Variant]:
        schema = self._definitions[name]
        base = self._bases.get(name, NOTHING)
        if level <= 0:
            good = [] if base is NOTHING else [Variant(base, "", True)]
            return [*good, *unlike(self._kinds(schema), ())[:2]]
        found = self.variants(schema, level + 1 if _resolves(schema) else level)
        if level == DEPTH:
            found = [*found, *self._nested(name)]
        return found

    def variants(self, schema: Schema, level: int) -> list[Variant]:
        """The variants of a schema; of a reference, a selection of the definition's."""
        if isinstance(schema, bool):
            return self._flat(schema, level)
        self._work -= 1
        if self._work < 0:
            return _alone(self._base(schema))
        if "$ref" in schema:
            name = definition_name(schema["$ref"])
            return thin(self.definition(name, level - 1), _WIDTHS.get(level - 1, _WIDTHS[0]))
        found = self._ways(schema, level) if _has(schema, _COMBINATORS) else self._flat(schema, level)
        if not _has(schema, _DOUBTFUL):
            return found
        return [Variant(item.value, item.note, self._valid(schema, item.value)) for item in distinct(found)]

    def _ways(self, schema: dict[str, Any], level: int) -> list[Variant]:
        """The variants of each way to meet the schema's combinators, and values that break one of them."""
        found: list[Variant] = []
        # A reference that was resolved into a case counts as followed, or a recursive one would never end.
        inner_level = level - 1 if _resolves(schema) else level
        for case, way in self._cases(schema):
            if isinstance(case, dict) and "$ref" in case:
                inner = self.variants(case, level)
            elif inner_level >= 0:
                inner = self._flat(case, inner_level)
            else:
                inner = _alone(self._base(case))
            found.extend(Variant(item.value, at_path(way, item.note), item.good) for item in inner)
        for case, way in self._clashes(schema):
            found.extend(Variant(item.value, way, False) for item in _alone(self._base(case)))
        return found

    def _flat(self, schema: Schema, level: int) -> list[Variant]:
        if isinstance(schema, bool):
            return [Variant(value, note, schema) for note, value in (ANY if schema else ANY[:4])]
        if "$ref" in schema:
            return self.variants(schema, level)
        if "const" in schema or "enum" in schema:
            return self._listed(schema)
        kinds = _types(schema)
        if "type" not in schema and not any(_has(schema, words) for words in _CONSTRAINTS.values()):
            return [Variant(value, note, True) for note, value in ANY]
        found: list[Variant] = []
        for kind in kinds:
            match kind:
                case "object":
                    found.extend(self._objects(schema, level))
                case "array":
                    found.extend(self._arrays(schema, level))
                case "string" | "number" | "integer":
                    found.extend(self._scalars(kind, schema))
                case _:
                    found.extend(Variant(value, kind, True) for value in KINDS[kind])
        base = next((item.value for item in found if item.good), NOTHING)
        return [*found, *unlike(kinds, () if base is NOTHING else ([base],))]

    def _kinds(self, schema: Schema) -> list[str]:
        if isinstance(schema, bool) or _has(schema, (*_COMBINATORS, "$ref")):
            return list(KINDS)
        listed = [schema["const"]] if "const" in schema else schema.get("enum")
        return [kind_of(value) for value in listed] if listed is not None else _types(schema)

    def _listed(self, schema: dict[str, Any]) -> list[Variant]:
        word = "const" if "const" in schema else "enum"
        values = [schema["const"]] if word == "const" else schema["enum"]
        check = validity({key: schema[key] for key in schema if key in SCALAR_WORDS}, {})
        found = [Variant(value, f"{word} {short(value)}", check(value)) for value in values]
        for value in values:
            for other, note in near(value):
                plain = read(write(other))
                if not any(same(plain, listed) for listed in values):
                    found.append(Variant(other, f"{word}: {note}", False))
                elif isinstance(other, Spelled):
                    found.append(Variant(other, f"{word}: {note}", True))
            if len(found) > 3 * len(values) + 12:
                break
        found.append(Variant("", f"{word}: empty text", any(value == "" for value in values)))
        found.extend(unlike([kind_of(value) for value in values], ([values[0]],) if values else ()))
        return distinct(found)

    def _scalars(self, kind: str, schema: dict[str, Any]) -> list[Variant]:
        leaf = {key: schema[key] for key in schema if key in SCALAR_WORDS}
        return list(scalars(kind, json.dumps(leaf, sort_keys=True), self._seed))

    def _arrays(self, schema: dict[str, Any], level: int) -> list[Variant]:
        base = self._array_base(schema)
        if base is NOTHING:
            return []
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        unique = bool(schema.get("uniqueItems"))
        found = [Variant(base, "array of the least length", True)]
        longest = high if high is not None and high <= 64 else low + 3
        grown: list[Json] = list(base)
        while len(grown) <= longest:
            options = self._distinct(_item_schema(schema, len(grown)), len(grown) + 1)
            fresh = [option for option in options if not holds(grown, option)] if unique else options
            if not fresh:
                break
            grown = [*grown, fresh[0]]
            if len(grown) in (low + 1, low + 2, longest):
                found.append(Variant(grown, f"{len(grown)} items", True))
            elif high is not None and len(grown) == high + 1:
                found.append(Variant(grown, "maxItems exceeded", False))
        if low > 0:
            found.append(Variant(base[: low - 1], "minItems missed", False))
            found.append(Variant([], "no items", False))
        tuple_length = len(schema["items"]) if isinstance(schema.get("items"), list) else 0
        for at in range(max(tuple_length + 1, 1)):
            found.extend(self._items(schema, base, at, level, unique=unique))
        if unique:
            found.extend(_repeated(grown))
        if "contains" in schema:
            wrong = [item.value for item in self.variants(schema["contains"], 0) if not item.good]
            found.extend(Variant([value] * max(low, 1), "contains not met", False) for value in wrong[:3])
        if tuple_length and schema.get("additionalItems") is False:
            full = [self._base(_item_schema(schema, at)) for at in range(tuple_length)]
            if NOTHING not in full:
                found.append(Variant([*full, None], "additionalItems", False))
        return found

    def _items(
        self, schema: dict[str, Any], base: list[Json], at: int, level: int, *, unique: bool
    ) -> Iterator[Variant]:
        """The array with each variant of one item in place `at`, filled up before and after."""
        item_schema = _item_schema(schema, at)
        if item_schema is False:
            return
        before = [base[i] if i < len(base) else self._base(_item_schema(schema, i)) for i in range(at)]
        if NOTHING in before:
            return
        after = base[at + 1 :]
        other = self._base(_item_schema(schema, at + 1))
        room = schema.get("maxItems", LONGEST) > len(before) + 1 + len(after)
        for variant in self.variants(item_schema, level):
            value = [*before, variant.value, *after]
            if unique and holds([*before, *after], variant.value):
                continue
            yield Variant(value, at_path(f"[{at}]", variant.note), variant.good)
            if not variant.good and room and not unique and at == 0 and other is not NOTHING:
                yield Variant([*before, other, variant.value], at_path("[last]", variant.note), False)

    def _objects(self, schema: dict[str, Any], level: int) -> list[Variant]:
        base = self._object_base(schema)
        if base is NOTHING:
            return []
        properties: dict[str, Schema] = schema.get("properties", {})
        required: list[str] = schema.get("required", [])
        whole = dict(base)
        for key, member in properties.items():
            value = self._base(member)
            if key not in whole and value is not NOTHING:
                whole[key] = value
        found = [Variant(base, "only what is required", True)]
        if len(whole) > len(base):
            found.append(Variant(whole, "everything present", True))
            found.append(Variant(dict(reversed(list(whole.items()))), "everything present, last first", True))
        for key in required:
            found.append(Variant({name: base[name] for name in base if name != key}, f"{key} missing", False))
            if len(whole) > len(base):
                found.append(
                    Variant({name: whole[name] for name in whole if name != key}, f"only {key} missing", False)
                )
        for key, member in properties.items():
            needed = self._needed(schema, key)
            found.extend(
                Variant({**base, key: variant.value, **needed}, at_path(key, variant.note), variant.good)
                for variant in self.variants(member, level)
            )
        found.extend(self._unknown(schema, base, level))
        found.extend(self._sizes(schema, base, whole))
        return found

    def _needed(self, schema: dict[str, Any], key: str) -> dict[str, Json]:
        """The members that must come with `key` so that only its own value can be at fault."""
        names = [schema[word][key] for word in ("dependencies", "dependentRequired") if key in schema.get(word, {})]
        listed = [name for entry in names if isinstance(entry, list) for name in entry if name != key]
        members = {name: self._base(_member_schema(schema, name)) for name in listed}
        return {name: value for name, value in members.items() if value is not NOTHING}

    def _unknown(self, schema: dict[str, Any], base: dict[str, Json], level: int) -> Iterator[Variant]:
        """The object with members that `properties` does not name."""
        extra = schema.get("additionalProperties", True)
        properties = schema.get("properties", {})
        name = next((name for name in self._names(schema) if name not in properties), "unknown")
        full = len(base) >= schema.get("maxProperties", LONGEST)
        if extra is True or extra == {}:
            for note, value in ANY[:6] if properties else ANY:
                yield Variant({**base, name: value}, f"unknown member: {note}", not full)
            for key in itertools.islice(properties, 2):
                if key.swapcase() not in properties:
                    yield Variant({**base, key.swapcase(): [None]}, f"member named {key.swapcase()}", not full)
        elif extra is False:
            if not schema.get("patternProperties"):
                yield Variant({**base, "unknown": 1}, "unknown member where closed", False)
            for key in itertools.islice(properties, 1):
                yield Variant({**base, key.swapcase(): base.get(key)}, f"member named {key.swapcase()}", False)
        else:
            for variant in self.variants(extra, level):
                yield Variant({**base, name: variant.value}, at_path(name, variant.note), variant.good and not full)
        filler = self._base(extra)
        if "propertyNames" not in schema and not schema.get("patternProperties"):
            for key in KEYS:
                if filler is not NOTHING and key not in properties:
                    yield Variant({**base, key: filler}, f"member named {short(key)}", not full)
                elif extra is False:
                    yield Variant({**base, key: 1}, f"member named {short(key)} where closed", False)
        for pattern, member in schema.get("patternProperties", {}).items():
            matching = [key for key in patterns.matching(pattern, self._rng(pattern)) if key not in properties]
            for variant in self.variants(member, level) if matching else ():
                note = at_path(f"patternProperties {pattern}", variant.note)
                yield Variant({**base, matching[0]: variant.value}, note, variant.good and not full)
            for key in matching[1:]:
                value = self._base(_member_schema(schema, key))
                if value is not NOTHING:
                    yield Variant({**base, key: value}, f"member named {short(key)}", not full)
            for key in ("zzz", "0", ""):
                yield Variant(
                    {**base, key: filler if filler is not NOTHING else 1}, f"member named {short(key)}", False
                )
        if "propertyNames" in schema:
            for variant in self.variants(schema["propertyNames"], min(level, 1)):
                if isinstance(variant.value, str) and variant.value not in base and filler is not NOTHING:
                    note = f"propertyNames: {variant.note}"
                    yield Variant({**base, variant.value: filler}, note, variant.good and not full)

    def _sizes(self, schema: dict[str, Any], base: dict[str, Json], whole: dict[str, Json]) -> Iterator[Variant]:
        """The object with as many members as are allowed, one more, one fewer; and broken dependencies."""
        low, high = schema.get("minProperties", 0), schema.get("maxProperties", LONGEST)
        if low:
            for key in list(base)[:2]:
                yield Variant({name: base[name] for name in base if name != key}, "minProperties missed", False)
            yield Variant({}, "no members", False)
        if high <= 64:
            grown = dict(whole)
            for name in self._names(schema):
                if len(grown) > high:
                    break
                value = self._base(_member_schema(schema, name))
                if value is not NOTHING:
                    grown[name] = value
            if len(grown) > high:
                kept = [name for name in grown if name in base] + [name for name in grown if name not in base]
                yield Variant({name: grown[name] for name in kept[:high]}, "maxProperties met", True)
                yield Variant({name: grown[name] for name in kept[: high + 1]}, "maxProperties exceeded", False)
        for word in ("dependencies", "dependentRequired", "dependentSchemas"):
            for key, needed in schema.get(word, {}).items():
                value = self._base(_member_schema(schema, key))
                if value is NOTHING:
                    continue
                yield Variant({**base, key: value}, f"{word}: {key} alone", False)
                yield Variant(whole | {key: value}, f"{word}: {key} with the rest", True)
                if isinstance(needed, list):
                    others = {name: self._base(_member_schema(schema, name)) for name in needed}
                    if NOTHING not in others.values():
                        yield Variant({**base, key: value, **others}, f"{word}: {key} and its needs", True)
                        for name in needed:
                            part = {other: others[other] for other in others if other != name}
                            yield Variant({**base, key: value, **part}, f"{word}: {key} without {name}", False)

    def _names(self, schema: dict[str, Any]) -> Iterator[str]:
        """Names for members that `properties` does not list, endless where nothing restricts them."""
        if "propertyNames" in schema:
            for variant in self.variants(schema["propertyNames"], 1):
                if variant.good and isinstance(variant.value, str):
                    yield variant.value
            return
        if schema.get("additionalProperties", True) is False:
            for pattern in schema.get("patternProperties", {}):
                yield from patterns.matching(pattern, self._rng(pattern), count=24)
            return
        yield "x-unknown"
        yield from (f"key{number}" for number in itertools.count(1))

    def _rng(self, *words: str) -> random.Random:
        return random.Random(":".join((str(self._seed), *words)))

    # --- recursive values and random mixtures --------------------------------------------------

    def _nested(self, name: str) -> Iterator[Variant]:
        """A definition that holds itself, many levels deep: whole, and broken at the innermost level."""
        base = self._bases.get(name, NOTHING)
        if base is NOTHING:
            return
        wrong = next((item for item in self.definition(name, 1) if not item.good), None)
        for note, wrap in itertools.islice(self._wrappers({"$ref": reference_to(name)}, name, 2), 3):
            value = base
            for _ in range(_NEST):
                value = wrap(value)
            yield Variant(value, f"{_NEST} levels of {note}", True)
            if wrong is not None:
                value = wrong.value
                for _ in range(_NEST):
                    value = wrap(value)
                yield Variant(value, f"{_NEST} levels of {note}, innermost {wrong.note}", False)

    def _wrappers(self, schema: Schema, name: str, hops: int) -> Iterator[tuple[str, Wrap]]:
        """Ways to put a value of definition `name` into a value of `schema`."""
        if isinstance(schema, dict) and "$ref" in schema:
            if hops == 0:
                return
            schema = self._definitions[definition_name(schema["$ref"])]
            hops -= 1
        if _resolves(schema):
            if hops == 0:
                return
            hops -= 1
        for case, _ in self._cases(schema):
            if isinstance(case, bool):
                continue
            if "$ref" in case:
                yield from self._wrappers(case, name, hops)
                continue
            if "object" in _types(case):
                yield from self._member_wrappers(case, name, hops)
            items = case.get("items")
            if "array" in _types(case) and isinstance(items, dict) and case.get("minItems", 0) <= 1:
                for note, wrap in self._holders(items, name, hops):
                    yield at_path("[0]", note), _in_array(wrap)

    def _member_wrappers(self, schema: dict[str, Any], name: str, hops: int) -> Iterator[tuple[str, Wrap]]:
        base = self._object_base(schema)
        if base is NOTHING:
            return
        members: dict[str, Schema] = dict(schema.get("properties", {}))
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            members["x-unknown"] = extra
        for key, member in members.items():
            for note, wrap in self._holders(member, name, hops):
                yield at_path(key, note), _in_object(base, key, wrap)

    def _holders(self, schema: Schema, name: str, hops: int) -> Iterator[tuple[str, Wrap]]:
        if isinstance(schema, dict) and schema.get("$ref") == reference_to(name):
            yield "", lambda inner: inner
            return
        arms = [case for case, _ in self._cases(schema)]
        if any(isinstance(case, dict) and case.get("$ref") == reference_to(name) for case in arms):
            yield "", lambda inner: inner
            return
        yield from self._wrappers(schema, name, hops)

    def mixtures(self, name: str, count: int, *, turn: int = 0) -> Iterator[Variant]:
        """Up to `count` random combinations of a definition's variants, seeded; fewer for types without members."""
        rng = self._rng("mixtures", name, str(turn))
        pool = self.definition(name)
        goods = [item for item in pool if item.good and isinstance(item.value, dict)]
        bads = [item for item in pool if not item.good and isinstance(item.value, dict)]
        if len(goods) < 2:
            return
        for _ in range(count):
            parts = rng.sample(goods, min(len(goods), rng.randint(2, 5)))
            good = not bads or rng.random() < 0.5
            if not good:
                parts.append(rng.choice(bads))
            members = [pair for part in parts for pair in part.value.items()]
            if rng.random() < 0.3:
                rng.shuffle(members)
            yield Variant(dict(members), "mixture: " + "; ".join(part.note for part in parts), good)


_CONSTRAINTS = {
    "object": (
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
    ),
    "array": ("items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "patterns", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def _in_array(wrap: Wrap) -> Wrap:
    return lambda inner: [wrap(inner)]


def _in_object(base: dict[str, Json], key: str, wrap: Wrap) -> Wrap:
    return lambda inner: {**base, key: wrap(inner)}


def _alone(value: Json | Nothing) -> list[Variant]:
    return [] if value is NOTHING else [Variant(value, "", True)]


def _has(schema: Schema, words: Iterable[str]) -> bool:
    return isinstance(schema, dict) and any(word in schema for word in words)


def _resolves(schema: Schema) -> bool:
    """Whether flattening the schema puts the text of a referenced definition in its place."""
    if not isinstance(schema, dict):
        return False
    arms = [arm for word in ("allOf", "anyOf", "oneOf") for arm in schema.get(word, ())]
    arms.extend(schema[word] for word in ("if", "then", "else", "not") if word in schema)
    return any(_has(arm, ("$ref",)) or _resolves(arm) for arm in arms)


def _types(schema: Schema) -> list[str]:
    """The JSON types a schema names, or all of them, those it constrains first."""
    if isinstance(schema, bool):
        return []
    if "type" in schema:
        named = schema["type"]
        return [named] if isinstance(named, str) else list(named)
    kinds = [kind for kind in KINDS if kind != "integer"]
    return sorted(kinds, key=lambda kind: not _has(schema, _CONSTRAINTS.get(kind, ())))


def _member_schema(schema: dict[str, Any], key: str) -> Schema:
    properties: dict[str, Schema] = schema.get("properties", {})
    if key in properties:
        return properties[key]
    for pattern, member in schema.get("patternProperties", {}).items():
        if validity({"pattern": pattern}, {})(key):
            found: Schema = member
            return found
    extra: Schema = schema.get("additionalProperties", True)
    return extra


def _item_schema(schema: dict[str, Any], at: int) -> Schema:
    items = schema.get("items", True)
    if not isinstance(items, list):
        return items if isinstance(items, dict | bool) else True
    found: Schema = items[at] if at < len(items) else schema.get("additionalItems", True)
    return found


def _repeated(items: list[Json]) -> Iterator[Variant]:
    """Arrays in which two items are the same JSON value."""
    if not items:
        return
    first = items[0]
    yield Variant([*items, first], "uniqueItems: an item twice", False)
    yield Variant([first, first], "uniqueItems: two of a kind", False)
    if isinstance(first, int) and not isinstance(first, bool):
        yield Variant([first, Spelled(f"{first}.0")], "uniqueItems: one number, two spellings", False)
    if isinstance(first, dict):
        turned = dict(reversed(list(first.items())))
        yield Variant([first, turned], "uniqueItems: one object, other order", False)
