"""Fixtures of the suite: the node, and every scene under its own name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.rpc import Json, RpcPeer
from protogen_compliance.plugin import SHAPES, Lacking, Record, Settings, marked
from protogen_compliance.suites.apflow.dialects import DIALECTS
from protogen_compliance.suites.apflow.node import SHAPE_CLAUSES, Node, new_id
from protogen_compliance.suites.apflow.observed import Observed
from protogen_compliance.suites.apflow.scenes import SCENES, Scenes

DEFAULT_EXECUTORS = {"ok": "echo", "slow": "sleep", "fail": "fail"}


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where a task or a result has no shape to rely on."""
    config.stash[SHAPES] = SHAPE_CLAUSES


@pytest.fixture(scope="session")
def observed() -> Observed:
    """All that this run has seen."""
    return Observed()


@pytest.fixture(scope="session")
def make_node(settings: Settings, observed: Observed) -> Iterator[Callable[[], Node]]:
    """Makes a Node with a log of its own."""
    peer = RpcPeer(parse_url(settings.url), headers=settings.headers, patience=settings.timeout)
    user = settings.options.get("user", f"kit-{new_id()[:8]}")
    one_user = "auth" in settings.profiles
    named = {**DEFAULT_EXECUTORS, **settings.executors}
    dialect = DIALECTS.get(settings.dialect)
    probe = Node(peer, observed, named, user=user, one_user=one_user, dialect=dialect)
    executors = {role: name for role, name in named.items() if probe.has(role)}
    yield lambda: Node(peer, observed, executors, user=user, one_user=one_user, dialect=dialect)
    peer.close()


@pytest.fixture(scope="session")
def scenes(request: pytest.FixtureRequest, settings: Settings, make_node: Callable[[], Node]) -> Iterator[Scenes]:
    """The scenes that the chosen tests look at, all begun at once."""
    playing = Scenes(make_node)
    for item in request.session.items:
        if not set(marked(item, "profile")) <= set(settings.profiles):
            continue
        for name in getattr(item, "fixturenames", ()):
            if name in SCENES:
                playing.start(name)
    yield playing
    kept = playing.ended("running")
    if kept is not None:
        make_node().call("tasks.cancel", {"task_id": kept.sent["long"]["id"]})
    playing.close()


@pytest.fixture
def node(request: pytest.FixtureRequest, make_node: Callable[[], Node], record: Record) -> Node:
    """The node under test; the scenes begin with the first one."""
    request.getfixturevalue("scenes")
    made = make_node()
    record.exchanges = made.log
    return made


@pytest.fixture
def stranger(settings: Settings, observed: Observed) -> Iterator[Node]:
    """The node as a second user meets it."""
    if not settings.other_headers:
        raise Lacking("a second identity is needed: --other-header 'Authorization: Bearer …'")
    peer = RpcPeer(parse_url(settings.url), headers={**settings.headers, **settings.other_headers})
    yield Node(peer, observed, {}, user=settings.options.get("other-user", "kit-stranger"), one_user=True)
    peer.close()


def _fixture(name: str) -> Callable[..., Json]:
    @pytest.fixture(name=name)
    def watch(scenes: Scenes, node: Node) -> Json:
        return scenes.watch(name, node)

    return watch


# Each scene is a fixture under its own name.
globals().update({f"scene_{name}": _fixture(name) for name in SCENES})
