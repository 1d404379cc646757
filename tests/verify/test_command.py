"""`protogen verify`: what it prints, how it exits, and what it says of input it cannot use."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from protogen import ir, registry
from protogen.output import GeneratedFile, Options, Renderer
from protogen.problems import Problem
from protogen.verifiers import PREPARE

if TYPE_CHECKING:
    from conftest import Run

LENIENT = """
import json
class Refused(ValueError): pass
def decode(name, data): return json.loads(data)
def encode(value): return json.dumps(value).encode()
"""


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target `lenient`, run as Python: its SDKs accept everything and lose nothing."""

    class Lenient:
        name = "lenient"
        summary = "accepts everything"

        def generate(
            self, protocol: ir.Protocol, options: Options, renderer: Renderer
        ) -> tuple[list[GeneratedFile], list[Problem]]:
            return [GeneratedFile(path=f"{options.package}/__init__.py", text=LENIENT)], []

    module = ModuleType("lenient_target")
    module.TARGET = Lenient()  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, "lenient_target", module)
    monkeypatch.setitem(registry.BUILTIN, "lenient", "lenient_target")
    monkeypatch.setitem(PREPARE, "lenient", PREPARE["python"])


def _schema(folder: Path) -> Path:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Order",
        "type": "object",
        "properties": {"count": {"$ref": "#/definitions/Count"}},
        "required": ["count"],
        "definitions": {"Count": {"type": "integer", "minimum": 0}},
    }
    path = folder / "order.json"
    path.write_text(json.dumps(schema), "utf-8")
    return path


def _lines(folder: Path, *lines: str) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def test_every_sdk_of_the_toy_protocol_agrees_with_its_schema(run: Run) -> None:
    found = run("verify", "echo", "--format", "json")
    report = json.loads(found.out)
    assert [(t["target"], t["ok"], t["findings"]) for t in report["protocols"][0]["targets"]] == [
        (name, True, []) for name in ("python", "typescript", "go", "pydantic")
    ]
    assert report["protocols"][0]["samples"] >= 2000
    assert (found.code, found.err, report["ok"]) == (0, "", True)


ODD = {
    "Nothing": {"const": None},
    "Null": {"type": "null"},
    "Owner": {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"$ref": "#/$defs/Nothing"}},
            "a b": {"$ref": "#/$defs/Null"},
        },
    },
    "Narrowed": {"oneOf": [{"type": ["string", "null"]}, {"const": 1}], "type": ["object", "null"]},
    "a blank": {"type": ["integer", "boolean"]},
}
"""Definitions that once went wrong in one language."""


def test_odd_definitions_agree_in_every_language(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(json.dumps({"$defs": ODD}), "utf-8")
    found = run("verify", str(tmp_path / "odd.json"), "--count", "200")
    assert (found.code, found.out.count(" ok ")) == (0, 3), found.out


@pytest.mark.usefixtures("lenient")
def test_findings_are_counted_named_and_exit_with_1(run: Run, tmp_path: Path) -> None:
    samples = _lines(
        tmp_path,
        '{"type":"Order","value":{"count":1.0},"valid":true,"extra":[]}',
        '{"type":"Count","value":-1}',
        '{"type":"Count","value":"x","valid":false,"note":"text"}',
    )
    words = ("verify", str(_schema(tmp_path)), "--target", "lenient", "--samples", str(samples))
    found = run(*words)
    assert found.code == 1
    assert found.err == "order.json: read as a JSON Schema: types only\n"
    lines = [line for line in found.out.splitlines() if "lenient    " not in line]
    assert lines == [
        "order: 3 samples (1 valid, 2 broken)",
        "",
        "order, lenient:",
        "  false accept: Count line 2",
        "    value  -1",
        "    result decoded though it breaks the schema",
        "  false accept: Count line 3 (text)",
        '    value  "x"',
        "    result decoded though it breaks the schema",
    ]
    assert "  lenient    FAILED 2 false accepts, 0 false rejects, 0 losses, 0 crashes" in found.out
    target = json.loads(run(*words, "--format", "json").out)["protocols"][0]["targets"][0]
    target.pop("seconds")
    detail = "decoded though it breaks the schema"
    assert target == {
        "target": "lenient",
        "ok": False,
        "samples": 3,
        "accepted": 3,
        "false_accepts": 2,
        "false_rejects": 0,
        "losses": 0,
        "crashes": 0,
        "failure": None,
        "problems": [],
        "findings": [
            {"kind": "false accept", "type": "Count", "line": 2, "value": "-1", "detail": detail, "note": ""},
            {"kind": "false accept", "type": "Count", "line": 3, "value": '"x"', "detail": detail, "note": "text"},
        ],
    }


@pytest.mark.usefixtures("lenient")
def test_the_text_report_shows_each_kind_and_type_before_it_repeats(run: Run, tmp_path: Path) -> None:
    lines = [f'{{"type":"Count","value":-{n},"valid":false}}' for n in range(1, 41)]
    samples = _lines(tmp_path, *lines, '{"type":"Order","value":{},"valid":false}')
    out = run("verify", str(_schema(tmp_path)), "--target", "lenient", "--samples", str(samples)).out
    assert "false accept: Order line 41" in out
    assert out.count("false accept: ") == 20
    assert "and 21 more; --format json lists all" in out


@pytest.mark.usefixtures("lenient")
def test_the_root_is_called_by_its_title_or_the_files_stem(run: Run, tmp_path: Path) -> None:
    plain = tmp_path / "box.schema.json"
    plain.write_text(json.dumps({"type": "object", "properties": {"a": {"type": "integer"}}}), "utf-8")
    samples = _lines(tmp_path, '{"type":"box","value":{"a":1},"valid":true}')
    assert run("verify", str(plain), "--target", "lenient", "--samples", str(samples)).code == 0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ['{"type":"Count","value":1}', '{"type":"Cuont","value":1}'],
            ':2: unknown type "Cuont"; did you mean "Count"?',
        ),
        (['{"type":"Count","value":1}', "", '{"type":"Count","value":'], ":3: Expecting value at column 25"),
        ([], "no samples; expected lines like"),
    ],
)
def test_a_file_of_samples_that_cannot_be_used(run: Run, tmp_path: Path, lines: list[str], said: str) -> None:
    samples = _lines(tmp_path, *lines)
    found = run("verify", str(_schema(tmp_path)), "--target", "python", "--samples", str(samples))
    assert (found.code, found.out) == (2, "")
    assert f"{samples}{said}" in found.err or said in found.err
    assert "PG205" in found.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("echo", "--samples", "nowhere.jsonl"), "PG205", "nowhere.jsonl: error PG205: cannot be read: No such file"),
        (("--samples", "README.md"), "PG205", "--samples belongs to one protocol, not to echo, stepflow, "),
        (("echo", "--target", "samples"), "PG203", 'target "samples" has no code that can be run; choose from python'),
        (("ecko",), "PG202", 'did you mean "echo"?'),
    ],
)
def test_usage_that_makes_no_sense_exits_with_2(run: Run, words: tuple[str, ...], code: str, said: str) -> None:
    found = run("verify", *words)
    assert found.code == 2
    assert code in found.err
    assert said in found.err


@pytest.mark.parametrize(
    ("target", "said"),
    [("go", "go is not on PATH; install Go 1.24 or later"), ("typescript", "node is not on PATH; install Node.js 20")],
)
def test_a_missing_toolchain_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, said: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = run("verify", "echo", "--target", target)
    assert found.code == 2
    assert f"error PG204: {said}" in found.err


def test_what_a_target_warns_of_is_told_beside_its_findings(run: Run, tmp_path: Path) -> None:
    schema = tmp_path / "ahead.json"
    schema.write_text('{"$defs": {"Ahead": {"type": "string", "pattern": "^(?!x)"}}}', "utf-8")
    samples = _lines(tmp_path, '{"type":"Ahead","value":"x","valid":false}')
    words = ("verify", str(schema), "--target", "go", "--samples", str(samples))
    target = json.loads(run(*words, "--format", "json").out)["protocols"][0]["targets"][0]
    assert target["false_accepts"] == 1
    assert [problem for problem in target["problems"] if "(?!x)" in problem]
    assert "(?!x)" in run(*words).out


def test_a_schema_with_problems_exits_with_1(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"$defs": {"A": {"$ref": "#/$defs/B"}}}', "utf-8")
    found = run("verify", str(bad), "--target", "python")
    assert found.code == 1
    assert "PG102" in found.err
