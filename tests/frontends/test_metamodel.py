"""Meta-models of language servers: each kind of type, each kind of member."""

from __future__ import annotations

from typing import Any

import pytest
from readings import Read, document, method, name_of, protocol_of, record

from protogen import ir


def test_directions_kinds_and_types_of_methods() -> None:
    protocol = protocol_of("metamodel.json")
    assert [
        (m.name, m.kind, m.sender, m.mutual, name_of(m.params), name_of(m.result), m.param_structure)
        for m in protocol.methods
    ] == [
        ("text/find", "request", "client", False, "FindParams", "TextFindResult", "by-name"),
        ("shutdown", "request", "client", False, None, "ShutdownResult", "by-name"),
        ("window/ask", "request", "server", False, "AskParams", "Any", "by-name"),
        ("math/add", "request", "client", False, "MathAddParams", "MathAddResult", "by-position"),
        ("$/cancel", "notification", "client", True, "CancelParams", None, "by-name"),
        ("exit", "notification", "client", False, None, None, "by-name"),
    ]


def test_what_a_method_says_besides_is_told() -> None:
    protocol = protocol_of("metamodel.json")
    find = method(protocol, "text/find")
    assert (find.summary, find.since) == ("Finds text.", "3.2.0")
    assert "Partial results, which travel as progress: `FindPartialResult`." in find.doc
    assert "The options of a registration: `FindRegistrationOptions`." in find.doc
    assert "The data of an error: `AskParams`." in method(protocol, "window/ask").doc
    assert method(protocol, "shutdown").deprecated
    fields = record(protocol, "FindRegistrationOptions").fields
    assert [field.wire for field in fields] == ["token", "depth"]


def test_extended_and_mixed_in_members_are_members() -> None:
    fields = record(protocol_of("metamodel.json"), "FindParams").fields
    assert [(field.wire, field.required) for field in fields] == [
        ("depth", False),
        ("token", False),
        ("words", True),
        ("kind", True),
        ("level", False),
    ]
    assert fields[1].doc == "The token of progress.\n\nSince 3.15.0."


def test_types_of_members() -> None:
    protocol = protocol_of("metamodel.json")
    table = ir.definition_table(protocol)
    types = {
        field.wire: field.type
        for field in (*record(protocol, "Location").fields, *record(protocol, "AskParams").fields)
    }
    integer = ir.IntegerType(minimum=0, maximum=2**31 - 1)
    assert types == {
        "uri": ir.StringType(format="uri"),
        "range": ir.TupleType(items=(integer, integer)),
        "tag": ir.LiteralType(value="location"),
        "detail": ir.NamedType(name="LocationDetail"),
        "edits": ir.MapType(value=ir.ListType(item=ir.StringType())),
        "lines": ir.MapType(value=ir.BooleanType()),
        "answer": ir.NullableType(of=ir.StringType()),
        "one": ir.LiteralType(value=1),
        "yes": ir.LiteralType(value=True),
    }
    anything = table["Any"]
    assert isinstance(anything, ir.Union)
    assert [arm.kinds for arm in anything.arms] == [
        ("object",),
        ("array",),
        ("string",),
        ("integer",),
        ("integer", "number"),
        ("boolean",),
        ("null",),
    ]


def test_enumerations_keep_names_texts_and_custom_values() -> None:
    table = ir.definition_table(protocol_of("metamodel.json"))
    kind, level = table["Kind"], table["Level"]
    assert isinstance(kind, ir.Enum)
    assert isinstance(level, ir.Enum)
    assert (kind.open, [(v.value, v.name, v.doc) for v in kind.values]) == (
        True,
        [("word", "Word", "A word."), ("line", "Line", "")],
    )
    assert (level.open, [(v.value, v.name, v.doc) for v in level.values]) == (
        False,
        [(1, "Low", ""), (2, "High", "All of it.")],
    )


def test_codes_of_errors_are_errors() -> None:
    (error,) = protocol_of("metamodel.json").errors
    assert (error.name, error.code, error.message, error.doc) == (
        "TooMany",
        -32900,
        "Too Many",
        "More than can be shown.",
    )


def _changed(part: str, index: int, **members: Any) -> dict[str, Any]:
    tree: dict[str, Any] = document("metamodel.json")
    tree[part][index] |= members
    return tree


FAULTS = [
    (
        _changed("structures", 2, extends=[{"kind": "reference", "name": "Option"}]),
        'PG102: nothing is called "Option"; did you',
    ),
    (
        _changed("structures", 0, extends=[{"kind": "reference", "name": "FindParams"}]),
        "PG106: the structures Options -> FindParams -> Options",
    ),
    (_changed("structures", 1, name="Options"), 'error PG132: "Options" is defined twice'),
    (
        _changed("structures", 1, properties=[{"type": {"kind": "base", "name": "string"}}]),
        'a property is an object with a "name"',
    ),
    (
        _changed("typeAliases", 0, type={"kind": "bas", "name": "string"}),
        "no kind of type is called 'bas'; did you mean \"base\"?",
    ),
    (
        _changed("typeAliases", 0, type={"kind": "base", "name": "strin"}),
        "no base type is called 'strin'; did you mean \"string\"?",
    ),
    (_changed("typeAliases", 0, type={"kind": "or"}), 'a type of kind "or" has an array of items'),
    (
        _changed("enumerations", 1, type={"kind": "base", "name": "boolean"}),
        "an enumeration is of string, integer or uinteger",
    ),
    (_changed("requests", 1, messageDirection="up"), "no direction is called 'up'"),
    (_changed("requests", 1, method="text/find"), 'error PG132: the method "text/find" is described twice'),
    (_changed("requests", 1, method=3), 'a member of "requests" is an object with a "method"'),
]


@pytest.mark.parametrize(("tree", "said"), FAULTS)
def test_faults_are_problems_with_a_place(read: Read, tree: Any, said: str) -> None:
    reading, problems = read(tree)
    assert reading is None
    errors = [problem for problem in problems if " error " in problem]
    assert said in errors[0]
    assert not errors[0].startswith("acme.json:1:1 ")
