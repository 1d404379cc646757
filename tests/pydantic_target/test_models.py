"""The pydantic target: models named as their definitions, that agree with the schema and keep what they are given."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.output import GeneratedFile, Options
from protogen.render import Templates
from protogen.samples import make
from protogen.targets.pydantic import target
from protogen.verify import run

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = Options(package="toy", distribution="toy")

HARD: dict[str, Any] = {
    "Any": {},
    "Never": False,
    "Field": {"type": "string", "pattern": "^\\d+$"},
    "BaseModel": {"type": "object", "properties": {"class": {"type": "integer"}, "model_config": {}}},
    "lower case": {"type": "array", "items": {"$ref": "#/definitions/a~1b~0c"}},
    "a/b~c": {"type": "object", "properties": {"again": {"$ref": "#/definitions/a~1b~0c"}}},
    "Number": {"type": "number"},
    "Half": {"type": "number", "multipleOf": 0.5},
    "Yes": {"const": True},
    "Ahead": {"type": "string", "pattern": "^(?!x)[a-z]+$"},
    "Stamp": {"type": "string", "format": "date-time"},
    "Once": {
        "oneOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    "Closed": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False},
    "Counts": {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "additionalProperties": {"type": "integer"},
    },
    "Prefixed": {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
    "Pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False},
    "Set": {"type": "array", "items": {}, "uniqueItems": True},
    "When": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", 1, None, True]}},
        "if": {"required": ["kind"]},
        "then": {"required": ["size"]},
    },
    "Hostile": {"type": "object", "properties": {'"""': {"type": "string"}, "\\": {"const": "*/\n'''"}, "x'y": {}}},
}


def _toy(definitions: dict[str, Any], docs: str = "") -> ir.Protocol:
    """The protocol of a bare schema; every definition gets `docs`."""
    documented = {n: {"description": docs, **d} if docs and isinstance(d, dict) else d for n, d in definitions.items()}
    whole = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": documented}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.json"
        path.write_text(json.dumps(whole), "utf-8")
        protocol, problems = read_protocol(path, root=Path(folder).resolve())
    assert protocol is not None, problems
    return protocol


def _files(protocol: ir.Protocol) -> list[GeneratedFile]:
    files, problems = target.TARGET.generate(protocol, OPTIONS, Templates())
    assert problems == []
    return files


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Any]:
    """Writes the package of some definitions and imports it."""

    def make_package(definitions: dict[str, Any]) -> Any:
        name = f"toy_{len(sys.modules)}"
        for file in _files(_toy(definitions)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file.path).write_text(file.text, "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return make_package


@pytest.mark.parametrize("name", ["stepflow/0.9", "apflow/1.0"])
def test_models_of_our_protocols_agree_with_the_schema(name: str) -> None:
    protocol, _ = read_protocol(ROOT / "schemas" / name / "protocol.json", root=ROOT)
    assert protocol is not None
    tally = run("pydantic", _files(protocol), OPTIONS, make(protocol.schema["definitions"], least=2000).samples)
    assert (tally.findings, tally.failure) == ((), "")


def test_models_of_hard_schemas_agree_with_the_schema() -> None:
    protocol = _toy(HARD)
    corpus = make(protocol.schema["definitions"])
    tally = run("pydantic", _files(protocol), OPTIONS, corpus.samples)
    assert (tally.findings, tally.failure) == ((), "")
    assert {sample.type for sample in corpus.samples} >= set(HARD)


@pytest.mark.parametrize("name", ["echo", "stepflow/0.9", "apflow/1.0"])
def test_classes_are_called_as_their_definitions(name: str) -> None:
    protocol, _ = read_protocol(ROOT / "schemas" / name / "protocol.json", root=ROOT)
    assert protocol is not None
    text = next(file.text for file in _files(protocol) if file.path == "models.py")
    classes = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    pinned = {definition.name: definition.pin for definition in protocol.definitions if definition.pin}
    assert {pinned.get(name, name) for name in protocol.schema["definitions"]} <= classes


def test_names_that_python_or_pydantic_take_are_moved_and_found(load: Callable[[dict[str, Any]], Any]) -> None:
    models = load(HARD).MODELS
    assert set(models) >= set(HARD)
    assert {name: models[name].__name__ for name in ("Any", "Field", "BaseModel", "lower case", "a/b~c")} == {
        "Any": "Any_",
        "Field": "Field_",
        "BaseModel": "BaseModel_",
        "lower case": "LowerCase",
        "a/b~c": "ABC",
    }


def test_a_definition_without_a_model_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "models", lambda schema, header: "class Count: ...\n")
    _, problems = target.TARGET.generate(_toy({"Count": {"type": "integer"}, "Lost": {}}), OPTIONS, Templates())
    assert [(problem.code, problem.level, problem.what) for problem in problems] == [
        ("PG306", "error", 'definition "Lost" got no model Lost')
    ]


def test_absent_null_and_value_are_three_states(load: Callable[[dict[str, Any]], Any]) -> None:
    closed = load(HARD).MODELS["Closed"]
    for text in ("{}", '{"a":null}', '{"a":"x"}'):
        assert closed.model_validate_json(text).model_dump_json() == text


def test_values_made_in_python_are_checked_too(load: Callable[[dict[str, Any]], Any]) -> None:
    expr: dict[str, Any] = {
        "Leaf": {"type": "object", "properties": {"n": {"type": "integer"}}, "not": {"required": ["kids"]}},
        "Node": {
            "type": "object",
            "properties": {"kids": {"type": "array", "items": {"$ref": "#/definitions/Leaf"}}},
            "minProperties": 1,
        },
    }
    models = load(expr).MODELS
    node = models["Node"](kids=[models["Leaf"](n=1)])
    assert node.model_dump_json(by_alias=True) == '{"kids":[{"n":1}]}'
    with pytest.raises(pydantic.ValidationError, match="less than 1 property"):
        models["Node"]()
    with pytest.raises(pydantic.ValidationError):
        models["Leaf"](n=1, kids=[])


def test_docs_cannot_break_out() -> None:
    docs = 'quotes """ and \'\'\' and \\ and \n# new line\n"""\nimport os\n{{ x }}'
    text = next(file.text for file in _files(_toy(HARD, docs)) if file.path == "models.py")
    tree = ast.parse(text)
    assert "os" not in {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {type(node).__name__ for node in tree.body} <= {"ImportFrom", "ClassDef", "Expr", "Assign"}


def test_the_function_that_knows_the_generator_is_short() -> None:
    tree = ast.parse(Path(target.__file__).read_text("utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "models")
    assert function.end_lineno is not None
    assert function.end_lineno - function.lineno < 150
    others = [ast.unparse(node) for node in tree.body if node is not function]
    assert [text for text in others if "datamodel_code_generator" in text] == []


def test_the_same_bytes_under_every_hash_seed_and_elsewhere(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from protogen.build import read_protocol; root = Path(sys.argv[1]);"
        "from protogen.render import Templates; from protogen.targets.pydantic.target import TARGET;"
        "from protogen.output import Options; o = Options(package='a', distribution='a');"
        "p, _ = read_protocol(root / 'schemas/stepflow/0.9/protocol.json', root=root);"
        "print([(f.path, f.text) for f in TARGET.generate(p, o, Templates())[0]])"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program, str(ROOT)],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C"},
            capture_output=True,
            check=True,
        ).stdout
        for seed, folder in (("0", ROOT), ("7", tmp_path))
    }
    assert len(texts) == 1


def test_generated_text_ends_in_a_line_end_and_names_its_source() -> None:
    for file in _files(_toy({"Count": {"type": "integer"}})):
        if file.text:
            assert file.text.endswith("\n")
            assert file.text.startswith("# Code generated by protogen. DO NOT EDIT.\n# Source: toy.json sha256:")


def test_mypy_accepts_the_package(tmp_path: Path) -> None:
    protocol, _ = read_protocol(ROOT / "schemas/stepflow/0.9/protocol.json", root=ROOT)
    assert protocol is not None
    folder = tmp_path / "some_models"
    folder.mkdir()
    for file in _files(protocol):
        (folder / file.path).write_text(file.text, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, json.dumps(done.stdout)
