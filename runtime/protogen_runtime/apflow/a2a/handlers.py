"""Handlers: the methods of both versions as the dispatcher calls them.

Knows the agent and no transport: refusals become each version's errors here, and the caller's identity becomes the
user of every operation.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, Literal, TypeAlias, TypeVar

import a2a_protocol as v1
import a2a_v03_protocol as old

from protogen_runtime.dispatch import CallContext, Report, Service

from . import v03
from .agent import Agent
from .faults import Fault
from .mapping import ends_stream

Answer = TypeVar("Answer")

Version: TypeAlias = Literal["1.0", "0.3"]

VERSION_HEADER: Final = "a2a-version"
"""Also taken as a member of the query, which the endpoint makes a header (1.0, 3.6.1 Client Responsibilities)."""


class HandlerV1:
    """Serves the role `agent` of 1.0."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def send_message(self, params: v1.SendMessageRequest, context: CallContext) -> v1.SendMessageResponse:
        """See A2A 1.0, 3.1.1."""
        with _speaking(context, "1.0"):
            task = await self._agent.send(params, context.identity, deadline=context.deadline)
        return v1.SendMessageResponse(task=task)

    async def send_streaming_message(self, params: v1.SendMessageRequest, context: CallContext) -> v1.StreamResponse:
        """See A2A 1.0, 3.1.2; whoever takes no stream gets the last item of it."""
        with _speaking(context, "1.0"):
            return await _stream(self._agent.stream(params, context.identity), context, _same)

    async def get_task(self, params: v1.GetTaskRequest, context: CallContext) -> v1.Task:
        """See A2A 1.0, 3.1.3."""
        with _speaking(context, "1.0"):
            return await self._agent.get(params, context.identity)

    async def list_tasks(self, params: v1.ListTasksRequest, context: CallContext) -> v1.ListTasksResponse:
        """See A2A 1.0, 3.1.4."""
        with _speaking(context, "1.0"):
            return await self._agent.list_(params, context.identity)

    async def cancel_task(self, params: v1.CancelTaskRequest, context: CallContext) -> v1.Task:
        """See A2A 1.0, 3.1.5."""
        with _speaking(context, "1.0"):
            return await self._agent.cancel(params, context.identity, deadline=context.deadline)

    async def subscribe_to_task(self, params: v1.SubscribeToTaskRequest, context: CallContext) -> v1.StreamResponse:
        """See A2A 1.0, 3.1.6."""
        with _speaking(context, "1.0"):
            return await _stream(self._agent.subscribe(params, context.identity), context, _same)

    async def create_task_push_notification_config(
        self, params: v1.TaskPushNotificationConfig, context: CallContext
    ) -> v1.TaskPushNotificationConfig:
        """See A2A 1.0, 3.1.7."""
        with _speaking(context, "1.0"):
            return await self._agent.set_push_config(params, context.identity)

    async def get_task_push_notification_config(
        self, params: v1.GetTaskPushNotificationConfigRequest, context: CallContext
    ) -> v1.TaskPushNotificationConfig:
        """See A2A 1.0, 3.1.8."""
        with _speaking(context, "1.0"):
            return await self._agent.push_config(params.task_id, params.id, context.identity)

    async def list_task_push_notification_configs(
        self, params: v1.ListTaskPushNotificationConfigsRequest, context: CallContext
    ) -> v1.ListTaskPushNotificationConfigsResponse:
        """See A2A 1.0, 3.1.9; a task has so few that one page holds them."""
        with _speaking(context, "1.0"):
            configs = await self._agent.push_configs(params.task_id, context.identity)
        return v1.ListTaskPushNotificationConfigsResponse(configs=configs, next_page_token="")

    async def delete_task_push_notification_config(
        self, params: v1.DeleteTaskPushNotificationConfigRequest, context: CallContext
    ) -> dict[str, Any]:
        """See A2A 1.0, 3.1.10."""
        with _speaking(context, "1.0"):
            await self._agent.remove_push_config(params.task_id, params.id, context.identity)
        return {}

    async def get_extended_agent_card(
        self, params: v1.GetExtendedAgentCardRequest, context: CallContext
    ) -> v1.AgentCard:
        """See A2A 1.0, 3.1.11: the card says that there is none."""
        del params
        with _speaking(context, "1.0"):
            raise Fault("UnsupportedOperation", "the agent has no extended card")


class HandlerV03:
    """Serves the role `agent` of 0.3."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def message_send(self, params: old.MessageSendParams, context: CallContext) -> old.Task:
        """See A2A 0.3, 7.1."""
        with _speaking(context, "0.3"):
            request = v03.read_request(params)
            task = await self._agent.send(request, context.identity, deadline=context.deadline, is_v03=True)
        return v03.write_task(task)

    async def message_stream(self, params: old.MessageSendParams, context: CallContext) -> old.StreamItem:
        """See A2A 0.3, 7.2."""
        with _speaking(context, "0.3"):
            items = self._agent.stream(v03.read_request(params), context.identity, is_v03=True)
            return await _stream(items, context, v03.write_item)

    async def tasks_get(self, params: old.TaskQueryParams, context: CallContext) -> old.Task:
        """See A2A 0.3, 7.3."""
        request = v1.GetTaskRequest(id=params.id, history_length=params.history_length)
        with _speaking(context, "0.3"):
            return v03.write_task(await self._agent.get(request, context.identity))

    async def tasks_cancel(self, params: old.TaskIdParams, context: CallContext) -> old.Task:
        """See A2A 0.3, 7.4."""
        request = v1.CancelTaskRequest(id=params.id)
        with _speaking(context, "0.3"):
            return v03.write_task(await self._agent.cancel(request, context.identity, deadline=context.deadline))

    async def tasks_resubscribe(self, params: old.TaskIdParams, context: CallContext) -> old.StreamItem:
        """See A2A 0.3, 7.9."""
        with _speaking(context, "0.3"):
            items = self._agent.subscribe(v1.SubscribeToTaskRequest(id=params.id), context.identity)
            return await _stream(items, context, v03.write_item)

    async def tasks_push_notification_config_set(
        self, params: old.TaskPushNotificationConfig, context: CallContext
    ) -> old.TaskPushNotificationConfig:
        """See A2A 0.3, 7.5."""
        config = v03.read_push_config(params.task_id, params.push_notification_config)
        with _speaking(context, "0.3"):
            return v03.write_push_config(await self._agent.set_push_config(config, context.identity, is_v03=True))

    async def tasks_push_notification_config_get(
        self, params: old.GetTaskPushNotificationConfigParams, context: CallContext
    ) -> old.TaskPushNotificationConfig:
        """See A2A 0.3, 7.6."""
        config_id = params.push_notification_config_id or None
        with _speaking(context, "0.3"):
            return v03.write_push_config(await self._agent.push_config(params.id, config_id, context.identity))

    async def tasks_push_notification_config_list(
        self, params: old.ListTaskPushNotificationConfigParams, context: CallContext
    ) -> list[old.TaskPushNotificationConfig]:
        """See A2A 0.3, 7.7."""
        with _speaking(context, "0.3"):
            configs = await self._agent.push_configs(params.id, context.identity)
        return [v03.write_push_config(each) for each in configs]

    async def tasks_push_notification_config_delete(
        self, params: old.DeleteTaskPushNotificationConfigParams, context: CallContext
    ) -> None:
        """See A2A 0.3, 7.8."""
        config_id = params.push_notification_config_id
        with _speaking(context, "0.3"):
            await self._agent.remove_push_config(params.id, config_id, context.identity)

    async def agent_get_authenticated_extended_card(self, context: CallContext) -> old.AgentCard:
        """See A2A 0.3, 7.10: the card says that there is none."""
        with _speaking(context, "0.3"):
            raise Fault("ExtendedCardNotConfigured")


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


@contextmanager
def _speaking(context: CallContext, version: Version) -> Generator[None]:
    """What is done within is asked for in a version: refusals become errors of that version, one of them for callers
    who ask for another.
    """
    try:
        _check_version(context, version)
        yield
    except Fault as fault:
        raise (fault.in_v1() if version == "1.0" else fault.in_v03()) from fault


def _check_version(context: CallContext, served: Version) -> None:
    """Errors: Fault, what a version says of another one that was asked for.

    None asked for is the version that has the method: 1.0 takes it for 0.3, which has no method of that name.
    """
    asked = _version(context)
    if asked in ("", served):
        return
    if asked in ("1.0", "0.3"):
        raise Fault("MethodNotFound", f"version {asked} has no such method")
    raise Fault("VersionNotSupported", "1.0 and 0.3 are served", metadata={"version": asked[:20]})


def _version(context: CallContext) -> str:
    """The version that a caller asks for, as Major.Minor; empty for none."""
    return ".".join(context.headers.get(VERSION_HEADER, "").strip().split(".")[:2])


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
