"""The protocol documents of the repository as tests see them: parsed, with validators for each definition."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from referencing.jsonschema import EMPTY_REGISTRY

# pytest's importlib mode puts no folder of tests on sys.path; sample_maker and differences stand here.
sys.path.insert(0, str(Path(__file__).resolve().parent))

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
META = SCHEMAS / "protogen.schema.json"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"


@cache
def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def refuse(uri: str) -> Any:
    raise AssertionError(f"a test may fetch nothing, not even {uri}")


def ecma_pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    """The keyword `pattern` with `$` as ECMA-262 has it: Python's also matches before a line break at the end."""
    if validator.is_type(value, "string") and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def second_validator(schema: Any) -> Any:
    """A validator that shares no code with jsonschema-rs and fetches nothing."""
    kind = jsonschema.validators.validator_for(schema)
    return jsonschema.validators.extend(kind, {"pattern": ecma_pattern})(schema, registry=EMPTY_REGISTRY)


def is_shared(schema: Any) -> bool:
    """Whether a definition is only a reference into another document."""
    return set(schema) == {"$ref"} and not schema["$ref"].startswith("#")


class Described:
    """A protocol document and what stands beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.parent.relative_to(SCHEMAS).as_posix()
        self.document: dict[str, Any] = read(path)
        self.shared = {name: entry["$ref"] for name, entry in self.document[self.key].items() if is_shared(entry)}
        """The definitions that are those of another version, each with the reference to it."""

    @property
    def key(self) -> str:
        return "definitions" if self.document["$schema"] == DRAFT_07 else "$defs"

    @cached_property
    def definitions(self) -> dict[str, Any]:
        """Those of the document, the shared ones as they stand in the other version."""
        return {name: self._definition(entry) for name, entry in self.document[self.key].items()}

    def _definition(self, entry: Any) -> Any:
        if not is_shared(entry):
            return entry
        file, _, pointer = entry["$ref"].partition("#")
        other = Described((self.path.parent / file).resolve())
        return other.definitions[pointer.rpartition("/")[2]]

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        return [example for path in self.example_files for example in read(path)]

    @property
    def example_files(self) -> list[Path]:
        return sorted((self.path.parent / "examples").glob("*.json"))

    def schema(self, reference: str) -> dict[str, Any]:
        """A schema of its own for `#/$defs/Name` or the bare name of a definition."""
        name = reference.rsplit("/", 1)[-1]
        return {
            "$schema": self.document["$schema"],
            self.key: self.definitions,
            "allOf": [{"$ref": f"#/{self.key}/{name}"}],
        }

    @cached_property
    def _validators(self) -> dict[str, tuple[Any, Any]]:
        return {}

    def accepts(self, reference: str, value: Any) -> bool:
        """Whether the definition admits the value; both validators must say the same."""
        if reference not in self._validators:
            schema = self.schema(reference)
            self._validators[reference] = (
                jsonschema_rs.validator_for(schema, validate_formats=False, retriever=refuse),
                second_validator(schema),
            )
        first, second = self._validators[reference]
        verdict: bool = first.is_valid(value)
        assert second.is_valid(value) == verdict, f"{reference}: the validators disagree on {value!r}"
        return verdict


DOCUMENTS = [Described(path) for path in sorted(SCHEMAS.glob("**/protocol.json"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `described` once for each protocol document, `clauses_path` for each clauses file."""
    if "described" in metafunc.fixturenames:
        metafunc.parametrize("described", DOCUMENTS, ids=lambda described: described.name)
    if "clauses_path" in metafunc.fixturenames:
        paths = sorted(SCHEMAS.glob("*/clauses.json"))
        metafunc.parametrize("clauses_path", paths, ids=lambda path: path.parent.name)


@pytest.fixture(scope="session")
def protocols() -> dict[str, Described]:
    """Every protocol document by its folder, such as `stepflow/0.9`."""
    return {described.name: described for described in DOCUMENTS}


@pytest.fixture(scope="session")
def meta() -> Any:
    """A judge: `meta(document)` lists the places that break the meta-schema, `meta(x, "Examples")` a part of it."""
    schema = read(META)

    @cache
    def validators(part: str) -> tuple[Any, Any]:
        of = schema
        if part:
            of = {"$schema": schema["$schema"], "$defs": schema["$defs"], "$ref": f"#/$defs/{part}"}
        return (
            jsonschema_rs.Draft202012Validator(of, validate_formats=False, retriever=refuse),
            second_validator(of),
        )

    def faults(document: Any, part: str = "") -> list[str]:
        first, second = validators(part)
        places = sorted({"/".join(map(str, failure.instance_path)) for failure in first.iter_errors(document)})
        assert second.is_valid(document) == (not places), "the validators disagree"
        return places

    return faults
