"""docs/how-to/write-a-transport.md holds what it promises: its code is installed as it says, and keeps the contract."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-a-transport.md"
BLOCK = re.compile(r'^```\w+ title="(?P<file>[^"]+)"\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page, those in several blocks put together, and the metadata that an installation would make."""
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        with (tmp_path / block["file"]).open("a", encoding="utf-8") as file:
            file.write(block["text"] + "\n\n")
    metadata = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]
    installed = tmp_path / "protogen_unix-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {metadata['name']}\nVersion: 1.0\n")
    (group, entries), *_ = metadata["entry-points"].items()
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    return tmp_path


def test_the_transport_of_the_page_keeps_the_contract(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_unix_transport.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b20 passed\b", done.stdout), done.stdout


def test_the_code_of_the_page_is_typed(project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(project / "cache"), "unix_transport.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
