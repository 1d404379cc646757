"""Rules about examples: what is shown as right must be right, what is shown as wrong must be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from protogen import ir
from protogen.samples.checks import validity
from protogen.samples.references import requoted

from .findings import Finding
from .subject import Subject


def failing(subject: Subject) -> Iterator[Finding]:
    """Examples beside the document that are not what they are marked as."""
    methods = {method.name: method for method in subject.protocol.methods}
    for example in subject.protocol.examples:
        if example.type is not None:
            faults = [] if subject.validator(example.type, example.value) else [f'no "{example.type}"']
        else:
            faults = list(_faults(subject, methods[example.method or ""], example))
        if example.valid and faults:
            what = f'example "{example.name}" is marked valid: {faults[0]}'
            place = subject.example_place(example.name)
            yield Finding("", what, "correct the example or the schema", place=place)
        if not example.valid and not faults:
            what = f'example "{example.name}" is marked invalid, and nothing is wrong with it'
            place = subject.example_place(example.name)
            yield Finding("", what, "break what it is about, or mark it valid", place=place)


def _faults(subject: Subject, method: ir.Method, example: ir.Example) -> Iterator[str]:
    """What is wrong with an exchange."""
    request: Any = example.request
    if not isinstance(request, dict) or request.get("method") != method.name or request.get("jsonrpc") != "2.0":
        yield "its request is no request of the method"
        return
    params = request.get("params", {})
    wanted = {"by-name": dict, "by-position": list}.get(method.param_structure, object)
    if not isinstance(params, wanted) or not _fits(subject, method.params, params):
        yield f"its params are no {_named(method.params)}"
    for event in example.events:
        if not _fits(subject, method.events, event):
            yield f"an event is no {_named(method.events)}"
    response: Any = example.response
    if response is ir.UNSET:
        return
    if not isinstance(response, dict) or ("result" in response) == ("error" in response):
        yield "its response has not one of result and error"
        return
    if response.get("id") != request.get("id"):
        yield "its response has another id"
    if "result" in response and not _fits(subject, method.result, response["result"]):
        yield f"its result is no {_named(method.result)}"
    if "error" in response:
        error: Any = response["error"]
        if not isinstance(error, dict) or not isinstance(error.get("code"), int) or "message" not in error:
            yield "its error has no code and message"


def _fits(subject: Subject, type_: ir.Type | None, value: Any) -> bool:
    if not isinstance(type_, ir.NamedType):
        return True
    if isinstance(value, list):
        definition = ir.definition_table(subject.protocol)[type_.name]
        if isinstance(definition, ir.Record):
            # By position: the members in the order of the properties.
            value = dict(zip((field.wire for field in definition.fields), value, strict=False))
    return subject.validator(type_.name, value)


def _named(type_: ir.Type | None) -> str:
    return f'"{type_.name}"' if isinstance(type_, ir.NamedType) else "value of its type"


def missing(subject: Subject) -> Iterator[Finding]:
    """Methods that no example shows."""
    shown = {example.method for example in subject.protocol.examples if example.valid}
    for pointer, method in subject.methods:
        if method.name not in shown:
            yield Finding(pointer, f'no example shows "{method.name}"', "add one to examples/ beside the document")


def failing_values(subject: Subject) -> Iterator[Finding]:
    """`default` and `examples` in a schema that are no values of it."""
    for record in subject.protocol.definitions:
        if isinstance(record, ir.Record) and record.path == subject.document.path:
            for field in record.fields:
                pointer = f"{record.pointer}/properties/{field.wire.replace('~', '~0').replace('/', '~1')}"
                schema = subject.protocol.schema["definitions"][record.name].get("properties", {}).get(field.wire)
                if field.default is not ir.UNSET and schema is not None and not _valid(subject, schema, field.default):
                    what = f'the default {json.dumps(field.default)} is no value of "{record.name}.{field.wire}"'
                    yield Finding(f"{pointer}/default", what, "correct the default or the schema")
    for definition in subject.own:
        shown = _at(subject.tree, definition.pointer)
        values = shown.get("examples") if isinstance(shown, dict) else None
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if not subject.validator(definition.name, value):
                what = f'examples[{index}] is no "{definition.name}"'
                yield Finding(f"{definition.pointer}/examples/{index}", what, "correct the example or the schema")


def _valid(subject: Subject, schema: Any, value: Any) -> bool:
    definitions = requoted(subject.protocol.schema["definitions"])
    return validity(requoted({"it": schema})["it"], definitions)(value)


def _at(tree: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree
