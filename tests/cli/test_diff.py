"""`protogen diff`: files, folders and revisions, exit codes, and each form of report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENDED_SECONDS = 60

DOCUMENT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "chat", "version": "1.0"},
    "x-methods": {
        "say": {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": "Says a line.",
            "params": {"$ref": "#/$defs/Line"},
            "result": {"$ref": "#/$defs/Line"},
        }
    },
    "x-roles": {"client": {"summary": "Talks."}, "server": {"summary": "Listens."}},
    "$defs": {
        "Line": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": {"type": "string"}, "to": {"type": "string"}},
        }
    },
}


def document(**line: Any) -> str:
    """The document with another Line."""
    changed = json.loads(json.dumps(DOCUMENT))
    changed["$defs"]["Line"] |= line
    return json.dumps(changed, indent=2)


ADDRESSED = document(required=["text", "to"])
SILENT = document(properties={"text": {"type": "string"}})
WORDED = document(description="A line.")


def diff(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "protogen", "diff", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS, cwd=cwd)


def git(*words: str, cwd: Path) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=cwd, check=True, capture_output=True, timeout=ENDED_SECONDS)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an old document, and what may have become of it."""
    for name, text in {
        "old": document(),
        "addressed": ADDRESSED,
        "silent": SILENT,
        "worded": WORDED,
        "broken": '{"x-protocol": {"name": 3}}',
    }.items():
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project of two commits; in its working tree `to` has become required."""
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (tmp_path / "protogen.toml").write_text('[protocols.chat]\nschema = "schemas/chat.json"\n')
    (schemas / "chat.json").write_text(document())
    git("init", "-q", "-b", "main", cwd=tmp_path)
    git("add", ".", cwd=tmp_path)
    git("commit", "-q", "-m", "First", cwd=tmp_path)
    (schemas / "chat.json").write_text(SILENT)
    git("commit", "-q", "-a", "-m", "Second", cwd=tmp_path)
    (schemas / "chat.json").write_text(ADDRESSED)
    return tmp_path


@pytest.mark.parametrize(
    ("new", "options", "code"),
    [
        ("old", [], 0),
        ("worded", [], 0),
        ("silent", [], 1),
        ("silent", ["--breaking", "wire"], 0),
        ("addressed", ["--breaking", "wire"], 1),
        ("addressed", ["--upgrade", "callers"], 1),
        ("addressed", ["--upgrade", "any", "--breaking", "wire"], 1),
    ],
)
def test_exit_codes(new: str, options: list[str], code: int, files: Path) -> None:
    assert diff("old.json", f"{new}.json", *options, cwd=files).returncode == code


def test_a_difference_is_told_with_its_place_and_whom_it_breaks(files: Path) -> None:
    lines = diff("old.json", "addressed.json", cwd=files).stdout.splitlines()
    line = next(at for at, text in enumerate(ADDRESSED.splitlines(), 1) if '"to": {' in text and at > 20)
    assert lines == [
        "chat 1.0 → 1.0",
        f"  addressed.json:{line}:9 wire-breaking property-required: Line.to: was optional, is required",
        "      what old callers send may be refused; in messages of say",
        "  1 wire-breaking; a major change: version 2.0 or later (the document says 1.0)",
    ]


def test_wording_is_shown_when_asked_for(files: Path) -> None:
    assert "documentation" not in diff("old.json", "worded.json", cwd=files).stdout
    assert "documentation" in diff("old.json", "worded.json", "--all", cwd=files).stdout


def test_programs_get_json(files: Path) -> None:
    (told,) = json.loads(diff("old.json", "silent.json", "--format", "json", cwd=files).stdout)
    assert (told["protocol"], told["from"], told["to"]) == ("chat", "1.0", "1.0")
    assert (told["bump"], told["nextVersion"], told["declared"]) == ("major", "2.0", False)
    (finding,) = told["findings"]
    assert finding["place"]["path"] == "silent.json"
    assert {key: finding[key] for key in ("rule", "category", "subject", "methods")} == {
        "rule": "property-removed",
        "category": "source-breaking",
        "subject": "Line.to",
        "methods": ["say"],
    }


def test_reviews_get_annotations(files: Path) -> None:
    (line,) = diff("old.json", "silent.json", "--format", "github", cwd=files).stdout.splitlines()
    assert line.startswith("::warning file=silent.json,line=")
    assert line.endswith(",title=source-breaking property-removed::Line.to: is gone")


def test_change_logs_get_markdown(files: Path) -> None:
    told = diff("old.json", "addressed.json", "--format", "markdown", cwd=files).stdout
    assert told == (
        "## chat 1.0\n\n### Breaking on the wire\n\n- `Line.to` was optional, is required (in messages of say)\n\n"
    )


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["HEAD"], "required-property-added"),
        (["main~1"], "property-required"),
        (["HEAD~1", "HEAD"], "property-removed"),
        (["HEAD:schemas/chat.json"], "required-property-added"),
        (["HEAD~1:schemas/chat.json", "schemas/chat.json"], "property-required"),
        (["HEAD~1", "schemas/chat.json"], "property-required"),
        (["HEAD~1:schemas", "HEAD:schemas"], "property-removed"),
        (["HEAD", "."], "required-property-added"),
    ],
)
def test_revisions(words: list[str], rule: str, repository: Path) -> None:
    told = json.loads(diff(*words, "--format", "json", cwd=repository).stdout)
    assert [finding["rule"] for one in told for finding in one["findings"]] == [rule]


def test_revisions_from_a_folder_inside(repository: Path) -> None:
    told = diff("HEAD", "--format", "json", cwd=repository / "schemas")
    assert [finding["rule"] for finding in json.loads(told.stdout)[0]["findings"]] == ["required-property-added"]


def test_revisions_of_a_repository_without_settings(tmp_path: Path) -> None:
    # git refuses a pattern that no file matches.
    (tmp_path / "chat.json").write_text(document())
    git("init", "-q", "-b", "main", cwd=tmp_path)
    git("add", ".", cwd=tmp_path)
    git("commit", "-q", "-m", "First", cwd=tmp_path)
    (tmp_path / "chat.json").write_text(SILENT)
    found = diff("HEAD:chat.json", "--format", "json", cwd=tmp_path)
    assert [finding["rule"] for finding in json.loads(found.stdout)[0]["findings"]] == ["property-removed"]


def test_protocols_that_only_one_side_has(repository: Path) -> None:
    config = repository / "protogen.toml"
    config.write_text('[protocols.talk]\nschema = "schemas/talk.json"\n' + config.read_text())
    (repository / "schemas" / "talk.json").write_text(document().replace('"chat"', '"talk"'))
    told = json.loads(diff("HEAD", "--format", "json", cwd=repository).stdout)
    assert {one["protocol"]: one["findings"][0]["rule"] for one in told} == {
        "chat": "required-property-added",
        "talk": "protocol-added",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "old.json"], "'nowhere' cannot be compared"),
        (["old.json"], "give what to compare it with"),
        (["old.json", "empty"], "empty holds no document with x-protocol"),
        (["old.json", "broken.json"], "broken.json cannot be compared: correct it first"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line(words: list[str], said: str, files: Path) -> None:
    found = diff(*words, cwd=files)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["v9"], "'v9' cannot be compared"),
        (["HEAD:schemas/other.json", "schemas/chat.json"], "schemas/other.json is not in revision HEAD"),
        (["HEAD:../chat.json", "schemas/chat.json"], "is outside of the repository"),
    ],
)
def test_revisions_that_are_not_there(words: list[str], said: str, repository: Path) -> None:
    found = diff(*words, cwd=repository)
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
