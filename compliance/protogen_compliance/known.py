"""Known failures: a file that names clauses which a target is known to break, each with its reason.

They still run, and their findings are still shown; they do not decide the exit code. One that passes now fails the
run, so that the list cannot rot.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

from protogen_compliance.verdicts import Verdict


class WrongFile(Exception):
    """A file cannot be used; the text says which one and what was expected."""


def read_known(path: Path, clauses: Collection[str]) -> dict[str, str]:
    """Clause to reason, from a TOML file with a table `known`; raises WrongFile."""
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as reason:
        raise WrongFile(f"{path}: {reason}") from None
    table = tree.get("known")
    if not isinstance(table, dict) or len(tree) != 1:
        raise WrongFile(f'{path}: expected one table [known] with lines such as AF-RPC-010 = "reason"')
    for name, why in table.items():
        if name not in clauses:
            raise WrongFile(f"{path}: there is no clause {name!r} in this suite")
        if not isinstance(why, str) or not why.strip():
            raise WrongFile(f"{path}: {name} needs a reason, got {why!r}")
    return dict(table)


def apply(known: dict[str, str], verdicts: Sequence[Verdict]) -> list[str]:
    """Marks the verdicts that are known failures; returns the clauses that were expected to fail and passed.

    What is BLOCKED by known failures alone is known, too, and so is what that blocks.
    """
    for verdict in verdicts:
        if verdict.status in ("FAIL", "WARN", "BLOCKED") and verdict.clause in known:
            verdict.known = known[verdict.clause]
    names = set(known)
    while True:
        follow = [it for it in verdicts if it.status == "BLOCKED" and not it.known and _is_caused_by(it, names)]
        for verdict in follow:
            verdict.known = f"because of {', '.join(sorted(set(verdict.blocked_by)))}"
            names.add(verdict.clause)
        if not follow:
            break
    return [it.clause for it in verdicts if it.clause in known and it.status == "PASS"]


def _is_caused_by(verdict: Verdict, names: Collection[str]) -> bool:
    return bool(verdict.blocked_by) and all(name in names for name in verdict.blocked_by)
