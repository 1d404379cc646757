"""Workers that the runtime starts as processes, which print the port at which they serve."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from protogen_compliance.peer.rpc import Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Settings, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.stepflow.runtime.launching import Launched, launched, or_lacking
from protogen_compliance.suites.stepflow.runtime.programs import Program, Programs
from protogen_compliance.suites.stepflow.runtime.stage import INSTANCE, Component, Stage, flow_of, success
from protogen_compliance.targets import NoTarget

SUBPROCESS = profile("subprocess")
FLIGHT_SECONDS = 5.0
ENVIRONMENT = {"KIT_WORKER": "ü and more"}
ADDED = {"LC_CTYPE", "__CF_USER_TEXT_ENCODING", "PWD", "SHLVL", "_"}
"""What interpreters and systems add by themselves."""
START_SECONDS, END_SECONDS = 5.0, 5.0
RESTART_SECONDS = 0.5
"""How long to look whether a process is ended."""
UNHEALTHY = 3
PATIENCE = {"path": "/health", "timeoutMs": 10_000, "retryDelayMs": 50}


@contextmanager
def announced(
    settings: Settings,
    template: str,
    *,
    before: bytes = b"",
    health: Component | None = None,
    after: Callable[[Programs], None] = lambda _: None,
) -> Generator[tuple[Launched, Programs], None, None]:
    """Another runtime, whose worker is a process that prints something and then its port; raises as `launched` does.

    `after` looks at the processes once the runtime was ended.
    """
    stage = Stage(answers={} if health is None else {"GET": health})

    def play(program: Program) -> None:
        port = stage.server.url.rstrip("/").rpartition(":")[2]
        program.write(before + f'{{"port": {port}}}\n'.encode())
        program.ended.wait()
        stage.server.drop()

    with stage.server, Programs(play) as programs:
        command, *words = programs.command
        plugin = {"type": "stepflow", "command": command, "args": words, "env": ENVIRONMENT, "healthCheck": PATIENCE}
        with launched(settings, template, stage, {"kit": plugin}) as runtime:
            yield runtime, programs
        after(programs)


@pytest.fixture(scope="session")
def opened_announced(settings: Settings, stage: Stage) -> Iterator[tuple[Launched, Programs]]:
    """A runtime of its own with the simplest of such workers: the control of this file."""
    found: list[Programs] = []

    @contextmanager
    def start() -> Generator[Launched, None, None]:
        with announced(settings, stage.template) as (runtime, programs):
            found.append(programs)
            yield runtime

    with or_lacking("a worker that it starts and that prints its port", start()) as runtime:
        yield runtime, found[0]


@pytest.fixture
def process(opened_announced: tuple[Launched, Programs], record: Record) -> tuple[Launched, Programs]:
    """The runtime, and the processes of its worker."""
    opened_announced[0].log = record.exchanges
    return opened_announced


def why_not(settings: Settings, stage: Stage, look: Callable[[Launched], None], **more: Json) -> str:
    """Why a runtime with such a worker does not execute its components; empty where it does, and was looked at."""
    try:
        with announced(settings, stage.template, **more) as (runtime, _):
            outcome = runtime.run(lambda asked: asked.respond(success(asked, "ü")), 1)
            look(runtime)
            return "" if outcome.result == "ü" else outcome.summary()
    except NoTarget as reason:
        return str(reason)


@SUBPROCESS
@clause("SF-PROC-002")
def test_lines_before_the_port_are_skipped(
    settings: Settings, stage: Stage, process: tuple[Launched, Programs], record: Record
) -> None:
    before = b"starting\n[1, 2]\n" + b'{"ready": true}\n'
    told = why_not(settings, stage, lambda runtime: None, before=before)
    assert not told, f"a worker that prints three lines before that of its port is not used: {told}"
    odd = why_not(settings, stage, lambda runtime: None, before=b"\xff\xfe\n")
    if odd:
        record.warn(f"a worker that prints a line which is no UTF-8 before that of its port is not used: {odd}")


@SUBPROCESS
@clause("SF-PROC-003")
@needs("SF-INIT-001")
def test_health_is_asked_first(settings: Settings, stage: Stage, process: tuple[Launched, Programs]) -> None:
    checks = itertools.count(1)

    def health(asked: Asked) -> None:
        sick = next(checks) <= UNHEALTHY
        told = {"status": "unhealthy" if sick else "healthy", "instanceId": INSTANCE, "service": "kit", "timestamp": ""}
        asked.respond(told, status=503 if sick else 200)

    seen: list[str] = []

    def look(runtime: Launched) -> None:
        seen.extend(f"{it.method} {it.path}" for it in runtime.stage.asked)

    told = why_not(settings, stage, look, health=health)
    assert not told, f"a worker that is healthy after {UNHEALTHY} checks is not used: {told}"
    first = next((at for at, it in enumerate(seen) if it.startswith("POST")), len(seen))
    asked = seen[:first].count("GET /health")
    assert asked > UNHEALTHY, (
        f"the worker was greeted after {asked} of {UNHEALTHY + 1} checks: {', '.join(seen[: first + 1])}"
    )


@SUBPROCESS
@clause("SF-EXEC-018")
def test_error_does_not_end_the_process(process: tuple[Launched, Programs]) -> None:
    runtime, programs = process
    both = threading.Barrier(2)
    failed = threading.Event()

    def component(asked: Asked) -> None:
        bad = asked.value["params"]["input"] == "bad"
        with suppress(threading.BrokenBarrierError):  # the other one did not come meanwhile, or was there before
            both.wait(FLIGHT_SECONDS)
        if bad:
            error = {"code": -32004, "message": "kit says no"}
            asked.respond({"jsonrpc": "2.0", "id": asked.id, "error": error})
            return
        failed.wait(FLIGHT_SECONDS)
        asked.respond(success(asked, "ü"))

    path = runtime.stage.add(component)
    running = programs.started[-1]
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(runtime.run_path, path, "good")
        bad = runtime.run_path(path, "bad")
        ended = running.ended.wait(RESTART_SECONDS)
        failed.set()
        outcome = good.result(FLIGHT_SECONDS * 4)
    assert bad.failed, f"an error was taken for {bad.summary()}"
    assert not ended, "a component answered with an error, and its process was ended"
    assert outcome.result == "ü", f"beside an execution that failed another one gave {outcome.summary()}"


@SUBPROCESS
@clause("SF-EXEC-017")
@needs("SF-EXEC-003")
def test_attempts_are_counted_over_processes(process: tuple[Launched, Programs]) -> None:
    runtime, programs = process

    def component(asked: Asked) -> None:
        attempt = asked.value["params"]["attempt"]
        if attempt == 1:
            programs.started[-1].exit(1)
            asked.hang_up()
        else:
            asked.respond(success(asked, attempt))

    path = runtime.stage.add(component)
    outcome = runtime.run_flow(flow_of(path), patience=FLIGHT_SECONDS * 4)
    attempts = [it.get("attempt") for it in runtime.stage.executions(path)]
    if len(attempts) == 1:
        pytest.skip(f"a step is not tried again whose process ended: {outcome.summary()}")
    assert attempts == [1, 2], f"the attempts of a step whose first process ended are numbered {attempts}"


@SUBPROCESS
@clause("SF-PROC-004")
def test_environment_is_the_configured_one(process: tuple[Launched, Programs]) -> None:
    _, programs = process
    given = programs.started[0].environment
    lacking = [name for name, value in ENVIRONMENT.items() if given.get(name) != value]
    assert not lacking, f"the process of a worker has not the {lacking[0]} that its configuration says"
    foreign = sorted(given.keys() - ENVIRONMENT.keys() - ADDED)
    assert not foreign, f"the process of a worker has {len(foreign)} variables beyond the configured one: {foreign[:5]}"


@SUBPROCESS
@clause("SF-PROC-006")
def test_process_ends_with_its_children(settings: Settings, stage: Stage, process: tuple[Launched, Programs]) -> None:
    """The kit ends the runtime by SIGTERM; the process of its worker has started another one by then."""
    outlived: list[str] = []

    def look(programs: Programs) -> None:
        those = {"the process of a worker": programs.started[0], "what that process had started": programs.children[0]}
        outlived.extend(name for name, it in those.items() if not it.ended.wait(END_SECONDS))

    with announced(settings, stage.template, after=look) as (_, programs):
        programs.started[0].start_child()
        if not programs.has_child(START_SECONDS):
            raise Unmet((), "the process of a worker could not start another one")
    assert not outlived, f"{outlived[0]} ran for {END_SECONDS:g} s after the runtime had ended"
