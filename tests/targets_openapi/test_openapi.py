"""OpenAPI documents: valid for other readers, true to the schema, and fit for a fuzzer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from openapi_documents import accepts, described, document, operations, text, validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from protogen import ir
from protogen.described import component_keys
from protogen.links import links
from protogen.samples import make
from protogen.samples.text import read
from protogen.targets.openapi.statuses import status

STRING = ir.StringType()
FEW = settings(
    max_examples=15, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def faults(openapi: Any) -> list[str]:
    """What a validator of another make has to say."""
    return [
        f"{list(error.absolute_path)}: {error.message[:200]}"
        for error in OpenAPIV31SpecValidator(openapi).iter_errors()
    ]


def record(name: str, *fields: ir.Field) -> ir.Record:
    return ir.Record(name=name, fields=fields)


def field(wire: str, type_: ir.Type = STRING, *, required: bool = True) -> ir.Field:
    return ir.Field(wire=wire, type=type_, required=required)


def method(name: str, params: str | None = None, result: str | None = None, **more: Any) -> ir.Method:
    about = {"kind": "request", "sender": "client", "receiver": "server", **more}
    return ir.Method(
        name=name,
        params=ir.NamedType(name=params) if params else None,
        result=ir.NamedType(name=result) if result else None,
        **about,
    )


def toy(*definitions: ir.AnyDefinition, methods: tuple[ir.Method, ...] = (), **more: Any) -> ir.Protocol:
    schemas = {entry.name: {"type": "object"} if isinstance(entry, ir.Record) else {} for entry in definitions}
    about: dict[str, Any] = {"schema": {"definitions": schemas}, **more}
    return ir.Protocol(name="toy", version="1", title="Toy", doc="", definitions=definitions, methods=methods, **about)


# --- protocols -----------------------------------------------------------------------------------


def test_a_validator_of_another_make_accepts_the_document(openapi: Any) -> None:
    assert faults(openapi) == []


def test_that_validator_finds_faults(openapi: Any) -> None:
    broken = json.loads(json.dumps(openapi))
    next(operations(broken))["requestBody"] = {"content": []}
    assert faults(broken) != []


def test_every_reference_leads_to_a_component(openapi: Any) -> None:
    found = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(openapi)))
    assert found
    assert found <= {f"#/components/schemas/{name}" for name in openapi["components"]["schemas"]}


def test_every_method_has_one_path(protocol: ir.Protocol, openapi: Any) -> None:
    assert [operation["operationId"] for operation in operations(openapi)] == [m.name for m in protocol.methods]
    assert [operation["x-jsonrpc"]["to"] for operation in operations(openapi)] == [m.receiver for m in protocol.methods]
    assert all(path.startswith("/rpc/") for path in openapi["paths"])


def test_components_say_what_the_lowered_schema_says(protocol: ir.Protocol, openapi: Any) -> None:
    checks = {
        name: validator(openapi, {"$ref": f"#/components/schemas/{name}"}) for name in protocol.schema["definitions"]
    }
    for sample in make(protocol.schema["definitions"], most=500).samples:
        assert checks[sample.type](read(sample.text)) is sample.valid, sample


def test_examples_meet_the_schemas_beside_them(protocol: ir.Protocol, openapi: Any) -> None:
    shown = 0
    for operation in operations(openapi):
        contents = [operation["requestBody"]["content"]["application/json"]]
        contents += [
            answer["content"]["application/json"] for answer in operation["responses"].values() if "content" in answer
        ]
        for content in contents:
            for name, example in content.get("examples", {}).items():
                shown += 1
                assert accepts(openapi, content["schema"], example["value"]), (operation["operationId"], name)
    wanted = [example for example in protocol.examples if example.method and example.valid]
    assert shown >= len(wanted)


def test_every_error_of_a_method_is_a_response_of_its_status(protocol: ir.Protocol, openapi: Any) -> None:
    codes = {code.name: code for code in protocol.errors}
    for one, operation in zip(protocol.methods, operations(openapi), strict=True):
        for name in one.errors:
            content = operation["responses"][str(status(codes[name]))]["content"]["application/json"]
            data: dict[str, Any] = {"code": codes[name].code, "message": "m"}
            if codes[name].data is None:
                assert accepts(openapi, content["schema"], {"jsonrpc": "2.0", "id": 1, "error": data}), name
            assert not accepts(openapi, content["schema"], {"jsonrpc": "2.0", "id": 1, "error": {**data, "code": 7}})
            assert openapi["x-jsonrpc"]["statuses"][str(codes[name].code)] == status(codes[name])


def test_identifiers_that_a_method_gives_feed_those_that_take_them() -> None:
    found = {
        (source, link.target.name, link.wire, link.pointer)
        for name in ("apflow/1.0", "stepflow/0.9", "a2a/1.0", "a2a/0.3")
        for source, group in links(described(name)).items()
        for link in group
    }
    assert found >= {
        ("tasks.create", "tasks.get", "task_id", "/id"),
        ("tasks.create", "tasks.delete", "task_id", "/id"),
        ("tasks.create", "tasks.create", "parent_id", "/id"),
        ("tasks.list", "tasks.cancel", "task_id", "/tasks/0/id"),
        ("tasks.copy", "tasks.tree", "task_id", "/copied_task_id"),
        ("blobs/put", "blobs/get", "blob_id", "/blob_id"),
        ("runs/submit", "runs/get", "runId", "/runId"),
        ("SendMessage", "GetTask", "id", "/task/id"),
        ("SendMessage", "CreateTaskPushNotificationConfig", "taskId", "/task/id"),
        ("message/send", "tasks/cancel", "id", "/id"),
    }
    assert not [row for row in found if row[1] == "tasks.create" and row[2] == "id"]
    assert not [row for row in found if "messageId" in row[3] or "artifactId" in row[3]]


def test_an_id_beside_one_that_is_named_is_not_the_same() -> None:
    task = record("Task", field("id"))
    both = record("Both", field("task_id"), field("id"))
    alone = record("Alone", field("id"))
    methods = (method("task/make", None, "Task"), method("task/note", "Both"), method("task/get", "Alone"))
    found = links(toy(task, both, alone, methods=methods))
    assert [(link.target.name, link.wire) for link in found["task/make"]] == [
        ("task/note", "task_id"),
        ("task/get", "id"),
    ]


def test_an_identifier_of_another_receiver_or_for_something_new_is_no_link() -> None:
    named = ir.Alias(name="TaskId", type=STRING)
    task = record("Task", field("id", ir.NamedType(name="TaskId")))
    new = record("New", field("id", ir.NamedType(name="TaskId"), required=False), field("title"))
    made = method("task/make", "New", "Task")
    elsewhere = method("task/get", "Task", receiver="client", sender="server")
    assert links(toy(named, task, new, methods=(made, elsewhere))) == {}


def test_links_of_a_thousand_methods_are_few_for_each() -> None:
    named = ir.Alias(name="TaskId", type=STRING)
    take = record("Take", field("task_id", ir.NamedType(name="TaskId")))
    found = links(toy(named, take, methods=tuple(method(f"m{at}", "Take", "Take") for at in range(1000))))
    assert {len(group) for group in found.values()} == {100}
    assert len(found) == 1000


def test_schemathesis_loads_the_document(openapi: Any) -> None:
    schema = schemathesis.openapi.from_dict(openapi)
    loaded = [result.ok().definition.raw["operationId"] for result in schema.get_all_operations()]
    assert loaded == [operation["operationId"] for operation in operations(openapi)]


@pytest.mark.parametrize("path", ["/rpc/tasks.list", "/rpc/tasks.get"])
def test_what_schemathesis_makes_of_it_are_params_of_the_method(path: str) -> None:
    openapi = document(described("apflow/1.0"))
    check = validator(openapi, openapi["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"])
    bodies: list[Any] = []

    @seed(1)
    @FEW
    @given(case=schemathesis.openapi.from_dict(openapi)[path]["POST"].as_strategy())
    def each(case: Any) -> None:
        bodies.append(case.body)

    each()
    assert len(bodies) >= 10
    assert all(check(body) for body in bodies)


def test_schemathesis_asks_for_what_it_was_given() -> None:
    """The links lead a stateful run from the task that was created to the methods that take its identifier."""
    names = ("/rpc/tasks.create", "/rpc/tasks.get", "/rpc/tasks.delete")
    schema = schemathesis.openapi.from_dict(document(described("apflow/1.0"))).include(path=list(names))
    schema.config.update(base_url="http://127.0.0.1:1")
    given_out: list[str] = []
    asked: list[tuple[str, Any]] = []

    class Node(schema.as_state_machine()):  # type: ignore[misc] # a class that is made at run time
        """A node that creates everything and knows nothing else; no message leaves this process."""

        def call(self, case: Any, **_: Any) -> Any:
            asked.append((case.operation.path, case.body))
            envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
            if case.operation.path == "/rpc/tasks.create":
                given_out.append(f"3f0b8f0e-5d6a-4c1e-9a55-{len(given_out):012x}")
                return answer(case, 200, {**envelope, "result": {"id": given_out[-1], "status": "pending"}})
            return answer(case, 404, {**envelope, "error": {"code": -32001, "message": "Task not found"}})

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            del response, case  # this is about what is asked

    Node.run(settings=settings(FEW, max_examples=10, stateful_step_count=6, phases=[Phase.generate]))
    found = {path for path, body in asked if isinstance(body, dict) and body.get("task_id") in given_out}
    assert found == {"/rpc/tasks.get", "/rpc/tasks.delete"}


def answer(case: Any, code: int, content: Any) -> Any:
    """An answer as schemathesis has it after a call."""
    response = requests.Response()
    response.status_code = code
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps(content).encode()
    response.request = requests.Request("POST", f"http://127.0.0.1:1{case.operation.path}").prepare()
    return schemathesis.Response.from_any(response)


# --- parts ---------------------------------------------------------------------------------------


def test_what_a_document_says_of_a_method() -> None:
    openapi = document(described("echo"))
    notify = openapi["paths"]["/rpc/notify"]["post"]
    assert notify["responses"] == {"202": {"description": "Taken; a notification is never answered."}}
    assert notify["x-jsonrpc"]["kind"] == "notification"
    count = openapi["paths"]["/rpc/count"]["post"]
    assert set(count["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert count["x-jsonrpc"]["events"] == {"$ref": "#/components/schemas/CountEvent"}
    assert openapi["paths"]["/rpc/client/echo"]["post"]["tags"] == ["client"]


def test_params_by_position_are_an_array() -> None:
    params = record("P", field("a"), field("b", ir.IntegerType(), required=False))
    by_position = method("m", "P", "P", param_structure="by-position")
    openapi = document(toy(params, methods=(by_position, method("n"))))
    assert openapi["paths"]["/rpc/m"]["post"]["requestBody"]["content"]["application/json"]["schema"] == {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 1,
    }
    assert openapi["paths"]["/rpc/n"]["post"]["x-jsonrpc"]["params"] == "none"
    assert faults(openapi) == []


@pytest.mark.parametrize(
    ("name", "code", "number"),
    [
        ("TaskNotFound", -32001, 404),
        ("Unauthorized", -32004, 401),
        ("PermissionDenied", -32005, 403),
        ("AlreadyRunning", -32006, 409),
        ("FoundNot", 1, 409),
        ("AnythingNotFound", -32602, 422),
        ("Whatever", -32603, 500),
    ],
)
def test_an_error_stands_for_a_status(name: str, code: int, number: int) -> None:
    assert status(ir.ErrorCode(name=name, code=code, message="")) == number


def test_odd_names_become_keys_and_paths_that_are_allowed() -> None:
    odd = "a b/{c}~<\u202e>?#%"
    data = ir.NamedType(name=odd)
    definitions = (record(odd, field("id")), record("Error.E", field("id")), record("JsonRpc.Id"))
    errors = (ir.ErrorCode(name="E", code=1, message="m", data=data), ir.ErrorCode(name=odd, code=2, message="\ud800"))
    one = method(odd, odd, odd, errors=("E", odd), summary="*/", doc="\ud800")
    two = method("a b/{c}~<\u202e>?#", odd, "Error.E")
    openapi = document(toy(*definitions, methods=(one, two), errors=errors))
    assert faults(openapi) == []
    assert len(openapi["paths"]) == 2
    assert all("{" not in path and "?" not in path and " " not in path for path in openapi["paths"])
    assert {"Error.E", "JsonRpc.Id"} < set(openapi["components"]["schemas"])
    assert len(openapi["components"]["schemas"]) == 3 + 2 + 1 + 4


def test_every_kind_of_schema_means_the_same_in_the_components() -> None:
    here = "#/definitions/"
    schemas: dict[str, Any] = {
        "a/b~c d%41": {"type": "object", "properties": {"again": {"$ref": f"{here}a~1b~0c d%41"}}},
        "Names": {
            "type": "object",
            "properties": {
                name: {"$ref": f"{here}a~1b~0c d%41"}
                for name in ("$ref", "enum", "default", "const", "required", "items")
            },
            "patternProperties": {"^examples$": {"$ref": f"{here}Pair"}},
        },
        "Data": {"enum": [{"$ref": f"{here}Nowhere"}, 1]},
        "Pair": {"type": "array", "items": [{"type": "string"}, {"$ref": f"{here}Data"}], "additionalItems": False},
        "Bound": {
            "type": "object",
            "dependencies": {"card": ["address"], "$ref": {"required": ["x"]}, "y": {"$ref": f"{here}Names"}},
        },
        "Either": {"oneOf": [{"$ref": f"{here}Pair"}, {"$ref": f"{here}Bound"}], "not": {"$ref": f"{here}Data"}},
        "When": {"if": {"$ref": f"{here}Pair"}, "then": {"minItems": 1}, "else": {"$ref": f"{here}Bound"}},
        "Never": False,
        "Always": True,
    }
    definitions = tuple(ir.Alias(name=name, type=ir.AnyType(), doc="Said.") for name in schemas)
    openapi = document(toy(*definitions, methods=(method("m"),), schema={"definitions": schemas}))
    assert faults(openapi) == []
    keys = component_keys(schemas)
    checks = {name: validator(openapi, {"$ref": f"#/components/schemas/{keys[name]}"}) for name in schemas}
    samples = make(schemas).samples
    assert {sample.type for sample in samples} == schemas.keys()
    for sample in samples:
        assert checks[sample.type](read(sample.text)) is sample.valid, sample


def test_the_same_protocol_gives_the_same_text() -> None:
    assert text(described("echo")) == text(described("echo"))
    assert text(described("echo")).endswith("}\n")
