"""Hard features of JSON Schema, a folder each: a schema, and samples labelled by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from protogen import build
from protogen.config import for_schema
from protogen.output import GeneratedFile
from protogen.render import Templates
from protogen.samples import Sample
from protogen.verify import run

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"
FEATURES = sorted(path.name for path in GOLDEN.iterdir())


def _verified(name: str, target: str) -> None:
    schema = GOLDEN / name / "schema.json"
    protocol, problems = build.read_protocol(schema, root=schema.parent, name=name)
    assert protocol is not None, problems
    entry = for_schema(schema, root=schema.parent).protocols[0]
    product, _ = build.generate(protocol, entry, target, renderer=Templates())
    prefix = f"{target}/{entry.name}/"
    files = [GeneratedFile(path=file.path.removeprefix(prefix), text=file.text) for file in product.files]
    lines = [json.loads(line) for line in (schema.parent / "samples.jsonl").read_text("utf-8").splitlines()]
    samples = [Sample(type=it["type"], text=json.dumps(it["value"]), valid=it["valid"]) for it in lines]
    tally = run(target, files, build.options(entry, target), samples, near=(ROOT,))
    assert (tally.failure, tally.findings) == ("", ())
    assert tally.samples == len(samples) > 0


@pytest.mark.parametrize("name", FEATURES)
def test_samples_of_a_feature_are_judged_as_labelled(name: str) -> None:
    _verified(name, "python")


@pytest.mark.soak
@pytest.mark.parametrize("target", ["typescript", "go"])
@pytest.mark.parametrize("name", FEATURES)
def test_samples_of_a_feature_are_judged_alike_elsewhere(name: str, target: str) -> None:
    _verified(name, target)


def test_every_feature_has_its_row() -> None:
    page = (ROOT / "docs" / "reference" / "features.md").read_text("utf-8")
    assert sorted(set(re.findall(r"build/golden/([a-z0-9-]+)\)", page))) == FEATURES
