"""Lane: how tasks of trio hand work to threads of their own and wait for what comes of it.

Cheaper than a thread call for each piece of work: a task puts its job into a queue and sleeps, a thread takes as many
as wait, and one call into the event loop wakes all of their tasks. Knows nothing of what the work is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeAlias, TypeVar

import outcome
import trio

from .errors import StoreClosed
from .jobs import Job, JobQueue

Work = TypeVar("Work")

Deliver: TypeAlias = Callable[[list[Job[Work]]], None]
Loop: TypeAlias = Callable[[JobQueue[Work], Deliver[Work]], None]
"""What a thread of a lane runs: it takes jobs until the queue is closed and empty, and delivers each of them once."""

MAX_WAITING: Final = 1024
"""Jobs under way in a lane; whoever brings one more waits. Twice what one group commit takes, so that a group can fill
while the one before it is made durable, and little enough that nobody waits behind seconds of work."""


class Lane(Generic[Work]):
    """A queue with its threads. Made, used and closed within one run of trio."""

    def __init__(self, name: str, loops: Sequence[Loop[Work]], *, capacity: int = MAX_WAITING) -> None:
        self._queue: JobQueue[Work] = JobQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._room = trio.Semaphore(capacity)
        # Daemons: a program that ends without closing its store has been answered for all that it was promised.
        self._threads = [
            threading.Thread(target=loop, args=(self._queue, self._deliver), name=f"{name}-{number}", daemon=True)
            for number, loop in enumerate(loops)
        ]
        for thread in self._threads:
            thread.start()

    async def do(self, work: Work) -> object:
        """Have work done and return its result, or raise its error.

        Cancellation withdraws work that no thread has taken up; after that it is waited for, and its outcome comes out
        here. Errors: StoreClosed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            await self._room.acquire()
        try:
            job: Job[Work] = Job(work, trio.lowlevel.current_task())
            if not self._queue.put(job):
                raise StoreClosed("the store is closed")

            def abort(_: object) -> trio.lowlevel.Abort:
                withdrawn = self._queue.withdraw(job)
                return trio.lowlevel.Abort.SUCCEEDED if withdrawn else trio.lowlevel.Abort.FAILED

            await trio.lowlevel.wait_task_rescheduled(abort)
        finally:
            self._room.release()
        if job.error is not None:
            raise job.error
        return job.result

    async def aclose(self) -> None:
        """Take no more work, finish what is there, and end the threads."""
        self._queue.close()
        with trio.CancelScope(shield=True):
            for thread in self._threads:
                await trio.to_thread.run_sync(thread.join)

    def _deliver(self, jobs: list[Job[Work]]) -> None:
        # The program may have ended without closing the store: then nobody waits any more.
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(_wake, jobs)


def _wake(jobs: list[Job[Work]]) -> None:
    for job in jobs:
        assert isinstance(job.waiter, trio.lowlevel.Task)
        trio.lowlevel.reschedule(job.waiter, outcome.Value(None))
