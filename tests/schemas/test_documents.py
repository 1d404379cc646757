"""Protocol documents against the meta-schema, and what the meta-schema cannot say."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from protogen import keywords

META_NAME = "protogen.schema.json"


def test_documents_are_there(protocols: dict[str, Any]) -> None:
    assert set(protocols) >= {"jsonrpc", "echo", "stepflow/0.9", "stepflow/0.11", "apflow/1.0", "a2a/0.3", "a2a/1.0"}


def test_document_conforms_to_the_meta_schema(described: Any, meta: Any) -> None:
    assert meta(described.document) == []


def test_document_is_a_valid_schema_of_its_dialect(described: Any) -> None:
    jsonschema_rs.meta.validate(described.document)
    jsonschema.validators.validator_for(described.document).check_schema(described.document)


# A small document with one of everything; each row below breaks it in one way.
SOUND: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "toy", "version": "1.0"},
    "x-roles": {"client": {"summary": "Asks."}, "server": {"summary": "Answers."}},
    "x-methods": {
        "ask": {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": "Asks.",
            "params": {"$ref": "#/$defs/Ask"},
            "result": {"$ref": "../other/protocol.json#/definitions/Answer"},
            "errors": ["Busy"],
            "paramStructure": "either",
        },
        "tell": {"kind": "notification", "from": "client", "to": "server", "summary": "Tells."},
    },
    "x-errors": {"Busy": {"code": 1, "message": "Busy", "family": "toy"}},
    "x-transports": {"http": {"path": "/rpc", "healthPath": "/health", "instanceHeader": "Toy-Instance"}},
    "$defs": {
        "Ask": {
            "type": "object",
            "properties": {"mood": {"enum": ["good"], "x-open-enum": True, "x-enum-descriptions": {"good": "Well."}}},
            "x-protogen-name": "Question",
            "x-vendor-note": "left alone",
        }
    },
}

Breaker = Callable[[dict[str, Any]], Any]
BROKEN: dict[str, tuple[Breaker, str]] = {
    "no protocol": (lambda d: d.pop("x-protocol"), ""),
    "no dialect": (lambda d: d.pop("$schema"), ""),
    "unknown dialect": (lambda d: d.update({"$schema": "http://json-schema.org/draft-04/schema#"}), "$schema"),
    "another meta-schema": (lambda d: d.update({"$schema": "../my-protogen.schema.json"}), "$schema"),
    "misspelt annotation at the root": (lambda d: d.update({"x-method": {}}), ""),
    "misspelt keyword at the root": (lambda d: d.update({"defs": {}}), ""),
    "protocol without a version": (lambda d: d["x-protocol"].pop("version"), "x-protocol"),
    "protocol name with a space": (lambda d: d["x-protocol"].update(name="my toy"), "x-protocol/name"),
    "unknown member of the protocol": (lambda d: d["x-protocol"].update(titel="Toy"), "x-protocol"),
    "role without a summary": (lambda d: d["x-roles"].update(client={}), "x-roles/client"),
    "methods without roles": (lambda d: d.pop("x-roles"), ""),
    "unknown kind": (lambda d: d["x-methods"]["ask"].update(kind="call"), "x-methods/ask/kind"),
    "unknown member of a method": (lambda d: d["x-methods"]["ask"].update(idempotant=True), "x-methods/ask"),
    "method without a sender": (lambda d: d["x-methods"]["ask"].pop("from"), "x-methods/ask"),
    "result of a notification": (
        lambda d: d["x-methods"]["tell"].update(result={"$ref": "#/$defs/Ask"}),
        "x-methods/tell/result",
    ),
    "reference without the object": (
        lambda d: d["x-methods"]["ask"].update(params="#/$defs/Ask"),
        "x-methods/ask/params",
    ),
    "reference to no definition": (
        lambda d: d["x-methods"]["ask"].update(params={"$ref": "#/Ask"}),
        "x-methods/ask/params/$ref",
    ),
    "reference with a neighbour": (
        lambda d: d["x-methods"]["ask"]["params"].update(description="x"),
        "x-methods/ask/params",
    ),
    "unknown framing of events": (
        lambda d: d["x-methods"]["ask"].update(events={"$ref": "#/$defs/Ask"}, eventFraming="answers"),
        "x-methods/ask/eventFraming",
    ),
    "framing without events": (lambda d: d["x-methods"]["ask"].update(eventFraming="results"), "x-methods/ask"),
    "unknown order of parameters": (
        lambda d: d["x-methods"]["ask"].update(paramStructure="byName"),
        "x-methods/ask/paramStructure",
    ),
    "error twice": (lambda d: d["x-methods"]["ask"].update(errors=["Busy", "Busy"]), "x-methods/ask/errors"),
    "error code as text": (lambda d: d["x-errors"]["Busy"].update(code="1"), "x-errors/Busy/code"),
    "error name with a dash": (lambda d: d["x-errors"].update({"too-busy": {"code": 2, "message": "x"}}), "x-errors"),
    "health path without a slash": (
        lambda d: d["x-transports"]["http"].update(healthPath="health"),
        "x-transports/http/healthPath",
    ),
    "unknown transport": (lambda d: d["x-transports"].update(smtp={}), "x-transports"),
    "misspelt keyword": (lambda d: d["$defs"]["Ask"].update(requred=[]), "$defs/Ask"),
    "misspelt annotation": (lambda d: d["$defs"]["Ask"].update({"x-open-enums": True}), "$defs/Ask"),
    "misspelt keyword deep inside": (
        lambda d: d["$defs"]["Ask"]["properties"]["mood"].update(emun=[]),
        "$defs/Ask/properties/mood",
    ),
    "unknown type": (lambda d: d["$defs"]["Ask"].update(type="objekt"), "$defs/Ask/type"),
    "pinned name with a dot": (
        lambda d: d["$defs"]["Ask"].update({"x-protogen-name": "a.b"}),
        "$defs/Ask/x-protogen-name",
    ),
    "open enum as text": (
        lambda d: d["$defs"]["Ask"]["properties"]["mood"].update({"x-open-enum": "yes"}),
        "$defs/Ask/properties/mood/x-open-enum",
    ),
}


def test_sound_document_conforms(meta: Any) -> None:
    assert meta(SOUND) == []


@pytest.mark.parametrize(
    "path", ["protogen.schema.json", "../protogen.schema.json", "https://protogen.dev/x/protogen.schema.json"]
)
def test_document_may_name_a_copy_of_the_meta_schema(path: str, meta: Any) -> None:
    assert meta({**SOUND, "$schema": path}) == []


@pytest.mark.parametrize("case", BROKEN)
def test_meta_schema_finds_the_fault(case: str, meta: Any) -> None:
    break_it, place = BROKEN[case]
    document = copy.deepcopy(SOUND)
    break_it(document)
    assert meta(document) == [place]


def test_meta_schema_offers_only_keywords_that_are_read(protocols: dict[str, Any]) -> None:
    from_meta = _meta_schema(protocols)["$defs"]["Schema"]["properties"]
    ours = {name for name in from_meta if name.startswith("x-")}
    assert ours == {"x-protogen-name", "x-protogen-ignore", "x-enum-descriptions", "x-open-enum"}
    assert set(from_meta) - ours <= set(keywords.KNOWN)


def test_root_of_the_meta_schema_offers_every_keyword(protocols: dict[str, Any]) -> None:
    schema = _meta_schema(protocols)
    inner = {name for name in schema["$defs"]["Schema"]["properties"] if not name.startswith("x-")}
    assert {name for name in schema["properties"] if not name.startswith("x-")} == inner


def _meta_schema(protocols: dict[str, Any]) -> dict[str, Any]:
    path = protocols["echo"].path.parents[1] / META_NAME
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    jsonschema_rs.meta.validate(schema)
    return schema


def test_meta_schema_explains_every_member(protocols: dict[str, Any]) -> None:
    unexplained = [
        f"{name}/{member}"
        for name, definition in _meta_schema(protocols)["$defs"].items()
        for member, schema in definition.get("properties", {}).items()
        if not {"description", "$ref"} & set(schema)
    ]
    assert unexplained == []


def subschemas(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object schema within `schema`, with the way to it."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for keyword, value in schema.items():
        if keyword in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
            for name, inner in value.items():
                yield from subschemas(inner, f"{place}/{keyword}/{name}")
        elif keyword in ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"):
            yield from subschemas(value, f"{place}/{keyword}")
        elif keyword in ("allOf", "anyOf", "oneOf", "prefixItems"):
            for index, inner in enumerate(value):
                yield from subschemas(inner, f"{place}/{keyword}/{index}")


def test_every_reference_leads_to_a_definition(described: Any) -> None:
    used = {s["$ref"] for _, s in subschemas({described.key: described.definitions}, "") if "$ref" in s}
    for method in described.document.get("x-methods", {}).values():
        used |= {method[part]["$ref"] for part in ("params", "result", "events") if part in method}
    used |= {error["data"]["$ref"] for error in described.document.get("x-errors", {}).values() if "data" in error}
    assert used <= {f"#/{described.key}/{name}" for name in described.definitions}


def test_what_a_shared_definition_refers_to_is_shared_too(described: Any) -> None:
    """Otherwise it would mean the other version's type where this one has a type of its own of the same name."""
    for name in described.shared:
        inner = {s["$ref"] for _, s in subschemas(described.definitions[name], "") if "$ref" in s}
        assert {reference.rpartition("/")[2] for reference in inner} <= described.shared.keys(), name


def test_methods_name_roles_and_errors_that_exist(described: Any) -> None:
    document = described.document
    for name, method in document.get("x-methods", {}).items():
        assert {method["from"], method["to"]} <= set(document["x-roles"]), name
        assert set(method.get("errors", ())) <= set(document["x-errors"]), name


def test_error_codes_differ_within_a_family(described: Any) -> None:
    codes = [(error.get("family"), error["code"]) for error in described.document.get("x-errors", {}).values()]
    assert len(codes) == len(set(codes))


def test_everything_is_described_in_full_sentences(described: Any) -> None:
    """A definition, a property, a method and an error each say what they are; the text becomes doc comments."""
    texts = {}
    for place, schema in subschemas(described.document, ""):
        parent, _, _ = place.rpartition("/")
        if parent.endswith("/properties") or parent == f"/{described.key}":
            referred = described.definitions.get(schema.get("$ref", "").rpartition("/")[2], {})
            texts[place] = schema.get("description") or referred.get("description", "")
    for kind in ("x-methods", "x-roles"):
        texts |= {f"{kind}/{name}": entry["summary"] for name, entry in described.document.get(kind, {}).items()}
    texts |= {
        f"x-errors/{name}": e.get("description", "") for name, e in described.document.get("x-errors", {}).items()
    }
    assert [place for place, text in texts.items() if not text.endswith(".")] == []


def test_every_enum_value_is_explained(described: Any) -> None:
    for place, schema in subschemas(described.document, ""):
        if "enum" in schema:
            assert list(schema.get("x-enum-descriptions", {})) == schema["enum"], place


def test_defaults_and_examples_conform(described: Any) -> None:
    for place, schema in subschemas(described.document, ""):
        of = {**schema, "$schema": described.document["$schema"], described.key: described.definitions}
        for value in [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else ())]:
            assert jsonschema_rs.is_valid(of, value), f"{place}: {value!r}"


def test_task_fields_are_the_same_in_every_form_of_a_task(protocols: dict[str, Any]) -> None:
    """Task, TaskInput and TaskUpdates spell the shared fields out, so that each reads on its own."""
    definitions = protocols["apflow/1.0"].definitions
    task = definitions["Task"]["properties"]
    assert len(task) == 29
    settable = set(definitions["TaskInput"]["properties"]) - {"id"}
    assert set(definitions["TaskUpdates"]["properties"]) - {"status"} == settable
    for form in ("TaskInput", "TaskUpdates"):
        for name, schema in definitions[form]["properties"].items():
            assert schema == task[name] or name == "id", f"{form}.{name}"


def test_versions_of_stepflow_share_what_they_have_in_common(protocols: dict[str, Any]) -> None:
    before, after = protocols["stepflow/0.9"], protocols["stepflow/0.11"]
    assert set(after.shared.values()) == {f"../0.9/protocol.json#/$defs/{name}" for name in after.shared}
    same = {name for name, schema in before.definitions.items() if after.definitions.get(name) == schema}
    # These are the same text, and refer to types that are not.
    other_inside = {"FlowResponse", "RunFlowResponse", "StoreFlowRequest", "ListRunsResponse", "ListItemsResponse"}
    assert same - after.shared.keys() == other_inside | {"ItemResult", "MethodRequest", "Message"}
    gone = {"PutBlobParams", "PutBlobResult", "GetBlobParams", "GetBlobResult"}
    assert before.definitions.keys() - after.definitions.keys() == gone
    methods = protocols["stepflow/0.11"].document["x-methods"]
    assert sorted(methods) == sorted(after.definitions["Method"]["enum"])
    assert before.document["x-methods"].keys() - methods.keys() == {"blobs/put", "blobs/get"}


def test_stepflow_has_its_ten_methods_in_both_directions(protocols: dict[str, Any]) -> None:
    methods = protocols["stepflow/0.9"].document["x-methods"]
    sent_by = {name: method["from"] for name, method in methods.items()}
    assert sent_by == {
        "initialize": "runtime",
        "initialized": "runtime",
        "components/list": "runtime",
        "components/info": "runtime",
        "components/execute": "runtime",
        "components/infer_schema": "runtime",
        "blobs/put": "worker",
        "blobs/get": "worker",
        "runs/submit": "worker",
        "runs/get": "worker",
    }
    assert [name for name, method in methods.items() if method["kind"] == "notification"] == ["initialized"]
    assert sorted(methods) == sorted(protocols["stepflow/0.9"].definitions["Method"]["enum"])


@pytest.mark.parametrize(
    ("protocol", "codes"),
    [
        ("jsonrpc", [-32700, *range(-32603, -32599)]),
        ("stepflow/0.9", [-32700, *range(-32603, -32599), *range(-32012, -31999)]),
        (
            "stepflow/0.11",
            [
                *(-32700, *range(-32603, -32599), *range(-32303, -32299)),
                *(*range(-32202, -32199), *range(-32103, -32099), *range(-32008, -31999)),
            ],
        ),
        ("apflow/1.0", [-32700, *range(-32603, -32599), *range(-32012, -32000)]),
    ],
)
def test_error_table_is_complete(protocol: str, codes: list[int], protocols: dict[str, Any]) -> None:
    assert sorted(error["code"] for error in protocols[protocol].document["x-errors"].values()) == codes
