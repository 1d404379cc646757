"""Mutants: the reference program of each role with one defect, judged by the kit in processes that are kept.

A defect is named after the clause that it breaks, with a word after a colon where there are several; the reference
program says beside the name what it does. A program that has no defects is its own control. `Kind` says how a role is
opened and judged; `Judges` hands mutants to processes of their own, since the kit runs pytest within one.

Run one by hand: python tests/compliance/mutants.py KIND [DEFECT ...] [--part]
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import queue
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
NAME = re.compile(r"[A-Z]{2}-[A-Z0-9]+-\d{3}(?::[a-z0-9]+)?")
PARTS = 3
"""A run that is no soak judges one of so many parts of the mutants."""
SEED = "PROTOGEN_MUTANT_SEED"
PATIENCE_SECONDS = 180.0
"""How long one mutant may take, on a machine with other things to do."""
BAD = ("FAIL", "WARN")


class Kind(NamedTuple):
    """A role: the suite that judges it, and what opens its reference program with defects and says how to reach it.

    `opened` yields the settings as keywords; a `timeout` among them is short where a defect lets requests wait.
    `exceptions` names the MUSTs that no defect can break alone: each with a defect that breaks it along with its own
    clause, so that it is BLOCKED then, and why.
    """

    protocol: str
    role: str
    opened: Callable[[Sequence[str]], AbstractContextManager[dict[str, Any]]]
    exceptions: Mapping[str, tuple[str, str]]
    controls: tuple[str, ...] = ("",)
    """How it is opened without defects; an empty word for the way that most defects are."""
    quick: bool = False
    """Whether the whole suite takes so little that every run can judge a mutant by all of it."""
    slow: tuple[str, ...] = ()
    """Clauses whose tests wait for a minute, so that soak alone judges their defects."""


class Judged(NamedTuple):
    """What the kit said: FAIL and WARN with their texts, and what each BLOCKED clause is blocked by."""

    found: dict[str, list[str]]
    blocked: dict[str, list[str]]
    others: dict[str, str]
    """The status of every other clause."""


@cache
def program(kind: str) -> ModuleType:
    """The reference program of a kind."""
    name = f"protogen_tests_reference_{kind}"
    spec = importlib.util.spec_from_file_location(name, HERE / f"reference_{kind}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@cache
def defects(kind: str) -> list[str]:
    """The names of the defects that a reference program has."""
    tree = ast.parse((HERE / f"reference_{kind}.py").read_text("utf-8"))
    texts = (it.value for it in ast.walk(tree) if isinstance(it, ast.Constant))
    return sorted({it for it in texts if isinstance(it, str) and NAME.fullmatch(it)})


def clause_of(defect: str) -> str:
    """The clause that a defect breaks."""
    return defect.partition(":")[0]


# --- the roles ------------------------------------------------------------------------------------


@contextmanager
def node(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The node of apflow, with the profiles that its defect belongs to."""
    beginnings = {"AF-STREAM": "streaming", "AF-PUSH": "streaming", "AF-TIME-004": "scheduling"}
    beginnings["AF-STORE-014"] = "durability"
    profiles = {name for start, name in beginnings.items() for it in broken if it.startswith(start)}
    if {"AF-ERR-012", "AF-AUTH-002"} & {*broken}:
        with program("node").ReferenceNode(*broken, tokens={"kit-token": "kit", "other-token": "other"}) as running:
            yield {
                "url": running.url,
                "profiles": ("auth",),
                "headers": {"authorization": "Bearer kit-token"},
                "other_headers": {"authorization": "Bearer other-token"},
                "options": {"user": "kit", "other-user": "other"},
            }
        return
    path = "/rpc" if "AF-TRANS-003" in broken else "/"
    with program("node").ReferenceNode(*broken, path=path) as running:
        again = f"import urllib.request as r; r.urlopen(r.Request('{running.url}/restart', b''))"
        restart = shlex.join([sys.executable, "-I", "-c", again])
        yield {"url": running.url + path.rstrip("/"), "profiles": tuple(profiles), "restart": restart}


@contextmanager
def worker(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The worker of Stepflow, over what its defect belongs to; `stdio` and `command` open one without defects so."""
    command = [sys.executable, "-I", "-S", str(HERE / "reference_worker.py")]
    further = {"executors": {"prints": "/prints", "unwritable": "/unwritable"}, "timeout": 5.0}
    defects = [it for it in broken if NAME.fullmatch(it)]
    if any(it.startswith(("SF-STDIO", "stdio")) for it in broken):
        yield {**further, "target": f"stdio:{shlex.join([*command, '--stdio', *defects])}"}
    elif any(it.startswith(("SF-PROC", "command")) for it in broken):
        yield {**further, "target": shlex.join([*command, *defects])}
    else:
        profiles = ("callbacks", *(["session-sse"] if not defects or defects[0].startswith("SF-SESS") else []))
        with program("worker").ReferenceWorker(*defects) as running:
            yield {**further, "url": running.url, "profiles": profiles}


@contextmanager
def endpoint(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The endpoint of JSON-RPC."""
    with program("endpoint").ReferenceEndpoint(*broken) as running:
        yield {
            "url": running.url,
            "methods": ('add={"a":5,"b":2}',),
            "executors": {"fail": "fail"},
            "profiles": ("batch",),
            "timeout": 1.0,
        }


@contextmanager
def client(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The client of JSON-RPC, which the kit starts for each call."""
    words = (sys.executable, "-I", "-S", str(HERE / "reference_client.py"), *broken)
    slow = not broken or broken[0].startswith("KC-TIME")
    options = {"stall": "5"}  # longer than the program's own patience
    yield {"target": f"stdio:{shlex.join(words)}", "profiles": ("slow",) if slow else (), "options": options}


@contextmanager
def runtime(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The runtime of Stepflow, with the profiles that its defect shows in; without one, all but the slow one."""
    own: dict[str, tuple[str, ...]] = {
        "SF-STDIO": ("stdio",),
        "SF-SESS": ("session-sse",),
        "SF-PROC": ("subprocess",),
        "SF-EXEC-018": ("subprocess",),
        "SF-LIFE": ("http-api",),
        "SF-HTTP-021": ("slow",),
        "SF-SSE-024": ("slow",),
    }
    found = next((profiles for start, profiles in own.items() for it in broken if it.startswith(start)), ())
    if not broken:
        found = ("http-api", "dialects", "stdio", "session-sse", "subprocess")
    command = shlex.join([sys.executable, "-I", "-S", str(HERE / "reference_runtime.py")])
    yield {"target": " ".join([command, "{config}", *broken]), "profiles": found}


@contextmanager
def agent(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The agent of A2A, with two users."""
    tokens = {f"{name}-token": name for name in ("kit", "other")}
    with program("agent").ReferenceAgent(*broken, tokens=tokens) as running:
        yield {
            "url": running.url,
            "profiles": ("push",) if not broken or broken[0].startswith("AA-PUSH") else (),
            "headers": {"authorization": "Bearer kit-token"},
            "other_headers": {"authorization": "Bearer other-token"},
        }


@contextmanager
def document(broken: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The endpoint of a document of one's own."""
    with program("document").ReferenceDocument(*broken) as running:
        yield {"url": running.url, "schema": HERE / "shelf" / "protocol.json"}


SAME_TEST = "it says the same, and one test proves both"
OF_NODES = {
    "AF-NODE-001": ("AF-TRANS-001", SAME_TEST),
    "AF-STORE-002": ("AF-CREATE-002", SAME_TEST),
    "AF-STORE-004": ("AF-GET-002", SAME_TEST),
    "AF-STORE-009": ("AF-TREEQ-001", SAME_TEST),
    "AF-STORE-011": ("AF-CHILD-001", SAME_TEST),
    "AF-DELETE-001": ("AF-STORE-006", SAME_TEST),
    "AF-DELETE-002": ("AF-STORE-007", SAME_TEST),
    "AF-ERR-023": ("AF-ERR-009", "codes that are right each for itself differ"),
    "AF-CANCEL-003": ("AF-DATA-019", "the error of every cancelled task is looked at"),
    "AF-EXEC-005": ("AF-EXEC-008", "what may not be executed does not complete"),
    "AF-EXEC-009": ("AF-IND-005", "a flow that completes was executed by something"),
    "AF-EXECUTE-002": ("AF-IND-005", "it sums up the clauses on dependencies and priorities"),
    "AF-MGR-001": ("AF-DEP-007", "where each task waits for its dependencies, the order is legal"),
    "AF-MGR-003": ("AF-IND-005", "it sums up the clauses on execution, cancelling and failures"),
}

KINDS: dict[str, Kind] = {
    "node": Kind("apflow", "node", node, OF_NODES),
    "worker": Kind(
        *("stepflow", "worker", worker),
        exceptions={"SF-INIT-010": ("SF-HTTP-005", SAME_TEST)},
        controls=("", "stdio", "command"),
    ),
    "runtime": Kind("stepflow", "runtime", runtime, {}, slow=("SF-HTTP-021", "SF-SSE-024")),
    "endpoint": Kind("jsonrpc", "server", endpoint, {"JR-COMPAT-001": ("JR-RESP-003", SAME_TEST)}, quick=True),
    "agent": Kind("a2a", "agent", agent, {}, quick=True),
    "document": Kind("document", "server", document, {}, quick=True),
    "client": Kind("jsonrpc", "client", client, {"JR-COMPAT-001": ("JR-REQ-001", SAME_TEST)}),
}


@cache
def dependants(kind: str) -> dict[str, set[str]]:
    """Every clause with those whose tests build on it: what is BLOCKED where it is broken."""
    import pytest

    from protogen_compliance import plugin
    from protogen_compliance.suite import find

    found: dict[str, set[str]] = {}

    class Marks:
        def pytest_collection_finish(self, session: pytest.Session) -> None:
            for item in session.items:
                for name in (*plugin.marked(item, "clause"), *plugin.marked(item, "needs")):
                    found.setdefault(name, set()).update(plugin.marked(item, "clause"))

    folder = str(find(KINDS[kind].protocol, KINDS[kind].role).folder)
    options = ["-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--import-mode=importlib"]
    without = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "-p", "no:terminal", "--collect-only"]
    pytest.main([*options, *without, folder], plugins=[plugin, Marks()])
    return found


def judge(kind: str, broken: Sequence[str], *, whole: bool = True) -> Judged:
    """Runs the kit on a reference program, in this process; only what concerns the defects unless `whole`.

    A clause that looks at all that a run has seen may need the whole run to be broken by what it has seen.
    """
    if whole:
        return _judged(kind, broken, ())
    clauses = {clause_of(defect) for defect in broken}
    concerned = clauses.union(*(dependants(kind)[name] for name in clauses))
    concerned |= {name for name, (by, _) in KINDS[kind].exceptions.items() if by in broken}
    said = _judged(kind, broken, sorted(concerned))
    return said if clauses <= said.found.keys() else _judged(kind, broken, ())


def _judged(kind: str, broken: Sequence[str], only: Sequence[str]) -> Judged:
    from protogen_compliance.plugin import Settings
    from protogen_compliance.runner import run
    from protogen_compliance.suite import find

    it = KINDS[kind]
    with it.opened(broken) as told:
        settings = Settings(**{"target": told.get("url", ""), **told})
        done = run(find(it.protocol, it.role), settings, only=only)
    return Judged(
        {it.clause: it.texts for it in done.verdicts if it.status in BAD},
        {it.clause: it.blocked_by for it in done.verdicts if it.status == "BLOCKED"},
        {it.clause: it.status for it in done.verdicts if it.status not in (*BAD, "BLOCKED")},
    )


# --- which, and where -----------------------------------------------------------------------------


def seed() -> int:
    """The seed of this run, which tests/conftest.py settles: the day, unless somebody chose another."""
    return int(os.environ[SEED])


def controls() -> list[tuple[str, str]]:
    """Every kind with every way to open it without a defect."""
    return [(kind, how) for kind, it in KINDS.items() for how in it.controls]


def all_mutants() -> list[tuple[str, str]]:
    """Every kind with every one of its defects."""
    return [(kind, defect) for kind in KINDS for defect in defects(kind)]


def chosen() -> list[tuple[str, str]]:
    """The mutants whose turn it is: after PARTS seeds in a row each that is not slow has had one."""
    quick = [(kind, it) for kind, it in all_mutants() if clause_of(it) not in KINDS[kind].slow]
    return quick[seed() % PARTS :: PARTS]


class _Job(NamedTuple):
    kind: str
    broken: tuple[str, ...]
    whole: bool


class Judges:
    """Some processes that judge mutants, each one at a time, in the order in which they are asked."""

    def __init__(self, count: int) -> None:
        self._waiting: queue.Queue[tuple[_Job, Future[Judged]] | None] = queue.Queue()
        self._asked: dict[_Job, Future[Judged]] = {}
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def ask(self, kind: str, *broken: str, whole: bool = True) -> Future[Judged]:
        """What becomes of a program with these defects; asked twice, it is judged once.

        By all tests where `whole`, else by those of the broken clause and those that build on it.
        """
        job = _Job(kind, broken, whole or KINDS[kind].quick)
        if job not in self._asked:
            self._asked[job] = Future()
            self._waiting.put((job, self._asked[job]))
        return self._asked[job]

    def close(self) -> None:
        """Ends the processes; what is still waiting is cancelled."""
        while not self._waiting.empty():
            left = self._waiting.get()
            if left is not None:
                left[1].cancel()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _serve(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        while (asked := self._waiting.get()) is not None:
            job, future = asked
            if process is None:
                process = _start()
            try:
                future.set_result(_judged_by(process, job))
            except RuntimeError as reason:
                _end(process)
                process = None
                future.set_exception(reason)
        if process is not None:
            _end(process)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", str(HERE / "mutants.py"), "--serve"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _judged_by(process: subprocess.Popen[bytes], job: _Job) -> Judged:
    assert process.stdin is not None
    assert process.stdout is not None
    late = threading.Timer(PATIENCE_SECONDS, process.kill)
    late.start()
    try:
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    finally:
        late.cancel()
    if not line:
        raise RuntimeError(f"judging {job} ended the process, or took {PATIENCE_SECONDS:g} s")
    said = json.loads(line)
    if isinstance(said, str):
        raise RuntimeError(said)
    return Judged(*said)


def serve() -> None:
    """Judges one mutant for each line of standard input, and answers each with a line."""
    out = os.fdopen(os.dup(1), "w")  # what pytest or a program prints goes elsewhere
    os.dup2(2, 1)
    for line in sys.stdin:
        job = _Job(*json.loads(line))
        try:
            said: Any = judge(job.kind, job.broken, whole=job.whole)
        except Exception as reason:  # noqa: BLE001 - the process that asked says which mutant it was
            said = f"{job}: {type(reason).__name__}: {reason}"
        print(json.dumps(said), file=out, flush=True)


def main(words: Sequence[str]) -> None:
    """Judges one mutant and prints what is not in order; `--part` leaves out what the defect does not concern."""
    kind, *broken = [word for word in words if word != "--part"]
    said = judge(kind, broken, whole="--part" not in words)
    for name, texts in said.found.items():
        print(name, *texts, sep="\n    ")
    for name, causes in said.blocked.items():
        print(name, "BLOCKED by", *causes)
    print(f"{len(said.found)} findings, {len(said.blocked)} blocked")


if __name__ == "__main__":
    sys.path = [it for it in sys.path if it != str(HERE)]
    serve() if sys.argv[1:] == ["--serve"] else main(sys.argv[1:])
