"""SDKs built from toy protocols, as packages of one Go module, compiled once for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protogen import ir
from protogen.build import read_protocol
from protogen.output import Options
from protogen.problems import Problem, has_errors
from protogen.render import Templates
from protogen.targets.go.target import TARGET

HERE = Path(__file__).parent
MODULE = "protogen.test/sdk"

Go = Callable[..., subprocess.CompletedProcess[str]]


def load(root: Path, path: str) -> ir.Protocol:
    """The protocol of a schema file below the checkout's root."""
    protocol, problems = read_protocol(root / path, root=root)
    assert protocol is not None, problems
    assert not has_errors(problems)
    return protocol


def write_sdk(protocol: ir.Protocol, folder: Path, *, package: str) -> list[Problem]:
    """Writes an SDK as a package inside a module that the caller makes; its own go.mod is left out."""
    files, problems = TARGET.generate(protocol, Options(package=package, distribution=package), Templates())
    for file in files:
        if file.path != "go.mod":
            place = folder / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file.text, "utf-8", newline="\n")
    return problems


def write_module(folder: Path) -> None:
    (folder / "go.mod").write_text(f"module {MODULE}\n\ngo 1.24\n")


@pytest.fixture(scope="session")
def go(tool: Callable[[str], str]) -> Go:
    """Runs a Go tool offline: `go("vet", "./...", cwd=folder)`, or `go(..., program="gofmt")`."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}

    def run(
        *arguments: str, cwd: Path, program: str = "go", stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tool(program), *arguments],
            cwd=cwd,
            env=environment,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def toy(root: Path) -> ir.Protocol:
    return load(root, "tests/go_sdk/toy.json")


@pytest.fixture(scope="session")
def module(root: Path, toy: ir.Protocol, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module with the packages toy, hand and echo, our Go tests among them, and the program `agree`."""
    from tests.go_sdk.hand import PROTOCOL

    folder = tmp_path_factory.mktemp("go_sdk")
    write_module(folder)
    for name, protocol in (("toy", toy), ("hand", PROTOCOL), ("echo", load(root, "schemas/echo/protocol.json"))):
        assert not has_errors(write_sdk(protocol, folder / name, package=f"{MODULE}/{name}"))
        shutil.copytree(HERE / "go" / name, folder / name, dirs_exist_ok=True)
    shutil.copytree(HERE / "go" / "agree", folder / "agree")
    return folder


@pytest.fixture(scope="session")
def agree(module: Path, go: Go) -> Path:
    """The compiled program that decodes and encodes lines of samples."""
    done = go("build", "-o", "agree.bin", "./agree", cwd=module)
    assert done.returncode == 0, done.stderr
    return module / "agree.bin"
