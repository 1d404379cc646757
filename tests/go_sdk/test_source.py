"""The generated source is what gofmt and vet want, whatever the names and texts of the protocol."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from protogen import ir
from protogen.problems import Problem
from protogen.targets.go.text import comment
from tests.go_sdk.conftest import Go, load, write_module, write_sdk
from tests.go_sdk.hand import PROTOCOL


def test_gofmt_has_nothing_to_change(module: Path, go: Go) -> None:
    done = go("-l", ".", cwd=module, program="gofmt")
    assert (done.stdout, done.stderr) == ("", "")


def test_vet_has_no_complaint_and_our_go_tests_pass(module: Path, go: Go) -> None:
    done = go("test", "-vet=all", "./...", cwd=module)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", ["schemas/stepflow/0.9/protocol.json", "schemas/apflow/1.0/protocol.json"])
def test_our_protocols_compile_as_modules_of_their_own(path: str, root: Path, tmp_path: Path, go: Go) -> None:
    write_module(tmp_path)
    assert write_sdk(load(root, path), tmp_path / "sdk", package="protogen.test/sdk/sdk") == []
    assert go("-l", ".", cwd=tmp_path, program="gofmt").stdout == ""
    done = go("vet", "./sdk", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


PIECES = [
    "- item", "* item", "+ item", "1. one", "2) two", "12.", "-", "# Heading", "## Deeper", "#", "#x",
    "Lone Heading", "plain text", "text ends {", "}", "}, else", "```", "```go", "~~~", "\tindented", "    code",
    "[link]: https://example.org", "[text]", "``quoted''", "`tick`", "'''", "```x```", "", "", "", "//go:build x",
    "//line a.go:1", "go:generate", "*/", "/*", "\u00a0nbsp", "• bullet", "a\\", "Ünicode Heading", "- \u00a0",
    "-\u00a0x", "long " * 40, "- " + "long " * 40, "word " * 19 + "- x " + "word " * 20, "word " * 19 + "1. x",
    "http://example.org/``x''", "\u0085", "\x0b", "\x0c", "\u2028",
]  # fmt: skip


def test_any_comment_is_as_gofmt_would_write_it(tmp_path: Path, go: Go) -> None:
    chance = random.Random(3)
    texts = ["\n".join(chance.choices(PIECES, k=chance.randint(1, 9))) for _ in range(3000)]
    texts += [
        "".join(chance.choices("-*+1.)# \t`'[]:{}\\/\nAa\u2022\u00a0\u3000", k=chance.randint(1, 60)))
        for _ in range(3000)
    ]
    lines = ["package p", ""]
    for at, text in enumerate(texts):
        lines += [*comment(text, subject=f"V{at}"), f"var V{at} int", ""]
    source = tmp_path / "p.go"
    source.write_text("\n".join(lines[:-1]) + "\n", "utf-8", newline="\n")
    done = go("-d", "p.go", cwd=tmp_path, program="gofmt")
    assert (done.stdout[:3000], done.stderr) == ("", "")


def test_what_go_cannot_check_or_offer_is_reported(tmp_path: Path) -> None:
    definitions = {
        "A": {"type": "string", "pattern": "^(?!x).*$"},
        "B": {"not": {"$ref": "#/definitions/A"}, "patternProperties": {"(a)\\1": {}}, "additionalProperties": False},
    }
    alias = ir.Alias(name="A", type=ir.StringType(pattern="^(?!x).*$"))
    protocol = ir.Protocol(
        name="p",
        version="1",
        title="p",
        doc="",
        definitions=(alias, ir.Alias(name="B", type=ir.AnyType())),
        schema={"definitions": definitions},
    )
    problems = write_sdk(protocol, tmp_path, package="p.example/p")
    fix = "write the pattern without it, or check in the handler"
    assert [problem.code for problem in problems] == ["PG601", "PG601"]
    assert [problem.fix for problem in problems] == [fix, fix]
    assert [problem.what.split(",")[0] for problem in problems] == [
        'Go has no equivalent of a negative look-ahead in the pattern "^(?!x).*$" of "A"',
        'Go has no equivalent of a back-reference in the pattern "(a)\\1" of "B"',
    ]
    # Under `not` a schema that accepts more would reject more: the negation went too.
    assert '"B":{"patternProperties":{}}' in (tmp_path / "schema.go").read_text()


def test_a_default_that_does_not_fit_is_reported(tmp_path: Path) -> None:
    problems = write_sdk(PROTOCOL, tmp_path, package="p.example/p")
    assert problems == [
        Problem(
            code="PG602",
            level="warning",
            what='the default of "bad" in "Inline" is no value of its type, so that the Go SDK does not offer it',
            fix="correct the default or the type",
        )
    ]


BARE = ir.Protocol(name="bare", version="1", title="", doc="", definitions=(), schema={})
ONLY_METHODS = ir.Protocol(
    name="methods",
    version="1",
    title="",
    doc="",
    definitions=(),
    roles=(ir.Role(name="a"),),
    methods=(ir.Method(name="m", kind="request", sender="a", receiver="a"),),
    schema={"definitions": {}},
)
ONLY_ERRORS = ir.Protocol(
    name="errors",
    version="1",
    title="",
    doc="",
    definitions=(),
    errors=(ir.ErrorCode(name="E", code=-1, message="\n"),),
    schema={},
)


def test_protocols_that_lack_almost_everything_compile(tmp_path: Path, go: Go) -> None:
    write_module(tmp_path)
    for protocol in (BARE, ONLY_METHODS, ONLY_ERRORS):
        assert write_sdk(protocol, tmp_path / protocol.name, package=f"protogen.test/sdk/{protocol.name}") == []
    assert go("-l", ".", cwd=tmp_path, program="gofmt").stdout == ""
    done = go("vet", "./...", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_output_is_the_same_every_time(toy: ir.Protocol, tmp_path: Path) -> None:
    write_sdk(toy, tmp_path / "a", package="p.example/p")
    write_sdk(toy, tmp_path / "b", package="p.example/p")
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
