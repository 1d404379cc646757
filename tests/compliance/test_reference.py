"""The kit on a correct node: every clause that can be observed passes."""

from __future__ import annotations

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
