"""The clients of the generated SDKs in TypeScript and Go, judged by the kit: they keep every clause on clients.

The one in Python is judged in the soak (`test_mutants.py`): it takes half a second to start, some fifty times.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import sdk_programs

HERE = Path(__file__).parent
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"


def typescript(tool: Callable[[str], str], folder: Path) -> str:
    """The command line of the client in TypeScript."""
    compiled = sdk_programs.typescript(tool, folder, [HERE / "typescript_sdk.ts"], protocols=("echo",))
    return shlex.join([tool("node"), str(compiled["typescript_sdk"])])


def go(tool: Callable[[str], str], folder: Path) -> str:
    """The command line of the client in Go."""
    return shlex.quote(str(sdk_programs.go(tool, folder, HERE / "go", protocols=("echo",)) / "sdk"))


@pytest.mark.parametrize("compiled", [typescript, go], ids=lambda it: it.__name__)
def test_client_keeps_every_clause(
    compiled: Callable[[Callable[[str], str], Path], str], tool: Callable[[str], str], tmp_path: Path
) -> None:
    report = tmp_path / "run.json"
    done = subprocess.run(
        [str(PROTOGEN), "test", "--client", compiled(tool, tmp_path / "sdk"), "--json", str(report)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads(report.read_bytes())["verdicts"]
    assert [it["clause"] for it in verdicts if it["status"] not in ("PASS", "SKIPPED")] == []
    assert sum(it["status"] == "PASS" for it in verdicts) >= 28
