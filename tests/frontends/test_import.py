"""`protogen import`: what it writes is a protocol document, and the SDK that it gives is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from readings import DOCUMENTS, bare, reading_of

from protogen.cli import cli
from protogen.imported import as_document, as_example

NAMES = [
    *("openrpc.json", "split/openrpc.json", "messages.json", "envelopes.json", "spelled-out.json"),
    *("sides-schema.json", "metamodel.json", "plain.json"),
]


@pytest.mark.parametrize("name", NAMES)
def test_building_what_was_imported_gives_the_same_protocol(tmp_path: Path, name: str) -> None:
    reading = reading_of(DOCUMENTS / name)
    file = tmp_path / "protocol.json"
    file.write_text(json.dumps(as_document(reading.protocol, reading.normal)), "utf-8")
    if reading.protocol.examples:
        (tmp_path / "examples").mkdir()
        told = json.dumps([as_example(example) for example in reading.protocol.examples])
        (tmp_path / "examples" / "all.json").write_text(told, "utf-8")
    again = reading_of(file)
    assert again.told == ""
    assert bare(again.protocol) == bare(reading.protocol)


def test_the_sdks_of_both_differ_in_their_header_alone(folder: Path) -> None:
    for words in (
        ["import", "openrpc.json", "-o", "own/openrpc.json"],
        ["build", "openrpc.json", "--out", "theirs"],
        ["build", "own/openrpc.json", "--out", "ours"],
    ):
        ran = CliRunner().invoke(cli, words)
        assert ran.exit_code == 0, ran.output
    assert (folder / "own" / "examples" / "openrpc.json").is_file()
    theirs = {path.relative_to(folder / "theirs"): path for path in (folder / "theirs").rglob("*") if path.is_file()}
    ours = {path.relative_to(folder / "ours"): path for path in (folder / "ours").rglob("*") if path.is_file()}
    assert set(theirs) == set(ours)
    for path in set(theirs) - {Path("MANIFEST.json")}:
        lines = zip(
            theirs[path].read_text("utf-8").splitlines(), ours[path].read_text("utf-8").splitlines(), strict=True
        )
        assert [(one, other) for one, other in lines if one != other and "sha256:" not in one] == [], path


def test_the_document_is_printed_unless_a_file_is_named(folder: Path) -> None:
    ran = CliRunner().invoke(cli, ["import", "messages.json", "--name", "rooms"])
    assert ran.exit_code == 0
    tree = json.loads(ran.stdout)
    assert tree["x-protocol"] == {"name": "rooms", "version": "0", "title": "Rooms"}
    assert tree["x-methods"]["ping"]["mutual"] is True
    assert ran.stderr.startswith("messages.json: read as a JSON Schema of messages")


def test_a_file_that_stands_there_is_kept(folder: Path) -> None:
    (folder / "own.json").write_text("mine", "utf-8")
    ran = CliRunner().invoke(cli, ["import", "plain.json", "-o", "own.json"])
    assert "PG304" in str(ran.exception)
    assert (folder / "own.json").read_text("utf-8") == "mine"
    assert CliRunner().invoke(cli, ["import", "plain.json", "-o", "own.json", "--force"]).exit_code == 0
    assert json.loads((folder / "own.json").read_text("utf-8"))["x-protocol"]["name"] == "plain"


def test_a_document_with_errors_is_not_imported(folder: Path) -> None:
    (folder / "bad.json").write_text('{"openrpc": "1.0.0", "methods": [{}]}', "utf-8")
    ran = CliRunner().invoke(cli, ["import", "bad.json", "-o", "own.json"])
    assert ran.exit_code == 1
    assert "bad.json:1:" in ran.stderr
    assert not (folder / "own.json").exists()
