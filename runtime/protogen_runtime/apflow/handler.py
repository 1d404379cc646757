"""Handler: the ten methods as the dispatcher calls them, and their streams.

Knows operations and no transport: refusals become the protocol's errors here, and the caller's identity becomes the
user of every operation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import msgspec
from apflow_protocol import (
    CODEC,
    PROTOCOL,
    Json,
    PushNotificationConfig,
    RequestConfiguration,
    RequestMetadata,
    StreamEvent,
    StreamEventData,
    TasksCancelParams,
    TasksCancelResult,
    TasksChildrenParams,
    TasksCopyParams,
    TasksCopyResult,
    TasksCreateParams,
    TasksDeleteParams,
    TasksDeleteResult,
    TasksExecuteParams,
    TasksExecuteResult,
    TasksGetParams,
    TasksListParams,
    TasksTreeParams,
    TasksUpdateParams,
    TasksUpdateResult,
)
from apflow_protocol.errors import InternalError
from apflow_protocol.rpc.boundary import ValidationError
from msgspec import Raw

from protogen_runtime.dispatch import CallContext, Later, Mapped, Report, Service
from protogen_runtime.jsonrpc import ErrorObject

from .events import TaskEvent
from .operations import LARGE, Operations, Started
from .push import Pushes
from .rules.faults import FieldFault, RuleBroken, refusal, typed, unauthorized
from .rules.fields import explain_params

PROTOCOL_VERSION: Final = PROTOCOL.version

Answer = TypeVar("Answer")


class NodeHandler:
    """Serves the role `node`. Reads of what is in memory are done at once, everything else waits for the store."""

    def __init__(self, operations: Operations, pushes: Pushes) -> None:
        self._operations = operations
        self._pushes = pushes

    # --- reading ----------------------------------------------------------------------------------

    def tasks_get(self, params: TasksGetParams, context: CallContext) -> Raw | Coroutine[Any, Any, Raw]:
        """See apflow 06, tasks.get."""
        user = context.identity
        try:
            found = self._operations.get_nowait(params, user)
        except RuleBroken as broken:
            raise typed(broken) from broken
        return found if found is not None else _typed(self._operations.get(params, user))

    def tasks_list(self, params: TasksListParams, context: CallContext) -> Raw | Coroutine[Any, Any, Raw]:
        """See apflow 06, tasks.list."""
        user = context.identity
        try:
            found = self._operations.list_nowait(params, user)
        except RuleBroken as broken:
            raise typed(broken) from broken
        return found if found is not None else _typed(self._operations.list_(params, user))

    async def tasks_tree(self, params: TasksTreeParams, context: CallContext) -> Raw:
        """See apflow 06, tasks.tree."""
        return await _typed(self._operations.tree(params, context.identity))

    async def tasks_children(self, params: TasksChildrenParams, context: CallContext) -> Raw:
        """See apflow 06, tasks.children."""
        return await _typed(self._operations.children(params, context.identity))

    # --- changing ---------------------------------------------------------------------------------

    def tasks_create(self, params: TasksCreateParams, context: CallContext) -> Later[Raw]:
        """See apflow 06, tasks.create."""
        begun = _begun(lambda: self._operations.begin_create(params, context.identity))
        # Made of an identifier and a word of ours, it is valid: no need to look.
        return Mapped(begun, lambda created: Raw(CODEC.encode(created)))

    def tasks_update(self, params: TasksUpdateParams, context: CallContext) -> Later[TasksUpdateResult]:
        """See apflow 06, tasks.update."""
        return _begun(lambda: self._operations.begin_update(params, context.identity))

    def tasks_delete(self, params: TasksDeleteParams, context: CallContext) -> Later[TasksDeleteResult]:
        """See apflow 06, tasks.delete."""
        return _begun(lambda: self._operations.begin_delete(params, context.identity))

    def tasks_cancel(self, params: TasksCancelParams, context: CallContext) -> Later[TasksCancelResult]:
        """See apflow 06, tasks.cancel."""
        return _begun(lambda: self._operations.begin_cancel(params, context.identity))

    async def tasks_copy(self, params: TasksCopyParams, context: CallContext) -> TasksCopyResult:
        """See apflow 06, tasks.copy."""
        return await _typed(self._operations.copy(params, context.identity))

    def tasks_execute(
        self, params: TasksExecuteParams, context: CallContext
    ) -> Later[Raw] | Coroutine[Any, Any, TasksExecuteResult]:
        """See apflow 06, tasks.execute and Streaming.

        A stream begins with the answer, goes on with an event for each change, and ends when the run does (A41).
        """
        metadata = _member(context, "metadata", RequestMetadata)
        configuration = _member(context, "configuration", RequestConfiguration)
        wants_stream = params.use_streaming is True or (metadata is not None and metadata.stream is True)
        attachment: Json = None
        if configuration is not None and configuration.push_notification_config:
            self._check(configuration.push_notification_config)
            attachment = {"push": json.loads(CODEC.encode(configuration.push_notification_config))}
        if wants_stream or len(params.tasks) > LARGE:
            return self._execute(params, context, attachment, wants_stream=wants_stream)
        begun = _begun(lambda: self._operations.begin_execute(params, context.identity, attachment=attachment))
        # The identifier is one of a task that is stored.
        return Mapped(begun, lambda started: Raw(CODEC.encode(started.result)))

    async def _execute(
        self, params: TasksExecuteParams, context: CallContext, attachment: Json, *, wants_stream: bool
    ) -> TasksExecuteResult:
        follow = wants_stream and context.can_answer_early
        doing = self._operations.execute(params, context.identity, follow=follow, attachment=attachment)
        started = await _typed(doing)
        if started.feed is not None:
            await self._stream(started, context)
        return started.result

    def _check(self, config: PushNotificationConfig) -> None:
        try:
            self._pushes.check(config)
        except RuleBroken as broken:
            raise typed(broken) from broken

    async def _stream(self, started: Started, context: CallContext) -> None:
        assert started.feed is not None
        try:
            await context.answer(started.result)
            async for event in started.feed:
                await context.emit(stream_event(event))
            if started.feed.dropped:
                # Whoever answered early and fails has its stream cut, so that the client sees that it is not whole.
                raise InternalError(message="The reader of the stream is too slow")
        finally:
            self._operations.unfollow(started)


def stream_event(event: TaskEvent) -> StreamEvent:
    """News of a task as a stream carries them (06-interfaces.md, Streaming)."""
    return StreamEvent(
        event=event.kind,
        data=StreamEventData(
            protocol="a2a",
            task_id=event.task_id,
            status=event.status,
            progress=event.progress,
            root_task_id=event.root_task_id,
        ),
    )


def make_service(operations: Operations, pushes: Pushes, report: Report | None = None) -> Service:
    """The service of a node."""
    return Service(PROTOCOL, "node", NodeHandler(operations, pushes), report=report, explain=explain)


def explain(method: str, params: bytes, error: Exception) -> Exception | None:
    """Why params were refused, field by field (08-errors.md, Validation Errors)."""
    del error
    try:
        return typed(explain_params(method, msgspec.json.decode(params)))
    except (msgspec.DecodeError, RecursionError):
        # Numbers that no float holds, and what is too deep to be looked at a second time.
        return None


def unauthorized_error(reason: str) -> ErrorObject:
    """The error that answers somebody unknown (06-interfaces.md, Authentication; A43)."""
    error = typed(unauthorized(reason))
    return ErrorObject(error.code, error.message, Raw(CODEC.encode_as("UnauthorizedData", error.data)))


def _begun(begin: Callable[[], Later[Answer]]) -> Later[Answer]:
    """What an operation will answer; its refusal as the protocol's error."""
    try:
        return Mapped(begin(), _same, _worded)
    except RuleBroken as broken:
        raise typed(broken) from broken


def _same(answer: Answer) -> Answer:
    return answer


def _worded(error: Exception) -> Exception:
    return typed(error) if isinstance(error, RuleBroken) else error


async def _typed(doing: Coroutine[Any, Any, Answer]) -> Answer:
    """What an operation answers; its refusal as the protocol's error."""
    try:
        return await doing
    except RuleBroken as broken:
        raise typed(broken) from broken


def _member(context: CallContext, name: str, kind: type[Answer]) -> Answer | None:
    """A member of the request beside its params. Errors: InvalidParams, for one that breaks its schema."""
    text = context.member(name)
    if text is None or bytes(text) == b"null":
        return None
    try:
        value: Answer = CODEC.decode(kind.__name__, text)
    except ValidationError as error:
        faults = [
            FieldFault(field=name, reason=fault["message"], path=(name, fault["path"]))
            for fault in error.as_data()["errors"]
        ]
        raise typed(refusal("InvalidParams", faults)) from error
    return value
