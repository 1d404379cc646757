"""The linters and type checkers of Python find nothing: they are tests, so one command says all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(sysconfig.get_path("scripts"))
CHECKED = ("codegen", "runtime", "compliance", "tools", "generated/python")
# An exemption, then its reason in words.
EXEMPTION = re.compile(r"#\s*(?:noqa\b|type:\s*ignore\b|pyright:\s*ignore\b)(?P<rest>.*)")
CODES = re.compile(r"^\s*(?::\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|\[[\w\-, ]+\])")


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def python_files(root: Path) -> list[Path]:
    """The Python files that the type checkers must have read."""
    return [file for folder in CHECKED for file in (root / folder).rglob("*.py")]


def exemptions(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, what follows the marker) for every exemption in a comment, strings left out."""
    with tokenize.open(file) as text:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.COMMENT and (found := EXEMPTION.search(token.string)):
                yield token.start[0], found["rest"]


def has_reason(rest: str) -> bool:
    """Whether codes are named and at least two words follow them."""
    codes = CODES.match(rest)
    return codes is not None and len(re.findall(r"[A-Za-z]{2,}", rest[codes.end() :])) >= 2


def test_ruff_finds_nothing(root: Path) -> None:
    found = run(root, str(SCRIPTS / "ruff"), "check", "--no-cache", "--output-format=concise", ".")
    assert found.returncode == 0, found.stdout + found.stderr


def test_ruff_would_reformat_nothing(root: Path) -> None:
    found = run(root, str(SCRIPTS / "ruff"), "format", "--no-cache", "--check", ".")
    assert found.returncode == 0, found.stdout + found.stderr


def test_mypy_strict_finds_nothing(root: Path) -> None:
    found = run(root, str(SCRIPTS / "mypy"), *(folder for folder in CHECKED if any((root / folder).rglob("*.py"))))
    assert found.returncode == 0, found.stdout + found.stderr
    checked = re.search(r"in (\d+) source files", found.stdout)
    assert checked is not None, found.stdout
    assert int(checked[1]) == len(python_files(root))


def test_pyright_strict_finds_nothing(root: Path, tool: Callable[[str], str]) -> None:
    found = run(root, tool("pyright"), "--pythonpath", sys.executable, "--outputjson")
    report = json.loads(found.stdout)
    problems = [
        f"{it['file']}:{it['range']['start']['line'] + 1} {it['message']}" for it in report["generalDiagnostics"]
    ]
    assert not problems, "\n".join(problems)
    assert report["summary"]["filesAnalyzed"] == len(python_files(root))


def test_every_exemption_has_codes_and_a_reason(root: Path) -> None:
    folders = ("codegen", "runtime", "compliance", "tools", "tests", "bench", "templates")
    files = [file for folder in folders for file in (root / folder).rglob("*.py") if "node_modules" not in file.parts]
    bare = [
        f"{file.relative_to(root)}:{line}" for file in files for line, rest in exemptions(file) if not has_reason(rest)
    ]
    assert not bare, "\n".join(bare)


@pytest.mark.parametrize(
    ("comment", "good"),
    [
        ("# noqa: BLE001 - the one place that turns exceptions into errors", True),
        ("# type: ignore[arg-type]  # the stub leaves out None", True),
        ("# pyright: ignore[reportPrivateUsage] hypercorn has no public hook", True),
        ("# noqa", False),
        ("# noqa: BLE001", False),
        ("# type: ignore", False),
        ("# type: ignore  # the stub is wrong", False),
        ("# type: ignore[arg-type]", False),
    ],
)
def test_reason_of_an_exemption(comment: str, good: bool) -> None:
    found = EXEMPTION.search(comment)
    assert found is not None
    assert has_reason(found["rest"]) is good
