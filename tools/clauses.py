"""Clauses: docs/reference/apflow-clauses.md, what the compliance kit says of our own node, clause by clause.

Usage: .venv/bin/python tools/clauses.py [--check]. Starts `protogen serve apflow`, runs the suite with every profile
that a node without authentication can have, and writes the page or says that it is stale.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "apflow-clauses.md"
SUITE = "../../compliance/protogen_compliance/suites/apflow"
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
PROFILES = ("streaming", "scheduling")

HEAD = """\
# The apflow node, clause by clause

What the AI Partner Up Flow Protocol 1.0 asks of a node, in our words, which test of the
[compliance kit](../../compliance/protogen_compliance) shows it, and what that test says of `protogen serve apflow`. The
clauses are `schemas/apflow/clauses.json`; where the protocol leaves something open, the
[readings](../decisions/0003-schema-readings.md) decide. The page is made by `tools/clauses.py` from a run of the kit.

PASS: kept. WARN: a SHOULD that is not kept, or a clause kept under the lenient reading only. FAIL: not kept. BLOCKED:
not judged, because of another finding. SKIPPED: not judged, for the reason given.
"""


def main(arguments: list[str]) -> int:
    """Writes the page where it differs, or with --check says so; returns 0 done, 1 stale, 2 usage."""
    if arguments not in ([], ["--check"]):
        print("usage: clauses.py [--check]", file=sys.stderr)
        return 2
    with serving() as url:
        text = page(judged(url))
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    print(f"{'stale' if arguments else 'written'}: {PAGE.relative_to(ROOT)}")
    if arguments:
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


@contextmanager
def serving(*options: str) -> Generator[str, None, None]:
    """Runs our node on a free port with a database of its own; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(PROTOGEN), "serve", "apflow", "--port", "0", "--announce", *options]
        command += ["--db", f"sqlite:///{folder}/tasks.db"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
            finally:
                process.terminate()
                process.wait(timeout=30)


def judged(url: str, *arguments: str) -> dict[str, Any]:
    """What the kit says of a node, as its JSON report."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.json"
        command = [sys.executable, "-P", "-m", "protogen_compliance", url, "--protocol", "apflow", "--json", str(file)]
        command += [part for name in PROFILES for part in ("--profile", name)]
        done = subprocess.run(
            [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
        if not file.exists():
            raise RuntimeError(f"the kit did not run: {done.stderr or done.stdout}")
        report: dict[str, Any] = json.loads(file.read_bytes())
        return report


def page(report: dict[str, Any]) -> str:
    """The page for a report: nothing in it differs from run to run."""
    rows = ["| clause | level | what | tests | result |", "|---|---|---|---|---|"]
    for verdict in report["verdicts"]:
        tests = ", ".join(dict.fromkeys(map(_linked, verdict["tests"])))
        result = verdict["status"] + (f": {_reason(verdict)}" if verdict["status"] != "PASS" else "")
        rows.append(f"| {verdict['clause']} | {verdict['level']} | {verdict['paraphrase']} | {tests} | {result} |")
    counts: dict[str, int] = {}
    for verdict in report["verdicts"]:
        counts[verdict["status"]] = counts.get(verdict["status"], 0) + 1
    told = ", ".join(f"{counts[status]} {status}" for status in sorted(counts))
    return "\n".join([HEAD, f"{len(report['verdicts'])} clauses: {told}.", "", *rows, ""])


def _linked(test: str) -> str:
    """A test's name, linked to its file; what chooses one of a table is left out."""
    file, _, name = test.partition("::")
    return f"[{name.partition('[')[0]}]({SUITE}/{file})"


def _reason(verdict: dict[str, Any]) -> str:
    """Why a clause did not pass; the first line, since texts may tell ids and times."""
    if verdict["status"] in ("WARN", "FAIL", "BLOCKED"):
        return "see the run" if not verdict["blocked_by"] else f"by {', '.join(verdict['blocked_by'])}"
    return str(verdict["texts"][0]) if verdict["texts"] else "no test"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
