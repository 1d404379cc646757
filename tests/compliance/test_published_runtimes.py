"""The kit on the published runtimes of Stepflow: they break what is known, no more and no less."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from interop_env import runtime_program

RELEASES = {"0.9": "0.9.0", "0.11": "0.11.1"}
SUITE = Path("compliance", "protogen_compliance", "suites", "stepflow")
PROFILES = ("http-api", "subprocess", "dialects")
"""Beside those that are chosen by themselves; "slow" takes a minute more, and both keep it."""


@pytest.mark.soak
@pytest.mark.interop
@pytest.mark.parametrize(("dialect", "failed", "passed"), [("0.9", 4, 90), ("0.11", 3, 75)])
def test_orchestrator_breaks_what_is_known(
    kit: Callable[..., Any], root: Path, dialect: str, failed: int, passed: int
) -> None:
    options = "--port 0 --config {config} --log-level error"
    command = f"{shlex.quote(str(runtime_program(root, dialect)))} {options}"
    profiles = [part for name in PROFILES for part in ("--profile", name)]
    known = str(root / SUITE / f"orchestrator-{RELEASES[dialect]}.toml")
    done = kit(command, "--protocol", "stepflow", "--role", "runtime", *profiles, "--known", known)
    assert (done.code, done.run["stale"]) == (0, []), done.said[-3000:]
    assert len(done.named("FAIL")) == failed
    assert len(done.named("PASS")) >= passed
    unknown = {it["clause"] for it in done.run["verdicts"] if it["status"] == "WARN" and not it["known"]}
    assert unknown == set()
