"""Costs: a bound of the work that a draft-07 schema can ask for, known before any is done.

A schema of a few lines can ask for more evaluations than there are atoms: each of thirty definitions uses the next one
twice. So the number of evaluations is bounded from the shape of the schema and the size of the value. Knows nothing of
what values are valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias, TypeGuard
from urllib.parse import unquote

import msgspec

from protogen_runtime.apflow.rules.faults import Path

from .contract import Json, JsonObject
from .patterns import weight
from .shapes import is_array, is_object

MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 64
"""Levels of subschemas within each other."""
MAX_COST: Final = 5_000_000
"""Evaluations of one check: some 50 ns each, if a schema is made to need all that it may."""
MAX_STATES: Final = 2000
"""States of all patterns: compiling one takes some 10 microseconds."""
MAX_PATTERNS: Final = 100
MAX_DFA_BYTES: Final = 128 * 1024
"""What one pattern may keep of the states that it met; it makes them anew when they no longer fit."""
MAX_MATCHING: Final = 1_000_000
"""Steps of matching patterns, characters times states: some 20 ns each, where every character makes a new state."""
_MAX_VISITS: Final = 50_000
"""Texts, and what holds them, that may be held to patterns."""
_MAX_STEPS: Final = 12_000
"""Steps of estimating itself, some microseconds each."""
_MAX_LEVELS: Final = 128
_USUAL_LEVELS: Final = 8
_DIALECTS: Final = tuple(
    f"{scheme}://json-schema.org/draft-07/schema{end}" for scheme in ("http", "https") for end in ("", "#")
)

Schema: TypeAlias = JsonObject | bool


class BadSchema(Exception):
    """A schema that is none, or asks for too much. `path` leads to the place in it."""

    def __init__(self, reason: str, path: Path = (), *, expected: Json = "a draft-07 schema") -> None:
        self.reason = reason
        self.path = path
        self.expected = expected
        super().__init__(f"its input schema{''.join(f'/{part}' for part in path)}: {reason}; expected: {expected}")


class Size(msgspec.Struct, frozen=True):
    """How large a value is: values in it (names of members included) and levels."""

    nodes: int
    height: int


class Needs(msgspec.Struct):
    """What evaluating a subschema takes: its evaluations of one value, with all that it applies to the same value; the
    states of their patterns; and how often which others are applied to one member (`named`), or to any (`each`).
    """

    evaluations: int = 1
    states: int = 0
    named: dict[str, dict[int, int]] = msgspec.field(default_factory=dict[str, dict[int, int]])
    each: dict[int, int] = msgspec.field(default_factory=dict[int, int])


class Cost:
    """How much work a schema can ask for. Raises BadSchema for what is beyond all bounds, or refers elsewhere."""

    def __init__(self, schema: Json) -> None:
        if not _is_schema(schema):
            raise BadSchema("Not a draft-07 schema", expected="an object, or true or false")
        self._root: Schema = schema
        self._steps = 0
        self._states = 0
        self._patterns = 0
        self._schemas: dict[int, Schema] = {}
        self._needs: dict[int, Needs] = {}
        self._open: set[int] = set()
        self._check(schema, (), 0)
        self._reach(schema)
        self._matching = self._leading_to_patterns()
        # For values without members; each further entry for values of one level more.
        self._levels = [{key: needs.evaluations for key, needs in self._needs.items()}]
        self._fixed = False
        # A schema that does not refer to itself looks no deeper than this.
        self._level(_USUAL_LEVELS)
        self._depth = len(self._levels) if self._fixed else None

    @property
    def held_bytes(self) -> int:
        """About how much memory the compiled schema takes."""
        return self._steps * 500 + self._states * 1000 + self._patterns * MAX_DFA_BYTES

    def of(self, value: Json) -> int | None:
        """An upper bound of the evaluations for a value; None where they, or the matching, are beyond the budget."""
        size = measure(value, levels=self._depth)
        level = self._level(size.height)
        if level is None:
            return None
        cost = level[id(self._root)] * size.nodes
        return cost if cost <= MAX_COST and self._can_match(value) else None

    def _level(self, height: int) -> dict[int, int] | None:
        """The evaluations along the way from the root of a value to one of its leaves, for values of a height."""
        edges = sum(len(needs.each) + sum(map(len, needs.named.values())) + 1 for needs in self._needs.values())
        while len(self._levels) <= height and not self._fixed:
            if len(self._levels) >= min(_MAX_LEVELS, 30 * _MAX_STEPS // edges):
                return None
            below = self._levels[-1]
            level = {key: self._above(needs, below) for key, needs in self._needs.items()}
            if level == below:
                self._fixed = True
            elif level[id(self._root)] > MAX_COST:
                return None
            else:
                self._levels.append(level)
        return self._levels[min(height, len(self._levels) - 1)]

    @staticmethod
    def _above(needs: Needs, below: dict[int, int]) -> int:
        def of(applied: dict[int, int]) -> int:
            return sum(times * below[key] for key, times in applied.items())

        # No member has two names, so of those applied by name the dearest counts.
        return needs.evaluations + of(needs.each) + max(map(of, needs.named.values()), default=0)

    def _can_match(self, value: Json) -> bool:
        """Whether the patterns that may be held to the texts of a value are within the budget."""
        steps = visits = 0
        pending: list[tuple[int, Json, int]] = [(id(self._root), value, 1)]
        while pending:
            key, item, times = pending.pop()
            if key not in self._matching:
                continue
            visits += 1
            needs = self._needs[key]
            if isinstance(item, str):
                steps += times * needs.states * len(item)
            elif is_object(item):
                for name, member in item.items():
                    steps += times * needs.states * len(name)
                    for inner, count in (*needs.each.items(), *needs.named.get(name, {}).items()):
                        # What is applied to each may be for the names themselves.
                        pending += [(inner, member, times * count), (inner, name, times * count)]
            elif is_array(item):
                pending += [(inner, member, times * count) for inner, count in needs.each.items() for member in item]
            if steps > MAX_MATCHING or visits + len(pending) > _MAX_VISITS:
                return False
        return True

    def _leading_to_patterns(self) -> set[int]:
        above: dict[int, list[int]] = {}
        for key, needs in self._needs.items():
            for applied in (needs.each, *needs.named.values()):
                for inner in applied:
                    above.setdefault(inner, []).append(key)
        found: set[int] = set()
        pending = [key for key, needs in self._needs.items() if needs.states]
        while pending:
            key = pending.pop()
            if key not in found:
                found.add(key)
                pending += above.get(key, [])
        return found

    def _reach(self, root: Schema) -> None:
        pending = [root]
        while pending:
            schema = pending.pop()
            if id(schema) in self._needs:
                continue
            needs = self._needs_of(schema, 0)
            for applied in (needs.each, *needs.named.values()):
                pending += [self._schemas[key] for key in applied if key not in self._needs]

    def _needs_of(self, schema: Schema, depth: int) -> Needs:
        """What a subschema needs, with those that it applies to the same value."""
        key = id(schema)
        if key in self._needs:
            return self._needs[key]
        if key in self._open:
            raise BadSchema("A reference leads back to itself")
        if depth > 4 * MAX_DEPTH:
            raise BadSchema("Nested too deep", expected=f"at most {MAX_DEPTH} levels")
        self._open.add(key)
        self._schemas[key] = schema
        needs = self._own(schema)
        for inner in self._same_value(schema):
            found = self._needs_of(inner, depth + 1)
            needs.evaluations += found.evaluations
            needs.states += found.states
            self._merge(needs.each, found.each)
            for name, applied in found.named.items():
                self._merge(needs.named.setdefault(name, {}), applied)
            if needs.evaluations > MAX_COST:
                raise BadSchema("Asks for too much work")
        self._open.discard(key)
        self._needs[key] = needs
        return needs

    def _own(self, schema: Schema) -> Needs:
        needs = Needs()
        if isinstance(schema, bool) or not schema or "$ref" in schema:
            # Beside a reference other keywords are ignored (draft-07, section 8.3).
            return needs
        for name, value in schema.items():
            if name in ("enum", "const"):
                needs.evaluations += measure(value).nodes
            elif name in _COUNTED and (is_array(value) or is_object(value)):
                needs.evaluations += len(value)
        needs.states = _states(schema)
        for name, inner in _members(schema, "properties").items():
            self._apply(needs.named.setdefault(name, {}), inner)
        for inner in self._any_member(schema):
            self._apply(needs.each, inner)
        return needs

    def _apply(self, applied: dict[int, int], schema: Json) -> None:
        self._spend(1)
        if _is_schema(schema):
            self._schemas[id(schema)] = schema
            applied[id(schema)] = applied.get(id(schema), 0) + 1

    def _merge(self, into: dict[int, int], other: dict[int, int]) -> None:
        self._spend(len(other) + 1)
        for key, times in other.items():
            into[key] = into.get(key, 0) + times

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise BadSchema("Asks for too much work")

    def _same_value(self, schema: Schema) -> Iterator[Schema]:
        """The subschemas that are applied to the value itself."""
        if isinstance(schema, bool):
            return
        if "$ref" in schema:
            yield self._resolve(schema["$ref"])
            return
        for name, inner in schema.items():
            if name in ("allOf", "anyOf", "oneOf"):
                yield from _schemas(inner)
            elif name in ("not", "if", "then", "else"):
                yield from _schemas([inner])
            elif name == "dependencies":
                yield from _schemas(inner)

    @staticmethod
    def _any_member(schema: JsonObject) -> Iterator[Schema]:
        """The subschemas that are applied to members and items, whatever their name."""
        for name, inner in schema.items():
            if name in ("additionalProperties", "propertyNames", "additionalItems", "contains"):
                yield from _schemas([inner])
            elif name == "patternProperties":
                yield from _schemas(inner)
            elif name == "items":
                yield from _schemas(inner if is_array(inner) else [inner])

    def _resolve(self, reference: Json) -> Schema:
        found: Json = self._root
        for part in str(reference).removeprefix("#").split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if is_array(found) and name.isascii() and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            elif is_object(found) and name in found:
                found = found[name]
            else:
                raise BadSchema("A reference leads nowhere", expected=f"something at {str(reference)[:200]}")
        if not _is_schema(found):
            raise BadSchema("A reference leads to no schema", expected=f"a schema at {str(reference)[:200]}")
        return found

    def _check(self, schema: Json, path: Path, depth: int) -> None:
        """Go through all that stands where a schema may stand, and refuse what leaves the document."""
        if not is_object(schema):
            return
        self._spend(1)
        if depth > MAX_DEPTH:
            raise BadSchema("Nested too deep", path[:8], expected=f"at most {MAX_DEPTH} levels")
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference != "#" and not reference.startswith("#/"):
            expected = "a reference within the schema, such as #/definitions/name; nothing is fetched"
            raise BadSchema("Refers to another document", (*path, "$ref"), expected=expected)
        if path and "$id" in schema:
            raise BadSchema("Names a part", (*path, "$id"), expected="$id at the root alone")
        if schema.get("$schema", _DIALECTS[0]) not in _DIALECTS:
            raise BadSchema("Another dialect", (*path, "$schema"), expected=_DIALECTS[1])
        self._states += _states(schema)
        self._patterns += ("pattern" in schema) + len(_members(schema, "patternProperties"))
        if self._states > MAX_STATES or self._patterns > MAX_PATTERNS:
            raise BadSchema("Patterns too large", expected="patterns that repeat less, or fewer of them")
        for name, inner in schema.items():
            if name in _BY_NAME and is_object(inner):
                for key, one in inner.items():
                    self._check(one, (*path, name, key), depth + 1)
            elif name in _LISTS and is_array(inner):
                for index, one in enumerate(inner):
                    self._check(one, (*path, name, index), depth + 1)
            elif name in _SINGLE:
                self._check(inner, (*path, name), depth + 1)


_COUNTED: Final = frozenset(("required", "properties", "patternProperties", "dependencies", "items"))
_BY_NAME: Final = frozenset(("definitions", "properties", "patternProperties", "dependencies"))
_LISTS: Final = frozenset(("allOf", "anyOf", "oneOf", "items"))
_SINGLE: Final = frozenset(
    ("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
)


def measure(value: Json, *, levels: int | None = None) -> Size:
    """How large a value is, down to so many levels, or to its leaves."""
    nodes = height = 0
    # Level by level, so that neither depth nor a stack of levels costs anything.
    level: list[Json] = [value]
    while level and height != levels:
        height += 1
        nodes += len(level)
        below: list[Json] = []
        for item in level:
            if is_object(item):
                nodes += len(item)
                below += item.values()
            elif is_array(item):
                below += item
        level = below
    return Size(nodes, height)


def _states(schema: JsonObject) -> int:
    own = schema.get("pattern")
    named = schema.get("patternProperties")
    return (weight(own) if isinstance(own, str) else 0) + (sum(map(weight, named)) if is_object(named) else 0)


def _members(schema: JsonObject, name: str) -> JsonObject:
    found = schema.get(name)
    return found if is_object(found) else {}


def _schemas(values: Json) -> Iterator[Schema]:
    """The schemas in a list, or among the members of an object."""
    members = list(values.values()) if is_object(values) else values
    if is_array(members):
        yield from (value for value in members if _is_schema(value))


def _is_schema(value: Json) -> TypeGuard[Schema]:
    return isinstance(value, dict | bool)
