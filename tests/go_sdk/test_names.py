"""Go names: legal whatever the source, the same idea of words as Go programmers have, no two alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from protogen import ir
from protogen.problems import error
from protogen.targets.go.names import exported, fields, package_name, types
from tests.go_sdk.conftest import write_sdk

EXPORTED = {
    "task_list": "TaskList", "taskList": "TaskList", "task_ids": "TaskIDs", "requestId": "RequestID",
    "HTTPUrl": "HTTPURL", "a/b": "AB", "$type": "Type", "_meta": "Meta", "": "Value", "-": "Value",
    "2fast": "X2Fast", "übung": "Übung", "名前": "X名前", "😀": "Value", "²": "X2", "JSON": "JSON", "idle": "Idle",
    "x": "X", "v1beta2": "V1Beta2",
}  # fmt: skip


@pytest.mark.parametrize(("source", "name"), EXPORTED.items())
def test_names_are_exported_identifiers(source: str, name: str) -> None:
    assert exported(source) == name


PACKAGES = {
    "protogen.dev/stepflow": "stepflow", "example.org/my-api/v2": "myapi", "go": "goprotocol",
    "a.b/type": "typeprotocol", "x/9p": "p9p", "x/rpc": "rpcprotocol", "v2": "v2", "x/---": "p",
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), PACKAGES.items())
def test_packages_have_the_name_of_their_module(module: str, name: str) -> None:
    assert package_name(module) == name


def record(name: str, *wires: str, pin: str | None = None, field_pin: str | None = None) -> ir.Record:
    made = tuple(ir.Field(wire=wire, type=ir.StringType(), required=True, pin=field_pin) for wire in wires)
    return ir.Record(name=name, fields=made, pin=pin)


def protocol(*definitions: ir.AnyDefinition) -> ir.Protocol:
    return ir.Protocol(
        name="p",
        version="1",
        title="p",
        doc="",
        definitions=definitions,
        schema={"definitions": {entry.name: {} for entry in definitions}},
    )


def test_names_that_meet_are_all_numbered() -> None:
    assert fields(record("R", "a_b", "a-b", "c", "Extra", "MarshalJSON")) == {
        "a-b": "AB_1", "a_b": "AB_2", "c": "C", "Extra": "Extra_", "MarshalJSON": "MarshalJSON_",
    }  # fmt: skip


def test_a_pin_wins_and_is_exported() -> None:
    assert types(protocol(record("a"), record("A", pin="first"), record("Decode"), record("b", pin="HttpB"))) == {
        "a": "A", "A": "First", "Decode": "Decode_", "b": "HttpB",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("definitions", "what"),
    [
        ((record("a", pin="Same"), record("b", pin="Same")), "a and b both ask for the Go name 'Same'"),
        ((record("a", pin="Decode"),), "a and the SDK itself both ask for the Go name 'Decode'"),
        ((record("a", "x", field_pin="Extra"),), "x and the SDK itself both ask for the Go name 'Extra'"),
    ],
)
def test_pins_that_contradict_each_other_are_an_error(
    definitions: tuple[ir.Record, ...], what: str, tmp_path: Path
) -> None:
    problems = write_sdk(protocol(*definitions), tmp_path, package="p.example/p")
    assert problems == [error("PG108", what, fix='change one "x-protogen-name"')]
    assert list(tmp_path.iterdir()) == []
