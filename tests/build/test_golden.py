"""Hard features of JSON Schema, a folder each: a schema, and samples labelled by hand."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from protogen import build
from protogen.config import for_schema
from protogen.output import GeneratedFile
from protogen.render import Templates
from protogen.samples import Sample
from protogen.verify import run, without_constraints

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"
FEATURES = sorted(path.name for path in GOLDEN.iterdir())


def _verified(name: str, target: str, *, constraints: bool = True) -> None:
    schema = GOLDEN / name / "schema.json"
    protocol, problems = build.read_protocol(schema, root=schema.parent, name=name)
    assert protocol is not None, problems
    entry = for_schema(schema, root=schema.parent).protocols[0]
    product, _ = build.generate(protocol, entry, target, renderer=Templates())
    prefix = f"{target}/{entry.name}/"
    files = [GeneratedFile(path=file.path.removeprefix(prefix), text=file.text) for file in product.files]
    lines = [json.loads(line) for line in (schema.parent / "samples.jsonl").read_text("utf-8").splitlines()]
    samples = [Sample(type=it["type"], text=json.dumps(it["value"]), valid=it["valid"]) for it in lines]
    if not constraints:
        samples = without_constraints(samples, protocol.schema["definitions"])
    tally = run(target, files, build.options(entry, target), samples, near=(ROOT,), constraints=constraints)
    assert (tally.failure, tally.findings) == ("", ())
    assert tally.samples == len(samples) > 0


@pytest.mark.parametrize("name", FEATURES)
def test_samples_of_a_feature_are_judged_as_labelled(name: str) -> None:
    _verified(name, "python")


@pytest.mark.parametrize("name", FEATURES)
def test_samples_of_a_feature_are_judged_by_types_alone(name: str) -> None:
    _verified(name, "python", constraints=False)


@pytest.mark.soak
@pytest.mark.parametrize("target", ["typescript", "go"])
@pytest.mark.parametrize("name", FEATURES)
def test_samples_of_a_feature_are_judged_by_types_alone_elsewhere(name: str, target: str) -> None:
    _verified(name, target, constraints=False)


@pytest.mark.soak
@pytest.mark.parametrize("target", ["typescript", "go"])
@pytest.mark.parametrize("name", FEATURES)
def test_samples_of_a_feature_are_judged_alike_elsewhere(name: str, target: str) -> None:
    _verified(name, target)


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    """tools/golden.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("protogen_tools_golden", ROOT / "tools" / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FEATURES)
def test_models_of_a_feature_are_as_reviewed(name: str, golden: ModuleType) -> None:
    models: dict[str, str] = golden.models(GOLDEN / name)
    stale = [file for file, text in models.items() if (GOLDEN / name / file).read_text("utf-8") != text]
    assert stale == [], "look at what changed, then run .venv/bin/python tools/golden.py"
    assert {path.name for path in (GOLDEN / name).iterdir()} == {"schema.json", "samples.jsonl", *models}


def test_models_are_laid_out_as_their_formatters_do_it(tool: Callable[[str], str]) -> None:
    files = {end: [str(path) for path in sorted(GOLDEN.glob(f"*/expected.{end}"))] for end in ("ts", "go")}
    for command in (
        [tool("prettier"), "--check", "--print-width", "120", *files["ts"]],
        [tool("gofmt"), "-l", *files["go"]],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command[1] != "-l" or done.stdout == ""


def test_stale_models_are_named_and_written(
    golden: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden, "GOLDEN", tmp_path)
    monkeypatch.setattr(golden, "CHECKOUT", tmp_path)
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "schema.json").write_text((GOLDEN / "constants" / "schema.json").read_text("utf-8"), "utf-8")
    assert golden.main(["--check"]) == 1
    assert golden.main([]) == 0
    assert golden.main(["--check"]) == 0
    said = capsys.readouterr().out.split()
    names = [f"thing/expected.{end}" for end in ("py", "ts", "go")]
    assert said == [word for verb in ("stale:", "written:") for name in names for word in (verb, name)]


def test_every_feature_has_its_row() -> None:
    page = (ROOT / "docs" / "reference" / "features.md").read_text("utf-8")
    assert sorted(set(re.findall(r"build/golden/([a-z0-9-]+)\)", page))) == FEATURES
