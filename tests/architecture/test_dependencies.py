"""Whatever our packages import is a dependency that pyproject.toml declares: nothing is there by another's grace."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("runtime", "codegen", "compliance")
OURS = re.compile(r"protogen|protogen_\w+|\w+_protocol")

BROUGHT = {"pydantic-core": "pydantic"}
"""Distributions of which another one requires exactly one version, so that a bound of ours could only disagree."""


def imported_packages(source: str) -> Iterator[str]:
    """The top-level names of absolute imports, those inside functions and under TYPE_CHECKING included."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case _:
                continue


def third_party(folder: str) -> dict[str, str]:
    """Package to one file that imports it."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        for name in imported_packages(file.read_text("utf-8")):
            if name not in sys.stdlib_module_names and not OURS.fullmatch(name):
                found.setdefault(name, str(file.relative_to(ROOT)))
    return found


def declared() -> set[str]:
    """Distributions that pyproject.toml asks for, in the normal form of their names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {normal(re.split(r"[<>=!~;\[ ]", text, maxsplit=1)[0]) for text in project["dependencies"]}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions_of(package: str) -> set[str]:
    """The installed distributions that have a package: more than one for a namespace such as opentelemetry."""
    names = (normal(name) for name in packages_distributions().get(package, ()))
    return {BROUGHT.get(name, name) for name in names}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_import_is_a_declared_dependency(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    undeclared = {name: file for name, file in third_party(folder).items() if not distributions_of(name) & declared()}
    assert undeclared == {}, "add them to dependencies in pyproject.toml, then run `make lock`"


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b\nfrom . import c\nfrom d.e import f\ndef g():\n    import h\nif T:\n    from i import j\n"
    assert set(imported_packages(source)) == {"a", "d", "h", "i"}
