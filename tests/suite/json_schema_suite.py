"""The JSON Schema Test Suite through the whole build: its schemas as one protocol, its values as samples."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from protogen import build, ir
from protogen.bundle import Bundle, bundle
from protogen.config import for_schema
from protogen.keywords import CONSTRAINTS
from protogen.load import load
from protogen.lower import lower
from protogen.normalise import NormalSchema, normalise, reference, referred
from protogen.output import GeneratedFile
from protogen.problems import has_errors
from protogen.render import Templates
from protogen.samples import Sample
from protogen.unevaluated import spelled_out
from protogen.verify import run

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "json-schema-suite.txt"
DRAFTS = {
    "draft-04": ("draft4", "http://json-schema.org/draft-04/schema#"),
    "draft-06": ("draft6", "http://json-schema.org/draft-06/schema#"),
    "draft-07": ("draft7", "http://json-schema.org/draft-07/schema#"),
    "2019-09": ("draft2019-09", "https://json-schema.org/draft/2019-09/schema"),
    "2020-12": ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
}
"""Drafts by their names: the suite's folder, and the address of the meta-schema."""

REMOTE = frozenset(("refRemote", "vocabulary"))
"""Files whose schemas lie on another host; nothing is ever fetched."""


class Group(NamedTuple):
    """A schema of the suite with its tests."""

    file: str
    description: str
    schema: Any
    tests: list[dict[str, Any]]


class Case(NamedTuple):
    """One test: its sample where the schema could be built, and what it says."""

    group: Group
    test: dict[str, Any]
    sample: Sample | None


def suite() -> Path:
    """The suite's folder `tests`; fetched by its lock where it is not there yet."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = ROOT / ".interop_cache" / f"json-schema-suite-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        options = ["--no-binary", ":all:", "--require-hashes", "--dest", str(folder), "-r", str(LOCK)]
        subprocess.run([*command, *options], check=True)
        (archive,) = folder.glob("jsonschema-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        (folder / "complete").touch()
    (tests,) = folder.glob("jsonschema-*/json/tests")
    return tests


def groups(draft: str) -> Iterator[Group]:
    """The required tests of a draft that fetch nothing."""
    folder, _ = DRAFTS[draft]
    for file in sorted((suite() / folder).glob("*.json")):
        if file.stem not in REMOTE:
            for group in json.loads(file.read_text("utf-8")):
                yield Group(file.stem, group["description"], group["schema"], group["tests"])


def cases(draft: str, scratch: Path) -> tuple[ir.Protocol, list[Case]]:
    """All schemas of a draft as one protocol, and its tests; those whose schema cannot be built have no sample."""
    merged: list[NormalSchema] = []
    found: list[Case] = []
    first: Bundle | None = None
    for at, group in enumerate(groups(draft)):
        read = _read(group, DRAFTS[draft][1], scratch)
        if read is None:
            found += [Case(group, test, None) for test in group.tests]
            continue
        bundled, normal, root = read
        first = first if first is not None else bundled
        names = {entry.name: f"G{at}{entry.name}" for entry in normal}
        merged += [
            msgspec.structs.replace(entry, name=names[entry.name], schema=_renamed(entry.schema, names))
            for entry in normal
        ]
        for test in group.tests:
            text = json.dumps(test["data"])
            sample = Sample(type=names[root], text=text, valid=test["valid"], note=group.description)
            found.append(Case(group, test, sample))
    assert first is not None
    protocol, problems = lower(first, merged)
    assert not has_errors(problems), problems
    return protocol, found


def _read(group: Group, dialect: str, scratch: Path) -> tuple[Bundle, list[NormalSchema], str] | None:
    """A schema through the first stages, and the name of its root; None where it is refused."""
    schema = group.schema
    place = "$defs" if "draft/20" in dialect else "definitions"
    if isinstance(schema, bool) or not CONSTRAINTS.keys() & schema.keys():
        # A document that says nothing is no schema to a build: it stands within one.
        inner = schema if isinstance(schema, bool) else {key: part for key, part in schema.items() if key != "$schema"}
        document: dict[str, Any] = {"$schema": dialect, place: {"Root": inner}}
    else:
        document = {"$schema": dialect, **schema}
    file = scratch / "case.json"
    file.write_text(json.dumps(document), "utf-8")
    loaded, problems = load(file, root=scratch.resolve())
    assert loaded is not None, problems
    bundled, problems = bundle(loaded, root=scratch.resolve())
    normal, further = normalise(bundled)
    if has_errors([*problems, *further]):
        return None
    normal, _ = spelled_out(normal)
    root = next((entry.name for entry in normal if entry.site.pointer in ("", f"/{place}/Root")), None)
    return None if root is None else (bundled, normal, root)


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    """A schema in normal form whose references lead to other names."""
    if isinstance(schema, list):
        return [_renamed(part, names) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "$ref" and isinstance(value, str):
            name = referred(schema)
            made[word] = reference(names[name]) if name in names else value
        elif word in ("const", "enum", "default", "examples"):
            made[word] = value
        elif word in ("properties", "patternProperties", "dependencies"):
            made[word] = {key: _renamed(part, names) for key, part in value.items()}
        else:
            made[word] = _renamed(value, names)
    return made


def failed(draft: str, target: str, scratch: Path) -> tuple[list[Case], int]:
    """The tests of a draft that the generated code of a target gets wrong, and how many there are."""
    protocol, found = cases(draft, scratch)
    (entry,) = for_schema(scratch / "suite.json", root=scratch).protocols
    product, problems = build.generate(protocol, entry, target, renderer=Templates())
    assert not has_errors(problems), problems
    prefix = f"{target}/{entry.name}/"
    files = [GeneratedFile(path=file.path.removeprefix(prefix), text=file.text) for file in product.files]
    samples = [case.sample for case in found if case.sample is not None]
    tally = run(target, files, build.options(entry, target), samples, near=(ROOT,))
    assert not tally.failure, tally.failure
    # A value that is decoded and written again as another one would be wrong as well.
    wrong = {(finding.type, finding.text) for finding in tally.findings}
    return [case for case in found if case.sample is None or (case.sample.type, case.sample.text) in wrong], len(found)
