"""The toy protocol's SDK: generated, written, and handed to the tools that judge it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.output import GeneratedFile, Options
from protogen.render import Templates
from protogen.targets.typescript.target import TARGET

HERE = Path(__file__).resolve().parent
OPTIONS = Options(package="@protogen/toy", distribution="@protogen/toy")


def read(path: Path) -> ir.Protocol:
    """A protocol document as IR; warnings are no concern here."""
    protocol, problems = read_protocol(path, root=path.parent)
    assert protocol is not None, problems
    return protocol


def generate(protocol: ir.Protocol) -> list[GeneratedFile]:
    """The SDK of a protocol; a Problem fails the test."""
    files, problems = TARGET.generate(protocol, OPTIONS, Templates())
    assert problems == []
    return files


def text_of(files: Iterable[GeneratedFile], path: str) -> str:
    """The text of one of the files."""
    return next(file.text for file in files if file.path == path)


def write(files: Iterable[GeneratedFile], folder: Path) -> Path:
    """Writes generated files below `folder`."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, "utf-8")
    return folder


def run(*command: str, cwd: Path, given: str | None = None, **environment: str) -> str:
    """The output of a program; a failure of it fails the test with what it said."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


def definitions(protocol: ir.Protocol) -> dict[str, Any]:
    """The lowered schema's definitions."""
    found: dict[str, Any] = protocol.schema["definitions"]
    return found
