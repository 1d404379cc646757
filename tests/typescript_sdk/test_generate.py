"""What is generated: names, hostile texts, stable bytes, and the tables that say what a method may answer with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from toy_sdk import OPTIONS, generate, read, text_of

from protogen import ir
from protogen.render import Templates
from protogen.targets.typescript import names
from protogen.targets.typescript.target import TARGET

P = {"$ref": "#/$defs/P"}


def protocol_of(tmp_path: Path, document: dict[str, Any]) -> ir.Protocol:
    path = tmp_path / "acme.json"
    complete = {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
    path.write_text(json.dumps(complete), "utf-8")
    return read(path)


def thing(**more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": {"type": "string"}}, **more}


def test_the_library_exports_what_the_names_reserve(root: Path) -> None:
    text = (root / "templates" / "typescript" / "rpc" / "index.ts").read_text("utf-8")
    exported = {
        name.strip().removeprefix("type ")
        for group in re.findall(r"export (?:type )?\{([^}]*)\}", text)
        for name in group.split(",")
        if name.strip()
    }
    assert exported == names.LIBRARY


def test_every_sdk_exports_what_the_names_reserve(toy: ir.Protocol) -> None:
    files = generate(toy)
    own = {path: set(exports(text_of(files, f"src/{path}.ts"))) for path in ("types", "errors", "methods", "schema")}
    # CommonErrorClasses is there where errors have families; the test of families sees it.
    assert own["schema"] <= names.FIXED <= set.union(*own.values()) | {"CommonErrorClasses"}


def exports(text: str) -> list[str]:
    return re.findall(r"^export (?:const|function|type|interface|class) (\w+)", text, re.MULTILINE)


@pytest.mark.parametrize("path", ["types", "errors", "methods", "client", "handlers"])
def test_no_name_is_exported_twice_but_as_type_and_value(toy: ir.Protocol, path: str) -> None:
    files = generate(toy)
    elsewhere = {
        name
        for other in ("types", "errors", "methods", "client", "handlers", "schema")
        if other != path
        for name in exports(text_of(files, f"src/{other}.ts"))
    }
    assert elsewhere & set(exports(text_of(files, f"src/{path}.ts"))) == set()


def test_hostile_texts_stay_in_their_comments_and_strings(toy: ir.Protocol) -> None:
    for file in generate(toy):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e]", file.text), file.path
        if file.path.startswith("src/rpc/") or not file.path.endswith(".ts"):
            continue
        outside = re.sub(
            r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", "", file.text, flags=re.DOTALL
        )
        assert "evil" not in outside, file.path
        assert "alert" not in outside, file.path
        assert not re.search(r"(^|[\s*])@(ts-|deprecated is)", file.text), file.path


def test_the_same_protocol_gives_the_same_bytes(toy: ir.Protocol) -> None:
    assert generate(toy) == generate(toy)
    assert [file.path for file in generate(toy)] == sorted(file.path for file in generate(toy))


def test_each_file_but_data_names_its_source(toy: ir.Protocol) -> None:
    digest = toy.sources[0].sha256
    for file in generate(toy):
        assert file.text.endswith("\n"), file.path
        assert file.path == "package.json" or digest in file.text, file.path


def test_a_definition_named_like_the_library_gives_way(tmp_path: Path) -> None:
    protocol = protocol_of(tmp_path, {"$defs": {"RpcError": thing(), "Codec": thing(), "decode": thing()}})
    types = text_of(generate(protocol), "src/types.ts")
    assert exports(types) == ["RpcError_", "Codec", "Decode", "TypesByName"]
    assert "  RpcError: RpcError_;\n" in types


def test_a_derived_name_gives_way_to_a_definition(tmp_path: Path) -> None:
    document = {"$defs": {"Color": {"enum": ["red", "blue"]}, "ColorValues": thing()}}
    types = exports(text_of(generate(protocol_of(tmp_path, document)), "src/types.ts"))
    assert types == ["Color", "ColorValues_", "ColorValues", "TypesByName"]


def test_a_pinned_name_is_taken_as_it_is(tmp_path: Path) -> None:
    document = {"$defs": {"Thing": thing(**{"x-protogen-name": "Gadget"})}}
    assert exports(text_of(generate(protocol_of(tmp_path, document)), "src/types.ts")) == ["Gadget", "TypesByName"]


def test_pins_that_contradict_each_other_are_a_problem(tmp_path: Path) -> None:
    plain = protocol_of(tmp_path, {"$defs": {"A": thing(), "B": thing()}})
    for pins in (("Same", "Same"), ("RpcError", None)):
        pinned = zip(plain.definitions, pins, strict=True)
        definitions = tuple(msgspec.structs.replace(entry, pin=pin) for entry, pin in pinned)
        protocol = msgspec.structs.replace(plain, definitions=definitions)
        files, problems = TARGET.generate(protocol, OPTIONS, Templates())
        assert files == []
        assert [problem.code for problem in problems] == ["PG108"]


def test_named_values_of_an_enum_are_a_table(tmp_path: Path) -> None:
    document = {"$defs": {"Priority": {"enum": [0, 1], "enumNames": ["urgent", "very-low"]}}}
    types = text_of(generate(protocol_of(tmp_path, document)), "src/types.ts")
    assert "export type Priority = 0 | 1;" in types
    assert 'export const Priority = {\n  urgent: 0,\n  "very-low": 1,\n} as const;' in types


def test_an_open_enum_of_numbers_takes_others(tmp_path: Path) -> None:
    document = {"$defs": {"Code": {"enum": [1, 2], "x-open-enum": True}}}
    assert "export type Code = 1 | 2 | number | bigint;" in text_of(
        generate(protocol_of(tmp_path, document)), "src/types.ts"
    )


def test_a_schema_without_methods_is_an_sdk_of_types(tmp_path: Path) -> None:
    files = generate(protocol_of(tmp_path, {"$defs": {"Thing": thing()}}))
    assert text_of(files, "src/client.ts").endswith("export {};\n")
    assert text_of(files, "src/handlers.ts").endswith("export {};\n")
    assert "## Call" not in text_of(files, "README.md")


def test_types_without_a_name_are_validated_by_a_schema_in_place(toy: ir.Protocol) -> None:
    results: dict[str, ir.Type] = {
        "echo": ir.ListType(item=ir.NamedType(name="task_list"), max_items=3),
        "wait": ir.MapType(value=ir.NullableType(of=ir.IntegerType())),
        "run": ir.TupleType(items=(ir.StringType(), ir.LiteralType(value=1))),
        "sum": ir.AnyType(),
    }
    methods = [msgspec.structs.replace(each, result=results.get(each.name, each.result)) for each in toy.methods]
    files = generate(msgspec.structs.replace(toy, methods=tuple(methods)))
    rows = dict(re.findall(r'name: "(\w+)",\n.*\n.*\n.*\n    result: (.*),\n', text_of(files, "src/methods.ts")))
    assert {name: rows[name] for name in results} == {
        "echo": '{ type: "array", items: { $ref: "#/definitions/task_list" }, maxItems: 3 }',
        "wait": '{ type: "object", additionalProperties: { anyOf: [{ type: "null" }, { type: "integer" }] } }',
        "run": '{ type: "array", items: [{ type: "string" }, { const: 1 }], additionalItems: false, minItems: 2 }',
        "sum": "true",
    }
    client = text_of(files, "src/client.ts")
    assert "): Promise<types.TaskList_2[]> {" in client
    assert "): Promise<{ [key: string]: number | bigint | null }> {" in client
    assert "): Promise<[string, 1]> {" in client
    assert "): Promise<unknown> {" in client


def test_families_of_errors_are_tables_of_their_own(tmp_path: Path) -> None:
    method = {"kind": "request", "summary": ".", "from": "app", "to": "node", "params": P, "result": P}
    document = {
        "x-protocol": {"name": "acme", "version": "1"},
        "x-roles": {"app": {"summary": "."}, "node": {"summary": "."}},
        "x-methods": {
            "tasks.get": {**method, "errors": ["Lost"]},
            "tasks.put": method,
            "push/get": method,
            "other": method,
            "more": {**method, "errors": ["Gone"]},
        },
        "x-errors": {
            "Lost": {"code": -32001, "message": "Lost", "family": "tasks"},
            "Gone": {"code": -32001, "message": "Gone", "family": "push"},
            "Broken": {"code": -32002, "message": "Broken"},
        },
        "$defs": {"P": thing()},
    }
    files = generate(protocol_of(tmp_path, document))
    errors = text_of(files, "src/errors.ts")
    assert "export const TasksErrorClasses: readonly ErrorClass[] = [LostError];" in errors
    assert "export const PushErrorClasses: readonly ErrorClass[] = [GoneError];" in errors
    assert "export const CommonErrorClasses: readonly ErrorClass[] = [BrokenError];" in errors
    rows = re.findall(r"errors: \[(.*?)\],\n    otherErrors: (.*?),\n", text_of(files, "src/methods.ts"))
    tasks, push, common = (f"errors.{family}ErrorClasses" for family in ("Tasks", "Push", "Common"))
    assert rows == [
        ("errors.LostError", f"[...{tasks}, ...{common}]"),
        ("", f"[...{tasks}, ...{common}]"),
        ("", f"[...{push}, ...{common}]"),
        ("", common),
        ("errors.GoneError", f"[...{push}, ...{common}]"),
    ]


@pytest.mark.parametrize("source", ["naïve", "名前", "²", "a-b c", "\U0001d4b3y", "\u0301x", "5", "-", "string"])
def test_any_name_becomes_an_identifier(tmp_path: Path, source: str) -> None:
    files = generate(protocol_of(tmp_path, {"$defs": {source: thing()}}))
    found = re.findall(r"^export interface (\S+) ", text_of(files, "src/types.ts"), re.MULTILINE)
    assert len(found) == 2
    assert found[0].isidentifier()
    assert found[0][0].isalpha() or found[0][0] == "_"
