"""Documents that were damaged at random: Problems or a protocol, never anything else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from readings import DOCUMENTS

from protogen.build import read_document

SMALL = [
    DOCUMENTS / name
    for name in ("openrpc.json", "messages.json", "spelled-out.json", "sides-schema.json", "metamodel.json")
]
JUNK: list[Any] = [
    *(None, True, 0, -1.5, "", "#", "#/definitions/X", "https://x.example/y.json", "../../outside.json"),
    *([], {}, [1], [None], {"a": 1}, {"$ref": "#"}, {"$ref": "#/methods/0"}, {"$ref": 5}, {"kind": "or"}),
    *({"type": "object"}, '*/ """ `${x}`', 10**40),
]
KEYS = [
    "$ref",
    "type",
    "x-method",
    "x-side",
    "method",
    "const",
    "properties",
    "kind",
    "name",
    "result",
    "params",
    "anyOf",
]


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _paths(value, (*path, key))


def _damage(tree: Any, paths: list[tuple[Any, ...]], chance: random.Random) -> None:
    path = chance.choice(paths)
    node = tree
    for key in path[:-1]:
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            return  # an earlier change took it away
    junk = copy.deepcopy(chance.choice(JUNK))
    if isinstance(node, dict):
        if chance.random() < 0.3:
            node.pop(path[-1], None)
        else:
            node[path[-1] if chance.random() < 0.7 else chance.choice(KEYS)] = junk
    elif isinstance(node, list):
        node.append(junk)


def _hold(files: list[Path], count: int, folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    trees = {file: json.loads(file.read_text("utf-8")) for file in files}
    paths = {file: [path for path in _paths(tree) if path] for file, tree in trees.items()}
    target = folder / "damaged.json"
    read = 0
    for _ in range(count):
        file = chance.choice(files)
        tree = copy.deepcopy(trees[file])
        for _ in range(chance.randrange(1, 4)):
            _damage(tree, paths[file], chance)
        target.write_text(json.dumps(tree), "utf-8")
        reading, problems = read_document(target, root=folder.resolve())
        told = [str(problem) for problem in problems]
        assert reading is not None or any(" error " in line for line in told), tree
        read += reading is not None
    assert 0 < read < count


def test_damaged_documents_are_problems_or_protocols(tmp_path: Path) -> None:
    _hold(SMALL, 150, tmp_path, seed=20)


@pytest.mark.soak
@pytest.mark.shared
def test_many_damaged_documents_are_problems_or_protocols(tmp_path: Path, shared: Path) -> None:
    published = sorted((shared / "reference" / "foreign").glob("*.json"))
    large = [path for path in published if "meta.json" not in path.name]
    _hold([*SMALL, *large], 5000, tmp_path, seed=21)
