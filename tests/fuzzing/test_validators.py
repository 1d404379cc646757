"""Generated validators on values that schemathesis makes: each language against the schema, and so against each other.

The labels are those of jsonschema-rs; `protogen verify` runs the same values through the code of each language. Its own
samples are made by rules of ours, so these find what those rules do not think of.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from protogen.build import read_protocol
from protogen.cli import cli
from protogen.cli.fuzz import document_of
from protogen.described import component_keys
from protogen_compliance.fuzz.description import validator
from protogen_compliance.fuzz.schemathesis_cases import Cases
from protogen_compliance.fuzz.shrinking import grafts, shortened

PROTOCOLS = ("apflow/1.0", "stepflow/0.9", "a2a/1.0", "a2a/0.3", "echo")
SECONDS = float(os.environ.get("PROTOGEN_FUZZ_SECONDS", "120"))
MOST_GRAFTS = 40


class Values:
    """Values for every definition of a protocol, labelled."""

    def __init__(self, schema: Path) -> None:
        protocol, problems = read_protocol(schema, root=schema.parent)
        assert protocol is not None, problems
        document = document_of(protocol)
        self.names: dict[str, str] = component_keys(protocol.schema["definitions"])
        self._judges = {
            name: validator(document, {"$ref": f"#/components/schemas/{key}"}) for name, key in self.names.items()
        }
        self._cases = Cases(_virtual(document, self.names))

    def round(self, seed: int, count: int) -> Iterator[tuple[str, Any]]:
        """Random values of each definition, and such with one member taken from another one."""
        chance = random.Random(seed)
        for name in self.names:
            made = [
                case.params
                for positive in (True, False)
                for case in self._cases.drawn(name, positive=positive, chance=chance.getrandbits(32), count=count)
                if case.body is None
            ]
            yield from ((name, value) for value in made)
            pairs = [(one, other) for one in made for other in made if one is not other]
            for one, other in chance.sample(pairs, min(len(pairs), count)):
                mixed = [*shortened(one), *grafts(one, other)]
                yield from ((name, value) for value in chance.sample(mixed, min(len(mixed), MOST_GRAFTS)))

    def line(self, name: str, value: Any) -> str:
        """A labelled sample as `protogen verify` reads it."""
        return json.dumps({"type": name, "value": value, "valid": self._judges[name](value) is None})


def _virtual(document: Any, names: dict[str, str]) -> Any:
    """A document whose methods are the definitions, so that cases for them can be made."""
    paths = {
        f"/rpc/d{number}": {
            "post": {
                "operationId": f"d{number}",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{key}"}}}},
                "responses": {"200": {"description": "Ok."}},
                "x-jsonrpc": {"method": name},
            }
        }
        for number, (name, key) in enumerate(names.items())
    }
    return {**document, "paths": paths}


def disagreements(schema: Path, lines: set[str], folder: Path, *words: str) -> str:
    """What `protogen verify` has to say of samples; empty where all agree."""
    file = folder / "samples.jsonl"
    file.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
    done = CliRunner().invoke(cli, ["verify", str(schema), "--samples", str(file), *words])
    assert done.exit_code in (0, 1), done.output
    return done.output if done.exit_code else ""


@pytest.mark.parametrize("name", ["echo"])
def test_python_agrees_with_the_schema_on_a_few_values(root: Path, name: str, tmp_path: Path) -> None:
    schema = root / "schemas" / name / "protocol.json"
    values = Values(schema)
    lines = {values.line(*it) for it in values.round(1, 3)}
    assert len(lines) > 100
    assert {json.loads(line)["valid"] for line in lines} == {True, False}
    assert disagreements(schema, lines, tmp_path, "--target", "python") == ""


def test_wrong_label_is_a_disagreement(root: Path, tmp_path: Path) -> None:
    schema = root / "schemas" / "echo" / "protocol.json"
    line = Values(schema).line("AddParams", {"a": 1, "b": 2})
    assert json.loads(line) == {"type": "AddParams", "value": {"a": 1, "b": 2}, "valid": True}
    wrong = line.replace("true", "false")
    assert "false accept" in disagreements(schema, {wrong}, tmp_path, "--target", "python")


@pytest.mark.soak
@pytest.mark.parametrize("name", PROTOCOLS)
def test_all_languages_agree_for_minutes(root: Path, name: str, tmp_path: Path) -> None:
    schema = root / "schemas" / name / "protocol.json"
    values = Values(schema)
    seed = random.SystemRandom().getrandbits(32)
    ends = time.monotonic() + SECONDS
    tried = 0
    while time.monotonic() < ends:
        seed += 1
        lines = {values.line(*it) for it in values.round(seed, 10)}
        tried += len(lines)
        found = disagreements(schema, lines, tmp_path)
        assert not found, f"seed {seed}:\n{found}"
    print(f"{name}: {tried} values, every language agrees")
