"""OpenRPC documents: what OpenRPC's own meta-schema accepts, and what says the same as the schema."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.output import Options
from protogen.problems import Problem
from protogen.render import Templates
from protogen.samples import Sample, make
from protogen.samples.text import read
from protogen.targets.openrpc.target import TARGET

ROOT = Path(__file__).resolve().parents[2]
DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def described(name: str) -> ir.Protocol:
    """A protocol of this repository by its folder below schemas/."""
    found, problems = read_protocol(ROOT / "schemas" / name / "protocol.json", root=ROOT)
    assert found is not None, problems
    return found


def generated(protocol: ir.Protocol) -> tuple[str, list[Problem]]:
    """The text of the only file that the target writes, and what it found."""
    files, problems = TARGET.generate(protocol, Options(package="toy", distribution="toy"), Templates())
    assert [file.path for file in files] == ["openrpc.json"]
    return files[0].text, problems


def document(protocol: ir.Protocol) -> Any:
    """The document of a protocol that OpenRPC can say."""
    text, problems = generated(protocol)
    assert problems == []
    return json.loads(text)


@pytest.fixture(scope="session", params=["echo", "stepflow/0.9", "stepflow/0.11", "apflow/1.0", "a2a/1.0", "a2a/0.3"])
def protocol(request: pytest.FixtureRequest) -> ir.Protocol:
    """Each protocol of the repository that has methods."""
    return described(request.param)


@pytest.fixture(scope="session")
def samples(protocol: ir.Protocol) -> tuple[Sample, ...]:
    """Valid and broken values of its types."""
    return make(protocol.schema["definitions"], most=600).samples


@pytest.fixture(scope="session")
def openrpc(protocol: ir.Protocol) -> Any:
    """Its document."""
    return document(protocol)


@pytest.fixture(scope="session")
def faults(tool: Callable[[str], str]) -> Callable[[Any], list[str]]:
    """What the meta-schema of OpenRPC, from its own package, has to say of a document."""
    script = 'process.stdout.write(JSON.stringify(require("@open-rpc/meta-schema").openrpcDocument))'
    found = subprocess.run(
        [tool("node"), "-e", script], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    meta = json.loads(found.stdout)
    # Both refer to a copy of draft-07 at an address of OpenRPC's; nothing is fetched, draft-07 itself stands for it.
    meta["definitions"]["JSONSchema"] = {"$ref": DRAFT_07}
    meta["definitions"]["referenceObject"]["properties"]["$ref"] = {"type": "string"}
    check = jsonschema_rs.Draft7Validator({**meta, "$schema": DRAFT_07}, retriever=refuse)
    return lambda value: [f"{list(error.instance_path)}: {error.message[:200]}" for error in check.iter_errors(value)]


def refuse(uri: str) -> Any:
    """The retriever of validators: nothing is fetched."""
    raise LookupError(uri)


def validator(openrpc: Any, schema: Any) -> Callable[[Any], bool]:
    """Whether values meet a schema of the document."""
    whole = {"$schema": DRAFT_07, "allOf": [schema], "components": openrpc["components"]}
    return jsonschema_rs.Draft7Validator(whole, retriever=refuse).is_valid


def toy(*definitions: ir.AnyDefinition, methods: tuple[ir.Method, ...], **more: Any) -> ir.Protocol:
    schemas: dict[str, Any] = {entry.name: {} for entry in definitions}
    about: dict[str, Any] = {"schema": {"definitions": schemas}, **more}
    return ir.Protocol(name="toy", version="1", title="Toy", doc="", definitions=definitions, methods=methods, **about)


def method(name: str, params: str | None, **more: Any) -> ir.Method:
    taken = ir.NamedType(name=params) if params is not None else None
    return ir.Method(name=name, kind="request", sender="client", receiver="server", params=taken, **more)


# --- protocols -----------------------------------------------------------------------------------


def test_the_meta_schema_of_openrpc_accepts_the_document(openrpc: Any, faults: Callable[[Any], list[str]]) -> None:
    assert faults(openrpc) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("openrpc",), "0.9"),
        (("methods", 0, "params"), {}),
        (("methods", 0, "errors"), [{"code": "x"}]),
        (("more",), 1),
    ],
)
def test_the_meta_schema_finds_faults(path: tuple[Any, ...], value: Any, faults: Callable[[Any], list[str]]) -> None:
    broken = document(described("echo"))
    at = broken
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert faults(broken) != []


def test_every_method_is_told_in_order(protocol: ir.Protocol, openrpc: Any) -> None:
    assert [(m["name"], m["x-from"], m["x-to"], "result" in m) for m in openrpc["methods"]] == [
        (m.name, m.sender, m.receiver, m.kind == "request") for m in protocol.methods
    ]


def test_every_reference_leads_to_a_component(openrpc: Any) -> None:
    found = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(openrpc)))
    components = openrpc["components"]
    assert found
    assert found <= {f"#/components/{kind}/{name}" for kind, group in components.items() for name in group}


def test_components_say_what_the_lowered_schema_says(
    protocol: ir.Protocol, openrpc: Any, samples: tuple[Sample, ...]
) -> None:
    names = protocol.schema["definitions"]
    checks = {name: validator(openrpc, {"$ref": f"#/components/schemas/{name}"}) for name in names}
    for sample in samples:
        assert checks[sample.type](read(sample.text)) is sample.valid, sample


def test_params_one_by_one_take_what_the_params_take_as_a_whole(
    protocol: ir.Protocol, openrpc: Any, samples: tuple[Sample, ...]
) -> None:
    """Every member of a valid sample of the params meets the schema of its own; what is required is there."""
    told = {m["name"]: m for m in openrpc["methods"]}
    tried = 0
    for one in protocol.methods:
        if not isinstance(one.params, ir.NamedType):
            assert told[one.name]["params"] == []
            continue
        params = told[one.name]["params"]
        checks = {param["name"]: validator(openrpc, param["schema"]) for param in params}
        required = {param["name"] for param in params if param["required"]}
        for sample in samples:
            if sample.type == one.params.name and sample.valid:
                value = read(sample.text)
                tried += 1
                assert required <= value.keys(), sample
                assert all(checks[name](part) for name, part in value.items() if name in checks), sample
    assert tried >= len(protocol.methods)


def test_examples_pair_params_with_results(protocol: ir.Protocol, openrpc: Any) -> None:
    shown = [example["name"] for m in openrpc["methods"] for example in m.get("examples", ())]
    good = [
        example.name
        for example in protocol.examples
        if example.method and example.valid and (not isinstance(example.response, dict) or "result" in example.response)
    ]
    assert sorted(shown) == sorted(good)
    for told in openrpc["methods"]:
        if "result" in told:
            check = validator(openrpc, told["result"]["schema"])
            assert all(check(example["result"]["value"]) for example in told.get("examples", ()))


def test_links_name_methods_and_their_params(openrpc: Any) -> None:
    params = {m["name"]: {param["name"] for param in m["params"]} for m in openrpc["methods"]}
    for told in openrpc["methods"]:
        for link in told.get("links", ()):
            assert link["params"].keys() <= params[link["method"]]
            assert all(re.fullmatch(r"\$\{result\..+\}", way) for way in link["params"].values())


# --- parts ---------------------------------------------------------------------------------------


def test_what_a_document_says_of_a_method() -> None:
    told = {m["name"]: m for m in document(described("apflow/1.0"))["methods"]}
    get = told["tasks.get"]
    assert (get["summary"], get["paramStructure"], get["x-idempotent"]) == ("Reads a task.", "by-name", True)
    assert get["params"] == [
        {
            "name": "task_id",
            "description": "The task.",
            "required": True,
            "schema": {"$ref": "#/components/schemas/TaskId"},
        }
    ]
    assert {"$ref": "#/components/errors/TaskNotFound"} in get["errors"]
    assert told["tasks.execute"]["x-events"] == {"$ref": "#/components/schemas/StreamEvent"}
    limit = next(param for param in told["tasks.list"]["params"] if param["name"] == "limit")
    assert limit["required"] is False
    assert {"default", "minimum", "maximum"} <= limit["schema"].keys()


def test_members_of_combined_records_keep_their_schemas() -> None:
    base = {"type": "object", "properties": {"id": {"type": "string", "minLength": 3}}}
    schema = {"definitions": {"a/b c": base, "P": {"allOf": [{"$ref": "#/definitions/a~1b c"}]}}}
    fields = (ir.Field(wire="id", type=ir.StringType(), required=False),)
    record = ir.Record(name="P", fields=fields)
    openrpc = document(toy(record, methods=(method("m", "P"),), schema=schema))
    assert openrpc["methods"][0]["params"] == [
        {"name": "id", "required": False, "schema": {"type": "string", "minLength": 3}}
    ]
    assert set(openrpc["components"]["schemas"]) == {"P", "a_2f_b_20_c"}


def test_params_that_are_no_record_are_a_warning() -> None:
    union = ir.Union(name="U", arms=(ir.Arm(name="A", type=ir.StringType()),))
    text, problems = generated(toy(union, methods=(method("m", "U"), method("n", None))))
    assert [(problem.code, problem.level) for problem in problems] == [("PG307", "warning")]
    assert 'the params of "m" are no list of named members' in problems[0].what
    told = json.loads(text)["methods"]
    assert [m["params"] for m in told] == [[], []]
    assert told[0]["x-params"] == {"$ref": "#/components/schemas/U"}


def test_odd_names_are_keys_that_are_allowed(faults: Callable[[Any], list[str]]) -> None:
    odd = "a b/{c}~<\u202e>?#%"
    record = ir.Record(name=odd, fields=(ir.Field(wire="*/", type=ir.NamedType(name=odd), required=True),))
    error = ir.ErrorCode(name=odd, code=1, message="\ud800", data=ir.NamedType(name=odd))
    one = method(odd, odd, result=ir.NamedType(name=odd), errors=(odd,), summary="`", doc="\ud800")
    openrpc = document(toy(record, methods=(one,), errors=(error,)))
    assert faults(openrpc) == []
    keys = [*openrpc["components"]["schemas"], *openrpc["components"]["errors"]]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", key) for key in keys)


def test_the_same_protocol_gives_the_same_text() -> None:
    text, _ = generated(described("echo"))
    assert text == generated(described("echo"))[0]
    assert text.endswith("}\n")
