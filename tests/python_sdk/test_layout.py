"""Source text is what the ruff formatter leaves alone, and no text breaks out of it."""

from __future__ import annotations

import ast
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protogen.targets.python.layout import Call, Either, Expr, assign, comment, docstring, text_literal

RUFF = Path(sysconfig.get_path("scripts")) / "ruff"


@given(st.text())
def test_literal_is_its_text(text: str) -> None:
    source = text_literal(text)
    assert ast.literal_eval(source) == text
    assert source.isascii()
    assert source.isprintable()


DOCS = [
    "Plain.",
    "",
    '"""',
    'ends with "quotes"',
    '"starts" with quotes',
    "back\\slash \\N{DASH} \\u1234 \\",
    "'''\"\"\"'\"",
    "tab\tand\x07bell\x00nul\u202ebidi\u2028line\ufeff",
    "two\n\n\n\nparagraphs\n  indented\n",
    "\n\n  leading",
    "windows\r\nlines\rand macs",
    "word " * 60,
    "x" * 300,
    "- item\n- " + "long item " * 30,
    "a" * 108,
    "a" * 112,
    "a " * 55 + '"',
    '"' + "a " * 55,
    "{{ jinja }} {% raw %} {# #} ${x} `x` */ //",
]


@pytest.mark.parametrize("doc", DOCS, ids=range(len(DOCS)))
def test_docstring_holds_its_text_and_nothing_else(doc: str) -> None:
    shown = docstring(doc, indent=4)
    tree = ast.parse(f"class A:\n{shown or '    pass'}\n")
    (definition,) = tree.body
    assert isinstance(definition, ast.ClassDef)
    assert len(definition.body) == 1
    held = ast.get_docstring(definition) or ""
    assert held.split() == doc.replace("\x07", "\x07").split()


@pytest.mark.parametrize("doc", DOCS, ids=range(len(DOCS)))
def test_comment_is_nothing_but_comments(doc: str) -> None:
    assert all(line.startswith("#") for line in comment(doc))


LONG = "a_rather_long_name_of_a_type"
EXPRESSIONS: list[Expr] = [
    "int",
    Call("list", ("int",), "[]"),
    Either(("int", "str", "None")),
    Either(tuple(f"{LONG}_{at}" for at in range(3))),
    Either(tuple(f"{LONG}_{at}" for at in range(9))),
    Call("Literal", tuple(f'"{LONG}_{at}"' for at in range(9)), "[]"),
    Call("dict", ("str", Either(tuple(f"{LONG}_{at}" for at in range(5)))), "[]"),
    Call("list", (Either(tuple(f"{LONG}_{at}" for at in range(5))),), "[]"),
    Call("Annotated", ("str", Call("Meta", ("min_length=1", f'pattern="{LONG * 4}"'))), "[]"),
    Either((Call("Annotated", ("str", Call("Meta", (f'pattern="{LONG * 3}"',))), "[]"), "None", "int")),
    Either(("int", Call("Annotated", ("str", Call("Meta", (f'pattern="{LONG * 3}"',))), "[]"))),
    Call("field", ('name="x"', "default=UNSET")),
    Call("", tuple(f'"{LONG}{at}"' for at in range(5))),
    f'"{"y" * 104}"',
    f'"{"y" * 150}"',
]


def test_ruff_changes_nothing(tmp_path: Path) -> None:
    lines = ["from typing import Any", ""]
    lines += [assign(f"name{at}: Any", expr) for at, expr in enumerate(EXPRESSIONS)]
    for at, doc in enumerate(DOCS):
        lines += ["", "", f"class C{at}:", docstring(doc, indent=4) or "    pass", "", "    x = 1"]
    for at, expr in enumerate(EXPRESSIONS):
        lines += ["", "", f"class E{at}:", assign(f"name{at}", expr, indent=4)]
    source = tmp_path / "source.py"
    source.write_text("\n".join(lines) + "\n", "utf-8")
    command = [str(RUFF), "format", "--isolated", "--line-length=120", "--no-cache", "--diff", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0
