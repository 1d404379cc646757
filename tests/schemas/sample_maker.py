"""Seeded samples of a JSON Schema: values that should conform, and values broken in one place.

Shares no code with `protogen.samples`, so that neither hides a mistake of the other. Knows no protocol and judges
nothing: whether a sample conforms is for validators to say.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Json = Any
Path = tuple[str | int, ...]

UUID_4 = "0b9e7a52-3c41-4d8f-9a66-1f2e3d4c5b6a"
UUIDS = (UUID_4, "7C9E6679-7425-40DE-944B-E07FC1F90AE7")
WORDS = ("a", "name", "é", "$", "x" * 255)
ANYTHING: tuple[Json, ...] = (None, True, 0, -1, 2.5, "", "text", [], [None], {}, {"a": 1}, 2**53 + 1)

PROBES: tuple[Json, ...] = (
    *ANYTHING,
    False,
    1,
    4,
    1.0,
    1e2,
    -0.1,
    1.1,
    -(2**63) - 1,
    "x" * 256,
    UUID_4,
    UUID_4 + "\n",
    " " + UUID_4,
    "c232ab00-9414-11ec-b3c8-9f6bdeced846",
    "success",
    "failed",
    "2.0",
    [1],
    ["a"],
    [{}],
    {"": None},
    {"outcome": "success"},
    {"$step": "a"},
    {"$if": True},
)
"""What a broken sample holds in some place: every JSON type, the edges of bounds, and near misses."""


class Maker:
    """Values of the definitions of one schema; the same seed gives the same values."""

    def __init__(self, definitions: dict[str, Any], seed: str) -> None:
        self._definitions = definitions
        self._random = random.Random(seed)

    def value(self, schema: Any, depth: int = 0) -> Json:
        """A value that follows the schema as far as shapes go; `not` and conditions are not looked at."""
        if schema is True or not schema:
            return self._random.choice(ANYTHING)
        if "$ref" in schema:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]], depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        for union in ("oneOf", "anyOf"):
            if schema.get(union):
                return self.value(self._arm(schema[union], depth), depth)
        if schema.get("allOf"):
            parts = [self.value(part, depth) for part in schema["allOf"]]
            objects = [part for part in parts if isinstance(part, dict)]
            return {name: value for part in objects for name, value in part.items()} if objects else parts[0]
        kind = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kind, list):
            kind = self._random.choice(kind)
        return self._of_kind(kind, schema, depth)

    def _arm(self, arms: list[Any], depth: int) -> Any:
        """One arm; deep inside a value the last, which in a recursive union is the one that ends it."""
        return arms[-1] if depth > 3 else self._random.choice(arms)

    def _of_kind(self, kind: str | None, schema: Any, depth: int) -> Json:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                least = schema.get("minItems", 0)
                many = least if depth > 3 else self._random.randint(least, least + 2)
                return [self.value(schema.get("items", True), depth + 1) for _ in range(many)]
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
            case _:
                return self._random.choice(ANYTHING)

    def _object(self, schema: Any, depth: int) -> Json:
        required = schema.get("required", ())
        made = {
            name: self.value(inner, depth + 1)
            for name, inner in schema.get("properties", {}).items()
            if name in required or (depth <= 3 and self._random.random() < 0.7)
        }
        extra = schema.get("additionalProperties", True)
        if extra is not False and depth <= 3:
            for name in self._random.sample(WORDS, self._random.choice((0, 0, 1, 2))):
                made.setdefault(name, self.value(extra, depth + 1))
        return made

    def _string(self, schema: Any) -> Json:
        if "pattern" in schema:
            return self._random.choice(UUIDS)
        least, most = schema.get("minLength", 0), schema.get("maxLength", 10_000)
        return self._random.choice([word for word in ("", *WORDS) if least <= len(word) <= most])

    def _number(self, schema: Any, *, whole: bool) -> Json:
        low, high = schema.get("minimum", -(2**63)), schema.get("maximum", 2**64)
        choices = [low, high, *(n for n in (0, 1, 2, 2**53 + 1) if low <= n <= high)]
        if not whole:
            choices += [low + (high - low) / 3]
        return self._random.choice(choices)


def places(value: Json, at: Path = ()) -> Iterator[Path]:
    """The way to every value within `value`, itself included."""
    yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


def at_place(value: Json, place: Path) -> Json:
    """The value to which the way leads."""
    for step in place:
        value = value[step]
    return value


def with_value(value: Json, place: Path, new: Json) -> Json:
    """A copy of `value` with another value in one place."""
    if not place:
        return new
    changed = copy.deepcopy(value)
    at_place(changed, place[:-1])[place[-1]] = new
    return changed


def broken(value: Json, rng: random.Random, names: list[str]) -> Iterator[Json]:
    """Copies of `value` with one change each: a member dropped, renamed, added or set, or a value replaced."""
    for place in places(value):
        inner = at_place(value, place)
        yield from (with_value(value, place, probe) for probe in rng.sample(PROBES, 3))
        if isinstance(inner, dict):
            for name in inner:
                rest = {key: kept for key, kept in inner.items() if key != name}
                yield with_value(value, place, rest)
                yield with_value(value, place, {**rest, name.swapcase(): inner[name]})
            yield with_value(value, place, {**inner, "x_unknown": rng.choice(PROBES)})
        elif isinstance(inner, list):
            yield with_value(value, place, [*inner, rng.choice(PROBES)])
            yield with_value(value, place, inner[1:])
        elif isinstance(inner, str):
            yield with_value(value, place, inner + "x")
            yield with_value(value, place, inner.upper())
        elif isinstance(inner, (int, float)) and not isinstance(inner, bool):
            yield with_value(value, place, inner + 0.5)
            yield with_value(value, place, str(inner))
    if isinstance(value, dict):
        for name in names:
            yield {**value, name: rng.choice(PROBES)}


def edges(definitions: dict[str, Any], schema: Any) -> Iterator[Json]:
    """What stands on both sides of a schema's bounds, and every value of its enum."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from edges(definitions, definitions[schema["$ref"].rpartition("/")[2]])
    yield from schema.get("enum", ())
    for bound in ("minimum", "maximum"):
        if bound in schema:
            yield from (schema[bound] - 1, schema[bound], schema[bound] + 1)
    for bound in ("minLength", "maxLength"):
        if bound in schema:
            yield from ("é" * length for length in range(max(schema[bound] - 1, 0), schema[bound] + 2))
    for part in (part for union in ("allOf", "anyOf", "oneOf") for part in schema.get(union, ())):
        yield from edges(definitions, part)


def samples(definitions: dict[str, Any], name: str, *, seed: str, count: int) -> Iterator[Json]:
    """`count` values of a definition, each with its broken copies.

    Besides: every probe and edge in the place of each property, of each arm too where it is a union, and values of
    every two arms in one object.
    """
    schema = definitions[name]
    maker = Maker(definitions, f"{seed}/{name}")
    rng = random.Random(f"{seed}/{name}/broken")
    yield from (*PROBES, *edges(definitions, schema))
    arms = [arm for union in ("oneOf", "anyOf") for arm in schema.get(union, ())]
    for shape in (schema, *(_followed(definitions, arm) for arm in arms)):
        first = maker.value(shape)
        for member, inner in shape.get("properties", {}).items():
            if isinstance(first, dict):
                yield from ({**first, member: probe} for probe in (*PROBES, *edges(definitions, inner)))
    made = [maker.value(arm) for arm in arms]
    yield from ({**a, **b} for a in made for b in made if isinstance(a, dict) and isinstance(b, dict))
    for _ in range(count):
        value = maker.value(schema)
        yield value
        yield from broken(value, rng, list(schema.get("properties", ())))


def _followed(definitions: dict[str, Any], schema: Any) -> Any:
    """The schema, or the definition that it refers to."""
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
