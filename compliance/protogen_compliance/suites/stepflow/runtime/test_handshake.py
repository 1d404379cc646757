"""The handshake, as workers that answer it in other ways see it; each meets a runtime of its own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from protogen_compliance.peer.rpc import Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Settings
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.runtime.launching import Answers, path_of, with_worker, with_workers
from protogen_compliance.suites.stepflow.runtime.stage import Component, Stage, success
from protogen_compliance.targets import NoTarget

HANDSHAKE_SECONDS = 3.0
"""How long a run may take whose worker did not take part in the handshake."""


def version(number: Json) -> Component:
    """An answer to initialize with a number for the worker's version, in the spelling of the runtime."""

    def answer(asked: Asked) -> None:
        old = "runtime_protocol_version" in (asked.value.get("params") or {})
        asked.result({"server_protocol_version" if old else "serverProtocolVersion": number})

    return answer


def spelt(name: str) -> Component:
    """An answer to initialize under one name for the version."""
    return lambda asked: asked.result({name: 1})


def acknowledged(status: int) -> Component:
    """An answer to initialized."""
    return lambda asked: asked.respond(b"", status=status)


TOLERABLE: dict[str, Answers] = {
    "version-0": {"initialize": version(0)},
    "version-2": {"initialize": version(2)},
    "status-200": {"initialized": acknowledged(200)},
    "status-204": {"initialized": acknowledged(204)},
}
"""Workers that a runtime should use."""


def reasons(settings: Settings, stage: Stage, workers: Mapping[str, Answers]) -> dict[str, str]:
    """Why a runtime does not execute components of such workers; empty where it does.

    They meet one runtime together, and where it does not start with all of them, each one of its own.
    """
    found: dict[str, str] = {}
    try:
        with with_workers(settings, stage.template, workers) as (runtime, stages):
            for name, it in stages.items():
                path = path_of(name, it, lambda asked: asked.respond(success(asked, "heard")))
                outcome = runtime.run_path(path, 1)
                found[name] = "" if outcome.result == "heard" else outcome.summary()
    except NoTarget as reason:
        if len(workers) == 1:
            return {name: str(reason) for name in workers}
        for name, answers in workers.items():
            found |= reasons(settings, stage, {name: answers})
    return found


@pytest.fixture(scope="session")
def refused(settings: Settings, stage: Stage) -> dict[str, str]:
    """Why those of TOLERABLE are not used."""
    return reasons(settings, stage, TOLERABLE)


@last
@clause("SF-INIT-003")
@needs("SF-INIT-001")
def test_handshake_names_no_run(stage: Stage, record: Record) -> None:
    params = stage.asked[0].value.get("params") or {}
    told = params.get("observability")
    record.note(f"initialize {'carries' if told else 'carries no'} observability")
    named = {"run_id", "flow_id", "step_id"} & {*(told or {})}
    assert not named, f"observability of initialize names {', '.join(sorted(named))}"


@clause("SF-INIT-007")
@needs("SF-INIT-002")
@pytest.mark.parametrize("number", [0, 2])
def test_any_version_of_a_worker_is_taken(refused: dict[str, str], record: Record, number: int) -> None:
    if told := refused[f"version-{number}"]:
        record.warn(f"a worker of version {number} is not taken: {told}")


@clause("SF-INIT-011")
@needs("SF-INIT-009")
@pytest.mark.parametrize("status", [200, 204])
def test_any_2xx_acknowledges(refused: dict[str, str], record: Record, status: int) -> None:
    if told := refused[f"status-{status}"]:
        record.warn(f"HTTP {status} to initialized is not taken: {told}")


def refusing(asked: Asked) -> None:
    """Answers initialize with an error."""
    asked.respond({"jsonrpc": "2.0", "id": asked.id, "error": {"code": -32002, "message": "the kit is not ready"}})


def broken(asked: Asked) -> None:
    """Answers with a page of a server that failed."""
    asked.respond(b"<h1>Internal Server Error</h1>", status=500, kind="text/html")


def chatting(asked: Asked) -> None:
    """Answers with text."""
    asked.respond(b"hello", kind="text/plain")


@clause("SF-INIT-012")
@pytest.mark.parametrize("answer", [refusing, broken, chatting], ids=["error", "HTTP 500", "text"])
def test_worker_without_handshake_is_not_used(settings: Settings, stage: Stage, answer: Component) -> None:
    """A runtime may refuse to start with such a worker, or to use it; the control is the worker of all other tests."""
    try:
        with with_worker(settings, stage.template, {"initialize": answer}) as runtime:
            runtime.peer.patience = HANDSHAKE_SECONDS
            path = runtime.stage.add(lambda asked: asked.respond(success(asked, 1)))
            runtime.run_path(path, 1)
            seen = runtime.stage.executions(path)
    except NoTarget:
        return  # it says so by not starting
    assert not seen, f"a worker that answered initialize with {answer.__doc__ or ''} was sent an execution"


@profile("dialects")
@clause("SF-INIT-015")
@needs("SF-INIT-002")
@pytest.mark.parametrize("name", ["server_protocol_version", "serverProtocolVersion"])
def test_either_spelling_is_taken(settings: Settings, stage: Stage, record: Record, name: str) -> None:
    params = stage.asked[0].value.get("params") or {}
    record.note(f"initialize has {', '.join(it for it in params if 'ersion' in it)}")
    told = reasons(settings, stage, {"kit": {"initialize": spelt(name)}})["kit"]
    assert not told, f"a worker that answers initialize with {name} is not taken: {told}"
