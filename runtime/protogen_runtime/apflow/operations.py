"""Operations: what the ten methods do, for whoever speaks the protocol.

Each takes the generated params and the user who asks, None where nobody is asked who they are. Refusals are
`rules.faults.RuleBroken`. What changes something returns after the commit. Reads give the JSON that was stored as
`msgspec.Raw`, checked when it was kept; the `_nowait` forms give it at once where it is in memory, else None.
Knows no transport.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio
from apflow_protocol import (
    Json,
    Task,
    TasksCancelParams,
    TasksCancelResult,
    TasksChildrenParams,
    TasksCopyParams,
    TasksCopyResult,
    TasksCreateParams,
    TasksCreateResult,
    TasksDeleteParams,
    TasksDeleteResult,
    TasksExecuteParams,
    TasksExecuteResult,
    TasksGetParams,
    TasksListParams,
    TaskStatus,
    TasksTreeParams,
    TasksUpdateParams,
    TasksUpdateResult,
)
from msgspec import UNSET, Raw
from msgspec.structs import replace

from protogen_runtime.dispatch import Later, Mapped
from protogen_runtime.store import Store

from .clock import Clock
from .commits import View
from .events import Feed
from .executors.inputs import InputSchemas
from .executors.registry import ExecutorRegistry
from .identifiers import new_uuid
from .manager import (
    ARRIVING,
    RUNNING,
    Entered,
    OnEnter,
    RunRecord,
    Settings,
    TaskManager,
    open_manager,
    renew_record,
    write_record,
)
from .queue import Member
from .records import Entry, entry_of, needs_of, owner_of
from .repository import CACHE_BYTES, EVERYONE, Owner, Tasks, open_tasks
from .rules import copying, creation, dependencies, nesting, provenance, reexecution, transitions, trees, updates
from .rules.faults import (
    FieldFault,
    Path,
    already_executing,
    executor_not_found,
    refusal,
    task_not_found,
    unauthorized,
)
from .rules.ids import canonical
from .scheduler import Scheduler

MAX_TASKS: Final = 100_000
"""Tasks of one execution: each takes some kilobytes while it is stored, however short its JSON."""
LARGE: Final = 1000
"""Tasks beyond which a flow is checked in a thread and stored in pieces."""
PIECE: Final = 500
"""Tasks of a large flow that are stored by one commit, beside what others want: some 20 ms."""


def visible(user: str | None, entry: Entry) -> bool:
    """Whether a user may know of a task: where users are told apart, everyone sees their own."""
    return user is None or entry.owner == owner_of(user)


def _new_record(record_id: str, attachment: Json) -> RunRecord:
    return RunRecord(id=record_id, attachments=[] if attachment is None else [attachment])


def _nothing(_: str) -> None:
    return None


def _check_inputs(task: Task, schemas: InputSchemas, *, at: Path = ()) -> None:
    """Hold the inputs to the schema that the task brings along. Errors: InvalidTaskSchema (A9)."""
    if task.schemas and task.schemas.input_schema is not UNSET:
        faults = schemas.faults(task.schemas.input_schema, task.inputs or {}, at=at)
        if faults:
            raise refusal("InvalidTaskSchema", faults)


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an execution: the answer, and the events from its start where they were asked for."""

    result: TasksExecuteResult
    root: str
    feed: Feed | None = None


def _started(entered: Entered, feeds: Sequence[Feed]) -> Started:
    result = TasksExecuteResult(root_task_id=entered.root, status="started")
    return Started(result=result, root=entered.root, feed=feeds[0] if feeds else None)


class Operations:
    """The ten methods over one repository and its manager."""

    def __init__(
        self,
        tasks: Tasks,
        manager: TaskManager,
        registry: ExecutorRegistry,
        *,
        clock: Clock | None = None,
        new_id: Callable[[], str] = new_uuid,
    ) -> None:
        self.tasks = self._tasks = tasks
        self.manager = self._manager = manager
        self._registry = registry
        self._clock = clock or Clock()
        self._new_id = new_id
        self._schemas = InputSchemas()
        self._schemas_in_decisions = InputSchemas()
        """Decisions run in another thread, one at a time."""

    # --- reading ----------------------------------------------------------------------------------

    def get_nowait(self, params: TasksGetParams, user: str | None) -> Raw | None:
        """The complete task, where it is in memory."""
        entry = self._tasks.find_nowait(canonical(params.task_id))
        if entry is None:
            return None
        if not visible(user, entry):
            raise task_not_found(params.task_id)
        return Raw(entry.document)

    async def get(self, params: TasksGetParams, user: str | None) -> Raw:
        """The complete task. Errors: TaskNotFound."""
        return Raw((await self._find(params.task_id, user)).document)

    def list_nowait(self, params: TasksListParams, user: str | None) -> Raw | None:
        """A page, where it is in memory."""
        answer = self._tasks.page_nowait(
            owner=_owner_asked(params, user),
            status=params.status or None,
            limit=params.limit_or_default,
            offset=params.offset_or_default,
        )
        return None if answer is None else Raw(answer)

    async def list_(self, params: TasksListParams, user: str | None) -> Raw:
        """A page of the tasks that match, in the order of their creation, with the total. Errors: Unauthorized."""
        return Raw(
            await self._tasks.page(
                owner=_owner_asked(params, user),
                status=params.status or None,
                limit=params.limit_or_default,
                offset=params.offset_or_default,
            )
        )

    async def children(self, params: TasksChildrenParams, user: str | None) -> Raw:
        """The tasks directly below one. Errors: TaskNotFound (A32)."""
        parent = await self._find(params.parent_id, user)
        children = await self._tasks.children(parent.key)
        return Raw(b'{"children":[%s]}' % b",".join(each.document for each in children if visible(user, each)))

    async def tree(self, params: TasksTreeParams, user: str | None) -> Raw:
        """A task with all below it (A31: of any task its own subtree). Errors: TaskNotFound."""
        top = await self._find(params.task_id, user)
        flow = {entry.key: entry for entry in await self._tasks.flow(top.root) if visible(user, entry)}
        if top.key not in flow:
            raise task_not_found(params.task_id)
        children: dict[str, list[str]] = {}
        for entry in flow.values():
            if entry.parent is not None:
                children.setdefault(entry.parent, []).append(entry.key)
        return Raw(trees.write_tree(top.key, lambda key: children.get(key, ()), lambda key: flow[key].document))

    async def _find(self, task_id: str, user: str | None) -> Entry:
        entry = await self._tasks.find(canonical(task_id))
        if entry is None or not visible(user, entry):
            raise task_not_found(task_id)
        return entry

    # --- changing one task ------------------------------------------------------------------------

    async def create(self, params: TasksCreateParams, user: str | None) -> TasksCreateResult:
        """See `begin_create`."""
        return await self.begin_create(params, user)

    def begin_create(self, params: TasksCreateParams, user: str | None) -> Later[TasksCreateResult]:
        """Create a pending task. Errors: InvalidParams, InvalidTaskSchema, Unauthorized, InvalidParentReference,
        InvalidDependencyReference, CircularDependency.
        """
        _check_owner(params.user_id or None, user)
        now = self._clock.now()
        nesting.check_nesting(params)
        task = creation.create(params, id=self._new_id(), now=now, user_id=user)
        _check_inputs(task, self._schemas)

        def decide(view: View) -> TasksCreateResult:
            find = _finder(view, user)
            trees.check_parent(task, find)
            dependencies.check_dependencies(task, find)
            provenance.check_origin(task, find)
            parent = view.get(task.parent_id) if task.parent_id else None
            if parent is not None and parent.root in self._manager.arriving:
                raise already_executing(parent.key)
            view.insert(entry_of(task, root=parent.root if parent else task.id, in_run=False), needs_of(task))
            self._mark_source(view, task, now)
            return TasksCreateResult(id=task.id, status="pending")

        return self._tasks.begin(decide)

    async def update(self, params: TasksUpdateParams, user: str | None) -> TasksUpdateResult:
        """See `begin_update`."""
        return await self.begin_update(params, user)

    def begin_update(self, params: TasksUpdateParams, user: str | None) -> Later[TasksUpdateResult]:
        """Change a task. Errors: those of `rules.updates.apply_updates`, TaskNotFound, Unauthorized."""
        new_owner = params.updates.user_id
        if new_owner is not UNSET:
            _check_owner(new_owner, user, is_change=True)
        key = canonical(params.task_id)
        now = self._clock.now()

        def decide(view: View) -> tuple[Task, Entry, Entry, Member | None]:
            before = _look(view, key, user, params.task_id)
            task = before.task
            after = updates.apply_updates(task, params.updates, now=now, find=_finder(view, user))
            if after is task:
                return task, before, before, None
            if after.inputs is not task.inputs or after.schemas is not task.schemas:
                _check_inputs(after, self._schemas_in_decisions, at=("updates",))
            root = before.root
            if after.parent_id != task.parent_id:
                parent = view.get(after.parent_id) if after.parent_id else None
                root = parent.root if parent else key
                self._move(view, before, root)
            in_run = before.in_run and after.status in ("pending", "in_progress")
            changed = entry_of(after, root=root, in_run=in_run)
            view.change(before, changed)
            if (needs := needs_of(after)) != (needs_before := needs_of(task)):
                view.depend(key, needs_before, needs)
            if after.original_task_id != task.original_task_id:
                self._mark_source(view, after, now)
            return (
                after,
                before,
                changed,
                self._manager.member_of(after, view.get) if in_run and after.status == "pending" else None,
            )

        def then(done: tuple[Task, Entry, Entry, Member | None]) -> None:
            _, before, after, member = done
            if after.status == "cancelled" != before.status:
                self._manager.withdraw([after])
            elif member is not None:
                self._manager.revise(member)
            elif after.status == "pending" != before.status:
                self._manager.retire(key)

        done = self._tasks.begin(decide, then=then)
        return Mapped(done, lambda done: TasksUpdateResult(id=done[0].id, status=done[0].status))

    async def delete(self, params: TasksDeleteParams, user: str | None) -> TasksDeleteResult:
        """See `begin_delete`."""
        return await self.begin_delete(params, user)

    def begin_delete(self, params: TasksDeleteParams, user: str | None) -> Later[TasksDeleteResult]:
        """Delete a pending task that nothing refers to. Errors: TaskNotFound, CannotDeleteTask."""
        key = canonical(params.task_id)

        def decide(view: View) -> Entry:
            entry = _look(view, key, user, params.task_id)
            trees.check_deletion(
                entry.task,
                children=[child.key for child in view.children(key)],
                dependants=view.dependants(key),
            )
            view.delete(entry, needs_of(entry.task))
            return entry

        done = self._tasks.begin(decide, then=lambda entry: self._manager.withdraw([entry]))
        return Mapped(done, lambda _: TasksDeleteResult(success=True))

    async def cancel(self, params: TasksCancelParams, user: str | None) -> TasksCancelResult:
        """See `begin_cancel`."""
        return await self.begin_cancel(params, user)

    def begin_cancel(self, params: TasksCancelParams, user: str | None) -> Later[TasksCancelResult]:
        """Cancel a task that has not ended; `error_message` beside the id is kept (A25).

        Errors: TaskNotFound, InvalidStateTransition for one that has ended (A26).
        """
        key = canonical(params.task_id)
        message = params.extra.get("error_message") if params.extra is not UNSET else None
        if message is not None and (not isinstance(message, str) or not message):
            raise refusal(
                "InvalidParams",
                [
                    FieldFault(
                        field="error_message",
                        reason="Wrong type",
                        expected="a text that is not empty",
                        actual=message,
                        path=("error_message",),
                    )
                ],
            )

        now = self._clock.now()

        def decide(view: View) -> Entry:
            before = _look(view, key, user, params.task_id)
            after = transitions.cancel(before.task, now=now, error=message)
            changed = entry_of(after, root=before.root, in_run=False)
            view.change(before, changed)
            return changed

        done = self._tasks.begin(decide, then=lambda entry: self._manager.withdraw([entry]))
        return Mapped(done, lambda entry: TasksCancelResult(task_id=entry.key, status="cancelled"))

    async def copy(self, params: TasksCopyParams, user: str | None) -> TasksCopyResult:
        """Copy a task, and with `copy_children` its direct children and what they depend on. Errors: TaskNotFound."""
        key = canonical(params.task_id)

        now = self._clock.now()

        def decide(view: View) -> str:
            source = _look(view, key, user, params.task_id)
            children: list[Task] = []
            flow: dict[str, Task] = {}
            if params.copy_children_or_default:
                flow = {entry.key: entry.task for entry in view.flow(source.root) if visible(user, entry)}
                children = [task for task in flow.values() if task.parent_id == key]
            copies = copying.copy(
                source.task,
                children,
                flow,
                copy_children=params.copy_children_or_default,
                new_id=self._new_id,
                now=now,
            )
            for each in copies:
                view.insert(entry_of(each, root=copies[0].id, in_run=False), needs_of(each))
                self._mark_source(view, each, now)
            return copies[0].id

        copied = await self._tasks.commit(decide)
        return TasksCopyResult(original_task_id=key, copied_task_id=copied, status="pending")

    # --- executing --------------------------------------------------------------------------------

    async def execute(
        self,
        params: TasksExecuteParams,
        user: str | None,
        *,
        follow: bool = False,
        attachment: Json = None,
    ) -> Started:
        """See `begin_execute`. Too many tasks for that are checked in a thread and stored in pieces."""
        if len(params.tasks) <= LARGE:
            return await self.begin_execute(params, user, follow=follow, attachment=attachment)
        self._check_call(params, user)
        now = self._clock.now()
        # Seconds of work, in which others shall not wait; with schemas of its own, since it is another thread.
        tasks = await trio.to_thread.run_sync(self._checked, params, user, now, InputSchemas())
        if await self._tasks.any_known([task.id for task in tasks]):
            return await self._begin(tasks, params, user, now, follow=follow, attachment=attachment)
        # All that is needed of them is in `tasks` now; 100,000 of them take 50 MB.
        params.tasks.clear()
        feeds: list[Feed] = []
        entered = await self._store_large(tasks, user, attachment, self._enterer(feeds, follow=follow), now)
        return _started(entered, feeds)

    def begin_execute(
        self,
        params: TasksExecuteParams,
        user: str | None,
        *,
        follow: bool = False,
        attachment: Json = None,
    ) -> Later[Started]:
        """Store new tasks, reset those that ran before, and have them executed; it is there once that is durable.

        The tasks, of which there are at most LARGE, are a tree, or part of one that is stored. What they depend on and
        is pending runs too, and what depends on them and ran before; a stored root stands for its whole flow. With
        `follow` the answer has a feed of the events. `attachment` is kept with the run and survives a restart.
        Errors: InvalidTaskSchema, TaskTreeValidationFailed, CircularDependency, InvalidParentReference,
        InvalidDependencyReference, ExecutorNotFound, TaskAlreadyExecuting, DependencyNotSatisfied, Unauthorized.
        """
        self._check_call(params, user)
        now = self._clock.now()
        tasks = self._checked(params, user, now, self._schemas)
        return self._begin(tasks, params, user, now, follow=follow, attachment=attachment)

    def _begin(
        self,
        tasks: Sequence[Task],
        params: TasksExecuteParams,
        user: str | None,
        now: str,
        *,
        follow: bool,
        attachment: Json,
    ) -> Later[Started]:
        feeds: list[Feed] = []

        def decide(view: View) -> Entered:
            return self._enter(view, tasks, params, user, attachment, now)

        done = self._tasks.begin(decide, then=self._enterer(feeds, follow=follow), weight=len(tasks))
        return Mapped(done, lambda entered: _started(entered, feeds))

    def _enterer(self, feeds: list[Feed], *, follow: bool) -> Callable[[Entered], None]:
        def then(entered: Entered) -> None:
            if follow:
                feeds.append(self._manager.subscribe(entered.root, keeps_results=False))
            self._manager.enter(entered.root, entered.record, entered.members)

        return then

    def unfollow(self, started: Started) -> None:
        """Give back the feed of an execution."""
        if started.feed is not None:
            self._manager.unsubscribe(started.root, started.feed)

    def _check_call(self, params: TasksExecuteParams, user: str | None) -> None:
        if len(params.tasks) > MAX_TASKS:
            fault = FieldFault(
                field="tasks",
                reason="Too many items",
                expected=f"at most {MAX_TASKS}",
                actual=len(params.tasks),
                path=("tasks",),
            )
            raise refusal("InvalidParams", [fault])
        for given in params.tasks:
            _check_owner(given.user_id or None, user)

    def _checked(self, params: TasksExecuteParams, user: str | None, now: str, schemas: InputSchemas) -> list[Task]:
        for index, given in enumerate(params.tasks):
            nesting.check_nesting(given, at=("tasks", index))
        tasks = creation.create_all(params.tasks, new_id=self._new_id, now=now, user_id=user)
        for index, task in enumerate(tasks):
            self._check_executor(task, at=("tasks", index))
            _check_inputs(task, schemas, at=("tasks", index))
        return tasks

    async def _store_large(
        self, tasks: list[Task], user: str | None, attachment: Json, then: Callable[[Entered], None], now: str
    ) -> Entered:
        """Store a large new flow piece by piece, so that nobody waits behind all of it; it counts once it is whole.

        Uses up `tasks`. Nothing is left of a flow that fails, or that a crash cuts short.
        """
        top = await trio.to_thread.run_sync(trees.check_tree, tasks)
        if top.id in self._manager.arriving:
            raise already_executing(top.id)
        # The root comes first, so that it is ours before anything else is stored under its name.
        left = deque([top, *(task for task in tasks if task is not top)])
        keys = {task.id for task in tasks}
        tasks.clear()
        entered = Entered(root=top.id, record=_new_record(self._new_id(), attachment), members=[])
        document = write_record(entered.record)
        members: list[Member] = []
        self._manager.arriving.add(top.id)
        is_ours = is_whole = False
        try:
            while left:
                piece = [left.popleft() for _ in range(min(PIECE, len(left)))]
                state = ARRIVING if left else RUNNING

                def decide(view: View, piece: Sequence[Task] = piece, state: str = state) -> None:
                    for taken in view.get_all(task.id for task in piece):
                        raise already_executing(taken)
                    find = _finder(view, user)
                    for task in piece:
                        provenance.check_origin(task, find)
                        view.insert(entry_of(task, root=top.id, in_run=True), needs_of(task))
                        self._mark_source(view, task, now)
                    view.keep_run(top.id, document, state)

                def follow(_: None, state: str = state) -> None:
                    nonlocal is_ours, is_whole
                    is_ours = True
                    is_whole = state == RUNNING
                    if is_whole:
                        then(Entered(root=top.id, record=entered.record, members=members))

                members.extend(self._manager.member_of(task, _nothing, keys) for task in piece)
                await self._tasks.commit(decide, then=follow, weight=len(piece))
            return entered
        finally:
            if is_ours and not is_whole:
                with trio.CancelScope(shield=True):
                    await self._tasks.remove_flow(top.id)
            self._manager.arriving.discard(top.id)

    def _enter(
        self,
        view: View,
        given: Sequence[Task],
        params: TasksExecuteParams,
        user: str | None,
        attachment: Json,
        now: str,
    ) -> Entered:
        # An id that was made here is new.
        stored = view.get_all(
            task.id for task, input_ in zip(given, params.tasks, strict=True) if input_.id is not UNSET
        )
        for entry in stored.values():
            if not visible(user, entry):
                raise task_not_found(entry.key)
            if entry.root in self._manager.arriving:
                raise already_executing(entry.key)
        find = _finder(view, user)
        tasks = [stored[task.id].task if task.id in stored else task for task in given]
        top = trees.check_tree(tasks, find if stored else None)
        above = view.get(top.parent_id) if top.parent_id else None
        root = stored[top.id].root if top.id in stored else (above.root if above else top.id)
        chosen = {task.id: task for task in tasks}
        if stored:
            self._extend(view, root, top, chosen, user)
        elif len(tasks) == 1:
            dependencies.check_outside(tasks, lambda id_: _status(view, id_))
        members: list[Member] = []
        ready: list[Task] = []
        inputs = {task.id: (index, params.tasks[index]) for index, task in enumerate(given)}
        changes: list[tuple[Entry, Task, Path]] = []
        for id_, task in chosen.items():
            before = stored.get(id_) or (view.get(id_) if stored else None)
            if before is None:
                provenance.check_origin(task, find)
                view.insert(entry_of(task, root=root, in_run=True), needs_of(task))
                self._mark_source(view, task, now)
                ready.append(task)
                continue
            if task.status == "in_progress":
                raise already_executing(task.id)
            if task.status != "pending":
                provenance.check_changeable(task)
            after = transitions.reset(task, now=now)
            if id_ in inputs:
                index, input_ = inputs[id_]
                at: Path = ("tasks", index)
                after = updates.change(after, updates.updates_of(input_), now=now, at=at)
                self._check_again(before.task, after, at)
                changes.append((before, after, at))
            provenance.check_origin(after, find)
            view.change(before, entry_of(after, root=before.root, in_run=True))
            if (needs := needs_of(after)) != (needs_before := needs_of(before.task)):
                view.depend(id_, needs_before, needs)
            ready.append(after)
        # All at once, and as they are now: one after the other would take as long for each as for all of them.
        updates.check_references([(before.task, after, at) for before, after, at in changes], find)
        for before, after, at in changes:
            _check_stays(view, before, after, at)
        if stored and len(ready) == 1:
            dependencies.check_outside(ready, lambda id_: _status(view, id_))
        members = [self._manager.member_of(task, view.get, chosen) for task in ready]
        record = (
            renew_record(view, root, new_id=self._new_id, attachment=attachment)
            if stored or root != top.id
            else _new_record(self._new_id(), attachment)
        )
        view.keep_run(root, write_record(record), RUNNING)
        return Entered(root=root, record=record, members=members)

    def _check_again(self, before: Task, after: Task, at: Path) -> None:
        if after.schemas is not before.schemas and after.schemas:
            self._check_executor(after, at=at)
        if after.inputs is not before.inputs or after.schemas is not before.schemas:
            _check_inputs(after, self._schemas_in_decisions, at=at)

    def _extend(self, view: View, root: str, top: Task, chosen: dict[str, Task], user: str | None) -> None:
        """Add to the tasks of a run what belongs to it of the stored flow."""
        flow = {entry.key: entry.task for entry in view.flow(root) if visible(user, entry)}
        everything = {**flow, **chosen}
        if not top.parent_id:
            chosen.update((id_, task) for id_, task in flow.items() if task.status == "pending" and id_ not in chosen)
        for id_ in reexecution.cascade(chosen, everything.values()):
            if id_ not in chosen and everything[id_].origin_type != "archive":
                chosen[id_] = everything[id_]
        for id_ in dependencies.needed(chosen, everything):
            if everything[id_].status == "pending":
                chosen.setdefault(id_, everything[id_])
        waiting: dict[str, list[str]] = {}
        for id_, task in flow.items():
            if task.status == "pending":
                for need in needs_of(task):
                    waiting.setdefault(need, []).append(id_)
        for id_ in _reached(chosen, waiting):
            chosen.setdefault(id_, flow.get(id_) or chosen[id_])

    def _check_executor(self, task: Task, *, at: Path) -> None:
        if task.schemas and self._registry.find(task.schemas.method) is None:
            raise executor_not_found(task.schemas.method, path=(*at, "schemas", "method"))

    # --- inside decisions -------------------------------------------------------------------------

    def _mark_source(self, view: View, task: Task, now: str) -> None:
        source = view.get(task.original_task_id) if task.original_task_id else None
        if source is None or source.owner != owner_of(task.user_id or None):
            return
        before = source.task
        after = provenance.referenced(before, now=now)
        if after is not before:
            view.change(source, entry_of(after, root=source.root, in_run=source.in_run))

    def _move(self, view: View, top: Entry, root: str) -> None:
        """What is below a task that moves to another flow moves with it, unless a run has it: errors as `update`."""
        if root == top.root:
            return
        flow = view.flow(top.root)
        children: dict[str, list[str]] = {}
        for entry in flow:
            if entry.parent is not None:
                children.setdefault(entry.parent, []).append(entry.key)
        below = _reached([top.key], children)
        moved = [entry for entry in flow if entry.key in below]
        for entry in moved:
            if entry.in_run:
                raise already_executing(entry.key)
        for entry in moved:
            if entry.key != top.key:
                view.change(entry, replace(entry, root=root))


def _check_stays(view: View, before: Entry, after: Task, at: Path) -> None:
    """Nothing where a task that is executed again is in the flow that it was in. Errors: TaskTreeValidationFailed."""
    if (after.parent_id or None) == before.parent:
        return
    parent = view.get(after.parent_id) if after.parent_id else None
    if (before.key if parent is None else parent.root) != before.root:
        fault = FieldFault(
            field="parent_id",
            reason="Another flow",
            expected="a parent in the flow that the task belongs to; tasks.update moves it to another",
            actual=after.parent_id,
            path=(*at, "parent_id"),
        )
        raise refusal("TaskTreeValidationFailed", [fault])


def _reached(start: Iterable[str], following: Mapping[str, Sequence[str]]) -> dict[str, None]:
    """The keys, and all that they lead to; each once, in the order in which they were met."""
    found = dict.fromkeys(start)
    pending = list(found)
    while pending:
        for key in following.get(pending.pop(), ()):
            if key not in found:
                found[key] = None
                pending.append(key)
    return found


def _finder(view: View, user: str | None) -> Callable[[str], Task | None]:
    def find(task_id: str) -> Task | None:
        entry = view.get(canonical(task_id))
        return entry.task if entry is not None and visible(user, entry) else None

    return find


def _look(view: View, key: str, user: str | None, task_id: str) -> Entry:
    entry = view.get(key)
    if entry is None or not visible(user, entry):
        raise task_not_found(task_id)
    return entry


def _status(view: View, task_id: str) -> TaskStatus | None:
    entry = view.get(task_id)
    return entry.status if entry is not None else None


def _owner_asked(params: TasksListParams, user: str | None) -> Owner:
    if params.user_id is UNSET:
        return EVERYONE if user is None else owner_of(user)
    _check_owner(params.user_id, user)
    return owner_of(params.user_id)


def _check_owner(user_id: str | None, user: str | None, *, is_change: bool = False) -> None:
    """Nobody acts for somebody else."""
    if user is not None and user_id != user and (user_id is not None or is_change):
        raise unauthorized("user_id is another than yours; leave it out, it is set for you")


@asynccontextmanager
async def open_operations(
    store: Store,
    registry: ExecutorRegistry,
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    new_id: Callable[[], str] = new_uuid,
    on_enter: OnEnter | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> AsyncGenerator[Operations, None]:
    """A node without ways in, over a store that was opened with `records.SCHEMA`, for as long as the context lasts.

    It goes on with what was under way when the store was last closed, and follows schedules. `on_enter`: see
    `open_manager`.
    """
    clock = clock or Clock()
    async with (
        open_tasks(store, cache_bytes=cache_bytes) as tasks,
        open_manager(tasks, registry, clock=clock, settings=settings, on_enter=on_enter) as manager,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(Scheduler(tasks, manager, clock=clock, new_id=new_id).run)
        yield Operations(tasks, manager, registry, clock=clock, new_id=new_id)
        nursery.cancel_scope.cancel()
