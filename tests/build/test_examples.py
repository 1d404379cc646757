"""Examples beside a protocol document: read with it, and part of what decides whether a build is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protogen import ir
from protogen.build import read_protocol

DOCUMENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "acme", "version": "1"},
    "x-roles": {"client": {"summary": "Asks."}, "server": {"summary": "Answers."}},
    "x-methods": {"ping": {"kind": "request", "from": "client", "to": "server", "summary": "Asks."}},
    "$defs": {"Thing": {"type": "object"}},
}
EXCHANGE = {"name": "a", "summary": "Asks.", "method": "ping", "valid": True, "request": {"id": 1}, "response": {}}
VALUE = {"name": "b", "summary": "None.", "type": "Thing", "valid": False, "why": "it is null", "value": None}


def _read(folder: Path, *files: Any, document: Any = DOCUMENT) -> tuple[ir.Protocol, list[str]]:
    (folder / "acme.json").write_text(json.dumps(document), "utf-8")
    (folder / "examples").mkdir(exist_ok=True)
    for at, content in enumerate(files):
        (folder / "examples" / f"{at}.json").write_text(json.dumps(content), "utf-8")
    protocol, problems = read_protocol(folder / "acme.json", root=folder)
    assert protocol is not None
    return protocol, [str(problem) for problem in problems]


def test_exchanges_and_values_are_read_in_order_of_files(tmp_path: Path) -> None:
    protocol, problems = _read(tmp_path, [EXCHANGE], [VALUE])
    assert problems == []
    assert protocol.examples == (
        ir.Example(name="a", summary="Asks.", valid=True, method="ping", request={"id": 1}, response={}),
        ir.Example(name="b", summary="None.", valid=False, why="it is null", type="Thing", value=None),
    )
    assert [source.path for source in protocol.beside] == ["examples/", "examples/0.json", "examples/1.json"]
    assert [source.path for source in protocol.sources] == ["acme.json"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (7, "examples/0.json:1:2 warning PG120: expected an example, found 7"),
        ({**EXCHANGE, "method": "pong"}, 'there is no method "pong"; did you mean "ping"?'),
        ({**VALUE, "type": "Ting"}, 'there is no type "Ting"; did you mean "Thing"?'),
        ({**VALUE, "valid": "yes"}, 'an example needs "valid"'),
        ({"name": "c", "summary": "", "valid": True}, 'an example has "method" and "request", or "type" and "value"'),
    ],
)
def test_what_is_no_example_is_a_warning_and_left_out(tmp_path: Path, entry: Any, said: str) -> None:
    protocol, problems = _read(tmp_path, [entry, VALUE])
    assert [example.name for example in protocol.examples] == ["b"]
    assert len(problems) == 1
    assert said in problems[0]


def test_a_file_that_is_no_array_or_no_json_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "9.json").write_text("{", "utf-8")
    protocol, problems = _read(tmp_path, {})
    assert protocol.examples == ()
    assert [problem.partition(": ")[0] for problem in problems] == [
        "examples/0.json:1:1 warning PG120",
        "examples/9.json:1:2 warning PG003",
    ]


def test_what_stands_beside_a_bare_schema_is_nobodys_example(tmp_path: Path) -> None:
    protocol, problems = _read(tmp_path, {"not": "ours"}, document={"$defs": {"Thing": {"type": "object"}}})
    looked_for = tuple(source.path for source in protocol.beside)
    assert (protocol.examples, looked_for, problems) == ((), ("acme.methods.json",), [])


def test_a_new_example_is_reason_enough_to_build(project: Callable[..., Path], run: Callable[..., Any]) -> None:
    folder = project(DOCUMENT)
    run("build")
    assert run("build").out.startswith("nothing changed")
    (folder / "examples").mkdir()
    assert run("build").out.startswith("nothing changed")
    (folder / "examples" / "calls.json").write_text(json.dumps([EXCHANGE]), "utf-8")
    assert not run("build").out.startswith("nothing changed")
    assert run("build").out.startswith("nothing changed")
    (folder / "examples" / "calls.json").write_text(json.dumps([EXCHANGE, VALUE]), "utf-8")
    assert not run("build").out.startswith("nothing changed")
