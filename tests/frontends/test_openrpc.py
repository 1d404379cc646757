"""OpenRPC documents: what becomes of each part of them, and what is said of the malformed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from readings import DOCUMENTS, Read, method, name_of, protocol_of, record

from protogen import ir
from protogen.build import read_document


def _document(*methods: Any, **more: Any) -> dict[str, Any]:
    return {"openrpc": "1.2.6", "info": {"title": "Acme", "version": "1.0.0"}, "methods": list(methods), **more}


def _method(name: str = "m", **more: Any) -> dict[str, Any]:
    return {"name": name, "params": [], "result": {"name": "r", "schema": True}, **more}


def test_methods_have_kind_params_result_and_structure() -> None:
    protocol = protocol_of("openrpc.json")
    assert (protocol.title, protocol.version, protocol.http.path) == ("Library", "2.1", "/api/rpc")
    assert [(m.name, m.kind, m.param_structure, name_of(m.params), name_of(m.result)) for m in protocol.methods] == [
        ("book_find", "request", "by-position", "BookFindParams", "BookFindResult"),
        ("book_lend", "request", "by-name", "BookLendParams", "BookLendResult"),
        ("book_touched", "notification", "either", "BookTouchedParams", None),
        ("clear", "request", "by-name", None, "ClearResult"),
    ]
    assert {(m.sender, m.receiver) for m in protocol.methods} == {("client", "server")}
    assert [m.deprecated for m in protocol.methods] == [False, True, False, False]


def test_params_are_one_record_in_their_order() -> None:
    fields = record(protocol_of("openrpc.json"), "BookFindParams").fields
    assert [(field.wire, field.required, field.doc, field.default) for field in fields] == [
        ("words", True, "What to look for.", ir.UNSET),
        ("limit", False, "At most so many.", 10),
    ]


def test_texts_are_told_once() -> None:
    find, _, touched, _ = protocol_of("openrpc.json").methods
    assert find.summary == "Finds books."
    assert find.doc == (
        "Finds books by words.\n\nWhat it answers leads to:\n\n"
        "- `book_lend` with isbn = $result[0].isbn: Lends what was found."
    )
    assert touched.summary == "Tells the library that a book was read."
    assert touched.doc == "Tells the library that a book was read. It is not answered."


def test_errors_with_one_code_and_two_meanings_are_in_families() -> None:
    protocol = protocol_of("openrpc.json")
    assert [(e.name, e.code, e.message, e.family, e.doc) for e in protocol.errors] == [
        ("Busy", -32000, "Busy", None, ""),
        ("TooManyWords", -32001, "Too many words", None, 'Data, for example: `{"most": 8}`.'),
        ("LentAlready", -32001, "Lent already", "alternative-2", ""),
    ]
    assert method(protocol, "book_find").errors == ("Busy", "TooManyWords")
    assert method(protocol, "book_lend").errors == ("LentAlready",)


def test_the_data_of_an_error_may_be_its_type(read: Read) -> None:
    errors = {
        "Failed": {
            "code": 41,
            "message": "Failed",
            "data": {"type": "object", "properties": {"at": {"type": "integer"}}},
        },
        "Named": {"code": 42, "message": "Named", "data": {"$ref": "#/components/schemas/Reason"}},
        "Described": {"code": 43, "message": "Described", "data": {"name": "d", "schema": {"type": "string"}}},
        "Value": {"code": 44, "message": "Value", "data": {"type": "boot", "at": 3}},
    }
    tree = _document() | {"components": {"errors": errors, "schemas": {"Reason": {"type": "string", "minLength": 1}}}}
    reading, problems = read(tree)
    assert reading is not None
    assert problems == []
    assert [(e.name, name_of(e.data)) for e in reading.protocol.errors] == [
        ("Failed", "FailedData"),
        ("Named", "Reason"),
        ("Described", "DescribedData"),
        ("Value", None),
    ]
    assert reading.protocol.errors[-1].doc == 'Data, for example: `{"type": "boot", "at": 3}`.'
    (at,) = record(reading.protocol, "FailedData").fields
    assert at.type == ir.IntegerType()


def test_examples_are_whole_messages() -> None:
    find, lend = protocol_of("openrpc.json").examples
    assert find.request == {"jsonrpc": "2.0", "id": 1, "method": "book_find", "params": [["whale"], 1]}
    assert find.response == {"jsonrpc": "2.0", "id": 1, "result": [{"isbn": "1", "title": "Moby-Dick"}]}
    assert lend.request == {"jsonrpc": "2.0", "id": 1, "method": "book_lend", "params": {"isbn": "1"}}


def test_methods_descriptors_and_schemas_may_stand_in_other_files() -> None:
    protocol = protocol_of("split/openrpc.json")
    assert [source.path for source in protocol.sources] == [
        "openrpc.json",
        "parts/schemas.json",
        "parts/methods.json",
    ]
    assert name_of(method(protocol, "find").result) == "Thing"
    assert [(f.wire, name_of(f.type)) for f in record(protocol, "FindParams").fields] == [("id", "Id")]
    assert {"Id", "Tag", "Thing"} <= set(ir.definition_table(protocol))


MALFORMED = [
    (_document(5), "2:36 error PG130: a method is an object, found 5"),
    (_document({}), 'error PG130: a method needs a "name", which is text'),
    (_document(_method(), _method()), 'error PG132: the method "m" is described twice'),
    (_document(_method(params={})), "error PG130: params must be an array"),
    (_document(_method(params=[{"schema": {}}])), 'error PG130: a parameter needs a "name", which is text'),
    (_document(_method(params=[{"name": "a", "type": "string"}])), 'has a "name" and a "schema", not the keywords'),
    (_document(_method(params=[{"name": "a", "schema": 3}])), "error PG130: expected a schema, found 3"),
    (_document(_method(params=[{"name": "a", "schema": {}}] * 2)), 'two parameters are called "a"'),
    (_document(_method(paramStructure="by-nam")), "no param structure is called 'by-nam'; did you mean \"by-name\"?"),
    (_document(_method(errors=[{"message": "x"}])), 'an error needs a "code", which is a whole number; found None'),
    (_document(_method(params=[{"$ref": "#/components/contentDescriptors/A"}])), "leads nowhere: nothing stands there"),
    (_document({"$ref": "https://example.com/m.json"}), "error PG105: \"$ref\": 'https://example.com/m.json' is on"),
    (_document({"$ref": "../outside.json"}), "error PG105: \"$ref\": '../outside.json' lies outside the project"),
    (_document({"$ref": "none.json"}), "leads nowhere: the file cannot be read"),
    (_document({"$ref": "#/methods/0"}), "error PG106: \"$ref\": '#/methods/0' leads back to itself"),
    ({"openrpc": "1.0.0", "methods": {}}, "error PG130: methods must be an array"),
    (_document(_method(result={"name": "r", "schema": {"$ref": "#/components/schemas/X"}})), "error PG102"),
]


@pytest.mark.parametrize(("tree", "said"), MALFORMED)
def test_malformed_parts_are_problems_with_a_place(read: Read, tree: Any, said: str) -> None:
    reading, problems = read(tree)
    assert reading is None
    assert any(said in problem or said.partition(" ")[2] in problem for problem in problems), problems
    assert all(problem.startswith(("acme.json:", "none.json")) for problem in problems), problems


def test_files_may_be_named_from_a_folder_above(tmp_path: Path) -> None:
    shared = {"components": {"schemas": {"Felt": {"type": "string"}}, "errors": {"E": {"code": 1, "message": "No"}}}}
    result = {"name": "r", "schema": {"$ref": "./api/shared.json#/components/schemas/Felt"}}
    tree = _document(_method(result=result, errors=[{"$ref": "./api/shared.json#/components/errors/E"}]))
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "shared.json").write_text(json.dumps(shared), "utf-8")
    (tmp_path / "api" / "write.json").write_text(json.dumps(tree), "utf-8")
    reading, problems = read_document(tmp_path / "api" / "write.json", root=tmp_path.resolve(), name="write")
    assert reading is not None, problems
    assert [name_of(m.result) for m in reading.protocol.methods] == ["Felt"]
    assert [e.message for e in reading.protocol.errors] == ["No"]
    assert [source.path for source in reading.protocol.sources] == ["api/write.json", "api/shared.json"]
    alone, problems = read_document(tmp_path / "api" / "write.json", root=(tmp_path / "api").resolve(), name="write")
    assert alone is None
    assert "leads nowhere" in str(problems[-1])


def test_a_schema_in_another_file_is_named_there(read: Read) -> None:
    parts = {"p.json": {"d": {"name": "a", "schema": {"type": "strin"}}}}
    reading, problems = read(_document(_method(params=[{"$ref": "p.json#/d"}])), parts)
    assert reading is None
    assert problems[0].startswith('p.json:5:4 error PG110: "type" must be')


def test_places_of_findings_are_those_of_the_text() -> None:
    _, problems = read_document(DOCUMENTS / "openrpc.json", root=DOCUMENTS)
    assert problems == []


def test_servers_with_variables_say_no_path(read: Read) -> None:
    reading, _ = read(_document(_method(), servers=[{"url": "${scheme}://host/x"}, {"url": "http://h/v1"}]))
    assert reading is not None
    assert reading.protocol.http.path == "/v1"


def test_draft_of_schemas_is_seven_unless_told(read: Read) -> None:
    nothing = {"name": "r", "schema": {"$ref": "#/components/schemas/A", "maxLength": 1}}
    components = {"schemas": {"A": {"type": "string"}}}
    reading, problems = read(_document(_method(result=nothing), components=components))
    assert reading is not None
    assert "error" not in problems[0]
    assert "PG109" in problems[0]
    modern = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    reading, problems = read(_document(_method(result=nothing), components=components, **modern))
    assert problems == []
