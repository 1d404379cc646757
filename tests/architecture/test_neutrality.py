"""Neutrality: the generic parts do not know the protocols that ship with them.

What readers see may name them as examples: comments and docstrings of modules, and the help that click prints.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = re.compile(r"stepflow|apflow|a2a", re.IGNORECASE)
GENERIC = ("codegen/protogen", "runtime/protogen_runtime", "compliance/protogen_compliance")
HELP = ("epilog", "help", "short_help")
# A protocol's own rooms inside the runtime and the kit.
OWN_ROOMS = re.compile(r"(^|/)(stepflow|apflow|a2a)(/|\.py$)")


def mentions(source: str) -> Iterator[str]:
    """Yield every identifier and every string of Python source that names a protocol, docstrings left out."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg in HELP}
    prose |= {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                found = [text]
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text) | ast.alias(name=text):
                found = [text]
            case ast.ImportFrom(module=str(text)):
                found = [text]
            case ast.FunctionDef(name=text) | ast.AsyncFunctionDef(name=text) | ast.ClassDef(name=text):
                found = [text]
            case _:
                found = []
        yield from (text for text in found if PROTOCOL.search(text))


@pytest.mark.parametrize("folder", GENERIC)
def test_generic_python_names_no_protocol(folder: str) -> None:
    files = [file for file in (ROOT / folder).rglob("*.py") if not OWN_ROOMS.search(file.relative_to(ROOT).as_posix())]
    found = [f"{file.relative_to(ROOT)}: {text[:80]!r}" for file in files for text in mentions(file.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_templates_name_no_protocol() -> None:
    files = [file for file in (ROOT / "templates").rglob("*") if file.is_file()]
    assert files
    found = [str(file.relative_to(ROOT)) for file in files if PROTOCOL.search(file.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "if name == 'stepflow': pass",
        "from stepflow_protocol import types",
        "def stepflow_server(): pass",
        "class ApflowTask: pass",
        "def f(a2a_card): pass",
        'x = f"{y} of Stepflow"',
    ],
)
def test_planted_mention_is_found(source: str) -> None:
    assert len(list(mentions(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""Reads stepflow."""',
        "# apflow",
        'def build():\n    """protogen build stepflow"""',
        '@command(epilog="protogen build stepflow")\ndef build(): pass',
    ],
)
def test_prose_may_name_a_protocol(source: str) -> None:
    assert list(mentions(source)) == []
