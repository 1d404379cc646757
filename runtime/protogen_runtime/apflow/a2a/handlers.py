"""Handlers: the methods of both versions as the dispatcher calls them.

Knows the agent and no transport: refusals become each version's errors here, and the caller's identity becomes the
user of every operation.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import a2a_protocol as v1
import a2a_v03_protocol as old

from protogen_runtime.dispatch import CallContext, Report, Service

from . import v03
from .agent import Agent
from .faults import Fault
from .mapping import ends_stream

Answer = TypeVar("Answer")

VERSION_HEADER: Final = "a2a-version"
"""Also taken as a member of the query, which the endpoint makes a header (1.0, 3.6.1 Client Responsibilities)."""


class HandlerV1:
    """Serves the role `agent` of 1.0."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def send_message(self, params: v1.SendMessageRequest, context: CallContext) -> v1.SendMessageResponse:
        """See A2A 1.0, 3.1.1."""
        doing = self._agent.send(params, context.identity, deadline=context.deadline)
        return v1.SendMessageResponse(task=await _as_v1(context, doing))

    async def send_streaming_message(self, params: v1.SendMessageRequest, context: CallContext) -> v1.StreamResponse:
        """See A2A 1.0, 3.1.2; whoever takes no stream gets the last item of it."""
        return await _as_v1(context, _stream(self._agent.stream(params, context.identity), context, _same))

    async def get_task(self, params: v1.GetTaskRequest, context: CallContext) -> v1.Task:
        """See A2A 1.0, 3.1.3."""
        return await _as_v1(context, self._agent.get(params, context.identity))

    async def list_tasks(self, params: v1.ListTasksRequest, context: CallContext) -> v1.ListTasksResponse:
        """See A2A 1.0, 3.1.4."""
        return await _as_v1(context, self._agent.list_(params, context.identity))

    async def cancel_task(self, params: v1.CancelTaskRequest, context: CallContext) -> v1.Task:
        """See A2A 1.0, 3.1.5."""
        return await _as_v1(context, self._agent.cancel(params, context.identity, deadline=context.deadline))

    async def subscribe_to_task(self, params: v1.SubscribeToTaskRequest, context: CallContext) -> v1.StreamResponse:
        """See A2A 1.0, 3.1.6."""
        return await _as_v1(context, _stream(self._agent.subscribe(params, context.identity), context, _same))

    async def create_task_push_notification_config(
        self, params: v1.TaskPushNotificationConfig, context: CallContext
    ) -> v1.TaskPushNotificationConfig:
        """See A2A 1.0, 3.1.7."""
        return await _as_v1(context, self._agent.set_push_config(params, context.identity))

    async def get_task_push_notification_config(
        self, params: v1.GetTaskPushNotificationConfigRequest, context: CallContext
    ) -> v1.TaskPushNotificationConfig:
        """See A2A 1.0, 3.1.8."""
        return await _as_v1(context, self._agent.push_config(params.task_id, params.id, context.identity))

    async def list_task_push_notification_configs(
        self, params: v1.ListTaskPushNotificationConfigsRequest, context: CallContext
    ) -> v1.ListTaskPushNotificationConfigsResponse:
        """See A2A 1.0, 3.1.9; a task has so few that one page holds them."""
        configs = await _as_v1(context, self._agent.push_configs(params.task_id, context.identity))
        return v1.ListTaskPushNotificationConfigsResponse(configs=configs, next_page_token="")

    async def delete_task_push_notification_config(
        self, params: v1.DeleteTaskPushNotificationConfigRequest, context: CallContext
    ) -> dict[str, Any]:
        """See A2A 1.0, 3.1.10."""
        await _as_v1(context, self._agent.remove_push_config(params.task_id, params.id, context.identity))
        return {}

    async def get_extended_agent_card(
        self, params: v1.GetExtendedAgentCardRequest, context: CallContext
    ) -> v1.AgentCard:
        """See A2A 1.0, 3.1.11: the card says that there is none."""
        del params
        _check_version(context, "1.0")
        raise Fault("UnsupportedOperation", "the agent has no extended card").in_v1()


class HandlerV03:
    """Serves the role `agent` of 0.3."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def message_send(self, params: old.MessageSendParams, context: CallContext) -> old.Task:
        """See A2A 0.3, 7.1."""
        request = v03.read_request(params)
        doing = self._agent.send(request, context.identity, deadline=context.deadline, is_v03=True)
        return v03.write_task(await _as_v03(context, doing))

    async def message_stream(self, params: old.MessageSendParams, context: CallContext) -> old.StreamItem:
        """See A2A 0.3, 7.2."""
        items = self._agent.stream(v03.read_request(params), context.identity, is_v03=True)
        return await _as_v03(context, _stream(items, context, v03.write_item))

    async def tasks_get(self, params: old.TaskQueryParams, context: CallContext) -> old.Task:
        """See A2A 0.3, 7.3."""
        request = v1.GetTaskRequest(id=params.id, history_length=params.history_length)
        return v03.write_task(await _as_v03(context, self._agent.get(request, context.identity)))

    async def tasks_cancel(self, params: old.TaskIdParams, context: CallContext) -> old.Task:
        """See A2A 0.3, 7.4."""
        request = v1.CancelTaskRequest(id=params.id)
        doing = self._agent.cancel(request, context.identity, deadline=context.deadline)
        return v03.write_task(await _as_v03(context, doing))

    async def tasks_resubscribe(self, params: old.TaskIdParams, context: CallContext) -> old.StreamItem:
        """See A2A 0.3, 7.9."""
        items = self._agent.subscribe(v1.SubscribeToTaskRequest(id=params.id), context.identity)
        return await _as_v03(context, _stream(items, context, v03.write_item))

    async def tasks_push_notification_config_set(
        self, params: old.TaskPushNotificationConfig, context: CallContext
    ) -> old.TaskPushNotificationConfig:
        """See A2A 0.3, 7.5."""
        config = v03.read_push_config(params.task_id, params.push_notification_config)
        kept = await _as_v03(context, self._agent.set_push_config(config, context.identity, is_v03=True))
        return v03.write_push_config(kept)

    async def tasks_push_notification_config_get(
        self, params: old.GetTaskPushNotificationConfigParams, context: CallContext
    ) -> old.TaskPushNotificationConfig:
        """See A2A 0.3, 7.6."""
        config_id = params.push_notification_config_id or None
        return v03.write_push_config(
            await _as_v03(context, self._agent.push_config(params.id, config_id, context.identity))
        )

    async def tasks_push_notification_config_list(
        self, params: old.ListTaskPushNotificationConfigParams, context: CallContext
    ) -> list[old.TaskPushNotificationConfig]:
        """See A2A 0.3, 7.7."""
        configs = await _as_v03(context, self._agent.push_configs(params.id, context.identity))
        return [v03.write_push_config(each) for each in configs]

    async def tasks_push_notification_config_delete(
        self, params: old.DeleteTaskPushNotificationConfigParams, context: CallContext
    ) -> None:
        """See A2A 0.3, 7.8."""
        config_id = params.push_notification_config_id
        await _as_v03(context, self._agent.remove_push_config(params.id, config_id, context.identity))

    async def agent_get_authenticated_extended_card(self, context: CallContext) -> old.AgentCard:
        """See A2A 0.3, 7.10: the card says that there is none."""
        _check_version(context, "0.3")
        raise Fault("ExtendedCardNotConfigured").in_v03()


def make_services(agent: Agent, report: Report | None = None) -> tuple[Service, Service]:
    """The services of both versions, to be joined with the node's own: their methods have other names."""
    return (
        Service(v1.PROTOCOL, "agent", HandlerV1(agent), report=report, explain=_explain_v1),
        Service(old.PROTOCOL, "agent", HandlerV03(agent), report=report),
    )


def _explain_v1(method: str, params: bytes, error: Exception) -> Exception | None:
    """Why params were refused, as a list of violations (1.0, 9.5 Error Handling)."""
    del method, params
    if not isinstance(error, v1.ValidationError):
        return None
    fields = [(issue.path, issue.message) for issue in error.errors[:100]]
    return Fault("InvalidParams", fields=fields).in_v1()


def _check_version(context: CallContext, served: str) -> None:
    """Errors: what a version says of another one that was asked for.

    None asked for is the version that has the method: 1.0 takes it for 0.3, which has no method of that name.
    """
    asked = _version(context)
    if asked in ("", served):
        return
    fault = Fault("VersionNotSupported", "1.0 and 0.3 are served", metadata={"version": asked[:20]})
    if asked in ("1.0", "0.3"):
        fault = Fault("MethodNotFound", f"version {asked} has no such method")
    raise fault.in_v1() if served == "1.0" else fault.in_v03()


def _version(context: CallContext) -> str:
    """The version that a caller asks for, as Major.Minor; empty for none."""
    return ".".join(context.headers.get(VERSION_HEADER, "").strip().split(".")[:2])


async def _as_v1(context: CallContext, doing: Coroutine[Any, Any, Answer]) -> Answer:
    """What an operation answers; its refusal as an error of 1.0."""
    try:
        _check_version(context, "1.0")
    except BaseException:
        doing.close()
        raise
    try:
        return await doing
    except Fault as fault:
        raise fault.in_v1() from fault


async def _as_v03(context: CallContext, doing: Coroutine[Any, Any, Answer]) -> Answer:
    """What an operation answers; its refusal as an error of 0.3."""
    try:
        _check_version(context, "0.3")
    except BaseException:
        doing.close()
        raise
    try:
        return await doing
    except Fault as fault:
        raise fault.in_v03() from fault


def _same(item: v1.StreamResponse) -> v1.StreamResponse:
    return item


async def _stream(
    opening: AbstractAsyncContextManager[AsyncGenerator[v1.StreamResponse]],
    context: CallContext,
    write: Callable[[v1.StreamResponse], Answer],
) -> Answer:
    """Answer with each item as it comes; what is given back is the last one."""
    last: Answer | None = None
    async with opening as items:
        async for item in items:
            last = write(item)
            if context.can_answer_early:
                await context.answer(last, is_last=ends_stream(item))
    assert last is not None, "a stream begins with its task"
    return last
