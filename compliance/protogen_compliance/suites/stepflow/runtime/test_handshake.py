"""The handshake, as workers that answer it in other ways see it; each meets a runtime of its own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from protogen_compliance.peer.rpc import Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Settings
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.runtime.launching import with_worker
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


def why_not(settings: Settings, stage: Stage, answers: Mapping[str, Component]) -> str:
    """Why a runtime does not execute components of a worker that answers so; empty where it does."""
    try:
        with with_worker(settings, stage.template, answers) as runtime:
            outcome = runtime.run(lambda asked: asked.respond(success(asked, "heard")), 1)
            return "" if outcome.result == "heard" else outcome.summary()
    except NoTarget as reason:
        return str(reason)


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
def test_any_version_of_a_worker_is_taken(settings: Settings, stage: Stage, record: Record, number: int) -> None:
    told = why_not(settings, stage, {"initialize": version(number)})
    if told:
        record.warn(f"a worker of version {number} is not taken: {told}")


@clause("SF-INIT-011")
@needs("SF-INIT-009")
@pytest.mark.parametrize("status", [200, 204])
def test_any_2xx_acknowledges(settings: Settings, stage: Stage, record: Record, status: int) -> None:
    told = why_not(settings, stage, {"initialized": acknowledged(status)})
    if told:
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
    told = why_not(settings, stage, {"initialize": spelt(name)})
    assert not told, f"a worker that answers initialize with {name} is not taken: {told}"
