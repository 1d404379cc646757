"""Input schemas that users send: what they say, what they may not reach, and what they may not cost."""

from __future__ import annotations

import time
from typing import Any

import jsonschema_rs
import pytest
import trio
from executor_rig import answer, web
from hypothesis import given, settings
from hypothesis import strategies as st

from protogen_runtime.apflow.executors import InputSchemas
from protogen_runtime.apflow.executors.costs import BadSchema, Cost
from protogen_runtime.apflow.executors.inputs import MAX_FAULTS, CompiledSchema
from protogen_runtime.apflow.executors.patterns import weight


def faults(schema: Any, inputs: Any) -> list[dict[str, Any]]:
    return [fault.as_data() for fault in InputSchemas().faults(schema, inputs)]


def fault(schema: Any, inputs: Any) -> dict[str, Any]:
    (found,) = faults(schema, inputs)
    return found


PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 5},
        "age": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 200},
        "kind": {"enum": ["a", "b"]},
        "fixed": {"const": 1},
        "code": {"pattern": "^[a-z]+$"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "uniqueItems": True},
        "never": False,
        "either": {"anyOf": [{"type": "string"}, {"minimum": 5}]},
    },
    "additionalProperties": False,
}


def test_inputs_that_meet_the_schema_have_no_faults() -> None:
    assert faults(PERSON, {"name": "Ada", "age": 36, "kind": "a", "fixed": 1.0, "code": "x", "tags": ["t"]}) == []


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, {"field": "name", "reason": "Missing", "path": ["inputs", "name"]}),
        (
            {"name": 1},
            {"field": "name", "reason": "Wrong type", "expected": "string", "actual": 1, "path": ["inputs", "name"]},
        ),
        (
            {"name": "A"},
            {
                "field": "name",
                "reason": "Too short",
                "expected": "at least 2",
                "actual": "A",
                "path": ["inputs", "name"],
            },
        ),
        (
            {"name": "Ada", "age": 200},
            {
                "field": "age",
                "reason": "Value out of range",
                "expected": "less than 200",
                "actual": 200,
                "path": ["inputs", "age"],
            },
        ),
        (
            {"name": "Ada", "age": "x"},
            {
                "field": "age",
                "reason": "Wrong type",
                "expected": "integer or null",
                "actual": "x",
                "path": ["inputs", "age"],
            },
        ),
        (
            {"name": "Ada", "kind": "c"},
            {
                "field": "kind",
                "reason": "Not one of the values",
                "expected": ["a", "b"],
                "actual": "c",
                "path": ["inputs", "kind"],
            },
        ),
        (
            {"name": "Ada", "code": "X"},
            {
                "field": "code",
                "reason": "Does not match the pattern",
                "expected": "^[a-z]+$",
                "actual": "X",
                "path": ["inputs", "code"],
            },
        ),
        (
            {"name": "Ada", "tags": ["a", 5]},
            {
                "field": "tags",
                "reason": "Wrong type",
                "expected": "string",
                "actual": 5,
                "path": ["inputs", "tags", 1],
            },
        ),
        ({"name": "Ada", "other": 1}, {"field": "other", "reason": "Unknown members", "path": ["inputs", "other"]}),
        (
            {"name": "Ada", "never": 1},
            {"field": "never", "reason": "Not allowed", "actual": 1, "path": ["inputs", "never"]},
        ),
        (
            {"name": "Ada", "either": 1},
            {
                "field": "either",
                "reason": "Matches none of the alternatives",
                "actual": 1,
                "path": ["inputs", "either"],
            },
        ),
    ],
)
def test_faults_say_what_and_where(inputs: Any, expected: dict[str, Any]) -> None:
    assert fault(PERSON, inputs) == expected


def test_all_faults_are_listed_up_to_a_bound() -> None:
    assert len(faults(PERSON, {"age": -1, "kind": "c"})) == 3
    assert len(faults({"items": {"type": "string"}}, list(range(100)))) == MAX_FAULTS


def test_paths_begin_where_the_task_is() -> None:
    (found,) = InputSchemas().faults(PERSON, {}, at=("tasks", 3))
    assert found.path == ("tasks", 3, "inputs", "name")
    (found,) = InputSchemas().faults({"type": "x"}, {}, at=("tasks", 3))
    assert found.path == ("tasks", 3, "schemas", "input_schema", "type")


@pytest.mark.parametrize(
    ("schema", "reason", "path"),
    [
        ({"type": "no such type"}, "Not a draft-07 schema", ["type"]),
        ({"properties": {"a": {"minLength": -1}}}, "Not a draft-07 schema", ["properties", "a", "minLength"]),
        (5, "Not a draft-07 schema", []),
        ({"pattern": "("}, "Pattern not supported", ["pattern"]),
        ({"pattern": "^(?=a)"}, "Pattern not supported", ["pattern"]),
        ({"pattern": "(.)\\1"}, "Pattern not supported", ["pattern"]),
        ({"$ref": "#/definitions/none"}, "A reference leads nowhere", []),
        ({"$ref": "#"}, "A reference leads back to itself", []),
        ({"allOf": [{"not": {"$ref": "#"}}]}, "A reference leads back to itself", []),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "Another dialect", ["$schema"]),
    ],
)
def test_schemas_that_are_none_are_faults(schema: Any, reason: str, path: list[Any]) -> None:
    found = fault(schema, {})
    assert (found["reason"], found["path"]) == (reason, ["schemas", "input_schema", *path])


def test_names_that_look_like_keywords_are_names() -> None:
    schema = {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}, "pattern": {"type": "integer"}}}
    assert faults(schema, {"$ref": "http://a.example/", "$id": "b", "pattern": 1}) == []
    assert fault(schema, {"$ref": 1})["path"] == ["inputs", "$ref"]


def test_schemas_are_compiled_once() -> None:
    known = InputSchemas(max_schemas=2)
    first = known._compiled({"type": "object"})
    assert known._compiled({"type": "object"}) is first
    known._compiled({"type": "array"})
    known._compiled({"type": "string"})
    assert known._compiled({"type": "object"}) is not first
    assert len(known._known) == 2


def test_schemas_that_are_kept_are_bounded_in_bytes() -> None:
    known = InputSchemas(max_bytes=1_000_000)
    for n in range(30):
        known.faults({"pattern": f"^[a-z]{{50}}{n}$"}, {})
    assert 1 < len(known._known) < 10
    known.faults({"allOf": [{"pattern": f"^{n}$"} for n in range(50)]}, {})
    assert len(known._known) == 1
    for _ in range(3):
        known.faults({"type": "object"}, {})
    assert known._held_bytes == sum(len(text) + it.held_bytes for text, it in known._known.items())


def test_large_values_under_small_schemas_are_taken() -> None:
    schema = {"type": "object", "properties": {"document": {"type": "object"}, "name": {"pattern": "^[a-z]{1,60}$"}}}
    document = {str(n): [{"a": 1, "b": "x" * 50}] for n in range(50_000)}
    assert faults(schema, {"document": document, "name": "x"}) == []


# --- nothing is fetched ---------------------------------------------------------------------------

REFERENCES = [
    *(
        "http://127.0.0.1:{port}/schema.json",
        "http://127.0.0.1:{port}/schema.json#/definitions/a",
        "//127.0.0.1:{port}/a",
    ),
    *(
        "https://127.0.0.1:{port}/",
        "HTTP://127.0.0.1:{port}/",
        "file://{file}",
        "file:{file}",
        "FILE://{file}",
        "{file}",
    ),
    *("schema.json", "../schema.json", "?x", "ftp://127.0.0.1:{port}/", "data:application/json,{{}}", "urn:x:y", ""),
    *("http://json-schema.org/draft-07/schema#", "#/../../etc/passwd", "#anchor", "jar:file:///a!/b"),
]
PLACES = [
    lambda ref: {"$ref": ref},
    lambda ref: {"properties": {"a": {"$ref": ref}}},
    lambda ref: {"items": [{"anyOf": [{"not": {"$ref": ref}}]}]},
    lambda ref: {"definitions": {"never used": {"$ref": ref}}},
    lambda ref: {"$id": ref, "$ref": "other.json"},
    lambda ref: {"$id": ref, "properties": {"a": {"$ref": "b.json#/definitions/c"}}},
    lambda ref: {"$schema": ref},
    lambda ref: {"$id": "http://x.example/", "properties": {"a": {"$id": ref, "$ref": "#/x"}}},
    lambda ref: {"if": {"$ref": ref}, "then": {"$ref": ref}, "else": {"$ref": ref}},
    lambda ref: {"dependencies": {"a": {"$ref": ref}}, "propertyNames": {"$ref": ref}},
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_references_fetch_nothing(reference: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "string"}', "utf-8")
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with web(lambda _: answer({"type": "string"})) as canary:
            text = reference.format(port=canary.port, file=file)
            for place in PLACES:
                schema = place(text)
                found = await trio.to_thread.run_sync(faults, schema, {"a": 1})
                # The dialect has the name of a document; what leads nowhere and is never used may stay.
                assert found or set(schema) == {"$schema"} or reference.startswith("#/"), schema
                assert all("string" not in str(one.get("expected")) for one in found), "the file was read"
            assert canary.connections == 0

    trio.run(main)


def test_the_validator_itself_refuses_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were our own look at references to miss one, the retriever would still raise."""
    monkeypatch.setattr(Cost, "_check", lambda *_: None)
    monkeypatch.setattr(Cost, "_resolve", lambda *_: True)

    async def main() -> None:
        async with web(lambda _: answer({"type": "string"})) as canary:
            with pytest.raises(BadSchema):
                await trio.to_thread.run_sync(CompiledSchema, {"$ref": canary.url("/a.json")})
            assert canary.connections == 0

    trio.run(main)


def test_data_that_looks_like_references_is_data() -> None:
    schema = {"enum": [{"$ref": "http://127.0.0.1:1/"}], "default": {"$ref": "file:///etc/passwd"}}
    assert faults(schema, {"$ref": "http://127.0.0.1:1/"}) == []


# --- nothing takes long ---------------------------------------------------------------------------

CATASTROPHES = [
    ("^(a+)+$", "a" * 5000 + "!"),
    ("^(a*)*$", "a" * 5000 + "!"),
    ("^(a|a)*$", "a" * 5000 + "!"),
    ("^(a|aa)+$", "a" * 5000 + "!"),
    ("(.*)*x", "a" * 5000),
    ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 5000),
    ("^([a-zA-Z0-9]+\\s?)*$", "aaaa " * 1000 + "!"),
    ("(x+x+)+y", "x" * 5000),
    ("^(.*,){11}P", "1," * 2500),
    ("^(\\w+\\.)*\\w+@(\\w+\\.)+\\w+$", "a." * 2500 + "@"),
    ("^(?:(?:a?){30}){30}$", "a" * 900),
    ("(a{50}){50}", "a" * 2500),
    ("((a{10}){10}){10}", "a" * 1000),
    ("a{1,100000}", "a" * 5000),
    ("(?:a{0,1000}){0,1000}", "a" * 5000),
    ("[ab]*a[ab]{200}[xyz]", "ab" * 2500),
    ("\\p{L}{1000}", "a" * 1000),
    ("(.{1,255}){1,255}", "a" * 5000),
    ("^(a?){60}a{60}$", "a" * 60),
    ("(" * 1000 + "a" + ")" * 1000, "a"),
]


@pytest.mark.parametrize(("pattern", "text"), CATASTROPHES, ids=[pattern[:30] for pattern, _ in CATASTROPHES])
def test_patterns_take_no_time(pattern: str, text: str) -> None:
    schema = {"properties": {"a": {"pattern": pattern}}}
    fastest = min(timed(lambda: InputSchemas().faults(schema, {"a": text})) for _ in range(7))
    assert fastest < 0.010, f"{fastest * 1000:.1f} ms"


def timed(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
            "7b6e8f7a-1c52-4f0e-9d3b-2a4c6e8f0a1b",
        ),
        ("^.{1,255}$", "x" * 255),
        ("^[\\w.+-]{1,64}@[\\w-]{1,63}(\\.[\\w-]{1,63}){1,5}$", "ada@example.org"),
        ("^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$", "2026-01-01T00:00:00Z"),
        ("^\\p{Lu}\\p{Ll}+$", "Ada"),
        ("^https?://[^/]+/.*$", "https://example.org/" + "x" * 2000),
    ],
)
def test_ordinary_patterns_match(pattern: str, text: str) -> None:
    schema = {"properties": {"a": {"pattern": pattern}}, "required": ["a"]}
    assert faults(schema, {"a": text, "document": "long " * 100_000}) == []
    assert fault(schema, {"a": "\n"})["reason"] == "Does not match the pattern"


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("abc", 4),
        ("a{3}", 4),
        ("(ab){3}", 10),
        ("(a{50}){50}", 2551),
        ("[a-z]{3}x{2,}", 6),
        ("\\{{2}", 3),
        ("[\\]{9}]{2}", 3),
        ("\\p{L}{2}", 81),
        ("(((", 1),
        ("a{2,5}", 6),
    ],
)
def test_patterns_are_weighed(pattern: str, states: int) -> None:
    assert weight(pattern) == states


@given(st.text(alphabet="ab()[]{}*+?|\\^$,0123456789pL", max_size=60))
def test_any_text_can_be_weighed(pattern: str) -> None:
    assert weight(pattern) >= 1


def doubling(levels: int) -> Any:
    steps = {f"a{n}": {"allOf": [{"$ref": f"#/definitions/a{n + 1}"}] * 2} for n in range(levels)}
    return {"definitions": {**steps, f"a{levels}": {"type": "object"}}, "$ref": "#/definitions/a0"}


def nested(schema: Any, levels: int) -> Any:
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def array(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


BRANCHING = {"type": ["array", "integer"], "allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}
DEAR = [
    ("doubling", doubling(40), {}),
    ("doubling by items", BRANCHING, array(60)),
    (
        "doubling by names",
        {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"additionalProperties": {"$ref": "#"}}]},
        {"a": {}},
    ),
    ("deep", nested({}, 500), {}),
    ("wide alternatives", {"anyOf": [{"enum": list(range(2000))}] * 20}, 1),
    ("many patterns", {"patternProperties": {f"^{n}[a-z]{{2}}": {} for n in range(500)}}, {"a" * 50: 1}),
    ("large patterns", {"patternProperties": {f"^{n}[a-z]{{90}}": {} for n in range(30)}}, {"a" * 50: 1}),
    ("long", {"enum": ["x" * 70_000]}, "x"),
    ("large value", {"items": {"enum": list(range(100))}}, list(range(200, 100_000))),
    ("large numbers", {"multipleOf": 1e-300}, 10**400),
    ("many properties", {"properties": {str(n): {"allOf": [{"properties": {"a": {}}}] * 5} for n in range(1000)}}, {}),
]


@pytest.mark.parametrize(("schema", "inputs"), [row[1:] for row in DEAR], ids=[row[0] for row in DEAR])
def test_dear_schemas_are_bounded(schema: Any, inputs: Any) -> None:
    fastest = min(timed(lambda: InputSchemas().faults(schema, inputs)) for _ in range(3))
    assert fastest < 0.25, f"{fastest * 1000:.1f} ms"


def test_recursive_schemas_work() -> None:
    node = {
        "type": "object",
        "required": ["value"],
        "properties": {
            "value": {"type": "integer"},
            "left": {"$ref": "#/definitions/node"},
            "right": {"anyOf": [{"type": "null"}, {"$ref": "#/definitions/node"}]},
        },
    }
    schema = {"definitions": {"node": node}, "$ref": "#/definitions/node"}

    def tree(levels: int) -> Any:
        return {"value": 1} if not levels else {"value": 1, "left": tree(levels - 1), "right": tree(levels - 1)}

    assert faults(schema, tree(8)) == []
    chain: Any = {"value": "x"}
    for _ in range(60):
        chain = {"value": 1, "left": chain}
    assert fault(schema, chain)["path"] == ["inputs", *["left"] * 60, "value"]


SMALL_SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [{"type": "integer"}, {"type": "string"}, {"pattern": "^a+$"}, {"enum": [1, "a"]}, True, False, {}]
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner)}),
        st.fixed_dictionaries({"additionalProperties": inner}),
        st.fixed_dictionaries({"patternProperties": st.fixed_dictionaries({"^a": inner})}),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
    ),
    max_leaves=8,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([1, "a", "b", None, True, 1.5]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)


@given(SMALL_SCHEMAS, VALUES)
@settings(max_examples=200, deadline=None)
def test_small_schemas_are_judged_as_the_validator_judges(schema: Any, value: Any) -> None:
    assert bool(faults(schema, value)) is not jsonschema_rs.Draft7Validator(schema).is_valid(value)
