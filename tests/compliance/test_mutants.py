"""Endpoints, workers and clients with one defect each: the clause that the defect is named after is the one finding.

All of them are run in soak, a few, which change from day to day, in every run.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib.util
import json
import random
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from protogen_compliance.suite import find

HERE = Path(__file__).resolve().parent
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
NAME = re.compile(r"[A-Z]{2}-[A-Z0-9]+-\d{3}(?::[a-z]+)?")
CLIENT = HERE / "reference_client.py"
ENDPOINT = ("--protocol", "jsonrpc", "--method", 'add={"a":5,"b":2}', "--executor", "fail=fail", "--profile", "batch")
WORKER = ("--protocol", "stepflow", "--profile", "callbacks")
EACH_RUN = 1


def defects(name: str) -> list[str]:
    """The names of the defects of a reference program."""
    tree = ast.parse((HERE / f"{name}.py").read_text("utf-8"))
    texts = (it.value for it in ast.walk(tree) if isinstance(it, ast.Constant))
    return sorted({it for it in texts if isinstance(it, str) and NAME.fullmatch(it)})


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"protogen_tests_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def findings(target: Iterable[str], folder: Path, *arguments: str) -> dict[str, list[str]]:
    """What the kit finds, consequences left out."""
    file = folder / "run.json"
    done = subprocess.run(
        [str(PROTOGEN), "test", *target, *arguments, "--json", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert file.exists(), done.stdout + done.stderr
    run: dict[str, Any] = json.loads(file.read_bytes())
    return {it["clause"]: it["texts"] for it in run["verdicts"] if it["status"] in ("FAIL", "WARN")}


def of_endpoint(defect: Iterable[str], folder: Path) -> dict[str, list[str]]:
    with module("reference_endpoint").ReferenceEndpoint(*defect) as running:
        return findings([running.url], folder, *ENDPOINT, "--timeout", "1")


def of_worker(defect: Iterable[str], folder: Path) -> dict[str, list[str]]:
    with module("reference_worker").ReferenceWorker(*defect) as running:
        return findings([running.url], folder, *WORKER, "--timeout", "5")


def of_client(defect: Iterable[str], folder: Path) -> dict[str, list[str]]:
    command = shlex.join([sys.executable, str(CLIENT), *defect])
    return findings(["--client", command], folder)


KINDS = {"endpoint": of_endpoint, "worker": of_worker, "client": of_client}
ALL = [(kind, defect) for kind in KINDS for defect in defects(f"reference_{kind}")]


def chosen() -> list[tuple[str, str]]:
    """The defects of the day: some of each kind but the slow one."""
    dice = random.Random(dt.date.today().toordinal())
    return [it for kind in ("endpoint",) for it in dice.sample([it for it in ALL if it[0] == kind], EACH_RUN)]


def check(kind: str, defect: str, folder: Path) -> None:
    found = KINDS[kind]([defect], folder)
    assert found.keys() == {defect.partition(":")[0]}, found


@pytest.mark.parametrize(("kind", "defect"), chosen())
def test_defect_of_the_day_is_the_one_finding(kind: str, defect: str, tmp_path: Path) -> None:
    check(kind, defect, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "defect"), ALL)
def test_defect_is_the_one_finding(kind: str, defect: str, tmp_path: Path) -> None:
    check(kind, defect, tmp_path)


def test_correct_endpoint_has_no_finding(tmp_path: Path) -> None:
    assert of_endpoint([], tmp_path) == {}


def test_correct_worker_has_no_finding(tmp_path: Path) -> None:
    assert of_worker([], tmp_path) == {}


def test_correct_client_has_no_finding(tmp_path: Path) -> None:
    assert of_client([], tmp_path) == {}


@pytest.mark.parametrize(
    ("kind", "protocol", "role", "share"),
    [
        ("endpoint", "jsonrpc", "server", 0.8),
        ("worker", "stepflow", "worker", 0.6),
        ("client", "jsonrpc", "client", 0.7),
    ],
)
def test_share_of_the_musts_that_have_a_defect(kind: str, protocol: str, role: str, share: float) -> None:
    clauses = find(protocol, role).clauses()
    broken = {defect.partition(":")[0] for it, defect in ALL if it == kind}
    assert broken <= {name for name, it in clauses.items() if not it.exclusion}
    musts = {name for name, it in clauses.items() if it.must and not it.exclusion}
    assert len(broken & musts) >= share * len(musts), sorted(musts - broken)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", "the command ended with 0 and called nobody"),
        ("sh -c 'sleep 60'", "the client neither succeeded nor failed within 0.5 s"),
        ("curl -sS {url}", "the command was to call 'echo' and sent GET"),
        ('curl -sS {url} -d \'{"method":"echo"}\' -o /dev/null', "gave a failure"),
    ],
)
def test_command_that_is_no_client(command: str, said: str) -> None:
    from click.testing import CliRunner

    from protogen.cli import cli

    done = CliRunner().invoke(cli, ["test", "--client", command, "--timeout", "0.5"])
    assert done.exit_code == 3, done.output
    assert said in done.output
    assert len(done.output.splitlines()) == 1


# --- our own programs -----------------------------------------------------------------------------

OUR_WORKER = {
    "SF-MSG-007": "the SDKs take an id with a fraction, which JSON-RPC only advises against",
    "SF-MSG-009": "the SDKs answer a request with id null, as JSON-RPC says",
    "SF-MSG-022": "the SDKs answer batches, as JSON-RPC says",
}
"""MUSTs of Stepflow that our workers do not keep, with why."""


@pytest.mark.soak
@pytest.mark.parametrize("over", ["stdio", "http"])
def test_our_worker_keeps_every_other_must(over: str, tmp_path: Path) -> None:
    program = f"{PROTOGEN} worker worker_components:app"
    target = f"stdio:{program} --stdio" if over == "stdio" else f"{program} --port 0 --announce"
    known = tmp_path / "known.toml"
    known.write_text("[known]\n" + "".join(f'{name} = "{why}"\n' for name, why in OUR_WORKER.items()), "utf-8")
    (tmp_path / "worker_components.py").write_text((HERE / "worker_components.py").read_text("utf-8"), "utf-8")
    done = subprocess.run(
        [str(PROTOGEN), "test", target, "--protocol", "stepflow", "--known", str(known)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.soak
@pytest.mark.parametrize(
    "command",
    [
        f"{PROTOGEN} call {{url}} {{method}} {{params}} --json",
        f"{sys.executable} {HERE / 'clients' / 'python_sdk.py'}",
    ],
    ids=["command", "python"],
)
def test_our_clients_have_no_finding(command: str, tmp_path: Path) -> None:
    assert findings(["--client", command], tmp_path) == {}
