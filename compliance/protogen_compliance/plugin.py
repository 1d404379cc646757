"""The pytest plugin: options that name the target, the fixtures of every suite, and what each test said as Evidence.

Knows no protocol. Use: `pytest -p protogen_compliance.plugin --url URL FOLDER`, or the runner.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protogen_compliance.peer.http import Exchange
from protogen_compliance.peer.stdio import Line
from protogen_compliance.transcripts import exchanged, make
from protogen_compliance.verdicts import Evidence

KEPT_EXCHANGES = 6
"""How many of the last exchanges of a failed test are shown."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about the target.

    `url` is where it listens, `command` the program that speaks lines instead. `headers` go with every request,
    `other_headers` with those of a second user. `options` are what a suite may be told besides. `schema` is the
    protocol document of the suite that judges by one. `dialect` renames methods.
    """

    url: str = ""
    command: tuple[str, ...] = ()
    target: str = ""
    executors: dict[str, str] = {}
    profiles: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    other_headers: dict[str, str] = {}
    options: dict[str, str] = {}
    methods: tuple[str, ...] = ()
    timeout: float = 10.0
    restart: str = ""
    schema: Path | None = None
    dialect: str = ""


class Unmet(Exception):
    """A test could not even begin: the target did not do what the clauses in `blame` demand."""

    def __init__(self, blame: tuple[str, ...], text: str) -> None:
        super().__init__(text)
        self.blame = blame


class Lacking(Exception):
    """The target lacks something that a test needs and that the user can name; the text says how."""


class Lost(Exception):
    """The target no longer takes connections: nothing more can be said of it, and the run ends."""


class Record:
    """What a running test says beside its outcome; `exchanges` are those it made."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.exchanges: list[Exchange | Line] = []

    def warn(self, text: str) -> None:
        """The target keeps the clause under the lenient reading only."""
        self.warnings.append(text)

    def note(self, text: str) -> None:
        """Something to report that is neither right nor wrong."""
        self.notes.append(text)


SETTINGS = pytest.StashKey[Settings]()
SHAPES = pytest.StashKey[tuple[str, ...]]()
"""The clauses on the shape of what a target sends: where they are broken, tests stumble over what is not there."""
EVIDENCE = pytest.StashKey[list[Evidence]]()
RECORD = pytest.StashKey[Record]()
LOST = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options by which a suite is told about its target."""
    group = parser.getgroup("protogen compliance")
    group.addoption("--url", help="address of the target")
    group.addoption("--executor", action="append", default=[], help="ROLE=NAME: what the target calls it")
    group.addoption("--profile", action="append", default=[], help="a further profile to test")
    group.addoption("--methods", action="append", default=[], help="a method to use")
    group.addoption("--target-header", action="append", default=[], help="NAME: VALUE, sent with every request")
    group.addoption("--setting", action="append", default=[], help="NAME=VALUE, for the profile that asks for it")


def pairs(items: list[str], separator: str) -> dict[str, str]:
    """`NAME=VALUE` and the like as a dict; raises UsageError."""
    found: dict[str, str] = {}
    for item in items:
        name, there, value = item.partition(separator)
        if not there or not name:
            raise pytest.UsageError(f"expected NAME{separator}VALUE, got {item!r}")
        found[name.strip()] = value.strip()
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Says which marks there are, and reads the options."""
    for mark in ("clause(*ids)", "needs(*ids)", "sums(*prefixes)", "profile(name)", "last(order)"):
        config.addinivalue_line("markers", f"{mark}: see protogen_compliance.registry")
    config.stash[EVIDENCE] = []

    def options(name: str) -> list[str]:
        return list(config.getoption(name) or ())

    if url := config.getoption("--url"):
        config.stash[SETTINGS] = Settings(
            url=url,
            executors=pairs(options("--executor"), "="),
            profiles=tuple(options("--profile")),
            headers=pairs(options("--target-header"), ":"),
            options=pairs(options("--setting"), "="),
            methods=tuple(options("--methods")),
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts last what looks at everything; the order is the files' otherwise."""

    def place(item: pytest.Item) -> int:
        mark = item.get_closest_marker("last")
        return 0 if mark is None else mark.args[0] if mark.args else 1

    items.sort(key=place)


@pytest.fixture(scope="session")
def settings(pytestconfig: pytest.Config) -> Settings:
    """What is known of the target."""
    try:
        return pytestconfig.stash[SETTINGS]
    except KeyError:
        raise pytest.UsageError("name the target with --url") from None


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Where a test puts warnings, notes and its exchanges."""
    made: Record = request.node.stash.setdefault(RECORD, Record())
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what belongs to a profile that nobody asked for."""
    asked = item.config.stash[SETTINGS].profiles if SETTINGS in item.config.stash else ()
    for mark in item.iter_markers("profile"):
        if mark.args[0] not in asked:
            pytest.skip(f"profile {mark.args[0]} was not asked for")


def marked(item: pytest.Item, name: str) -> tuple[str, ...]:
    """The arguments of all marks of that name."""
    return tuple(argument for mark in item.iter_markers(name) for argument in mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds what a test said to the evidence."""
    report = yield
    if call.when == "call" or (call.when == "setup" and not report.passed):
        item.config.stash[EVIDENCE].append(_evidence(item, call, report))
    return report


def _evidence(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> Evidence:
    record = item.stash.get(RECORD, Record())
    evidence = Evidence(
        test=item.nodeid,
        clauses=marked(item, "clause"),
        needs=marked(item, "needs"),
        sums=marked(item, "sums"),
        warnings=record.warnings,
        notes=record.notes,
        profile=next(iter(marked(item, "profile")), ""),
        seconds=round(call.duration, 6),
        exchanges=[exchanged(it) for it in record.exchanges[-KEPT_EXCHANGES:]],
    )
    settings = item.config.stash.get(SETTINGS, None)
    if evidence.exchanges and settings is not None:
        title = f"{evidence.clauses[0] if evidence.clauses else ''} {item.nodeid}"
        evidence.replay = make(settings.target or settings.url, title, evidence.exchanges).id
    if report.skipped:
        evidence.outcome = "skipped"
        evidence.text = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    elif call.excinfo is not None:
        raised = call.excinfo.value
        match raised:
            case Lacking():
                evidence.outcome = "lacking"
            case Lost():
                evidence.outcome = "lost"
                item.session.shouldstop = item.config.stash[LOST] = f"{raised}, before the end of {item.name}"
            case Unmet():
                evidence.outcome = "unmet"
                evidence.blame = raised.blame
            case LookupError() | TypeError() | AttributeError():
                evidence.outcome = "unmet"
                evidence.blame = item.config.stash.get(SHAPES, ())
            case _:
                evidence.outcome = "failed"
        evidence.text = _said(raised)
    return evidence


def _said(raised: BaseException) -> str:
    """What a test says by an exception: the text of its assert, without pytest's account of the expression."""
    text = str(raised) or type(raised).__name__
    if isinstance(raised, AssertionError | Unmet | Lacking | pytest.fail.Exception):
        return text.partition("\nassert ")[0]
    return f"{type(raised).__name__}: {text}"
