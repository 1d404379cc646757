"""The targets `samples` and `jsonschema`, and the page on editors that points at what the latter writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import referencing

from protogen import ir
from protogen.output import GeneratedFile, Options
from protogen.problems import Problem
from protogen.render import Templates
from protogen.samples import make
from protogen.samples.text import read
from protogen.targets.jsonschema import target as jsonschema_target
from protogen.targets.samples import target as samples_target

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = Options(package="toy", distribution="toy")


def _toy(schemas: dict[str, Any], **more: Any) -> ir.Protocol:
    """A protocol of a lowered schema, every definition an Alias unless `more` says otherwise."""
    about: dict[str, Any] = {
        "definitions": tuple(ir.Alias(name=name, type=ir.AnyType()) for name in schemas),
        "schema": {"definitions": schemas},
    }
    return ir.Protocol(name="toy", version="1", title="Toy", doc="A toy.", **{**about, **more})


def _samples(protocol: ir.Protocol) -> tuple[dict[str, str], list[Problem]]:
    files, problems = samples_target.TARGET.generate(protocol, OPTIONS, Templates())
    return {file.path: file.text for file in files}, problems


def _documents(protocol: ir.Protocol) -> dict[str, Any]:
    files, problems = jsonschema_target.TARGET.generate(protocol, OPTIONS, Templates())
    assert problems == []
    return {file.path: json.loads(file.text) for file in files}


# --- samples -------------------------------------------------------------------------------------


def test_a_committed_corpus_is_large_enough_and_small_enough(large: ir.Protocol) -> None:
    files, problems = _samples(large)
    lines = files["samples.jsonl"].splitlines()
    assert problems == []
    assert len(lines) >= 2000
    assert len(files["samples.jsonl"].encode()) <= 1_500_000
    assert {json.loads(line)["type"] for line in lines} == set(large.schema["definitions"])


def test_a_corpus_that_would_be_too_large_is_cut(monkeypatch: pytest.MonkeyPatch, large: ir.Protocol) -> None:
    monkeypatch.setattr(samples_target, "_MOST_BYTES", 100_000)
    files, _ = _samples(large)
    assert 60_000 < len(files["samples.jsonl"].encode()) < 130_000


def test_the_readme_counts_what_is_there(echo: ir.Protocol) -> None:
    files, _ = _samples(echo)
    lines = [json.loads(line) for line in files["samples.jsonl"].splitlines()]
    valid = sum(line["valid"] for line in lines)
    assert (
        f"holds {len(lines)} values of 18 types: {valid} that are valid and {len(lines) - valid}" in files["README.md"]
    )
    assert "DO NOT EDIT" in files["README.md"]


def test_disputed_samples_are_warnings_and_not_in_the_file() -> None:
    files, problems = _samples(_toy({"Latin": {"type": "string", "pattern": "^\\p{Script=Latin}+$"}}))
    assert {(problem.code, problem.level) for problem in problems} == {("PG305", "warning")}
    assert f"{len(problems)} further values are left out" in files["README.md"]


# --- jsonschema ----------------------------------------------------------------------------------


def test_both_drafts_say_what_the_lowered_schema_says(keywords: dict[str, Any]) -> None:
    documents = _documents(_toy(keywords))
    seven, twenty = documents["toy.schema.json"], documents["toy.2020-12.schema.json"]
    jsonschema.Draft7Validator.check_schema(seven)
    jsonschema.Draft202012Validator.check_schema(twenty)
    checks = {}
    for name in keywords:
        quoted = name.replace("~", "~0").replace("/", "~1").replace(" ", "%20")
        checks[name] = (
            jsonschema_rs.Draft7Validator({**seven, "allOf": [{"$ref": f"#/definitions/{quoted}"}]}),
            jsonschema_rs.Draft202012Validator({**twenty, "allOf": [{"$ref": f"#/$defs/{quoted}"}]}),
        )
    for sample in make(keywords).samples:
        verdicts = [check.is_valid(read(sample.text)) for check in checks[sample.type]]
        assert verdicts == [sample.valid, sample.valid], sample


def test_both_drafts_of_our_protocols_agree_with_the_samples(large: ir.Protocol) -> None:
    documents = _documents(large)
    twenty = documents[f"{large.name}.2020-12.schema.json"]
    for sample in make(large.schema["definitions"], most=2000).samples:
        reference = {"$ref": f"#/$defs/{sample.type}", "$defs": twenty["$defs"]}
        assert jsonschema_rs.Draft202012Validator(reference).is_valid(read(sample.text)) is sample.valid


def test_descriptions_and_defaults_are_told(echo: ir.Protocol) -> None:
    definitions = {
        "Task": {
            "type": "object",
            "properties": {"id": {"$ref": "#/definitions/Id"}, "any": True, "n": {"type": "integer"}},
        },
        "Id": {"type": "string"},
    }
    fields = (
        ir.Field(wire="id", type=ir.NamedType(name="Id"), required=False, doc="Which one."),
        ir.Field(wire="any", type=ir.AnyType(), required=False, default=None, deprecated=True),
        ir.Field(wire="n", type=ir.IntegerType(), required=False, doc="How many.", default=3, read_only=True),
    )
    task = ir.Record(name="Task", doc="What to do.", fields=fields)
    documents = _documents(_toy(definitions, definitions=(task, ir.Alias(name="Id", type=ir.StringType()))))
    assert documents["toy.schema.json"]["definitions"]["Task"] == {
        "description": "What to do.",
        "type": "object",
        "properties": {
            "id": {"description": "Which one.", "$ref": "#/definitions/Id"},
            "any": {"default": None, "deprecated": True},
            "n": {"description": "How many.", "default": 3, "readOnly": True, "type": "integer"},
        },
    }
    assert documents["toy.2020-12.schema.json"]["$defs"]["Task"]["properties"]["id"] == {
        "description": "Which one.",
        "$ref": "#/$defs/Id",
    }


def test_what_people_write_down_has_a_document_of_its_own() -> None:
    method = ir.Method(
        name="run",
        kind="request",
        sender="a",
        receiver="b",
        params=ir.NamedType(name="RunParams"),
        result=ir.NamedType(name="RunResult"),
    )
    names = ("RunParams", "RunResult", "Task", "odd name", "Lifted")
    records = tuple(ir.Record(name=name, fields=()) for name in names)
    definitions = {name: {"type": "object"} for name in (*names, "Id")}
    protocol = _toy(
        definitions,
        definitions=(*records, ir.Alias(name="Id", type=ir.StringType())),
        methods=(method,),
        roots=("RunParams", "RunResult", "Task", "odd name", "Id"),
    )
    documents = _documents(protocol)
    assert sorted(documents) == ["toy.2020-12.schema.json", "toy.schema.json", "types/Task.schema.json"]
    resources = [
        (f"https://example.test/{path}", referencing.jsonschema.DRAFT7.create_resource(document))
        for path, document in documents.items()
        if "2020" not in path
    ]
    registry: Any = referencing.Registry().with_resources(resources)
    entry = jsonschema.Draft7Validator({"$ref": "https://example.test/types/Task.schema.json"}, registry=registry)
    assert entry.is_valid({})
    assert not entry.is_valid([])


# --- docs/how-to/editors.md -----------------------------------------------------------------------


def test_the_page_on_editors_points_at_files_that_are_written(large: ir.Protocol) -> None:
    page = (ROOT / "docs" / "how-to" / "editors.md").read_text("utf-8")
    written = {f"{large.name}/{path}" for path in _documents(large)}
    named = set(re.findall(rf"{large.name}/[\w./-]+?\.json", page))
    assert named
    assert named <= written


def test_the_settings_on_the_page_are_json() -> None:
    page = (ROOT / "docs" / "how-to" / "editors.md").read_text("utf-8")
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    settings = [json.loads(block) for block in blocks]
    assert [sorted(block) for block in settings] == [["json.schemas", "yaml.schemas"]]


def test_every_file_ends_in_a_line_end(large: ir.Protocol) -> None:
    files: list[GeneratedFile] = []
    for target in (samples_target.TARGET, jsonschema_target.TARGET):
        files += target.generate(large, OPTIONS, Templates())[0]
    assert [file.path for file in files if not file.text.endswith("\n")] == []
