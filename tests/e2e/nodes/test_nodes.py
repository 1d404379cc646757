"""Small servers in TypeScript and Go on the generated handler interfaces keep their protocols, clause by clause."""

from __future__ import annotations

import json
import shlex
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sdk_programs

HERE = Path(__file__).parent
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
PROTOCOLS = ("apflow", "echo", "stepflow")
LANGUAGES = ("typescript", "go")

Programs = dict[str, Callable[[str], str]]


@pytest.fixture(scope="session")
def programs(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """From the name of a program to its command line, by language; compiled once."""
    folder = tmp_path_factory.mktemp("nodes")
    sources = sorted((HERE / "typescript").glob("*.ts"))
    scripts = sdk_programs.typescript(tool, folder / "typescript", sources, protocols=PROTOCOLS)
    binaries = sdk_programs.go(tool, folder / "go", HERE / "go", protocols=PROTOCOLS)
    return {
        "typescript": lambda name: shlex.join([tool("node"), str(scripts[name])]),
        "go": lambda name: shlex.quote(str(binaries / name)),
    }


def judged(folder: Path, target: str, *arguments: str) -> dict[str, list[str]]:
    """What the kit says of a target: the clauses by their status. A target that does not conform fails the test."""
    report = folder / "run.json"
    done = subprocess.run(
        [str(PROTOGEN), "test", target, "--json", str(report), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    verdicts: list[dict[str, Any]] = json.loads(report.read_bytes())["verdicts"]
    for verdict in verdicts:
        found.setdefault(verdict["status"], []).append(verdict["clause"])
    return found


@pytest.mark.parametrize("transport", ["http", "stdio"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_echo_keeps_json_rpc(programs: Programs, language: str, transport: str, tmp_path: Path) -> None:
    command = programs[language]("echo")
    target = f"stdio:{command} --stdio" if transport == "stdio" else command
    found = judged(tmp_path, target, "--protocol", "jsonrpc", "--method", 'add={"a":1,"b":2}')
    assert found.keys() == {"PASS", "SKIPPED"}
    assert len(found["PASS"]) >= 53


def test_echo_fits_its_document(programs: Programs, root: Path, tmp_path: Path) -> None:
    found = judged(tmp_path, programs["go"]("echo"), "--schema", str(root / "schemas" / "echo" / "protocol.json"))
    assert found.keys() == {"PASS"}


NOT_OFFERED = {"AF-A2A-002"}
"""The SHOULD that a small node does not keep: without the card of an agent, all of A2A is BLOCKED by it."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_node_keeps_apflow(programs: Programs, language: str, tmp_path: Path) -> None:
    profiles = ("--profile", "streaming", "--profile", "scheduling")
    found = judged(tmp_path, programs[language]("node"), "--protocol", "apflow", *profiles)
    assert found.keys() == {"PASS", "SKIPPED", "WARN", "BLOCKED"}
    assert set(found["WARN"]) == NOT_OFFERED
    assert set(found["BLOCKED"]) == {"AF-A2A-001", "AF-IND-006", "AF-STREAM-003", "AF-TRANS-006"}
    assert len(found["PASS"]) >= 220


@pytest.mark.parametrize("transport", ["http", "stdio"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_worker_keeps_stepflow(programs: Programs, language: str, transport: str, tmp_path: Path) -> None:
    command = programs[language]("worker")
    target = f"stdio:{command} --stdio" if transport == "stdio" else command
    found = judged(tmp_path, target, "--protocol", "stepflow", "--role", "worker")
    # A SHOULD: the document of health says nothing but that there is some.
    assert found.pop("WARN", []) == (["SF-HEALTH-003"] if transport == "http" else [])
    assert found.keys() == {"PASS", "SKIPPED"}
    assert len(found["PASS"]) >= (92 if transport == "http" else 65)
