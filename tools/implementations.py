"""Implementations: docs/reference/implementations.md, what the compliance kit says of nodes, workers and libraries.

Usage: .venv/bin/python tools/implementations.py [--check | --only TEXT]. Starts each implementation as it is published
(installed into an environment of its own from its lock), runs `protogen test` on it, and writes what came to
implementations.json beside the page. `--only` judges those whose name contains the text and keeps the other rows;
`--check` says whether the page is what the JSON asks for, and judges nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "interop"), str(ROOT / "bench")]

# Of the tests, which are no package of ours for type checkers.
interop: Any = importlib.import_module("interop_env")

PAGE = ROOT / "docs" / "reference" / "implementations.md"
DATA = PAGE.with_suffix(".json")
ENDPOINTS = ROOT / "tests" / "interop" / "endpoints"
SUITES = ROOT / "compliance" / "protogen_compliance" / "suites"
BIN = Path(sysconfig.get_path("scripts"))
KIT_SECONDS = 600
CALLBACKS = "[executors]\nallow_private_addresses = true\n"
"""The kit's callbacks come to 127.0.0.1, where our node sends none unless it is told to."""
OUR_COMPONENTS = ROOT / "tests" / "compliance"

HEAD = """\
# Implementations, clause by clause

What `protogen test` says of programs that speak JSON-RPC: nodes of apflow, workers and runtimes of Stepflow, and
libraries whose endpoints add two numbers. Each was installed as it is published, in an environment of its own, and run
with its defaults. The page is made by `tools/implementations.py`, all of it in one go; the numbers are in
[implementations.json](implementations.json), and [test your node](../how-to/test-a-node.md) says how to make your own.

A row counts clauses: *broken* are MUSTs that FAIL, *missed* SHOULDs that are not kept (WARN), *kept* those that PASS,
and *not seen* those that were BLOCKED by another finding, SKIPPED for a stated reason, or not tested.
*Conformant* is a program that keeps every MUST of the profiles it was judged by.
"""


Running: TypeAlias = Callable[[Path], AbstractContextManager[str]]
"""Runs an implementation, with a folder of its own, and gives the target of `protogen test`."""


class Subject(NamedTuple):
    """An implementation: what it is, and how `protogen test` is told of it while `running` lasts.

    `shown` is the target as a reader would type it.
    """

    name: str
    version: str
    kind: str
    options: tuple[str, ...]
    running: Running
    shown: str

    @property
    def command(self) -> str:
        """The command as a reader would type it."""
        options = [it.replace(f"{ROOT}{os.sep}", "") for it in self.options]
        return shlex.join(["protogen", "test", self.shown, *options])


def main(arguments: list[str]) -> int:
    """Judges and writes, or checks; returns 0 done, 1 stale or not judged, 2 usage."""
    match arguments:
        case ["--check"]:
            fresh = PAGE.read_text("utf-8") == page(json.loads(DATA.read_bytes()))
            if not fresh:
                print(f"stale: {PAGE.relative_to(ROOT)}")
            return 0 if fresh else 1
        case []:
            chosen = subjects()
        case ["--only", text]:
            chosen = [it for it in subjects() if text in it.name]
        case _:
            print("usage: implementations.py [--check | --only TEXT]", file=sys.stderr)
            return 2
    if not chosen:
        print(f"no implementation has {arguments[-1]!r} in its name", file=sys.stderr)
        return 2
    rows: dict[tuple[str, str, str], Any] = {}
    if arguments:
        rows = {_key(it): it for it in json.loads(DATA.read_bytes())["implementations"]}
    for subject in chosen:
        row = judged(subject)
        rows[_key(row)] = row
        print(f"{subject.name} {subject.version}, {subject.kind}: {row['counts']}", flush=True)
    order = {(it.name, it.version, it.kind): number for number, it in enumerate(subjects())}
    kept = sorted((it for key, it in rows.items() if key in order), key=lambda it: order[_key(it)])
    told = {"format": "protogen-implementations/1", "kit": version_of("protogen-jsonrpc"), "implementations": kept}
    DATA.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(told), "utf-8")
    return 0


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["name"], row["version"], row["kind"]


# --- judging ------------------------------------------------------------------------------------------


def judged(subject: Subject) -> dict[str, Any]:
    """What the kit says of an implementation. Errors: RuntimeError where it came to no verdict."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with subject.running(folder) as target:
            run = run_kit(target, subject.options, folder / "run.json")
    return {
        "name": subject.name,
        "version": subject.version,
        "kind": subject.kind,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": subject.command,
        "conformant": run["conformant"] and not run["lost"],
        "lost": run["lost"],
        "counts": counted(run["verdicts"]),
        "profiles": [
            {"name": it["name"] or "core", "conformant": it["conformant"], "musts": it["musts"]}
            for it in run["profiles"]
            if it["asked"]
        ],
        "findings": [
            {"clause": it["clause"], "level": it["level"], "status": it["status"], "paraphrase": it["paraphrase"]}
            for it in run["verdicts"]
            if it["status"] in ("FAIL", "WARN")
        ],
    }


def counted(verdicts: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many clauses are broken, missed, kept and not seen."""
    names = {"FAIL": "broken", "WARN": "missed", "PASS": "kept"}
    counts = dict.fromkeys((*names.values(), "not seen"), 0)
    for it in verdicts:
        counts[names.get(it["status"], "not seen")] += 1
    return counts


def run_kit(target: str, options: Sequence[str], file: Path) -> dict[str, Any]:
    """The kit's report on a target. Errors: RuntimeError, with what the kit said instead."""
    command = [str(BIN / "protogen"), "test", target, *options, "--json", str(file)]
    # Known failures decide the exit code, not the verdicts: the table shows them like all others.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=KIT_SECONDS, check=False
    )
    if not file.exists():
        raise RuntimeError(f"{shlex.join(command)}: exit {done.returncode}\n{done.stderr or done.stdout}")
    run: dict[str, Any] = json.loads(file.read_bytes())
    return run


# --- the implementations ------------------------------------------------------------------------------


def subjects() -> list[Subject]:
    """All of them, in the page's order."""
    ours = version_of("protogen-jsonrpc")
    return [*_apflow(ours), *_workers(ours), *_runtimes(ours), *_endpoints(ours)]


def _apflow(ours: str) -> list[Subject]:
    kind, options = "node of apflow", ("--protocol", "apflow", "--profile", "streaming")
    mine = ["protogen", "serve", "apflow", "--port", "0", "--announce", "--db", "memory:"]
    reference = (*options, "--dialect", "apflow-0.18")
    return [
        Subject("protogen serve apflow", ours, kind, options, _served(mine, config=CALLBACKS), "http://127.0.0.1:8000"),
        Subject("apflow", "0.18.2", kind, reference, _reference_node, "http://127.0.0.1:8000/tasks"),
    ]


@contextmanager
def _reference_node(folder: Path) -> Generator[str]:
    # Of bench/, which is no package of ours for type checkers.
    nodes: Any = importlib.import_module("apflow.nodes")
    with nodes.reference(folder, _free_port()) as node:
        yield node.url


def _workers(ours: str) -> list[Subject]:
    kind, options = "worker of Stepflow", ("--protocol", "stepflow", "--role", "worker")
    mine = ["protogen", "worker", "worker_components:app", "--port", "0", "--announce"]
    found = [
        Subject(
            "protogen worker",
            ours,
            kind,
            options,
            _served(mine, cwd=OUR_COMPONENTS),
            " ".join(mine),
        )
    ]
    program = ENDPOINTS / "stepflow_py_worker.py"
    for release, lock in (("0.9.2", "interop-stepflow-s1"), ("0.11.2", "interop-stepflow-s2")):
        # The second release speaks the second dialect alone.
        dialect = () if release == "0.9.2" else ("--dialect", "0.11")
        shown = f"python {program.relative_to(ROOT)}"
        found.append(Subject("stepflow-py", release, kind, (*options, *dialect), _python(lock, program), shown))
    return found


def _runtimes(ours: str) -> list[Subject]:
    kind, options = "runtime of Stepflow", ("--protocol", "stepflow", "--role", "runtime")
    mine = "protogen serve stepflow --port 0 --announce --db memory: --config {config}"
    found = [
        Subject(
            "protogen serve stepflow",
            ours,
            kind,
            options,
            _command(mine.replace("protogen", shlex.quote(str(BIN / "protogen")), 1)),
            mine,
        )
    ]
    for release, dialect in (("0.9.0", "0.9"), ("0.11.1", "0.11")):
        shown = "stepflow-server --port 0 --config {config}"
        found.append(Subject("stepflow-orchestrator", release, kind, options, _orchestrator(dialect), shown))
    return found


def _endpoints(ours: str) -> list[Subject]:
    kind = "endpoint of JSON-RPC"
    options = ("--protocol", "jsonrpc", "--method", 'add={"a":1,"b":2}', "--executor", "fail=fail")
    lock = "interop-jsonrpc"
    locked = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    packages = json.loads((ENDPOINTS / "node" / "package.json").read_bytes())["dependencies"]
    module = (ENDPOINTS / "go" / "go.mod").read_text("utf-8")
    served = ["protogen", "serve", "echo", "--port", "0", "--announce"]
    in_python = {"jsonrpcserver": "with_jsonrpcserver.py", "json-rpc": "with_json_rpc.py"}
    in_javascript = {"jayson": "with_jayson.mjs", "json-rpc-2.0": "with_json_rpc_2_0.mjs"}
    folder = ENDPOINTS.relative_to(ROOT)
    return [
        Subject(
            "protogen serve echo", ours, kind, options, _served([str(BIN / served[0]), *served[1:]]), " ".join(served)
        ),
        *(
            Subject(
                name,
                _pinned(locked, rf"^{name}==(\S+)"),
                kind,
                options,
                _python(lock, ENDPOINTS / file),
                f"python {folder}/{file}",
            )
            for name, file in in_python.items()
        ),
        *(
            Subject(name, packages[name], kind, options, _javascript(file), f"node {folder}/node/{file}")
            for name, file in in_javascript.items()
        ),
        Subject("jrpc2", _pinned(module, r"jrpc2 v(\S+)"), kind, options, _go_program, f"go run ./{folder}/go"),
    ]


def _pinned(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"no version matches {pattern}")
    return found[1]


# --- how they are started -----------------------------------------------------------------------------


def _python(lock: str, program: Path) -> Running:
    """A program in the environment of a lock, as a command."""
    return lambda _: nullcontext(shlex.join([str(interop.environment(ROOT, lock)), str(program)]))


def _command(target: str) -> Running:
    """A command that needs nothing more."""
    return lambda folder: nullcontext(target)


def _orchestrator(dialect: str) -> Running:
    """The published runtime of a dialect, as a command."""
    options = "--port 0 --config {config} --log-level error"
    return lambda _: nullcontext(f"{shlex.quote(str(interop.runtime_program(ROOT, dialect)))} {options}")


def _javascript(name: str) -> Running:
    """An endpoint on Node, as a command."""
    return lambda _: nullcontext(shlex.join([_tool("node"), str(_node_packages() / name)]))


@functools.cache
def _node_packages() -> Path:
    """The folder of the endpoints in JavaScript, its packages installed."""
    folder = ENDPOINTS / "node"
    if not (folder / "node_modules").exists():
        subprocess.run([_tool("npm"), "ci", "--silent"], cwd=folder, check=True)
    return folder


def _tool(name: str) -> str:
    """A program of the toolchains, of the machine or beside our own."""
    return shutil.which(name, path=f"{BIN.parent / 'toolchain' / 'bin'}{os.pathsep}{os.environ['PATH']}") or name


@contextmanager
def _go_program(folder: Path) -> Generator[str]:
    program = folder / "endpoint"
    subprocess.run([_tool("go"), "build", "-o", str(program), "."], cwd=ENDPOINTS / "go", check=True)
    yield shlex.quote(str(program))


def _served(command: list[str], *, cwd: Path | None = None, config: str = "") -> Running:
    """`protogen` with a command that announces its port, as an address."""

    @contextmanager
    def running(folder: Path) -> Generator[str]:
        whole = [str(BIN / command[0]), *command[1:]]
        if config:
            (folder / "config.toml").write_text(config, "utf-8")
            whole += ["--config", str(folder / "config.toml")]
        with (folder / "log").open("wb") as log, interop.announced(whole, cwd=cwd or folder, stderr=log) as port:
            yield f"http://127.0.0.1:{port}"

    return running


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- the page -----------------------------------------------------------------------------------------


def page(told: dict[str, Any]) -> str:
    """The page for what was judged."""
    lines = [HEAD]
    kinds = list(dict.fromkeys(it["kind"] for it in told["implementations"]))
    for kind in kinds:
        rows = [it for it in told["implementations"] if it["kind"] == kind]
        lines += [f"## {kind[0].upper()}{kind[1:]}", ""]
        lines += ["| implementation | version | judged | result | broken | missed | kept | not seen |"]
        lines += ["|---|---|---|---|---:|---:|---:|---:|"]
        for it in rows:
            result = "ended early" if it["lost"] else "conformant" if it["conformant"] else "not conformant"
            counts = " | ".join(str(it["counts"][name]) for name in ("broken", "missed", "kept", "not seen"))
            lines.append(f"| {it['name']} | {it['version']} | {it['date']} | {result} | {counts} |")
        lines.append("")
        for it in rows:
            lines += _of(it)
    return "\n".join(lines).rstrip("\n") + "\n"


def _of(row: dict[str, Any]) -> list[str]:
    """An implementation's section: the command, the profiles, and what it breaks."""
    lines = [f"### {row['name']} {row['version']}", "", "```text", row["command"], "```", ""]
    profiles = (
        f"{it['name']} ({it['musts']} MUSTs{'' if it['conformant'] else ', not conformant'})" for it in row["profiles"]
    )
    lines += [f"Profiles: {', '.join(profiles)}.", ""]
    if row["lost"]:
        lines += [f"The run ended early: {row['lost']}", ""]
    if row["findings"]:
        lines += ["| clause | level | what |  |", "|---|---|---|---|"]
        lines += [
            f"| {it['clause']} | {it['level']} | {it['paraphrase'].replace('|', chr(92) + '|')} | {it['status']} |"
            for it in row["findings"]
        ]
        lines.append("")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
