"""Fixtures of the suite: the worker, its components, and what it said when it was met first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from protogen_compliance.dialects import Dialect
from protogen_compliance.peer.http import Connection, parse_url
from protogen_compliance.peer.link import Answer, HttpLink, Seen, StdioLink
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.wire import Deadline, Garbled, PeerFault, TimedOut, Unreachable
from protogen_compliance.plugin import SHAPES, Lacking, Lost, Record, Settings, Unmet
from protogen_compliance.suites.stepflow.dialects import DIALECTS
from protogen_compliance.suites.stepflow.worker.first import COMPONENTS, First, meet
from protogen_compliance.suites.stepflow.worker.link import INSTANCE, Runtime, Worker

SILENT_REQUESTS = 5
SHAPE_CLAUSES = ("SF-MSG-001", "SF-METH-001", "SF-COMP-001")


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where an answer has no shape to rely on."""
    config.stash[SHAPES] = SHAPE_CLAUSES


@pytest.fixture(scope="session")
def seen() -> Seen:
    """All messages of this run."""
    return Seen()


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """The runtime's side of callbacks."""
    return Runtime()


@pytest.fixture(scope="session")
def make_link(settings: Settings, seen: Seen, runtime: Runtime) -> Iterator[Callable[[], HttpLink | StdioLink]]:
    """Makes a link: over HTTP a new one, over stdio the one program of this run."""
    made: list[HttpLink] = []
    programs: list[StdioLink] = []

    def make() -> HttpLink | StdioLink:
        if settings.url:
            link = HttpLink(
                parse_url(settings.url),
                seen,
                headers=settings.headers,
                patience=settings.timeout,
                responder=runtime,
                instance=INSTANCE,
            )
            made.append(link)
            return link
        if not programs:
            programs.append(StdioLink(settings.command, seen, patience=settings.timeout, responder=runtime))
        programs[0].log = []
        return programs[0]

    yield make
    for link in made:
        link.close()
    for program in programs:
        program.close()


@pytest.fixture(scope="session")
def first(make_link: Callable[[], HttpLink | StdioLink], settings: Settings) -> First:
    """What the worker said to the first messages of this run, in their order."""
    said = {role: (name,) for role, name in settings.executors.items()}
    dialect = DIALECTS.get(settings.dialect)
    found = {role: names for role, names in COMPONENTS.items() if dialect is None or role not in dialect.lacks}
    return meet(Worker(make_link(), {}, dialect), {**found, **said})


def _absence(link: HttpLink) -> PeerFault | None:
    """Why nobody takes connections any more; None where somebody does."""
    try:
        Connection(link.url.address, Deadline(1.0)).wire.close()
    except PeerFault as reason:
        return reason
    return None


class Watched(Worker):
    """A worker that ends the run where it went away."""

    def __init__(
        self, link: HttpLink | StdioLink, components: Mapping[str, str], seen: Seen, dialect: Dialect | None = None
    ) -> None:
        super().__init__(link, components, dialect)
        self._seen = seen

    def send(self, body: bytes | Json, **more: Json) -> Answer:
        """As Worker does; raises Lost where nobody is there any more."""
        answer = super().send(body, **more)
        gone = isinstance(answer.fault, Unreachable)
        if isinstance(self.link, StdioLink) and isinstance(answer.fault, Garbled):
            gone = True
        if isinstance(self.link, HttpLink) and any(it.fault is not None for it in answer.posted):
            # The answer to a callback found nobody, so that the execution waited in vain.
            absence = _absence(self.link)
            gone, answer.fault = gone or absence is not None, absence or answer.fault
        if gone:
            raise Lost(f"the worker went away: {answer.fault}")
        if self._seen.silence(silent=isinstance(answer.fault, TimedOut)) >= SILENT_REQUESTS:
            raise Lost(f"the worker stopped answering: {answer.fault}, {SILENT_REQUESTS} times in a row")
        return answer

    def params(self, role: str, value: Json, **more: Json) -> Json:
        """As Worker does; raises Lacking where no component plays the role, and skips where none can."""
        if role not in self.components:
            if self.dialect is not None and role in self.dialect.lacks:
                pytest.skip(self.dialect.lacks[role])
            raise Lacking(f"the worker lists no component for {role!r}; name one with --executor {role}=/NAME")
        return super().params(role, value, **more)

    def good(self, role: str, value: Json, **more: Json) -> Answer:
        """Executes as a setup, which has to succeed; raises Unmet."""
        answer = self.execute(role, value, **more)
        if answer.output is MISSING:
            blame = ("SF-METH-001", "SF-EXEC-005", "SF-MSG-001")
            raise Unmet(blame, f"{self.components[role]} was to succeed and gave {answer.summary()}")
        return answer


@pytest.fixture
def worker(
    make_link: Callable[[], HttpLink | StdioLink], first: First, seen: Seen, record: Record, settings: Settings
) -> Watched:
    """The worker under test, after the handshake."""
    link = make_link()
    record.exchanges = link.log
    return Watched(link, {**first.components, **settings.executors}, seen, DIALECTS.get(settings.dialect))


@pytest.fixture
def over_http(worker: Watched) -> HttpLink:
    """The link, where it is one over HTTP."""
    if not isinstance(worker.link, HttpLink):
        pytest.skip("this is about HTTP; the worker is tested over stdio")
    return worker.link
