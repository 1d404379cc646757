"""A protocol as the fuzzer sees it: the operations of its OpenAPI document with a validator for each part.

The document is the one that the target `openapi` writes: a virtual path per method, `x-jsonrpc` for what is JSON-RPC's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jsonschema_rs

Json: TypeAlias = Any
"""A JSON value, whose shape nobody has checked yet."""

STANDARD_CODES = (-32700, -32600, -32601, -32602, -32603)
"""The codes that JSON-RPC 2.0 itself defines."""

Validator: TypeAlias = Callable[[Json], "str | None"]
"""What is wrong with a value in one sentence; None where nothing is."""


class Link(NamedTuple):
    """A value of one method's result that is a param of another: `pointer` leads to it from the result."""

    target: str
    param: str
    pointer: str


class Operation(NamedTuple):
    """One method of the protocol."""

    method: str
    path: str
    role: str
    request: bool
    """Whether it is answered: a notification is not."""
    by_position: bool
    idempotent: bool
    params: Validator
    result: Validator
    events: Validator | None
    """What holds of each event that comes before the result; None where none may come."""
    needed: frozenset[str]
    """The members of params that must be there."""
    errors: frozenset[int]
    """The codes that it lists."""
    statuses: frozenset[int]
    """The statuses that the document has answers for."""
    examples: tuple[Json, ...]
    links: tuple[Link, ...]

    def but_for(self, members: frozenset[str], *, null: bool) -> Operation:
        """The same, with params judged without these members, and with null taken for none where `null` is set."""

        def judge(value: Json) -> str | None:
            if null and value is None:
                return None
            read = isinstance(value, dict) and not members.isdisjoint(value)
            return self.params({k: v for k, v in value.items() if k not in members} if read else value)

        return self._replace(params=judge) if members or null else self


class Description(NamedTuple):
    """A protocol: its operations by method, and what stands for what."""

    name: str
    document: Json
    operations: dict[str, Operation]
    statuses: dict[int, int]
    otherwise: int
    error_data: dict[int, Validator]
    """What holds of the data of an error, where the protocol says it for all errors with that code."""

    @property
    def codes(self) -> frozenset[int]:
        """The catalogue: every code that an answer may carry."""
        return frozenset(self.statuses) | frozenset(STANDARD_CODES)

    @property
    def path(self) -> str:
        """Where the protocol is served."""
        return str(self.document["x-jsonrpc"]["path"])

    @property
    def roles(self) -> tuple[str, ...]:
        """Who receives methods, in the order of the document."""
        return tuple(dict.fromkeys(operation.role for operation in self.operations.values()))

    def status(self, code: int) -> int:
        """The HTTP status that stands for an error."""
        return self.statuses.get(code, self.otherwise)


def describe(name: str, document: Json) -> Description:
    """Reads an OpenAPI document; a reference that leads nowhere raises what jsonschema_rs raises."""
    facts = document["x-jsonrpc"]
    operations = [_operation(document, path, item["post"]) for path, item in document["paths"].items()]
    return Description(
        name=name,
        document=document,
        operations={operation.method: operation for operation in operations},
        statuses={int(code): status for code, status in facts["statuses"].items()},
        otherwise=facts["otherwise"],
        error_data=_error_data(document),
    )


def _operation(document: Json, path: str, item: Json) -> Operation:
    facts = item["x-jsonrpc"]
    body = item["requestBody"]["content"]["application/json"]
    good = item["responses"].get("200", {})
    envelope = good.get("content", {}).get("application/json", {}).get("schema", {})
    links = [
        Link(link["operationId"], param, value.partition("#/result")[2])
        for link in good.get("links", {}).values()
        for param, value in link["requestBody"].items()
    ]
    return Operation(
        method=facts["method"],
        path=path,
        role=facts["to"],
        request=facts["kind"] == "request",
        by_position=facts["params"] == "by-position",
        idempotent=bool(facts["idempotent"]),
        params=validator(document, body["schema"]),
        result=validator(document, envelope.get("properties", {}).get("result", True)),
        events=validator(document, facts["events"]) if "events" in facts else None,
        needed=frozenset(_resolved(document, body["schema"]).get("required", ())),
        errors=frozenset(facts["errors"]),
        statuses=frozenset(int(status) for status in item["responses"]),
        examples=tuple(example["value"] for example in body.get("examples", {}).values()),
        links=tuple(links),
    )


def _resolved(document: Json, schema: Json) -> Json:
    """A schema without the references that it consists of; an empty one where they lead in a circle."""
    for _ in range(20):
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        schema = at_pointer(document, schema["$ref"].removeprefix("#"))
    return schema if isinstance(schema, dict) else {}


def _error_data(document: Json) -> dict[int, Validator]:
    """The schemas of `data` by code; a code that several errors share has one only where all of them have it."""
    found: dict[int, list[Json]] = {}
    for name, schema in document["components"]["schemas"].items():
        code = schema.get("properties", {}).get("code", {}) if isinstance(schema, dict) else {}
        if name.startswith("Error.") and isinstance(code.get("const"), int):
            found.setdefault(code["const"], []).append(schema["properties"].get("data"))
    return {
        code: validator(document, {"anyOf": schemas})
        for code, schemas in found.items()
        if all(schema is not None for schema in schemas)
    }


def validator(document: Json, schema: Json) -> Validator:
    """Says what is wrong with a value by a schema of the document."""
    whole = {"$schema": document["jsonSchemaDialect"], "allOf": [schema], "components": document["components"]}
    compiled = jsonschema_rs.Draft202012Validator(whole, retriever=_refuse)

    def judge(value: Json) -> str | None:
        try:
            compiled.validate(value)
        except jsonschema_rs.ValidationError as reason:
            where = "".join(f"/{part}" for part in reason.instance_path)
            return f"{where or 'the value'}: {reason.message[:300]}"
        except (ValueError, TypeError, RecursionError) as reason:
            return f"the value cannot be checked: {reason}"
        return None

    return judge


def _refuse(uri: str) -> Json:
    raise LookupError(f"a document of a protocol refers to nothing outside it, got {uri!r}")


def at_pointer(value: Json, pointer: str) -> Json:
    """The value at a JSON pointer; raises LookupError."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and re.fullmatch(r"\d{1,6}", key):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value[key]
        else:
            raise LookupError(pointer)
    return value
