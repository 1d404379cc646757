"""Documents that exist, changed at random: parts taken, swapped, renamed, damaged and joined with made-up ones."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from hostile import NAMES, PATTERNS, TEXTS
from random_schemas import Maker, text_of

_PLACES = ("$defs", "definitions")
_MOST = 25
"""Definitions that are kept of a large document: as many as one refers to, and no more than that."""


def document(number: int, bases: Sequence[Any]) -> str:
    """The text of the mutant of a number, from `bases`."""
    chance = random.Random(f"mutant {number}")
    tree = _part(copy.deepcopy(chance.choice(bases)), chance)
    if isinstance(tree, bool):
        tree = {"$defs": {"Root": tree}}
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        _change(tree, bases, chance)
    return text_of(tree, chance)


def _part(tree: Any, chance: random.Random) -> Any:
    """Some definitions of a large document with what they refer to, or some of its methods."""
    if not isinstance(tree, dict):
        return tree
    for place in _PLACES:
        entries = tree.get(place)
        if isinstance(entries, dict) and len(entries) > _MOST:
            waiting = chance.sample(sorted(entries), chance.choice((1, 2, 4, 8)))
            kept: dict[str, Any] = {}
            while waiting:
                name = waiting.pop(0)
                if name in kept or name not in entries:
                    continue
                kept[name] = entries[name] if len(kept) < _MOST else {}
                waiting += list(_referred(kept[name], place))
            tree[place] = kept
            if "x-methods" in tree:
                tree["x-methods"] = {
                    name: method
                    for name, method in tree["x-methods"].items()
                    if all(used in kept for used in _referred(method, place))
                }
    if isinstance(tree.get("methods"), list) and len(tree["methods"]) > 8:
        tree["methods"] = chance.sample(tree["methods"], chance.choice((1, 3, 8)))
    return tree


def _referred(tree: Any, place: str) -> Iterator[str]:
    if isinstance(tree, dict):
        target = tree.get("$ref")
        if isinstance(target, str) and target.startswith(f"#/{place}/"):
            yield target.removeprefix(f"#/{place}/").split("/")[0]
        for value in tree.values():
            yield from _referred(value, place)
    elif isinstance(tree, list):
        for value in tree:
            yield from _referred(value, place)


def _spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every container with a key or an index of it."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in inside:
            found.append((node, key))
            waiting.append(value)
    return found


def _change(tree: Any, bases: Sequence[Any], chance: random.Random) -> None:
    spots = _spots(tree)
    if not spots:
        return
    node, key = chance.choice(spots)
    maker = Maker(random.Random(chance.random()))
    maker.document()  # gives it names to refer to
    match chance.randrange(12):
        case 0:
            del node[key]
        case 1 | 2:
            texts = [(at, name) for at, name in spots if isinstance(at[name], str) and name != "$schema"]
            if texts:
                at, name = chance.choice(texts)
                pool = PATTERNS if name == "pattern" else TEXTS if chance.random() < 0.6 else NAMES
                at[name] = chance.choice(pool)
        case 3 | 4:
            _rename(tree, node, key, chance)
        case 5:
            other, name = chance.choice(_spots(chance.choice(bases)) or [({"x": {}}, "x")])
            node[key] = copy.deepcopy(other[name])
        case 6:
            node[key] = maker.schema(2)
        case 7:
            if isinstance(node[key], dict):
                node[key] = {chance.choice(("anyOf", "oneOf", "allOf")): [node[key], maker.schema(1)]}
        case 8:
            if isinstance(node, dict):
                node[chance.choice(("default", "const", "enum", "title", "description", "not", "type"))] = maker.value()
        case 9:
            one, name = chance.choice(spots)
            one[name], node[key] = copy.deepcopy(node[key]), copy.deepcopy(one[name])
        case 10:
            if isinstance(node[key], dict):
                more = maker.schema(1)
                node[key].update(more if isinstance(more, dict) else {"type": "object"})
        case _:
            if isinstance(node, list):
                node.insert(key, copy.deepcopy(node[key]))
            else:
                node[chance.choice(NAMES)] = copy.deepcopy(node[key])


def _rename(tree: Any, node: Any, key: Any, chance: random.Random) -> None:
    """Another name for a definition, everywhere, or for a member where it stands."""
    new = chance.choice(NAMES)
    for place in _PLACES:
        entries = tree.get(place) if isinstance(tree, dict) else None
        if isinstance(entries, dict) and entries and chance.random() < 0.7:
            old = chance.choice(list(entries))
            tree[place] = {new if name == old else name: schema for name, schema in entries.items()}
            escaped = new.replace("~", "~0").replace("/", "~1").replace("%", "%25")
            for at, name in _spots(tree):
                if name == "$ref" and at[name] == f"#/{place}/{old}":
                    at[name] = f"#/{place}/{escaped}"
            return
    if isinstance(node, dict):
        node[new] = node.pop(key)


def readable(text: str) -> Any:
    """The tree of a document that mutants are made from."""
    return json.loads(text)
