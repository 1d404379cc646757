"""Each rule of lint by an example that it finds and one that it leaves alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from protogen.build import read_document, read_protocol
from protogen.catalogue import CATALOGUE
from protogen.lint import RULES, Found, fix, run
from protogen.load import load
from protogen.problems import has_errors

Tree = dict[str, Any]
Edit = Callable[[Tree], object]

BASE: Tree = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "shop", "version": "1.0"},
    "x-roles": {"client": {"summary": "Buys."}, "server": {"summary": "Sells."}},
    "x-errors": {"Gone": {"code": -32001, "message": "Gone", "description": "It is gone."}},
    "x-methods": {
        name: {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": "Does it.",
            "params": {"$ref": "#/$defs/Ask"},
            "result": {"$ref": "#/$defs/Answer"},
            "errors": ["Gone"],
        }
        for name in ("shop/buy", "shop/sell", "shop/look")
    },
    "$defs": {
        "Ask": {
            "description": "What is wanted.",
            "type": "object",
            "required": ["itemId"],
            "properties": {
                "itemId": {"type": "string", "description": "Which."},
                "maxPrice": {"type": "number", "description": "At most.", "default": 3},
                "minPrice": {"type": "number", "description": "At least."},
            },
        },
        "Answer": {"description": "What is there.", "oneOf": [{"$ref": "#/$defs/Yes"}, {"$ref": "#/$defs/No"}]},
        "Yes": {
            "description": "There is one.",
            "type": "object",
            "required": ["kind", "state"],
            "properties": {
                "kind": {"const": "yes", "description": "Says so."},
                "state": {"description": "How it is.", "enum": ["brand_new", "well_used", "quite_old"]},
            },
        },
        "No": {
            "description": "There is none.",
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"const": "no", "description": "Says so."}},
        },
    },
}
EXAMPLES: list[Tree] = [
    {
        "name": name,
        "summary": "It is there.",
        "valid": True,
        "method": name,
        "request": {"jsonrpc": "2.0", "id": 1, "method": name, "params": {"itemId": "a"}},
        "response": {"jsonrpc": "2.0", "id": 1, "result": {"kind": "no"}},
    }
    for name in ("shop/buy", "shop/sell", "shop/look")
]


def put(way: str, value: Any) -> Edit:
    """An edit that sets what stands at a way of keys, or deletes it where the value is None."""
    keys: list[Any] = [int(key) if key.isdecimal() else key for key in way.split(" ")]

    def edit(tree: Tree) -> None:
        place: Any = tree
        for key in keys[:-1]:
            place = place[key]
        if value is None:
            del place[keys[-1]]
        else:
            place[keys[-1]] = value

    return edit


def anything_else(tree: Tree) -> None:
    tree["$defs"]["Answer"]["oneOf"].append({"type": "object", "required": ["kind"]})
    tree["$defs"]["Other"] = {"description": "Else.", "type": "object", "required": ["kind"]}
    tree["$defs"]["Answer"]["oneOf"][2] = {"$ref": "#/$defs/Other"}


def twin(tree: Tree) -> None:
    tree["$defs"]["Question"] = copy.deepcopy(tree["$defs"]["Ask"])
    tree["x-methods"]["shop/buy"]["params"] = {"$ref": "#/$defs/Question"}


class Row(NamedTuple):
    code: str
    pointer: str
    edit: Edit


MEMBERS = "$defs Ask properties"
ROWS = (
    Row("PG401", "/$defs/Spare", put("$defs Spare", {"description": "Spare.", "type": "string"})),
    Row("PG402", "/$defs/Question", twin),
    Row("PG403", "/$defs/Ask/additionalProperties", put("$defs Ask additionalProperties", True)),
    Row("PG403", "/$defs/Ask/properties/itemId/minLength", put(f"{MEMBERS} itemId minLength", 0)),
    Row("PG403", "/$defs/No/properties/kind/type", put("$defs No properties kind type", ["string"])),
    Row("PG403", "/$defs/Ask/required", put("$defs Ask required", [])),
    Row("PG404", "/$defs/Ask/required/0", put("$defs Ask required", ["itemID"])),
    Row("PG405", "/$defs/Ask/properties/maxPrice/minimum", lambda tree: price(tree, minimum=4, maximum=3)),
    Row("PG405", "/$defs/Yes/properties/state/enum/3", lambda tree: state(tree)["enum"].append(7)),
    Row("PG405", "/$defs/Ask/properties/itemId", put(f"{MEMBERS} itemId", False)),
    Row("PG411", "/$defs/Answer", put("$defs Answer oneOf", [{"type": "null"}, {"type": ["string", "null"]}])),
    Row("PG412", "/$defs/Answer", anything_else),
    Row("PG413", "/$defs/Yes/properties/state", lambda tree: opened(tree)),
    Row("PG421", "/x-methods/shop~1buy", put("x-methods shop/buy result", None)),
    Row("PG423", "/x-methods/rpc.look", lambda tree: moved(tree, "rpc.look")),
    Row("PG424", "/x-methods/shop~1buy/params", lambda tree: listed_params(tree)),
    Row("PG431", "/x-errors/Gone/code", put("x-errors Gone code", -32200)),
    Row("PG431", "/x-errors/Gone/code", put("x-errors Gone code", -32602)),
    Row("PG432", "/x-errors/Full", put("x-errors Full", {"code": 3, "message": "Full", "description": "Is full."})),
    Row("PG441", "/$defs/my_type", lambda tree: named(tree, "my_type")),
    Row("PG442", "/$defs/Ask/properties/item_count", put(f"{MEMBERS} item_count", {"type": "integer"})),
    Row("PG443", "/x-methods/shop.look", lambda tree: moved(tree, "shop.look")),
    Row("PG444", "/$defs/Yes/properties/state", lambda tree: state(tree)["enum"].append("veryOld")),
    Row("PG451", "/$defs/No", put("$defs No description", None)),
    Row("PG452", "/$defs/Ask/properties/itemId", put(f"{MEMBERS} itemId description", None)),
    Row("PG453", "/x-errors/Gone", put("x-errors Gone description", None)),
    Row("PG454", "/x-methods/shop~1buy/summary", put("x-methods shop/buy summary", "buys a thing")),
    Row("PG454", "/x-roles/client/summary", put("x-roles client summary", "Buys")),
    Row("PG461", "/0/name", put(f"{MEMBERS} itemId type", "integer")),
    Row("PG462", "/x-methods/shop~1give", lambda tree: further(tree, "shop/give")),
    Row("PG463", "/$defs/Ask/properties/maxPrice/default", put(f"{MEMBERS} maxPrice default", "three")),
    Row("PG463", "/$defs/Ask/examples/0", put("$defs Ask examples", [{"itemId": 3}])),
)


def price(tree: Tree, **bounds: int) -> None:
    tree["$defs"]["Ask"]["properties"]["maxPrice"] |= bounds


def state(tree: Tree) -> Tree:
    schema: Tree = tree["$defs"]["Yes"]["properties"]["state"]
    schema.setdefault("type", "string")
    return schema


def opened(tree: Tree) -> None:
    values = state(tree)["enum"]
    tree["$defs"]["Yes"]["properties"]["state"] = {
        "description": "How it is.",
        "anyOf": [{"type": "string", "enum": values}, {"type": "string"}],
    }


def moved(tree: Tree, name: str) -> None:
    tree["x-methods"][name] = tree["x-methods"].pop("shop/look")


def further(tree: Tree, name: str) -> None:
    tree["x-methods"][name] = copy.deepcopy(tree["x-methods"]["shop/buy"])


def listed_params(tree: Tree) -> None:
    tree["$defs"]["Names"] = {"description": "Names.", "type": "array", "items": {"type": "string"}}
    tree["x-methods"]["shop/buy"]["params"] = {"$ref": "#/$defs/Names"}


def named(tree: Tree, name: str) -> None:
    tree["$defs"][name] = {"description": "Else.", "type": "string"}
    tree["$defs"]["Ask"]["properties"]["itemId"] = {"$ref": f"#/$defs/{name}"}


def linted(tree: Tree, folder: Path, examples: list[Tree] = EXAMPLES) -> Found:
    """What all rules find in a document, those that are off included."""
    file = folder / "protocol.json"
    file.write_text(json.dumps(tree, indent=2))
    (folder / "examples").mkdir(exist_ok=True)
    (folder / "examples" / "all.json").write_text(json.dumps(examples))
    protocol, problems = read_protocol(file, root=folder.resolve())
    assert protocol is not None, problems
    assert not has_errors(problems)
    document, _ = load(file, root=folder.resolve())
    assert document is not None
    return run(document, protocol, RULES)


def test_a_sound_document_has_no_findings(tmp_path: Path) -> None:
    assert linted(BASE, tmp_path).problems == ()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.code}-{at}" for at, row in enumerate(ROWS)])
def test_a_rule_finds_its_own(row: Row, tmp_path: Path) -> None:
    tree = copy.deepcopy(BASE)
    row.edit(tree)
    found = linted(tree, tmp_path)
    own = [problem for problem in found.problems if problem.code == row.code]
    assert [problem.place.pointer for problem in own if problem.place is not None][:1] == [row.pointer], found.problems
    assert own[0].place is not None
    assert own[0].place.line > 1 or row.code == "PG461"
    assert own[0].level == next(rule.level for rule in RULES if rule.code == row.code)


def test_every_rule_has_a_row_and_an_explanation() -> None:
    assert {rule.code for rule in RULES} == {row.code for row in ROWS}
    assert {rule.code for rule in RULES} <= set(CATALOGUE)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_what_is_ignored_with_a_reason_is_left_out(tmp_path: Path) -> None:
    tree = copy.deepcopy(BASE)
    tree["$defs"]["Ask"]["properties"]["item_count"] = {
        "type": "integer",
        "description": "How many.",
        "x-protogen-ignore": {"PG442": "older than the rule"},
    }
    found = linted(tree, tmp_path)
    assert (found.problems, found.ignored) == ((), 1)


@pytest.mark.parametrize("place", ["$defs Ask x-protogen-ignore", "x-protogen-ignore"])
def test_what_stands_above_is_ignored_below(place: str, tmp_path: Path) -> None:
    tree = copy.deepcopy(BASE)
    tree["$defs"]["Ask"]["properties"]["item_count"] = {"type": "integer", "description": "How many."}
    put(place, {"PG442": "older than the rule"})(tree)
    assert linted(tree, tmp_path).ignored == 1


@pytest.mark.parametrize("code", ["PG442", "PG499"])
def test_an_ignore_that_hides_nothing_is_a_finding(code: str, tmp_path: Path) -> None:
    tree = copy.deepcopy(BASE)
    tree["x-errors"]["Gone"]["x-protogen-ignore"] = {code: "was needed once"}
    assert [problem.code for problem in linted(tree, tmp_path).problems] == ["PG490"]


def test_mending_changes_what_was_found_and_nothing_else(tmp_path: Path) -> None:
    tree = copy.deepcopy(BASE)
    ask = tree["$defs"]["Ask"]
    ask["additionalProperties"] = True
    ask["properties"]["itemId"] = {"minLength": 0, "type": ["string"], "description": "Which.", "deprecated": False}
    ask["properties"]["minPrice"] = {"type": "number", "description": "At least.", "readOnly": False}
    ask["properties"]["only"] = {"minProperties": 0}
    found = linted(tree, tmp_path)
    document, _ = load(tmp_path / "protocol.json", root=tmp_path.resolve())
    assert document is not None
    text = fix(document, found.edits)
    expected = copy.deepcopy(BASE)
    expected["$defs"]["Ask"]["properties"]["itemId"] = {"type": "string", "description": "Which."}
    expected["$defs"]["Ask"]["properties"]["only"] = {}
    assert json.loads(text) == expected
    assert [line for line in text.splitlines() if line not in document.text.splitlines()] == [
        '          "type": "string",',
        '          "description": "Which."',
        '          "description": "At least."',
        '        "only": {}',
    ]


ROOT = Path(__file__).resolve().parents[2]
OURS = sorted((ROOT / "schemas").rglob("protocol.json"))


@pytest.mark.parametrize("file", OURS, ids=[file.parent.relative_to(ROOT / "schemas").as_posix() for file in OURS])
def test_documents_of_ours_have_no_findings(file: Path) -> None:
    reading, problems = read_document(file, root=ROOT)
    assert reading is not None
    found = run(reading.document, reading.protocol, [rule for rule in RULES if rule.on])
    assert [str(problem) for problem in (*problems, *found.problems)] == []
