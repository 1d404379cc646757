"""The kit on a correct node: every clause that can be observed passes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

UNSEEN = "cannot be observed from outside"


def test_correct_node_passes_every_clause(judged: Callable[..., Any]) -> None:
    done = judged()
    assert done.texts() == {}
    assert done.code == 0, done.said
    open_ones = [it for it in done.run["verdicts"] if it["status"] in ("SKIPPED", "NOT_TESTED")]
    assert {it["clause"]: it["texts"] for it in open_ones if it["texts"] != [UNSEEN]} == {
        "AF-DATA-022": ["no task of this run reported progress; that depends on its executor"],
        "AF-ERR-012": ["profile auth was not asked for"],
        "AF-AUTH-001": ["profile auth was not asked for"],
        "AF-AUTH-002": ["profile auth was not asked for"] * 2,
    }


def test_correct_node_with_tokens_keeps_users_apart(judged: Callable[..., Any]) -> None:
    done = judged(auth=True)
    assert done.texts() == {}
    assert done.named("PASS") >= {"AF-ERR-012", "AF-AUTH-001", "AF-AUTH-002"}
    assert done.code == 0, done.said


def test_executor_that_is_missing_blocks_and_says_how_to_name_another(kit: Callable[..., Any], reference: Any) -> None:
    only = [part for name in ("AF-DEP-008", "AF-DEP-013", "AF-RPC-003") for part in ("--clause", name)]
    with reference.ReferenceNode() as node:
        node.executors["nap"] = node.executors.pop("sleep")
        done = kit(node.url, *only)
        assert {name: done.named(name) for name in ("PASS", "FAIL", "BLOCKED")} == {
            "PASS": {"AF-DEP-013", "AF-RPC-003"},
            "FAIL": set(),
            "BLOCKED": {"AF-DEP-008"},
        }
        assert done.code == 1
        assert "the node has no executor for 'slow' tasks; name one with --executor slow=NAME" in done.said
        named = kit(node.url, *only, "--executor", "slow=nap")
    assert (named.code, named.texts()) == (0, {})


def test_suite_runs_under_pytest_itself(reference: Any, root: Any) -> None:
    folder = root / "compliance" / "protogen_compliance" / "suites" / "apflow"
    options = ["-p", "protogen_compliance.plugin", "-q", "-c", os.devnull, "--rootdir", str(folder)]
    without = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "--import-mode=importlib"]
    with reference.ReferenceNode() as node:
        command = [sys.executable, "-P", "-m", "pytest", *options, *without, "--url", node.url]
        done = subprocess.run(
            [*command, str(folder / "test_envelope.py")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
