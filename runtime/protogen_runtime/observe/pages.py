"""What a server answers about itself: /health, /ready and /metrics, as data for any HTTP server.

Knows no transport and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from .log import Log
from .metrics import Metrics, Snapshot

Check: TypeAlias = Callable[[], str | None]
"""Tells at once whether something the server needs is there: None, or in a few words what is wrong. Never waits."""

JSON_TYPE: Final = "application/json"


class Answer(msgspec.Struct, frozen=True):
    """A page: an HTTP status, the media type and the body."""

    status: int
    media_type: str
    body: bytes


HEALTHY: Final = Answer(200, JSON_TYPE, b'{"status":"healthy"}')
"""/health: the process answers. It says nothing of what the process needs, lest a database's failure restart it."""


def health() -> Answer:
    """The page /health."""
    return HEALTHY


class Readiness:
    """Whether to send requests here: every check passes, and the server is not shutting down."""

    def __init__(self, *, log: Log | None = None, is_closing: Callable[[], bool] = bool) -> None:
        self._checks: dict[str, Check] = {}
        self._log = log
        self._is_closing = is_closing
        self._closing = False
        self._failing: dict[str, str] = {}

    def add(self, name: str, check: Check) -> None:
        """Ask `check` whenever the page is asked for. Errors: ValueError for a name that is taken."""
        if name in self._checks:
            raise ValueError(f"there is a check {name!r} already")
        self._checks[name] = check

    def close(self) -> None:
        """Shutting down: not ready from now on."""
        self._closing = True

    def watch(self, is_closing: Callable[[], bool]) -> None:
        """Ask `is_closing` whether the server is shutting down, too."""
        self._is_closing = is_closing

    @property
    def failing(self) -> dict[str, str]:
        """What is wrong, by the name of the check; `shutdown` stands for shutting down."""
        found = {"shutdown": "the server is shutting down"} if self._closing or self._is_closing() else {}
        for name, check in self._checks.items():
            try:
                reason = check()
            except Exception as error:  # noqa: BLE001 - a check that fails to tell is a check that fails
                reason = f"the check raised {type(error).__name__}"
            if reason is not None:
                found[name] = reason
        return found

    def page(self) -> Answer:
        """The page /ready: 200, or 503 with the names of what fails; reasons go to the log, where they change."""
        failing = self.failing
        if failing != self._failing:
            self._failing = failing
            if self._log is not None:
                if failing:
                    self._log.tell("not ready", "warning", failing=failing)
                else:
                    self._log.tell("ready")
        if failing:
            body = msgspec.json.encode({"status": "not ready", "failing": sorted(failing)})
            return Answer(503, JSON_TYPE, body)
        return Answer(200, JSON_TYPE, b'{"status":"ready"}')


def metrics_page(metrics: Metrics, others: Callable[[], Iterable[Snapshot]] = tuple) -> Answer:
    """The page /metrics; `others` gives the numbers of the server's other processes."""
    media_type, body = metrics.render(others())
    return Answer(200, media_type, body)
