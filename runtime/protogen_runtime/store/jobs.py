"""Jobs: work that tasks hand to threads, first in, first out.

Knows neither trio nor SQL: threads take from it, and whoever puts something in learns elsewhere what became of it.
"""

from __future__ import annotations

from collections import deque
from threading import Condition, Lock
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Job(Generic[Work]):
    """One piece of work, who waits for it, and what came of it."""

    __slots__ = ("error", "result", "waiter", "work")

    def __init__(self, work: Work, waiter: object) -> None:
        self.work = work
        self.waiter = waiter
        self.result: object = None
        self.error: BaseException | None = None


class JobQueue(Generic[Work]):
    """A queue between tasks and threads. Its length is bounded by those who put in, who can wait without a thread."""

    def __init__(self) -> None:
        self._jobs: deque[Job[Work]] = deque()
        self._lock = Lock()
        self._filled = Condition(self._lock)
        self._idle = 0
        self._closed = False

    def put(self, job: Job[Work]) -> bool:
        """Add a job; False where the queue is closed. Wakes a thread only if one sleeps: a busy one looks by itself."""
        with self._lock:
            if self._closed:
                return False
            self._jobs.append(job)
            if self._idle:
                self._filled.notify()
            return True

    def take(self) -> Job[Work] | None:
        """Take the oldest job, waiting for one; None once the queue is closed and empty."""
        with self._lock:
            self._idle += 1
            while not self._jobs and not self._closed:
                self._filled.wait()
            self._idle -= 1
            return self._jobs.popleft() if self._jobs else None

    def take_nowait(self) -> Job[Work] | None:
        """Take the oldest job; None where there is none now."""
        with self._lock:
            return self._jobs.popleft() if self._jobs else None

    def withdraw(self, job: Job[Work]) -> bool:
        """Take back a job that no thread has taken; False where one has."""
        with self._lock:
            try:
                self._jobs.remove(job)
            except ValueError:
                return False
            return True

    def close(self) -> None:
        """Take no more jobs; those that are there are done."""
        with self._lock:
            self._closed = True
            self._filled.notify_all()

    def drain(self) -> list[Job[Work]]:
        """Close, and give back what no thread will do any more."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
            self._jobs.clear()
            self._filled.notify_all()
            return jobs
