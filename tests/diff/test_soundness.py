"""No message breaks unsaid: random edits of schemas, judged by samples that are valid before or after them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from protogen.build import read_protocol
from protogen.diff import RULE
from protogen.diff.schemas import Side, compare
from protogen.samples.corpus import make
from protogen.samples.labels import Judge
from protogen.samples.text import read

Schemas = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("apflow/1.0", "a2a/0.3", "a2a/1.0", "stepflow/0.9", "echo/1.0")
EDITS, MANY_EDITS = 40, 400
"""Edits of each document in `make test`, and in `make soak`."""


@cache
def lowered(name: str) -> Schemas:
    """The lowered definitions of a document of ours."""
    found = sorted((ROOT / "schemas").glob(f"{name.partition('/')[0]}/**/protocol.json"))
    path = next(path for path in found if name in path.as_posix() or name.startswith("echo"))
    protocol, problems = read_protocol(path, root=ROOT)
    assert protocol is not None, problems
    definitions: Schemas = protocol.schema["definitions"]
    return definitions


@cache
def samples(name: str) -> dict[str, list[Any]]:
    """Values for each definition of a document, good and broken."""
    found: dict[str, list[Any]] = {}
    for sample in make(lowered(name), most=6_000, seed=7).samples:
        found.setdefault(sample.type, []).append(read(sample.text))
    return found


def places(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema that is an object."""
    waiting = [value]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        yield schema
        for word, inner in schema.items():
            if word in ("properties", "patternProperties"):
                waiting += inner.values()
            elif word in ("anyOf", "oneOf", "allOf"):
                waiting += inner
            elif word in ("items", "additionalProperties"):
                waiting += inner if isinstance(inner, list) else [inner]


def edits(schema: dict[str, Any], chance: random.Random) -> list[Callable[[], object]]:
    """The edits that make sense at a schema."""
    possible: list[Callable[[], object]] = []
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if properties:
        name = chance.choice(list(properties))
        possible.append(lambda: properties.pop(name))
        possible.append(lambda: properties.update(neverMet={"type": "string"}))
        possible.append(lambda: schema.update(additionalProperties=False))
        possible.append(lambda: schema.update(additionalProperties={"type": chance.choice(["string", "number"])}))
        if name in required:
            possible.append(lambda: schema.update(required=[one for one in required if one != name]))
        else:
            possible.append(lambda: schema.update(required=[*required, name]))
        possible.append(lambda: properties.update({name: {"type": chance.choice(["string", "integer", "boolean"])}}))
        possible.append(lambda: properties.update({name: {"anyOf": [properties[name], {"type": "null"}]}}))
    if "type" in schema and "enum" not in schema and "const" not in schema:
        said = schema["type"]
        if said == "integer":
            possible.append(lambda: schema.update(type="number"))
        if isinstance(said, str) and said != "object":
            further = chance.choice([name for name in ("null", "boolean") if name != said])
            possible.append(lambda: schema.update(type=[said, further]))
        if isinstance(said, list):
            possible.append(lambda: schema.update(type=said[:-1]))
        if said == "string":
            possible.append(lambda: schema.update(minLength=chance.randrange(3), maxLength=chance.randrange(3, 9)))
            possible.append(lambda: schema.update(pattern=chance.choice(["^a", "[0-9]$"])))
        if said in ("integer", "number"):
            bound = chance.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])
            possible.append(lambda: schema.update({bound: chance.choice([1, 2, 3, 6])}))
        if said == "array":
            possible.append(lambda: schema.update(minItems=chance.randrange(2), maxItems=chance.randrange(2, 4)))
            possible.append(lambda: schema.update(uniqueItems=True))
    if "enum" in schema:
        possible.append(lambda: schema.update(enum=schema["enum"][1:] or ["other"]))
        possible.append(lambda: schema.update(enum=[*schema["enum"], "neverMet"]))
    if "const" in schema:
        possible.append(lambda: schema.update(const="neverMet"))
    dropped = ("minimum", "minLength", "maximum", "pattern", "additionalProperties", "not", "oneOf", "dependencies")
    possible += [lambda word=word: schema.pop(word) for word in dropped if word in schema]
    for word in ("anyOf", "oneOf"):
        if word in schema and len(schema) == 1:
            possible.append(lambda word=word: schema[word].pop())
            possible.append(lambda word=word: schema[word].append({"type": "boolean"}))
    return possible


def effects(old: Side, new: Side, name: str) -> set[str]:
    """What the rules say of a definition and of all that it leads to."""
    done: set[tuple[tuple[str, str], bool]] = set()
    waiting = [((name, name), False)]
    said: set[str] = set()
    while waiting:
        pair, opaque = waiting.pop()
        if (pair, opaque) in done:
            continue
        done.add((pair, opaque))
        compared = compare(old, new, pair)
        rules = {difference.rule for difference in compared.differences}
        said |= {RULE[rule].effect for rule in rules}
        # What a member that is gone may hold is no promise: whoever knows it only sends what it was.
        said |= {"widens"} if "property-removed" in rules else set()
        # Where conditions turn meanings round, either may be the other.
        said |= {"breaks"} if opaque and {RULE[rule].effect for rule in rules} & {"narrows", "widens"} else set()
        waiting += [(further, opaque) for further, _ in compared.pairs]
        waiting += [(further, True) for further in compared.opaque]
    return said


def check(document: str, seed: int) -> int:
    """One edit of a document; the number of definitions whose samples it parts."""
    chance = random.Random(f"{document} {seed}")
    old = lowered(document)
    new = copy.deepcopy(old)
    schemas = [place for schema in new.values() for place in places(schema)]
    possible = [edit for place in chance.sample(schemas, min(8, len(schemas))) for edit in edits(place, chance)]
    if not possible:
        return 0
    chance.choice(possible)()
    before, after = Judge(old), Judge(new)
    parted = 0
    for name, values in samples(document).items():
        verdicts = {(before.label(name, value), after.label(name, value)) for value in values}
        if verdicts <= {(True, True), (False, False)}:
            continue
        parted += 1
        said = effects(Side(old, {}), Side(new, {}), name)
        if (True, False) in verdicts:
            assert said & {"narrows", "breaks"}, (name, seed, said)
        if (False, True) in verdicts:
            assert said & {"widens", "breaks"}, (name, seed, said)
    return parted


def checked(document: str, seeds: range) -> None:
    # An edit that parts no sample shows nothing: enough of them must.
    assert sum(check(document, seed) > 0 for seed in seeds) > len(seeds) // 4


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_parts_old_from_new_messages_is_said(document: str) -> None:
    checked(document, range(EDITS))


@pytest.mark.soak
@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_parts_old_from_new_messages_is_said_of_many(document: str) -> None:
    checked(document, range(EDITS, EDITS + MANY_EDITS))
