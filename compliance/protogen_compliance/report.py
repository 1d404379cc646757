"""The console report: one line for each clause, what failed with its transcript, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from protogen_compliance.verdicts import SEVERITY, Verdict, conformant


def lines(verdicts: Sequence[Verdict], *, seconds: float) -> Iterator[str]:
    """The report, findings last."""
    for verdict in verdicts:
        yield f"{verdict.status:<10} {verdict.clause:<14} {verdict.level:<10} {verdict.paraphrase}"
    for status in ("WARN", "BLOCKED", "FAIL"):
        for verdict in verdicts:
            if verdict.status == status:
                yield from _finding(verdict)
    yield ""
    yield summary(verdicts, seconds=seconds)


def summary(verdicts: Sequence[Verdict], *, seconds: float) -> str:
    """One line: how many clauses have each status, and the verdict."""
    counts = Counter(verdict.status for verdict in verdicts)
    told = ", ".join(f"{counts[status]} {status}" for status in SEVERITY if counts[status])
    verdict = "conformant" if conformant(verdicts) else "not conformant"
    return f"{verdict}: {len(verdicts)} clauses, {told} in {seconds:.1f} s"


def _finding(verdict: Verdict) -> Iterator[str]:
    yield ""
    cause = f" by {', '.join(sorted(set(verdict.blocked_by)))}" if verdict.blocked_by else ""
    yield f"{verdict.status}{cause}: {verdict.clause} ({verdict.level}) {verdict.paraphrase}"
    yield from _indented(verdict.texts)
    if verdict.status == "FAIL":
        yield from _indented(verdict.transcript[-4:])
        yield from _indented(verdict.curl[:1])


def _indented(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.splitlines():
            yield f"    {line}"
