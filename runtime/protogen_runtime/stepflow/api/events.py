"""The events of a run as server-sent events, and everybody who waits for a run at the moment.

An event has the id of its place in the run, so that a reader who was cut off goes on where it was (Last-Event-ID).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Final

import msgspec
import trio

from protogen_runtime.stepflow.runs.contract import Ending, Feed, RunEvent

from .exchange import EVENTS_TYPE, Answer, Pieces

KEEP_ALIVE_SECONDS: Final = 15.0
"""Proxies close a connection that is silent for a minute; a comment in time keeps it."""

RETRY_MILLISECONDS: Final = 1000
"""After how long a reader that was cut off should come back."""

_HEADERS: Final = ((b"content-type", EVENTS_TYPE), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))

_encode: Final = msgspec.json.Encoder().encode


class Following:
    """Whoever waits for something to happen to a run: all can be ended at once."""

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()
        self._endings: set[Ending] = set()
        self.has_ended = False

    @contextmanager
    def waiting(self, seconds: float | None = None) -> Generator[trio.CancelScope]:
        """A scope that is cancelled after a while, and when all is ended."""
        scope = trio.CancelScope()
        if seconds is not None:
            scope.deadline = trio.current_time() + seconds
        if self.has_ended:
            scope.cancel()
        self._scopes.add(scope)
        try:
            with scope:
                yield scope
        finally:
            self._scopes.discard(scope)

    def add(self, ending: Ending) -> None:
        """Have it left when all is ended, until `discard`."""
        self._endings.add(ending)

    def discard(self, ending: Ending) -> None:
        """Nobody waits for it any more."""
        self._endings.discard(ending)

    def end(self) -> None:
        """End all that wait, and whoever comes later."""
        self.has_ended = True
        for ending in tuple(self._endings):
            ending.leave()
        for scope in tuple(self._scopes):
            scope.cancel()


async def stream_of(feed: Feed, following: Following, *, is_over: bool) -> Answer | Pieces:
    """The answer that follows a feed; 204 where the run is over and its reader has seen it all, so that it stays away.

    `is_over`: the run had ended before the feed began.
    """
    first: RunEvent | None = None
    if is_over:
        first = await _next(feed)
        if first is None:
            return Answer(204)
    return Pieces(200, _pieces(feed, following, first), _HEADERS)


async def _next(feed: Feed) -> RunEvent | None:
    try:
        return await anext(feed)
    except StopAsyncIteration:
        return None


async def _pieces(feed: Feed, following: Following, first: RunEvent | None) -> AsyncGenerator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    last = 0
    if first is not None:
        yield _event(first)
        last = first.sequence
    while not following.has_ended:
        with following.waiting(KEEP_ALIVE_SECONDS) as scope:
            event = await _next(feed)
            if event is None:
                # The run has ended; or this reader was too slow, and comes back for the rest.
                return
        if not scope.cancelled_caught:
            if last and event.sequence != last + 1:
                # Something was lost on the way: the reader comes back for what follows the last it saw.
                return
            yield _event(event)
            last = event.sequence
        elif not following.has_ended:
            yield b": still here\n\n"


def _event(event: RunEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.sequence, event.kind.encode(), _encode(event))
