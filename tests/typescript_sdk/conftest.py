"""The toy protocol, its SDK, and the SDK compiled: made once for all tests of this folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# pytest's importlib mode puts no folder of tests on sys.path; toy_sdk stands here.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from toy_sdk import HERE, generate, read, run, write

from protogen import ir


@pytest.fixture(scope="session")
def toy() -> ir.Protocol:
    """A protocol with one of everything, hostile names and texts among it."""
    return read(HERE / "toy.json")


@pytest.fixture(scope="session")
def sources(toy: ir.Protocol, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK as it is published, with the compiler's types beside it."""
    folder = write(generate(toy), tmp_path_factory.mktemp("toy"))
    (folder / "node_modules").symlink_to(root / "node_modules", target_is_directory=True)
    return folder


@pytest.fixture(scope="session")
def compiled(sources: Path, tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK with a user's code in it, built as its package.json says."""
    folder = tmp_path_factory.mktemp("compiled") / "toy"
    shutil.copytree(sources, folder, symlinks=True)
    shutil.copy(HERE / "usage.ts", folder / "src" / "usage.ts")
    run(tool("tsc"), "-p", "tsconfig.json", cwd=folder)
    run(tool("tsc"), "-p", "tsconfig.cjs.json", cwd=folder)
    run(tool("node"), "mark-modules.cjs", cwd=folder)
    return folder
