"""Pages made from the code say what the code says, and the script that makes them notices when they do not."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from protogen.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def docs(root: Path) -> ModuleType:
    """The script as a module of its own."""
    spec = importlib.util.spec_from_file_location("protogen_tools_docs", root / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_made_pages_are_fresh(docs: ModuleType, root: Path) -> None:
    stale = [str(path) for path, text in docs.pages(root).items() if path.read_text("utf-8") != text]
    assert stale == [], "run .venv/bin/python tools/docs.py"


def test_every_finding_has_a_heading_and_an_anchor(docs: ModuleType) -> None:
    page = docs.problems_page()
    assert [line for line in page.splitlines() if line.startswith("### ")] == [
        f"### {code}: {entry.title}" for code, entry in CATALOGUE.items()
    ]
    assert all(page.count(f'<a id="{code}"></a>\n### {code}:') == 1 for code in CATALOGUE)


def test_every_code_that_is_reported_is_explained_and_the_other_way_round(root: Path) -> None:
    sources = [file for file in (root / "codegen").rglob("*.py") if file.name != "catalogue.py"]
    reported = {code for file in sources for code in re.findall(r'"(PG\d{3})"', file.read_text("utf-8"))}
    assert reported == CATALOGUE.keys()


def test_every_command_is_in_the_reference(docs: ModuleType, root: Path) -> None:
    reference = (root / "docs" / "reference" / "cli.md").read_text("utf-8")
    assert [line for line in reference.splitlines() if line.startswith("### ")] == [
        f"### protogen {name}" for name in docs.COMMANDS
    ]


def test_check_names_a_stale_page(docs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = tmp_path / "docs" / "reference" / "cli.md"
    reference.parent.mkdir(parents=True)
    reference.write_text(f"before\n{docs.BEGIN}\nold\n{docs.END}\nafter\n", "utf-8")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert docs.main(["--check"]) == 1
    assert not (tmp_path / "docs" / "PROBLEMS.md").exists()
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    kept = reference.read_text("utf-8")
    assert (kept.startswith("before\n"), kept.endswith("\nafter\n"), "\nold\n" in kept) == (True, True, False)


def test_unknown_option_is_a_usage_error(root: Path) -> None:
    command = [sys.executable, str(root / "tools" / "docs.py"), "--all"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 2
