"""Manager: has the tasks of runs executed, in the order that the queue gives.

One task, the *pump*, gathers what has ended and what can start and makes both durable in one commit; executors run
beside it. A task is in progress on the disk before its executor is called, unless that is idempotent and never waits:
then the task starts and ends in one commit. What waited for a task that was in progress starts in the commit that ends
it. Knows neither callers nor rights.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import trio
from apflow_protocol import Json, StreamEventName, Task

from protogen_runtime.store import StoreFull

from .clock import Clock
from .commits import View
from .events import Feed, TaskEvent
from .execution import Ended, Prompt, Running, execute, execute_now
from .executors.registry import ExecutorRegistry
from .questions import Question, Questions
from .queue import Member, Need, Node, Phase, ReadyQueue, Run
from .records import Entry, entry_of, needs_of
from .repository import Tasks
from .retries import NEVER, BadRetry, Retry, retry_of
from .rules import transitions
from .rules.transitions import TERMINAL

_logger = logging.getLogger(__name__)

MAX_BATCH: Final = 256
"""Tasks that one commit ends, and tasks that it starts: beyond that a commit takes longer than it saves."""
FULL_SECONDS: Final = 1.0
"""How long the pump waits before it tries again to write to a full disk."""
PROGRESS_SECONDS: Final = 0.1
"""How long progress is gathered before it is written: watchers see ten steps a second."""
INTERRUPTED: Final = "Interrupted by a restart of the node"
"""`error` of a task that was in progress when the node ended, and that may not be run twice."""

_KINDS: Final[dict[str, StreamEventName]] = {
    "completed": "task_completed",
    "failed": "task_failed",
    "cancelled": "task_cancelled",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may choose."""

    concurrency: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Tasks in progress at the same time."""
    retry: Retry = NEVER
    """How failed executions are tried again, where a task does not say it itself."""


class RunRecord(msgspec.Struct, kw_only=True):
    """What is kept of a run while it is under way. `id` changes whenever tasks join; `attachments` are the callers'."""

    id: str
    attachments: list[Json] = []


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that were stored for a run, for the manager to go on with."""

    root: str
    record: RunRecord
    members: Iterable[Member]


OnEnter: TypeAlias = Callable[["TaskManager", str, RunRecord], None]
"""Told of a run that begins or goes on: the manager, the root of the flow, and what is kept of its run."""

ARRIVING: Final = "arriving"
RUNNING: Final = "running"
"""States of a kept run: whether all of its tasks are stored."""


class _Start(msgspec.Struct, frozen=True):
    """A task that the last commit started."""

    node: Node
    entry: Entry
    task: Task


class _Prompted(msgspec.Struct, frozen=True):
    """A task that the last commit started and ended."""

    node: Node
    root: str
    started: Task
    ended: Task


class _Done(msgspec.Struct, kw_only=True):
    """What a commit of the pump did."""

    started: list[_Start] = []
    prompted: list[_Prompted] = []
    ended: list[tuple[Ended, Task]] = []
    refused: list[Ended] = []
    """What had been changed by somebody else before."""
    withheld: list[Node] = []
    """What could not start, since it relied on something refused."""
    gone: list[Node] = []
    """What was cancelled or deleted before it started."""
    advanced: list[tuple[Task, str]] = []
    over: list[Run] = []
    undecided: list[Run] = []
    """Runs that only seemed to be over."""


class TaskManager:
    """Executes tasks. Make one with `open_manager`; one per repository."""

    def __init__(
        self,
        tasks: Tasks,
        registry: ExecutorRegistry,
        *,
        clock: Clock,
        settings: Settings,
        nursery: trio.Nursery,
        on_enter: OnEnter | None = None,
    ) -> None:
        self._tasks = tasks
        self._registry = registry
        self._clock = clock
        self._settings = settings
        self._nursery = nursery
        self._on_enter = on_enter
        self.questions = Questions(self._tell_question)
        self._resumed: set[str] = set()
        """Tasks that were in progress when the node ended, and go on."""
        self._is_draining = False
        self.arriving: set[str] = set()
        """Roots of flows that are not wholly stored yet: they can be read, and nothing else."""
        self._queue = ReadyQueue(registry_limits(registry))
        self._records: dict[str, RunRecord] = {}
        self._feeds: dict[str, list[Feed]] = {}
        self._running: dict[str, Running] = {}
        self._ended: deque[Ended] = deque()
        self._progress: dict[str, float] = {}
        self._over: list[Run] = []
        self._work = trio.Event()
        self._reported = trio.Event()
        self._idle = trio.Event()

    # --- for operations: each is called in the event loop, in the `then` of a commit ----------------

    def enter(self, root: str, record: RunRecord, members: Iterable[Member]) -> None:
        """Let tasks take part in the run of a flow; they were stored as pending with `in_run`."""
        run = self._queue.join(root, members)
        self._records[root] = record
        if self._on_enter is not None:
            self._on_enter(self, root, record)
        if not run.open:
            self._over.append(run)
        self._wake()

    def withdraw(self, entries: Iterable[Entry]) -> None:
        """Tasks were cancelled or deleted: they do not run, or do not run any longer."""
        for entry in entries:
            running = self._running.pop(entry.key, None)
            if running is not None:
                running.cancel()
            node = self._queue.find(entry.key)
            if node is not None:
                run = node.run
                self._queue.settle(node, completed=False)
                if run is not None and not run.open:
                    self._over.append(run)
            if entry.status == "cancelled" and entry.root in self._feeds:
                self._tell(entry.root, entry.task)
        self._wake()

    def revise(self, member: Member) -> None:
        """A task has another priority or other dependencies."""
        node = self._queue.find(member.key)
        if node is not None:
            run = node.run
            self._queue.revise(member)
            if run is not None and not run.open:
                # What it had waited for may have been all that could still come.
                self._over.append(run)
            self._wake()

    def retire(self, key: str) -> None:
        """A task is pending, and not to be executed by the run that it took part in."""
        node = self._queue.find(key)
        if node is not None:
            run = node.run
            self._queue.retire(node)
            if run is not None and not run.open:
                self._over.append(run)
            self._wake()

    # --- following --------------------------------------------------------------------------------

    def subscribe(self, root: str, **options: Any) -> Feed:
        """The events of the run of a flow, from now on; ended at once where it has none and `open_ended` is not set.

        Give it back with `unsubscribe`.
        """
        feed = Feed(**options)
        self._feeds.setdefault(root, []).append(feed)
        return feed

    def unsubscribe(self, root: str, feed: Feed) -> None:
        """Follow no longer."""
        feed.end()
        feeds = self._feeds.get(root, [])
        if feed in feeds:
            feeds.remove(feed)
            if not feeds:
                del self._feeds[root]

    def is_running(self, root: str) -> bool:
        """Whether a flow has something under way."""
        return self._queue.run_of(root) is not None

    async def wait_idle(self) -> None:
        """Wait until no run is under way."""
        while self._records or self._running:
            await self._wait_change()

    async def drain(self) -> None:
        """Start nothing more, and wait until nothing is in progress; what is pending goes on after a restart."""
        self._is_draining = True
        while self._running:
            await self._wait_change()

    async def _wait_change(self) -> None:
        if self._idle.is_set():
            self._idle = trio.Event()
        await self._idle.wait()

    # --- the pump ---------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Start and end tasks as long as the node runs."""
        while True:
            ended, starts = self._gather()
            prompts = await self._execute_now(starts) if starts else {}
            progress = self._take_progress()
            over = self._take_over(ended, prompts)
            if not (ended or starts or progress or over):
                self._work = trio.Event()
                await self._work.wait()
                continue
            await self._make(ended, starts, prompts, progress, over)

    async def report(self) -> None:
        """Have progress written, not too often."""
        while True:
            self._reported = trio.Event()
            await self._reported.wait()
            await trio.sleep(PROGRESS_SECONDS)
            self._wake()

    def _gather(self) -> tuple[list[Ended], list[Node]]:
        """What has ended, and what can start once it has. The queue takes for granted that both will be."""
        ended: list[Ended] = []
        while self._ended and len(ended) < MAX_BATCH:
            each = self._ended.popleft()
            # What was withdrawn meanwhile has ended already.
            if self._running.get(each.running.key) is each.running:
                ended.append(each)
        for each in ended:
            self._queue.settle(each.running.node, completed=each.error is None)
        starts: list[Node] = []
        room = 0 if self._is_draining else self._settings.concurrency - len(self._running) + len(ended)
        while len(starts) < min(room, MAX_BATCH) and (node := self._queue.take()) is not None:
            starts.append(node)
        return ended, starts

    async def _execute_now(self, starts: Sequence[Node]) -> dict[Node, Prompt]:
        """Execute those of the tasks that need no waiting: they start and end in the commit that follows."""
        find = self._tasks.find_nowait
        missing = [node.key for node in starts if find(node.key) is None]
        fetched = await self._tasks.find_all(missing) if missing else {}
        prompts: dict[Node, Prompt] = {}
        for node in starts:
            entry = find(node.key) or fetched.get(node.key)
            if entry is not None and entry.status == "pending":
                prompt = execute_now(entry, self._registry, self._find_ended, retry=self._settings.retry)
                if prompt is not None:
                    prompts[node] = prompt
        return prompts

    def _find_ended(self, key: str) -> Entry | None:
        entry = self._tasks.find_nowait(key)
        return entry if entry is not None and entry.status in TERMINAL else None

    def _take_progress(self) -> dict[str, float]:
        progress = {key: fraction for key, fraction in self._progress.items() if key in self._running}
        self._progress = {}
        return progress

    def _take_over(self, ended: Sequence[Ended], prompts: Iterable[Node]) -> list[Run]:
        runs = {each.running.node.run for each in ended} | {*self._over, *self._queue.take_stalled()}
        self._over = []
        over = [run for run in runs if run is not None and self._is_over(run)]
        ending = Counter(node.run for node in prompts if not (node.required_by or node.optional_to))
        over += [run for run, count in ending.items() if run is not None and self._is_over(run, ending=count)]
        return over

    def _is_over(self, run: Run, *, ending: int = 0) -> bool:
        return self._queue.run_of(run.root) is run and self._queue.is_over(run, ending=ending)

    async def _make(
        self,
        ended: Sequence[Ended],
        starts: Sequence[Node],
        prompts: Mapping[Node, Prompt],
        progress: Mapping[str, float],
        over: Sequence[Run],
    ) -> None:
        now = self._clock.now()
        records = {run.root: self._records.get(run.root) for run in over}

        def decide(view: View) -> _Done:
            done = _Done()
            refused = self._end_all(view, ended, done, now)
            self._advance_all(view, progress, done, now)
            self._start_all(view, starts, prompts, refused, done, now)
            is_partial = bool(refused) or len(done.prompted) < len(prompts)
            for run in over:
                # Something refused may have been the end of one of them: they are looked at again.
                if is_partial or not self._end_run(view, run, records[run.root], done):
                    done.undecided.append(run)
            return done

        while True:
            try:
                await self._tasks.commit(decide, then=self._follow, weight=len(ended) + len(starts) + len(progress) + 1)
                return
            except StoreFull:
                _logger.exception("the store is full: tasks wait until there is space")
                await trio.sleep(FULL_SECONDS)

    # --- decisions: in the writer's thread --------------------------------------------------------

    def _end_all(self, view: View, ended: Sequence[Ended], done: _Done, now: str) -> set[Node]:
        refused: set[Node] = set()
        for each in ended:
            running = each.running
            entry = view.get(running.key)
            if entry is None or entry.status != "in_progress":
                done.refused.append(each)
                refused.add(running.node)
                continue
            task = running.task if entry is running.entry else entry.task
            after = _ended(task, each, now)
            view.change(entry, entry_of(after, root=entry.root, in_run=False))
            done.ended.append((each, after))
        return refused

    def _start_all(
        self,
        view: View,
        starts: Sequence[Node],
        prompts: Mapping[Node, Prompt],
        refused: set[Node],
        done: _Done,
        now: str,
    ) -> None:
        entries = view.get_all(node.key for node in starts)
        for node in starts:
            if node.phase is not Phase.TAKEN:
                continue
            # What it waits for was cancelled first, or it was changed since its turn came: it is looked at again.
            if not refused.isdisjoint(node.needs) or node.unmet or view.is_touched(node.key):
                done.withheld.append(node)
                continue
            entry = entries.get(node.key)
            if entry is not None and entry.status == "in_progress" and node.key in self._resumed:
                done.started.append(_Start(node, entry, entry.task))
                continue
            if entry is None or entry.status != "pending":
                done.gone.append(node)
                continue
            prompt = prompts.get(node)
            if prompt is not None and prompt.entry.document == entry.document:
                started = transitions.start(prompt.task, now=now)
                after = _ended(started, prompt, now)
                view.change(entry, entry_of(after, root=entry.root, in_run=False))
                done.prompted.append(_Prompted(node, entry.root, started, after))
                continue
            after = transitions.start(entry.task, now=now)
            changed = entry_of(after, root=entry.root, in_run=True)
            view.change(entry, changed)
            done.started.append(_Start(node, changed, after))

    def _advance_all(self, view: View, progress: Mapping[str, float], done: _Done, now: str) -> None:
        for key, fraction in progress.items():
            entry = view.get(key)
            if entry is not None and entry.status == "in_progress":
                after = transitions.advance(entry.task, now=now, progress=fraction)
                view.change(entry, entry_of(after, root=entry.root, in_run=True))
                done.advanced.append((after, entry.root))

    def _end_run(self, view: View, run: Run, record: RunRecord | None, done: _Done) -> bool:
        if run.root in view.runs_kept or self._records.get(run.root) is not record:
            return False  # tasks have joined meanwhile
        for node in run.nodes:
            if node.phase is Phase.WAITING:
                entry = view.get(node.key)
                if entry is not None and entry.in_run:
                    view.change(entry, msgspec.structs.replace(entry, in_run=False))
        view.end_run(run.root)
        done.over.append(run)
        return True

    # --- consequences: in the event loop ----------------------------------------------------------

    def _follow(self, done: _Done) -> None:
        for node in done.withheld:
            self._queue.put_back(node)
        for each in done.refused:
            self._queue.correct(each.running.node)
            self._running.pop(each.running.key, None)
        # What was not done may have been all that could still come.
        unsettled = [*done.withheld, *(each.running.node for each in done.refused)]
        self._over += [node.run for node in unsettled if node.run is not None and not node.run.open]
        for each, task in done.ended:
            if self._running.get(each.running.key) is each.running:
                del self._running[each.running.key]
            self._tell(each.running.entry.root, task)
        for task, root in done.advanced:
            self._tell(root, task, kind="task_progress_update")
        for node in done.gone:
            run = node.run
            if node.phase is Phase.TAKEN:
                self._queue.settle(node, completed=False)
            if run is not None and not run.open:
                self._over.append(run)
        for prompted in done.prompted:
            run = prompted.node.run
            if prompted.node.phase is Phase.TAKEN:
                self._queue.settle(prompted.node, completed=prompted.ended.status == "completed")
            self._tell(prompted.root, prompted.started)
            self._tell(prompted.root, prompted.ended)
            if run is not None and not run.open:
                self._over.append(run)
        for start in done.started:
            if start.node.phase is Phase.TAKEN:
                self._launch(start)
            self._resumed.discard(start.entry.key)
            self._tell(start.entry.root, start.task)
        self._over += done.undecided
        for run in done.over:
            self._finish(run)
        if not self._running or not self._records:
            self._idle.set()

    def _launch(self, start: _Start) -> None:
        running = Running(start.node, start.entry, start.task, ended=self._on_ended, progressed=self._on_progress)
        self._running[running.key] = running
        method = start.task.schemas.method if start.task.schemas else None
        if method is None:
            # Nothing to execute: the task groups others (A14).
            self._on_ended(Ended(running, result={}))
            return
        ask = partial(self.questions.ask, start.entry.root, start.task.id)
        self._nursery.start_soon(
            partial(execute, retry=self._settings.retry, settings=self._registry.settings, ask=ask),
            running,
            self._registry.find(method),
            self._tasks,
        )

    def _finish(self, run: Run) -> None:
        if not self._is_over(run):
            self._over.append(run)
            return
        self._queue.end(run)
        self._records.pop(run.root, None)
        for feed in self._feeds.pop(run.root, []):
            feed.end()
        # Another run may have waited for this one.
        self._over += [other for other in self._queue.runs if other.outside and not other.open]

    def _on_ended(self, ended: Ended) -> None:
        self._ended.append(ended)
        self._wake()

    def _on_progress(self, key: str, fraction: float) -> None:
        self._progress[key] = fraction
        self._reported.set()

    def _wake(self) -> None:
        self._work.set()

    def _tell_question(self, root: str, question: Question) -> None:
        running = self._running.get(question.task_id.lower())
        progress = 0.0 if running is None else float(running.task.progress_or_default)
        event = TaskEvent(
            kind="task_status_update",
            task_id=question.task_id,
            root_task_id=root,
            status="in_progress",
            progress=progress,
            asks=question,
        )
        self._publish(root, lambda: event)

    def _tell(self, root: str, task: Task, kind: StreamEventName | None = None) -> None:
        self._publish(root, lambda: event_of(task, root, kind))

    def _publish(self, root: str, make: Callable[[], TaskEvent]) -> None:
        feeds = self._feeds.get(root)
        if feeds:
            event = make()
            for feed in feeds:
                feed.publish(event)

    # --- after a restart --------------------------------------------------------------------------

    async def recover(self) -> None:
        """Go on with the runs that were under way when the node ended; before anything else.

        A task that was in progress goes on where its executor is idempotent or the task asks for retries: it is
        executed once more. Any other has failed, since nobody knows how far it came. Flows that were still arriving
        were not acknowledged, and are removed.
        """
        for root, state, document in await self._tasks.runs():
            if state == ARRIVING:
                await self._tasks.remove_flow(root)
            else:
                await self._recover_run(root, read_record(document))

    async def _recover_run(self, root: str, record: RunRecord) -> None:
        interrupted = [entry async for entry in self._tasks.members(root, status="in_progress")]
        resumed = {entry.key for entry in interrupted if self._can_resume(entry.task)}
        now = self._clock.now()
        for start in range(0, len(interrupted), MAX_BATCH):
            lost = [entry for entry in interrupted[start : start + MAX_BATCH] if entry.key not in resumed]

            def decide(view: View, lost: Sequence[Entry] = lost) -> None:
                for entry in lost:
                    after = transitions.fail(entry.task, now=now, error=INTERRUPTED)
                    view.change(entry, entry_of(after, root=root, in_run=False))

            await self._tasks.commit(decide, weight=len(lost))
        keys = resumed | {key async for key in self._tasks.member_keys(root)}
        members = [Member(entry.key, entry.task.priority_or_default) for entry in interrupted if entry.key in resumed]
        outside: dict[str, Entry] = {}
        async for entry in self._tasks.members(root, status="pending"):
            wanted = [key for key in needs_of(entry.task) if key not in keys and key not in outside]
            outside.update(await self._tasks.find_all(wanted))
            members.append(self.member_of(entry.task, outside.get, keys))
        self._resumed |= resumed
        self.enter(root, record, members)

    def _can_resume(self, task: Task) -> bool:
        registered = self._registry.find(task.schemas.method) if task.schemas else None
        if task.schemas is None or (registered is not None and registered.idempotent):
            return True
        try:
            return retry_of(task, self._settings.retry).max_attempts > 1
        except BadRetry:
            return False

    def member_of(self, task: Task, find: Callable[[str], Entry | None], run_keys: Container[str] = ()) -> Member:
        """A pending task as a member of a run that `run_keys` take part in, too; `find` gives other tasks."""
        needs: list[Need] = []
        for key, required in needs_of(task).items():
            outcome: bool | None = None
            if key not in run_keys:
                entry = find(key)
                if entry is None or entry.status in TERMINAL:
                    outcome = entry is not None and entry.status == "completed"
            needs.append(Need(key, required, outcome))
        group: str | None = None
        if task.schemas:
            registered = self._registry.find(task.schemas.method)
            if registered is not None and registered.concurrency is not None:
                group = registered.id
        return Member(task.id, task.priority_or_default, tuple(needs), group)


def _ended(task: Task, outcome: Ended | Prompt, now: str) -> Task:
    if outcome.error is None:
        return transitions.complete(task, now=now, result=outcome.result or {})
    return transitions.fail(task, now=now, error=outcome.error)


def registry_limits(registry: ExecutorRegistry) -> dict[str, int]:
    """How many executions of each executor may run at once, where that is bounded."""
    limits: dict[str, int] = {}
    for name in registry.known():
        registered = registry.find(name)
        if registered is not None and registered.concurrency is not None:
            limits[registered.id] = registered.concurrency
    return limits


def renew_record(view: View, root: str, *, new_id: Callable[[], str], attachment: Json = None) -> RunRecord:
    """What is to be kept of a run that tasks join or begin: another id, and all that was attached before."""
    attachments: list[Json] = [] if attachment is None else [attachment]
    kept = view.run_document(root)
    if kept is not None:
        attachments = [*read_record(kept).attachments, *attachments]
    return RunRecord(id=new_id(), attachments=attachments)


_record_decoder: Final = msgspec.json.Decoder(RunRecord)


def read_record(document: bytes) -> RunRecord:
    """What is kept of a run."""
    return _record_decoder.decode(document)


def write_record(record: RunRecord) -> bytes:
    """A run as it is kept."""
    return msgspec.json.encode(record)


def event_of(task: Task, root_id: str, kind: StreamEventName | None = None) -> TaskEvent:
    """The event that tells where a task stands."""
    return TaskEvent(
        kind=kind or _KINDS.get(task.status, "task_status_update"),
        task_id=task.id,
        root_task_id=root_id,
        status=task.status,
        progress=float(task.progress_or_default),
        result=task.result if isinstance(task.result, dict) else None,
        error=task.error or None,
    )


@asynccontextmanager
async def open_manager(
    tasks: Tasks,
    registry: ExecutorRegistry,
    *,
    clock: Clock | None = None,
    settings: Settings | None = None,
    on_enter: OnEnter | None = None,
) -> AsyncGenerator[TaskManager, None]:
    """A manager that executes tasks for as long as the context lasts; what it interrupts goes on after a restart."""
    async with trio.open_nursery() as nursery:
        manager = TaskManager(
            tasks,
            registry,
            clock=clock or Clock(),
            settings=settings or Settings(),
            nursery=nursery,
            on_enter=on_enter,
        )
        await manager.recover()
        nursery.start_soon(manager.pump)
        nursery.start_soon(manager.report)
        yield manager
        nursery.cancel_scope.cancel()
