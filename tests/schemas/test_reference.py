"""Our schemas beside the published ones: both accept and reject the same samples, apart from listed differences.

The published documents stand in ../shared; test_labelled.py is the hand-written twin that runs without them.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from differences import DIFFERENCES, FLOW, HTTP_API, PROTOCOL, Difference
from sample_maker import samples

pytestmark = pytest.mark.shared

APFLOW = "apflow.schema.json"
OURS = {PROTOCOL: "stepflow/0.9", FLOW: "stepflow/0.9", HTTP_API: "stepflow/0.9", APFLOW: "apflow/1.0"}
# Values made of each definition and schema; with their broken copies about 600 samples a definition.
SAMPLES = 12


def reference(shared: Path, name: str) -> dict[str, Any]:
    """The definitions of a published document, each `$ref` as `#/$defs/<name>`, a titled root among them."""
    text = (shared / "reference" / name).read_text("utf-8")
    for key in ("#/components/schemas/", "#/definitions/"):
        text = text.replace(key, "#/$defs/")
    tree = json.loads(text)
    definitions = dict(tree.get("$defs") or tree.get("definitions") or tree["components"]["schemas"])
    if "type" in tree or "oneOf" in tree:
        definitions[tree["title"]] = {key: value for key, value in tree.items() if key not in ("$defs", "$schema")}
    return {key: _plain(value) for key, value in definitions.items()}


def _plain(schema: Any) -> Any:
    """The schema without `allOf: []`, which says nothing but is refused by validators."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if (key, value) != ("allOf", [])}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def corrected(definitions: dict[str, Any], name: str, *, but: Difference | None = None) -> dict[str, Any]:
    """The definitions of document `name` with every listed difference applied, `but` left out."""
    changed = copy.deepcopy(definitions)
    for difference in DIFFERENCES:
        if name in difference.documents and difference is not but:
            *way, last = difference.place.split("/")
            node = changed
            for step in way:
                node = node[step]
            node[last] = difference.corrected
    return changed


def judge(definitions: dict[str, Any], name: str, draft: str) -> Any:
    schema = {
        "$schema": draft,
        "$defs": definitions,
        "definitions": definitions,
        "allOf": [{"$ref": f"#/$defs/{name}"}],
    }
    return jsonschema_rs.validator_for(schema, validate_formats=False).is_valid


def our_definitions(described: Any) -> tuple[dict[str, Any], str]:
    text = json.dumps(described.definitions).replace("#/definitions/", "#/$defs/")
    return json.loads(text), described.document["$schema"]


@pytest.mark.parametrize("name", OURS)
def test_every_published_definition_is_ours_too(name: str, shared: Path, protocols: dict[str, Any]) -> None:
    assert sorted(set(reference(shared, name)) - set(protocols[OURS[name]].definitions)) == []


@pytest.mark.parametrize("name", OURS)
def test_samples_get_the_same_verdict(name: str, shared: Path, protocols: dict[str, Any]) -> None:
    theirs = corrected(reference(shared, name), name)
    ours, draft = our_definitions(protocols[OURS[name]])
    verdicts: Counter[tuple[str, bool]] = Counter()
    for definition in theirs:
        we_accept, they_accept = judge(ours, definition, draft), judge(theirs, definition, draft)
        for source, definitions in (("ours", ours), ("theirs", theirs)):
            for value in samples(definitions, definition, seed=f"{name}/{source}", count=SAMPLES):
                verdict = we_accept(value)
                assert verdict == they_accept(value), f"{definition}: ours says {verdict} to {json.dumps(value)}"
                verdicts[definition, verdict] += 1
    assert [d for d in theirs if not verdicts[d, True]] == []
    assert [d for d in theirs if not verdicts[d, False]] == (["Value"] if "Value" in theirs else [])


# Document, definition to judge, definition that is spoilt, way within it, what it then says.
PLANTED = {
    "looser bound": (APFLOW, "Task", "Task", ("properties", "priority"), {"maximum": 4}),
    "tighter bound": (APFLOW, "TasksListParams", "TasksListParams", ("properties", "limit"), {"maximum": 999}),
    "shorter name": (APFLOW, "TaskInput", "TaskInput", ("properties", "name"), {"maxLength": 254}),
    "looser pattern": (APFLOW, "Dependency", "TaskId", (), {"pattern": "^[0-9a-fA-F-]{36}$"}),
    "null refused": (APFLOW, "PushCallback", "PushCallback", ("properties", "result"), {"type": "object"}),
    "null accepted": (PROTOCOL, "PutBlobResult", "BlobId", (), {"type": ["string", "null"]}),
    "member required": (PROTOCOL, "MethodRequest", "MethodRequest", (), {"required": ["id", "method", "params"]}),
    "member not required": (PROTOCOL, "FlowResult", "FlowResultSuccess", (), {"required": ["outcome"]}),
    "unknown members refused": (PROTOCOL, "Initialized", "Initialized", (), {"additionalProperties": False}),
    "one more value": (PROTOCOL, "BlobType", "BlobType", (), {"enum": ["flow", "data", "success"]}),
    "one value less": (HTTP_API, "DiagnosticLevel", "DiagnosticLevel", (), {"enum": ["fatal", "error"]}),
    "fractions accepted": (FLOW, "FlowError", "FlowError", ("properties", "code"), {"type": "number"}),
    "form left open": (FLOW, "ValueExpr", "StepRef", ("properties", "$step"), {"type": ["string", "integer"]}),
    "order of forms lost": (FLOW, "ValueExpr", "StepRef", (), {"not": {"required": ["$literal"]}}),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_samples_reveal_a_planted_fault(fault: str, shared: Path, protocols: dict[str, Any]) -> None:
    """The samples are good for something: one wrong keyword in our schema changes a verdict."""
    name, judged, spoilt, way, keywords = PLANTED[fault]
    theirs = corrected(reference(shared, name), name)
    ours, draft = our_definitions(protocols[OURS[name]])
    node = ours[spoilt]
    for step in way:
        node = node[step]
    node.update(keywords)
    we_accept, they_accept = judge(ours, judged, draft), judge(theirs, judged, draft)
    assert any(
        we_accept(value) != they_accept(value)
        for definitions in (ours, theirs)
        for value in samples(definitions, judged, seed="planted", count=SAMPLES)
    )


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.place)
def test_listed_difference_is_one(difference: Difference, shared: Path, protocols: dict[str, Any]) -> None:
    """In each document it is listed for, the witness is judged differently until that one place is corrected."""
    definition, value, verdict = difference.witness
    ours, draft = our_definitions(protocols["stepflow/0.9"])
    assert judge(ours, definition, draft)(value) is verdict
    for name in difference.documents:
        published = reference(shared, name)
        assert judge(corrected(published, name), definition, draft)(value) is verdict, name
        assert judge(corrected(published, name, but=difference), definition, draft)(value) is not verdict, name


def test_decision_gives_the_reasons(root: Path) -> None:
    page = (root / "docs/decisions/0003-schema-readings.md").read_text("utf-8")
    assert [d.place for d in DIFFERENCES if f"`{d.place}`" not in page] == []
