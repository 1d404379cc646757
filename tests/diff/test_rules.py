"""Each rule by an example: one edit of a small protocol, what it is called, and whom it breaks in which direction."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.diff import RULES, Diff, compare_protocols, whole_protocol
from protogen.diff.rules import Category, Upgrade
from protogen.problems import has_errors

Tree = dict[str, Any]
Edit = Callable[[Tree], object]

BASE: Tree = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "shop", "version": "1.2.0"},
    "x-roles": {"client": {"summary": "Buys."}, "server": {"summary": "Sells."}, "auditor": {"summary": "Looks on."}},
    "x-transports": {"http": {"path": "/rpc"}},
    "x-errors": {
        "Gone": {"code": 1, "message": "Gone"},
        "Busy": {"code": 2, "message": "Busy"},
        "Late": {"code": 4, "message": "Late"},
    },
    "x-methods": {
        "buy": {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": "Buys.",
            "params": {"$ref": "#/$defs/Ask"},
            "result": {"$ref": "#/$defs/Answer"},
            "errors": ["Gone", "Late"],
        },
        "watch": {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": "Watches.",
            "paramStructure": "either",
            "params": {"$ref": "#/$defs/Ask"},
            "events": {"$ref": "#/$defs/Answer"},
            "result": {"$ref": "#/$defs/Answer"},
            "idempotent": True,
        },
        "ping": {"kind": "request", "from": "client", "to": "server", "summary": "Pings."},
    },
    "$defs": {
        "Ask": {
            "type": "object",
            "required": ["id", "thing"],
            "properties": {"id": {"type": "string"}, "thing": {"$ref": "#/$defs/Thing"}},
        },
        "Answer": {
            "type": "object",
            "required": ["id", "thing"],
            "properties": {"id": {"type": "string"}, "thing": {"$ref": "#/$defs/Thing"}},
        },
        "Thing": {
            "type": "object",
            "required": ["must", "kind"],
            "properties": {
                "must": {"type": "string"},
                "kind": {"const": "thing"},
                "may": {"type": "string", "default": "x", "minLength": 2, "maxLength": 8},
                "nullable": {"type": ["string", "null"]},
                "date": {"type": "string", "format": "date"},
                "number": {"type": "integer", "multipleOf": 4},
                "place": {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
                "colour": {"enum": ["red", "green"]},
                "mood": {"anyOf": [{"type": "string", "enum": ["good", "bad"]}, {"type": "string"}]},
                "shape": {"anyOf": [{"$ref": "#/$defs/Round"}, {"$ref": "#/$defs/Square"}]},
                "code": {"type": "string", "pattern": "^a"},
                "names": {"type": "array", "items": {"type": "string"}},
                "closed": {"$ref": "#/$defs/Closed"},
                "part": {"$ref": "#/$defs/Part"},
            },
        },
        "Closed": {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "additionalProperties": False,
        },
        "Part": {
            "oneOf": [
                {"$ref": "#/$defs/Round"},
                {"$ref": "#/$defs/Square"},
                {
                    "type": "object",
                    "required": ["form"],
                    "properties": {"form": {"type": "string", "not": {"enum": ["round", "square"]}}},
                },
            ]
        },
        "Round": {"type": "object", "required": ["form"], "properties": {"form": {"const": "round"}}},
        "Square": {"type": "object", "required": ["form"], "properties": {"form": {"const": "square"}}},
        "Unused": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}
"""Everything that the rules speak of, once; `Thing` travels both ways."""


def thing(tree: Tree) -> Tree:
    """The members of the type that travels both ways."""
    return tree["$defs"]["Thing"]["properties"]


def put(way: str, value: Any) -> Edit:
    """An edit that sets what stands at a way of keys, `-` for none, or deletes it where the value is None."""
    keys = [int(key) if key.isdecimal() else key for key in way.split(" ")]

    def edit(tree: Tree) -> None:
        place: Any = tree
        for key in keys[:-1]:
            place = place[key]
        if value is None:
            del place[keys[-1]]
        else:
            place[keys[-1]] = value

    return edit


def member(name: str, value: Any) -> Edit:
    """An edit of one member of Thing."""
    return put(f"$defs Thing properties {name}", value)


TRIANGLE: Tree = {"type": "object", "required": ["form"], "properties": {"form": {"const": "triangle"}}}


def with_triangle(tree: Tree, where: list[Any], at: int) -> None:
    tree["$defs"]["Triangle"] = copy.deepcopy(TRIANGLE)
    where.insert(at, {"$ref": "#/$defs/Triangle"})


def known_arm(tree: Tree) -> None:
    part = tree["$defs"]["Part"]["oneOf"]
    with_triangle(tree, part, 2)
    part[3]["properties"]["form"]["not"]["enum"].append("triangle")


def renamed(tree: Tree) -> None:
    tree["$defs"]["Sealed"] = tree["$defs"].pop("Closed")
    thing(tree)["closed"] = {"$ref": "#/$defs/Sealed"}


class Row(NamedTuple):
    """An edit; `back` makes it to the old version. `breaks`: the category for each side that is upgraded first."""

    rule: str
    subject: str
    edit: Edit
    handlers: Category
    callers: Category
    back: bool = False


W: Category = "wire-breaking"
S: Category = "source-breaking"
K: Category = "safe"

ROWS = (
    Row("method-removed", "ping", put("x-methods ping", None), W, W),
    Row("method-added", "ping", put("x-methods ping", None), K, K, back=True),
    Row("method-kind-changed", "ping", put("x-methods ping kind", "notification"), W, W),
    Row("method-direction-changed", "ping", put("x-methods ping to", "auditor"), W, W),
    Row("params-structure-narrowed", "watch", put("x-methods watch paramStructure", "by-name"), W, K),
    Row("params-structure-widened", "watch", put("x-methods watch paramStructure", "by-name"), K, W, back=True),
    Row("params-structure-changed", "buy", put("x-methods buy paramStructure", "by-position"), W, W),
    Row("params-added", "ping", put("x-methods ping params", {"$ref": "#/$defs/Unused"}), S, S),
    Row("params-required", "ping", put("x-methods ping params", {"$ref": "#/$defs/Ask"}), W, S),
    Row("params-removed", "ping", put("x-methods ping params", {"$ref": "#/$defs/Ask"}), S, S, back=True),
    Row("events-removed", "watch", put("x-methods watch events", None), S, W),
    Row("events-added", "watch", put("x-methods watch events", None), W, S, back=True),
    Row("event-framing-changed", "watch", put("x-methods watch eventFraming", "results"), W, W),
    Row("retry-removed", "watch", put("x-methods watch idempotent", None), W, W),
    Row("retry-added", "watch", put("x-methods watch idempotent", None), K, K, back=True),
    Row("deprecated", "ping", put("x-methods ping deprecated", True), K, K),
    Row("deprecated", "Unused", put("$defs Unused deprecated", True), K, K),
    Row("error-removed", "error Busy", put("x-errors Busy", None), S, S),
    Row("error-added", "error Full", put("x-errors Full", {"code": 3, "message": "Full"}), K, K),
    Row("error-added", "buy", put("x-methods buy errors", ["Gone"]), K, K, back=True),
    Row("method-error-removed", "buy", put("x-methods buy errors", ["Gone"]), K, K),
    Row("error-code-changed", "error Gone", put("x-errors Gone code", 7), W, W),
    Row("error-message-changed", "error Gone", put("x-errors Gone message", "Away"), K, K),
    Row("role-removed", "role auditor", put("x-roles auditor", None), S, S),
    Row("role-added", "role auditor", put("x-roles auditor", None), K, K, back=True),
    Row("transport-changed", "HTTP path", put("x-transports http path", "/other"), W, W),
    Row("protocol-renamed", "store", put("x-protocol name", "store"), S, S),
    Row("type-removed", "Unused", put("$defs Unused", None), S, S),
    Row("type-added", "Unused", put("$defs Unused", None), K, K, back=True),
    Row("type-renamed", "Sealed", renamed, S, S),
    Row("type-replaced", "Round", member("closed", {"$ref": "#/$defs/Round"}), S, S),
    Row("property-added", "Ask.note", put("$defs Ask properties note", {"type": "string"}), K, K),
    Row("property-added-to-closed", "Closed.c", put("$defs Closed properties c", {"type": "string"}), W, W),
    Row("property-removed", "Thing.code", member("code", None), S, S),
    Row("property-removed-from-closed", "Closed.b", put("$defs Closed properties b", None), W, W),
    Row("property-required", "Ask.note", put("$defs Ask required", ["id", "thing", "note"]), K, K),
    Row("default-changed", "Thing.may", member("may default", "y"), W, W),
    Row("object-closed", "Ask", put("$defs Ask additionalProperties", False), W, K),
    Row("object-closed", "Answer", put("$defs Answer additionalProperties", False), K, W),
    Row("object-opened", "Closed", put("$defs Closed additionalProperties", None), W, W),
    Row("type-changed", "Ask.id", put("$defs Ask properties id", {"type": "integer"}), W, W),
    Row("type-narrowed", "Thing.number", member("number", {"type": "number", "multipleOf": 4}), W, W, back=True),
    Row("type-widened", "Ask.id", put("$defs Ask properties id", {"type": ["string", "integer"]}), S, W),
    Row("type-widened", "Answer.id", put("$defs Answer properties id", {"type": ["string", "integer"]}), W, S),
    Row("null-allowed", "Ask.id", put("$defs Ask properties id", {"type": ["string", "null"]}), S, W),
    Row("null-refused", "Thing.nullable", member("nullable", {"type": "string"}), W, W),
    Row("const-changed", "Round.form", put("$defs Round properties form const", "oval"), W, W),
    Row("enum-value-removed", "Thing.colour", member("colour enum", ["red"]), W, W),
    Row("enum-value-added", "Thing.colour", member("colour enum", ["red", "green", "blue"]), W, W),
    Row("known-value-added", "Thing.mood", member("mood anyOf 0 enum", ["good", "bad", "odd"]), K, K),
    Row("known-value-removed", "Thing.mood", member("mood anyOf 0 enum", ["good"]), S, S),
    Row("enum-closed", "Thing.mood", member("mood", {"enum": ["good", "bad"]}), W, W),
    Row("enum-opened", "Thing.mood", member("mood", {"enum": ["good", "bad"]}), W, W, back=True),
    Row("arm-removed", "Thing.shape", member("shape", {"anyOf": [{"$ref": "#/$defs/Round"}, {"type": "null"}]}), W, W),
    Row("arm-added", "Thing.shape", lambda tree: with_triangle(tree, thing(tree)["shape"]["anyOf"], 2), W, W),
    Row("known-arm-added", "Part", known_arm, K, K),
    Row("known-arm-removed", "Part", known_arm, S, S, back=True),
    Row("union-closed", "Part", lambda tree: tree["$defs"]["Part"]["oneOf"].pop(), W, W),
    Row("union-opened", "Part", lambda tree: tree["$defs"]["Part"]["oneOf"].pop(), W, W, back=True),
    Row("bound-tightened", "Thing.may", member("may minLength", 3), W, W),
    Row("bound-tightened", "Thing.number", member("number multipleOf", 8), W, W),
    Row("bound-tightened", "Ask.id", put("$defs Ask properties id maxLength", 9), W, K),
    Row("bound-loosened", "Thing.may", member("may maxLength", 9), W, W),
    Row("bound-loosened", "Thing.number", member("number multipleOf", None), W, W),
    Row("constraint-added", "Thing.names", member("names uniqueItems", True), W, W),
    Row("constraint-removed", "Thing.code", member("code pattern", None), W, W),
    Row("constraint-changed", "Thing.code", member("code pattern", "^b"), W, W),
    Row("constraint-changed", "Thing.number", member("number multipleOf", 3), W, W),
    Row("tuple-changed", "Thing.place", member("place prefixItems", [{"type": "string"}, {"type": "string"}]), W, W),
    Row("format-changed", "Thing.date", member("date format", "date-time"), K, K),
    Row("documentation", "Thing.may", member("may description", "Perhaps."), K, K),
    Row("documentation", "ping", put("x-methods ping summary", "Answers."), K, K),
    Row("property-optional", "Thing.must", put("$defs Thing required", ["kind"]), W, W),
    Row("property-optional", "Ask.id", put("$defs Ask required", ["thing"]), S, W),
    Row("property-optional", "Answer.id", put("$defs Answer required", ["thing"]), W, S),
    Row("property-required", "Ask.id", put("$defs Ask required", ["thing"]), W, S, back=True),
    Row("property-required", "Answer.id", put("$defs Answer required", ["thing"]), S, W, back=True),
)
"""Rules with an effect on one direction only have a row for each direction; types that travel both ways break both."""


def required_member(tree: Tree) -> None:
    tree["$defs"]["Ask"]["properties"]["note"] = {"type": "string"}
    tree["$defs"]["Ask"]["required"].append("note")


def required_answer(tree: Tree) -> None:
    tree["$defs"]["Answer"]["properties"]["note"] = {"type": "string"}
    tree["$defs"]["Answer"]["required"].append("note")


FURTHER = (
    Row("required-property-added", "Ask.note", required_member, W, S),
    Row("required-property-added", "Answer.note", required_answer, S, W),
    Row("required-property-removed", "Ask.note", required_member, S, W, back=True),
    Row("required-property-removed", "Answer.note", required_answer, W, S, back=True),
)
TABLE = (*(row for row in ROWS if row[:2] != ("property-required", "Ask.note")), *FURTHER)


def protocol(tree: Tree, folder: Path, name: str) -> ir.Protocol:
    """The protocol that a document describes."""
    file = folder / name / "protocol.json"
    file.parent.mkdir()
    file.write_text(json.dumps(tree))
    made, problems = read_protocol(file, root=folder.resolve())
    assert made is not None, problems
    assert not has_errors(problems)
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ir.Protocol:
    """The base as a protocol, read once."""
    return protocol(BASE, tmp_path_factory.mktemp("rules"), "base")


def compared(row: Row, base: ir.Protocol, folder: Path, *upgrades: Upgrade) -> list[Diff]:
    """The base against its edited copy, or the other way round, for each side that may be upgraded first."""
    edited = copy.deepcopy(BASE)
    row.edit(edited)
    sides = [base, protocol(edited, folder, "edited")]
    old, new = reversed(sides) if row.back else sides
    return [compare_protocols(old, new, upgrade=upgrade) for upgrade in upgrades]


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.rule}-{row.subject}-{at}" for at, row in enumerate(TABLE)])
def test_a_rule_names_an_edit_and_whom_it_breaks(row: Row, base: ir.Protocol, tmp_path: Path) -> None:
    expected = row.handlers, row.callers, min(row.handlers, row.callers, key=rank)
    for diff, category in zip(compared(row, base, tmp_path, "handlers", "callers", "any"), expected, strict=True):
        said = [finding for finding in diff.findings if (finding.rule, finding.subject) == (row.rule, row.subject)]
        assert len(said) == 1, diff.findings
        assert said[0].category == category
        assert bool(said[0].why) is (category == "wire-breaking")


def rank(category: Category) -> int:
    return [W, S, K].index(category)


def test_every_rule_has_a_row() -> None:
    shown = {row.rule for row in TABLE}
    assert {rule.id for rule in RULES} - shown == {"protocol-removed", "protocol-added"}


def test_equal_documents_have_no_difference(base: ir.Protocol, tmp_path: Path) -> None:
    diff = compare_protocols(base, protocol(BASE, tmp_path, "b"), upgrade="any")
    assert diff.findings == ()
    assert (diff.bump, diff.next_version, diff.is_declared) == ("none", "1.2.0", True)


def test_whole_protocols_come_and_go(base: ir.Protocol) -> None:
    assert [finding.category for finding in whole_protocol(base, gone=True).findings] == ["wire-breaking"]
    assert [finding.category for finding in whole_protocol(base, gone=False).findings] == ["safe"]


@pytest.mark.parametrize(
    ("old", "edit", "new", "wanted", "declared"),
    [
        ("1.2.0", put("x-methods ping", None), "1.9.0", "2.0.0", False),
        ("1.2.0", put("x-methods ping", None), "2.0.0", "2.0.0", True),
        ("0.9", put("x-methods ping", None), "0.10", "0.10", True),
        ("0.9", put("x-methods ping", None), "0.9.5", "0.10", False),
        ("1.2.0", put("x-errors Full", {"code": 3, "message": "Full"}), "1.2.1", "1.3.0", False),
        ("1.2.0", put("x-methods ping summary", "Says pong."), "1.2.1", "1.2.1", True),
        ("1.0", put("x-methods ping summary", "Says pong."), "1.0", "1.0.1", False),
        ("2026-11-25", put("x-methods ping", None), "2026-11-26", None, True),
    ],
)
def test_the_version_that_a_change_asks_for(
    old: str, edit: Edit, new: str, wanted: str | None, declared: bool, tmp_path: Path
) -> None:
    before, after = copy.deepcopy(BASE), copy.deepcopy(BASE)
    edit(after)
    before["x-protocol"]["version"], after["x-protocol"]["version"] = old, new
    diff = compare_protocols(protocol(before, tmp_path, "a"), protocol(after, tmp_path, "b"))
    assert (diff.next_version, diff.is_declared) == (wanted, declared)


def test_a_change_names_the_methods_that_it_concerns(base: ir.Protocol, tmp_path: Path) -> None:
    row = Row("property-removed", "Thing.code", member("code", None), S, S)
    (diff,) = compared(row, base, tmp_path, "handlers")
    (finding,) = (found for found in diff.findings if found.rule == row.rule)
    assert finding.methods == ("buy", "watch")
    assert finding.place is not None
    assert finding.place.pointer.startswith("/$defs/Thing")
