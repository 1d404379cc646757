"""What a build writes, and what --check and --dry-run say of the difference."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Project = Callable[..., Path]

TWO = {"$defs": {"A": {"type": "object"}, "B": {"type": "string"}}}


@pytest.fixture
def built(run: Run, project: Project) -> Path:
    folder = project(TWO)
    assert run("build").code == 0
    return folder / "generated" / "toy" / "acme"


def test_a_build_writes_the_files_and_a_manifest(built: Path) -> None:
    assert sorted(path.relative_to(built).as_posix() for path in built.rglob("*.txt")) == [
        "names.txt",
        "types/A.txt",
        "types/B.txt",
    ]
    listed = json.loads((built.parent.parent / "MANIFEST.json").read_text())["files"]
    assert list(listed) == ["toy/acme/names.txt", "toy/acme/types/A.txt", "toy/acme/types/B.txt"]
    assert not (built.parent.parent / ".protogen-stage").exists()


def test_check_is_quiet_when_all_is_up_to_date(run: Run, built: Path) -> None:
    result = run("build", "--check")
    assert (result.code, result.out.startswith("up to date: 3 files")) == (0, True)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda at: (at / "types" / "A.txt").unlink(), "missing"),
        (lambda at: (at / "types" / "A.txt").write_text("edited\n"), "changed"),
        (lambda at: (at / "types" / "mine.txt").write_text("x"), "untracked"),
    ],
    ids=["missing", "changed", "untracked"],
)
def test_check_names_the_file_and_the_command(
    run: Run, built: Path, damage: Callable[[Path], object], kind: str
) -> None:
    damage(built)
    before = sorted(built.rglob("*"))
    result = run("build", "--check")
    assert result.code == 1
    named = "mine.txt" if kind == "untracked" else "A.txt"
    assert f"{kind:<10}generated/toy/acme/types/{named}" in result.out
    assert result.out.splitlines()[-1] == "protogen build"
    assert ("-edited" in result.out) == (kind == "changed")
    assert sorted(built.rglob("*")) == before


def test_check_names_an_extra_file_that_an_older_schema_made(run: Run, built: Path) -> None:
    schema = built.parents[2] / "acme.json"
    schema.write_text(json.dumps({"$defs": {"A": {"type": "object"}}}))
    result = run("build", "--check", "acme")
    assert result.code == 1
    assert "extra     generated/toy/acme/types/B.txt" in result.out
    assert result.out.splitlines()[-1] == "protogen build acme"
    assert run("build").code == 0
    assert not (built / "types" / "B.txt").exists()
    assert run("build", "--check").code == 0


def test_check_notices_a_lost_manifest(run: Run, built: Path) -> None:
    (built.parent.parent / "MANIFEST.json").unlink()
    assert "MANIFEST.json" in run("build", "--check").out


def test_check_ignores_what_the_languages_own_tools_leave(run: Run, built: Path) -> None:
    for name in ("node_modules/x.js", "__pycache__/a.pyc", "dist/index.js", ".mypy_cache/x", "package-lock.json"):
        (built / name).parent.mkdir(exist_ok=True)
        (built / name).write_text("x")
    assert run("build", "--check").code == 0


def test_dry_run_says_what_would_change_and_writes_nothing(run: Run, built: Path) -> None:
    (built / "names.txt").unlink()
    result = run("build", "--dry-run")
    assert result.code == 0
    assert "missing   generated/toy/acme/names.txt" in result.out
    assert "1 would change" in result.out
    assert not (built / "names.txt").exists()


def test_a_second_run_changes_nothing_and_says_so(run: Run, built: Path) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in built.rglob("*.txt")}
    assert run("build").out.startswith("nothing changed: 4 files")
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*.txt")} == stamps


@pytest.mark.parametrize("what", ["schema", "output", "configuration", "record"])
def test_the_quick_way_notices_every_kind_of_change(run: Run, built: Path, what: str) -> None:
    folder = built.parents[2]
    changed = {
        "schema": lambda: (folder / "acme.json").write_text(json.dumps({"$defs": {"C": {"type": "string"}}})),
        "output": lambda: (built / "names.txt").write_text("edited"),
        "configuration": lambda: (folder / "protogen.toml").write_text(
            (folder / "protogen.toml").read_text() + "\n# a comment\n"
        ),
        "record": lambda: (folder / ".protogen" / "last-build.json").write_text("{"),
    }
    changed[what]()
    assert "nothing changed" not in run("build").out
    assert run("build", "--check").code == 0


def test_a_file_of_somebody_else_is_not_replaced(run: Run, project: Project) -> None:
    folder = project(TWO)
    theirs = folder / "generated" / "toy" / "acme" / "names.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("precious")
    result = run("build")
    assert (result.code, theirs.read_text()) == (2, "precious")
    assert "was not written by protogen" in result.err
    assert run("build", "--force").code == 0
    assert theirs.read_text() != "precious"


def test_a_file_of_somebody_else_is_not_replaced_beside_files_of_ours(run: Run, built: Path) -> None:
    folder = built.parents[2]
    theirs = built / "types" / "C.txt"
    theirs.write_text("precious")
    (folder / "acme.json").write_text(json.dumps({"$defs": {**TWO["$defs"], "C": {"type": "string"}}}))
    result = run("build")
    assert (result.code, theirs.read_text()) == (2, "precious")
    assert "was not written by protogen" in result.err
    assert run("build", "--force").code == 0
    assert theirs.read_text() != "precious"


def test_one_protocol_leaves_the_others_alone(run: Run, project: Project) -> None:
    folder = project(TWO)
    (folder / "other.json").write_text(json.dumps({"$defs": {"X": {"type": "string"}}}))
    config = folder / "protogen.toml"
    config.write_text(config.read_text() + '[protocols.other]\nschema = "other.json"\n')
    assert run("build").code == 0
    (folder / "acme.json").write_text(json.dumps({"$defs": {"Z": {"type": "string"}}}))
    assert run("build", "acme").code == 0
    assert (folder / "generated" / "toy" / "other" / "types" / "X.txt").is_file()
    assert run("build", "--check").code == 0


def test_a_bare_schema_needs_no_configuration(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "order.schema.json").write_text(
        json.dumps({"title": "Order", "type": "object", "properties": {"n": {"type": "integer"}}})
    )
    result = run("build", "order.schema.json", "--target", "toy", "--out", "sdk")
    assert result.code == 0
    assert (tmp_path / "sdk" / "toy" / "order" / "types" / "Order.txt").is_file()


def test_json_reports_are_one_document(run: Run, built: Path) -> None:
    (built / "names.txt").unlink()
    report = json.loads(run("build", "--check", "--format", "json").out)
    assert [change["path"] for change in report["changes"]] == ["toy/acme/names.txt"]
    assert report["products"][0]["files"] == 3
    assert report["problems"] == []


def test_json_reports_carry_the_place_of_a_finding(run: Run, project: Project) -> None:
    project({"$defs": {"A": {"$ref": "#/$defs/B"}}})
    report = json.loads(run("build", "--format", "json").out)
    assert report["problems"] == [
        {
            "code": "PG102",
            "level": "error",
            "what": "\"$ref\": '#/$defs/B' leads nowhere: nothing stands there",
            "fix": "correct the reference or add the definition",
            "path": "acme.json",
            "line": 4,
            "column": 7,
            "pointer": "/$defs/A/$ref",
        }
    ]


def test_nothing_in_the_output_tells_where_or_when_it_was_made(built: Path) -> None:
    text = "".join(path.read_text() for path in built.rglob("*.txt"))
    assert str(built) not in text
    assert time.strftime("%Y") not in text
