"""Schemathesis on the runtime's HTTP API as its own OpenAPI document describes it: no answer that it does not allow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from interop_env import announced

HERE = Path(__file__).resolve().parent
RUNTIME = ["-P", "-m", "protogen", "serve", "stepflow", "--port", "0", "--announce", "--db", "memory:"]
CONFIG = '{"plugins": {"builtin": {"type": "builtin"}}, "routes": {"/{*component}": [{"plugin": "builtin"}]}}'


def fuzz(folder: Path, dialect: str, *options: str, seconds: int) -> str:
    """What schemathesis said of a runtime, which has to be that nothing was found."""
    (folder / "config.yml").write_text(CONFIG, "utf-8")
    runtime = [sys.executable, *RUNTIME, "--config", str(folder / "config.yml"), "--dialect", dialect]
    with (folder / "log").open("wb") as log, announced(runtime, stderr=log) as port:
        address = f"http://127.0.0.1:{port}/api/v1/openapi.json"
        command = [str(Path(sys.executable).with_name("schemathesis"))]
        command += ["--config-file", str(HERE / "schemathesis.toml"), "run", address, "--no-color", "--seed", "1"]
        done = subprocess.run(
            [*command, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"Traceback" not in (folder / "log").read_bytes()
    return done.stdout


def test_no_answer_is_other_than_the_document_says(tmp_path: Path) -> None:
    said = fuzz(tmp_path, "0.9", "--phases", "coverage", seconds=120)
    assert "Selected: 17/17" in said
    assert "Tested: 17" in said


@pytest.mark.soak
@pytest.mark.parametrize("dialect", ["0.9", "0.11"])
def test_no_answer_is_other_than_the_document_says_at_length(tmp_path: Path, dialect: str) -> None:
    said = fuzz(tmp_path, dialect, "--max-examples", "100", seconds=540)
    assert "Tested: 17" in said
    assert "Stateful" in said
