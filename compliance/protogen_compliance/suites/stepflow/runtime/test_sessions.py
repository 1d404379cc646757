"""Sessions: workers of the oldest dialect, whose callbacks come on a stream that the runtime opens."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Settings
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.stepflow.runtime.callbacks import put
from protogen_compliance.suites.stepflow.runtime.launching import Launched, launched, or_lacking, path_of
from protogen_compliance.suites.stepflow.runtime.sessions import SessionStage
from protogen_compliance.suites.stepflow.runtime.stage import CALLBACK_SECONDS, Stage, success
from protogen_compliance.targets import NoTarget

SESSION = profile("session-sse")

ENDPOINTS: dict[str, Callable[[str], str]] = {
    "query": lambda _: "/?sessionId=7c1f6a9e-2f3b-4d55-9a3e-0e1d2c3b4a59",
    "path": lambda _: "/session/7c1f6a9e",
    "absolute": lambda url: f"{url}absolute/session?id=7c1f6a9e",
}
"""Ways to say where the messages of a session go."""


class InSession(NamedTuple):
    """A runtime, and its workers by the way in which they name their endpoint."""

    runtime: Launched
    stages: dict[str, SessionStage]


@pytest.fixture(scope="session")
def opened_in_session(settings: Settings, stage: Stage) -> Iterator[InSession]:
    """A runtime of its own, which the tests of this file share."""
    stages = {kind: SessionStage(endpoint) for kind, endpoint in ENDPOINTS.items()}
    with ExitStack() as stack:
        for it in stages.values():
            stack.enter_context(it.server)
        plugins = {f"kit-{kind}": it.plugin for kind, it in stages.items()}
        start = launched(settings, stage.template, stage, plugins)
        yield InSession(stack.enter_context(or_lacking("a worker with sessions", start)), stages)


@pytest.fixture
def in_session(opened_in_session: InSession, record: Record) -> InSession:
    """The runtime and its workers."""
    opened_in_session.runtime.log = record.exchanges
    return opened_in_session


def target(endpoint: str) -> str:
    """The target of a request to an endpoint."""
    parts = urlsplit(endpoint)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def posts(stage: SessionStage) -> list[str]:
    """The targets of all messages that the runtime posted."""
    return [it.path for it in stage.asked if it.method == "POST"]


@SESSION
@clause("SF-SESS-001")
@pytest.mark.parametrize("kind", ENDPOINTS)
def test_session_is_opened_first_and_kept(in_session: InSession, kind: str) -> None:
    stage = in_session.stages[kind]
    first = stage.asked[0]
    assert (first.method, first.path) == ("GET", "/runtime/events"), f"the first request is {first.method} {first.path}"
    assert stage.is_open(), "the runtime closed the stream of its session"
    count = sum(it.method == "GET" for it in stage.asked)
    assert count == 1, f"the runtime opened {count} sessions with one worker"


@SESSION
@clause("SF-SESS-003")
@pytest.mark.parametrize("kind", ENDPOINTS)
def test_messages_go_to_the_endpoint(in_session: InSession, kind: str) -> None:
    stage = in_session.stages[kind]
    outcome = in_session.runtime.run_path(
        path_of(f"kit-{kind}", stage, lambda asked: asked.respond(success(asked, "ü"))), 1
    )
    expected = target(stage.endpoint)
    methods = ("initialize", "initialized", "components/execute")
    wrong = [
        it.path
        for it in stage.asked
        if isinstance(it.value, dict) and it.value.get("method") in methods and it.path != expected
    ]
    assert not wrong, f"a message went to {wrong[0]!r}; the session's endpoint is {stage.endpoint!r}"
    assert outcome.result == "ü", f"an execution in a session gave {outcome.summary()}"


@SESSION
@clause("SF-SESS-007")
@needs("SF-SESS-001", "SF-SESS-003")
@pytest.mark.parametrize("kind", ENDPOINTS)
def test_answers_go_to_the_endpoint(in_session: InSession, kind: str) -> None:
    stage = in_session.stages[kind]
    answers: queue.Queue[Asked | None] = queue.Queue()

    def component(asked: Asked) -> None:
        answers.put(stage.ask(put(kind), CALLBACK_SECONDS))
        asked.respond(success(asked, "ü"))

    outcome = in_session.runtime.run_path(path_of(f"kit-{kind}", stage, component), 1)
    assert outcome.result == "ü", f"an execution that makes a callback gave {outcome.summary()}"
    answer = answers.get(timeout=CALLBACK_SECONDS)
    assert answer is not None, f"a callback on the session's stream was not answered within {CALLBACK_SECONDS:g} s"
    assert answer.path == target(stage.endpoint), (
        f"an answer went to {answer.path!r}; the session's endpoint is {stage.endpoint!r}"
    )
    assert isinstance(answer.value, dict), f"the answer is {answer.body[:120]!r}"
    assert "result" in answer.value, f"blobs/put gave {json.dumps(answer.value)[:200]}"


@SESSION
@clause("SF-SESS-004")
def test_session_without_endpoint(settings: Settings, stage: Stage, in_session: InSession, record: Record) -> None:
    silent = SessionStage(None)
    with silent.server:
        try:
            with launched(settings, stage.template, silent, {"kit": silent.plugin}):
                record.note(f"without an endpoint messages go to {', '.join(sorted(set(posts(silent)))) or 'nobody'}")
        except NoTarget as reason:
            record.note(f"a session without an endpoint is not used: {reason}")
