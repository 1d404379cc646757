"""Doing something again whenever one of the files that it read changes, until it is told to end.

Files are asked for their times: no process of its own, no library, and some ten microseconds a file. Knows no command.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import click

from protogen.config import Refusal

LOOK_SECONDS: Final = 0.3
"""Time between two looks: less than a person notices, and next to no work."""

SETTLE_SECONDS: Final = 0.05
"""Time without a change after which a file counts as written."""

State = dict[str, tuple[int, ...]]


def watch(run: Callable[[], Iterable[Path]], always: Iterable[Path]) -> None:
    """Calls `run`, and again after each change of the paths that it returned or of those in `always`.

    What a run refuses is shown, and the paths of the run before it are watched on. Of a folder its names are watched.
    Ends, without an error, by SIGINT or SIGTERM: a run that is under way may finish, unless it is told a second time.
    """
    with _Clock() as clock:
        watched = set(always)
        paths = watched | _run(run, watched)
        while not clock.is_over:
            state = _state(paths)
            click.echo(f"watching {len(paths)} paths; Ctrl-C ends", err=True)
            changed = _next_change(paths, state, clock)
            if not changed:
                return
            click.echo(f"changed: {', '.join(_shown(path) for path in changed)}", err=True)
            paths = watched | _run(run, paths)


class _Over(BaseException):
    """The process was told to end."""


class _Clock:
    """Waits until a time has passed, or the process is told to end."""

    def __init__(self) -> None:
        self.is_over = False
        self._waits = False
        self._never = threading.Event()
        self._stack = ExitStack()

    def wait(self, seconds: float) -> bool:
        """Whether the process goes on after so long."""
        self._waits = True
        try:
            self._never.wait(0 if self.is_over else seconds)
        except _Over:
            pass
        finally:
            self._waits = False
        return not self.is_over

    def _end(self, *_: object) -> None:
        again, self.is_over = self.is_over, True
        if self._waits or again:
            raise _Over

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._stack.callback(signal.signal, number, signal.signal(number, self._end))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._stack.close()
        return kind is _Over


def _run(run: Callable[[], Iterable[Path]], known: set[Path]) -> set[Path]:
    try:
        return set(run())
    except Refusal as refusal:
        click.echo(str(refusal), err=True)
    except click.ClickException as reason:
        reason.show()
    return known


def _next_change(paths: set[Path], state: State, clock: _Clock) -> list[str]:
    """Waits for a change, and until it is complete; the paths that changed, none where the process is to end."""
    changed: list[str] = []
    now = state
    while not changed:
        if not clock.wait(LOOK_SECONDS):
            return []
        now = _state(paths)
        changed = [path for path in sorted(now) if now[path] != state[path]]
    while clock.wait(SETTLE_SECONDS):
        later = _state(paths)
        if later == now:
            return changed
        now = later
    return []


def _state(paths: Iterable[Path]) -> State:
    """What tells each path from what it will be: times, size and identity; a folder's are those of its names."""
    return {str(path): _mark(path) for path in paths}


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _shown(path: str) -> str:
    return path.removeprefix(f"{Path.cwd()}/")
