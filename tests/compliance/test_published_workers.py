"""The kit on the published SDKs for workers of Stepflow: they break what is known, no more and no less."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from interop_env import WORKERS, environment

RELEASES = {"0.9": "0.9.2", "0.11": "0.11.2"}
SUITE = Path("compliance", "protogen_compliance", "suites", "stepflow")
PROGRAM = Path("tests", "interop", "endpoints", "stepflow_py_worker.py")


@pytest.mark.soak
@pytest.mark.interop
@pytest.mark.parametrize(("dialect", "failed"), [("0.9", 4), ("0.11", 5)])
def test_stepflow_py_breaks_what_is_known(kit: Callable[..., Any], root: Path, dialect: str, failed: int) -> None:
    command = shlex.join([str(environment(root, WORKERS[dialect])), str(root / PROGRAM)])
    spelt = () if dialect == "0.9" else ("--dialect", dialect)
    known = str(root / SUITE / f"stepflow-py-{RELEASES[dialect]}.toml")
    done = kit(command, "--protocol", "stepflow", "--role", "worker", *spelt, "--known", known)
    assert (done.code, done.run["stale"]) == (0, []), done.said[-3000:]
    assert len(done.named("FAIL")) == failed
    assert len(done.named("PASS")) >= 60
