"""Our own workers, runtime and clients under the kit."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
QUOTED = shlex.quote(str(PROTOGEN))


@pytest.mark.soak
@pytest.mark.parametrize("over", ["stdio", "http"])
def test_our_worker_keeps_every_must(over: str, tmp_path: Path) -> None:
    program = f"{QUOTED} worker worker_components:app"
    target = f"stdio:{program} --stdio" if over == "stdio" else f"{program} --port 0 --announce"
    (tmp_path / "worker_components.py").write_text((HERE / "worker_components.py").read_text("utf-8"), "utf-8")
    done = subprocess.run(
        [str(PROTOGEN), "test", target, "--protocol", "stepflow"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr


LENIENT = {
    "SF-STDIO-010": ["a line that cannot be read is skipped; the process goes on"],
    "SF-RUN-025": ["the API shows another run as the root of the one that a worker submitted"],
}
"""What our runtime keeps under the lenient reading only, or does not: libraries print (docs/decisions/0051), and runs
that a worker submits are below its own (docs/decisions/0053)."""


@pytest.mark.soak
@pytest.mark.parametrize("dialect", ["0.9", "0.11"])
def test_our_runtime_keeps_every_must(dialect: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    target = f"{QUOTED} serve stepflow --config {{config}} --db memory: --dialect {dialect} --port 0 --announce"
    profiles = ("stdio", "subprocess", "session-sse", "dialects", "http-api", "slow")
    asked = [part for name in profiles for part in ("--profile", name)]
    done = subprocess.run(
        [str(PROTOGEN), "test", target, "--protocol", "stepflow", "--role", "runtime", *asked, "--json", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run: dict[str, Any] = json.loads(file.read_bytes())
    assert run["conformant"], done.stdout
    assert {it["clause"]: it["texts"] for it in run["verdicts"] if it["status"] == "WARN"} == LENIENT


@pytest.mark.soak
@pytest.mark.parametrize(
    "command",
    [
        f"{QUOTED} call {{url}} {{method}} {{params}} --json",
        f"{sys.executable} {HERE / 'clients' / 'python_sdk.py'}",
    ],
    ids=["command", "python"],
)
def test_our_clients_have_no_finding(command: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    done = subprocess.run(
        [str(PROTOGEN), "test", "--client", command, "--json", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert file.exists(), done.stdout + done.stderr
    run: dict[str, Any] = json.loads(file.read_bytes())
    assert {it["clause"]: it["texts"] for it in run["verdicts"] if it["status"] in ("FAIL", "WARN")} == {}


def test_our_node_is_an_agent(tmp_path: Path) -> None:
    """Its messages of A2A, pushes included: the clauses of agents, every one."""
    (tmp_path / "node.toml").write_text("[executors]\nallow_private_addresses = true\n", "utf-8")
    node = f"{QUOTED} serve apflow --port 0 --announce --db memory: --config {tmp_path / 'node.toml'}"
    file = tmp_path / "run.json"
    done = subprocess.run(
        [str(PROTOGEN), "test", node, "--protocol", "a2a", "--profile", "push", "--json", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run: dict[str, Any] = json.loads(file.read_bytes())
    assert {it["status"] for it in run["verdicts"]} == {"PASS"}
