"""A project in a temporary folder and the command line run inside this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from protogen import ir, registry
from protogen.cli import main
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem


class Result(NamedTuple):
    """What a command printed and how it left."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]
Project = Callable[..., Path]

THING = {"$defs": {"Thing": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}}


class Toy:
    """A target of three lines: one file a definition and one of all names."""

    name = "toy"
    summary = "definitions, one file each"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        head = "".join(f"# {line}\n" for line in header_lines(protocol))
        files = [
            GeneratedFile(path=f"types/{entry.name}.txt", text=f"{head}{entry!r}\n") for entry in protocol.definitions
        ]
        names = " ".join(entry.name for entry in protocol.definitions)
        return [*files, GeneratedFile(path="names.txt", text=f"{head}{names}\n")], []


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target `toy`, so that the pipeline is tested apart from any language."""
    module = ModuleType("toy_target")
    module.TARGET = Toy()  # type: ignore[attr-defined] # a module made by hand
    monkeypatch.setitem(sys.modules, "toy_target", module)
    monkeypatch.setitem(registry.BUILTIN, "toy", "toy_target")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `protogen` with the given words and returns exit code and output; any other exception fails the test."""

    def invoke(*words: str) -> Result:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["protogen", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capfd.readouterr()
        return Result(int(leaving.value.code or 0), printed.out, printed.err)

    return invoke


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Makes a project of one protocol `acme` from a schema (tree or text) and enters its folder."""

    def make(schema: Any = THING, *, targets: tuple[str, ...] = ("toy",)) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        text = schema if isinstance(schema, str) else json.dumps(schema, indent=2)
        (folder / "acme.json").write_text(text, "utf-8")
        listed = ", ".join(f'"{target}"' for target in targets)
        (folder / "protogen.toml").write_text(
            f'[project]\ntargets = [{listed}]\n[protocols.acme]\nschema = "acme.json"\n', "utf-8"
        )
        monkeypatch.chdir(folder)
        return folder

    return make
