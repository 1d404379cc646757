"""The runner: the target is opened, looked at, and judged by one suite under pytest. Returns values; prints nothing."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Sequence

import msgspec
import pytest

from protogen_compliance import plugin
from protogen_compliance.dialects import findings
from protogen_compliance.plugin import EVIDENCE, LOST, SETTINGS, Settings
from protogen_compliance.registry import Clause
from protogen_compliance.suite import Suite
from protogen_compliance.targets import NoTarget, WrongTarget, opened, parse_target
from protogen_compliance.verdicts import Evidence, Profile, Verdict, breaks, by_profile, conformant, judge

FORMAT = "protogen-report/1"

Progress = Callable[[int, int, str], None]
"""Told tests done, tests chosen, and the name of the test that is next."""


class Broken(Exception):
    """The kit itself failed: the suite could not be collected, or pytest stopped."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run, as `--json` writes it.

    `partial` where some clauses alone were asked for: such a run never says `conformant`. `lost` says why the run ended
    early. `stale` are known failures that pass now, `started` is a time of UTC in ISO 8601.
    """

    format: str = FORMAT
    protocol: str
    role: str
    target: str
    url: str
    dialect: str = ""
    started: str
    seconds: float
    conformant: bool
    partial: bool
    lost: str = ""
    profiles: list[Profile]
    verdicts: list[Verdict]
    stale: list[str] = []
    tests: list[Evidence]

    @property
    def shown(self) -> list[Verdict]:
        """The verdicts that the run is about: all, or those of a partial run that were looked at."""
        return [it for it in self.verdicts if it.tests] if self.partial else self.verdicts

    @property
    def findings(self) -> list[Verdict]:
        """What keeps the run from being in order, known failures left out."""
        return [it for it in self.shown if breaks(it) and not it.known]

    @property
    def in_order(self) -> bool:
        """Whether the command says 0: nothing is broken that was not known, and no known failure is stale."""
        passed = any(it.status == "PASS" for it in self.shown)
        return passed and not self.findings and not self.stale and not self.lost


class _Session:
    """Hands the settings to the plugin and takes the evidence from it."""

    def __init__(self, settings: Settings, chosen: Callable[[str], bool] | None, progress: Progress) -> None:
        self._settings = settings
        self._chosen = chosen
        self._progress = progress
        self._stash: pytest.Stash = pytest.Stash()
        self._count = 0
        self._done = 0
        self.evidence: list[Evidence] = []
        self.trouble: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[SETTINGS] = self._settings
        self._stash = config.stash
        self.evidence = config.stash[EVIDENCE]

    @property
    def lost(self) -> str | None:
        """Why the run ended early, None where it did not."""
        return self._stash.get(LOST, None)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if self._chosen is not None:
            items[:] = [item for item in items if any(map(self._chosen, plugin.marked(item, "clause")))]
        self._count = len(items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._progress(self._done, self._count, nodeid)
        self._done += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.trouble.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_internalerror(self, excrepr: object) -> None:
        self.trouble.append(str(excrepr))


def run(
    suite: Suite,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    matching: str = "",
    progress: Progress = lambda done, of, name: None,
) -> Run:
    """Runs a suite on the target that the settings name.

    `only` names the clauses whose tests are run and `matching` a part of their ids; all where both are empty. Raises
    NoTarget where there is nothing to test, WrongTarget, and Broken.
    """
    _check_kind(suite, settings.target)
    named = settings.target
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    start = time.monotonic()
    with suite.prepare(settings) as made, opened(parse_target(made.target)) as target:
        settings = suite.preflight(msgspec.structs.replace(made, url=target.url, command=target.command))
        session, code = _pytest(suite, settings, _choice(suite.clauses(), only, matching), progress)
    if session.trouble or (session.lost is None and code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)):
        raise Broken("\n".join(session.trouble) or f"pytest ended with {code!r}")
    partial = bool(only or matching)
    if session.lost is not None and not any(it.outcome == "passed" for it in session.evidence):
        raise NoTarget(session.lost)
    evidence = [*session.evidence]
    if session.lost is not None:
        for it in evidence:
            # The request that met its end says nothing of the clause that it was sent for.
            if it.outcome in ("failed", "unmet") and it.exchanges and it.exchanges[-1].received is None:
                it.outcome = "lost"
    if settings.dialect:
        evidence += findings(settings.dialect, suite.dialects[settings.dialect])
    verdicts = judge(suite.clauses(), evidence, lost=session.lost or "")
    # A profile that preflight found to apply counts as asked for.
    profiles = by_profile(verdicts, asked=settings.profiles, known=suite.profiles, evidence=evidence)
    return Run(
        protocol=suite.protocol,
        role=suite.role,
        target=named,
        url=settings.url,
        dialect=settings.dialect,
        started=started,
        seconds=round(time.monotonic() - start, 3),
        conformant=not partial and session.lost is None and conformant(verdicts),
        partial=partial,
        lost=session.lost or "",
        profiles=profiles,
        verdicts=verdicts,
        tests=evidence,
    )


def _check_kind(suite: Suite, target: str) -> None:
    kind = parse_target(target).kind
    if kind not in suite.takes:
        raise WrongTarget(f"{suite.protocol} ({suite.role}) is not tested over {kind}; give an address")


def _choice(clauses: dict[str, Clause], only: Sequence[str], matching: str) -> Callable[[str], bool] | None:
    """Whether a clause is one of those asked for; None for all."""
    if not only and not matching:
        return None
    chosen = {name for name in clauses if name in only or (matching and matching.lower() in name.lower())}
    return lambda name: name in chosen


def _pytest(
    suite: Suite, settings: Settings, chosen: Callable[[str], bool] | None, progress: Progress
) -> tuple[_Session, int]:
    session = _Session(settings, chosen, progress)
    folder = str(suite.folder)
    # Nothing of the place where it is run may change what it does: no ini file, no conftest above, no other plugins.
    sys.dont_write_bytecode = True
    options = ["-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--import-mode=importlib"]
    without = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler"]
    return session, pytest.main([*options, *without, folder], plugins=[plugin, session])
