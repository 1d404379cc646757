"""What a file is taken for, and what is said where it is nothing that can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from readings import DOCUMENTS, Read, document, reading_of

from protogen.cli import cli
from protogen.config import KINDS as NAMES
from protogen.frontends import KINDS, recognise

TOLD = [
    ("openrpc.json", "openrpc", "an OpenRPC document (1.3.2): 3 requests, 1 notification, 3 errors"),
    ("split/openrpc.json", "openrpc", "an OpenRPC document (1.2.6): 2 requests, with parts/methods.json"),
    ("messages.json", "messages", "a JSON Schema of messages: 3 requests, 2 notifications, 1 error"),
    (
        "envelopes.json",
        "messages",
        "a JSON Schema of messages: 3 requests, 2 errors, with envelopes.methods.json",
    ),
    ("spelled-out.json", "messages", "a JSON Schema of messages: 3 requests, 2 notifications"),
    (
        "sides-schema.json",
        "sides",
        "a JSON Schema with methods by side: 2 requests, 3 notifications, with sides-meta.json",
    ),
    ("metamodel.json", "metamodel", "a language server meta-model (3.18.0): 4 requests, 2 notifications, 1 error"),
    ("plain.json", "schema", "a JSON Schema: types only"),
]


@pytest.mark.parametrize(("name", "kind", "told"), TOLD)
def test_a_document_is_recognised_and_said_so(name: str, kind: str, told: str) -> None:
    assert recognise(document(name)) == kind
    assert reading_of(DOCUMENTS / name).told == f"{Path(name).name}: read as {told}"


def test_our_own_document_needs_no_word(read: Read) -> None:
    tree = {"$schema": "https://json-schema.org/draft/2020-12/schema", "x-protocol": {"name": "a", "version": "1"}}
    reading, _ = read({**tree, "$defs": {"A": {"type": "string"}}})
    assert reading is not None
    assert reading.told == ""


def test_kinds_of_the_command_line_are_those_that_are_read() -> None:
    assert sorted(NAMES) == sorted(KINDS)


@pytest.mark.parametrize(("member", "name"), [("openapi", "OpenAPI"), ("swagger", "OpenAPI"), ("asyncapi", "AsyncAPI")])
def test_documents_of_other_worlds_are_named(read: Read, member: str, name: str) -> None:
    _, problems = read({member: "3.0.0", "info": {}})
    said = (
        f"acme.json:2:2 error PG131: is an {name} document, which describes no JSON-RPC protocol; give one of "
        f"{', '.join(KINDS)} (--kind), or a JSON Schema of its types"
    )
    assert problems == [said]


def test_a_kind_can_be_forced(read: Read) -> None:
    reading, _ = read(document("messages.json"), kind="schema")
    assert reading is not None
    assert reading.protocol.methods == ()
    assert reading.told == "acme.json: read as a JSON Schema: types only"


def test_build_says_what_it_took_a_file_for(folder: Path) -> None:
    ran = CliRunner().invoke(cli, ["build", "openrpc.json", "--target", "jsonschema", "--out", "out"])
    assert ran.exit_code == 0
    assert ran.stderr == "openrpc.json: read as an OpenRPC document (1.3.2): 3 requests, 1 notification, 3 errors\n"
    assert (folder / "out" / "jsonschema" / "openrpc").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "openapi"], "Invalid value for '--kind'"),
        (["--methods", "none.methods.json"], "none.methods.json: error PG001: cannot be read"),
    ],
)
def test_wrong_words_are_told(folder: Path, words: list[str], said: str) -> None:
    ran = CliRunner().invoke(cli, ["build", "messages.json", "--out", "out", *words])
    assert ran.exit_code != 0
    assert said in ran.stderr
    assert not (folder / "out").exists()


def test_a_project_names_kind_and_methods(folder: Path) -> None:
    (folder / "other.json").write_text(json.dumps({"x-methods": {"ping": None}}), "utf-8")
    text = '[protocols.rooms]\nschema = "messages.json"\nkind = "messages"\nmethods = "other.json"\n'
    (folder / "protogen.toml").write_text(text, "utf-8")
    ran = CliRunner().invoke(cli, ["build", "--target", "openrpc", "--out", "out"])
    assert ran.exit_code == 0, ran.stderr
    built = json.loads((folder / "out" / "openrpc" / "rooms" / "openrpc.json").read_text("utf-8"))
    assert "ping" not in [each["name"] for each in built["methods"]]
    (folder / "protogen.toml").write_text(text.replace('"messages"', '"massages"'), "utf-8")
    ran = CliRunner().invoke(cli, ["build"])
    assert "PG131" in str(ran.exception)


def test_a_file_of_methods_that_comes_later_is_reason_to_build(folder: Path) -> None:
    def build() -> Any:
        return CliRunner().invoke(cli, ["build", "messages.json", "--target", "openrpc", "--out", "out"])

    tree = document("messages.json")
    del tree["$defs"]["AskRequest"], tree["$defs"]["InputRequest"], tree["$defs"]["WaitResult"]["properties"]["ask"]
    (folder / "messages.json").write_text(json.dumps(tree), "utf-8")
    assert "1 changed" in build().stdout
    assert build().stdout.startswith("nothing changed")
    (folder / "messages.methods.json").write_text(json.dumps({"x-methods": {"ping": None}}), "utf-8")
    assert "1 changed" in build().stdout
