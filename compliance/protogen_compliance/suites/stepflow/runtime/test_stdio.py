"""stdio: a worker that the runtime starts and speaks to in lines."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.plugin import Record, Settings, Unmet
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.runtime.callbacks import code, get, put, result
from protogen_compliance.suites.stepflow.runtime.launching import Launched, launched, or_lacking
from protogen_compliance.suites.stepflow.runtime.lines import NAME, Call, LineWorker
from protogen_compliance.suites.stepflow.runtime.programs import Program
from protogen_compliance.suites.stepflow.runtime.stage import Outcome, Stage

STDIO = profile("stdio")
FLIGHT_SECONDS = 5.0
RESTART_SECONDS = 30.0
"""How long a run may take in which a process is started again, after as long a pause as there may be."""
FIRST_SECONDS = 10.0
"""How long a process may take until it is started again for the first time."""
WATCH_SECONDS = 4.0
MOST_STARTS = 5
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


class OverStdio(NamedTuple):
    """A runtime, and its worker over stdio."""

    runtime: Launched
    worker: LineWorker

    def run(self, path: str, value: Json = 1, *, patience: float | None = None) -> Outcome:
        """Runs a flow of one step with a component."""
        steps = [{"id": "only", "component": path, "input": {"$input": "$"}}]
        return self.runtime.run_flow(
            {"name": "kit", "steps": steps, "output": {"$step": "only"}}, value, patience=patience
        )

    def talk(self, message: dict[str, Json]) -> Json:
        """What was answered to a callback that a component made; None where it was not."""
        answers: list[Json] = []

        def component(call: Call) -> None:
            answers.append(call.ask(message))
            call.output(None)

        outcome = self.run(self.worker.add(component))
        if not answers:
            raise Unmet((), f"a component was not executed over stdio: {outcome.summary()}")
        return answers[0]


@pytest.fixture(scope="session")
def opened_over_stdio(settings: Settings, stage: Stage) -> Iterator[OverStdio]:
    """A runtime of its own, which the tests of this file share."""
    with LineWorker() as worker:
        start = launched(settings, stage.template, stage, {NAME: worker.plugin})
        with or_lacking("a worker over stdio", start) as runtime:
            yield OverStdio(runtime, worker)


@pytest.fixture
def over_stdio(opened_over_stdio: OverStdio, record: Record) -> OverStdio:
    """The runtime and its worker."""
    opened_over_stdio.runtime.log = record.exchanges
    return opened_over_stdio


def takes(over_stdio: OverStdio, component: Json, what: str) -> None:
    """Asserts that a component succeeds with "ü"."""
    outcome = over_stdio.run(over_stdio.worker.add(component))
    assert outcome.result == "ü", f'{what}: expected "ü", got {outcome.summary()}'


@STDIO
@clause("SF-STDIO-002")
def test_standard_error_is_free(over_stdio: OverStdio) -> None:
    def component(call: Call) -> None:
        false = {"jsonrpc": "2.0", "id": call.value.get("id"), "result": {"output": "of standard error"}}
        call.program.complain(b"some text\n\xff\xfe\n" + json.dumps(false).encode() + b"\n")
        # What the runtime makes of those lines may come late: an answer to a callback shows that it reads on.
        call.ask(put(1))
        call.output("ü")

    takes(over_stdio, component, "an execution with text on standard error")


@STDIO
@clause("SF-STDIO-004")
def test_responses_in_reverse_order(over_stdio: OverStdio) -> None:
    both = threading.Barrier(2)
    second_is_done = threading.Event()
    arrived: list[Call] = []

    def component(call: Call) -> None:
        arrived.append(call)
        is_first = arrived[0] is call
        number = call.params.get("input")
        name = call.ask(put({"n": number}))
        try:
            both.wait(FLIGHT_SECONDS)
        except threading.BrokenBarrierError:
            call.output("the other execution did not come meanwhile")
            return
        if is_first:
            second_is_done.wait(FLIGHT_SECONDS)
        stored = result(name)
        found = result(call.ask(get(stored.get("blob_id") if isinstance(stored, dict) else None)))
        call.output({"n": number, "stored": found.get("data") if isinstance(found, dict) else None})
        if not is_first:
            second_is_done.set()

    path = over_stdio.worker.add(component)
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda number: over_stdio.run(path, number), range(2)))
    for number, outcome in enumerate(outcomes):
        assert outcome.result == {"n": number, "stored": {"n": number}}, (
            f"of two executions that were answered in reverse order, number {number} gave {outcome.summary()}"
        )


@STDIO
@clause("SF-STDIO-013")
def test_execution_that_failed_is_not_sent_again(over_stdio: OverStdio) -> None:
    path = over_stdio.worker.add(lambda call: call.error(-32004, "kit says no"))
    outcome = over_stdio.run(path)
    assert outcome.failed, f"an error was taken for {outcome.summary()}"
    attempts = [it.attempt for it in over_stdio.worker.executions(path)]
    assert attempts == [1], f"an execution that was answered by an error was sent with the attempts {attempts}"


@STDIO
@clause("SF-STDIO-014")
def test_method_that_is_no_callback(over_stdio: OverStdio) -> None:
    answer = over_stdio.talk({"method": "components/list", "params": {}})
    assert code(answer) == -32601, f"components/list: expected -32601, got {json.dumps(answer)[:200]}"


@STDIO
@clause("SF-STDIO-015")
def test_notifications_are_ignored(over_stdio: OverStdio) -> None:
    def component(call: Call) -> None:
        for method in ("progress", "initialized", "blobs/put"):
            call.program.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": {}}).encode() + b"\n")
        call.ask(put(1))
        call.output("ü")

    takes(over_stdio, component, "an execution with notifications before the response")
    strays = over_stdio.worker.strays
    assert not strays, f"a notification was answered: {json.dumps(strays[0])[:200]}"


# --- processes that end ---------------------------------------------------------------------------


class Crash(NamedTuple):
    """What came of an execution whose first process ended with the code 1."""

    outcome: Outcome
    attempts: list[Json]
    programs: list[Program]


@pytest.fixture(scope="session")
def crash(opened_over_stdio: OverStdio) -> Crash:
    """A process that ends while it executes."""

    def component(call: Call) -> None:
        if call.attempt == 1:
            call.program.exit(1)
        else:
            call.output("ü")

    worker = opened_over_stdio.worker
    takes(opened_over_stdio, lambda call: call.output("ü"), "an execution before the process ends")
    before = len(worker.programs.started)
    path = worker.add(component)
    outcome = opened_over_stdio.run(path, patience=RESTART_SECONDS)
    attempts = [it.attempt for it in worker.executions(path)]
    return Crash(outcome, attempts, worker.programs.started[before:])


@STDIO
@clause("SF-STDIO-010")
@needs("SF-EXEC-003")
def test_process_that_ends_is_started_again(over_stdio: OverStdio, crash: Crash) -> None:
    outcome, attempts, programs = crash
    assert programs, f"a process that ended with 1 was not started again: {outcome.summary()}"
    assert attempts == [1, 2], f"the attempts of an execution whose process ended are {attempts}; expected 1 and 2"
    assert outcome.result == "ü", f"the second attempt gave {outcome.summary()}"


@STDIO
@clause("SF-STDIO-012")
@needs("SF-STDIO-001", "SF-STDIO-010")
def test_process_that_was_started_again_is_greeted(over_stdio: OverStdio, crash: Crash) -> None:
    if not crash.programs:
        raise Unmet(("SF-STDIO-010",), "the process was not started again")
    methods = [it.get("method") for it in over_stdio.worker.messages(crash.programs[0])]
    assert methods[:2] == ["initialize", "initialized"], f"the new process was sent {methods[:3]} first"


@STDIO
@clause("SF-STDIO-010")
def test_line_that_cannot_be_read(over_stdio: OverStdio, record: Record) -> None:
    def component(call: Call) -> None:
        if call.attempt == 1:
            call.program.write(b"rubbish\n")
        call.output("ü")

    worker = over_stdio.worker
    before = len(worker.programs.started)
    path = worker.add(component)
    outcome = over_stdio.run(path, patience=RESTART_SECONDS)
    assert outcome.result == "ü", f"an execution with a line of rubbish before the response gave {outcome.summary()}"
    if len(worker.programs.started) == before:
        record.warn("a line that cannot be read is skipped; the process goes on")


@STDIO
@clause("SF-STDIO-011")
@needs("SF-STDIO-010")
def test_restarts_are_spaced_out(settings: Settings, stage: Stage) -> None:
    """A process ends while it executes, and each that is started after it ends at once."""
    with LineWorker() as worker:
        start = launched(settings, stage.template, stage, {NAME: worker.plugin})
        with ThreadPoolExecutor(1) as pool, or_lacking("a worker over stdio", start) as runtime:
            worker.at_start = lambda program: program.exit(1) if program.number else None
            path = worker.add(lambda call: call.program.exit(1))
            pool.submit(OverStdio(runtime, worker).run, path, patience=RESTART_SECONDS)
            worker.programs.wait(2, FIRST_SECONDS)
            worker.programs.wait(MOST_STARTS + 2, WATCH_SECONDS)
            times = [it.started_at for it in worker.programs.started]
    pauses = [round(after - before, 2) for before, after in itertools.pairwise(times)][1:]
    assert len(times) > 1, "a process that ended with 1 was not started again"
    starts = len(times) - 1
    assert starts <= MOST_STARTS, (
        f"a process that ends at once was started {starts} times within {WATCH_SECONDS:g} s, with the pauses {pauses}"
    )
    assert len(pauses) < 2 or pauses[-1] > 1.3 * pauses[0], f"the pauses between starts do not grow: {pauses}"


# --- lines ----------------------------------------------------------------------------------------


@STDIO
@last
@clause("SF-STDIO-001")
def test_every_line_is_a_message(over_stdio: OverStdio, record: Record) -> None:
    heard = [line.data for program in over_stdio.worker.programs.started for line in program.heard]
    assert heard, "the runtime wrote no line to its worker"
    for line in heard:
        try:
            value = parse_json(line)
        except ValueError:
            pytest.fail(f"a line is no message: {line[:160]!r}")
        assert isinstance(value, dict), f"a line is no message: {line[:160]!r}"
        kinds = [name for name in ("method", "result", "error") if value.get(name, MISSING) is not MISSING]
        assert kinds, f"a line is neither request nor response: {line[:160]!r}"
        assert line.endswith(b"\n"), f"a line does not end with a line feed: {line[-80:]!r}"
        assert not line.endswith(b"\r\n"), f"a line ends with a carriage return: {line[-80:]!r}"
    loose = [it for it in heard if re.search(rb"\s", STRING.sub(b'""', it.rstrip(b"\n")))]
    if loose:
        record.warn(f"a line has white space between its members: {loose[0][:80]!r}")
