"""Scheduler: has tasks executed when their schedules say so.

One task that sleeps until the next time that any task has, or until a schedule changes. A trigger counts and starts in
one commit, so that none is lost or doubled by a crash. What was missed while the node was down is made up for once.
A schedule on the root of a flow runs the whole flow, one on another task that task and what it depends on
(03-data-model.md, Scheduling Fields). While anything of that is still in progress, a trigger is passed over. Knows no
notation of schedules: `rules.schedules` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import trio
from msgspec.structs import replace

from protogen_runtime.store import StoreFull

from .clock import Clock, seconds_of
from .commits import View
from .manager import RUNNING, Entered, TaskManager, renew_record, write_record
from .records import Entry, entry_of
from .repository import Tasks
from .rules import schedules, transitions

_logger = logging.getLogger(__name__)

LONGEST_SLEEP: Final = 60.0
"""Seconds after which the time is looked at again: the system's clock may have been set."""
RETRY_SECONDS: Final = 1.0
"""Seconds until what could not be triggered now is tried again."""
BATCH: Final = 100


class Scheduler:
    """Triggers due tasks of one repository, for as long as `run` runs."""

    def __init__(self, tasks: Tasks, manager: TaskManager, *, clock: Clock, new_id: Callable[[], str]) -> None:
        self._tasks = tasks
        self._manager = manager
        self._clock = clock
        self._new_id = new_id

    async def run(self) -> None:
        """Trigger tasks until cancelled."""
        while True:
            changed = self._tasks.schedule_changed()
            planned = await self._tasks.next_due()
            pause = LONGEST_SLEEP if planned is None else seconds_of(planned) - self._clock.seconds()
            if pause <= 0:
                pause = 0.0 if await self._trigger_due() else RETRY_SECONDS
            with trio.move_on_after(min(pause, LONGEST_SLEEP)):
                await changed.wait()

    async def _trigger_due(self) -> bool:
        """Trigger what is due; False where nothing could be."""
        found = False
        for entry in await self._tasks.due(self._clock.now(), limit=BATCH):
            if entry.root in self._manager.arriving:
                continue
            try:
                await self._tasks.commit(self._decision(entry.key), then=self._entered)
                found = True
            except StoreFull:
                _logger.exception("the store is full: schedules wait until there is space")
                return False
        return found

    def _entered(self, entered: Entered | None) -> None:
        if entered is not None:
            self._manager.enter(entered.root, entered.record, entered.members)

    def _decision(self, key: str) -> Callable[[View], Entered | None]:
        now = self._clock.now()

        def decide(view: View) -> Entered | None:
            entry = view.get(key)
            if entry is None or entry.next_run is None or entry.next_run > now:
                return None
            task = entry.task
            flow = {other.key: other for other in view.flow(entry.root) if other.owner == entry.owner}
            flow[key] = entry
            chosen = [flow[id_] for id_ in schedules.scope(task, {id_: other.task for id_, other in flow.items()})]
            if any(other.status == "in_progress" for other in chosen):
                planned = schedules.next_run_of(task, after=now, anchor=entry.next_run)
                after = replace(task, next_run_at=planned, updated_at=max(now, str(task.updated_at)))
                view.change(entry, entry_of(after, root=entry.root, in_run=entry.in_run))
                return None
            return self._enter(view, key, chosen, now)

        return decide

    def _enter(self, view: View, key: str, chosen: list[Entry], now: str) -> Entered:
        ready = [
            (
                other,
                transitions.reset(
                    schedules.triggered(other.task, now=now) if other.key == key else other.task, now=now
                ),
            )
            for other in chosen
            if other.status == "pending" or other.task.origin_type != "archive"
        ]
        root = chosen[0].root
        for before, after in ready:
            view.change(before, entry_of(after, root=root, in_run=True))
        keys = {other.key for other, _ in ready}
        record = renew_record(view, root, new_id=self._new_id)
        view.keep_run(root, write_record(record), RUNNING)
        members = [self._manager.member_of(after, view.get, keys) for _, after in ready]
        return Entered(root=root, record=record, members=members)
