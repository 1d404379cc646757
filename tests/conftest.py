"""What every test may use: the checkout's root, the tools of the other languages, and ../shared where it stands."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOL_FOLDERS = (Path(sys.prefix) / "toolchain" / "bin", ROOT / "node_modules" / ".bin")
WAYS_OUT = {
    "go": "run `make test`, which installs Go where the machine has none or an old one",
    "gofmt": "run `make test`, which installs Go where the machine has none or an old one",
    "node": "run `make test`, which installs Node where the machine has none or an old one",
    "npm": "run `make test`, which installs Node where the machine has none or an old one",
    "tsc": "run `make test` or `npm ci`, which installs TypeScript from package-lock.json",
    "prettier": "run `make test` or `npm ci`, which installs it from package-lock.json",
    "pyright": "run `make test` or `npm ci`, which installs it from package-lock.json",
    "git": "install git",
}


MUTANT_SEED = "PROTOGEN_MUTANT_SEED"


def pytest_configure() -> None:
    """Put what tools/setup.py provides first on PATH, for tests that are run without make.

    Settle the seed by which tests/compliance/mutants.py chooses, so that all processes of a run choose the same.
    """
    os.environ.setdefault(MUTANT_SEED, str(dt.date.today().toordinal()))
    folders = [str(folder) for folder in TOOL_FOLDERS if folder.is_dir()]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
    os.environ.setdefault("GOTOOLCHAIN", "local")


def pytest_report_header() -> str:
    """Say which mutants of the compliance kit have their turn."""
    return f"mutants: {MUTANT_SEED}={os.environ[MUTANT_SEED]}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Return the path of a program named in WAYS_OUT; a missing one fails the test and says how to get it."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.fail(f"{name} is missing; {WAYS_OUT[name]}", pytrace=False)
        return path

    return find


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared; where it is missing the test is skipped, in CI it fails."""
    folder = ROOT.parent / "shared"
    if folder.is_dir():
        return folder
    if os.environ.get("CI"):
        pytest.fail(f"CI has no {folder}; put it beside the checkout", pytrace=False)
    pytest.skip(f"needs {folder}")
