"""What each form of schema becomes in the IR, and that nothing of it is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protogen import ir, keywords
from protogen.build import read_protocol
from protogen.problems import Problem


def read(tmp_path: Path, tree: Any) -> tuple[ir.Protocol, list[Problem]]:
    (tmp_path / "acme.json").write_text(json.dumps(tree))
    protocol, problems = read_protocol(tmp_path / "acme.json", root=tmp_path.resolve())
    assert protocol is not None, [str(problem) for problem in problems]
    return protocol, problems


def lowered(tmp_path: Path, **schemas: Any) -> dict[str, ir.AnyDefinition]:
    return ir.definition_table(read(tmp_path, {"$defs": schemas})[0])


TEXT, WHOLE = ir.StringType(), ir.IntegerType()

MEMBER_TYPES: list[tuple[Any, ir.Type, bool]] = [
    (True, ir.AnyType(), True),
    ({}, ir.AnyType(), True),
    ({"allOf": []}, ir.AnyType(), True),
    (False, ir.AnyType(), False),
    ({"type": "null"}, ir.NullType(), True),
    ({"type": "boolean"}, ir.BooleanType(), True),
    ({"type": "string", "minLength": 1, "format": "uuid"}, ir.StringType(min_length=1, format="uuid"), True),
    ({"type": "string", "pattern": "^a"}, ir.StringType(pattern="^a"), True),
    ({"type": "integer", "exclusiveMinimum": 0}, ir.IntegerType(minimum=1), True),
    ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, ir.IntegerType(minimum=1, maximum=2), True),
    ({"type": "integer", "multipleOf": 2}, WHOLE, False),
    ({"type": "number", "minimum": 0}, ir.NumberType(minimum=0), True),
    ({"type": "number", "exclusiveMinimum": 0}, ir.NumberType(), False),
    ({"type": ["integer", "number"]}, ir.NumberType(), True),
    ({"type": ["string", "null"]}, ir.NullableType(of=TEXT), True),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ir.NullableType(of=TEXT), True),
    ({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Any"}]}, ir.NamedType(name="Any"), False),
    ({"const": "a"}, ir.LiteralType(value="a"), True),
    ({"enum": ["a"]}, ir.LiteralType(value="a"), True),
    ({"const": None}, ir.NullType(), True),
    ({"const": {"a": 1}}, ir.AnyType(), False),
    ({"enum": ["a", None]}, ir.NullableType(of=ir.LiteralType(value="a")), True),
    ({"type": "array", "items": {"type": "string"}, "minItems": 1}, ir.ListType(item=TEXT, min_items=1), True),
    ({"type": "array", "uniqueItems": True}, ir.ListType(item=ir.AnyType()), False),
    (
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
        ir.TupleType(items=(TEXT, WHOLE)),
        False,
    ),
    ({"type": "object"}, ir.MapType(value=ir.AnyType()), True),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, ir.MapType(value=WHOLE), True),
    ({"type": "object", "minProperties": 1}, ir.MapType(value=ir.AnyType()), False),
    ({"$ref": "#/$defs/Word"}, ir.NamedType(name="Word"), True),
    ({"$ref": "#/$defs/Word", "description": "A word."}, ir.NamedType(name="Word"), True),
    ({"$ref": "#/$defs/Word", "minLength": 3}, ir.NamedType(name="OwnerMember"), False),
    ({"type": "string", "not": {"const": "x"}}, TEXT, False),
]


@pytest.mark.parametrize(("schema", "type_", "exact"), MEMBER_TYPES, ids=[json.dumps(case[0]) for case in MEMBER_TYPES])
def test_type_of_a_member(tmp_path: Path, schema: Any, type_: ir.Type, exact: bool) -> None:
    table = lowered(
        tmp_path,
        Owner={"type": "object", "properties": {"member": schema}},
        Word={"type": "string"},
        Any={},
    )
    owner = table["Owner"]
    assert isinstance(owner, ir.Record)
    assert (owner.fields[0].type, owner.exact) == (type_, exact)


def test_draft_04_bounds_mean_what_that_draft_says(tmp_path: Path) -> None:
    tree = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "definitions": {
            "Open": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "Closed": {"type": "integer", "minimum": 0, "exclusiveMinimum": False},
        },
    }
    protocol, _ = read(tmp_path, tree)
    assert protocol.schema["definitions"] == {
        "Open": {"type": "integer", "exclusiveMinimum": 0},
        "Closed": {"type": "integer", "minimum": 0},
    }


def test_records_keep_presence_null_and_default_apart(tmp_path: Path) -> None:
    record = lowered(
        tmp_path,
        Task={
            "type": "object",
            "required": ["id", "undeclared"],
            "properties": {
                "id": {"type": "string", "description": "Identity."},
                "parent": {"type": ["string", "null"], "default": None},
                "priority": {"type": "integer", "default": 2, "deprecated": True},
            },
        },
    )["Task"]
    assert isinstance(record, ir.Record)
    assert record.fields == (
        ir.Field(wire="id", type=TEXT, required=True, doc="Identity."),
        ir.Field(wire="parent", type=ir.NullableType(of=TEXT), required=False, default=None),
        ir.Field(wire="priority", type=WHOLE, required=False, default=2, deprecated=True),
        ir.Field(wire="undeclared", type=ir.AnyType(), required=True),
    )
    assert record.extra == ir.AnyType()


@pytest.mark.parametrize(
    ("additional", "extra"), [(False, None), (True, ir.AnyType()), ({}, ir.AnyType()), ({"type": "string"}, TEXT)]
)
def test_what_else_a_record_may_hold(tmp_path: Path, additional: Any, extra: ir.Type | None) -> None:
    schema = {"type": "object", "properties": {"a": {}}, "additionalProperties": additional}
    record = lowered(tmp_path, R=schema)["R"]
    assert isinstance(record, ir.Record)
    assert record.extra == extra


def test_all_of_folds_into_one_record_with_the_narrower_property(tmp_path: Path) -> None:
    table = lowered(
        tmp_path,
        Base={
            "type": "object",
            "properties": {"kind": {"type": "string"}, "id": {"type": "string"}},
            "required": ["id"],
        },
        Child={
            "allOf": [
                {"$ref": "#/$defs/Base"},
                {"properties": {"kind": {"const": "child"}, "more": {"type": "integer"}}, "required": ["kind"]},
            ]
        },
    )
    child = table["Child"]
    assert isinstance(child, ir.Record)
    assert {field.wire: (field.type, field.required) for field in child.fields} == {
        "kind": (ir.LiteralType(value="child"), True),
        "id": (TEXT, True),
        "more": (WHOLE, False),
    }
    assert not child.exact


def shape(tag: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"kind": {"const": tag}, **more}, "required": ["kind"]}


def test_constants_make_a_tagged_union(tmp_path: Path) -> None:
    union = lowered(tmp_path, Shape={"oneOf": [shape("circle"), shape("square")]})["Shape"]
    assert isinstance(union, ir.Union)
    assert (union.tag, union.open, union.exact) == ("kind", False, True)
    assert [(arm.name, arm.tags) for arm in union.arms] == [("ShapeCircle", ("circle",)), ("ShapeSquare", ("square",))]


def test_an_arm_for_other_tags_makes_the_union_open(tmp_path: Path) -> None:
    other = {
        "type": "object",
        "properties": {"kind": {"type": "string", "not": {"enum": ["circle", "square"]}}},
        "required": ["kind"],
    }
    union = lowered(tmp_path, Shape={"anyOf": [shape("circle"), shape("square"), other]})["Shape"]
    assert isinstance(union, ir.Union)
    assert (union.tag, union.open, len(union.arms)) == ("kind", True, 2)


def test_kinds_tell_arms_apart_exactly_and_keys_do_not(tmp_path: Path) -> None:
    table = lowered(
        tmp_path,
        Id={"type": ["string", "integer"]},
        Either={
            "anyOf": [
                {"type": "object", "properties": {"a": {}}, "required": ["a"]},
                {"type": "object", "properties": {"b": {}}, "required": ["b"]},
            ]
        },
    )
    identity, either = table["Id"], table["Either"]
    assert isinstance(identity, ir.Union)
    assert isinstance(either, ir.Union)
    assert (identity.exact, [arm.kinds for arm in identity.arms]) == (True, [("string",), ("integer",)])
    assert (either.exact, [arm.required for arm in either.arms]) == (False, [("a",), ("b",)])


def test_a_type_beside_alternatives_is_one_more_condition(tmp_path: Path) -> None:
    either = {"oneOf": [{"type": ["string", "null"]}, {"const": 1}]}
    table = lowered(tmp_path, Free=either, Bound={**either, "type": ["object", "null"]})
    assert (table["Free"].exact, table["Bound"].exact) == (True, False)


def test_enums_closed_open_and_with_null(tmp_path: Path) -> None:
    table = lowered(
        tmp_path,
        Closed={"enum": ["a", "b"], "x-enum-descriptions": {"a": "First."}},
        Open={"anyOf": [{"const": "a", "description": "First."}, {"const": "b"}, {"type": "string"}]},
        Owner={"type": "object", "properties": {"kind": {"type": ["string", "null"], "enum": ["x", "y", None]}}},
    )
    closed, opened, kind, owner = table["Closed"], table["Open"], table["OwnerKind"], table["Owner"]
    assert isinstance(closed, ir.Enum)
    assert isinstance(opened, ir.Enum)
    assert isinstance(kind, ir.Enum)
    assert isinstance(owner, ir.Record)
    assert (closed.open, closed.values[0]) == (False, ir.EnumValue(value="a", doc="First."))
    assert (opened.open, [value.value for value in opened.values]) == (True, ["a", "b"])
    assert [value.value for value in kind.values] == ["x", "y"]
    assert owner.fields[0].type == ir.NullableType(of=ir.NamedType(name="OwnerKind"))


def test_known_values_and_their_texts_as_editors_write_them(tmp_path: Path) -> None:
    table = lowered(
        tmp_path,
        Reason={"type": "string", "_enum": ["step", "pause"], "enumDescriptions": ["One step."], "description": "Why."},
        Level={"type": "string", "enum": ["low", "high"], "enumDescriptions": ["Less.", "More."]},
        Odd={"type": "integer", "_enum": ["x"]},
    )
    reason, level = table["Reason"], table["Level"]
    assert isinstance(reason, ir.Enum)
    assert isinstance(level, ir.Enum)
    assert (reason.doc, reason.open) == ("Why.", True)
    assert reason.values == (ir.EnumValue(value="step", doc="One step."), ir.EnumValue(value="pause"))
    assert [(value.value, value.doc) for value in level.values] == [("low", "Less."), ("high", "More.")]
    assert (level.open, isinstance(table["Odd"], ir.Alias)) == (False, True)


def test_a_definition_is_exact_only_if_all_it_refers_to_are(tmp_path: Path) -> None:
    table = lowered(
        tmp_path,
        Even={"type": "integer", "multipleOf": 2},
        Holder={"type": "array", "items": {"$ref": "#/$defs/Even"}},
        Loop={"type": "object", "properties": {"next": {"$ref": "#/$defs/Loop"}}},
    )
    assert {name: entry.exact for name, entry in table.items()} == {"Even": False, "Holder": False, "Loop": True}


def test_references_resolve_by_pointer_anchor_id_and_file(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"$defs": {"Far": {"type": "string"}}}))
    table = lowered(
        tmp_path,
        A={"$ref": "#near"},
        Near={"$anchor": "near", "type": "integer"},
        B={"$ref": "other.json#/$defs/Far"},
        C={"$ref": "https://acme.invalid/embedded"},
        Embedded={"$id": "https://acme.invalid/embedded", "type": "boolean"},
        D={"$ref": "#/$defs/E/properties/inner"},
        E={"type": "object", "properties": {"inner": {"type": "number"}}},
    )
    names = {name: entry.type for name, entry in table.items() if isinstance(entry, ir.Alias)}
    assert names["A"] == ir.NamedType(name="Near")
    assert names["B"] == ir.NamedType(name="Far")
    assert names["C"] == ir.NamedType(name="Embedded")
    assert names["D"] == ir.NamedType(name="EInner")


def test_a_definition_that_only_refers_to_its_namesake_elsewhere_is_that_one(tmp_path: Path) -> None:
    first = {"Shared": {"type": "object", "properties": {"far": {"$ref": "#/$defs/Far"}}}, "Far": {"type": "string"}}
    second = {"Shared": {"$ref": "first.json#/$defs/Shared"}, "Far": {"$ref": "first.json#/$defs/Far"}}
    (tmp_path / "first.json").write_text(json.dumps({"$defs": first}))
    (tmp_path / "second.json").write_text(json.dumps({"$defs": second}))
    table = lowered(
        tmp_path,
        Shared={"$ref": "second.json#/$defs/Shared"},
        Far={"$ref": "second.json#/$defs/Far"},
        Near={"type": "array", "items": {"$ref": "#/$defs/Shared"}},
        Other={"$ref": "first.json#/$defs/Far"},
    )
    assert list(table) == ["Shared", "Far", "Near", "Other"]
    shared, near, other = table["Shared"], table["Near"], table["Other"]
    assert isinstance(shared, ir.Record)
    assert isinstance(near, ir.Alias)
    assert isinstance(other, ir.Alias)
    assert [field.type for field in shared.fields] == [ir.NamedType(name="Far")]
    assert near.type == ir.ListType(item=ir.NamedType(name="Shared"))
    assert other.type == ir.NamedType(name="Far")


def test_definitions_that_refer_to_each_other_across_files_are_a_cycle(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"$defs": {"A": {"$ref": "acme.json#/$defs/A"}}}))
    (tmp_path / "acme.json").write_text(json.dumps({"$defs": {"A": {"$ref": "other.json#/$defs/A"}}}))
    _, problems = read_protocol(tmp_path / "acme.json", root=tmp_path.resolve())
    assert [problem.code for problem in problems] == ["PG106"]


def test_the_root_is_named_by_title_or_file(tmp_path: Path) -> None:
    assert read(tmp_path, {"type": "object", "title": "Order", "properties": {"a": {}}})[0].roots == ("Order",)
    assert read(tmp_path, {"type": "object", "properties": {"a": {}}})[0].roots == ("acme",)


# --- nothing is lost ------------------------------------------------------------------------------

PROTOCOLS = sorted((Path(__file__).parents[2] / "schemas").rglob("protocol.json"))


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: path.parent.relative_to(path.parents[2]).as_posix())
def test_every_word_of_a_protocol_document_reaches_the_ir(path: Path) -> None:
    """Flattens input and IR and asserts inclusion: no name, text, constant, bound or pattern disappears."""
    root = path.parents[2].resolve()
    protocol, problems = read_protocol(path, root=root)
    assert protocol is not None
    assert problems == []
    kept = set(_leaves(msgspec.to_builtins(protocol)))
    lost = [leaf for leaf in _input_leaves(json.loads(path.read_text())) if leaf not in kept]
    assert lost == []


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value.strip()
    else:
        yield value


IGNORED = {"$schema", "$id", "$comment", "title", "examples", "specification", "$anchor"}


def _input_leaves(tree: Any) -> Iterator[Any]:
    """Names and scalar values of a document; keywords, references and types go by other names in the IR."""
    stack: list[tuple[Any, bool]] = [(tree, True)]
    while stack:
        node, is_schema = stack.pop()
        if isinstance(node, list):
            stack.extend((entry, is_schema) for entry in node)
        elif isinstance(node, dict):
            for key, value in node.items():
                if is_schema and key in IGNORED:
                    continue
                if key in ("$defs", "definitions", "properties", "patternProperties") and is_schema:
                    for name, inner in value.items():
                        yield name
                        stack.append((inner, True))
                elif key in ("$ref", "type") and is_schema:
                    continue
                elif key in ("x-methods", "x-errors", "x-roles"):
                    for name, entry in value.items():
                        yield name
                        stack.extend(
                            (inner, member in ("params", "result", "data", "events")) for member, inner in entry.items()
                        )
                elif key in keywords.KNOWN or not is_schema or key.startswith("x-"):
                    stack.append((value, is_schema and key not in ("default", "const", "enum", "required")))
        elif isinstance(node, str):
            yield node.strip()
        else:
            yield node


# --- determinism ----------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
import msgspec
from protogen.build import read_protocol
root = Path(sys.argv[1])
for path in sorted((root / "schemas").rglob("protocol.json")):
    protocol, problems = read_protocol(path, root=root)
    sys.stdout.buffer.write(msgspec.json.encode([protocol, [str(problem) for problem in problems]]))
"""


def test_the_ir_is_the_same_under_any_hash_seed_locale_and_folder(root: Path, tmp_path: Path) -> None:
    outputs = set()
    for seed, locale, folder in (
        ("0", "C", root),
        ("1", "C.UTF-8", tmp_path),
        ("2", "tr_TR.UTF-8", root),
        ("3", "C", tmp_path),
    ):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale}
        run = subprocess.run(
            [sys.executable, "-P", "-c", SCRIPT, str(root)],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=True,
        )
        outputs.add(run.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop()) > 10_000


TREE = {
    "$id": "https://acme.example/tree",
    "$dynamicAnchor": "node",
    "type": "object",
    "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
}


def test_a_dynamic_reference_leads_to_the_outermost_anchor_of_its_name(tmp_path: Path) -> None:
    strict = {
        "$id": "https://acme.example/strict",
        "$dynamicAnchor": "node",
        "$ref": "tree",
        "unevaluatedProperties": False,
    }
    tree = {"$defs": {"Tree": TREE, "Strict": strict}}
    protocol, problems = read(tmp_path, tree)
    assert problems == []
    table = ir.definition_table(protocol)

    def child(record: str) -> ir.Type:
        owner = table[record]
        assert isinstance(owner, ir.Record)
        (children,) = [field.type for field in owner.fields if field.wire == "children"]
        assert isinstance(children, ir.ListType)
        return children.item

    assert child("Tree") == ir.NamedType(name="Tree")
    assert child("Strict") == ir.NamedType(name="Strict")
    (made,) = table.keys() - {"Tree", "Strict"}
    assert child(made) == ir.NamedType(name="Strict")
    assert (table[made].path, table[made].pointer) == ("acme.json", "/$defs/Tree")


def test_meta_schemas_are_at_hand_and_no_input(tmp_path: Path) -> None:
    address = "http://json-schema.org/draft-07/schema#"
    protocol, problems = read(tmp_path, {"$defs": {"Tool": {"type": "array", "items": {"$ref": address}}}})
    assert problems == []
    assert [source.path for source in protocol.sources] == ["acme.json"]
    assert protocol.schema["definitions"]["nonNegativeInteger"] == {"type": "integer", "minimum": 0}
