"""Following: an errand under way, and whoever wants its news.

Knows no transport; a follower that does not keep up is dropped at a bound.
"""

from __future__ import annotations

from math import inf
from typing import Final

import a2a_protocol as v1
import trio
from msgspec.structs import replace

from protogen_runtime.apflow.questions import Question

from .errands import Errand

MAX_BEHIND: Final = 1000
"""News that a follower may be behind: some hundred kilobytes."""


class Live:
    """An errand that has not ended; changed by the agent alone, under `lock`."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.lock = trio.Lock()
        self.questions: list[Question] = []
        self.is_followed = False
        """Whether somebody takes the news of its run."""
        self.is_cancelled = False
        self._news = trio.Event()
        self._followers: dict[object, trio.MemorySendChannel[v1.StreamResponse]] = {}

    @property
    def task(self) -> v1.Task:
        """The task as it stands: a frozen value."""
        return self.errand.task

    def become(self, status: v1.TaskStatus) -> None:
        """Give it another status."""
        self.errand.task = replace(self.errand.task, status=status)

    def follow(self, name: object = None) -> trio.MemoryReceiveChannel[v1.StreamResponse]:
        """Its news from now on, until it ends or the follower is too far behind; close it to follow no longer."""
        send, receive = trio.open_memory_channel[v1.StreamResponse](MAX_BEHIND)
        self._followers[object() if name is None else name] = send
        return receive

    def unfollow(self, name: object) -> None:
        """No more news for this one."""
        found = self._followers.pop(name, None)
        if found is not None:
            found.close()

    def publish(self, item: v1.StreamResponse) -> None:
        """Tell everybody; what it tells was stored before."""
        for name, send in list(self._followers.items()):
            try:
                send.send_nowait(item)
            except (trio.WouldBlock, trio.BrokenResourceError):
                self.unfollow(name)
        self._wake()

    def end(self) -> None:
        """There will be no more; what is waiting is still read."""
        for name in list(self._followers):
            self.unfollow(name)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def wait_until(self, states: frozenset[v1.TaskState], deadline: float | None) -> None:
        """Wait until it stands in one of these states or has ended, or the deadline, on trio's clock, has passed."""
        with trio.move_on_at(inf if deadline is None else deadline):
            while self.errand.state not in states and not self.errand.is_ended:
                await self._news.wait()
