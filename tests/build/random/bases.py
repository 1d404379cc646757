"""What mutants are made from: the protocols of this repository, small foreign documents, the suite, ../shared."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
OWN = (
    *sorted((ROOT / "schemas").glob("**/protocol.json")),
    *sorted((ROOT / "tests/frontends/documents").glob("*.json")),
)
GOLDEN = sorted((ROOT / "tests/build/golden").glob("*/schema.json"))


def own() -> list[Any]:
    """Documents of this repository, with no reference out of themselves."""
    trees = [json.loads(path.read_text("utf-8")) for path in (*OWN, *GOLDEN)]
    return [tree for tree in trees if ".json#" not in json.dumps(tree)]


def suite() -> list[Any]:
    """The schemas of the JSON Schema Test Suite, every draft's, as documents of definitions."""
    sys.path.insert(0, str(ROOT / "tests" / "suite"))
    from json_schema_suite import DRAFTS, groups

    return list(_suite_documents(DRAFTS, groups))


def _suite_documents(drafts: dict[str, Any], groups: Any) -> Iterator[Any]:
    for name, (_, address) in drafts.items():
        place = "$defs" if "draft/20" in address else "definitions"
        for group in groups(name):
            schema = group.schema
            if isinstance(schema, dict) and ("$ref" in schema or place in schema):
                yield {"$schema": address, **schema}
            else:
                yield {"$schema": address, place: {"Root": schema}}


def published(shared: Path) -> list[Any]:
    """The documents of ../shared, those twice that are the smallest in kind."""
    paths = [*sorted((shared / "reference").glob("*.json")), *sorted((shared / "reference/foreign").glob("*.json"))]
    trees = [json.loads(path.read_text("utf-8")) for path in paths if "meta.json" not in path.name]
    return [tree for tree in trees if "structures" not in tree and "openapi" not in tree]


def bases(shared: Path | None) -> list[Any]:
    """All of them, each kind with the weight that it gets."""
    kept = suite()
    mine = own() * 12
    return [*kept, *mine, *(published(shared) * 40 if shared is not None else ())]
