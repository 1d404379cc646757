"""Agent: what A2A's methods do, in the words of 1.0, over the node's operations.

Takes typed requests and the user who asks, None where nobody is asked who they are; refusals are `faults.Fault`. Knows
no transport and no other version.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import a2a_protocol as v1
import trio
from a2a_v03_protocol import CODEC as CODEC_V03
from apflow_protocol import TasksExecuteParams
from msgspec import UNSET
from msgspec.structs import replace

from protogen_runtime.apflow.clock import Clock
from protogen_runtime.apflow.commits import View
from protogen_runtime.apflow.events import Feed, TaskEvent
from protogen_runtime.apflow.executors.registry import ExecutorRegistry
from protogen_runtime.apflow.executors.shapes import is_object
from protogen_runtime.apflow.identifiers import new_uuid
from protogen_runtime.apflow.manager import RunRecord, TaskManager
from protogen_runtime.apflow.operations import Operations, visible
from protogen_runtime.apflow.push import Pushes
from protogen_runtime.apflow.records import Entry, entry_of, owner_of
from protogen_runtime.apflow.rules import transitions
from protogen_runtime.apflow.rules.faults import RuleBroken
from protogen_runtime.apflow.rules.timestamps import parse, written
from protogen_runtime.store import Store, StoreFull

from . import mapping, requests, v03
from .errands import Errand, Errands, Receiver, Wanted, config_of, receiver_of
from .faults import Fault, fault_of, invalid, task_not_found
from .following import Live
from .mapping import STOPS, TERMINAL
from .settings import A2ASettings

_logger = logging.getLogger(__name__)

MARGIN_SECONDS: Final = 1.0
"""How long before its deadline a waiting call is answered with the task as it stands."""
MAX_BEHIND: Final = 100_000
"""Events of a run that the agent may be behind."""
TOKEN_HEADER: Final = "x-a2a-notification-token"  # noqa: S105  # the name of a header
"""Carries the token of a push configuration (0.3, 9.5; kept by implementations of 1.0)."""
ATTACHMENT: Final = "a2a"


class Agent:
    """Serves messages. Made by `open_agent`; `start` it before the first one comes."""

    def __init__(
        self,
        errands: Errands,
        pushes: Pushes,
        registry: ExecutorRegistry,
        settings: A2ASettings,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        nursery: trio.Nursery,
    ) -> None:
        self.settings = settings
        self._errands = errands
        self._pushes = pushes
        self._registry = registry
        self._clock = clock
        self._new_id = new_id
        self._nursery = nursery
        self._live: dict[str, Live] = {}
        self._operations: Operations

    # --- life -------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what was under way when the node ended; before the manager goes on with its runs."""
        for errand in await self._errands.live():
            self._live[errand.id] = Live(errand)

    async def start(self, operations: Operations) -> None:
        """Begin to serve; what was under way and has no run any more has ended."""
        self._operations = operations
        for live in list(self._live.values()):
            if not live.is_followed:
                await self._finish(live)

    def on_enter(self, manager: TaskManager, root: str, record: RunRecord) -> None:
        """A run begins or goes on: follow it for the messages that asked for it."""
        for attachment in record.attachments:
            errand_id = attachment.get(ATTACHMENT) if is_object(attachment) else None
            live = self._live.get(errand_id) if isinstance(errand_id, str) else None
            if live is None or live.is_followed:
                continue
            live.is_followed = True
            live.errand.root = root
            # Subscribed here, before the first event; the task only reads.
            feed = manager.subscribe(root, max_behind=MAX_BEHIND)
            manager.questions.attend(root)
            for receiver in live.errand.receivers:
                self._push_to(live, receiver)
            self._nursery.start_soon(self._watch, live, manager, root, feed)

    # --- messages ---------------------------------------------------------------------------------

    async def send(
        self, request: v1.SendMessageRequest, user: str | None, *, deadline: float | None, is_v03: bool = False
    ) -> v1.Task:
        """The task that comes of a message, once it has ended or needs input, unless the request says at once.

        Errors: Fault InvalidParams, TaskNotFound, UnsupportedOperation, ContentTypeNotSupported.
        """
        live, _ = await self._take(request, user, is_v03=is_v03, follows=False)
        configuration = request.configuration
        if configuration is UNSET or configuration.return_immediately is not True:
            await live.wait_until(STOPS, _with_margin(deadline))
        return mapping.shown(live.task, _history_length(configuration))

    @asynccontextmanager
    async def stream(
        self, request: v1.SendMessageRequest, user: str | None, *, is_v03: bool = False
    ) -> AsyncGenerator[AsyncGenerator[v1.StreamResponse]]:
        """What comes of a message as it comes: the task, then its news until it has ended or needs input."""
        live, (first, news) = await self._take(request, user, is_v03=is_v03, follows=True)
        shown = mapping.shown(first, _history_length(request.configuration))
        async with _closing(_items(live, shown, news)) as items:
            yield items

    async def _take(
        self, request: v1.SendMessageRequest, user: str | None, *, is_v03: bool, follows: bool
    ) -> tuple[Live, Any]:
        if request.message.task_id is not UNSET and request.message.task_id:
            return await self._continue(request, user, is_v03=is_v03, follows=follows)
        return await self._begin(request, user, is_v03=is_v03, follows=follows)

    async def _begin(
        self, request: v1.SendMessageRequest, user: str | None, *, is_v03: bool, follows: bool
    ) -> tuple[Live, Any]:
        message = request.message
        tasks = requests.flow_of(
            message,
            request.metadata or {},
            default_executor=self.settings.default_executor,
            knows=lambda name: self._registry.find(name) is not None,
            new_id=self._new_id,
        )
        root = requests.top_of(tasks)
        owner = user or next((task.user_id or None for task in tasks if str(task.id).lower() == root), None)
        errand_id = self._new_id()
        context = message.context_id or root
        task = v1.Task(
            id=errand_id,
            context_id=context,
            status=v1.TaskStatus(state="TASK_STATE_SUBMITTED", timestamp=self._clock.now()),
            history=[replace(message, task_id=errand_id, context_id=context)],
            metadata=mapping.metadata_of(root, owner),
        )
        errand = Errand(task=task, root=root, user=user, receivers=self._receivers_in(request, is_v03=is_v03))
        live = Live(errand)
        news = live.follow() if follows else None
        self._live[errand_id] = live
        try:
            # Kept before its run begins: a run that nobody remembers to have asked for would have nobody to tell.
            await self._errands.save(errand)
            await self._operations.execute(TasksExecuteParams(tasks=tasks), user, attachment={ATTACHMENT: errand_id})
        except BaseException as error:
            if not live.is_followed:
                await self._discard(live)
            if isinstance(error, RuleBroken):
                raise fault_of(error) from error
            raise
        return live, (task, news)

    async def _discard(self, live: Live) -> None:
        del self._live[live.errand.id]
        live.end()
        with trio.CancelScope(shield=True):
            await self._errands.remove(live.errand.id)

    async def _continue(
        self, request: v1.SendMessageRequest, user: str | None, *, is_v03: bool, follows: bool
    ) -> tuple[Live, Any]:
        message = request.message
        requests.check_ids(message)
        errand_id = message.task_id or ""
        errand, live = await self._find(errand_id, user)
        if message.context_id not in (UNSET, "", errand.task.context_id):
            raise invalid("message.contextId", "the task belongs to another context")
        if live is None:
            raise Fault("UnsupportedOperation", "the task has ended", metadata={"taskId": errand_id})
        given = self._receivers_in(request, is_v03=is_v03)
        answer = requests.inputs_of(message)
        async with live.lock:
            question = next((each for each in live.questions if each.is_open), None)
            if question is None or live.errand.is_ended:
                raise Fault(
                    "UnsupportedOperation", "the task does not wait for a message", metadata={"taskId": errand_id}
                )
            asked = live.task.status.message
            said = replace(message, task_id=errand_id, context_id=live.task.context_id)
            history = [*(live.task.history or ()), *(() if asked is UNSET else (asked,)), said]
            live.errand.task = replace(live.task, history=history)
            for receiver in given:
                self._add_receiver(live, receiver)
            question.answer(answer)
            await self._move(live, "TASK_STATE_WORKING")
            news = live.follow() if follows else None
            first = live.task
        return live, (first, news)

    # --- reading and cancelling -------------------------------------------------------------------

    async def get(self, request: v1.GetTaskRequest, user: str | None) -> v1.Task:
        """The task as it stands. Errors: Fault TaskNotFound."""
        errand, _ = await self._find(request.id, user)
        return mapping.shown(errand.task, _given(request.history_length))

    async def list_(self, request: v1.ListTasksRequest, user: str | None) -> v1.ListTasksResponse:
        """A page of tasks, the last changed first. Errors: Fault InvalidParams."""
        after: str | None = None
        if request.status_timestamp_after is not UNSET and request.status_timestamp_after:
            time = parse(request.status_timestamp_after)
            if time is None:
                raise invalid("statusTimestampAfter", "a time such as 2026-01-20T09:00:00Z is needed")
            after = written(time)
        limit = request.page_size_or_default
        state = request.status if request.status not in (UNSET, "TASK_STATE_UNSPECIFIED") else None
        page = await self._errands.page(
            Wanted(
                user=user,
                context=request.context_id or None,
                state=state or None,
                changed_after=after,
                token=request.page_token or None,
                limit=limit,
            )
        )
        history_length, artifacts = _given(request.history_length), request.include_artifacts is True
        tasks = [mapping.shown(each.task, history_length, artifacts=artifacts) for each in page.errands]
        return v1.ListTasksResponse(tasks=tasks, next_page_token=page.token, page_size=limit, total_size=page.total)

    async def cancel(self, request: v1.CancelTaskRequest, user: str | None, *, deadline: float | None) -> v1.Task:
        """Cancel what has not ended of the task's flow. Errors: Fault TaskNotFound, TaskNotCancelable."""
        _, live = await self._find(request.id, user)
        not_cancelable = Fault("TaskNotCancelable", metadata={"taskId": request.id[:200]})
        if live is None:
            raise not_cancelable
        await self._cancel_run(live, user)
        await live.wait_until(TERMINAL, _with_margin(deadline))
        if live.errand.is_ended and live.errand.state != "TASK_STATE_CANCELED":
            raise not_cancelable
        return live.task

    async def _cancel_run(self, live: Live, user: str | None) -> None:
        operations = self._operations

        def decide(view: View) -> list[Entry]:
            cancelled: list[Entry] = []
            for before in view.flow(live.errand.root):
                if before.in_run and before.status in ("pending", "in_progress") and visible(user, before):
                    after = transitions.cancel(before.task, now=self._clock.now())
                    changed = entry_of(after, root=before.root, in_run=False)
                    view.change(before, changed)
                    cancelled.append(changed)
            return cancelled

        def then(cancelled: list[Entry]) -> None:
            live.is_cancelled = live.is_cancelled or bool(cancelled)
            operations.manager.withdraw(cancelled)

        await operations.tasks.commit(decide, then=then)

    @asynccontextmanager
    async def subscribe(
        self, request: v1.SubscribeToTaskRequest, user: str | None
    ) -> AsyncGenerator[AsyncGenerator[v1.StreamResponse]]:
        """The task, then its news until it has ended or needs input.

        Errors: Fault TaskNotFound, UnsupportedOperation for one that has ended.
        """
        _, live = await self._find(request.id, user)
        if live is None or live.errand.is_ended:
            raise Fault("UnsupportedOperation", "the task has ended", metadata={"taskId": request.id[:200]})
        async with _closing(_items(live, live.task, live.follow())) as items:
            yield items

    async def _find(self, errand_id: str, user: str | None) -> tuple[Errand, Live | None]:
        live = self._live.get(errand_id)
        errand = live.errand if live is not None else await self._errands.find(errand_id[:200])
        if errand is None or not (user is None or owner_of(errand.user) == owner_of(user)):
            raise task_not_found(errand_id)
        return errand, live

    # --- push configurations ----------------------------------------------------------------------

    async def set_push_config(
        self, config: v1.TaskPushNotificationConfig, user: str | None, *, is_v03: bool = False
    ) -> v1.TaskPushNotificationConfig:
        """Keep where to send news of a task. Errors: Fault TaskNotFound, InvalidParams."""
        task_id = config.task_id or ""
        await self._find(task_id, user)
        receiver = self._receiver(config, is_v03=is_v03, field="url")
        async with self._changing(task_id, user) as (errand, live):
            others = [each for each in errand.receivers if each.id != receiver.id]
            if len(others) >= self.settings.max_receivers:
                raise invalid("taskId", f"a task has at most {self.settings.max_receivers} push configurations")
            if live is not None:
                self._add_receiver(live, receiver)
            else:
                errand.receivers = (*others, receiver)
        return config_of(receiver, task_id)

    async def push_configs(self, task_id: str, user: str | None) -> list[v1.TaskPushNotificationConfig]:
        """Where news of a task are sent. Errors: Fault TaskNotFound."""
        errand, _ = await self._find(task_id, user)
        return [config_of(receiver, task_id) for receiver in errand.receivers]

    async def push_config(self, task_id: str, config_id: str | None, user: str | None) -> v1.TaskPushNotificationConfig:
        """One of them, the first one where none is named. Errors: Fault TaskNotFound."""
        configs = await self.push_configs(task_id, user)
        found = next((each for each in configs if config_id in (None, each.id)), None)
        if found is None:
            raise Fault(
                "TaskNotFound",
                "there is no such push configuration",
                metadata={"taskId": task_id[:200], "pushNotificationConfigId": (config_id or "")[:200]},
            )
        return found

    async def remove_push_config(self, task_id: str, config_id: str, user: str | None) -> None:
        """Send no more news there; nothing where there was none. Errors: Fault TaskNotFound."""
        async with self._changing(task_id, user) as (errand, live):
            errand.receivers = tuple(each for each in errand.receivers if each.id != config_id)
            if live is not None:
                live.unfollow(config_id)

    @asynccontextmanager
    async def _changing(self, task_id: str, user: str | None) -> AsyncGenerator[tuple[Errand, Live | None]]:
        errand, live = await self._find(task_id, user)
        if live is None:
            yield errand, None
            await self._errands.save(errand)
            return
        async with live.lock:
            yield live.errand, None if live.errand.is_ended else live
            await self._errands.save(live.errand)

    def _receivers_in(self, request: v1.SendMessageRequest, *, is_v03: bool) -> tuple[Receiver, ...]:
        configuration = request.configuration
        if configuration is UNSET or configuration.task_push_notification_config is UNSET:
            return ()
        config = configuration.task_push_notification_config
        return (self._receiver(config, is_v03=is_v03, field="configuration.taskPushNotificationConfig.url"),)

    def _receiver(self, config: v1.TaskPushNotificationConfig, *, is_v03: bool, field: str) -> Receiver:
        reason = self._pushes.why_not(config.url)
        if reason is not None:
            raise invalid(field, reason)
        receiver = receiver_of(config, config.id or self._new_id(), is_v03=is_v03)
        for name, value in (
            ("token", receiver.token),
            ("scheme", receiver.scheme),
            ("credentials", receiver.credentials),
        ):
            if value is not None and not (value.isascii() and value.isprintable() and len(value) <= 4096):
                raise invalid(name, "what goes into a header is printable ASCII, at most 4096 characters")
        return receiver

    def _add_receiver(self, live: Live, receiver: Receiver) -> None:
        errand = live.errand
        errand.receivers = (*(each for each in errand.receivers if each.id != receiver.id), receiver)
        live.unfollow(receiver.id)
        self._push_to(live, receiver)

    def _push_to(self, live: Live, receiver: Receiver) -> None:
        self._nursery.start_soon(self._push, live, receiver, live.follow(receiver.id))

    async def _push(self, live: Live, receiver: Receiver, news: trio.MemoryReceiveChannel[v1.StreamResponse]) -> None:
        headers: dict[str, str] = {}
        if receiver.token is not None:
            headers[TOKEN_HEADER] = receiver.token
        if receiver.scheme is not None:
            headers["authorization"] = f"{receiver.scheme} {receiver.credentials or ''}".strip()
        async with news:
            async for item in news:
                if receiver.is_v03:
                    # 0.3 sends the task itself; its artifacts and state are never behind the news.
                    body, kind = CODEC_V03.encode(v03.write_task(live.task)), "application/json"
                else:
                    body, kind = v1.CODEC.encode(item), "application/a2a+json"
                await self._pushes.deliver(receiver.url, headers, body, media_type=kind)

    # --- following runs ---------------------------------------------------------------------------

    async def _watch(self, live: Live, manager: TaskManager, root: str, feed: Feed) -> None:
        try:
            while True:
                async for event in feed:
                    async with live.lock:
                        await self._hear(live, root, event)
                manager.unsubscribe(root, feed)
                if not feed.dropped or not manager.is_running(root):
                    break
                # Too far behind: what was missed shows at the end.
                feed = manager.subscribe(root, max_behind=MAX_BEHIND)
        finally:
            manager.unsubscribe(root, feed)
            manager.questions.leave(root)
        await self._finish(live)

    async def _hear(self, live: Live, root: str, event: TaskEvent) -> None:
        if event.asks is not None:
            live.questions.append(event.asks)
        live.questions = [each for each in live.questions if each.is_open]
        if event.result is not None and event.status == "completed":
            added = mapping.artifact(event.task_id, event.result)
            artifacts = mapping.with_artifact(live.task.artifacts or (), added)
            if len(artifacts) <= mapping.MAX_ARTIFACTS:
                live.errand.task = replace(live.task, artifacts=artifacts)
            live.publish(mapping.artifact_update(live.task, added))
        if event.task_id == root and event.status in transitions.TERMINAL and not live.questions:
            # Said once its run is over.
            return
        data = mapping.standing(
            task_id=event.task_id, status=event.status, progress=event.progress, root=event.root_task_id
        )
        if live.questions:
            await self._move(live, "TASK_STATE_INPUT_REQUIRED", text=live.questions[0].text, data=data)
        elif event.status != "pending":
            await self._move(live, "TASK_STATE_WORKING", text=event.error, data=data)

    async def _finish(self, live: Live) -> None:
        """The run is over: the task has the root's state, and its results."""
        async with live.lock:
            if live.errand.is_ended:
                return
            entry = await self._operations.tasks.find(live.errand.root)
            root = None if entry is None else entry.task
            state, reason = mapping.outcome_of(root, is_cancelled=live.is_cancelled)
            artifacts = await self._artifacts(live.errand.root)
            live.errand.task = replace(live.task, artifacts=artifacts or UNSET)
            live.errand.is_ended = True
            data: dict[str, Any] | None = None
            if root is not None:
                data = mapping.standing(
                    task_id=root.id,
                    status=root.status,
                    progress=float(root.progress_or_default),
                    root=live.errand.root,
                )
            await self._move(live, state, text=reason, data=data)
            del self._live[live.errand.id]
            live.end()

    async def _artifacts(self, root: str) -> list[v1.Artifact]:
        found: list[v1.Artifact] = []
        size = 0
        for entry in await self._operations.tasks.results(root, limit=mapping.MAX_ARTIFACTS):
            size += len(entry.document)
            task = entry.task
            if isinstance(task.result, dict) and (not found or size <= mapping.MAX_ARTIFACT_BYTES):
                found.append(mapping.artifact(task.id, task.result, task.name))
        return found

    async def _move(
        self, live: Live, state: v1.TaskState, *, text: str | None = None, data: dict[str, Any] | None = None
    ) -> None:
        """Give an errand a status, keep it where its state is another, and tell it."""
        before = live.errand.state
        live.become(
            mapping.status_of(
                state, now=self._clock.now(), message_id=self._new_id(), task=live.task, text=text, data=data
            )
        )
        if state != before:
            try:
                await self._errands.save(live.errand)
            except StoreFull:
                # The run itself waits for space, and a restart looks at it again.
                _logger.exception("the store is full: the state of an A2A task was not kept")
        live.publish(mapping.status_update(live.task))


async def _items(
    live: Live, first: v1.Task, news: trio.MemoryReceiveChannel[v1.StreamResponse]
) -> AsyncGenerator[v1.StreamResponse]:
    async with news:
        yield v1.StreamResponse(task=first)
        if first.status.state in TERMINAL:
            return
        async for item in news:
            yield item
            if mapping.ends_stream(item):
                return
    # Too slow for the news: the task as it stands is what is left to say.
    yield v1.StreamResponse(task=live.task)


@asynccontextmanager
async def _closing(items: AsyncGenerator[v1.StreamResponse]) -> AsyncGenerator[AsyncGenerator[v1.StreamResponse]]:
    try:
        yield items
    finally:
        await items.aclose()


def _with_margin(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - MARGIN_SECONDS


def _history_length(configuration: v1.SendMessageConfiguration | Any) -> int | None:
    return None if configuration is UNSET else _given(configuration.history_length)


def _given(number: int | Any) -> int | None:
    return None if number is UNSET else int(number)


@asynccontextmanager
async def open_agent(
    store: Store,
    pushes: Pushes,
    registry: ExecutorRegistry,
    settings: A2ASettings | None = None,
    *,
    clock: Clock | None = None,
    new_id: Callable[[], str] = new_uuid,
) -> AsyncGenerator[Agent]:
    """An agent for as long as the context lasts; `Agent.on_enter` is for `open_manager`, and then it wants `start`."""
    async with trio.open_nursery() as nursery:
        agent = Agent(
            Errands(store),
            pushes,
            registry,
            settings or A2ASettings(),
            clock=clock or Clock(),
            new_id=new_id,
            nursery=nursery,
        )
        await agent.load()
        yield agent
        nursery.cancel_scope.cancel()
