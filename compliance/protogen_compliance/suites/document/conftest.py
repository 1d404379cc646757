"""Fixtures of the suite: the document, and the endpoint that it describes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from protogen import ir
from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.link import Answer, HttpLink, Seen, StdioLink
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.wire import Garbled, TimedOut, Unreachable
from protogen_compliance.plugin import SETTINGS, SHAPES, Lost, Record, Settings
from protogen_compliance.suites.document.described import Described

SAMPLE_SECONDS = 2.0
"""How long a sample's answer may take: what waits longer was told to wait by the sample."""


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where an answer has no shape to rely on."""
    config.stash[SHAPES] = ("PD-ENV-001",)


@pytest.fixture(scope="session")
def described(settings: Settings) -> Described:
    """The document."""
    assert settings.schema is not None, "the suite needs --schema"
    return Described(settings.schema, settings.options.get("role"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a method, or an example, is one test for each."""
    stash = metafunc.config.stash
    if SETTINGS not in stash or stash[SETTINGS].schema is None:
        # Collected without a document, to be counted: one of each stands for all.
        for name in {"method", "example"} & set(metafunc.fixturenames):
            metafunc.parametrize(name, [None])
        return
    settings = stash[SETTINGS]
    assert settings.schema is not None
    found = Described(settings.schema, settings.options.get("role"))
    if "method" in metafunc.fixturenames:
        metafunc.parametrize("method", found.requests, ids=lambda it: it.name)
    if "example" in metafunc.fixturenames:
        wanted = metafunc.function.__name__.startswith("test_valid")
        own = [it for it in found.protocol.examples if it.valid == wanted and _asks(found, it, wanted)]
        metafunc.parametrize("example", own, ids=lambda it: it.name)


def _asks(found: Described, example: ir.Example, valid: bool) -> bool:
    """Whether an example is a request to the role that is judged, and, where it is invalid, wrong itself."""
    request = example.request
    method = found.method(request.get("method")) if isinstance(request, dict) else None
    if method is None or not isinstance(request, dict) or "id" not in request:
        return False
    params = request.get("params", {})
    return valid or (isinstance(params, dict) and not found.fits(method.params, params))


class Call(NamedTuple):
    """A call of this run with its answer; `integers` are those that its params name."""

    method: str
    answer: Answer
    integers: frozenset[int]


class Judged:
    """The endpoint, for one test; what came of each call is kept for the tests that look at all."""

    _ids = itertools.count(1)

    def __init__(self, link: HttpLink | StdioLink, calls: list[Call]) -> None:
        self.link = link
        self._calls = calls

    def send(self, body: bytes | Json, *, patience: float | None = None) -> Answer:
        """Sends a message of any kind; JSON unless it is bytes. Raises Lost where nobody is there any more."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.link.exchange(data, patience=patience)
        if isinstance(answer.fault, Unreachable) or (
            isinstance(self.link, StdioLink) and isinstance(answer.fault, Garbled)
        ):
            raise Lost(f"the endpoint went away: {answer.fault}")
        if isinstance(body, dict) and isinstance(body.get("method"), str) and "id" in body:
            params = body.get("params")
            values = params.values() if isinstance(params, dict) else ()
            self._calls.append(Call(body["method"], answer, frozenset(it for it in values if type(it) is int)))
        return answer

    def call(self, method: str, params: Json = MISSING) -> Answer:
        """Sends a request; params are left out where MISSING. Waits no longer than a sample may take."""
        made: Json = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        if params is not MISSING:
            made["params"] = params
        return self.send(made, patience=SAMPLE_SECONDS)


@pytest.fixture(scope="session")
def seen() -> Seen:
    """All messages of this run."""
    return Seen()


@pytest.fixture(scope="session")
def calls() -> list[Call]:
    """All calls of this run with their answers."""
    return []


@pytest.fixture(scope="session")
def programs() -> Iterator[list[StdioLink]]:
    """The program that is running over stdio, where there is one."""
    running: list[StdioLink] = []
    yield running
    for link in running:
        link.close()


@pytest.fixture
def endpoint(
    settings: Settings,
    seen: Seen,
    described: Described,
    programs: list[StdioLink],
    calls: list[Call],
    record: Record,
) -> Iterator[Judged]:
    """The endpoint under test; it gets answers to its callbacks.

    A program that still works on a sample that told it to wait is started again for the next test.
    """
    link: HttpLink | StdioLink
    if settings.url:
        link = HttpLink(
            parse_url(settings.url),
            seen,
            headers=settings.headers,
            patience=settings.timeout,
            responder=described.responds,
            instance=described.protocol.http.instance_header.lower(),
            plain_events=True,
        )
    elif programs:
        link = programs[0]
    else:
        link = StdioLink(settings.command, seen, patience=settings.timeout, responder=described.responds)
        programs.append(link)
    link.log = record.exchanges
    before = len(calls)
    yield Judged(link, calls)
    if isinstance(link, HttpLink):
        link.close()
    elif any(isinstance(it.answer.fault, TimedOut) for it in calls[before:]):
        link.close()
        programs.clear()
