"""`protogen build --watch` and `protogen lint --watch`: what is rebuilt, what is said, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import IO

import pytest

PATIENCE_SECONDS = 60
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document(**definitions: object) -> str:
    """A protocol document of types alone."""
    about = {"name": "words", "version": "1"}
    return json.dumps({"$schema": DIALECT, "x-protocol": about, "$defs": definitions})


WORD = document(Word={"description": "A word.", "type": "string"})


class Watching:
    """A command that watches; every line it says, in order, on one pipe."""

    def __init__(self, *words: str, cwd: Path) -> None:
        command = [sys.executable, "-P", "-m", "protogen", *words, "--watch"]
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._killer = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        self._killer.start()

    @property
    def lines(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def told(self) -> list[str]:
        """What is said until the command waits again."""
        found: list[str] = []
        for line in self.lines:
            if line.startswith("watching "):
                return found
            found.append(line.rstrip("\n"))
        raise AssertionError(f"it ended: {found}")

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Its exit code and last words."""
        self.process.send_signal(number)
        said = self.lines.read()
        code = self.process.wait()
        self.close()
        return code, said

    def close(self) -> None:
        self._killer.cancel()
        self.process.kill()
        self.process.wait()
        self.lines.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of two protocols, one of which refers to a file beside it."""
    (tmp_path / "one.json").write_text(WORD)
    (tmp_path / "two.json").write_text(document(Text={"$ref": "beside.json#/$defs/Word"}))
    (tmp_path / "beside.json").write_text(WORD)
    (tmp_path / "protogen.toml").write_text(
        '[project]\ntargets = ["jsonschema"]\n[protocols.one]\nschema = "one.json"\n'
        '[protocols.two]\nschema = "two.json"\n'
    )
    return tmp_path


@pytest.fixture
def building(folder: Path) -> Generator[Watching]:
    """Watches the project, after its first build."""
    watching = Watching("build", cwd=folder)
    yield watching
    watching.close()


def schema(folder: Path, name: str) -> str:
    return (folder / "generated" / "jsonschema" / name / "words.schema.json").read_text("utf-8")


def test_what_changes_is_built_again_and_nothing_else_is_told(building: Watching, folder: Path) -> None:
    first = building.told()
    assert [line.split()[:2] for line in first[:-1]] == [["one", "jsonschema"], ["two", "jsonschema"]]
    (folder / "beside.json").write_text(document(Word={"type": "string", "maxLength": 12345}))
    told = building.told()
    assert told[0] == "changed: beside.json"
    assert [line.split()[:2] for line in told[1:-1]] == [["two", "jsonschema"]]
    assert " written, " in told[-1]
    assert "12345" in schema(folder, "two")
    assert building.end() == (0, "")


def test_broken_documents_are_waited_out(building: Watching, folder: Path) -> None:
    building.told()
    before = schema(folder, "one")
    (folder / "one.json").write_text(document(Word={"type": "strong"}))
    told = building.told()
    assert told[0] == "changed: one.json"
    assert "one.json:1:" in told[1]
    assert told[-1] == "1 error, 0 warnings: nothing was written"
    (folder / "one.json").write_text("{")
    assert "is not JSON" in building.told()[1]
    (folder / "one.json").unlink()
    assert "cannot be read: No such file or directory" in building.told()[1]
    assert schema(folder, "one") == before
    (folder / "one.json").write_text(document(Other={"type": "integer"}))
    assert " written, " in building.told()[-1]
    assert "Other" in schema(folder, "one")
    assert building.end(signal.SIGTERM) == (0, "")


def test_configuration_is_read_again_and_may_be_wrong(building: Watching, folder: Path) -> None:
    building.told()
    config = folder / "protogen.toml"
    text = config.read_text()
    config.write_text(text + "[protocols.three]\nshema = 1\n")
    told = building.told()
    assert told[0] == "changed: protogen.toml"
    assert 'PG201: "protocols.three.shema" is no key; did you mean "schema"?' in told[1]
    (folder / "three.json").write_text(WORD)
    config.write_text(text + '[protocols.three]\nschema = "three.json"\n')
    assert building.told()[1].split()[:2] == ["three", "jsonschema"]
    assert building.end() == (0, "")


def test_a_file_that_a_reference_missed_is_waited_for(folder: Path) -> None:
    (folder / "beside.json").unlink()
    watching = Watching("build", cwd=folder)
    assert "PG" in watching.told()[0]
    (folder / "beside.json").write_text(WORD)
    told = watching.told()
    assert told[0] == "changed: beside.json"
    assert " written, " in told[-1]
    assert watching.end() == (0, "")


def test_examples_that_come_are_read(folder: Path) -> None:
    watching = Watching("build", "one", cwd=folder)
    watching.told()
    (folder / "examples").mkdir()
    example = {"name": "wrong", "summary": "A number.", "type": "Wort", "valid": True, "value": 1}
    (folder / "examples" / "words.json").write_text(json.dumps([example]))
    told = watching.told()
    assert any('did you mean "Word"?' in line for line in told), told
    assert watching.end() == (0, "")


def test_reports_for_programs_are_one_line_each(folder: Path) -> None:
    watching = Watching("build", "--format", "json", cwd=folder)
    assert len(json.loads(watching.told()[0])["changes"]) > 0
    (folder / "one.json").write_text("[]")
    changed, report = watching.told()
    assert changed == "changed: one.json"
    assert [it["path"] for it in json.loads(report)["problems"]] == ["one.json"]
    assert watching.end() == (0, "")


def test_lint_looks_again(folder: Path) -> None:
    watching = Watching("lint", "two", cwd=folder)
    assert not any("minLength" in line for line in watching.told())
    (folder / "two.json").write_text(document(Text={"description": "A text.", "type": "string", "minLength": 0}))
    told = watching.told()
    assert told[0] == "changed: two.json"
    assert any('"minLength": 0 says what its absence says' in line for line in told)
    assert watching.end() == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "--check"), "leave --check and --dry-run out"),
        (("build", "--dry-run"), "leave --check and --dry-run out"),
        (("lint", "--fix"), "leave --fix and --format out"),
        (("lint", "--format", "json"), "leave --fix and --format out"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...], said: str, folder: Path) -> None:
    watching = Watching(*words, cwd=folder)
    with pytest.raises(AssertionError, match=said):
        watching.told()
    assert watching.process.wait() == 2
    watching.close()
