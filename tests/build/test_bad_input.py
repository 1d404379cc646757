"""Bad input: what a user reads, where it points, how the command leaves."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Project = Callable[..., Path]

OBJECT = {"type": "object"}

PROTOCOL = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "a", "version": "1"},
    "x-roles": {"client": {"summary": "Asks."}, "server": {"summary": "Answers."}},
}


def defs(**schemas: Any) -> dict[str, Any]:
    return {"$defs": schemas}


BAD_SCHEMAS = [
    ("broken JSON", '{"$defs": {\n  "A": {"type": }\n}}', "acme.json:2:17 error PG003:", "is not JSON"),
    ("empty file", " \n", "acme.json: error PG003:", "the file is empty"),
    ("NaN", '{"$defs": {"A": {"minimum": NaN}}}', "acme.json: error PG003:", "NaN is not JSON"),
    ("a list", "[1]", "acme.json:1:1 error PG101:", "expected a JSON Schema"),
    ("nothing in it", "{}", "acme.json:1:1 error PG101:", "defines no type and no method"),
    (
        "dangling reference",
        defs(Task=OBJECT, B={"$ref": "#/$defs/Tsak"}),
        "acme.json:7:7 error PG102:",
        'did you mean "Task"?',
    ),
    ("missing anchor", defs(A={"$ref": "#nowhere"}), "acme.json:4:7 error PG102:", "no schema has the anchor"),
    ("missing file", defs(A={"$ref": "other.json#/$defs/X"}), "other.json: error PG001:", "cannot be read"),
    (
        "another host",
        defs(A={"$ref": "http://host.invalid/x.json"}),
        "acme.json:4:7 error PG105:",
        "nothing is fetched",
    ),
    ("a file: outside", defs(A={"$ref": "file:///etc/passwd"}), "acme.json:4:7 error PG105:", "outside the project"),
    ("a path outside", defs(A={"$ref": "../../x.json"}), "acme.json:4:7 error PG105:", "outside the project"),
    (
        "a cycle of references",
        defs(A={"$ref": "#/$defs/B"}, B={"$ref": "#/$defs/A"}),
        "acme.json:7:7 error PG106:",
        "A -> B -> A",
    ),
    ("a cycle through allOf", defs(A={"allOf": [{"$ref": "#/$defs/A"}]}), "acme.json:6:11 error PG106:", "A -> A"),
    (
        "a keyword of the wrong form",
        defs(A={"required": True}),
        "acme.json:4:7 error PG110:",
        "array of distinct strings",
    ),
    (
        "a number that no double holds",
        '{"$defs": {"A": {"minimum":\n 1e400}}}',
        "acme.json:2:2 error PG006:",
        "the number 1e400 is larger",
    ),
    (
        "half a surrogate pair",
        '{"$defs": {"A": {"const": "\\ud83d\\ude00 \\uD800"}}}',
        "acme.json:1:41 error PG007:",
        "the escape \\uD800 is half of a surrogate pair",
    ),
    (
        "a name for SDKs that is none",
        defs(A={"type": "object", "x-protogen-name": "a b"}),
        "acme.json:5:7 error PG110:",
        "must be a name of ASCII letters, digits and _, got 'a b'",
    ),
    ("too deep", '{"$defs":{"A":' + '{"not":' * 300 + "{}" + "}" * 302, "acme.json: error PG005:", "deeper than 200"),
    (
        "a notification with errors",
        {
            **PROTOCOL,
            "x-methods": {
                "ping": {
                    "kind": "notification",
                    "from": "client",
                    "to": "server",
                    "summary": "Pings.",
                    "errors": ["Gone"],
                }
            },
        },
        "acme.json:21:7 error PG101:",
        'x-methods/ping: "errors" has no place here; remove it',
    ),
    (
        "an unknown role",
        {
            **PROTOCOL,
            "x-methods": {"ping": {"kind": "request", "from": "client", "to": "sever", "summary": "Pings."}},
        },
        "acme.json:19:7 error PG111:",
        'did you mean "server"?',
    ),
    (
        "a misspelt annotation",
        {
            **PROTOCOL,
            "x-methods": {
                "ping": {"kind": "request", "from": "client", "to": "server", "summary": "x", "idempotant": True}
            },
        },
        "acme.json:21:7 error PG101:",
        '"idempotant" is no member here; did you mean "idempotent"?',
    ),
    (
        "pins that contradict each other",
        defs(A={"type": "object", "x-protogen-name": "C"}, B={"type": "object", "x-protogen-name": "C"}),
        "acme.json:7:5 error PG108:",
        "are pinned to one name",
    ),
    (
        "two errors with one code",
        {
            **PROTOCOL,
            "x-methods": {"ping": {"kind": "request", "from": "client", "to": "server", "summary": "Pings."}},
            "x-errors": {"One": {"code": 5, "message": "x"}, "Two": {"code": 5, "message": "y"}},
        },
        "acme.json:29:7 error PG114:",
        '"One" and "Two" both have the code 5',
    ),
]


@pytest.mark.parametrize(
    ("schema", "place", "what"), [case[1:] for case in BAD_SCHEMAS], ids=[case[0] for case in BAD_SCHEMAS]
)
def test_a_bad_schema_is_one_finding_with_its_place(
    run: Run, project: Project, schema: Any, place: str, what: str
) -> None:
    folder = project(schema)
    result = run("build")
    assert result.code == 1
    assert place in result.err
    assert what in result.err
    assert "Traceback" not in result.err
    assert not (folder / "generated").exists()


WARNED_SCHEMAS = [
    (
        "an unread keyword",
        defs(A={"type": "string", "maxLenght": 3}),
        "acme.json:5:7 warning PG104:",
        'did you mean "maxLength"?',
    ),
    (
        "a keyword of a later draft",
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$defs": {"A": {"$ref": "#/$defs/B", "minLength": 1}, "B": {}},
        },
        "acme.json:6:7 warning PG109:",
        "beside",
    ),
    (
        "an unknown draft",
        {"$schema": "https://json-schema.org/draft/2021-12/schema", **defs(A=OBJECT)},
        "acme.json:2:3 warning PG113:",
        "2020-12",
    ),
    (
        "a repeated key",
        '{"$defs": {"A": {"type": "string", "type": "object"}}}',
        "acme.json:1:36 warning PG004:",
        '"type" is repeated',
    ),
    (
        "definitions that collide after casing",
        defs(foo_bar=OBJECT, FooBar={"type": "string"}),
        "acme.json:6:5 warning PG107:",
        '"x-protogen-name"',
    ),
    (
        "properties that collide after casing",
        defs(A={"type": "object", "properties": {"fooBar": {}, "foo_bar": {}}}),
        "acme.json:7:9 warning PG107:",
        'properties of "A" "fooBar" and "foo_bar"',
    ),
    (
        "a union without a tag",
        defs(A={"oneOf": [{"$ref": "#/$defs/B"}, {"$ref": "#/$defs/C"}]}, B=OBJECT, C=OBJECT),
        "acme.json:4:7 warning PG103:",
        "validating each",
    ),
]


@pytest.mark.parametrize(
    ("schema", "place", "what"), [case[1:] for case in WARNED_SCHEMAS], ids=[case[0] for case in WARNED_SCHEMAS]
)
def test_a_doubtful_schema_is_built_and_warned_of(
    run: Run, project: Project, schema: Any, place: str, what: str
) -> None:
    folder = project(schema)
    result = run("build")
    assert result.code == 0
    assert place in result.err
    assert what in result.err
    assert (folder / "generated" / "toy" / "acme" / "names.txt").is_file()
    assert run("build", "--strict").code == 1


def test_all_findings_of_a_stage_come_at_once(run: Run, project: Project) -> None:
    project(defs(A={"$ref": "#/$defs/X"}, B={"$ref": "#/$defs/Y"}, C={"$ref": "http://h.invalid/"}))
    assert run("build").err.count(" error PG") == 3


def test_an_unreadable_file_is_named(run: Run, project: Project) -> None:
    folder = project()
    (folder / "acme.json").unlink()
    result = run("build")
    assert (result.code, "acme.json: error PG001" in result.err) == (1, True)
    (folder / "acme.json").mkdir()
    assert "Is a directory" in run("build").err


def test_bytes_that_are_not_utf8_are_located(run: Run, project: Project) -> None:
    folder = project()
    (folder / "acme.json").write_bytes(b'{"title":\n "\xff"}')
    assert "acme.json:2:3 error PG002: byte 0xff is not UTF-8" in run("build").err


def test_nothing_is_fetched_even_where_a_server_would_answer(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dial(*_: object) -> None:
        raise AssertionError("the build opened a connection")

    monkeypatch.setattr("socket.socket.connect", dial)
    project(defs(A={"$ref": "http://127.0.0.1:9/x.json"}))
    assert run("build").code == 1


BAD_CONFIGS = [
    ("not TOML", "[project", "is not TOML"),
    ("no protocol", "[project]\nout = 'x'\n", "names no protocol"),
    ("unknown key", "[project]\nouts = 'x'\n", 'did you mean "out"?'),
    ("unknown table", "[protocol.a]\nschema = 'a.json'\n", 'did you mean "protocols"?'),
    ("no schema", "[protocols.a]\n", "has no schema"),
    ("wrong type", "[protocols.a]\nschema = 3\n", "protocols.a.schema must be a non-empty string, got 3"),
    ("bad name", "[protocols.'../x']\nschema = 'a.json'\n", "cannot be a folder's name"),
    (
        "unknown target table",
        "[protocols.a]\nschema = 'acme.json'\n[protocols.a.pyton]\npackage = 'x'\n",
        "names no target",
    ),
    ("unknown target", "[protocols.a]\nschema = 'acme.json'\ntargets = ['tooy']\n", 'did you mean "toy"?'),
]


@pytest.mark.parametrize(("text", "what"), [case[1:] for case in BAD_CONFIGS], ids=[case[0] for case in BAD_CONFIGS])
def test_a_bad_configuration_is_one_line(run: Run, project: Project, text: str, what: str) -> None:
    folder = project()
    (folder / "protogen.toml").write_text(text)
    result = run("build")
    assert result.code == 2
    assert what in result.err
    assert result.err.count("\n") == 1


def test_usage_errors_exit_2(run: Run, project: Project) -> None:
    project()
    assert run("build", "amce").err.strip().endswith('did you mean "acme"?')
    assert run("build", "amce").code == 2
    assert run("build", "--target", "pyton").code == 2
    assert run("build", "--check", "--dry-run").code == 2
    assert run("bild").code == 2


def test_without_a_configuration_the_way_out_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("build")
    assert result.code == 2
    assert "no protogen.toml" in result.err
    assert "name a schema file" in result.err


def test_a_file_in_the_place_of_the_output_folder_is_refused(run: Run, project: Project) -> None:
    folder = project()
    (folder / "generated").write_text("mine")
    result = run("build")
    assert result.code == 2
    assert "cannot be written" in result.err
    assert (folder / "generated").read_text() == "mine"


def test_a_read_only_output_folder_is_refused_and_unchanged(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project()
    assert run("build").code == 0
    before = snapshot(folder / "generated")
    schema = json.loads((folder / "acme.json").read_text())
    schema["$defs"]["Thing"]["properties"]["more"] = {"type": "integer"}
    (folder / "acme.json").write_text(json.dumps(schema))
    real = Path.mkdir

    def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
        if "generated" in self.parts:
            raise PermissionError(13, "Permission denied", str(self))
        real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refuse)  # as root, permission bits stop nobody
    result = run("build")
    assert result.code == 2
    assert "Permission denied; what was there before is unchanged; change its permissions" in result.err
    assert snapshot(folder / "generated") == before


def test_a_disk_that_fills_leaves_the_old_output_intact(project: Project) -> None:
    folder = project(defs(A={"type": "object", "description": "short"}), targets=("jsonschema",))
    words = [sys.executable, "-P", "-c", "from protogen.cli import main; main()", "build"]
    assert subprocess.run(words, cwd=folder, check=False).returncode == 0
    before = snapshot(folder / "generated")
    (folder / "acme.json").write_text(json.dumps(defs(A={"type": "object", "description": "long " * 40_000})))

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    environment = {**os.environ, "PROTOGEN_CACHE_DIR": str(folder / "cache")}
    full = subprocess.run(
        words, cwd=folder, check=False, capture_output=True, text=True, preexec_fn=fill, env=environment
    )
    assert full.returncode == 2
    assert "cannot be written: File too large; what was there before is unchanged" in full.stderr
    assert "Traceback" not in full.stderr
    assert snapshot(folder / "generated") == before


def test_a_failure_in_the_middle_of_moving_is_undone(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(defs(A=OBJECT, B=OBJECT, C=OBJECT))
    assert run("build").code == 0
    before = snapshot(folder / "generated")
    (folder / "acme.json").write_text(json.dumps(defs(A={"type": "string"}, B={"type": "string"}, D=OBJECT)))
    real = Path.replace
    moves = 0

    def fail_late(self: Path, target: Path) -> Path:
        nonlocal moves
        moves += 1
        if moves == 5:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail_late)
    result = run("build")
    assert result.code == 2
    assert "No space left on device" in result.err
    assert snapshot(folder / "generated") == before


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
