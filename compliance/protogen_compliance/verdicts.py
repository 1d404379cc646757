"""Verdicts: from what the tests said to one verdict for each clause. Pure; knows neither pytest nor any wire.

One root cause gives one finding: a test that failed because of what another clause already reports is BLOCKED by it,
and where a test proves several clauses, because they say the same, its failure is the first one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from protogen_compliance.registry import Clause
from protogen_compliance.transcripts import Exchanged

Outcome = Literal["passed", "failed", "unmet", "lacking", "lost", "skipped"]
"""How a test ended: `unmet` where the node did not do what another clause demands, `lacking` a fixture
of the node, `lost` where the target went away."""

Status = Literal["PASS", "WARN", "FAIL", "BLOCKED", "SKIPPED", "NOT_TESTED"]

SEVERITY: tuple[Status, ...] = ("FAIL", "BLOCKED", "WARN", "PASS", "SKIPPED", "NOT_TESTED")
"""The status of a clause is the first of these that one of its tests gives."""


BINDING = ("MUST", "MUST NOT")
"""Levels that a target has to keep."""


class Evidence(msgspec.Struct, kw_only=True):
    """What one test said. `blame` names the clauses that an unmet expectation belongs to."""

    test: str
    clauses: tuple[str, ...]
    needs: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    outcome: Outcome = "passed"
    text: str = ""
    blame: tuple[str, ...] = ()
    warnings: list[str] = []
    notes: list[str] = []
    profile: str = ""
    seconds: float = 0.0
    exchanges: list[Exchanged] = []
    replay: str = ""
    """The id by which `protogen replay` finds the exchanges."""


class Verdict(msgspec.Struct, kw_only=True):
    """What became of one clause."""

    clause: str
    level: str
    paraphrase: str
    status: Status
    profile: str = ""
    """The profile that the clause belongs to; empty for the core."""
    source: str = ""
    texts: list[str] = []
    notes: list[str] = []
    blocked_by: list[str] = []
    tests: list[str] = []
    shown_by: list[str] = []
    """Those of `tests` that the status comes from."""
    known: str = ""
    """Why it is a known failure; empty where it is none."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one profile; `name` is empty for the core. `counts` has a number for every status.

    `musts` is how many clauses bind, whether they were looked at or not.
    """

    name: str
    asked: bool
    conformant: bool
    musts: int
    counts: dict[str, int]


def judge(clauses: Mapping[str, Clause], evidence: Iterable[Evidence], *, lost: str = "") -> list[Verdict]:
    """One verdict for every clause, in the order of `clauses`; `lost` says why the run ended early, where it did."""
    tests = [_within(test, clauses) for test in evidence]
    blocked = _blocked(tests)
    broken = {test.clauses[0] for at, test in enumerate(tests) if _failed(test) and at not in blocked and test.clauses}
    found: dict[str, list[_Finding]] = {}
    for at, test in enumerate(tests):
        for name in test.clauses:
            causes = blocked.get(at, ())
            if _failed(test) and not causes and name != test.clauses[0]:
                causes = test.clauses[:1]
            found.setdefault(name, []).append(_Finding(_status(clauses[name], test, causes), test, causes))
    verdicts = [_verdict(clause, found.get(clause.id, []), broken) for clause in clauses.values()]
    for verdict in verdicts:
        gone = any(it.test.outcome == "lost" for it in found.get(verdict.clause, ()))
        if lost and (gone or verdict.status == "NOT_TESTED"):
            verdict.status = "BLOCKED"
            verdict.texts = [lost]
    return verdicts


def _within(test: Evidence, clauses: Mapping[str, Clause]) -> Evidence:
    """The evidence without clauses that bind another role."""
    if all(name in clauses for name in test.clauses):
        return test
    return msgspec.structs.replace(test, clauses=tuple(name for name in test.clauses if name in clauses))


def conformant(verdicts: Iterable[Verdict]) -> bool:
    """Whether every MUST passed, or was skipped for a profile that was not asked for; False where nothing passed."""
    found = list(verdicts)
    return not any(map(breaks, found)) and any(it.level in BINDING and it.status == "PASS" for it in found)


def breaks(verdict: Verdict) -> bool:
    """Whether this verdict alone is why a target does not conform."""
    return verdict.level in BINDING and verdict.status in ("FAIL", "BLOCKED", "NOT_TESTED")


def by_profile(
    verdicts: Sequence[Verdict],
    *,
    asked: Iterable[str],
    known: Iterable[str] = (),
    evidence: Iterable[Evidence] = (),
) -> list[Profile]:
    """The verdict on the core and on each profile, those of `known` included that have no clause.

    One that was asked for and only adds tests to clauses of others is judged by these clauses.
    """
    groups: dict[str, list[Verdict]] = {"": [], **{name: [] for name in known}}
    for verdict in verdicts:
        groups.setdefault(verdict.profile, []).append(verdict)
    chosen = {"", *asked}
    proved: dict[str, set[str]] = {}
    for it in evidence:
        proved.setdefault(it.profile, set()).update(it.clauses)
    for name in chosen & groups.keys():
        groups[name] = groups[name] or [it for it in verdicts if it.clause in proved.get(name, ())]
    return [
        Profile(
            name=name,
            asked=name in chosen,
            conformant=name in chosen and _kept(group),
            musts=sum(it.level in BINDING for it in group),
            counts={status: sum(it.status == status for it in group) for status in SEVERITY},
        )
        for name, group in groups.items()
    ]


def _kept(group: Sequence[Verdict]) -> bool:
    """Whether a group is conformant; one that has no MUST at all only needs to have been looked at."""
    if any(it.level in BINDING for it in group):
        return conformant(group)
    return any(it.status in ("PASS", "WARN") for it in group)


class _Finding(NamedTuple):
    status: Status
    test: Evidence
    causes: tuple[str, ...]


def _failed(test: Evidence) -> bool:
    return test.outcome in ("failed", "unmet")


def _blocked(tests: list[Evidence]) -> dict[int, tuple[str, ...]]:
    """Positions of the tests that failed as a consequence, with the clauses that they are a consequence of."""
    failing = [at for at, test in enumerate(tests) if _failed(test)]
    causes = {at: {*tests[at].needs, *tests[at].blame} - {*tests[at].clauses} for at in failing}
    down = {name for at in failing if not causes[at] for name in tests[at].clauses}
    pending = [at for at in failing if causes[at]]
    blocked: dict[int, tuple[str, ...]] = {}
    while pending:
        decided = {at: tuple(sorted(causes[at] & down)) for at in pending if causes[at] & down}
        blocked.update(decided)
        if not decided:
            decided = {_first_cause(tests, pending, causes): ()}
        down.update(name for at in decided for name in tests[at].clauses)
        pending = [at for at in pending if at not in decided]
    return blocked


def _first_cause(tests: list[Evidence], pending: list[int], causes: Mapping[int, set[str]]) -> int:
    """The failure to take for a cause where each waits for another: one of a circle that waits for nothing else.

    A test that found its clause broken goes before one that could not begin.
    """
    waits = {at: {it for it in pending if causes[at] & {*tests[it].clauses}} for at in pending}

    def reached(start: int) -> set[int]:
        found: set[int] = set()
        ahead = [start]
        while ahead:
            new = waits[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    closed = [at for at in pending if all(at in reached(it) for it in reached(at))]
    return min(closed, key=lambda at: (tests[at].outcome != "failed", at))


def _status(clause: Clause, test: Evidence, causes: tuple[str, ...]) -> Status:
    if test.outcome == "skipped":
        return "SKIPPED"
    if test.outcome in ("lacking", "lost") or causes:
        return "BLOCKED"
    if _failed(test):
        return "FAIL" if clause.must else "WARN"
    return "WARN" if test.warnings else "PASS"


def _profile(clause: Clause, found: list[_Finding]) -> str:
    """The profile that the registry names, else the one that all tests of the clause belong to."""
    named = {it.test.profile for it in found}
    return clause.profile or (next(iter(named)) if len(named) == 1 else "")


def _verdict(clause: Clause, found: list[_Finding], broken: set[str]) -> Verdict:
    verdict = Verdict(
        clause=clause.id,
        level=clause.level,
        paraphrase=clause.paraphrase,
        source=clause.source,
        profile=_profile(clause, found),
        status="NOT_TESTED",
    )
    if clause.exclusion:
        verdict.status = "SKIPPED"
        verdict.texts = [clause.exclusion]
        return verdict
    if not found:
        return verdict
    seen = {it.status for it in found}
    verdict.status = next(status for status in SEVERITY if status in seen)
    verdict.tests = [it.test.test for it in found]
    verdict.notes = [note for it in found for note in it.test.notes]
    for it in found:
        if it.status == verdict.status:
            verdict.texts += [text for text in [it.test.text, *it.test.warnings] if text]
            verdict.shown_by.append(it.test.test)
            verdict.blocked_by += it.causes
    parts = sorted(name for name in broken - {clause.id} if any(name.startswith(it.test.sums) for it in found))
    if parts and verdict.status in ("PASS", "WARN"):
        verdict.status = "BLOCKED"
        verdict.blocked_by = parts
    return verdict
