"""`protogen init`: folders that work at once, and are made whole or not at all."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.cli import main
from protogen.metaschema import text as meta_schema
from protogen.scaffold import requests
from protogen.scaffold.node import not_implemented_code

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
ENDED_SECONDS = 120

HOSTILE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "context", "version": "1.0"},
    "x-roles": {"client": {"summary": "Asks."}, "json": {"summary": "Answers."}},
    "x-methods": {
        'a"b\\n*/`${x}`': {"kind": "request", "from": "client", "to": "json", "summary": 'Ends */ and """ with \\.'},
        "class": {
            "kind": "request",
            "from": "client",
            "to": "json",
            "summary": "A keyword.",
            "params": {"$ref": "#/$defs/Map"},
            "result": {"$ref": "#/$defs/Error"},
            "paramStructure": "by-position",
        },
        "watch": {
            "kind": "request",
            "from": "client",
            "to": "json",
            "summary": "Streams.",
            "params": {"$ref": "#/$defs/Error"},
            "result": {"$ref": "#/$defs/Any"},
            "events": {"$ref": "#/$defs/Any"},
        },
        "tell": {"kind": "notification", "from": "client", "to": "json", "summary": "Tells."},
        "ask/back": {"kind": "request", "from": "json", "to": "client", "summary": "Asks back."},
    },
    "x-errors": {"NotImplemented": {"code": -32050, "message": "Mine"}},
    "$defs": {
        "Error": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
        "Map": {
            "type": "object",
            "required": ["first", "second"],
            "properties": {"first": {"type": "integer"}, "second": {"type": "string"}},
        },
        "Any": {},
    },
}


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Init = Callable[..., Done]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Init:
    """Runs a command of protogen in an empty folder, `init` unless another is named."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, command: str = "init") -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["protogen", command, *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capfd.readouterr()
        return Done(int(leaving.value.code or 0), printed.out, printed.err)

    return invoke


def texts(folder: Path) -> dict[str, str]:
    """Every file of a folder by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


# --- a protocol ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["notes", "my-very-own-protocol-2", "type"])
def test_new_protocol_is_clean_and_builds_at_once(name: str, init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    assert init(name).code == 0
    monkeypatch.chdir(name)
    lint = init(command="lint")
    assert (lint.code, lint.out) == (0, "1 document: nothing found\n")
    assert init("--check", command="fmt") == Done(0, "2 files, 0 would change\n", "")
    build = init("--strict", command="build")
    assert (build.code, build.err) == (0, "")
    assert init("--check", command="build").code == 0


def test_new_protocol_has_something_of_everything(init: Init, tmp_path: Path) -> None:
    init("notes")
    protocol, problems = read_protocol(tmp_path / "notes" / "protocol.json", root=tmp_path)
    assert problems == []
    assert protocol is not None
    assert {method.kind for method in protocol.methods} == {"request", "notification"}
    assert {error.data is None for error in protocol.errors} == {True, False}
    assert {example.valid for example in protocol.examples} == {True, False}
    assert {example.method for example in protocol.examples} == {method.name for method in protocol.methods}
    assert any(isinstance(definition, ir.Enum) for definition in protocol.definitions)


def test_editors_find_the_meta_schema_of_a_new_protocol(init: Init, tmp_path: Path) -> None:
    init("notes")
    file = tmp_path / "notes" / "protocol.json"
    document = json.loads(file.read_text("utf-8"))
    beside = file.parent / document["$schema"]
    assert beside.read_text("utf-8") == meta_schema() == init(command="schema").out
    jsonschema_rs.validator_for(json.loads(beside.read_text("utf-8"))).validate(document)


# --- nodes --------------------------------------------------------------------------------------------


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off", **more}


def run_tests(folder: Path, language: str, tool: Callable[[str], str]) -> None:
    """Runs the tests of a node as its README says, without network."""
    if language == "python":
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    elif language == "go":
        command = [tool("go"), "test", "-vet=all", "./..."]
    else:
        link_modules(folder)
        command = [tool("npm"), "test", "--silent"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ENDED_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def link_modules(folder: Path) -> None:
    """Does what `npm install` would do: the compiler from the checkout, the SDK from its folder."""
    modules = folder / "node_modules"
    (modules / ".bin").mkdir(parents=True)
    (modules / "@types").mkdir()
    (modules / ".bin" / "tsc").symlink_to(ROOT / "node_modules" / ".bin" / "tsc")
    (modules / "typescript").symlink_to(ROOT / "node_modules" / "typescript")
    (modules / "@types" / "node").symlink_to(ROOT / "node_modules" / "@types" / "node")
    ((name, place),) = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"].items()
    (modules / name).parent.mkdir(exist_ok=True)
    (modules / name).symlink_to(folder / place.removeprefix("file:"))


def as_their_tools_want(folder: Path, language: str, tool: Callable[[str], str]) -> None:
    """The files of a node are laid out as the language's own formatter does it, and its linter is content."""
    commands = {
        "python": [
            [sys.executable, "-m", "ruff", "check", "--no-cache", "."],
            [sys.executable, "-m", "ruff", "format", "--no-cache", "--check", "."],
        ],
        "typescript": [
            [tool("prettier"), "--check", "--print-width", "120", "src", "package.json", "tsconfig.json", "README.md"]
        ],
        "go": [[tool("gofmt"), "-l", "main.go", "node.go", "node_test.go"]],
    }[language]
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        assert language != "go" or done.stdout == ""


@pytest.mark.parametrize("language", ["python", "typescript", "go"])
def test_new_node_passes_its_tests_at_once(
    language: str, init: Init, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    init("notes")
    made = init("server", "--node", language, "--protocol", "notes/protocol.json")
    assert (made.code, made.err) == (0, "")
    run_tests(tmp_path / "server", language, tool)
    as_their_tools_want(tmp_path / "server", language, tool)


@pytest.mark.parametrize(
    "language",
    ["python", pytest.param("typescript", marks=pytest.mark.soak), pytest.param("go", marks=pytest.mark.soak)],
)
def test_new_node_conforms_to_its_document_at_once(
    language: str, init: Init, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    init("notes")
    init("server", "--node", language, "--protocol", "notes/protocol.json")
    folder = tmp_path / "server"
    if language == "typescript":
        run_tests(folder, language, tool)
    serve = {
        "python": [sys.executable, "-m", "server", "--port", "0"],
        "typescript": [tool("node"), "dist/main.js", "--port", "0"],
        "go": [tool("go"), "run", ".", "--port", "0"],
    }[language]
    kit = [sys.executable, "-m", "protogen", "test", shlex.join(serve), "--schema", "protocol/protocol.json"]
    done = subprocess.run(
        kit,
        cwd=folder,
        env=environment(PYTHONPATH=str(folder / "generated" / "python" / "notes")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ENDED_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conformant: 14 clauses" in done.stdout


@pytest.mark.parametrize("language", ["python", pytest.param("typescript", marks=pytest.mark.soak), "go"])
def test_names_and_texts_of_a_protocol_break_no_node(
    language: str, init: Init, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    (tmp_path / "hostile.json").write_text(json.dumps(HOSTILE), "utf-8")
    made = init("--node", language, "--protocol", "hostile.json")
    assert made.code == 0, made.err
    folder = tmp_path / "hostile-json"
    run_tests(folder, language, tool)
    as_their_tools_want(folder, language, tool)
    readme = (folder / "README.md").read_text("utf-8")
    assert "--schema protocol/hostile.json --role json\n" in readme


def test_code_of_what_is_not_implemented_is_no_error_of_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "hostile.json").write_text(json.dumps(HOSTILE), "utf-8")
    protocol, _ = read_protocol(tmp_path / "hostile.json", root=tmp_path)
    assert protocol is not None
    assert not_implemented_code(protocol) == -32051


def test_requests_of_a_node_are_valid_and_broken_as_they_say(tmp_path: Path) -> None:
    (tmp_path / "hostile.json").write_text(json.dumps(HOSTILE), "utf-8")
    protocol, _ = read_protocol(tmp_path / "hostile.json", root=tmp_path)
    assert protocol is not None
    found = requests(protocol, "json")
    told = {(it["method"], it["valid"]) for it in found}
    odd = next(iter(HOSTILE["x-methods"]))
    assert told == {(odd, True), ("class", True), ("watch", True), ("watch", False)}
    positional = next(it["params"] for it in found if it["method"] == "class")
    assert [type(value) for value in positional] == [int, str]


@pytest.mark.parametrize("name", ["echo", "stepflow-0.11"])
def test_node_of_a_shipped_protocol_holds_the_documents_it_is_built_from(
    name: str, init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert init("mine", "--node", "python", "--protocol", name).code == 0
    monkeypatch.chdir("mine")
    check = init("--check", command="build")
    assert (check.code, check.err) == (0, "")
    config = (tmp_path / "mine" / "protogen.toml").read_text("utf-8")
    assert tomllib.loads(config)["protocols"].keys() == {name}


def test_the_one_protocol_of_a_project_needs_no_name(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init("notes")
    monkeypatch.chdir("notes")
    assert init("--node", "go").code == 0
    assert (tmp_path / "notes" / "notes-server" / "go.mod").exists()
    (tmp_path / "notes" / "other.json").write_text(json.dumps(HOSTILE), "utf-8")
    with (tmp_path / "notes" / "protogen.toml").open("a") as config:
        config.write('[protocols.other]\nschema = "other.json"\n[protocols.other.go]\npackage = "example.com/other"\n')
    several = init("--node", "go")
    assert (several.code, "protogen.toml has notes, other." in several.err) == (2, True)
    assert init("--node", "go", "--protocol", "other", "--role", "client", "pinned").code == 0
    assert "replace example.com/other => ./generated/go/other" in (tmp_path / "notes/pinned/go.mod").read_text("utf-8")


def test_documents_that_refer_to_each_other_are_kept_together(init: Init, tmp_path: Path) -> None:
    shared = {"$defs": {"Word": {"type": "string", "minLength": 1}}}
    document = json.loads(json.dumps(HOSTILE))
    document["$defs"]["Map"]["properties"]["second"] = {"$ref": "../shared/words.json#/$defs/Word"}
    for path, tree in {"a/protocol.json": document, "shared/words.json": shared}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps(tree), "utf-8")
    assert init("node", "--node", "go", "--protocol", "a/protocol.json").code == 0
    kept = {path for path in texts(tmp_path / "node") if path.startswith("protocol/")}
    assert kept == {"protocol/a/protocol.json", "protocol/shared/words.json"}


def test_a_document_of_another_kind_will_do(init: Init, tmp_path: Path) -> None:
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "Pets", "version": "1"},
        "methods": [
            {
                "name": "list",
                "params": [{"name": "limit", "schema": {"type": "integer"}}],
                "result": {"name": "pets", "schema": {"type": "array"}},
            }
        ],
    }
    (tmp_path / "pets.json").write_text(json.dumps(document), "utf-8")
    made = init("--node", "python", "--protocol", "pets.json")
    assert (made.code, made.err) == (0, "pets.json: read as an OpenRPC document (1.3.2): 1 request\n")
    assert "async def list_(" in (tmp_path / "pets-server" / "pets_server" / "node.py").read_text("utf-8")


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the protocol"),
        (("My Notes",), "for example 'my-notes'"),
        (("1notes",), "for example 'notes'"),
        (("../x",), "for example 'x'"),
        (("-",), "is no name here"),
        (("a" * 61,), "at most 60"),
        (("notes", "--protocol", "echo"), "--protocol belongs to a node"),
        (("--node", "rust"), "'rust' is not one of"),
        (("--node", "go"), "no protogen.toml stands in this folder or above"),
        (("--node", "go", "--protocol", "ecko"), 'did you mean "echo"?'),
        (("--node", "go", "--protocol", "echo", "--role", "servr"), 'did you mean "server"?'),
        (("--node", "go", "--protocol", "echo", "--kind", "openrpc"), "--kind and --methods belong to a file"),
        (("json", "--node", "python", "--protocol", "echo"), "such as json-node"),
        (("echo-protocol", "--node", "python", "--protocol", "echo"), "such as echo-protocol-node"),
    ],
)
def test_wrong_usage_says_what_would_be_right(words: tuple[str, ...], said: str, init: Init, tmp_path: Path) -> None:
    done = init(*words)
    assert (done.code, done.out, said in done.err) == (2, "", True), done.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_exists_is_changed(init: Init, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("e", "d", "c", "b", "a"):
        (folder / name).write_text(name)
    for words in (("notes",), ("notes", "--node", "go", "--protocol", "echo")):
        done = init(*words)
        what = "notes: error PG304: is there already, with a, b, c, d and 1 more; nothing was changed"
        assert (done.code, done.err) == (2, f"{what}; choose another name, or move it away\n")
    assert texts(tmp_path) == {f"notes/{name}": name for name in "abcde"}
    (tmp_path / "file").write_text("kept")
    assert init("file").code == 2
    assert (tmp_path / "file").read_text() == "kept"


def test_an_empty_folder_may_stand_there(init: Init, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    assert init("notes").code == 0
    assert (tmp_path / "notes" / "protocol.json").exists()


def test_errors_of_a_document_are_shown_and_leave_nothing_behind(init: Init, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(HOSTILE))
    broken["x-methods"]["class"]["params"] = {"$ref": "#/$defs/Mop"}
    (tmp_path / "broken.json").write_text(json.dumps(broken, indent=1), "utf-8")
    done = init("node", "--node", "go", "--protocol", "broken.json")
    assert done.code == 1
    assert "broken.json:28:5 error PG102: " in done.err
    assert 'did you mean "Map"?' in done.err
    assert done.err.endswith('28 |     "$ref": "#/$defs/Mop"\n   |     ^^^^^^\n')
    assert [path.name for path in tmp_path.iterdir()] == ["broken.json"]


def test_a_build_that_fails_leaves_nothing_behind(init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("protogen.write._replace_all", fail)
    done = init("node", "--node", "go", "--protocol", "echo")
    assert (done.code, done.err) == (
        2,
        "node: error PG301: cannot be written: No space left on device; check the path and its permissions\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(init: Init, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    done = init("notes", "--into", "kept/below")
    assert done.code == 2
    assert "kept/below/notes: error PG301: cannot be written: Not a directory" in done.err
