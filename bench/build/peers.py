"""Other generators: the command of each, its version, and the input that it can read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

QUICKTYPE = Path(__file__).resolve().parents[1] / "node_modules" / ".bin" / "quicktype"
DATAMODEL = Path(sys.executable).parent / "datamodel-codegen"
LANGUAGES = ("python", "typescript", "go")
NOTES = (
    "Peers read the same document without the x- annotations (datamodel-code-generator stops at x-enum-descriptions),",
    "and with the members of recursive arrays left open (quicktype overflows its stack on them).",
)


class PeersMissing(Exception):
    """A peer is not installed; the message says how to install it."""


def commands(schema: Path, out: Path) -> dict[str, list[str]]:
    """Name to command of every peer that generates from `schema` into the folder `out`. Raises PeersMissing."""
    for program in (QUICKTYPE, DATAMODEL):
        if not program.exists():
            raise PeersMissing(f"{program} is missing; `make bench` installs it")
    return {
        **quicktype(schema, out, "$defs"),
        "datamodel-codegen python": [
            *(str(DATAMODEL), "--input", str(schema), "--input-file-type", "jsonschema"),
            *("--output-model-type", "pydantic_v2.BaseModel", "--output", str(out / "datamodel.py")),
        ],
    }


def quicktype(schema: Path, out: Path, definitions: str) -> dict[str, list[str]]:
    """The commands of quicktype, one a language, for the definitions under that keyword. Raises PeersMissing."""
    if not QUICKTYPE.exists():
        raise PeersMissing(f"{QUICKTYPE} is missing; `make bench` installs it")
    return {
        f"quicktype {language}": [
            *(str(QUICKTYPE), "--src-lang", "schema", "--lang", language),
            *("--src", f"{schema}#/{definitions}/", "--out", str(out / f"quicktype.{language}")),
        ]
        for language in LANGUAGES
    }


def versions() -> dict[str, str]:
    """Name to version of every peer."""
    about = json.loads((QUICKTYPE.parent.parent / "quicktype" / "package.json").read_text("utf-8"))
    return {"quicktype": about["version"], "datamodel-code-generator": version("datamodel-code-generator")}


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """`document` as the peers can read it: see NOTES."""
    bare: dict[str, Any] = _without_notes(document)
    definitions: dict[str, Any] = bare["$defs"]
    for name, schema in definitions.items():
        if schema.get("type") == "array" and name in _reached(schema, definitions):
            del schema["items"]
    return bare


def _without_notes(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_notes(value) for key, value in tree.items() if not key.startswith("x-")}
    return [_without_notes(value) for value in tree] if isinstance(tree, list) else tree


def _reached(schema: dict[str, Any], definitions: dict[str, Any]) -> set[str]:
    """Names of the definitions that `schema` refers to, directly or through others."""
    found: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(definitions[name])
    return found


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        target = tree.get("$ref")
        if isinstance(target, str) and target.startswith("#/$defs/"):
            yield target.removeprefix("#/$defs/")
        for value in tree.values():
            yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)
