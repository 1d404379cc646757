"""Clauses: docs/reference/apflow-clauses.md, what the compliance kit says of our own node, clause by clause.

Usage: .venv/bin/python tools/clauses.py [--check]. Starts `protogen serve apflow`, once for everybody and once with
keys, runs the suite with every profile, and writes the page or says that it is stale.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "apflow-clauses.md"
SUITE = "../../compliance/protogen_compliance/suites/apflow"
PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
PROFILES = ("streaming", "scheduling", "durability")
AUTH_CLAUSES = ("AF-ERR-012", "AF-AUTH-001", "AF-AUTH-002")
START_SECONDS = 30

# The suite's callbacks come to 127.0.0.1.
OPEN_CONFIG = "[executors]\nallow_private_addresses = true\n"
KEYS_CONFIG = '[access.keys]\nkit-user = "a-key-of-the-kit"\nother-user = "a-key-of-another"\n'

HEAD = """\
# The apflow node, clause by clause

What the AI Partner Up Flow Protocol 1.0 asks of a node, in our words, which test of the
[compliance kit](../../compliance/protogen_compliance) shows it, and what that test says of `protogen serve apflow`. The
clauses are `schemas/apflow/clauses.json`; where the protocol leaves something open, the
[readings](../decisions/0003-schema-readings.md) decide. The page is made by `tools/clauses.py` from runs of the kit.

PASS: kept. WARN: a SHOULD that is not kept, or a clause that is kept under the lenient reading only. FAIL: not kept.
BLOCKED: not judged, because of another finding. SKIPPED: not judged, for the reason given.
"""

REASONS: dict[str, str] = {}
"""Clause to why our node does not pass it; one that it passes must not stand here."""


def main(arguments: list[str]) -> int:
    """Writes the page where it differs, or with --check says so; returns 0 done, 1 stale, 2 usage."""
    match arguments:
        case ["--restart", state]:
            return restart(Path(state))
        case [] | ["--check"]:
            pass
        case _:
            print("usage: clauses.py [--check]", file=sys.stderr)
            return 2
    text = page(judged())
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    print(f"{'stale' if arguments else 'written'}: {PAGE.relative_to(ROOT)}")
    if arguments:
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


def judged() -> list[dict[str, Any]]:
    """The kit's verdicts on our node: those of a run with every profile, and of one with two users for the rest."""
    with serving(OPEN_CONFIG) as (url, state):
        again = shlex.join([sys.executable, str(Path(__file__).resolve()), "--restart", str(state)])
        chosen = [part for name in PROFILES for part in ("--profile", name)]
        verdicts = run_kit(url, [*chosen, "--restart", again])
    with serving(KEYS_CONFIG) as (url, _):
        only = [part for name in AUTH_CLAUSES for part in ("--clause", name)]
        users = ["--setting", "user=kit-user", "--other-header", "Authorization: Bearer a-key-of-another"]
        headers = ["--header", "Authorization: Bearer a-key-of-the-kit"]
        with_users = {it["clause"]: it for it in run_kit(url, [*only, "--profile", "auth", *headers, *users])}
    return [with_users[it["clause"]] if it["clause"] in AUTH_CLAUSES else it for it in verdicts]


def run_kit(url: str, arguments: Sequence[str]) -> list[dict[str, Any]]:
    """What the kit says of a node, clause by clause; raises RuntimeError where it did not come to a verdict."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.json"
        command = [str(PROTOGEN), "test", url, "--protocol", "apflow", "--json", str(file)]
        done = subprocess.run(
            [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
        if not file.exists():
            raise RuntimeError(f"the kit did not run: {done.stderr or done.stdout}")
        verdicts: list[dict[str, Any]] = json.loads(file.read_bytes())["verdicts"]
        return verdicts


# --- the node -------------------------------------------------------------------------------------


@contextmanager
def serving(config: str) -> Generator[tuple[str, Path], None, None]:
    """Runs our node on a free port with a database of its own; yields its address and the file that restarts it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "node.toml").write_text(config, "utf-8")
        state = folder / "node.json"
        process = start(state, port=0)
        try:
            yield f"http://127.0.0.1:{json.loads(state.read_bytes())['port']}", state
        finally:
            stop(state, signal.SIGKILL)
            process.wait(timeout=START_SECONDS)


def start(state: Path, *, port: int) -> subprocess.Popen[bytes]:
    """Starts the node and writes its process and port to `state`."""
    folder = state.parent
    command = [str(PROTOGEN), "serve", "apflow", "--port", str(port), "--announce"]
    command += ["--config", str(folder / "node.toml"), "--db", f"sqlite:///{folder}/tasks.db"]
    with (folder / "node.log").open("ab") as log, (folder / "announced").open("wb") as announced:
        # It outlives this process where a restart is a command of its own.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=announced, stderr=log, start_new_session=True
        )
    with (folder / "announced").open("rb") as announced:
        line = b""
        while not line.endswith(b"\n"):
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                line += announced.readline()
            else:
                raise RuntimeError(f"the node did not start: {(folder / 'node.log').read_text('utf-8')}")
    state.write_text(json.dumps({"pid": process.pid, "port": json.loads(line)["port"]}), "utf-8")
    return process


def stop(state: Path, how: signal.Signals) -> int:
    """Ends the node's process; returns the port that it had."""
    was: dict[str, int] = json.loads(state.read_bytes())
    os.killpg(was["pid"], how)
    return was["port"]


def restart(state: Path) -> int:
    """Kills the node without warning and starts it again on the same port and database."""
    start(state, port=stop(state, signal.SIGKILL))
    return 0


# --- the page -------------------------------------------------------------------------------------


def page(verdicts: Iterable[dict[str, Any]]) -> str:
    """The page for the verdicts: nothing in it differs from run to run."""
    rows = ["| clause | level | what | tests | result |", "|---|---|---|---|---|"]
    counts: dict[str, int] = {}
    for verdict in verdicts:
        tests = ", ".join(dict.fromkeys(map(_linked, verdict["tests"])))
        cells = [verdict["clause"], verdict["level"], verdict["paraphrase"], tests, _result(verdict)]
        rows.append("| " + " | ".join(cells) + " |")
        counts[verdict["status"]] = counts.get(verdict["status"], 0) + 1
    told = ", ".join(f"{counts[status]} {status}" for status in sorted(counts))
    return "\n".join([HEAD, f"{sum(counts.values())} clauses: {told}.", "", *rows, ""])


def _linked(test: str) -> str:
    """A test's name, linked to its file; what chooses one of a table is left out."""
    file, _, name = test.partition("::")
    return f"[{name.partition('[')[0]}]({SUITE}/{file})"


def _result(verdict: dict[str, Any]) -> str:
    """The status, and why it is not PASS; texts of a run are not taken, since they tell ids and times."""
    status, clause = str(verdict["status"]), verdict["clause"]
    if status == "PASS":
        if clause in REASONS:
            raise ValueError(f"{clause} passes; take it out of REASONS")
        return status
    if clause in REASONS:
        return f"{status}: {REASONS[clause]}"
    if status == "BLOCKED":
        return f"{status} by {', '.join(sorted(set(verdict['blocked_by'])))}"
    return f"{status}: {verdict['texts'][0]}" if status == "SKIPPED" else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
