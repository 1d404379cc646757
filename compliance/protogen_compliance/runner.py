"""The runner: preflight, pytest over one suite, verdicts. Returns values; printing is the caller's."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Sequence

import msgspec
import pytest

from protogen_compliance import plugin
from protogen_compliance.plugin import EVIDENCE, LOST, SETTINGS, Settings
from protogen_compliance.registry import clauses, suite_folder
from protogen_compliance.verdicts import Evidence, Verdict, judge


class Unreached(Exception):
    """There is nothing to test: the one finding of such a run."""


class Broken(Exception):
    """The kit itself failed: the suite could not be collected, or pytest stopped."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run."""

    protocol: str
    url: str
    verdicts: list[Verdict]
    evidence: list[Evidence]
    seconds: float


class _Session:
    """Hands the settings to the plugin and takes the evidence from it."""

    def __init__(self, settings: Settings, only: Sequence[str]) -> None:
        self._settings = settings
        self._only = frozenset(only)
        self._stash: pytest.Stash = pytest.Stash()
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
        if self._only:
            items[:] = [item for item in items if self._only.intersection(plugin.marked(item, "clause"))]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.trouble.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_internalerror(self, excrepr: object) -> None:
        self.trouble.append(str(excrepr))


def run(protocol: str, settings: Settings, *, only: Sequence[str] = ()) -> Run:
    """Runs the suite of a protocol; `only` names the clauses whose tests are run, all where empty.

    Raises UnknownProtocol, Unreached and Broken.
    """
    folder = suite_folder(protocol)
    listed = clauses(protocol)
    before = importlib.import_module(f"protogen_compliance.suites.{protocol}.preflight")
    try:
        settings = before.preflight(settings)
    except before.NoTarget as reason:
        raise Unreached(str(reason)) from None
    session = _Session(settings, only)
    start = time.monotonic()
    # Nothing of the place where it is run may change what it does: no ini file, no conftest above, no other plugins.
    sys.dont_write_bytecode = True
    options = ["-c", os.devnull, "--rootdir", str(folder), "--confcutdir", str(folder), "--import-mode=importlib"]
    without = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler"]
    code = pytest.main([*options, *without, str(folder)], plugins=[plugin, session])
    if session.lost is not None:
        raise Unreached(session.lost)
    if session.trouble or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise Broken("\n".join(session.trouble) or f"pytest ended with {code!r}")
    return Run(
        protocol=protocol,
        url=settings.url,
        verdicts=judge(listed, session.evidence),
        evidence=session.evidence,
        seconds=time.monotonic() - start,
    )
