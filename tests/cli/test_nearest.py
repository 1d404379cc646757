"""A name that is nearly right is answered with the right one, wherever names are read."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protogen.cli import main

Tree = dict[str, Any]

GOOD: Tree = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "shop", "version": "1"},
    "x-roles": {"client": {"summary": "Buys."}, "server": {"summary": "Sells."}},
    "x-methods": {
        "shop/buy": {
            "kind": "request",
            "from": "client",
            "to": "server",
            "summary": "Buys.",
            "params": {"$ref": "#/$defs/Order"},
            "result": {"$ref": "#/$defs/Order"},
            "errors": ["SoldOut"],
        }
    },
    "x-errors": {"SoldOut": {"code": -32001, "message": "Sold out"}},
    "$defs": {
        "Order": {
            "type": "object",
            "properties": {"id": {"$anchor": "number", "type": "string"}, "kind": {"$ref": "#/$defs/Kind"}},
        },
        "Kind": {"enum": ["a", "b"]},
    },
}
ORDER: Callable[[Tree], Tree] = lambda tree: tree["$defs"]["Order"]  # noqa: E731 - a path, as in the table below
BUY: Callable[[Tree], Tree] = lambda tree: tree["x-methods"]["shop/buy"]  # noqa: E731 - as above

DOCUMENTS: dict[str, tuple[Callable[[Tree], object], str]] = {
    "keyword": (lambda tree: ORDER(tree).update(requried=["id"]), "required"),
    "type": (lambda tree: ORDER(tree).update(type="objekt"), "object"),
    "definition": (lambda tree: ORDER(tree)["properties"].update(kind={"$ref": "#/$defs/Kimd"}), "Kind"),
    "anchor": (lambda tree: ORDER(tree)["properties"].update(kind={"$ref": "#numbr"}), "number"),
    "file": (lambda tree: ORDER(tree)["properties"].update(kind={"$ref": "goood.json#/$defs/Kind"}), "good.json"),
    "required member": (lambda tree: ORDER(tree).update(required=["idd"]), "id"),
    "ignored rule": (lambda tree: ORDER(tree).update({"x-protogen-ignore": {"PG552": "why"}}), "PG452"),
    "params": (lambda tree: BUY(tree).update(params={"$ref": "#/$defs/Ordr"}), "Order"),
    "error": (lambda tree: BUY(tree).update(errors=["SoldOt"]), "SoldOut"),
    "role": (lambda tree: BUY(tree).update(to="sever"), "server"),
    "member of a method": (lambda tree: BUY(tree).update(idempotant=True), "idempotent"),
    "kind of a method": (lambda tree: BUY(tree).update(kind="reqest"), "request"),
    "annotation": (lambda tree: tree.update({"x-method": {}}), "x-methods"),
    "dialect": (
        lambda tree: tree.update({"$schema": "https://json-schema.org/draft/2020-21/schema"}),
        "https://json-schema.org/draft/2020-12/schema",
    ),
}
COMMANDS: dict[str, str] = {
    "buid": "build",
    "build shp": "shop",
    "build --target pyton": "python",
    "build goood.json": "good.json",
    "import goood.json": "good.json",
    "fmt goood.json": "good.json",
    "verify good.json --target pyton": "python",
    "verify good.json --samples samples.jsonl": "Order",
    "explain PG101X": "PG101",
    "lint --select docz": "docs",
    "mock good.json --role sever": "server",
    "init --node go --protocol shp": "shop",
    "init --node go --role sever": "server",
    "serve apflw": "apflow",
    "fuzz http://127.0.0.1:1 --protocol apflw": "apflow",
    "test http://127.0.0.1:1 --protocol apflw": "apflow",
    "test http://127.0.0.1:1 --protocol stepflow --role workr": "worker",
    "test http://127.0.0.1:1 --protocol apflow --clause AF-RCP-010": "AF-RPC-010",
    "test http://127.0.0.1:1 --protocol apflow --profile streamin": "streaming",
    "test http://127.0.0.1:1 --schema goood.json": "good.json",
}


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Runs a command in a project of one protocol; what it says."""
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    (tmp_path / "samples.jsonl").write_text('{"type": "Ordr", "value": 1, "valid": false}\n')
    (tmp_path / "protogen.toml").write_text('[protocols.shop]\nschema = "good.json"\n')
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> str:
        monkeypatch.setattr(sys, "argv", ["protogen", *line.split()])
        with pytest.raises(SystemExit) as leaving:
            main()
        assert leaving.value.code in (1, 2, 3)
        printed = capfd.readouterr()
        return printed.out + printed.err

    return run


@pytest.mark.parametrize("case", DOCUMENTS)
def test_nearest_name_in_a_document(case: str, say: Callable[[str], str], tmp_path: Path) -> None:
    edit, meant = DOCUMENTS[case]
    tree = copy.deepcopy(GOOD)
    edit(tree)
    (tmp_path / "edited.json").write_text(json.dumps(tree, indent=1))
    assert f'did you mean "{meant}"?' in say("lint edited.json")


@pytest.mark.parametrize("line", COMMANDS)
def test_nearest_name_on_the_command_line(line: str, say: Callable[[str], str]) -> None:
    assert f'did you mean "{COMMANDS[line]}"?' in say(line)
