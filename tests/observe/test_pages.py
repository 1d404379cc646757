"""/health says that the process answers, /ready whether to send requests here."""

from __future__ import annotations

import json

import pytest
from observe_doubles import Sink

from protogen_runtime.observe import Log, Readiness, health


def ready(readiness: Readiness) -> tuple[int, object]:
    page = readiness.page()
    assert page.media_type == "application/json"
    return page.status, json.loads(page.body)


def test_health_is_a_constant() -> None:
    assert (health().status, json.loads(health().body)) == (200, {"status": "healthy"})


def test_ready_while_every_check_passes() -> None:
    reason: list[str | None] = [None]
    readiness = Readiness()
    assert ready(readiness) == (200, {"status": "ready"})
    readiness.add("store", lambda: reason[0])
    readiness.add("queue", lambda: None)
    assert ready(readiness) == (200, {"status": "ready"})
    reason[0] = "the database at /secret/path is gone"
    assert ready(readiness) == (503, {"status": "not ready", "failing": ["store"]})
    assert readiness.failing == {"store": "the database at /secret/path is gone"}
    reason[0] = None
    assert ready(readiness) == (200, {"status": "ready"})


def test_check_that_raises_is_a_check_that_fails() -> None:
    def check() -> str | None:
        raise ConnectionError("db:5432")

    readiness = Readiness()
    readiness.add("store", check)
    assert ready(readiness) == (503, {"status": "not ready", "failing": ["store"]})
    assert readiness.failing == {"store": "the check raised ConnectionError"}


def test_not_ready_from_the_start_of_the_shutdown() -> None:
    readiness = Readiness()
    readiness.close()
    assert ready(readiness) == (503, {"status": "not ready", "failing": ["shutdown"]})
    closing = [False]
    readiness = Readiness()
    readiness.watch(lambda: closing[0])
    assert ready(readiness)[0] == 200
    closing[0] = True
    assert ready(readiness)[0] == 503


def test_changes_are_logged_once_with_their_reason(sink: Sink, log: Log) -> None:
    reason: list[str | None] = ["disk full"]
    readiness = Readiness(log=log)
    readiness.add("store", lambda: reason[0])
    with log:
        readiness.page()
        readiness.page()
        reason[0] = None
        readiness.page()
        readiness.page()
    assert [(line["event"], line.get("failing")) for line in sink.lines()] == [
        ("not ready", {"store": "disk full"}),
        ("ready", None),
    ]


def test_name_of_a_check_is_taken_once() -> None:
    readiness = Readiness()
    readiness.add("store", lambda: None)
    with pytest.raises(ValueError, match="already"):
        readiness.add("store", lambda: None)
