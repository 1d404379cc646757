"""The reference node and runs of the kit against it."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from protogen.cli import cli

PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "interop")]
PROFILES = ("streaming", "scheduling", "durability")
AUTH_CLAUSES = ("AF-ERR-012", "AF-AUTH-001", "AF-AUTH-002")
TOKENS = {"kit-token": "kit-user", "other-token": "other-user"}


class KitRun(NamedTuple):
    """A finished run of the command."""

    code: int
    said: str
    run: dict[str, Any]

    def named(self, *statuses: str) -> set[str]:
        """The clauses that have one of the statuses."""
        return {it["clause"] for it in self.run["verdicts"] if it["status"] in statuses}

    def texts(self) -> dict[str, list[str]]:
        """What was said of each clause that is not in order."""
        bad = ("FAIL", "WARN", "BLOCKED")
        return {it["clause"]: [it["status"], *it["texts"]] for it in self.run["verdicts"] if it["status"] in bad}


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """tests/compliance/reference_node.py as a module."""
    spec = importlib.util.spec_from_file_location("protogen_tests_reference_node", HERE / "reference_node.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def mutants() -> ModuleType:
    """tests/compliance/mutants.py as a module."""
    name = "protogen_tests_mutants"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / "mutants.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def run_kit(url: str, folder: Path, *arguments: str) -> KitRun:
    """Runs the command on an address."""
    file = folder / "run.json"
    command = [str(PROTOGEN), "test", url, "--json", str(file)]
    if "--protocol" not in arguments and "--schema" not in arguments:
        command += ["--protocol", "apflow"]
    done = subprocess.run(
        [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, check=False
    )
    run = json.loads(file.read_bytes()) if file.exists() else {"verdicts": [], "tests": []}
    return KitRun(done.returncode, done.stdout + done.stderr, run)


@pytest.fixture
def refused() -> Callable[..., KitRun]:
    """Runs the kit on a target that is none, in this process: it ends before pytest would begin."""

    def run(target: str, *arguments: str) -> KitRun:
        protocol = () if "--protocol" in arguments else ("--protocol", "apflow")
        done = CliRunner().invoke(cli, ["test", target, *protocol, *arguments])
        return KitRun(done.exit_code, done.output, {"verdicts": [], "tests": []})

    return run


@pytest.fixture
def kit(tmp_path: Path) -> Callable[..., KitRun]:
    """Runs the kit on a URL, with further arguments of the command."""
    return lambda url, *arguments: run_kit(url, tmp_path, *arguments)


@pytest.fixture
def judged(reference: ModuleType, tmp_path: Path) -> Callable[..., KitRun]:
    """Runs the kit on a reference node with the given defects: all but authentication, or `auth` alone."""

    def judge(*defects: str, auth: bool = False, profiles: tuple[str, ...] = PROFILES) -> KitRun:
        with reference.ReferenceNode(*defects, tokens=TOKENS if auth else None) as node:
            arguments = auth_arguments() if auth else arguments_for(node.url, profiles)
            return run_kit(node.url, tmp_path, *arguments)

    return judge


def arguments_for(url: str, profiles: tuple[str, ...]) -> list[str]:
    """The arguments for some profiles of a node without authentication."""
    restart = f"import urllib.request as r; r.urlopen(r.Request('{url}/restart', b''))"
    chosen = [part for name in profiles for part in ("--profile", name)]
    return [*chosen, "--restart", f'{shlex.quote(sys.executable)} -c "{restart}"']


def auth_arguments() -> list[str]:
    """The arguments for the profile of authentication."""
    only = [part for name in AUTH_CLAUSES for part in ("--clause", name)]
    identities = ["--setting", "user=kit-user", "--other-header", "Authorization: Bearer other-token"]
    return [*only, "--profile", "auth", "--header", "Authorization: Bearer kit-token", *identities]
