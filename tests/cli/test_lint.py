"""`protogen lint`: what is printed, what is mended, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENDED_SECONDS = 60

DOCUMENT = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "x-protocol": { "name": "chat", "version": "1.0" },
  "x-roles": { "client": { "summary": "Talks." }, "server": { "summary": "Listens." } },
  "x-methods": {
    "say": {
      "kind": "request",
      "from": "client",
      "to": "server",
      "summary": "Says a line.",
      "params": { "$ref": "#/$defs/Line" },
      "result": { "$ref": "#/$defs/Line" }
    }
  },
  "$defs": {
    "Line": {
      "description": "A line.",
      "type": "object",
      "required": ["text"],
      "properties": { "text": { "type": "string", "minLength": 0 } }
    }
  }
}
"""
FOUND = '"minLength": 0 says what its absence says'


def lint(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "protogen", "lint", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS, cwd=cwd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one idle keyword."""
    (tmp_path / "chat.json").write_text(DOCUMENT)
    (tmp_path / "protogen.toml").write_text('[protocols.chat]\nschema = "chat.json"\n')
    return tmp_path


def test_a_finding_is_shown_with_its_line_and_a_mark(folder: Path) -> None:
    found = lint(cwd=folder)
    assert (found.returncode, found.stderr) == (1, "")
    line = '      "properties": { "text": { "type": "string", "minLength": 0 } }'
    column = line.index('"minLength"')
    assert found.stdout.splitlines() == [
        f"chat.json:20:{column + 1} warning PG403: {FOUND}; remove it",
        "   |",
        f"20 | {line}",
        f"   | {' ' * column}{'^' * 11}",
        "1 document: 0 errors, 1 warning",
    ]


def test_nothing_found_exits_with_0(folder: Path) -> None:
    for words in (["--ignore", "structure"], ["--ignore", "PG403,naming"], ["--select", "unions"]):
        found = lint("chat.json", *words, cwd=folder)
        assert (found.returncode, found.stdout) == (0, "1 document: nothing found\n"), words


def test_mending_writes_the_document_and_leaves_the_rest_as_it_was(folder: Path) -> None:
    found = lint("--fix", cwd=folder)
    assert (found.returncode, found.stdout) == (0, "1 document: nothing found, 1 mended\n")
    assert (folder / "chat.json").read_text() == DOCUMENT.replace(', "minLength": 0', "")
    assert sorted(path.name for path in folder.iterdir()) == ["chat.json", "protogen.toml"]


def test_programs_get_json(folder: Path) -> None:
    (told,) = json.loads(lint("--format", "json", cwd=folder).stdout)
    assert (told["code"], told["level"], told["what"]) == ("PG403", "warning", FOUND)
    assert (told["path"], told["line"]) == ("chat.json", 20)


def test_code_scanning_gets_sarif(folder: Path) -> None:
    told: dict[str, Any] = json.loads(lint("--format", "sarif", cwd=folder).stdout)
    (run,) = told["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["PG403"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("chat.json", 20)
    assert (result["ruleId"], result["level"]) == ("PG403", "warning")


def test_reviews_get_annotations(folder: Path) -> None:
    (line,) = lint("--format", "github", cwd=folder).stdout.splitlines()
    assert line.startswith("::warning file=chat.json,line=20,col=")
    assert line.endswith(f",title=PG403::{FOUND}; remove it")


def test_findings_of_the_build_are_among_them(folder: Path) -> None:
    (folder / "chat.json").write_text(DOCUMENT.replace("#/$defs/Line", "#/$defs/Lime", 1))
    found = lint(cwd=folder)
    assert found.returncode == 1
    assert found.stdout.startswith("chat.json:11:19 error PG102:")
    assert 'did you mean "Line"?' in found.stdout


def test_rules_are_listed(folder: Path) -> None:
    rows = json.loads(lint("--rules", "--format", "json", cwd=folder).stdout)
    assert {"code": "PG403", "name": "idle-keyword"}.items() <= rows[2].items()
    assert len(lint("--rules", cwd=folder).stdout.splitlines()) == len(rows)


def test_unknown_rules_are_refused(folder: Path) -> None:
    found = lint("--select", "namig", cwd=folder)
    assert found.returncode == 2
    assert "there is no rule or category 'namig'" in found.stderr
    assert 'did you mean "naming"?' in found.stderr
