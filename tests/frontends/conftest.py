"""The small documents beside this file stand for the large ones of the world; `readings` reads them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protogen.build import Reading, read_document

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[Reading | None, list[str]]]:
    """Writes a tree and files beside it, and reads it."""

    def run(
        tree: Any, beside: dict[str, Any] | None = None, *, name: str = "acme.json", **said: Any
    ) -> tuple[Reading | None, list[str]]:
        for path, content in {name: tree, **(beside or {})}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content, indent=1), "utf-8")
        reading, problems = read_document(tmp_path / name, root=tmp_path.resolve(), name="acme", **said)
        return reading, [str(problem) for problem in problems]

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small documents, entered."""
    from readings import DOCUMENTS

    copied = tmp_path / "documents"
    shutil.copytree(DOCUMENTS, copied)
    monkeypatch.chdir(copied)
    return copied
