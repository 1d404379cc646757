"""Whether a build would change anything, decided by content hashes alone.

Standard library only, and no stage of the pipeline: this runs before anything heavy is imported. What it
cannot decide it leaves to the build, so a lost or foreign record costs time, never correctness.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

RECORD = Path(".protogen") / "last-build.json"
LIBRARIES = ("jinja2", "markupsafe", "msgspec", "fastjsonschema", "datamodel_code_generator", "jsonschema_rs")
"""Distributions whose version can change what comes out."""


def fingerprint(data: Path, core: Path) -> str:
    """A digest of everything but the inputs that decides the output: our code, the templates, library versions."""
    package = Path(__file__).parent
    total = hashlib.sha256(sys.implementation.cache_tag.encode() if sys.implementation.cache_tag else b"")
    for folder, suffix in ((package, ".py"), (data / "templates", ""), (core, ".py")):
        for path in _tree(folder, suffix):
            total.update(path.encode())
            total.update(Path(path).read_bytes())
    total.update((data / "schemas" / "protogen.schema.json").read_bytes())
    for line in _versions():
        total.update(line.encode())
    return total.hexdigest()


def is_fresh(root: Path, key: str, tool: str) -> tuple[int, int] | None:
    """Files and lines of the output if the last build named `key` still stands exactly as it was made, else None."""
    try:
        record = json.loads((root / RECORD).read_bytes())["builds"][key]
        if record["tool"] != tool:
            return None
        for path, digest in (*record["inputs"].items(), *record["outputs"].items()):
            if _digest(root, path) != digest:
                return None
        return len(record["outputs"]), int(record["lines"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remember(root: Path, key: str, tool: str, *, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Records a finished build; paths are relative to `root`. A folder that cannot be written is not an error."""
    file = root / RECORD
    try:
        builds = json.loads(file.read_bytes())["builds"]
    except (OSError, ValueError, KeyError, TypeError):
        builds = {}
    lines = 0
    digests: dict[str, str] = {}
    for path in outputs:
        data = (root / path).read_bytes()
        lines += data.count(b"\n")
        digests[path] = hashlib.sha256(data).hexdigest()
    builds[key] = {
        "tool": tool,
        "inputs": {path: _digest(root, path) for path in inputs},
        "outputs": digests,
        "lines": lines,
    }
    try:
        file.parent.mkdir(exist_ok=True)
        (file.parent / ".gitignore").write_text("*\n")
        staged = file.with_suffix(f".{os.getpid()}")
        staged.write_text(json.dumps({"builds": builds}))
        staged.replace(file)
    except OSError:
        return


def _digest(root: Path, path: str) -> str:
    """SHA-256 of a file's bytes; of the names in a folder (none if missing) for a path that ends in `/`.

    Nothing for a file that is not there: one that was looked for counts as soon as it comes.
    """
    if path.endswith("/"):
        folder = root / path
        names = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
        return hashlib.sha256("\n".join(names).encode()).hexdigest()
    try:
        return hashlib.sha256((root / path).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _tree(folder: Path, suffix: str) -> list[str]:
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and name != "_data")
        found.extend(f"{parent}/{name}" for name in sorted(files) if name.endswith(suffix))
    return found


def _versions() -> list[str]:
    """`name-version.dist-info` of the libraries, read off the folders: importlib.metadata costs more than the rest."""
    names: set[str] = set()
    for entry in sys.path:
        try:
            names.update(found.name for found in os.scandir(entry or ".") if found.name.endswith(".dist-info"))
        except OSError:
            continue
    return sorted(name for name in names if name.split("-")[0].lower() in LIBRARIES)
