"""What a corpus holds: both verdicts for every keyword, traps for careless readers, the same bytes each time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import referencing

from protogen import ir
from protogen.samples import Corpus, Judge, Sample, make, write_lines
from protogen.samples.text import read

Json = Any

ROOT = Path(__file__).resolve().parents[2]

CHECKED = (
    *("type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("anyOf", "oneOf", "not", "contains", "propertyNames", "dependencies", "uniqueItems"),
)


@pytest.fixture(scope="module")
def corpus(keywords: dict[str, Any]) -> Corpus:
    return make(keywords)


def test_every_definition_has_valid_and_broken_samples(corpus: Corpus, keywords: dict[str, Any]) -> None:
    verdicts = {name: {sample.valid for sample in corpus.samples if sample.type == name} for name in keywords}
    assert {name for name, found in verdicts.items() if found != {True, False}} == {"Any"}
    assert verdicts["Any"] == {True}


def test_every_keyword_is_broken_by_a_sample_that_breaks_nothing_else(corpus: Corpus, keywords: dict[str, Any]) -> None:
    assert {path for path in _unbroken(keywords, corpus.samples) if not _hidden(keywords, path)} == set()


def test_every_keyword_of_our_protocols_is_broken_alone(large: ir.Protocol) -> None:
    definitions = large.schema["definitions"]
    corpus = make(definitions)
    missed = {path for path in _unbroken(definitions, corpus.samples) if not _hidden(definitions, path)}
    assert missed == set()


def test_labels_are_those_of_jsonschema_rs(corpus: Corpus, keywords: dict[str, Any]) -> None:
    plain = {name: schema for name, schema in keywords.items() if " " not in name}  # a blank is no part of a reference
    for sample in corpus.samples:
        if sample.type not in plain:
            continue
        schema = {"allOf": [plain[sample.type]], "definitions": plain}
        valid = jsonschema_rs.Draft7Validator(schema, validate_formats=False).is_valid(read(sample.text))
        assert valid is sample.valid, sample


def test_a_protocol_has_at_least_2000_samples_that_both_validators_agree_on(large: ir.Protocol) -> None:
    corpus = make(large.schema["definitions"], least=2000)
    assert len(corpus.samples) >= 2000
    assert corpus.disputed == ()
    assert 0.25 < sum(sample.valid for sample in corpus.samples) / len(corpus.samples) < 0.75


@pytest.mark.parametrize(
    ("type_", "text", "valid"),
    [
        ("Big", "9007199254740993", True),
        ("Big", "9223372036854775808", True),
        ("Big", "18446744073709551616", True),
        ("Big", "123456789012345678901234567891", True),
        ("Big", "1.0", True),
        ("Big", "1e2", True),
        ("Big", "1.5", False),
        ("Big", '"1"', False),
        ("Big", "true", False),
        ("Count", "9.0", True),
        ("Count", "10", False),
        ("Maybe", "null", True),
        ("Name", '"😀😀😀😀😀"', True),
        ("Name", '"😀😀😀😀😀😀"', False),
        ("Tag", '"V1"', False),
        ("Flag", "1", False),
        ("Few", "[]", False),
        ("Set", '["text","text"]', False),
        ("Counts", "{}", True),
        ("Any", "{}", True),
        ("Open", '{"id":"text","__proto__":"text"}', True),
        ("Open", '{"id":"text","ID":[null]}', True),
        ("Closed", '{"id":"text","unknown":1}', False),
    ],
)
def test_traps_are_in_the_corpus(corpus: Corpus, type_: str, text: str, valid: bool) -> None:
    assert (type_, text, valid) in {(sample.type, sample.text, sample.valid) for sample in corpus.samples}


def test_patterns_are_matched_and_missed_by_a_line_end_and_a_foreign_digit(corpus: Corpus) -> None:
    slugs = [(read(sample.text), sample.valid) for sample in corpus.samples if sample.type == "Slug"]
    strings = {text: valid for text, valid in slugs if isinstance(text, str)}
    assert sum(strings.values()) >= 3
    assert any(text.endswith("\n") and not valid for text, valid in strings.items())
    assert any("\u0663" in text and not valid for text, valid in strings.items())


def test_recursive_values_reach_deep_and_are_broken_at_the_bottom(corpus: Corpus) -> None:
    depths = {True: 0, False: 0}
    for sample in corpus.samples:
        if sample.type == "Tree":
            depths[sample.valid] = max(depths[sample.valid], sample.text.count('"children"'))
    assert depths == {True: 24, False: 24}


def test_a_recursive_union_is_labelled_in_linear_time() -> None:
    arms = [
        {"type": "object", "properties": {key: {"$ref": "#/definitions/Expr"}}, "required": [key]} for key in "abcd"
    ]
    corpus = make({"Expr": {"anyOf": [*arms, {"type": "integer"}]}})
    assert any(sample.valid and sample.text.count("{") == 24 for sample in corpus.samples)


def test_least_fills_up_and_most_cuts_but_keeps_both_verdicts(echo: ir.Protocol) -> None:
    definitions = echo.schema["definitions"]
    whole = make(definitions)
    filled = make(definitions, least=len(whole.samples) + 300)
    assert len(filled.samples) == len(whole.samples) + 300
    cut = make(definitions, most=200)
    assert len(cut.samples) == 200
    kept = {name: {sample.valid for sample in cut.samples if sample.type == name} for name in definitions}
    had = {name: {sample.valid for sample in whole.samples if sample.type == name} for name in definitions}
    assert kept == had


def test_no_sample_is_there_twice(large: ir.Protocol) -> None:
    corpus = make(large.schema["definitions"], least=10000)
    assert len({(sample.type, sample.text) for sample in corpus.samples}) == len(corpus.samples) >= 9000


def test_the_seed_decides_the_mixtures(echo: ir.Protocol) -> None:
    definitions = echo.schema["definitions"]
    least = len(make(definitions).samples) + 50
    first, again, other = (make(definitions, least=least, seed=seed).samples for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_same_bytes_under_every_hash_seed() -> None:
    program = (
        "import json, sys; from pathlib import Path; from protogen.build import read_protocol;"
        "from protogen.samples import make, write_lines;"
        "found, _ = read_protocol(Path('schemas/apflow/1.0/protocol.json'), root=Path.cwd());"
        "sys.stdout.write(write_lines(make(found.schema['definitions'], least=6000, seed=3).samples))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(texts) == 1


def test_a_value_that_no_schema_admits_gets_broken_samples_only() -> None:
    corpus = make({"Never": False, "Clash": {"allOf": [{"type": "string"}, {"type": "integer"}]}})
    assert {sample.valid for sample in corpus.samples} == {False}


def test_a_definition_that_needs_itself_for_ever_ends() -> None:
    corpus = make(
        {"Loop": {"type": "object", "properties": {"next": {"$ref": "#/definitions/Loop"}}, "required": ["next"]}}
    )
    assert {sample.valid for sample in corpus.samples} == {False}


def test_samples_that_the_validators_read_differently_are_set_apart() -> None:
    # Properties other than general categories are read by jsonschema-rs; the confirming validator refuses them.
    corpus = make({"Latin": {"type": "string", "pattern": "^\\p{Script=Latin}+$"}})
    assert {sample.type for sample in corpus.disputed} == {"Latin"}
    assert not {sample.text for sample in corpus.disputed} & {sample.text for sample in corpus.samples}


def test_a_reference_outside_the_schema_is_never_fetched() -> None:
    judge = Judge({"Far": {"$ref": "#/definitions/Near"}, "Near": {"not": {"$ref": "http://127.0.0.1:9/x.json"}}})
    with pytest.raises(jsonschema_rs.ValidationError, match=r"127\.0\.0\.1"):
        judge.label("Far", 1)


def test_lines_hold_the_text_of_the_value() -> None:
    lines = write_lines([Sample(type="Big", text="1e2", valid=True, note='a "note"')])
    assert lines == '{"type":"Big","valid":true,"note":"a \\"note\\"","value":1e2}\n'


def _unbroken(definitions: dict[str, Any], samples: tuple[Sample, ...]) -> set[tuple[str, ...]]:
    """Places of keywords that no sample of their definition breaks alone."""
    validators: dict[str, Any] = {}
    broken: set[tuple[str, ...]] = set()
    for sample in samples:
        if sample.valid:
            continue
        if sample.type not in validators:
            schema = {"allOf": [definitions[sample.type]], "definitions": definitions}
            validators[sample.type] = jsonschema.Draft7Validator(schema, registry=referencing.Registry())
        if sample.text.count("{") > 6:
            continue  # deep unions cost this validator exponential time
        errors = list(validators[sample.type].iter_errors(read(sample.text)))
        if len(errors) == 1:
            broken.update(_places(sample.type, errors[0]))
    wanted = {place for name, schema in definitions.items() for place in _keywords(schema, (name,))}
    return wanted - broken


def _places(name: str, error: Any) -> Iterator[tuple[str, ...]]:
    path = (name, *(str(step) for step in list(error.absolute_schema_path)[2:]))
    yield path
    if error.validator == "required":
        yield from ((*path, key) for key in error.validator_value if key not in error.instance)
    for place, step in enumerate(path):
        if step in ("propertyNames", "dependencies"):
            yield path[: place + 1]


def _keywords(schema: Json, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Places of keywords of a definition that a value can break, references not followed."""
    if not isinstance(schema, dict) or "$ref" in schema:
        return
    for word in CHECKED:
        if word in schema and not (word == "type" and {"enum", "const"} & schema.keys()):
            yield (*path, word)
    for key in schema.get("required", ()):
        yield (*path, "required", key)
    if schema.get("additionalProperties") is False:
        yield (*path, "additionalProperties")
    for word in ("properties", "patternProperties"):
        for name, member in schema.get(word, {}).items():
            yield from _keywords(member, (*path, word, name))
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _keywords(schema[word], (*path, word))
    if isinstance(schema.get("items"), list):
        for at, part in enumerate(schema["items"]):
            yield from _keywords(part, (*path, "items", str(at)))
    for at, part in enumerate(schema.get("allOf", ())):
        yield from _keywords(part, (*path, "allOf", str(at)))


def _hidden(definitions: dict[str, Any], path: tuple[str, ...]) -> bool:
    """A place that a value cannot break alone, since what breaks it breaks a neighbour as well."""
    schema: Json = definitions[path[0]]
    for step in path[1:-1]:
        schema = schema[int(step) if isinstance(schema, list) else step] if step != "required" else schema
        if isinstance(schema, dict) and {"anyOf", "oneOf"} & schema.keys():
            return True  # the union reports one error, not the one inside
    # A value of another type breaks every schema of an allOf, and meets what `not` says of objects.
    return path[-1] == "type" and (path[-3:-2] == ("allOf",) or "not" in schema)
